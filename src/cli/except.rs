//! `evidenced except TEST`: record that failures of a test are approved for a time.

use anyhow::{Context as _, Result};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::statement::{self, NAME, PROSE};
use super::style::{self, Style};
use super::{Common, Format, instant, print_json, setup};
use crate::clock;
use crate::config::closest;
use crate::control::{Test, TestId};
use crate::exception::{self, Sealed};
use crate::log::append::Draft;
use crate::log::leaf::{self, Body, Role, format_time};
use crate::log::store::Reader;
use crate::round;
use crate::standing::{self, Standing};

/// Record that failures of a test on some resources are approved, up to an end
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced except s3-not-public --resource arn:aws:s3:::www --expires 2027-03-31 \\
    --reason \"the public website, by design\" --ticket SEC-41 \\
    --requested-by \"Ann Smith\" --approved-by \"Bob Jones\"
  evidenced except s3-not-public --resource arn:aws:s3:::www --withdraw \\
    --reason \"moved behind the CDN\" --requested-by \"Ann Smith\"

It counts for snapshots taken from then on, never for earlier ones: where the test fails on these
resources, it reads excepted, never pass, and after the end it fails again. A later exception from
the same test on the same resource takes the place of an earlier one. Who approved is what whoever
records it says, so that auditors read \"approval asserted by\".")]
pub(super) struct Arguments {
    /// The test
    test: String,
    /// The id of a resource that it fails on; may be given more than once
    #[arg(long, value_name = "ID", required = true)]
    resource: Vec<String>,
    /// Only on this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Why, for the auditor
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asked for it
    #[arg(long, value_name = "NAME")]
    requested_by: String,
    /// Who approved it: somebody else
    #[arg(long, value_name = "NAME", required_unless_present = "withdraw")]
    approved_by: Option<String>,
    /// Up to when, at most 366 days ahead: RFC 3339, or a date, which means its end (UTC)
    #[arg(long, value_name = "TIME", required_unless_present = "withdraw")]
    expires: Option<String>,
    /// Where it was discussed
    #[arg(long, value_name = "TEXT")]
    ticket: Option<String>,
    /// Also for a resource that no newest snapshot holds
    #[arg(long)]
    unseen: bool,
    /// End what is in force on these resources now, which needs no approval
    #[arg(long, conflicts_with_all = ["expires", "unseen"])]
    withdraw: bool,
}

/// The longest time ahead that an exception may end: one that nobody looks at for longer is a changed control.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// The longest id of a resource, in characters, and the most in one exception.
const ID: usize = 2000;
const RESOURCES: usize = 10_000;

#[derive(Serialize)]
struct Shown<'a> {
    seq: u64,
    test: &'a str,
    resources: &'a BTreeSet<String>,
    source: Option<&'a str>,
    reason: &'a str,
    requested_by: &'a str,
    approved_by: &'a str,
    /// How the approval is known: nothing but the word of whoever recorded it.
    approval: &'static str,
    recorded_by: &'a str,
    expires: String,
    ticket: Option<&'a str>,
    withdrawn: bool,
    notes: Vec<String>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let clock = clock::system();
    let (exception, resources) = asked(arguments, clock.now())?;
    let reader = setup::reader(common)?;
    if arguments.withdraw {
        check_in_force(&reader, &exception, &resources, clock.now())?;
    } else {
        check_plan(&reader, arguments, &exception, &resources)?;
    }
    let payload = exception::payload(resources.clone());
    let draft = Draft::new(Body::Exception(exception.clone())).with_blob(
        Role::Resources,
        "application/json",
        &payload,
    )?;
    let receipt = setup::appender(&reader, clock)?.append_blocking(draft)?;
    let shown = Shown {
        seq: receipt.seq,
        test: &exception.test,
        resources: &resources,
        source: exception.only_source.as_deref(),
        reason: &exception.reason,
        requested_by: &exception.requested_by,
        approved_by: &exception.approved_by,
        approval: "asserted",
        recorded_by: &exception.recorded_by,
        expires: format_time(exception.expires),
        ticket: exception.ticket.as_deref(),
        withdrawn: arguments.withdraw,
        notes: notes(&exception, arguments.withdraw),
    };
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &exception, &shown)?,
    }
    Ok(Exit::Well)
}

