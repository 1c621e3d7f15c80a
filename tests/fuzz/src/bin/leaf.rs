//! Any bytes as a leaf: its three readers don't panic, and agree where they all read it.

#![cfg_attr(fuzzing, no_main)]

use evidenced::log::leaf::{self, Body, Header};
use serde_json::Value;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// What the header says, as JSON tells it.
fn header(leaf: &Value) -> Option<(&str, u64, [u8; 32], &str, u64)> {
    let digits = leaf["prev"].as_str()?.as_bytes();
    let mut prev = [0; 32];
    for (byte, pair) in prev.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let (log, boot) = (leaf["log"].as_str()?, leaf["boot"].as_str()?);
    Some((log, leaf["seq"].as_u64()?, prev, boot, leaf["mono_ms"].as_u64()?))
}

/// Floating point is not part of the format, and need not survive being read and written.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}

pub(crate) fn run(data: &[u8]) {
    let (blobs, whole) = (leaf::blobs(data), leaf::decode(data));
    let json: Value = serde_json::from_slice(data).unwrap_or_default();
    let Some((log, seq, prev, boot, mono_ms)) = header(&json) else {
        assert!(leaf::lead(data, "a/00000000", 0, &[0; 32]).is_err() || json.is_null());
        return;
    };
    let lead = leaf::lead(data, log, seq, &prev);
    let (Ok(lead), Ok(whole)) = (lead, whole) else {
        return;
    };
    assert_eq!((lead.kind, seq), (whole.kind.as_str(), whole.seq));
    assert_eq!(lead.time, leaf::format_time(whole.time));
    if let Some(blobs) = blobs {
        assert_eq!(blobs, whole.blobs);
    }
    let Some(body) = whole.body else { return };
    match &body {
        Body::Snapshot(s) => {
            // Where they don't stand directly behind the kind, they are not indexed: only a key's holder could write that.
            let indexed = [&lead.collector, &lead.source, &lead.target];
            for (indexed, name) in indexed.into_iter().zip([&s.collector, &s.source, &s.target]) {
                assert!(indexed.as_deref().is_none_or(|indexed| indexed == name));
            }
        }
        Body::Evaluation(e) if has_float(&e.results) => return,
        _ => {}
    }
    let header = Header {
        log,
        seq,
        prev,
        time: whole.time,
        boot,
        mono_ms,
    };
    if let Ok(written) = leaf::encode(&header, &body, &whole.blobs) {
        let read = leaf::decode(&written).expect("what is written can be read");
        assert_eq!((read.body, read.blobs), (Some(body), whole.blobs));
        assert!(leaf::lead(&written, log, seq, &prev).is_ok());
    }
}
