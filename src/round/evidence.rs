//! The `evidence` payload: the resources of a snapshot in a stable form, so that an unchanged one is stored once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use evidenced_collector_api::{Resource, Snapshot};

use super::undamaged;
use crate::log::leaf::{self, BlobRef, Role, format_time};
use crate::log::store::{Filter, Reader, StoreError};

/// Resources of more bytes than this go into a part of their own: a payload has a limit, and one change should not store
/// everything anew.
const PART: usize = 4 << 20;

/// A snapshot's resources as they are sealed.
pub struct Evidence {
    parts: Vec<Vec<u8>>,
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
        let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
        for resource in resources {
            let size = serde_json::to_vec(&resource).map_or(0, |bytes| bytes.len());
            if bytes + size > PART && !part.is_empty() {
                parts.push(payload(std::mem::take(&mut part), &attributes));
                bytes = 0;
            }
            bytes += size;
            part.push(resource);
        }
        if parts.is_empty() || !part.is_empty() {
            parts.push(payload(part, &attributes));
        }
        Self { parts }
    }

    /// The bytes to seal: one payload, or several of a large target.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// Whether the raw answers are to be kept with it: where the resources changed since the last snapshot of the same
    /// target, volatile attributes aside, and at least once a UTC day.
    pub fn wants_raw(
        &self,
        reader: &Reader,
        (collector, source, target): (&str, &str, Option<&str>),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let today = format!("{}T00:00:00.000Z", &format_time(now)[..10]);
        let filter = Filter {
            kinds: vec!["snapshot".to_owned()],
            collector: Some(collector.to_owned()),
            source: Some(source.to_owned()),
            target: target.map(str::to_owned),
            ..Filter::default()
        };
        let (mut wanted, mut is_last) = (true, true);
        reader.walk_back(&filter, |entry| {
            if entry.time < today {
                return Ok(ControlFlow::Break(()));
            }
            let blobs = undamaged(reader.leaf_bytes(entry.seq))?.and_then(|bytes| leaf::blobs(&bytes));
            let blobs = blobs.unwrap_or_default();
            if std::mem::take(&mut is_last) && !self.is_in(reader, &blobs)? {
                return Ok(ControlFlow::Break(()));
            }
            wanted = !blobs.iter().any(|blob| blob.role == Role::Raw);
            Ok::<_, StoreError>(if wanted {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        Ok(wanted)
    }

    /// Whether a snapshot with these blobs holds the same, but for what changes by itself.
    fn is_in(&self, reader: &Reader, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        let mut before = Vec::new();
        for blob in blobs.iter().filter(|blob| blob.role == Role::Evidence) {
            before.push(undamaged(reader.payload(&blob.sha256))?.unwrap_or_default());
        }
        Ok(settled(&before) == settled(&self.parts))
    }
}

/// The resources in the payload of an `evidence` blob.
pub fn parse(payload: &[u8]) -> Result<Vec<Resource>, serde_json::Error> {
    serde_json::from_slice::<Payload>(payload).map(|payload| payload.resources)
}

fn payload(resources: Vec<Resource>, volatile: &BTreeMap<String, BTreeSet<String>>) -> Vec<u8> {
    let payload = Payload {
        resources,
        volatile: volatile.clone(),
    };
    serde_json::to_vec(&payload).unwrap_or_default()
}

/// The resources without what changes by itself; `None` if they can't be read.
fn settled(parts: &[Vec<u8>]) -> Option<Vec<Resource>> {
    let mut all = Vec::new();
    for part in parts {
        let Payload {
            mut resources,
            volatile,
        } = serde_json::from_slice(part).ok()?;
        for resource in &mut resources {
            if let Some(attributes) = volatile.get(&resource.kind) {
                resource.attributes.retain(|name, _| !attributes.contains(name));
            }
        }
        all.extend(resources);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidenced_collector_api::{Completeness, Covers, Provenance};

    fn snapshot(count: usize, bytes: usize) -> Snapshot {
        let resource = |number: usize| {
            Resource::new("test.item", format!("{number:04}"), "an item", 0).with("text", "x".repeat(bytes))
        };
        Snapshot {
            covers: Covers::At {
                at: DateTime::UNIX_EPOCH,
            },
            resources: (0..count).rev().map(resource).collect(),
            raw: Vec::new(),
            provenance: Provenance {
                caller: BTreeMap::new(),
                calls: Vec::new(),
                limits: Vec::new(),
                completeness: Completeness {
                    complete: false,
                    basis: "none".to_owned(),
                    expected: None,
                    read: count as u64,
                    second_source: None,
                },
            },
        }
    }

    #[test]
    fn a_large_target_is_sealed_in_parts_that_together_hold_each_resource_once() {
        let evidence = Evidence::of(&snapshot(100, 100_000), &[]);
        assert_eq!(evidence.parts().len(), 3);
        assert!(evidence.parts().iter().all(|part| part.len() <= PART + 1024));
        let read = evidence.parts().iter().flat_map(|part| parse(part).unwrap());
        let ids: Vec<_> = read.map(|resource| resource.id).collect();
        let expected: Vec<_> = (0..100).map(|number| format!("{number:04}")).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn one_part_is_there_also_of_nothing() {
        assert_eq!(Evidence::of(&snapshot(0, 0), &[]).parts().len(), 1);
        assert_eq!(Evidence::of(&snapshot(3, 10), &[]).parts().len(), 1);
    }
}
