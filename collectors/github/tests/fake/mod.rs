//! Peers that answer as GitHub does: a stateful fake of our own, and emulate; both installed on first use.
//!
//! `README.md` beside this tells what is in the fake, how a test changes it, what it holds to be true, and where emulate
//! differs. Both run on the Node that is installed with them; `npm` must be there already.

#![allow(dead_code, reason = "each test crate that includes this uses a part of it")]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::NamedTempFile;

const PACKAGES: &str = include_str!("package.json");
const LOCK: &str = include_str!("package-lock.json");

/// The fake is up in a second, prism in ten, unless the machine is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// A fake GitHub of one test's own, without accounts until a scenario is chosen.
///
/// It ends when this is dropped and when this process ends.
pub(crate) struct Fake {
    server: Peer,
    prism: Option<Peer>,
}

impl Fake {
    /// Installs it if need be, which takes about a minute, and starts one.
    ///
    /// # Panics
    ///
    /// Names what is missing.
    pub(crate) fn start() -> Self {
        let server = Peer::start("server.mjs", &[], "");
        Self { server, prism: None }
    }

    /// The same, where each REST call and answer is compared with GitHub's `OpenAPI` description.
    pub(crate) fn behind_prism() -> Self {
        let server = Peer::start("server.mjs", &[], "");
        let prism = Peer::start("prism.mjs", &[&server.url()], "");
        let settings = serde_json::json!({"public_url": prism.url()});
        let fake = Self {
            server,
            prism: Some(prism),
        };
        fake.control("/_fake/settings", &settings);
        fake
    }

    /// Where it answers as `https://api.github.com` does; as an Enterprise Server does below `/api/v3`, which prism
    /// does not look at.
    pub(crate) fn url(&self) -> String {
        self.prism.as_ref().unwrap_or(&self.server).url()
    }

    /// Posts to the control API, `path` from `/_fake/` on, or asks it where `body` is null.
    ///
    /// # Panics
    ///
    /// With the fake's complaint, if it refuses.
    pub(crate) fn control(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let method = if body.is_null() { "GET" } else { "POST" };
        self.server.call(method, path, body)
    }

    /// From now on it answers rightly.
    pub(crate) fn heal(&self) {
        self.server
            .call("DELETE", "/_fake/faults", &serde_json::Value::Null);
    }

    /// What prism found so far where a call or an answer was not as the description has it.
    ///
    /// # Panics
    ///
    /// Without prism before it.
    pub(crate) fn violations(&self) -> Vec<serde_json::Value> {
        let prism = self.prism.as_ref().unwrap();
        let found = prism.call("GET", "/_fake/violations", &serde_json::Value::Null);
        serde_json::from_value(found).unwrap()
    }

    /// Calls every route in many states as every token, through prism, and gives each breach of the description: some
    /// minutes.
    ///
    /// # Panics
    ///
    /// Where the script fails otherwise.
    pub(crate) fn check() -> Vec<serde_json::Value> {
        let mut command = script("check.mjs");
        let output = succeeded("check.mjs", command.stdin(Stdio::null()));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What the fake wrote where it failed itself: the trace of each exception, whose call got status 599.
    pub(crate) fn complaints(&self) -> String {
        self.server.complaints()
    }
}

/// Another's emulator of GitHub, with writes and Apps, without GraphQL, rulesets or `ETags`.
pub(crate) struct Emulate {
    server: Peer,
}

impl Emulate {
    /// Starts one filled with a seed, in emulate's own form.
    pub(crate) fn start(seed: &serde_json::Value) -> Self {
        let server = Peer::start("emulate.mjs", &[], &seed.to_string());
        Self { server }
    }

    /// The same program's Slack instead.
    pub(crate) fn slack(seed: &serde_json::Value) -> Self {
        let server = Peer::start("emulate.mjs", &["slack"], &seed.to_string());
        Self { server }
    }

