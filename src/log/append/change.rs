//! What a leaf gives rise to beside the log, in its own transaction: alerts that begin and end, and what is to be told.
//!
//! An alert is one for each event, test, collector and source, and goes on for as long as it does for one of their targets.
//! That is decided here, where nobody else can write at the same time: whoever judges says only how its target stands.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::leaf::{Alert, AlertState, Body, Event, format_time};
use super::super::store::StoreError;
use super::batch::{execute, writing};

/// What changes beside the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Something goes on for a target. Opens the alert unless it is open.
    Begin {
        /// What is concerned.
        subject: Subject,
        /// For which target; empty where there are none.
        target: String,
        /// How bad it is.
        severity: String,
        /// How many resources it concerns now.
        resources: u64,
    },
    /// An open alert is about more than people were told.
    Grow {
        /// The leaf that opened it.
        alert: u64,
        /// The leaf that shows it.
        about: u64,
    },
    /// The leaf is to be compared with what came before it: perhaps there is something to tell.
    Look,
    /// It is over for a target; for the last one it closes the alert.
    End {
        /// What is concerned.
        subject: Subject,
        /// For which target.
        target: String,
    },
    /// Something to be told once.
    Notice {
        /// What is concerned.
        subject: Subject,
        /// How bad it is.
        severity: String,
        /// How many resources it concerns.
        resources: u64,
        /// The leaf that gave rise to it, where that is not the one it comes with.
        about: Option<u64>,
    },
    /// Somebody has taken on an alert.
    Acknowledge {
        /// The leaf that opened it.
        alert: u64,
    },
    /// People are to be reminded of an alert, which must be open.
    Remind {
        /// The leaf that opened it.
        alert: u64,
    },
    /// What waited is worded: messages take its place.
    Word {
        /// The rows that they stand for.
        rows: Vec<i64>,
        /// One for each channel.
        messages: Vec<NewMessage>,
    },
    /// A message was sent and not taken.
    Postpone {
        /// Its row.
        row: i64,
        /// How often it was sent by now.
        attempts: u32,
        /// Not to be sent before.
        next: DateTime<Utc>,
    },
    /// A message needs no more attempts.
    Finish {
        /// Its row.
        row: i64,
    },
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What happened.
    pub event: Event,
    /// The test; empty where it concerns none.
    pub test: String,
    /// The collector's id; empty where it concerns none.
    pub collector: String,
    /// The source's name; empty where it concerns none.
    pub source: String,
    /// The control; empty but where it concerns evidence that people owe. Such a thing is only noticed, never opened.
    pub control: String,
}

/// A message for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// The leaf that opened the alert.
    pub alert: u64,
    /// What has become of it.
    pub phase: &'static str,
    /// The leaf that gave rise to it.
    pub about: Option<u64>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// The channel's name.
    pub channel: String,
    /// The message, as JSON.
    pub message: String,
    /// How often it was sent.
    pub attempts: u32,
    /// Not to be sent before.
    pub next: DateTime<Utc>,
}

impl Subject {
    /// Something about a collector's source, and perhaps a test.
    pub fn new(event: Event, test: &str, collector: &str, source: &str) -> Self {
        Self {
            event,
            test: test.to_owned(),
            collector: collector.to_owned(),
            source: source.to_owned(),
            control: String::new(),
        }
    }

    /// Something about the evidence that people owe for a control.
    pub fn of_control(event: Event, control: &str) -> Self {
        Self {
            control: control.to_owned(),
            ..Self::own(event)
        }
    }

    /// Something about the daemon itself.
    pub fn own(event: Event) -> Self {
        Self::new(event, "", "", "")
    }

    fn leaf(&self, state: AlertState, severity: &str, about: Option<u64>, resources: u64) -> Alert {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Alert {
            collector: some(&self.collector),
            source: some(&self.source),
            state,
            alert: None,
            event: self.event,
            severity: severity.to_owned(),
            test: some(&self.test),
            control: some(&self.control),
            about,
            resources,
            delivery: None,
        }
    }
}

/// Where a batch stands when changes are made.
pub(super) struct Moment<'a> {
    pub(super) connection: &'a Connection,
    /// The clock, as leaves write it.
    pub(super) now: DateTime<Utc>,
    /// The leaf that the changes come with.
    pub(super) about: Option<u64>,
}

/// Makes one change. `append` appends a leaf to the batch, and returns its position.
pub(super) fn make(
    moment: &Moment<'_>,
    change: Change,
    append: &mut dyn FnMut(Body) -> Result<u64, StoreError>,
) -> Result<(), StoreError> {
    match change {
        Change::Begin {
            subject,
            target,
            severity,
            resources,
        } => begin(moment, &subject, &target, (&severity, resources), append),
        Change::Grow { alert, about } => grow(moment, alert, Some(about)),
        Change::Look => moment.enqueue(None, "look", moment.about),
        Change::End { subject, target } => end(moment, &subject, &target, append),
        Change::Notice {
            subject,
            severity,
            resources,
            about,
        } => {
            let about = about.or(moment.about);
            let leaf = subject.leaf(AlertState::Noticed, &severity, about, resources);
            let seq = append(Body::Alert(leaf))?;
            moment.enqueue(Some(seq), "notice", about)
        }
        Change::Acknowledge { alert } => {
            moment.execute("UPDATE alert SET acknowledged = 1 WHERE seq = ?", params![alert])?;
            moment.enqueue(Some(alert), "acknowledged", moment.about)
        }
        Change::Remind { alert } => {
            let sql = "UPDATE alert SET told = ? WHERE seq = ?";
            if moment.execute(sql, params![moment.time(), alert])? > 0 {
                moment.enqueue(Some(alert), "reminder", None)?;
            }
            Ok(())
        }
        Change::Word { rows, messages } => word(moment, &rows, &messages),
        Change::Postpone { row, attempts, next } => {
            let sql = "UPDATE outbox SET attempts = ?, next = ? WHERE id = ?";
            moment
                .execute(sql, params![attempts, format_time(next), row])
                .map(drop)
        }
        Change::Finish { row } => moment
            .execute("DELETE FROM outbox WHERE id = ?", params![row])
            .map(drop),
    }
}

