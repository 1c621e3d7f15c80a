//! The plan: what is collected and how it is judged, sealed in the log before anything is collected under it.
//!
//! Every snapshot names its plan, and is judged by the rules in that plan's blob: never by those of the moment, also
//! when a crash left it to be judged by a later version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use evidenced_collector_api::Collector;

use crate::control::{Compiled, Evaluation, Observation, Outcome, Problem, Rules, Test, TestId, TestResult};
use crate::log::append::{AppendError, Appender, Draft};
use crate::log::leaf::{self, Body, By, Role, SelfTest};
use crate::log::store::{Reader, StoreError};

/// The lists behind a plan leaf: its blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lists {
    /// The configured sources, with what reads them and when.
    pub sources: Vec<PlannedSource>,
    /// The collectors there are, by id.
    pub collectors: BTreeMap<String, PlannedCollector>,
    /// Times in which the daemon is announced not to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Announced>,
    /// Tests, controls and exclusions, as far as they are in scope.
    pub rules: Rules,
}

/// A configured source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSource {
    /// Its name.
    pub name: String,
    /// The vendor.
    #[serde(rename = "type")]
    pub vendor: String,
    /// Schedules by collector id.
    pub schedules: BTreeMap<String, String>,
    /// The zones that they are meant in, by collector id, where that is not UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub time_zones: BTreeMap<String, String>,
}

/// A time in which the daemon is announced not to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends.
    pub to: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// What a snapshot of a collector can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCollector {
    /// The version of its code.
    pub version: String,
    /// The kinds of resource that it yields.
    pub kinds: Vec<String>,
    /// Pairs of kind and attribute that take no part in drift.
    pub volatile: Vec<(String, String)>,
    /// Pairs of kind and attribute that the vendor is known to introduce or set by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_provider: Vec<(String, String)>,
}

impl PlannedCollector {
    /// What a collector says of itself.
    pub fn of(collector: &dyn Collector) -> Self {
        let owned = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(kind, attribute)| (kind.to_string(), attribute.to_string()))
                .collect()
        };
        Self {
            version: collector.version().to_owned(),
            kinds: collector.kinds().iter().map(ToString::to_string).collect(),
            volatile: owned(collector.volatile()),
            by_provider: owned(collector.by_provider()),
        }
    }
}

/// The program and person that a plan is made by.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Scheduler or person.
    pub by: By,
    /// SHA-256 of the running program, lowercase hex.
    pub binary_sha256: Option<String>,
    /// The host's name.
    pub host: String,
    /// The operating system's name for the user.
    pub os_user: String,
    /// SHA-256 of the configuration's text, lowercase hex.
    pub configuration_sha256: String,
}

/// A plan ready to judge by.
pub struct Plan {
    /// Its lists.
    pub lists: Lists,
    compiled: Compiled,
}

/// A plan can't be read from the log.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The leaf is not a plan.
    #[error("leaf {0} is no plan")]
    NoPlan(u64),
    /// Its blob is not in the store, or can't be read.
    #[error("the lists of plan {0} can't be read")]
    Lists(u64, #[source] Option<serde_json::Error>),
    /// One of its schedules can't be read.
    #[error("a schedule of plan {0} can't be read: {1}")]
    Schedule(u64, String),
    /// Its rules do not compile: they were written by a version that knows more.
    #[error("the rules of plan {0} can't be compiled: {1}")]
    Rules(u64, String),
}

impl Plan {
    /// Compiles a plan's rules.
    pub fn new(lists: Lists) -> Result<Self, Vec<Problem>> {
        let compiled = Compiled::new(&lists.rules)?;
        Ok(Self { lists, compiled })
    }

    /// Reads a sealed plan.
    pub fn sealed(reader: &Reader, seq: u64) -> Result<Self, PlanError> {
        Self::new(Self::sealed_lists(reader, seq)?).map_err(|problems| {
            let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
            PlanError::Rules(seq, texts.join("; "))
        })
    }

    /// The lists of a sealed plan.
    pub fn sealed_lists(reader: &Reader, seq: u64) -> Result<Lists, PlanError> {
        let leaf = reader
            .leaf(seq)?
            .filter(|leaf| matches!(leaf.body, Some(Body::Plan(_))));
        let leaf = leaf.ok_or(PlanError::NoPlan(seq))?;
        let blob = leaf
            .blobs
            .iter()
            .find(|blob| blob.role == Role::Plan)
            .ok_or(PlanError::NoPlan(seq))?;
        let payload = reader.payload(&blob.sha256)?.ok_or(PlanError::Lists(seq, None))?;
        serde_json::from_slice(&payload).map_err(|error| PlanError::Lists(seq, Some(error)))
    }

    /// Runs the tests' examples.
    pub fn self_test(&self) -> crate::control::SelfTest {
        self.compiled.self_test()
    }

    /// Judges a snapshot of a collector that the plan knows; one of another collector has no kinds and no results.
    pub fn evaluate(&self, collector: &str, observation: &Observed<'_>) -> Evaluation {
        let planned = self.lists.collectors.get(collector);
        let kinds: Vec<&str> = planned
            .iter()
            .flat_map(|planned| planned.kinds.iter().map(String::as_str))
            .collect();
        let volatile: Vec<(&str, &str)> = planned
            .iter()
            .flat_map(|planned| {
                planned
                    .volatile
                    .iter()
                    .map(|(kind, attribute)| (kind.as_str(), attribute.as_str()))
            })
            .collect();
        self.compiled.evaluate(&Observation {
            kinds: &kinds,
            source: observation.source,
            target: observation.target,
            resources: observation.resources,
            volatile: &volatile,
            complete: observation.complete,
            now: observation.now,
        })
    }

