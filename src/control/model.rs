//! What a test, a control and an exclusion are. All of it is sealed as JSON in the plan, and a snapshot that a crash
//! left unjudged is later judged from exactly that JSON: reading it back loses nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::{Criterion, Manual};

/// Everything that judges: tests, the controls over them, and what is out of scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// In the order of their files, the shipped ones first.
    pub tests: Vec<Test>,
    /// Likewise.
    pub controls: Vec<Control>,
    /// The company's; the first that matches gives the reason.
    pub exclusions: Vec<Exclusion>,
}

/// An automated check of one kind of resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its name in logs and reports, for years.
    pub id: TestId,
    /// What holds where it passes, in a line.
    pub title: String,
    /// What is checked and what is not, for an auditor.
    pub doc: String,
    /// The kind of resource it is about: `host.account`.
    pub resource: String,
    /// CEL: which of those resources it is about.
    pub applies: String,
    /// CEL: what must hold for them.
    pub passes: String,
    /// The company's numbers and allow-lists: `parameters.x` in CEL.
    pub parameters: BTreeMap<String, Value>,
    /// How bad a failure is.
    pub severity: Severity,
    /// Evidence older than this no longer speaks for the present.
    pub max_age: MaxAge,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// Why it is not, where it is not.
    #[serde(default)]
    pub reason: Option<String>,
    /// Run at every start. Each holds all its parameters, so that a company's numbers can't break one.
    #[serde(rename = "example")]
    pub examples: Vec<Example>,
    /// Whether it came with this program.
    pub shipped: bool,
    /// Which fields a later file changed, for an auditor to see.
    #[serde(default)]
    pub overridden: Vec<String>,
}

/// A resource and what the test must say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Known attributes; `id` and `name` stand for the resource's own.
    pub given: BTreeMap<String, Value>,
    /// Unknown attributes, each with the reason.
    #[serde(default)]
    pub unknown: BTreeMap<String, String>,
    /// All parameters of the test, as they are for this example.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// What `now` is; else [`Example::NOW`].
    #[serde(default)]
    pub now: Option<DateTime<Utc>>,
    /// What the test must say. Never `excepted`: waivers are no part of a test.
    pub outcome: Outcome,
}

impl Example {
    /// `now` of an example that does not say: 2026-01-01, midnight UTC.
    pub const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_767_225_600_000_000_000);
}

/// What the company says it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its name in logs and reports.
    pub id: ControlId,
    /// The company's statement, as it stands in the report's section 4.
    pub statement: String,
    /// Who answers for it.
    pub owner: String,
    /// How often it operates, in the company's words.
    #[serde(default)]
    pub frequency: Option<String>,
    /// What it serves.
    pub criteria: Vec<Criterion>,
    /// The tests that serve it; none where only manual evidence does.
    pub tests: Vec<TestId>,
    /// The evidence that people owe for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Manual>,
    /// Whether the company has it.
    pub enabled: bool,
    /// Why not, where not.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether it came with this program.
    #[serde(default)]
    pub shipped: bool,
    /// Which fields a later file changed, for an auditor to see.
    #[serde(default)]
    pub overridden: Vec<String>,
}

/// What is out of scope. A condition that is not given matches everything; at least one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Why, for the auditor; never empty.
    pub reason: String,
    /// The kind of resource, exactly.
    #[serde(default)]
    pub kind: Option<String>,
    /// The resource's id; `*` matches any run of characters, `?` any one.
    #[serde(default)]
    pub resource: Option<String>,
    /// Only for this test.
    #[serde(default)]
    pub test: Option<TestId>,
    /// The source's name, exactly.
    #[serde(default)]
    pub source: Option<String>,
    /// The target, with `*` and `?`.
    #[serde(default)]
    pub target: Option<String>,
}

/// What is found. Ordered by precedence: of several, the least one speaks for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It does not hold.
    Fail,
    /// Nobody can say.
    Unknown,
    /// It does not hold, and an approved exception covers it.
    Excepted,
    /// It holds.
    Pass,
    /// The test is not about it.
    NotApplicable,
}

impl Outcome {
    /// All of them, by precedence.
    pub const ALL: [Self; 5] = [
        Self::Fail,
        Self::Unknown,
        Self::Excepted,
        Self::Pass,
        Self::NotApplicable,
    ];

