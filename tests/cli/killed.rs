//! `evidenced collect --once`, killed as by a power switch: what it had reported stays, and the next start goes on.

use serde_json::Value;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use evidenced::log::store::{Paths, Reader};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::workplace::Workplace;

/// The same numbers in every run: xorshift.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Kills a run, and then what it had started, which would go on for nobody.
fn kill(mut child: Child) {
    let children = children(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    for child in children {
        if let Some(group) = i32::try_from(child).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// The processes that this one started, each of which leads a group.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<_> = rest.split_whitespace().collect();
        if fields.get(1) == Some(&parent.to_string().as_str())
            && fields.get(2) == Some(&id.to_string().as_str())
        {
            found.push(id);
        }
    }
    found
}

fn start(place: &Workplace, number: u64) -> Child {
    let output = File::create(place.path(&format!("output-{number}"))).unwrap();
    place
        .command(&["collect", "--once", "--format", "json"])
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn newest_snapshot(place: &Workplace) -> Option<u64> {
    let reader = Reader::open(&Paths::new(place.store())).ok()?;
    reader.newest("snapshot", None).ok()?
}

/// Waits until the run has sealed a snapshot; `false` where it ended before.
fn wait_for_snapshot(place: &Workplace, child: &mut Child) -> bool {
    let before = newest_snapshot(place);
    loop {
        if newest_snapshot(place) != before {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The snapshots that a run has reported, where it came that far.
fn reported(place: &Workplace, number: u64) -> Vec<u64> {
    let output = fs::read(place.path(&format!("output-{number}"))).unwrap();
    let Ok(shown) = serde_json::from_slice::<Value>(&output) else {
        return Vec::new();
    };
    let snapshots = shown["snapshots"].as_array().unwrap();
    snapshots
        .iter()
        .map(|each| each["seq"].as_u64().unwrap())
        .collect()
}

fn survives(seed: u64, kills: u64) {
    let place = Workplace::new();
    let mut random = Seeded(seed);
    let mut acknowledged = Vec::new();
    for number in 0..kills {
        let mut child = start(&place, number);
        if number % 7 == 6 {
            // Between the snapshot, its evaluation and the report, which a clock alone would hardly hit.
            wait_for_snapshot(&place, &mut child);
            std::thread::sleep(Duration::from_millis(random.below(12)));
        } else {
            std::thread::sleep(Duration::from_millis(random.below(1200)));
        }
        kill(child);
        acknowledged.extend(reported(&place, number));
        // Before the store was made nothing was acknowledged.
        let paths = Paths::new(place.store());
        if paths.database().exists() && !paths.creating().exists() {
            let report = place.run(&["verify", "--format", "json"]).ends(0).json();
            let size = report["size"].as_u64().unwrap();
            assert!(
                acknowledged.iter().all(|seq| *seq < size),
                "{acknowledged:?} of {size}"
            );
        }
    }
    let child = start(&place, kills);
    assert!(child.wait_with_output().unwrap().status.code().unwrap() < 2);
    let last = reported(&place, kills);
    assert_eq!(last.len(), 1);
    acknowledged.extend(last);
    let reader = place.reader();
    for seq in acknowledged {
        assert_eq!(reader.leaf(seq).unwrap().unwrap().kind, "snapshot");
    }
    assert_eq!(
        reader.unjudged().unwrap(),
        [] as [u64; 0],
        "what was left unjudged is judged"
    );
    place.run(&["verify"]).ends(0);
}

#[test]
fn a_run_that_is_killed_at_any_moment_loses_nothing_that_it_reported() {
    survives(0x00c0_ffee, 16);
}

#[test]
fn a_run_that_is_killed_at_any_other_moment_loses_nothing_either() {
    survives(0x5eed, 16);
}
