//! What a collector can go on from: the last complete snapshot of a target, out of the log, and answers kept in
//! `cache.db`.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use evidenced_collector_api::{CollectError, Earlier, EarlierSnapshot, FailureClass, Target};

use super::kept::Kept;
use super::{RoundError, resources};
use crate::clock::Clock;
use crate::log::leaf::Body;
use crate::log::store::{Filter, Paths, Reader, StoreError};
use crate::registry::Job;

/// Earlier runs of one collector on one source.
pub(super) struct EarlierRuns {
    collector: &'static str,
    source: String,
    /// Opened on first use: most collectors need none of it.
    paths: Paths,
    reader: Mutex<Option<Reader>>,
    /// None in a dry run, which writes nothing.
    answers: Option<Kept>,
}

impl EarlierRuns {
    pub(super) fn of(job: &Job, paths: &Paths, clock: &dyn Clock) -> Self {
        Self {
            answers: Some(Kept::new(paths.cache(), clock.now().timestamp() / 86_400)),
            ..Self::without_answers(job, paths)
        }
    }

    pub(super) fn without_answers(job: &Job, paths: &Paths) -> Self {
        Self {
            collector: job.collector.id(),
            source: job.source.clone(),
            paths: paths.clone(),
            reader: Mutex::new(None),
            answers: None,
        }
    }

    /// The newest complete snapshot. Those passed over may be many: months in which something stayed unseen.
    fn newest_complete(&self, target: &Target) -> Result<Option<EarlierSnapshot>, RoundError> {
        let mut held = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match held.take() {
            Some(reader) => reader,
            None => Reader::open(&self.paths)?,
        };
        let reader = held.insert(reader);
        let filter = Filter {
            kinds: vec!["snapshot".to_owned()],
            collector: Some(self.collector.to_owned()),
            source: Some(self.source.clone()),
            target: Some(target.to_string()),
            ..Filter::default()
        };
        let mut found = None;
        reader.walk_back(&filter, |entry| {
            let leaf = reader
                .leaf(entry.seq)?
                .ok_or(RoundError::Evidence(entry.seq, None))?;
            let Some(Body::Snapshot(snapshot)) = &leaf.body else {
                return Err(RoundError::Evidence(entry.seq, None));
            };
            if !snapshot.complete {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some(EarlierSnapshot {
                covers: snapshot.covers,
                resources: resources(reader, entry.seq, &leaf)?,
            });
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    fn key(&self, key: &str) -> String {
        format!("{} {key}", self.source)
    }
}

impl Earlier for EarlierRuns {
    fn complete_snapshot(&self, target: &Target) -> Result<Option<EarlierSnapshot>, CollectError> {
        match self.newest_complete(target) {
            Err(RoundError::Store(StoreError::Absent(_))) => Ok(None),
            found => found.map_err(|error| {
                let what = "the last complete snapshot can't be read; `evidenced verify` may say more";
                CollectError::new(FailureClass::Internal, what).caused_by(error)
            }),
        }
    }

    fn kept(&self, key: &str) -> Option<Vec<u8>> {
        self.answers.as_ref()?.get(&self.key(key))
    }

    fn keep(&self, key: &str, answer: &[u8]) {
        if let Some(answers) = &self.answers {
            answers.put(&self.key(key), answer);
        }
    }
}
