//! A message of every kind, to try templates on.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::super::facts::{
    ChangeFacts, ControlFacts, DiskFacts, ExceptionFacts, Facts, FailureFacts, GapFacts, ManualFacts,
    ResourceFacts, SaidFacts, TestFacts, WeekFacts,
};
use super::super::message::Phase;
use crate::control::{Criterion, Example, Severity};
use crate::log::leaf::Event;

/// Facts that every sample begins with, and a trial's.
pub(in crate::alert) fn trial(log: &str, at: DateTime<Utc>) -> Facts {
    Facts {
        phase: Phase::Trial,
        event: Event::Trial,
        severity: Severity::Low,
        log: log.to_owned(),
        alert: 0,
        since: at,
        at,
        source: None,
        collector: None,
        test: None,
        controls: Vec::new(),
        count: 0,
        resources: Vec::new(),
        show: None,
        outcome: None,
        gaps: Vec::new(),
        failures: Vec::new(),
        came: Vec::new(),
        left: Vec::new(),
        exception: None,
        manual: None,
        acknowledged: None,
        problems: Vec::new(),
        disk: None,
        titles: Vec::new(),
        also: Vec::new(),
        week: None,
    }
}

/// One for each event and phase that there is.
pub(super) fn all() -> Vec<Facts> {
    use Phase::{Acknowledged, Closed, Grown, Notice, Opened, Reminder};
    let lasting = [Opened, Grown, Reminder, Acknowledged, Closed].as_slice();
    let once = [Notice].as_slice();
    let now = Example::NOW;
    let mut all = vec![trial("acme/0123abcd", now), several(now), week(now)];
    for event in Event::ALL {
        let phases = match event {
            Event::TestFailing | Event::TestUnknown | Event::CollectionFailing | Event::DiskFilling => {
                lasting
            }
            _ => once,
        };
        all.extend(phases.iter().map(|phase| sample(event, *phase, now)));
    }
    let mut bare = sample(Event::TestFailing, Opened, now).without_personal_data();
    bare.controls.clear();
    bare.show = None;
    all.push(bare);
    all
}

fn several(now: DateTime<Utc>) -> Facts {
    Facts {
        phase: Phase::Digest,
        event: Event::Digest,
        severity: Severity::High,
        count: 40,
        titles: vec!["[high] Every console user has MFA: fails for 2 resources on prod".to_owned()],
        ..trial("acme/0123abcd", now)
    }
}

fn week(now: DateTime<Utc>) -> Facts {
    Facts {
        week: Some(WeekFacts {
            owner: "platform".to_owned(),
            from: now - TimeDelta::days(7),
            to: now,
            new: vec!["Every console user has MFA on prod: 2 resources since 2025-12-30".to_owned()],
            ..WeekFacts::default()
        }),
        ..several(now)
    }
}

fn sample(event: Event, phase: Phase, now: DateTime<Utc>) -> Facts {
    let change = ChangeFacts {
        attribute: "mfa_active".to_owned(),
        before: Some(json!(true)),
        after: Some(json!(false)),
    };
    let mut facts = Facts {
        phase,
        event,
        severity: Severity::High,
        alert: 1042,
        since: now - TimeDelta::hours(2),
        source: Some("prod".to_owned()),
        collector: Some("aws.iam.mfa".to_owned()),
        count: 2,
        show: Some(1041),
        outcome: (phase == Phase::Closed).then(|| match event {
            Event::CollectionFailing => "collected".to_owned(),
            _ => "pass".to_owned(),
        }),
        ..trial("acme/0123abcd", now)
    };
    if phase == Phase::Acknowledged {
        facts.acknowledged = Some(SaidFacts {
            by: "alice".to_owned(),
            note: "the new laptops come tomorrow".to_owned(),
            ticket: Some("SEC-12".to_owned()),
        });
    }
    match event {
        Event::TestFailing | Event::TestUnknown | Event::ExceptionEnding | Event::ExceptionEnded => {
            facts.test = Some(TestFacts {
                id: "aws-console-mfa".to_owned(),
                title: "Every console user has MFA".to_owned(),
            });
            facts.controls = vec![control("mfa-for-console-access", "CC6.1")];
        }
        Event::ManualDue | Event::ManualOverdue => {
            (facts.source, facts.collector, facts.show) = (None, None, None);
            facts.controls = vec![control("access-review", "CC6.2")];
            facts.manual = Some(ManualFacts {
                control: "access-review".to_owned(),
                due: now.date_naive(),
                grace_ends: now + TimeDelta::days(14),
                newest: Some(812),
            });
        }
        Event::DiskFilling | Event::LogNotIntact => (facts.source, facts.collector) = (None, None),
        _ => {}
    }
    match event {
        Event::TestFailing | Event::TestUnknown | Event::SettingChanged => {
            facts.resources = vec![ResourceFacts {
                target: "123456789012".to_owned(),
                kind: "aws.iam.user".to_owned(),
                id: "arn:aws:iam::123456789012:user/bob".to_owned(),
                name: "bob".to_owned(),
                reason: "mfa_active is false".to_owned(),
                change: (event == Event::SettingChanged).then(|| "changed".to_owned()),
                changed: vec![change],
            }];
        }
        Event::EvidenceGap => {
            facts.gaps = vec![GapFacts {
                target: None,
                first: now - TimeDelta::hours(2),
                last: now - TimeDelta::hours(1),
                count: 2,
                reason: "the daemon was not running".to_owned(),
            }];
        }
        Event::CollectionFailing => {
            facts.failures = vec![FailureFacts {
                target: Some("123456789012".to_owned()),
                class: "permission".to_owned(),
                message: "not allowed to list users".to_owned(),
            }];
        }
        Event::ScopeChanged => facts.came = vec!["acme/shop".to_owned()],
        Event::ExceptionEnding | Event::ExceptionEnded => {
            facts.exception = Some(ExceptionFacts {
                seq: 900,
                reason: "hardware keys are ordered".to_owned(),
                expires: now + TimeDelta::days(3),
                approved_by: "carol".to_owned(),
            });
        }
        Event::LogNotIntact => facts.problems = vec!["leaf 17 does not match its hash".to_owned()],
        Event::DiskFilling => {
            facts.disk = Some(DiskFacts {
                free_bytes: Some(5 << 30),
                days: Some(9),
            });
        }
        Event::ManualDue | Event::ManualOverdue | Event::Digest | Event::Trial => {}
    }
    facts
}

fn control(id: &str, criterion: &str) -> ControlFacts {
    ControlFacts {
        id: id.to_owned(),
        statement: "Console access requires a second factor.".to_owned(),
        owner: "platform".to_owned(),
        criteria: Criterion::parse(criterion).into_iter().collect(),
    }
}
