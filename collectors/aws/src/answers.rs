//! The calls of a snapshot, in the order in which they are named, and their answers as received.

use evidenced_collector_api::{Call, Raw, Recording};

use crate::ask::{Answer, Refusal};

/// Elements whose content is a secret.
const SECRETS: [&str; 2] = ["Base32StringSeed", "QRCodePNG"];

/// What was asked for one snapshot.
#[derive(Default)]
pub(crate) struct Answers(Recording);

impl Answers {
    /// Adds a call; returns its position, for resources to point at, and its result.
    pub(crate) fn add<T>(&mut self, answer: Answer<T>) -> (usize, Result<T, Refusal>) {
        let mut call = answer.call;
        let bodies = answer
            .bodies
            .into_iter()
            .map(|body| without_secrets(&mut call, body));
        let bodies = bodies.collect();
        (self.0.add(call, bodies), answer.result)
    }

    /// Counts a call's items.
    pub(crate) fn count(&mut self, call: usize, items: usize) {
        self.0.count(call, items);
    }

    /// The calls and the answers.
    pub(crate) fn finish(self) -> (Vec<Call>, Vec<Raw>) {
        self.0.finish()
    }
}

/// An answer without the secrets that it must not hold and, from servers that are not AWS's own, may: the seed of a
/// virtual MFA device. The call says what was removed.
fn without_secrets(call: &mut Call, body: Vec<u8>) -> Vec<u8> {
    let mut body = match String::from_utf8(body) {
        Ok(body) => body,
        Err(error) => return error.into_bytes(),
    };
    for element in SECRETS {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        while let Some(from) = body.find(&begin) {
            let until = body[from..]
                .find(&end)
                .map_or(body.len(), |at| from + at + end.len());
            body.replace_range(from..until, "");
            call.parameters
                .insert(format!("{element} (removed from the answer)"), true.into());
        }
    }
    body.into_bytes()
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
