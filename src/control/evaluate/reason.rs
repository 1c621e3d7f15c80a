//! What a finding tells a person: what is seen, and why that is not enough.

use evidenced_collector_api::Resource;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::control::expression::{Clause, Expression};
use crate::control::value::{cut, plain, show};

/// Names that are the resource's own in every expression.
const RESERVED: [&str; 3] = ["id", "kind", "name"];
/// How long a reason gets, in bytes.
const LENGTH: usize = 1000;

/// The resource's own names, as values.
pub(super) struct Own([Value; 3]);

impl Own {
    pub(super) fn new(resource: &Resource) -> Self {
        Self([&resource.id, &resource.kind, &resource.name].map(|text| Value::String(text.clone())))
    }
}

/// A resource as expressions and people see it.
pub(super) struct Seen<'a> {
    resource: &'a Resource,
    /// What is known. An attribute that has a reserved name hides neither itself nor the other: both are left out.
    pub(super) attributes: BTreeMap<&'a str, &'a Value>,
    parameters: &'a BTreeMap<String, Value>,
    volatile: &'a [(&'a str, &'a str)],
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        resource: &'a Resource,
        own: &'a Own,
        parameters: &'a BTreeMap<String, Value>,
        volatile: &'a [(&'a str, &'a str)],
    ) -> Self {
        let known = resource.attributes.iter();
        // The contract forbids that an attribute is both known and unknown; should it be, it is unknown.
        let known = known.filter(|(name, _)| !resource.unknown.contains_key(*name));
        let mut attributes: BTreeMap<&str, &Value> =
            known.map(|(name, value)| (name.as_str(), value)).collect();
        for (name, value) in RESERVED.into_iter().zip(&own.0) {
            if attributes.remove(name).is_none() && !resource.unknown.contains_key(name) {
                attributes.insert(name, value);
            }
        }
        Self {
            resource,
            attributes,
            parameters,
            volatile,
        }
    }

    pub(super) fn not_applicable(&self, clauses: &[&Clause]) -> String {
        match self.facts(names(clauses)) {
            facts if facts.is_empty() => "does not apply to any resource".to_owned(),
            facts => cut(format!("does not apply: {facts}"), LENGTH),
        }
    }

    pub(super) fn fail(&self, clauses: &[&Clause], applies: &Expression) -> String {
        let mut reason = match self.facts(names(clauses)) {
            facts if facts.is_empty() => "no resource passes this test".to_owned(),
            facts => facts,
        };
        let parameters: Vec<String> = unique(clauses.iter().flat_map(|clause| &clause.parameters))
            .into_iter()
            .filter_map(|name| Some(format!("{name} = {}", show(self.parameters.get(name)?))))
            .collect();
        if !parameters.is_empty() {
            reason = format!("{reason}; against {}", parameters.join(", "));
        }
        match self.facts(applies.attributes()) {
            facts if facts.is_empty() => {}
            facts => reason = format!("{reason}; applies as {facts}"),
        }
        cut(reason, LENGTH)
    }

    pub(super) fn unknown(&self, clauses: &[(&Clause, Option<String>)]) -> String {
        let missing = unique(clauses.iter().flat_map(|(clause, _)| &clause.attributes));
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for name in missing
            .into_iter()
            .filter(|name| !self.attributes.contains_key(name))
        {
            let why = self.missing(name);
            match by_reason.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) => names.push(plain(name)),
                None => by_reason.push((why, vec![plain(name)])),
            }
        }
        let mut parts: Vec<String> = by_reason
            .into_iter()
            .map(|(why, names)| format!("{}: {why}", names.join(", ")))
            .collect();
        for error in unique(clauses.iter().filter_map(|(_, error)| error.as_ref())) {
            parts.push(format!("cannot be evaluated: {error}"));
        }
        cut(parts.join("; "), LENGTH)
    }

    fn missing(&self, name: &str) -> String {
        match self.resource.unknown.get(name) {
            Some(why) => plain(why),
            None if RESERVED.contains(&name) => {
                "the collector gives an attribute this reserved name".to_owned()
            }
            None => "not among what was collected".to_owned(),
        }
    }

    /// `login_shell = true, shell = "/bin/bash"`.
    fn facts<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> String {
        let fact = |name: &str| match self.attributes.get(name) {
            Some(_) if self.volatile.contains(&(self.resource.kind.as_str(), name)) => {
                format!("{} (varies: see the evidence)", plain(name))
            }
            Some(value) => format!("{} = {}", plain(name), show(value)),
            None => format!("{} unknown", plain(name)),
        };
        names.into_iter().map(fact).collect::<Vec<_>>().join(", ")
    }
}

fn names<'c>(clauses: &[&'c Clause]) -> Vec<&'c str> {
    unique(clauses.iter().flat_map(|clause| &clause.attributes))
}

fn unique<'n>(names: impl Iterator<Item = &'n String>) -> Vec<&'n str> {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name.as_str()) {
            once.push(name);
        }
    }
    once
}
