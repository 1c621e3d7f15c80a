//! A leaf, as far as the choice of a bundle's leaves depends on it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::log::leaf::{AlertState, BlobRef, By, Event, Lead, Role};
use crate::log::tree::Hash;

/// A leaf, as far as the choice depends on it.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// Its position.
    pub seq: u64,
    /// When it was appended, as it writes it.
    pub time: &'a str,
    /// What it says.
    pub what: What<'a>,
}

/// What a leaf says.
#[derive(Clone, Debug)]
pub enum What<'a> {
    /// A look at a target.
    Snapshot {
        /// Collector, source and target.
        scope: (&'a str, &'a str, &'a str),
        /// The plan it was collected under.
        plan: u64,
        /// Whether it is the whole population.
        complete: bool,
    },
    /// How a snapshot was judged.
    Evaluation {
        /// The snapshot.
        snapshot: u64,
        /// The plan whose tests judged it.
        plan: u64,
        /// A digest of its results and findings.
        says: Hash,
    },
    /// What is collected and how it is judged.
    Plan {
        /// Who runs it.
        by: By,
        /// From when on its schedules count.
        effective: Option<DateTime<Utc>>,
    },
    /// The targets found in a source.
    Scope {
        /// The collector's id.
        collector: &'a str,
        /// The source's name.
        source: &'a str,
    },
    /// Something that people were told, or said to it.
    Alert {
        /// The leaf that opened the alert; none where this is it.
        of: Option<u64>,
        /// Whether it is over with this.
        ends: bool,
    },
    /// A run that collected nothing.
    Failure {
        /// The plan it ran under.
        plan: u64,
    },
    /// What matters only in its own time: missed ticks, heartbeats.
    Passing,
    /// What stands by itself, at any time.
    Standing,
}

/// Reads a leaf's outline; `lead` is its beginning.
pub fn outline<'a>(seq: u64, lead: &'a Lead<'a>, bytes: &[u8]) -> Result<Outline<'a>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Snapshot {
        plan: u64,
        complete: bool,
    }
    #[derive(Deserialize)]
    struct Evaluation<'b> {
        plan: u64,
        #[serde(borrow)]
        results: &'b RawValue,
        blobs: Vec<BlobRef>,
    }
    #[derive(Deserialize)]
    struct Plan {
        by: By,
        effective: Option<DateTime<Utc>>,
    }
    #[derive(Deserialize)]
    struct Failure {
        plan: u64,
    }
    #[derive(Deserialize)]
    struct News {
        state: Option<AlertState>,
        alert: Option<u64>,
        event: Option<Event>,
    }
    let of = |name: &'a Option<std::borrow::Cow<'a, str>>| name.as_deref().unwrap_or_default();
    let what = match lead.kind {
        "snapshot" => {
            let Snapshot { plan, complete } = serde_json::from_slice(bytes)?;
            What::Snapshot {
                scope: (of(&lead.collector), of(&lead.source), of(&lead.target)),
                plan,
                complete,
            }
        }
        "evaluation" => {
            let read: Evaluation<'_> = serde_json::from_slice(bytes)?;
            let mut says = Sha256::new_with_prefix(read.results.get());
            let findings = read.blobs.iter().filter(|blob| blob.role == Role::Findings);
            findings.for_each(|blob| says.update(blob.sha256));
            What::Evaluation {
                snapshot: lead.snapshot.unwrap_or(u64::MAX),
                plan: read.plan,
                says: says.finalize().into(),
            }
        }
        "plan" => {
            let Plan { by, effective } = serde_json::from_slice(bytes)?;
            What::Plan { by, effective }
        }
        "scope" => What::Scope {
            collector: of(&lead.collector),
            source: of(&lead.source),
        },
        "alert" | "acknowledgement" => {
            let News { state, alert, event } = serde_json::from_slice(bytes)?;
            What::Alert {
                of: alert,
                // Evidence stays overdue behind the notice of it.
                ends: matches!(state, Some(AlertState::Closed | AlertState::Noticed))
                    && event != Some(Event::ManualOverdue),
            }
        }
        "failure" => {
            let Failure { plan } = serde_json::from_slice(bytes)?;
            What::Failure { plan }
        }
        "missed" | "heartbeat" => What::Passing,
        _ => What::Standing,
    };
    Ok(Outline {
        seq,
        time: lead.time,
        what,
    })
}
