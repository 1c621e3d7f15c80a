//! Stores to measure on, built once through [`Appender`] and kept below `target` until [`VERSION`] changes.
//!
//! *Leaves*: one million, as a fleet of 250 hosts yields them over half a year: of 100 leaves about 49 snapshots (one
//! test's worth of evidence and its provenance: two blobs), 49 evaluations of one test (one blob) and 2 failures
//! (none), 660 bytes on average. Payloads repeat, so that there are few blobs and leaves are what is measured. In life
//! every snapshot brings a provenance of its own: that is the store *fleet*, whose blobs weigh more than its leaves.
//!
//! *Raw* and *zstd*: 1 GiB of blobs of 256 KiB to 1 MiB, of random bytes and of JSON as evidence is. Which codec a
//! blob gets is evidenced's own choice.

#![expect(
    clippy::print_stderr,
    reason = "building takes long, and whoever waits is told"
)]

use chrono::{DateTime, TimeDelta, Utc};
use evidenced::clock::{Clock, SharedClock};
use evidenced::control::Rules;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, By, EvaluationLeaf, FailureLeaf, Role, Scope, SnapshotLeaf, Trigger};
use evidenced::log::store::{Paths, Reader};
use evidenced::plan::{Lists, Maker, Plan, PlannedCollector, PlannedSource};
use evidenced_collector_api::{Covers, FailureClass};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Changed whenever the stores would come out differently.
const VERSION: u32 = 3;

/// Leaves in the large stores.
pub(crate) const LEAVES: u64 = 1_000_000;

/// Payload bytes in the stores of blobs.
const BLOB_BYTES: u64 = 1 << 30;

const HOSTS: usize = 250;
const COLLECTOR: &str = "host.baseline";
const SOURCE: &str = "fleet";
const JSON: &str = "application/json";

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Leaves that share blobs.
    Leaves,
    /// Leaves whose snapshots each have a provenance of their own.
    Fleet,
    /// Blobs that don't compress.
    Raw,
    /// Blobs that do.
    Zstd,
}

/// A store with that content, built if need be.
pub(crate) fn store(content: Content) -> Paths {
    let name = format!("bench-{content:?}-{VERSION}").to_lowercase();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let paths = Paths::new(folder.join("store"));
    let done = folder.join("complete");
    if done.exists() {
        return paths;
    }
    drop(std::fs::remove_dir_all(&folder));
    let clock = evidenced::clock::system();
    eprintln!("building the store {content:?}, which is kept for later runs …");
    build(&paths, content);
    eprintln!("… took {:.0} s", clock.monotonic().as_secs_f64());
    std::fs::write(done, b"").unwrap();
    paths
}

fn build(paths: &Paths, content: Content) {
    let log = Appender::open(paths, "bench", Arc::new(Pace::default())).unwrap();
    let plan = begin(&log, paths);
    match content {
        Content::Leaves => append_rounds(&log, plan, false),
        Content::Fleet => append_rounds(&log, plan, true),
        Content::Raw => append_blobs(&log, plan, Random::bytes),
        Content::Zstd => append_blobs(&log, plan, Random::resources),
    }
}

/// Appends rounds of all hosts at once, so that batches are large, up to [`LEAVES`]. Evidence changes with every 24th
/// round.
fn append_rounds(log: &Appender, plan: u64, own_provenance: bool) {
    // Key, plan and scope are there.
    let size = AtomicU64::new(3);
    let take = |count| {
        let more = |size| (size + count <= LEAVES).then_some(size + count);
        size.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    };
    std::thread::scope(|scope| {
        for number in 0..HOSTS {
            let (host, take) = (Host { number, plan }, &take);
            scope.spawn(move || {
                let mut rounds = 0..;
                while take(2) {
                    let round: u64 = rounds.next().unwrap();
                    host.round(log, round / 24, own_provenance.then_some(round));
                    if round % 25 == 24 && take(1) {
                        log.append_blocking(host.failure()).unwrap();
                    }
                }
            });
        }
    });
    while take(1) {
        log.append_blocking(Host { number: 0, plan }.failure()).unwrap();
    }
}

