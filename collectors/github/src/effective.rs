//! What protects a branch: its classic rule and its rulesets merged setting by setting, as attributes. Pure.
//!
//! What one layer asks for is in force, so that a layer that asks settles a setting, and one that could not be read
//! leaves open what no other asks for.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::Resource;

use crate::bypass::{self, OfRulesets};
use crate::layers::{Checks, Layer, Layers, Reviews, Said, any};

/// Whether layers ask for something, and which do.
type Asked<T> = (Said<T>, Vec<String>);

/// Adds the attributes of a branch's protection.
pub(crate) fn describe(mut resource: Resource, layers: &Layers, of_rulesets: &OfRulesets) -> Resource {
    let asked = |of: &dyn Fn(&Layer) -> Said<bool>| {
        let (said, from) = layers.asked(of);
        (said.map(Value::from), from)
    };
    let forbidden = |of: &dyn Fn(&Layer) -> Said<bool>| {
        let (said, from) = layers.asked(of);
        (said.map(|forbidden| Value::from(!forbidden)), from)
    };
    let of_reviews = |of: fn(&Reviews) -> &Said<bool>| asked(&|layer| any(layer.reviews.iter().map(of)));
    let of_checks = |of: fn(&Checks) -> &Said<bool>| asked(&|layer| any(layer.checks.iter().map(of)));

    let facts = [
        (
            "pull_request_required",
            asked(&|layer| Ok(!layer.reviews.is_empty())),
        ),
        ("required_approvals", layers.approvals()),
        (
            "dismiss_stale_reviews",
            of_reviews(|reviews| &reviews.dismiss_stale),
        ),
        (
            "require_last_push_approval",
            of_reviews(|reviews| &reviews.last_push),
        ),
        (
            "require_code_owner_review",
            of_reviews(|reviews| &reviews.code_owners),
        ),
        ("required_checks", layers.checks()),
        ("strict_checks", of_checks(|checks| &checks.strict)),
        ("require_signatures", asked(&|layer| layer.signatures.clone())),
        (
            "require_linear_history",
            asked(&|layer| layer.linear_history.clone()),
        ),
        (
            "require_conversation_resolution",
            asked(&|layer| layer.conversations.clone()),
        ),
        (
            "allow_force_pushes",
            forbidden(&|layer| layer.no_force_pushes.clone()),
        ),
        ("allow_deletions", forbidden(&|layer| layer.no_deletions.clone())),
        ("merge_queue", asked(&|layer| layer.merge_queue.clone())),
    ];
    let mut sources = BTreeMap::new();
    for (name, (value, from)) in facts {
        if !from.is_empty() {
            sources.insert(name.to_owned(), Value::from(from));
        }
        resource = resource.with_result(name, value);
    }
    resource
        .with_result("bypass_actors", bypass::in_force(layers, of_rulesets))
        .with("sources", Value::from_iter(sources))
}

impl Layers {
    /// Whether a review by code owners is in force.
    pub(crate) fn code_owners(&self) -> Said<bool> {
        let of = |layer: &Layer| any(layer.reviews.iter().map(|reviews| &reviews.code_owners));
        self.asked(&of).0
    }

    fn asked(&self, of: &dyn Fn(&Layer) -> Said<bool>) -> Asked<bool> {
        let said: Vec<_> = self.read.iter().map(of).collect();
        let from = self.read.iter().zip(&said);
        let from = from
            .filter(|(_, said)| **said == Ok(true))
            .map(|(layer, _)| layer.source.to_string())
            .collect();
        (any(said.iter().chain(&self.unread())), from)
    }

    /// What could not be read may ask for anything.
    fn unread(&self) -> Vec<Said<bool>> {
        self.unread.iter().cloned().map(Err).collect()
    }

    /// The highest number, and who asks for that many; where not all is known, the least that is asked for.
    fn approvals(&self) -> Asked<Value> {
        let counts = || {
            let layers = self.read.iter();
            layers.flat_map(|layer| {
                layer
                    .reviews
                    .iter()
                    .map(move |reviews| (layer, &reviews.approvals))
            })
        };
        let most = counts()
            .filter_map(|(_, count)| count.as_ref().ok().copied())
            .max();
        let most = most.unwrap_or_default();
        let open = counts().find_map(|(_, count)| count.as_ref().err());
        match open.or(self.unread.first()) {
            Some(reason) if most == 0 => (Err(reason.clone()), Vec::new()),
            _ => {
                let from = counts().filter(|(_, count)| most > 0 && **count == Ok(most));
                let from: BTreeSet<_> = from.map(|(layer, _)| layer.source.clone()).collect();
                (Ok(most.into()), from.iter().map(ToString::to_string).collect())
            }
        }
    }

    /// All names, and who asks for any; where not all is known, those that are asked for at least.
    fn checks(&self) -> Asked<Value> {
        let (mut names, mut from) = (BTreeSet::new(), BTreeSet::new());
        let mut open = self.unread.first();
        for layer in &self.read {
            for checks in &layer.checks {
                match &checks.names {
                    Err(reason) => open = open.or(Some(reason)),
                    Ok(more) => {
                        names.extend(more.iter().cloned());
                        from.extend((!more.is_empty()).then(|| layer.source.clone()));
                    }
                }
            }
        }
        match open {
            Some(reason) if names.is_empty() => (Err(reason.clone()), Vec::new()),
            _ => (
                Ok(names.into_iter().collect()),
                from.iter().map(ToString::to_string).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
