//! `evidenced drift`: what changed from snapshot to snapshot, and why.
//!
//! As JSON: `{"origin", "from", "to", "drifts", "left_out", "unreadable"}`. `from` is null from the beginning on, `to` is the
//! newest leaf's time unless told otherwise. `drifts`, oldest first, are as [`crate::drift::Drift`] says: `{"collector",
//! "source", "target", "from": {"seq", "time"}, "to": {"seq", "time"}, "resource": {"kind", "id", "name"} or null, "change":
//! {"what", …}, "cause"}`, where `what` is `finding` (`test`, `before`, `after`, `reason`), `setting` (`attribute`, `before`,
//! `after`, `paths`), `appeared` or `vanished` (`findings`), `target_came` or `target_left`. A `cause` is
//! `source`, `provider`, `exception`, `test`, `configuration` or `tool`. `left_out` counts what only
//! `--all` lists, by cause. `unreadable` are the snapshots and scopes of which nobody can say whether anything changed.

use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

use super::exit::Exit;
use super::select::{self, About, Within};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::control::{Outcome, TestId};
use crate::drift::{Cause, Change, Drift};
use crate::history::{History, HistoryError};
use crate::log::leaf::format_time;
use crate::log::store::{Entry, Filter, Reader};

/// What changed from snapshot to snapshot, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each change is told against the last snapshot in which the state was known. Listed is what
changed at the source; --all adds what changed because of a test, an exception, the
configuration, the tool or the provider.

Examples:
  evidenced drift --from 2026-01-01 --to 2026-03-31
  evidenced drift --target web-1 --test host-disk-encrypted
  evidenced drift --all --format json")]
pub(super) struct Arguments {
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    about: About,
    /// Only what this test says something of
    #[arg(long, value_name = "ID")]
    test: Option<String>,
    /// Also changes that are not the source's doing, each with its cause
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Shown {
    origin: String,
    from: Option<String>,
    to: String,
    drifts: Vec<Drift>,
    left_out: BTreeMap<Cause, u64>,
    unreadable: Vec<u64>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let filter = select::filter(common, &arguments.within, &arguments.about)?;
    let mut shown = Shown {
        origin: reader.origin().to_string(),
        from: filter.from.clone(),
        to: match &filter.to {
            Some(to) => to.clone(),
            None => now(&reader)?,
        },
        drifts: Vec::new(),
        left_out: BTreeMap::new(),
        unreadable: Vec::new(),
    };
    let mut history = History::default();
    for entry in entries(&reader, &filter)? {
        let drifts = match history.drifts_of(&reader, entry.seq) {
            Err(HistoryError::Unreadable(seq)) => {
                shown.unreadable.push(seq);
                continue;
            }
            drifts => drifts?,
        };
        let concerns = |drift: &Drift| {
            let target = filter.target.as_ref();
            let test = arguments.test.as_ref();
            target.is_none_or(|target| *target == drift.target)
                && test.is_none_or(|test| drift.is_of_test(test))
        };
        for drift in drifts.into_iter().filter(concerns) {
            if arguments.all || drift.cause == Cause::Source {
                shown.drifts.push(drift);
            } else {
                *shown.left_out.entry(drift.cause).or_default() += 1;
            }
        }
    }
    shown.drifts.sort_by_key(|drift| (drift.to.seq, drift.from.seq));
    shown.unreadable.sort_unstable();
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &shown)?,
    }
    Ok(Exit::Well)
}

/// The newest leaf's time.
fn now(reader: &Reader) -> Result<String> {
    let newest = reader.size()?.saturating_sub(1);
    let leaf = reader.leaf(newest)?;
    Ok(leaf.map_or_else(String::new, |leaf| format_time(leaf.time)))
}

/// The snapshots and scopes that are asked for: target by target, oldest first, since neighbours share what is read.
fn entries(reader: &Reader, filter: &Filter) -> Result<Vec<Entry>> {
    let mut entries = reader.entries(&Filter {
        kinds: vec!["snapshot".to_owned()],
        ..filter.clone()
    })?;
    // A scope is about no one target: which came or left is in its payload.
    entries.extend(reader.entries(&Filter {
        kinds: vec!["scope".to_owned()],
        target: None,
        ..filter.clone()
    })?);
    entries.sort_by(|a, b| {
        let (one, other) = (
            (&a.collector, &a.source, &a.target),
            (&b.collector, &b.source, &b.target),
        );
        (one, a.seq).cmp(&(other, b.seq))
    });
    Ok(entries)
}

