//! Checking what stands beside leaves and blobs: subtree roots, guard, key, schema, and rows that belong to nothing.

use rusqlite::Connection;

use super::super::checkpoint::VerifierKey;
use super::super::guard::Slot;
use super::super::leaf::{self, Alert, AlertState, Body};
use super::super::schema;
use super::super::start::{self, Position};
use super::super::store::{Paths, StoreError, leaf_bytes, reading};
use super::super::verify::{Problems, Whole};

pub(super) fn check_guard(
    database: &Connection,
    key: &VerifierKey,
    slots: Option<&[Slot; 2]>,
    newest: &str,
    size: u64,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    let why = match slots.map(|slots| start::position(database, key, slots, newest)) {
        None => "the guard is missing".to_owned(),
        Some(Ok(Position::Level | Position::OneBatchBehind)) => return Ok(()),
        Some(Ok(Position::Refused(why))) => why,
        Some(Err(error)) if error.is_damage() => format!("the guard can't be compared: {error}"),
        Some(Err(error)) => return Err(error),
    };
    problems.add(size.checked_sub(1), "guard", why);
    Ok(())
}

/// What no leaf stands for: the schema, the table `meta`, and rows beside the log.
pub(super) fn check_rest(
    database: &Connection,
    size: u64,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    for detail in schema::differences(database)? {
        problems.add(None, "schema", detail);
    }
    let count = |sql: &str| {
        database
            .query_row(sql, [size], |row| row.get::<_, i64>(0))
            .map_err(reading)
    };
    if count("SELECT count(*) FROM leaf WHERE seq < 0 AND ? >= 0")? > 0 {
        problems.add(None, "leaf", "there are rows before leaf 0");
    }
    if count("SELECT count(*) FROM entry WHERE seq < 0 OR seq >= ?")? > 0 {
        problems.add(Some(size), "entry", "there are rows that belong to no leaf");
    }
    if count("SELECT count(*) FROM meta WHERE key <> 'origin' OR ? < 0")? > 0 {
        problems.add(None, "meta", "there are rows beside the origin");
    }
    Ok(())
}

/// What is no evidence: its pages, and the alerts that are said to be open. One that no leaf opened would keep the next of its
/// kind from being told.
pub(super) fn check_alerts(database: &Connection, problems: &mut Problems) -> Result<(), StoreError> {
    for table in ["alert", "alert_target", "outbox"] {
        let mut statement = database
            .prepare(&format!("PRAGMA integrity_check({table})"))
            .map_err(reading)?;
        let found = statement
            .query_map([], |row| row.get::<_, String>(0))
            .map_err(reading)?;
        for what in found {
            let what = what.map_err(reading)?;
            if what != "ok" {
                problems.add(None, table, what);
            }
        }
    }
    let mut statement = database
        .prepare("SELECT seq, event, test, collector, source FROM alert ORDER BY seq")
        .map_err(reading)?;
    let rows = statement.query_map([], |row| {
        let subject = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok((row.get::<_, u64>(0)?, subject))
    });
    for row in rows.map_err(reading)? {
        let (seq, subject): (u64, [String; 4]) = row.map_err(reading)?;
        if !is_opened(database, seq, &subject)? {
            let what = "an alert is said to be open that this leaf did not open, or that was closed";
            problems.add(Some(seq), "alert", what);
        }
    }
    Ok(())
}

fn is_opened(database: &Connection, seq: u64, subject: &[String; 4]) -> Result<bool, StoreError> {
    let alert = |seq| -> Result<Option<Alert>, StoreError> {
        let leaf = leaf_bytes(database, seq)?.and_then(|bytes| leaf::decode(&bytes).ok());
        Ok(leaf.and_then(|leaf| match leaf.body {
            Some(Body::Alert(alert)) => Some(alert),
            _ => None,
        }))
    };
    let Some(opened) = alert(seq)? else {
        return Ok(false);
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let about = [
        opened.event.as_str().to_owned(),
        text(&opened.test),
        text(&opened.collector),
        text(&opened.source),
    ];
    if opened.state != AlertState::Opened || about != *subject {
        return Ok(false);
    }
    let sql = "SELECT seq FROM entry WHERE kind = 'alert' AND collector IS ? AND source IS ? AND seq > ?";
    let mut statement = database.prepare_cached(sql).map_err(reading)?;
    let later = statement.query_map((&opened.collector, &opened.source, seq), |row| row.get(0));
    for later in later.map_err(reading)? {
        let closed = alert(later.map_err(reading)?)?;
        if closed.is_some_and(|closed| closed.state == AlertState::Closed && closed.alert == Some(seq)) {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn check_key_file(
    paths: &Paths,
    key: &VerifierKey,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    match start::read_key(&paths.key()) {
        Ok(signer) if signer.verifier() == key => {}
        Ok(signer) => problems.add(
            Some(0),
            "key",
            format!("the signing key beside the log is another: {}", signer.verifier()),
        ),
        Err(StoreError::Damaged(what)) => problems.add(Some(0), "key", what),
        // A copy for an auditor has no signing key, and an auditor need not be able to read one.
        Err(StoreError::Io(..)) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

pub(super) fn check_tree(
    connection: &Connection,
    whole: &mut Whole,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare("SELECT level, position, hash FROM tree ORDER BY level, position")
        .map_err(reading)?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get_ref(2)?.as_blob()?.to_vec(),
        ))
    });
    let mut found = std::collections::BTreeSet::new();
    for row in rows.map_err(reading)? {
        found.insert(row.map_err(reading)?);
    }
    for (level, position, hash) in whole.subtrees() {
        let row = (
            i64::from(*level),
            i64::try_from(*position).unwrap_or(i64::MAX),
            hash.to_vec(),
        );
        if !found.remove(&row) {
            let last = ((position + 1) << level) - 1;
            problems.add(
                Some(last),
                "tree",
                format!("the root at level {level}, position {position} is wrong or missing"),
            );
        }
    }
    for (level, position, _) in found {
        problems.add(
            None,
            "tree",
            format!("there is a root at level {level}, position {position} that no leaves give"),
        );
    }
    Ok(())
}
