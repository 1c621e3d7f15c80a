//! What is handed over of populations and samples: each list as a table, and the items that were drawn, as far as they are in scope.
//!
//! Every snapshot of the period is read for it. Items are held for one collector at a time; what stays is the table.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::sealed::{self, Listed};
use super::{Asking, Population, each, rows};
use crate::log::leaf::{Body, Leaf, Role};
use crate::log::store::{Reader, StoreError};
use crate::table::BYTE_ORDER_MARK;

/// What is handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// The populations, by collector and kind.
    pub populations: Vec<Tabled>,
    /// What each draw drew, by its leaf.
    pub drawn: BTreeMap<u64, Drawn>,
}

/// A population with its list.
#[derive(Debug)]
pub struct Tabled {
    /// All that is said of it, without its items.
    pub population: Population,
    /// The items, as a file for a spreadsheet.
    pub table: Vec<u8>,
}

/// What a draw drew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// These, in the order of drawing.
    Items(Vec<Listed>),
    /// Some of it was read by a collector, or from a source, that is out of scope: none of it is handed over.
    Withheld,
    /// Nobody can say any more.
    Unreadable,
}

/// What can't be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table took no more.
    #[error("the table of a population can't be made")]
    Table(#[from] io::Error),
}

/// Reads what is asked for, and what the draws at these leaves drew, of `collectors` if there are any.
///
/// # Errors
/// The store can't be read. Evidence that is damaged is named, not refused.
pub fn read(
    reader: &Reader,
    asking: &Asking,
    draws: &[u64],
    collectors: Option<&BTreeSet<String>>,
) -> Result<Handed, HandedError> {
    let mut handed = Handed::default();
    each::<HandedError>(reader, asking, |of_collector| {
        for mut population in of_collector {
            let mark = BYTE_ORDER_MARK.as_bytes().to_vec();
            let table = rows::write(mark, std::slice::from_ref(&population))?;
            population.items = Vec::new();
            handed.populations.push(Tabled { population, table });
        }
        Ok(())
    })?;
    let is_in = |collector: &str, source: &str| {
        collectors.is_none_or(|wanted| wanted.contains(collector)) && asking.has_source(source)
    };
    for seq in draws {
        handed.drawn.insert(*seq, drawn(reader, *seq, is_in)?);
    }
    Ok(handed)
}

fn drawn(reader: &Reader, seq: u64, is_in: impl Fn(&str, &str) -> bool) -> Result<Drawn, StoreError> {
    let Some(items) = items(reader, seq)? else {
        return Ok(Drawn::Unreadable);
    };
    for item in &items {
        let read_by = leaf(reader, item.snapshot)?.and_then(|leaf| match leaf.body {
            Some(Body::Snapshot(snapshot)) => Some((snapshot.collector, snapshot.source)),
            _ => None,
        });
        if !read_by.is_some_and(|(collector, source)| is_in(&collector, &source)) {
            return Ok(Drawn::Withheld);
        }
    }
    Ok(Drawn::Items(items))
}

fn items(reader: &Reader, seq: u64) -> Result<Option<Vec<Listed>>, StoreError> {
    let blobs = leaf(reader, seq)?.map(|leaf| leaf.blobs).unwrap_or_default();
    let Some(blob) = blobs.iter().find(|blob| blob.role == Role::Sample) else {
        return Ok(None);
    };
    let payload = match reader.payload(&blob.sha256) {
        Err(error) if !error.is_damage() => return Err(error),
        payload => payload.ok().flatten(),
    };
    let items = payload.and_then(|payload| sealed::items(&payload).ok());
    Ok(items.map(|(_, items)| items))
}

fn leaf(reader: &Reader, seq: u64) -> Result<Option<Leaf>, StoreError> {
    match reader.leaf(seq) {
        Err(error) if !error.is_damage() => Err(error),
        leaf => Ok(leaf.ok().flatten()),
    }
}
