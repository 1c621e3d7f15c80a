//! `evidenced readiness`: criterion by criterion, what serves it, since when, what is missing, and who mends it by when.

use anyhow::Result;
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, instant, print_json, select, setup};
use crate::clock;
use crate::control::{Category, Criterion};
use crate::log::start;
use crate::readiness::{self, Readiness, Scope, Served, Serves, Serving};

/// What an auditor would find, criterion by criterion: controls, evidence, what is missing, and who mends it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced readiness
  evidenced readiness --at 2026-06-30                 as of the end of that day, for a Type I report
  evidenced readiness --category availability --category privacy
  evidenced readiness --period 2026-h1                its criteria, and its end to mend things by
  evidenced readiness --format json

A criterion is ready where a control serves it, each of its controls has evidence, none of them fails
or is unknown, and nothing that people owe is wanting. That is what evidenced sees, and not the
auditor's conclusion: whether the controls are enough is theirs to say.

JSON, an object:
  at, log      as of when, of which log
  ready        whether every criterion in scope is
  categories   security, which is always in, and the others in scope
  criteria     each with criterion, gloss (in our own words), state (ready, wanting or no_control),
               since {seq, time} (its first evidence), controls, attachments (seqs of files that were
               attached to the criterion itself) and missing
  controls     each with control, statement, owner, outcome, tests [{test, outcome, reason}], manual
               {every, state, due, newest}, since and missing
  missing      each with what, control, owner and by, a date; null where nobody said so

Exit code 0 where every criterion in scope is ready, 1 where one is not.")]
pub(super) struct Arguments {
    /// As of this time: RFC 3339, or a date, which means its end (UTC)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// In scope beside security: availability, confidentiality, processing-integrity or privacy; may be given more than
    /// once [default: each of which a control names a criterion]
    #[arg(long, value_name = "NAME")]
    category: Vec<String>,
    /// For an observation period of the configuration: its criteria are in scope, and what nobody dated is due by its end
    #[arg(long, value_name = "NAME")]
    period: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    log: &'a str,
    #[serde(flatten)]
    readiness: &'a Readiness,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let mut scope = Scope {
        categories: categories(&arguments.category)?,
        ..Scope::default()
    };
    if let Some(name) = &arguments.period {
        let period = select::period(common, Some(name))?;
        let included = |criterion: &Criterion| period.criteria.iter().any(|of| of.include(*criterion));
        scope.criteria = Criterion::all().filter(included).collect();
        scope.until = Some(period.last);
    }
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let now = clock::system().now();
    let at = instant::to(arguments.at.as_deref())?;
    if let Some(at) = at.filter(|at| *at > now + chrono::TimeDelta::days(1)) {
        return Err(UsageError::error(
            format!("--at {} is still to come", style::minute(at)),
            "what will be is not known: name today, or a day before it",
        ));
    }
    let at = at.unwrap_or(now).min(now);
    let end = readiness::end_at(&reader, at)?;
    let Some(readiness) = readiness::readiness(&reader, end, at, &scope)? else {
        return Err(UsageError::error(
            format!("nothing had been planned by {}", style::minute(at)),
            "run `evidenced collect --once`, which seals the controls, or name a later day",
        ));
    };
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                log: reader.origin().as_str(),
                readiness: &readiness,
            },
        )?,
        Format::Text => print_text(out, reader.origin().as_str(), &readiness)?,
    }
    Ok(if readiness.ready {
        Exit::Well
    } else {
        Exit::TestFails
    })
}

fn categories(names: &[String]) -> Result<Vec<Category>> {
    let read = |name: &String| {
        let found = Category::ALL
            .into_iter()
            .find(|category| category.as_str() == name);
        found.ok_or_else(|| {
            let known = Category::ALL.map(Category::as_str).join(", ");
            UsageError::error(
                format!("no category {name:?} is known"),
                format!("there are {known}"),
            )
        })
    };
    names.iter().map(read).collect()
}

/// Lines of a terminal that tells no width.
const WIDTH: usize = 100;

fn print_text(out: &mut dyn Write, log: &str, readiness: &Readiness) -> Result<()> {
    let style = Style::of_stdout();
    let width = style::width().unwrap_or(WIDTH).max(60);
    let count = |state| {
        let criteria = readiness.criteria.iter();
        criteria.filter(|served| served.state == state).count()
    };
    writeln!(
        out,
        "{} as of {}",
        style.strong(&format!("Readiness of {log}")),
        style::minute(readiness.at)
    )?;
    let scope: Vec<String> = readiness
        .categories
        .iter()
        .map(|category| title(*category))
        .collect();
    writeln!(
        out,
        "{} in scope ({})\n{}, {}, {}\n",
        style::count(readiness.criteria.len() as u64, "criterion", "criteria"),
        scope.join(", "),
        style.good(&format!("{} ready", count(Serves::Ready))),
        style.bad(&format!("{} wanting", count(Serves::Wanting))),
        style.bad(&format!("{} without a control", count(Serves::NoControl))),
    )?;
    for served in &readiness.criteria {
        print_criterion(out, style, served, width)?;
    }
    writeln!(out)?;
    print_wanted(out, style, readiness, width)
}

