//! Collecting from GitHub: requests, time and memory, at first and when nothing changed.
//!
//! GitHub is the stateful fake of `collectors/github/tests/fake`, which answers at once and counts; so the time is our own
//! and the fake's. *Charged* is what counts against the rate limit: an answer that did not change (304) does not. Requests
//! about the owner (who asks, which repositories there are) are made once a run, not once a repository, and are left out of
//! the figures of the single repository. Memory is the peak of what is resident, as the operating system counts it.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, ExitCode};

#[path = "../../collectors/github/tests/fake/mod.rs"]
mod fake;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;

use fake::Fake;
use figure::{Figures, Watched, watch};

/// As many as the issue of speed speaks of.
const PULL_REQUESTS: u64 = 5000;
const REPOSITORIES: u64 = 500;

fn main() -> ExitCode {
    let mut figures = Figures::default();
    one_large_repository(&mut figures);
    many_repositories(&mut figures);
    figures.exit()
}

fn one_large_repository(figures: &mut Figures) {
    let fake = peer(&json!({ "name": "large", "prs": PULL_REQUESTS }));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let of_repository = |call: &Value| {
        let path = call["path"].as_str().unwrap();
        path.starts_with("/repos/") || path == "/graphql"
    };
    let (first, log) = collect(&fake, folder.path(), "github.pull_requests");
    let requests = log.iter().filter(|call| of_repository(call)).count();
    let limit = number(PULL_REQUESTS) / 40.0 + 1.0;
    figures.below(
        "GitHub, 5,000 pull requests, requests",
        count(requests),
        limit,
        "",
    );
    figures.note("  time", &format!("{:.1} s", first.time.as_secs_f64()));
    figures.note("  memory", &format!("{:.0} MB", first.megabytes));
    next_second();
    let (second, log) = collect(&fake, folder.path(), "github.pull_requests");
    let requests = log.iter().filter(|call| of_repository(call)).count();
    figures.below("  again, nothing changed, requests", count(requests), 4.0, "");
    figures.note("  time", &format!("{:.1} s", second.time.as_secs_f64()));
}

fn many_repositories(figures: &mut Figures) {
    let fake = peer(&json!({ "name": "many", "repositories": REPOSITORIES }));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (first, log) = collect(&fake, folder.path(), "github.branch_protection");
    figures.below("GitHub, 500 repositories, requests", count(log.len()), 2001.0, "");
    figures.note("  time", &format!("{:.1} s", first.time.as_secs_f64()));
    figures.below("  memory", first.megabytes, 100.0, "MB");
    let (second, log) = collect(&fake, folder.path(), "github.branch_protection");
    let charged: u64 = log.iter().filter_map(|call| call["charged"].as_u64()).sum();
    figures.below("  again, nothing changed, charged", number(charged), 701.0, "");
    figures.note("  again, requests", &log.len().to_string());
    figures.note("  time", &format!("{:.1} s", second.time.as_secs_f64()));
    figures.below("  memory", second.megabytes, 100.0, "MB");
}

fn peer(scenario: &Value) -> Fake {
    let fake = Fake::start();
    fake.control("/_fake/scenario", scenario);
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    fake
}

/// Runs `collect --once` as a user would; gives what it took and the requests that it made.
fn collect(fake: &Fake, folder: &Path, collector: &str) -> (Watched, Vec<Value>) {
    let config = folder.join("evidenced.toml");
    let text = format!(
        "name = \"bench\"\n[[source]]\nname = \"github\"\ntype = \"github\"\nsettings = {{ base_url = \"{}\", \
         owners = [\"acme\"], token = {{ env = \"GITHUB_TOKEN\" }}, since = \"2026-01-01\" }}\n\
         [source.collectors.\"{collector}\"]\nschedule = \"0 * * * *\"\n",
        fake.url()
    );
    std::fs::write(&config, text).unwrap();
    fake.control("/_fake/log/clear", &json!({}));
    let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
    command
        .args(["collect", "--once", "--format", "json"])
        .arg("--config")
        .arg(&config)
        .arg("--store")
        .arg(folder.join("store"))
        .env("GITHUB_TOKEN", "admin-token")
        .env("NO_PROXY", "127.0.0.1")
        .stdout(std::process::Stdio::null());
    let watched = watch(&mut command);
    assert!(
        matches!(watched.status.code(), Some(0 | 1)),
        "{}",
        fake.complaints()
    );
    let log = fake.control("/_fake/log", &Value::Null);
    (watched, serde_json::from_value(log).unwrap())
}

/// What happens in a second that is not over belongs to the next interval.
fn next_second() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

fn count(requests: usize) -> f64 {
    number(requests as u64)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn number(number: u64) -> f64 {
    number as f64
}
