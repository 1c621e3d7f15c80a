//! Leaves as bytes: what is written is read again, by the parser of the beginning, of the end and of the whole, whatever
//! stands in the strings; and what could not be read alike by everybody is not written.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::{DateTime, Utc};
use evidenced::log::leaf::{
    self, BlobRef, Body, By, EncodeError, EvaluationLeaf, FailureLeaf, Header, Key, Lead, MAX_INTEGER,
    MAX_LEAF, OldHead, Plan, Recovery, Role, Scope, SelfTest, SnapshotLeaf, Trigger,
};
use evidenced::log::tree::Hash;
use evidenced_collector_api::{Covers, FailureClass};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "encoding/kinds.rs"]
mod kinds;

const LOG: &str = "acme/0123abcd";

/// Text with all that JSON escapes, much that looks like JSON, and any other character.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\"",
            "\\",
            "\\\"",
            "\n",
            "\r",
            "\0",
            "\u{1f}",
            "\u{7f}",
            "\u{2028}",
            "é",
            "😀",
            ",",
            "/",
            "\\u0041",
            "\",\"blobs\":[]}",
            ",\"blobs\":[",
            "]}",
            "\",\"target\":\"x\"",
            "null",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn integer() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, 0..MAX_INTEGER, Just(MAX_INTEGER - 1)]
}

/// Any instant that is written with four digits for the year, to the millisecond.
fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (-62_135_596_800_000_i64..253_402_300_799_999).prop_map(|ms| DateTime::from_timestamp_millis(ms).unwrap())
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop::sample::select(vec![Trigger::Schedule, Trigger::AdHoc, Trigger::CatchUp])
}

fn class() -> impl Strategy<Value = FailureClass> {
    use FailureClass::{Auth, Internal, InvalidResponse, Permission, RateLimited, Timeout, Unavailable};
    prop::sample::select(vec![
        Auth,
        Permission,
        RateLimited,
        Unavailable,
        Timeout,
        InvalidResponse,
        Internal,
    ])
}

fn snapshot() -> impl Strategy<Value = Body> {
    let covers = prop_oneof![
        time().prop_map(|at| Covers::At { at }),
        (time(), time()).prop_map(|(from, to)| Covers::Interval { from, to }),
    ];
    let run = (option::of(time()), trigger(), time(), time(), any::<u32>());
    let rest = (covers, any::<bool>(), integer());
    (integer(), text(), text(), text(), run, rest).prop_map(|(plan, collector, source, target, run, rest)| {
        Body::Snapshot(SnapshotLeaf {
            plan,
            collector,
            source,
            target,
            tick: run.0,
            trigger: run.1,
            started: run.2,
            finished: run.3,
            attempts: run.4,
            covers: rest.0,
            complete: rest.1,
            resources: rest.2,
        })
    })
}

fn failure() -> impl Strategy<Value = Body> {
    let run = (option::of(time()), trigger(), time(), time(), any::<u32>());
    let rest = (class(), text(), any::<bool>());
    (integer(), text(), text(), option::of(text()), run, rest).prop_map(
        |(plan, collector, source, target, run, rest)| {
            Body::Failure(FailureLeaf {
                plan,
                collector,
                source,
                target,
                tick: run.0,
                trigger: run.1,
                started: run.2,
                finished: run.3,
                attempts: run.4,
                class: rest.0,
                message: rest.1,
                retryable: rest.2,
            })
        },
    )
}

