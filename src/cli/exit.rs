//! How the process ends, and what a person sees where it ends badly.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::bundle::write::ExportError;
use crate::config::{ConfigError, Problem};
use crate::daemon::DaemonError;
use crate::history::HistoryError;
use crate::log::append::AppendError;
use crate::log::store::StoreError;
use crate::plan::{PlanError, SealError};
use crate::populations::handed::HandedError;
use crate::round::RoundError;
use crate::summary::SummaryError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All well.
    Well,
    /// A test fails or is unknown.
    TestFails,
    /// Something could not be collected.
    NotCollected,
    /// Usage or configuration.
    Usage,
    /// A log does not verify.
    NotIntact,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Well => 0,
            Exit::TestFails => 1,
            Exit::Usage => 2,
            Exit::NotCollected => 3,
            Exit::NotIntact => 4,
        })
    }
}

/// A mistake in how a verb was called: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct UsageError {
    pub(super) what: String,
    pub(super) help: String,
}

impl UsageError {
    pub(super) fn error(what: impl Into<String>, help: impl Into<String>) -> anyhow::Error {
        Self {
            what: what.into(),
            help: help.into(),
        }
        .into()
    }
}

/// Prints an error's chain and, last, what to do; returns the exit code it stands for. That something could not be
/// collected is only for a verb that `collects` to say. In the journal it stands as an error.
pub(super) fn report(error: &anyhow::Error, collects: bool, in_journal: bool) -> ExitCode {
    // Whoever read our output has stopped reading: nothing went wrong.
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind)
            // One that writes JSON does not tell of the error below it.
            .or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
            .is_some_and(|kind| kind == ErrorKind::BrokenPipe)
    }) {
        return Exit::Well.into();
    }
    let (exit, help) = match classify(error) {
        (Exit::NotCollected, help) if !collects => (Exit::Usage, help),
        classified => classified,
    };
    let mut lines = Vec::new();
    let label = if std::io::stderr().is_terminal() {
        "\u{1b}[1;31merror:\u{1b}[0m"
    } else {
        "error:"
    };
    let mut last = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        // A transparent layer says the same as the one below it.
        if message != last {
            let indent = if last.is_empty() {
                format!("{label} ")
            } else {
                "  because: ".to_owned()
            };
            lines.push(format!("{indent}{message}\n"));
        }
        last = message;
    }
    if let Some(help) = help {
        lines.push(format!("  help: {help}\n"));
    }
    let text = lines.concat();
    if in_journal {
        tracing::error!("{}", text.trim_end());
    } else {
        // Where even that can't be written, the exit code remains.
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
    exit.into()
}

/// Whether the log is not as it was left.
pub(super) fn is_not_intact(error: &anyhow::Error) -> bool {
    classify(error).0 == Exit::NotIntact
}

fn classify(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        if let Some(usage) = cause.downcast_ref::<UsageError>() {
            return (Exit::Usage, Some(usage.help.clone()));
        }
        if cause.is::<ConfigError>() || cause.is::<Problem>() {
            return (Exit::Usage, None);
        }
        let cause = through(cause);
        if let Some(store) = cause.downcast_ref() {
            return of_store(store);
        }
        if let Some(plan) = cause.downcast_ref() {
            return of_plan(plan);
        }
    }
    if error
        .chain()
        .any(|cause| cause.is::<RoundError>() || cause.is::<AppendError>() || cause.is::<SealError>())
    {
        let help = "what was acknowledged is in the log; run `evidenced check`, then try again";
        return (Exit::NotCollected, Some(help.to_owned()));
    }
    let help = "see that what is named can be read and written";
    (Exit::Usage, Some(help.to_owned()))
}

fn of_plan(error: &PlanError) -> (Exit, Option<String>) {
    let (exit, help) = match error {
        PlanError::Rules(..) | PlanError::Schedule(..) => (
            Exit::Usage,
            "use the version of evidenced that wrote the plan, or a later one",
        ),
        PlanError::NoPlan(_) | PlanError::Lists(..) | PlanError::Store(_) => (Exit::NotIntact, DAMAGED),
    };
    (exit, Some(help.to_owned()))
}

/// What a layer that adds nothing stands for: an error's own chain leaves that out.
fn through<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut wrapped: Option<&'a (dyn Error + 'static)> = None;
    if let Some(AppendError::Store(store)) = error.downcast_ref() {
        wrapped = Some(store.as_ref());
    }
    match error.downcast_ref() {
        Some(RoundError::Append(append)) => wrapped = Some(append),
        Some(RoundError::Store(store)) => wrapped = Some(store),
        Some(RoundError::Plan(plan)) => wrapped = Some(plan),
        _ => {}
    }
    match error.downcast_ref() {
        Some(SealError::Append(append)) => wrapped = Some(append),
        Some(SealError::Store(store)) => wrapped = Some(store),
        _ => {}
    }
    match error.downcast_ref() {
        Some(DaemonError::Store(store)) => wrapped = Some(store),
        Some(DaemonError::Plan(plan)) => wrapped = Some(plan),
        Some(DaemonError::Append(append)) => wrapped = Some(append),
        Some(DaemonError::Round(round)) => wrapped = Some(round),
        _ => {}
    }
    match error.downcast_ref() {
        Some(SummaryError::Store(store)) => wrapped = Some(store),
        Some(SummaryError::Plan(plan)) => wrapped = Some(plan),
        _ => {}
    }
    if let Some(PlanError::Store(store)) = error.downcast_ref() {
        wrapped = Some(store);
    }
    if let Some(HistoryError::Store(store)) = error.downcast_ref() {
        wrapped = Some(store);
    }
    if let Some(ExportError::Store(store)) = error.downcast_ref() {
        wrapped = Some(store);
    }
    if let Some(HandedError::Store(store)) = error.downcast_ref() {
        wrapped = Some(store);
    }
    wrapped.map_or(error, through)
}

const DAMAGED: &str = "run `evidenced verify` for what is wrong; `evidenced recover --reason …` keeps this log as it is and begins a new one";

/// Whether a file is one without which a store is not whole.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    matches!(name, Some("guard" | "key" | "evidence.db"))
}

fn of_store(error: &StoreError) -> (Exit, Option<String>) {
    let (exit, help) = match error {
        error if error.is_damage() => (Exit::NotIntact, DAMAGED),
        StoreError::Io(path, error) if error.kind() == ErrorKind::NotFound && is_part(path) => {
            (Exit::NotIntact, DAMAGED)
        }
        StoreError::Absent(_) => (
            Exit::Usage,
            "run `evidenced init`, or name the folder that holds the evidence with --store",
        ),
        StoreError::Newer(_) => (
            Exit::Usage,
            "use the version of evidenced that wrote the store, or a later one",
        ),
        StoreError::Locked { .. } => (Exit::NotCollected, "see what that process does; it may hang"),
        StoreError::Io(_, error) if error.kind() == ErrorKind::PermissionDenied => (
            Exit::Usage,
            "run as the user that owns the store, or name another with --store",
        ),
        error if error.is_full() => (
            Exit::NotCollected,
            "make room on the disk; nothing that was acknowledged is lost",
        ),
        _ => (
            Exit::NotCollected,
            "see that the disk and the folder can be read and written",
        ),
    };
    (exit, Some(help.to_owned()))
}