/// Appends snapshots with a payload each, [`BLOB_BYTES`] in all.
fn append_blobs(log: &Appender, plan: u64, payload: fn(&mut Random) -> Vec<u8>) {
    let (mut random, mut bytes) = (Random(1), 0);
    while bytes < BLOB_BYTES {
        let payload = payload(&mut random);
        bytes += payload.len() as u64;
        let draft = Draft::new(Host { number: 0, plan }.snapshot());
        log.append_blocking(draft.with_blob(Role::Raw, JSON, &payload).unwrap())
            .unwrap();
    }
}

/// Appends the plan and the scope; returns the plan's position.
fn begin(log: &Appender, paths: &Paths) -> u64 {
    let lists = Lists {
        sources: vec![PlannedSource {
            name: SOURCE.to_owned(),
            vendor: "host".to_owned(),
            schedules: BTreeMap::from([(COLLECTOR.to_owned(), "0 * * * *".to_owned())]),
            time_zones: BTreeMap::new(),
        }],
        maintenance: Vec::new(),
        collectors: BTreeMap::from([(
            COLLECTOR.to_owned(),
            PlannedCollector {
                version: "1".to_owned(),
                kinds: vec!["host.time".to_owned()],
                volatile: Vec::new(),
                by_provider: Vec::new(),
            },
        )]),
        rules: Rules::shipped().unwrap(),
    };
    let maker = Maker {
        by: By::Daemon,
        binary_sha256: None,
        host: "bench".to_owned(),
        os_user: "bench".to_owned(),
        configuration_sha256: "0".repeat(64),
    };
    let reader = Reader::open(paths).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = runtime
        .block_on(Plan::new(lists).unwrap().seal(log, &reader, &maker))
        .unwrap();
    let names: Vec<_> = (0..HOSTS).map(|number| Host { number, plan }.name()).collect();
    let scope = Scope {
        collector: COLLECTOR.to_owned(),
        source: SOURCE.to_owned(),
        count: HOSTS as u64,
    };
    let names = json!({ "targets": names }).to_string();
    let draft = Draft::new(Body::Scope(scope)).with_blob(Role::Scope, JSON, names.as_bytes());
    log.append_blocking(draft.unwrap()).unwrap();
    plan
}

/// One of the fleet, under a plan.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    /// Which.
    pub(crate) number: usize,
    /// The plan's position.
    pub(crate) plan: u64,
}

impl Host {
    fn name(self) -> String {
        format!("web-{:03}.example.com", self.number)
    }

