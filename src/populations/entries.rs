//! Which leaves of a log a population may rest on. A year has many of them, of few targets, so that little is kept of each.

use chrono::TimeDelta;
use std::collections::HashMap;
use std::ops::ControlFlow;

use super::Asking;
use crate::log::leaf::format_time;
use crate::log::store::{Filter, Reader, StoreError};

/// What a leaf is about.
pub(super) enum What {
    /// Which targets a source has, from this time on.
    Scope(String),
    /// A snapshot too old to be of the period.
    Early,
    /// One that may be of it.
    Snapshot,
    /// What kept something from being collected.
    Trouble,
}

/// What is appended within a day of the period's beginning may be about it: clocks differ, and runs take time.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// Leaves, each with the place of its source and target among the places.
pub(super) type Entries = (Vec<(u64, usize, What)>, Vec<(String, String)>);

/// The leaves about a collector, oldest first.
pub(super) fn of(reader: &Reader, asking: &Asking, collector: &str) -> Result<Entries, StoreError> {
    let filter = Filter {
        kinds: ["snapshot", "failure", "missed", "scope"]
            .map(str::to_owned)
            .to_vec(),
        collector: Some(collector.to_owned()),
        ..Filter::default()
    };
    let window = format_time(asking.period.from - MARGIN);
    let (mut entries, mut places) = (Vec::new(), Places::default());
    reader.walk_back::<StoreError>(&filter, |entry| {
        let source = entry.source.unwrap_or_default();
        if asking.has_source(&source) {
            let is_early = entry.time < window;
            let what = match entry.kind.as_str() {
                "scope" => Some(What::Scope(entry.time)),
                "snapshot" if is_early => Some(What::Early),
                "snapshot" => Some(What::Snapshot),
                _ => (!is_early).then_some(What::Trouble),
            };
            let place = places.of(source, entry.target.unwrap_or_default());
            entries.extend(what.map(|what| (entry.seq, place, what)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    entries.reverse();
    Ok((entries, places.all))
}

/// Sources and targets, each once.
#[derive(Default)]
struct Places {
    index: HashMap<(String, String), usize>,
    all: Vec<(String, String)>,
}

impl Places {
    fn of(&mut self, source: String, target: String) -> usize {
        let key = (source, target);
        if let Some(at) = self.index.get(&key) {
            return *at;
        }
        self.all.push(key.clone());
        self.index.insert(key, self.all.len() - 1);
        self.all.len() - 1
    }
}
