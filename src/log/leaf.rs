//! Leaves: what the log says, one line of JSON each. The only place that knows their shape.
//!
//! A leaf begins with exactly `{"v":1,"log":…,"seq":…,"prev":…,"time":…,"boot":…,"mono_ms":…,"kind":…`, then the
//! fields of its kind, last `blobs`. It is written once by [`encode`]; what is hashed are those bytes, and nothing
//! serialises a leaf again. Readers step over kinds they do not know.

use chrono::{DateTime, SecondsFormat, Utc};
use evidenced_collector_api::{Covers, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tree::Hash;

mod lead;
mod tail;

pub use lead::{Lead, lead};
pub use tail::named_blobs;

/// The longest leaf, in bytes.
pub const MAX_LEAF: usize = 65_535;

/// Integers from here on are refused, since readers that hold numbers as doubles would change them.
pub const MAX_INTEGER: u64 = 1 << 53;

/// What a leaf says, by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Leaf 0: the key that signs this log's checkpoints.
    Key(Key),
    /// What is collected and how it is judged, from here on.
    Plan(Plan),
    /// The targets found in a source.
    Scope(Scope),
    /// What one run collected about one target.
    Snapshot(SnapshotLeaf),
    /// Why one run collected nothing.
    Failure(FailureLeaf),
    /// How the tests judged a snapshot.
    Evaluation(EvaluationLeaf),
    /// The log that this one takes over from.
    Recovery(Recovery),
}

/// Leaf 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// C2SP signed-note verifier key: `name+keyid+base64`.
    pub key: String,
}

/// What is collected and how it is judged; the lists themselves are in its `plan` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Who runs it.
    pub by: By,
    /// evidenced's version.
    pub version: String,
    /// SHA-256 of the running program, lowercase hex; null where it can't be read.
    pub binary_sha256: Option<String>,
    /// The host's name.
    pub host: String,
    /// The operating system's name for the user.
    pub os_user: String,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of the configuration file's bytes, lowercase hex.
    pub configuration_sha256: String,
    /// SHA-256 of the tests, controls and exclusions as they stand in the blob, lowercase hex.
    pub rules_sha256: String,
    /// How many sources are configured.
    pub sources: u64,
    /// How many tests are enabled.
    pub tests: u64,
    /// How many controls there are.
    pub controls: u64,
    /// How many exclusions from scope.
    pub exclusions: u64,
    /// What the tests' own examples gave.
    pub self_test: SelfTest,
}

/// Who wrote a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The scheduler.
    Daemon,
    /// A person, by hand.
    AdHoc,
}

/// The result of running all tests' examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// How many examples ran.
    pub examples: u64,
    /// How many gave another outcome than they state.
    pub failed: u64,
}

/// The targets found in a source; their names are in its `scope` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// How many targets.
    pub count: u64,
}

/// Why a run was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its tick came.
    Schedule,
    /// A person asked.
    AdHoc,
    /// Ticks had been missed.
    CatchUp,
}

/// What one run collected about one target; the resources are in its `evidence` blobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotLeaf {
    /// The plan it was collected under.
    pub plan: u64,
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// The target's name.
    pub target: String,
    /// The scheduled instant, null for an ad hoc run.
    pub tick: Option<DateTime<Utc>>,
    /// Why it ran.
    pub trigger: Trigger,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// How many attempts it took.
    pub attempts: u32,
    /// The time it speaks for.
    pub covers: Covers,
    /// Whether it is the whole population.
    pub complete: bool,
    /// How many resources it holds.
    pub resources: u64,
}

/// Why one run collected nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureLeaf {
    /// The plan it ran under.
    pub plan: u64,
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// The target's name, null when the targets could not be found out.
    pub target: Option<String>,
    /// The scheduled instant, null for an ad hoc run.
    pub tick: Option<DateTime<Utc>>,
    /// Why it ran.
    pub trigger: Trigger,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// How many attempts it took.
    pub attempts: u32,
    /// What kind of failure.
    pub class: FailureClass,
    /// Our words, at most 1 KiB.
    pub message: String,
    /// Whether trying again can help.
    pub retryable: bool,
}

/// How the tests judged a snapshot; the findings are in its `findings` blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationLeaf {
    /// The snapshot that was judged.
    pub snapshot: u64,
    /// The plan whose tests judged it.
    pub plan: u64,
    /// A result for each test, by test id.
    pub results: Value,
}

/// The log that this one takes over from, moved to `logs/ORIGIN/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The old log's origin, null where nothing readable named it.
    pub origin: Option<String>,
    /// Where its files are, below the store.
    pub directory: String,
    /// What its newest signed guard entry said, if it could be read.
    pub guard: Option<OldHead>,
    /// What its database held, if it could be read.
    pub database: Option<OldHead>,
    /// What verifying it found.
    pub problems: Vec<String>,
    /// Why, as the operator said.
    pub reason: String,
    /// The operating system's name for the user.
    pub recorded_by: String,
}

impl Recovery {
    /// At most so many problems are named.
    pub const LISTED: usize = 100;
}

/// The size and root of an old log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldHead {
    /// How many leaves.
    pub size: u64,
    /// Root, lowercase hex.
    pub root: String,
}

/// A blob that a leaf names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// What it is to the leaf.
    pub role: Role,
    /// SHA-256 of salt, newline and payload.
    #[serde(with = "hex::serde")]
    pub sha256: Hash,
    /// Bytes of salt, newline and payload.
    pub size: u64,
    /// IANA media type of the payload.
    pub media_type: String,
}

/// What a blob is to its leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Resources.
    Evidence,
    /// The body of an answer.
    Raw,
    /// How a snapshot was obtained.
    Provenance,
    /// Every test on every resource.
    Findings,
    /// Configuration's lists, tests and controls.
    Plan,
    /// Target names.
    Scope,
    /// One written by a later version.
    #[serde(untagged)]
    Other(String),
}

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
    let known = [
        "key",
        "plan",
        "scope",
        "snapshot",
        "failure",
        "evaluation",
        "recovery",
    ]
    .contains(&line.kind.as_str());
    let body = if known {
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
