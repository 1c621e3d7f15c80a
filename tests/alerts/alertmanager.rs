//! Prometheus Alertmanager itself, as Debian packages it.

use evidenced::alert::channel::Channel;
use evidenced::alert::message::{Message, Phase};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

use crate::tools::{in_path, not_tried, unpacked};
use crate::{channel, http, long, message, taken};

struct Alertmanager {
    process: Child,
    url: String,
    http: reqwest::Client,
    _folder: TempDir,
}

/// Where Debian's has its templates.
const TEMPLATES: &str = "/usr/share/prometheus/alertmanager";

/// The program and the folder to run it in: the machine's, or Debian's unpacked, of which a copy in `folder` looks for its
/// templates where it is run and not where it would be installed.
fn program(folder: &Path) -> Result<(PathBuf, PathBuf), String> {
    let name = "prometheus-alertmanager";
    if let Some(found) = in_path(name) {
        return Ok((found, folder.to_owned()));
    }
    let root = unpacked(&[name])?;
    let mut bytes = fs::read(root.join("usr/bin").join(name)).unwrap();
    let here = "./".repeat(TEMPLATES.len() / 2);
    assert_eq!(here.len(), TEMPLATES.len());
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, TEMPLATES).collect();
    for at in places {
        bytes[at..at + here.len()].copy_from_slice(here.as_bytes());
    }
    let copy = folder.join(name);
    fs::write(&copy, bytes).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    Ok((copy, root.join(&TEMPLATES[1..])))
}

impl Alertmanager {
    /// Returns once it is ready; none where it can't be had.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (program, beside) = match program(folder.path()) {
            Ok(found) => found,
            Err(why) => {
                not_tried("alertmanager", &why, "EVIDENCED_REQUIRE_ALERTMANAGER");
                return None;
            }
        };
        let config = folder.path().join("alertmanager.yaml");
        fs::write(
            &config,
            "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n",
        )
        .unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .current_dir(beside)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            process,
            url: format!("http://{address}"),
            http: http(),
            _folder: folder,
        };
        for _ in 0..200 {
            if started.ask("/-/ready").await.is_some() {
                return Some(started);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("alertmanager is not ready after ten seconds");
    }

    async fn ask(&self, path: &str) -> Option<String> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// Those that go on.
    async fn firing(&self) -> Vec<Value> {
        let text = self.ask("/api/v2/alerts?active=true").await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn channel(&self) -> Box<dyn Channel> {
        channel("alertmanager", &format!("url = \"{}/\"", self.url), &[])
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test]
async fn an_alert_fires_until_it_is_closed() {
    let Some(alertmanager) = Alertmanager::start().await else {
        return;
    };
    let channel = alertmanager.channel();
    let opened = message("fires", Phase::Opened);
    let at = |phase, days: i64| Message {
        since: opened.since - chrono::TimeDelta::days(40),
        at: opened.at - chrono::TimeDelta::days(days),
        ..message("fires", phase)
    };
    // Opened so long ago that it would be over by now, were it not for the reminder.
    for (phase, days, firing) in [
        (Phase::Opened, 40, 0),
        (Phase::Reminder, 1, 1),
        (Phase::Grown, 1, 1),
        (Phase::Acknowledged, 35, 1),
        (Phase::Closed, 0, 0),
    ] {
        let sent = taken(channel.as_ref(), &at(phase, days), None).await;
        assert_eq!(sent.answer, "200");
        assert_eq!(alertmanager.firing().await.len(), firing, "{phase:?}");
    }

    taken(channel.as_ref(), &message("again", Phase::Opened), None).await;
    taken(channel.as_ref(), &message("told-once", Phase::Notice), None).await;
    taken(channel.as_ref(), &long("long"), None).await;
    let firing = alertmanager.firing().await;
    assert_eq!(firing.len(), 3);
    let expected = message("again", Phase::Opened);
    let alert = firing
        .iter()
        .find(|alert| alert["labels"]["alert"] == expected.alert.as_str())
        .unwrap();
    assert_eq!(alert["labels"]["alertname"], "test_failing");
    assert_eq!(alert["labels"]["severity"], "high");
    assert_eq!(alert["labels"]["source"], "prod");
    assert_eq!(alert["labels"]["test"], "aws-console-mfa");
    assert_eq!(alert["annotations"]["summary"], expected.title);
    assert_eq!(alert["annotations"]["description"], expected.text);
}
