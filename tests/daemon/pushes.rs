//! Pushes to a repository, each at its own time: a collector of events, and the truth of its half-year.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced::log::store::Reader;
use evidenced::period::ledger::Counts;
use evidenced::period::window::Window;
use evidenced::registry::Job;
use evidenced::schedule::Schedule;
use evidenced::summary::Summary;
use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, DEADLINE, FailureClass, Provenance, Resource, Run,
    Snapshot, Target,
};

use crate::world::{Act, Further};

type Time = DateTime<Utc>;

const COLLECTOR: &str = "fake.pushes";
const TEST: &str = "pushes-reviewed";

const RULES: &str = r#"
[[test]]
id = "pushes-reviewed"
title = "Every push was reviewed"
doc = "Checked: it says so."
resource = "fake.push"
passes = "resource.reviewed"
severity = "high"
max_age = "26h"
example = [{ given = { reviewed = true }, outcome = "pass" }, { given = { reviewed = false }, outcome = "fail" }]

[[control]]
id = "reviewed-changes"
statement = "Changes are reviewed."
owner = "platform"
criteria = ["CC8.1"]
tests = ["pushes-reviewed"]
"#;

/// A repository that is asked every morning what was pushed to it since.
pub(crate) fn further() -> Further {
    Further {
        job: || Job {
            source: "code".to_owned(),
            collector: Box::new(Pushes),
            schedule: Schedule::parse(SCHEDULE, chrono_tz::UTC).unwrap(),
            deadline: DEADLINE,
        },
        schedule: SCHEDULE,
        rules: RULES,
    }
}

const SCHEDULE: &str = "30 6 * * *";

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// Everything that was ever pushed, and whether somebody reviewed it: one each seven hours, and some at the edges of the period.
fn pushes() -> impl Iterator<Item = (Time, bool)> {
    let first = time("2026-01-01T00:20:00Z");
    let each = (0..700_i64).map(move |number| (first + TimeDelta::hours(7 * number), number * 37 % 11 != 0));
    let edges = [
        "2026-01-04T22:59:59Z",
        "2026-01-04T23:00:00Z",
        "2026-06-30T21:59:59Z",
        "2026-06-30T22:00:00Z",
    ];
    each.chain(edges.map(|at| (time(at), false)))
}

/// Whether the repository answers.
fn answers(at: Time) -> bool {
    !matches!(super::period::act("code", "repo", at), Act::Down | Act::Part)
}

struct Pushes;

#[async_trait]
impl Collector for Pushes {
    fn id(&self) -> &'static str {
        COLLECTOR
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["fake.push"]
    }

    async fn targets(&self, _run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        Ok(vec![Target::new("repo")?])
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        if !answers(run.started) {
            return Err(CollectError::new(FailureClass::Unavailable, "no route"));
        }
        let earlier = run.earlier.complete_snapshot(target)?;
        let from = earlier.map_or(time("2026-01-01T00:00:00Z"), |earlier| earlier.covers.until());
        let within = pushes().filter(|(at, _)| from < *at && *at <= run.started);
        let resources: Vec<Resource> = within
            .map(|(at, reviewed)| {
                let mut push =
                    Resource::new("fake.push", at.to_rfc3339(), "a push", 0).with("reviewed", reviewed);
                push.as_of = Some(at);
                push
            })
            .collect();
        Ok(Snapshot {
            covers: Covers::Interval {
                from,
                to: run.started,
            },
            raw: Vec::new(),
            provenance: Provenance {
                caller: BTreeMap::new(),
                calls: vec![run.call("fake", "ListPushes").finish("200", None)],
                limits: Vec::new(),
                completeness: Completeness {
                    complete: true,
                    basis: "the fake says so".to_owned(),
                    expected: None,
                    read: resources.len() as u64,
                    second_source: None,
                },
            },
            resources,
        })
    }

    async fn check(&self, _run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        Vec::new()
    }
}

/// The intervals that were collected; read as JSON, by nothing of ours.
fn intervals(reader: &Reader) -> Vec<(Time, Time)> {
    let leaves = (0..reader.size().unwrap()).map(|seq| reader.leaf_bytes(seq).unwrap().unwrap());
    let leaves = leaves.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    leaves
        .filter(|leaf| leaf["kind"] == "snapshot" && leaf["collector"] == COLLECTOR)
        .map(|leaf| ["from", "to"].map(|edge| time(leaf["covers"][edge].as_str().unwrap())))
        .map(|[from, to]| (from, to))
        .collect()
}

/// What the period shows of the pushes is what was pushed.
pub(crate) fn are_told(shown: &Summary, reader: &Reader, period: &Window, (down, up): (Time, Time)) {
    let mut owed = Counts::default();
    for day in 0..200 {
        let tick = time("2026-01-01T06:30:00Z") + TimeDelta::days(day);
        if period.holds(tick) {
            owed.owed += 1;
            *match answers(tick) {
                _ if down < tick && tick < up => &mut owed.missed,
                true => &mut owed.collected,
                false => &mut owed.failed,
            } += 1;
        }
    }
    let row = shown
        .evidence
        .iter()
        .find(|row| row.collector == COLLECTOR)
        .unwrap();
    assert_eq!((row.source.as_str(), row.ticks), ("code", owed));
    assert!(owed.missed > 0 && owed.failed > 3, "{owed:?}");

    let test = shown.tests.iter().find(|test| test.test == TEST).unwrap();
    let tally = &test.sources[0].targets[0].tally;
    // An interval follows on the one before, whatever happened between: there is no hole.
    let intervals = intervals(reader);
    assert!(intervals.windows(2).all(|pair| pair[0].1 == pair[1].0));
    let whole = (period.to - period.from).num_seconds();
    assert_eq!((tally.covered_seconds, tally.of_seconds), (whole, whole));
    let (mut taken, mut failed, mut none) = (0, 0, 0);
    for (from, to) in intervals
        .iter()
        .filter(|(from, to)| *to >= period.from && *from < period.to)
    {
        let own: Vec<bool> = pushes()
            .filter(|(at, _)| from < at && at <= to)
            .map(|(_, reviewed)| reviewed)
            .collect();
        taken += 1;
        failed += u64::from(own.contains(&false));
        none += u64::from(own.is_empty());
    }
    let of = &tally.observations;
    assert_eq!((of.taken, of.failed, of.not_applicable), (taken, failed, none));
    assert_eq!(of.passed, taken - failed - none);

    // Each unreviewed push of the period is told once, by its own time; those a second outside of it are not.
    let direct: BTreeSet<String> = pushes()
        .filter(|(at, reviewed)| !reviewed && period.holds(*at))
        .map(|(at, _)| at.to_rfc3339())
        .collect();
    let told: Vec<_> = shown
        .deviations
        .iter()
        .filter(|failed| failed.test == TEST)
        .collect();
    assert_eq!(told.len(), direct.len());
    assert!(
        told.iter()
            .all(|failed| failed.state == "event" && !failed.open_at_end)
    );
    let told: BTreeSet<String> = told.iter().map(|failed| failed.resource.clone()).collect();
    assert_eq!(told, direct);
    assert!(direct.len() > 40, "{}", direct.len());
}
