//! `evidenced diff A B`: what changed between two snapshots.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use evidenced_collector_api::Resource;

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::log::leaf::{self, Body, Leaf, Role, SnapshotLeaf};
use crate::log::store::Reader;
use crate::plan::Plan;
use crate::round;

/// What changed between two snapshots
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced log --kind snapshot    which there are
  evidenced diff 3 5")]
pub(super) struct Arguments {
    /// The earlier snapshot's position in the log
    a: u64,
    /// The later snapshot's
    b: u64,
    /// Also attributes that change by themselves, such as the time since the last start
    #[arg(long)]
    volatile: bool,
}

#[derive(Serialize)]
struct Shown {
    a: u64,
    b: u64,
    /// Whether each is the whole population: what an incomplete one does not hold may be there all the same.
    complete: [bool; 2],
    /// Whether each has been judged.
    judged: [bool; 2],
    appeared: Vec<Name>,
    vanished: Vec<Name>,
    changed: Vec<Change>,
    findings: Vec<FindingChange>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Name {
    kind: String,
    id: String,
}

/// An attribute that differs. A side is null where the attribute is not there.
#[derive(Serialize)]
struct Change {
    kind: String,
    id: String,
    attribute: String,
    before: Side,
    after: Side,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Known(Value),
    Unknown(String),
    Absent,
}

#[derive(Serialize)]
struct FindingChange {
    test: String,
    resource: String,
    before: Option<String>,
    after: Option<String>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let (first, last) = (arguments.a, arguments.b);
    if first >= last {
        return Err(UsageError::error(
            format!("snapshot {first} is not earlier than {last}"),
            format!("give the earlier one first: `evidenced diff {last} {first}`"),
        ));
    }
    let reader = setup::reader(common)?;
    let (a, b) = (snapshot(&reader, arguments.a)?, snapshot(&reader, arguments.b)?);
    let about = |snapshot: &SnapshotLeaf| {
        (
            snapshot.collector.clone(),
            snapshot.source.clone(),
            snapshot.target.clone(),
        )
    };
    if about(&a.1) != about(&b.1) {
        return Err(UsageError::error(
            format!(
                "snapshots {} and {} are of different collectors, sources or targets",
                arguments.a, arguments.b
            ),
            "`evidenced log --kind snapshot` shows which belong together",
        ));
    }
    let volatile = if arguments.volatile {
        BTreeSet::new()
    } else {
        volatile(&reader, &b.1)?
    };
    let (before, after) = (
        by_name(&reader, arguments.a, &a.0)?,
        by_name(&reader, arguments.b, &b.0)?,
    );
    let shown = Shown {
        a: arguments.a,
        b: arguments.b,
        complete: [a.1.complete, b.1.complete],
        judged: [
            reader.evaluation_of(first)?.is_some(),
            reader.evaluation_of(last)?.is_some(),
        ],
        appeared: after
            .keys()
            .filter(|name| !before.contains_key(*name))
            .cloned()
            .collect(),
        vanished: before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .cloned()
            .collect(),
        changed: changes(&before, &after, &volatile),
        findings: finding_changes(&findings(&reader, arguments.a)?, &findings(&reader, arguments.b)?),
    };
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &shown, arguments.volatile)?,
    }
    Ok(Exit::Well)
}

fn snapshot(reader: &Reader, seq: u64) -> Result<(Leaf, SnapshotLeaf)> {
    let leaf = match setup::committed_leaf(reader, seq)? {
        Some(bytes) => Some(leaf::decode(&bytes)?),
        None => None,
    };
    match leaf.as_ref().and_then(|leaf| leaf.body.clone()) {
        Some(Body::Snapshot(body)) => Ok((leaf.context("the leaf is gone")?, body)),
        _ => Err(UsageError::error(
            format!("leaf {seq} is no snapshot"),
            "`evidenced log --kind snapshot` lists them",
        )),
    }
}

fn volatile(reader: &Reader, snapshot: &SnapshotLeaf) -> Result<BTreeSet<(String, String)>> {
    let plan = Plan::sealed(reader, snapshot.plan)?;
    let collector = plan.lists.collectors.get(&snapshot.collector);
    Ok(collector
        .map(|collector| collector.volatile.iter().cloned().collect())
        .unwrap_or_default())
}

fn by_name(reader: &Reader, seq: u64, leaf: &Leaf) -> Result<BTreeMap<Name, Resource>> {
    let resources = round::resources(reader, seq, leaf)?;
    Ok(resources
        .into_iter()
        .map(|resource| {
            (
                Name {
                    kind: resource.kind.clone(),
                    id: resource.id.clone(),
                },
                resource,
            )
        })
        .collect())
}

