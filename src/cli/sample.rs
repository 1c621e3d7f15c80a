//! `evidenced sample POPULATION`: seals a population and draws from it by the auditor's seed. Every draw is a leaf.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::population::seal::{self, Sealed};
use super::population::{self, Over, text};
use super::statement::{self, NAME, PROSE};
use super::style::{self, Style, minute, plain};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::log::append::Draft;
use crate::log::leaf::{Body, Role, Sample, format_time};
use crate::log::start;
use crate::log::store::Reader;
use crate::period::sample;
use crate::populations::sealed::{self, Draw, Listed, overlap};
use crate::populations::{self, Population};

/// Draw a sample from a population by the auditor's seed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced sample pull-requests --period 2026-h1 --size 25 --seed 4711
  evidenced sample users --from 2026-01-01 --to 2026-06-30 --seed 4711 --note \"Joiners, A. Smith\"
  evidenced sample --list

The population is sealed first, unless just this list is in the log already, and the draw is a leaf,
too. Earlier draws from the same population are shown: nobody can draw until it looks good. The seed
is the auditor's, best named after `evidenced population POPULATION --seal`.

How it is drawn: of each position i in the sealed list, from 1 to its COUNT, the SHA-256 of the text
SEED:POPULATION:COUNT:i is taken, and the items with the smallest digests are drawn, in that order.
A larger sample begins with the smaller one. By hand, 25 of 173 by the seed 4711:
  for i in $(seq 173); do printf '%s:%s:%d:%d' 4711 github.pull_request 173 $i |
    sha256sum | sed \"s/-/$i/\"; done | sort | head -25

Without --size, as many are drawn as auditors usually take: 1 of 1, 2 of up to 4, 5 of up to 12, 15
of up to 52, 25 of more. Where fewer are there, all are.

With --format json: sample, population {seq, sealed_before, of, from, to, sources, count, gaps,
over, blobs}, method, seed, size, basis, drawn, draw, earlier_draws [{sample, time, population, of,
from, to, sources, seed, size, drawn, drawn_by, note, same_list}], drawn_by, note, notes, items
[{draw, n, id, source, target, at, first_seen, last_seen, gone, snapshot}]. With --list: draws, as
the earlier ones.")]
pub(super) struct Arguments {
    /// Which: a kind of resource, or a name, as `evidenced population` lists them
    #[arg(value_name = "POPULATION", required_unless_present = "list")]
    population: Option<String>,
    #[command(flatten)]
    over: Over,
    /// How many items [default: what auditors usually take of so many]
    #[arg(long, value_name = "N")]
    size: Option<u64>,
    /// The auditor's seed: any text
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    seed: Option<String>,
    /// What it is for, as it is to stand in the log
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// List all draws instead
    #[arg(long, conflicts_with_all = ["population", "size", "seed", "note"])]
    list: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    sample: u64,
    population: List<'a>,
    method: &'a str,
    seed: &'a str,
    size: u64,
    basis: &'a str,
    drawn: u64,
    /// Which draw on this population it is, from 1.
    draw: usize,
    earlier_draws: Vec<Earlier<'a>>,
    drawn_by: &'a str,
    note: Option<&'a str>,
    notes: Vec<String>,
    items: Vec<Item>,
}

/// What it was drawn from.
#[derive(Serialize)]
struct List<'a> {
    seq: u64,
    sealed_before: bool,
    of: &'a str,
    from: String,
    to: String,
    sources: &'a [String],
    count: u64,
    gaps: u64,
    over: bool,
    /// The digests of the sealed list's blobs.
    blobs: Vec<String>,
}

#[derive(Serialize)]
struct Earlier<'a> {
    sample: u64,
    time: String,
    population: u64,
    of: Option<&'a str>,
    from: Option<String>,
    to: Option<String>,
    sources: Option<&'a [String]>,
    seed: &'a str,
    size: u64,
    drawn: u64,
    drawn_by: &'a str,
    note: Option<&'a str>,
    /// Whether it was drawn from the very list.
    same_list: bool,
}