/// JSON of any shape, with members that are named as a leaf's own.
fn json_value() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        text(),
        Just("blobs".to_owned()),
        Just("seq".to_owned()),
        Just("kind".to_owned())
    ];
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    plain.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key.clone(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Numbers around the limit, and what looks like them: with fractions, with exponents, inside strings.
fn number() -> impl Strategy<Value = Value> {
    let edge = i64::try_from(MAX_INTEGER).unwrap();
    prop_oneof![
        (edge - 3..edge + 3).prop_map(Value::from),
        (-edge - 3..-edge + 3).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (1e15..1e17).prop_map(Value::from),
        "[\\\\\"a9]{0,24}".prop_map(Value::from),
    ]
}

fn plan() -> impl Strategy<Value = Body> {
    let counts = (integer(), integer(), integer(), integer(), integer(), integer());
    let names = (
        text(),
        option::of(text()),
        text(),
        text(),
        option::of(text()),
        text(),
        text(),
    );
    (option::of(time()), names, counts).prop_map(|(effective, names, counts)| {
        Body::Plan(Plan {
            by: if effective.is_some() {
                By::Daemon
            } else {
                By::AdHoc
            },
            effective,
            version: names.0,
            binary_sha256: names.1,
            host: names.2,
            os_user: names.3,
            reason: names.4,
            configuration_sha256: names.5,
            rules_sha256: names.6,
            sources: counts.0,
            tests: counts.1,
            controls: counts.2,
            exclusions: counts.3,
            self_test: SelfTest {
                examples: counts.4,
                failed: counts.5,
            },
        })
    })
}

fn recovery() -> impl Strategy<Value = Body> {
    let head = || option::of((integer(), text()).prop_map(|(size, root)| OldHead { size, root }));
    let said = (vec(text(), 0..3), text(), text());
    (option::of(text()), text(), head(), head(), said).prop_map(
        |(origin, directory, guard, database, said)| {
            Body::Recovery(Recovery {
                origin,
                directory,
                guard,
                database,
                problems: said.0,
                reason: said.1,
                recorded_by: said.2,
            })
        },
    )
}

/// Boxed, since all of them on the stack would be too much for a test's.
fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => snapshot().boxed(),
        2 => failure().boxed(),
        1 => text().prop_map(|key| Body::Key(Key { key })),
        1 => plan().boxed(),
        1 => (text(), text(), integer())
            .prop_map(|(collector, source, count)| Body::Scope(Scope { collector, source, count })),
        2 => (integer(), integer(), json_value())
            .prop_map(|(snapshot, plan, results)| Body::Evaluation(EvaluationLeaf { snapshot, plan, results })),
        2 => kinds::missed().boxed(),
        1 => kinds::heartbeat().boxed(),
        2 => kinds::alert().boxed(),
        1 => kinds::acknowledgement().boxed(),
        1 => kinds::exception().boxed(),
        1 => kinds::attachment().boxed(),
        1 => kinds::population().boxed(),
        1 => kinds::sample().boxed(),
        1 => kinds::export().boxed(),
        1 => recovery().boxed(),
    ]
}

fn blob() -> impl Strategy<Value = BlobRef> {
    use Role::{Evidence, Findings, Provenance, Raw};
    let roles = vec![Evidence, Raw, Provenance, Findings, Role::Plan, Role::Scope];
    let roles = [
        roles,
        vec![
            Role::Resources,
            Role::Message,
            Role::File,
            Role::Population,
            Role::Sample,
        ],
    ]
    .concat();
    let role = prop_oneof![
        prop::sample::select(roles),
        "later_[a-z]{1,9}".prop_map(Role::Other)
    ];
    (role, any::<Hash>(), integer(), text()).prop_map(|(role, sha256, size, media_type)| BlobRef {
        role,
        sha256,
        size,
        media_type,
    })
}

fn header(seq: u64, prev: Hash, time: DateTime<Utc>, mono_ms: u64) -> Header<'static> {
    Header {
        log: LOG,
        seq,
        prev,
        time,
        boot: "00112233445566ff",
        mono_ms,
    }
}

