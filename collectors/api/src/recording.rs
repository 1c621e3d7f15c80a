//! The calls of a snapshot, in the order in which they are added, and their answers as received.

use serde_json::json;

use crate::{Call, Raw};

/// Answers are kept together up to so many bytes: a source of a thousand resources gives many thousands.
const TOGETHER: usize = 4 << 20;

/// What was asked for one snapshot.
///
/// The answers become lines of JSON, `{"call","page","body"}`: `call` is the position in the provenance, `page` counts
/// from 0. A body that is no text is a list of numbers, `bytes`.
#[derive(Debug, Default)]
pub struct Recording {
    calls: Vec<Call>,
    raw: Vec<Raw>,
}

impl Recording {
    /// Adds a call and what it was answered, page by page; returns its position, for resources to point at.
    pub fn add(&mut self, call: Call, bodies: Vec<Vec<u8>>) -> usize {
        let position = self.calls.len();
        self.calls.push(call);
        for (page, body) in bodies.into_iter().enumerate() {
            let line = match String::from_utf8(body) {
                Ok(body) => json!({ "call": position, "page": page, "body": body }),
                Err(error) => json!({ "call": position, "page": page, "bytes": error.as_bytes() }),
            };
            self.keep(position, &line.to_string());
        }
        position
    }

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
    pub fn count(&mut self, call: usize, items: usize) {
        if let Some(call) = self.calls.get_mut(call) {
            call.items = items as u64;
        }
    }

    /// The calls and the answers.
    pub fn finish(self) -> (Vec<Call>, Vec<Raw>) {
        (self.calls, self.raw)
    }
}