fn changes(
    before: &BTreeMap<Name, Resource>,
    after: &BTreeMap<Name, Resource>,
    volatile: &BTreeSet<(String, String)>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, old) in before {
        let Some(new) = after.get(name) else { continue };
        let attributes: BTreeSet<&String> = [&old.attributes, &new.attributes]
            .into_iter()
            .flat_map(BTreeMap::keys)
            .chain(old.unknown.keys())
            .chain(new.unknown.keys())
            .collect();
        if old.name != new.name {
            changes.push(Change {
                kind: name.kind.clone(),
                id: name.id.clone(),
                attribute: "name".to_owned(),
                before: Side::Known(old.name.clone().into()),
                after: Side::Known(new.name.clone().into()),
            });
        }
        for attribute in attributes {
            let (before, after) = (side(old, attribute), side(new, attribute));
            if before != after && !volatile.contains(&(name.kind.clone(), attribute.clone())) {
                changes.push(Change {
                    kind: name.kind.clone(),
                    id: name.id.clone(),
                    attribute: attribute.clone(),
                    before,
                    after,
                });
            }
        }
    }
    changes
}

fn side(resource: &Resource, attribute: &str) -> Side {
    match (
        resource.attributes.get(attribute),
        resource.unknown.get(attribute),
    ) {
        (Some(value), _) => Side::Known(value.clone()),
        (None, Some(reason)) => Side::Unknown(reason.clone()),
        (None, None) => Side::Absent,
    }
}

/// Outcomes by test and resource.
fn findings(reader: &Reader, snapshot: u64) -> Result<BTreeMap<(String, String), String>> {
    let Some(seq) = reader.evaluation_of(snapshot)? else {
        return Ok(BTreeMap::new());
    };
    let blobs = reader.leaf(seq)?.map(|leaf| leaf.blobs).unwrap_or_default();
    let Some(blob) = blobs.iter().find(|blob| blob.role == Role::Findings) else {
        return Ok(BTreeMap::new());
    };
    let payload: Value = serde_json::from_slice(&reader.payload(&blob.sha256)?.unwrap_or_default())?;
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let findings = payload["findings"].as_array().into_iter().flatten();
    Ok(findings
        .map(|finding| {
            (
                (text(finding, "test"), text(finding, "resource")),
                text(finding, "outcome"),
            )
        })
        .collect())
}

fn finding_changes(
    before: &BTreeMap<(String, String), String>,
    after: &BTreeMap<(String, String), String>,
) -> Vec<FindingChange> {
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = all.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differing
        .map(|key| FindingChange {
            test: key.0.clone(),
            resource: key.1.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect()
}

fn print_text(out: &mut dyn Write, shown: &Shown, volatile: bool) -> Result<()> {
    let style = Style::of_stdout();
    for (seq, complete, judged) in [
        (shown.a, shown.complete[0], shown.judged[0]),
        (shown.b, shown.complete[1], shown.judged[1]),
    ] {
        if !complete {
            let what = "is incomplete: what it does not hold may be there all the same";
            writeln!(out, "{} snapshot {seq} {what}", style.bad("!"))?;
        }
        if !judged {
            writeln!(out, "{} snapshot {seq} is not judged yet", style.bad("!"))?;
        }
    }
    if shown.appeared.is_empty()
        && shown.vanished.is_empty()
        && shown.changed.is_empty()
        && shown.findings.is_empty()
    {
        let aside = if volatile {
            ""
        } else {
            " (but perhaps what changes by itself: --volatile)"
        };
        writeln!(
            out,
            "Nothing changed between snapshots {} and {}{aside}.",
            shown.a, shown.b
        )?;
    }
    let plain_name = |name: &Name| {
        let (kind, id) = (style::plain(&name.kind), style::plain(&name.id));
        format!("{kind} {}", style.strong(&id))
    };
    for name in &shown.appeared {
        writeln!(out, "{} {}", style.good("+"), plain_name(name))?;
    }
    for name in &shown.vanished {
        writeln!(out, "{} {}", style.bad("-"), plain_name(name))?;
    }
    for change in &shown.changed {
        writeln!(
            out,
            "~ {} {}: {} {} → {}",
            style::plain(&change.kind),
            style.strong(&style::plain(&change.id)),
            style::plain(&change.attribute),
            words(&change.before),
            words(&change.after)
        )?;
    }
    for finding in &shown.findings {
        let word = |outcome: &Option<String>| outcome.clone().unwrap_or_else(|| "none".to_owned());
        writeln!(
            out,
            "! {} on {}: {} → {}",
            style.strong(&finding.test),
            style::plain(&finding.resource),
            word(&finding.before),
            word(&finding.after)
        )?;
    }
    Ok(())
}

fn words(side: &Side) -> String {
    match side {
        Side::Known(value) => style::plain(&value.to_string()),
        Side::Unknown(reason) => format!("unknown ({})", style::plain(reason)),
        Side::Absent => "absent".to_owned(),
    }
}
