//! What one batch writes, in one transaction.

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

use super::super::blob::{self, Codec, Sealed};
use super::super::leaf::{self, BlobRef, Body, Header, Role};
use super::super::start::{Head, Opened};
use super::super::store::{Paths, StoreError, TREE_LEVELS};
use super::super::tree::{self, Hash};
use super::change::{self, Moment};
use super::{Answer, AppendError, Draft, Receipt};
use crate::clock::SharedClock;

/// Begins the transaction that [`commit`] ends. Nobody else can write from here on.
pub(super) fn begin(connection: &Connection) -> Result<(), StoreError> {
    execute(connection, "BEGIN IMMEDIATE", []).map(drop)
}

/// Writes a batch, in the transaction that was begun.
pub(super) fn commit(
    opened: &mut Opened,
    drafts: Vec<Draft>,
    clock: &SharedClock,
    boot: &str,
    paths: &Paths,
) -> Result<Vec<Answer>, StoreError> {
    let mut batch = Batch {
        connection: &opened.connection,
        head: opened.head.clone(),
        origin: opened.signer.verifier().origin().as_str(),
        clock,
        boot,
    };
    let mut answers = Vec::with_capacity(drafts.len());
    let mut any_change = false;
    for draft in drafts {
        any_change |= !draft.changes.is_empty();
        answers.push(batch.take(draft)?);
    }
    let head = batch.head;
    if head.frontier.size() > opened.head.frontier.size() {
        let note = opened.signer.sign(head.frontier.size(), &head.frontier.root());
        keep_checkpoint(&opened.connection, head.frontier.size(), &note)?;
        let head = Head {
            checkpoint: note,
            ..head
        };
        execute(&opened.connection, "COMMIT", [])?;
        opened.head = head;
        opened.move_guard().map_err(StoreError::io(paths.guard()))?;
    } else {
        let end = if any_change { "COMMIT" } else { "ROLLBACK" };
        execute(&opened.connection, end, [])?;
    }
    Ok(answers)
}

/// A batch that is being written.
struct Batch<'a> {
    connection: &'a Connection,
    head: Head,
    origin: &'a str,
    clock: &'a SharedClock,
    boot: &'a str,
}

impl Batch<'_> {
    /// Appends a draft's leaf, and makes its changes.
    fn take(&mut self, draft: Draft) -> Result<Answer, StoreError> {
        let Draft { body, blobs, changes } = draft;
        let mut about = None;
        if let Some(body) = body {
            if let Some(receipt) = existing_evaluation(self.connection, &body)? {
                return Ok(Ok(receipt));
            }
            match self.append(&body, blobs)? {
                Ok(receipt) => about = Some(receipt.seq),
                Err(error) => return Ok(Err(error)),
            }
        }
        let receipt = self.newest();
        for change in changes {
            let moment = Moment {
                connection: self.connection,
                now: self.clock.now(),
                about,
            };
            change::make(
                &moment,
                change,
                &mut |body| match self.append(&body, Vec::new())? {
                    Ok(receipt) => Ok(receipt.seq),
                    // Its parts are short, and were checked when they were configured.
                    Err(error) => Err(StoreError::Damaged(format!("an alert can't be written: {error}"))),
                },
            )?;
        }
        Ok(Ok(receipt))
    }

    fn newest(&self) -> Receipt {
        Receipt {
            seq: self.head.frontier.size().saturating_sub(1),
            hash: self.head.last_hash,
        }
    }

    fn append(&mut self, body: &Body, blobs: Vec<(Role, String, Sealed)>) -> Result<Answer, StoreError> {
        let header = Header {
            log: self.origin,
            seq: self.head.frontier.size(),
            prev: self.head.last_hash,
            time: self.clock.now(),
            boot: self.boot,
            mono_ms: u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(0),
        };
        append_leaf(self.connection, &mut self.head, &header, body, blobs)
    }
}

