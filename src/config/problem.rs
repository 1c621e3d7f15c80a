//! What is wrong with a file that a person wrote, where, and what to do about it.
//!
//! A problem names files, places and keys, never values: a secret may have been written where none belongs, and
//! problems reach terminals and logs. For the same reason a TOML error is taken apart instead of shown, since its
//! own text quotes the line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong, shown as `FILE:LINE:COLUMN: MESSAGE` and a line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it; none for the embedded configuration, or where no file is involved.
    pub file: Option<PathBuf>,
    /// The place in it, where there is one.
    pub position: Option<Position>,
    /// What is wrong: one line, lowercase, without values.
    pub message: String,
    /// What to do: one line.
    pub help: Option<String>,
}

/// A place in a text, counted from 1 as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl Problem {
    /// A problem that has no place in a file yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            message: message.into(),
            help: None,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Says where: `text` is the file's, and `span` a range of bytes in it.
    #[must_use]
    pub fn at(mut self, file: Option<&Path>, text: &str, span: &Range<usize>) -> Self {
        self.file = file.map(Path::to_path_buf);
        self.position = Some(locate(text, span.start));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.position) {
            (Some(file), Some(at)) => write!(f, "{}:{}:{}: ", file.display(), at.line, at.column)?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, Some(at)) => write!(f, "embedded configuration:{}:{}: ", at.line, at.column)?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// All the problems that one reading found, at least one, in the order of the file.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// An error if there are any problems.
    pub fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.position);
        Err(Self { problems })
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The place of a byte in a text. A byte inside a character counts as that character, one past the end as the end.
/// A byte order mark takes up no column.
pub fn locate(text: &str, byte: usize) -> Position {
    let before = &text[..text.floor_char_boundary(byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let on_line = before[line_start..].trim_start_matches('\u{feff}');
    Position {
        line: before.matches('\n').count() + 1,
        column: on_line.chars().count() + 1,
    }
}

/// The syntax errors of a TOML document, the first of each line: what follows on a line is mostly its echo.
pub(super) fn syntax_problems(errors: &[toml::de::Error], file: Option<&Path>, text: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            Problem::new(format!("not valid TOML: {}", error.message()))
                .help("mend the syntax there; toml.io describes it")
                .at(file, text, &span)
        })
        .collect();
    problems.sort_by_key(|problem| problem.position);
    problems.dedup_by_key(|problem| problem.position.map(|at| at.line));
    problems
}

/// `did you mean "schedule"? known keys: …`
pub(super) fn did_you_mean(written: &str, known: &[&str]) -> String {
    let listed = match known {
        [] => "no keys are known here".to_owned(),
        _ => format!("known keys: {}", known.join(", ")),
    };
    match closest(written, known) {
        Some(meant) => format!("did you mean {meant:?}? {listed}"),
        None => listed,
    }
}

/// `did you mean "ops"? there are: …`
pub fn there_are(written: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "there are none".to_owned();
    }
    let listed = known.join(", ");
    match closest(written, known) {
        Some(meant) => format!("did you mean \"{meant}\"? there are: {listed}"),
        None => format!("there are: {listed}"),
    }
}

/// The known word that was probably meant by what is written.
pub fn closest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .filter(|word| strsim::jaro_winkler(written, word) > 0.8 || strsim::osa_distance(written, word) == 1)
        .map(|word| (strsim::jaro_winkler(written, word), *word))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_from_one_in_characters() {
        let text = "ä = 1\r\nb = \"ö\"\r\nc\n";
        let place = |byte| {
            let Position { line, column } = locate(text, byte);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(1), (1, 1), "inside a character");
        assert_eq!(place(2), (1, 2));
        assert_eq!(place(8), (2, 1));
        assert_eq!(place(16), (2, 8), "the carriage return ends line 2");
        assert_eq!(place(usize::MAX), (4, 1), "past the end");
    }

    #[test]
    fn a_byte_order_mark_takes_up_no_column() {
        assert_eq!(locate("\u{feff}name", 3), Position { line: 1, column: 1 });
    }

    #[test]
    fn the_parts_of_a_problem_are_shown_as_far_as_they_are_known() {
        let problem = Problem::new("no such file");
        assert_eq!(problem.to_string(), "no such file");
        let problem = problem.in_file("a.toml").help("create it");
        assert_eq!(problem.to_string(), "a.toml: no such file\n  help: create it");
        let problem = problem.at(None, "a\nbc", &(3..4));
        assert_eq!(
            problem.to_string(),
            "embedded configuration:2:2: no such file\n  help: create it"
        );
    }

    #[test]
    fn a_misspelt_word_is_recognised_and_an_unrelated_one_is_not() {
        let known = ["schedule", "settings", "name"];
        assert_eq!(closest("shedule", &known), Some("schedule"));
        assert_eq!(closest("setings", &known), Some("settings"));
        assert_eq!(closest("anme", &known), Some("name"));
        assert_eq!(closest("zzz", &known), None);
        assert_eq!(closest("", &known), None);
    }
}
