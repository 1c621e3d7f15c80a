//! What people were told of a deviation, and what they did about it: out of alerts and acknowledgements.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

use super::deviation::Deviation;
use super::manual::Overdue;
use crate::log::leaf::{Acknowledgement, Alert, AlertState, Event};

/// Alerts of failing tests, and what became of them.
#[derive(Debug, Default)]
pub struct Responses {
    /// By the leaf that opened them.
    alerts: BTreeMap<u64, Known>,
    by_test: BTreeMap<String, Vec<u64>>,
    /// Of evidence that people owe, by control: when people were told that it was overdue.
    by_control: BTreeMap<String, Vec<(u64, DateTime<Utc>)>>,
}

#[derive(Debug)]
struct Known {
    collector: Option<String>,
    source: Option<String>,
    about: Option<u64>,
    closed: Option<u64>,
    delivered: Vec<Told>,
    said: Vec<Said>,
}

/// A channel took a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The leaf.
    pub seq: u64,
    /// When that was recorded.
    pub time: DateTime<Utc>,
    /// The alert.
    pub alert: u64,
    /// The channel's configured name.
    pub channel: String,
    /// Which message.
    #[serde(skip)]
    pub phase: String,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The leaf.
    pub seq: u64,
    /// When it was recorded.
    pub time: DateTime<Utc>,
    /// What was said.
    #[serde(flatten)]
    pub what: Acknowledgement,
}

/// What was done about one deviation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The first message about it that a channel took.
    pub notified: Option<Told>,
    /// What was said since it was found, the first first.
    pub acknowledged: Vec<Said>,
    /// Where it is worked on, as said last.
    pub ticket: Option<String>,
    /// Why it came to it, as said last.
    pub cause: Option<String>,
    /// What was done about it, as said last.
    pub correction: Option<String>,
    /// Management's response, as said last.
    pub response: Option<String>,
}

impl Responses {
    /// Adds an alert's leaf, later in the log than those before it. Only those of failing tests and of evidence that is overdue
    /// count.
    pub fn add_alert(&mut self, seq: u64, time: DateTime<Utc>, alert: &Alert) {
        match (
            alert.state,
            alert.alert.and_then(|opened| self.alerts.get_mut(&opened)),
        ) {
            (AlertState::Opened | AlertState::Noticed, _) => {
                match (alert.event, &alert.test, &alert.control) {
                    (Event::TestFailing, Some(test), _) => {
                        self.by_test.entry(test.clone()).or_default().push(seq);
                    }
                    (Event::ManualOverdue, _, Some(control)) => {
                        let alerts = self.by_control.entry(control.clone()).or_default();
                        alerts.push((seq, time));
                    }
                    _ => return,
                }
                let known = Known {
                    collector: alert.collector.clone(),
                    source: alert.source.clone(),
                    about: alert.about,
                    closed: None,
                    delivered: Vec::new(),
                    said: Vec::new(),
                };
                self.alerts.insert(seq, known);
            }
            (AlertState::Closed, Some(known)) => known.closed = Some(seq),
            (AlertState::Delivered, _) => self.add_delivery(seq, time, alert),
            (AlertState::Undelivered | AlertState::Closed, _) => {}
        }
    }

    /// A message tells of one alert, or of several.
    fn add_delivery(&mut self, seq: u64, time: DateTime<Utc>, alert: &Alert) {
        let Some(delivery) = &alert.delivery else {
            return;
        };
        for opened in alert.alert.iter().chain(&delivery.also) {
            if let Some(known) = self.alerts.get_mut(opened) {
                known.delivered.push(Told {
                    seq,
                    time,
                    alert: *opened,
                    channel: delivery.channel.clone(),
                    phase: delivery.phase.clone(),
                });
            }
        }
    }

    /// Adds an acknowledgement, later in the log than those before it.
    pub fn add_acknowledgement(&mut self, seq: u64, time: DateTime<Utc>, said: &Acknowledgement) {
        if let Some(known) = self.alerts.get_mut(&said.alert) {
            known.said.push(Said {
                seq,
                time,
                what: said.clone(),
            });
        }
    }

