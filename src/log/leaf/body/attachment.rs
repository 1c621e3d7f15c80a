//! Evidence that people bring: the file is in the leaf's `file` blob.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// That a file is evidence for controls or criteria.
///
/// It counts as given when it was sealed, whatever days it covers: those are what whoever recorded it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The controls that it is evidence for, by id.
    pub controls: Vec<String>,
    /// The criteria that it is evidence for beside those that the controls serve, by number.
    pub criteria: Vec<String>,
    /// What it is.
    pub title: String,
    /// The days that it speaks for.
    pub covers: Days,
    /// The file's name, without folders.
    pub file: String,
    /// Who made it, as recorded.
    pub prepared_by: String,
    /// Who approved it, as recorded: somebody else.
    pub approved_by: String,
    /// The operating system's name for the user who recorded it.
    pub recorded_by: String,
    /// What an auditor should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Attachment {
    /// Whether the one who approved it is the one who made it, as far as names tell.
    pub fn is_self_approved(&self) -> bool {
        is_same_person(&self.prepared_by, &self.approved_by)
    }
}

/// Whether two names are of the same person, as far as names tell.
pub fn is_same_person(a: &str, b: &str) -> bool {
    let words = |name: &str| -> Vec<String> { name.split_whitespace().map(str::to_lowercase).collect() };
    words(a) == words(b)
}

/// Days, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to } = self;
        if from == to {
            write!(f, "{from}")
        } else {
            write!(f, "{from} to {to}")
        }
    }
}
