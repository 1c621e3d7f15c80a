//! `evidenced export`: write the fieldwork bundle of a period.

use anyhow::Result;
use chrono_tz::Tz;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use super::exit::{Exit, UsageError};
use super::select::{self, Within};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup, verify};
use crate::bundle::output::Target;
use crate::bundle::write::{self, ExportError, Order, Written};
use crate::bundle::{Period, Scope};
use crate::clock;
use crate::control::Criterion;
use crate::log::leaf::Export;
use crate::log::start;
use crate::log::store::Held;
use crate::period::window::Window;
use crate::report;
use crate::summary::{self, State, Summary};

mod recorded;

/// Write the fieldwork bundle of a period: what an auditor takes along, and can check without us
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced export --period 2026-h1 -o bundle.zip
  evidenced export --from 2026-01-01 --to 2026-06-30 --criterion CC6.1 -o bundle/
  evidenced export --period 2026-h1 -o bundle.zip.age --encrypt-to age1…

The leaves of the period are always all there, as stored. Evidence is there of what is in the scope
of the [[period]], or else of --control, --criterion and --source; what is withheld is named in it.
What people attached is of controls and criteria, and of no source: --source alone withholds none.
Populations and samples are in it as tables. The same log and period give the same bytes. The
bundle is checked by `evidenced verify`, by the verify.py in it, and performed again by `evidenced
reperform`. Until the period is over, it is a draft and says so. Who exports what is recorded in the
log, in a leaf that the bundle holds; the same again, while nothing else was appended, is recorded
once.

With --format json: path, bytes (of the files in it), file_bytes (of the archive; null for a
folder), recorded (the leaf; null where nothing can be appended, as to a copy without the key, and
not_recorded says why), and as `bundle` what stands in its bundle.json: format, origin, period
{name, from, to}, size, root, draft [why], scope {controls, criteria, sources}, counts {leaves,
blobs, withheld, checkpoints}.

