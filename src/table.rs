//! Tables that go out to a spreadsheet and come back: CSV as RFC 4180 has it, in which no cell is ever a formula.
//!
//! A spreadsheet runs what begins with `=`, `+`, `-` or `@`, and what a resource is called its owner decides. So such a cell
//! gets a leading apostrophe, which reading takes off again: what was written is what is read, whatever it was. Every cell
//! that is no number is quoted, since elsewhere a semicolon separates, and would end an unquoted cell.
//!
//! Never guesses: what is no table is an error that names its line.

use std::borrow::Cow;
use std::io::{self, Write};

/// Writes a table row by row.
pub struct Writer<W: Write> {
    csv: csv::Writer<W>,
}

impl<W: Write> Writer<W> {
    /// Begins a table with the names of its columns.
    pub fn new(out: W, columns: &[&str]) -> io::Result<Self> {
        let csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .quote_style(csv::QuoteStyle::NonNumeric)
            .from_writer(out);
        let mut writer = Self { csv };
        writer.row(columns)?;
        Ok(writer)
    }

    /// Writes a row, which must have as many cells as there are columns.
    pub fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) -> io::Result<()> {
        for cell in cells {
            self.csv.write_field(&*guarded(cell.as_ref()))?;
        }
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }

    /// Ends the table, and gives back what it was written to.
    pub fn finish(self) -> io::Result<W> {
        self.csv.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// A table that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Every row that has something in it.
    pub rows: Vec<Row>,
}

/// A row of a table, with as many cells as there are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file that it begins in; the first is 1.
    pub line: u64,
    /// As they were written, without what guards them against being run.
    pub cells: Vec<String>,
}

/// Why something is no table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TableError {
    /// Not text as it should be encoded.
    #[error("line {0} is not UTF-8")]
    NotUtf8(u64),
    /// Nothing in it.
    #[error("there is no row with the names of the columns")]
    Empty,
    /// A row that does not fit.
    #[error("line {line} has {cells} cells, and the first line names {columns} columns")]
    Cells {
        /// Where it begins.
        line: u64,
        /// How many it has.
        cells: usize,
        /// How many it should have.
        columns: usize,
    },
    /// A cell that swallows what follows it.
    #[error(
        "a cell that begins with a quotation mark does not end with one (the last row begins in line {0})"
    )]
    OpenQuote(u64),
    /// What the reader of CSV found.
    #[error("line {0} can't be read as CSV")]
    Malformed(u64),
}

impl Table {
    /// Reads a table as a spreadsheet saves it: with commas, semicolons or tabs between the cells, with or without a byte
    /// order mark.
    pub fn read(bytes: &[u8]) -> Result<Self, TableError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(bytes);
        let text = str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            TableError::NotUtf8(1 + memchr::memchr_iter(b'\n', before).count() as u64)
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator(text))
            .from_reader(text.as_bytes());
        let mut lines = Lines {
            text,
            byte: 0,
            line: 1,
        };
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| TableError::Malformed(lines.of(error.position())))?;
            records.push((lines.of(record.position()), record));
        }
        let last = records.last().map_or(1, |(line, _)| *line);
        if !memchr::memchr_iter(b'"', text.as_bytes())
            .count()
            .is_multiple_of(2)
        {
            return Err(TableError::OpenQuote(last));
        }
        let mut rows = records.into_iter().map(|(line, record)| Row {
            line,
            cells: record.iter().map(|cell| bare(cell).to_owned()).collect(),
        });
        let columns = rows.next().ok_or(TableError::Empty)?.cells;
        let rows: Vec<Row> = rows
            .filter(|row| row.cells.iter().any(|cell| !cell.trim().is_empty()))
            .collect();
        match rows.iter().find(|row| row.cells.len() != columns.len()) {
            Some(row) => Err(TableError::Cells {
                line: row.line,
                cells: row.cells.len(),
                columns: columns.len(),
            }),
            None => Ok(Self { columns, rows }),
        }
    }
}

