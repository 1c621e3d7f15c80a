//! Judges resources by tests.
//!
//! Reasons are sealed and take part in drift, so they hold nothing that changes while nothing happens: no volatile
//! attribute's value, nothing relative to now.

mod reason;

use cel::Env;
use chrono::{DateTime, Utc};
use evidenced_collector_api::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::expression::{Clause, Expression, Machine, Scene, Truth};
use super::{Example, Exclusion, Outcome, Problem, Rules, Test, TestId};

/// The tests of some rules, ready to run.
pub struct Compiled {
    tests: Vec<Ready>,
    exclusions: Vec<Exclusion>,
    env: Arc<Env>,
}

struct Ready {
    test: Test,
    applies: Expression,
    passes: Expression,
}

/// A snapshot, as far as tests see it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The kinds that its collector yields: a test on one of them is evaluated, also where no resource is of it.
    pub kinds: &'a [&'a str],
    /// The source's configured name.
    pub source: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// What was collected.
    pub resources: &'a [Resource],
    /// Pairs of kind and attribute whose values reasons leave out.
    pub volatile: &'a [(&'a str, &'a str)],
    /// Whether `resources` is the whole population.
    pub complete: bool,
    /// The end of what the snapshot covers: `now` to a resource that has no `as_of`.
    pub now: DateTime<Utc>,
}

/// All findings of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// By test: one for each that was evaluated.
    pub results: Vec<TestResult>,
    /// By test, then resource.
    pub findings: Vec<Finding>,
    /// Whether the snapshot held the whole population.
    pub complete: bool,
}

/// What one test says of a whole snapshot, and how many findings are of each outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The test.
    pub test: TestId,
    /// For all resources together.
    pub outcome: Outcome,
    /// Findings that pass.
    pub pass: u64,
    /// Findings that fail.
    pub fail: u64,
    /// Findings that are unknown.
    pub unknown: u64,
    /// Findings where the test does not apply, excluded resources among them.
    pub not_applicable: u64,
    /// Failures covered by an exception.
    pub excepted: u64,
}

/// What one test says of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The test.
    pub test: TestId,
    /// The resource's id.
    pub resource: String,
    /// What it says.
    pub outcome: Outcome,
    /// Why, for a person; empty where it passes.
    pub reason: String,
}

/// What came of running every example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// How many examples were run.
    pub examples: u64,
    /// Those that gave something else than they say.
    pub failures: Vec<ExampleFailure>,
}

/// An example that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleFailure {
    /// The test.
    pub test: TestId,
    /// Which of its examples, from 1.
    pub example: u64,
    /// What the example says.
    pub expected: Outcome,
    /// What the test says.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl Compiled {
    /// Compiles every test, also those that are switched off.
    ///
    /// # Errors
    /// Every expression that can't be evaluated safely; [`Rules::with`] finds the same, with the place.
    pub fn new(rules: &Rules) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut tests = Vec::new();
        for test in &rules.tests {
            let names: Vec<&str> = test.parameters.keys().map(String::as_str).collect();
            let mut compile = |field, source| {
                Expression::compile(source, &names)
                    .map_err(|faults| {
                        problems.extend(faults.into_iter().map(|fault| Problem {
                            message: format!("{field} of {}: {}", test.id, fault.message),
                            help: fault.help,
                            span: None,
                        }));
                    })
                    .ok()
            };
            let (applies, passes) = (compile("applies", &test.applies), compile("passes", &test.passes));
            if let (Some(applies), Some(passes)) = (applies, passes) {
                tests.push(Ready {
                    test: test.clone(),
                    applies,
                    passes,
                });
            }
        }
        tests.sort_by(|a, b| a.test.id.cmp(&b.test.id));
        if problems.is_empty() {
            Ok(Self {
                tests,
                exclusions: rules.exclusions.clone(),
                env: Arc::new(Env::stdlib()),
            })
        } else {
            Err(problems)
        }
    }

    /// Runs every example of every test.
    pub fn self_test(&self) -> SelfTest {
        let machine = Machine::new(&self.env);
        let mut report = SelfTest {
            examples: 0,
            failures: Vec::new(),
        };
        for ready in &self.tests {
            for (number, example) in (1..).zip(&ready.test.examples) {
                report.examples += 1;
                let now = example.now.unwrap_or(Example::NOW);
                let resource = resource(&ready.test, example);
                let (outcome, reason) = ready.judge(&machine, &resource, &example.parameters, &[], now);
                if outcome != example.outcome {
                    report.failures.push(ExampleFailure {
                        test: ready.test.id.clone(),
                        example: number,
                        expected: example.outcome,
                        outcome,
                        reason,
                    });
                }
            }
        }
        report
    }

    /// Judges a snapshot by every enabled test on a kind that its collector yields.
    pub fn evaluate(&self, observation: &Observation<'_>) -> Evaluation {
        let machine = Machine::new(&self.env);
        let mut evaluation = Evaluation {
            results: Vec::new(),
            findings: Vec::new(),
            complete: observation.complete,
        };
        let enabled = self.tests.iter().filter(|ready| ready.test.enabled);
        for ready in enabled.filter(|ready| observation.kinds.contains(&ready.test.resource.as_str())) {
            let mut findings: Vec<Finding> = observation
                .resources
                .iter()
                .filter(|resource| resource.kind == ready.test.resource)
                .map(|resource| self.finding(&machine, ready, resource, observation))
                .collect();
            findings.sort_by(|a, b| a.resource.cmp(&b.resource));
            evaluation
                .results
                .push(total(&ready.test.id, &findings, observation.complete));
            evaluation.findings.append(&mut findings);
        }
        evaluation
    }

    fn finding(
        &self,
        machine: &Machine<'_>,
        ready: &Ready,
        resource: &Resource,
        observation: &Observation<'_>,
    ) -> Finding {
        let test = &ready.test;
        let exclusion = self
            .exclusions
            .iter()
            .find(|each| each.excludes(&test.id, observation.source, observation.target, resource));
        let (outcome, reason) = match exclusion {
            Some(exclusion) => (Outcome::NotApplicable, format!("excluded: {}", exclusion.reason)),
            None => ready.judge(
                machine,
                resource,
                &test.parameters,
                observation.volatile,
                observation.now,
            ),
        };
        Finding {
            test: test.id.clone(),
            resource: resource.id.clone(),
            outcome,
            reason,
        }
    }
}

