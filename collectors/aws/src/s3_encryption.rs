//! `aws.s3.encryption`: every bucket of an account, in whatever region, and all that decides who can read it.

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_buckets::ListBucketsOutput;
use aws_sdk_s3::types::Bucket;
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, FailureClass, Provenance, Run, Snapshot, Target,
};

use crate::access::{Access, Account, tried};
use crate::answers::Answers;
use crate::ask::{self, Answer, Pages, Question, Refusal};
use crate::s3_keys::{self, AskedKey, KeyAnswers};
use crate::s3_resources::{self, AskedBucket, BucketAnswers};

/// Buckets on a page of the first listing.
const PAGE: i32 = 1000;

/// The collector.
pub(crate) struct S3Encryption {
    access: Access,
}

/// What was asked about an account.
struct Asked {
    listing: (usize, Result<Pages<ListBucketsOutput>, Refusal>),
    again: (usize, Result<Pages<ListBucketsOutput>, Refusal>),
    account_block: s3_resources::AccountBlock,
    buckets: Vec<AskedBucket>,
    keys: BTreeMap<(String, String), AskedKey>,
}

impl S3Encryption {
    pub(crate) fn new(access: Access) -> Self {
        Self { access }
    }

    async fn read(&self, account: &Account, run: &Run<'_>, mut answers: Answers) -> (Asked, Answers) {
        let config = &account.config;
        let clients = Clients::new(config);
        let own = clients.of(None);
        let control = aws_sdk_s3control::Client::new(config);
        let (listing, again, block) = tokio::join!(
            list(run, &own, Some(PAGE)),
            list(run, &own, None),
            ask!(run, "s3control" "GetPublicAccessBlock" { AccountId: &account.id },
                control.get_public_access_block().account_id(&account.id)),
        );
        let (listing, mut again, account_block) =
            (answers.add(listing), answers.add(again), answers.add(block));
        // Above a quota of 10,000 buckets a listing in one piece is refused: then the second one has pages too.
        if let Err(refusal) = &again.1
            && refusal.class == FailureClass::InvalidResponse
        {
            again = answers.add(list(run, &own, Some(PAGE / 2)).await);
        }
        let (mut buckets, mut keys) = (Vec::new(), BTreeMap::new());
        for listed in [&listing, &again] {
            answers.count(listed.0, names(&listed.1).len());
        }
        if let Ok(listed) = &listing.1 {
            let all: Vec<Bucket> = listed
                .pages
                .iter()
                .flat_map(|page| page.buckets().to_vec())
                .collect();
            // Each is noted as it comes: all answers, in pieces and together, would take the memory twice.
            let mut each = futures_util::stream::iter(all)
                .map(|bucket| about(run, &clients, account, bucket))
                .buffered(self.access.at_once());
            while let Some(bucket) = each.next().await {
                buckets.push(bucket.note(&mut answers));
            }
            let wanted: BTreeSet<(String, String)> = buckets.iter().filter_map(AskedBucket::key).collect();
            let each: Vec<_> = futures_util::stream::iter(wanted)
                .map(|(region, key)| about_key(run, config, region, key))
                .buffered(self.access.at_once())
                .collect()
                .await;
            for (place, key) in each {
                keys.insert(place, key.note(&mut answers));
            }
        }
        let asked = Asked {
            listing,
            again,
            account_block,
            buckets,
            keys,
        };
        (asked, answers)
    }
}

