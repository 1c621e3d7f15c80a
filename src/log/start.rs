//! Opening a store to append: making it where there is none, and the checks that come before the first new leaf.
//!
//! The same path serves the first start, every later one, and what a crash left behind. The order of a batch is
//! commit, guard, acknowledgement, so after a crash the database may be ahead of the guard by one batch: then the
//! guard is moved. Anything else that does not fit together is refused, since it can only come from tampering, a
//! restored copy or a broken disk, and `recover` then keeps what there is.

use rusqlite::{Connection, OptionalExtension as _, params};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Origin, Signer, VerifierKey};
use super::guard::{self, Slot};
use super::leaf::{self, Body};
use super::schema;
use super::store::{self, Held, Paths, Reader, StoreError, opening, reading};
use super::tree::{self, Frontier, Hash};

mod create;

pub use create::hand_over;
pub(in crate::log) use create::{create, created, make_directory, needs_creating, sync_directory, write_new};

/// How long an appender waits for another process's batch, in seconds.
const LOCK_SECONDS: u64 = 60;

/// The end of the log: all that the next leaf depends on.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) frontier: Frontier,
    pub(super) last_hash: Hash,
    pub(super) checkpoint: String,
}

/// An open store with everything that appending needs.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) guard: File,
    pub(super) guard_slots: [Slot; 2],
    pub(super) signer: Signer,
    pub(super) head: Head,
    /// SQLite's `data_version` when the head was read: another one means that another process has written.
    pub(super) version: i64,
}

/// Takes `write.lock`, which must be held to call anything below. It is given back when the file is dropped.
pub(super) fn lock(paths: &Paths) -> Result<File, StoreError> {
    let path = paths.write_lock();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io(&path))?;
    hand_over(&path).map_err(StoreError::io(&path))?;
    for _ in 0..LOCK_SECONDS * 200 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::Error(error)) => return Err(StoreError::Io(path, error)),
        }
    }
    Err(StoreError::Locked {
        path,
        seconds: LOCK_SECONDS,
    })
}

/// Opens an existing store and checks that database, guard and key fit together.
pub(super) fn open(paths: &Paths) -> Result<Opened, StoreError> {
    let connection = open_database(paths)?;
    let origin = store::check_schema_version(&connection)?;
    // A trigger could drop a row that is about to be acknowledged.
    if let Some(difference) = schema::differences(&connection)?.first() {
        return Err(StoreError::Damaged(format!(
            "the schema was changed: {difference}"
        )));
    }
    let key = log_key(&connection, &origin)?;
    let signer = read_key(&paths.key())?;
    if *signer.verifier() != key {
        return Err(StoreError::Damaged(format!(
            "the key in {} is not the one this log was begun with ({key})",
            paths.key().display()
        )));
    }
    let head = load_head(&connection, &key)?;
    let guard = open_guard(paths)?;
    let slots = guard::read(&guard).map_err(StoreError::io(paths.guard()))?;
    let version = data_version(&connection)?;
    let mut opened = Opened {
        connection,
        guard,
        guard_slots: slots,
        signer,
        head,
        version,
    };
    match position(
        &opened.connection,
        &key,
        &opened.guard_slots,
        &opened.head.checkpoint,
    )? {
        Position::Level => {}
        Position::OneBatchBehind => opened.move_guard().map_err(StoreError::io(paths.guard()))?,
        Position::Refused(why) => return Err(StoreError::Damaged(why)),
    }
    Ok(opened)
}

/// A number that changes when another connection writes.
pub(super) fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .prepare_cached("PRAGMA data_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(store::reading)
}

/// The checks of an appender, for a reader: that database and guard fit together, by the end of the log alone.
pub fn check_end(reader: &Reader) -> Result<(), StoreError> {
    hold(reader).map(drop)
}

