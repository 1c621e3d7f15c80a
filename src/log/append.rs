//! Appending: the only code that writes to the log.
//!
//! One thread owns the database. Whoever appends hands it a draft and waits; drafts that arrive while a batch is being
//! flushed share the next one. A batch is: take `write.lock`, look whether another process has appended, write blobs,
//! leaves, tree, index and a signed checkpoint in one transaction, commit, write and flush the guard, give back the
//! lock, acknowledge. After any error the store is closed and the next batch opens it again with all checks of
//! `start`, so an uncertain commit is settled by the same code as a crash.

use rusqlite::{Connection, OptionalExtension as _, params};
use std::fs::File;
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

use super::blob::{self, Sealed};
use super::guard;
use super::leaf::{self, BlobRef, Body, EncodeError, Header, Key, Role};
use super::start::{self, Head, Opened};
use super::store::{self, Paths, StoreError, TREE_LEVELS};
use super::tree::{self, Hash};
use crate::clock::SharedClock;

/// The most drafts in one batch.
const BATCH: usize = 256;

/// A leaf to append: what it says, and the payloads it names.
#[derive(Debug)]
pub struct Draft {
    body: Body,
    blobs: Vec<(Role, String, Sealed)>,
}

impl Draft {
    /// A leaf without blobs yet.
    pub fn new(body: Body) -> Self {
        Self {
            body,
            blobs: Vec::new(),
        }
    }

    /// Adds a payload, of at most [`blob::MAX_PAYLOAD`] bytes. One that is unchanged since an earlier leaf of the same
    /// collector, source, target and role is not stored again.
    pub fn with_blob(mut self, role: Role, media_type: &str, payload: &[u8]) -> Result<Self, AppendError> {
        if payload.len() > blob::MAX_PAYLOAD {
            return Err(AppendError::TooLarge(payload.len()));
        }
        let sealed = blob::seal(payload).map_err(AppendError::Random)?;
        self.blobs.push((role, media_type.to_owned(), sealed));
        Ok(self)
    }
}

/// A leaf that is in the log and will stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its position.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A leaf was not appended, or nobody can say whether it was: it has not been acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The leaf can't be written.
    #[error("the leaf can't be written")]
    Encode(#[source] Arc<EncodeError>),
    /// A payload is over the limit.
    #[error("a payload has {0} bytes, and at most {max} are allowed", max = blob::MAX_PAYLOAD)]
    TooLarge(usize),
    /// The operating system gives no random numbers.
    #[error("no random numbers for a salt")]
    Random(#[source] getrandom::Error),
    /// The store refused.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The appending thread is gone.
    #[error("the log is closed")]
    Closed,
}

type Answer = Result<Receipt, AppendError>;

/// The log, to append to; copies share it. It is closed when the last one is dropped.
#[derive(Clone)]
pub struct Appender {
    worker: Arc<Worker>,
}

struct Worker {
    queue: Option<mpsc::Sender<(Draft, oneshot::Sender<Answer>)>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the appending thread panicked");
        }
    }
}

impl Appender {
    /// Opens the log in a store, made under `name` if there is none, after the checks of `start`.
    pub fn open(paths: &Paths, name: &str, clock: SharedClock) -> Result<Self, StoreError> {
        Self::begin(paths, name, clock, None)
    }

    /// Opens the log; with a `recovery`, which only `recover` has, it is made anew and that is leaf 1.
    pub(super) fn begin(
        paths: &Paths,
        name: &str,
        clock: SharedClock,
        recovery: Option<Draft>,
    ) -> Result<Self, StoreError> {
        let boot =
            getrandom::u64().map_err(|error| StoreError::Io(paths.key(), std::io::Error::other(error)))?;
        let mut writer = Writer {
            paths: paths.clone(),
            clock,
            boot: format!("{boot:016x}"),
            opened: None,
            version: 0,
        };
        start::make_directory(paths)?;
        let lock = start::lock(paths)?;
        if recovery.is_none() && paths.recovering().exists() {
            let what = "a recovery was begun and not ended: run `evidenced recover` again";
            return Err(StoreError::Damaged(what.to_owned()));
        }
        if start::needs_creating(paths)? {
            writer.create(name, recovery)?;
        } else {
            writer.open()?;
        }
        drop(lock);
        let (queue, drafts) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("append".to_owned())
            .spawn(move || writer.run(&drafts))
            .map_err(StoreError::io(paths.directory()))?;
        Ok(Self {
            worker: Arc::new(Worker {
                queue: Some(queue),
                thread: Some(thread),
            }),
        })
    }

