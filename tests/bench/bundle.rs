//! The bundle of a year in which 20 collectors looked every hour: how fast it is written, beside `zip -0` with `sha256sum` on the same
//! files, with how much memory, and how fast it is verified and performed again.
//!
//! Each snapshot holds a hundred resources, which change once a day, judged by two tests, of which one looks at the time; each has a
//! provenance of its own.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]
#![expect(
    clippy::print_stderr,
    reason = "building takes long, and whoever waits is told"
)]

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use evidenced::clock::Clock;
use evidenced::control::Rules;
use evidenced::exception::Exceptions;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, By, EvaluationLeaf, Role, SnapshotLeaf, Trigger};
use evidenced::log::store::{Paths, Reader};
use evidenced::plan::{Lists, Maker, Plan, PlannedCollector};
use evidenced::round;
use evidenced_collector_api::{Covers, Resource};

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;

use figure::{Figures, time, watch};

const HOURS: i64 = 365 * 24;
const TARGETS: usize = 20;
const RESOURCES: usize = 100;
const COLLECTOR: &str = "fake.things";
const JSON: &str = "application/json";
const PROGRAM: &str = env!("CARGO_BIN_EXE_evidenced");

const RULES: &str = r#"
[[test]]
id = "safe"
title = "Safe"
doc = "It says so."
resource = "fake.thing"
passes = "resource.safe"
severity = "high"
max_age = "26h"
example = [{ given = { safe = true }, outcome = "pass" }, { given = { safe = false }, outcome = "fail" }]

[[test]]
id = "young"
title = "Young"
doc = "Its age."
resource = "fake.thing"
passes = "now - timestamp(resource.since) < duration('8000h')"
severity = "low"
max_age = "26h"
example = [
    { given = { since = "2026-01-01T00:00:00Z" }, outcome = "pass" },
    { given = { since = "2020-01-01T00:00:00Z" }, outcome = "fail" },
]
"#;

/// As many leaves an hour as the targets make.
struct Pace(AtomicI64);

impl Clock for Pace {
    fn now(&self) -> DateTime<Utc> {
        let leaves = i64::try_from(2 * TARGETS).unwrap();
        begin() + TimeDelta::milliseconds(self.0.fetch_add(1, Ordering::Relaxed) * 3_600_000 / leaves)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn begin() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn main() -> ExitCode {
    let hours = std::env::var("BENCH_HOURS").map_or(HOURS, |hours| hours.parse().unwrap());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-bundle-{hours}-1"));
    if !folder.join("complete").exists() {
        eprintln!("building a store of {hours} hours, which is kept for later runs …");
        drop(std::fs::remove_dir_all(&folder));
        build(&folder, hours);
        std::fs::write(folder.join("complete"), b"").unwrap();
    }
    let mut figures = Figures::default();
    let store = folder.join("store");
    let to = (begin() + TimeDelta::hours(hours)).to_rfc3339();
    let export = |output: &str| {
        let mut command = Command::new(PROGRAM);
        let arguments = [
            "export",
            "--force",
            "--from",
            "2026-01-01",
            "--to",
            &to,
            "-o",
            output,
            "--store",
        ];
        command
            .args(arguments)
            .arg(&store)
            .current_dir(&folder)
            .stdout(Stdio::null());
        let watched = watch(&mut command);
        assert!(watched.status.success());
        watched
    };
    export("unpacked/");
    let written = export("bundle.zip");
    let bytes = megabytes(&folder.join("bundle.zip"));
    let (zipped, ()) = time(|| by_hand(&folder));
    let (ours, theirs) = (bytes / written.time.as_secs_f64(), bytes / zipped.as_secs_f64());
    figures.note("bundle", &format!("{bytes:.0} MB"));
    let required = (ours < 100.0).then_some(0.5);
    let by_hand = format!("{theirs:.0} MB/s by hand");
    figures.ratio(
        "export",
        &format!("{ours:.0} MB/s"),
        &by_hand,
        ours / theirs,
        required,
    );
    figures.below("export, memory", written.megabytes, 150.0, "MB");
    let verified = watch(
        Command::new(PROGRAM)
            .args(["verify", "bundle.zip"])
            .current_dir(&folder)
            .stdout(Stdio::null()),
    );
    assert!(verified.status.success());
    let speed = bytes / verified.time.as_secs_f64();
    figures.note(
        "verify",
        &format!("{speed:.0} MB/s, {:.0} MB", verified.megabytes),
    );
    let (took, output) = time(|| {
        let arguments = ["reperform", "bundle.zip", "--format", "json"];
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap()
    });
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["same"], true, "{told}");
    let findings = told["findings"].as_f64().unwrap();
    let speed = findings / (took.saturating_sub(verified.time)).as_secs_f64();
    figures.ratio(
        "reperform, findings/s",
        &format!("{speed:.0}"),
        "100000",
        speed / 1e5,
        Some(1.0),
    );
    figures.exit()
}

/// The same files, packed and summed up by the usual tools.
fn by_hand(folder: &Path) {
    drop(std::fs::remove_file(folder.join("by-hand.zip")));
    let script =
        "zip -0 -q -r ../by-hand.zip . && find . -type f -print0 | xargs -0 sha256sum > ../by-hand.sums";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.join("unpacked"))
        .status();
    assert!(status.unwrap().success(), "zip and sha256sum are needed");
}

