//! How tests and controls were worded from plan to plan: each version with its dates. What was taken out keeps its place.

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

use crate::control::{Control, Rules, Test, TestId};

/// The wording of a test or a control from one plan to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Version<T> {
    /// The plan that introduced it.
    pub plan: u64,
    /// When that was sealed.
    pub from: DateTime<Utc>,
    /// When a plan without it was; none where it is in force.
    pub until: Option<DateTime<Utc>>,
    /// Which fields differ from the version before; none of the first.
    pub changed: Vec<&'static str>,
    /// The wording.
    pub is: T,
}

/// All versions of a log's tests and controls, as plan after plan is added.
#[derive(Debug, Default)]
pub struct Versions {
    tests: BTreeMap<TestId, Vec<Version<Test>>>,
    controls: BTreeMap<String, Vec<Version<Control>>>,
    /// When the first plan was sealed.
    pub begun: Option<DateTime<Utc>>,
}

impl Versions {
    /// Adds a plan, later than those before it. Only what is enabled is in force.
    pub fn add(&mut self, plan: u64, time: DateTime<Utc>, rules: &Rules) {
        self.begun.get_or_insert(time);
        let tests = rules.tests.iter().filter(|test| test.enabled);
        let tests = tests.map(|test| (test.id.clone(), test));
        add(&mut self.tests, (plan, time), tests.collect(), test_changes);
        let controls = rules.controls.iter().filter(|control| control.enabled);
        let controls = controls.map(|control| (control.id.to_string(), control));
        add(
            &mut self.controls,
            (plan, time),
            controls.collect(),
            control_changes,
        );
    }

    /// The tests, by id, each with its versions, oldest first.
    pub fn tests(&self) -> impl Iterator<Item = (&TestId, &[Version<Test>])> {
        self.tests.iter().map(|(id, versions)| (id, versions.as_slice()))
    }

    /// The controls likewise.
    pub fn controls(&self) -> impl Iterator<Item = &[Version<Control>]> {
        self.controls.values().map(Vec::as_slice)
    }

    /// The versions of a test.
    pub fn of_test(&self, id: &TestId) -> &[Version<Test>] {
        self.tests.get(id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Those of the versions that were in force at any time from `from` up to `to`.
pub fn within<T>(
    versions: &[Version<T>],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = &Version<T>> {
    let touches =
        move |version: &&Version<T>| version.from < to && version.until.is_none_or(|until| until > from);
    versions.iter().filter(touches)
}

fn add<K: Ord + Clone, T: Clone>(
    known: &mut BTreeMap<K, Vec<Version<T>>>,
    (plan, time): (u64, DateTime<Utc>),
    now: BTreeMap<K, &T>,
    difference: fn(&T, &T) -> Vec<&'static str>,
) {
    for (id, versions) in known.iter_mut() {
        if let Some(last) = versions.last_mut().filter(|last| last.until.is_none())
            && !now.contains_key(id)
        {
            last.until = Some(time);
        }
    }
    for (id, is) in now {
        let versions = known.entry(id).or_default();
        let mut changed = Vec::new();
        if let Some(last) = versions.last_mut() {
            changed = difference(&last.is, is);
            if changed.is_empty() && last.until.is_none() {
                continue;
            }
            last.until.get_or_insert(time);
        }
        versions.push(Version {
            plan,
            from: time,
            until: None,
            changed,
            is: is.clone(),
        });
    }
}

fn test_changes(old: &Test, new: &Test) -> Vec<&'static str> {
    let fields = [
        ("title", old.title == new.title),
        ("resource", old.resource == new.resource),
        ("applies", old.applies == new.applies),
        ("passes", old.passes == new.passes),
        ("parameters", old.parameters == new.parameters),
        ("severity", old.severity == new.severity),
        ("max_age", old.max_age == new.max_age),
    ];
    different(&fields)
}

fn control_changes(old: &Control, new: &Control) -> Vec<&'static str> {
    let fields = [
        ("statement", old.statement == new.statement),
        ("owner", old.owner == new.owner),
        ("frequency", old.frequency == new.frequency),
        ("criteria", old.criteria == new.criteria),
        ("tests", old.tests == new.tests),
        ("manual", old.manual == new.manual),
    ];
    different(&fields)
}

fn different(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    let different = fields.iter().filter(|(_, same)| !same);
    different.map(|(field, _)| *field).collect()
}

/// Whether a changed field can change what a test says.
pub fn judges_otherwise(changed: &[&str]) -> bool {
    changed
        .iter()
        .any(|field| ["resource", "applies", "passes", "parameters"].contains(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    fn rules(change: impl FnOnce(&mut Rules)) -> Rules {
        let mut rules = Rules::shipped().unwrap();
        change(&mut rules);
        rules
    }

    #[test]
    fn a_test_that_changes_has_versions_with_dates_and_one_taken_out_keeps_its_place() {
        let id = Rules::shipped().unwrap().tests[0].id.clone();
        let mut versions = Versions::default();
        versions.add(1, day(1), &rules(|_| {}));
        versions.add(5, day(2), &rules(|_| {}));
        versions.add(
            7,
            day(3),
            &rules(|rules| rules.tests[0].passes = "true".to_owned()),
        );
        versions.add(9, day(4), &rules(|rules| rules.tests[0].enabled = false));
        versions.add(11, day(6), &rules(|_| {}));
        let of: Vec<_> = versions
            .of_test(&id)
            .iter()
            .map(|v| (v.plan, v.from, v.until))
            .collect();
        let expected = [
            (1, day(1), Some(day(3))),
            (7, day(3), Some(day(4))),
            (11, day(6), None),
        ];
        assert_eq!(of, expected);
        let changed = &versions.of_test(&id)[1].changed;
        assert!(*changed == ["passes"] && judges_otherwise(changed));
        let plans = |from, to| {
            let versions = within(versions.of_test(&id), day(from), day(to));
            versions.map(|version| version.plan).collect::<Vec<_>>()
        };
        assert_eq!(plans(3, 9), [7, 11]);
        assert_eq!(
            plans(4, 6),
            Vec::<u64>::new(),
            "an end and a beginning are outside"
        );
        assert_eq!(plans(0, 2), [1]);
    }

    #[test]
    fn a_control_that_changes_its_owner_is_another_version() {
        let mut versions = Versions::default();
        versions.add(1, day(1), &rules(|_| {}));
        versions.add(
            2,
            day(2),
            &rules(|rules| rules.controls[0].owner = "somebody".to_owned()),
        );
        let two: Vec<_> = versions
            .controls()
            .filter(|versions| versions.len() == 2)
            .collect();
        assert_eq!(
            (two.len(), two[0][1].changed.as_slice()),
            (1, ["owner"].as_slice())
        );
        assert!(!judges_otherwise(&two[0][1].changed));
    }
}
