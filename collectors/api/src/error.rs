//! Why nothing could be collected.

use serde::{Deserialize, Serialize};

/// The classes of failure that a reader of the log can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The source does not know who we are.
    Auth,
    /// It does, and refuses.
    Permission,
    /// It asks us to slow down.
    RateLimited,
    /// It can't be reached, or says that it is broken.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// It answered something that is not what it documents.
    InvalidResponse,
    /// The fault is ours.
    Internal,
}

/// Nothing could be collected. Display is our own words and may be shown and sealed: no secrets, no personal data.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CollectError {
    /// What kind of failure.
    pub class: FailureClass,
    /// A fragment that fits after "failed to collect: ", at most 1 KiB.
    pub message: String,
    /// Whether trying again within the hour can help.
    pub retryable: bool,
    /// What the vendor's library said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CollectError {
    /// An error of a class, retryable as that class usually is.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        let retryable = matches!(
            class,
            FailureClass::RateLimited | FailureClass::Unavailable | FailureClass::Timeout
        );
        let mut message = message.into();
        if message.len() > 1024 {
            message.truncate(message.floor_char_boundary(1021));
            message.push('…');
        }
        Self {
            class,
            message,
            retryable,
            source: None,
        }
    }

    /// The source answered something that is not what it documents.
    pub fn invalid_response(message: impl Into<String>) -> Self {
        Self::new(FailureClass::InvalidResponse, message)
    }

    /// Keeps what the vendor's library said as the source.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_to_one_kibibyte_at_a_character() {
        let error = CollectError::new(FailureClass::Internal, "ä".repeat(2000));
        assert!(error.message.len() <= 1024);
        assert!(error.message.ends_with('…'));
    }
}
