//! `evidenced diff A B`: what changed between two snapshots.

use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::control::{Outcome, TestId};
use crate::drift::{Difference, Resources, Said, differences};
use crate::history;
use crate::log::leaf::{self, Body, Leaf, SnapshotLeaf};
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

#[derive(Serialize)]
struct Name {
    kind: String,
    id: String,
}

#[derive(Serialize)]
struct Change {
    kind: String,
    id: String,
    #[serde(flatten)]
    difference: Difference,
}

/// A side is null where the resource has no finding.
#[derive(Serialize)]
struct FindingChange {
    test: TestId,
    resource: String,
    before: Option<Outcome>,
    after: Option<Outcome>,
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
    let resources = |leaf: &Leaf| round::resources(&reader, leaf.seq, leaf).map(Resources::new);
    let (before, after) = (resources(&a.0)?, resources(&b.0)?);
    let shown = Shown {
        a: arguments.a,
        b: arguments.b,
        complete: [a.1.complete, b.1.complete],
        judged: [
            reader.evaluation_of(first)?.is_some(),
            reader.evaluation_of(last)?.is_some(),
        ],
        appeared: missing(&after, &before),
        vanished: missing(&before, &after),
        changed: changes(&before, &after, &volatile),
        findings: finding_changes(&findings(&reader, first)?, &findings(&reader, last)?),
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

/// The resources that another snapshot lacks.
fn missing(of: &Resources, other: &Resources) -> Vec<Name> {
    of.iter()
        .filter(|resource| other.get(&resource.kind, &resource.id).is_none())
        .map(|resource| Name {
            kind: resource.kind.clone(),
            id: resource.id.clone(),
        })
        .collect()
}

fn changes(before: &Resources, after: &Resources, volatile: &BTreeSet<(String, String)>) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in before.iter() {
        let Some(new) = after.get(&old.kind, &old.id) else {
            continue;
        };
        for difference in differences(old, new) {
            if !volatile.contains(&(old.kind.clone(), difference.attribute.clone())) {
                changes.push(Change {
                    kind: old.kind.clone(),
                    id: old.id.clone(),
                    difference,
                });
            }
        }
    }
    changes
}

/// Outcomes by test and resource.
fn findings(reader: &Reader, snapshot: u64) -> Result<BTreeMap<(TestId, String), Outcome>> {
    let findings = history::findings_of(reader, snapshot)?.unwrap_or_default();
    let outcome = |(test, resource, said): (&TestId, &str, &Said)| {
        let key = (test.clone(), resource.to_owned());
        (key, said.outcome)
    };
    Ok(findings.iter().map(outcome).collect())
}

fn finding_changes(
    before: &BTreeMap<(TestId, String), Outcome>,
    after: &BTreeMap<(TestId, String), Outcome>,
) -> Vec<FindingChange> {
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = all.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differing
        .map(|key| FindingChange {
            test: key.0.clone(),
            resource: key.1.clone(),
            before: before.get(key).copied(),
            after: after.get(key).copied(),
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
            style::plain(&change.difference.attribute),
            style::side(&change.difference.before),
            style::side(&change.difference.after)
        )?;
    }
    for finding in &shown.findings {
        let word = |outcome: Option<Outcome>| outcome.map_or("none", Outcome::as_str);
        writeln!(
            out,
            "! {} on {}: {} → {}",
            style.strong(finding.test.as_str()),
            style::plain(&finding.resource),
            word(finding.before),
            word(finding.after)
        )?;
    }
    Ok(())
}
