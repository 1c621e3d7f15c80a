//! `evidenced population [POPULATION]`: the complete sets that samples are drawn from, with their gaps and how they were obtained.

use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::select::Within;
use super::style::Style;
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::config::closest;
use crate::log::start;
use crate::log::store::Reader;
use crate::period::span::Span;
use crate::populations::named::{NAMED, named};
use crate::populations::{self, Asking, Population, rows, statement};

pub(super) mod seal;
pub(super) mod text;

/// The complete sets that samples are drawn from, with gaps and how they were read
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced population --period 2026-h1
  evidenced population pull-requests --from 2026-01-01 --to 2026-06-30
  evidenced population users --period 2026-h1 --csv > users.csv
  evidenced population direct-pushes --period 2026-h1 --seal

Every kind of resource that a collector yields is a population; some have a name, too:
pull-requests, commits, direct-pushes, force-pushes, branches, repositories, users, buckets,
accounts. Of events the union of the intervals is read, and each belongs to the period by its own
time. Of states every one is listed that any snapshot of the period saw, and those that were there
when it began. A gap is a stretch for which nobody can say that the list is whole.

--csv is RFC 4180 with a line for each item. A cell that a spreadsheet would run as a formula gets
a leading apostrophe. --seal puts the numbered list into the log, before a seed is named.

With --format json, `populations` holds one for each:
  population, name, part, collector, sources, form (events, states), from, to, over, whole
  count, read, repeated, late, changed, untimed, targets [{source, target}]
  gaps        [{source, target, from, to, seconds, why, happened [{what, detail, leaves}]}]
  obtained    snapshots, first, last, incomplete [{snapshot, basis}], unreadable, callers, bases,
              second_sources, reconciled {snapshots, expected, read, differ},
              calls [{service, operation, calls, pages, items, statuses, first, last,
              parameters [{name, values, distinct, more}]}]
  exclusions  what the company leaves out of its tests; it is in the list all the same
  items       where one was asked for: n, id, name, source, target, at, between, first_seen,
              last_seen, gone, at_start, late, seen, snapshot, changed, attributes, unknown")]
pub(super) struct Arguments {
    /// Which: a kind of resource, or a name. Without it, all are told, and no items
    #[arg(value_name = "POPULATION")]
    population: Option<String>,
    #[command(flatten)]
    over: Over,
    /// Print the items as CSV
    #[arg(long, requires = "population", conflicts_with = "seal")]
    csv: bool,
    /// Seal the list in the log, so that samples can be drawn from it later
    #[arg(long, requires = "population")]
    seal: bool,
}

/// Over which time, and of which source.
#[derive(Debug, clap::Args)]
pub(super) struct Over {
    #[command(flatten)]
    within: Within,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// A period, with its name where it has one, and the sources in its scope; all if empty.
pub(super) struct Meant {
    pub(super) span: Span,
    pub(super) name: Option<String>,
    sources: BTreeSet<String>,
}

impl Over {
    /// The period that is meant: the only one that is configured, where none is.
    pub(super) fn period(&self, common: &Common) -> Result<Meant> {
        if let Some(period) = self.within.named(common)? {
            return Ok(Meant {
                span: Span::new(period.from(), period.to()),
                name: Some(period.name),
                sources: period.sources.into_iter().collect(),
            });
        }
        let (Some(from), Some(to)) = self.within.instants(common)? else {
            return Err(UsageError::error(
                "a population is of a period, and only one end of it is given",
                "give --from and --to, or --period",
            ));
        };
        Ok(Meant {
            span: Span::new(from, to),
            name: None,
            sources: BTreeSet::new(),
        })
    }

    /// What is asked for, in names that the log knows.
    pub(super) fn asking(&self, reader: &Reader, population: Option<&str>, meant: &Meant) -> Result<Asking> {
        let only = population.map(|text| named(text).map_or(text, |named| named.of));
        if let (Some(only), Some(given)) = (only, population) {
            let known = populations::known(reader)?;
            let names = NAMED.iter().filter(|named| known.contains(named.of));
            let also: BTreeSet<String> = names.map(|named| named.name.to_owned()).collect();
            let both: BTreeSet<String> = known.union(&also).cloned().collect();
            if !known.contains(only) {
                return Err(unknown("population", given, &both));
            }
        }
        if let Some(source) = &self.source {
            let known = populations::sources(reader)?;
            if !known.contains(source) {
                return Err(unknown("source", source, &known));
            }
        }
        let sources = match &self.source {
            Some(source) if !meant.sources.is_empty() && !meant.sources.contains(source) => {
                let sources: Vec<&str> = meant.sources.iter().map(String::as_str).collect();
                return Err(UsageError::error(
                    format!("the source {source:?} is not in the period's scope"),
                    format!("in it are: {}", sources.join(", ")),
                ));
            }
            Some(source) => BTreeSet::from([source.clone()]),
            None => meant.sources.clone(),
        };
        Ok(Asking {
            period: meant.span,
            only_sources: sources,
            only_collectors: None,
            only: only.map(str::to_owned),
        })
    }
}

fn unknown(what: &str, given: &str, known: &BTreeSet<String>) -> anyhow::Error {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let help = match closest(given, &known) {
        Some(close) => format!("did you mean {close}?"),
        None if known.is_empty() => "nothing has been collected yet".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    };
    UsageError::error(format!("no plan in the log has a {what} {given:?}"), help)
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    if arguments.csv && common.format == Format::Json {
        return Err(UsageError::error(
            "--csv and --format json are two forms of the same",
            "give one of them",
        ));
    }
    let meant = arguments.over.period(common)?;
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let population = arguments.population.as_deref();
    let asking = arguments.over.asking(&reader, population, &meant)?;
    let read = populations::read(&reader, &asking)?;
    check_committed(&reader, &read)?;
    let listed = population.is_some();
    if arguments.csv {
        rows::write(out, &read)?;
        return Ok(Exit::Well);
    }
    let sealed = match read.first().filter(|_| arguments.seal) {
        Some(population) => Some(seal::seal(&reader, population, meant.name, clock::system())?),
        None => None,
    };
    match common.format {
        Format::Json => {
            let sealed = sealed.as_ref().map(|sealed| sealed.seq);
            print_json(
                out,
                &statement::shown(reader.origin().as_str(), &read, listed, sealed),
            )?;
        }
        Format::Text => {
            text::print(out, &read, listed)?;
            if let Some(sealed) = &sealed {
                writeln!(out)?;
                text::print_sealed(out, Style::of_stdout(), sealed)?;
            }
        }
    }
    Ok(Exit::Well)
}

/// Every leaf that an item is from must be one that the log's checkpoint commits to.
pub(super) fn check_committed(reader: &Reader, populations: &[Population]) -> Result<()> {
    let items = populations.iter().flat_map(|population| &population.items);
    let leaves: BTreeSet<u64> = items.map(|item| item.snapshot).collect();
    for seq in leaves {
        setup::committed_leaf(reader, seq)?;
    }
    Ok(())
}
