//! What is read from good answers.

use serde_json::json;
use std::collections::BTreeSet;

use evidenced_collector_api::conformance;

use super::world::{Reply, World, error};
use super::{Still, collect, collectors, find};
use crate::calls::CALLS;

#[tokio::test]
async fn every_collector_keeps_the_contract() {
    for collector in collectors(&World::new()) {
        let (snapshots, breaches) = conformance::check(collector.as_ref(), &Still).await.unwrap();
        assert_eq!(breaches, Vec::<String>::new(), "{}", collector.id());
        for snapshot in snapshots {
            let completeness = &snapshot.provenance.completeness;
            assert!(
                completeness.complete,
                "{}: {}",
                collector.id(),
                completeness.basis
            );
            let unknown: Vec<_> = snapshot
                .resources
                .iter()
                .flat_map(|resource| &resource.unknown)
                .collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", collector.id());
            assert_eq!(snapshot.provenance.caller["account"], "123456789012");
            for call in &snapshot.provenance.calls {
                assert_eq!(
                    call.request_id.as_deref(),
                    Some("request-1"),
                    "{}",
                    call.operation
                );
                assert_eq!(
                    call.body_sha256.as_ref().map(String::len),
                    Some(64),
                    "{}",
                    call.operation
                );
            }
        }
    }
}

#[tokio::test]
async fn users_are_read_from_report_and_listings_together() {
    let [iam, ..] = collectors(&World::new());
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let alice = find(&snapshot, "aws.iam.user", "alice");
    assert_eq!(alice.id, "arn:aws:iam::123456789012:user/alice");
    assert_eq!(alice.as_of.unwrap().to_rfc3339(), "2026-05-28T00:00:00+00:00");
    assert_eq!(alice.attributes["password_enabled"], true);
    assert_eq!(alice.attributes["mfa_active"], true);
    assert_eq!(
        alice.attributes["mfa_devices"],
        json!([{ "serial": "arn:aws:iam::123456789012:mfa/phone", "kind": "virtual", "enabled": "2021-01-02T00:00:00Z" }])
    );
    assert_eq!(
        alice.attributes["access_keys"],
        json!([{ "id": "AKIAALICE", "active": true, "created": "2026-04-01T00:00:00Z" }])
    );
    assert_eq!(
        alice.attributes["credentials"],
        json!([
            { "kind": "password", "id": "password", "active": true, "since": "2026-01-01T00:00:00Z", "last_used": "2026-05-20T08:00:00Z" },
            { "kind": "access_key", "id": "access_key_1", "active": true, "since": "2026-04-01T00:00:00Z", "last_used": "2026-05-21T00:00:00Z" },
        ])
    );
    assert_eq!(
        find(&snapshot, "aws.iam.user", "bob").attributes["mfa_active"],
        false
    );
    let policy = find(&snapshot, "aws.iam.password_policy", "password policy");
    assert_eq!(policy.attributes["minimum_length"], 14);
    assert_eq!(policy.attributes["reuse_prevention"], 24);
    let listing = snapshot
        .provenance
        .calls
        .iter()
        .find(|call| call.operation == "ListUsers")
        .unwrap();
    assert_eq!((listing.pages, listing.items), (2, 3));
}

#[tokio::test]
async fn a_user_made_after_the_report_is_no_mismatch_and_was_never_used() {
    let [iam, ..] = collectors(&World::new());
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let later = find(&snapshot, "aws.iam.user", "later");
    assert_eq!(later.as_of, None);
    assert_eq!(later.attributes["password_enabled"], false);
    assert_eq!(later.attributes["credentials"], json!([]));
}

#[tokio::test]
async fn the_root_user_is_a_resource_of_its_own() {
    let [iam, ..] = collectors(&World::new());
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let root = find(&snapshot, "aws.iam.root", "root");
    assert_eq!(root.id, "arn:aws:iam::123456789012:root");
    assert_eq!(root.attributes["mfa_active"], true);
    assert_eq!(root.attributes["access_key_active"], false);
    assert_eq!(root.attributes["has_credentials"], true);
    assert_eq!(root.attributes["last_used"], "2026-01-10T00:00:00Z");
    // A device that is only named like root's is another user's.
    assert_eq!(root.attributes["virtual_mfa"], false);
}