    /// The one that speaks for all, none for none.
    pub fn worst(outcomes: impl IntoIterator<Item = Self>) -> Option<Self> {
        outcomes.into_iter().min()
    }

    /// As it stands in logs and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Excepted => "excepted",
            Self::Pass => "pass",
            Self::NotApplicable => "not_applicable",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How bad a failure is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Wake somebody.
    Critical,
    /// Today.
    High,
    /// This week.
    Medium,
    /// When there is time.
    Low,
}

impl Severity {
    /// The worst first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        })
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id, if it is kebab-case: lowercase letters, digits and single hyphens, a letter first.
            pub fn parse(id: &str) -> Result<Self, String> {
                kebab_case(id).map(|()| Self(id.to_owned()))
            }

            /// The id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(id: String) -> Result<Self, String> {
                Self::parse(&id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id! {
    /// The name of a test.
    TestId
}
id! {
    /// The name of a control.
    ControlId
}

fn kebab_case(id: &str) -> Result<(), String> {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if id.len() <= 64 && id.starts_with(|c: char| c.is_ascii_lowercase()) && id.split('-').all(part) {
        Ok(())
    } else {
        Err(format!(
            "the id {id:?} is not kebab-case (lowercase letters, digits, single hyphens, a letter first, at most 64)"
        ))
    }
}

/// A length of time as its author wrote it: `26h`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MaxAge {
    text: String,
    length: TimeDelta,
}

impl MaxAge {
    /// A whole number above zero and `s`, `m`, `h` or `d`; at most ten years.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration such as \"90s\", \"30m\", \"26h\" or \"7d\"");
        let unit = text.bytes().next_back().ok_or_else(wrong)?;
        let seconds = match unit {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return Err(wrong()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let length = digits
            .parse::<i64>()
            .ok()
            .and_then(|count| count.checked_mul(seconds))
            .filter(|total| (1..=86_400 * 3653).contains(total))
            .ok_or_else(wrong)?;
        Ok(Self {
            text: text.to_owned(),
            length: TimeDelta::seconds(length),
        })
    }

    /// How long.
    pub fn length(&self) -> TimeDelta {
        self.length
    }
}

impl Default for MaxAge {
    /// A daily schedule, and two hours to be late.
    fn default() -> Self {
        Self {
            text: "26h".to_owned(),
            length: TimeDelta::hours(26),
        }
    }
}

impl std::fmt::Display for MaxAge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for MaxAge {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<MaxAge> for String {
    fn from(age: MaxAge) -> Self {
        age.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail_comes_before_unknown_before_excepted_before_pass() {
        use Outcome::{Excepted, Fail, NotApplicable, Pass, Unknown};
        assert_eq!(
            Outcome::worst([NotApplicable, Pass, Excepted, Unknown, Fail]),
            Some(Fail)
        );
        assert_eq!(Outcome::worst([Pass, Excepted, Unknown]), Some(Unknown));
        assert_eq!(Outcome::worst([Pass, Excepted]), Some(Excepted));
        assert_eq!(Outcome::worst([NotApplicable, Pass]), Some(Pass));
        assert_eq!(Outcome::worst([]), None);
    }

    #[test]
    fn an_id_that_is_not_kebab_case_is_refused() {
        for id in [
            "",
            "A",
            "a_b",
            "a--b",
            "-a",
            "a-",
            "1a",
            "ä",
            "a b",
            &"a".repeat(65),
        ] {
            assert!(TestId::parse(id).is_err(), "{id}");
        }
        assert_eq!(TestId::parse("s3-kms").unwrap().as_str(), "s3-kms");
    }

    #[test]
    fn a_duration_needs_a_number_above_zero_and_a_unit() {
        for text in [
            "",
            "26",
            "h",
            "0h",
            "-1h",
            "1.5h",
            "26 h",
            "+1h",
            "9999999999999999999d",
            "1w",
            "é",
        ] {
            assert!(MaxAge::parse(text).is_err(), "{text}");
        }
        assert_eq!(MaxAge::parse("26h").unwrap(), MaxAge::default());
    }

    #[test]
    fn the_now_of_examples_is_what_the_documentation_says() {
        assert_eq!(Example::NOW.to_rfc3339(), "2026-01-01T00:00:00+00:00");
    }
}
