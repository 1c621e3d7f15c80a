//! The program against a peer that answers as AWS does: what is collected is what was put there.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../collectors/aws/tests/moto/mod.rs"]
mod moto;

#[path = "aws/alerts.rs"]
mod alerts;
#[path = "fake/receiver.rs"]
mod receiver;

use evidenced::log::leaf::{Body, Role, SnapshotLeaf};
use evidenced::log::store::{Filter, Paths, Reader};
use evidenced::round::resources;
use evidenced_collector_api::Resource;
use moto::Moto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

/// One peer for all, which nobody changes.
static PEER: LazyLock<(Moto, Value)> = LazyLock::new(|| {
    let moto = Moto::start();
    let seeded = moto.seed();
    (moto, seeded)
});

const COLLECTORS: &str = r#"
[source.collectors."aws.iam.mfa"]
schedule = "0 */4 * * *"
[source.collectors."aws.s3.encryption"]
schedule = "0 */4 * * *"
[source.collectors."aws.organization.accounts"]
schedule = "0 3 * * *"
"#;

/// Runs the program as a user would, in a folder of its own.
fn evidenced(folder: &Path, settings: &str, arguments: &[&str]) -> Output {
    command(&PEER.0, folder, settings, arguments).output().unwrap()
}

fn command(moto: &Moto, folder: &Path, settings: &str, arguments: &[&str]) -> Command {
    let config = folder.join("evidenced.toml");
    let source = format!(
        "[[source]]\nname = \"aws\"\ntype = \"aws\"\nsettings = {{ calls_per_second = 1000, {settings} }}"
    );
    std::fs::write(&config, format!("name = \"acme\"\n{source}\n{COLLECTORS}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
    command
        .args(arguments)
        .arg("--config")
        .arg(&config)
        .arg("--store")
        .arg(folder.join("store"))
        .envs(moto.environment())
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    command
}

/// Every snapshot of a store: its leaf, and its resources by kind and name.
type Sealed = Vec<(SnapshotLeaf, BTreeMap<(String, String), Resource>)>;

fn sealed(folder: &Path) -> Sealed {
    let reader = Reader::open(&Paths::new(folder.join("store"))).unwrap();
    let filter = Filter {
        kinds: vec!["snapshot".to_owned()],
        ..Filter::default()
    };
    let entries = reader.entries(&filter).unwrap();
    let snapshots = entries.into_iter().map(|entry| {
        let leaf = reader.leaf(entry.seq).unwrap().unwrap();
        let found = resources(&reader, entry.seq, &leaf).unwrap();
        let Some(Body::Snapshot(snapshot)) = leaf.body else {
            panic!("{} is no snapshot", entry.seq)
        };
        let named = found
            .into_iter()
            .map(|resource| ((resource.kind.clone(), resource.name.clone()), resource));
        (snapshot, named.collect())
    });
    snapshots.collect()
}

/// Who a store's only snapshot says that it was collected by.
fn caller(folder: &Path) -> Value {
    let reader = Reader::open(&Paths::new(folder.join("store"))).unwrap();
    let filter = Filter {
        kinds: vec!["snapshot".to_owned()],
        ..Filter::default()
    };
    let entries = reader.entries(&filter).unwrap();
    assert_eq!(entries.len(), 1);
    let leaf = reader.leaf_bytes(entries[0].seq).unwrap().unwrap();
    let blobs = evidenced::log::leaf::blobs(&leaf).unwrap();
    let blob = blobs.iter().find(|blob| blob.role == Role::Provenance).unwrap();
    let provenance = reader.payload(&blob.sha256).unwrap().unwrap();
    serde_json::from_slice::<Value>(&provenance).unwrap()["caller"].take()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// An attribute, which must be known.
fn fact<'a>(resource: &'a Resource, name: &str) -> &'a Value {
    let unknown = resource.unknown.get(name);
    let missing = || panic!("{} has no {name}: {unknown:?}", resource.id);
    resource.attributes.get(name).unwrap_or_else(missing)
}

#[test]
fn what_is_collected_is_what_was_put_there() {
    let seeded = &PEER.1;
    let folder = tempfile::tempdir().unwrap();
    let output = evidenced(
        folder.path(),
        "role = \"evidenced\", organization = true",
        &["collect", "--once"],
    );
    // Something fails, and nothing could not be collected.
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let snapshots = sealed(folder.path());
    let accounts = seeded["accounts"].as_object().unwrap();
    let active: Vec<_> = accounts
        .iter()
        .filter(|(_, account)| account["state"] == "ACTIVE")
        .collect();
    assert_eq!(snapshots.len(), 2 * active.len() + 1);
    for (number, account) in active {
        for (leaf, resources) in snapshots.iter().filter(|(leaf, _)| leaf.target == **number) {
            if leaf.collector.as_str() == "aws.iam.mfa" {
                // The peer's report has no row for the root user.
                assert!(!leaf.complete);
                check_users(account, resources);
            } else {
                assert!(leaf.complete, "{number}: the buckets are not all");
                check_buckets(account, resources);
            }
        }
    }
    let organization = snapshots
        .iter()
        .find(|(leaf, _)| leaf.collector == "aws.organization.accounts");
    let (leaf, found) = organization.unwrap();
    assert!(leaf.complete);
    assert_eq!(found.len(), accounts.len());
    for resource in found.values() {
        let account = &accounts[&resource.id];
        assert_eq!(*fact(resource, "state"), account["state"]);
        assert_eq!(*fact(resource, "configured"), json!(account["state"] == "ACTIVE"));
    }
}

fn check_users(account: &Value, resources: &BTreeMap<(String, String), Resource>) {
    let users = list(account, "users");
    let found = resources
        .keys()
        .filter(|(kind, _)| kind == "aws.iam.user")
        .count();
    assert_eq!(found, users.len());
    for user in users {
        let name = user["name"].as_str().unwrap();
        let resource = &resources[&("aws.iam.user".to_owned(), name.to_owned())];
        assert_eq!(json!(resource.id), user["arn"]);
        assert_eq!(
            *fact(resource, "password_enabled"),
            user["password_enabled"],
            "{name}"
        );
        assert_eq!(
            *fact(resource, "mfa_active"),
            json!(!list(user, "mfa_devices").is_empty()),
            "{name}"
        );
        let pick = |devices: &[Value], fields: [&str; 2]| {
            let mut picked: Vec<_> = devices
                .iter()
                .map(|item| fields.map(|field| item[field].clone()))
                .collect();
            picked.sort_by_key(|item| item[0].to_string());
            picked
        };
        let devices = fact(resource, "mfa_devices").as_array().unwrap();
        let fields = ["serial", "kind"];
        assert_eq!(
            pick(devices, fields),
            pick(list(user, "mfa_devices"), fields),
            "{name}"
        );
        let keys = fact(resource, "access_keys").as_array().unwrap();
        let fields = ["id", "active"];
        assert_eq!(
            pick(keys, fields),
            pick(list(user, "access_keys"), fields),
            "{name}"
        );
    }
    let policy = &resources[&("aws.iam.password_policy".to_owned(), "password policy".to_owned())];
    let expected = &account["password_policy"];
    assert_eq!(*fact(policy, "set"), json!(!expected.is_null()));
    if !expected.is_null() {
        assert_eq!(*fact(policy, "minimum_length"), expected["MinimumPasswordLength"]);
        let reuse = expected["PasswordReusePrevention"].as_u64().unwrap_or(0);
        assert_eq!(*fact(policy, "reuse_prevention"), json!(reuse));
    }
}

fn check_buckets(account: &Value, resources: &BTreeMap<(String, String), Resource>) {
    let buckets = list(account, "buckets");
    let found = resources
        .keys()
        .filter(|(kind, _)| kind == "aws.s3.bucket")
        .count();
    assert_eq!(found, buckets.len());
    let block = &account["account_public_access"];
    for bucket in buckets {
        let name = bucket["name"].as_str().unwrap();
        let resource = &resources[&("aws.s3.bucket".to_owned(), name.to_owned())];
        assert_eq!(resource.unknown, BTreeMap::new(), "{name}");
        for attribute in [
            "region",
            "encryption_algorithm",
            "tls_only",
            "policy_public",
            "acl_public",
            "versioning",
            "object_lock",
            "object_lock_mode",
            "object_lock_days",
            "logging_target",
            "tags",
        ] {
            assert_eq!(
                *fact(resource, attribute),
                bucket[attribute],
                "{name}: {attribute}"
            );
        }
        let ownership = bucket["object_ownership"].as_str().unwrap_or("ObjectWriter");
        assert_eq!(*fact(resource, "object_ownership"), ownership, "{name}");
        assert_eq!(
            *fact(resource, "data_class"),
            bucket["tags"]["data-class"],
            "{name}"
        );
        for (flag, field) in [
            ("block_public_acls", "BlockPublicAcls"),
            ("ignore_public_acls", "IgnorePublicAcls"),
            ("block_public_policy", "BlockPublicPolicy"),
            ("restrict_public_buckets", "RestrictPublicBuckets"),
        ] {
            let set = bucket["public_access_block"][field] == true || block[field] == true;
            assert_eq!(*fact(resource, flag), set, "{name}: {flag}");
        }
        let key = &bucket["key"];
        let id = key["kms_key"].as_str().unwrap_or_default();
        // The peer says that AWS's own key is the customer's.
        if key.is_null() || id.ends_with("alias/aws/s3") {
            continue;
        }
        assert_eq!(*fact(resource, "kms_key"), id, "{name}");
        assert_eq!(*fact(resource, "kms_key_manager"), key["manager"], "{name}");
        assert_eq!(
            *fact(resource, "kms_key_rotates"),
            key["rotates"],
            "{name}: {key}"
        );
    }
}

#[test]
fn an_account_that_can_not_be_read_harms_no_other() {
    let management = PEER.1["management"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let accounts = format!("accounts = [\"000000000000\", \"{management}\"]");
    let output = evidenced(
        folder.path(),
        &accounts,
        &["collect", "--once", "aws.s3.encryption", "--format", "json"],
    );
    assert_eq!(output.status.code(), Some(3));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcomes: Vec<_> = list(&said, "snapshots")
        .iter()
        .map(|snapshot| (snapshot["target"].clone(), snapshot["outcome"].clone()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (json!("000000000000"), json!("failed")),
            (json!(management), json!("collected"))
        ]
    );
    let error = said["snapshots"][0]["error"].to_string();
    assert!(error.contains("set `role`"), "{error}");
}

#[test]
fn check_tries_each_permission() {
    let folder = tempfile::tempdir().unwrap();
    let output = evidenced(folder.path(), "", &["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for action in [
        "iam:ListUsers",
        "iam:GetCredentialReport",
        "s3:GetEncryptionConfiguration",
        "organizations:ListAccounts",
    ] {
        let line = text
            .lines()
            .find(|line| line.contains(action))
            .unwrap_or_else(|| panic!("{action}: {text}"));
        assert!(line.contains("allowed"), "{line}");
    }
}

#[test]
fn a_web_identity_is_exchanged_for_its_role() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "signed.by.somebody").unwrap();
    let management = PEER.1["management"].as_str().unwrap();
    let role = PEER.1["accounts"][management]["role"].as_str().unwrap();
    let arguments = ["collect", "--once", "aws.s3.encryption"];
    let output = command(&PEER.0, folder.path(), "", &arguments)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_ROLE_ARN", role)
        .env("AWS_ROLE_SESSION_NAME", "pod")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let arn = format!("arn:aws:sts::{management}:assumed-role/evidenced/pod");
    assert_eq!(caller(folder.path())["arn"], arn);
}

/// An account there, reached through a role of it: nothing in it has a name of the partition `aws`.
#[test]
fn in_govcloud_names_are_of_its_partition() {
    let moto = Moto::start();
    let user = moto.python(
        r#"
import boto3, json
region, role = "us-gov-west-1", "arn:aws-us-gov:iam::210987654321:role/evidenced"
keys = boto3.client("sts", region).assume_role(RoleArn=role, RoleSessionName="seed")["Credentials"]
session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region)
user = session.client("iam").create_user(UserName="ann")["User"]
s3, records = session.client("s3"), "arn:aws-us-gov:s3:::records"
s3.create_bucket(Bucket="records", CreateBucketConfiguration={"LocationConstraint": region})
statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [records, f"{records}/*"],
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
s3.put_bucket_policy(Bucket="records", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
print(json.dumps(user["Arn"]))"#,
    );
    let settings = "region = \"us-gov-west-1\", role = \"evidenced\", accounts = [\"210987654321\"]";
    for (collector, kind, name, id) in [
        ("aws.iam.mfa", "aws.iam.user", "ann", user.as_str().unwrap()),
        (
            "aws.iam.mfa",
            "aws.iam.root",
            "root",
            "arn:aws-us-gov:iam::210987654321:root",
        ),
        (
            "aws.s3.encryption",
            "aws.s3.bucket",
            "records",
            "arn:aws-us-gov:s3:::records",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["collect", "--once", collector];
        let output = command(&moto, folder.path(), settings, &arguments)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        let arn = "arn:aws-us-gov:sts::210987654321:assumed-role/evidenced/evidenced";
        assert_eq!(caller(folder.path())["arn"], arn);
        let (_, found) = &sealed(folder.path())[0];
        let resource = &found[&(kind.to_owned(), name.to_owned())];
        assert_eq!(resource.id, id);
        if kind == "aws.s3.bucket" {
            assert_eq!(*fact(resource, "region"), "us-gov-west-1");
            assert_eq!(*fact(resource, "tls_only"), true);
        }
    }
}
