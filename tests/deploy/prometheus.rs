//! The alerts: rules that promtool reads, each of which has an example that it fires on and one that it does not. And the
//! metrics of a running daemon, which have what the alerts look at.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

use super::tools::{in_path, not_tried, output, unpacked};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const EXAMPLES: &str = include_str!("../../deploy/prometheus/alerts.test.yaml");

fn promtool(what: &str) -> Option<PathBuf> {
    if let Some(found) = in_path("promtool") {
        return Some(found);
    }
    match unpacked(&["prometheus"]) {
        Ok(root) => Some(root.join("usr/bin/promtool")),
        Err(why) => {
            not_tried(what, &why, "EVIDENCED_REQUIRE_PROMTOOL");
            None
        }
    }
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    let Some(promtool) = promtool("the alerts") else {
        return;
    };
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
    ] {
        let mut command = Command::new(&promtool);
        output(command.args(arguments).current_dir(FOLDER)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What stands behind a word in each line that has it, up to a comma or a brace.
fn named<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let end = |c: char| c == ',' || c == '}' || c.is_whitespace();
    let rests = text.lines().filter_map(|line| line.split_once(word));
    rests
        .filter_map(|(_, rest)| rest.trim().split(end).next())
        .collect()
}

#[test]
fn every_alert_has_an_example_that_it_fires_on_and_one_that_it_does_not() {
    let alerts: BTreeSet<_> = named(ALERTS, "- alert:").into_iter().collect();
    let (well, ill) = EXAMPLES.split_once("\n  - name: everything is wrong\n").unwrap();
    assert!(well.contains("{ expr: ALERTS, eval_time: 4h50m, exp_samples: [] }"));
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(ill.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
}

#[test]
fn every_alert_says_what_it_is_and_what_to_do() {
    for alert in ALERTS.split("- alert:").skip(1) {
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "{part} {alert}");
        }
    }
}

/// A daemon that collects from this machine, and a place for it.
struct Daemon {
    folder: TempDir,
    address: SocketAddr,
    process: Option<Child>,
}

impl Daemon {
    fn new() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            address: free.local_addr().unwrap(),
            process: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .arg("--store")
            .arg(self.folder.path().join("store"));
        command
    }

    /// Returns once it is ready.
    fn start(&mut self, schedule: &str) {
        let config = format!(
            "name = \"metrics-test\"\n[daemon]\nlisten = \"{}\"\n[[source]]\nname = \"this-machine\"\ntype = \"host\"\n\
             [source.collectors.\"host.baseline\"]\nschedule = \"{schedule}\"\n",
            self.address
        );
        fs::write(self.folder.path().join("config.toml"), config).unwrap();
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command(&["collect"]);
        self.process = Some(command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        self.until("ready", || {
            let asked = self.command(&["status", "--ready"]).output().unwrap();
            asked.status.success()
        });
    }

    #[track_caller]
    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..300 {
            if is_so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        panic!("{what}: {log}");
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 OK"), "{head}");
        body.to_owned()
    }

    /// The value of a series of the only collector and source.
    fn value(&self, name: &str) -> Option<f64> {
        let name = format!("{name}{{collector=\"host.baseline\",source=\"this-machine\"}} ");
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map(|value| value.parse().unwrap())
    }

    fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        output(Command::new("kill").arg(process.id().to_string())).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

const SUCCESS: &str = "evidenced_last_success_timestamp_seconds";
const OWED: &str = "evidenced_ticks_since_success";

#[test]
fn the_metrics_of_a_daemon_are_as_they_should_be_and_go_on_after_a_restart() {
    let mut daemon = Daemon::new();
    daemon.start("* * * * * *");
    daemon.until("collected on schedule", || {
        let metrics = daemon.metrics();
        let ticks = "evidenced_ticks_total{collector=\"host.baseline\",outcome=\"snapshot\",source=\"this-machine\"} ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(ticks));
        value.is_some_and(|value| value != "0")
    });
    check(&daemon.metrics());
    let success = daemon.value(SUCCESS).unwrap();
    daemon.stop();

    // No tick for months: what is told now was read from the log.
    daemon.start("0 0 29 2 *");
    assert!(daemon.value(SUCCESS).unwrap() >= success);
    // The daemon before owed one for each second, of which its last run took some.
    assert!(daemon.value(OWED).unwrap() > 0.0);
    daemon.stop();
}

/// Every series that the alerts look at is there, and promtool has nothing to say.
fn check(metrics: &str) {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let used = ALERTS.lines().filter(|line| !line.trim().starts_with('#'));
    let used: BTreeSet<_> = used.flat_map(|line| line.split(word)).collect();
    for name in used.into_iter().filter(|name| name.starts_with("evidenced_")) {
        // A host has no limits, not every host can tell how its clock is kept, and nobody owes evidence here.
        if ![
            "evidenced_source_rate_limit_remaining",
            "evidenced_clock_synchronised",
            "evidenced_manual_evidence_overdue",
        ]
        .contains(&name)
        {
            assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}\n{metrics}");
        }
    }
    let Some(promtool) = promtool("the metrics") else {
        return;
    };
    let mut command = Command::new(promtool);
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap();
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(metrics.as_bytes()).unwrap();
    drop(stdin);
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr) + String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && text.is_empty(), "{text}\n{metrics}");
}
