//! Going on after a store was refused: the old log is put away as it is, and a new one begins that names it.
//!
//! Nothing is mended and nothing deleted. What is known of the old log is written down first (`recovering`), then its
//! files move to `logs/ORIGIN/`, then the new log is made with the recovery as its leaf 1, and only then the note goes.
//! A crash in between leaves the note, without which no new log could be begun silently, and `recover` goes on from it.

use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::append::{Appender, Draft};
use super::checkpoint::{Checkpoint, Origin};
use super::guard::{self, Slot};
use super::leaf::{Body, OldHead, Recovery};
use super::start;
use super::store::{Paths, Reader, StoreError};
use super::verify::Report;
use super::verify_store::verify_store;
use crate::clock::SharedClock;

/// Who recovers, and why.
#[derive(Clone, Debug)]
pub struct Reason {
    /// In the operator's words.
    pub reason: String,
    /// The operating system's name for the user.
    pub recorded_by: String,
}

/// What recovering did.
#[derive(Debug)]
pub enum Recovered {
    /// The store is fine, or there is none: nothing was changed.
    NothingToDo,
    /// A new log was begun.
    Begun {
        /// Where the old log's files are.
        old: PathBuf,
        /// What the new log says about it.
        recovery: Box<Recovery>,
    },
}

#[derive(Serialize, Deserialize)]
struct Note {
    recovery: Recovery,
}

/// Puts the old log away and begins a new one under `name`, if the store is one that [`Appender::open`] refuses.
pub fn recover(
    paths: &Paths,
    name: &str,
    clock: SharedClock,
    reason: &Reason,
) -> Result<Recovered, StoreError> {
    let lock = start::lock(paths)?;
    let recovery = match read_note(paths)? {
        Some(note) => note,
        None => match refusal(paths)? {
            None => return Ok(Recovered::NothingToDo),
            Some(refused) => {
                let recovery = describe(paths, &refused, reason)?;
                let text = serde_json::to_vec(&Note {
                    recovery: recovery.clone(),
                })
                .map_err(|error| StoreError::Io(paths.recovering(), error.into()))?;
                start::write_new(&paths.recovering(), &text)?;
                start::sync_directory(paths.directory())?;
                recovery
            }
        },
    };
    let old = paths.directory().join(&recovery.directory);
    put_away(paths, &old)?;
    drop(lock);
    let draft = Draft::new(Body::Recovery(recovery.clone()));
    drop(Appender::begin(paths, name, clock, Some(draft))?);
    std::fs::remove_file(paths.recovering()).map_err(StoreError::io(paths.recovering()))?;
    start::sync_directory(paths.directory())?;
    Ok(Recovered::Begun {
        old,
        recovery: Box::new(recovery),
    })
}

/// Why the store can't be opened; `None` if it can, or there is none.
fn refusal(paths: &Paths) -> Result<Option<String>, StoreError> {
    let opened = start::needs_creating(paths).and_then(|creating| {
        if creating {
            Ok(())
        } else {
            start::open(paths).map(|_| ())
        }
    });
    match opened {
        Ok(()) => Ok(None),
        Err(error) if error.is_damage() => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// What is known of the old log, before anything is moved.
fn describe(paths: &Paths, refused: &str, reason: &Reason) -> Result<Recovery, StoreError> {
    let report = verify_store(paths, None, &|_, _| {});
    let problems = match &report {
        Ok(report) if !report.problems.is_empty() => report
            .problems
            .iter()
            .take(Recovery::LISTED)
            .map(ToString::to_string)
            .collect(),
        Ok(_) | Err(_) => vec![refused.to_owned()],
    };
    let guard = newest_in_guard(paths);
    let key = start::read_key(&paths.key()).ok();
    let named = Reader::open(paths).ok().map(|reader| reader.origin().clone());
    let origin = named
        .or_else(|| key.map(|key| key.verifier().origin().clone()))
        .or_else(|| guard.as_ref().map(|checkpoint| checkpoint.origin.clone()));
    let directory = if let Some(origin) = &origin {
        format!("logs/{origin}")
    } else {
        let random = |error: getrandom::Error| StoreError::Io(paths.logs(), std::io::Error::other(error));
        format!("logs/{}", Origin::generate("unknown").map_err(random)?)
    };
    let head = |checkpoint: Checkpoint| OldHead {
        size: checkpoint.size,
        root: hex::encode(checkpoint.root),
    };
    Ok(Recovery {
        origin: origin.map(|origin| origin.to_string()),
        directory,
        guard: guard.map(head),
        database: report
            .ok()
            .filter(|report| !report.root.is_empty())
            .map(|report: Report| OldHead {
                size: report.size,
                root: report.root,
            }),
        problems,
        reason: reason.reason.clone(),
        recorded_by: reason.recorded_by.clone(),
    })
}

/// The newest checkpoint in the guard. Its signature is not checked: the log that could tell may be gone.
fn newest_in_guard(paths: &Paths) -> Option<Checkpoint> {
    let slots = guard::parse(&std::fs::read(paths.guard()).ok()?);
    let parsed = slots.into_iter().filter_map(|slot| match slot {
        Slot::Note(note) => note
            .split_once("\n\n")
            .and_then(|(text, _)| Checkpoint::parse(text).ok()),
        Slot::Empty | Slot::Damaged => None,
    });
    parsed.max_by_key(|checkpoint| checkpoint.size)
}

fn read_note(paths: &Paths) -> Result<Option<Recovery>, StoreError> {
    let path = paths.recovering();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::Io(path, error)),
    };
    match serde_json::from_slice::<Note>(&bytes) {
        Ok(note) => Ok(Some(note.recovery)),
        // A crash while it was written: nothing has moved yet, so it is made again.
        Err(_) => Ok(None),
    }
}

/// Moves what is there of the old log; called again after a crash, it moves what is left.
fn put_away(paths: &Paths, old: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(old).map_err(StoreError::io(old))?;
    // The outermost first: each takes its owner from the one that it lies in.
    for folder in [Some(paths.logs().as_path()), old.parent(), Some(old)]
        .into_iter()
        .flatten()
    {
        std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(StoreError::io(folder))?;
        start::hand_over(folder).map_err(StoreError::io(folder))?;
    }
    for file in paths.files() {
        let target = old.join(file.file_name().unwrap_or_default());
        if !file.exists() || target.exists() {
            continue;
        }
        std::fs::set_permissions(&file, Permissions::from_mode(0o400)).map_err(StoreError::io(&file))?;
        std::fs::rename(&file, &target).map_err(StoreError::io(&file))?;
    }
    start::sync_directory(old)?;
    start::sync_directory(paths.directory())
}
