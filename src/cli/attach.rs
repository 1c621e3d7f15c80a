//! `evidenced attach FILE`: seal evidence that people bring.

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError};
use super::statement::{self, NAME, PROSE};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::config::{Config, Environment, closest};
use crate::control::{Control, Criterion, Rules};
use crate::log::append::Draft;
use crate::log::leaf::{Attachment, Body, Days, Role, format_time};
use crate::log::store::Reader;
use crate::manual;
use crate::period::manual::{Due, DueState};
use crate::plan::Plan;

mod media_type;

/// Seal a file that people bring as evidence: a review, an approval, a report
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced attach access-review-q3.pdf --control access-review \\
    --title \"Access review, third quarter\" --covers 2026-07-01..2026-09-30 \\
    --prepared-by \"Ann Smith\" --approved-by \"Bob Jones\"
  evidenced attach soc2-hoster.pdf --criterion CC9.2 --title \"SOC 2 report of the hoster\" \\
    --covers 2025-07-01..2026-06-30 --prepared-by \"Ann Smith\" --approved-by \"Bob Jones\"
  evidenced log --kind attachment            what was attached
  evidenced show SEQ --blob file > FILE      the file again, byte for byte

The file is sealed like any other evidence, and counts as given now, whatever days it covers: after
its due date it is late. Where a control owes evidence on a calendar (`manual` in its [[control]]),
it goes to the last due date that has passed, if nothing was given for that yet, else to the next.
Who prepared and approved it is what whoever records it says, so that auditors read \"approval
asserted by\". Nothing can be taken out again but by redaction: attach no secrets.")]
pub(super) struct Arguments {
    /// The file
    file: PathBuf,
    /// The control that it is evidence for; may be given more than once
    #[arg(long, value_name = "ID", required_unless_present = "criterion")]
    control: Vec<String>,
    /// A criterion that it is evidence for, where no control is; may be given more than once
    #[arg(long, value_name = "NUMBER")]
    criterion: Vec<String>,
    /// What it is, for the auditor
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// The day or days that it speaks for, both included: 2026-07-01..2026-09-30
    #[arg(long, value_name = "DATE|FROM..TO")]
    covers: String,
    /// Who made it
    #[arg(long, value_name = "NAME")]
    prepared_by: String,
    /// Who approved it: somebody else
    #[arg(long, value_name = "NAME")]
    approved_by: String,
    /// What an auditor should know of it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    seq: u64,
    /// When it was sealed, which is when it counts as given.
    time: String,
    #[serde(flatten)]
    attachment: &'a Attachment,
    media_type: &'static str,
    /// Bytes of the file.
    size: u64,
    /// Of the blob, salt and all.
    sha256: String,
    /// How the approval is known: nothing but the word of whoever recorded it.
    approval: &'static str,
    /// The due dates that it met.
    met: Vec<ShownDue>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ShownDue {
    control: String,
    due: String,
    day: NaiveDate,
    state: DueState,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let environment = Environment::of_process();
    let limit = Config::find(common.config.as_deref(), &environment)?.attachments_limit;
    let attachment = asked(arguments)?;
    let rules = check_plan(&reader, &attachment)?;
    let payload = read(&arguments.file, limit)?;
    let media_type = media_type::of(&attachment.file, &payload);
    let draft =
        Draft::new(Body::Attachment(attachment.clone())).with_blob(Role::File, media_type, &payload)?;
    let receipt = setup::appender(&reader, clock::system())?.append_blocking(draft)?;
    let leaf = reader.leaf(receipt.seq)?.context("the leaf can't be read")?;
    let sha256 = leaf.blobs.first().map(|blob| hex::encode(blob.sha256));
    let (met, mut notes) = (
        met(&reader, receipt.seq, leaf.time)?,
        notes(&attachment, leaf.time),
    );
    let further = attachment.controls.iter().filter(|id| owes(&rules, id));
    for control in further.filter(|id| met.iter().all(|met| met.control != **id)) {
        notes.push(format!(
            "{control}: it is further evidence and meets no due date: the last one was met already, or the days that it \
             covers lie before"
        ));
    }
    let shown = Shown {
        seq: receipt.seq,
        time: format_time(leaf.time),
        attachment: &attachment,
        media_type,
        size: payload.len() as u64,
        sha256: sha256.unwrap_or_default(),
        approval: "asserted",
        met,
        notes,
    };
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &shown)?,
    }
    Ok(Exit::Well)
}

