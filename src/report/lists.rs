//! Populations and samples as files: each list as a table, with the statement of how it was obtained beside it, and one table of all
//! that was drawn.

use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::io;

use super::{ReportError, pretty};
use crate::log::leaf::format_time;
use crate::populations::handed::{Drawn, Handed, Tabled};
use crate::populations::sealed::Listed;
use crate::populations::statement;
use crate::summary::{DrawRow, Summary};
use crate::table::{BYTE_ORDER_MARK, Writer};

/// Each population's files, and the table of what was drawn: paths and bytes.
pub(super) fn files(summary: &Summary, handed: Handed) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut files = vec![("csv/samples.csv".to_owned(), of_draws(summary, &handed)?)];
    let stems = stems(&handed);
    for (of, stem) in handed.populations.into_iter().zip(stems) {
        let about = std::slice::from_ref(&of.population);
        let about = statement::shown(&summary.origin, about, false, None);
        files.push((format!("populations/{stem}.json"), pretty(&about)?));
        files.push((format!("populations/{stem}.csv"), of.table));
    }
    Ok(files)
}

/// What each population's files are called: as people call it, else as the log does.
pub(super) fn stems(handed: &Handed) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let stems = handed.populations.iter().map(|Tabled { population, .. }| {
        let name = plain(population.name.unwrap_or(&population.of));
        // Another collector that yields the same kind.
        let name = if taken.contains(&name) {
            format!("{name}.{}", plain(&population.collector))
        } else {
            name
        };
        taken.insert(name.clone());
        name
    });
    stems.collect()
}

/// A name that a file may have anywhere.
fn plain(name: &str) -> String {
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(kept).collect();
    name.trim_matches('.').to_owned()
}

/// A row for each item that was drawn, in the order of drawing; of what is not handed over, the positions.
fn of_draws(summary: &Summary, handed: &Handed) -> io::Result<Vec<u8>> {
    let mut table = Writer::new(
        BYTE_ORDER_MARK.as_bytes().to_vec(),
        &[
            "sample",
            "drawn_at",
            "population",
            "of",
            "from",
            "to",
            "sources",
            "count",
            "method",
            "seed",
            "size",
            "basis",
            "drawn",
            "draw",
            "drawn_by",
            "note",
            "items",
            "order",
            "n",
            "id",
            "source",
            "target",
            "at",
            "first_seen",
            "last_seen",
            "gone",
            "snapshot",
        ],
    )?;
    for draw in &summary.draws {
        let mut row = |items: &str, own: [String; 10]| {
            let told = of_draw(draw).into_iter().chain([items.to_owned()]);
            table.row(told.chain(own))
        };
        let why = match handed.drawn.get(&draw.sample) {
            Some(Drawn::Items(items)) => {
                for (order, item) in (1_u64..).zip(items) {
                    row("listed", of_item(order, item))?;
                }
                continue;
            }
            Some(Drawn::Withheld) => "withheld",
            Some(Drawn::Unreadable) | None => "unreadable",
        };
        let only = |order: String, n: String| {
            let mut own = [const { String::new() }; 10];
            (own[0], own[1]) = (order, n);
            own
        };
        match &draw.positions {
            Some(positions) => {
                for (order, n) in (1_u64..).zip(positions) {
                    row(why, only(order.to_string(), n.to_string()))?;
                }
            }
            // All there were.
            None => row(why, only(String::new(), String::new()))?,
        }
    }
    table.finish()
}

fn of_draw(draw: &DrawRow) -> [String; 16] {
    let time = |at: Option<DateTime<Utc>>| at.map_or_else(String::new, format_time);
    [
        draw.sample.to_string(),
        format_time(draw.time),
        draw.population.to_string(),
        draw.of.clone().unwrap_or_default(),
        time(draw.from),
        time(draw.to),
        draw.sources
            .as_ref()
            .map_or_else(String::new, |sources| sources.join(" ")),
        draw.count.map_or_else(String::new, |count| count.to_string()),
        draw.method.clone(),
        draw.seed.clone(),
        draw.size.to_string(),
        draw.basis.clone(),
        draw.drawn.to_string(),
        draw.draw.to_string(),
        draw.drawn_by.clone(),
        draw.note.clone().unwrap_or_default(),
    ]
}

fn of_item(order: u64, item: &Listed) -> [String; 10] {
    [
        order.to_string(),
        item.n.to_string(),
        item.id.clone(),
        item.source.clone(),
        item.target.clone(),
        item.at.clone().unwrap_or_default(),
        item.first_seen.clone(),
        item.last_seen.clone(),
        item.gone.clone().unwrap_or_default(),
        item.snapshot.to_string(),
    ]
}
