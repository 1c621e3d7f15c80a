//! Acknowledged is durable: after power loss at any change, whatever the disk made of what was not flushed, every leaf
//! that had been acknowledged is there.

use super::child::{Ack, Bench, Change};
use super::disk::{Disk, Loss};
use super::examine::{Excuse, examine};

/// Records a workload, then cuts the power before each of its changes that `chosen` picks.
fn survive(workload: &str, random_losses: u64, chosen: impl Fn(usize, &[Change]) -> bool) {
    let bench = Bench::new();
    let recorded = bench.finish(bench.command(workload).env("SHIM_RECORD", "1").spawn().unwrap());
    assert!(
        recorded.said("done"),
        "{:?} {}",
        recorded.said,
        recorded.complaints
    );
    let changes = &recorded.changes;
    let (mut disk, mut acks, mut wrong, mut losses) = (Disk::default(), Vec::new(), Vec::new(), 0);
    for (number, change) in changes.iter().enumerate() {
        if change.operation == "say" {
            let said = String::from_utf8_lossy(&change.data).into_owned();
            acks.extend(
                said.lines()
                    .filter(|line| line.starts_with("ack "))
                    .map(Ack::parse),
            );
        } else if number > 0 {
            disk.apply(change);
        } else {
            disk = Disk::default();
            disk.apply(change);
        }
        if !chosen(number, changes) {
            continue;
        }
        // That nothing is lost but the process is what `kills` looks at.
        let seeds = (0..random_losses).map(|n| Loss::Some(number as u64 * 1000 + n));
        // A write alone changes nothing of what is flushed.
        let certain = if change.operation == "write" { 0 } else { 2 };
        let certain = [Loss::Contents, Loss::Everything].into_iter().take(certain);
        for loss in certain.chain(seeds) {
            let after = Bench::new();
            disk.build(&after.root(), loss);
            losses += 1;
            if let Err(what) = examine(&after.store(), &acks, Excuse::None) {
                wrong.push(format!(
                    "{loss:?} behind change {number}, {} {}: {what}",
                    change.operation, change.path
                ));
            }
        }
    }
    assert_eq!(acks, recorded.acks, "every acknowledgement was seen");
    assert!(
        wrong.is_empty(),
        "{} of {losses} power losses, the first of them:\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn power_is_lost_at_any_change_and_every_acknowledged_leaf_is_there() {
    survive("steady", 2, |_, _| true);
}

#[test]
fn power_is_lost_with_a_long_write_ahead_log_and_every_acknowledged_leaf_is_there() {
    // Before and behind every flush and acknowledgement once the store is made, and now and then between.
    survive("heavy", 1, |number, changes| {
        let boundary = |change: Option<&Change>| change.is_some_and(|change| change.operation != "write");
        let near = boundary(changes.get(number)) || boundary(changes.get(number + 1));
        (near && number > 140) || number % 401 == 0
    });
}