impl Evaluation {
    /// Turns failures that an approved exception covers into `excepted`: `covers` is given test and resource, and
    /// returns a note on the exception. What is unknown stays so: nobody waives what nobody has seen.
    pub fn except(&mut self, mut covers: impl FnMut(&TestId, &str) -> Option<String>) {
        let mut touched = BTreeSet::new();
        for finding in self
            .findings
            .iter_mut()
            .filter(|finding| finding.outcome == Outcome::Fail)
        {
            if let Some(note) = covers(&finding.test, &finding.resource) {
                finding.outcome = Outcome::Excepted;
                finding.reason = format!("excepted, {note}: {}", finding.reason);
                touched.insert(finding.test.clone());
            }
        }
        for result in self
            .results
            .iter_mut()
            .filter(|result| touched.contains(&result.test))
        {
            let findings = self.findings.iter().filter(|finding| finding.test == result.test);
            *result = total(&result.test, findings, self.complete);
        }
    }
}

/// An incomplete snapshot can fail a test but not pass it, nor show that there is nothing to test.
fn total<'a>(test: &TestId, findings: impl IntoIterator<Item = &'a Finding>, complete: bool) -> TestResult {
    let mut result = TestResult {
        test: test.clone(),
        outcome: Outcome::NotApplicable,
        pass: 0,
        fail: 0,
        unknown: 0,
        not_applicable: 0,
        excepted: 0,
    };
    for finding in findings {
        *match finding.outcome {
            Outcome::Fail => &mut result.fail,
            Outcome::Unknown => &mut result.unknown,
            Outcome::Excepted => &mut result.excepted,
            Outcome::Pass => &mut result.pass,
            Outcome::NotApplicable => &mut result.not_applicable,
        } += 1;
        result.outcome = result.outcome.min(finding.outcome);
    }
    if !complete {
        result.outcome = result.outcome.min(Outcome::Unknown);
    }
    result
}

fn resource(test: &Test, example: &Example) -> Resource {
    let mut attributes = example.given.clone();
    let mut take = |key: &str| match attributes.get(key) {
        Some(Value::String(_)) => attributes
            .remove(key)
            .and_then(|value| value.as_str().map(str::to_owned)),
        _ => None,
    };
    let id = take("id").unwrap_or_else(|| "example".to_owned());
    let name = take("name").unwrap_or_else(|| id.clone());
    let mut resource = Resource::new(&test.resource, id, name, 0);
    resource.attributes = attributes;
    resource.unknown.clone_from(&example.unknown);
    resource
}

/// What a conjunction says, and which clauses are the cause.
enum Verdict<'a> {
    True,
    False(Vec<&'a Clause>),
    Unknown(Vec<(&'a Clause, Option<String>)>),
}

impl Ready {
    fn judge(
        &self,
        machine: &Machine<'_>,
        resource: &Resource,
        parameters: &BTreeMap<String, Value>,
        volatile: &[(&str, &str)],
        now: DateTime<Utc>,
    ) -> (Outcome, String) {
        let own = reason::Own::new(resource);
        let seen = reason::Seen::new(resource, &own, parameters, volatile);
        let scene = Scene {
            attributes: &seen.attributes,
            parameters,
            now: resource.as_of.unwrap_or(now),
        };
        match conjunction(machine, &self.applies, &scene) {
            Verdict::False(clauses) => (Outcome::NotApplicable, seen.not_applicable(&clauses)),
            Verdict::Unknown(clauses) => (
                Outcome::Unknown,
                format!("whether the test applies: {}", seen.unknown(&clauses)),
            ),
            Verdict::True => match conjunction(machine, &self.passes, &scene) {
                Verdict::True => (Outcome::Pass, String::new()),
                Verdict::False(clauses) => (Outcome::Fail, seen.fail(&clauses, &self.applies)),
                Verdict::Unknown(clauses) => (Outcome::Unknown, seen.unknown(&clauses)),
            },
        }
    }
}

/// Kleene's and over the clauses. All are evaluated, so that a failure names every part that does not hold.
fn conjunction<'a>(machine: &Machine<'_>, expression: &'a Expression, scene: &Scene<'_>) -> Verdict<'a> {
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for clause in &expression.clauses {
        match machine.evaluate(clause, scene) {
            Truth::True => {}
            Truth::False => wrong.push(clause),
            Truth::Unknown(why) => unknown.push((clause, why)),
        }
    }
    if !wrong.is_empty() {
        Verdict::False(wrong)
    } else if !unknown.is_empty() {
        Verdict::Unknown(unknown)
    } else {
        Verdict::True
    }
}

#[cfg(test)]
mod tests;
