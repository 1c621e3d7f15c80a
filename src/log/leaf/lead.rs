//! The beginning of a leaf, read without a JSON parser: a log of millions of leaves is verified by it.
//!
//! The header's form is fixed to the byte, so most of it is compared, not parsed. Directly behind the kind stand,
//! in this order and each only if the kind has it, `snapshot`, `plan`, `collector`, `source` and `target`: they are
//! what the `entry` table indexes.

use chrono::{DateTime, Utc};
use std::borrow::Cow;

use super::super::tree::Hash;
use super::read_time;

/// The indexed beginning of a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead<'a> {
    /// RFC 3339, 24 characters.
    pub time: &'a str,
    /// The kind's name.
    pub kind: &'a str,
    /// The snapshot that it judges.
    pub snapshot: Option<u64>,
    /// The plan that it rests on.
    pub plan: Option<u64>,
    /// The collector's id.
    pub collector: Option<Cow<'a, str>>,
    /// The source's name.
    pub source: Option<Cow<'a, str>>,
    /// The target's name.
    pub target: Option<Cow<'a, str>>,
    /// The leaf's other fields, behind a comma, and the brace that ends it.
    pub rest: &'a str,
}

impl Lead<'_> {
    /// When it was appended.
    pub fn instant(&self) -> Option<DateTime<Utc>> {
        read_time(self.time)
    }
}

/// Reads the beginning of leaf `seq` of `log`, whose previous leaf has the hash `prev`; or says what is wrong.
pub fn lead<'a>(bytes: &'a [u8], log: &str, seq: u64, prev: &Hash) -> Result<Lead<'a>, &'static str> {
    let text = simdutf8::basic::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    if has_newline(bytes) {
        return Err("holds a newline");
    }
    let mut rest = Cursor(text);
    rest.literal("{\"v\":1,\"log\":\"")
        .ok_or("does not begin as format v1 does")?;
    rest.literal(log)
        .and_then(|()| rest.literal("\",\"seq\":"))
        .ok_or("names another log")?;
    if rest.integer() != Some(seq) {
        return Err("names another seq");
    }
    rest.literal(",\"prev\":\"")
        .ok_or("has no prev where it belongs")?;
    let mut hex_prev = [0; 64];
    hex::encode_to_slice(prev, &mut hex_prev).map_err(|_| "prev is not 64 hex digits")?;
    let hex_prev = std::str::from_utf8(&hex_prev).map_err(|_| "prev is not 64 hex digits")?;
    rest.literal(hex_prev)
        .ok_or("does not name the hash of the leaf before it")?;
    rest.literal("\",\"time\":\"")
        .ok_or("has no time where it belongs")?;
    let time = rest
        .plain()
        .filter(|time| is_time(time.as_bytes()))
        .ok_or("has no well-formed time")?;
    rest.literal("\",\"boot\":\"")
        .and_then(|()| rest.plain())
        .ok_or("has no boot where it belongs")?;
    rest.literal("\",\"mono_ms\":")
        .and_then(|()| rest.integer())
        .ok_or("has no mono_ms where it belongs")?;
    let kind = rest
        .literal(",\"kind\":\"")
        .and_then(|()| rest.plain())
        .ok_or("has no kind where it belongs")?;
    rest.literal("\"")
        .filter(|()| rest.0.starts_with(','))
        .ok_or("has no kind where it belongs")?;
    let snapshot = rest.literal(",\"snapshot\":").and_then(|()| rest.integer());
    let mut plan = None;
    if rest.literal(",\"plan\":").is_some() {
        plan = Some(rest.integer().ok_or("names a plan that is not a number")?);
    }
    let collector = rest
        .field(",\"collector\":")
        .map_err(|()| "has a malformed collector")?;
    let source = rest
        .field(",\"source\":")
        .map_err(|()| "has a malformed source")?;
    let target = rest
        .field(",\"target\":")
        .map_err(|()| "has a malformed target")?;
    Ok(Lead {
        time,
        kind,
        snapshot,
        plan,
        collector,
        source,
        target,
        rest: rest.0,
    })
}

fn has_newline(bytes: &[u8]) -> bool {
    memchr::memchr(b'\n', bytes).is_some()
}

/// `2026-11-21T22:47:06.123Z`, by its form.
fn is_time(time: &[u8]) -> bool {
    const FORM: &[u8; 24] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    time.len() == FORM.len()
        && time.iter().zip(FORM).all(|(byte, form)| {
            if *form == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == form
            }
        })
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn literal(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// A decimal number without leading zeros.
    fn integer(&mut self) -> Option<u64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        if digits == 0 || digits > 16 || (digits > 1 && number.starts_with('0')) {
            return None;
        }
        self.0 = rest;
        Some(
            number
                .bytes()
                .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')),
        )
    }

    /// The inside of a string that has no escapes, up to its closing quote, which is left.
    fn plain(&mut self) -> Option<&'a str> {
        let end = self.0.bytes().position(|byte| byte == b'"' || byte == b'\\')?;
        let (inside, rest) = self.0.split_at(end);
        self.0 = rest;
        rest.starts_with('"').then_some(inside)
    }

    /// A string field if it stands here; `None` if it does not, or is null.
    fn field(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, ()> {
        if self.literal(name).is_none() || self.literal("null").is_some() {
            return Ok(None);
        }
        let bytes = self.0.as_bytes();
        let (mut at, mut escaped) = (1, false);
        if bytes.first() != Some(&b'"') {
            return Err(());
        }
        while *bytes.get(at).ok_or(())? != b'"' {
            if bytes[at] == b'\\' {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        let (quoted, rest) = self.0.split_at(at + 1);
        self.0 = rest;
        if escaped {
            return serde_json::from_str(quoted)
                .map(|text: String| Some(Cow::Owned(text)))
                .map_err(|_| ());
        }
        Ok(Some(Cow::Borrowed(&quoted[1..at])))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{SecondsFormat, TimeDelta};
    use proptest::prelude::*;

    use super::*;

    fn by_chrono(text: &str) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
    }

    proptest! {
        #[test]
        fn an_instant_is_what_chrono_reads(seconds in -62_135_596_800_i64..253_402_300_800, nanoseconds in 0..1_000_000_000_i64) {
            let instant = DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds) + TimeDelta::nanoseconds(nanoseconds);
            for form in [SecondsFormat::Secs, SecondsFormat::Millis, SecondsFormat::Nanos, SecondsFormat::AutoSi] {
                let time = instant.to_rfc3339_opts(form, true);
                prop_assert_eq!(read_time(&time), by_chrono(&time));
                prop_assert_eq!(Lead { time: &time, ..Lead::default() }.instant(), by_chrono(&time));
            }
        }

        #[test]
        fn what_is_no_instant_is_none(time in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{0,11})?(Z|[+]02:00)") {
            prop_assert_eq!(read_time(&time), by_chrono(&time));
        }
    }

    #[test]
    fn the_edges_of_days_and_months_are_kept() {
        for time in [
            "2026-02-30T22:47:06Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00.000Z",
            "",
            "2026",
        ] {
            assert_eq!(read_time(time), None, "{time}");
        }
        for time in [
            "2024-02-29T23:59:59.999Z",
            "2026-11-21T22:47:60Z",
            "2026-11-21T22:47:06+02:00",
        ] {
            assert_eq!(read_time(time), by_chrono(time), "{time}");
            assert!(read_time(time).is_some(), "{time}");
        }
    }
}
