//! Several processes at once: two that append, one that is killed now and then, readers and verifiers beside them.

use evidenced::clock;
use evidenced::log::store::{Filter, Paths, Reader, StoreError};
use evidenced::log::verify_store::verify_store;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::child::{Ack, Bench, Run, kill};
use super::examine::{Excuse, chain, examine};
use super::program::Random;

fn start(bench: &Bench, seed: &str) -> Child {
    let mut command = bench.command("endless");
    command.env("FAULTS_SEED", seed).env_remove("LD_PRELOAD");
    command.spawn().unwrap()
}

/// Reads and verifies until told to stop; says how often, or what was wrong.
fn watch(paths: &Paths, stop: &AtomicBool) -> Result<(usize, usize), String> {
    let (mut verified, mut read, mut size) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        match verify_store(paths, None, &|_, _| {}) {
            Ok(report) if !report.intact => return Err(format!("a false alarm: {:?}", report.problems)),
            Ok(report) if report.size < size => return Err(format!("{size} leaves became {}", report.size)),
            Ok(report) => (size, verified) = (report.size, verified + 1),
            Err(StoreError::Absent(_)) if size == 0 => {}
            Err(error) => return Err(format!("a false alarm: {}", chain(&error))),
        }
        if size == 0 {
            continue;
        }
        let entries = Reader::open(paths).and_then(|reader| reader.entries(&Filter::default()));
        let entries = entries.map_err(|error| chain(&error))?;
        if entries.iter().zip(0..).any(|(entry, seq)| entry.seq != seq) || (entries.len() as u64) < size {
            return Err("a reader saw a hole".to_owned());
        }
        read += 1;
    }
    Ok((verified, read))
}

/// Watches with two threads while `work` runs; how often either verified and read.
fn watched<T>(paths: &Paths, work: impl FnOnce() -> T) -> (T, Vec<(usize, usize)>) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watchers = [(); 2].map(|()| scope.spawn(|| watch(paths, &stop)));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let watched = watchers.map(|watcher| watcher.join().unwrap().unwrap());
        (done, watched.to_vec())
    })
}

/// Whether both watchers did what they are for.
fn was_watched(watched: &[(usize, usize)]) -> bool {
    watched.iter().all(|(verified, read)| *verified > 0 && *read > 0)
}

/// What both say must be there, once.
fn check(bench: &Bench, runs: Vec<Run>) -> Vec<Ack> {
    for run in &runs {
        assert!(!run.said("damaged") && !run.said("error"), "{:?}", run.said);
    }
    let mut acks: Vec<_> = runs.into_iter().flat_map(|run| run.acks).collect();
    acks.sort_by_key(|ack| ack.seq);
    assert!(
        acks.windows(2).all(|pair| pair[0].seq < pair[1].seq),
        "a place was given twice"
    );
    examine(&bench.store(), &acks, Excuse::None).unwrap();
    acks
}

#[test]
fn two_processes_append_while_others_read_and_verify() {
    let bench = Bench::new();
    let (runs, watched) = watched(&bench.store(), || {
        let children = [start(&bench, "left"), start(&bench, "right")];
        thread::sleep(Duration::from_secs(3));
        children.map(kill)
    });
    assert!(was_watched(&watched), "{watched:?}");
    for run in &runs {
        assert!(
            run.acks.len() > 20,
            "one was kept waiting: {} leaves",
            run.acks.len()
        );
    }
    check(&bench, runs.into());
}

#[test]
fn one_of_two_processes_is_killed_again_and_again_while_others_read_and_verify() {
    let (bench, mut random) = (Bench::new(), Random(21));
    let clock = clock::system();
    let (runs, watched) = watched(&bench.store(), || {
        let steady = start(&bench, "steady");
        let mut runs = Vec::new();
        while clock.monotonic() < Duration::from_secs(4) {
            let child = start(&bench, &format!("killed-{}", runs.len()));
            thread::sleep(Duration::from_micros(5000 + random.below(120_000)));
            runs.push(kill(child));
        }
        runs.push(kill(steady));
        runs
    });
    assert!(was_watched(&watched), "{watched:?}");
    assert!(runs.len() > 10, "{} runs", runs.len());
    check(&bench, runs);
}

#[test]
fn two_processes_begin_the_same_store_while_others_verify() {
    for round in 0..15 {
        let bench = Bench::new();
        let (runs, _) = watched(&bench.store(), || {
            let children = [
                start(&bench, &format!("{round}l")),
                start(&bench, &format!("{round}r")),
            ];
            thread::sleep(Duration::from_millis(150));
            children.map(kill)
        });
        check(&bench, runs.into());
    }
}
