//! Collecting from an AWS account beside c7n (Cloud Custodian), and the memory that a thousand buckets take.
//!
//! The account has 50 users and 50 buckets and is moto's, which holds up each answer for 20 ms and counts the calls. Both
//! programs run against it in turns, each turn from nothing: an empty store, no cache; the median of each counts. What
//! moto itself needs for an answer is in both times. c7n runs one file of policies, `c7n/policies.yml`, that has it read
//! what we read as far as it can, and nothing besides. Its credential report is there already, since it would wait ten
//! seconds for one.
//!
//! *A bucket's setting* is what one call of S3 reads of one bucket: see [`OURS`] and [`THEIRS`]. They are counted in the
//! results, and held against all calls to S3, S3 Control and KMS. c7n reads neither whether a policy is public nor
//! anything of keys; what we ask KMS counts against us. Region is asked by c7n of each bucket, and by us of the listing:
//! moto, righted, tells it there as AWS does.
//!
//! *A thousand buckets* are exactly as many as the listing's page holds, since moto loses what comes after it; 950 of
//! them have a policy, a key, tags, versioning and a public access block. They are read without the 20 ms, so that more of
//! them are under way together. Memory is the peak of what is resident, as the operating system counts it.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]

use evidenced::log::leaf::Body;
use evidenced::log::store::{Filter, Paths, Reader};
use evidenced::round::resources;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;
#[path = "../../collectors/aws/tests/moto/mod.rs"]
mod moto;

use figure::{Figures, Watched, watch};
use moto::{Moto, python};

/// How often each is measured.
const TURNS: usize = 3;

/// What every answer takes longer.
const DELAY: Duration = Duration::from_millis(20);

/// The most that a thousand buckets may take, in megabytes.
const MEMORY: f64 = 80.0;

/// A bucket's settings, each by one of the attributes that we make of it.
const OURS: [&str; 11] = [
    "region",
    "encryption_algorithm",
    "block_public_acls",
    "policy_public",
    "tls_only",
    "object_ownership",
    "acl_public",
    "versioning",
    "object_lock",
    "logging_target",
    "tags",
];

/// A bucket's settings, each by where c7n puts it.
const THEIRS: [&str; 10] = [
    "Location",
    "c7n:bucket-encryption",
    "c7n:PublicAccessBlock",
    "Policy",
    "c7n:ownership",
    "Acl",
    "Versioning",
    "c7n:ObjectLockConfiguration",
    "Logging",
    "Tags",
];

const CONFIGURATION: &str = r#"
name = "bench"
[[source]]
name = "aws"
type = "aws"
[source.collectors."aws.iam.mfa"]
schedule = "15 */4 * * *"
[source.collectors."aws.s3.encryption"]
schedule = "30 */4 * * *"
"#;

const PREPARE: &str = "import boto3; boto3.client('iam').generate_credential_report()";

const MORE_BUCKETS: &str = r#"
import boto3, json
s3, kms = boto3.client("s3"), boto3.client("kms")
key = kms.create_key()["KeyMetadata"]["Arn"]
rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
block = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
for number in range(950):
    name = f"acme-more-{number:03}"
    whole = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": whole,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.create_bucket(Bucket=name)
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={flag: True for flag in block})
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "data-class", "Value": "confidential"}]})
"#;

fn main() -> ExitCode {
    let moto = Moto::start();
    moto.seed();
    moto.python(PREPARE);
    let custodian = python::installed("c7n", include_str!("c7n/requirements.txt"));
    moto.delay(DELAY);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(evidenced(&moto, &[]));
        theirs.push(c7n(&moto, &custodian));
    }
    let mut figures = Figures::default();
    compare(&mut figures, &ours, &theirs);

    moto.delay(Duration::ZERO);
    moto.python(MORE_BUCKETS);
    let thousand = evidenced(&moto, &["aws.s3.encryption"]);
    assert_eq!(thousand.settings, 1000 * OURS.len() as u64);
    figures.below("1,000 buckets, memory", thousand.watched.megabytes, MEMORY, "MB");
    figures.note("1,000 buckets, time", &seconds(thousand.watched.time));
    figures.exit()
}

/// What one run took.
struct Taken {
    watched: Watched,
    /// By service and operation.
    calls: BTreeMap<String, u64>,
    /// Settings of buckets that it read.
    settings: u64,
}

