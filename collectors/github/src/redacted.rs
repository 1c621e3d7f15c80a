//! What is cut out of answers before they are kept: secrets, and the content of files. Pure.

use serde_json::Value;
use std::collections::BTreeSet;

/// A token to clone a private repository with, which GitHub puts into some descriptions of one.
const TOKEN: &str = "temp_clone_token";

/// The changed lines of files, which a comparison begins with.
const FILES: &str = "files";

/// The answer without what must not be kept, and what that was; `None` where there is nothing of the kind.
pub(crate) fn redacted(path: &str, body: &[u8]) -> Option<(Vec<u8>, BTreeSet<String>)> {
    let holds = |name: &str| body.windows(name.len()).any(|part| part == name.as_bytes());
    let of_files = path.contains("/compare/");
    if !(holds(TOKEN) || of_files && holds(FILES)) {
        return None;
    }
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    let mut removed = BTreeSet::new();
    if of_files
        && let Some(fields) = answer.as_object_mut()
        && fields
            .get(FILES)
            .is_some_and(|files| files.as_array().is_none_or(|files| !files.is_empty()))
    {
        fields.remove(FILES);
        removed.insert(FILES.to_owned());
    }
    without_token(&mut answer, &mut removed);
    let body = serde_json::to_vec(&answer).ok()?;
    (!removed.is_empty()).then_some((body, removed))
}

fn without_token(value: &mut Value, removed: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            // Null and empty for a repository that anybody may clone.
            if fields
                .remove(TOKEN)
                .is_some_and(|token| token.as_str().is_some_and(|token| !token.is_empty()))
            {
                removed.insert(TOKEN.to_owned());
            }
            fields
                .values_mut()
                .for_each(|value| without_token(value, removed));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_token(item, removed)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(path: &str, body: &str) -> Option<(String, Vec<String>)> {
        let (body, removed) = redacted(path, body.as_bytes())?;
        Some((String::from_utf8(body).unwrap(), removed.into_iter().collect()))
    }

    #[test]
    fn a_token_to_clone_with_is_not_kept() {
        let body = r#"[{"full_name":"acme/app","temp_clone_token":"SECRET"},{"temp_clone_token":""}]"#;
        let (kept, removed) = cut("/orgs/acme/repos", body).unwrap();
        assert!(!kept.contains("SECRET") && kept.contains("acme/app"), "{kept}");
        assert_eq!(removed, [TOKEN]);
        assert_eq!(cut("/orgs/acme/repos", r#"[{"temp_clone_token":null}]"#), None);
    }

    #[test]
    fn the_lines_of_files_are_not_kept_of_a_comparison() {
        let body = r#"{"status":"ahead","files":[{"patch":"+ private"}]}"#;
        let path = "/repos/acme/app/compare/a...b";
        assert_eq!(
            cut(path, body),
            Some((r#"{"status":"ahead"}"#.to_owned(), vec![FILES.to_owned()]))
        );
        assert_eq!(cut(path, r#"{"status":"ahead","files":[]}"#), None);
        assert_eq!(cut("/repos/acme/files", body), None);
    }
}
