//! Reading all leaves in order: another thread reads ahead, and hashes what it reads.

use rusqlite::Connection;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::super::tree::{self, Hash};
use super::{Reader, StoreError, reading};

/// So many bytes of leaves are handed over at a time, and so many times ahead.
const BATCH: usize = 256 * 1024;
const AHEAD: usize = 4;

/// Leaves that follow each other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// By leaf: its hash, and where its bytes end.
    leaves: Vec<(Hash, usize)>,
}

impl Reader {
    /// Goes through all leaves, oldest first: each with the hash of its bytes, and its bytes. Ends as the log does that this
    /// reader sees.
    pub fn walk<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(u64, &Hash, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let size = self.size()?;
        // Leaves are never changed, so another connection sees the same ones.
        let ahead = Self::open(self.paths())?;
        let (mut seq, mut last) = (0, [0; 32]);
        thread::scope(|scope| {
            let (send, batches) = sync_channel(AHEAD);
            scope.spawn(move || {
                if let Err(error) = read(ahead.connection(), size, &send) {
                    // Whoever receives may have had enough, and needs no end.
                    drop(send.send(Err(error)));
                }
            });
            for batch in batches {
                let batch: Batch = batch?;
                let mut begin = 0;
                for (hash, end) in &batch.leaves {
                    visit(seq, hash, &batch.bytes[begin..*end])?;
                    (begin, last) = (*end, *hash);
                    seq += 1;
                }
            }
            Ok::<_, E>(())
        })?;
        if seq != size || (size > 0 && super::subtree(self.connection(), 0, size - 1)? != last) {
            let what = format!("the leaves end at {seq}, otherwise than the log that was to be read");
            return Err(StoreError::Damaged(what).into());
        }
        Ok(())
    }
}

/// Reads and hashes the first leaves, until nobody receives them any more.
fn read(
    connection: &Connection,
    size: u64,
    send: &SyncSender<Result<Batch, StoreError>>,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare("SELECT seq, bytes FROM leaf WHERE seq < ? ORDER BY seq")
        .map_err(reading)?;
    let mut rows = statement.query([size]).map_err(reading)?;
    let (mut batch, mut next) = (Batch::default(), 0);
    while let Some(row) = rows.next().map_err(reading)? {
        let seq: u64 = row.get(0).map_err(reading)?;
        if seq != next {
            return Err(StoreError::Damaged(format!("leaf {next} is missing")));
        }
        next += 1;
        let bytes = row.get_ref(1).and_then(|bytes| Ok(bytes.as_blob()?));
        let bytes = bytes.map_err(reading)?;
        batch.bytes.extend_from_slice(bytes);
        batch.leaves.push((tree::hash_leaf(bytes), batch.bytes.len()));
        if batch.bytes.len() >= BATCH && send.send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    drop(send.send(Ok(batch)));
    Ok(())
}
