//! A peer that answers as AWS does: moto, installed on first use.
//!
//! `seed.py` fills it; what is in it then, by account, is what [`Moto::seed`] gives. Where moto differs from AWS, tests
//! need answers from elsewhere: among others its credential report has no row for root, it checks neither signatures
//! nor who may do what, and pages are missing or broken.

#![allow(dead_code, reason = "each test crate that includes this uses a part of it")]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::NamedTempFile;

pub(crate) mod python;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const SERVE: &str = include_str!("serve.py");
const SEED: &str = include_str!("seed.py");

/// Up in a second, unless the machine is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server of one test's own, empty at first, which ends when this is dropped and when this process ends.
pub(crate) struct Moto {
    server: Child,
    python: PathBuf,
    port: u16,
    complaints: NamedTempFile,
}

impl Moto {
    /// Installs it if need be, which takes about a minute, and starts one.
    ///
    /// # Panics
    ///
    /// Names what is missing.
    pub(crate) fn start() -> Self {
        let python = python::installed("moto", REQUIREMENTS);
        let complaints = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut server = python::run(&python, SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.reopen().unwrap())
            .spawn()
            .unwrap();
        // It says its port when it listens, and no earlier.
        let (sender, said) = mpsc::channel();
        let output = server.stdout.take().unwrap();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(output).read_line(&mut line);
            sender.send(read.map(|_| line)).ok();
        });
        let said = said.recv_timeout(PATIENCE);
        let port = said
            .ok()
            .and_then(Result::ok)
            .and_then(|line| line.trim().parse().ok());
        let Some(port) = port else {
            server.kill().ok();
            server.wait().ok();
            let complaints = fs::read_to_string(&complaints).unwrap();
            panic!("moto did not start within {PATIENCE:?}: {complaints}");
        };
        Self {
            server,
            python,
            port,
            complaints,
        }
    }

    /// Where all services answer: the SDKs' `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The environment in which an SDK, or a program with one, sees this server and acts in the management account.
    ///
    /// The proxy is for `s3control`, which puts the account's number before the host's name: what no resolver knows,
    /// moto answers as a proxy. A client that reads no proxy from the environment needs it, or a resolver, otherwise.
    pub(crate) fn environment(&self) -> [(&'static str, String); 11] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("HTTP_PROXY", self.url()),
            ("http_proxy", self.url()),
            ("NO_PROXY", String::new()),
            ("no_proxy", String::new()),
        ]
    }

    /// Fills an empty server: an organisation of five accounts, 50 users and 50 buckets in the management account.
    /// What is in it: `{organization, management, accounts: {NUMBER: {name, email, state, role, users,
    /// password_policy, account_public_access, buckets}}}`; `seed.py` shows the rest.
    pub(crate) fn seed(&self) -> serde_json::Value {
        self.python(SEED)
    }

    /// Runs a script with boto3 in reach, as the management account, and gives the JSON that it prints, or null.
    ///
    /// # Panics
    ///
    /// With the script's complaints, and the server's, if it fails.
    pub(crate) fn python(&self, script: &str) -> serde_json::Value {
        let mut command = python::run(&self.python, script);
        let output = command.envs(self.environment()).output().unwrap();
        assert!(
            output.status.success(),
            "a script failed: {}\n{}moto says: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.complaints(),
        );
        if output.stdout.is_empty() {
            return serde_json::Value::Null;
        }
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Holds up every answer from now on.
    pub(crate) fn delay(&self, each: Duration) {
        self.tell(&format!("delay?ms={}", each.as_millis()));
    }

    /// From now on the credential report is one of now, and begins with the root user, as AWS's does.
    pub(crate) fn whole_reports(&self) {
        self.tell("report");
    }

    /// How many calls there were since this was last asked, by service and operation.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        serde_json::from_str(&self.tell("calls")).unwrap()
    }

    /// Asks the server itself.
    fn tell(&self, what: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET /peer/{what} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{what}: {answer}");
        body.to_owned()
    }

    /// What the server wrote where it failed: the trace of an exception for each call that it answered with 500.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(&self.complaints).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
