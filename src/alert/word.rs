//! From what waits in the outbox to messages: what belongs together is one message, and what it says is read from the log.

use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

use super::calendar;
use super::facts::{
    ControlFacts, DiskFacts, ExceptionFacts, Facts, FailureFacts, GapFacts, SHOWN, SaidFacts, TestFacts,
};
use super::message::Phase;
use super::outlet::Outlet;
use super::resources::{scope_change, with_changes, with_outcome};
use super::template::samples;
use super::week;
use crate::control::{Outcome, Severity, TestResult};
use crate::disk;
use crate::duty::Post;
use crate::history::{History, HistoryError};
use crate::log::append::{Change, NewMessage};
use crate::log::leaf::{Alert, Body, Event};
use crate::log::store::{OpenAlert, Reader, StoreError, Waiting};

/// What is to be told can't be read.
#[derive(Debug, thiserror::Error)]
pub enum WordError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Snapshots can't be compared.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No message can be made, so what waits goes on waiting.
    #[error("no message can be made")]
    Unworded,
}

impl WordError {
    /// Whether the store is as it was left but for something that can't be read any more.
    fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) | Self::History(HistoryError::Store(error)) => error.is_damage(),
            Self::History(HistoryError::Unreadable(_)) => true,
            Self::Unworded => false,
        }
    }
}

/// What one message tells of.
#[derive(Clone, Debug)]
pub(super) struct Group {
    rows: Vec<i64>,
    /// The leaf that opened the alert; of notices, the first.
    alert: u64,
    /// The other notices.
    also: Vec<u64>,
    phase: Phase,
    abouts: Vec<u64>,
    /// Since when the first of it waits.
    pub(super) since: DateTime<Utc>,
    opened: Alert,
    opened_at: DateTime<Utc>,
}

/// What waits, by what belongs together: news of one alert until it is closed, and notices of one kind and source.
pub(super) fn groups(reader: &Reader) -> Result<Vec<Group>, StoreError> {
    let mut groups: Vec<Group> = Vec::new();
    for waiting in reader.waiting()? {
        let Waiting {
            id,
            alert,
            phase,
            about,
            since,
        } = waiting;
        let opened = reader.leaf(alert)?.and_then(|leaf| Some((leaf.time, leaf.body?)));
        let Some((opened_at, Body::Alert(opened))) = opened else {
            // Changed by hand: `verify` tells of it, and the others are told all the same.
            tracing::error!("the outbox speaks of leaf {alert}, which is no alert");
            continue;
        };
        let phase = serde_json::from_value(phase.into()).unwrap_or(Phase::Notice);
        let joined = groups.iter_mut().rev().find(|group| match phase {
            Phase::Notice => {
                let about = |alert: &Alert| {
                    (
                        alert.event,
                        alert.collector.clone(),
                        alert.source.clone(),
                        alert.test.clone(),
                        alert.control.clone(),
                    )
                };
                group.phase == phase && about(&group.opened) == about(&opened)
            }
            _ => group.alert == alert,
        });
        if let Some(group) = joined
            && joins(group.phase, phase)
        {
            group.rows.push(id);
            group.abouts.extend(about);
            if phase == Phase::Notice {
                group.also.push(alert);
            }
            continue;
        }
        groups.push(Group {
            rows: vec![id],
            alert,
            also: Vec::new(),
            phase,
            abouts: about.into_iter().collect(),
            since,
            opened,
            opened_at,
        });
    }
    Ok(groups)
}

/// Whether what comes second is part of the same message.
fn joins(first: Phase, second: Phase) -> bool {
    use Phase::{Grown, Notice, Opened, Reminder};
    matches!(
        (first, second),
        (Opened | Grown, Grown | Reminder) | (Notice, Notice) | (Reminder, Reminder)
    )
}

impl Group {
    /// Whether it is about what a post's run finds.
    pub(super) fn is_of(&self, post: &Post) -> bool {
        self.opened.collector.as_ref() == Some(&post.collector)
            && self.opened.source.as_ref() == Some(&post.source)
    }

    /// The change that puts messages in its place, one for each channel it goes to.
    pub(super) fn word(
        self,
        reader: &Reader,
        history: &mut History,
        outlet: &Outlet,
        now: DateTime<Utc>,
    ) -> Result<Change, WordError> {
        let mut messages = Vec::new();
        // The week's digest goes to each owner's channels, in words of its own.
        let told = if self.opened.event == Event::Digest {
            week::facts(reader, outlet, self.alert, self.opened_at)?
        } else {
            let facts = self.facts(reader, history, outlet)?;
            let channels = outlet.channels_for(&facts);
            vec![(facts, channels)]
        };
        for (facts, channels) in told {
            for channel in channels {
                let message = outlet.message_for(&channel, &facts).ok_or(WordError::Unworded)?;
                messages.push(NewMessage {
                    alert: self.alert,
                    phase: facts.phase.as_str(),
                    about: self.abouts.last().copied(),
                    since: self.since,
                    next: outlet.not_before(facts.severity, now),
                    channel,
                    message: serde_json::to_string(&message).map_err(|_| WordError::Unworded)?,
                    attempts: 0,
                });
            }
        }
        Ok(Change::Word {
            rows: self.rows,
            messages,
        })
    }

