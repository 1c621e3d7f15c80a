//! Why something changed.

use super::*;
use crate::control::Finding;

fn with(change: impl FnOnce(&mut SealedPlan)) -> Arc<SealedPlan> {
    let mut plan = sealed(RULES);
    change(&mut plan);
    // Anew, since what was compiled or indexed is of what it was.
    Arc::new(SealedPlan::new(plan.version, plan.lists))
}

fn collector(plan: &mut SealedPlan) -> &mut PlannedCollector {
    plan.lists.collectors.get_mut("fake.things").unwrap()
}

/// What the later snapshot drifts in, collected and judged under another plan.
fn between(before: &str, plan: &Arc<SealedPlan>, after: &str) -> Vec<String> {
    let earlier = read(0, before, &Arc::new(sealed(RULES)));
    shown(&[earlier, read(1, after, plan)])
}

const EXCLUSION: &str = "[[exclusion]]\nresource = \"x\"\nreason = \"it is a sandbox\"\n";

#[test]
fn where_the_later_rules_already_give_the_later_outcome_the_source_had_no_part_in_it() {
    let worded = with(|plan| plan.lists.rules.tests[0].passes = "resource.safe == false".to_owned());
    let lenient = with(|plan| {
        let parameters = &mut plan.lists.rules.tests[0].parameters;
        parameters.insert("lenient".to_owned(), json!(true));
    });
    let excluded = Arc::new(sealed(&format!("{RULES}\n{EXCLUSION}")));
    let touched = with(|plan| plan.lists.rules.tests[0].applies = "true && true".to_owned());
    let cases: &[(&Arc<SealedPlan>, &str, &str, &[&str])] = &[
        (
            &worded,
            "x:1",
            "x:1",
            &["x safe pass>fail (0-1), the test changed"],
        ),
        (
            &worded,
            "x:0",
            "x:0",
            &["x safe fail>pass (0-1), the test changed"],
        ),
        (
            &lenient,
            "x:0",
            "x:0",
            &["x safe fail>pass (0-1), the configuration changed"],
        ),
        (
            &excluded,
            "x:0 y:0",
            "x:0 y:1",
            &[
                "x safe fail>not_applicable (0-1), the configuration changed",
                "y.safe false>true (0-1)",
                "y safe fail>pass (0-1)",
            ],
        ),
        // Both changed, but the rules alone would not have done it.
        (
            &touched,
            "x:1",
            "x:0",
            &["x.safe true>false (0-1)", "x safe pass>fail (0-1)"],
        ),
        // The test's words made it unknown, and not the source.
        (
            &with(|plan| plan.lists.rules.tests[0].passes = "resource.other".to_owned()),
            "x:1",
            "x:1",
            &["x safe pass>unknown (0-1), the test changed"],
        ),
    ];
    for (plan, before, after, expected) in cases {
        assert_eq!(between(before, plan, after), *expected, "{before} {after}");
    }
}

#[test]
fn a_test_that_is_new_or_no_longer_in_force_has_changed() {
    let off = with(|plan| plan.lists.rules.tests[0].enabled = false);
    let gone = with(|plan| plan.lists.rules.tests.clear());
    for plan in [off, gone] {
        assert_eq!(
            between("x:0", &plan, "x:0"),
            ["x safe fail>- (0-1), the test changed"]
        );
        let earlier = read(0, "x:0", &plan);
        assert_eq!(
            shown(&[earlier, read(1, "x:0", &Arc::new(sealed(RULES)))]),
            ["x safe ->fail (0-1), the test changed"]
        );
    }
}

#[test]
fn another_version_of_the_collector_reads_otherwise() {
    let newer = with(|plan| collector(plan).version = "2".to_owned());
    assert_eq!(
        between("x:1/1", &newer, "x:0/1"),
        [
            "x.safe true>false (0-1), the tool changed",
            "x safe pass>fail (0-1), the tool changed"
        ]
    );
    assert_eq!(
        between("x:1", &newer, ""),
        ["-x (0-1)"],
        "a version does not take things away"
    );
    let other_kind = with(|plan| {
        collector(plan).version = "2".to_owned();
        collector(plan).kinds.push("fake.part".to_owned());
    });
    let part = Resource::new("fake.part", "p", "p", 0);
    let later = snapshot(1, vec![part, thing("y:1")], true, &other_kind);
    let earlier = read(0, "", &Arc::new(sealed(RULES)));
    assert_eq!(
        shown(&[earlier, later]),
        ["+p (0-1), the tool changed", "+y (0-1)"]
    );
}

