//! A machine recorded in a folder: files as they stood (`root/`), and what commands answered (`machine.toml`).
//!
//! A link whose place is taken by a folder stands beside it as `NAME.link`; `.gitkeep` keeps empty folders.

#![allow(dead_code, reason = "each test crate uses a part")]

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use evidenced_collector_api::{Clock, Collector, Snapshot, conformance};
use evidenced_collector_host::{Fault, Identity, Machine, Output, Settings, baseline_on};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The recorded machines.
pub(crate) const MACHINES: &[&str] = &["debian-luks", "cloud-vm", "container", "rpm-sssd", "storage"];

/// Time that moves by a millisecond at each look.
#[derive(Default)]
pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    uid: u32,
    nodename: String,
    release: String,
    architecture: String,
    #[serde(default)]
    denied: BTreeSet<String>,
    #[serde(default)]
    modified: BTreeMap<String, DateTime<Utc>>,
    #[serde(default)]
    command: Vec<Command>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    line: String,
    exit: i32,
    stdout: String,
    #[serde(default)]
    stderr: String,
}

/// What happens instead of the recorded answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mishap {
    Fault(Fault),
    Text(&'static str),
    Exit(i32),
}

/// A recorded machine, on which one thing may go wrong.
#[derive(Clone)]
pub(crate) struct Recorded {
    folder: PathBuf,
    recording: Recording,
    mishap: Option<(String, Mishap)>,
    /// Every path and command line asked for.
    pub(crate) touched: Arc<Mutex<BTreeSet<String>>>,
}

impl Recorded {
    pub(crate) fn open(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/recorded")
            .join(name);
        let text = std::fs::read_to_string(folder.join("machine.toml")).unwrap();
        Self {
            folder,
            recording: toml::from_str(&text).unwrap(),
            mishap: None,
            touched: Arc::default(),
        }
    }

    pub(crate) fn with(mut self, what: &str, mishap: Mishap) -> Self {
        self.mishap = Some((what.to_owned(), mishap));
        self
    }

    pub(crate) fn run_by(mut self, uid: u32) -> Self {
        self.recording.uid = uid;
        self
    }

    fn at(&self, path: &str) -> Result<PathBuf, Fault> {
        self.touch(path)?;
        let covers = |denied: &String| path == denied || path.starts_with(&format!("{denied}/"));
        if self.recording.denied.iter().any(covers) {
            return Err(Fault::Denied);
        }
        Ok(self.folder.join("root").join(path.trim_start_matches('/')))
    }

    fn touch(&self, what: &str) -> Result<(), Fault> {
        self.touched.lock().unwrap().insert(what.to_owned());
        match self.mishap(what) {
            Some(Mishap::Fault(fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    fn mishap(&self, what: &str) -> Option<Mishap> {
        let (place, mishap) = self.mishap.as_ref()?;
        (place == what).then(|| mishap.clone())
    }
}

#[async_trait]
impl Machine for Recorded {
    fn identity(&self) -> Identity {
        Identity {
            uid: self.recording.uid,
            nodename: self.recording.nodename.clone(),
            release: self.recording.release.clone(),
            architecture: self.recording.architecture.clone(),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let file = self.at(path)?;
        if let Some(Mishap::Text(text)) = self.mishap(path) {
            return Ok(text.as_bytes().to_vec());
        }
        Ok(std::fs::read(file)?)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        let mut names: Vec<String> = std::fs::read_dir(self.at(path)?)?
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".gitkeep")
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<String, Fault> {
        let place = self.at(path)?;
        if let Some(Mishap::Text(text)) = self.mishap(path) {
            return Ok(text.to_owned());
        }
        if let Ok(target) = std::fs::read_to_string(format!("{}.link", place.display())) {
            return Ok(target.trim().to_owned());
        }
        Ok(std::fs::read_link(place)?.to_string_lossy().into_owned())
    }

    fn modified(&self, path: &str) -> Result<DateTime<Utc>, Fault> {
        self.at(path)?;
        self.recording.modified.get(path).copied().ok_or(Fault::Absent)
    }

    async fn command(&self, program: &str, arguments: &[&str], _: Duration) -> Result<Output, Fault> {
        let line = [&[program], arguments].concat().join(" ");
        self.touch(&line)?;
        let command = self.recording.command.iter().find(|command| command.line == line);
        let command = command.ok_or(Fault::Absent)?;
        let mishap = self.mishap(&line);
        Ok(Output {
            exit: Some(if let Some(Mishap::Exit(code)) = mishap {
                code
            } else {
                command.exit
            }),
            stdout: match mishap {
                Some(Mishap::Text(text)) => text.into(),
                _ => command.stdout.clone().into(),
            },
            stderr: command.stderr.clone().into(),
        })
    }
}

pub(crate) fn collector(machine: Recorded, settings: &str) -> Box<dyn Collector> {
    let settings: Settings = toml::from_str(settings).unwrap();
    baseline_on(Box::new(machine), settings)
}

/// The snapshot of a machine, after every rule of the contract was checked.
pub(crate) async fn snapshot(machine: Recorded, settings: &str) -> Snapshot {
    let collector = collector(machine, settings);
    let (mut snapshots, breaches) = conformance::check(collector.as_ref(), &TestClock::default())
        .await
        .unwrap();
    assert_eq!(breaches, Vec::<String>::new());
    assert_eq!(snapshots.len(), 1);
    snapshots.remove(0)
}
