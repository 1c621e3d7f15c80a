//! Each call refused in turn: what depends on it is unknown, and nothing else is told otherwise than before.

use std::collections::BTreeSet;

use evidenced_collector_api::Snapshot;

use super::world::World;
use super::{collect, collectors};
use crate::calls::CALLS;

/// For each call, the attributes that can't be known without it, and whether the snapshot is incomplete for it.
const DEPENDS: &[(&str, &str, &[&str], bool)] = &[
    ("iam", "GenerateCredentialReport", REPORT, true),
    ("iam", "GetCredentialReport", REPORT, true),
    (
        "iam",
        "GetAccountSummary",
        &["access_key_active", "has_credentials", "mfa_active of root"],
        false,
    ),
    ("iam", "GetAccountPasswordPolicy", POLICY, false),
    (
        "iam",
        "ListOrganizationsFeatures",
        &["central_root_management"],
        false,
    ),
    ("iam", "ListVirtualMFADevices", &["virtual_mfa"], false),
    // What the report says of a password and of MFA stands; for a user it does not have yet nothing does.
    (
        "iam",
        "GetLoginProfile",
        &["credentials", "password_enabled", "password_last_changed"],
        false,
    ),
    ("iam", "ListMFADevices", &["mfa_active", "mfa_devices"], false),
    ("iam", "ListAccessKeys", &["access_keys", "credentials"], false),
    ("s3", "GetBucketLocation", &["region"], false),
    (
        "s3",
        "GetBucketEncryption",
        &[
            "encryption_algorithm",
            "kms_key",
            "kms_key_enabled",
            "kms_key_manager",
            "kms_key_rotates",
            "sse_c_blocked",
        ],
        false,
    ),
    ("s3", "GetPublicAccessBlock", BLOCK, false),
    ("s3", "GetBucketPolicyStatus", &["policy_public"], false),
    ("s3", "GetBucketPolicy", &["tls_only"], false),
    ("s3", "GetBucketOwnershipControls", &["object_ownership"], false),
    ("s3", "GetBucketAcl", &["acl_public"], false),
    ("s3", "GetBucketVersioning", &["mfa_delete", "versioning"], false),
    (
        "s3",
        "GetObjectLockConfiguration",
        &["object_lock", "object_lock_days", "object_lock_mode"],
        false,
    ),
    ("s3", "GetBucketLogging", &["logging_target"], false),
    ("s3", "GetBucketTagging", &["data_class", "tags"], false),
    ("s3control", "GetPublicAccessBlock", BLOCK, false),
    (
        "kms",
        "DescribeKey",
        &["kms_key_enabled", "kms_key_manager", "kms_key_rotates"],
        false,
    ),
    ("kms", "GetKeyRotationStatus", &["kms_key_rotates"], false),
];

const REPORT: &[&str] = &[
    "access_key_active",
    "created of root",
    "credentials",
    "last_used",
    "mfa_active of root",
    "password_last_changed",
];

const POLICY: &[&str] = &[
    "max_age_days",
    "minimum_length",
    "require_lowercase",
    "require_numbers",
    "require_symbols",
    "require_uppercase",
    "reuse_prevention",
    "set",
    "users_may_change",
];

const BLOCK: &[&str] = &[
    "block_public_acls",
    "block_public_policy",
    "ignore_public_acls",
    "restrict_public_buckets",
];

/// Without these there is nothing to tell at all.
const VITAL: &[(&str, &str)] = &[
    ("sts", "GetCallerIdentity"),
    ("iam", "ListUsers"),
    ("organizations", "ListAccounts"),
    ("s3", "ListBuckets"),
];

/// What is unknown in a snapshot, and in which resources.
fn unknown(snapshot: &Snapshot) -> BTreeSet<String> {
    let name = |kind: &str, attribute: &String| {
        let shared = ["mfa_active", "created"].contains(&attribute.as_str());
        if shared && kind == "aws.iam.root" {
            format!("{attribute} of root")
        } else {
            attribute.clone()
        }
    };
    snapshot
        .resources
        .iter()
        .flat_map(|resource| {
            resource
                .unknown
                .keys()
                .map(|attribute| name(&resource.kind, attribute))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_a_refused_call_is_unknown_and_nothing_else_changes() {
    let good: Vec<Snapshot> = {
        let mut good = Vec::new();
        for collector in collectors(&World::new()) {
            good.push(collect(collector.as_ref()).await.unwrap());
        }
        good
    };
    for call in CALLS {
        let row = DEPENDS
            .iter()
            .find(|row| (row.0, row.1) == (call.service, call.operation));
        let world = World::new().denying(call.service, call.operation);
        for (collector, good) in collectors(&world).into_iter().zip(&good) {
            let asks = good
                .provenance
                .calls
                .iter()
                .any(|made| made.service == call.service && made.operation == call.operation);
            let label = format!("{} without {}", collector.id(), call.action);
            let result = collect(collector.as_ref()).await;
            let Some((_, _, expected, incomplete)) = row.filter(|_| asks) else {
                if asks {
                    assert!(
                        VITAL.contains(&(call.service, call.operation)),
                        "{label}: not in the table"
                    );
                    let whole = result.is_ok_and(|snapshot| snapshot.provenance.completeness.complete);
                    assert!(!whole, "{label}: complete");
                }
                continue;
            };
            let snapshot = result.unwrap();
            let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(unknown(&snapshot), expected, "{label}");
            assert_eq!(!snapshot.provenance.completeness.complete, *incomplete, "{label}");
            for resource in &snapshot.resources {
                let before = good
                    .resources
                    .iter()
                    .find(|before| before.kind == resource.kind && before.id == resource.id)
                    .unwrap();
                for (attribute, value) in &resource.attributes {
                    assert_eq!(
                        before.attributes.get(attribute),
                        Some(value),
                        "{label}: {attribute}"
                    );
                }
                for reason in resource.unknown.values() {
                    assert!(
                        reason.contains(call.action) || reason.contains("credential report"),
                        "{label}: {reason}"
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn check_names_the_missing_action() {
    use evidenced_collector_api::Run;
    for call in CALLS {
        let world = World::new().denying(call.service, call.operation);
        let mut named = false;
        for collector in collectors(&world) {
            for (_, said) in collector.check(&Run::begin(&super::Still)).await {
                named |= said.is_err_and(|what| what.contains(call.action));
            }
        }
        assert!(named, "{} is not named", call.action);
    }
    for collector in collectors(&World::new()) {
        for (what, said) in collector.check(&Run::begin(&super::Still)).await {
            assert!(said.is_ok(), "{what}: {said:?}");
        }
    }
}
