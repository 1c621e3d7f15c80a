//! Populations and samples as they stand in the log: what is written of them, and what was written before.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Population;
use crate::log::leaf::{self, Body, Leaf, Role, Sample, format_time};
use crate::log::store::{Reader, StoreError};
use crate::period::population::{Gap, Item, What};

/// A list of more bytes than this goes on in another blob: a payload has a limit.
const PART: usize = 4 << 20;

/// An item of a sealed list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its position, from 1.
    pub n: u64,
    /// The resource's id.
    pub id: String,
    /// The source's name.
    pub source: String,
    /// The target's name.
    pub target: String,
    /// An event's own time; null of a state, and where it is not told.
    pub at: Option<String>,
    /// The first look that saw it.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
    /// Of a state: the look that no longer saw it.
    pub gone: Option<String>,
    /// The newest snapshot that holds it.
    pub snapshot: u64,
}

/// A gap, as it is sealed beside the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedGap {
    /// The source's name.
    pub source: String,
    /// The target's name.
    pub target: String,
    /// Where it begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Why, as far as the log says.
    pub why: String,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    /// All of them, in the first part.
    #[serde(default)]
    gaps: Vec<ListedGap>,
    items: Vec<Listed>,
}

/// What is drawn, by position.
#[derive(Serialize, Deserialize)]
struct Drawn {
    items: Vec<Listed>,
}

impl Listed {
    /// Items as they are numbered.
    pub fn all(items: &[Item]) -> Vec<Self> {
        let numbered = items.iter().zip(1..);
        numbered
            .map(|(item, n)| Self {
                n,
                id: item.resource.id.clone(),
                source: item.scope.source.clone(),
                target: item.scope.target.clone(),
                at: item.at.map(format_time),
                first_seen: format_time(item.first_seen),
                last_seen: format_time(item.last_seen),
                gone: item.gone.map(format_time),
                snapshot: item.snapshot,
            })
            .collect()
    }
}

impl From<&Gap> for ListedGap {
    fn from(gap: &Gap) -> Self {
        Self {
            source: gap.scope.source.clone(),
            target: gap.scope.target.clone(),
            from: format_time(gap.span.from),
            to: format_time(gap.span.to),
            why: reasons(gap),
        }
    }
}

/// Why there is a gap, in words.
pub fn reasons(gap: &Gap) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for (what, leaves) in &gap.why.happened {
        let where_ = match leaves.as_slice() {
            [one] => format!("leaf {one}"),
            [first, .., last] => format!("leaves {first} to {last}"),
            [] => String::new(),
        };
        let times = leaves.len();
        reasons.push(match what {
            What::Failure(class) if times == 1 => format!("a run failed ({class}; {where_})"),
            What::Failure(class) => format!("{times} runs failed ({class}; {where_})"),
            What::Missed(reason) => format!("ticks were missed ({reason}; {where_})"),
            What::Incomplete if times == 1 => format!("a snapshot was incomplete ({where_})"),
            What::Incomplete => format!("{times} snapshots were incomplete ({where_})"),
            What::Unreadable => format!("evidence can't be read any more ({where_})"),
        });
    }
    let told = [
        (gap.why.out_of_scope, "the target was not in scope"),
        (gap.why.nothing_before, "there is no complete snapshot before"),
        (gap.why.nothing_after, "there is none after"),
    ];
    reasons.extend(
        told.iter()
            .filter(|(is, _)| *is)
            .map(|(_, what)| (*what).to_owned()),
    );
    if reasons.is_empty() {
        reasons.push("nothing in the log says why".to_owned());
    }
    reasons.join("; ")
}

/// The payloads that seal a population's list, and its gaps: the same for the same evidence.
pub fn payloads(population: &Population) -> Vec<Vec<u8>> {
    let mut gaps: Vec<ListedGap> = population.gaps.iter().map(ListedGap::from).collect();
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in Listed::all(&population.items) {
        bytes += serde_json::to_vec(&item).map_or(0, |bytes| bytes.len() + 1);
        part.push(item);
        if bytes > PART {
            parts.push(payload(std::mem::take(&mut gaps), std::mem::take(&mut part)));
            bytes = 0;
        }
    }
    if parts.is_empty() || !part.is_empty() {
        parts.push(payload(gaps, part));
    }
    parts
}

fn payload(gaps: Vec<ListedGap>, items: Vec<Listed>) -> Vec<u8> {
    serde_json::to_vec(&Payload { gaps, items }).unwrap_or_default()
}