#[tokio::test]
async fn buckets_are_read_setting_by_setting() {
    let [_, _, s3] = collectors(&World::new());
    let snapshot = collect(s3.as_ref()).await.unwrap();
    let alpha = &find(&snapshot, "aws.s3.bucket", "alpha").attributes;
    for (attribute, value) in [
        ("region", json!("eu-central-1")),
        ("encryption_algorithm", json!("aws:kms")),
        ("kms_key_manager", json!("CUSTOMER")),
        ("kms_key_rotates", json!(true)),
        ("sse_c_blocked", json!(true)),
        ("restrict_public_buckets", json!(true)),
        ("policy_public", json!(false)),
        ("acl_public", json!(false)),
        ("tls_only", json!(true)),
        ("object_ownership", json!("BucketOwnerEnforced")),
        ("versioning", json!("Enabled")),
        ("object_lock_mode", json!("COMPLIANCE")),
        ("object_lock_days", json!(365)),
        ("logging_target", json!("logs")),
        ("data_class", json!("confidential")),
    ] {
        assert_eq!(alpha[attribute], value, "alpha: {attribute}");
    }
    let beta = &find(&snapshot, "aws.s3.bucket", "beta").attributes;
    for (attribute, value) in [
        ("region", json!("eu-west-1")),
        ("encryption_algorithm", json!("AES256")),
        ("kms_key_rotates", json!(null)),
        ("sse_c_blocked", json!(null)),
        ("block_public_acls", json!(false)),
        ("policy_public", json!(false)),
        ("acl_public", json!(true)),
        ("tls_only", json!(false)),
        ("object_ownership", json!("ObjectWriter")),
        ("versioning", json!("Off")),
        ("object_lock", json!(false)),
        ("object_lock_days", json!(0)),
        ("logging_target", json!(null)),
        ("data_class", json!(null)),
    ] {
        assert_eq!(beta[attribute], value, "beta: {attribute}");
    }
}

#[tokio::test]
async fn names_are_of_the_partition_that_the_caller_is_in() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-cn:iam::123456789012:user/x</Arn>\
                    <UserId>x</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let world = World::new().with(
        "sts",
        "GetCallerIdentity",
        "",
        Reply::Say(200, identity.to_owned()),
    );
    let [iam, _, s3] = collectors(&world);
    let snapshot = collect(iam.as_ref()).await.unwrap();
    assert_eq!(
        find(&snapshot, "aws.iam.root", "root").id,
        "arn:aws-cn:iam::123456789012:root"
    );
    let snapshot = collect(s3.as_ref()).await.unwrap();
    let alpha = find(&snapshot, "aws.s3.bucket", "alpha");
    assert_eq!(alpha.id, "arn:aws-cn:s3:::alpha");
    assert_eq!(
        alpha.attributes["tls_only"], false,
        "its policy names a bucket of another partition"
    );
}

#[tokio::test]
async fn an_account_that_nobody_collects_from_is_seen() {
    let [_, organization, _] = collectors(&World::new());
    let snapshot = collect(organization.as_ref()).await.unwrap();
    let configured =
        |name| find(&snapshot, "aws.organization.account", name).attributes["configured"].clone();
    assert_eq!(
        (configured("main"), configured("forgotten")),
        (json!(true), json!(false))
    );

    let mut world = World::new();
    world.settings =
        "organization = true\nexcluded = [{ account = \"210987654321\", reason = \"empty\" }]".to_owned();
    let [iam, organization, _] = collectors(&world);
    let snapshot = collect(organization.as_ref()).await.unwrap();
    let forgotten = &find(&snapshot, "aws.organization.account", "forgotten").attributes;
    assert_eq!(forgotten["exclusion_reason"], "empty");
    let targets = iam
        .targets(&evidenced_collector_api::Run::begin(&Still))
        .await
        .unwrap();
    assert_eq!(targets.len(), 1, "an excluded account is no target");
}

#[tokio::test]
async fn another_account_without_a_role_is_refused_in_words_and_not_read_as_our_own() {
    let mut world = World::new();
    world.settings = "accounts = [\"210987654321\"]".to_owned();
    let [iam, ..] = collectors(&world);
    let error = collect(iam.as_ref()).await.unwrap_err();
    assert!(error.message.contains("set `role`"), "{}", error.message);
    // The role's session must be the account's: here it is ours again.
    world.settings += "\nrole = \"evidenced\"";
    let expired = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                   <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let assumed = world
        .clone()
        .with("sts", "AssumeRole", "", Reply::Say(200, expired.to_owned()));
    let [iam, ..] = collectors(&assumed);
    let wrong = collect(iam.as_ref()).await.unwrap_err();
    assert!(wrong.message.contains("another account"), "{}", wrong.message);
    let refused = world.with("sts", "AssumeRole", "", Reply::Say(403, error_of_role()));
    let [iam, ..] = collectors(&refused);
    let refused = collect(iam.as_ref()).await.unwrap_err();
    assert!(
        refused.message.contains("can't be assumed"),
        "{}",
        refused.message
    );
}

fn error_of_role() -> String {
    error("sts", "AccessDenied")
}

#[tokio::test]
async fn the_policy_allows_what_is_called_and_nothing_else() {
    let world = World::new();
    for collector in collectors(&world) {
        collect(collector.as_ref()).await.unwrap();
    }
    let called: BTreeSet<_> = world.asked().into_iter().collect();
    let listed: BTreeSet<_> = CALLS
        .iter()
        .map(|call| (call.service.to_owned(), call.operation.to_owned()))
        .collect();
    assert_eq!(called, listed, "CALLS lists the calls that are made");

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/aws/policy.json");
    let policy: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let granted: BTreeSet<_> = statements
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap())
        .collect();
    // Whoever has credentials may ask whose they are.
    let needed: BTreeSet<_> = CALLS
        .iter()
        .map(|call| call.action)
        .filter(|action| *action != "sts:GetCallerIdentity")
        .collect();
    assert_eq!(granted, needed);
}
