//! A small log whose truth is known, and bundles of it.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use evidenced::exception;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{Body, ClockState, Exception, Heartbeat, Role};
use evidenced_collector_api::{FailureClass, Resource};

use crate::fake::{Answer, Bench, HandClock, thing};
use crate::workplace::Workplace;

/// One test that looks at nothing but the resource, and one that looks at the time.
const RULES: &str = r#"
[[test]]
id = "things-safe"
title = "Every thing is safe"
doc = "Checked: it says so."
resource = "fake.thing"
passes = "resource.safe"
severity = "high"
max_age = "26h"
example = [{ given = { safe = true }, outcome = "pass" }, { given = { safe = false }, outcome = "fail" }]

[[test]]
id = "things-timely"
title = "It is not yet the fourth"
doc = "Checked: the time."
resource = "fake.thing"
passes = "now < timestamp('2026-03-04T00:00:00Z') || resource.safe"
severity = "low"
max_age = "26h"
example = [{ given = { safe = true }, outcome = "pass" }, { given = { safe = false }, now = "2026-03-05T00:00:00Z", outcome = "fail" }]

[[control]]
id = "safe-things"
statement = "Things are safe."
owner = "platform"
criteria = ["CC6.1"]
tests = ["things-safe"]

[[control]]
id = "by-hand"
statement = "Somebody looks."
owner = "platform"
criteria = ["CC1.1"]
tests = []
"#;

/// What `evidenced export` is told of the period: 2 and 3 March.
pub(crate) const PERIOD: [&str; 4] = ["--from", "2026-03-02", "--to", "2026-03-03"];

/// What happens on 1 to 5 March, a look every six hours: `x` is unsafe from the 2nd at noon to the 4th at noon, and excepted on the
/// 3rd; `y` is gone on the 3rd; the source is down on the 3rd at noon.
pub(crate) async fn log(place: &Workplace) -> Bench {
    let clock = HandClock::at("2026-03-01T00:00:00Z");
    let mut bench = Bench::begun_at(&place.store(), RULES, clock).await;
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for look in 0..20 {
        let now = evidenced::clock::Clock::now(bench.clock.as_ref());
        if now == at("2026-03-03T00:00:00Z") {
            except(&bench, at("2026-03-03T20:00:00Z")).await;
            bench.rules(&RULES.replace("26h", "30h")).await;
        }
        let safe = now < at("2026-03-02T12:00:00Z") || now >= at("2026-03-04T12:00:00Z");
        let mut things = vec![thing("x", safe), thing("w", true).with("size", look / 3)];
        if now.date_naive() != at("2026-03-03T00:00:00Z").date_naive() {
            things.push(
                Resource::new("fake.thing", "y", "y", 0)
                    .with_result("safe", Err::<bool, _>("may not be seen".to_owned())),
            );
        }
        let down = now == at("2026-03-03T12:00:00Z");
        let answer = if down {
            Answer::Fails(FailureClass::Unavailable, "no route".to_owned())
        } else {
            Answer::seen(things)
        };
        bench.holds([("a", answer)]);
        bench.run().await;
        beat(&bench).await;
        bench.clock.forward(TimeDelta::hours(6));
    }
    bench
}

async fn beat(bench: &Bench) {
    let heartbeat = Heartbeat {
        version: "1".to_owned(),
        uptime_s: 1,
        clock: ClockState {
            synchronised: None,
            offset_ms: None,
            how: "nobody knows".to_owned(),
        },
        stepped_ms: None,
        leaves: 1,
        store_bytes: 1,
        free_bytes: None,
    };
    bench
        .log
        .append(Draft::new(Body::Heartbeat(heartbeat)))
        .await
        .unwrap();
}

async fn except(bench: &Bench, expires: DateTime<Utc>) {
    let exception = Exception {
        test: "things-safe".to_owned(),
        only_source: None,
        reason: "by design".to_owned(),
        requested_by: "Ann".to_owned(),
        approved_by: "Bob".to_owned(),
        recorded_by: "root".to_owned(),
        expires,
        resources: 1,
        ticket: None,
    };
    let payload = exception::payload(BTreeSet::from(["x".to_owned()]));
    let draft = Draft::new(Body::Exception(exception));
    let draft = draft
        .with_blob(Role::Resources, "application/json", &payload)
        .unwrap();
    bench.log.append(draft).await.unwrap();
}

/// Writes a bundle of the period, with further arguments; returns where it is.
#[track_caller]
pub(crate) fn export(place: &Workplace, name: &str, more: &[&str]) -> PathBuf {
    let arguments = [&["export", "-o", name][..], &PERIOD, more].concat();
    place.run(&arguments).ends(0);
    place.path("work").join(name)
}

/// A log, and the folder of its bundle.
pub(crate) async fn bundle() -> (Workplace, PathBuf) {
    let place = Workplace::new();
    drop(log(&place).await);
    let folder = export(&place, "bundle/", &[]);
    (place, folder)
}

/// The files of a folder, by their paths in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let found = crate::workplace::tree(folder).into_iter();
    let found = found.filter(|(path, _)| path.is_file());
    found
        .map(|(path, bytes)| {
            (
                path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(),
                bytes,
            )
        })
        .collect()
}

/// Runs the verifier that needs none of our software.
pub(crate) fn verify_py(arguments: &[&str]) -> (i32, String) {
    let output = Command::new("python3")
        .arg("-B")
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}
