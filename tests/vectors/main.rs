//! Good and broken logs, as files that other implementations can be tested with too: `README.md` beside this says how.
//!
//! The files are made by `generate`, always the same; a change of the format shows as a difference from what is
//! committed. With `EVIDENCED_BLESS` in the environment they are written instead.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod generate;
mod judge;

use generate::Files;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The files in a folder and below, by their path from `root`.
fn read(root: &Path, folder: &Path, files: &mut Files) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn committed() -> Files {
    let (root, mut files) = (folder(), Files::new());
    for part in ["good", "broken"] {
        read(&root, &root.join(part), &mut files);
    }
    files
}

/// The names of the folders with a log in each.
fn cases() -> Vec<String> {
    let broken = std::fs::read_dir(folder().join("broken")).unwrap();
    let broken = broken.map(|entry| format!("broken/{}", entry.unwrap().file_name().to_str().unwrap()));
    std::iter::once("good".to_owned()).chain(broken).collect()
}

#[test]
fn the_committed_files_are_what_this_version_writes() {
    let made = generate::all();
    if std::env::var_os("EVIDENCED_BLESS").is_some() {
        for part in ["good", "broken"] {
            let old = folder().join(part);
            assert!(!old.exists() || std::fs::remove_dir_all(&old).is_ok());
        }
        for (name, bytes) in &made {
            let path = folder().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let committed = committed();
    let (made_names, names): (Vec<_>, Vec<_>) = (made.keys().collect(), committed.keys().collect());
    assert_eq!(made_names, names);
    for (name, bytes) in &made {
        assert!(
            committed[name] == *bytes,
            "{name} differs: the format has changed"
        );
    }
}

#[test]
fn our_own_verifier_judges_every_log_as_expected() {
    for case in cases() {
        let files = judge::Case::read(&folder(), &case);
        assert_eq!(files.judge(), files.expected(), "{case}");
    }
}

#[test]
fn the_checker_in_python_judges_every_log_as_expected() {
    let output = Command::new("python3").arg(folder().join("check.py")).output();
    let output = output.expect("python3 is needed to run tests/vectors/check.py");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for case in cases() {
        assert!(
            said.lines().any(|line| line == format!("{case}: as expected")),
            "{case}: {said}"
        );
    }
}

#[test]
fn every_kind_of_leaf_of_this_version_stands_in_the_good_log() {
    let leaves = &committed()["good/leaves.jsonl"];
    let kinds: Vec<String> = leaves
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| evidenced::log::leaf::decode(line).unwrap().kind)
        .collect();
    for kind in [
        "key",
        "recovery",
        "plan",
        "scope",
        "snapshot",
        "failure",
        "evaluation",
        "later",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}");
    }
}