/// Two processes may want to judge a snapshot that a third left unjudged: the first evaluation under a plan stands.
fn existing_evaluation(connection: &Connection, body: &Body) -> Result<Option<Receipt>, StoreError> {
    let Body::Evaluation(evaluation) = body else {
        return Ok(None);
    };
    let mut statement = connection
        .prepare_cached("SELECT seq, hash, bytes FROM leaf JOIN entry USING (seq) WHERE snapshot = ?")
        .map_err(writing)?;
    let mut rows = statement.query([evaluation.snapshot]).map_err(writing)?;
    while let Some(row) = rows.next().map_err(writing)? {
        let leaf = leaf::decode(
            row.get_ref(2)
                .and_then(|bytes| Ok(bytes.as_blob()?))
                .map_err(writing)?,
        );
        if let Ok(Some(Body::Evaluation(found))) = leaf.map(|leaf| leaf.body)
            && found.plan == evaluation.plan
        {
            let (seq, hash) = (row.get(0).map_err(writing)?, row.get(1).map_err(writing)?);
            return Ok(Some(Receipt { seq, hash }));
        }
    }
    Ok(None)
}

fn append_leaf(
    connection: &Connection,
    head: &mut Head,
    header: &Header<'_>,
    body: &Body,
    blobs: Vec<(Role, String, Sealed)>,
) -> Result<Answer, StoreError> {
    let mut refs = Vec::with_capacity(blobs.len());
    let mut new = Vec::new();
    for (role, media_type, sealed) in blobs {
        let reused = unchanged(connection, body, &role, &sealed)?;
        let (sha256, size) = reused.unwrap_or((sealed.sha256, sealed.size));
        refs.push(BlobRef {
            role,
            sha256,
            size,
            media_type,
        });
        if reused.is_none() {
            new.push(sealed);
        }
    }
    let bytes = match leaf::encode(header, body, &refs) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(AppendError::Encode(Arc::new(error)))),
    };
    for sealed in new {
        insert_blob(connection, header.seq, &sealed)?;
    }
    let hash = tree::hash_leaf(&bytes);
    execute(
        connection,
        "INSERT INTO leaf VALUES (?, ?, ?)",
        params![header.seq, hash, bytes],
    )?;
    let lead = leaf::lead(&bytes, header.log, header.seq, &header.prev)
        .map_err(|what| StoreError::Damaged(format!("the new leaf {what}")))?;
    execute(
        connection,
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            header.seq,
            lead.time,
            lead.kind,
            lead.snapshot,
            lead.collector,
            lead.source,
            lead.target
        ],
    )?;
    let mut subtrees = Vec::new();
    head.frontier.push(0, hash, |level, position, hash| {
        if TREE_LEVELS.contains(&level) {
            subtrees.push((level, position, *hash));
        }
    });
    for (level, position, hash) in subtrees {
        execute(
            connection,
            "INSERT INTO tree VALUES (?, ?, ?)",
            params![level, position, hash],
        )?;
    }
    head.last_hash = hash;
    Ok(Ok(Receipt {
        seq: header.seq,
        hash,
    }))
}

fn insert_blob(connection: &Connection, seq: u64, sealed: &Sealed) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO blob (sha256, seq, size, codec, bytes, stored_sha256, payload_sha256, row_sha256) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            sealed.sha256,
            seq,
            sealed.size,
            sealed.codec.as_str(),
            sealed.bytes,
            sealed.stored_sha256,
            sealed.payload_sha256,
            sealed.row_sha256(seq)
        ],
    )
    .map(drop)
}

