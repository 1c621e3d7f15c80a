//! systemd's units as `systemd-analyze` judges them: no word that it does not know, and as little exposed as can be.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::tools::{in_path, not_tried};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd");
const README: &str = include_str!("../../deploy/systemd/README.md");
const DAEMON: &str = include_str!("../../deploy/systemd/evidenced.service");
const HOST: &str = include_str!("../../deploy/systemd/evidenced-host.service");

/// The units, naming the program that was just compiled in place of the installed one.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|it| it == "service" || it == "timer")
        {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("/usr/bin/evidenced", env!("CARGO_BIN_EXE_evidenced"));
            fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
        }
    }
    folder
}

fn analyze(folder: &Path, arguments: &[&str]) -> Option<Output> {
    if in_path("systemd-analyze").is_none() {
        not_tried(
            "the units",
            "there is no systemd-analyze",
            "EVIDENCED_REQUIRE_SYSTEMD",
        );
        return None;
    }
    let mut command = Command::new("systemd-analyze");
    Some(command.args(arguments).current_dir(folder).output().unwrap())
}

#[test]
fn systemd_knows_every_word_of_the_units() {
    let units = units();
    let names = [
        "./evidenced.service",
        "./evidenced-host.service",
        "./evidenced-host.timer",
    ];
    let arguments = [&["verify", "--man=no", "--recursive-errors=no"], &names[..]].concat();
    let Some(output) = analyze(units.path(), &arguments) else {
        return;
    };
    // An unknown word is a warning only.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn the_units_are_exposed_no_more_than_they_need() {
    let units = units();
    for (name, threshold) in [("./evidenced.service", 15), ("./evidenced-host.service", 30)] {
        let threshold = format!("--threshold={threshold}");
        let Some(output) = analyze(units.path(), &["security", "--offline=true", &threshold, name]) else {
            return;
        };
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// The values of a key of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

#[test]
fn exit_codes_mean_in_the_units_what_they_mean_to_people() {
    assert_eq!(values(DAEMON, "RestartPreventExitStatus"), ["2 4"]);
    assert_eq!(values(DAEMON, "Restart"), ["on-failure"]);
    assert!(values(DAEMON, "SuccessExitStatus").is_empty());
    assert_eq!(values(HOST, "SuccessExitStatus"), ["1 3"]);
}

#[test]
fn both_units_write_to_one_store() {
    assert_eq!(values(DAEMON, "StateDirectory"), ["evidenced"]);
    assert_eq!(values(DAEMON, "StateDirectoryMode"), ["0700"]);
    // A unit without a dynamic user that names the folder would have systemd take it from the dynamic user.
    assert!(values(HOST, "StateDirectory").is_empty());
    let store = "/var/lib/private/evidenced";
    assert_eq!(values(HOST, "ReadWritePaths")[0], store);
    assert!(values(HOST, "ExecStart")[0].contains(&format!("--store {store} ")));
    assert_eq!(values(HOST, "AssertPathExists"), [format!("{store}/evidence.db")]);
}

#[test]
fn the_readme_names_every_file_of_its_folder() {
    for entry in fs::read_dir(FOLDER).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(README.contains(&name) || name == "README.md", "{name}");
    }
}
