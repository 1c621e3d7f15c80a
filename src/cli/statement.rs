//! What people put on record in their own words: it stands in the log for years, so it says something, and is plain text.

use anyhow::Result;

use super::exit::UsageError;
use super::style;
pub(super) use crate::log::leaf::is_same_person;

/// A name: of a person, or of a ticket.
pub(super) const NAME: usize = 200;

/// A sentence or a few.
pub(super) const PROSE: usize = 4000;

/// A text given as `flag`, without blanks around it; an error if it is empty, longer than `longest` characters, or holds
/// what is no text.
pub(super) fn checked(flag: &str, text: &str, longest: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UsageError::error(
            format!("{flag} is empty"),
            "say it: it stands in the log for the auditor",
        ));
    }
    if text.chars().any(style::steers) {
        return Err(UsageError::error(
            format!("{flag} holds a character that is no text: {}", style::plain(text)),
            "write one line of plain text",
        ));
    }
    let characters = text.chars().count();
    if characters > longest {
        return Err(UsageError::error(
            format!("{flag} has {characters} characters, and at most {longest} are allowed"),
            "say it shorter, and leave the rest to the ticket",
        ));
    }
    Ok(text.to_owned())
}

/// The same for a text that need not be given.
pub(super) fn checked_if_given(flag: &str, text: Option<&str>, longest: usize) -> Result<Option<String>> {
    text.map(|text| checked(flag, text, longest)).transpose()
}

/// Whether a name is that of a login: `ann`, also as `Ann`, `ann@example.org`, or by whom root was become.
pub(super) fn is_login(name: &str, login: &str) -> bool {
    let name = name.split('@').next().unwrap_or_default();
    let person = login
        .split_once(" (sudo by ")
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    is_same_person(name, person.unwrap_or(login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_something_in_one_line_of_bounded_length() {
        assert_eq!(checked("--reason", " because ", 7).unwrap(), "because");
        for (text, wrong) in [
            ("", "--reason is empty"),
            (" \t", "--reason is empty"),
            ("because!", "--reason has 8 characters, and at most 7 are allowed"),
            ("a\nb", "--reason holds a character that is no text: a\\u{a}b"),
            (
                "a\u{202e}b",
                "--reason holds a character that is no text: a\\u{202e}b",
            ),
        ] {
            assert_eq!(checked("--reason", text, 7).unwrap_err().to_string(), wrong);
        }
        assert_eq!(checked("--reason", "übrig!!", 7).unwrap(), "übrig!!");
    }

    #[test]
    fn a_person_is_the_same_in_other_letters_and_blanks() {
        assert!(is_same_person("Ann Smith", " ann  SMITH "));
        assert!(!is_same_person("Ann Smith", "Ann Smithe"));
        assert!(is_login("ann@example.org", "ann"));
        assert!(is_login("Ann", "root (sudo by ann)"));
        assert!(!is_login("root", "root (sudo by ann)"));
    }
}
