//! `evidenced collect`: take snapshots, seal them, judge them.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::exit::{self, Exit, UsageError};
use super::setup::{self, Setup};
use super::{Common, Format, print_json, style};
use crate::clock;
use crate::control::{ControlResult, Observed, Outcome, TestResult, control_outcomes};
use crate::log::append::Appender;
use crate::log::leaf::By;
use crate::log::store::Reader;
use crate::registry::Job;
use crate::round::{self, Occasion, Room, Round, Taken};
use crate::standing;

mod daemon;
mod tell;
mod text;

pub(super) use text::print_controls;

/// Take snapshots on their schedules, seal them, and judge them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced collect                         the daemon, in the foreground: on schedules, until it is told to stop
  evidenced collect --once --dry-run        what would be collected and how it would be judged
  evidenced collect --once                  every collector of every source
  evidenced collect --once host.baseline    one of them

The daemon reads its configuration anew on SIGHUP, and goes on with the old one where the new one is not valid; SIGTERM
and SIGINT end it in an orderly way. It writes JSON to standard error, or to systemd's journal, and text on a terminal.

Exit codes: 0 every test passes; 1 one fails or is unknown; 2 usage or configuration; 3 something could not be
collected; 4 the log is not as it was left.")]
pub(super) struct Arguments {
    /// Take one snapshot of each target now, and end
    #[arg(long)]
    pub(super) once: bool,
    /// Show what would be collected and how it would be judged, and write nothing
    #[arg(long, requires = "once")]
    dry_run: bool,
    /// Only these collectors [default: all that are configured]
    #[arg(value_name = "COLLECTOR", requires = "once")]
    collectors: Vec<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    snapshots: Vec<ShownSnapshot<'a>>,
    controls: Vec<ShownControl<'a>>,
}

#[derive(Serialize)]
struct ShownSnapshot<'a> {
    seq: Option<u64>,
    collector: &'a str,
    source: &'a str,
    target: Option<&'a str>,
    outcome: &'static str,
    complete: bool,
    resources: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    evaluation: &'a [TestResult],
}

/// A control in JSON output.
#[derive(Serialize)]
pub(super) struct ShownControl<'a> {
    control: &'a str,
    criteria: Vec<&'a str>,
    outcome: Outcome,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let setup = setup::setup(common)?;
    let (outlet, name) = (Arc::clone(&setup.outlet), setup.config.name.to_string());
    let ended = if arguments.once {
        once(common, arguments, &setup, out)
    } else {
        daemon::run(common, setup)
    };
    if let Err(error) = &ended
        && exit::is_not_intact(error)
        && !arguments.dry_run
    {
        tell::not_intact(&outlet, &name, error);
    }
    ended
}

fn once(common: &Common, arguments: &Arguments, setup: &Setup, out: &mut dyn Write) -> Result<Exit> {
    let jobs = chosen(setup, &arguments.collectors)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (taken, controls) = if arguments.dry_run {
        runtime.block_on(try_out(setup, &jobs))
    } else {
        runtime.block_on(take(setup, &jobs))?
    };
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                snapshots: taken.iter().map(shown).collect(),
                controls: shown_controls(&controls),
            },
        )?,
        Format::Text => text::print_text(out, setup, arguments, &jobs, &taken, &controls)?,
    }
    Ok(outcome(&taken, &controls))
}

/// The jobs that were named, or all.
fn chosen<'a>(setup: &'a Setup, named: &[String]) -> Result<Vec<&'a Job>> {
    for name in named {
        if !setup.jobs.iter().any(|job| job.collector.id() == name) {
            let known: BTreeSet<_> = setup.jobs.iter().map(|job| job.collector.id()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(UsageError::error(
                format!("no source is configured for the collector {name:?}"),
                format!("configured are: {known}"),
            ));
        }
    }
    Ok(setup
        .jobs
        .iter()
        .filter(|job| named.is_empty() || named.iter().any(|name| name == job.collector.id()))
        .collect())
}

