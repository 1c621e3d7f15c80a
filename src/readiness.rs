//! What an auditor would find today, criterion by criterion: which controls and evidence serve it, since when, what is
//! missing, and who mends it by when. Reads only, and concludes nothing: that is the auditor's.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

use crate::control::{
    Category, Control, ControlResult, Criterion, Outcome, Standing as TestStanding, TestId, TestResult,
};
use crate::log::leaf::{Body, format_time};
use crate::log::store::{Evaluated, Filter, Reader};
use crate::manual::{self, Owed};
use crate::period::manual::{Account, State};
use crate::plan::PlanError;
use crate::standing::{self, Latest, Standing};

/// How every criterion in scope stands.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// As of when.
    #[serde(serialize_with = "as_in_leaves")]
    pub at: DateTime<Utc>,
    /// Whether nothing is missing.
    pub ready: bool,
    /// What is in scope.
    pub categories: Vec<Category>,
    /// By number.
    pub criteria: Vec<Served>,
}

/// A criterion and what serves it.
#[derive(Debug, Serialize)]
pub struct Served {
    /// Its number.
    pub criterion: Criterion,
    /// What it is about, in our own words.
    pub gloss: &'static str,
    /// How it stands.
    pub state: Serves,
    /// Since when there is evidence of any of its controls, or of itself.
    pub since: Option<Since>,
    /// The controls that serve it.
    pub controls: Vec<Serving>,
    /// Files that were attached to the criterion itself.
    pub attachments: Vec<u64>,
    /// What is missing of all that, and who mends it.
    pub missing: Vec<Missing>,
}

/// How a criterion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// No control serves it.
    NoControl,
    /// Something is missing.
    Wanting,
    /// Every control that serves it has evidence, and none fails.
    Ready,
}

/// A control, as it serves a criterion.
#[derive(Clone, Debug, Serialize)]
pub struct Serving {
    /// Its id.
    pub control: String,
    /// The company's statement.
    pub statement: String,
    /// Who answers for it.
    pub owner: String,
    /// How it stands.
    pub outcome: Outcome,
    /// Its tests, those that are switched off left out.
    pub tests: Vec<Tested>,
    /// The evidence that people owe for it.
    pub manual: Option<Brought>,
    /// Since when there is evidence.
    pub since: Option<Since>,
    /// What is missing.
    pub missing: Vec<Missing>,
}

/// A test, as it serves a control.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// Its id.
    pub test: TestId,
    /// What it says.
    pub outcome: Outcome,
    /// Why the evidence itself does not tell; else empty.
    pub reason: String,
}

/// The evidence that people owe for a control.
#[derive(Clone, Debug, Serialize)]
pub struct Brought {
    /// The calendar, as it is written.
    pub every: String,
    /// How it stands.
    pub state: State,
    /// The last day on which what is wanted is on time.
    pub due: Option<NaiveDate>,
    /// The newest attachment that counts.
    pub newest: Option<u64>,
}

/// The first evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Since {
    /// Its leaf.
    pub seq: u64,
    /// When it was sealed.
    #[serde(serialize_with = "as_in_leaves")]
    pub time: DateTime<Utc>,
}

fn as_in_leaves<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*time))
}

/// Something that an auditor would ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Of which control, where there is one.
    pub control: Option<String>,
    /// Who mends it; none where nobody answers for it.
    pub owner: Option<String>,
    /// By when, where somebody said so.
    pub by: Option<NaiveDate>,
}

/// The leaves that were there at an instant: those before the one that is given.
pub fn end_at(reader: &Reader, at: DateTime<Utc>) -> Result<u64, PlanError> {
    let filter = Filter {
        to: Some(format_time(at)),
        limit: Some(1),
        ..Filter::default()
    };
    Ok(reader.entries(&filter)?.last().map_or(0, |entry| entry.seq + 1))
}

/// What is in scope beside Security, which always is. Where both are empty, each category of which a control names a criterion.
#[derive(Debug, Default)]
pub struct Scope {
    /// Whole categories.
    pub categories: Vec<Category>,
    /// Single criteria.
    pub criteria: Vec<Criterion>,
    /// By when what is missing is to be mended, where nobody said otherwise: the end of the observation period.
    pub until: Option<NaiveDate>,
}

