//! Appending: the only code that writes to the log.
//!
//! Whoever appends while nobody does writes a batch; drafts that arrive meanwhile wait and share the next one, which the
//! first of those who wait writes for all of them. A batch is: take `write.lock`, look whether another process has appended, write blobs,
//! leaves, tree, index and a signed checkpoint in one transaction, commit, write and flush the guard, give back the
//! lock, acknowledge. After any error the store is closed and the next batch opens it again with all checks of
//! `start`, so an uncertain commit is settled by the same code as a crash.

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

use super::blob::{self, Sealed};
use super::guard;
use super::leaf::{Body, EncodeError, Key, Role};
use super::start::{self, Head, Opened, data_version};
use super::store::{Paths, StoreError};
use super::tree::{self, Hash};
use crate::clock::SharedClock;

mod batch;
mod change;

use batch::commit;
pub use change::{Change, NewMessage, Subject};

/// The most drafts in one batch.
const BATCH: usize = 256;

/// A leaf to append: what it says, the payloads it names, and what changes beside the log when it is appended.
#[derive(Debug)]
pub struct Draft {
    /// None where only something beside the log changes.
    body: Option<Body>,
    blobs: Vec<(Role, String, Sealed)>,
    changes: Vec<Change>,
}

impl Draft {
    /// A leaf without blobs yet.
    pub fn new(body: Body) -> Self {
        Self {
            body: Some(body),
            blobs: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Only changes beside the log; they may append leaves of their own.
    pub fn of_changes(changes: Vec<Change>) -> Self {
        Self {
            body: None,
            blobs: Vec::new(),
            changes,
        }
    }

    /// Changes that are made in the transaction that appends the leaf; and not where it is found to be there already.
    #[must_use]
    pub fn with_changes(mut self, changes: Vec<Change>) -> Self {
        self.changes.extend(changes);
        self
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

/// A leaf that is in the log and will stay there; the newest one, where only something beside the log was changed.
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
    /// Whoever wrote the batch panicked, or the runtime is shutting down.
    #[error("the batch that the leaf was in was not finished")]
    Closed,
}

type Answer = Result<Receipt, AppendError>;

/// The log, to append to; copies share it.
#[derive(Clone)]
pub struct Appender {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    /// First come, first served.
    waiting: VecDeque<(Draft, oneshot::Sender<Turn>)>,
    /// Here while nobody writes.
    writer: Option<Box<Writer>>,
}

/// What ends the wait.
enum Turn {
    /// Somebody has written the draft.
    Written(Answer),
    /// This one is to write it, and others with it.
    Write(Box<Draft>, Box<Writer>),
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
            writer.opened = Some(start::open(paths)?);
        }
        drop(lock);
        let queue = Queue {
            waiting: VecDeque::new(),
            writer: Some(Box::new(writer)),
        };
        Ok(Self {
            queue: Arc::new(Mutex::new(queue)),
        })
    }

    /// Appends a leaf; when this returns a receipt, it is durable.
    pub async fn append(&self, draft: Draft) -> Answer {
        let log = self.clone();
        tokio::task::spawn_blocking(move || log.append_blocking(draft))
            .await
            .unwrap_or(Err(AppendError::Closed))
    }

    /// [`Self::append`] for threads outside the runtime.
    pub fn append_blocking(&self, draft: Draft) -> Answer {
        match self.turn(draft) {
            Turn::Written(answer) => answer,
            Turn::Write(draft, writer) => self.write(*draft, writer),
        }
    }

    fn turn(&self, draft: Draft) -> Turn {
        let receiver = {
            let mut queue = self.queue();
            if let Some(writer) = queue.writer.take() {
                return Turn::Write(Box::new(draft), writer);
            }
            let (sender, receiver) = oneshot::channel();
            queue.waiting.push_back((draft, sender));
            receiver
        };
        receiver
            .blocking_recv()
            .unwrap_or(Turn::Written(Err(AppendError::Closed)))
    }

    /// Writes a batch: this draft and those that wait.
    fn write(&self, draft: Draft, writer: Box<Writer>) -> Answer {
        let mut lead = Lead {
            log: self,
            writer: Some(writer),
        };
        let mut waiting = Vec::new();
        let mut drafts = vec![draft];
        {
            let mut queue = self.queue();
            let count = queue.waiting.len().min(BATCH - 1);
            for (draft, sender) in queue.waiting.drain(..count) {
                drafts.push(draft);
                waiting.push(sender);
            }
        }
        let mut answers = lead.batch(drafts).into_iter();
        let own = answers.next().unwrap_or(Err(AppendError::Closed));
        for (sender, answer) in waiting.into_iter().zip(answers) {
            // Whoever asked may have stopped waiting; the leaf is in the log all the same.
            drop(sender.send(Turn::Written(answer)));
        }
        own
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that holds it can panic half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever writes. The writer goes to the next when this is dropped, also by a panic.
struct Lead<'a> {
    log: &'a Appender,
    writer: Option<Box<Writer>>,
}

impl Lead<'_> {
    fn batch(&mut self, drafts: Vec<Draft>) -> Vec<Answer> {
        let count = drafts.len();
        let Some(writer) = &mut self.writer else {
            return Vec::new();
        };
        writer.batch(drafts).unwrap_or_else(|error| {
            let error = AppendError::Store(Arc::new(error));
            vec![Err(error); count]
        })
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = self.log.queue();
        let mut writer = self.writer.take();
        while let Some(free) = writer.take() {
            let Some((draft, sender)) = queue.waiting.pop_front() else {
                queue.writer = Some(free);
                return;
            };
            // Back from one who has stopped waiting.
            if let Err(Turn::Write(_, free)) = sender.send(Turn::Write(Box::new(draft), free)) {
                writer = Some(free);
            }
        }
    }
}

/// The state of the one who writes.
struct Writer {
    paths: Paths,
    clock: SharedClock,
    boot: String,
    /// Closed after an error, until the next batch.
    opened: Option<Opened>,
}

impl Writer {
    /// One batch under `write.lock`. An error that concerns one draft alone is its answer.
    fn batch(&mut self, drafts: Vec<Draft>) -> Result<Vec<Answer>, StoreError> {
        let _lock: File = start::lock(&self.paths)?;
        // It stays closed after an error and after a panic, and is opened anew with all checks.
        let mut opened = self.begin()?;
        let answers = commit(&mut opened, drafts, &self.clock, &self.boot, &self.paths)?;
        self.opened = Some(opened);
        Ok(answers)
    }

