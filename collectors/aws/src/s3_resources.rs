//! What the answers about a bucket say together. Pure: no calls, no clock.

use aws_sdk_s3::operation::get_bucket_acl::GetBucketAclOutput;
use aws_sdk_s3::operation::get_bucket_encryption::GetBucketEncryptionOutput;
use aws_sdk_s3::operation::get_bucket_location::GetBucketLocationOutput;
use aws_sdk_s3::operation::get_bucket_logging::GetBucketLoggingOutput;
use aws_sdk_s3::operation::get_bucket_ownership_controls::GetBucketOwnershipControlsOutput;
use aws_sdk_s3::operation::get_bucket_policy::GetBucketPolicyOutput;
use aws_sdk_s3::operation::get_bucket_policy_status::GetBucketPolicyStatusOutput;
use aws_sdk_s3::operation::get_bucket_tagging::GetBucketTaggingOutput;
use aws_sdk_s3::operation::get_bucket_versioning::GetBucketVersioningOutput;
use aws_sdk_s3::operation::get_object_lock_configuration::GetObjectLockConfigurationOutput;
use aws_sdk_s3::operation::get_public_access_block::GetPublicAccessBlockOutput;
use aws_sdk_s3::types::{Bucket, EncryptionType, ServerSideEncryptionRule};
use chrono::DateTime;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use evidenced_collector_api::Resource;

use crate::access::tried;
use crate::answers::Answers;
use crate::ask::{Answer, Refusal};
use crate::credential_report::text;
use crate::policy;
use crate::s3_keys::{self, AskedKey};

type Said<T> = (usize, Result<T, Refusal>);

/// What is in effect for the account about public access. S3 Control answers that, and not what the account set by itself:
/// its API reference says of `GetPublicAccessBlock` that an organisation's policies are in it. S3's call of the same name,
/// about a bucket, knows the bucket's own block only.
pub(crate) type AccountBlock =
    Said<aws_sdk_s3control::operation::get_public_access_block::GetPublicAccessBlockOutput>;

/// The four flags of a public access block, in AWS's order.
const FLAGS: [&str; 4] = [
    "block_public_acls",
    "ignore_public_acls",
    "block_public_policy",
    "restrict_public_buckets",
];

/// AWS answers that there is no such setting, which is a fact.
const NO_BLOCK: &str = "NoSuchPublicAccessBlockConfiguration";

/// The groups that an access list grants to everybody by.
const EVERYBODY: [&str; 2] = [
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
];

/// The four flags of an answer: S3's and S3 Control's have the same fields, and types of their own.
macro_rules! flags {
    ($said:expr) => {
        match $said {
            Ok(said) => {
                let flags = said.public_access_block_configuration().map_or([None; 4], |set| {
                    [
                        set.block_public_acls(),
                        set.ignore_public_acls(),
                        set.block_public_policy(),
                        set.restrict_public_buckets(),
                    ]
                });
                flags.map(|flag| Ok(flag.unwrap_or(false)))
            }
            Err(refusal) if refusal.says(NO_BLOCK) => [const { Ok(false) }; 4],
            Err(refusal) => std::array::from_fn(|_| Err(refusal.reason.clone())),
        }
    };
}

macro_rules! bucket_answers {
    ($($field:ident: $output:ty),* $(,)?) => {
        /// What was answered about a bucket.
        pub(crate) struct BucketAnswers {
            pub(crate) arn: String,
            pub(crate) name: String,
            pub(crate) created: Option<aws_smithy_types::DateTime>,
            pub(crate) region: Result<String, String>,
            pub(crate) location: Option<Answer<GetBucketLocationOutput>>,
            $(pub(crate) $field: Answer<$output>,)*
        }

        /// The same, with the calls' positions.
        pub(crate) struct AskedBucket {
            arn: String,
            name: String,
            created: Option<aws_smithy_types::DateTime>,
            region: Result<String, String>,
            location: Option<Said<GetBucketLocationOutput>>,
            $($field: Said<$output>,)*
        }

        impl BucketAnswers {
            pub(crate) fn note(self, answers: &mut Answers) -> AskedBucket {
                AskedBucket {
                    arn: self.arn,
                    name: self.name,
                    created: self.created,
                    region: self.region,
                    location: self.location.map(|answer| answers.add(answer)),
                    $($field: answers.add(self.$field),)*
                }
            }
        }

        impl AskedBucket {
            /// Each call's position, and why it was refused, if it was.
            fn each(&self) -> Vec<(usize, Option<&Refusal>)> {
                vec![$((self.$field.0, self.$field.1.as_ref().err()),)*]
            }
        }
    };
}

