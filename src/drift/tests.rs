//! Series of snapshots in shorthand, and what the newest of each drifts in.

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use std::convert::Infallible;

use evidenced_collector_api::{Covers, Resource};

use super::*;
use crate::control::Rules;
use crate::plan::{Lists, PlannedCollector};
use std::sync::Arc;

mod causes;
mod many;
mod noise;

const RULES: &str = r#"
[[test]]
id = "safe"
title = "Every thing is safe"
doc = "Checked: it says so."
resource = "fake.thing"
passes = "resource.safe == true || parameters.lenient"
parameters = { lenient = false }
severity = "high"
example = [
    { given = { safe = true }, parameters = { lenient = false }, outcome = "pass" },
    { given = { safe = false }, parameters = { lenient = false }, outcome = "fail" },
]
"#;

fn sealed(rules: &str) -> SealedPlan {
    let pairs = |names: &[&str]| {
        let names = names.iter();
        names
            .map(|name| ("fake.thing".to_owned(), (*name).to_owned()))
            .collect()
    };
    let collector = PlannedCollector {
        version: "1".to_owned(),
        kinds: vec!["fake.thing".to_owned()],
        volatile: pairs(&["counter"]),
        by_provider: pairs(&["safe", "given"]),
    };
    let lists = Lists {
        sources: Vec::new(),
        collectors: BTreeMap::from([("fake.things".to_owned(), collector)]),
        maintenance: Vec::new(),
        rules: Rules::default().with(rules).unwrap(),
    };
    SealedPlan::new("1.0".to_owned(), lists)
}

/// A snapshot, judged by its plan.
fn snapshot(seq: u64, resources: Vec<Resource>, complete: bool, plan: &Arc<SealedPlan>) -> Snapshot {
    let time = DateTime::UNIX_EPOCH + TimeDelta::hours(seq.try_into().unwrap());
    let mut snapshot = Snapshot {
        moment: Moment { seq, time },
        collector: "fake.things".to_owned(),
        source: "src".to_owned(),
        target: "a".to_owned(),
        covers: Covers::At { at: time },
        complete,
        resources: Arc::new(Resources::new(resources)),
        findings: None,
        plan: Arc::clone(plan),
        rules: Arc::clone(plan),
    };
    let resources: Vec<_> = snapshot.resources.iter().cloned().collect();
    snapshot.findings = Some(Arc::new(plan.judge(&snapshot, &resources)));
    snapshot
}

/// A thing: `x:1` is safe, `x:0` is not, of `x:?` nobody knows; `x:1/5` has the size 5, `x:1/?` an unknown one.
fn thing(text: &str) -> Resource {
    let (id, rest) = text.split_once(':').unwrap();
    let (safe, size) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
    let unknown = || Err::<serde_json::Value, _>("not allowed".to_owned());
    let resource = Resource::new("fake.thing", id, id, 0);
    let resource = match safe {
        "?" => resource.with_result("safe", unknown()),
        "-" => resource,
        "null" => resource.with("safe", json!(null)),
        safe => resource.with("safe", safe == "1"),
    };
    match size {
        None => resource,
        Some("?") => resource.with_result("size", unknown()),
        Some(size) => resource.with("size", size.parse::<u64>().unwrap()),
    }
}

/// Things; with `...` the snapshot is incomplete, with `!` nothing has judged it.
fn read(seq: u64, text: &str, plan: &Arc<SealedPlan>) -> Snapshot {
    let words: Vec<&str> = text.split_whitespace().collect();
    let things = words.iter().filter(|word| word.contains(':')).copied().map(thing);
    let mut snapshot = snapshot(seq, things.collect(), !words.contains(&"..."), plan);
    if words.contains(&"!") {
        snapshot.findings = None;
    }
    snapshot
}

fn series(texts: &[&str]) -> Vec<Snapshot> {
    let plan = Arc::new(sealed(RULES));
    (0..)
        .zip(texts)
        .map(|(seq, text)| read(seq, text, &plan))
        .collect()
}

/// What the newest drifts in, and how many earlier ones were looked at.
fn newest(series: &[Snapshot]) -> (Vec<Drift>, usize) {
    let (later, earlier) = series.split_last().unwrap();
    let mut looked_at = 0;
    let earlier = earlier.iter().rev().map(|snapshot| {
        looked_at += 1;
        Ok::<_, Infallible>(Arc::new(snapshot.clone()))
    });
    let drifts = drifts(later, earlier).unwrap();
    (drifts, looked_at)
}

fn show(drift: &Drift) -> String {
    let id = drift.resource.as_ref().map_or("", |resource| &resource.id);
    let side = |side: &Side| match side {
        Side::Known(value) => value.to_string(),
        Side::Unknown(_) => "?".to_owned(),
        Side::Absent => "-".to_owned(),
    };
    let outcome = |outcome: &Option<Outcome>| outcome.map_or("-", Outcome::as_str);
    let what = match &drift.change {
        Change::Finding {
            test, before, after, ..
        } => format!("{id} {test} {}>{}", outcome(before), outcome(after)),
        Change::Setting {
            attribute,
            before,
            after,
            ..
        } => format!("{id}.{attribute} {}>{}", side(before), side(after)),
        Change::Appeared { .. } => format!("+{id}"),
        Change::Vanished { .. } => format!("-{id}"),
        Change::TargetCame => format!("+target {}", drift.target),
        Change::TargetLeft => format!("-target {}", drift.target),
    };
    let cause = match drift.cause {
        Cause::Source => String::new(),
        cause => format!(", {}", cause.words()),
    };
    format!("{what} ({}-{}){cause}", drift.from.seq, drift.to.seq)
}

