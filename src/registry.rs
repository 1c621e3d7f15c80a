//! The only list of collectors, and the only place that names vendors. A new collector is one line here.

use evidenced_collector_api::{Clock, Collector, DEADLINE, Run, SettingsError};
use evidenced_collector_aws as aws;
use evidenced_collector_github as github;
use evidenced_collector_host as host;
use secrecy::SecretString;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, ConfigError, Problem, Settings, there_are};
use crate::control::Rules;
use crate::log::leaf::ClockState;
use crate::plan::{Announced, Lists, PlannedCollector, PlannedSource};
use crate::schedule::Schedule;
use crate::secret::{SecretError, SecretRef, SecretSources};

/// Makes a collector of a source's settings, and of the secrets that these refer to.
type Build = fn(&Settings, &SecretSources<'_>) -> Result<Box<dyn Collector>, SettingsError>;

/// A collector that can be configured.
pub struct Registered {
    /// The source's type in the configuration.
    pub vendor: &'static str,
    /// The collector's id.
    pub id: &'static str,
    /// What it collects, in a line.
    pub about: &'static str,
    build: Build,
}

/// Every collector.
pub const COLLECTORS: &[Registered] = &[
    Registered {
        vendor: "aws",
        id: "aws.iam.mfa",
        about: "AWS accounts: root and users, MFA devices, access keys, password policy",
        build: |settings, _| Ok(aws::iam_mfa(settings.read::<aws::Settings>()?.checked()?)),
    },
    Registered {
        vendor: "aws",
        id: "aws.organization.accounts",
        about: "AWS organisation: the accounts there are, against those collected from",
        build: |settings, _| {
            Ok(aws::organization_accounts(
                settings.read::<aws::Settings>()?.checked()?,
            ))
        },
    },
    Registered {
        vendor: "aws",
        id: "aws.s3.encryption",
        about: "S3 buckets: encryption and keys, public access, policy, versioning, lock, logging",
        build: |settings, _| Ok(aws::s3_encryption(settings.read::<aws::Settings>()?.checked()?)),
    },
    Registered {
        vendor: "github",
        id: "github.branch_protection",
        about: "GitHub branches: protection and rulesets merged, who may bypass them",
        build: |settings, secrets| Ok(github::branch_protection(github(settings, secrets)?)),
    },
    Registered {
        vendor: "github",
        id: "github.pull_requests",
        about: "GitHub repositories: every merged pull request and every commit, approvals, checks, direct pushes",
        build: |settings, secrets| Ok(github::pull_requests(github(settings, secrets)?)),
    },
    Registered {
        vendor: "github",
        id: "github.repositories",
        about: "GitHub owners: the repositories there are, against those that are tested",
        build: |settings, secrets| Ok(github::repositories(github(settings, secrets)?)),
    },
    Registered {
        vendor: "host",
        id: "host.baseline",
        about: "this machine: system, updates, disk encryption, accounts, sshd, listening sockets, clock",
        build: |settings, _| Ok(host::baseline(settings.read()?)),
    },
];

/// The settings of a GitHub source, its secrets read.
fn github(
    settings: &Settings,
    secrets: &SecretSources<'_>,
) -> Result<github::Settings<SecretString>, SettingsError> {
    let checked = settings.read::<github::Settings<SecretRef>>()?.checked()?;
    checked.resolve(|secret| secret.resolve(secrets).map_err(|error| secret_error(&error)))
}

fn secret_error(error: &SecretError) -> SettingsError {
    let problem = Problem::from(error);
    SettingsError {
        message: format!("{}\n{}", problem.message, error.help()),
        span: None,
    }
}

/// A collector ready to run, on one source.
pub struct Job {
    /// The source's name.
    pub source: String,
    /// The collector.
    pub collector: Box<dyn Collector>,
    /// When it runs.
    pub schedule: Schedule,
    /// How long it may take for one target.
    pub deadline: Duration,
}

/// How this machine's clock stands.
pub async fn clock_state(clock: &dyn Clock) -> ClockState {
    let host::ClockState {
        synchronised,
        offset_ms,
        how,
    } = host::clock_state(&Run::begin(clock)).await;
    ClockState {
        synchronised,
        offset_ms,
        how,
    }
}

/// Sources that a new configuration can begin with, beside this machine: their text.
pub fn found(variable: &dyn Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Vec<String> {
    aws::found(variable, home).into_iter().collect()
}

/// The collectors that a configuration asks for, in its order; or all that is wrong with it.
pub fn jobs(config: &Config, secrets: &SecretSources<'_>) -> Result<Vec<Job>, ConfigError> {
    let (mut jobs, mut problems) = (Vec::new(), Vec::new());
    for source in &config.sources {
        let mut vendors: Vec<_> = COLLECTORS.iter().map(|entry| entry.vendor).collect();
        vendors.dedup();
        let vendor = source.vendor.get_ref().as_str();
        if !vendors.contains(&vendor) {
            let problem = config.problem(
                &source.vendor.span(),
                format!("no such type of source: \"{vendor}\""),
            );
            problems.push(unknown(problem, vendor, &vendors));
            continue;
        }
        let ids: Vec<_> = COLLECTORS
            .iter()
            .filter(|entry| entry.vendor == vendor)
            .map(|entry| entry.id)
            .collect();
        for configured in &source.collectors {
            let id = configured.id.get_ref().as_str();
            let Some(entry) = COLLECTORS
                .iter()
                .find(|entry| entry.vendor == vendor && entry.id == id)
            else {
                let what = format!("sources of type \"{vendor}\" have no collector \"{id}\"");
                problems.push(unknown(config.problem(&configured.id.span(), what), id, &ids));
                continue;
            };
            let written = &configured.schedule;
            let schedule = Schedule::parse(written.get_ref().as_str(), configured.zone).map_err(|error| {
                let what = format!("schedule is not crontab's: {error}");
                config.problem(&written.span(), what).help(error.help())
            });
            let collector = (entry.build)(&source.settings, secrets)
                .map_err(|error| config.settings_problem(source, &error));
            match (schedule, collector) {
                (Ok(schedule), Ok(collector)) => jobs.push(Job {
                    source: source.name.as_str().to_owned(),
                    collector,
                    schedule,
                    deadline: configured.deadline.map_or(DEADLINE, |deadline| deadline.0),
                }),
                (schedule, collector) => problems.extend(schedule.err().into_iter().chain(collector.err())),
            }
        }
    }
    ConfigError::check(problems)?;
    Ok(jobs)
}

/// The lists that a plan of this configuration seals: of the rules, those in scope.
pub fn lists(config: &Config, jobs: &[Job], rules: Rules) -> Lists {
    let sources = config.sources.iter().map(|source| PlannedSource {
        name: source.name.as_str().to_owned(),
        vendor: source.vendor.get_ref().as_str().to_owned(),
        schedules: source
            .collectors
            .iter()
            .map(|entry| {
                (
                    entry.id.get_ref().as_str().to_owned(),
                    entry.schedule.get_ref().as_str().to_owned(),
                )
            })
            .collect(),
        time_zones: source
            .collectors
            .iter()
            .filter(|entry| entry.zone != chrono_tz::UTC)
            .map(|entry| {
                (
                    entry.id.get_ref().as_str().to_owned(),
                    entry.zone.name().to_owned(),
                )
            })
            .collect(),
    });
    let maintenance = config.maintenance.iter().map(|announced| Announced {
        from: announced.from,
        to: announced.to,
        reason: announced.reason.clone(),
    });
    let collectors = jobs.iter().map(|job| {
        (
            job.collector.id().to_owned(),
            PlannedCollector::of(job.collector.as_ref()),
        )
    });
    let kinds: Vec<_> = jobs
        .iter()
        .flat_map(|job| job.collector.kinds())
        .copied()
        .collect();
    Lists {
        sources: sources.collect(),
        collectors: collectors.collect(),
        maintenance: maintenance.collect(),
        rules: rules.in_scope(&kinds),
    }
}

fn unknown(problem: Problem, written: &str, known: &[&str]) -> Problem {
    problem.help(there_are(written, known))
}
