//! Changes to the store that fail, are lost, or are done though reported as failed: each alone, and pairs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::child::{Bench, Change, Run};
use super::examine::{Excuse, Found, every, examine};
use super::program::Random;

/// What can become of a change.
const FAULTS: [&str; 6] = ["fail:EIO", "fail:ENOSPC", "late:EIO", "lost", "torn:EIO", "short"];

/// How many of them every single change meets; of the last two, one and the other by turns.
const EACH: usize = 5;

/// Runs a workload with faults and examines what is left.
fn survive(workload: &str, faults: &str) -> Result<(Found, Run), String> {
    let bench = Bench::new();
    let run = bench.run(workload, faults);
    let excuse = if run.changes.iter().any(explains_damage) {
        Excuse::Lost
    } else {
        Excuse::None
    };
    let told = || {
        let wrong = run.changes.iter().filter(|change| change.fault != "-");
        let wrong: Vec<_> = wrong.map(ToString::to_string).collect();
        format!("({}) said {:?} {}", wrong.join(", "), run.said, run.complaints)
    };
    if excuse == Excuse::None && run.said("damaged") {
        return Err(format!("the program took it for damage: {}", told()));
    }
    let found = examine(&bench.store(), &run.acks, excuse).map_err(|what| format!("{what} {}", told()))?;
    Ok((found, run))
}

/// Whether the log can't help being damaged: a write into the database itself was reported as done and was not.
/// Everywhere else it must notice.
fn explains_damage(change: &Change) -> bool {
    let database = ["evidence.db", "evidence.db-wal", "evidence.db-journal"];
    change.fault == "lost"
        && change.operation != "flush"
        && database.iter().any(|name| change.path.ends_with(name))
}

/// How many changes a workload makes.
fn changes(workload: &str) -> usize {
    let (_, run) = survive(workload, "").unwrap();
    assert!(
        run.said("done") && run.status.success(),
        "{:?} {}",
        run.said,
        run.complaints
    );
    run.changes.len()
}

#[test]
fn every_change_fails_or_is_lost_or_is_late_and_nothing_acknowledged_is_lost() {
    // Batches are made of what is there: how many changes there are varies a little.
    let count = changes("steady") + 10;
    let leaves = survive("steady", "").unwrap().1.acks.len();
    let cases: Vec<_> = (1..=count)
        .flat_map(|number| (0..EACH).map(move |kind| (number, kind)))
        .map(|(number, kind)| match kind {
            4 => format!("{number}:{}", FAULTS[4 + number % 2]),
            _ => format!("{number}:{}", FAULTS[kind]),
        })
        .collect();
    let tally = Mutex::new(BTreeMap::new());
    every(&cases, |faults| {
        let (found, run) = survive("steady", faults)?;
        if !faults.ends_with("lost") && (run.acks.len() != leaves || !run.said("done")) {
            return Err(format!(
                "{} of {leaves} leaves in three attempts each: {:?}",
                run.acks.len(),
                run.said
            ));
        }
        let fired = run.changes.iter().any(|change| change.fault != "-");
        let kind = faults.split_once(':').unwrap().1.to_owned();
        *tally
            .lock()
            .unwrap()
            .entry((kind, fired, found == Found::Intact))
            .or_insert(0) += 1;
        Ok(())
    });
    let tally = tally.lock().unwrap();
    let fired: u32 = tally
        .iter()
        .filter(|((_, fired, _), _)| *fired)
        .map(|(_, count)| count)
        .sum();
    assert!(fired as usize >= (count - count / 10) * EACH, "{tally:?}");
    assert!(
        tally.contains_key(&("lost".to_owned(), true, false)),
        "no loss was ever seen: {tally:?}"
    );
}

#[test]
fn changes_of_a_long_write_ahead_log_fail_and_nothing_acknowledged_is_lost() {
    let count = changes("heavy");
    let mut random = Random(3);
    let cases: Vec<_> = (0..40)
        .map(|_| {
            format!(
                "{}:{}",
                random.index(count) + 1,
                FAULTS[random.index(FAULTS.len())]
            )
        })
        .collect();
    every(&cases, |faults| survive("heavy", faults).map(drop));
}

#[test]
fn two_changes_go_wrong_and_nothing_acknowledged_is_lost() {
    let count = changes("brief") + 5;
    let (mut random, mut distance) = (Random(1), Random(5));
    let mut cases = Vec::new();
    let mut pair = |first: usize, second: usize| {
        let mut fault = |number| format!("{number}:{}", FAULTS[random.index(FAULTS.len())]);
        cases.push(format!("{},{}", fault(first), fault(second)));
    };
    for first in 1..=count {
        // What follows at once, and samples of what follows soon.
        for second in first + 1..=first + 2 {
            pair(first, second);
        }
        for _ in 0..2 {
            pair(first, first + 3 + distance.index(28));
        }
    }
    let mut random = Random(2);
    for _ in 0..300 {
        let first = random.index(count) + 1;
        pair(first, first + 1 + random.index(count));
    }
    every(&cases, |faults| survive("brief", faults).map(drop));
}
