//! Servers that throttle, fail, fall silent or talk nonsense; listings that lie; what is gone before it is read.

use std::time::Duration;

use evidenced_collector_api::FailureClass;

use super::world::{Reply, World, error};
use super::{collect, collectors, find};
use crate::calls::CALLS;

fn say(status: u16, body: impl Into<String>) -> Reply {
    Reply::Say(status, body.into())
}

#[tokio::test(start_paused = true)]
async fn throttling_and_passing_failures_are_waited_out() {
    for call in CALLS {
        for reply in [
            say(400, error(call.service, "ThrottlingException")),
            say(503, error(call.service, "SlowDown")),
            say(500, error(call.service, "InternalError")),
            Reply::Reset,
        ] {
            let first = Reply::First(2, Box::new(reply));
            let world = World::new().with(call.service, call.operation, "", first);
            for collector in collectors(&world) {
                let snapshot = collect(collector.as_ref()).await.unwrap();
                let unknown = snapshot
                    .resources
                    .iter()
                    .any(|resource| !resource.unknown.is_empty());
                assert!(!unknown, "{} and {}", collector.id(), call.action);
                assert!(
                    snapshot.provenance.completeness.complete,
                    "{} and {}",
                    collector.id(),
                    call.action
                );
            }
        }
    }
}

/// Without a pace that gives way, tries come to an end before the users do.
#[tokio::test(start_paused = true)]
async fn an_account_that_throttles_all_along_is_read_completely_and_in_fair_time() {
    let mut world = World::new();
    (world.limit, world.more) = (Some(20), 600);
    world.latency = Duration::from_millis(20);
    let [iam, ..] = collectors(&world);
    let begun = tokio::time::Instant::now();
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let took = begun.elapsed();
    let users = snapshot
        .resources
        .iter()
        .filter(|resource| resource.kind == "aws.iam.user");
    assert_eq!(users.count(), 603);
    let unknown: Vec<_> = snapshot
        .resources
        .iter()
        .flat_map(|resource| &resource.unknown)
        .collect();
    assert!(unknown.is_empty(), "{} unknown: {:?}", unknown.len(), unknown[0]);
    let completeness = &snapshot.provenance.completeness;
    assert!(completeness.complete, "{}", completeness.basis);
    let calls: u64 = snapshot.provenance.calls.iter().map(|call| call.pages).sum();
    let at_best = Duration::from_secs(calls / 20);
    assert!(took < at_best * 2, "{took:?}, at best {at_best:?}");
}