fn begin(
    moment: &Moment<'_>,
    subject: &Subject,
    target: &str,
    (severity, resources): (&str, u64),
    append: &mut dyn FnMut(Body) -> Result<u64, StoreError>,
) -> Result<(), StoreError> {
    let Some(alert) = moment.open(subject)? else {
        let leaf = subject.leaf(AlertState::Opened, severity, moment.about, resources);
        let seq = append(Body::Alert(leaf))?;
        moment.execute(
            "INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            params![
                seq,
                subject.event.as_str(),
                subject.test,
                subject.collector,
                subject.source,
                severity,
                moment.time()
            ],
        )?;
        moment.execute("INSERT INTO alert_target VALUES (?, ?)", params![seq, target])?;
        return moment.enqueue(Some(seq), "opened", moment.about);
    };
    let new = moment.execute(
        "INSERT OR IGNORE INTO alert_target VALUES (?, ?)",
        params![alert, target],
    )? > 0;
    if new {
        return grow(moment, alert, moment.about);
    }
    Ok(())
}

/// Of what more it is about, whoever has taken it on may not know.
fn grow(moment: &Moment<'_>, alert: u64, about: Option<u64>) -> Result<(), StoreError> {
    if moment.execute("UPDATE alert SET acknowledged = 0 WHERE seq = ?", params![alert])? > 0 {
        moment.enqueue(Some(alert), "grown", about)?;
    }
    Ok(())
}

fn end(
    moment: &Moment<'_>,
    subject: &Subject,
    target: &str,
    append: &mut dyn FnMut(Body) -> Result<u64, StoreError>,
) -> Result<(), StoreError> {
    let Some(alert) = moment.open(subject)? else {
        return Ok(());
    };
    let removed = "DELETE FROM alert_target WHERE seq = ? AND target = ?";
    if moment.execute(removed, params![alert, target])? == 0 {
        return Ok(());
    }
    let left: u64 = moment
        .connection
        .prepare_cached("SELECT count(*) FROM alert_target WHERE seq = ?")
        .and_then(|mut statement| statement.query_row([alert], |row| row.get(0)))
        .map_err(writing)?;
    if left > 0 {
        return Ok(());
    }
    let severity: String = moment
        .connection
        .prepare_cached("DELETE FROM alert WHERE seq = ? RETURNING severity")
        .and_then(|mut statement| statement.query_row([alert], |row| row.get(0)))
        .map_err(writing)?;
    let mut leaf = subject.leaf(AlertState::Closed, &severity, moment.about, 0);
    leaf.alert = Some(alert);
    append(Body::Alert(leaf))?;
    moment.enqueue(Some(alert), "closed", moment.about)
}

fn word(moment: &Moment<'_>, rows: &[i64], messages: &[NewMessage]) -> Result<(), StoreError> {
    for row in rows {
        let waits = moment
            .connection
            .prepare_cached("SELECT 1 FROM outbox WHERE id = ?")
            .and_then(|mut statement| statement.exists([row]))
            .map_err(writing)?;
        if !waits {
            // Somebody else has worded it: theirs stands, and what is left is worded anew.
            return Ok(());
        }
    }
    for row in rows {
        moment.execute("DELETE FROM outbox WHERE id = ?", params![row])?;
    }
    for message in messages {
        moment.execute(
            "INSERT INTO outbox (alert, phase, about, since, channel, message, attempts, next) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                message.alert,
                message.phase,
                message.about,
                format_time(message.since),
                message.channel,
                message.message,
                message.attempts,
                format_time(message.next)
            ],
        )?;
        let told = "UPDATE alert SET told = ? WHERE seq = ?";
        moment.execute(told, params![moment.time(), message.alert])?;
    }
    Ok(())
}

impl Moment<'_> {
    fn time(&self) -> String {
        format_time(self.now)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        execute(self.connection, sql, values)
    }

    /// The alert that is open on a subject.
    fn open(&self, subject: &Subject) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seq FROM alert WHERE event = ? AND test = ? AND collector = ? AND source = ?";
        let values = params![
            subject.event.as_str(),
            subject.test,
            subject.collector,
            subject.source
        ];
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, |row| row.get(0)).optional())
            .map_err(writing)
    }

    fn enqueue(&self, alert: Option<u64>, phase: &str, about: Option<u64>) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO outbox (alert, phase, about, since, attempts, next) VALUES (?, ?, ?, ?, 0, ?)",
            params![alert, phase, about, self.time(), self.time()],
        )
        .map(drop)
    }
}