    /// What was done about a deviation: by alerts of its test and source that were open while it lasted.
    pub fn to(&self, deviation: &Deviation) -> Response {
        let mut response = Response::default();
        let of_test = self.by_test.get(deviation.test.as_str());
        for opened in of_test.into_iter().flatten() {
            let Some(known) = self
                .alerts
                .get(opened)
                .filter(|known| known.is_of(*opened, deviation))
            else {
                continue;
            };
            let is_own = known.is_opened_by(*opened, deviation);
            let told = known.delivered.iter().find(|told| told.is_of(deviation, is_own));
            response.notified = match (response.notified.take(), told) {
                (Some(earlier), Some(told)) if told.seq < earlier.seq => Some(told.clone()),
                (None, told) => told.cloned(),
                (earlier, _) => earlier,
            };
            let since = |said: &&Said| said.seq > deviation.first.evaluation;
            response
                .acknowledged
                .extend(known.said.iter().filter(since).cloned());
        }
        response.settled()
    }

    /// What was done about evidence that was overdue: by the alerts of its control from while it was.
    pub fn to_overdue(&self, control: &str, overdue: &Overdue) -> Response {
        let mut response = Response::default();
        for (opened, at) in self.by_control.get(control).into_iter().flatten() {
            let is_of = overdue.from <= *at && overdue.to.is_none_or(|to| *at <= to);
            let Some(known) = self.alerts.get(opened).filter(|_| is_of) else {
                continue;
            };
            response.notified = response.notified.or_else(|| known.delivered.first().cloned());
            response.acknowledged.extend(known.said.iter().cloned());
        }
        response.settled()
    }
}

impl Response {
    /// With what was said in the order of the log, and of each field what was said last.
    fn settled(mut self) -> Self {
        self.acknowledged.sort_by_key(|said| said.seq);
        for said in &self.acknowledged {
            let what = &said.what;
            for (kept, new) in [
                (&mut self.ticket, &what.ticket),
                (&mut self.cause, &what.cause),
                (&mut self.correction, &what.correction),
                (&mut self.response, &what.response),
            ] {
                if new.is_some() {
                    kept.clone_from(new);
                }
            }
        }
        self
    }
}

impl Known {
    /// Whether an alert may be about a deviation: of its source, and open while that was found, or opened for it.
    fn is_of(&self, opened: u64, deviation: &Deviation) -> bool {
        let same = |named: &Option<String>, of: &str| named.as_ref().is_none_or(|name| name == of);
        let (scope, found) = (&deviation.scope, deviation.first.evaluation);
        let over = match &deviation.end {
            Some(end) => end.look.evaluation,
            // An event passes.
            None if deviation.events_from.is_some() => found,
            None => u64::MAX,
        };
        let was_open = opened < over && self.closed.is_none_or(|closed| closed > found);
        same(&self.collector, &scope.collector)
            && same(&self.source, &scope.source)
            && (was_open || self.about == Some(deviation.first.evaluation))
    }

    /// Whether it was opened when the deviation had been found, so that its first message tells of it.
    fn is_opened_by(&self, opened: u64, deviation: &Deviation) -> bool {
        opened > deviation.first.evaluation || self.about == Some(deviation.first.evaluation)
    }
}

impl Told {
    /// Whether a message tells of a deviation: sent since, and not only of what had been known before.
    fn is_of(&self, deviation: &Deviation, is_own: bool) -> bool {
        self.seq > deviation.first.evaluation
            && match self.phase.as_str() {
                "opened" | "notice" | "digest" => is_own,
                "grown" | "reminder" => true,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::TestId;
    use crate::log::leaf::Delivery;
    use crate::period::deviation::{End, Look, Other, Scope};

    fn time(seq: u64) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::try_from(seq).unwrap() * 60, 0).unwrap()
    }

    fn look(snapshot: u64) -> Look {
        Look {
            snapshot,
            at: time(snapshot),
            evaluation: snapshot + 1,
            judged: time(snapshot + 1),
        }
    }

    /// Found by snapshot 10, and ended by another.
    fn deviation(end: Option<u64>) -> Deviation {
        Deviation {
            scope: Scope {
                collector: "fake.things".to_owned(),
                source: "src".to_owned(),
                target: "a".to_owned(),
            },
            test: TestId::parse("safe").unwrap(),
            resource: "x".to_owned(),
            events_from: None,
            before: None,
            first: look(10),
            reason: String::new(),
            last: look(10),
            excepted: Vec::new(),
            since_then: None,
            end: end.map(|snapshot| End {
                state: Other::Passes,
                look: look(snapshot),
                reason: String::new(),
            }),
        }
    }