bucket_answers! {
    encryption: GetBucketEncryptionOutput,
    block: GetPublicAccessBlockOutput,
    policy_status: GetBucketPolicyStatusOutput,
    policy: GetBucketPolicyOutput,
    ownership: GetBucketOwnershipControlsOutput,
    acl: GetBucketAclOutput,
    versioning: GetBucketVersioningOutput,
    lock: GetObjectLockConfigurationOutput,
    logging: GetBucketLoggingOutput,
    tags: GetBucketTaggingOutput,
}

/// Where a bucket lies: as its listing says, as its location says, or as S3 says when it refuses.
pub(crate) fn region(
    bucket: &Bucket,
    location: Option<&Answer<GetBucketLocationOutput>>,
) -> Result<String, String> {
    if let Some(region) = bucket.bucket_region() {
        return Ok(region.to_owned());
    }
    match location.map(|answer| &answer.result) {
        Some(Ok(said)) => Ok(
            match said
                .location_constraint()
                .map(aws_sdk_s3::types::BucketLocationConstraint::as_str)
            {
                // Names from before regions had any.
                None | Some("") => "us-east-1".to_owned(),
                Some("EU") => "eu-west-1".to_owned(),
                Some(region) => region.to_owned(),
            },
        ),
        Some(Err(refusal)) => refusal
            .bucket_region
            .clone()
            .ok_or_else(|| refusal.reason.clone()),
        None => Err("nothing says where the bucket lies".to_owned()),
    }
}

/// The account's public access block.
pub(crate) fn account(block: &AccountBlock) -> Resource {
    let name = "account public access block";
    let resource = Resource::new("aws.s3.account_public_access", name, name, block.0);
    let flags = account_flags(&block.1);
    FLAGS
        .into_iter()
        .zip(flags)
        .fold(resource, |resource, (name, flag)| {
            resource.with_result(name, flag)
        })
}

fn account_flags(
    said: &Result<aws_sdk_s3control::operation::get_public_access_block::GetPublicAccessBlockOutput, Refusal>,
) -> [Result<bool, String>; 4] {
    flags!(said)
}

impl AskedBucket {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the bucket was deleted between being listed and being read.
    pub(crate) fn is_gone(&self) -> bool {
        let mut refusals = self.each().into_iter().filter_map(|(_, refusal)| refusal);
        refusals.any(|refusal| refusal.says("NoSuchBucket"))
    }

    /// The region and the id of the KMS key that new objects are encrypted with, if it is a named one.
    pub(crate) fn key(&self) -> Option<(String, String)> {
        let rule = self.rule().ok()??;
        let key = rule
            .apply_server_side_encryption_by_default()?
            .kms_master_key_id()?;
        Some((self.region.clone().ok()?, key.to_owned()))
    }

    /// The rule for new objects; none if the answer says that there is none.
    fn rule(&self) -> Result<Option<&ServerSideEncryptionRule>, String> {
        match &self.encryption.1 {
            Ok(said) => Ok(said
                .server_side_encryption_configuration()
                .and_then(|set| set.rules().first())),
            Err(refusal) if refusal.says("ServerSideEncryptionConfigurationNotFoundError") => Ok(None),
            Err(refusal) => Err(refusal.reason.clone()),
        }
    }

    pub(crate) fn resource(
        &self,
        listing: usize,
        account: &AccountBlock,
        keys: &BTreeMap<(String, String), AskedKey>,
        data_class_tag: &str,
    ) -> Resource {
        let mut calls = vec![listing, account.0];
        calls.extend(self.location.iter().map(|said| said.0));
        calls.extend(self.each().into_iter().map(|(call, _)| call));
        let created = self
            .created
            .and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
        let tags = self.tags();
        let class = tags
            .clone()
            .map(|tags| tags.get(data_class_tag).cloned().unwrap_or(Value::Null));
        let mut resource = Resource::new("aws.s3.bucket", self.arn.as_str(), self.name.as_str(), listing)
            .with_result("region", self.region.clone())
            .with(
                "created",
                created.map_or(Value::Null, |created| text(created).into()),
            )
            .with_result("data_class", class)
            .with_result("tags", tags)
            .with_result("policy_public", self.policy_public())
            .with_result("acl_public", self.acl_public())
            .with_result("tls_only", self.tls_only())
            .with_result("object_ownership", self.ownership())
            .with_result("logging_target", self.logging_target());
        for (flag, value) in self.effective_flags(account) {
            resource = resource.with_result(flag, value);
        }
        resource = self.with_versioning(self.with_lock(resource));
        resource = self.with_encryption(resource, keys, &mut calls);
        calls.sort_unstable();
        calls.dedup();
        resource.call = calls;
        resource
    }

