//! What most verbs begin with: configuration, rules, store.

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::Common;
use super::exit::UsageError;
use crate::alert::channel;
use crate::alert::outlet::{Line, Outlet};
use crate::alert::route;
use crate::alert::template::Templates;
use crate::clock::{self, SharedClock};
use crate::config::{Config, ConfigError, Environment, Problem};
use crate::control::{ExampleFailure, Rules};
use crate::log::append::Appender;
use crate::log::checkpoint::Checkpoint;
use crate::log::leaf::By;
use crate::log::store::{Paths, Reader, StoreError};
use crate::log::tree;
use crate::plan::{Maker, Plan};
use crate::registry::{self, Job};
use crate::secret::SecretSources;

/// A checked configuration and what follows from it.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) jobs: Vec<Job>,
    pub(super) plan: Arc<Plan>,
    pub(super) paths: Paths,
    pub(super) outlet: Arc<Outlet>,
}

/// Reads and checks everything that was configured; nothing has been written when this fails.
pub(super) fn setup(common: &Common) -> Result<Setup> {
    let environment = Environment::of_process();
    let config = Config::find(common.config.as_deref(), &environment)?;
    let secrets = SecretSources {
        variable: &|name| std::env::var_os(name),
        credentials_directory: environment.credentials_directory.as_deref(),
    };
    let jobs = registry::jobs(&config, &secrets)?;
    let rules = rules(&config)?;
    let plan = Plan::new(registry::lists(&config, &jobs, rules)).map_err(|problems| {
        let what = problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        UsageError::error(what, "mend the tests named")
    })?;
    if let Some(failure) = plan.self_test().failures.first() {
        return Err(refuted(&config, failure).into());
    }
    let paths = Paths::new(config.store_directory(common.store.as_deref(), &environment)?);
    let plan = Arc::new(plan);
    let outlet = outlet(&config, &secrets, &plan)?;
    Ok(Setup {
        config,
        jobs,
        plan,
        paths,
        outlet: Arc::new(outlet),
    })
}

/// Who is told what, checked against the rules.
fn outlet(config: &Config, secrets: &SecretSources<'_>, plan: &Arc<Plan>) -> Result<Outlet> {
    ConfigError::check(route::unmatched(config, &plan.lists))?;
    let templates = Templates::load(config.alerts.templates.as_deref()).map_err(|error| {
        let help = "the shipped templates are in src/alert/templates; every field is documented in src/alert/facts.rs";
        UsageError::error(error.to_string(), help)
    })?;
    let mut ready = channel::build_all(config, secrets, &clock::system())?;
    let lines = config.channels.iter().filter_map(|channel| {
        let name = channel.name.get_ref().as_str();
        let line = Line {
            channel: ready.remove(name)?,
            personal_data: channel.personal_data,
        };
        Some((name.to_owned(), line))
    });
    let owners = config.owners.iter().map(|owner| {
        let digest = owner.digest.iter().map(|channel| channel.get_ref().to_string());
        (owner.name.get_ref().clone(), digest.collect())
    });
    Ok(Outlet {
        plan: Arc::clone(plan),
        settings: config.alerts.clone(),
        channels: lines.collect(),
        routes: config.routes.clone(),
        owners: owners.collect(),
        templates,
    })
}

/// A test that its own example refutes, where a control file names it.
fn refuted(config: &Config, failure: &ExampleFailure) -> Problem {
    let mut what = format!(
        "example {} of test {} gives {} where it states {}",
        failure.example,
        failure.test,
        failure.outcome.as_str(),
        failure.expected.as_str(),
    );
    if !failure.reason.is_empty() {
        what = format!("{what}: {}", failure.reason);
    }
    let problem = Problem::new(what)
        .help("mend the test or its example: a test that its own examples refute judges nothing");
    let id = format!("\"{}\"", failure.test);
    for path in config.control_files.iter().rev().map(toml::Spanned::get_ref) {
        let text = read(path).unwrap_or_default();
        if let Some(at) = text.find(&id) {
            return problem.at(Some(path), &text, &(at..at + id.len()));
        }
    }
    problem
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
    let paths = store(common)?;
    reachable(&paths)?;
    Ok(Reader::open(&paths)?)
}

/// Opens the log of a store that is there, to append to it beside whoever else does.
pub(super) fn appender(reader: &Reader, clock: SharedClock) -> Result<Appender, StoreError> {
    // A name is only for a new log.
    let name = reader.origin().as_str().split('/').next().unwrap_or_default();
    Appender::open(reader.paths(), name, clock)
}

/// A store that this user may not look at is not one that is not there.
pub(super) fn reachable(paths: &Paths) -> Result<(), StoreError> {
    match std::fs::metadata(paths.database()) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(StoreError::Io(paths.directory().to_owned(), error))
        }
        _ => Ok(()),
    }
}

/// The bytes of a leaf, which must be the ones that the log's newest checkpoint commits to.
pub(super) fn committed_leaf(reader: &Reader, seq: u64) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = reader.leaf_bytes(seq)? else {
        return Ok(None);
    };
    let checkpoint = checkpoint(&reader.checkpoint()?)?;
    let proof = reader.inclusion_proof(seq, checkpoint.size)?.unwrap_or_default();
    let hash = tree::hash_leaf(&bytes);
    if !tree::verify_inclusion(&hash, seq, checkpoint.size, &proof, &checkpoint.root) {
        let what = format!("leaf {seq} is not the one that the log's checkpoint commits to");
        return Err(StoreError::Damaged(what).into());
    }
    Ok(Some(bytes))
}

/// What a signed note says.
pub(super) fn checkpoint(note: &str) -> Result<Checkpoint> {
    let (text, _) = note
        .split_once("\n\n")
        .context("the newest checkpoint is malformed")?;
    Ok(Checkpoint::parse(text)?)
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
        let text = read(path).map_err(|error| {
            if error.kind() == ErrorKind::InvalidData {
                return Problem::new("not UTF-8")
                    .help("save the file as UTF-8; if it is no text at all, check the path")
                    .in_file(path);
            }
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

/// Far above any file by hand; one that is longer is not read to its end, since it may have none.
const CONTROL_FILE_LIMIT: u64 = 4 << 20;

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    if file.take(CONTROL_FILE_LIMIT + 1).read_to_string(&mut text)? as u64 > CONTROL_FILE_LIMIT {
        return Err(io::Error::other("over 4 MiB, which no control file is"));
    }
    Ok(text)
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
    let binary = std::env::current_exe().and_then(|path| sha256(&path));
    Maker {
        by,
        binary_sha256: binary.ok(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        os_user: os_user(),
        configuration_sha256: hex::encode(config.digest()),
    }
}

/// A file's digest, in hex. It is read piece by piece: this program in one would be most of the memory that collecting takes.
fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (
        BufReader::with_capacity(1 << 16, File::open(path)?),
        Sha256::new(),
    );
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(piece);
        let length = piece.len();
        file.consume(length);
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