fn print_text(out: &mut dyn Write, shown: &Shown) -> Result<()> {
    let style = Style::of_stdout();
    let mut last = None;
    for drift in &shown.drifts {
        let target = drift.resource.as_ref().map(|_| drift.target.as_str());
        let place = (drift.from, drift.to, &drift.collector, &drift.source, target);
        if last.replace(place) != Some(place) {
            let leaves = if target.is_some() { "snapshots" } else { "scopes" };
            let about = [
                Some(drift.collector.as_str()),
                Some(drift.source.as_str()),
                target,
            ];
            let about: Vec<_> = about.into_iter().flatten().map(style::plain).collect();
            writeln!(
                out,
                "{} {}, {leaves} {} → {}",
                style::minute(drift.to.time),
                style.strong(&about.join(" ")),
                drift.from.seq,
                drift.to.seq
            )?;
        }
        print_drift(out, style, drift)?;
    }
    if shown.drifts.is_empty() {
        let from = shown.from.as_deref().unwrap_or("the beginning");
        writeln!(out, "No drift from {from} to {}.", shown.to)?;
    }
    for seq in &shown.unreadable {
        let what = "can't be read: nobody can say whether anything changed with it";
        writeln!(out, "{} leaf {seq} {what}", style.bad("!"))?;
    }
    if !shown.left_out.is_empty() {
        let others = shown.left_out.iter();
        let others: Vec<_> = others
            .map(|(cause, count)| format!("{}: {count}", cause.words()))
            .collect();
        let others = format!(
            "Not the source's doing ({}): `--all` lists it.",
            others.join(", ")
        );
        writeln!(out, "{}", style.faint(&others))?;
    }
    Ok(())
}

fn print_drift(out: &mut dyn Write, style: Style, drift: &Drift) -> Result<()> {
    let (kind, id) = match &drift.resource {
        Some(resource) => (resource.kind.as_str(), resource.id.as_str()),
        None => ("target", drift.target.as_str()),
    };
    let named = format!("{} {}", style::plain(kind), style.strong(&style::plain(id)));
    let mut inside: &[_] = &[];
    let what = match &drift.change {
        Change::TargetCame => format!("{} {named}", style.good("+")),
        Change::Appeared { findings } => format!("{} {named}{}", style.good("+"), bad(style, findings)),
        Change::Vanished { .. } | Change::TargetLeft => format!("{} {named}", style.bad("-")),
        Change::Setting {
            attribute,
            before,
            after,
            paths,
        } => {
            let attribute = style::plain(attribute);
            inside = paths;
            if paths.is_empty() {
                let (before, after) = (style::side(before), style::side(after));
                format!("~ {named}: {attribute} {before} → {after}")
            } else {
                format!("~ {named}: {attribute}, inside")
            }
        }
        Change::Finding {
            test,
            before,
            after,
            reason,
        } => {
            let word = |outcome: &Option<Outcome>| match outcome {
                Some(outcome) => style.outcome(*outcome),
                None => "none".to_owned(),
            };
            let reason = match reason.as_str() {
                "" => String::new(),
                reason => format!(": {}", style::plain(reason)),
            };
            let test = style.strong(test.as_str());
            let on = style::plain(id);
            format!("! {test} on {on}: {} → {}{reason}", word(before), word(after))
        }
    };
    writeln!(out, "  {what}  {}", style.faint(&format!("({})", cause(drift))))?;
    for place in inside {
        let value = |value: &Option<serde_json::Value>| match value {
            Some(value) => style::plain(&value.to_string()),
            None => "absent".to_owned(),
        };
        let (before, after) = (value(&place.before), value(&place.after));
        writeln!(out, "      {} {before} → {after}", style::plain(&place.path))?;
    }
    Ok(())
}

fn cause(drift: &Drift) -> &'static str {
    match drift.cause {
        Cause::Source if drift.is_to_unknown() => "no longer known",
        cause => cause.words(),
    }
}

/// The tests that do not hold of what is new.
fn bad(style: Style, findings: &BTreeMap<TestId, Outcome>) -> String {
    let bad = findings
        .iter()
        .filter(|(_, outcome)| **outcome < Outcome::Pass)
        .map(|(test, outcome)| format!("{test} {}", style.outcome(*outcome)));
    let bad: Vec<_> = bad.collect();
    if bad.is_empty() {
        String::new()
    } else {
        format!(": {}", bad.join(", "))
    }
}
