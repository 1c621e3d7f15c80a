//! The calls of a snapshot, in the order in which they are named, and their answers as received.

use serde_json::json;

use evidenced_collector_api::{Call, Raw};

use crate::ask::{Answer, Refusal};

/// Answers are kept together up to so many bytes, since an account of a thousand buckets has many thousands.
const TOGETHER: usize = 4 << 20;

/// What was asked for one snapshot.
#[derive(Default)]
pub(crate) struct Answers {
    calls: Vec<Call>,
    raw: Vec<Raw>,
}

impl Answers {
    /// Adds a call; returns its position, for resources to point at, and its result.
    pub(crate) fn add<T>(&mut self, answer: Answer<T>) -> (usize, Result<T, Refusal>) {
        let call = self.calls.len();
        self.calls.push(answer.call);
        for (page, body) in answer.bodies.into_iter().enumerate() {
            let line = match String::from_utf8(body) {
                Ok(body) => json!({ "call": call, "page": page, "body": body }),
                Err(error) => json!({ "call": call, "page": page, "bytes": error.as_bytes() }),
            };
            self.keep(call, &line.to_string());
        }
        (call, answer.result)
    }

    /// One line of JSON an answer: `call` is its position in the provenance, `page` counts from 0.
    fn keep(&mut self, call: usize, line: &str) {
        if self.raw.last().is_none_or(|raw| raw.body.len() >= TOGETHER) {
            self.raw.push(Raw {
                call,
                media_type: "application/x-ndjson".to_owned(),
                body: Vec::new(),
            });
        }
        if let Some(raw) = self.raw.last_mut() {
            raw.body.extend_from_slice(line.as_bytes());
            raw.body.push(b'\n');
        }
    }

    /// Counts a call's items.
    pub(crate) fn count(&mut self, call: usize, items: usize) {
        if let Some(call) = self.calls.get_mut(call) {
            call.items = items as u64;
        }
    }

    /// The calls and the answers.
    pub(crate) fn finish(self) -> (Vec<Call>, Vec<Raw>) {
        (self.calls, self.raw)
    }
}
