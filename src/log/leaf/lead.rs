//! The beginning of a leaf, read without a JSON parser: a log of millions of leaves is verified by it.
//!
//! The header's form is fixed to the byte, so most of it is compared, not parsed. Directly behind the kind stand,
//! in this order and each only if the kind has it, `snapshot`, `plan`, `collector`, `source` and `target`: they are
//! what the `entry` table indexes.

use chrono::{DateTime, NaiveDate, Utc};
use std::borrow::Cow;
use std::ops::Range;

use super::super::tree::Hash;

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
        let number = |range: Range<usize>| self.time.get(range)?.parse().ok();
        let year = i32::try_from(number(0..4)?).ok()?;
        let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
        let time = date.and_hms_milli_opt(number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
        time.map(|time| time.and_utc())
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
    use super::*;

    #[test]
    fn an_instant_is_what_its_text_says() {
        for time in [
            "2026-11-21T22:47:06.123Z",
            "2024-02-29T00:00:00.000Z",
            "0001-01-01T23:59:59.999Z",
        ] {
            let lead = Lead {
                time,
                ..Lead::default()
            };
            let instant = DateTime::parse_from_rfc3339(time).unwrap().to_utc();
            assert_eq!(lead.instant(), Some(instant));
        }
        for time in [
            "",
            "2026-02-30T22:47:06.123Z",
            "2026-13-01T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
        ] {
            assert_eq!(
                Lead {
                    time,
                    ..Lead::default()
                }
                .instant(),
                None
            );
        }
    }
}
