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

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::NamedTempFile;

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
        let python = installed();
        let complaints = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut server = run(&python, SERVE)
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
        let mut command = run(&self.python, script);
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

/// The Python that has moto: of a virtual environment below the target folder, which all tests and processes share.
///
/// Its name says all that it depends on, so that what is there under that name is right, and complete: it gets the name
/// last.
fn installed() -> PathBuf {
    let peers = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("peers");
    let name = format!("moto-{}-{}", version(), platform());
    let home = peers.join(&name);
    fs::create_dir_all(&peers).unwrap();
    let lock = File::create(peers.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    // A link to an interpreter, which may have been removed since.
    let python = home.join("bin/python");
    if !python.exists() {
        let unfinished = peers.join(format!("{name}.unfinished"));
        for left in [&home, &unfinished] {
            if left.exists() {
                fs::remove_dir_all(left).unwrap();
            }
        }
        install(&unfinished);
        fs::rename(&unfinished, &home).unwrap();
    }
    python
}

fn install(home: &Path) {
    let mut venv = Command::new("python3");
    succeeded(
        "python3 -m venv, a part of Python 3 which some systems package by itself (python3-venv),",
        venv.args(["-I", "-m", "venv"]).arg(home),
    );
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).unwrap();
    let mut pip = Command::new(home.join("bin/python"));
    pip.args(["-I", "-m", "pip", "install", "--quiet", "--no-input"])
        .args([
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--require-hashes",
        ])
        .arg("--requirement")
        .arg(requirements);
    succeeded(
        "pip, which needs a package index in reach to install moto,",
        &mut pip,
    );
}

/// Moto's version, and what else is installed with it, in short.
fn version() -> String {
    let version = REQUIREMENTS.lines().find_map(|line| line.strip_prefix("moto=="));
    let version = version.unwrap().trim_end_matches([' ', '\\']);
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
    format!("{version}-{:016x}", hasher.finish())
}

/// The Python that is here and the processor that its packages are for.
fn platform() -> String {
    const ASK: &str = "import platform, sys
if sys.version_info < (3, 11): sys.exit('it is Python ' + platform.python_version())
print(sys.implementation.cache_tag, platform.machine(), sep='-')";
    let output = succeeded("python3, as Python 3.11 or newer,", &mut run("python3", ASK));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// As the script says, whatever the account, proxy or settings of whoever runs the tests.
fn run(python: impl AsRef<OsStr>, script: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-c", script]).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("AWS_") || text.starts_with("MOTO_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

fn succeeded(what: &str, command: &mut Command) -> Output {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{what} is missing: {}: {error}", command.get_program().display()),
    };
    assert!(
        output.status.success(),
        "{what} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}
