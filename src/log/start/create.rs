//! Making a store, so that a crash at any point leaves either no store or a whole one.

use rusqlite::Connection;
use rustix::fs::{Gid, OFlags, Uid};
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
        hand_over(path)?;
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

/// Gives what root made in a folder to the folder's owner, who could not go on with it otherwise: root may append to the
/// store of a daemon that runs without rights.
pub fn hand_over(made: &Path) -> std::io::Result<()> {
    let Some(folder) = made.parent().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let owner = folder.metadata()?;
    // Whose folder it is may have put a link there, to be given what it leads to.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(made)?;
    let own = file.metadata()?;
    if own.uid() != 0 || (own.uid(), own.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    if own.is_file() && own.nlink() > 1 {
        let what = "it has another name, which may lead to what is not the store's";
        return Err(std::io::Error::other(what));
    }
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    Ok(rustix::fs::fchown(&file, Some(user), Some(group))?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    #[test]
    fn root_gives_away_what_it_made_and_nothing_that_a_link_leads_to() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("NOT TRIED: only root can give files away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (roots, store) = (folder.path().join("root's"), folder.path().join("store"));
        std::fs::create_dir(&store).unwrap();
        chown(&store, Some(65_532), Some(65_531)).unwrap();
        let owner = |path: &Path| {
            let found = path.metadata().unwrap();
            (found.uid(), found.gid())
        };
        for path in [&roots, &store.join("guard")] {
            write_new(path, b"text").unwrap();
        }
        assert_eq!(owner(&roots), (0, 0));
        assert_eq!(owner(&store.join("guard")), (65_532, 65_531));
        symlink(&roots, store.join("soft")).unwrap();
        hand_over(&store.join("soft")).unwrap_err();
        std::fs::hard_link(&roots, store.join("hard")).unwrap();
        hand_over(&store.join("hard")).unwrap_err();
        assert_eq!(owner(&roots), (0, 0));
    }
}
