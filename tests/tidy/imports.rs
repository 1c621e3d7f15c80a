//! Who may import whom, print, or write to the log.

use super::code::{is_rust, is_test, paths, shipped, within};
use super::{Rule, Tree};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        says: "collectors/api depends on nothing of ours, a collector only on api",
        breaches: collector_dependencies,
        kept_by: &[
            ("collectors/api/Cargo.toml", "[dependencies]\nserde = \"1\""),
            (
                "collectors/aws/Cargo.toml",
                "[dependencies]\nserde.workspace = true\nevidenced-collector-api = { path = \"../api\" }",
            ),
        ],
        broken_by: &[
            (
                "collectors/api/Cargo.toml",
                "[dependencies]\nevidenced-collector-host.path = \"../host\"",
            ),
            (
                "collectors/aws/Cargo.toml",
                "[dev-dependencies]\nevidenced = { path = \"../..\" }",
            ),
            (
                "collectors/aws/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nours = { path = \"../x\" }",
            ),
            (
                "collectors/aws/Cargo.toml",
                "[dependencies]\napi = { package = \"evidenced-collector-host\", version = \"1\" }",
            ),
        ],
    },
    Rule {
        says: "only the registry names the vendors' crates",
        breaches: vendors,
        kept_by: &[
            ("src/registry.rs", "use evidenced_collector_host::Host;"),
            ("src/round.rs", "use evidenced_collector_api::{Collector, Run};"),
        ],
        broken_by: &[
            ("src/daemon.rs", "use evidenced_collector_host::Host;"),
            ("src/cli/check.rs", "fn f() { evidenced_collector_aws::new(); }"),
        ],
    },
    Rule {
        says: "control, drift and period do no I/O and read no clock",
        breaches: purity,
        kept_by: &[
            (
                "src/drift.rs",
                "// never std::fs\nuse std::fmt;\n#[cfg(test)]\nmod tests { use std::fs; }",
            ),
            ("src/control/tests.rs", "use std::fs;"),
            ("src/daemon.rs", "use std::fs;"),
        ],
        broken_by: &[
            ("src/control/mod.rs", "use std::{fmt, fs::File};"),
            ("src/control.rs", "fn f() { std::env::var(\"HOME\"); }"),
            ("src/drift.rs", "fn f() { crate::clock::now(); }"),
            ("src/period/sample.rs", "use rusqlite::Connection;"),
            ("src/period/sample.rs", "use super::super::clock;"),
        ],
    },
    Rule {
        says: "only log::append, and log::start which creates the store, write to the log",
        breaches: log_writers,
        kept_by: &[
            (
                "src/log/append/batch.rs",
                "const SQL: &str = \"INSERT INTO leaf VALUES (?)\";",
            ),
            ("src/log/store.rs", "const SQL: &str = \"SELECT hash FROM leaf\";"),
            (
                "src/log/tests.rs",
                "const TAMPER: &str = \"UPDATE leaf SET hash = ?\";",
            ),
        ],
        broken_by: &[
            ("src/cli/redact.rs", "const SQL: &str = \"DELETE FROM blob\";"),
            (
                "src/log/store.rs",
                "const SQL: &str = \"update  leaf\n set bytes = ?\";",
            ),
            (
                "src/daemon.rs",
                "const SQL: &str = \"INSERT OR IGNORE INTO leaf\";",
            ),
            ("src/log/schema.sql", "REPLACE INTO meta VALUES (1);"),
        ],
    },
    Rule {
        says: "log::verify imports only what could be lifted out with it",
        breaches: verifier_imports,
        kept_by: &[
            (
                "src/log/verify.rs",
                "mod report; use super::{leaf::Leaf, tree}; use crate::log::checkpoint;",
            ),
            (
                "src/log/verify/report.rs",
                "use super::Problem; use super::super::leaf::Leaf;",
            ),
        ],
        broken_by: &[
            ("src/log/verify.rs", "use super::{leaf::Leaf, append::Batch};"),
            ("src/log/verify.rs", "use super::store::Reader;"),
            ("src/log/verify/report.rs", "fn f(c: &crate::config::Config) {}"),
        ],
    },
    Rule {
        says: "only cli and main print or exit",
        breaches: printing,
        kept_by: &[
            (
                "src/cli/verify.rs",
                "fn f() { println!(\"x\"); std::process::exit(1); }",
            ),
            (
                "src/round.rs",
                "//! Never `println!`s.\n#[cfg(test)]\nmod tests { fn f() { println!(\"x\"); } }",
            ),
        ],
        broken_by: &[
            ("src/daemon.rs", "fn f() { eprintln!(\"x\"); }"),
            (
                "collectors/aws/src/lib.rs",
                "use std::process; fn f() { process::exit(1); }",
            ),
            ("src/daemon.rs", "use std::process::exit as leave;"),
        ],
    },
];

