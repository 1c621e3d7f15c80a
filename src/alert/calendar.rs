//! What the calendar brings: exceptions that end, evidence that people owe, and the owners' week. What was told of already is read from the log.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::outlet::Outlet;
use super::usual_severity;
use crate::exception::{Exceptions, Place, Sealed, resources};
use crate::log::append::{Change, Subject};
use crate::log::leaf::{Alert, Body, Event, Exception, Leaf};
use crate::log::store::{Filter, Reader, StoreError};

mod manual;

pub(super) use manual::{facts as manual_facts, lines as manual_lines};

/// An exception that ended so long ago is no news: it was recorded before there was anybody to tell.
const NO_NEWS: TimeDelta = TimeDelta::days(30);

/// The exceptions and controls that people were told of, each with what, as far as the log is read.
#[derive(Default)]
pub(super) struct Told {
    exceptions: BTreeSet<(Event, u64)>,
    /// When people were last told so of the evidence that they owe for a control.
    manual: BTreeMap<(Event, String), DateTime<Utc>>,
    /// Leaves before this one are read.
    read: u64,
}

/// What is due at `now`, and when the next of it is.
pub(super) fn changes(
    reader: &Reader,
    told: &mut Told,
    outlet: &Outlet,
    now: DateTime<Utc>,
) -> Result<(Vec<Change>, Option<DateTime<Utc>>), StoreError> {
    told.read_on(reader)?;
    let (mut changes, mut next) = exceptions(reader, told, outlet, now)?;
    let upcoming = manual::changes(reader, told, outlet, now, &mut changes)?;
    next = next.into_iter().chain(upcoming).min();
    if let Some(at) = week(reader, outlet)? {
        if at <= now {
            changes.push(Change::Notice {
                subject: Subject::own(Event::Digest),
                severity: usual_severity(Event::Digest).to_string(),
                resources: 0,
                about: None,
            });
        } else {
            next = next.into_iter().chain([at]).min();
        }
    }
    Ok((changes, next))
}

fn exceptions(
    reader: &Reader,
    told: &Told,
    outlet: &Outlet,
    now: DateTime<Utc>,
) -> Result<(Vec<Change>, Option<DateTime<Utc>>), StoreError> {
    let (mut changes, mut next) = (Vec::new(), None::<DateTime<Utc>>);
    let recorded = reader.of_kind("exception", 0)?;
    if recorded.is_empty() {
        return Ok((changes, None));
    }
    let notice = TimeDelta::from_std(outlet.settings.notice).unwrap_or(TimeDelta::MAX);
    let mut sealed = Sealed::default();
    let exceptions = sealed.up_to_date(reader)?;
    for seq in recorded {
        let Some(leaf) = reader.leaf(seq)? else { continue };
        let Some(Body::Exception(exception)) = &leaf.body else {
            continue;
        };
        let warn = exception
            .expires
            .checked_sub_signed(notice)
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        let (event, upcoming) = if now < warn {
            (None, Some(warn))
        } else if now < exception.expires {
            (Some(Event::ExceptionEnding), Some(exception.expires))
        } else if now - exception.expires < NO_NEWS {
            (Some(Event::ExceptionEnded), None)
        } else {
            continue;
        };
        if !counts(reader, exceptions, seq, &leaf, exception)? {
            continue;
        }
        next = next.into_iter().chain(upcoming).min();
        let Some(event) = event else { continue };
        if !told.exceptions.contains(&(event, seq)) {
            let source = exception.only_source.as_deref().unwrap_or_default();
            changes.push(Change::Notice {
                subject: Subject::new(event, &exception.test, "", source),
                severity: usual_severity(event).to_string(),
                resources: exception.resources,
                about: Some(seq),
            });
        }
    }
    Ok((changes, next))
}

/// Whether an exception is still the one that counts for any of its resources: another may have taken its place.
fn counts(
    reader: &Reader,
    exceptions: &Exceptions,
    seq: u64,
    leaf: &Leaf,
    exception: &Exception,
) -> Result<bool, StoreError> {
    let Some(resources) = resources(reader, leaf)? else {
        return Ok(false);
    };
    Ok(resources.iter().any(|resource| {
        let place = Place {
            test: &exception.test,
            resource,
            source: exception.only_source.as_deref().unwrap_or_default(),
        };
        let newest = exceptions.newest(place, Exceptions::NOW);
        newest.is_some_and(|newest| newest.seq == seq)
    }))
}

impl Told {
    /// Reads what was appended since it last read.
    fn read_on(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let (from, size) = (self.read, reader.size()?);
        let filter = Filter {
            kinds: vec!["alert".to_owned()],
            ..Filter::default()
        };
        reader.walk_back(&filter, |entry| {
            if entry.seq < from {
                return Ok(ControlFlow::Break(()));
            }
            let leaf = reader.leaf(entry.seq)?;
            if let Some((at, Body::Alert(alert))) = leaf.and_then(|leaf| Some((leaf.time, leaf.body?))) {
                self.note(at, alert);
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        self.read = size;
        Ok(())
    }
}

impl Told {
    fn note(&mut self, at: DateTime<Utc>, alert: Alert) {
        match (alert.event, alert.control) {
            (Event::ExceptionEnding | Event::ExceptionEnded, _) => {
                self.exceptions
                    .extend(alert.about.map(|about| (alert.event, about)));
            }
            (event, Some(control)) if alert.delivery.is_none() => {
                let last = self.manual.entry((event, control)).or_insert(at);
                *last = at.max(*last);
            }
            _ => {}
        }
    }
}

/// When the owners' next digest is due: at the first tick behind the last one, or behind the log's beginning.
fn week(reader: &Reader, outlet: &Outlet) -> Result<Option<DateTime<Utc>>, StoreError> {
    let Some(digest) = &outlet.settings.digest else {
        return Ok(None);
    };
    let mut last = reader.leaf(0)?.map(|leaf| leaf.time);
    for seq in reader.of_kind("alert", 0)?.into_iter().rev() {
        let Some(leaf) = reader.leaf(seq)? else { continue };
        if let Some(Body::Alert(alert)) = leaf.body
            && alert.event == Event::Digest
            && alert.delivery.is_none()
        {
            last = Some(leaf.time);
            break;
        }
    }
    Ok(last.and_then(|last| digest.schedule.after(last)))
}
