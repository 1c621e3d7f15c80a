//! What the newest evaluations say of each control.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Control, ControlId, Criterion, Outcome, Rules, Test, TestId, TestResult};

/// The newest evaluation of one collector, source and target that is in scope.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The collector's id.
    pub collector: &'a str,
    /// The source's name.
    pub source: &'a str,
    /// The target.
    pub target: &'a str,
    /// The end of what its snapshot covers.
    pub at: DateTime<Utc>,
    /// What the tests said.
    pub results: &'a [TestResult],
}

/// What is known of a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlResult {
    /// The control.
    pub control: ControlId,
    /// What it serves.
    pub criteria: Vec<Criterion>,
    /// The worst that its tests say, and the evidence that people owe for it.
    pub outcome: Outcome,
    /// Where each of its tests stands, in the control's order; those that are switched off are not among them.
    pub tests: Vec<Standing>,
    /// Its tests that are switched off: they say nothing, and a reader must know.
    pub disabled: Vec<TestId>,
    /// What is known of the evidence that people owe for it, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Brought>,
}

/// What evidence that people owe says of a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Pass where all that was due was given.
    pub outcome: Outcome,
    /// Why it is no pass; else empty.
    pub reason: String,
}

/// What one test says over everything observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The test.
    pub test: TestId,
    /// The worst that it says.
    pub outcome: Outcome,
    /// Why it is unknown where the evidence itself is missing or too old; else empty, and the findings tell.
    pub reason: String,
}

