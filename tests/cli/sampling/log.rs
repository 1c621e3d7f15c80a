//! A log in which a test writes snapshots as the collectors' would stand there.

use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, FailureLeaf, Role, Scope, SnapshotLeaf, Trigger};
use evidenced::log::store::{Paths, Reader};
use evidenced::round::Evidence;
use evidenced_collector_api::{Call, Completeness, Covers, FailureClass, Provenance, Resource, Snapshot};

use crate::fake::{HandClock, World, job, maker, plan};
use crate::workplace::Workplace;

pub(super) const GITHUB: &str = "github.pull_requests";
/// The log.
pub(super) struct Log {
    appender: Appender,
    pub(super) clock: Arc<HandClock>,
    plan: u64,
}

impl Log {
    pub(super) async fn begun(place: &Workplace) -> Self {
        let clock = HandClock::at("2026-02-28T22:00:00Z");
        let paths = Paths::new(place.store());
        let log = Appender::open(&paths, "acme", clock.clone()).unwrap();
        let reader = Reader::open(&paths).unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let github = job(
            "github",
            GITHUB,
            &["github.pull_request", "github.commit"],
            world.clone(),
        );
        let aws = job("aws", "aws.iam.mfa", &["aws.iam.user"], world);
        let plan = plan(&[&github, &aws], "")
            .seal(&log, &reader, &maker())
            .await
            .unwrap();
        Self {
            appender: log,
            clock,
            plan,
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        evidenced::clock::Clock::now(self.clock.as_ref())
    }

    /// Waits until an instant of 1 March, or of another day: `12:00`, `2026-03-02T12:00`.
    pub(super) fn until(&self, text: &str) {
        self.clock.forward(at(text) - self.now());
    }

    pub(super) async fn append(&self, body: Body) -> u64 {
        self.appender.append(Draft::new(body)).await.unwrap().seq
    }

    pub(super) async fn scope(&self, collector: &str, source: &str, targets: &[&str]) {
        let scope = Scope {
            collector: collector.to_owned(),
            source: source.to_owned(),
            count: targets.len() as u64,
        };
        let payload = json!({ "targets": targets }).to_string();
        let draft = Draft::new(Body::Scope(scope));
        let draft = draft
            .with_blob(Role::Scope, "application/json", payload.as_bytes())
            .unwrap();
        self.appender.append(draft).await.unwrap();
    }

    /// A snapshot of now, or of the interval that ends now.
    pub(super) async fn snapshot(
        &self,
        (collector, source, target): (&str, &str, &str),
        from: Option<DateTime<Utc>>,
        complete: bool,
        resources: Vec<Resource>,
    ) -> u64 {
        let now = self.now();
        let covers = from.map_or(Covers::At { at: now }, |from| Covers::Interval { from, to: now });
        let leaf = SnapshotLeaf {
            plan: self.plan,
            collector: collector.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            tick: None,
            trigger: Trigger::AdHoc,
            started: now,
            finished: now,
            attempts: 1,
            covers,
            complete,
            resources: resources.len() as u64,
        };
        let provenance = provenance(target, now, complete, resources.len() as u64);
        let snapshot = Snapshot {
            covers,
            resources,
            raw: Vec::new(),
            provenance,
        };
        let mut draft = Draft::new(Body::Snapshot(leaf));
        for part in Evidence::of(&snapshot, &[]).parts() {
            draft = draft.with_blob(Role::Evidence, "application/json", part).unwrap();
        }
        let told = serde_json::to_vec(&snapshot.provenance).unwrap();
        let draft = draft
            .with_blob(Role::Provenance, "application/json", &told)
            .unwrap();
        self.appender.append(draft).await.unwrap().seq
    }

    /// The pull requests that were merged since `from`.
    pub(super) async fn pulls(&self, target: &str, from: &str, pulls: &[(&str, &str)]) -> u64 {
        let pulls = pulls.iter().map(|(id, merged)| pull(id, at(merged))).collect();
        self.snapshot((GITHUB, "github", target), Some(at(from)), true, pulls)
            .await
    }

    pub(super) async fn users(&self, users: &[&str]) -> u64 {
        let user = |id: &&str| Resource::new("aws.iam.user", *id, *id, 0).with("mfa_active", true);
        let users = users.iter().map(user).collect();
        self.snapshot(("aws.iam.mfa", "aws", "1234"), None, true, users)
            .await
    }

    pub(super) async fn fails(&self, collector: &str, source: &str, target: Option<&str>) -> u64 {
        self.append(Body::Failure(FailureLeaf {
            plan: self.plan,
            collector: collector.to_owned(),
            source: source.to_owned(),
            target: target.map(str::to_owned),
            tick: None,
            trigger: Trigger::AdHoc,
            started: self.now(),
            finished: self.now(),
            attempts: 1,
            class: FailureClass::Unavailable,
            message: "no answer".to_owned(),
            retryable: true,
        }))
        .await
    }
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    let day = if text.contains('T') { "" } else { "2026-03-01T" };
    format!("{day}{text}:00Z").parse().unwrap()
}

pub(super) fn pull(id: &str, merged: DateTime<Utc>) -> Resource {
    Resource::new("github.pull_request", id, id, 0)
        .with("merged_at", merged.to_rfc3339())
        .with("title", format!("=HYPERLINK(\"{id}\")"))
        .with("late", false)
}

fn provenance(target: &str, now: DateTime<Utc>, complete: bool, read: u64) -> Provenance {
    Provenance {
        caller: BTreeMap::from([("login".to_owned(), "auditor-bot".into())]),
        calls: vec![Call {
            service: "rest".to_owned(),
            operation: "GET /pulls".to_owned(),
            parameters: BTreeMap::from([
                ("state".to_owned(), "closed".into()),
                ("of".to_owned(), target.into()),
            ]),
            started: now,
            duration_ms: 3,
            status: "200".to_owned(),
            request_id: None,
            pages: 2,
            items: read,
            body_sha256: None,
            server_date: None,
            error: None,
        }],
        limits: Vec::new(),
        completeness: Completeness {
            complete,
            basis: if complete {
                "every page"
            } else {
                "a page was refused"
            }
            .to_owned(),
            expected: Some(read + u64::from(!complete)),
            read,
            second_source: Some("a count".to_owned()),
        },
    }
}

/// 1 March: three pull requests of a, an outage in the middle, one of b; users come and go.
pub(super) async fn a_day(place: &Workplace) -> Log {
    let log = Log::begun(place).await;
    log.scope(GITHUB, "github", &["acme/a", "acme/b"]).await;
    log.scope("aws.iam.mfa", "aws", &["1234"]).await;
    log.until("2026-02-28T23:00");
    log.users(&["ann", "bob"]).await;
    log.until("06:00");
    log.pulls(
        "acme/a",
        "2026-02-28T22:00",
        &[
            ("acme/a#1", "2026-02-28T23:59"),
            ("acme/a#2", "00:00"),
            ("acme/a#3", "05:00"),
        ],
    )
    .await;
    log.pulls("acme/b", "2026-02-28T22:00", &[]).await;
    log.users(&["ann", "carl"]).await;
    log.until("12:00");
    log.fails(GITHUB, "github", Some("acme/a")).await;
    log.pulls("acme/b", "06:00", &[("acme/b#1", "11:00")]).await;
    log.users(&["ann", "carl"]).await;
    log.until("18:00");
    log.pulls("acme/a", "12:00", &[("acme/a#3", "05:00"), ("acme/a#4", "17:00")])
        .await;
    log.pulls("acme/b", "12:00", &[]).await;
    log.users(&["ann", "dora"]).await;
    log.until("2026-03-02T00:00");
    log.pulls("acme/a", "18:00", &[("acme/a#5", "2026-03-02T00:00")])
        .await;
    log.pulls("acme/b", "18:00", &[]).await;
    log.users(&["ann", "dora"]).await;
    log
}
