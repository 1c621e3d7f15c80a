//! How text looks: colour and width where standard output is a terminal, plain text otherwise.

use comfy_table::{Cell, ContentArrangement, Table, presets};
use std::io::IsTerminal as _;

use crate::control::Outcome;

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
        table.set_header(head.iter().map(|title| Cell::new(self.faint(title))));
        // Columns stand two blanks apart, and the first at the left edge.
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table
    }
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

/// A table's text, each line without the blanks at its end.
pub(super) fn lines(table: &Table) -> String {
    table
        .lines()
        .flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()])
        .collect()
}
