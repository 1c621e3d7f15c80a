//! Ten thousand resources drift at once.

use super::*;

/// A thing with as many attributes as a bucket has.
fn wide(number: usize, safe: bool) -> Resource {
    let thing = thing(&format!("arn:fake:thing/{number:05}:{}", u8::from(safe)).replacen(':', "-", 2));
    (0..20).fold(thing, |thing, attribute| {
        thing.with(
            format!("attribute_{attribute}"),
            json!({ "of": number, "set": [1, 2, 3] }),
        )
    })
}

fn took(what: &str, series: &[Snapshot], expected: usize) {
    let clock = crate::clock::system();
    let begun = clock.monotonic();
    let (drifts, _) = newest(series);
    let took = clock.monotonic().saturating_sub(begun);
    println!("{what}: {} ms", took.as_millis());
    assert_eq!(drifts.len(), expected);
    let begun = clock.monotonic();
    assert_eq!(by_resource(&drifts).len(), 10_000);
    let took = took + clock.monotonic().saturating_sub(begun);
    assert!(took.as_secs() < 10, "{what}: {took:?}");
}

#[test]
fn ten_thousand_resources_that_drift_at_once_are_told_in_no_time() {
    let plan = Arc::new(sealed(RULES));
    let other = Arc::new(sealed(&RULES.replace("== true", "!= true")));
    let at = |seq, safe, complete, plan| {
        let things = (0..10_000).map(|number| wide(number, safe)).collect();
        snapshot(seq, things, complete, plan)
    };
    took(
        "setting and finding",
        &[at(0, true, true, &plan), at(1, false, true, &plan)],
        20_000,
    );
    took(
        "past an incomplete snapshot",
        &[
            at(0, true, true, &plan),
            read(1, "...", &plan),
            at(2, false, true, &plan),
        ],
        20_000,
    );
    took(
        "the test changed",
        &[at(0, true, true, &plan), at(1, true, true, &other)],
        10_000,
    );
    took(
        "vanished",
        &[at(0, true, true, &plan), read(1, "", &plan)],
        10_000,
    );
}
