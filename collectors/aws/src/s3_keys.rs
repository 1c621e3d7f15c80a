//! What the answers about a KMS key say of the buckets that use it. Pure: no calls, no clock.

use aws_sdk_kms::operation::describe_key::DescribeKeyOutput;
use aws_sdk_kms::operation::get_key_rotation_status::GetKeyRotationStatusOutput;
use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec, OriginType};
use serde_json::Value;

use evidenced_collector_api::Resource;

use crate::answers::Answers;
use crate::ask::{Answer, Refusal};

type Said<T> = (usize, Result<T, Refusal>);

/// A bucket's attributes about its key.
const ATTRIBUTES: [&str; 3] = ["kms_key_manager", "kms_key_enabled", "kms_key_rotates"];

/// What was answered about a key.
pub(crate) struct KeyAnswers {
    pub(crate) described: Answer<DescribeKeyOutput>,
    pub(crate) rotation: Option<Answer<GetKeyRotationStatusOutput>>,
}

/// The same, with the calls' positions.
pub(crate) struct AskedKey {
    described: Said<DescribeKeyOutput>,
    rotation: Option<Said<GetKeyRotationStatusOutput>>,
}

impl KeyAnswers {
    pub(crate) fn note(self, answers: &mut Answers) -> AskedKey {
        AskedKey {
            described: answers.add(self.described),
            rotation: self.rotation.map(|answer| answers.add(answer)),
        }
    }
}

impl AskedKey {
    /// The calls' positions.
    pub(crate) fn calls(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.described.0).chain(self.rotation.iter().map(|said| said.0))
    }

    /// Why each call was refused, if it was.
    pub(crate) fn refusals(&self) -> [Option<&Refusal>; 2] {
        let rotation = self.rotation.as_ref().and_then(|said| said.1.as_ref().err());
        [self.described.1.as_ref().err(), rotation]
    }

    /// Adds what the key is to a bucket that uses it.
    pub(crate) fn describe(&self, bucket: Resource) -> Resource {
        let key = match &self.described.1 {
            Err(refusal) => return unknown(bucket, &refusal.reason),
            Ok(said) => match said.key_metadata() {
                None => return unknown(bucket, "the answer holds no key"),
                Some(key) => key,
            },
        };
        let manager = key.key_manager().map(KeyManagerType::as_str);
        bucket
            .with_result(
                ATTRIBUTES[0],
                manager.ok_or_else(|| "the answer does not say".to_owned()),
            )
            .with(ATTRIBUTES[1], key.enabled())
            .with_result(ATTRIBUTES[2], self.rotates(key))
    }

    /// Whether the key rotates; null where it can't.
    fn rotates(&self, key: &KeyMetadata) -> Result<Value, String> {
        if key.key_manager() == Some(&KeyManagerType::Aws) {
            return Ok(true.into());
        }
        if key.key_spec().is_none() || key.origin().is_none() || key.key_manager().is_none() {
            return Err("the answer does not say what kind of key it is".to_owned());
        }
        match &self.rotation {
            None => Ok(Value::Null),
            Some((_, Ok(said))) => Ok(said.key_rotation_enabled().into()),
            Some((_, Err(refusal))) => Err(refusal.reason.clone()),
        }
    }
}

/// The ARN of a key whose rotation can be asked for: symmetric, and with material that AWS made.
pub(crate) fn rotating(described: &Answer<DescribeKeyOutput>) -> Option<String> {
    let key = described.result.as_ref().ok()?.key_metadata()?;
    let can_rotate = key.key_manager() == Some(&KeyManagerType::Customer)
        && key.key_spec() == Some(&KeySpec::SymmetricDefault)
        && key.origin() == Some(&OriginType::AwsKms);
    // An id alone would be looked for in the caller's account.
    can_rotate.then(|| key.arn().unwrap_or(key.key_id()).to_owned())
}

/// A bucket without a KMS key.
pub(crate) fn without(bucket: Resource) -> Resource {
    ATTRIBUTES
        .into_iter()
        .fold(bucket, |bucket, attribute| bucket.with(attribute, Value::Null))
}

/// A bucket with the key that AWS manages for S3: always there, and rotated by AWS.
pub(crate) fn of_aws(bucket: Resource) -> Resource {
    bucket
        .with(ATTRIBUTES[0], KeyManagerType::Aws.as_str())
        .with(ATTRIBUTES[1], true)
        .with(ATTRIBUTES[2], true)
}

/// A bucket whose key is not known.
pub(crate) fn unknown(bucket: Resource, reason: &str) -> Resource {
    ATTRIBUTES.into_iter().fold(bucket, |bucket, attribute| {
        bucket.with_result(attribute, Err::<Value, _>(reason.to_owned()))
    })
}
