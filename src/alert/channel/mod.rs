//! Channels: one file for each kind of receiver.

use async_trait::async_trait;
use std::time::Duration;

use super::message::Message;

/// Hands messages to one receiver.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends one message, once. `reference` is what this receiver called the alert when it took an earlier message about
    /// it: a ticket's number.
    async fn send(&self, message: &Message, reference: Option<&str>) -> Result<Sent, SendError>;
}

/// A message was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What the receiver answered, in a line of at most 200 characters, without secrets.
    pub answer: String,
    /// What it calls the alert, where it gives it a name of its own: a ticket's number.
    pub reference: Option<String>,
}

/// A message was not taken, or nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SendError {
    /// Why, in a line of at most 200 characters, without secrets.
    pub what: String,
    /// Whether trying again can help.
    pub again: Again,
}

/// Whether and when a message is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would be refused again.
    Never,
    /// After a while.
    Later,
    /// Not before this has passed, as the receiver said.
    After(Duration),
}