#[expect(clippy::cast_precision_loss, reason = "it is shown, rounded")]
fn megabytes(file: &Path) -> f64 {
    std::fs::metadata(file).unwrap().len() as f64 / 1e6
}

fn build(folder: &Path, hours: i64) {
    let paths = Paths::new(folder.join("store"));
    let log = Appender::open(&paths, "bench", Arc::new(Pace(AtomicI64::new(0)))).unwrap();
    let planned = PlannedCollector {
        version: "1".to_owned(),
        kinds: vec!["fake.thing".to_owned()],
        volatile: Vec::new(),
        by_provider: Vec::new(),
    };
    let lists = Lists {
        sources: Vec::new(),
        collectors: BTreeMap::from([(COLLECTOR.to_owned(), planned)]),
        maintenance: Vec::new(),
        rules: Rules::default().with(RULES).unwrap(),
    };
    let maker = Maker {
        by: By::Daemon,
        binary_sha256: None,
        host: "bench".to_owned(),
        os_user: "bench".to_owned(),
        configuration_sha256: "0".repeat(64),
    };
    let plan = Plan::new(lists).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reader = Reader::open(&paths).unwrap();
    let seq = runtime.block_on(plan.seal(&log, &reader, &maker)).unwrap();
    std::thread::scope(|scope| {
        for target in 0..TARGETS {
            let (log, plan) = (&log, &plan);
            scope.spawn(move || (0..hours).for_each(|hour| look(log, (seq, plan), target, hour)));
        }
    });
}

fn look(log: &Appender, (seq, plan): (u64, &Plan), target: usize, hour: i64) {
    let thing = |number: usize| {
        Resource::new(
            "fake.thing",
            format!("arn:fake:{target}:{number:04}"),
            format!("thing {number}"),
            0,
        )
        .with("safe", !number.is_multiple_of(50))
        .with("since", "2025-12-01T00:00:00Z")
        .with("version", hour / 24)
        .with("team", format!("team-{}", number % 7))
    };
    let resources: Vec<_> = (0..RESOURCES).map(thing).collect();
    let at = begin() + TimeDelta::hours(hour);
    let sealed = SnapshotLeaf {
        plan: seq,
        collector: COLLECTOR.to_owned(),
        source: "bench".to_owned(),
        target: format!("account-{target}"),
        tick: Some(at),
        trigger: Trigger::Schedule,
        started: at,
        finished: at,
        attempts: 1,
        covers: Covers::At { at },
        complete: true,
        resources: RESOURCES as u64,
    };
    let evidence = serde_json::to_vec(&serde_json::json!({ "resources": resources })).unwrap();
    let provenance = format!(
        r#"{{"caller":{{"arn":"arn:fake:caller"}},"calls":[{{"service":"fake","operation":"ListThings","parameters":{{}},"started":"{}",
        "duration_ms":12,"status":"200","request_id":"{target}-{hour}","pages":1,"items":{RESOURCES}}}],"completeness":{{}}}}"#,
        at.to_rfc3339()
    );
    let draft = Draft::new(Body::Snapshot(sealed.clone()))
        .with_blob(Role::Evidence, JSON, &evidence)
        .and_then(|draft| draft.with_blob(Role::Provenance, JSON, provenance.as_bytes()));
    let snapshot = log.append_blocking(draft.unwrap()).unwrap().seq;
    let evaluation = round::judged(plan, &Exceptions::default(), snapshot, &sealed, &resources);
    let body = EvaluationLeaf {
        snapshot,
        plan: seq,
        results: serde_json::to_value(&evaluation.results).unwrap(),
    };
    let findings = round::findings_payload(&evaluation).unwrap();
    let draft = Draft::new(Body::Evaluation(body)).with_blob(Role::Findings, JSON, &findings);
    log.append_blocking(draft.unwrap()).unwrap();
}
