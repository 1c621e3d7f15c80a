//! How text looks: colour and width where standard output is a terminal, plain text otherwise.

use chrono::{DateTime, Timelike as _, Utc};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use std::io::IsTerminal as _;

use crate::control::Outcome;
use crate::drift::Side;

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    /// For standard output, honouring `NO_COLOR`.
    pub(super) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && std::io::stdout().is_terminal(),
        }
    }

    /// An outcome in its colour.
    pub(super) fn outcome(self, outcome: Outcome) -> String {
        let code = match outcome {
            Outcome::Fail => "1;31",
            Outcome::Unknown => "1;33",
            Outcome::Excepted => "36",
            Outcome::Pass => "32",
            Outcome::NotApplicable => "2",
        };
        self.paint(code, words(outcome))
    }

    /// An outcome in its colour, and the blanks that fill its column.
    pub(super) fn outcome_padded(self, outcome: Outcome, width: usize) -> String {
        let blanks = width.saturating_sub(words(outcome).len());
        format!("{}{:blanks$}", self.outcome(outcome), "")
    }

    /// An outcome in its colour, in a table: there a colour must not count as width.
    pub(super) fn outcome_cell(self, outcome: Outcome) -> Cell {
        self.painted_cell(words(outcome), outcome)
    }

    /// Text in the colour of an outcome, in a table.
    pub(super) fn painted_cell(self, text: &str, outcome: Outcome) -> Cell {
        let (colour, attribute) = match outcome {
            Outcome::Fail => (Some(Color::Red), Some(Attribute::Bold)),
            Outcome::Unknown => (Some(Color::Yellow), Some(Attribute::Bold)),
            Outcome::Excepted => (Some(Color::Cyan), None),
            Outcome::Pass => (Some(Color::Green), None),
            Outcome::NotApplicable => (None, Some(Attribute::Dim)),
        };
        self.cell(text, colour, attribute)
    }

    /// Text that says that something is wrong, in a table.
    pub(super) fn bad_cell(self, text: &str) -> Cell {
        self.cell(text, Some(Color::Red), Some(Attribute::Bold))
    }

    fn cell(self, text: &str, colour: Option<Color>, attribute: Option<Attribute>) -> Cell {
        let mut cell = Cell::new(text);
        if self.colour {
            cell = colour.into_iter().fold(cell, Cell::fg);
            cell = attribute.into_iter().fold(cell, Cell::add_attribute);
        }
        cell
    }

    /// Text to be noticed.
    pub(super) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Text beside the point.
    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Text that says that something is wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Text that says that something is right.
    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A table without lines, as wide as the terminal where there is one.
    pub(super) fn table(self, head: &[&str]) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !std::io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(
            head.iter()
                .map(|title| self.cell(title, None, Some(Attribute::Dim))),
        );
        // Columns stand two blanks apart, and the first at the left edge.
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table
    }
}

/// How many characters a line of the terminal holds; none where standard output is no terminal.
pub(super) fn width() -> Option<usize> {
    let is_terminal = std::io::stdout().is_terminal();
    let width = Table::new().width().filter(|_| is_terminal);
    width.map(usize::from)
}

/// Text from a source, with what would steer the terminal or turn the reading direction made visible: nobody who
/// names a resource may write over what is said of it.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a character steers the terminal or turns the reading direction.
pub(super) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number with its noun: `1 leaf`, `2 leaves`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}

/// An outcome as people say it.
pub(super) fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotApplicable => "no occurrence",
        outcome => outcome.as_str(),
    }
}

/// What is known of an attribute.
pub(super) fn side(side: &Side) -> String {
    match side {
        Side::Known(value) => plain(&value.to_string()),
        Side::Unknown(reason) => format!("unknown ({})", plain(reason)),
        Side::Absent => "absent".to_owned(),
    }
}

/// A table's text, each line without the blanks at its end.
pub(super) fn lines(table: &Table) -> String {
    table
        .lines()
        .flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()])
        .collect()
}

/// A size in the largest unit of which it has at least one.
pub(super) fn bytes(size: u64) -> String {
    let units = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    match units.into_iter().find(|(_, unit)| size >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", size / unit, size % unit * 10 / unit),
        None => count(size, "byte", "bytes"),
    }
}

/// An instant to the minute, or to the second where that is not a whole one.
pub(super) fn minute(time: DateTime<Utc>) -> String {
    let form = if time.second() == 0 {
        "%Y-%m-%dT%H:%MZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    time.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_write_over_what_is_said_of_it() {
        assert_eq!(plain("fail\u{1b}[2K\rpass"), "fail\\u{1b}[2K\\u{d}pass");
        assert_eq!(plain("a\u{202e}b\nc"), "a\\u{202e}b\\u{a}c");
        assert_eq!(plain("/srv/données"), "/srv/données");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "leaf", "leaves"), "1 leaf");
        assert_eq!(count(0, "leaf", "leaves"), "0 leaves");
    }
}
