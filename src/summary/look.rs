//! Looks at targets, as a walk over the log finds them: many, so that little is kept of each and nothing is copied for it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::HashMap;

use evidenced_collector_api::Covers;

use crate::duty::Post;
use crate::log::leaf::{self, Role};
use crate::log::tree::Hash;
use crate::period::deviation::Scope;

/// A snapshot, and its newest evaluation.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) snapshot: u64,
    pub(super) covers: Covers,
    pub(super) complete: bool,
    pub(super) judged: Option<Judgement>,
}

/// An evaluation, without its results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) evaluation: u64,
    pub(super) time: DateTime<Utc>,
    pub(super) plan: u64,
    /// The digest of its findings.
    pub(super) findings: Option<Hash>,
}

/// What a snapshot's own leaf says of it.
pub(super) struct SnapshotPart {
    pub(super) tick: Option<DateTime<Utc>>,
    pub(super) covers: Covers,
    pub(super) complete: bool,
}

/// Where the looks of a target stand while the log is walked.
#[derive(Default)]
pub(super) struct Places {
    /// By collector, source and target.
    index: HashMap<String, usize, foldhash::fast::RandomState>,
    pub(super) series: Vec<(Scope, Post, Vec<Look>)>,
    /// By snapshot: in which series, and where.
    pub(super) snapshots: HashMap<u64, (usize, usize), foldhash::fast::RandomState>,
    key: String,
    named: Vec<(Hash, u64)>,
}

impl Places {
    /// With room for the snapshots of so many leaves.
    pub(super) fn new(leaves: u64) -> Self {
        let mut places = Self::default();
        // Nearly every snapshot is judged once.
        places
            .snapshots
            .reserve(usize::try_from(leaves / 2).unwrap_or_default());
        places
    }

    /// The series of a snapshot's target.
    pub(super) fn of(&mut self, lead: &leaf::Lead<'_>) -> Option<usize> {
        let (collector, source) = (lead.collector.as_deref()?, lead.source.as_deref()?);
        let target = lead.target.as_deref()?;
        self.key.clear();
        for part in [collector, "\0", source, "\0", target] {
            self.key.push_str(part);
        }
        if let Some(at) = self.index.get(&self.key) {
            return Some(*at);
        }
        let scope = Scope {
            collector: collector.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
        };
        self.series
            .push((scope, Post::new(collector, source), Vec::new()));
        self.index.insert(self.key.clone(), self.series.len() - 1);
        Some(self.series.len() - 1)
    }

    /// What a snapshot's leaf says behind its lead and before its blobs.
    pub(super) fn part(&mut self, lead: &leaf::Lead<'_>) -> Option<SnapshotPart> {
        #[derive(Deserialize)]
        struct Part<'a> {
            #[serde(borrow)]
            tick: Option<&'a str>,
            #[serde(borrow)]
            covers: Times<'a>,
            complete: bool,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Times<'a> {
            at: Option<&'a str>,
            from: Option<&'a str>,
            to: Option<&'a str>,
        }
        // Inside a string the quotes would be escaped, so this is the field itself.
        let fields = lead.rest.strip_suffix('}').unwrap_or(lead.rest);
        let end = memchr::memmem::find(fields.as_bytes(), b",\"blobs\":[");
        let fields = &fields[..end.unwrap_or(fields.len())];
        self.key.clear();
        self.key.push('{');
        self.key.push_str(fields.strip_prefix(',').unwrap_or(fields));
        self.key.push('}');
        let part: Part<'_> = serde_json::from_str(&self.key).ok()?;
        let covers = match part.covers {
            Times {
                at: Some(at),
                from: None,
                to: None,
            } => Covers::At {
                at: leaf::read_time(at)?,
            },
            Times {
                at: None,
                from: Some(from),
                to: Some(to),
            } => Covers::Interval {
                from: leaf::read_time(from)?,
                to: leaf::read_time(to)?,
            },
            _ => return None,
        };
        let tick = match part.tick {
            Some(tick) => Some(leaf::read_time(tick)?),
            None => None,
        };
        Some(SnapshotPart {
            tick,
            covers,
            complete: part.complete,
        })
    }

    /// The digest of an evaluation's findings.
    pub(super) fn findings(&mut self, bytes: &[u8]) -> Option<Hash> {
        const ONLY: &[u8] = b",\"blobs\":[{\"role\":\"findings\",";
        let end = &bytes[bytes.len().saturating_sub(256)..];
        if leaf::named_blobs(bytes, &mut self.named).is_some()
            && let [(findings, _)] = self.named.as_slice()
            && memchr::memmem::find(end, ONLY).is_some()
        {
            return Some(*findings);
        }
        let blobs = leaf::blobs(bytes)?;
        let findings = blobs.iter().find(|blob| blob.role == Role::Findings);
        findings.map(|blob| blob.sha256)
    }
}
