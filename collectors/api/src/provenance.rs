//! How a snapshot was obtained: what an auditor asks of every list (information produced by the entity).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::Clock;

/// The calls made, by whom, and how we know that they returned everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The identity that asked, as the source names it.
    pub caller: BTreeMap<String, Value>,
    /// The calls, in an order that does not vary from run to run: resources point here by position.
    pub calls: Vec<Call>,
    /// What the source said of its limits, at last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<RateLimit>,
    /// Whether this is the whole population.
    pub completeness: Completeness,
}

/// A limit on how much may be asked of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The source's name for it: `core`, `graphql`.
    pub name: String,
    /// How much may be asked in all until it is reset.
    pub limit: u64,
    /// How much of that is left.
    pub remaining: u64,
    /// When it is reset.
    pub reset: DateTime<Utc>,
}

/// One call to the source: a request, a file read, a command run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Which interface: `iam`, `github-rest`, `file`, `command`.
    pub service: String,
    /// Which operation of it: `ListUsers`, a path, a command line.
    pub operation: String,
    /// The exact parameters, secrets left out.
    pub parameters: BTreeMap<String, Value>,
    /// When it was sent.
    pub started: DateTime<Utc>,
    /// How long the answer took, in milliseconds.
    pub duration_ms: u64,
    /// How it ended, in the source's terms: `200`, `exit 0`, `EACCES`.
    pub status: String,
    /// The source's name for the request, if it gives one.
    #[serde(default)]
    pub request_id: Option<String>,
    /// How many pages were read.
    pub pages: u64,
    /// How many items they held.
    pub items: u64,
    /// SHA-256 of the body as received, lowercase hex; of all pages in turn where there are several.
    #[serde(default)]
    pub body_sha256: Option<String>,
    /// The source's own clock, where it tells.
    #[serde(default)]
    pub server_date: Option<String>,
    /// What the source said when it refused, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How we know that the resources are the whole population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completeness {
    /// True only if nothing speaks against it: an incomplete snapshot can fail a test but not pass it.
    pub complete: bool,
    /// Why, in a sentence for an auditor.
    pub basis: String,
    /// How many resources a second count expects.
    pub expected: Option<u64>,
    /// How many were read.
    pub read: u64,
    /// What that second count is.
    pub second_source: Option<String>,
}

/// Times one call and turns it into a [`Call`].
pub struct CallTimer<'a> {
    clock: &'a dyn Clock,
    begun: Duration,
    call: Call,
}

impl<'a> CallTimer<'a> {
    pub(crate) fn start(clock: &'a dyn Clock, service: String, operation: String) -> Self {
        let call = Call {
            service,
            operation,
            parameters: BTreeMap::new(),
            started: clock.now(),
            duration_ms: 0,
            status: String::new(),
            request_id: None,
            pages: 1,
            items: 0,
            body_sha256: None,
            server_date: None,
            error: None,
        };
        Self {
            clock,
            begun: clock.monotonic(),
            call,
        }
    }

    /// Notes a parameter of the request.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.call.parameters.insert(name.into(), value.into());
        self
    }

    /// Ends the call with its status and, if it was answered, the body. `items` are counted by the caller, later.
    pub fn finish(mut self, status: impl Into<String>, body: Option<&[u8]>) -> Call {
        let elapsed = self.clock.monotonic().saturating_sub(self.begun);
        self.call.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.call.status = status.into();
        self.call.body_sha256 = body.map(|body| hex::encode(Sha256::digest(body)));
        self.call
    }
}
