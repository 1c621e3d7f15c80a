//! What is told: finished words and plain facts, so that every channel tells the same, and a repetition is the same to
//! the letter.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::Severity;
use crate::log::leaf::Event;

/// One message to one channel, as it waits in the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Names this message: the same at each attempt, and never that of another. A receiver that has seen it may drop it.
    pub key: String,
    /// Names what it is about: the same in every message of one alert, on every channel. The log's origin, a slash and
    /// the alert's position in the log.
    pub alert: String,
    /// What has become of it.
    pub phase: Phase,
    /// What happened.
    pub event: Event,
    /// How bad it is.
    pub severity: Severity,
    /// When the alert was opened.
    pub since: DateTime<Utc>,
    /// When what this message tells was recorded.
    pub at: DateTime<Utc>,
    /// The source concerned, if it is one.
    pub source: Option<String>,
    /// The test concerned, if it is one.
    pub test: Option<String>,
    /// One line, without markup.
    pub title: String,
    /// All of it for a person: lines without markup.
    pub text: String,
    /// The same as a whole HTML document.
    pub html: String,
    /// The same for programs: what the templates were given.
    pub facts: Value,
}

/// What has become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It begins.
    Opened,
    /// It goes on, and is about more resources than was told.
    Grown,
    /// It goes on, and nobody has acknowledged it.
    Reminder,
    /// Somebody has acknowledged it.
    Acknowledged,
    /// It is over.
    Closed,
    /// Nothing that goes on: it is told once.
    Notice,
    /// Several in one, or the week's.
    Digest,
    /// A person tries the channel.
    Trial,
}

impl Phase {
    /// Its name in leaves, templates and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grown => "grown",
            Self::Reminder => "reminder",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
            Self::Notice => "notice",
            Self::Digest => "digest",
            Self::Trial => "trial",
        }
    }
}