fn shown(series: &[Snapshot]) -> Vec<String> {
    newest(series).0.iter().map(show).collect()
}

#[test]
fn a_state_is_compared_with_the_last_known_one() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["x:1"], &[]),
        (&["x:1", "x:1"], &[]),
        // A finding that changed, with the setting that did it.
        (
            &["x:1", "x:0"],
            &["x.safe true>false (0-1)", "x safe pass>fail (0-1)"],
        ),
        // A setting though no test fails.
        (&["x:1/1", "x:1/2"], &["x.size 1>2 (0-1)"]),
        (&["x:1", "x:1/2"], &["x.size ->2 (0-1)"]),
        // What is not known hides nothing and fakes nothing.
        (
            &["x:1", "x:?"],
            &["x.safe true>? (0-1)", "x safe pass>unknown (0-1)"],
        ),
        (&["x:1", "x:?", "x:?"], &[]),
        (&["x:1", "x:?", "x:1"], &[]),
        (
            &["x:1", "x:?", "x:?", "x:0"],
            &["x.safe true>false (0-3)", "x safe pass>fail (0-3)"],
        ),
        (&["x:1/1", "x:1/?", "x:1/2"], &["x.size 1>2 (0-2)"]),
        (&["x:1/1", "x:1/?", "x:1"], &["x.size 1>- (0-2)"]),
        (&["x:?", "x:0"], &[]),
        (&["", "x:?", "x:0"], &[]),
        // Neither does a snapshot that is not all.
        (&["x:1", "..."], &[]),
        (&["x:1", "...", "x:1"], &[]),
        (
            &["x:1", "...", "...", "x:0"],
            &["x.safe true>false (0-3)", "x safe pass>fail (0-3)"],
        ),
        (
            &["x:1", "...", "x:?"],
            &["x.safe true>? (0-2)", "x safe pass>unknown (0-2)"],
        ),
        (&["x:1", "x:?", "...", "x:?"], &[]),
        (&["x:1", "x:?", "...", "x:1"], &[]),
        (
            &["x:1", "x:? ...", "...", "x:0"],
            &["x.safe true>false (0-3)", "x safe pass>fail (0-3)"],
        ),
        // Nor one that nothing has judged: its settings count all the same.
        (&["x:1", "x:0 !"], &["x.safe true>false (0-1)"]),
        (&["x:1", "x:0 !", "x:0"], &["x safe pass>fail (0-2)"]),
        (&["x:1", "x:0 !", "x:1"], &["x.safe false>true (1-2)"]),
        (&["x:1", "x:? !", "x:?"], &["x safe pass>unknown (0-2)"]),
    ];
    for (texts, expected) in cases {
        assert_eq!(shown(&series(texts)), *expected, "{texts:?}");
    }
}

#[test]
fn only_a_complete_snapshot_tells_what_is_not_there() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["x:1", "x:1 y:0"], &["+y (0-1)"]),
        (&["x:1 y:0", "x:1"], &["-y (0-1)"]),
        (&["x:1", "", ""], &[]),
        (&["x:1", "", "x:0"], &["+x (1-2)"]),
        (&["x:1", "...", ""], &["-x (0-2)"]),
        (&["x:1", "x:? ...", "..."], &[]),
        (&["x:1", "x:? ...", ""], &["-x (1-2)"]),
        (&["x:1", "x:1 y:1 ...", "..."], &[]),
        (&["x:1", "y:1 ...", "...", ""], &["-x (0-3)", "-y (1-3)"]),
        (&["y:1", "y:1 ...", "y:1 x:0"], &["+x (0-2)"]),
        (&["y:1", "y:1 ...", "y:1 x:0 ..."], &["+x (0-2)"]),
        // Where no complete one came before, nobody can say.
        (&["...", "x:0"], &[]),
        (&["y:1 ...", "x:0 y:1 ..."], &[]),
        (&["x:1 ...", "..."], &[]),
        (&["x:1 ...", ""], &["-x (0-1)"]),
    ];
    for (texts, expected) in cases {
        assert_eq!(shown(&series(texts)), *expected, "{texts:?}");
    }
}

