//! The `evidence` payload: the resources of a snapshot in a stable form, so that an unchanged one is stored once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{Resource, Snapshot};

use super::undamaged;
use crate::log::leaf::{Role, format_time};
use crate::log::store::{Filter, Reader, StoreError};

/// A snapshot's resources as they are sealed.
pub struct Evidence {
    payload: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    resources: Vec<Resource>,
    /// By kind, the attributes that change by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    volatile: BTreeMap<String, BTreeSet<String>>,
}

impl Evidence {
    /// The payload for a snapshot, its resources sorted by kind and id.
    pub fn of(snapshot: &Snapshot, volatile: &[(&str, &str)]) -> Self {
        let mut resources = snapshot.resources.clone();
        resources.sort_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        let mut attributes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (kind, attribute) in volatile {
            attributes
                .entry((*kind).to_owned())
                .or_default()
                .insert((*attribute).to_owned());
        }
        let payload = Payload {
            resources,
            volatile: attributes,
        };
        Self {
            payload: serde_json::to_vec(&payload).unwrap_or_default(),
        }
    }

    /// The bytes to seal.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether the raw answers are to be kept with it: where the resources changed since the last snapshot of the same
    /// target, volatile attributes aside, and at least once a UTC day.
    pub fn wants_raw(
        &self,
        reader: &Reader,
        (collector, source, target): (&str, &str, Option<&str>),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let filter = Filter {
            from: Some(format!("{}T00:00:00.000Z", &format_time(now)[..10])),
            kinds: vec!["snapshot".to_owned()],
            collector: Some(collector.to_owned()),
            source: Some(source.to_owned()),
            target: target.map(str::to_owned),
            ..Filter::default()
        };
        let today = reader.entries(&filter)?;
        let Some(last) = today.last() else { return Ok(true) };
        let Some(leaf) = undamaged(reader.leaf(last.seq))? else {
            return Ok(true);
        };
        let mut before = Vec::new();
        for blob in leaf.blobs.iter().filter(|blob| blob.role == Role::Evidence) {
            before.push(undamaged(reader.payload(&blob.sha256))?.unwrap_or_default());
        }
        let [before] = before.as_slice() else {
            return Ok(true);
        };
        if settled(before) != settled(&self.payload) {
            return Ok(true);
        }
        for entry in &today {
            if let Some(leaf) = undamaged(reader.leaf(entry.seq))?
                && leaf.blobs.iter().any(|blob| blob.role == Role::Raw)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The resources of a sealed payload.
pub(super) fn parse(payload: &[u8]) -> Result<Vec<Resource>, serde_json::Error> {
    serde_json::from_slice::<Payload>(payload).map(|payload| payload.resources)
}

/// The resources without what changes by itself; `None` if they can't be read.
fn settled(payload: &[u8]) -> Option<Vec<Resource>> {
    let Payload {
        mut resources,
        volatile,
    } = serde_json::from_slice(payload).ok()?;
    for resource in &mut resources {
        if let Some(attributes) = volatile.get(&resource.kind) {
            resource.attributes.retain(|name, _| !attributes.contains(name));
        }
    }
    Some(resources)
}