/// The stored blob with the same payload, of the same collector, source, target and role. The digest only finds
/// candidates; the stored payload is hashed again, so that a forged digest can't pass old evidence off as new.
fn unchanged(
    connection: &Connection,
    body: &Body,
    role: &Role,
    sealed: &Sealed,
) -> Result<Option<(Hash, u64)>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT ifnull(s.collector, e.collector), ifnull(s.source, e.source), ifnull(s.target, e.target), \
             b.sha256, b.size, b.codec, b.bytes, leaf.bytes \
             FROM blob AS b JOIN entry AS e ON e.seq = b.seq JOIN leaf ON leaf.seq = b.seq \
             LEFT JOIN entry AS s ON s.seq = e.snapshot WHERE b.payload_sha256 = ?",
        )
        .map_err(writing)?;
    let scope = scope_of(connection, body)?;
    let mut rows = statement.query([sealed.payload_sha256]).map_err(writing)?;
    while let Some(row) = rows.next().map_err(writing)? {
        let column = |index| row.get::<_, Option<String>>(index).map_err(writing);
        if [column(0)?, column(1)?, column(2)?] != scope {
            continue;
        }
        let (sha256, size): (Hash, u64) = (row.get(3).map_err(writing)?, row.get(4).map_err(writing)?);
        let bytes = |index| row.get_ref(index).ok()?.as_bytes().ok();
        // A damaged candidate is for `verify` to report; here it only means that the payload is stored anew.
        let payload = bytes(5)
            .and_then(|name| Codec::parse(std::str::from_utf8(name).ok()?))
            .zip(bytes(6))
            .and_then(|(codec, stored)| blob::payload(&sha256, size, codec, stored).ok());
        if payload.is_some_and(|payload| Hash::from(Sha256::digest(payload)) == sealed.payload_sha256)
            && bytes(7).and_then(leaf::blobs).is_some_and(|blobs| {
                blobs
                    .iter()
                    .any(|blob| blob.sha256 == sha256 && blob.role == *role)
            })
        {
            return Ok(Some((sha256, size)));
        }
    }
    Ok(None)
}

/// The collector, source and target that a leaf is about; an evaluation is about its snapshot's.
fn scope_of(connection: &Connection, body: &Body) -> Result<[Option<String>; 3], StoreError> {
    Ok(match body {
        Body::Snapshot(s) => [
            Some(s.collector.clone()),
            Some(s.source.clone()),
            Some(s.target.clone()),
        ],
        Body::Failure(f) => [
            Some(f.collector.clone()),
            Some(f.source.clone()),
            f.target.clone(),
        ],
        Body::Missed(m) => [
            Some(m.collector.clone()),
            Some(m.source.clone()),
            m.target.clone(),
        ],
        Body::Scope(s) => [Some(s.collector.clone()), Some(s.source.clone()), None],
        Body::Evaluation(e) => connection
            .prepare_cached("SELECT collector, source, target FROM entry WHERE seq = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([e.snapshot], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
                    .optional()
            })
            .map_err(writing)?
            .unwrap_or_default(),
        Body::Alert(a) => [a.collector.clone(), a.source.clone(), None],
        Body::Key(_)
        | Body::Plan(_)
        | Body::Heartbeat(_)
        | Body::Acknowledgement(_)
        | Body::Exception(_)
        | Body::Population(_)
        | Body::Sample(_)
        | Body::Export(_)
        | Body::Attachment(_)
        | Body::Recovery(_) => [None, None, None],
    })
}

/// Stores the new checkpoint. The one before stays, since the guard may still hold it; the one before that goes,
/// unless it is the last of its UTC day.
fn keep_checkpoint(connection: &Connection, size: u64, note: &str) -> Result<(), StoreError> {
    let day = "(SELECT substr(time, 1, 10) FROM entry WHERE seq = {} - 1)";
    let sql = format!(
        "DELETE FROM checkpoint WHERE size = (SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1 OFFSET 1) \
         AND {} = {}",
        day.replace("{}", "checkpoint.size"),
        day.replace("{}", "(SELECT max(size) FROM checkpoint)"),
    );
    execute(connection, &sql, [])?;
    execute(
        connection,
        "INSERT INTO checkpoint VALUES (?, ?)",
        params![size, note],
    )
    .map(drop)
}

pub(super) fn execute(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<usize, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(writing)
}

pub(super) fn writing(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be written", error)
}
