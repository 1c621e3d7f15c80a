//! Any bytes as a control matrix from a spreadsheet: refused with a place, or a control file that says what the matrix says.

#![cfg_attr(fuzzing, no_main)]

use evidenced::control::Rules;
use evidenced::matrix;
use evidenced::table::{Table, Writer};
use std::sync::LazyLock;

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::shipped().expect("the shipped rules are right"));

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    let Ok(table) = Table::read(data) else { return };
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let mut writer = Writer::new(Vec::new(), &columns).expect("memory can be written");
    for row in &table.rows {
        writer
            .row(&row.cells)
            .expect("a row has as many cells as there are columns");
    }
    let written = writer.finish().expect("memory can be written");
    let cells = |table: &Table| table.rows.iter().map(|row| row.cells.clone()).collect::<Vec<_>>();
    // Written with commas, it is read so, unless the names of the columns hold more of what else may separate.
    if !table
        .columns
        .iter()
        .any(|column| column.contains([';', '\t', '\n', '\r']))
    {
        let again = Table::read(&written).expect("what was written is a table");
        assert_eq!(cells(&again), cells(&table));
    }
    match matrix::read(&table, &RULES, &RULES.controls) {
        Ok(returned) => {
            let joined = RULES.clone().with(&returned.toml).expect("it is a control file");
            let again = matrix::read(&table, &joined, &[]).expect("it is a matrix still");
            assert!(
                again.changed.is_empty() && again.added.is_empty(),
                "{}",
                returned.toml
            );
        }
        Err(wrong) => assert!(wrong.iter().all(|wrong| wrong.line > 0 && !wrong.what.is_empty())),
    }
}
