//! Where an evaluation and the same one performed again differ. Pure.

use serde_json::Value;
use std::collections::BTreeMap;

use crate::control::{Evaluation, Finding, TestResult};
use crate::log::leaf::EvaluationLeaf;
use crate::round;

/// Where an evaluation says another thing when it is performed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The evaluation.
    pub seq: u64,
    /// The snapshot that it judges.
    pub snapshot: u64,
    /// The test; none where the whole differs.
    pub test: Option<String>,
    /// The resource; none where it is the test's result.
    pub resource: Option<String>,
    /// What was recorded.
    pub recorded: String,
    /// What comes of it now.
    pub performed: String,
}

/// All differences; none where results and findings are the same, the findings to the byte.
pub(super) fn all(
    seq: u64,
    recorded: &EvaluationLeaf,
    payload: &[u8],
    evaluation: &Evaluation,
) -> Vec<Difference> {
    let whole = |recorded_as: &str, performed: &str| Difference {
        seq,
        snapshot: recorded.snapshot,
        test: None,
        resource: None,
        recorded: recorded_as.to_owned(),
        performed: performed.to_owned(),
    };
    let mut found = Vec::new();
    let results = serde_json::to_value(&evaluation.results).unwrap_or(Value::Null);
    if results != recorded.results {
        let before: Vec<TestResult> = serde_json::from_value(recorded.results.clone()).unwrap_or_default();
        let key = |result: &TestResult| (result.test.to_string(), String::new());
        let text = |result: &TestResult| serde_json::to_string(result).unwrap_or_default();
        found.extend(compare(&before, &evaluation.results, key, text));
        if found.is_empty() {
            found.push((
                None,
                None,
                "results in another order or form".to_owned(),
                "results".to_owned(),
            ));
        }
    }
    if round::findings_payload(evaluation).ok().as_deref() != Some(payload) {
        let before = round::parse_findings(payload).unwrap_or_default();
        let key = |finding: &Finding| (finding.test.to_string(), finding.resource.clone());
        let text = |finding: &Finding| {
            let (outcome, reason) = (finding.outcome.as_str(), &finding.reason);
            if reason.is_empty() {
                outcome.to_owned()
            } else {
                format!("{outcome}: {reason}")
            }
        };
        let findings = compare(&before, &evaluation.findings, key, text);
        if findings.is_empty() {
            found.push((
                None,
                None,
                "findings in another order or form".to_owned(),
                "findings".to_owned(),
            ));
        }
        found.extend(findings);
    }
    let found = found.into_iter();
    found
        .map(|(test, resource, recorded, performed)| Difference {
            test,
            resource,
            ..whole(&recorded, &performed)
        })
        .collect()
}

type Compared = (Option<String>, Option<String>, String, String);

/// What is in one list and not the same in the other, by test and resource.
fn compare<T>(
    before: &[T],
    after: &[T],
    key: impl Fn(&T) -> (String, String),
    text: impl Fn(&T) -> String,
) -> Vec<Compared> {
    let mut both: BTreeMap<(String, String), (Option<String>, Option<String>)> = BTreeMap::new();
    for item in before {
        both.entry(key(item)).or_default().0 = Some(text(item));
    }
    for item in after {
        both.entry(key(item)).or_default().1 = Some(text(item));
    }
    let nothing = || "nothing".to_owned();
    let differ = both.into_iter().filter(|(_, (before, after))| before != after);
    differ
        .map(|((test, resource), (before, after))| {
            let resource = Some(resource).filter(|resource| !resource.is_empty());
            (
                Some(test),
                resource,
                before.unwrap_or_else(nothing),
                after.unwrap_or_else(nothing),
            )
        })
        .collect()
}
