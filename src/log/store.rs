//! A store's files, and reading it. Nothing here writes.
//!
//! | file | what |
//! |---|---|
//! | `evidence.db` | the log, SQLite in WAL mode (`-wal` and `-shm` beside it belong to it) |
//! | `guard` | the newest checkpoint again, apart from the database |
//! | `key` | the signing key, 0600, as C2SP signed-note text |
//! | `cache.db` | answers that sources need not send again unless they changed; no evidence, may be deleted |
//! | `write.lock` | held for one batch by whoever appends |
//! | `daemon.lock` | held for life by the daemon |
//! | `creating` | there only while a store is being made, and nothing in it is acknowledged |
//! | `recovering` | there only while `recover` is at work: what is known of the old log |
//! | `logs/ORIGIN/` | earlier logs that `recover` put away, read-only |
//!
//! The tables of `evidence.db` (`user_version` 1; hashes are 32 bytes, times text as in the leaves):
//!
//! | table | rows |
//! |---|---|
//! | `meta` | `origin`: the log's name |
//! | `leaf` | `seq` from 0, the leaf `hash`, the `bytes` hashed |
//! | `tree` | roots of perfect subtrees: `level` 8, 16 or 24, `position` from 0, `hash` |
//! | `checkpoint` | signed notes by `size`: the newest two, and the last of each UTC day |
//! | `blob` | `sha256` its name, `seq` of the first leaf that names it, `size` of salt and payload, `codec` raw or zstd, the stored `bytes`, `stored_sha256` of those, `payload_sha256` to find an unchanged payload, `row_sha256` over the columns but `bytes` |
//! | `entry` | an index, one row for each leaf, made from the leaf's beginning: `time`, `kind`, `snapshot` it judges, `collector`, `source`, `target` |
//!
//! | `alert` | what goes on now, one row for each alert that is open: `seq` of the leaf that opened it, its `event`, `test`, `collector` and `source` (empty where it has none), `severity`, when it was last `told`, whether somebody has `acknowledged` it |
//! | `alert_target` | the targets for which an open alert goes on |
//! | `outbox` | what is to be told yet: the `alert`, its `phase` (or `look`: whether there is something to tell is to be found out), the leaf it is `about`, `since` when it waits; once it is worded, `channel` and `message` (JSON), how many `attempts` were made, and not before when the `next` is |
//!
//! The last three are no evidence, and change: what they led to stands in `alert` leaves.
//!
//! The views `leaves`, `snapshots`, `failures`, `results` and `alerts` are for people with the `sqlite3` shell.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use std::path::{Path, PathBuf};

use super::blob::{self, Codec};
use super::checkpoint::Origin;
use super::tree::{self, Hash};

mod copying;
mod outbox;
mod reader;
mod walking;

pub use copying::Held;
pub use outbox::{OpenAlert, Posted, ToCompare, Waiting};
pub use reader::{Entry, Evaluated, Filter, Reader};

/// The schema, for documentation and for comparing a store with it.
pub const SCHEMA: &str = include_str!("schema.sql");

/// The schema's version, in SQLite's `user_version`.
pub const SCHEMA_VERSION: i64 = 1;

/// The levels of subtree roots kept in `tree`.
pub const TREE_LEVELS: [u32; 3] = [8, 16, 24];

/// Where a store's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths(PathBuf);

impl Paths {
    /// The store in a folder, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The folder itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// `evidence.db`.
    pub fn database(&self) -> PathBuf {
        self.0.join("evidence.db")
    }

    /// `guard`.
    pub fn guard(&self) -> PathBuf {
        self.0.join("guard")
    }

    /// `cache.db`.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache.db")
    }

    /// `key`.
    pub fn key(&self) -> PathBuf {
        self.0.join("key")
    }

    /// `daemon.lock`.
    pub fn daemon_lock(&self) -> PathBuf {
        self.0.join("daemon.lock")
    }

    /// `write.lock`.
    pub fn write_lock(&self) -> PathBuf {
        self.0.join("write.lock")
    }

    /// `creating`.
    pub fn creating(&self) -> PathBuf {
        self.0.join("creating")
    }

    /// `recovering`.
    pub fn recovering(&self) -> PathBuf {
        self.0.join("recovering")
    }

    /// All files that make up one log.
    pub fn files(&self) -> [PathBuf; 5] {
        let database = self.database();
        let beside = |extension| database.with_extension(extension);
        [
            self.database(),
            beside("db-wal"),
            beside("db-shm"),
            self.guard(),
            self.key(),
        ]
    }

    /// `logs`.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The stores of earlier logs, which `recover` put away, oldest name first.
    pub fn earlier(&self) -> Vec<Self> {
        let folders = |path: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .collect()
        };
        let mut stores: Vec<_> = folders(&self.logs())
            .iter()
            .flat_map(|name| folders(name))
            .map(Self)
            .collect();
        stores.sort_by(|a, b| a.0.cmp(&b.0));
        stores
    }
}