/// What is to be recorded, as far as it can be judged without the log.
fn asked(arguments: &Arguments, now: DateTime<Utc>) -> Result<(leaf::Exception, BTreeSet<String>)> {
    let reason = statement::checked("--reason", &arguments.reason, PROSE)?;
    let requested_by = statement::checked("--requested-by", &arguments.requested_by, NAME)?;
    let approved_by = arguments.approved_by.as_deref();
    let approved_by = statement::checked_if_given("--approved-by", approved_by, NAME)?;
    let ticket = statement::checked_if_given("--ticket", arguments.ticket.as_deref(), NAME)?;
    if let Some(approver) = &approved_by
        && statement::is_same_person(approver, &requested_by)
        && !arguments.withdraw
    {
        return Err(UsageError::error(
            format!("{requested_by} can't approve what {requested_by} asked for"),
            "name in --approved-by who else decided it",
        ));
    }
    let mut resources = BTreeSet::new();
    for resource in &arguments.resource {
        let checked = statement::checked("--resource", resource, ID)?;
        if checked != *resource {
            return Err(UsageError::error(
                format!("--resource {resource:?} has blanks around it"),
                "write the id as `evidenced show` shows it",
            ));
        }
        resources.insert(checked);
    }
    if resources.len() > RESOURCES {
        return Err(UsageError::error(
            format!(
                "{} resources, and at most {RESOURCES} are allowed",
                resources.len()
            ),
            "exclude them from scope instead ([[exclusion]] in a control file), or record several exceptions",
        ));
    }
    let expires = match &arguments.expires {
        Some(text) => end(text, now)?,
        None => now,
    };
    let exception = leaf::Exception {
        test: arguments.test.clone(),
        only_source: arguments.source.clone(),
        reason,
        approved_by: approved_by.unwrap_or_else(|| requested_by.clone()),
        requested_by,
        recorded_by: setup::os_user(),
        expires,
        resources: resources.len() as u64,
        ticket,
    };
    Ok((exception, resources))
}

fn end(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let expires = instant::read(text, true)?.trunc_subsecs(3);
    if expires <= now {
        return Err(UsageError::error(
            format!("--expires {text} is not in the future"),
            "an exception never counts backwards; --withdraw ends one that is in force",
        ));
    }
    if expires - now > LONGEST {
        return Err(UsageError::error(
            format!("--expires {text} is more than 366 days ahead"),
            "let it end within a year, and have it approved anew then",
        ));
    }
    Ok(expires)
}

/// A test and source that are in the plan, and resources that were seen.
fn check_plan(
    reader: &Reader,
    arguments: &Arguments,
    exception: &leaf::Exception,
    resources: &BTreeSet<String>,
) -> Result<()> {
    let Some(standing) = standing::standing(reader)? else {
        return Err(UsageError::error(
            "nothing has been collected yet, so that no test is in force",
            "run `evidenced collect --once`, and look at what fails",
        ));
    };
    let test = planned(&standing, &exception.test)?;
    if let Some(source) = &exception.only_source {
        let sources: Vec<&str> = standing
            .plan
            .lists
            .sources
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        if !sources.contains(&source.as_str()) {
            return Err(UsageError::error(
                format!("no source {source:?} is in the plan"),
                meant(source, &sources, "the sources are"),
            ));
        }
    }
    if arguments.unseen {
        return Ok(());
    }
    let seen = seen(
        reader,
        &standing,
        test,
        exception.only_source.as_deref(),
        resources,
    )?;
    let missing: Vec<&String> = resources.iter().filter(|id| !seen.contains(*id)).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let more = match missing.len() {
        1 => String::new(),
        more => format!(", nor {} others", more - 1),
    };
    let known: Vec<&str> = seen.iter().map(String::as_str).collect();
    let close = closest(first, &known).map_or_else(String::new, |close| format!("did you mean {close:?}? "));
    let (kind, first) = (&test.resource, style::plain(first));
    Err(UsageError::error(
        format!("the newest snapshots hold no {kind} {first:?}{more}"),
        format!(
            "{close}`evidenced status` tells which snapshots there are; --unseen records it all the same"
        ),
    ))
}

fn planned<'a>(standing: &'a Standing, id: &str) -> Result<&'a Test> {
    let tests = &standing.plan.lists.rules.tests;
    match tests.iter().find(|test| test.id.as_str() == id) {
        Some(test) if test.enabled => Ok(test),
        Some(_) => Err(UsageError::error(
            format!("the test {id} is switched off, so that it fails on nothing"),
            "an exception is from a test that is in force",
        )),
        None => {
            let known: Vec<&str> = tests.iter().map(|test| test.id.as_str()).collect();
            Err(UsageError::error(
                format!("no test {id:?} is in the plan"),
                meant(id, &known, "the tests are"),
            ))
        }
    }
}

