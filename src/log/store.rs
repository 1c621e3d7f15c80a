//! A store's files, and reading it. Nothing here writes.
//!
//! | file | what |
//! |---|---|
//! | `evidence.db` | the log, SQLite in WAL mode (`-wal` and `-shm` beside it belong to it) |
//! | `guard` | the newest checkpoint again, apart from the database |
//! | `key` | the signing key, 0600, as C2SP signed-note text |
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
//! The views `leaves`, `snapshots`, `failures` and `results` are for people with the `sqlite3` shell.

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};
use std::path::{Path, PathBuf};

use super::blob::{self, Codec};
use super::checkpoint::Origin;
use super::leaf::{self, Leaf};
use super::tree::{self, Hash};

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

    /// `key`.
    pub fn key(&self) -> PathBuf {
        self.0.join("key")
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

/// A store, to read. It has no way to write.
pub struct Reader {
    connection: Connection,
    paths: Paths,
    origin: Origin,
}

/// One row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leaf's position.
    pub seq: u64,
    /// When it was appended.
    pub time: String,
    /// The kind's name.
    pub kind: String,
    /// The collector's id, where the leaf has one.
    pub collector: Option<String>,
    /// The source's name, where the leaf has one.
    pub source: Option<String>,
    /// The target's name, where the leaf has one.
    pub target: Option<String>,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// From this time on, as text in the leaves' form.
    pub from: Option<String>,
    /// Before this time.
    pub to: Option<String>,
    /// Only these kinds; all if empty.
    pub kinds: Vec<String>,
    /// Only this collector.
    pub collector: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Only this target.
    pub target: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<u64>,
}

/// What a collector, source and target are called together.
pub type Scope = (String, String, Option<String>);

impl Reader {
    /// Opens the store for reading. It may be on a read-only medium.
    pub fn open(paths: &Paths) -> Result<Self, StoreError> {
        if !paths.database().exists() {
            let begun = paths.guard().exists() || paths.key().exists();
            if !begun || paths.creating().exists() {
                return Err(StoreError::Absent(paths.directory().to_owned()));
            }
            // No longer being made: by now it is there.
            if paths.database().exists() {
                return Self::open(paths);
            }
            let missing = format!("{} is missing", paths.database().display());
            return Err(StoreError::Damaged(missing));
        }
        // In this order: where the database is and the marker is not, the store is finished.
        if paths.creating().exists() {
            refuse_unfinished(paths)?;
        }
        let connection = open_read_only(paths)?;
        let origin = check_schema_version(&connection)?;
        Ok(Self {
            connection,
            paths: paths.clone(),
            origin,
        })
    }

    /// The log's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where the files are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How many leaves there are.
    pub fn size(&self) -> Result<u64, StoreError> {
        size(&self.connection)
    }

    /// The bytes of a leaf.
    pub fn leaf_bytes(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        leaf_bytes(&self.connection, seq)
    }

    /// A leaf.
    pub fn leaf(&self, seq: u64) -> Result<Option<Leaf>, StoreError> {
        let Some(bytes) = self.leaf_bytes(seq)? else {
            return Ok(None);
        };
        leaf::decode(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged(format!("leaf {seq} is not a leaf of format v1: {error}")))
    }

    /// A blob's payload, checked against its name; `None` if the store does not have it.
    pub fn payload(&self, sha256: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        payload(&self.connection, sha256)
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> Result<String, StoreError> {
        self.connection
            .query_row(
                "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(reading)?
            .ok_or_else(|| StoreError::Damaged("the store holds no checkpoint".to_owned()))
    }

    /// The audit path of a leaf in the tree of `size` leaves.
    pub fn inclusion_proof(&self, seq: u64, size: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        tree::inclusion_proof(seq, size, |level, position| {
            subtree(&self.connection, level, position)
        })
    }

    /// Entries that match, oldest first.
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
        let mut clauses = vec!["1".to_owned()];
        let mut values: Vec<String> = Vec::new();
        let columns = [
            ("time >=", &filter.from),
            ("time <", &filter.to),
            ("collector =", &filter.collector),
            ("source =", &filter.source),
            ("target =", &filter.target),
        ];
        for (clause, value) in columns {
            if let Some(value) = value {
                clauses.push(format!("{clause} ?"));
                values.push(value.clone());
            }
        }
        if !filter.kinds.is_empty() {
            clauses.push(format!("kind IN ({})", vec!["?"; filter.kinds.len()].join(",")));
            values.extend(filter.kinds.iter().cloned());
        }
        let limit = filter
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT seq, time, kind, collector, source, target FROM entry WHERE {} ORDER BY seq DESC LIMIT {limit}",
            clauses.join(" AND ")
        );
        let mut statement = self.connection.prepare(&sql).map_err(reading)?;
        let rows = statement
            .query_map(rusqlite::params_from_iter(values), to_entry)
            .map_err(reading)?;
        let mut entries = rows.collect::<Result<Vec<_>, _>>().map_err(reading)?;
        entries.reverse();
        Ok(entries)
    }