const PURE: [&str; 3] = ["src/control", "src/drift", "src/period"];

const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::time::SystemTime",
    "rusqlite",
    "tokio",
    "rustix",
    "crate::clock",
];

/// Writes to a file of its own, which is no log.
const CACHE: &str = "src/round/kept.rs";

const LOG_WRITERS: [&str; 3] = [
    "src/log/append/batch.rs",
    "src/log/append/change.rs",
    "src/log/start/create.rs",
];

const VERIFIER: &str = "src/log/verify";

const VERIFIER_NEEDS: [&str; 4] = [
    "crate::log::verify",
    "crate::log::leaf",
    "crate::log::tree",
    "crate::log::checkpoint",
];

fn collector_dependencies(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree {
        let folder = path
            .strip_prefix("collectors/")
            .and_then(|path| path.strip_suffix("/Cargo.toml"));
        let Some(folder) = folder else { continue };
        let manifest: toml::Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                breaches.push(format!("{path}: {}", error.message()));
                continue;
            }
        };
        for (name, dependency) in dependencies(&manifest) {
            let package = dependency
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(name);
            let ours = package.starts_with("evidenced") || dependency.get("path").is_some();
            let allowed = folder != "api" && package == "evidenced-collector-api";
            if ours && !allowed {
                breaches.push(format!("{path}: depends on {package}"));
            }
        }
    }
    breaches
}

/// Dependencies of every sort, also those of one target only.
fn dependencies(manifest: &toml::Table) -> Vec<(&str, &toml::Value)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    targets
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(toml::Value::as_table)
        .chain([manifest])
        .flat_map(toml::Table::iter)
        .filter(|(sort, _)| sort.ends_with("dependencies"))
        .filter_map(|(_, entries)| entries.as_table())
        .flat_map(toml::Table::iter)
        .map(|(name, dependency)| (name.as_str(), dependency))
        .collect()
}

fn vendors(tree: &Tree) -> Vec<String> {
    named(tree, |file| file.starts_with("src/") && file != "src/registry.rs")
        .filter(|(_, path)| path.starts_with("evidenced_collector_"))
        .filter(|(_, path)| !within(path, "evidenced_collector_api"))
        .map(|(file, path)| format!("{file}: names {path}"))
        .collect()
}

fn purity(tree: &Tree) -> Vec<String> {
    named(tree, |file| PURE.iter().any(|pure| is_module(file, pure)))
        .filter(|(_, path)| IMPURE.iter().any(|impure| within(path, impure)))
        .map(|(file, path)| format!("{file}: names {path}"))
        .collect()
}

fn verifier_imports(tree: &Tree) -> Vec<String> {
    named(tree, |file| is_module(file, VERIFIER))
        .filter(|(_, path)| within(path, "crate"))
        .filter(|(_, path)| !VERIFIER_NEEDS.iter().any(|needed| within(path, needed)))
        .map(|(file, path)| format!("{file}: names {path}"))
        .collect()
}

fn log_writers(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    let files = tree.iter().filter(|(file, _)| {
        file.starts_with("src/")
            && !is_test(file)
            && !LOG_WRITERS.contains(&file.as_str())
            && file.as_str() != CACHE
    });
    for (file, text) in files {
        let sql = shipped(text).to_lowercase();
        let words: Vec<&str> = sql
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let writes = words.windows(3).any(|three| {
            matches!(
                three,
                ["insert" | "replace", "into" | "or", _]
                    | ["delete", "from", _]
                    | ["update", _, "set"]
                    | ["drop" | "alter", "table", _]
            )
        });
        if writes {
            breaches.push(format!("{file}: holds SQL that writes"));
        }
    }
    breaches
}

fn printing(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (file, text) in tree {
        let library = (file.starts_with("src/") || file.starts_with("collectors/"))
            && is_rust(file)
            && !is_test(file)
            && !is_module(file, "src/cli")
            && file != "src/main.rs";
        if !library {
            continue;
        }
        let code = shipped(text);
        if code.contains("println!") || code.contains("print!") {
            breaches.push(format!("{file}: prints"));
        }
        if paths(file, text)
            .iter()
            .any(|path| path.ends_with("process::exit"))
        {
            breaches.push(format!("{file}: exits"));
        }
    }
    breaches
}

/// Each path that the shipped code of some files names, with the file.
fn named<'t>(
    tree: &'t Tree,
    concerns: impl Fn(&str) -> bool + 't,
) -> impl Iterator<Item = (&'t str, String)> {
    tree.iter()
        .filter(move |(file, _)| is_rust(file) && !is_test(file) && concerns(file))
        .flat_map(|(file, text)| {
            paths(file, text)
                .into_iter()
                .map(move |path| (file.as_str(), path))
        })
}

/// Whether a file is a module (`src/drift.rs`) or lies in it (`src/drift/rename.rs`).
fn is_module(file: &str, module: &str) -> bool {
    file.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}
