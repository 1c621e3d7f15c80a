//! The control matrix: every control in a row, out to a spreadsheet and back. Reads and writes no files.
//!
//! A row holds all that a control is, so nothing is lost on the way. What comes back is a control file that changes only what
//! differs from the rules that it is read after; a row that is gone changes nothing.

use std::collections::BTreeSet;
use std::io;

use crate::config::closest;
use crate::control::{Control, ControlId, Criterion, Manual, MaxAge, Rules, TestId};
use crate::table::{Table, Writer};

/// The columns, in their order.
pub const COLUMNS: [&str; 13] = [
    "control",
    "statement",
    "owner",
    "frequency",
    "nature",
    "criteria",
    "tests",
    "evidence due",
    "time zone",
    "grace",
    "max age",
    "in force",
    "reason",
];

/// What a control file that was written here begins with: only such a one is written over.
pub const MARK: &str = "# Written by `evidenced matrix`";

/// What is wrong in a cell, for whoever edited it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Wrong {
    /// The line of the file.
    pub line: u64,
    /// The column's name.
    pub column: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// The control file.
    pub toml: String,
    /// The controls that differ from what they were.
    pub changed: Vec<ControlId>,
    /// New ones.
    pub added: Vec<ControlId>,
    /// Those that no row names: they stay as they are.
    pub absent: Vec<ControlId>,
}

/// Writes the controls, each with its nature: automated, manual, both or none.
pub fn write<W: io::Write>(controls: &[Control], out: W) -> io::Result<W> {
    let mut writer = Writer::new(out, &COLUMNS)?;
    for control in controls {
        writer.row(cells(control))?;
    }
    writer.finish()
}

fn cells(control: &Control) -> [String; 13] {
    let manual = control.manual.as_ref();
    let length = |age: Option<&MaxAge>| age.map(ToString::to_string).unwrap_or_default();
    [
        control.id.to_string(),
        control.statement.clone(),
        control.owner.clone(),
        control.frequency.clone().unwrap_or_default(),
        nature(control).to_owned(),
        joined(&control.criteria),
        joined(&control.tests),
        manual.map_or_else(String::new, |manual| manual.every().to_owned()),
        manual.and_then(Manual::timezone).unwrap_or_default().to_owned(),
        length(manual.and_then(Manual::grace)),
        length(manual.and_then(Manual::max_age)),
        if control.enabled { "yes" } else { "no" }.to_owned(),
        control.reason.clone().unwrap_or_default(),
    ]
}

/// How a control is performed, as far as evidence shows it.
pub fn nature(control: &Control) -> &'static str {
    match (control.tests.is_empty(), control.manual.is_some()) {
        (false, false) => "automated",
        (true, true) => "manual",
        (false, true) => "both",
        (true, false) => "none",
    }
}

fn joined(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(" ")
}

/// Reads a matrix back, against the rules that the control file will be read after. `in_scope` are those of their controls
/// that were written out.
pub fn read(table: &Table, rules: &Rules, in_scope: &[Control]) -> Result<Returned, Vec<Wrong>> {
    let mut wrong = columns(table);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut returned = Returned {
        toml: format!("{MARK}: edit the matrix, or this file and not the matrix that it was made of.\n"),
        ..Returned::default()
    };
    let mut named = BTreeSet::new();
    for row in &table.rows {
        let mut reading = Reading {
            table,
            row,
            rules,
            wrong: &mut wrong,
        };
        let Some((control, known)) = reading.control() else {
            continue;
        };
        if !named.insert(control.id.clone()) {
            let what = format!("{} stands in an earlier row too", control.id);
            reading.wrong("control", what);
            continue;
        }
        let text = toml(&control, known);
        if !text.is_empty() {
            let list = if known.is_some() {
                &mut returned.changed
            } else {
                &mut returned.added
            };
            list.push(control.id.clone());
            returned.toml.push_str(&text);
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let absent = in_scope.iter().map(|control| &control.id);
    returned.absent = absent.filter(|id| !named.contains(*id)).cloned().collect();
    Ok(returned)
}

/// A column that nobody knows would be lost, and one that is named twice is ambiguous.
fn columns(table: &Table) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut say = |column: &str, what: String| {
        wrong.push(Wrong {
            line: 1,
            column: column.to_owned(),
            what,
        });
    };
    for (index, column) in table.columns.iter().enumerate() {
        if !COLUMNS.contains(&column.as_str()) {
            let help = match closest(column, &COLUMNS) {
                Some(close) => format!("did you mean {close:?}?"),
                None => "nothing would keep it: remove it".to_owned(),
            };
            say(column, format!("there is no such column; {help}"));
        }
        if table.columns[..index].contains(column) {
            say(column, "it stands twice".to_owned());
        }
    }
    if !table.columns.iter().any(|column| column == "control") {
        say(
            "control",
            "it is missing, and nothing else tells which control a row is".to_owned(),
        );
    }
    wrong
}

/// One row as it is read.
struct Reading<'a> {
    table: &'a Table,
    row: &'a crate::table::Row,
    rules: &'a Rules,
    wrong: &'a mut Vec<Wrong>,
}