/// The leaf that seals a population.
pub fn leaf(population: &Population, period: Option<String>, recorded_by: String) -> leaf::Population {
    leaf::Population {
        of: population.of.clone(),
        period,
        from: population.period.from,
        to: population.period.to,
        only_sources: population.only_sources.iter().cloned().collect(),
        count: population.count(),
        targets: population.targets.len() as u64,
        snapshots: population.obtained.snapshots,
        incomplete: population.obtained.incomplete.len() as u64,
        gaps: population.gaps.len() as u64,
        over: population.is_over(),
        leaves: population.leaves,
        recorded_by,
    }
}

/// The newest leaf that seals just this, if there is one.
///
/// # Errors
/// The store can't be read. A list that is damaged or erased is no longer the same as any.
pub fn same(
    reader: &Reader,
    wanted: &leaf::Population,
    payloads: &[Vec<u8>],
) -> Result<Option<u64>, StoreError> {
    for seq in reader.of_kind("population", 0)?.into_iter().rev() {
        let Some((leaf, sealed)) = population(reader, seq)? else {
            continue;
        };
        let as_wanted = leaf::Population {
            leaves: wanted.leaves,
            recorded_by: wanted.recorded_by.clone(),
            ..sealed
        };
        if as_wanted == *wanted && lists(reader, &leaf)?.is_some_and(|lists| lists == payloads) {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// A `population` leaf; none where it is no such leaf, or damaged.
pub fn population(reader: &Reader, seq: u64) -> Result<Option<(Leaf, leaf::Population)>, StoreError> {
    let leaf = match reader.leaf(seq) {
        Err(error) if !error.is_damage() => return Err(error),
        leaf => leaf.ok().flatten(),
    };
    Ok(leaf.and_then(|leaf| match leaf.body.clone() {
        Some(Body::Population(population)) => Some((leaf, population)),
        _ => None,
    }))
}

/// The payloads of a sealed list; none where one is damaged or erased.
fn lists(reader: &Reader, leaf: &Leaf) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
    let blobs = leaf.blobs.iter().filter(|blob| blob.role == Role::Population);
    let mut lists = Vec::new();
    for blob in blobs {
        match reader.payload(&blob.sha256) {
            Err(error) if !error.is_damage() => return Err(error),
            payload => match payload.ok().flatten() {
                Some(payload) => lists.push(payload),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(lists))
}

/// The items of a payload, of a population or of a sample.
///
/// # Errors
/// It is neither.
pub fn items(payload: &[u8]) -> Result<(Vec<ListedGap>, Vec<Listed>), serde_json::Error> {
    let payload: Payload = serde_json::from_slice(payload)?;
    Ok((payload.gaps, payload.items))
}

/// The payload that names what was drawn, in the order of drawing.
pub fn drawn(population: &Population, positions: &[u64]) -> Vec<u8> {
    let listed = Listed::all(&population.items);
    let items = positions
        .iter()
        .filter_map(|position| usize::try_from(position.checked_sub(1)?).ok())
        .filter_map(|index| listed.get(index).cloned());
    serde_json::to_vec(&Drawn {
        items: items.collect(),
    })
    .unwrap_or_default()
}

/// A draw that stands in the log.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Its leaf.
    pub seq: u64,
    /// When it was drawn.
    pub time: DateTime<Utc>,
    /// What the leaf says.
    pub sample: Sample,
    /// What it was drawn from; none where that can't be read.
    pub population: Option<leaf::Population>,
}

/// Every draw, oldest first.
///
/// # Errors
/// The store can't be read. A leaf that is damaged is for `verify` to name.
pub fn draws(reader: &Reader) -> Result<Vec<Draw>, StoreError> {
    let mut draws = Vec::new();
    for seq in reader.of_kind("sample", 0)? {
        let leaf = match reader.leaf(seq) {
            Err(error) if !error.is_damage() => return Err(error),
            leaf => leaf.ok().flatten(),
        };
        let Some((time, Some(Body::Sample(sample)))) = leaf.map(|leaf| (leaf.time, leaf.body)) else {
            continue;
        };
        let population = population(reader, sample.population)?.map(|(_, population)| population);
        draws.push(Draw {
            seq,
            time,
            sample,
            population,
        });
    }
    Ok(draws)
}

/// Whether two populations have items in common: of the same, of a common source, and of periods that overlap. A second draw from
/// such a one is another try, whatever the edges of its period.
pub fn overlap(one: &leaf::Population, other: &leaf::Population) -> bool {
    let all = one.only_sources.is_empty() || other.only_sources.is_empty();
    let sources = all
        || one
            .only_sources
            .iter()
            .any(|source| other.only_sources.contains(source));
    one.of == other.of && sources && one.from < other.to && other.from < one.to
}