    /// Appends a leaf; when this returns a receipt, it is durable.
    pub async fn append(&self, draft: Draft) -> Answer {
        self.submit(draft)?.await.map_err(|_| AppendError::Closed)?
    }

    /// [`Self::append`] for threads outside the runtime.
    pub fn append_blocking(&self, draft: Draft) -> Answer {
        self.submit(draft)?
            .blocking_recv()
            .map_err(|_| AppendError::Closed)?
    }

    fn submit(&self, draft: Draft) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let (answer, receiver) = oneshot::channel();
        let queue = self.worker.queue.as_ref().ok_or(AppendError::Closed)?;
        queue.send((draft, answer)).map_err(|_| AppendError::Closed)?;
        Ok(receiver)
    }
}

/// The thread's own state.
struct Writer {
    paths: Paths,
    clock: SharedClock,
    boot: String,
    /// Closed after an error, until the next batch.
    opened: Option<Opened>,
    /// SQLite's `data_version` when the head was read: another one means that another process has written.
    version: i64,
}

impl Writer {
    fn run(mut self, drafts: &mpsc::Receiver<(Draft, oneshot::Sender<Answer>)>) {
        while let Ok(first) = drafts.recv() {
            let mut batch = vec![first];
            batch.extend(drafts.try_iter().take(BATCH - 1));
            let (drafts, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let receipts = self.batch(drafts).unwrap_or_else(|error| {
                self.opened = None;
                let error = AppendError::Store(Arc::new(error));
                answers.iter().map(|_| Err(error.clone())).collect()
            });
            for (answer, receipt) in answers.into_iter().zip(receipts) {
                // Whoever asked may have stopped waiting; the leaf is in the log all the same.
                drop(answer.send(receipt));
            }
        }
    }

    /// One batch under `write.lock`. An error that concerns one draft alone is its answer.
    fn batch(&mut self, drafts: Vec<Draft>) -> Result<Vec<Answer>, StoreError> {
        let _lock: File = start::lock(&self.paths)?;
        self.catch_up()?;
        let opened = self
            .opened
            .as_mut()
            .ok_or_else(|| StoreError::Damaged("the store is closed".to_owned()))?;
        commit(opened, drafts, &self.clock, &self.boot, &self.paths)
    }

    /// Makes sure that the head is the store's, whoever appended last.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some(opened) = &self.opened {
            let level =
                guard::read(&opened.guard).map_err(StoreError::io(self.paths.guard()))? == opened.guard_slots;
            if level && data_version(&opened.connection)? == self.version && self.is_in_place(opened)? {
                return Ok(());
            }
            self.opened = None;
        }
        self.open()
    }

    /// Whether the files at the store's paths are still the ones that are open: `recover` moves them away.
    fn is_in_place(&self, opened: &Opened) -> Result<bool, StoreError> {
        use std::os::unix::fs::MetadataExt as _;
        let open = opened
            .guard
            .metadata()
            .map_err(StoreError::io(self.paths.guard()))?;
        let named = std::fs::metadata(self.paths.guard());
        Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
    }

    fn open(&mut self) -> Result<(), StoreError> {
        if start::needs_creating(&self.paths)? {
            return Err(StoreError::Absent(self.paths.directory().to_owned()));
        }
        let opened = start::open(&self.paths)?;
        self.version = data_version(&opened.connection)?;
        self.opened = Some(opened);
        Ok(())
    }

    fn create(&mut self, name: &str, recovery: Option<Draft>) -> Result<(), StoreError> {
        let (connection, guard, signer) = start::create(&self.paths, name)?;
        let guard_slots = guard::read(&guard).map_err(StoreError::io(self.paths.guard()))?;
        let head = Head {
            frontier: tree::Frontier::default(),
            last_hash: [0; 32],
            checkpoint: String::new(),
        };
        let key = Draft::new(Body::Key(Key {
            key: signer.verifier().to_string(),
        }));
        let mut opened = Opened {
            connection,
            guard,
            guard_slots,
            signer,
            head,
        };
        let drafts = std::iter::once(key).chain(recovery).collect();
        for receipt in commit(&mut opened, drafts, &self.clock, &self.boot, &self.paths)? {
            receipt.map_err(|error| StoreError::Io(self.paths.database(), std::io::Error::other(error)))?;
        }
        start::created(&self.paths)?;
        self.version = data_version(&opened.connection)?;
        self.opened = Some(opened);
        Ok(())
    }
}

