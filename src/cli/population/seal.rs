//! Sealing a population: its numbered list goes into the log, unless it is there already.

use anyhow::Result;

use crate::cli::setup;
use crate::clock::SharedClock;
use crate::log::append::Draft;
use crate::log::leaf::{self, Body, Role};
use crate::log::store::Reader;
use crate::populations::{Population, sealed};

/// A population that stands in the log.
pub(in crate::cli) struct Sealed {
    /// Its leaf.
    pub(in crate::cli) seq: u64,
    /// What it says.
    pub(in crate::cli) leaf: leaf::Population,
    /// Whether it was there already.
    pub(in crate::cli) was_there: bool,
}

/// Seals a population's list.
pub(in crate::cli) fn seal(
    reader: &Reader,
    population: &Population,
    period: Option<String>,
    clock: SharedClock,
) -> Result<Sealed> {
    let leaf = sealed::leaf(population, period, setup::os_user());
    let payloads = sealed::payloads(population);
    if let Some(seq) = sealed::same(reader, &leaf, &payloads)? {
        setup::committed_leaf(reader, seq)?;
        let before = sealed::population(reader, seq)?.map(|(_, before)| before);
        return Ok(Sealed {
            seq,
            leaf: before.unwrap_or(leaf),
            was_there: true,
        });
    }
    let mut draft = Draft::new(Body::Population(leaf.clone()));
    for payload in &payloads {
        draft = draft.with_blob(Role::Population, "application/json", payload)?;
    }
    let receipt = setup::appender(reader, clock)?.append_blocking(draft)?;
    Ok(Sealed {
        seq: receipt.seq,
        leaf,
        was_there: false,
    })
}