    /// Appends a snapshot and then its evaluation. Equal `version`s have equal evidence, and equal `run`s equal
    /// provenance.
    pub(crate) fn round(self, log: &Appender, version: u64, run: Option<u64>) {
        let (name, no_digest) = (self.name(), "0".repeat(64));
        let run = run.map_or_else(|| "null".to_owned(), |run| run.to_string());
        let evidence = format!(
            r#"{{"resources":[{{"id":"clock","kind":"host.time","name":"{name}","as_of":null,"call":0,
            "attributes":{{"synchronised":true,"version":{version}}},"unknown":{{}}}}]}}"#
        );
        let provenance = format!(
            r#"{{"caller":{{"host":"{name}","run":{run}}},"calls":[{{"service":"chronyc","operation":"-c tracking",
            "parameters":{{}},"status":"0","started":"2026-01-01T00:00:00.000Z","duration_ms":12,"request_id":null,
            "pages":1,"items":1,"body_sha256":"{no_digest}","server_date":null}}],
            "completeness":{{"complete":true,"basis":"one clock","expected":1,"read":1}}}}"#
        );
        let snapshot = Draft::new(self.snapshot())
            .with_blob(Role::Evidence, JSON, evidence.as_bytes())
            .and_then(|draft| draft.with_blob(Role::Provenance, JSON, provenance.as_bytes()));
        let receipt = log.append_blocking(snapshot.unwrap()).unwrap();
        let findings = format!(
            r#"{{"findings":[{{"test":"host-time-synchronised","resource":"{name}","outcome":"pass","reason":""}}]}}"#
        );
        let evaluation = Draft::new(Body::Evaluation(EvaluationLeaf {
            snapshot: receipt.seq,
            plan: self.plan,
            results: json!([{ "test": "host-time-synchronised", "outcome": "pass", "pass": 1, "fail": 0,
                "unknown": 0, "not_applicable": 0, "excepted": 0 }]),
        }));
        let evaluation = evaluation.with_blob(Role::Findings, JSON, findings.as_bytes());
        log.append_blocking(evaluation.unwrap()).unwrap();
    }

    fn snapshot(self) -> Body {
        Body::Snapshot(SnapshotLeaf {
            plan: self.plan,
            collector: COLLECTOR.to_owned(),
            source: SOURCE.to_owned(),
            target: self.name(),
            tick: Some(DateTime::UNIX_EPOCH),
            trigger: Trigger::Schedule,
            started: DateTime::UNIX_EPOCH,
            finished: DateTime::UNIX_EPOCH,
            attempts: 1,
            covers: Covers::At {
                at: DateTime::UNIX_EPOCH,
            },
            complete: true,
            resources: 1,
        })
    }

    /// A failed run.
    pub(crate) fn failure(self) -> Draft {
        Draft::new(Body::Failure(FailureLeaf {
            plan: self.plan,
            collector: COLLECTOR.to_owned(),
            source: SOURCE.to_owned(),
            target: Some(self.name()),
            tick: Some(DateTime::UNIX_EPOCH),
            trigger: Trigger::Schedule,
            started: DateTime::UNIX_EPOCH,
            finished: DateTime::UNIX_EPOCH,
            attempts: 3,
            class: FailureClass::Unavailable,
            message: "the host did not answer".to_owned(),
            retryable: true,
        }))
    }
}

/// A clock that lets a million leaves take half a year.
#[derive(Default)]
pub(crate) struct Pace(AtomicI64);

impl Clock for Pace {
    fn now(&self) -> DateTime<Utc> {
        let leaves = self.0.fetch_add(1, Ordering::Relaxed);
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds(leaves * 15_552)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs() * 15_552)
    }
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 256 KiB to 1 MiB.
    fn size(&mut self) -> usize {
        (256 << 10) + usize::try_from(self.next() % (768 << 10)).unwrap()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let size = self.size();
        std::iter::repeat_with(|| self.next().to_le_bytes())
            .flatten()
            .take(size)
            .collect()
    }

    /// Users of an account, each with what differs from one to the next.
    fn resources(&mut self) -> Vec<u8> {
        let (size, mut resources, mut length) = (self.size(), Vec::new(), 0);
        while length < size {
            let (id, name) = (self.next(), self.next() % 100_000);
            let user = json!({
                "id": format!("arn:aws:iam::123456789012:user/user-{name}"), "kind": "aws.iam.user",
                "name": format!("user-{name}"), "as_of": "2026-01-01T00:00:00.000Z", "call": 1,
                "attributes": {
                    "user_id": format!("AIDA{id:016X}"), "password_enabled": id & 1 == 0,
                    "mfa_active": id & 6 != 0, "groups": ["engineering", format!("team-{}", id % 40)],
                    "access_keys": [{ "id": format!("AKIA{:016X}", self.next()), "status": "Active" }],
                    "created": format!("20{:02}-{:02}-{:02}T10:00:00Z", id % 25, id % 12 + 1, id % 28 + 1),
                },
                "unknown": {},
            });
            length += user.to_string().len();
            resources.push(user);
        }
        let resources: Value = resources.into();
        json!({ "resources": resources }).to_string().into_bytes()
    }
}

/// A clock for an ordinary log.
pub(crate) fn paced() -> SharedClock {
    Arc::new(Pace::default())
}
