//! Reading what goes on and what is to be told yet.

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};
use std::collections::BTreeMap;

use super::super::leaf::Event;
use super::{Reader, StoreError, reading};

/// An alert that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// The leaf that opened it.
    pub seq: u64,
    /// What happened.
    pub event: Event,
    /// The test; empty where it concerns none.
    pub test: String,
    /// The collector's id; empty where it concerns none.
    pub collector: String,
    /// The source's name; empty where it concerns none.
    pub source: String,
    /// How bad it is.
    pub severity: String,
    /// When people were last told of it, or it was opened.
    pub told: DateTime<Utc>,
    /// Whether somebody has taken it on.
    pub acknowledged: bool,
    /// For which targets it goes on.
    pub targets: Vec<String>,
}

/// Something to be told that nobody has worded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its row.
    pub id: i64,
    /// The leaf that opened the alert.
    pub alert: u64,
    /// What has become of it, as [`crate::alert::message::Phase`] names it.
    pub phase: String,
    /// The leaf that gave rise to it.
    pub about: Option<u64>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

/// A message that waits for its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its row.
    pub id: i64,
    /// The leaf that opened the alert.
    pub alert: u64,
    /// The leaf that gave rise to it.
    pub about: Option<u64>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// The channel's configured name.
    pub channel: String,
    /// The message, as JSON.
    pub message: String,
    /// How often it was sent.
    pub attempts: u32,
    /// Not to be sent before.
    pub next: DateTime<Utc>,
}

/// An evaluation that is to be compared with what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToCompare {
    /// Its row.
    pub id: i64,
    /// The evaluation.
    pub evaluation: u64,
}

impl Reader {
    /// The alerts that go on, oldest first.
    pub fn open_alerts(&self) -> Result<Vec<OpenAlert>, StoreError> {
        let mut targets: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let sql = "SELECT seq, target FROM alert_target ORDER BY seq, target";
        for (seq, target) in self.outbox_rows(sql, |row| Ok((row.get(0)?, row.get(1)?)))? {
            targets.entry(seq).or_default().push(target);
        }
        let sql = "SELECT seq, event, test, collector, source, severity, told, acknowledged FROM alert ORDER BY seq";
        self.outbox_rows(sql, |row| {
            let seq = row.get(0)?;
            Ok(OpenAlert {
                seq,
                event: event(row, 1)?,
                test: row.get(2)?,
                collector: row.get(3)?,
                source: row.get(4)?,
                severity: row.get(5)?,
                told: time(row, 6)?,
                acknowledged: row.get(7)?,
                targets: targets.remove(&seq).unwrap_or_default(),
            })
        })
    }

    /// The evaluations that nobody has compared yet, oldest first.
    pub fn to_compare(&self) -> Result<Vec<ToCompare>, StoreError> {
        let sql = "SELECT id, about FROM outbox WHERE phase = 'look' AND about IS NOT NULL ORDER BY id";
        self.outbox_rows(sql, |row| {
            Ok(ToCompare {
                id: row.get(0)?,
                evaluation: row.get(1)?,
            })
        })
    }

    /// What nobody has worded yet, oldest first.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let sql = "SELECT id, alert, phase, about, since FROM outbox \
                   WHERE channel IS NULL AND alert IS NOT NULL ORDER BY id";
        self.outbox_rows(sql, |row| {
            Ok(Waiting {
                id: row.get(0)?,
                alert: row.get(1)?,
                phase: row.get(2)?,
                about: row.get(3)?,
                since: time(row, 4)?,
            })
        })
    }

    /// The messages that wait for their channels, oldest first.
    pub fn posted(&self) -> Result<Vec<Posted>, StoreError> {
        let sql = "SELECT id, alert, about, since, channel, message, attempts, next FROM outbox \
                   WHERE channel IS NOT NULL AND message IS NOT NULL ORDER BY id";
        self.outbox_rows(sql, |row| {
            Ok(Posted {
                id: row.get(0)?,
                alert: row.get(1)?,
                about: row.get(2)?,
                since: time(row, 3)?,
                channel: row.get(4)?,
                message: row.get(5)?,
                attempts: row.get(6)?,
                next: time(row, 7)?,
            })
        })
    }

    fn outbox_rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection().prepare_cached(sql).map_err(reading)?;
        let rows = statement.query_map(params![], read).map_err(reading)?;
        rows.collect::<Result<_, _>>().map_err(reading)
    }
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    let text: String = row.get(column)?;
    DateTime::parse_from_rfc3339(&text)
        .map(|time| time.to_utc())
        .map_err(|error| wrong(column, error))
}

fn event(row: &Row<'_>, column: usize) -> rusqlite::Result<Event> {
    let text: String = row.get(column)?;
    serde_json::from_value(text.into()).map_err(|error| wrong(column, error))
}

fn wrong(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