/// Holds what a reader sees, checked as by [`check_end`].
pub fn hold(reader: &Reader) -> Result<Held<'_>, StoreError> {
    let connection = reader.connection();
    let key = log_key(connection, reader.origin())?;
    let path = reader.paths().guard();
    let file = File::open(&path).map_err(StoreError::io(&path))?;
    let read = || guard::read(&file).map_err(StoreError::io(&path));
    loop {
        // The guard comes behind the database: read after what is held, it could be ahead of that.
        let slots = read()?;
        let held = reader.hold()?;
        let end = load_head(connection, &key)?;
        match position(connection, &key, &slots, &end.checkpoint)? {
            Position::Level | Position::OneBatchBehind => return Ok(held),
            // Who appends has gone on by more than a batch since.
            Position::Refused(_) if read()? != slots => {}
            Position::Refused(why) => return Err(StoreError::Damaged(why)),
        }
    }
}

/// The key that verifies a store's log, as leaf 0 names it.
pub fn verifier_key(reader: &Reader) -> Result<VerifierKey, StoreError> {
    log_key(reader.connection(), reader.origin())
}

/// The signing key beside a log, which must be the one that leaf 0 names; returns its public half.
pub fn check_key(reader: &Reader) -> Result<VerifierKey, StoreError> {
    let signer = read_key(&reader.paths().key())?;
    let key = verifier_key(reader)?;
    if *signer.verifier() == key {
        Ok(key)
    } else {
        Err(StoreError::Damaged("the signing key is another log's".to_owned()))
    }
}

impl Opened {
    /// Writes the head's checkpoint over the older slot, and flushes it.
    pub(super) fn move_guard(&mut self) -> std::io::Result<()> {
        let size = |slot: &Slot| match slot {
            Slot::Note(note) => note
                .split_once("\n\n")
                .and_then(|(text, _)| Checkpoint::parse(text).ok())
                .map(|c| c.size),
            Slot::Empty | Slot::Damaged => None,
        };
        let older = usize::from(size(&self.guard_slots[0]) > size(&self.guard_slots[1]));
        guard::write_slot(&self.guard, older, &self.head.checkpoint)?;
        self.guard_slots[older] = Slot::Note(self.head.checkpoint.clone());
        Ok(())
    }
}

/// How the guard stands to the database.
pub(super) enum Position {
    /// Both hold the same checkpoint.
    Level,
    /// A batch was committed and its guard entry not written: what a crash leaves.
    OneBatchBehind,
    /// Neither, and why.
    Refused(String),
}

/// Compares the guard with the newest checkpoints of the database.
pub(super) fn position(
    connection: &Connection,
    key: &VerifierKey,
    slots: &[Slot; 2],
    newest: &str,
) -> Result<Position, StoreError> {
    let head = key
        .verify(newest)
        .map_err(|error| StoreError::Damaged(format!("the newest checkpoint: {error}")))?;
    let mut notes = Vec::new();
    for slot in slots {
        if let Slot::Note(note) = slot {
            match key.verify(note) {
                Ok(checkpoint) => notes.push(checkpoint),
                Err(error) => {
                    return Ok(Position::Refused(format!(
                        "the guard holds a checkpoint that is not this log's: {error}"
                    )));
                }
            }
        }
    }
    let torn = slots.contains(&Slot::Damaged);
    let Some(guard) = notes.into_iter().max_by_key(|checkpoint| checkpoint.size) else {
        let why = if torn {
            "the guard is damaged"
        } else {
            "the guard is empty"
        };
        return Ok(Position::Refused(why.to_owned()));
    };
    let sizes = format!(
        "the guard knows {} leaves, the database holds {}",
        guard.size, head.size
    );
    if guard.size > head.size {
        return Ok(Position::Refused(format!(
            "{sizes}: leaves are missing, or an older copy was put in place"
        )));
    }
    if guard == head && torn {
        let why =
            "one half of the guard is damaged while the other matches the database: not what a crash leaves";
        return Ok(Position::Refused(why.to_owned()));
    }
    if guard == head {
        return Ok(Position::Level);
    }
    let before: Option<String> = connection
        .query_row(
            "SELECT note FROM checkpoint WHERE size < ? ORDER BY size DESC LIMIT 1",
            [head.size],
            |row| row.get(0),
        )
        .optional()
        .map_err(reading)?;
    let before = before.and_then(|note| key.verify(&note).ok());
    let root = root_at(connection, guard.size)?;
    if root != guard.root {
        return Ok(Position::Refused(format!(
            "the guard's {} leaves are not the ones that the database begins with: the log was rewritten or replaced",
            guard.size
        )));
    }
    if before.as_ref() == Some(&guard) {
        return Ok(Position::OneBatchBehind);
    }
    Ok(Position::Refused(format!(
        "{sizes}, more than one batch apart: the guard was replaced by an older copy"
    )))
}

