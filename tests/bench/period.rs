//! How long `period` takes to tell of a year: 20 sources hourly, 175,200 snapshots and as many evaluations, and how that grows
//! with the number of sources. `SCALES=1,4,16` says how many times as many; without it, 1 and 4.
//!
//! The stores are kept below `target` until [`VERSION`] changes.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark takes the time, should fail if it cannot set up, and tells who waits"
)]

use chrono::{DateTime, TimeDelta, Utc};
use evidenced::clock::Clock;
use evidenced::control::{Outcome, Rules, TestResult};
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, By, EvaluationLeaf, Role, Scope, SnapshotLeaf, Trigger};
use evidenced::log::start;
use evidenced::log::store::{Paths, Reader};
use evidenced::period::window::Window;
use evidenced::plan::{Lists, Maker, Plan, PlannedCollector, PlannedSource};
use evidenced::summary;
use evidenced_collector_api::Covers;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;

use figure::Figures;

/// Changed whenever the stores would come out differently.
const VERSION: u32 = 1;
const SOURCES: usize = 20;
const HOURS: i64 = 365 * 24;
const JSON: &str = "application/json";
const COLLECTOR: &str = "host.baseline";
const RUNS: usize = 5;

fn main() -> ExitCode {
    let scales = std::env::var("SCALES").unwrap_or_else(|_| "1,4".to_owned());
    let mut figures = Figures::default();
    let mut one = None;
    for scale in scales.split(',').map(|scale| scale.parse::<usize>().unwrap()) {
        let reader = Reader::open(&store(SOURCES * scale)).unwrap();
        let leaves = reader.size().unwrap();
        let mut times: Vec<f64> = (0..RUNS).map(|_| read(&reader, SOURCES * scale)).collect();
        times.sort_by(f64::total_cmp);
        let (seconds, what) = (times[RUNS / 2], format!("period, a year, {leaves} leaves"));
        if scale == 1 {
            figures.below(&what, seconds * 1e3, 1000.0, "ms");
        } else {
            figures.note(&what, &format!("{:.1} ms", seconds * 1e3));
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = seconds / leaves as f64 * 1e6;
        let first = *one.get_or_insert(each);
        figures.note("  a leaf", &format!("{each:.2} us, {:.2} times", each / first));
    }
    figures.exit()
}

fn read(reader: &Reader, sources: usize) -> f64 {
    let window = Window {
        name: None,
        from: begin(),
        to: begin() + TimeDelta::hours(HOURS),
        zone: chrono_tz::UTC,
        criteria: Vec::new(),
        sources: Vec::new(),
    };
    let begun = Instant::now();
    let summary = summary::read(&start::hold(reader).unwrap(), window).unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(summary.evidence.len(), sources);
    assert!(summary.tests.iter().all(|test| test.sources.len() == sources));
    took
}

fn begin() -> DateTime<Utc> {
    "2025-01-01T00:00:00Z".parse().unwrap()
}

fn store(sources: usize) -> Paths {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-year-{sources}-{VERSION}"));
    let (paths, done) = (Paths::new(folder.join("store")), folder.join("complete"));
    if !done.exists() {
        drop(std::fs::remove_dir_all(&folder));
        eprintln!("building a year of {sources} sources, which is kept for later runs …");
        build(&paths, sources);
        std::fs::write(done, b"").unwrap();
    }
    paths
}

/// A clock by which the leaves are spread over the year.
struct Pace {
    leaves: AtomicI64,
    all: i64,
}

impl Clock for Pace {
    fn now(&self) -> DateTime<Utc> {
        let leaf = self.leaves.fetch_add(1, Ordering::Relaxed);
        begin() + TimeDelta::milliseconds(leaf * HOURS * 3_600_000 / self.all)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.leaves.load(Ordering::Relaxed).unsigned_abs())
    }
}

fn source(number: usize) -> String {
    format!("fleet-{number}")
}