Exit codes: 0 written; 4 the store does not verify, and nothing is written.")]
pub(super) struct Arguments {
    #[command(flatten)]
    within: Within,
    /// The zip archive to write, or with a slash at its end, the folder
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Only evidence that serves this control; may be given several times
    #[arg(long, value_name = "CONTROL")]
    control: Vec<String>,
    /// Only evidence that serves this criterion, as in CC6.1; may be given several times
    #[arg(long, value_name = "CRITERION")]
    criterion: Vec<String>,
    /// Only evidence of this source; may be given several times
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Encrypt the archive to this age recipient
    #[arg(long, value_name = "RECIPIENT")]
    encrypt_to: Option<String>,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let target = target(arguments)?;
    let (period, scope, zone) = asked(common, arguments)?;
    let reader = setup::reader(common)?;
    write::check(&reader, &scope, &target).map_err(explained)?;
    let clock = clock::system();
    let window = window(&period, &scope, zone);
    // The log is held only while it is read: else what is recorded now would not be seen.
    let draft = summary::is_draft(&start::hold(&reader)?, &window, clock.now())?;
    let export = leaf(&period, &scope, &target, draft);
    let recorded = recorded::record(&reader, export, clock)?;
    if let Some(why) = recorded.why_not() {
        writeln!(
            std::io::stderr(),
            "note: the log does not tell of this export: {why}"
        )?;
    }
    // What is derived is of the very log that is written: what is appended meanwhile is in neither.
    let held = start::hold(&reader)?;
    let summary = shown(&held, window, &scope)?;
    let order = Order {
        period,
        scope,
        // That it goes on is found by whoever writes it.
        draft: if summary.state == State::Ended {
            summary.draft.clone()
        } else {
            Vec::new()
        },
        derived: report::files(&summary, super::report::handed(&held, &summary)?)?,
    };
    let bar = verify::progress_bar("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    let path = target.path.clone();
    let written = write::write(held, &order, target, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let written = written.map_err(explained)?;
    match common.format {
        Format::Json => {
            let bundle = &written.manifest;
            let (bytes, file_bytes) = (written.content, written.file);
            print_json(
                out,
                &json!({
                    "path": path,
                    "bytes": bytes,
                    "file_bytes": file_bytes,
                    "recorded": recorded.seq(),
                    "not_recorded": recorded.why_not(),
                    "bundle": bundle,
                }),
            )?;
        }
        Format::Text => print_text(out, &path, &written, recorded.seq())?,
    }
    Ok(Exit::Well)
}

/// What is recorded of it.
fn leaf(period: &Period, scope: &Scope, target: &Target, draft: bool) -> Export {
    let listed = |names: &BTreeSet<String>| names.iter().cloned().collect();
    let recipient = target.recipient.as_ref().map(ToString::to_string);
    Export {
        period: period.name.clone(),
        from: period.from,
        to: period.to,
        only_controls: listed(&scope.controls),
        only_criteria: listed(&scope.criteria),
        only_sources: listed(&scope.sources),
        draft,
        recipient_sha256: recipient.map(|recipient| hex::encode(Sha256::digest(recipient))),
        recorded_by: setup::os_user(),
    }
}

fn window(period: &Period, scope: &Scope, zone: Tz) -> Window {
    let criteria = scope
        .criteria
        .iter()
        .filter_map(|number| Criterion::parse(number).ok());
    Window {
        name: period.name.clone(),
        from: period.from,
        to: period.to,
        zone,
        criteria: criteria.collect(),
        sources: scope.sources.iter().cloned().collect(),
    }
}

/// What the period shows of what is in scope.
fn shown(held: &Held<'_>, window: Window, scope: &Scope) -> Result<Summary> {
    let mut summary = summary::read(held, window)?;
    if !scope.controls.is_empty() {
        summary.keep_controls(|control| scope.controls.contains(control));
    }
    Ok(summary)
}

/// The stretch of time, whose evidence, and the zone whose days it is made of: of a configured period what is in its scope,
/// unless more is said.
fn asked(common: &Common, arguments: &Arguments) -> Result<(Period, Scope, Tz)> {
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let mut scope = Scope {
        controls: set(&arguments.control),
        criteria: set(&arguments.criterion),
        sources: set(&arguments.source),
    };
    if let Some(unknown) = scope
        .criteria
        .iter()
        .find_map(|number| Criterion::parse(number).err())
    {
        return Err(UsageError::error(
            format!("--criterion: {unknown}"),
            "give one number, as in CC6.1",
        ));
    }
    let (from, to) = match arguments.within.period() {
        None => arguments.within.instants(common)?,
        Some(_) => (None, None),
    };
    let mut zone = Tz::UTC;
    let period = match (from, to) {
        (Some(from), Some(to)) => Period { name: None, from, to },
        (None, None) => {
            let period = select::period(common, arguments.within.period())?;
            if scope.controls.is_empty() && scope.criteria.is_empty() {
                let in_scope =
                    |criterion: &Criterion| period.criteria.iter().any(|some| some.include(*criterion));
                scope.criteria = Criterion::all().filter(in_scope).map(String::from).collect();
            }
            if scope.sources.is_empty() {
                scope.sources = set(&period.sources);
            }
            let (from, to) = (period.from(), period.to());
            zone = period.zone;
            Period {
                name: Some(period.name),
                from,
                to,
            }
        }
        _ => {
            let help = "a bundle is about a stretch of time: give both, or --period";
            return Err(UsageError::error("one of --from and --to is missing", help));
        }
    };
    Ok((period, scope, zone))
}

fn target(arguments: &Arguments) -> Result<Target> {
    let text = arguments.output.as_os_str().to_string_lossy();
    let is_folder = text.ends_with('/');
    let recipient = arguments.encrypt_to.as_deref().map(str::parse).transpose();
    let recipient = recipient.map_err(|what: &str| {
        UsageError::error(
            format!("--encrypt-to: {what}"),
            "give an age recipient, which begins with age1",
        )
    })?;
    if is_folder && recipient.is_some() {
        return Err(UsageError::error(
            "a folder can't be encrypted",
            "write an archive: leave the slash off --output",
        ));
    }
    Ok(Target {
        path: arguments.output.components().collect(),
        is_folder,
        replace: arguments.force,
        recipient,
    })
}

/// What a person can do about it.
fn explained(error: ExportError) -> anyhow::Error {
    let help = match &error {
        ExportError::Taken(_) => {
            "name another with --output, or give --force, which replaces an archive, or a folder that holds a bundle"
        }
        ExportError::NoSuch(..) => {
            "see `evidenced status` for the controls there are, with their criteria and sources"
        }
        ExportError::Store(_) | ExportError::Io(_) | ExportError::Name(_) => {
            return error.into();
        }
    };
    UsageError::error(error.to_string(), help)
}

fn print_text(
    out: &mut dyn Write,
    path: &std::path::Path,
    written: &Written,
    recorded: Option<u64>,
) -> Result<()> {
    let (style, bundle) = (Style::of_stdout(), &written.manifest);
    let counts = bundle.counts;
    writeln!(
        out,
        "{} {}: {} of {}, {}, {}",
        style.good("✓"),
        style.strong(&path.display().to_string()),
        counts.leaves,
        style::count(bundle.size, "leaf", "leaves"),
        style::count(counts.blobs, "blob", "blobs"),
        style::bytes(written.file.unwrap_or(written.content)),
    )?;
    if counts.withheld > 0 {
        writeln!(
            out,
            "  {} withheld, listed in withheld.csv",
            style::count(counts.withheld, "blob", "blobs")
        )?;
    }
    if let Some(seq) = recorded {
        writeln!(out, "  recorded in leaf {seq}, which is in it")?;
    }
    for why in &bundle.draft {
        writeln!(out, "  {} {why}", style.bad("draft:"))?;
    }
    writeln!(
        out,
        "{}",
        style.faint("  give the auditor the key, too, by another way: evidenced key show")
    )?;
    Ok(())
}