/// How every criterion in scope stands at an instant, from the leaves before `end`; none where nothing was planned by then.
pub fn readiness(
    reader: &Reader,
    end: u64,
    at: DateTime<Utc>,
    scope: &Scope,
) -> Result<Option<Readiness>, PlanError> {
    let Some(standing) = standing::standing_before(reader, end)? else {
        return Ok(None);
    };
    let results = standing.controls(at);
    let first = first_evidence(reader, end, &standing)?;
    let rules = &standing.plan.lists.rules;
    let enabled = rules.controls.iter().filter(|control| control.enabled);
    let serving: Vec<(&Control, Serving)> = enabled
        .filter_map(|control| {
            let result = results.iter().find(|result| result.control == control.id)?;
            Some((control, serving(control, result, &standing, &first, at)))
        })
        .collect();
    let attached: Vec<_> = manual::attachments(reader)?
        .into_iter()
        .filter(|attached| attached.seq < end)
        .collect();
    let mut categories: BTreeSet<Category> = scope.categories.iter().copied().collect();
    categories.insert(Category::Security);
    if scope.categories.is_empty() && scope.criteria.is_empty() {
        let named = serving.iter().flat_map(|(control, _)| &control.criteria);
        categories.extend(named.map(|criterion| criterion.category()));
    }
    let whole = categories.iter().flat_map(|category| category.criteria());
    let in_scope: BTreeSet<Criterion> = whole.chain(scope.criteria.iter().copied()).collect();
    let criteria: Vec<Served> = in_scope
        .iter()
        .copied()
        .map(|criterion| {
            let of_criterion = |(control, _): &&(&Control, Serving)| control.criteria.contains(&criterion);
            let controls = serving
                .iter()
                .filter(of_criterion)
                .map(|(_, serving)| serving.clone());
            let number = criterion.number();
            let own = attached
                .iter()
                .filter(|attached| attached.attachment.criteria.iter().any(|of| of == number))
                .map(|attached| Since {
                    seq: attached.seq,
                    time: attached.sealed,
                });
            let mut served = served(criterion, controls.collect(), &own.collect::<Vec<_>>());
            let own = served
                .controls
                .iter_mut()
                .flat_map(|serving| &mut serving.missing);
            for missing in own.chain(&mut served.missing) {
                missing.by = missing.by.or(scope.until);
            }
            served
        })
        .collect();
    Ok(Some(Readiness {
        at,
        ready: criteria.iter().all(|served| served.state == Serves::Ready),
        categories: in_scope
            .iter()
            .map(|criterion| criterion.category())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        criteria,
    }))
}

fn served(criterion: Criterion, controls: Vec<Serving>, own: &[Since]) -> Served {
    let mut missing: Vec<Missing> = controls
        .iter()
        .flat_map(|serving| serving.missing.clone())
        .collect();
    if controls.is_empty() {
        missing.push(Missing {
            what: "no control serves it".to_owned(),
            control: None,
            owner: None,
            by: None,
        });
    }
    let state = match (controls.is_empty(), missing.is_empty()) {
        (true, _) => Serves::NoControl,
        (false, true) => Serves::Ready,
        (false, false) => Serves::Wanting,
    };
    let since = controls.iter().filter_map(|serving| serving.since);
    Served {
        criterion,
        gloss: criterion.gloss(),
        state,
        since: since.chain(own.iter().copied()).min(),
        attachments: own.iter().map(|since| since.seq).collect(),
        controls,
        missing,
    }
}

fn serving(
    control: &Control,
    result: &ControlResult,
    standing: &Standing,
    first: &BTreeMap<TestId, Since>,
    at: DateTime<Utc>,
) -> Serving {
    let owed = standing.manual.iter().find(|owed| owed.control.id == control.id);
    let account = owed.map(|owed| (owed, owed.account(at)));
    let of_tests = control.tests.iter().filter_map(|test| first.get(test).copied());
    let of_people = account.iter().filter_map(|(_, account)| account.first.as_ref());
    let of_people = of_people.map(|first| Since {
        seq: first.seq,
        time: first.sealed,
    });
    Serving {
        control: control.id.to_string(),
        statement: control.statement.clone(),
        owner: control.owner.clone(),
        outcome: result.outcome,
        tests: result
            .tests
            .iter()
            .map(|test| Tested {
                test: test.test.clone(),
                outcome: test.outcome,
                reason: reason(test, standing, at),
            })
            .collect(),
        since: of_tests.chain(of_people).min(),
        missing: missing(
            control,
            result,
            standing,
            account.as_ref().map(|(_, account)| account),
            at,
        ),
        manual: account.map(|(owed, account)| brought(owed, &account)),
    }
}

fn brought(owed: &Owed, account: &Account) -> Brought {
    let every = owed
        .control
        .manual
        .as_ref()
        .map(|manual| manual.every().to_owned());
    Brought {
        every: every.unwrap_or_default(),
        state: account.state,
        due: account.wanted().map(|due| due.day),
        newest: account.newest.as_ref().map(|newest| newest.seq),
    }
}

