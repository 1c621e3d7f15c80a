//! A consistent copy of a store, made beside running writers.
//!
//! The copy can be verified and read like the store itself. It holds no signing key: whoever has one can make another
//! log, so the key is kept apart from copies, and a copy becomes a store to append to only when the key is put back.

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use super::guard;
use super::start::sync_directory;
use super::store::{Paths, Reader, StoreError, opening, reading};

/// Copies a store into a folder that is empty or does not exist, and returns the copy's checkpoint.
pub fn backup(store: &Paths, directory: &Path) -> Result<String, StoreError> {
    let source = Reader::open(store)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StoreError::io(directory))?;
    let mut entries = std::fs::read_dir(directory).map_err(StoreError::io(directory))?;
    if entries.next().is_some() {
        let error = std::io::Error::other("the folder is not empty, and a backup overwrites nothing");
        return Err(StoreError::Io(directory.to_owned(), error));
    }
    let copy = Paths::new(directory);
    copy_database(&source, &copy)?;
    let checkpoint = Reader::open(&copy)?.checkpoint()?;
    let slot = guard::encode_slot(&checkpoint)
        .ok_or_else(|| StoreError::Damaged("the newest checkpoint does not fit into a guard".to_owned()))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(copy.guard())
        .map_err(StoreError::io(copy.guard()))?;
    let written = file
        .write_all(&slot)
        .and_then(|()| file.set_len(guard::GUARD_SIZE as u64))
        .and_then(|()| file.sync_all());
    written.map_err(StoreError::io(copy.guard()))?;
    for earlier in store.earlier() {
        let below = earlier
            .directory()
            .strip_prefix(store.directory())
            .unwrap_or(earlier.directory());
        copy_files(earlier.directory(), &directory.join(below))?;
    }
    sync_directory(directory)?;
    Ok(checkpoint)
}

/// One step copies everything under one read transaction, which does not block writers.
fn copy_database(source: &Reader, copy: &Paths) -> Result<(), StoreError> {
    let mut target = Connection::open(copy.database()).map_err(opening)?;
    let backup = Backup::new(source.connection(), &mut target).map_err(reading)?;
    loop {
        match backup.step(-1).map_err(reading)? {
            StepResult::Done => break,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| reading(error))?;
    let file = File::open(copy.database()).map_err(StoreError::io(copy.database()))?;
    file.sync_all().map_err(StoreError::io(copy.database()))
}

/// Copies an earlier log, which nobody writes any more; its key stays where it is.
fn copy_files(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)
        .map_err(StoreError::io(to))?;
    for entry in std::fs::read_dir(from).map_err(StoreError::io(from))? {
        let entry = entry.map_err(StoreError::io(from))?;
        if entry.file_name() != "key" {
            let target = to.join(entry.file_name());
            std::fs::copy(entry.path(), &target).map_err(StoreError::io(&target))?;
        }
    }
    sync_directory(to)
}
