//! Brings messages from the outbox to their channels: each at least once, in order, until it is taken or given up.
//!
//! What it does next is always read from the outbox, so a crash between any two steps costs at most a repetition, which
//! carries the same key. A channel that does not answer holds up no other, and never the collecting.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::channel::{Again, SendError, Sent};
use super::message::Message;
use super::outlet::Outlet;
use super::{calendar, compare, gather, raise, word};
use crate::clock::SharedClock;
use crate::duty::Post;
use crate::history::{History, HistoryError};
use crate::log::append::{AppendError, Appender, Change, Draft};
use crate::log::leaf::{Alert, AlertState, Body, Delivery, Role};
use crate::log::store::{Filter, Posted, Reader, StoreError};

/// At least so often it looks, since other processes also find things to tell.
const NAP: Duration = Duration::from_secs(30);

/// How long one attempt may take.
pub(super) const ATTEMPT: Duration = Duration::from_secs(45);

/// How long after a first attempt the second follows; from then on twice as long, up to an hour.
const AGAIN: TimeDelta = TimeDelta::seconds(5);
const AGAIN_AT_MOST: TimeDelta = TimeDelta::hours(1);

/// How long what a run has found may wait for the run's end, so that one message tells all of it.
const HOLD: TimeDelta = TimeDelta::seconds(45);

/// What the courier and those who find things to tell share.
#[derive(Default)]
pub struct Bell {
    notify: Notify,
    /// The posts whose runs are under way.
    running: Mutex<BTreeSet<Post>>,
}

/// Brings messages to their channels.
pub struct Courier {
    /// The log.
    pub log: Appender,
    /// The same, to read.
    pub reader: Arc<Mutex<Reader>>,
    /// The only source of time.
    pub clock: SharedClock,
    /// Where messages go: the newest configuration's.
    pub outlet: watch::Receiver<Arc<Outlet>>,
    /// Rings when there is something to tell.
    pub bell: Arc<Bell>,
}