fn commit(
    opened: &mut Opened,
    drafts: Vec<Draft>,
    clock: &SharedClock,
    boot: &str,
    paths: &Paths,
) -> Result<Vec<Answer>, StoreError> {
    let mut head = opened.head.clone();
    let transaction = opened.connection.transaction().map_err(writing)?;
    let mut receipts = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let header = Header {
            log: opened.signer.verifier().origin().as_str(),
            seq: head.frontier.size(),
            prev: head.last_hash,
            time: clock.now(),
            boot,
            mono_ms: u64::try_from(clock.monotonic().as_millis()).unwrap_or(0),
        };
        receipts.push(match existing_evaluation(&transaction, &draft.body)? {
            Some(receipt) => Ok(receipt),
            None => append_leaf(&transaction, &mut head, &header, draft)?,
        });
    }
    if head.frontier.size() > opened.head.frontier.size() {
        let note = opened.signer.sign(head.frontier.size(), &head.frontier.root());
        keep_checkpoint(&transaction, head.frontier.size(), &note)?;
        head.checkpoint = note;
        transaction.commit().map_err(writing)?;
        opened.head = head;
        opened.move_guard().map_err(StoreError::io(paths.guard()))?;
    }
    Ok(receipts)
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
    draft: Draft,
) -> Result<Answer, StoreError> {
    let mut refs = Vec::with_capacity(draft.blobs.len());
    let mut new = Vec::new();
    for (role, media_type, sealed) in draft.blobs {
        let reused = unchanged(connection, &draft.body, &role, &sealed)?;
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
    let bytes = match leaf::encode(header, &draft.body, &refs) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(AppendError::Encode(Arc::new(error)))),
    };
    for sealed in new {
        insert_blob(connection, header.seq, &sealed)?;
    }
    let hash = tree::hash_leaf(&bytes);
    insert(
        connection,
        "INSERT INTO leaf VALUES (?, ?, ?)",
        params![header.seq, hash, bytes],
    )?;
    let lead = leaf::lead(&bytes, header.log, header.seq, &header.prev)
        .map_err(|what| StoreError::Damaged(format!("the new leaf {what}")))?;
    insert(
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
        insert(
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
    insert(
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
}

/// The stored blob with the same payload, of the same collector, source, target and role. The digest only finds
/// candidates; the payloads themselves are compared, so that a forged digest can't pass old evidence off as new.
fn unchanged(
    connection: &Connection,
    body: &Body,
    role: &Role,
    sealed: &Sealed,
) -> Result<Option<(Hash, u64)>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT b.sha256, b.size, b.seq, ifnull(s.collector, e.collector), ifnull(s.source, e.source), \
             ifnull(s.target, e.target) FROM blob AS b JOIN entry AS e ON e.seq = b.seq \
             LEFT JOIN entry AS s ON s.seq = e.snapshot WHERE b.payload_sha256 = ?",
        )
        .map_err(writing)?;
    let scope = scope_of(connection, body)?;
    let mut rows = statement.query([sealed.payload_sha256]).map_err(writing)?;
    while let Some(row) = rows.next().map_err(writing)? {
        let column = |index| row.get::<_, Option<String>>(index).map_err(writing);
        if [column(3)?, column(4)?, column(5)?] != scope {
            continue;
        }
        let (sha256, size, seq): (Hash, u64, u64) = (
            row.get(0).map_err(writing)?,
            row.get(1).map_err(writing)?,
            row.get(2).map_err(writing)?,
        );
        let names_it = |leaf: leaf::Leaf| {
            leaf.blobs
                .iter()
                .any(|blob| blob.sha256 == sha256 && blob.role == *role)
        };
        let bytes = store::leaf_bytes(connection, seq)?.unwrap_or_default();
        if !leaf::decode(&bytes).is_ok_and(names_it) {
            continue;
        }
        // A damaged candidate is for `verify` to report; here it only means that the payload is stored anew.
        if store::payload(connection, &sha256).ok().flatten() == sealed.payload() {
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
        Body::Scope(s) => [Some(s.collector.clone()), Some(s.source.clone()), None],
        Body::Evaluation(e) => connection
            .query_row(
                "SELECT collector, source, target FROM entry WHERE seq = ?",
                [e.snapshot],
                |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]),
            )
            .optional()
            .map_err(writing)?
            .unwrap_or_default(),
        Body::Key(_) | Body::Plan(_) | Body::Recovery(_) => [None, None, None],
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
    insert(connection, &sql, [])?;
    insert(
        connection,
        "INSERT INTO checkpoint VALUES (?, ?)",
        params![size, note],
    )
}

fn insert(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(writing)?;
    Ok(())
}

fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .prepare_cached("PRAGMA data_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(writing)
}

fn writing(error: rusqlite::Error) -> StoreError {
    StoreError::Sqlite("can't be written", error)
}