/// The indexed fields of a body.
fn indexed(body: &Body) -> (Option<u64>, Option<&str>, Option<&str>, Option<&str>) {
    match body {
        Body::Snapshot(s) => (None, Some(&s.collector), Some(&s.source), Some(&s.target)),
        Body::Failure(f) => (None, Some(&f.collector), Some(&f.source), f.target.as_deref()),
        Body::Missed(m) => (None, Some(&m.collector), Some(&m.source), m.target.as_deref()),
        Body::Scope(s) => (None, Some(&s.collector), Some(&s.source), None),
        Body::Evaluation(e) => (Some(e.snapshot), None, None, None),
        Body::Alert(a) => (None, a.collector.as_deref(), a.source.as_deref(), None),
        Body::Key(_)
        | Body::Plan(_)
        | Body::Heartbeat(_)
        | Body::Acknowledgement(_)
        | Body::Exception(_)
        | Body::Attachment(_)
        | Body::Population(_)
        | Body::Sample(_)
        | Body::Export(_)
        | Body::Recovery(_) => (None, None, None, None),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_from_the_beginning_the_end_and_as_a_whole(
        seq in integer(), prev: Hash, time in time(), mono_ms in integer(), body in body(), blobs in vec(blob(), 0..4),
    ) {
        let bytes = leaf::encode(&header(seq, prev, time, mono_ms), &body, &blobs).unwrap();
        prop_assert!(!bytes.contains(&b'\n'));

        let whole = leaf::decode(&bytes).unwrap();
        prop_assert_eq!((whole.seq, whole.time), (seq, time));
        prop_assert_eq!(whole.body.as_ref(), Some(&body));
        prop_assert_eq!(&whole.blobs, &blobs);

        prop_assert_eq!(leaf::blobs(&bytes), Some(blobs));

        let lead = leaf::lead(&bytes, LOG, seq, &prev).unwrap();
        prop_assert_eq!(lead.time, leaf::format_time(time));
        prop_assert_eq!(lead.kind, whole.kind);
        let fields = (lead.snapshot, lead.collector.as_deref(), lead.source.as_deref(), lead.target.as_deref());
        prop_assert_eq!(fields, indexed(&body));
    }

    #[test]
    fn the_fields_stand_in_the_documented_order(
        seq in integer(), prev: Hash, time in time(), mono_ms in integer(), body in body(),
    ) {
        let bytes = leaf::encode(&header(seq, prev, time, mono_ms), &body, &[]).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let beginning = format!(
            "{{\"v\":1,\"log\":\"{LOG}\",\"seq\":{seq},\"prev\":\"{}\",\"time\":\"{}\",\"boot\":\"00112233445566ff\",\
             \"mono_ms\":{mono_ms},\"kind\":\"",
            hex::encode(prev), leaf::format_time(time),
        );
        prop_assert!(text.starts_with(&beginning), "{}", text);
        prop_assert!(text.ends_with(",\"blobs\":[]}"), "{}", text);
    }

    #[test]
    fn a_leaf_in_another_place_is_refused(
        seq in integer(), other in integer(), prev: Hash, bit in 0..256_usize, time in time(), body in body(),
    ) {
        let bytes = leaf::encode(&header(seq, prev, time, 0), &body, &[]).unwrap();
        let mut wrong = prev;
        wrong[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(leaf::lead(&bytes, LOG, seq, &wrong).is_err());
        prop_assert!(leaf::lead(&bytes, "acme/0123abce", seq, &prev).is_err());
        prop_assert!(other == seq || leaf::lead(&bytes, LOG, other, &prev).is_err());
    }

    #[test]
    fn integers_that_a_double_can_not_hold_are_refused(
        large in MAX_INTEGER..=u64::MAX, negative in i64::MIN..=-(1 << 53), time in time(), place in 0..6,
    ) {
        let scope = |count| Body::Scope(Scope { collector: "c".to_owned(), source: "s".to_owned(), count });
        let results = |results| Body::Evaluation(EvaluationLeaf { snapshot: 0, plan: 0, results });
        let encoded = match place {
            0 => leaf::encode(&header(0, [0; 32], time, 0), &scope(large), &[]),
            1 => leaf::encode(&header(large, [0; 32], time, 0), &scope(0), &[]),
            2 => leaf::encode(&header(0, [0; 32], time, large), &scope(0), &[]),
            3 => leaf::encode(&header(0, [0; 32], time, 0), &results(json!([{ "deep": [large] }])), &[]),
            4 => leaf::encode(&header(0, [0; 32], time, 0), &results(json!(negative)), &[]),
            _ => {
                let blob = BlobRef { role: Role::Raw, sha256: [0; 32], size: large, media_type: String::new() };
                leaf::encode(&header(0, [0; 32], time, 0), &scope(0), &[blob])
            }
        };
        prop_assert!(matches!(encoded, Err(EncodeError::LargeInteger)), "{:?}", encoded);
    }

    #[test]
    fn all_other_numbers_are_taken(numbers in vec(number(), 1..6), time in time()) {
        let too_large = numbers.iter().any(|number| match number {
            Value::Number(number) if number.is_f64() => false,
            Value::Number(number) => number.as_i128().unwrap().unsigned_abs() >= u128::from(MAX_INTEGER),
            _ => false,
        });
        let body = Body::Evaluation(EvaluationLeaf { snapshot: 0, plan: 0, results: json!(numbers) });
        let encoded = leaf::encode(&header(0, [0; 32], time, 0), &body, &[]);
        prop_assert_eq!(matches!(encoded, Err(EncodeError::LargeInteger)), too_large, "{:?}", numbers);
        prop_assert!(too_large || encoded.is_ok());
    }

    #[test]
    fn no_bytes_at_all_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300), seq: u64, prev: Hash) {
        prop_assert!(leaf::lead(&bytes, LOG, seq, &prev).is_err());
        prop_assert!(leaf::decode(&bytes).is_err());
        prop_assert_eq!(leaf::blobs(&bytes), None);
    }
}

