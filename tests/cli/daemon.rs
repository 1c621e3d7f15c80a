//! The daemon as a process: refused twice, told by signals, killed, and asked how it is.

use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use evidenced::log::leaf::{Body, By};
use rustix::process::{Pid, Signal, kill_process};

use crate::account::audit;
use crate::workplace::{Workplace, ran};

/// A daemon that collects this machine every few seconds.
pub(crate) struct Daemon<'a> {
    place: &'a Workplace,
    pub(crate) child: Child,
}

fn configuration(port: u16, schedule: &str) -> String {
    format!(
        "name = \"acme\"\n[daemon]\nlisten = \"127.0.0.1:{port}\"\nstop_within = \"5s\"\n\
         [[source]]\nname = \"this-machine\"\ntype = \"host\"\n\
         [source.collectors.\"host.baseline\"]\nschedule = \"{schedule}\"\n"
    )
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl<'a> Daemon<'a> {
    pub(crate) fn start(place: &'a Workplace) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(place.path("log"))
            .unwrap();
        let child = place
            .command(&["collect"])
            .env("PATH", "/nowhere")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { place, child }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has logged, a JSON object a line.
    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.place.path("log")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    fn logged(&self, what: &str) -> bool {
        let message = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
        self.log().iter().any(|line| message(line).contains(what))
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a process takes the time that it takes")]
pub(crate) fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_mins(3), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn bodies(place: &Workplace) -> Vec<Body> {
    let reader = place.reader();
    (0..reader.size().unwrap())
        .filter_map(|seq| reader.leaf(seq).unwrap().unwrap().body)
        .collect()
}

fn daemon_plans(place: &Workplace) -> usize {
    let is_daemon = |body: &&Body| matches!(body, Body::Plan(plan) if plan.by == By::Daemon);
    bodies(place).iter().filter(is_daemon).count()
}

fn ticked(place: &Workplace) -> usize {
    let is_tick = |body: &&Body| matches!(body, Body::Snapshot(snapshot) if snapshot.tick.is_some());
    bodies(place).iter().filter(is_tick).count()
}

#[test]
fn a_daemon_is_ready_alone_told_by_signals_and_ends_well() {
    let (place, port) = (Workplace::new(), free_port());
    place.write("evidenced.toml", &configuration(port, "*/3 * * * * *"));
    let not_there = place.run(&["status", "--ready"]).ends(1);
    assert!(
        not_there.out.starts_with("no answer from http://127.0.0.1:"),
        "{}",
        not_there.out
    );

    let mut daemon = Daemon::start(&place);
    wait_for("readiness", || place.run(&["status", "--ready"]).status == 0);
    wait_for("ticks", || ticked(&place) > 1);
    let second = place.run(&["collect"]).ends(2);
    let pid = daemon.child.id();
    let refusal = format!("error: a daemon is running already, with pid {pid}\n");
    assert!(second.err.contains(&refusal), "{}", second.err);
    // Others may append, and read, beside it.
    place.run(&["collect", "--once", "--dry-run"]).ends(1);
    let once = place
        .command(&["collect", "--once"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    ran(&once).ends(1);
    let status = place.run(&["status", "--format", "json"]).ends(1).json();
    assert_eq!(
        (&status["daemon"]["running"], &status["daemon"]["pid"]),
        (&true.into(), &pid.into())
    );
    let text = place.run(&["status"]).ends(1).out;
    assert!(
        text.contains(&format!("The daemon runs, with pid {pid}.")),
        "{text}"
    );

    assert_eq!(daemon_plans(&place), 1);
    place.write("evidenced.toml", "name = ");
    daemon.signal(Signal::HUP);
    wait_for("the refusal", || {
        daemon.logged("the old configuration stays in force: ")
    });
    let before = ticked(&place);
    wait_for("ticks", || ticked(&place) > before);
    place.write("evidenced.toml", &configuration(port, "*/4 * * * * *"));
    daemon.signal(Signal::HUP);
    wait_for("the new plan", || daemon_plans(&place) == 2);

    daemon.signal(Signal::TERM);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    assert!(daemon.logged("stopped"));
    let collected = daemon
        .log()
        .into_iter()
        .find(|line| line["span"]["tick"].is_string());
    let collected = collected.unwrap();
    assert_eq!(collected["span"]["collector"], "host.baseline", "{collected}");
    assert_eq!(collected["span"]["source"], "this-machine", "{collected}");
    assert!(collected["span"].get("run").is_some(), "{collected}");
    place.run(&["verify"]).ends(0);
    let stopped = place.run(&["status"]).ends(1).out;
    assert!(stopped.contains("No daemon runs here"), "{stopped}");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_accounts_for_every_tick() {
    let (place, port) = (Workplace::new(), free_port());
    place.write("evidenced.toml", &configuration(port, "*/3 * * * * *"));
    for number in 0..9_u64 {
        let daemon = Daemon::start(&place);
        // At first in the middle of beginning, later in the middle of collecting.
        std::thread::sleep(Duration::from_millis(60 + number * number * 40));
        drop(daemon);
    }
    let mut daemon = Daemon::start(&place);
    wait_for("readiness", || place.run(&["status", "--ready"]).status == 0);
    wait_for("ticks", || ticked(&place) > 1);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    place.run(&["verify"]).ends(0);
    let last = bodies(&place).into_iter().rev().find_map(|body| match body {
        Body::Plan(plan) => plan.effective,
        _ => None,
    });
    let counts = audit(&place.reader(), last.unwrap());
    assert!(counts.values().sum::<u64>() > 1, "{counts:?}");
    assert!(daemon_plans(&place) > 3);
}