async fn take(setup: &Setup, jobs: &[&Job]) -> Result<(Vec<Taken>, Vec<ControlResult>)> {
    let clock = clock::system();
    let log = Appender::open(&setup.paths, setup.config.name.as_str(), clock.clone())?;
    let reader = Reader::open(&setup.paths)?;
    let shared = Arc::new(Mutex::new(Reader::open(&setup.paths)?));
    let after = setup.outlet.after();
    let judged = round::judge_unjudged(&log, &shared, after).await?;
    if judged > 0 {
        let snapshots = style::count(judged, "snapshot", "snapshots");
        tracing::info!("judged {snapshots} that an earlier run had left unjudged");
    }
    let maker = setup::maker(&setup.config, By::AdHoc);
    let plan_seq = setup.plan.seal(&log, &reader, &maker).await?;
    let round = Round {
        // Not the last hold of it: a log that is closed after its readers leaves no write-ahead log behind.
        log: log.clone(),
        reader: shared,
        clock: clock.clone(),
        plan: Arc::clone(&setup.plan),
        plan_seq,
        raw: setup.config.raw,
        after,
        occasion: Occasion::AD_HOC,
        room: Room::default(),
        stop: CancellationToken::new(),
    };
    let mut taken = Vec::new();
    for job in jobs {
        let progress = progress(job);
        let result = round.run(job).await;
        progress.finish_and_clear();
        taken.extend(result?);
    }
    tell::waiting(setup, &log, &clock).await?;
    let standing = standing::standing(&reader)?;
    let controls = standing
        .map(|standing| standing.controls(clock.now()))
        .unwrap_or_default();
    Ok((taken, controls))
}

/// The same without a log: controls are judged by this run alone.
async fn try_out(setup: &Setup, jobs: &[&Job]) -> (Vec<Taken>, Vec<ControlResult>) {
    let clock = clock::system();
    let mut taken = Vec::new();
    for job in jobs {
        let progress = progress(job);
        taken.extend(round::dry_run(job, &setup.plan, clock.as_ref(), &setup.paths).await);
        progress.finish_and_clear();
    }
    let unobserved: Vec<_> = taken
        .iter()
        .map(|taken| setup.plan.unobserved(&taken.collector))
        .collect();
    let observed: Vec<_> = taken
        .iter()
        .zip(&unobserved)
        .map(|(taken, unobserved)| Observed {
            collector: &taken.collector,
            source: &taken.source,
            target: taken.target.as_deref().unwrap_or_default(),
            at: taken
                .outcome
                .as_ref()
                .map_or_else(|_| clock.now(), |collected| collected.until),
            results: taken
                .outcome
                .as_ref()
                .map_or(unobserved, |collected| &collected.evaluation.results),
        })
        .collect();
    let controls = control_outcomes(&setup.plan.lists.rules, &observed, clock.now());
    (taken, controls)
}

fn progress(job: &Job) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::default_spinner()
            .template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_message(format!("{} of {}", job.collector.id(), job.source));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What was collected decides, and what the controls say: where nothing was found to collect, they are unknown.
fn outcome(taken: &[Taken], controls: &[ControlResult]) -> Exit {
    let results = taken
        .iter()
        .filter_map(|taken| taken.outcome.as_ref().ok())
        .flat_map(|collected| &collected.evaluation.results)
        .map(|result| result.outcome);
    let worst = Outcome::worst(results.chain(controls.iter().map(|control| control.outcome)));
    if taken.iter().any(|taken| taken.outcome.is_err()) {
        Exit::NotCollected
    } else if matches!(worst, Some(Outcome::Fail | Outcome::Unknown)) {
        Exit::TestFails
    } else {
        Exit::Well
    }
}

fn shown(taken: &Taken) -> ShownSnapshot<'_> {
    let collected = taken.outcome.as_ref().ok();
    ShownSnapshot {
        seq: taken.seq,
        collector: &taken.collector,
        source: &taken.source,
        target: taken.target.as_deref(),
        outcome: if collected.is_some() {
            "collected"
        } else {
            "failed"
        },
        complete: collected.is_some_and(|collected| collected.complete),
        resources: collected.map_or(0, |collected| collected.resources),
        error: taken.outcome.as_ref().err().map(ToString::to_string),
        evaluation: collected
            .map(|collected| collected.evaluation.results.as_slice())
            .unwrap_or_default(),
    }
}

/// Controls as JSON output shows them.
pub(super) fn shown_controls(controls: &[ControlResult]) -> Vec<ShownControl<'_>> {
    controls
        .iter()
        .map(|control| ShownControl {
            control: control.control.as_str(),
            criteria: control
                .criteria
                .iter()
                .map(|criterion| criterion.number())
                .collect(),
            outcome: control.outcome,
        })
        .collect()
}
