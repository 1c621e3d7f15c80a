//! Texts as receivers take them: on one line, and not too long.

use secrecy::{ExposeSecret, SecretString};

/// As long as an answer is kept.
const ANSWER: usize = 200;

/// What stands for a secret.
const HIDDEN: &str = "[hidden]";

/// What a receiver said, as a line of at most 200 characters without control characters and without these secrets.
pub(super) fn answer(said: &str, secrets: &[SecretString]) -> String {
    let mut said = said.to_owned();
    // The longest first: a short one may be part of it.
    let mut hidden: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in hidden.into_iter().filter(|secret| !secret.is_empty()) {
        said = said.replace(secret, HIDDEN);
    }
    cut(&one(&said), ANSWER)
}

/// A text on one line: every run of space and control characters becomes a space.
pub(super) fn one(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A text of at most so many characters, with `…` where something is missing.
pub(super) fn cut(text: &str, characters: usize) -> String {
    if text.char_indices().nth(characters).is_none() {
        return text.to_owned();
    }
    let end = text.char_indices().nth(characters.saturating_sub(1));
    let end = end.map_or(0, |(at, _)| at);
    format!("{}…", text[..end].trim_end())
}

/// A text in pieces of at most so many characters, broken between lines where that is possible; at most `most` of them,
/// the last with `…` where something is missing. What `escape` makes of a line is what counts.
pub(super) fn pieces(
    text: &str,
    characters: usize,
    most: usize,
    escape: impl Fn(&str) -> String,
) -> Vec<String> {
    // Room for what says that something is missing.
    let room = characters.saturating_sub(2);
    let (mut made, mut piece, mut length) = (Vec::new(), String::new(), 0);
    for part in text.lines().flat_map(|line| parts(&escape(line), room)) {
        let more = part.text.chars().count() + usize::from(part.begins_line && length > 0);
        if length > 0 && length + more > room {
            if made.len() + 1 == most {
                piece.push_str("\n…");
                break;
            }
            made.push(std::mem::take(&mut piece));
            length = 0;
        }
        if part.begins_line && length > 0 {
            piece.push('\n');
            length += 1;
        }
        length += part.text.chars().count();
        piece.push_str(&part.text);
    }
    if !piece.is_empty() {
        made.push(piece);
    }
    made
}

/// A line, or where that is longer than any piece, a part of it.
struct Part {
    text: String,
    begins_line: bool,
}

/// A line in parts of at most so many characters, never broken inside of what stands for one.
fn parts(line: &str, characters: usize) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), line);
    loop {
        let end = rest
            .char_indices()
            .nth(characters)
            .map_or(rest.len(), |(at, _)| at);
        let whole = end == rest.len();
        let reference = rest[..end]
            .rfind('&')
            .filter(|at| !whole && *at > 0 && end - at < 6);
        let (part, behind) = rest.split_at(reference.unwrap_or(end));
        parts.push(Part {
            text: part.to_owned(),
            begins_line: parts.is_empty(),
        });
        if behind.is_empty() || characters == 0 {
            return parts;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_of_200_characters_without_secrets() {
        let secrets = [
            SecretString::from("s3cret"),
            SecretString::from("s3cret-and-more"),
        ];
        assert_eq!(
            answer("no\r\n\u{1b}[31m s3cret-and-more\0and s3cret ", &secrets),
            "no [31m [hidden] and [hidden]"
        );
        let long = answer(&"ä ".repeat(1000), &[]);
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
        assert_eq!(answer("", &[SecretString::from("")]), "");
    }

    #[test]
    fn what_is_cut_says_so_and_what_fits_is_left() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("a b", 2), "a…");
    }

    #[test]
    fn pieces_break_between_lines_and_lose_nothing() {
        let lines: Vec<String> = (0..100)
            .map(|n| format!("line {n} & {}", "x".repeat(n)))
            .collect();
        let text = lines.join("\n");
        let escape = |line: &str| line.replace('&', "&amp;");
        let made = pieces(&text, 300, 100, escape);
        assert!(made.iter().all(|piece| piece.chars().count() <= 300));
        assert_eq!(made.join("\n"), escape(&text));
        let made = pieces(&text, 300, 3, escape);
        assert_eq!(made.len(), 3);
        assert!(made[2].ends_with("\n…") && made[2].chars().count() <= 300);
        assert_eq!(pieces("", 300, 3, escape), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_is_too_long_is_broken_but_no_character_reference_is() {
        let escape = |line: &str| line.replace('&', "&amp;");
        for before in 0..12 {
            let text = format!("{}{}", "x".repeat(before), "&".repeat(100));
            let made = pieces(&text, 22, 100, escape);
            assert_eq!(made.concat(), escape(&text));
            for piece in made {
                assert!(piece.chars().count() <= 22, "{piece}");
                assert!(!piece.replace("&amp;", "").contains(['&', ';']), "{piece}");
            }
        }
    }
}