/// Counts lines as an editor does. The reader of CSV takes the second half of a line's end for the beginning of the next row.
struct Lines<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a position that is not before the last one asked for.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.and_then(|position| usize::try_from(position.byte()).ok());
        let rest = &self.text.as_bytes()[self.byte..];
        let start = byte
            .unwrap_or(self.byte)
            .saturating_sub(self.byte)
            .min(rest.len());
        let ends = rest[start..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let passed = &rest[..start + ends];
        let ends = |end: u8| memchr::memchr_iter(end, passed).count();
        self.line += ends(b'\n').max(ends(b'\r')) as u64;
        self.byte += passed.len();
        self.line
    }
}

/// What a file begins with so that a spreadsheet reads it as UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A cell as it is safe to open.
fn guarded(cell: &str) -> Cow<'_, str> {
    if would_run(cell) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// A cell without its guard.
fn bare(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|rest| would_run(rest))
        .unwrap_or(cell)
}

/// Whether a spreadsheet might run it. Apostrophes before it are looked through, so that a guard is told from the
/// apostrophes that were there already.
fn would_run(cell: &str) -> bool {
    let cell = cell.trim_start_matches('\'');
    cell.starts_with(['\t', '\r', '\n'])
        || cell
            .trim_start()
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// What stands between the names of the columns: which of the three, depends on the spreadsheet's language.
fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: u8| first.bytes().filter(|byte| *byte == separator).count();
    let most = [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|separator| count(*separator));
    most.unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(columns: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), columns).unwrap();
        for row in rows {
            writer.row(row).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn no_cell_begins_with_what_a_spreadsheet_runs() {
        let cell = |text: &str| String::from_utf8(written(&["a"], &[vec![text.to_owned()]])).unwrap();
        assert_eq!(cell("=1+1"), "\"a\"\r\n\"'=1+1\"\r\n");
        for text in ["+1", "-1", "@x", "\tx", "\rx", "\nx", "  =1", "'=1", "＝1"] {
            let guarded = guarded(text);
            assert_eq!(guarded, format!("'{text}"), "{text:?}");
            assert_eq!(bare(&guarded), text);
        }
        for text in ["", "x=1", "'tis", "1", "a;=b"] {
            assert_eq!(guarded(text), text);
        }
    }

    #[test]
    fn a_semicolon_does_not_end_a_cell_where_semicolons_separate() {
        let text = written(&["a", "b"], &[vec!["x;=1+1".to_owned(), "12".to_owned()]]);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\"a\",\"b\"\r\n\"x;=1+1\",12\r\n"
        );
    }

    #[test]
    fn what_spreadsheets_save_is_read() {
        let read = |text: &str| Table::read(text.as_bytes()).unwrap();
        let wanted = Table {
            columns: vec!["id".to_owned(), "owner".to_owned()],
            rows: vec![Row {
                line: 2,
                cells: vec!["a".to_owned(), "x, y".to_owned()],
            }],
        };
        assert_eq!(read("id,owner\r\na,\"x, y\"\r\n"), wanted);
        assert_eq!(read("\u{feff}id;owner\r\na;x, y\r\n;\r\n\r\n"), wanted);
        assert_eq!(read("id\towner\na\tx, y"), wanted);
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        let wrong = |text: &[u8]| Table::read(text).unwrap_err();
        assert_eq!(wrong(b""), TableError::Empty);
        assert_eq!(wrong(b"a,b\r\n1,2\r\nM\xfcller,2\r\n"), TableError::NotUtf8(3));
        let cells = TableError::Cells {
            line: 4,
            cells: 1,
            columns: 2,
        };
        assert_eq!(wrong(b"a,b\n1,\"2\n3\"\nx\n"), cells);
        assert_eq!(wrong(b"a,b\n1,\"2\n3,4\n"), TableError::OpenQuote(2));
    }

    proptest! {
        #[test]
        fn what_was_written_is_what_is_read(
            rows in prop::collection::vec(
                prop::collection::vec("['=+@\t\r\n ;,\"a1-]{0,6}|\\PC{0,8}", 3),
                0..6,
            )
        ) {
            let bytes = written(&["a", "b", "c"], &rows);
            let read = Table::read(&bytes).unwrap();
            let cells: Vec<_> = read.rows.into_iter().map(|row| row.cells).collect();
            let full = |row: &Vec<String>| row.iter().any(|cell| !cell.trim().is_empty());
            let rows: Vec<_> = rows.into_iter().filter(full).collect();
            prop_assert_eq!(cells, rows);
        }
    }
}
