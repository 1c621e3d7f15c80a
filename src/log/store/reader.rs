//! Reading a store: leaves, payloads, and the index. It has no way to write.

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::super::checkpoint::Origin;
use super::super::leaf::{self, Leaf};
use super::super::tree::{self, Hash};
use super::{
    Paths, StoreError, TREE_LEVELS, check_schema_version, leaf_bytes, opening, payload, plan_once, reading,
    size, subtree,
};

/// A store, to read. It has no way to write.
pub struct Reader {
    connection: Connection,
    paths: Paths,
    origin: Origin,
    /// Hashes of subtrees that were needed: proofs of neighbours share nearly all.
    subtrees: RefCell<HashMap<(u32, u64), Hash>>,
}

/// So many subtrees are kept, some 64 bytes each.
const SUBTREES: usize = 100_000;

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

/// An evaluation in the index, with what its snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The evaluation's position.
    pub seq: u64,
    /// When it was appended.
    pub time: String,
    /// The snapshot that it judges.
    pub snapshot: u64,
    /// The snapshot's collector.
    pub collector: String,
    /// The snapshot's source.
    pub source: String,
    /// The snapshot's target.
    pub target: String,
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
            subtrees: RefCell::default(),
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

    pub(in crate::log) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Another number whenever somebody has written to the store.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .map_err(reading)
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

    /// The targets that a `scope` leaf names.
    pub fn targets(&self, scope: u64) -> Result<Vec<String>, StoreError> {
        #[derive(serde::Deserialize)]
        struct Names {
            targets: Vec<String>,
        }
        let blobs = self.leaf(scope)?.map(|leaf| leaf.blobs).unwrap_or_default();
        let Some(blob) = blobs.iter().find(|blob| blob.role == leaf::Role::Scope) else {
            return Ok(Vec::new());
        };
        let payload = self.payload(&blob.sha256)?.unwrap_or_default();
        serde_json::from_slice::<Names>(&payload)
            .map(|names| names.targets)
            .map_err(|error| {
                StoreError::Damaged(format!(
                    "the targets of scope leaf {scope} can't be read: {error}"
                ))
            })
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> Result<String, StoreError> {
        self.connection
            .prepare_cached("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
            .map_err(reading)?
            .ok_or_else(|| StoreError::Damaged("the store holds no checkpoint".to_owned()))
    }

    /// The audit path of a leaf in the tree of `size` leaves.
    pub fn inclusion_proof(&self, seq: u64, size: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        tree::inclusion_proof(seq, size, |level, position| self.subtree(level, position))
    }

    fn subtree(&self, level: u32, position: u64) -> Result<Hash, StoreError> {
        if let Some(hash) = self.subtrees.borrow().get(&(level, position)) {
            return Ok(*hash);
        }
        let hash = if level == 0 || TREE_LEVELS.contains(&level) {
            subtree(&self.connection, level, position)?
        } else {
            tree::hash_node(
                &self.subtree(level - 1, position * 2)?,
                &self.subtree(level - 1, position * 2 + 1)?,
            )
        };
        let mut known = self.subtrees.borrow_mut();
        if known.len() >= SUBTREES {
            known.clear();
        }
        known.insert((level, position), hash);
        Ok(hash)
    }

    /// Entries that match, oldest first.
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.walk_back(filter, |entry| {
            entries.push(entry);
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        entries.reverse();
        Ok(entries)
    }

    /// Goes through entries that match, newest first, until one is enough.
    pub fn walk_back<E: From<StoreError>>(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(Entry) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut clauses = vec!["1".to_owned()];
        let mut values: Vec<String> = Vec::new();
        // Without a target, the index would be read whole and sorted before the newest is known.
        let (collector, source) = match (&filter.target, filter.limit) {
            (None, None) => ("+collector =", "+source ="),
            _ => ("collector =", "source ="),
        };
        let columns = [
            ("time >=", &filter.from),
            ("time <", &filter.to),
            (collector, &filter.collector),
            (source, &filter.source),
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
        let mut statement = self.connection.prepare_cached(&sql).map_err(reading)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(values))
            .map_err(reading)?;
        while let Some(row) = rows.next().map_err(reading)? {
            if visit(to_entry(row).map_err(reading)?)?.is_break() {
                break;
            }
        }
        Ok(())
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
                let scope = params![collector, source, target, kind];
                self.connection
                    .prepare_cached(sql)
                    .and_then(|mut statement| statement.query_row(scope, |row| row.get(0)))
            }
        };
        found.map_err(reading)
    }

    /// The newest leaf of a kind and scope among those before `seq`.
    pub fn newest_before(
        &self,
        seq: u64,
        kind: &str,
        (collector, source, target): (&str, &str, Option<&str>),
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT max(seq) FROM entry WHERE collector = ? AND source = ? AND target IS ? AND kind = ? AND seq < ?";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                let scope = params![collector, source, target, kind, seq];
                statement.query_row(scope, |row| row.get(0))
            })
            .map_err(reading)
    }

    /// The leaves of a kind that has no scope, such as `exception`, from a position on, oldest first.
    pub fn of_kind(&self, kind: &str, from: u64) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT seq FROM entry WHERE kind = ? AND collector IS NULL AND snapshot IS NULL AND seq >= ? \
                   ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(reading)?;
        let rows = statement
            .query_map(params![kind, from], |row| row.get(0))
            .map_err(reading)?;
        rows.collect::<Result<_, _>>().map_err(reading)
    }

    /// Goes through all evaluations, in the order of what they judge.
    pub fn walk_evaluations<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(Evaluated) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT e.seq, e.time, e.snapshot, s.collector, s.source, s.target \
                   FROM entry AS e JOIN entry AS s ON s.seq = e.snapshot \
                   WHERE e.snapshot IS NOT NULL AND s.kind = 'snapshot' ORDER BY e.snapshot, e.seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(reading)?;
        let mut rows = statement.query([]).map_err(reading)?;
        while let Some(row) = rows.next().map_err(reading)? {
            visit(to_evaluated(row).map_err(reading)?)?;
        }
        Ok(())
    }

    /// The newest evaluation of a snapshot.
    pub fn evaluation_of(&self, snapshot: u64) -> Result<Option<u64>, StoreError> {
        self.connection
            .prepare_cached("SELECT max(seq) FROM entry WHERE snapshot = ?")
            .and_then(|mut statement| statement.query_row([snapshot], |row| row.get(0)))
            .map_err(reading)
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
    plan_once(&connection)?;
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

fn to_evaluated(row: &rusqlite::Row<'_>) -> rusqlite::Result<Evaluated> {
    Ok(Evaluated {
        seq: row.get(0)?,
        time: row.get(1)?,
        snapshot: row.get(2)?,
        collector: row.get(3)?,
        source: row.get(4)?,
        target: row.get(5)?,
    })
}