impl<'a> Reading<'a> {
    fn wrong(&mut self, column: &str, what: impl Into<String>) {
        self.wrong.push(Wrong {
            line: self.row.line,
            column: column.to_owned(),
            what: what.into(),
        });
    }

    /// A cell, without the blanks around it; none where there is no such column.
    fn cell(&self, column: &str) -> Option<&'a str> {
        let index = self.table.columns.iter().position(|known| known == column)?;
        self.row.cells.get(index).map(|cell| cell.trim())
    }

    /// The control of a row, and what is known of it; none if something is wrong.
    fn control(&mut self) -> Option<(Control, Option<&'a Control>)> {
        let before = self.wrong.len();
        let id = match ControlId::parse(self.cell("control").unwrap_or_default()) {
            Ok(id) => id,
            Err(what) => {
                self.wrong("control", what);
                return None;
            }
        };
        let known = self.rules.controls.iter().find(|control| control.id == id);
        let control = Control {
            statement: self.text("statement", known.map(|known| known.statement.as_str())),
            owner: self.text("owner", known.map(|known| known.owner.as_str())),
            frequency: self.frequency(known),
            criteria: self.criteria(known),
            tests: self.tests(known),
            manual: self.manual(known),
            enabled: self.enabled(known),
            reason: self.reason(known),
            shipped: known.is_some_and(|known| known.shipped),
            overridden: Vec::new(),
            id,
        };
        if !control.enabled && control.reason.is_none() {
            self.wrong("reason", "it is not in force, and an auditor will ask why");
        }
        let (written, is) = (self.cell("nature").unwrap_or_default(), nature(&control));
        if self.wrong.len() == before && !written.is_empty() && written != is {
            let what = format!(
                "{written:?} does not fit: the row names what makes it {is:?}. Tests make a control automated, \
                 \"evidence due\" makes it manual"
            );
            self.wrong("nature", what);
        }
        (self.wrong.len() == before).then_some((control, known))
    }

    /// Words that must be there.
    fn text(&mut self, column: &str, known: Option<&str>) -> String {
        let text = self.cell(column).or(known).unwrap_or_default();
        if text.is_empty() {
            self.wrong(column, "it is empty: say it in words");
        }
        text.to_owned()
    }

    fn frequency(&mut self, known: Option<&Control>) -> Option<String> {
        let known = known.and_then(|known| known.frequency.clone());
        match self.cell("frequency") {
            None => known,
            Some("") if known.is_some() => {
                self.wrong(
                    "frequency",
                    "it was said before and can't be emptied here: say it in words",
                );
                None
            }
            Some("") => None,
            Some(text) => Some(text.to_owned()),
        }
    }

    fn criteria(&mut self, known: Option<&Control>) -> Vec<Criterion> {
        let Some(cell) = self.cell("criteria") else {
            let known = known.map(|known| known.criteria.clone());
            return known.unwrap_or_else(|| self.empty("criteria"));
        };
        let mut criteria = Vec::new();
        for word in words(cell) {
            match Criterion::parse(word) {
                Ok(criterion) if criteria.contains(&criterion) => {
                    self.wrong("criteria", format!("{word} stands there twice"));
                }
                Ok(criterion) => criteria.push(criterion),
                Err(what) => self.wrong("criteria", what),
            }
        }
        if cell.is_empty() {
            return self.empty("criteria");
        }
        criteria
    }

    fn empty(&mut self, column: &str) -> Vec<Criterion> {
        self.wrong(column, "name at least one criterion, such as CC6.1");
        Vec::new()
    }

    fn tests(&mut self, known: Option<&Control>) -> Vec<TestId> {
        let Some(cell) = self.cell("tests") else {
            return known.map(|known| known.tests.clone()).unwrap_or_default();
        };
        let mut tests: Vec<TestId> = Vec::new();
        for word in words(cell) {
            match self.rules.tests.iter().find(|test| test.id.as_str() == word) {
                Some(test) if tests.contains(&test.id) => {
                    self.wrong("tests", format!("{word} stands there twice"));
                }
                Some(test) => tests.push(test.id.clone()),
                None => {
                    let known: Vec<&str> = self.rules.tests.iter().map(|test| test.id.as_str()).collect();
                    let close = closest(word, &known).map(|close| format!("; did you mean {close}?"));
                    let what = format!("there is no test {word:?}{}", close.unwrap_or_default());
                    self.wrong("tests", what);
                }
            }
        }
        tests
    }

    fn manual(&mut self, known: Option<&Control>) -> Option<Manual> {
        let known = known.and_then(|known| known.manual.as_ref());
        let of = |column: &str, known: Option<String>| match self.cell(column) {
            None => known,
            Some("") => None,
            Some(text) => Some(text.to_owned()),
        };
        let every = of("evidence due", known.map(|known| known.every().to_owned()));
        let zone = of("time zone", known.and_then(Manual::timezone).map(str::to_owned));
        let lengths = [
            (
                "grace",
                of("grace", known.and_then(Manual::grace).map(ToString::to_string)),
            ),
            (
                "max age",
                of(
                    "max age",
                    known.and_then(Manual::max_age).map(ToString::to_string),
                ),
            ),
        ];
        let Some(every) = every else {
            if known.is_some() {
                let what = "evidence was owed before and that can't be ended here: remove `manual` from the control file that says it";
                self.wrong("evidence due", what);
            }
            let given = lengths
                .iter()
                .find(|(_, text)| text.is_some())
                .map(|(column, _)| *column);
            if let Some(column) = given.or(zone.as_ref().map(|_| "time zone")) {
                self.wrong(column, "it says nothing without a calendar in \"evidence due\"");
            }
            return None;
        };
        let [grace, max_age] = lengths.map(|(column, text)| {
            let read = text.map(|text| MaxAge::parse(&text)).transpose();
            read.unwrap_or_else(|what| {
                self.wrong(column, what);
                None
            })
        });
        if let Err(what) = zone.as_deref().map(Manual::check_zone).transpose() {
            self.wrong("time zone", what);
            return None;
        }
        match Manual::new(&every, zone.as_deref(), grace, max_age) {
            Ok(manual) => Some(manual),
            Err(what) => {
                self.wrong("evidence due", what);
                None
            }
        }
    }

    fn enabled(&mut self, known: Option<&Control>) -> bool {
        match self.cell("in force").map(str::to_lowercase).as_deref() {
            None => known.is_none_or(|known| known.enabled),
            Some("yes" | "true" | "") => true,
            Some("no" | "false") => false,
            Some(other) => {
                self.wrong("in force", format!("{other:?} is neither yes nor no"));
                true
            }
        }
    }

    /// Where a control is in force again, the reason why it was not goes with it.
    fn reason(&mut self, known: Option<&Control>) -> Option<String> {
        match self.cell("reason") {
            None => known.and_then(|known| known.reason.clone()),
            Some("") => None,
            Some(text) => Some(text.to_owned()),
        }
    }
}

