//! The lists that were sealed of a period, and what was drawn from them, for people.

use anyhow::Result;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use comfy_table::Cell;
use std::io::Write;

use super::super::style::{self, Style};
use crate::summary::{DrawRow, Summary};

pub(super) fn print(out: &mut dyn Write, style: Style, summary: &Summary) -> Result<()> {
    let zone = summary.period.zone;
    if !summary.populations.is_empty() {
        let head = [
            "SEALED",
            "POPULATION",
            "OF THE TIME",
            "ITEMS",
            "SOURCES",
            "GAPS",
            "DRAWN",
        ];
        let mut table = style.table(&head);
        for row in &summary.populations {
            let draws = summary.draws.iter().filter(|draw| draw.population == row.seq);
            let gaps = match (row.gaps, row.over) {
                (0, true) => Cell::new("-"),
                (0, false) => style.bad_cell("not over then"),
                (gaps, true) => style.bad_cell(&gaps.to_string()),
                (gaps, false) => style.bad_cell(&format!("{gaps}, not over then")),
            };
            let sources = row.sources.join(", ");
            table.add_row([
                Cell::new(row.seq),
                Cell::new(row.name.unwrap_or(&row.population)),
                Cell::new(format!("{} to {}", minute(row.from, zone), minute(row.to, zone))),
                Cell::new(row.count),
                Cell::new(if sources.is_empty() {
                    "all".to_owned()
                } else {
                    style::plain(&sources)
                }),
                gaps,
                Cell::new(match draws.count() {
                    0 => "-".to_owned(),
                    1 => "once".to_owned(),
                    times => format!("{times} times"),
                }),
            ]);
        }
        writeln!(out, "{}", style::lines(&table))?;
    }
    for draw in &summary.draws {
        writeln!(out, "{}", told(draw, style, zone))?;
    }
    if !summary.draws.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn told(draw: &DrawRow, style: Style, zone: Tz) -> String {
    let of = draw.of.as_deref().unwrap_or("what can't be read any more");
    let count = draw
        .count
        .map_or_else(String::new, |count| format!(" of {count}"));
    let again = if draw.draw > 1 {
        style.bad(&format!(", draw {} on this population", draw.draw))
    } else {
        String::new()
    };
    let note = draw
        .note
        .as_ref()
        .map_or_else(String::new, |note| format!(", for {}", style::plain(note)));
    format!(
        "sample {}: {}{count} of {of} ({}), by the seed \"{}\"{again}, {} by {}{note}",
        draw.sample,
        draw.drawn,
        draw.population,
        style::plain(&draw.seed),
        minute(draw.time, zone),
        style::plain(&draw.drawn_by),
    )
}

fn minute(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
}
