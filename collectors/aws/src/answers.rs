//! The calls of a snapshot, in the order in which they are named, and their answers as received.

use serde_json::json;

use evidenced_collector_api::{Call, Raw};

use crate::ask::{Answer, Refusal};

/// Answers are kept together up to so many bytes, since an account of a thousand buckets has many thousands.
const TOGETHER: usize = 4 << 20;

/// Elements whose content is a secret.
const SECRETS: [&str; 2] = ["Base32StringSeed", "QRCodePNG"];

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
            let line = match String::from_utf8(body).map(|body| self.without_secrets(call, body)) {
                Ok(body) => json!({ "call": call, "page": page, "body": body }),
                Err(error) => json!({ "call": call, "page": page, "bytes": error.as_bytes() }),
            };
            self.keep(call, &line.to_string());
        }
        (call, answer.result)
    }

    /// An answer without the secrets that it must not hold and, from servers that are not AWS's own, may: the seed of a
    /// virtual MFA device. The call says what was removed.
    fn without_secrets(&mut self, call: usize, mut body: String) -> String {
        for element in SECRETS {
            let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
            while let Some(from) = body.find(&begin) {
                let until = body[from..]
                    .find(&end)
                    .map_or(body.len(), |at| from + at + end.len());
                body.replace_range(from..until, "");
                if let Some(call) = self.calls.get_mut(call) {
                    call.parameters
                        .insert(format!("{element} (removed from the answer)"), true.into());
                }
            }
        }
        body
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

#[cfg(test)]
mod tests {
    use super::*;
    use evidenced_collector_api::{Clock, Run};

    struct Never;

    impl Clock for Never {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::UNIX_EPOCH
        }

        fn monotonic(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
    }

    #[test]
    fn the_seed_of_a_device_is_not_kept() {
        let body = "<a><Base32StringSeed>SECRET</Base32StringSeed><QRCodePNG>SECRET</QRCodePNG><b/></a>";
        let answer = Answer {
            call: Run::begin(&Never)
                .call("iam", "ListVirtualMFADevices")
                .finish("200", None),
            bodies: vec![body.as_bytes().to_vec()],
            result: Ok(()),
        };
        let mut answers = Answers::default();
        assert!(answers.add(answer).1.is_ok());
        let (calls, raw) = answers.finish();
        let kept = String::from_utf8(raw[0].body.clone()).unwrap();
        assert!(!kept.contains("SECRET"), "{kept}");
        assert!(kept.contains("<a><b/></a>"), "{kept}");
        assert_eq!(calls[0].parameters.len(), 2);
    }
}
