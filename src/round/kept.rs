//! `cache.db`: answers that a source need not send again unless they changed. No evidence, and never the log: what goes
//! wrong here costs a request.

use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::log::start;

/// Answers that nobody asked for in so many days are forgotten.
const FORGOTTEN_DAYS: i64 = 30;

/// The answers that are kept in a store.
pub(super) struct Kept {
    path: PathBuf,
    /// Opened on first use: most collectors need none of it.
    cache: Mutex<Option<Connection>>,
    /// Days since 1970.
    today: i64,
}

impl Kept {
    pub(super) fn new(path: PathBuf, today: i64) -> Self {
        Self {
            path,
            cache: Mutex::new(None),
            today,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let compressed: Vec<u8> = self.with(|cache| {
            let sql = "UPDATE answer SET used = ? WHERE key = ? RETURNING body";
            let mut statement = cache.prepare_cached(sql)?;
            statement
                .query_row(params![self.today, key], |row| row.get(0))
                .optional()
        })?;
        zstd::decode_all(compressed.as_slice()).ok()
    }

    pub(super) fn put(&self, key: &str, answer: &[u8]) {
        let Ok(compressed) = zstd::encode_all(answer, 1) else {
            return;
        };
        self.with(|cache| {
            let sql = "INSERT OR REPLACE INTO answer VALUES (?, ?, ?)";
            cache
                .prepare_cached(sql)?
                .execute(params![key, compressed, self.today])?;
            Ok(Some(()))
        });
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>) -> Option<T> {
        let mut held = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = open(&self.path, self.today);
        }
        match work(held.as_ref()?) {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!("the cache is of no use: {error}");
                *held = None;
                None
            }
        }
    }
}

/// Opens the cache, made anew if it can't be read.
fn open(path: &Path, today: i64) -> Option<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        // SQLite gives what lies beside a database to the database's owner.
        if let Err(error) = start::hand_over(path) {
            tracing::debug!("the cache can't be given to the store's owner: {error}");
        }
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS answer(key TEXT PRIMARY KEY, body BLOB NOT NULL, used INTEGER NOT NULL) STRICT;",
        )?;
        connection.execute("DELETE FROM answer WHERE used < ?", [today - FORGOTTEN_DAYS])?;
        Ok(connection)
    };
    // The store is made by whoever appends first; a dry run makes none.
    if !path.parent().is_some_and(Path::is_dir) {
        return None;
    }
    let anew = |_| {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::remove_file(name).ok();
        }
        open()
    };
    open().or_else(anew).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_until_nobody_asked_for_it_in_a_month() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        Kept::new(path.clone(), 100).put("a", b"answer");
        assert_eq!(
            Kept::new(path.clone(), 129).get("a").as_deref(),
            Some(&b"answer"[..])
        );
        assert_eq!(
            Kept::new(path.clone(), 159).get("a").as_deref(),
            Some(&b"answer"[..])
        );
        assert_eq!(Kept::new(path, 190).get("a"), None);
    }

    #[test]
    fn a_file_that_is_no_cache_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        std::fs::write(
            &path,
            "no database at all, and long enough to be looked at".repeat(100),
        )
        .unwrap();
        let kept = Kept::new(path, 1);
        kept.put("a", b"answer");
        assert_eq!(kept.get("a").as_deref(), Some(&b"answer"[..]));
    }

    #[test]
    fn what_root_keeps_belongs_to_the_owner_of_the_store() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        if !rustix::process::geteuid().is_root() {
            eprintln!("NOT TRIED: only root can give files away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        chown(folder.path(), Some(65_532), Some(65_531)).unwrap();
        let kept = Kept::new(folder.path().join("cache.db"), 1);
        kept.put("a", b"answer");
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 3);
        for file in files {
            let file = file.unwrap().metadata().unwrap();
            assert_eq!((file.uid(), file.gid()), (65_532, 65_531));
        }
    }

    #[test]
    fn where_there_is_no_store_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path().join("store/cache.db"), 1);
        kept.put("a", b"answer");
        assert_eq!(kept.get("a"), None);
        assert!(!folder.path().join("store").exists());
    }
}
