//! Programs written in Python, each installed on first use into a virtual environment below the target folder.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The Python that has a package, of which `requirements` names the version, and all that comes with it by its hash: of
/// a virtual environment that all tests and processes share.
///
/// The environment's name says all that it depends on, so that what is there under that name is right, and complete: it
/// gets the name last.
///
/// # Panics
///
/// Names what is missing.
pub(crate) fn installed(package: &str, requirements: &str) -> PathBuf {
    let peers = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("peers");
    let name = format!("{package}-{}-{}", version(package, requirements), platform());
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
        install(package, requirements, &unfinished);
        fs::rename(&unfinished, &home).unwrap();
    }
    python
}

fn install(package: &str, requirements: &str, home: &Path) {
    let mut venv = Command::new("python3");
    succeeded(
        "python3 -m venv, a part of Python 3 which some systems package by itself (python3-venv),",
        venv.args(["-I", "-m", "venv"]).arg(home),
    );
    let file = home.join("requirements.txt");
    fs::write(&file, requirements).unwrap();
    let mut pip = Command::new(home.join("bin/python"));
    pip.args(["-I", "-m", "pip", "install", "--quiet", "--no-input"])
        .args([
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--require-hashes",
        ])
        .arg("--requirement")
        .arg(file);
    succeeded(
        &format!("pip, which needs a package index in reach to install {package},"),
        &mut pip,
    );
}

/// A package's version, and what else is installed with it, in short.
fn version(package: &str, requirements: &str) -> String {
    let pinned = requirements
        .lines()
        .find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    let version = pinned.unwrap().trim_end_matches([' ', '\\']);
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
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
pub(crate) fn run(python: impl AsRef<OsStr>, script: &str) -> Command {
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