#[async_trait]
impl Collector for S3Encryption {
    fn id(&self) -> &'static str {
        "aws.s3.encryption"
    }

    fn version(&self) -> &'static str {
        "2"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["aws.s3.bucket", "aws.s3.account_public_access"]
    }

    /// Since April 2026 AWS blocks customers' own keys by itself, bucket after bucket.
    fn by_provider(&self) -> &'static [(&'static str, &'static str)] {
        &[("aws.s3.bucket", "sse_c_blocked")]
    }

    async fn targets(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        self.access.accounts(run).await
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let mut answers = Answers::default();
        let account = self.access.account(target, run, &mut answers).await?;
        let (asked, answers) = self.read(&account, run, answers).await;
        if let Err(refusal) = asked.listing.1 {
            return Err(refusal.into());
        }
        let mut resources = vec![s3_resources::account(&asked.account_block)];
        let tag = &self.access.settings.data_class_tag.0;
        let there = asked.buckets.iter().filter(|bucket| !bucket.is_gone());
        resources.extend(
            there.map(|bucket| bucket.resource(asked.listing.0, &asked.account_block, &asked.keys, tag)),
        );
        let completeness = completeness(&asked, resources.len() as u64);
        let (calls, raw) = answers.finish();
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources,
            raw,
            provenance: Provenance {
                caller: account.caller,
                calls,
                limits: Vec::new(),
                completeness,
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        let mut lines = Vec::new();
        for (name, account) in self.access.reachable(run).await {
            match account {
                Err(error) => lines.push((name, Err(error))),
                Ok((account, answers)) => {
                    let (asked, _) = self.read(&account, run, answers).await;
                    let mut said = vec![
                        tried("s3:ListAllMyBuckets", &asked.listing.1),
                        tried("s3:GetAccountPublicAccessBlock", &asked.account_block.1),
                    ];
                    said.extend(s3_resources::permissions(&asked.buckets, &asked.keys));
                    lines.extend(
                        said.into_iter()
                            .map(|(what, said)| (format!("{name}: {what}"), said)),
                    );
                }
            }
        }
        lines
    }
}

/// The buckets that a listing names.
fn names(listing: &Result<Pages<ListBucketsOutput>, Refusal>) -> BTreeSet<&str> {
    let pages = listing.iter().flat_map(|listed| &listed.pages);
    pages
        .flat_map(ListBucketsOutput::buckets)
        .filter_map(Bucket::name)
        .collect()
}

fn completeness(asked: &Asked, read: u64) -> Completeness {
    let mut against = Vec::new();
    let gone: BTreeSet<&str> = asked
        .buckets
        .iter()
        .filter(|bucket| bucket.is_gone())
        .map(AskedBucket::name)
        .collect();
    let whole = |listing: &Result<Pages<ListBucketsOutput>, Refusal>| {
        listing.as_ref().is_ok_and(|listed| listed.cut.is_none())
    };
    if !whole(&asked.listing.1) {
        against.push("the listing of buckets was cut off");
    }
    let mut expected = None;
    if whole(&asked.again.1) {
        let (one, other) = (names(&asked.listing.1), names(&asked.again.1));
        if one
            .difference(&other)
            .chain(other.difference(&one))
            .any(|name| !gone.contains(name))
        {
            against.push("two listings of the buckets name different ones");
        }
        let union = one.union(&other).filter(|name| !gone.contains(*name)).count();
        // The account's own setting is a resource too.
        expected = Some(union as u64 + 1);
    } else {
        against.push("there is no second listing of the buckets to compare with");
    }
    let complete = against.is_empty();
    Completeness {
        complete,
        basis: if complete {
            "all pages of the listing of buckets were read, and a second listing names the same; directory buckets \
             are listed elsewhere and not among them"
                .to_owned()
        } else {
            against.join("; ")
        },
        expected,
        read,
        second_source: Some("s3:ListBuckets, once more with other pages".to_owned()),
    }
}

/// A client for each region, made when it is first asked in: a thousand buckets need no thousand clients.
struct Clients<'a> {
    config: &'a SdkConfig,
    made: Mutex<BTreeMap<Option<String>, Client>>,
}

impl<'a> Clients<'a> {
    fn new(config: &'a SdkConfig) -> Self {
        let made = Mutex::new(BTreeMap::new());
        Self { config, made }
    }

    /// The one for a region; for none, the one for the configuration's own.
    fn of(&self, region: Option<&str>) -> Client {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let client = || {
            let mut builder = aws_sdk_s3::config::Builder::from(self.config);
            if let Some(region) = region {
                builder = builder.region(Region::new(region.to_owned()));
            }
            // Path style where the endpoint is not AWS's own, which has no names for buckets.
            let path_style = self.config.endpoint_url().is_some();
            Client::from_conf(builder.force_path_style(path_style).build())
        };
        made.entry(region.map(str::to_owned))
            .or_insert_with(client)
            .clone()
    }
}