fn plan(sources: usize) -> Plan {
    let source = |number| PlannedSource {
        name: source(number),
        vendor: "host".to_owned(),
        schedules: BTreeMap::from([(COLLECTOR.to_owned(), "0 * * * *".to_owned())]),
        time_zones: BTreeMap::new(),
    };
    let rules = Rules::shipped().unwrap();
    let kinds = rules.tests.iter().map(|test| test.resource.clone());
    let kinds = kinds.filter(|kind| kind.starts_with("host."));
    let collector = PlannedCollector {
        version: "1".to_owned(),
        kinds: kinds.collect(),
        volatile: Vec::new(),
        by_provider: Vec::new(),
    };
    let rules = Rules {
        tests: rules
            .tests
            .into_iter()
            .filter(|test| test.resource.starts_with("host."))
            .collect(),
        ..rules
    };
    let lists = Lists {
        sources: (0..sources).map(source).collect(),
        maintenance: Vec::new(),
        collectors: BTreeMap::from([(COLLECTOR.to_owned(), collector)]),
        rules,
    };
    Plan::new(lists).unwrap()
}

fn build(paths: &Paths, sources: usize) {
    let all = i64::try_from(sources).unwrap() * HOURS * 2;
    let clock = Arc::new(Pace {
        leaves: AtomicI64::new(0),
        all,
    });
    let log = Appender::open(paths, "bench", clock).unwrap();
    let plan = plan(sources);
    let maker = Maker {
        by: By::Daemon,
        binary_sha256: None,
        host: "bench".to_owned(),
        os_user: "bench".to_owned(),
        configuration_sha256: "0".repeat(64),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let effective = begin() - TimeDelta::hours(1);
    let seq = runtime
        .block_on(plan.seal_for_daemon(&log, &maker, effective))
        .unwrap();
    let mut results = plan.unobserved(COLLECTOR);
    for result in &mut results {
        (result.outcome, result.pass) = (Outcome::Pass, 1);
    }
    // A few write for all, so that batches are large and sources stay in step.
    std::thread::scope(|scope| {
        let writers = 20.min(sources);
        for writer in 0..writers {
            let (log, results) = (&log, &results);
            scope.spawn(move || {
                let own: Vec<String> = (writer..sources).step_by(writers).map(source).collect();
                for name in &own {
                    append_scope(log, name);
                }
                for hour in 0..HOURS {
                    for name in &own {
                        append(log, seq, name, hour, results);
                    }
                }
            });
        }
    });
}

fn append_scope(log: &Appender, source: &str) {
    let scope = Scope {
        collector: COLLECTOR.to_owned(),
        source: source.to_owned(),
        count: 1,
    };
    let names = br#"{"targets":["t"]}"#;
    let draft = Draft::new(Body::Scope(scope)).with_blob(Role::Scope, JSON, names);
    log.append_blocking(draft.unwrap()).unwrap();
}

fn append(log: &Appender, plan: u64, source: &str, hour: i64, results: &[TestResult]) {
    let at = begin() + TimeDelta::hours(hour);
    let snapshot = Body::Snapshot(SnapshotLeaf {
        plan,
        collector: COLLECTOR.to_owned(),
        source: source.to_owned(),
        target: "t".to_owned(),
        tick: Some(at),
        trigger: Trigger::Schedule,
        started: at,
        finished: at,
        attempts: 1,
        covers: Covers::At { at },
        complete: true,
        resources: 1,
    });
    let day = hour / 24;
    let evidence = format!(r#"{{"resources":[{{"id":"x","day":{day},"source":"{source}"}}]}}"#);
    let provenance = format!(r#"{{"source":"{source}","hour":{hour}}}"#);
    let draft = Draft::new(snapshot).with_blob(Role::Evidence, JSON, evidence.as_bytes());
    let draft = draft.and_then(|draft| draft.with_blob(Role::Provenance, JSON, provenance.as_bytes()));
    let snapshot = log.append_blocking(draft.unwrap()).unwrap().seq;
    let mut findings = Vec::new();
    for result in results {
        let test = &result.test;
        findings.push(format!(
            r#"{{"test":"{test}","resource":"{source}","outcome":"pass","reason":""}}"#
        ));
    }
    let findings = format!(r#"{{"findings":[{}]}}"#, findings.join(","));
    let evaluation = Body::Evaluation(EvaluationLeaf {
        snapshot,
        plan,
        results: serde_json::to_value(results).unwrap(),
    });
    let draft = Draft::new(evaluation).with_blob(Role::Findings, JSON, findings.as_bytes());
    log.append_blocking(draft.unwrap()).unwrap();
}