fn meant(written: &str, known: &[&str], listed: &str) -> String {
    match closest(written, known) {
        Some(close) => format!("did you mean {close}?"),
        None => format!("{listed} {}", known.join(", ")),
    }
}

/// The ids of a test's kind in the newest snapshots, of a source or of all; not all of them once those wanted are found.
fn seen(
    reader: &Reader,
    standing: &Standing,
    test: &Test,
    source: Option<&str>,
    wanted: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for latest in &standing.latest {
        let of_kind = standing
            .plan
            .tests(&latest.collector)
            .any(|of_collector| of_collector.id == test.id);
        let Some(snapshot) = latest.snapshot.as_ref().filter(|_| of_kind) else {
            continue;
        };
        if source.is_some_and(|source| source != latest.source) {
            continue;
        }
        let leaf = reader
            .leaf(snapshot.seq)?
            .with_context(|| format!("snapshot {} is gone", snapshot.seq))?;
        let resources = round::resources(reader, snapshot.seq, &leaf)?;
        let of_kind = resources
            .into_iter()
            .filter(|resource| resource.kind == test.resource);
        seen.extend(of_kind.map(|resource| resource.id));
        if wanted.is_subset(&seen) {
            break;
        }
    }
    Ok(seen)
}

/// What is not in force can't be withdrawn.
fn check_in_force(
    reader: &Reader,
    exception: &leaf::Exception,
    resources: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<()> {
    let (test, source) = (&exception.test, exception.only_source.as_deref());
    let mut sealed = Sealed::default();
    let exceptions = sealed.up_to_date(reader)?;
    for resource in resources {
        if !exceptions.in_force(test, resource, source, now) {
            let test = TestId::parse(test).map_or_else(|_| format!("{test:?}"), String::from);
            let on = source.map_or_else(String::new, |source| format!(" of {source:?}"));
            return Err(UsageError::error(
                format!("no exception from {test} is in force on {resource:?}{on}"),
                "`evidenced log --kind exception -n 0` lists them all",
            ));
        }
    }
    Ok(())
}

/// What an auditor will ask of who asked, approved and recorded.
fn notes(exception: &leaf::Exception, withdraw: bool) -> Vec<String> {
    let (requester, approver) = (&exception.requested_by, &exception.approved_by);
    let login = &exception.recorded_by;
    let mut notes = Vec::new();
    if withdraw {
        return notes;
    }
    if statement::is_login(requester, login) {
        notes.push(format!(
            "{requester} asked for it and recorded it, so that {approver}'s approval rests on {requester}'s word: \
             keep what {approver} wrote where --ticket says"
        ));
    }
    if statement::is_login(approver, login) {
        notes.push(format!(
            "{approver} approved it and recorded it: an auditor may ask {requester} whether it was asked for"
        ));
    }
    notes
}

fn print_text(out: &mut dyn Write, exception: &leaf::Exception, shown: &Shown<'_>) -> Result<()> {
    let style = Style::of_stdout();
    let on = style::count(exception.resources, "resource", "resources");
    let source = shown
        .source
        .map_or_else(String::new, |source| format!(" of {}", style::plain(source)));
    let end = if shown.withdrawn {
        "withdraws what was in force".to_owned()
    } else {
        format!("until {}", style::minute(exception.expires))
    };
    let seq = style.strong(&format!("exception {}", shown.seq));
    writeln!(out, "Recorded: {seq} from {} on {on}{source}, {end}", shown.test)?;
    for resource in shown.resources {
        writeln!(out, "  {}", style::plain(resource))?;
    }
    let mut field = |name: &str, value: &str| writeln!(out, "{}  {value}", style.faint(&format!("{name:9}")));
    field("reason", shown.reason)?;
    field("requested", &format!("by {}", shown.requested_by))?;
    let (approver, recorder) = (shown.approved_by, shown.recorded_by);
    if shown.withdrawn {
        field("recorded", &format!("by {recorder}"))?;
    } else {
        let approval = format!("asserted by {approver}, recorded by {recorder}");
        field("approval", &approval)?;
    }
    if let Some(ticket) = shown.ticket {
        field("ticket", ticket)?;
    }
    for note in &shown.notes {
        writeln!(out, "note: {note}")?;
    }
    let means = if shown.withdrawn {
        "From the next snapshot on, the test fails on these again, if it still does."
    } else {
        "From the next snapshot on, where the test fails on these, it reads excepted, never pass; after the end it fails again.\n\
         What was found before stays as it was found."
    };
    writeln!(out, "{means}")?;
    Ok(())
}
