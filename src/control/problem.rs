//! What is wrong with a file of tests and controls.

use std::ops::Range;

/// One thing that is wrong, for the person who wrote the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Where, as a byte range of the file's text; none where no text is at hand.
    pub span: Option<Range<usize>>,
}

impl Problem {
    pub(super) fn at(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            span: Some(span),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
