//! What sshd's configuration sets for some connections only: the settings under `Match`, in included files too.

use std::collections::VecDeque;

use crate::inspection::Inspection;

const DEPTH: usize = 16;

/// The Match blocks of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MatchBlocks {
    /// How many there are; `Match all` is none, since it holds for every connection.
    pub(crate) count: usize,
    /// Settings under them: keyword in lowercase, and value.
    pub(crate) settings: Vec<(String, String)>,
}

/// Reads the configuration at `path` with what it includes, noting the calls.
pub(crate) fn read(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
    path: &str,
) -> Result<MatchBlocks, String> {
    let mut found = MatchBlocks::default();
    file(inspection, calls, path, false, DEPTH, &mut found)?;
    Ok(found)
}

fn file(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
    path: &str,
    within: bool,
    depth: usize,
    found: &mut MatchBlocks,
) -> Result<(), String> {
    if depth == 0 {
        return Err(format!("{path}: included over {DEPTH} levels deep"));
    }
    let text = inspection.read(path);
    calls.push(text.call);
    // A block ends with its file; an included file begins in the block that includes it.
    let mut conditional = within;
    for line in text.known()?.lines() {
        let mut words = words(line);
        let Some(keyword) = words.pop_front().map(|word| word.to_ascii_lowercase()) else {
            continue;
        };
        match keyword.as_str() {
            "match" => {
                conditional = !(words.len() == 1 && words[0].eq_ignore_ascii_case("all"));
                found.count += usize::from(conditional);
            }
            "include" => {
                for pattern in &words {
                    for path in expanded(inspection, calls, pattern)? {
                        file(inspection, calls, &path, conditional, depth - 1, found)?;
                    }
                }
            }
            _ if conditional => found.settings.push((keyword, words.make_contiguous().join(" "))),
            _ => {}
        }
    }
    Ok(())
}

/// A keyword, blanks or `=`, then arguments, in double quotes where they hold blanks; `#` begins a comment.
fn words(line: &str) -> VecDeque<String> {
    let mut words = VecDeque::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.trim().chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            '=' if !quoted && words.is_empty() => words.extend(word.take()),
            '=' if !quoted && words.len() == 1 && word.is_none() => {}
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The files that an Include names: a pattern in the last part of the path only.
fn expanded(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
    pattern: &str,
) -> Result<Vec<String>, String> {
    let full = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/ssh/{pattern}")
    };
    let (folder, name) = full.rsplit_once('/').unwrap_or(("", &full));
    let is_pattern = |text: &str| text.contains(['*', '?', '[', '{', '\\']);
    if is_pattern(folder) || name.contains(['[', '{', '\\']) {
        return Err(format!("Include {pattern}: this kind of pattern is not followed"));
    }
    let names = inspection.list(folder);
    calls.push(names.call);
    if names.is_absent() {
        return Ok(Vec::new());
    }
    Ok(names
        .known()?
        .iter()
        .filter(|candidate| matches(name.as_bytes(), candidate.as_bytes()))
        .filter(|candidate| !candidate.starts_with('.') || name.starts_with('.'))
        .map(|candidate| format!("{folder}/{candidate}"))
        .collect())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        Some((&first, rest)) => name
            .split_first()
            .is_some_and(|(&next, after)| (first == b'?' || first == next) && matches(rest, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_sshd_splits_them() {
        assert_eq!(words("PermitRootLogin=no # why"), ["PermitRootLogin", "no"]);
        assert_eq!(words("  Match User \"a b\"\t# c"), ["Match", "User", "a b"]);
        assert_eq!(words("AcceptEnv = A=B"), ["AcceptEnv", "A=B"]);
        assert!(words("# Match all").is_empty());
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches(b"*.conf", b"50-cloud.conf"));
        assert!(!matches(b"*.conf", b"50-cloud.conf.bak"));
        assert!(matches(b"a?c", b"abc"));
    }
}
