//! Death of the process: at every change, in the middle of every write, and at random moments.

use std::time::Duration;

use super::child::{Bench, kill};
use super::examine::{Excuse, Found, every, examine, verified};
use super::program::Random;

/// One run after another on the same store, each killed by its fault; then what is left must be whole.
fn survive(workload: &str, deaths: &[String]) -> Result<usize, String> {
    let bench = Bench::new();
    let (mut acks, mut died) = (Vec::new(), 0);
    for death in deaths {
        let run = bench.run(workload, death);
        died += usize::from(!run.status.success());
        if run.said("damaged") {
            return Err(format!("the program took it for damage: {:?}", run.said));
        }
        acks.extend(run.acks);
    }
    examine(&bench.store(), &acks, Excuse::None).map(|_| died)
}

#[test]
fn the_process_dies_at_every_change_and_nothing_acknowledged_is_lost() {
    let count = Bench::new().run("steady", "").changes.len();
    let cases: Vec<_> = (1..=count)
        .flat_map(|number| ["kill", "cut"].map(|kind| format!("{number}:{kind}")))
        .collect();
    let died = std::sync::atomic::AtomicUsize::new(0);
    every(&cases, |death| {
        died.fetch_add(
            survive("steady", std::slice::from_ref(death))?,
            std::sync::atomic::Ordering::Relaxed,
        );
        Ok(())
    });
    let died = died.into_inner();
    assert!(
        died >= cases.len() * 9 / 10,
        "only {died} of {} died",
        cases.len()
    );
}

#[test]
fn the_process_dies_again_while_it_recovers_and_nothing_acknowledged_is_lost() {
    let count = Bench::new().run("brief", "").changes.len();
    let mut random = Random(11);
    let cases: Vec<_> = (1..=count)
        .map(|first| {
            let later = [random.index(40) + 1, random.index(120) + 1];
            format!("{first}:cut {}:kill {}:cut", later[0], later[1])
        })
        .collect();
    every(&cases, |deaths| {
        let deaths: Vec<_> = deaths.split(' ').map(str::to_owned).collect();
        survive("brief", &deaths).map(drop)
    });
}

#[test]
fn the_process_is_killed_240_times_while_four_threads_append_and_nothing_acknowledged_is_lost() {
    every(&[1_u64, 2, 3, 4, 5, 6], |store| {
        let (bench, mut random, mut acks) = (Bench::new(), Random(*store), Vec::new());
        for round in 0..40 {
            let child = bench
                .command("endless")
                .env("FAULTS_SEED", format!("{store}-{round}"))
                .env_remove("LD_PRELOAD")
                .spawn()
                .unwrap();
            // The first rounds die while the store is being made.
            let longest = if round < 10 { 25_000 } else { 90_000 };
            std::thread::sleep(Duration::from_micros(2000 + random.below(longest)));
            let run = kill(child);
            if run.said("damaged") || run.said("error") {
                return Err(format!("round {round}: {:?}", run.said));
            }
            acks.extend(run.acks);
            match verified(&bench.store(), &acks) {
                Ok(Found::Intact) => {}
                found => return Err(format!("round {round}: {found:?}")),
            }
        }
        if acks.len() < 100 {
            return Err(format!("only {} leaves were acknowledged", acks.len()));
        }
        examine(&bench.store(), &acks, Excuse::None).map(drop)
    });
}
