//! How the tree looks: what lies at its top, how long files are and what they are called.

use super::code::is_rust;
use super::{Rule, Tree};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        says: "the top level is fixed",
        breaches: top_level,
        kept_by: &[
            ("CHANGELOG.md", ""),
            ("Cargo.lock", ""),
            ("Cargo.toml", ""),
            ("LICENSE", ""),
            ("README.md", ""),
            ("collectors/api/Cargo.toml", ""),
            ("config.example.toml", ""),
            ("src/main.rs", ""),
            ("tests/tidy.rs", ""),
            (".github/workflows/ci.yml", ""),
        ],
        broken_by: &[("justfile", ""), ("docs/index.md", ""), ("evidenced.toml", "")],
    },
    Rule {
        says: "a Rust file has at most 500 lines",
        breaches: too_long,
        kept_by: &[("src/round.rs", "//! x\n")],
        broken_by: &[("src/daemon.rs", LINES_501)],
    },
    Rule {
        says: "main.rs has fewer than 80 lines",
        breaches: long_main,
        kept_by: &[("src/main.rs", "//! x\n")],
        broken_by: &[("src/main.rs", LINES_501)],
    },
    Rule {
        says: "a file's name says what is in it",
        breaches: vague_names,
        kept_by: &[("src/schedule.rs", ""), ("deploy/common.yaml", "")],
        broken_by: &[
            ("src/utils.rs", ""),
            ("src/common/mod.rs", ""),
            ("collectors/aws/src/helpers.rs", ""),
        ],
    },
    Rule {
        says: "a Rust file begins with docs that give its purpose",
        breaches: undocumented,
        kept_by: &[
            ("src/round.rs", "//! One round.\n"),
            ("src/lib.rs", "#![doc = include_str!(\"ARCHITECTURE.md\")]\n"),
        ],
        broken_by: &[
            ("src/daemon.rs", "use std::fmt;\n//! Late.\n"),
            ("src/daemon.rs", "//!\n"),
            ("tests/store.rs", ""),
        ],
    },
    Rule {
        says: "no file speaks of one developer's machine",
        breaches: developer_paths,
        kept_by: &[
            (
                "tests/passwd",
                "ann:x:1000:1000::/home/ann:/bin/sh\nroot:x:0:0::/root:/bin/sh",
            ),
            (
                "README.md",
                "Put it in ~/work/x, https://example.org/home/page/ or target/work/x.",
            ),
        ],
        // The slashes are written so that this file keeps the rule.
        broken_by: &[
            ("README.md", "cd \x2fhome/ann/evidenced"),
            ("src/lib.rs", "include_str!(\"\x2fwork/evidenced/a\")"),
            (".ci/run", "\x2froot/.cargo/bin/cargo test"),
            ("a.toml", "path=\x2fUsers/ann/evidenced"),
        ],
    },
];

const LINES_501: &str = {
    const BYTES: [u8; 501] = [b'\n'; 501];
    match str::from_utf8(&BYTES) {
        Ok(lines) => lines,
        Err(_) => "",
    }
};

const TOP_LEVEL: [&str; 9] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "collectors",
    "config.example.toml",
    "src",
    "tests",
];

/// Absent until it has content.
const TOP_LEVEL_LATER: [&str; 1] = ["deploy"];

fn top_level(tree: &Tree) -> Vec<String> {
    let entry = |path: &'_ str| path.split('/').next().unwrap_or_default().to_owned();
    let entries: std::collections::BTreeSet<String> = tree.keys().map(|path| entry(path)).collect();
    let unexpected = entries
        .iter()
        .filter(|entry| !entry.starts_with('.'))
        .filter(|entry| !TOP_LEVEL.contains(&entry.as_str()) && !TOP_LEVEL_LATER.contains(&entry.as_str()))
        .map(|entry| format!("{entry}: has no place at the top"));
    let missing = TOP_LEVEL
        .iter()
        .filter(|entry| !entries.contains(**entry))
        .map(|entry| format!("{entry}: missing"));
    unexpected.chain(missing).collect()
}

/// Files that are longer than is good, without being too long.
pub(crate) fn long(tree: &Tree) -> Vec<String> {
    longer_than(400, tree)
}

fn too_long(tree: &Tree) -> Vec<String> {
    longer_than(500, tree)
}

fn longer_than(limit: usize, tree: &Tree) -> Vec<String> {
    tree.iter()
        .filter(|(path, _)| is_rust(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > limit)
        .map(|(path, lines)| format!("{path}: {lines} lines, over {limit}"))
        .collect()
}

fn long_main(tree: &Tree) -> Vec<String> {
    tree.get("src/main.rs")
        .map(|text| text.lines().count())
        .filter(|lines| *lines >= 80)
        .map(|lines| format!("src/main.rs: {lines} lines"))
        .into_iter()
        .collect()
}

fn vague_names(tree: &Tree) -> Vec<String> {
    const VAGUE: [&str; 9] = [
        "common", "helper", "helpers", "manager", "managers", "misc", "shared", "util", "utils",
    ];
    tree.keys()
        .filter(|path| is_rust(path))
        .filter(|path| {
            path.trim_end_matches(".rs")
                .split('/')
                .any(|part| VAGUE.contains(&part))
        })
        .map(|path| format!("{path}: says nothing about what is in it"))
        .collect()
}

fn undocumented(tree: &Tree) -> Vec<String> {
    tree.iter()
        .filter(|(path, _)| is_rust(path))
        .filter(|(_, text)| {
            let first = text.lines().next().unwrap_or_default();
            let docs = first
                .strip_prefix("//! ")
                .is_some_and(|docs| !docs.trim().is_empty());
            !docs && !first.starts_with("#![doc = include_str!(")
        })
        .map(|(path, _)| format!("{path}: does not begin with //! and its purpose"))
        .collect()
}

/// A folder at the root of a path, with something in it: a home folder by itself is a fact about a user.
fn developer_paths(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree {
        for (index, line) in text.lines().enumerate() {
            let begins_path = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && !"/~.-_}".contains(c))
            };
            let in_home = |at: usize, folder: &str| {
                let rest = &line[at + folder.len()..];
                let user = |c: char| c.is_alphanumeric() || "-_.".contains(c);
                !rest.starts_with(|c| !user(c)) && rest.trim_start_matches(user).starts_with('/')
            };
            let found = ["\x2froot/", "\x2fwork/"]
                .iter()
                .flat_map(|folder| line.match_indices(folder))
                .any(|(at, _)| begins_path(at))
                || ["/home/", "/Users/"]
                    .iter()
                    .flat_map(|folder| line.match_indices(folder))
                    .any(|(at, folder)| begins_path(at) && in_home(at, folder));
            if found {
                breaches.push(format!("{path}:{}: a path of one machine", index + 1));
            }
        }
    }
    breaches
}
