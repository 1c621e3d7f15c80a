//! What people may attach.

use std::str::FromStr;

use super::section::{Reader, Rejected, Section};
use crate::log::blob::MAX_PAYLOAD;

pub(super) const ATTACHMENTS_KEYS: [&str; 1] = ["limit"];

/// A size in bytes, up to what the log holds in one piece.
struct Size(u64);

impl FromStr for Size {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20)];
        let size = units.iter().find_map(|(unit, bytes)| {
            let number = text.strip_suffix(unit)?;
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*bytes)
        });
        size.filter(|size| (1..=MAX_PAYLOAD as u64).contains(size))
            .map(Self)
            .ok_or(Rejected {
                what: "is not a size of at most 16MiB, which is the most that the log holds in one piece",
                help: "the largest file that is attached: limit = \"16MiB\", or \"512KiB\"",
            })
    }
}

impl Reader<'_> {
    /// The largest file that may be attached, in bytes.
    pub(super) fn attachments_limit(&mut self, top: &Section<'_>) -> u64 {
        let usual = MAX_PAYLOAD as u64;
        let Some(value) = top.get("attachments") else {
            return usual;
        };
        let Some(table) = self.table("attachments", value, "[attachments], in single brackets") else {
            return usual;
        };
        let section = self.open("in [attachments]", table, value.span(), &ATTACHMENTS_KEYS);
        let limit = self.optional("limit", &section, "limit = \"16MiB\"");
        limit.ok().flatten().map_or(usual, |Size(limit)| limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_that_the_log_can_hold() {
        let size = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        assert_eq!(size("16MiB"), Some(16 << 20));
        assert_eq!(size("512KiB"), Some(512 << 10));
        for text in [
            "",
            "MiB",
            "0MiB",
            "17MiB",
            "16",
            "16 MiB",
            "+1MiB",
            "1GiB",
            "99999999999999999MiB",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