/// What is to be recorded, as far as it can be judged without the log.
fn asked(arguments: &Arguments) -> Result<Attachment> {
    let title = statement::checked("--title", &arguments.title, PROSE)?;
    let prepared_by = statement::checked("--prepared-by", &arguments.prepared_by, NAME)?;
    let approved_by = statement::checked("--approved-by", &arguments.approved_by, NAME)?;
    let note = statement::checked_if_given("--note", arguments.note.as_deref(), PROSE)?;
    if statement::is_same_person(&prepared_by, &approved_by) {
        return Err(UsageError::error(
            format!("{prepared_by} can't approve what {prepared_by} prepared"),
            "name in --approved-by who else looked at it",
        ));
    }
    let name = arguments.file.file_name().map(|name| name.to_string_lossy());
    let file = statement::checked("the file's name", &name.unwrap_or_default(), NAME)?;
    let unique = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    Ok(Attachment {
        controls: unique(&arguments.control),
        criteria: criteria(&unique(&arguments.criterion))?,
        title,
        covers: covers(&arguments.covers)?,
        file,
        prepared_by,
        approved_by,
        recorded_by: setup::os_user(),
        note,
    })
}

fn criteria(numbers: &[String]) -> Result<Vec<String>> {
    for number in numbers {
        if let Err(wrong) = Criterion::parse(number) {
            let known: Vec<&str> = Criterion::all().map(Criterion::number).collect();
            let help = match closest(&number.to_uppercase(), &known) {
                Some(close) => format!("did you mean {close}?"),
                None => "write its number as the AICPA does".to_owned(),
            };
            return Err(UsageError::error(wrong, help));
        }
    }
    Ok(numbers.to_vec())
}

fn covers(text: &str) -> Result<Days> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let day = |text: &str| {
        NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map_err(|_| {
            UsageError::error(
                format!("--covers {text:?} is no day"),
                "write 2026-09-30, or the first and the last day: 2026-07-01..2026-09-30",
            )
        })
    };
    let days = Days {
        from: day(from)?,
        to: day(to)?,
    };
    if days.to < days.from {
        return Err(UsageError::error(
            format!("--covers {text} ends before it begins"),
            "write the first day, two dots and the last day",
        ));
    }
    Ok(days)
}

/// The controls must be in the newest plan, or nobody would ever look at the file.
fn check_plan(reader: &Reader, attachment: &Attachment) -> Result<Rules> {
    let Some(plan) = reader.newest("plan", None)? else {
        return Err(UsageError::error(
            "nothing has been planned yet, so that no control is in force",
            "run `evidenced collect --once`, which seals the controls",
        ));
    };
    let rules = Plan::sealed_lists(reader, plan)?.rules;
    for id in &attachment.controls {
        planned(&rules, id)?;
    }
    Ok(rules)
}

fn owes(rules: &Rules, id: &str) -> bool {
    let mut controls = rules.controls.iter();
    controls.any(|control| control.id.as_str() == id && control.manual.is_some())
}

fn planned<'a>(rules: &'a Rules, id: &str) -> Result<&'a Control> {
    match rules.controls.iter().find(|control| control.id.as_str() == id) {
        Some(control) if control.enabled => Ok(control),
        Some(_) => Err(UsageError::error(
            format!("the control {id} is switched off"),
            "attach it for a control that the company has, or for a criterion",
        )),
        None => {
            let known: Vec<&str> = rules.controls.iter().map(|control| control.id.as_str()).collect();
            let help = match closest(id, &known) {
                Some(close) => format!("did you mean {close}?"),
                None => format!(
                    "the controls are {}; one that is new comes into force with the next `evidenced collect`",
                    known.join(", ")
                ),
            };
            Err(UsageError::error(
                format!("no control {id:?} is in the plan"),
                help,
            ))
        }
    }
}