/// Messages can't be brought on now.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log can't be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What is to be told can't be read.
    #[error(transparent)]
    Word(#[from] word::WordError),
    /// Snapshots can't be compared.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// What came of one attempt.
struct Tried {
    posted: Posted,
    message: Message,
    came: Result<Sent, SendError>,
}

impl Bell {
    /// A run of a post begins: what it finds is told at its end.
    pub fn begins(&self, post: &Post) {
        self.running().insert(post.clone());
    }

    /// It has ended.
    pub fn ended(&self, post: &Post) {
        self.running().remove(post);
        self.ring();
    }

    /// There may be something to tell.
    pub fn ring(&self) {
        self.notify.notify_one();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeSet<Post>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier {
    /// Runs until it is stopped; an attempt under way may then come to its end.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sending = Sending::default();
        let (mut seen, mut next, mut is_woken) = (None, None, true);
        loop {
            let version = self.lock().version().ok();
            let is_due = next.is_some_and(|next| next <= self.clock.now());
            // Most of the time nobody has written anything, and nothing is due.
            if is_woken || is_due || version.is_none() || version != seen {
                (next, seen) = match self.turn(&mut sending).await {
                    Ok(next) => (next, version),
                    Err(error) => {
                        tracing::warn!("alerts wait: {}", chain(&error));
                        (None, None)
                    }
                };
            }
            let now = self.clock.now();
            let nap = next.map_or(NAP, |next| (next - now).to_std().unwrap_or_default().min(NAP));
            is_woken = tokio::select! {
                () = stop.cancelled() => break,
                () = self.bell.notify.notified() => true,
                Ok(()) = self.outlet.changed() => true,
                Some(tried) = sending.tasks.join_next() => {
                    self.take_in(&mut sending, tried).await;
                    true
                }
                () = tokio::time::sleep(nap) => false,
            };
        }
        while let Some(tried) = sending.tasks.join_next().await {
            self.take_in(&mut sending, tried).await;
        }
    }

    /// Brings everything on that can be now, and returns how many messages were not taken: for who runs once.
    pub async fn run_once(self, within: Duration) -> usize {
        let mut sending = Sending::default();
        let work = async {
            loop {
                if let Err(error) = self.turn(&mut sending).await {
                    tracing::warn!("alerts wait: {}", chain(&error));
                    return;
                }
                match sending.tasks.join_next().await {
                    Some(tried) => self.take_in(&mut sending, tried).await,
                    None => return,
                }
            }
        };
        if tokio::time::timeout(within, work).await.is_err() {
            tracing::warn!("a channel does not answer in time: its alerts wait");
        }
        let reader = self.lock();
        reader.posted().map_or(0, |left| left.len()) + reader.waiting().map_or(0, |left| left.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Words what waits, and begins what is due; returns when there is something to do next.
    async fn turn(&self, sending: &mut Sending) -> Result<Option<DateTime<Utc>>, CourierError> {
        self.record_again(sending).await?;
        let outlet = Arc::clone(&self.outlet.borrow());
        let now = self.clock.now();
        let found = compare::changes(&self.lock())?;
        self.make(found).await?;
        let (due_now, calendar) = calendar::changes(&self.lock(), &mut sending.told, &outlet, now)?;
        self.make(due_now).await?;
        let open = self.lock().open_alerts()?;
        self.make(raise::of_plan(&open, &outlet.plan)).await?;
        self.make(outlet.reminders(&open, now)).await?;
        let mut next = earlier(self.word(&outlet, now).await?, outlet.next_reminder(&open));
        next = earlier(next, calendar);
        let gathered = gather::changes(&outlet, &self.lock().posted()?, now);
        self.make(gathered).await?;
        let posted = self.lock().posted()?;
        for (channel, queue) in by_channel(posted) {
            if sending.busy.contains(&channel) {
                continue;
            }
            match due(&queue, now) {
                Due::Now(posted) => self.begin(sending, &outlet, posted.clone()).await?,
                Due::Later(at) => next = earlier(next, Some(at)),
                Due::Never => {}
            }
        }
        Ok(next)
    }

    async fn make(&self, changes: Vec<Change>) -> Result<(), CourierError> {
        if !changes.is_empty() {
            self.log.append(Draft::of_changes(changes)).await?;
        }
        Ok(())
    }

    /// Puts what waits into words, for each channel that it goes to; returns when what is held back is to be worded.
    async fn word(&self, outlet: &Outlet, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, CourierError> {
        let mut next: Option<DateTime<Utc>> = None;
        let running = self.bell.running().clone();
        let worded = {
            let reader = self.lock();
            let mut worded = Vec::new();
            let mut history = History::default();
            for group in word::groups(&reader)? {
                let held = running.iter().any(|post| group.is_of(post));
                let until = group.since + HOLD;
                if held && now < until && group.since <= now {
                    next = earlier(next, Some(until));
                    continue;
                }
                worded.push(group.word(&reader, &mut history, outlet, now)?);
            }
            worded
        };
        self.make(worded).await?;
        Ok(next)
    }

    /// Begins an attempt.
    async fn begin(
        &self,
        sending: &mut Sending,
        outlet: &Arc<Outlet>,
        posted: Posted,
    ) -> Result<(), CourierError> {
        let message: Message = match serde_json::from_str(&posted.message) {
            Ok(message) => message,
            // Written by another version, or changed by hand: it would wait for ever.
            Err(error) => return self.give_up(posted, &error).await,
        };
        let reference = reference(&self.lock(), &posted)?;
        let outlet = Arc::clone(outlet);
        sending.busy.insert(posted.channel.clone());
        sending.tasks.spawn(async move {
            let came = match outlet.channel(&posted.channel) {
                Some(channel) => {
                    let attempt = channel.send(&message, reference.as_deref());
                    // One that panics is tried again as any other that fails, and not at once.
                    let attempt = AssertUnwindSafe(attempt).catch_unwind();
                    match tokio::time::timeout(ATTEMPT, attempt).await {
                        Ok(Ok(came)) => came,
                        Ok(Err(_)) => Err(SendError::broken()),
                        Err(_) => Err(SendError::late()),
                    }
                }
                None => Err(SendError {
                    what: "the channel is no longer configured".to_owned(),
                    again: Again::Never,
                }),
            };
            Tried {
                posted,
                message,
                came,
            }
        });
        Ok(())
    }

    /// Records that a message will never be sent, since it can't be read.
    async fn give_up(&self, posted: Posted, error: &serde_json::Error) -> Result<(), CourierError> {
        let channel = &posted.channel;
        tracing::error!(
            channel,
            "a message to {channel} can't be read, and is not sent: {error}"
        );
        let opened = self.lock().leaf(posted.alert)?.and_then(|leaf| leaf.body);
        let mut draft = match opened {
            Some(Body::Alert(opened)) => Draft::new(Body::Alert(Alert {
                state: AlertState::Undelivered,
                alert: Some(posted.alert),
                about: posted.about,
                delivery: Some(Delivery {
                    channel: channel.clone(),
                    phase: String::new(),
                    key: String::new(),
                    attempts: posted.attempts,
                    answer: "not sent: the message can't be read".to_owned(),
                    reference: None,
                    also: Vec::new(),
                }),
                ..opened
            })),
            _ => Draft::of_changes(Vec::new()),
        };
        draft = draft.with_changes(vec![Change::Finish { row: posted.id }]);
        self.log.append(draft).await?;
        Ok(())
    }

    /// Records what came of an attempt. If that fails the message is sent again, with the same key.
    async fn take_in(&self, sending: &mut Sending, tried: Result<Tried, tokio::task::JoinError>) {
        let tried = match tried {
            Ok(tried) => tried,
            Err(error) => {
                tracing::error!("an attempt to tell of an alert broke off, which is a bug: {error}");
                sending.busy.clear();
                return;
            }
        };
        match self.record(&tried).await {
            Ok(()) => {
                sending.busy.remove(&tried.posted.channel);
            }
            // It is not sent again meanwhile: the receiver has it.
            Err(error) => {
                tracing::warn!("what came of an alert can't be recorded: {}", chain(&error));
                sending.unrecorded.push(tried);
            }
        }
    }

    /// Tries again to record what could not be.
    async fn record_again(&self, sending: &mut Sending) -> Result<(), CourierError> {
        while let Some(tried) = sending.unrecorded.last() {
            self.record(tried).await?;
            sending.busy.remove(&tried.posted.channel);
            sending.unrecorded.pop();
        }
        Ok(())
    }

    async fn record(&self, tried: &Tried) -> Result<(), CourierError> {
        let Tried {
            posted,
            message,
            came,
        } = tried;
        let attempts = posted.attempts.saturating_add(1);
        let now = self.clock.now();
        let give_up = self.outlet.borrow().give_up();
        let (channel, title) = (posted.channel.clone(), message.title.clone());
        let (state, answer, reference) = match came {
            Ok(sent) => (AlertState::Delivered, sent.answer.clone(), sent.reference.clone()),
            Err(error) if error.again == Again::Never || now - posted.since >= give_up => {
                tracing::error!(
                    channel,
                    "{channel} was not told, and will not be: {title}: {error}"
                );
                (AlertState::Undelivered, error.what.clone(), None)
            }
            Err(error) => {
                let next = now + pause(attempts, error.again);
                tracing::warn!(channel, attempts, "{channel} is told later: {title}: {error}");
                let row = posted.id;
                let change = Change::Postpone { row, attempts, next };
                self.log.append(Draft::of_changes(vec![change])).await?;
                return Ok(());
            }
        };
        if state == AlertState::Delivered {
            tracing::info!(channel, "told {channel}: {title}");
        }
        let leaf = Alert {
            collector: message.facts["collector"].as_str().map(str::to_owned),
            source: message.source.clone(),
            state,
            alert: Some(posted.alert),
            event: message.event,
            severity: message.severity.to_string(),
            test: message.test.clone(),
            control: message.facts["manual"]["control"].as_str().map(str::to_owned),
            about: posted.about,
            resources: message.facts["count"].as_u64().unwrap_or(0),
            delivery: Some(Delivery {
                channel: posted.channel.clone(),
                phase: message.phase.as_str().to_owned(),
                key: message.key.clone(),
                attempts,
                answer,
                reference,
                also: serde_json::from_value(message.facts["also"].clone()).unwrap_or_default(),
            }),
        };
        let draft = Draft::new(Body::Alert(leaf))
            .with_blob(Role::Message, "text/plain", message.text.as_bytes())?
            .with_changes(vec![Change::Finish { row: posted.id }]);
        self.log.append(draft).await?;
        Ok(())
    }
}

/// Attempts under way, one at a time for each channel.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<Tried>,
    /// The channels of these, and of those that could not be recorded.
    busy: BTreeSet<String>,
    /// What came of attempts, as long as the log can't be written.
    unrecorded: Vec<Tried>,
    told: calendar::Told,
}

fn by_channel(posted: Vec<Posted>) -> BTreeMap<String, Vec<Posted>> {
    let mut queues: BTreeMap<String, Vec<Posted>> = BTreeMap::new();
    for posted in posted {
        queues.entry(posted.channel.clone()).or_default().push(posted);
    }
    queues
}

/// What is to be done about a channel's queue.
enum Due<'a> {
    Now(&'a Posted),
    Later(DateTime<Utc>),
    Never,
}

/// The first message that may go. One that is being tried again holds up those behind it, since they would meet the same;
/// one that is held back on purpose holds up only those of its alert.
fn due(queue: &[Posted], now: DateTime<Utc>) -> Due<'_> {
    let mut held = BTreeSet::new();
    let mut next: Option<DateTime<Utc>> = None;
    for posted in queue {
        if posted.next > now {
            next = earlier(next, Some(posted.next));
            if posted.attempts > 0 {
                break;
            }
            held.insert(posted.alert);
        } else if !held.contains(&posted.alert) {
            return Due::Now(posted);
        }
    }
    next.map_or(Due::Never, Due::Later)
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

/// How long to wait before the next attempt.
fn pause(attempts: u32, again: Again) -> TimeDelta {
    let doubled = AGAIN.checked_mul(1 << attempts.saturating_sub(1).min(20));
    let usual = doubled.map_or(AGAIN_AT_MOST, |pause| pause.min(AGAIN_AT_MOST));
    match again {
        Again::After(said) => TimeDelta::from_std(said).map_or(AGAIN_AT_MOST, |said| said.max(AGAIN)),
        Again::Later | Again::Never => usual,
    }
}

/// What the receiver called the alert when it took an earlier message about it.
fn reference(reader: &Reader, posted: &Posted) -> Result<Option<String>, StoreError> {
    let mut found = None;
    let filter = Filter {
        kinds: vec!["alert".to_owned()],
        ..Filter::default()
    };
    reader.walk_back(&filter, |entry| {
        if entry.seq <= posted.alert {
            return Ok::<_, StoreError>(std::ops::ControlFlow::Break(()));
        }
        if let Some(Body::Alert(alert)) = reader.leaf(entry.seq)?.and_then(|leaf| leaf.body)
            && alert.alert == Some(posted.alert)
            && let Some(delivery) = alert.delivery
            && delivery.channel == posted.channel
            && delivery.reference.is_some()
        {
            found = delivery.reference;
            return Ok(std::ops::ControlFlow::Break(()));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