impl Taken {
    fn calls(&self, services: &[&str]) -> u64 {
        let of = |call: &&String| {
            let service = call.split(' ').next().unwrap();
            services.is_empty() || services.contains(&service)
        };
        let chosen = self.calls.keys().filter(of);
        chosen.map(|call| self.calls[call]).sum()
    }

    fn calls_per_setting(&self) -> f64 {
        number(self.calls(&["s3", "s3control", "kms"])) / number(self.settings)
    }
}

fn compare(figures: &mut Figures, ours: &[Taken], theirs: &[Taken]) {
    let [first, other] = [&ours[0], &theirs[0]];
    figures.note(
        "AWS, 50 users and 50 buckets, calls",
        &format!("{} (c7n {})", first.calls(&[]), other.calls(&[])),
    );
    figures.note(
        "  settings of buckets",
        &format!("{} (c7n {})", first.settings, other.settings),
    );
    let mut ratio = |what: &str, of: fn(&Taken) -> f64, show: fn(f64) -> String, required: f64| {
        let [ours, theirs] = [ours, theirs].map(|taken| median(taken.iter().map(of)));
        let baseline = format!("c7n {}", show(theirs));
        figures.ratio(what, &show(ours), &baseline, theirs / ours, Some(required));
    };
    ratio(
        "  calls per setting of a bucket",
        Taken::calls_per_setting,
        |calls| format!("{calls:.3}"),
        1.0,
    );
    ratio(
        "  time",
        |taken| taken.watched.time.as_secs_f64(),
        |time| seconds(Duration::from_secs_f64(time)),
        2.0,
    );
    ratio(
        "  memory",
        |taken| taken.watched.megabytes,
        |megabytes| format!("{megabytes:.0} MB"),
        2.0,
    );
}

/// Runs `collect --once` as a user would, on a store of its own.
fn evidenced(moto: &Moto, collectors: &[&str]) -> Taken {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (config, store) = (folder.path().join("evidenced.toml"), folder.path().join("store"));
    std::fs::write(&config, CONFIGURATION).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
    command
        .args(["collect", "--once"])
        .args(collectors)
        .arg("--config")
        .arg(&config)
        .arg("--store")
        .arg(&store);
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    let (watched, calls) = watched(moto, &mut command);
    // Tests fail, and everything could be collected.
    assert_eq!(watched.status.code(), Some(1), "{}", moto.complaints());
    Taken {
        watched,
        calls,
        settings: settings(&store),
    }
}

/// Counts the settings of buckets that a store's snapshots know.
fn settings(store: &Path) -> u64 {
    let reader = Reader::open(&Paths::new(store)).unwrap();
    let filter = Filter {
        kinds: vec!["snapshot".to_owned()],
        ..Filter::default()
    };
    let mut count = 0;
    for entry in reader.entries(&filter).unwrap() {
        let leaf = reader.leaf(entry.seq).unwrap().unwrap();
        assert!(matches!(leaf.body, Some(Body::Snapshot(_))));
        for resource in resources(&reader, entry.seq, &leaf).unwrap() {
            let known = OURS
                .iter()
                .filter(|name| resource.attributes.contains_key(**name));
            count += if resource.kind == "aws.s3.bucket" {
                known.count() as u64
            } else {
                0
            };
        }
    }
    count
}

/// Runs c7n over its policies, in a folder of its own.
fn c7n(moto: &Moto, custodian: &Path) -> Taken {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let policies = folder.path().join("policies.yml");
    std::fs::write(&policies, include_str!("c7n/policies.yml")).unwrap();
    let mut command = python::run(custodian, "from c7n.cli import main; main()");
    command
        .args(["run", "--cache-period", "0", "--output-dir"])
        .arg(folder.path())
        .arg(&policies)
        .env("HOME", folder.path());
    let (watched, calls) = watched(moto, &mut command);
    assert!(watched.status.success(), "{}", moto.complaints());
    let text = std::fs::read(folder.path().join("buckets/resources.json")).unwrap();
    let buckets: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(buckets.len(), 50);
    let known = |bucket: &Value| THEIRS.iter().filter(|name| bucket.get(**name).is_some()).count() as u64;
    Taken {
        watched,
        calls,
        settings: buckets.iter().map(known).sum(),
    }
}

fn watched(moto: &Moto, command: &mut Command) -> (Watched, BTreeMap<String, u64>) {
    command
        .envs(moto.environment())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    moto.calls();
    let watched = watch(command);
    (watched, moto.calls())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn number(count: u64) -> f64 {
    count as f64
}
