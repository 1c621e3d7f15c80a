//! Which attributes of a resource differ, and where inside.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

use evidenced_collector_api::Resource;

/// What is known of an attribute. As JSON: `{"known": …}`, `{"unknown": "reason"}` or `"absent"`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Its value.
    Known(Value),
    /// Why nobody can say.
    Unknown(String),
    /// The resource has no such attribute.
    Absent,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen<'a> {
    Known(&'a Value),
    Unknown(&'a str),
    Absent,
}

impl<'a> Seen<'a> {
    pub(super) fn of(resource: &'a Resource, attribute: &str) -> Self {
        // The contract forbids both; should it be both, it is unknown, as it is to tests.
        match (
            resource.unknown.get(attribute),
            resource.attributes.get(attribute),
        ) {
            (Some(reason), _) => Self::Unknown(reason),
            (None, Some(value)) => Self::Known(value),
            (None, None) => Self::Absent,
        }
    }

    pub(super) fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl From<Seen<'_>> for Side {
    fn from(seen: Seen<'_>) -> Self {
        match seen {
            Seen::Known(value) => Self::Known(value.clone()),
            Seen::Unknown(reason) => Self::Unknown(reason.to_owned()),
            Seen::Absent => Self::Absent,
        }
    }
}

/// An attribute that differs between two snapshots of a resource. The resource's name counts as one, `name`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Which.
    pub attribute: String,
    /// What it was.
    pub before: Side,
    /// What it is.
    pub after: Side,
}

/// Every attribute that differs, the name first. Reasons why something is unknown count too.
pub fn differences(before: &Resource, after: &Resource) -> Vec<Difference> {
    let mut found = Vec::new();
    if before.name != after.name {
        found.push(Difference {
            attribute: "name".to_owned(),
            before: Side::Known(before.name.clone().into()),
            after: Side::Known(after.name.clone().into()),
        });
    }
    found.extend(
        differing(before, after).map(|(attribute, before, after)| Difference {
            attribute: attribute.to_owned(),
            before: before.into(),
            after: after.into(),
        }),
    );
    found
}

/// The attributes that differ, the name aside, in their order.
pub(super) fn differing<'a>(
    before: &'a Resource,
    after: &'a Resource,
) -> impl Iterator<Item = (&'a str, Seen<'a>, Seen<'a>)> {
    let same = before.attributes == after.attributes && before.unknown == after.unknown;
    let names: BTreeSet<&str> = [before, after]
        .into_iter()
        .filter(|_| !same)
        .flat_map(|resource| resource.attributes.keys().chain(resource.unknown.keys()))
        .map(String::as_str)
        .collect();
    names
        .into_iter()
        .map(|name| (name, Seen::of(before, name), Seen::of(after, name)))
        .filter(|(_, before, after)| before != after)
}

/// A place inside a nested value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathChange {
    /// The place, as an RFC 6901 pointer. What is new in a list is named by its place there, all else by where it was.
    pub path: String,
    /// What was there; not given where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there; not given where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Where two nested values differ inside; nothing where they are not both lists or both maps.
pub(super) fn paths(before: Seen<'_>, after: Seen<'_>) -> Vec<PathChange> {
    let mut found = Vec::new();
    if let (Seen::Known(before), Seen::Known(after)) = (before, after) {
        match (before, after) {
            (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
                walk("", Some(before), Some(after), &mut found);
            }
            _ => {}
        }
    }
    found
}

fn walk(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<PathChange>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let step = key.replace('~', "~0").replace('/', "~1");
                walk(&format!("{path}/{step}"), before.get(key), after.get(key), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            // What both begin and end with is the same: one new item is one difference.
            let pairs = before.iter().zip(after);
            let head = pairs.take_while(|(before, after)| before == after).count();
            let (before, after) = (&before[head..], &after[head..]);
            let pairs = before.iter().rev().zip(after.iter().rev());
            let tail = pairs.take_while(|(before, after)| before == after).count();
            let (before, after) = (&before[..before.len() - tail], &after[..after.len() - tail]);
            for at in 0..before.len().max(after.len()) {
                let step = format!("{path}/{}", head + at);
                walk(&step, before.get(at), after.get(at), found);
            }
        }
        (before, after) => found.push(PathChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(before: &Value, after: &Value) -> Vec<String> {
        let found = paths(Seen::Known(before), Seen::Known(after));
        let show = |side: Option<Value>| side.map_or_else(|| "-".to_owned(), |value| value.to_string());
        found
            .into_iter()
            .map(|change| format!("{} {} {}", change.path, show(change.before), show(change.after)))
            .collect()
    }

    #[test]
    fn of_nested_values_the_places_that_differ_are_named() {
        for (before, after, expected) in [
            (json!(1), json!(2), vec![]),
            (json!({"a": 1}), json!([1]), vec![]),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), vec!["/b 2 3"]),
            (
                json!({"a": {"b": null}}),
                json!({"a": {}, "c": null}),
                vec!["/a/b null -", "/c - null"],
            ),
            (json!({"x/y~z": 1}), json!({}), vec!["/x~1y~0z 1 -"]),
            (json!([1, 2, 3]), json!([0, 1, 2, 3]), vec!["/0 - 0"]),
            (json!([1, 2, 3]), json!([1, 3]), vec!["/1 2 -"]),
            (
                json!([{"id": 1, "on": true}, {"id": 2}]),
                json!([{"id": 1, "on": false}, {"id": 2}]),
                vec!["/0/on true false"],
            ),
            (json!([1, 1]), json!([1]), vec!["/1 1 -"]),
        ] {
            assert_eq!(places(&before, &after), expected, "{before} {after}");
        }
    }

    #[test]
    fn a_difference_says_what_was_known_unknown_or_absent() {
        let before = Resource::new("a.b", "x", "old", 0)
            .with("gone", 1)
            .with("same", 1)
            .with_result::<u64>("hidden", Err("not allowed".to_owned()));
        let after = Resource::new("a.b", "x", "new", 0)
            .with("same", 1)
            .with("hidden", 2);
        let found = serde_json::to_value(differences(&before, &after)).unwrap();
        assert_eq!(
            found,
            json!([
                { "attribute": "name", "before": { "known": "old" }, "after": { "known": "new" } },
                { "attribute": "gone", "before": { "known": 1 }, "after": "absent" },
                { "attribute": "hidden", "before": { "unknown": "not allowed" }, "after": { "known": 2 } },
            ])
        );
    }
}