async fn list(run: &Run<'_>, client: &Client, page: Option<i32>) -> Answer<Pages<ListBucketsOutput>> {
    let size = page.map(|page| page.to_string());
    let parameters = size.iter().map(|size| ("MaxBuckets", size.as_str())).collect();
    let question = Question {
        service: "s3",
        operation: "ListBuckets",
        parameters,
    };
    ask::pages(
        run,
        question,
        |seen, token| {
            let request = client
                .list_buckets()
                .set_max_buckets(page)
                .set_continuation_token(token);
            request.customize().interceptor(seen).send()
        },
        |page| Ok(page.continuation_token().map(str::to_owned)),
    )
    .await
}

/// The region that a refusal says the bucket lies in, if it was asked in another. By the code alone it can't be told: S3
/// answers with 301, and where the signature's region is in the way with 400.
fn elsewhere<T>(answer: &Answer<T>, asked: &Client) -> Option<String> {
    let home = answer.result.as_ref().err()?.bucket_region.as_deref()?;
    let asked = asked.config().region().map(Region::as_ref);
    (asked != Some(home)).then(|| home.to_owned())
}

/// Asks all there is to ask about a bucket, where it lies.
async fn about(run: &Run<'_>, clients: &Clients<'_>, account: &Account, bucket: Bucket) -> BucketAnswers {
    let name = bucket.name().unwrap_or_default().to_owned();
    let own = clients.of(None);
    let location = match bucket.bucket_region() {
        Some(_) => None,
        None => Some(
            ask!(run, "s3" "GetBucketLocation" { Bucket: &name }, own.get_bucket_location().bucket(&name))
                .await,
        ),
    };
    let region = s3_resources::region(&bucket, location.as_ref());
    let s3 = clients.of(region.as_deref().ok());
    let home = OnceLock::new();
    // What S3 sends elsewhere is asked there, once: its answer takes the place of the first.
    macro_rules! ask_there {
        ($operation:literal, $method:ident) => {
            async {
                let answer = ask!(run, "s3" $operation { Bucket: &name }, s3.$method().bucket(&name)).await;
                let Some(region) = elsewhere(&answer, &s3) else {
                    return answer;
                };
                let there = clients.of(Some(home.get_or_init(|| region)));
                ask!(run, "s3" $operation { Bucket: &name }, there.$method().bucket(&name)).await
            }
        };
    }
    let (encryption, block, policy_status, policy, ownership, acl) = tokio::join!(
        ask_there!("GetBucketEncryption", get_bucket_encryption),
        ask_there!("GetPublicAccessBlock", get_public_access_block),
        ask_there!("GetBucketPolicyStatus", get_bucket_policy_status),
        ask_there!("GetBucketPolicy", get_bucket_policy),
        ask_there!("GetBucketOwnershipControls", get_bucket_ownership_controls),
        ask_there!("GetBucketAcl", get_bucket_acl),
    );
    let (versioning, lock, logging, tags) = tokio::join!(
        ask_there!("GetBucketVersioning", get_bucket_versioning),
        ask_there!("GetObjectLockConfiguration", get_object_lock_configuration),
        ask_there!("GetBucketLogging", get_bucket_logging),
        ask_there!("GetBucketTagging", get_bucket_tagging),
    );
    let region = home.into_inner().map_or(region, Ok);
    BucketAnswers {
        arn: format!("arn:{}:s3:::{name}", account.partition),
        name,
        created: bucket.creation_date().copied(),
        region,
        location,
        encryption,
        block,
        policy_status,
        policy,
        ownership,
        acl,
        versioning,
        lock,
        logging,
        tags,
    }
}

/// Asks about a key, in the region that its ARN names, else in the bucket's.
async fn about_key(
    run: &Run<'_>,
    config: &SdkConfig,
    region: String,
    key: String,
) -> ((String, String), KeyAnswers) {
    let home = key
        .split(':')
        .nth(3)
        .filter(|home| !home.is_empty())
        .unwrap_or(&region)
        .to_owned();
    let settings = aws_sdk_kms::config::Builder::from(config)
        .region(Region::new(home))
        .build();
    let kms = aws_sdk_kms::Client::from_conf(settings);
    let described = ask!(run, "kms" "DescribeKey" { KeyId: &key }, kms.describe_key().key_id(&key)).await;
    let rotation = match s3_keys::rotating(&described) {
        // An alias is not taken here.
        Some(id) => Some(
            ask!(run, "kms" "GetKeyRotationStatus" { KeyId: &id }, kms.get_key_rotation_status().key_id(&id))
                .await,
        ),
        None => None,
    };
    ((region, key), KeyAnswers { described, rotation })
}
