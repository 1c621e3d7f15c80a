//! Making a store, so that a crash at any point leaves either no store or a whole one.

use rusqlite::Connection;
use secrecy::ExposeSecret as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::super::checkpoint::{Origin, Signer};
use super::super::guard::GUARD_SIZE;
use super::super::store::{Paths, SCHEMA, SCHEMA_VERSION, StoreError};
use super::{open_database, open_guard};

/// `EVDN` in hex: lets `file` and SQLite tell our databases from others.
const APPLICATION_ID: i64 = 0x4556_444e;

/// Makes the store's folder, readable by its owner only.
pub(in crate::log) fn make_directory(paths: &Paths) -> Result<(), StoreError> {
    let directory = paths.directory();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StoreError::io(directory))
}

/// Flushes the folders that lead to the store, since any of them may have been made for it: by a process that died
/// before it could flush them, perhaps.
fn sync_ancestors(directory: &Path) -> Result<(), StoreError> {
    let directory = directory.canonicalize().map_err(StoreError::io(directory))?;
    let device = |path: &Path| {
        path.metadata()
            .map(|found| found.dev())
            .map_err(StoreError::io(path))
    };
    let own = device(&directory)?;
    for folder in directory.ancestors().skip(1) {
        if device(folder)? != own {
            break;
        }
        match sync_directory(folder) {
            // We may pass through folders that we may not list, and did not make those.
            Err(StoreError::Io(_, error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            flushed => flushed?,
        }
    }
    Ok(())
}

/// Whether a store has to be made: there is none, or its maker died before it was done. Refuses half a store.
pub(in crate::log) fn needs_creating(paths: &Paths) -> Result<bool, StoreError> {
    let present = |path: &Path| path.try_exists().map_err(StoreError::io(path));
    if present(&paths.creating())? {
        return Ok(true);
    }
    let files = [paths.database(), paths.guard(), paths.key()];
    let mut missing = Vec::new();
    for file in &files {
        if !present(file)? {
            missing.push(
                file.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    if missing.is_empty() || missing.len() == files.len() {
        return Ok(!missing.is_empty());
    }
    Err(StoreError::Damaged(format!(
        "{} missing from {}",
        missing.join(" and "),
        paths.directory().display()
    )))
}

/// Puts an empty store in place and returns its signer: the caller appends leaf 0, then calls [`created`].
pub(in crate::log) fn create(paths: &Paths, name: &str) -> Result<(Connection, File, Signer), StoreError> {
    let marker = paths.creating();
    sync_ancestors(paths.directory())?;
    if marker.exists() {
        refuse_to_discard_a_log(paths)?;
    }
    write_new(
        &marker,
        b"this store is being made; nothing in it has been acknowledged\n",
    )?;
    sync_directory(paths.directory())?;
    for file in paths.files() {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Io(file, error));
            }
            _ => {}
        }
    }
    let random = |error: getrandom::Error| StoreError::Io(paths.key(), std::io::Error::other(error));
    let signer = Signer::generate(Origin::generate(name).map_err(random)?).map_err(random)?;
    write_new(&paths.key(), signer.to_secret().expose_secret().as_bytes())?;
    write_new(&paths.guard(), &[0; GUARD_SIZE])?;
    write_new(&paths.database(), b"")?;
    let connection = open_database(paths)?;
    connection.execute_batch(SCHEMA).map_err(creating)?;
    connection
        .execute(
            "INSERT INTO meta VALUES ('origin', ?)",
            [signer.verifier().origin().as_str()],
        )
        .map_err(creating)?;
    connection
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(creating)?;
    connection
        .pragma_update(None, "user_version", SCHEMA_VERSION)
        .map_err(creating)?;
    sync_directory(paths.directory())?;
    Ok((connection, open_guard(paths)?, signer))
}

/// The new store's first leaves are in the log and the guard: from here on it is a log.
pub(in crate::log) fn created(paths: &Paths) -> Result<(), StoreError> {
    let marker = paths.creating();
    std::fs::remove_file(&marker).map_err(StoreError::io(&marker))?;
    // A marker that came back would let the next start make the store anew.
    if marker.try_exists().map_err(StoreError::io(&marker))? {
        let error = std::io::Error::other("the file was removed and is still there");
        return Err(StoreError::Io(marker, error));
    }
    sync_directory(paths.directory())
}

/// The marker must not be a way to make a grown log vanish.
fn refuse_to_discard_a_log(paths: &Paths) -> Result<(), StoreError> {
    let grown = Connection::open(paths.database()).and_then(|connection| {
        connection.query_row("SELECT max(seq) FROM leaf", [], |row| {
            row.get::<_, Option<u64>>(0)
        })
    });
    match grown {
        Ok(Some(last)) if last > 1 => Err(StoreError::Damaged(format!(
            "{} says that this store is being made, and yet it holds a log of {} leaves",
            paths.creating().display(),
            last + 1
        ))),
        _ => Ok(()),
    }
}

/// Writes a file, 0600, flushed and read back by its name: a store must not begin on a write that was lost.
pub(in crate::log) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if std::fs::read(path)? == bytes {
            Ok(())
        } else {
            Err(std::io::Error::other(
                "the file does not hold what was written to it",
            ))
        }
    };
    written().map_err(StoreError::io(path))
}

/// A file's name is durable only once its folder is flushed.
pub(in crate::log) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(StoreError::io(directory))
}

fn creating(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be made", error)
}
