//! A full disk: what can't be stored is reported, nothing is lost, and the same process goes on once there is room.

use super::child::{Bench, Run};
use super::examine::{Excuse, every, examine};

/// Examines what is left; every leaf must have been acknowledged in the end, in one process.
fn survived(bench: &Bench, run: &Run, leaves: usize) -> Result<(), String> {
    if run.said("damaged") || run.acks.len() != leaves || !run.said("done") {
        return Err(format!(
            "{} of {leaves} leaves: {:?} {}",
            run.acks.len(),
            run.said,
            run.complaints
        ));
    }
    examine(&bench.store(), &run.acks, Excuse::None).map(drop)
}

#[test]
fn the_disk_is_full_from_any_change_on_for_a_while_and_then_the_process_goes_on() {
    let whole = Bench::new().run("steady", "");
    let cases: Vec<_> = (1..=whole.changes.len())
        .step_by(2)
        .map(|first| format!("{first}:{}", [1, 4, 40][first % 3]))
        .collect();
    every(&cases, |full| {
        let bench = Bench::new();
        let mut command = bench.command("steady");
        // Each attempt is one change that fails, at least.
        command.env("SHIM_FULL", full).env("FAULTS_ATTEMPTS", "60");
        let run = bench.finish(command.spawn().unwrap());
        survived(&bench, &run, whole.acks.len())
    });
}

#[test]
fn files_may_not_grow_for_a_while_and_then_the_process_goes_on() {
    let bench = Bench::new();
    let direct = bench.command("limited");
    // A process that exceeds the limit gets a signal, which only a shell can have it ignore without unsafe code.
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(direct.get_program())
        .args(direct.get_args())
        .envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("LD_PRELOAD")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let run = bench.finish(command.spawn().unwrap());
    assert!(run.said("error"), "nothing failed: {:?}", run.said);
    assert!(
        run.said.iter().any(|line| line == "missed a.3:100000"),
        "{:?}",
        run.said
    );
    survived(&bench, &run, 2).unwrap();
}
