//! Appending: the only code that writes to the log.
//!
//! One thread owns the database. Whoever appends hands it a draft and waits; drafts that arrive while a batch is being
//! flushed share the next one. A batch is: take `write.lock`, look whether another process has appended, write blobs,
//! leaves, tree, index and a signed checkpoint in one transaction, commit, write and flush the guard, give back the
//! lock, acknowledge. After any error the store is closed and the next batch opens it again with all checks of
//! `start`, so an uncertain commit is settled by the same code as a crash.

use std::fs::File;
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

use super::blob::{self, Sealed};
use super::guard;
use super::leaf::{Body, EncodeError, Key, Role};
use super::start::{self, Head, Opened};
use super::store::{Paths, StoreError};
use super::tree::{self, Hash};
use crate::clock::SharedClock;

mod batch;

use batch::{commit, data_version};

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