    fn facts(&self, reader: &Reader, history: &mut History, outlet: &Outlet) -> Result<Facts, WordError> {
        let Alert {
            collector,
            source,
            event,
            severity,
            test,
            control,
            resources,
            ..
        } = self.opened.clone();
        let log = reader.origin().to_string();
        let mut facts = Facts {
            phase: self.phase,
            event,
            severity: serde_json::from_value(severity.into()).unwrap_or(Severity::High),
            alert: self.alert,
            since: self.opened_at,
            source,
            collector,
            count: resources,
            show: self.abouts.last().copied(),
            also: self.also.clone(),
            ..samples::trial(&log, self.since)
        };
        let rules = &outlet.plan.lists.rules;
        if let Some(id) = &test {
            let named = rules.tests.iter().find(|test| test.id.as_str() == id);
            facts.test = Some(TestFacts {
                id: id.clone(),
                title: named.map_or_else(|| id.clone(), |test| test.title.clone()),
            });
            let serve = |control: &&crate::control::Control| {
                control.enabled && control.tests.iter().any(|test| test.as_str() == id)
            };
            facts.controls = rules
                .controls
                .iter()
                .filter(serve)
                .map(ControlFacts::of)
                .collect();
        }
        if let Some(id) = &control {
            let named = rules.controls.iter().filter(|control| control.id.as_str() == id);
            facts.controls = named.map(ControlFacts::of).collect();
        }
        match self.add_details(reader, history, test.as_deref(), &mut facts) {
            // What can't be read any more must not keep people from being told, nor any other message back.
            Err(error) if error.is_damage() => {
                tracing::warn!("alert {} is told without its details: {error}", self.alert);
                Ok(facts)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(facts),
        }
    }

    fn add_details(
        &self,
        reader: &Reader,
        history: &mut History,
        test: Option<&str>,
        facts: &mut Facts,
    ) -> Result<(), WordError> {
        match self.phase {
            Phase::Acknowledged => self.acknowledged(reader, facts)?,
            Phase::Closed => facts.outcome = self.outcome_now(reader, test)?,
            _ => self.event_facts(reader, history, test, facts)?,
        }
        if let Some(control) = &self.opened.control {
            facts.manual = calendar::manual_facts(reader, control, facts.at)?;
        }
        facts.exception = self.exception(reader)?;
        Ok(())
    }

    fn event_facts(
        &self,
        reader: &Reader,
        history: &mut History,
        test: Option<&str>,
        facts: &mut Facts,
    ) -> Result<(), WordError> {
        let open = reader
            .open_alerts()?
            .into_iter()
            .find(|open| open.seq == self.alert);
        match self.opened.event {
            Event::TestFailing | Event::TestUnknown => {
                let wanted = match self.opened.event {
                    Event::TestFailing => Outcome::Fail,
                    _ => Outcome::Unknown,
                };
                let snapshots = self.snapshots(reader, open.as_ref())?;
                let only_new = self.phase == Phase::Grown;
                let test = test.unwrap_or_default();
                let found = with_outcome(reader, history, &snapshots, test, wanted, only_new)?;
                facts.count = found.len() as u64;
                facts.resources = found.into_iter().take(SHOWN).collect();
                facts.show = snapshots.last().copied().or(facts.show);
            }
            Event::SettingChanged => {
                let snapshots = self.snapshots(reader, None)?;
                let found = with_changes(reader, history, &snapshots)?;
                facts.show = snapshots.last().copied().or(facts.show);
                facts.count = found.len() as u64;
                facts.resources = found.into_iter().take(SHOWN).collect();
            }
            Event::ScopeChanged => {
                for about in &self.abouts {
                    let (came, left) = scope_change(reader, history, *about)?;
                    facts.came.extend(came);
                    facts.left.extend(left);
                }
                facts.count = (facts.came.len() + facts.left.len()) as u64;
            }
            Event::EvidenceGap => {
                let mut count = 0;
                for about in &self.abouts {
                    if let Some(Body::Missed(missed)) = body(reader, *about)? {
                        count += missed.ticks.count;
                        facts.gaps.push(GapFacts {
                            target: missed.target,
                            first: missed.ticks.first,
                            last: missed.ticks.last,
                            count: missed.ticks.count,
                            reason: missed.note.map_or_else(
                                || missed.reason.to_string(),
                                |note| format!("{}: {note}", missed.reason),
                            ),
                        });
                    }
                }
                facts.count = count;
                facts.gaps.truncate(SHOWN);
            }
            Event::CollectionFailing => {
                for failure in self.failures(reader, open.as_ref())? {
                    if let Some(Body::Failure(failure)) = body(reader, failure)? {
                        let class = serde_json::to_value(failure.class).unwrap_or_default();
                        facts.failures.push(FailureFacts {
                            target: failure.target,
                            class: class.as_str().unwrap_or_default().to_owned(),
                            message: failure.message,
                        });
                    }
                }
                facts.count = facts.failures.len() as u64;
                facts.failures.truncate(SHOWN);
            }
            Event::DiskFilling => {
                facts.disk = Some(DiskFacts {
                    free_bytes: match self.abouts.last().map(|about| body(reader, *about)).transpose()? {
                        Some(Some(Body::Heartbeat(beat))) => beat.free_bytes,
                        _ => None,
                    },
                    days: disk::days_left(reader, facts.at)?,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The snapshots that it tells of: those that gave rise to it, or of a reminder the newest of each target; one for
    /// each target.
    fn snapshots(&self, reader: &Reader, open: Option<&OpenAlert>) -> Result<Vec<u64>, WordError> {
        let mut abouts = self.abouts.clone();
        if self.phase == Phase::Reminder
            && let Some(open) = open
        {
            for target in &open.targets {
                let scope = (
                    open.collector.as_str(),
                    open.source.as_str(),
                    Some(target.as_str()),
                );
                abouts.extend(reader.newest("snapshot", Some(scope))?);
            }
        }
        let mut targets = BTreeSet::new();
        let mut snapshots = Vec::new();
        for about in abouts.into_iter().rev() {
            let seq = match body(reader, about)? {
                Some(Body::Evaluation(evaluation)) => evaluation.snapshot,
                _ => about,
            };
            if let Some(Body::Snapshot(snapshot)) = body(reader, seq)?
                && targets.insert(snapshot.target)
            {
                snapshots.push(seq);
            }
        }
        snapshots.sort_unstable();
        Ok(snapshots)
    }

    fn failures(&self, reader: &Reader, open: Option<&OpenAlert>) -> Result<Vec<u64>, WordError> {
        let Some(open) = open else {
            return Ok(self.abouts.clone());
        };
        let mut failures = Vec::new();
        for target in &open.targets {
            let target = Some(target.as_str()).filter(|target| !target.is_empty());
            let scope = (open.collector.as_str(), open.source.as_str(), target);
            failures.extend(reader.newest("failure", Some(scope))?);
        }
        Ok(failures)
    }

    fn acknowledged(&self, reader: &Reader, facts: &mut Facts) -> Result<(), WordError> {
        let Some(about) = self.abouts.last() else {
            return Ok(());
        };
        if let Some(Body::Acknowledgement(said)) = body(reader, *about)? {
            facts.acknowledged = Some(SaidFacts {
                by: said.recorded_by,
                note: said.note,
                ticket: said.ticket,
            });
        }
        Ok(())
    }

    /// What ended the alert: what the test said, or that a snapshot was taken. None if neither did.
    fn outcome_now(&self, reader: &Reader, test: Option<&str>) -> Result<Option<String>, WordError> {
        let about = self.abouts.last().map(|about| body(reader, *about)).transpose()?;
        Ok(match (about.flatten(), test) {
            (Some(Body::Evaluation(evaluation)), Some(test)) => {
                let results: Vec<TestResult> = serde_json::from_value(evaluation.results).unwrap_or_default();
                let result = results.iter().find(|result| result.test.as_str() == test);
                result.map(|result| result.outcome.as_str().to_owned())
            }
            (Some(Body::Snapshot(_)), None) => Some("collected".to_owned()),
            _ => None,
        })
    }

    fn exception(&self, reader: &Reader) -> Result<Option<ExceptionFacts>, WordError> {
        let Some(about) = self.opened.about else {
            return Ok(None);
        };
        Ok(match body(reader, about)? {
            Some(Body::Exception(exception)) => Some(ExceptionFacts {
                seq: about,
                reason: exception.reason,
                expires: exception.expires,
                approved_by: exception.approved_by,
            }),
            _ => None,
        })
    }
}

fn body(reader: &Reader, seq: u64) -> Result<Option<Body>, StoreError> {
    Ok(reader.leaf(seq)?.and_then(|leaf| leaf.body))
}