#[test]
fn no_more_is_looked_at_than_settles_it() {
    let cases: &[(&[&str], usize)] = &[
        (&["x:1", "x:1", "x:1"], 1),
        (&["x:1", "x:1", "x:0"], 1),
        // What stays unknown costs nothing.
        (&["x:1", "x:1", "x:?", "x:?"], 1),
        (&["x:1", "x:1", "x:? ...", "x:? ..."], 1),
        (&["x:1", "x:1 ...", "x:1 ..."], 1),
        (&["x:1", "x:1", "x:?", "x:0"], 2),
        (&["x:1", "x:1", "x:?", "x:?", "x:0"], 3),
        (&["x:1", "", "...", "x:1"], 2),
        (&["x:1", "x:1", "...", "x:1"], 2),
        (&["", "x:?", "x:?", "x:1"], 3),
        (&["x:1", "x:1", "... x:1", "x:1"], 2),
        // Nothing was seen, and nobody can say that nothing is there.
        (&["x:1", "..."], 0),
    ];
    for (texts, expected) in cases {
        assert_eq!(newest(&series(texts)).1, *expected, "{texts:?}");
    }
}

#[test]
fn what_is_stored_once_and_judged_the_same_is_not_compared() {
    let mut same = series(&["x:1", "x:0"]);
    same[1].resources = Arc::clone(&same[0].resources);
    same[1].findings = same[0].findings.clone();
    assert_eq!(newest(&same), (Vec::new(), 1));
    same[0].complete = false;
    let earlier = series(&["x:1 y:1"]).remove(0);
    same.insert(0, earlier);
    assert_eq!(shown(&same), ["-y (0-1)"], "what it may lack is looked for");
}

#[test]
fn what_changes_by_itself_is_no_drift_and_a_name_is_a_setting() {
    let plan = Arc::new(sealed(RULES));
    let named = |name: &str, counter: u64| {
        let mut thing = thing("x:1").with("counter", counter);
        name.clone_into(&mut thing.name);
        thing
    };
    let at = |seq, name, counter| snapshot(seq, vec![named(name, counter)], true, &plan);
    assert_eq!(shown(&[at(0, "x", 1), at(1, "x", 2)]), Vec::<String>::new());
    assert_eq!(
        shown(&[at(0, "x", 1), at(1, "y", 2)]),
        ["x.name \"x\">\"y\" (0-1)"]
    );
}

#[test]
fn of_events_only_findings_are_compared_and_only_where_the_snapshot_before_had_them() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["x:1/1", "y:0"], &[]),
        (&["x:1/1", "x:1/2"], &[]),
        (&["x:1", "x:0"], &["x safe pass>fail (0-1)"]),
        (&["x:1", "x:?", "x:0"], &["x safe pass>fail (0-2)"]),
        (&["x:1", "", "x:0"], &[]),
        (&["x:1", "...", "x:0"], &[]),
    ];
    for (texts, expected) in cases {
        let mut series = series(texts);
        for snapshot in &mut series {
            let to = snapshot.moment.time;
            snapshot.covers = Covers::Interval {
                from: to - TimeDelta::hours(1),
                to,
            };
        }
        assert_eq!(shown(&series), *expected, "{texts:?}");
    }
}

#[test]
fn what_appears_or_vanishes_comes_with_its_findings() {
    let (drifts, _) = newest(&series(&["x:0", "y:?"]));
    let changes: Vec<_> = drifts
        .iter()
        .map(|drift| serde_json::to_value(&drift.change).unwrap())
        .collect();
    assert_eq!(
        changes,
        [
            json!({ "what": "vanished", "findings": { "safe": "fail" } }),
            json!({ "what": "appeared", "findings": { "safe": "unknown" } }),
        ]
    );
    assert!(drifts.iter().all(|drift| drift.is_of_test("safe")));
    assert_eq!(by_resource(&drifts)["y"], [&drifts[1]]);
}

#[test]
fn as_json_a_drift_names_both_snapshots_and_the_places_inside() {
    let plan = Arc::new(sealed(RULES));
    let at = |seq, size| {
        snapshot(
            seq,
            vec![thing("x:1").with("list", json!([1, size]))],
            true,
            &plan,
        )
    };
    let (drifts, _) = newest(&[at(0, 2), at(1, 3)]);
    assert_eq!(
        serde_json::to_value(&drifts).unwrap(),
        json!([{
            "collector": "fake.things",
            "source": "src",
            "target": "a",
            "from": { "seq": 0, "time": "1970-01-01T00:00:00.000Z" },
            "to": { "seq": 1, "time": "1970-01-01T01:00:00.000Z" },
            "resource": { "kind": "fake.thing", "id": "x", "name": "x" },
            "change": {
                "what": "setting",
                "attribute": "list",
                "before": { "known": [1, 2] },
                "after": { "known": [1, 3] },
                "paths": [{ "path": "/1", "before": 2, "after": 3 }],
            },
            "cause": "source",
        }])
    );
}

#[test]
fn targets_come_into_the_scope_and_leave_it() {
    let scope = |seq, targets: &[&str]| Targets {
        moment: Moment {
            seq,
            time: DateTime::UNIX_EPOCH,
        },
        collector: "fake.things".to_owned(),
        source: "src".to_owned(),
        targets: targets.iter().map(ToString::to_string).collect(),
    };
    let drifts = scope_drifts(&scope(7, &["b", "c"]), &scope(2, &["a", "b"]));
    let drifts: Vec<_> = drifts.iter().map(show).collect();
    assert_eq!(drifts, ["-target a (2-7)", "+target c (2-7)"]);
}