#[tokio::test(start_paused = true)]
async fn lasting_faults_before_every_call_are_never_a_fact() {
    let mut good = Vec::new();
    for collector in collectors(&World::new()) {
        good.push(collect(collector.as_ref()).await.unwrap());
    }
    for call in CALLS {
        for reply in [
            say(500, error(call.service, "InternalError")),
            say(503, ""),
            say(400, error(call.service, "ThrottlingException")),
            say(200, "<Half><An"),
            say(200, "{\"half\": "),
            say(200, "not what was asked for"),
            Reply::Reset,
            Reply::Silence,
        ] {
            let world = World::new().with(call.service, call.operation, "", reply.clone());
            for (collector, good) in collectors(&world).into_iter().zip(&good) {
                let label = format!("{}, {} answered by {reply:?}", collector.id(), call.action);
                let snapshot = match collect(collector.as_ref()).await {
                    Ok(snapshot) => snapshot,
                    Err(error) => {
                        assert_ne!(error.class, FailureClass::Internal, "{label}");
                        continue;
                    }
                };
                for resource in &snapshot.resources {
                    let before = good
                        .resources
                        .iter()
                        .find(|before| before.kind == resource.kind && before.id == resource.id)
                        .unwrap();
                    for (attribute, value) in &resource.attributes {
                        let same = before.attributes.get(attribute) == Some(value);
                        assert!(same, "{label}: {} says {attribute} = {value}", resource.id);
                    }
                }
                let lost = snapshot.resources.len() < good.resources.len();
                assert!(
                    !lost || !snapshot.provenance.completeness.complete,
                    "{label}: lost resources"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_listing_that_loses_buckets_is_incomplete() {
    let short = "<ListAllMyBucketsResult><Buckets><Bucket><Name>alpha</Name><BucketRegion>eu-central-1</BucketRegion></Bucket>\
                 </Buckets></ListAllMyBucketsResult>";
    let first = Reply::First(1, Box::new(say(200, short)));
    let [_, _, s3] = collectors(&World::new().with("s3", "ListBuckets", "", first));
    let snapshot = collect(s3.as_ref()).await.unwrap();
    let completeness = &snapshot.provenance.completeness;
    assert!(!completeness.complete);
    assert!(
        completeness.basis.contains("two listings"),
        "{}",
        completeness.basis
    );
}

#[tokio::test(start_paused = true)]
async fn reports_that_were_asked_for_too_often_are_waited_for() {
    let first = Reply::First(7, Box::new(say(409, error("iam", "LimitExceeded"))));
    let [iam, ..] = collectors(&World::new().with("iam", "GenerateCredentialReport", "", first));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let completeness = &snapshot.provenance.completeness;
    assert!(completeness.complete, "{}", completeness.basis);
}

#[tokio::test]
async fn a_virtual_device_of_nobody_may_be_the_root_users() {
    let page = "<ListVirtualMFADevicesResponse><ListVirtualMFADevicesResult><VirtualMFADevices><member><SerialNumber>x</SerialNumber>\
                </member></VirtualMFADevices><IsTruncated>false</IsTruncated></ListVirtualMFADevicesResult></ListVirtualMFADevicesResponse>";
    let [iam, ..] = collectors(&World::new().with("iam", "ListVirtualMFADevices", "", say(200, page)));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let root = find(&snapshot, "aws.iam.root", "root");
    assert!(root.unknown.contains_key("virtual_mfa"), "{root:?}");
}

/// A listing in one piece is refused where there are too many buckets; what was refused is in the provenance.
#[tokio::test]
async fn a_second_listing_with_pages_takes_the_place_of_one_that_is_refused() {
    let mut replies = World::new();
    replies.refuse_unpaged = true;
    let [_, _, s3] = collectors(&replies);
    let snapshot = collect(s3.as_ref()).await.unwrap();
    assert!(snapshot.provenance.completeness.complete);
    let listings = snapshot
        .provenance
        .calls
        .iter()
        .filter(|call| call.operation == "ListBuckets");
    let statuses: Vec<_> = listings.map(|call| call.status.as_str()).collect();
    assert_eq!(statuses, ["200", "400 InvalidRequest", "200"]);
}

/// In virtual time, so that the machine takes no part in it.
#[tokio::test(start_paused = true)]
async fn fifty_users_and_buckets_take_less_than_a_third_of_their_calls_one_by_one() {
    let mut world = World::new();
    world.latency = Duration::from_millis(20);
    world.more = 48;
    let [iam, _, s3] = collectors(&world);
    for collector in [iam, s3] {
        let begun = tokio::time::Instant::now();
        let snapshot = collect(collector.as_ref()).await.unwrap();
        let took = begun.elapsed();
        let calls: u64 = snapshot.provenance.calls.iter().map(|call| call.pages).sum();
        let one_by_one = world.latency * u32::try_from(calls).unwrap();
        assert!(calls > 150, "{calls}");
        assert!(
            took * 3 < one_by_one,
            "{}: {took:?} of {one_by_one:?}",
            collector.id()
        );
    }
}

/// The answer about where the bucket lies is out of date, or refused.
#[tokio::test]
async fn a_bucket_that_lies_elsewhere_than_was_thought_is_read_where_it_is() {
    let [_, _, s3] = collectors(&World::new());
    let good = collect(s3.as_ref()).await.unwrap();
    for located in [true, false] {
        let mut world = World::new();
        if !located {
            world = world.denying("s3", "GetBucketLocation");
        }
        for call in CALLS.iter().filter(|call| call.service == "s3") {
            if !["ListBuckets", "GetBucketLocation"].contains(&call.operation) {
                world = world.with("s3", call.operation, "beta", Reply::Elsewhere("eu-north-1"));
            }
        }
        let [_, _, s3] = collectors(&world);
        let snapshot = collect(s3.as_ref()).await.unwrap();
        let beta = find(&snapshot, "aws.s3.bucket", "beta");
        assert_eq!(beta.unknown, std::collections::BTreeMap::new());
        let mut expected = find(&good, "aws.s3.bucket", "beta").attributes.clone();
        expected.insert("region".to_owned(), "eu-north-1".into());
        assert_eq!(beta.attributes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_end_is_left() {
    let world = World::new()
        .with("iam", "GetAccountPasswordPolicy", "", Reply::Endless)
        .with("s3", "GetBucketPolicy", "alpha", Reply::Endless);
    let [iam, _, s3] = collectors(&world);
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let policy = find(&snapshot, "aws.iam.password_policy", "password policy");
    assert!(policy.unknown.contains_key("minimum_length"), "{policy:?}");
    let snapshot = collect(s3.as_ref()).await.unwrap();
    let alpha = find(&snapshot, "aws.s3.bucket", "alpha");
    assert!(alpha.unknown.contains_key("tls_only"), "{alpha:?}");
}

#[tokio::test]
async fn a_listing_without_end_is_left() {
    let page = "<ListUsersResponse><ListUsersResult><Users/><IsTruncated>true</IsTruncated><Marker>again</Marker>\
                </ListUsersResult></ListUsersResponse>";
    let [iam, ..] = collectors(&World::new().with("iam", "ListUsers", "", say(200, page)));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    assert!(!snapshot.provenance.completeness.complete);
    let page = page.replace("<Marker>again</Marker>", "");
    let [iam, ..] = collectors(&World::new().with("iam", "ListUsers", "", say(200, page)));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    assert!(
        !snapshot.provenance.completeness.complete,
        "cut off without a marker"
    );
}

#[tokio::test]
async fn what_is_deleted_between_listing_and_reading_is_gone_and_does_not_fail() {
    let mut world = World::new();
    for operation in ["ListMFADevices", "ListAccessKeys", "GetLoginProfile"] {
        world = world.with("iam", operation, "bob", say(404, error("iam", "NoSuchEntity")));
    }
    for call in CALLS
        .iter()
        .filter(|call| call.service == "s3" && call.operation != "ListBuckets")
    {
        world = world.with(
            "s3",
            call.operation,
            "beta",
            say(404, error("s3", "NoSuchBucket")),
        );
    }
    let [iam, _, s3] = collectors(&world);
    for (collector, gone) in [(iam, "bob"), (s3, "beta")] {
        let snapshot = collect(collector.as_ref()).await.unwrap();
        assert!(
            snapshot.resources.iter().all(|resource| resource.name != gone),
            "{gone}"
        );
        let completeness = &snapshot.provenance.completeness;
        assert!(completeness.complete, "{gone}: {}", completeness.basis);
    }
}

#[tokio::test]
async fn a_report_without_the_root_user_makes_the_snapshot_incomplete() {
    let report: String = super::world::REPORT
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("<root_account>"))
        .collect();
    let body = format!(
        "<GetCredentialReportResponse><GetCredentialReportResult><Content>{}</Content><GeneratedTime>2026-05-28T00:00:00Z\
         </GeneratedTime></GetCredentialReportResult></GetCredentialReportResponse>",
        aws_smithy_types::base64::encode(report)
    );
    let [iam, ..] = collectors(&World::new().with("iam", "GetCredentialReport", "", say(200, body)));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    assert!(!snapshot.provenance.completeness.complete);
    let root = find(&snapshot, "aws.iam.root", "root");
    assert!(root.unknown["mfa_active"].contains("no row for the root user"));
}

#[tokio::test]
async fn a_user_whom_only_the_report_has_makes_the_snapshot_incomplete() {
    let page = "<ListUsersResponse><ListUsersResult><Users/><IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>";
    let [iam, ..] = collectors(&World::new().with("iam", "ListUsers", "", say(200, page)));
    let snapshot = collect(iam.as_ref()).await.unwrap();
    let completeness = &snapshot.provenance.completeness;
    assert!(!completeness.complete);
    assert!(
        completeness.basis.contains("not listed"),
        "{}",
        completeness.basis
    );
}