    fn with_encryption(
        &self,
        resource: Resource,
        keys: &BTreeMap<(String, String), AskedKey>,
        calls: &mut Vec<usize>,
    ) -> Resource {
        let rule = match self.rule() {
            Ok(rule) => rule,
            Err(reason) => {
                let attributes = ["encryption_algorithm", "kms_key", "sse_c_blocked"];
                let resource = attributes.into_iter().fold(resource, |resource, name| {
                    resource.with_result(name, Err::<Value, _>(reason.clone()))
                });
                return s3_keys::unknown(resource, &reason);
            }
        };
        let default = rule.and_then(ServerSideEncryptionRule::apply_server_side_encryption_by_default);
        let algorithm = default.map(|default| default.sse_algorithm().as_str());
        let key = default.and_then(|default| default.kms_master_key_id());
        let blocked = rule.and_then(ServerSideEncryptionRule::blocked_encryption_types);
        let resource = resource
            .with("encryption_algorithm", algorithm.map_or(Value::Null, Value::from))
            .with("kms_key", key.map_or(Value::Null, Value::from))
            .with(
                "sse_c_blocked",
                // A bucket that nobody ever set it on, nor AWS, says nothing of it: no upload is refused.
                blocked.map_or(Value::Null, |blocked| {
                    blocked.encryption_type().contains(&EncryptionType::SseC).into()
                }),
            );
        if !algorithm.is_some_and(|algorithm| algorithm.starts_with("aws:kms")) {
            return s3_keys::without(resource);
        }
        if key.is_none() {
            return s3_keys::of_aws(resource);
        }
        match self.key().and_then(|key| keys.get(&key)) {
            Some(asked) => {
                calls.extend(asked.calls());
                asked.describe(resource)
            }
            None => s3_keys::unknown(resource, "the key was not asked about"),
        }
    }