/// Why a test is unknown, where the evidence itself does not tell; else empty.
fn reason(test: &TestStanding, standing: &Standing, at: DateTime<Utc>) -> String {
    if test.outcome != Outcome::Unknown || !test.reason.is_empty() {
        return test.reason.clone();
    }
    let tested = |latest: &&Latest| {
        let mut tests = standing.plan.tests(&latest.collector);
        tests.any(|other| other.id == test.test)
    };
    let doubts = standing.latest.iter().filter(tested).filter_map(|latest| {
        let doubt = standing.doubts(latest, at).into_iter().next()?;
        let target = latest.target.as_deref().unwrap_or("targets unknown");
        Some(format!("{}, {target}: {doubt}", latest.source))
    });
    let mut doubts = doubts;
    let first = doubts.next().unwrap_or_default();
    match doubts.count() {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

/// Where the findings are that an outcome rests on.
fn shown_by(test: &TestStanding, standing: &Standing) -> String {
    let snapshots = standing
        .latest
        .iter()
        .filter_map(|latest| latest.snapshot.as_ref());
    let judged = snapshots.filter_map(|snapshot| snapshot.evaluation.as_ref());
    let said = |result: &TestResult| result.test == test.test && result.outcome == test.outcome;
    let mut saying = judged.filter(|judged| judged.results.iter().any(said));
    let seq = saying.next().map(|judged| judged.seq);
    seq.map_or_else(String::new, |seq| format!(" (`evidenced show {seq}`)"))
}

/// What an auditor would ask of a control.
fn missing(
    control: &Control,
    result: &ControlResult,
    standing: &Standing,
    account: Option<&Account>,
    at: DateTime<Utc>,
) -> Vec<Missing> {
    let missing = |what: String, by: Option<NaiveDate>| Missing {
        what,
        control: Some(control.id.to_string()),
        owner: Some(control.owner.clone()),
        by,
    };
    let mut all = Vec::new();
    let off: Vec<&str> = result.disabled.iter().map(TestId::as_str).collect();
    if result.tests.is_empty() && account.is_none() {
        all.push(missing(
            if off.is_empty() {
                "nothing shows that it operates: it has neither tests nor manual evidence".to_owned()
            } else {
                format!(
                    "nothing shows that it operates: switched off are {}",
                    off.join(", ")
                )
            },
            None,
        ));
    }
    for test in &result.tests {
        match test.outcome {
            Outcome::Fail => {
                let shown = shown_by(test, standing);
                all.push(missing(format!("{} fails{shown}", test.test), None));
            }
            Outcome::Unknown => {
                let reason = reason(test, standing, at);
                let why = if reason.is_empty() {
                    shown_by(test, standing)
                } else {
                    format!(": {reason}")
                };
                all.push(missing(format!("{} is unknown{why}", test.test), None));
            }
            Outcome::Excepted | Outcome::Pass | Outcome::NotApplicable => {}
        }
    }
    if let Some(account) = account
        && account.state != State::Current
    {
        let what = match account.state {
            State::Overdue => "evidence is overdue",
            State::Due => "evidence is late, and the grace time runs",
            State::TooOld => "the newest evidence is older than the control allows",
            State::Never | State::Current => "no evidence has been given yet",
        };
        all.push(missing(what.to_owned(), account.wanted().map(|due| due.day)));
    }
    all
}

/// The first evaluation of each test that has been observed.
fn first_evidence(
    reader: &Reader,
    end: u64,
    standing: &Standing,
) -> Result<BTreeMap<TestId, Since>, PlanError> {
    /// All were found, or the store can't be read.
    enum Stop {
        Found,
        Unreadable(PlanError),
    }
    impl From<crate::log::store::StoreError> for Stop {
        fn from(error: crate::log::store::StoreError) -> Self {
            Self::Unreadable(error.into())
        }
    }
    let observed = standing.latest.iter().filter(|latest| latest.snapshot.is_some());
    let tests = observed.flat_map(|latest| standing.plan.tests(&latest.collector));
    let mut wanted: BTreeSet<&TestId> = tests.map(|test| &test.id).collect();
    let mut first = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(first);
    }
    let found = reader.walk_evaluations(|evaluated: Evaluated| {
        if evaluated.seq >= end {
            return Ok(());
        }
        let Some(leaf) = reader.leaf(evaluated.seq)? else {
            return Ok(());
        };
        let Some(Body::Evaluation(body)) = leaf.body else {
            return Ok(());
        };
        let results: Vec<TestResult> = serde_json::from_value(body.results).unwrap_or_default();
        for result in results.iter().filter(|result| result.outcome != Outcome::Unknown) {
            if wanted.remove(&result.test) {
                let since = Since {
                    seq: evaluated.seq,
                    time: leaf.time,
                };
                first.insert(result.test.clone(), since);
            }
        }
        if wanted.is_empty() {
            Err(Stop::Found)
        } else {
            Ok(())
        }
    });
    match found {
        Err(Stop::Unreadable(error)) => Err(error),
        Ok(()) | Err(Stop::Found) => Ok(first),
    }
}