/// The same resource, the same rules, another outcome.
#[test]
fn another_version_of_what_judges_judges_otherwise() {
    let newer = with(|plan| plan.version = "2.0".to_owned());
    let mut earlier = read(0, "x:1", &Arc::new(sealed(RULES)));
    let wrong = Finding {
        test: TestId::parse("safe").unwrap(),
        resource: "x".to_owned(),
        outcome: Outcome::Fail,
        reason: String::new(),
    };
    earlier.findings = Some(Arc::new(Findings::new(vec![wrong])));
    let later = read(1, "x:1", &newer);
    assert_eq!(
        shown(&[earlier.clone(), later]),
        ["x safe fail>pass (0-1), the tool changed"]
    );
    assert_eq!(
        between("x:1", &newer, "x:0"),
        ["x.safe true>false (0-1)", "x safe pass>fail (0-1)"]
    );
}

/// A key that is too old one day is nobody's doing but the source's.
#[test]
fn that_time_passes_is_drift_whatever_the_version() {
    let until = |plan: &mut SealedPlan| {
        "now < timestamp('1970-01-01T01:00:00Z')".clone_into(&mut plan.lists.rules.tests[0].passes);
    };
    let plan = with(until);
    let newer = with(|plan| {
        until(plan);
        plan.version = "2.0".to_owned();
    });
    for later in [&plan, &newer] {
        assert_eq!(
            shown(&[read(0, "x:1", &plan), read(2, "x:1", later)]),
            ["x safe pass>fail (0-2)"]
        );
    }
}

#[test]
fn an_exception_covers_a_failure_and_hides_no_other_change() {
    let excepted = |snapshot: &mut Snapshot| {
        let findings = snapshot.findings.as_ref().unwrap().iter();
        let findings = findings.map(|(test, resource, said)| Finding {
            test: test.clone(),
            resource: resource.to_owned(),
            outcome: match said.outcome {
                Outcome::Fail => Outcome::Excepted,
                outcome => outcome,
            },
            reason: said.reason.clone(),
        });
        snapshot.findings = Some(Arc::new(Findings::new(findings.collect())));
    };
    let mut series = series(&["x:0", "x:0"]);
    excepted(&mut series[1]);
    assert_eq!(
        shown(&series),
        ["x safe fail>excepted (0-1), an exception began or ended"]
    );
    series.swap(0, 1);
    series[0].moment.seq = 0;
    series[1].moment.seq = 1;
    assert_eq!(
        shown(&series),
        ["x safe excepted>fail (0-1), an exception began or ended"]
    );
    for (before, after, expected) in [
        ("x:0", "x:1", "x safe excepted>pass (0-1)"),
        ("x:1", "x:0", "x safe pass>excepted (0-1)"),
    ] {
        let mut series = super::series(&[before, after]);
        series.iter_mut().for_each(excepted);
        assert_eq!(shown(&series)[1], expected);
    }
}

#[test]
fn the_provider_changed_only_what_it_is_known_to_set_where_nothing_was() {
    let same = Arc::new(sealed(RULES));
    let newer = with(|plan| collector(plan).version = "2".to_owned());
    let cases: &[(&str, &Arc<SealedPlan>, &str, &[&str])] = &[
        (
            "x:null",
            &same,
            "x:1",
            &[
                "x.safe null>true (0-1), changed by the provider",
                "x safe fail>pass (0-1), changed by the provider",
            ],
        ),
        (
            "x:-",
            &same,
            "x:1",
            &["x.safe ->true (0-1), changed by the provider"],
        ),
        ("x:?", &same, "x:1", &[]),
        (
            "x:0",
            &same,
            "x:1",
            &["x.safe false>true (0-1)", "x safe fail>pass (0-1)"],
        ),
        (
            "x:1",
            &same,
            "x:null",
            &["x.safe true>null (0-1)", "x safe pass>fail (0-1)"],
        ),
        (
            "x:null",
            &newer,
            "x:1",
            &[
                "x.safe null>true (0-1), the tool changed",
                "x safe fail>pass (0-1), the tool changed",
            ],
        ),
        // What else changed beside was not the provider.
        ("x:null/1", &same, "x:null/2", &["x.size 1>2 (0-1)"]),
    ];
    for (before, plan, after, expected) in cases {
        assert_eq!(between(before, plan, after), *expected, "{before} {after}");
    }
}