fn title(category: Category) -> String {
    let words = category.as_str().replace('-', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// How wide the columns before the gloss are.
const NUMBER: usize = 7;
const STATE: usize = 12;

/// How wide the outcome of a control is.
const OUTCOME: usize = 15;

fn print_criterion(out: &mut dyn Write, style: Style, served: &Served, width: usize) -> Result<()> {
    let number = style.strong(&format!("{:NUMBER$}", served.criterion.number()));
    let state = match served.state {
        Serves::Ready => style.good(&format!("{:STATE$}", "ready")),
        Serves::Wanting => style.bad(&format!("{:STATE$}", "wanting")),
        Serves::NoControl => style.bad(&format!("{:STATE$}", "no control")),
    };
    writeln!(out, "{number}{state}{}", style.faint(served.gloss))?;
    for serving in &served.controls {
        print_control(out, style, serving, width)?;
    }
    for seq in &served.attachments {
        writeln!(out, "{:NUMBER$}  attachment {seq}", "")?;
    }
    Ok(())
}

fn print_control(out: &mut dyn Write, style: Style, serving: &Serving, width: usize) -> Result<()> {
    let outcome = style.outcome_padded(serving.outcome, OUTCOME);
    let since = serving.since.map_or_else(
        || "no evidence yet".to_owned(),
        |since| format!("since {} (seq {})", since.time.format("%Y-%m-%d"), since.seq),
    );
    let by = [
        (!serving.tests.is_empty()).then(|| style::count(serving.tests.len() as u64, "test", "tests")),
        serving
            .manual
            .as_ref()
            .map(|manual| format!("{} evidence", frequency(&manual.every))),
    ];
    let by: Vec<String> = by.into_iter().flatten().collect();
    let by = if by.is_empty() {
        "nothing".to_owned()
    } else {
        by.join(" and ")
    };
    let about = format!("{}, by {by}, {since}", style::plain(&serving.owner));
    let indent = NUMBER + 2 + OUTCOME;
    let head = format!("{:NUMBER$}  {outcome}{}", "", serving.control);
    if indent + serving.control.len() + 2 + about.chars().count() <= width {
        writeln!(out, "{head}  {}", style.faint(&about))?;
    } else {
        writeln!(out, "{head}\n{:indent$}{}", "", style.faint(&about))?;
    }
    Ok(())
}

/// A calendar as people say it.
fn frequency(every: &str) -> &str {
    match every {
        "semiannually" => "half-yearly",
        line if line.contains(' ') => "scheduled",
        named => named,
    }
}

/// What to do, by who does it and then by when: once for each thing, however many criteria it leaves wanting.
fn print_wanted(out: &mut dyn Write, style: Style, readiness: &Readiness, width: usize) -> Result<()> {
    let mut wanted: BTreeMap<(Option<&str>, NaiveDate, &str, &str), Vec<&str>> = BTreeMap::new();
    for served in &readiness.criteria {
        for missing in &served.missing {
            let Some(control) = &missing.control else { continue };
            let by = missing.by.unwrap_or(NaiveDate::MAX);
            let thing = (
                missing.owner.as_deref(),
                by,
                control.as_str(),
                missing.what.as_str(),
            );
            wanted.entry(thing).or_default().push(served.criterion.number());
        }
    }
    let mut last = None;
    for ((owner, by, control, what), criteria) in &wanted {
        if last != Some(owner) {
            let owner = owner.map_or_else(|| "Nobody".to_owned(), style::plain);
            writeln!(out, "{} is to mend", style.strong(&owner))?;
        }
        last = Some(owner);
        let by = if *by == NaiveDate::MAX {
            String::new()
        } else {
            format!(", by {by}")
        };
        let text = format!("{control}: {}{by} ({})", style::plain(what), criteria.join(" "));
        print_wrapped(out, "  - ", &text, width)?;
    }
    if !wanted.is_empty() {
        writeln!(out)?;
    }
    let none = readiness
        .criteria
        .iter()
        .filter(|served| served.state == Serves::NoControl);
    let none: Vec<&str> = none.map(|served| served.criterion.number()).collect();
    if !none.is_empty() {
        let text = format!(
            "No control serves {}. One that people serve needs no test: give it an owner and `manual` in a control file, \
             and attach evidence.",
            none.join(" ")
        );
        print_wrapped(out, "", &text, width)?;
    }
    if readiness.ready {
        writeln!(out, "Nothing is missing that evidenced can see.")?;
    }
    Ok(())
}

/// Text in lines that fit, those after the first as far in as the first begins behind `lead`.
fn print_wrapped(out: &mut dyn Write, lead: &str, text: &str, width: usize) -> Result<()> {
    let indent = lead.chars().count();
    let mut line = lead.to_owned();
    let mut length = indent;
    for word in text.split(' ') {
        let added = word.chars().count() + usize::from(length > indent);
        if length > indent && length + added > width {
            writeln!(out, "{line}")?;
            line = " ".repeat(indent);
            length = indent;
        }
        if length > indent {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word.chars().count();
    }
    writeln!(out, "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_behind_their_lead_and_no_word_is_cut() {
        let mut out = Vec::new();
        print_wrapped(&mut out, "- ", "one two three fourteen-letters", 10).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "- one two\n  three\n  fourteen-letters\n");
    }
}