    /// What every enabled test on a collector's kinds says where nothing was observed: unknown.
    pub fn unobserved(&self, collector: &str) -> Vec<TestResult> {
        let unknown = |test: &Test| TestResult {
            test: test.id.clone(),
            outcome: Outcome::Unknown,
            pass: 0,
            fail: 0,
            unknown: 0,
            not_applicable: 0,
            excepted: 0,
        };
        self.tests(collector).map(unknown).collect()
    }

    /// The enabled tests on a collector's kinds.
    pub fn tests(&self, collector: &str) -> impl Iterator<Item = &Test> {
        let kinds = self
            .lists
            .collectors
            .get(collector)
            .map(|planned| planned.kinds.as_slice())
            .unwrap_or_default();
        let tests = self.lists.rules.tests.iter();
        tests.filter(|test| test.enabled && kinds.contains(&test.resource))
    }

    /// The enabled tests on a collector's kinds that other lists lack, or word so that they may judge otherwise.
    pub fn differing_tests(&self, collector: &str, others: &Lists) -> Vec<TestId> {
        let same = |test: &Test, other: &Test| {
            (
                &test.id,
                &test.resource,
                &test.applies,
                &test.passes,
                &test.parameters,
            ) == (
                &other.id,
                &other.resource,
                &other.applies,
                &other.passes,
                &other.parameters,
            ) && other.enabled
        };
        let same_exclusions = self.lists.rules.exclusions == others.rules.exclusions;
        self.tests(collector)
            .filter(|test| !same_exclusions || !others.rules.tests.iter().any(|other| same(test, other)))
            .map(|test| test.id.clone())
            .collect()
    }

    /// The leaf that seals this plan, and its blob's payload.
    fn leaf(&self, maker: &Maker) -> (leaf::Plan, Vec<u8>) {
        let rules = &self.lists.rules;
        let sealed_rules = serde_json::to_vec(rules).unwrap_or_default();
        let payload = serde_json::to_vec(&self.lists).unwrap_or_default();
        let self_test = self.self_test();
        let plan = leaf::Plan {
            by: maker.by,
            effective: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary_sha256: maker.binary_sha256.clone(),
            host: maker.host.clone(),
            os_user: maker.os_user.clone(),
            reason: None,
            configuration_sha256: maker.configuration_sha256.clone(),
            rules_sha256: hex::encode(Sha256::digest(sealed_rules)),
            sources: self.lists.sources.len() as u64,
            tests: rules.tests.iter().filter(|test| test.enabled).count() as u64,
            controls: rules.controls.iter().filter(|control| control.enabled).count() as u64,
            exclusions: rules.exclusions.len() as u64,
            self_test: SelfTest {
                examples: self_test.examples,
                failed: self_test.failures.len() as u64,
            },
        };
        (plan, payload)
    }

    /// Seals this plan as the daemon's, whose schedules count from an instant on; returns its seq. It is written also where
    /// nothing changed: it says that the daemon began.
    pub async fn seal_for_daemon(
        &self,
        log: &Appender,
        maker: &Maker,
        effective: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        let (plan, payload) = self.leaf(maker);
        let plan = leaf::Plan {
            effective: Some(effective),
            ..plan
        };
        let draft = Draft::new(Body::Plan(plan)).with_blob(Role::Plan, "application/json", &payload)?;
        Ok(log.append(draft).await?.seq)
    }

    /// Seals this plan in the log, unless the newest one there is the same but for who runs it; returns its seq.
    pub async fn seal(&self, log: &Appender, reader: &Reader, maker: &Maker) -> Result<u64, SealError> {
        let (plan, payload) = self.leaf(maker);
        if let Some(seq) = reader.newest("plan", None)?
            && is_same(reader, seq, &plan, &payload)?
        {
            return Ok(seq);
        }
        let draft = Draft::new(Body::Plan(plan)).with_blob(Role::Plan, "application/json", &payload)?;
        Ok(log.append(draft).await?.seq)
    }
}

/// A snapshot, as far as tests see it, but for what the plan knows of its collector.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// What was collected.
    pub resources: &'a [evidenced_collector_api::Resource],
    /// Whether that is everything.
    pub complete: bool,
    /// The end of what it covers.
    pub now: DateTime<Utc>,
}

/// A plan can't be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

fn is_same(reader: &Reader, seq: u64, plan: &leaf::Plan, payload: &[u8]) -> Result<bool, StoreError> {
    let Some(leaf) = reader.leaf(seq)? else {
        return Ok(false);
    };
    let Some(Body::Plan(sealed)) = leaf.body else {
        return Ok(false);
    };
    let same = leaf::Plan {
        by: plan.by,
        effective: plan.effective,
        reason: plan.reason.clone(),
        ..sealed
    } == *plan;
    let blob = leaf.blobs.iter().find(|blob| blob.role == Role::Plan);
    Ok(same
        && blob.is_some_and(|blob| {
            reader
                .payload(&blob.sha256)
                .is_ok_and(|found| found.as_deref() == Some(payload))
        }))
}