    /// The newest leaf of a kind: of a scope, or of a kind that has none, such as `plan`.
    pub fn newest(
        &self,
        kind: &str,
        scope: Option<(&str, &str, Option<&str>)>,
    ) -> Result<Option<u64>, StoreError> {
        let found = match scope {
            None => {
                let sql =
                    "SELECT max(seq) FROM entry WHERE kind = ? AND collector IS NULL AND snapshot IS NULL";
                self.connection.query_row(sql, [kind], |row| row.get(0))
            }
            Some((collector, source, target)) => {
                let sql = "SELECT max(seq) FROM entry WHERE collector = ? AND source = ? AND target IS ? AND kind = ?";
                self.connection
                    .query_row(sql, params![collector, source, target, kind], |row| row.get(0))
            }
        };
        found.map_err(reading)
    }

    /// The newest evaluation of a snapshot.
    pub fn evaluation_of(&self, snapshot: u64) -> Result<Option<u64>, StoreError> {
        self.connection
            .query_row(
                "SELECT max(seq) FROM entry WHERE snapshot = ?",
                [snapshot],
                |row| row.get(0),
            )
            .map_err(reading)
    }

    /// Every collector, source and target that the log speaks of, found by steps through the index.
    pub fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        let next_pair = "SELECT collector, source FROM entry WHERE collector IS NOT NULL AND \
                         (collector, source) > (?, ?) ORDER BY collector, source LIMIT 1";
        let untargeted = "SELECT 1 FROM entry WHERE collector = ? AND source = ? AND target IS NULL LIMIT 1";
        let next_target = "SELECT target FROM entry WHERE collector = ? AND source = ? AND target > ? ORDER BY target LIMIT 1";
        let one = |sql, values: &[&str], columns: usize| -> Result<Option<Vec<String>>, StoreError> {
            let mut statement = self.connection.prepare_cached(sql).map_err(reading)?;
            let row = statement.query_row(rusqlite::params_from_iter(values), |row| {
                (0..columns).map(|column| row.get(column)).collect()
            });
            row.optional().map_err(reading)
        };
        let mut scopes = Vec::new();
        let mut pair = vec![String::new(), String::new()];
        while let Some(next) = one(next_pair, &[&pair[0], &pair[1]], 2)? {
            pair = next;
            let (collector, source) = (&pair[0], &pair[1]);
            if one(untargeted, &[collector, source], 0)?.is_some() {
                scopes.push((collector.clone(), source.clone(), None));
            }
            let mut target = String::new();
            while let Some(next) = one(next_target, &[collector, source, &target], 1)? {
                target.clone_from(&next[0]);
                scopes.push((collector.clone(), source.clone(), Some(target.clone())));
            }
        }
        Ok(scopes)
    }

    /// Snapshots that nothing has judged, oldest first.
    pub fn unjudged(&self) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT seq FROM entry AS s WHERE kind = 'snapshot' AND NOT EXISTS \
                   (SELECT 1 FROM entry AS e WHERE e.snapshot = s.seq) ORDER BY seq";
        let mut statement = self.connection.prepare(sql).map_err(reading)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(reading)?;
        rows.collect::<Result<_, _>>().map_err(reading)
    }
}

/// For `map_err`: reading failed.
pub(super) fn reading(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be read", error)
}

/// A store that is being made is not there yet; unless it has grown, and so was finished long ago.
fn refuse_unfinished(paths: &Paths) -> Result<(), StoreError> {
    // Without locks, which would disturb whoever is making it.
    let held = open_immutable(&paths.database()).and_then(|connection| size(&connection));
    match held {
        // Finished while we looked.
        _ if !paths.creating().exists() => Ok(()),
        Ok(held) if held > 2 => Err(StoreError::Damaged(format!(
            "{} says that this store is being made, and yet it holds a log of {held} leaves",
            paths.creating().display()
        ))),
        _ => Err(StoreError::Absent(paths.directory().to_owned())),
    }
}

const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
    .union(OpenFlags::SQLITE_OPEN_URI);

fn open_read_only(paths: &Paths) -> Result<Connection, StoreError> {
    let path = paths.database();
    let connection = Connection::open_with_flags(&path, READ_ONLY).map_err(opening)?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(opening)?;
    let readable = connection
        .query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(()))
        .optional();
    let blocked = readable.is_err() && !path.with_extension("db-wal").exists();
    let connection = if blocked {
        // No write-ahead log is there and none can be made: a read-only medium.
        open_immutable(&path)?
    } else {
        connection
    };
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
        .map_err(opening)?;
    Ok(connection)
}

/// Opens a database that SQLite is told nobody writes: it takes no locks and looks for no write-ahead log.
fn open_immutable(path: &Path) -> Result<Connection, StoreError> {
    let text = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Connection::open_with_flags(format!("file:{text}?immutable=1"), READ_ONLY).map_err(opening)
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
    let mut buffer = Vec::new();
    let mut decompressor = zstd::bulk::Decompressor::new().map_err(|error| damaged(&error))?;
    let size = row.get(0).map_err(reading)?;
    let payload = blob::open(sha256, size, codec, &bytes, &mut buffer, &mut decompressor);
    payload
        .map(|payload| Some(payload.to_vec()))
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

fn to_entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get(0)?,
        time: row.get(1)?,
        kind: row.get(2)?,
        collector: row.get(3)?,
        source: row.get(4)?,
        target: row.get(5)?,
    })
}