#[derive(Serialize)]
struct Item {
    /// When it was drawn, from 1.
    draw: u64,
    #[serde(flatten)]
    listed: Listed,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let (Some(name), Some(seed)) = (&arguments.population, &arguments.seed) else {
        return list(common, out);
    };
    let seed = statement::checked("--seed", seed, NAME)?;
    let note = statement::checked_if_given("--note", arguments.note.as_deref(), PROSE)?;
    let meant = arguments.over.period(common)?;
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let asking = arguments.over.asking(&reader, Some(name), &meant)?;
    let read = populations::read(&reader, &asking)?;
    population::check_committed(&reader, &read)?;
    let Some(population) = read.into_iter().next() else {
        return Err(UsageError::error(
            format!("there is no population {name:?}"),
            EMPTY,
        ));
    };
    let (size, basis) = size(arguments.size, &population)?;
    let positions = sample::draw(&seed, &population.of, population.count(), size);
    let is_all = positions.len() as u64 == population.count();
    if !is_all && positions.len() > Sample::POSITIONS {
        return Err(UsageError::error(
            format!(
                "--size {size} is more than {}, and less than all",
                Sample::POSITIONS
            ),
            "draw fewer, or take the whole population, which --csv prints",
        ));
    }
    let clock = clock::system();
    let sealed = seal::seal(&reader, &population, meant.name, clock.clone())?;
    let earlier = sealed::draws(&reader)?;
    let leaf = Sample {
        population: sealed.seq,
        method: sample::METHOD.to_owned(),
        seed,
        size,
        basis,
        drawn: positions.len() as u64,
        positions: (!is_all).then(|| positions.clone()),
        drawn_by: setup::os_user(),
        note,
    };
    let payload = sealed::drawn(&population, &positions);
    let draft =
        Draft::new(Body::Sample(leaf.clone())).with_blob(Role::Sample, "application/json", &payload)?;
    let receipt = setup::appender(&reader, clock)?.append_blocking(draft)?;
    let earlier: Vec<&Draw> = earlier
        .iter()
        .filter(|draw| {
            let before = draw.population.as_ref();
            // What can't be read any more may have been the same.
            before.is_none_or(|before| overlap(before, &sealed.leaf))
        })
        .collect();
    let items = sealed::items(&payload)?.1;
    let shown = Shown {
        sample: receipt.seq,
        population: from(&reader, &sealed)?,
        method: &leaf.method,
        seed: &leaf.seed,
        size: leaf.size,
        basis: &leaf.basis,
        drawn: leaf.drawn,
        draw: earlier.len() + 1,
        earlier_draws: earlier.iter().map(|draw| told(draw, sealed.seq)).collect(),
        drawn_by: &leaf.drawn_by,
        note: leaf.note.as_deref(),
        notes: notes(&sealed, &earlier),
        items: (1..)
            .zip(items)
            .map(|(draw, listed)| Item { draw, listed })
            .collect(),
    };
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &sealed, &shown)?,
    }
    Ok(Exit::Well)
}

const EMPTY: &str = "`evidenced population` lists what there is; --seal puts an empty list on record";

/// How many are to be drawn, and where that is from.
fn size(asked: Option<u64>, population: &Population) -> Result<(u64, String)> {
    let count = population.count();
    if count == 0 {
        return Err(UsageError::error(
            format!(
                "{} has no items in this period: nothing can be drawn",
                population.of
            ),
            EMPTY,
        ));
    }
    match asked {
        Some(0) => Err(UsageError::error("--size is 0", "draw at least one")),
        Some(size) if size > count => Ok((size, format!("as asked; there are only {count}"))),
        Some(size) => Ok((size, "as asked".to_owned())),
        None => {
            let usual = sample::usual(count);
            Ok((usual.size, usual.basis.to_owned()))
        }
    }
}

fn from<'a>(reader: &Reader, sealed: &'a Sealed) -> Result<List<'a>> {
    let leaf = &sealed.leaf;
    let blobs = reader
        .leaf(sealed.seq)?
        .map(|leaf| leaf.blobs)
        .unwrap_or_default();
    Ok(List {
        seq: sealed.seq,
        sealed_before: sealed.was_there,
        of: &leaf.of,
        from: format_time(leaf.from),
        to: format_time(leaf.to),
        sources: &leaf.only_sources,
        count: leaf.count,
        gaps: leaf.gaps,
        over: leaf.over,
        blobs: blobs.iter().map(|blob| hex::encode(blob.sha256)).collect(),
    })
}

fn told(draw: &Draw, population: u64) -> Earlier<'_> {
    let (sample, from) = (&draw.sample, draw.population.as_ref());
    Earlier {
        sample: draw.seq,
        time: format_time(draw.time),
        population: sample.population,
        of: from.map(|from| from.of.as_str()),
        from: from.map(|from| format_time(from.from)),
        to: from.map(|from| format_time(from.to)),
        sources: from.map(|from| from.only_sources.as_slice()),
        seed: &sample.seed,
        size: sample.size,
        drawn: sample.drawn,
        drawn_by: &sample.drawn_by,
        note: sample.note.as_deref(),
        same_list: sample.population == population,
    }
}

fn notes(sealed: &Sealed, earlier: &[&Draw]) -> Vec<String> {
    let mut notes = text::notes(sealed);
    if !earlier.is_empty() {
        let what = format!("this is draw {} on this population", earlier.len() + 1);
        let of: Vec<String> = earlier
            .iter()
            .map(|draw| format!("sample {}", draw.seq))
            .collect();
        notes.push(format!(
            "{what}: before it came {}, and the auditor is told",
            of.join(", ")
        ));
    }
    notes
}