/// A store can't be opened, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no evidence log in {}", .0.display())]
    Absent(PathBuf),
    /// What is there is not a log as it was left: never overwritten, always shown.
    #[error("{0}")]
    Damaged(String),
    /// Made by a later version.
    #[error("the store has schema version {0}, and this program knows {SCHEMA_VERSION}")]
    Newer(i64),
    /// Somebody else is appending, for too long.
    #[error("another process has held {} for {seconds} seconds", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The operating system refused.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// SQLite refused.
    #[error("the database {}", .0)]
    Sqlite(&'static str, #[source] rusqlite::Error),
}

impl StoreError {
    /// For `map_err`: an operating system's error at a path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io(path, error)
    }

    /// Whether this says that the disk has no room left.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io(_, error) => matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ),
            Self::Sqlite(_, error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether this says that the database may be read and not written.
    pub fn is_read_only(&self) -> bool {
        let Self::Sqlite(_, error) = self else {
            return false;
        };
        let code = error.sqlite_error_code();
        code.is_some_and(|code| matches!(code, ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
    }

    /// Whether this says that the evidence is not as it was left, rather than that it can't be reached.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(_, error) => match error.sqlite_error_code() {
                Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
                // What was read is not of the type that the schema says.
                None => true,
            },
            _ => false,
        }
    }
}

/// For `map_err`: reading failed.
pub(super) fn reading(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be read", error)
}

/// Lets statements that are kept keep their plan: else one that is compared with a partial index's condition is planned
/// anew for each value.
pub(super) fn plan_once(connection: &Connection) -> Result<(), StoreError> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
        .map_err(opening)
}

/// For `map_err`: opening failed.
pub(super) fn opening(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be opened", error)
}

/// Refuses what is not a store of this version, and returns its origin.
pub(super) fn check_schema_version(connection: &Connection) -> Result<Origin, StoreError> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(opening)?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer(version));
    }
    if version != SCHEMA_VERSION {
        return Err(StoreError::Damaged(format!(
            "the database has user_version {version}: it is no evidence log"
        )));
    }
    let origin: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'origin'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(reading)?;
    let origin = origin.ok_or_else(|| StoreError::Damaged("the database names no origin".to_owned()))?;
    Origin::parse(&origin)
        .map_err(|_| StoreError::Damaged(format!("the database names the origin {origin:?}")))
}

pub(super) fn size(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT ifnull(max(seq) + 1, 0) FROM leaf")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(reading)
}

pub(super) fn leaf_bytes(connection: &Connection, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
    connection
        .prepare_cached("SELECT bytes FROM leaf WHERE seq = ?")
        .and_then(|mut statement| statement.query_row([seq], |row| row.get(0)).optional())
        .map_err(reading)
}

pub(super) fn payload(connection: &Connection, sha256: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
    let damaged =
        |what: &dyn std::fmt::Display| StoreError::Damaged(format!("blob {}: {what}", hex::encode(sha256)));
    let mut statement = connection
        .prepare_cached("SELECT size, codec, bytes FROM blob WHERE sha256 = ?")
        .map_err(reading)?;
    let mut rows = statement.query([sha256]).map_err(reading)?;
    let Some(row) = rows.next().map_err(reading)? else {
        return Ok(None);
    };
    let codec: String = row.get(1).map_err(reading)?;
    let codec = Codec::parse(&codec).ok_or_else(|| damaged(&"its codec is unknown"))?;
    let bytes: Vec<u8> = row.get(2).map_err(reading)?;
    let size = row.get(0).map_err(reading)?;
    blob::payload(sha256, size, codec, &bytes)
        .map(Some)
        .map_err(|error| damaged(&error))
}

/// The hash of a perfect subtree, from the roots kept and the leaves' hashes.
pub(super) fn subtree(connection: &Connection, level: u32, position: u64) -> Result<Hash, StoreError> {
    let found = if level == 0 {
        connection
            .prepare_cached("SELECT hash FROM leaf WHERE seq = ?")
            .and_then(|mut statement| statement.query_row([position], |row| row.get(0)).optional())
    } else if TREE_LEVELS.contains(&level) {
        connection
            .prepare_cached("SELECT hash FROM tree WHERE level = ? AND position = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([u64::from(level), position], |row| row.get(0))
                    .optional()
            })
    } else {
        let left = subtree(connection, level - 1, position * 2)?;
        return Ok(tree::hash_node(
            &left,
            &subtree(connection, level - 1, position * 2 + 1)?,
        ));
    };
    found.map_err(reading)?.ok_or_else(|| {
        StoreError::Damaged(format!(
            "the hash of the subtree at level {level}, position {position} is missing"
        ))
    })
}
