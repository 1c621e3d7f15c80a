//! House rules, run as an ordinary test over the committed files.
//!
//! A rule stands together with files that keep it and files that break it, so that none can rot into one that never
//! fails. `tests/tidy/imports.rs` keeps the layers apart, `tests/tidy/files.rs` the tree in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/imports.rs"]
mod imports;

/// Files by path from the top. Those that are no text are there with an empty one.
type Tree = BTreeMap<String, String>;

/// Files of an example: path and text.
type Files = &'static [(&'static str, &'static str)];

/// What holds for the whole tree.
struct Rule {
    says: &'static str,
    breaches: fn(&Tree) -> Vec<String>,
    /// Files that keep it.
    kept_by: Files,
    /// Files that break it, each by itself, when added to those that keep it.
    broken_by: Files,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    imports::RULES.iter().chain(files::RULES)
}

#[test]
fn the_tree_keeps_every_rule() {
    let tree = committed();
    for note in files::long(&tree) {
        eprintln!("note: {note}");
    }
    let breaches: Vec<String> = rules()
        .flat_map(|rule| {
            (rule.breaches)(&tree)
                .into_iter()
                .map(|breach| format!("{breach}\n    rule: {}", rule.says))
        })
        .collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn every_rule_lets_pass_what_keeps_it_and_fails_for_each_thing_that_breaks_it() {
    for rule in rules() {
        let tree = |files: &[(&str, &str)]| -> Tree {
            let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
            rule.kept_by.iter().chain(files).map(own).collect()
        };
        let breaches = (rule.breaches)(&tree(&[]));
        assert!(breaches.is_empty(), "{}: {breaches:?}", rule.says);
        assert!(!rule.broken_by.is_empty(), "{}: nothing breaks it", rule.says);
        for broken in rule.broken_by {
            let breaches = (rule.breaches)(&tree(&[*broken]));
            assert!(!breaches.is_empty(), "{}: not broken by {broken:?}", rule.says);
        }
    }
}

/// The files that git knows, or outside a checkout those that lie there.
fn committed() -> Tree {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .arg("-C")
        .arg(top)
        .args(["ls-files", "-z"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let mut paths: Vec<String> = listed
        .split_terminator('\0')
        .map(str::to_owned)
        .filter(|path| top.join(path).is_file())
        .collect();
    // An unpacked archive may lie in somebody else's checkout, which lists nothing of it.
    if paths.is_empty() {
        walk(top, "", &mut paths);
    }
    let text = |path: &str| {
        fs::read(top.join(path))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let tree: Tree = paths
        .into_iter()
        .map(|path| {
            let text = text(&path).unwrap_or_default();
            (path, text)
        })
        .collect();
    assert!(
        tree.contains_key("Cargo.toml"),
        "no tree to look at in {}",
        top.display()
    );
    tree
}

fn walk(top: &Path, folder: &str, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(top.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !matches!(name.as_str(), ".git" | "target") => {
                walk(top, &path, paths);
            }
            // A link to a file is one, as for git.
            Ok(_) if entry.path().is_file() => paths.push(path),
            _ => {}
        }
    }
}

#[test]
fn outside_a_checkout_the_same_files_are_found() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut walked = Vec::new();
    walk(top, "", &mut walked);
    for path in committed().keys() {
        assert!(walked.contains(path), "{path}");
    }
}
