//! The whole log, checked on the way, and which of its leaves are handed over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write as _;

use super::measure::Measure;
use super::{ExportError, Order};
use crate::bundle::contents::{self, Chooser};
use crate::log::checkpoint::VerifierKey;
use crate::log::leaf;
use crate::log::start;
use crate::log::store::{Held, Reader, StoreError};
use crate::log::tree::{Frontier, Hash};
use crate::plan::{Lists, Plan, PlanError};

/// The whole log, checked, and which of its leaves are handed over.
pub(super) struct Log {
    pub(super) key: VerifierKey,
    /// By size, the newest last.
    pub(super) notes: Vec<(u64, String)>,
    pub(super) size: u64,
    pub(super) root: Hash,
    /// The newest leaf's time.
    pub(super) newest: String,
    /// The file of all hashes.
    pub(super) hashes: Measure,
    pub(super) chosen: Vec<u64>,
    pub(super) chooser: Chooser,
    pub(super) plans: HashMap<u64, Option<Lists>>,
}

pub(super) fn damaged(seq: u64, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("leaf {seq}: {what}"))
}

impl Log {
    pub(super) fn check(held: &Held<'_>, order: &Order) -> Result<Self, ExportError> {
        let key = start::verifier_key(held.reader())?;
        let notes = held.checkpoints()?;
        let origin = held.reader().origin().as_str();
        let mut chooser = Chooser::new(order.period.from, order.period.to);
        let (mut frontier, mut prev, mut newest) = (Frontier::default(), [0; 32], String::new());
        let mut hashes = Measure::default();
        let mut signed = notes.iter();
        let mut next = signed.next();
        held.reader().walk::<ExportError>(|seq, hash, bytes| {
            let lead = leaf::lead(bytes, origin, seq, &prev).map_err(|what| damaged(seq, &what))?;
            chooser.see(&contents::outline(seq, &lead, bytes).map_err(|error| damaged(seq, &error))?);
            lead.time.clone_into(&mut newest);
            prev = *hash;
            hashes.write_all(hash)?;
            frontier.push(0, prev, |_, _, _| {});
            while let Some((size, note)) = next.filter(|(size, _)| *size == frontier.size()) {
                let checkpoint = key.verify(note).map_err(|error| damaged(seq, &error))?;
                if checkpoint.size != *size || checkpoint.root != frontier.root() {
                    return Err(damaged(seq, &"the checkpoint here was signed for other leaves").into());
                }
                next = signed.next();
            }
            Ok(())
        })?;
        let size = frontier.size();
        if next.is_some() || notes.last().map(|(size, _)| *size) != Some(size) {
            let what = "the log does not end where its newest checkpoint says";
            return Err(StoreError::Damaged(what.to_owned()).into());
        }
        let mut plans = HashMap::new();
        let chosen = chooser.choose(|plan, collector| {
            let lists = plans.entry(plan);
            let lists = match lists {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(lists_of(held.reader(), plan)?),
            };
            Ok::<_, StoreError>(lists.as_ref().and_then(|lists| {
                let kinds = &lists.collectors.get(collector)?.kinds;
                let tests = lists
                    .rules
                    .tests
                    .iter()
                    .filter(|test| test.enabled && kinds.contains(&test.resource));
                tests.map(|test| test.max_age.length()).max()
            }))
        })?;
        Ok(Self {
            key,
            notes,
            size,
            root: frontier.root(),
            newest,
            hashes,
            chosen,
            chooser,
            plans,
        })
    }

    /// The plans that are handed over.
    pub(super) fn plans(&self, reader: &Reader) -> Result<Vec<u64>, StoreError> {
        let mut plans = reader.of_kind("plan", 0)?;
        plans.retain(|seq| self.chosen.binary_search(seq).is_ok());
        Ok(plans)
    }
}

/// The lists of a plan; none where they can't be read any more.
pub(super) fn lists_of(reader: &Reader, plan: u64) -> Result<Option<Lists>, StoreError> {
    match Plan::sealed_lists(reader, plan) {
        Ok(lists) => Ok(Some(lists)),
        Err(PlanError::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Goes through the leaves that are handed over.
pub(super) fn each_chosen<E: From<StoreError>>(
    held: &Held<'_>,
    log: &Log,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut chosen = log.chosen.iter().peekable();
    held.reader().walk(|seq, _, bytes| {
        if chosen.next_if(|next| **next == seq).is_none() {
            return Ok(());
        }
        visit(seq, bytes)
    })
}