/// The words of a list, whatever a person puts between them.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .filter(|word| !word.is_empty())
}

/// What a control file must say so that a control is as a row has it; nothing where it is already.
fn toml(control: &Control, known: Option<&Control>) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = |items: Vec<&str>| {
        let items: Vec<String> = items.into_iter().map(quoted).collect();
        format!("[{}]", items.join(", "))
    };
    let tests = || list(control.tests.iter().map(TestId::as_str).collect());
    let mut fields: Vec<(&str, String)> = Vec::new();
    let mut field = |key, differs: bool, value: &dyn Fn() -> String| {
        if differs {
            fields.push((key, value()));
        }
    };
    let differs = |same: fn(&Control, &Control) -> bool| known.is_none_or(|known| !same(known, control));
    field("statement", differs(|a, b| a.statement == b.statement), &|| {
        quoted(&control.statement)
    });
    field("owner", differs(|a, b| a.owner == b.owner), &|| {
        quoted(&control.owner)
    });
    if let Some(frequency) = &control.frequency {
        field("frequency", differs(|a, b| a.frequency == b.frequency), &|| {
            quoted(frequency)
        });
    }
    field("criteria", differs(|a, b| a.criteria == b.criteria), &|| {
        list(
            control
                .criteria
                .iter()
                .map(|criterion| criterion.number())
                .collect(),
        )
    });
    field("tests", differs(|a, b| a.tests == b.tests), &tests);
    if let Some(manual) = &control.manual {
        field("manual", differs(|a, b| a.manual == b.manual), &|| inline(manual));
    }
    let was_on = known.is_none_or(|known| known.enabled);
    field("enabled", control.enabled != was_on, &|| {
        control.enabled.to_string()
    });
    if let Some(reason) = &control.reason {
        field("reason", differs(|a, b| a.reason == b.reason), &|| quoted(reason));
    }
    if fields.is_empty() {
        return String::new();
    }
    let mut text = format!("\n[[control]]\nid = {}\n", quoted(control.id.as_str()));
    for (key, value) in fields {
        text.extend([key, " = ", &value, "\n"]);
    }
    text
}

fn inline(manual: &Manual) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let fields = [
        ("every", Some(manual.every().to_owned())),
        ("timezone", manual.timezone().map(str::to_owned)),
        ("grace", manual.grace().map(ToString::to_string)),
        ("max_age", manual.max_age().map(ToString::to_string)),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key} = {}", quoted(&value?))));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
