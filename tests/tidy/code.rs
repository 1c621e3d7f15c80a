//! Just enough reading of Rust to see which modules a file names. It need not understand what no file of ours does.

use std::path::Path;

/// Whether a file is Rust.
pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Whether a file holds tests only.
pub(crate) fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The code that ships: without comments, and without the tests at its end (clippy sees to it that they are at the
/// end: `items_after_test_module`).
pub(crate) fn shipped(text: &str) -> String {
    let mut code = String::new();
    let mut cfg_test = false;
    for line in text.lines() {
        let line = match line.find("//") {
            Some(at) if line[..at].trim().is_empty() || line[..at].ends_with(' ') => &line[..at],
            _ => line,
        };
        let trimmed = line.trim();
        if cfg_test && trimmed.starts_with("mod ") && !trimmed.ends_with(';') {
            break;
        }
        cfg_test = trimmed == "#[cfg(test)]";
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// Every path of two segments or more that shipped code names, imports unfolded, `self` and `super` resolved.
pub(crate) fn paths(file: &str, text: &str) -> Vec<String> {
    let code = shipped(text);
    let module = module(file);
    let mut found: Vec<String> = imports(&code);
    let segment = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    found.extend(
        code.split(|c| !segment(c))
            .map(|word| word.trim_matches(':'))
            .filter(|word| word.contains("::"))
            .map(str::to_owned),
    );
    found.iter().map(|path| resolve(path, &module)).collect()
}

/// Whether a path is a module or something in it.
pub(crate) fn within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let word_begins = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        let is_tree = tree
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_whitespace() || "_:{},*".contains(c));
        if word_begins && is_tree {
            unfold("", tree, &mut found);
        }
    }
    found
}

/// `a::{b, c::{d}}` becomes `a::b` and `a::c::d`.
fn unfold(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let mut depth = 0;
    let branches = tree.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        let inner = branch.strip_suffix('}').and_then(|branch| branch.split_once('{'));
        if let Some((stem, inner)) = inner {
            unfold(&format!("{prefix}{}", stem.trim()), inner, found);
            continue;
        }
        let name = branch.split_whitespace().next().unwrap_or_default();
        let path = format!("{prefix}{name}");
        found.push(path.trim_end_matches("::self").trim_end_matches("::*").to_owned());
    }
}

/// `src/log/verify.rs` is `crate::log::verify`.
fn module(file: &str) -> String {
    let inner = file.split_once("src/").map_or(file, |(_, inner)| inner);
    let inner = inner.trim_end_matches(".rs").trim_end_matches("/mod");
    match inner {
        "lib" | "main" | "mod" => "crate".to_owned(),
        _ => format!("crate::{}", inner.replace('/', "::")),
    }
}

fn resolve(path: &str, module: &str) -> String {
    if let Some(rest) = path.strip_prefix("self::") {
        return format!("{module}::{rest}");
    }
    let (mut rest, mut parent) = (path, module);
    while let Some(shorter) = rest.strip_prefix("super::") {
        parent = parent.rsplit_once("::").map_or(parent, |(above, _)| above);
        rest = shorter;
    }
    if rest == path {
        path.to_owned()
    } else {
        format!("{parent}::{rest}")
    }
}

#[test]
fn imports_are_unfolded_and_resolved() {
    let text = "use std::{fmt, fs::{self, File}, io::*};\npub(crate) use super::{leaf::Leaf as L, super::clock};\n\
                // use std::net;\nfn because() { crate::log::tree::root(); }\n";
    assert_eq!(
        paths("src/log/verify.rs", text)
            .iter()
            .map(String::as_str)
            .filter(|path| path.matches("::").count() > 0)
            .take(6)
            .collect::<Vec<_>>(),
        [
            "std::fmt",
            "std::fs",
            "std::fs::File",
            "std::io",
            "crate::log::leaf::Leaf",
            "crate::clock"
        ]
    );
    assert!(paths("src/log/verify.rs", text).contains(&"crate::log::tree::root".to_owned()));
    assert!(!paths("src/log/verify.rs", text).contains(&"std::net".to_owned()));
}
