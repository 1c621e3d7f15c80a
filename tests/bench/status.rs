//! How long `status` takes on a log of a million leaves, and `--help` anywhere: the median of twenty runs.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]

use std::process::{Command, ExitCode, Stdio};

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod store;

use figure::{Figures, time};
use store::Content;

const RUNS: usize = 20;

fn main() -> ExitCode {
    let paths = store::store(Content::Leaves);
    let mut figures = Figures::default();
    let store = paths.directory().to_str().unwrap();
    // Unknown tests are 1, failed runs 3: the store has both.
    let status = median(&["status", "--store", store], &[1, 3]);
    figures.below("status, 1,000,000 leaves, 250 targets", status, 100.0, "ms");
    figures.below("--help", median(&["--help"], &[0]), 20.0, "ms");
    figures.exit()
}

/// Milliseconds.
fn median(arguments: &[&str], expected: &[i32]) -> f64 {
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
            command.args(arguments).stdout(Stdio::null());
            let (time, status) = time(|| command.status().unwrap());
            assert!(expected.contains(&status.code().unwrap()), "{status}");
            time
        })
        .collect();
    times.sort();
    times[RUNS / 2].as_secs_f64() * 1e3
}