/// The outcome of every control that is switched on. `latest` holds one evaluation for each collector, source and
/// target; `now` is the caller's: the clock's, or the newest leaf's time.
pub fn control_outcomes(rules: &Rules, latest: &[Observed<'_>], now: DateTime<Utc>) -> Vec<ControlResult> {
    let enabled = rules.controls.iter().filter(|control| control.enabled);
    enabled
        .map(|control| outcome(control, rules, latest, now))
        .collect()
}

fn outcome(control: &Control, rules: &Rules, latest: &[Observed<'_>], now: DateTime<Utc>) -> ControlResult {
    let mut result = ControlResult {
        control: control.id.clone(),
        criteria: control.criteria.clone(),
        outcome: Outcome::Unknown,
        tests: Vec::new(),
        disabled: Vec::new(),
        manual: None,
    };
    for id in &control.tests {
        match rules.tests.iter().find(|test| test.id == *id) {
            Some(test) if !test.enabled => result.disabled.push(id.clone()),
            Some(test) => result.tests.push(standing(test, latest, now)),
            None => result.tests.push(unknown(id, "no such test".to_owned())),
        }
    }
    if control.manual.is_some() {
        // Rules alone do not tell; whoever has the log does.
        let reason = "whether people gave evidence stands in the log".to_owned();
        result.join_manual(Outcome::Unknown, reason);
    }
    result.outcome = result.worst();
    result
}

impl ControlResult {
    /// The same control with what is known of the evidence that people owe for it.
    pub fn join_manual(&mut self, outcome: Outcome, reason: String) {
        self.manual = Some(Brought { outcome, reason });
        self.outcome = self.worst();
    }

    fn worst(&self) -> Outcome {
        let tests = self.tests.iter().map(|test| test.outcome);
        let all = tests.chain(self.manual.iter().map(|manual| manual.outcome));
        // Without any test that ran, and nothing that people bring, nobody has looked.
        Outcome::worst(all).unwrap_or(Outcome::Unknown)
    }
}

fn standing(test: &Test, latest: &[Observed<'_>], now: DateTime<Utc>) -> Standing {
    let mut worst: Option<Standing> = None;
    for observed in latest {
        for result in observed.results.iter().filter(|result| result.test == test.id) {
            let standing = if now.signed_duration_since(observed.at) > test.max_age.length() {
                let (source, target) = (observed.source, observed.target);
                unknown(
                    &test.id,
                    format!(
                        "the evidence of {source}, {target} is older than {}",
                        test.max_age
                    ),
                )
            } else {
                Standing {
                    test: test.id.clone(),
                    outcome: result.outcome,
                    reason: String::new(),
                }
            };
            if worst
                .as_ref()
                .is_none_or(|worst| standing.outcome < worst.outcome)
            {
                worst = Some(standing);
            }
        }
    }
    worst.unwrap_or_else(|| unknown(&test.id, "nothing observed".to_owned()))
}

fn unknown(test: &TestId, reason: String) -> Standing {
    Standing {
        test: test.clone(),
        outcome: Outcome::Unknown,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Excepted, Fail, NotApplicable, Pass, Unknown};
    use chrono::TimeDelta;

    const RULES: &str = r#"
        [[test]]
        id = "one"
        title = "One"
        doc = "One."
        resource = "a.thing"
        passes = "resource.x"
        severity = "low"
        max_age = "2h"
        example = [{ given = { x = true }, outcome = "pass" }, { given = { x = false }, outcome = "fail" }]
        [[test]]
        id = "two"
        title = "Two"
        doc = "Two."
        resource = "a.thing"
        passes = "resource.x"
        severity = "low"
        max_age = "2h"
        example = [{ given = { x = true }, outcome = "pass" }, { given = { x = false }, outcome = "fail" }]
        [[control]]
        id = "both"
        statement = "Both."
        owner = "platform"
        criteria = ["CC6.1"]
        tests = ["one", "two"]
    "#;

    fn result(test: &str, outcome: Outcome) -> TestResult {
        TestResult {
            test: TestId::parse(test).unwrap(),
            outcome,
            pass: 0,
            fail: 0,
            unknown: 0,
            not_applicable: 0,
            excepted: 0,
        }
    }

    fn judged(rules: &Rules, results: &[TestResult], age: TimeDelta) -> ControlResult {
        let now = super::super::Example::NOW;
        let observed = Observed {
            collector: "a.b",
            source: "s",
            target: "t",
            at: now - age,
            results,
        };
        control_outcomes(rules, &[observed], now).remove(0)
    }

    #[test]
    fn the_worst_test_speaks_for_the_control() {
        let rules = Rules::default().with(RULES).unwrap();
        for (one, two, outcome) in [
            (Pass, Fail, Fail),
            (Unknown, Fail, Fail),
            (Excepted, Unknown, Unknown),
            (Pass, Excepted, Excepted),
            (Pass, NotApplicable, Pass),
            (NotApplicable, NotApplicable, NotApplicable),
        ] {
            let results = [result("one", one), result("two", two)];
            assert_eq!(judged(&rules, &results, TimeDelta::zero()).outcome, outcome);
        }
    }

    #[test]
    fn a_control_is_unknown_where_one_of_its_tests_was_never_observed() {
        let rules = Rules::default().with(RULES).unwrap();
        let judged = judged(&rules, &[result("one", Pass)], TimeDelta::zero());
        assert_eq!(judged.outcome, Unknown);
        assert_eq!(judged.tests[1].reason, "nothing observed");
        assert_eq!(
            control_outcomes(&rules, &[], super::super::Example::NOW)[0].outcome,
            Unknown
        );
    }

    #[test]
    fn evidence_older_than_max_age_no_longer_speaks_for_the_present() {
        let rules = Rules::default().with(RULES).unwrap();
        let results = [result("one", Fail), result("two", Pass)];
        assert_eq!(judged(&rules, &results, TimeDelta::hours(2)).outcome, Fail);
        let stale = judged(&rules, &results, TimeDelta::seconds(7201));
        assert_eq!(stale.outcome, Unknown);
        assert_eq!(stale.tests[0].reason, "the evidence of s, t is older than 2h");
    }

    #[test]
    fn a_control_names_its_tests_that_are_switched_off() {
        let off = |id: &str| {
            format!("[[test]]\nid = \"{id}\"\nenabled = false\nreason = \"no such things here\"\n")
        };
        let rules = Rules::default().with(RULES).unwrap().with(&off("two")).unwrap();
        let result_of_one = judged(&rules, &[result("one", Pass)], TimeDelta::zero());
        assert_eq!(result_of_one.outcome, Pass);
        assert_eq!(result_of_one.disabled, [TestId::parse("two").unwrap()]);
        let rules = rules.with(&off("one")).unwrap();
        assert_eq!(judged(&rules, &[], TimeDelta::zero()).outcome, Unknown);
    }

    #[test]
    fn a_control_that_is_switched_off_has_no_outcome() {
        let off = "[[control]]\nid = \"both\"\nenabled = false\nreason = \"another company's\"\n";
        let rules = Rules::default().with(RULES).unwrap().with(off).unwrap();
        assert_eq!(control_outcomes(&rules, &[], super::super::Example::NOW), []);
    }
}
