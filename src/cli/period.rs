//! `evidenced period`: what an observation period shows, also while it goes on.

use anyhow::Result;
use chrono::TimeDelta;
use chrono_tz::Tz;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::{Common, Format, instant, print_json, select, setup};
use crate::config;
use crate::control::Criterion;
use crate::log::start;
use crate::period::window::Window;
use crate::summary::{self, PeriodResult, Summary};

mod manual;
mod sampling;
mod text;

/// What an observation period shows: coverage, results, deviations, gaps and changes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced period 2026-h1
  evidenced period --from 2026-01-01 --to 2026-03-31
  evidenced period --since 2026-07-01     what changed since then: facts for a bridge letter

A state is observed at a snapshot, and inferred from it for at most the test's max_age, never
backwards. Snapshots that are not of the whole population, and results that are unknown, cover
nothing. Percentages are rounded down. Until something is sealed from behind the end, what is
exported is a draft. Of populations the lists that were sealed are told, with every draw; what was
not sealed takes longer to read, and `population`, `report` and `export` do.

Evidence that people owe belongs to the period that its due date ends, and counts from when it was
sealed until it is older than the control allows. Overdue is a deviation, also once it was given.
A period's sources leave no manual evidence out: it comes from none. Its criteria do.

With --format json: origin, size, as_of, period, state (ahead, running, ended), draft [reasons],
  controls    control, statement, owner, criteria, versions, tests, result (deviations, incomplete,
              no_evidence, no_occurrence, no_deviations or not_tested), deviations, open,
              coverage_percent
  tests       test, title, doc, resource, applies, passes, severity, max_age, versions, beside,
              deviations, open, sources; of each source, and in its targets of each target: ticks
              {owed, collected, incomplete, failed, missed, unaccounted}, observations {taken, passed,
              failed, unknown, excepted, not_applicable}, covered_seconds, of_seconds,
              coverage_percent, longest {from, to, seconds, target, why}, before, first and last
              {snapshot, time}, and days: a character for each day (P passed, F failed, U unknown,
              E excepted, N nothing to test, in lower case only inferred, - nothing, . outside)
  beside      of a test that was worded in several ways, what each says of the whole period, else
              null: wordings [{from, plans, resource, applies, passes, parameters, max_age, stricter,
              observations, covered_seconds, of_seconds, coverage_percent, fails_where_passed and
              passes_where_failed {findings, resources, named}}], comparison (same, stricter,
              neither, not_known), unreadable [snapshots]
  manual      of each control that people owe evidence for: control, owner, calendars [{from, until,
              every, timezone, grace, max_age}], result, state (as in status, at the period's end),
              dues [{day, due, grace_ends, state (on_time, late, met_overdue, overdue, grace,
              ahead), given}], next, overdue [{day, due, from, to, state (open, given,
              owed_no_more), by, seconds, open_at_start, open_at_end, notified, acknowledged}],
              before, further, bare [{from, to, seconds, after}], covered_seconds, of_seconds,
              coverage_percent, and days (G given, c evidence counts, O overdue, - none counts,
              . outside or not owed)
  attachments seq, time, title, controls, criteria, covers, file, media_type, size, sha256 (of the
              blob), prepared_by, approved_by, recorded_by, note, self_approved; so are given,
              before (what counts at the period's beginning) and further
  evidence    collector, source, target, ticks, holes [{first, last, ticks, fate, why}]
  deviations  as the verb of that name has them, with open_at_start and open_at_end
  populations the lists sealed of periods that overlap this one: seq, time, population, name,
              period, from, to, sources, count, targets, snapshots, incomplete, gaps, over,
              recorded_by
  draws       sample, time, population, of, from, to, sources, count, method, seed, size, basis,
              drawn, draw (which on this population), drawn_by, note
  changes, downtime, people, unjudged, unreadable

Exit codes: 3 where a tick yielded nothing, 1 where a test failed, evidence was overdue or not all
is covered, else 0.")]
pub(super) struct Arguments {
    /// The [[period]]; needed only where several are configured
    #[arg(value_name = "NAME", conflicts_with_all = ["from", "to", "since"])]
    name: Option<String>,
    /// From this time on: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<String>,
    /// Before this time, or up to the end of this date (UTC)
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// What changed from this time on up to the newest leaf
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"])]
    since: Option<String>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let newest = reader.leaf(reader.size()?.saturating_sub(1))?;
    let (from, to) = match &arguments.since {
        // The newest leaf itself belongs to it.
        Some(since) => {
            let behind = newest.map(|leaf| leaf.time + TimeDelta::milliseconds(1));
            (instant::from(Some(since))?, behind)
        }
        None => (
            instant::from(arguments.from.as_deref())?,
            instant::to(arguments.to.as_deref())?,
        ),
    };
    let window = match (from, to) {
        (Some(from), Some(to)) if from < to => Window {
            name: None,
            from,
            to,
            zone: Tz::UTC,
            criteria: Vec::new(),
            sources: Vec::new(),
        },
        (Some(_), _) => {
            let (wrong, help) = match arguments.since {
                Some(_) => (
                    "nothing has been sealed since then",
                    "give an earlier time in --since",
                ),
                None => ("--from is not before --to", "give the earlier time in --from"),
            };
            return Err(UsageError::error(wrong, help));
        }
        _ => window(&select::period(common, arguments.name.as_deref())?),
    };
    let summary = summary::read(&start::hold(&reader)?, window)?;
    match common.format {
        Format::Json => print_json(out, &summary)?,
        Format::Text => text::print(out, &summary, arguments.since.is_some())?,
    }
    Ok(exit(&summary))
}

/// What a configured period means.
pub(super) fn window(period: &config::Period) -> Window {
    let named = |criterion: &Criterion| {
        period
            .criteria
            .iter()
            .any(|criteria| criteria.include(*criterion))
    };
    Window {
        name: Some(period.name.clone()),
        from: period.from(),
        to: period.to(),
        zone: period.zone,
        criteria: Criterion::all().filter(named).collect(),
        sources: period.sources.clone(),
    }
}

fn exit(summary: &Summary) -> Exit {
    let lost = summary
        .evidence
        .iter()
        .any(|row| row.ticks.failed + row.ticks.missed + row.ticks.unaccounted > 0);
    let well = |result| matches!(result, PeriodResult::NoDeviations | PeriodResult::NoOccurrence);
    if lost {
        Exit::NotCollected
    } else if summary.controls.is_empty()
        || !(summary.unjudged.is_empty() && summary.unreadable.is_empty())
        || !summary.controls.iter().all(|control| well(control.result))
    {
        Exit::TestFails
    } else {
        Exit::Well
    }
}