fn print_text(out: &mut dyn Write, sealed: &Sealed, shown: &Shown<'_>) -> Result<()> {
    let style = Style::of_stdout();
    let leaf = &sealed.leaf;
    let when = if sealed.was_there {
        "sealed before"
    } else {
        "sealed now"
    };
    let sources = leaf.only_sources.join(", ");
    let source = match sources.as_str() {
        "" => String::new(),
        sources => format!(" of {}", plain(sources)),
    };
    let (from, to) = (minute(leaf.from), minute(leaf.to));
    let items = style::count(leaf.count, "item", "items");
    writeln!(
        out,
        "{} ({when}): {items} of {}{source} from {from} to {to}",
        style.strong(&format!("population {}", sealed.seq)),
        leaf.of
    )?;
    writeln!(
        out,
        "{}: {} of {}, drawn by {}",
        style.strong(&format!("sample {}", shown.sample)),
        shown.drawn,
        leaf.count,
        plain(shown.drawn_by)
    )?;
    let mut field = |name: &str, text: &str| writeln!(out, "{}  {text}", style.faint(&format!("{name:7}")));
    field("draw", &format!("this is draw {} on this population", shown.draw))?;
    field("seed", shown.seed)?;
    field("size", &format!("{}: {}", shown.size, shown.basis))?;
    field("method", &format!("{}: {}", shown.method, sample::IN_WORDS))?;
    if let Some(note) = shown.note {
        field("for", note)?;
    }
    for note in &shown.notes {
        writeln!(out, "{} {note}", style.bad("note:"))?;
    }
    let mut table = style.table(&["DRAW", "N", "ID", "SOURCE", "TARGET", "TIME", "SNAPSHOT"]);
    for item in &shown.items {
        let listed = &item.listed;
        table.add_row([
            item.draw.to_string(),
            listed.n.to_string(),
            plain(&listed.id),
            plain(&listed.source),
            plain(&listed.target),
            listed
                .at
                .clone()
                .unwrap_or_else(|| format!("last seen {}", listed.last_seen)),
            listed.snapshot.to_string(),
        ]);
    }
    write!(out, "\n{}", style::lines(&table))?;
    writeln!(out, "\nTo draw it again, by hand:\n{}", by_hand(shown))?;
    Ok(())
}

/// What a shell draws the same with.
fn by_hand(shown: &Shown<'_>) -> String {
    let seed = shown.seed.replace('\'', "'\\''");
    let (of, count) = (shown.population.of, shown.population.count);
    format!(
        "  for i in $(seq {count}); do printf '%s:%s:%d:%d' '{seed}' {of} {count} $i | sha256sum | sed \"s/-/$i/\"; done | sort | head -{}",
        shown.drawn
    )
}

fn list(common: &Common, out: &mut dyn Write) -> Result<Exit> {
    #[derive(Serialize)]
    struct Draws<'a> {
        draws: Vec<Earlier<'a>>,
    }
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let draws = sealed::draws(&reader)?;
    for draw in &draws {
        setup::committed_leaf(&reader, draw.seq)?;
    }
    // Without a population at hand, each was drawn from its own.
    let told = draws.iter().map(|draw| told(draw, draw.sample.population));
    if common.format == Format::Json {
        print_json(
            out,
            &Draws {
                draws: told.collect(),
            },
        )?;
        return Ok(Exit::Well);
    }
    if draws.is_empty() {
        writeln!(out, "Nothing has been drawn yet.")?;
        return Ok(Exit::Well);
    }
    let style = Style::of_stdout();
    let mut table = style.table(&[
        "SAMPLE", "DRAWN AT", "FROM", "PERIOD", "DRAW", "SIZE", "SEED", "BY", "NOTE",
    ]);
    for (at, draw) in draws.iter().enumerate() {
        let (sample, population) = (&draw.sample, draw.population.as_ref());
        let on_same = |other: &&Draw| match (&other.population, population) {
            (Some(one), Some(other)) => overlap(one, other),
            _ => other.sample.population == sample.population,
        };
        let nth = draws[..=at].iter().filter(on_same).count();
        let period = population.map_or_else(String::new, |from| {
            format!("{} to {}", minute(from.from), minute(from.to))
        });
        let of = population.map_or("unreadable", |from| from.of.as_str());
        table.add_row([
            draw.seq.to_string(),
            minute(draw.time),
            format!("{of} ({})", sample.population),
            period,
            nth.to_string(),
            format!("{} of {}", sample.drawn, population.map_or(0, |from| from.count)),
            plain(&sample.seed),
            plain(&sample.drawn_by),
            plain(sample.note.as_deref().unwrap_or_default()),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(Exit::Well)
}