    fn alert(state: AlertState, alert: Option<u64>, phase: Option<&str>) -> Alert {
        Alert {
            collector: Some("fake.things".to_owned()),
            source: Some("src".to_owned()),
            state,
            alert,
            event: Event::TestFailing,
            severity: "high".to_owned(),
            test: Some("safe".to_owned()),
            control: None,
            about: None,
            resources: 1,
            delivery: phase.map(|phase| Delivery {
                also: Vec::new(),
                channel: "pager".to_owned(),
                phase: phase.to_owned(),
                key: "key".to_owned(),
                attempts: 1,
                answer: "200".to_owned(),
                reference: None,
            }),
        }
    }

    /// An alert opened at a leaf, and what became of it.
    fn alerts(leaves: &[(u64, AlertState, Option<&str>)]) -> Responses {
        let mut responses = Responses::default();
        let mut opened = None;
        for (seq, state, phase) in leaves {
            if *state == AlertState::Opened {
                opened = None;
            }
            responses.add_alert(*seq, time(*seq), &alert(*state, opened, *phase));
            opened = opened.or(Some(*seq));
        }
        responses
    }

    fn notified(responses: &Responses, end: Option<u64>) -> Option<u64> {
        responses.to(&deviation(end)).notified.map(|told| told.seq)
    }

    use AlertState::{Closed, Delivered, Opened, Undelivered};

    #[test]
    fn the_first_message_that_a_channel_took_since_it_was_found_told_of_it() {
        let taken = alerts(&[
            (12, Opened, None),
            (13, Undelivered, Some("opened")),
            (14, Delivered, Some("opened")),
            (15, Delivered, Some("reminder")),
        ]);
        assert_eq!(notified(&taken, None), Some(14));
        assert_eq!(
            notified(
                &alerts(&[(12, Opened, None), (13, Undelivered, Some("opened"))]),
                None
            ),
            None
        );
        assert_eq!(notified(&Responses::default(), None), None);
    }

    #[test]
    fn a_message_that_tells_only_of_what_was_known_before_did_not_tell_of_it() {
        let grown = alerts(&[
            (5, Opened, None),
            (6, Delivered, Some("opened")),
            (12, Delivered, Some("opened")),
            (13, Delivered, Some("acknowledged")),
            (14, Delivered, Some("grown")),
        ]);
        assert_eq!(notified(&grown, None), Some(14));
    }

    #[test]
    fn an_alert_is_about_what_failed_while_it_was_open() {
        let over = alerts(&[
            (5, Opened, None),
            (8, Closed, None),
            (12, Delivered, Some("grown")),
        ]);
        assert_eq!(notified(&over, None), None);
        let later = alerts(&[(22, Opened, None), (23, Delivered, Some("opened"))]);
        assert_eq!(notified(&later, Some(20)), None);
        assert_eq!(notified(&later, Some(30)), Some(23));
        let mut other = Responses::default();
        for (test, source) in [("other", "src"), ("safe", "elsewhere")] {
            let mut opened = alert(Opened, None, None);
            (opened.test, opened.source) = (Some(test.to_owned()), Some(source.to_owned()));
            other.add_alert(12, time(12), &opened);
            other.add_alert(13, time(13), &alert(Delivered, Some(12), Some("opened")));
            assert_eq!(notified(&other, None), None, "{test} {source}");
        }
    }

    #[test]
    fn what_was_said_since_it_was_found_adds_up_and_the_last_word_counts() {
        let mut responses = alerts(&[(5, Opened, None)]);
        let mut say = |seq, note: &str, cause: Option<&str>, response: Option<&str>| {
            let said = Acknowledgement {
                alert: 5,
                note: note.to_owned(),
                ticket: None,
                cause: cause.map(str::to_owned),
                correction: None,
                response: response.map(str::to_owned),
                recorded_by: "ann".to_owned(),
            };
            responses.add_acknowledgement(seq, time(seq), &said);
        };
        say(7, "before it", Some("another"), None);
        say(12, "seen", Some("a slip"), Some("none"));
        say(13, "again", None, Some("trained"));
        let response = responses.to(&deviation(None));
        let notes: Vec<_> = response
            .acknowledged
            .iter()
            .map(|said| said.what.note.as_str())
            .collect();
        assert_eq!(notes, ["seen", "again"]);
        assert_eq!(response.cause.as_deref(), Some("a slip"));
        assert_eq!(response.response.as_deref(), Some("trained"));
        assert_eq!(response.ticket, None);
    }
}
