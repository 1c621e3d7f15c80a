//! Programs of the distribution that judge or run what is in `deploy/`, unpacked below the target folder on first use:
//! nothing is installed on the machine, and no rights are needed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The folder that holds packages as they would be unpacked into `/`, and those that they need and this machine lacks.
///
/// Their versions are what the distribution has: it keeps no older ones, and signs them.
///
/// # Errors
///
/// Why they can't be had here.
pub(crate) fn unpacked(packages: &[&str]) -> Result<PathBuf, String> {
    let peers = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("peers");
    let name = format!("{}-{}-{}", packages.join("-"), release(), std::env::consts::ARCH);
    let home = peers.join(&name);
    fs::create_dir_all(&peers).unwrap();
    let lock = File::create(peers.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !home.exists() {
        let unfinished = peers.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).unwrap();
        }
        let downloads = unfinished.join("downloads");
        download(packages, &downloads)?;
        for package in packages_in(&downloads) {
            let root = unfinished.join("root");
            output(Command::new("dpkg-deb").arg("-x").arg(package).arg(root))?;
        }
        fs::remove_dir_all(downloads).unwrap();
        fs::rename(unfinished.join("root"), &home).unwrap();
        fs::remove_dir_all(unfinished).unwrap();
    }
    Ok(home)
}

/// By the package lists that are here, or by newer ones where there are none or they name what is gone.
fn download(packages: &[&str], to: &Path) -> Result<(), String> {
    for folder in ["cache/archives/partial", "lists/partial"] {
        fs::create_dir_all(to.join(folder)).unwrap();
    }
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(arguments)
            .args(["--quiet", "--yes", "--no-install-recommends", "--download-only"])
            .args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="])
            .arg("-o")
            .arg(format!("Dir::Cache={}", to.join("cache").display()));
        apt
    };
    let install: Vec<_> = ["install"].iter().chain(packages).copied().collect();
    if output(&mut apt(&install)).is_ok() {
        return Ok(());
    }
    let lists = format!("Dir::State::Lists={}", to.join("lists").display());
    output(apt(&["update"]).args(["-o", &lists]))?;
    output(apt(&install).args(["-o", &lists]))?;
    Ok(())
}

fn packages_in(downloads: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(downloads.join("cache/archives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

/// The distribution and its version, in short.
fn release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key));
        found.unwrap_or("unknown").trim_matches('"').to_owned()
    };
    format!("{}-{}", value("ID="), value("VERSION_ID="))
}

/// What a command says, if it ends well.
///
/// # Errors
///
/// That it is missing, or what it said when it failed.
pub(crate) fn output(command: &mut Command) -> Result<Output, String> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} is missing: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!(
        "{program} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ))
}

/// Says that something was not tried, and why; or fails, where `variable` says that it must be.
pub(crate) fn not_tried(what: &str, why: &str, variable: &str) {
    let required = std::env::var_os(variable).is_some_and(|it| it == "1");
    assert!(!required, "{variable}=1, and {what} could not be tried: {why}");
    // Not by `eprintln!`, which is shown for tests that fail only.
    let said = format!("NOT TRIED: {what}: {why}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// A program in reach.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
