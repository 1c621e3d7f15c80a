//! Whether a database has the schema that this program made, and nothing besides.
//!
//! A trigger can drop or change a row that is being written, a view can show people what is not there: neither touches
//! a byte that is hashed, so the schema is compared as a whole, by `verify` and before anything is appended.

use rusqlite::Connection;
use std::sync::OnceLock;

use super::store::{SCHEMA, StoreError, reading};

/// A row of `sqlite_master`: type, name, SQL.
type Object = (String, String, Option<String>);

/// What differs between a database's schema and ours.
pub(super) fn differences(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let (expected, found) = (
        expected().map_err(reading)?,
        objects(connection).map_err(reading)?,
    );
    let foreign = found.iter().filter(|object| !expected.contains(object));
    let missing = expected.iter().filter(|object| !found.contains(object));
    Ok(foreign
        .map(|(kind, name, _)| format!("the {kind} {name} is not as this program made it"))
        .chain(missing.map(|(kind, name, _)| format!("the {kind} {name} is missing or changed")))
        .collect())
}

fn expected() -> rusqlite::Result<&'static [Object]> {
    static EXPECTED: OnceLock<Vec<Object>> = OnceLock::new();
    if let Some(expected) = EXPECTED.get() {
        return Ok(expected);
    }
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    let expected = objects(&fresh)?;
    Ok(EXPECTED.get_or_init(|| expected))
}

fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    // ANALYZE leaves tables of these names, and only tables.
    let sql = "SELECT type, name, sql FROM sqlite_master \
               WHERE NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')) ORDER BY type, name";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}