fn with_message(length: usize) -> Result<Vec<u8>, EncodeError> {
    let body = Body::Key(Key {
        key: "k".repeat(length),
    });
    leaf::encode(&header(0, [0; 32], DateTime::UNIX_EPOCH, 0), &body, &[])
}

#[test]
fn a_leaf_of_65535_bytes_is_written_and_one_of_a_byte_more_is_not() {
    let overhead = with_message(0).unwrap().len();
    let longest = with_message(MAX_LEAF - overhead).unwrap();
    assert_eq!(longest.len(), 65_535);
    assert!(leaf::lead(&longest, LOG, 0, &[0; 32]).is_ok());
    assert!(matches!(
        with_message(MAX_LEAF - overhead + 1),
        Err(EncodeError::TooLong(65_536))
    ));
}

#[test]
fn a_time_is_written_in_one_form() {
    let time = DateTime::parse_from_rfc3339("2026-11-21T23:00:00.007999+01:00").unwrap();
    assert_eq!(leaf::format_time(time.to_utc()), "2026-11-21T22:00:00.007Z");
    assert_eq!(
        leaf::format_time(DateTime::UNIX_EPOCH),
        "1970-01-01T00:00:00.000Z"
    );
    // A clock gone wild writes a time of another form, which is refused before it is signed.
    let late = DateTime::from_timestamp(253_402_300_800, 0).unwrap();
    let bytes = leaf::encode(
        &header(0, [0; 32], late, 0),
        &Body::Key(Key { key: String::new() }),
        &[],
    )
    .unwrap();
    assert_eq!(
        leaf::lead(&bytes, LOG, 0, &[0; 32]),
        Err("has no well-formed time")
    );
}

/// Every byte of the beginning, replaced by every other one. Where the format leaves a choice (the digits of the time, the
/// boot, the kind) another value may be read, and nothing but that.
#[test]
fn no_byte_of_the_fixed_beginning_can_be_another() {
    let body = Body::Scope(Scope {
        collector: "c".to_owned(),
        source: "s".to_owned(),
        count: 1,
    });
    let time = DateTime::from_timestamp_millis(1_800_000_000_123).unwrap();
    let bytes = leaf::encode(&header(1, [0xab; 32], time, 7), &body, &[]).unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let free: Vec<_> = ["\"time\":\"", "\"boot\":\"", "\"mono_ms\":", "\"kind\":\""]
        .map(|name| {
            let from = text.find(name).unwrap() + name.len();
            from..from + text[from..].find(['"', ',']).unwrap()
        })
        .into();
    let expected = leaf::lead(&bytes, LOG, 1, &[0xab; 32]).unwrap();
    let mut broken = bytes.clone();
    for at in 0..=free[3].end {
        for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
            broken[at] = byte;
            let read = leaf::lead(&broken, LOG, 1, &[0xab; 32]);
            if free.iter().any(|range| range.contains(&at)) {
                let others = |read: Lead<'_>| {
                    let scope = [read.collector, read.source, read.target];
                    (read.snapshot, scope.map(|field| field.map(String::from)))
                };
                let same = read.map(|read| others(read) == others(expected.clone()));
                assert!(same != Ok(false), "{at}: {byte}");
            } else {
                assert!(read.is_err(), "byte {at} as {byte}: {read:?}");
            }
        }
        broken[at] = bytes[at];
    }
}

#[test]
fn a_leaf_of_a_later_version_is_read_as_far_as_it_is_known() {
    let bytes = format!(
        "{{\"v\":1,\"log\":\"{LOG}\",\"seq\":3,\"prev\":\"{}\",\"time\":\"2030-01-01T00:00:00.000Z\",\
         \"boot\":\"b\",\"mono_ms\":0,\"kind\":\"later\",\"collector\":\"c\",\"news\":{{\"a\":[]}},\
         \"blobs\":[{{\"role\":\"evidence\",\"sha256\":\"{}\",\"size\":66,\"media_type\":\"x/y\"}}]}}",
        "00".repeat(32),
        "11".repeat(32),
    );
    let whole = leaf::decode(bytes.as_bytes()).unwrap();
    assert_eq!((whole.kind.as_str(), whole.body), ("later", None));
    assert_eq!(leaf::blobs(bytes.as_bytes()), Some(whole.blobs));
    let lead = leaf::lead(bytes.as_bytes(), LOG, 3, &[0; 32]).unwrap();
    assert_eq!((lead.kind, lead.collector.as_deref()), ("later", Some("c")));
}