    /// Where it answers as `https://api.github.com` does.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The private key of an App which the seed had without one.
    pub(crate) fn key(&self, app: u64) -> Option<String> {
        let made: Vec<serde_json::Value> = serde_json::from_str(&self.server.said).unwrap();
        let app = app.to_string();
        let found = made.into_iter().find(|each| each["id"] == app)?;
        Some(found["value"].as_str()?.to_owned())
    }
}

/// GitHub's recorded answers, one folder a scenario: `@octokit/fixtures`.
pub(crate) fn fixtures() -> PathBuf {
    installed().join("node_modules/@octokit/fixtures/scenarios/api.github.com")
}

/// GitHub's GraphQL schema, in its definition language.
pub(crate) fn schema() -> PathBuf {
    installed().join("node_modules/@octokit/graphql-schema/schema.graphql")
}

/// A script that listens, says its port, and ends with its standard input.
struct Peer {
    process: Child,
    port: u16,
    /// What it said after its port.
    said: String,
    complaints: NamedTempFile,
}

impl Peer {
    fn start(name: &str, arguments: &[&str], input: &str) -> Self {
        let complaints = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut process = script(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.reopen().unwrap())
            .spawn()
            .unwrap();
        if !input.is_empty() {
            // Held open: its end ends the peer.
            writeln!(process.stdin.as_mut().unwrap(), "{input}").unwrap();
        }
        // It says its port when it listens, and no earlier.
        let (sender, said) = mpsc::channel();
        let output = process.stdout.take().unwrap();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(output).read_line(&mut line);
            sender.send(read.map(|_| line)).ok();
        });
        let line = said.recv_timeout(PATIENCE).ok().and_then(Result::ok);
        let line = line.unwrap_or_default();
        let (port, said) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let Ok(port) = port.parse() else {
            process.kill().ok();
            process.wait().ok();
            let complaints = fs::read_to_string(&complaints).unwrap();
            panic!("{name} did not start within {PATIENCE:?}: {complaints}");
        };
        Self {
            process,
            port,
            said: said.to_owned(),
            complaints,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn complaints(&self) -> String {
        fs::read_to_string(&self.complaints).unwrap()
    }

    /// One call over a connection of its own, which the answer's end closes.
    fn call(&self, method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200 "),
            "{method} {path} was refused: {body}\n{}",
            self.complaints()
        );
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A script of this folder, run by the installed Node, whatever the proxies or settings of whoever runs the tests.
fn script(name: &str) -> Command {
    let home = installed();
    let mut command = Command::new(node(&home));
    command.arg(scripts(&home).join(name));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("NODE_") || text.starts_with("GITHUB_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// The Node that was installed with the packages, or on other systems the one in reach.
fn node(home: &Path) -> PathBuf {
    let processors = ["x64", "arm64"];
    let mut own = processors
        .map(|it| home.join(format!("node_modules/node-linux-{it}/bin/node")))
        .into_iter();
    own.find(|each| each.exists()).unwrap_or_else(|| "node".into())
}

/// The folder below the target folder that has the packages, which all tests and processes share.
///
/// Its name says all that it depends on, so that what is there under that name is right, and complete: it gets the name
/// last.
fn installed() -> PathBuf {
    let peers = peers();
    let name = format!(
        "github-{:016x}-{}",
        digest(&[PACKAGES, LOCK]),
        std::env::consts::ARCH
    );
    let home = peers.join(&name);
    fs::create_dir_all(&peers).unwrap();
    let lock = File::create(peers.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !home.exists() {
        let unfinished = peers.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).unwrap();
        }
        install(&unfinished);
        fs::rename(&unfinished, &home).unwrap();
    }
    home
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("peers")
}

fn install(home: &Path) {
    fs::create_dir_all(home).unwrap();
    fs::write(home.join("package.json"), PACKAGES).unwrap();
    fs::write(home.join("package-lock.json"), LOCK).unwrap();
    let mut npm = Command::new("npm");
    // No package needs its scripts, and one of them would report to its maker.
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ])
    .current_dir(home)
    .stdin(Stdio::null());
    succeeded(
        "npm, which needs a package registry in reach to install the fake of GitHub,",
        &mut npm,
    );
    // The descriptions of other servers, 300 MB.
    let descriptions = home.join("node_modules/@octokit/openapi/generated");
    for entry in fs::read_dir(descriptions).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name() != Some(OsStr::new("api.github.com.json")) {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The scripts of this folder as they are now, beside the packages: Node looks for packages from where a script is.
fn scripts(home: &Path) -> PathBuf {
    let folder = sources();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension() == Some(OsStr::new("mjs")))
        .collect();
    names.sort();
    let texts: Vec<_> = names
        .iter()
        .map(|name| fs::read_to_string(folder.join(name)).unwrap())
        .collect();
    let name = format!("scripts-{:016x}", digest(&texts));
    let copied = home.join(&name);
    let lock = File::create(home.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !copied.exists() {
        let unfinished = home.join(format!("{name}.unfinished"));
        fs::create_dir_all(&unfinished).unwrap();
        for (name, text) in names.iter().zip(&texts) {
            fs::write(unfinished.join(name), text).unwrap();
        }
        fs::rename(&unfinished, &copied).unwrap();
    }
    copied
}

/// This folder, from whichever crate of the workspace includes this file.
fn sources() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find_map(|each| {
            let folder = each.join("collectors/github/tests/fake");
            folder.join("server.mjs").exists().then_some(folder)
        })
        .unwrap()
}

fn digest<T: Hash>(texts: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
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
