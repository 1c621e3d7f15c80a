//! The command line as its users meet it: what is said, how it ends, what is written and what is not.
//!
//! What is the same on every machine stands in `tests/cmd`, a promise per file: arguments, exit status, exact output.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use tempfile::tempdir;

mod fake;

#[path = "daemon/account.rs"]
mod account;
#[path = "cli/attaching.rs"]
mod attaching;
#[path = "cli/beside.rs"]
mod beside;
#[path = "cli/bringing.rs"]
mod bringing;
#[path = "cli/collecting.rs"]
mod collecting;
#[path = "cli/daemon.rs"]
mod daemon;
#[path = "cli/deviating.rs"]
mod deviating;
#[path = "cli/drift.rs"]
mod drift;
#[path = "cli/excepting.rs"]
mod excepting;
#[path = "cli/killed.rs"]
mod killed;
#[path = "cli/matrix.rs"]
mod matrix;
#[path = "cli/operating.rs"]
mod operating;
#[path = "cli/readiness.rs"]
mod readiness;
#[path = "cli/reading.rs"]
mod reading;
#[path = "fake/receiver.rs"]
mod receiver;
#[path = "cli/recovering.rs"]
mod recovering;
#[path = "cli/reporting.rs"]
mod reporting;
#[path = "cli/sampling.rs"]
mod sampling;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/soak.rs"]
mod soak;
#[path = "cli/standing.rs"]
mod standing;
#[path = "cli/telling.rs"]
mod telling;
#[path = "cli/verifying.rs"]
mod verifying;
#[path = "cli/workplace.rs"]
mod workplace;

/// Runs the files of a folder of `tests/cmd` with a home and a store that are not there, and insists that they still
/// are not when all have run.
fn promises(cases: &str) {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tests = trycmd::TestCases::new();
    tests
        .env("HOME", path("home"))
        .env("STATE_DIRECTORY", path("store"))
        .env("EVIDENCED_CONFIG", "")
        .env("COLUMNS", "100")
        .case(cases);
    // Runs them.
    drop(tests);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something was written"
    );
}

#[test]
fn every_verb_helps_and_gives_examples() {
    promises("tests/cmd/help/*.trycmd");
}

#[test]
fn what_is_wrong_is_located_and_answered_and_nothing_is_written() {
    promises("tests/cmd/refused/*.trycmd");
}

#[test]
fn every_verb_has_a_promise_about_its_help() {
    let help = std::process::Command::new(workplace::PROGRAM)
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (verbs, _) = help.split_once("Options:").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  "));
    for verb in verbs.filter_map(|line| line.split_whitespace().next()) {
        let file = format!("{}/tests/cmd/help/{verb}.trycmd", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&file).exists(), "{file}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a person would not wait on a test's clock"
)]
fn help_is_there_at_once() {
    let begun = std::time::Instant::now();
    workplace::Workplace::new().run(&["--help"]).ends(0);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
