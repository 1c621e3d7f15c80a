//! Leaves: what the log says, one line of JSON each. The only place that knows their shape.
//!
//! A leaf begins with exactly `{"v":1,"log":…,"seq":…,"prev":…,"time":…,"boot":…,"mono_ms":…,"kind":…`, then the
//! fields of its kind, last `blobs`. It is written once by [`encode`]; what is hashed are those bytes, and nothing
//! serialises a leaf again. Readers step over kinds they do not know.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::tree::Hash;

mod body;
mod lead;
mod tail;

pub use body::{
    Acknowledgement, Alert, AlertState, Attachment, BlobRef, Body, By, ClockState, Days, Delivery,
    EvaluationLeaf, Event, Exception, Export, FailureLeaf, Heartbeat, Key, Missed, MissedReason, OldHead,
    Plan, Population, Recovery, Role, Sample, Scope, SelfTest, SnapshotLeaf, Ticks, Trigger, is_same_person,
};
pub use lead::{Lead, lead};
pub use tail::named_blobs;

use body::KINDS;

/// The longest leaf, in bytes.
pub const MAX_LEAF: usize = 65_535;

/// Integers from here on are refused, since readers that hold numbers as doubles would change them.
pub const MAX_INTEGER: u64 = 1 << 53;

/// What stands at a leaf's beginning, but for its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The log's origin.
    pub log: &'a str,
    /// The position in the log, from 0.
    pub seq: u64,
    /// The leaf hash of the one before; zeros for leaf 0.
    pub prev: Hash,
    /// When it was appended.
    pub time: DateTime<Utc>,
    /// Which process appended it, 16 hex digits.
    pub boot: &'a str,
    /// Milliseconds since that process began.
    pub mono_ms: u64,
}

/// A leaf can't be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Larger than the format allows.
    #[error("the leaf has {0} bytes, and at most {MAX_LEAF} are allowed")]
    TooLong(usize),
    /// A number that other readers could change.
    #[error("the leaf holds an integer of 2^53 or more")]
    LargeInteger,
    /// It does not become JSON.
    #[error("the leaf can't be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// The bytes of a leaf.
pub fn encode(header: &Header<'_>, body: &Body, blobs: &[BlobRef]) -> Result<Vec<u8>, EncodeError> {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u8,
        log: &'a str,
        seq: u64,
        prev: String,
        time: String,
        boot: &'a str,
        mono_ms: u64,
        #[serde(flatten)]
        body: &'a Body,
        blobs: &'a [BlobRef],
    }
    let line = Line {
        v: 1,
        log: header.log,
        seq: header.seq,
        prev: hex::encode(header.prev),
        time: format_time(header.time),
        boot: header.boot,
        mono_ms: header.mono_ms,
        body,
        blobs,
    };
    let bytes = serde_json::to_vec(&line).map_err(EncodeError::Json)?;
    if bytes.len() > MAX_LEAF {
        return Err(EncodeError::TooLong(bytes.len()));
    }
    if has_large_integer(&bytes) {
        return Err(EncodeError::LargeInteger);
    }
    Ok(bytes)
}

/// A leaf as read: the header and the body, or only the name of a kind that this version does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The position in the log.
    pub seq: u64,
    /// When it was appended.
    pub time: DateTime<Utc>,
    /// The kind's name.
    pub kind: String,
    /// What it says; `None` for a kind of a later version.
    pub body: Option<Body>,
    /// The blobs it names.
    pub blobs: Vec<BlobRef>,
}

/// Reads a leaf.
pub fn decode(bytes: &[u8]) -> Result<Leaf, serde_json::Error> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        time: DateTime<Utc>,
        kind: String,
        blobs: Vec<BlobRef>,
    }
    let line: Line = serde_json::from_slice(bytes)?;
    let body = if KINDS.contains(&line.kind.as_str()) {
        Some(serde_json::from_slice(bytes)?)
    } else {
        None
    };
    Ok(Leaf {
        seq: line.seq,
        time: line.time,
        kind: line.kind,
        body,
        blobs: line.blobs,
    })
}

/// The blobs that a leaf names, read from its end: `blobs` is its last field. `None` if they can't be read.
pub fn blobs(bytes: &[u8]) -> Option<Vec<BlobRef>> {
    serde_json::from_slice(tail::blob_list(bytes)?).ok()
}

/// RFC 3339 in UTC with milliseconds, 24 characters.
pub fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant in RFC 3339. One in UTC, as leaves have it, is read without chrono's parser, which would take most of the time of a
/// walk.
pub fn read_time(text: &str) -> Option<DateTime<Utc>> {
    plain_time(text.as_bytes()).or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
}

/// `2026-11-21T22:47:06Z`, with up to nine digits of a fraction.
fn plain_time(text: &[u8]) -> Option<DateTime<Utc>> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let number = |range: Range<usize>| {
        let mut digits = text.get(range)?.iter();
        digits.try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
    };
    for (at, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if text.get(at) != Some(&mark) {
            return None;
        }
    }
    let nanoseconds = match text.get(19..)? {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            let zeros = std::iter::repeat_n(&b'0', 9 - fraction.len());
            let mut digits = fraction.iter().chain(zeros);
            digits.try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))?
        }
        _ => return None,
    };
    let year = i32::try_from(number(0..4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    let time = date.and_hms_nano_opt(number(11..13)?, number(14..16)?, number(17..19)?, nanoseconds);
    time.map(|time| time.and_utc())
}

/// Whether JSON, as `serde_json` writes it, has a number without fraction and exponent from [`MAX_INTEGER`] on.
fn has_large_integer(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest
        .iter()
        .position(|byte| *byte == b'"' || byte.is_ascii_digit())
    {
        rest = &rest[at..];
        if rest[0] == b'"' {
            rest = behind_string(&rest[1..]);
            continue;
        }
        let end = rest.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let whole = !matches!(behind.first(), Some(b'.' | b'e' | b'E'));
        let number = digits.iter().try_fold(0_u64, |n, digit| {
            n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        if whole && number.is_none_or(|number| number >= MAX_INTEGER) {
            return true;
        }
        // A fraction's digits, and an exponent's, are no number of their own.
        let more = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        rest = &behind[behind.iter().take_while(|byte| more(byte)).count()..];
    }
    false
}

/// What comes behind the string whose inside this begins with.
fn behind_string(inside: &[u8]) -> &[u8] {
    let mut rest = inside;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        if rest[at] == b'"' {
            return &rest[at + 1..];
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    &[]
}