    /// Bucket or account: either is enough.
    fn effective_flags(&self, account: &AccountBlock) -> [(&'static str, Result<bool, String>); 4] {
        let own: [Result<bool, String>; 4] = flags!(&self.block.1);
        let mut joined = own
            .into_iter()
            .zip(account_flags(&account.1))
            .map(|pair| match pair {
                (Ok(true), _) | (_, Ok(true)) => Ok(true),
                (Ok(false), Ok(false)) => Ok(false),
                (Err(reason), _) | (_, Err(reason)) => Err(reason),
            });
        FLAGS.map(|flag| (flag, joined.next().unwrap_or_else(|| Err("not read".to_owned()))))
    }

    fn policy_public(&self) -> Result<bool, String> {
        match &self.policy_status.1 {
            Ok(said) => said
                .policy_status()
                .and_then(aws_sdk_s3::types::PolicyStatus::is_public)
                .ok_or_else(|| "the answer does not say".to_owned()),
            Err(refusal) if refusal.says("NoSuchBucketPolicy") => Ok(false),
            Err(refusal) => Err(refusal.reason.clone()),
        }
    }

    fn acl_public(&self) -> Result<bool, String> {
        let said = self.acl.1.as_ref().map_err(|refusal| refusal.reason.clone())?;
        let mut grantees = said.grants().iter().filter_map(|grant| grant.grantee()?.uri());
        Ok(grantees.any(|group| EVERYBODY.contains(&group)))
    }

    fn tls_only(&self) -> Result<bool, String> {
        match &self.policy.1 {
            Ok(said) => match said.policy() {
                Some(policy) => policy::is_tls_only(policy, &self.arn),
                None => Err("the answer holds no policy".to_owned()),
            },
            Err(refusal) if refusal.says("NoSuchBucketPolicy") => Ok(false),
            Err(refusal) => Err(refusal.reason.clone()),
        }
    }

    /// A bucket from before there were ownership controls has none, and is its objects' writers'.
    fn ownership(&self) -> Result<String, String> {
        match &self.ownership.1 {
            Ok(said) => said
                .ownership_controls()
                .and_then(|controls| controls.rules().first())
                .map(|rule| rule.object_ownership().as_str().to_owned())
                .ok_or_else(|| "the answer does not say".to_owned()),
            Err(refusal) if refusal.says("OwnershipControlsNotFoundError") => Ok("ObjectWriter".to_owned()),
            Err(refusal) => Err(refusal.reason.clone()),
        }
    }

    fn logging_target(&self) -> Result<Value, String> {
        let said = self
            .logging
            .1
            .as_ref()
            .map_err(|refusal| refusal.reason.clone())?;
        let target = said
            .logging_enabled()
            .map(aws_sdk_s3::types::LoggingEnabled::target_bucket);
        Ok(target.map_or(Value::Null, Value::from))
    }

    fn tags(&self) -> Result<Map<String, Value>, String> {
        match &self.tags.1 {
            Ok(said) => Ok(said
                .tag_set()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().into()))
                .collect()),
            Err(refusal) if refusal.says("NoSuchTagSet") => Ok(Map::new()),
            Err(refusal) => Err(refusal.reason.clone()),
        }
    }

    fn with_versioning(&self, resource: Resource) -> Resource {
        let said = self
            .versioning
            .1
            .as_ref()
            .map_err(|refusal| refusal.reason.clone());
        let status = said
            .clone()
            .map(|said| said.status().map_or("Off", |status| status.as_str()).to_owned());
        let mfa = said.map(|said| said.mfa_delete().is_some_and(|mfa| mfa.as_str() == "Enabled"));
        resource
            .with_result("versioning", status)
            .with_result("mfa_delete", mfa)
    }

    fn with_lock(&self, resource: Resource) -> Resource {
        let set = match &self.lock.1 {
            Ok(said) => Ok(said.object_lock_configuration()),
            Err(refusal) if refusal.says("ObjectLockConfigurationNotFoundError") => Ok(None),
            Err(refusal) => Err(refusal.reason.clone()),
        };
        let retention = set.clone().map(|set| set?.rule()?.default_retention());
        let mode = retention.clone().map(|retention| {
            retention
                .and_then(|retention| retention.mode())
                .map_or(Value::Null, |mode| mode.as_str().into())
        });
        let days = retention.map(|retention| {
            retention.map_or(0, |retention| {
                retention.days().unwrap_or(0) + 365 * retention.years().unwrap_or(0)
            })
        });
        let locked = set.map(|set| {
            set.and_then(|set| set.object_lock_enabled())
                .is_some_and(|enabled| enabled.as_str() == "Enabled")
        });
        resource
            .with_result("object_lock", locked)
            .with_result("object_lock_mode", mode)
            .with_result("object_lock_days", days)
    }
}

/// Which permissions were tried; the first bucket that refused speaks for all.
pub(crate) fn permissions(
    buckets: &[AskedBucket],
    keys: &BTreeMap<(String, String), AskedKey>,
) -> Vec<(String, Result<String, String>)> {
    const ACTIONS: [&str; 10] = [
        "s3:GetEncryptionConfiguration",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPolicy",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketAcl",
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketLogging",
        "s3:GetBucketTagging",
    ];
    let mut worst: [Option<Refusal>; 10] = [const { None }; 10];
    for bucket in buckets.iter().filter(|bucket| !bucket.is_gone()) {
        for (worst, (_, refusal)) in worst.iter_mut().zip(bucket.each()) {
            if let Some(refusal) = refusal
                && tried("", &Err::<(), _>(refusal.clone())).1.is_err()
            {
                worst.get_or_insert_with(|| refusal.clone());
            }
        }
    }
    let mut lines: Vec<_> = ACTIONS
        .into_iter()
        .zip(worst)
        .filter(|_| !buckets.is_empty())
        .map(|(action, worst)| tried(action, &worst.map_or(Ok(()), Err)))
        .collect();
    let located: Vec<_> = buckets
        .iter()
        .filter_map(|bucket| bucket.location.as_ref())
        .collect();
    if !located.is_empty() {
        let refusal = located
            .iter()
            .find_map(|said| said.1.as_ref().err().filter(|refusal| !refusal.is_absence()));
        lines.push(tried(
            "s3:GetBucketLocation",
            &refusal.cloned().map_or(Ok(()), Err),
        ));
    }
    let refused =
        |results: Vec<Option<&Refusal>>| results.into_iter().flatten().next().cloned().map_or(Ok(()), Err);
    if !keys.is_empty() {
        let [described, rotation] = [0, 1].map(|call| {
            let refusals = keys.values().map(|key| key.refusals()[call]);
            refused(refusals.collect())
        });
        lines.push(tried("kms:DescribeKey", &described));
        lines.push(tried("kms:GetKeyRotationStatus", &rotation));
    }
    lines
}
