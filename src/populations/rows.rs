//! The items of a population as CSV, for a spreadsheet: a line each, with a column for every attribute that any of them has.
//!
//! The only writer of such a table: what a verb prints and what a bundle holds are the same.

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Write};

use super::Population;
use crate::log::leaf::format_time;
use crate::period::population::Item;
use crate::table::Writer;

/// Writes the table, numbered as it is sealed. Every cell is safe to open in a spreadsheet.
///
/// # Errors
/// What is written to refuses.
pub fn write<W: Write>(out: W, populations: &[Population]) -> io::Result<W> {
    let items: Vec<&Item> = populations
        .iter()
        .flat_map(|population| &population.items)
        .collect();
    let attributes: BTreeSet<&str> = items
        .iter()
        .flat_map(|item| {
            item.resource
                .attributes
                .keys()
                .chain(item.resource.unknown.keys())
        })
        .map(String::as_str)
        .collect();
    let columns = attributes.iter().map(|name| format!("resource.{name}"));
    let columns: Vec<String> = OWN.iter().map(|name| (*name).to_owned()).chain(columns).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Writer::new(out, &columns)?;
    for (item, n) in items.iter().zip(1_u64..) {
        table.row(
            own(item, n)
                .into_iter()
                .chain(attributes.iter().map(|name| cell(item, name))),
        )?;
    }
    table.finish()
}

const OWN: [&str; 16] = [
    "n",
    "id",
    "name",
    "kind",
    "collector",
    "source",
    "target",
    "at",
    "first_seen",
    "last_seen",
    "gone",
    "at_start",
    "late",
    "seen",
    "snapshot",
    "changed",
];

fn own(item: &Item, n: u64) -> Vec<String> {
    let resource = &item.resource;
    let time = |at: Option<_>| at.map_or_else(String::new, format_time);
    let names: Vec<&str> = item.changed.iter().map(String::as_str).collect();
    vec![
        n.to_string(),
        resource.id.clone(),
        resource.name.clone(),
        resource.kind.clone(),
        item.scope.collector.clone(),
        item.scope.source.clone(),
        item.scope.target.clone(),
        time(item.at),
        time(Some(item.first_seen)),
        time(Some(item.last_seen)),
        time(item.gone),
        item.at_start.to_string(),
        item.late.to_string(),
        item.seen.to_string(),
        item.snapshot.to_string(),
        names.join(" "),
    ]
}

/// Text as it is, anything else as JSON; what is not known says so, with the reason.
fn cell(item: &Item, name: &str) -> String {
    match (
        item.resource.attributes.get(name),
        item.resource.unknown.get(name),
    ) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(value), _) => value.to_string(),
        (None, Some(reason)) => format!("unknown: {reason}"),
        (None, None) => String::new(),
    }
}
