//! What most verbs begin with: configuration, rules, store.

use anyhow::Result;
use sha2::{Digest as _, Sha256};
use std::path::Path;

use super::Common;
use super::exit::UsageError;
use crate::config::{Config, ConfigError, Environment, Problem};
use crate::control::Rules;
use crate::log::leaf::By;
use crate::log::store::{Paths, Reader};
use crate::plan::{Maker, Plan};
use crate::registry::{self, Job};

/// A checked configuration and what follows from it.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) jobs: Vec<Job>,
    pub(super) plan: Plan,
    pub(super) paths: Paths,
}

/// Reads and checks everything that was configured; nothing has been written when this fails.
pub(super) fn setup(common: &Common) -> Result<Setup> {
    let environment = Environment::of_process();
    let config = Config::find(common.config.as_deref(), &environment)?;
    let jobs = registry::jobs(&config)?;
    let rules = rules(&config)?;
    let plan = Plan::new(registry::lists(&config, &jobs, rules)).map_err(|problems| {
        let what = problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        UsageError::error(what, "mend the tests named")
    })?;
    let failures = plan.self_test().failures;
    if let Some(failure) = failures.first() {
        let what = format!(
            "example {} of test {} gives {} where it states {}: {}",
            failure.example,
            failure.test,
            failure.outcome.as_str(),
            failure.expected.as_str(),
            failure.reason
        );
        return Err(UsageError::error(
            what,
            "mend the test or its example: a test that its own examples refute judges nothing",
        ));
    }
    let paths = Paths::new(config.store_directory(common.store.as_deref(), &environment)?);
    Ok(Setup {
        config,
        jobs,
        plan,
        paths,
    })
}

/// The store that is meant, for verbs that only read it: its configuration need not be complete.
pub(super) fn store(common: &Common) -> Result<Paths> {
    let environment = Environment::of_process();
    if let Some(directory) = &common.store {
        return Ok(Paths::new(environment.current_directory.join(directory)));
    }
    let config = Config::find(common.config.as_deref(), &environment)?;
    Ok(Paths::new(config.store_directory(None, &environment)?))
}

/// Opens the store that is meant, to read it.
pub(super) fn reader(common: &Common) -> Result<Reader> {
    Ok(Reader::open(&store(common)?)?)
}

/// The shipped rules with the company's.
pub(super) fn rules(config: &Config) -> Result<Rules, ConfigError> {
    let shipped = |problems: Vec<crate::control::Problem>| {
        let what = problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        ConfigError::from(Problem::new(format!("the shipped catalogue: {what}")).help("report this as a bug"))
    };
    let mut rules = Rules::shipped().map_err(shipped)?;
    for file in &config.control_files {
        let path = file.get_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("the control file {} can't be read: {error}", path.display());
            config
                .problem(&file.span(), what)
                .help("check the path, which is relative to the configuration's folder")
        })?;
        rules = rules
            .with(&text)
            .map_err(|problems| located(path, &text, problems))?;
    }
    Ok(rules)
}

fn located(path: &Path, text: &str, problems: Vec<crate::control::Problem>) -> ConfigError {
    let located = problems.into_iter().map(|found| {
        let problem = Problem::new(found.message).help(found.help);
        match found.span {
            Some(span) => problem.at(Some(path), text, &span),
            None => problem.in_file(path),
        }
    });
    ConfigError::check(located.collect())
        .err()
        .unwrap_or_else(|| Problem::new("unknown problem").in_file(path).into())
}

/// This program and this person.
pub(super) fn maker(config: &Config, by: By) -> Maker {
    let binary = std::env::current_exe().and_then(std::fs::read).ok();
    Maker {
        by,
        binary_sha256: binary.map(|bytes| hex::encode(Sha256::digest(bytes))),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        os_user: os_user(),
        configuration_sha256: hex::encode(config.digest()),
    }
}

/// The operating system's name for the user, and who became root by sudo.
pub(super) fn os_user() -> String {
    let uid = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(uid)
        .ok()
        .flatten()
        .map_or_else(|| format!("uid {uid}"), |user| user.name);
    match std::env::var("SUDO_USER") {
        Ok(person) if uid.is_root() && !person.is_empty() => format!("{name} (sudo by {person})"),
        _ => name,
    }
}