/// The root over the first leaves of a database.
pub(super) fn root_at(connection: &Connection, size: u64) -> Result<Hash, StoreError> {
    Frontier::load(size, |level, position| {
        store::subtree(connection, level, position)
    })
    .map(|frontier| frontier.root())
}

/// Reads the end of the log and checks it against the newest checkpoint.
pub(super) fn load_head(connection: &Connection, key: &VerifierKey) -> Result<Head, StoreError> {
    let size = store::size(connection)?;
    let note: Option<String> = connection
        .query_row(
            "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(reading)?;
    let note = note.ok_or_else(|| StoreError::Damaged("the database holds no checkpoint".to_owned()))?;
    let checkpoint = key
        .verify(&note)
        .map_err(|error| StoreError::Damaged(format!("the newest checkpoint: {error}")))?;
    let frontier = Frontier::load(size, |level, position| {
        store::subtree(connection, level, position)
    })?;
    if checkpoint.size != size || checkpoint.root != frontier.root() {
        return Err(StoreError::Damaged(format!(
            "the newest checkpoint is for {} leaves, and the database holds {size} that differ from it",
            checkpoint.size
        )));
    }
    let last = size
        .checked_sub(1)
        .ok_or_else(|| StoreError::Damaged("the log is empty".to_owned()))?;
    let last_hash = store::subtree(connection, 0, last)?;
    let bytes = store::leaf_bytes(connection, last)?.unwrap_or_default();
    if tree::hash_leaf(&bytes) != last_hash {
        return Err(StoreError::Damaged(format!(
            "leaf {last} does not have the hash that is stored for it"
        )));
    }
    Ok(Head {
        frontier,
        last_hash,
        checkpoint: note,
    })
}

/// The key that leaf 0 names.
pub(super) fn log_key(connection: &Connection, origin: &Origin) -> Result<VerifierKey, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("leaf 0 {what}"));
    let bytes = store::leaf_bytes(connection, 0)?.ok_or_else(|| damaged("is missing".to_owned()))?;
    let leaf = leaf::decode(&bytes).map_err(|error| damaged(format!("can't be read: {error}")))?;
    let Some(Body::Key(body)) = leaf.body else {
        return Err(damaged("names no key".to_owned()));
    };
    let key =
        VerifierKey::parse(&body.key).map_err(|error| damaged(format!("names a malformed key: {error}")))?;
    if key.origin() == origin {
        Ok(key)
    } else {
        Err(damaged(format!("is of another log than {origin}")))
    }
}

/// Reads the signing key.
pub(super) fn read_key(path: &Path) -> Result<Signer, StoreError> {
    let text = std::fs::read_to_string(path).map_err(StoreError::io(path))?;
    Signer::parse(&text.into()).map_err(|error| StoreError::Damaged(format!("{}: {error}", path.display())))
}

fn open_guard(paths: &Paths) -> Result<File, StoreError> {
    let path = paths.guard();
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(StoreError::io(&path))
}

fn open_database(paths: &Paths) -> Result<Connection, StoreError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(paths.database(), flags).map_err(opening)?;
    connection
        .busy_timeout(Duration::from_secs(10))
        .map_err(opening)?;
    store::plan_once(&connection)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384;",
        )
        .map_err(opening)?;
    let synchronous: i64 = connection
        .query_row("PRAGMA synchronous", params![], |row| row.get(0))
        .map_err(opening)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode", params![], |row| row.get(0))
        .map_err(opening)?;
    if synchronous != 2 || mode != "wal" {
        return Err(StoreError::Damaged(format!(
            "the database runs with journal mode {mode}, synchronous {synchronous}"
        )));
    }
    Ok(connection)
}