    /// Begins a transaction behind the store's last leaf, whoever appended it.
    fn begin(&mut self) -> Result<Opened, StoreError> {
        if let Some(opened) = self.opened.take() {
            let slots = guard::read(&opened.guard).map_err(StoreError::io(self.paths.guard()))?;
            if slots == opened.guard_slots && self.is_in_place(&opened)? {
                batch::begin(&opened.connection)?;
                if data_version(&opened.connection)? == opened.version {
                    return Ok(opened);
                }
            }
        }
        if start::needs_creating(&self.paths)? {
            return Err(StoreError::Absent(self.paths.directory().to_owned()));
        }
        let opened = start::open(&self.paths)?;
        batch::begin(&opened.connection)?;
        Ok(opened)
    }

    /// Whether the files at the store's paths are still the ones that are open: `recover` moves them away.
    fn is_in_place(&self, opened: &Opened) -> Result<bool, StoreError> {
        // Not the times: asking for them makes the file system record the next write's, at the cost of a flush.
        let file = |stat: rustix::fs::Statx| (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
        let (flags, ino) = (AtFlags::empty(), StatxFlags::INO);
        let open = statx(&opened.guard, "", AtFlags::EMPTY_PATH, ino)
            .map_err(|error| StoreError::Io(self.paths.guard(), error.into()))?;
        let named = statx(CWD, self.paths.guard(), flags, ino);
        Ok(named.is_ok_and(|named| file(named) == file(open)))
    }

    fn create(&mut self, name: &str, recovery: Option<Draft>) -> Result<(), StoreError> {
        let (connection, guard, signer) = start::create(&self.paths, name)?;
        let guard_slots = guard::read(&guard).map_err(StoreError::io(self.paths.guard()))?;
        let version = data_version(&connection)?;
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
            version,
        };
        batch::begin(&opened.connection)?;
        let drafts = std::iter::once(key).chain(recovery).collect();
        for receipt in commit(&mut opened, drafts, &self.clock, &self.boot, &self.paths)? {
            receipt.map_err(|error| StoreError::Io(self.paths.database(), std::io::Error::other(error)))?;
        }
        start::created(&self.paths)?;
        self.opened = Some(opened);
        Ok(())
    }
}