/// The whole file, if it is one and not too large.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let shown = style::plain(&path.display().to_string());
    let unreadable = |error: std::io::Error| {
        UsageError::error(
            format!("{shown} can't be read: {error}"),
            "check the path, and that this user may read it",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(UsageError::error(
            format!("{shown} is not a file"),
            "pack a folder into one file first",
        ));
    }
    let mut payload = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut payload)
        .map_err(unreadable)?;
    if payload.is_empty() {
        return Err(UsageError::error(
            format!("{shown} is empty"),
            "an empty file is evidence of nothing",
        ));
    }
    if payload.len() as u64 > limit {
        return Err(UsageError::error(
            format!("{shown} is over {}, the most that is attached", mebibytes(limit)),
            "attach what an auditor reads of it, or a list with the digests of what is kept elsewhere; \
             [attachments] limit of the configuration allows up to 16MiB, which is the most that the log holds in one piece",
        ));
    }
    Ok(payload)
}

fn mebibytes(size: u64) -> String {
    if size.is_multiple_of(1 << 20) {
        format!("{} MiB", size >> 20)
    } else {
        format!("{} KiB", size >> 10)
    }
}

/// The due dates that an attachment went to.
fn met(reader: &Reader, seq: u64, at: DateTime<Utc>) -> Result<Vec<ShownDue>> {
    let mut met = Vec::new();
    for owed in manual::read(reader)?.into_iter().filter(|owed| owed.is_owed) {
        let is_by = |due: &&Due| due.met.is_some_and(|(by, _)| by == seq);
        if let Some(due) = owed.account(at).dues.iter().find(is_by) {
            met.push(ShownDue {
                control: owed.control.id.to_string(),
                due: format_time(due.at),
                day: due.day,
                state: due.state,
            });
        }
    }
    Ok(met)
}

/// What an auditor will ask.
fn notes(attachment: &Attachment, now: DateTime<Utc>) -> Vec<String> {
    let (preparer, approver) = (&attachment.prepared_by, &attachment.approved_by);
    let login = &attachment.recorded_by;
    let mut notes = Vec::new();
    if statement::is_login(preparer, login) {
        notes.push(format!(
            "{preparer} prepared it and recorded it, so that {approver}'s approval rests on {preparer}'s word: \
             let the file show it"
        ));
    }
    if statement::is_login(approver, login) {
        notes.push(format!(
            "{approver} approved it and recorded it: an auditor may ask {preparer} how it was made"
        ));
    }
    if attachment.covers.to > now.date_naive() {
        notes.push(format!(
            "it covers days up to {} that are still to come: it speaks for them only as a plan does",
            attachment.covers.to
        ));
    }
    notes
}

fn print_text(out: &mut dyn Write, shown: &Shown<'_>) -> Result<()> {
    let style = Style::of_stdout();
    let Attachment {
        controls,
        criteria,
        title,
        covers,
        file,
        prepared_by,
        approved_by,
        recorded_by,
        note,
    } = shown.attachment;
    let seq = style.strong(&format!("attachment {}", shown.seq));
    let (size, media_type) = (style::bytes(shown.size), shown.media_type);
    writeln!(out, "Sealed: {seq}, {file} ({size}, {media_type})")?;
    let mut field = |name: &str, value: &str| writeln!(out, "{}  {value}", style.faint(&format!("{name:8}")));
    field("title", title)?;
    field("for", &[controls.as_slice(), criteria].concat().join(", "))?;
    field("covers", &covers.to_string())?;
    field("prepared", &format!("by {prepared_by}"))?;
    field(
        "approval",
        &format!("asserted by {approved_by}, recorded by {recorded_by}"),
    )?;
    if let Some(note) = note {
        field("note", note)?;
    }
    for note in &shown.notes {
        writeln!(out, "note: {note}")?;
    }
    for met in &shown.met {
        let how = match met.state {
            DueState::OnTime => "on time",
            DueState::Late => "late, within the grace time",
            _ => "late: it was overdue, which the auditor will see as a deviation",
        };
        writeln!(out, "{}: meets what was due by {}, {how}.", met.control, met.day)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_covers_is_a_day_or_two_in_order() {
        let told = |text| covers(text).map(|days| days.to_string());
        assert_eq!(told("2026-09-30").unwrap(), "2026-09-30");
        assert_eq!(
            told("2026-07-01..2026-09-30").unwrap(),
            "2026-07-01 to 2026-09-30"
        );
        for wrong in ["", "Q3", "2026-07-01..", "2026-09-30..2026-07-01", "2026-02-30"] {
            assert!(told(wrong).is_err(), "{wrong}");
        }
    }
}
