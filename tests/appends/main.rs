//! Appending, by one and by many: against a simple model, from threads, and from processes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod concurrent;
mod model;

use chrono::DateTime;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{Body, EvaluationLeaf, FailureLeaf, Scope, SnapshotLeaf, Trigger};
use evidenced_collector_api::{Covers, FailureClass};

fn scope(collector: &str, source: &str) -> Draft {
    Draft::new(Body::Scope(Scope {
        collector: collector.to_owned(),
        source: source.to_owned(),
        count: 1,
    }))
}

fn snapshot(collector: &str, source: &str, target: &str) -> Draft {
    let at = DateTime::UNIX_EPOCH;
    Draft::new(Body::Snapshot(SnapshotLeaf {
        plan: 0,
        collector: collector.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        tick: None,
        trigger: Trigger::AdHoc,
        started: at,
        finished: at,
        attempts: 1,
        covers: Covers::At { at },
        complete: true,
        resources: 0,
    }))
}

fn failure(collector: &str, source: &str, target: Option<&str>) -> Draft {
    let at = DateTime::UNIX_EPOCH;
    Draft::new(Body::Failure(FailureLeaf {
        plan: 0,
        collector: collector.to_owned(),
        source: source.to_owned(),
        target: target.map(str::to_owned),
        tick: None,
        trigger: Trigger::AdHoc,
        started: at,
        finished: at,
        attempts: 1,
        class: FailureClass::Timeout,
        message: "no answer".to_owned(),
        retryable: true,
    }))
}

fn evaluation(snapshot: u64, plan: u64) -> Draft {
    Draft::new(Body::Evaluation(EvaluationLeaf {
        snapshot,
        plan,
        results: serde_json::json!([]),
    }))
}
