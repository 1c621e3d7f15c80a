//! The configuration: a TOML file, or the embedded default.
//!
//! It is read once, checked whole, and passed; nothing here is global. Its bytes are kept with their digest, which
//! stands in the log's plan, so an auditor can be shown the very file under which evidence was collected. It holds
//! no secrets, only where they are (see [`crate::secret`]).
//!
//! What only others can judge is left to them with its place in the text: whether a vendor or a collector exists
//! (the registry), what a vendor's settings say (the collector), what a collector's schedule means (the registry too), which
//! types of channel there are and what their settings say, and whether a route can match ([`crate::alert`]). They report
//! through [`Config::problem`].

use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

use evidenced_collector_api::SettingsError;

mod alerts;
mod attachments;
mod channel;
mod daemon;
mod lookup;
mod names;
mod period;
mod problem;
mod section;
mod source;
#[cfg(test)]
mod tests;

pub use alerts::{Alerts, Digest, Quiet};
pub use channel::{Channel, Criteria, Owner, Route};
pub use daemon::{Daemon, Maintenance};
pub use lookup::Environment;
pub use names::{ChannelName, ChannelType, CollectorId, KeepRaw, LogName, ScheduleText, SourceName, Vendor};
pub use period::Period;
pub use problem::{ConfigError, Position, Problem, closest, locate, there_are};
pub use section::Rejected;
pub use source::{CollectorEntry, Settings, Source};

use names::FilePath;
use section::{Reader, Section};

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The file, as the user named it; none for the embedded default.
    pub file: Option<PathBuf>,
    /// Begins the origin of a new log.
    pub name: LogName,
    /// The company's own tests, controls and exclusions, each with the place that names it.
    pub control_files: Vec<Spanned<PathBuf>>,
    /// Where evidence is kept; none: as the environment says.
    pub store_directory: Option<PathBuf>,
    /// When the bodies of answers are kept.
    pub raw: KeepRaw,
    /// How the daemon runs.
    pub daemon: Daemon,
    /// When it is announced not to run.
    pub maintenance: Vec<Maintenance>,
    /// The largest file that people may attach, in bytes.
    pub attachments_limit: u64,
    /// What evidence is collected from, at least one, in the order of the file.
    pub sources: Vec<Source>,
    /// The months that audits are about.
    pub periods: Vec<Period>,
    /// What people are told of, and how often.
    pub alerts: Alerts,
    /// Who can be told, in the order of the file.
    pub channels: Vec<Channel>,
    /// Which alerts go where; without any, all go to every channel.
    pub routes: Vec<Route>,
    /// Who gets a digest.
    pub owners: Vec<Owner>,
    text: Text,
}

/// The configuration's text. Debug leaves it out: the problems of a file must not be shown by way of its content.
struct Text(Arc<str>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What is collected where nobody configured anything; also the reference of all keys.
const EMBEDDED: &str = include_str!("../config.example.toml");

/// Far above any configuration by hand, far below what would trouble the machine.
const SIZE_LIMIT: u64 = 1 << 20;

const TOP_KEYS: [&str; 12] = [
    "name",
    "control_files",
    "store",
    "daemon",
    "maintenance",
    "attachments",
    "alerts",
    "channel",
    "route",
    "owner",
    "period",
    "source",
];
const STORE_KEYS: [&str; 2] = ["directory", "raw"];

impl Config {
    /// Reads a file that must exist.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = read_limited(path).map_err(|error| unreadable(path, &error))?;
        Self::parse(&bytes, Some(path))
    }

    /// Reads a text. Relative paths in it are relative to the folder of `file`.
    pub fn parse(bytes: &[u8], file: Option<&Path>) -> Result<Self, ConfigError> {
        let text: Arc<str> = decode(bytes, file)?.into();
        let (document, errors) = DeTable::parse_recoverable(&text);
        ConfigError::check(problem::syntax_problems(&errors, file, &text))?;

        let mut reader = Reader {
            file,
            text: &text,
            problems: Vec::new(),
        };
        let top = reader.open("at the top level", document.get_ref(), 0..0, &TOP_KEYS);
        let name = reader.log_name(&top);
        let control_files = reader.control_files(&top);
        let (store_directory, raw) = reader.store(&top);
        let daemon = reader.daemon(&top);
        let maintenance = reader.maintenance(&top);
        let attachments_limit = reader.attachments_limit(&top);
        let sources = reader.sources(&top);
        let periods = reader.periods(&top, &sources);
        let channels = reader.channels(&top);
        let routes = reader.routes(&top);
        let owners = reader.owners(&top);
        let alerts = reader.alerts(&top, !owners.is_empty());
        // A channel that was refused would be missing here too.
        if reader.problems.is_empty() {
            reader.reached(&channels, &routes, &owners, &sources);
        }
        ConfigError::check(reader.problems)?;

        Ok(Self {
            file: file.map(Path::to_path_buf),
            name,
            control_files,
            store_directory,
            raw,
            daemon,
            maintenance,
            attachments_limit,
            sources,
            periods,
            alerts,
            channels,
            routes,
            owners,
            text: Text(Arc::clone(&text)),
        })
    }

    /// The default that is built in: this machine's baseline, hourly.
    pub fn embedded() -> Result<Self, ConfigError> {
        Self::parse(EMBEDDED.as_bytes(), None)
    }

    /// The text that `init` writes: the embedded default, with its comments.
    pub fn embedded_text() -> &'static str {
        EMBEDDED
    }

    /// The text as read.
    pub fn text(&self) -> &str {
        &self.text.0
    }

    /// SHA-256 of the text, as `sha256sum` gives it for the file.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.text().as_bytes()).into()
    }

    /// A problem that somebody else found in a part of this configuration, `span` being a range of its bytes.
    pub fn problem(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        Problem::new(message).at(self.file.as_deref(), self.text(), span)
    }

    /// What a collector found wrong in its settings. Where its message has two lines, the second says what to do.
    pub fn settings_problem(&self, source: &Source, error: &SettingsError) -> Problem {
        let vendor = source.vendor.get_ref().as_str();
        let listed = format!("collectors/{vendor}/README.md lists the settings of this type");
        self.wrong_settings(
            &source.settings,
            &format!("source \"{}\"", source.name),
            error,
            listed,
        )
    }

    /// What is wrong in a channel's settings, likewise.
    pub fn channel_problem(&self, channel: &Channel, error: &SettingsError) -> Problem {
        let listed = "config.example.toml lists the settings of this type".to_owned();
        let whose = format!("channel \"{}\"", channel.name.get_ref());
        self.wrong_settings(&channel.settings, &whose, error, listed)
    }

    fn wrong_settings(
        &self,
        settings: &Settings,
        whose: &str,
        error: &SettingsError,
        listed: String,
    ) -> Problem {
        let span = error.span.clone().unwrap_or_else(|| settings.span());
        let (what, help) = match error.message.split_once('\n') {
            Some((what, help)) => (what, help.to_owned()),
            None => (error.message.as_str(), listed),
        };
        self.problem(&span, format!("settings of {whose}: {what}"))
            .help(help)
    }
}

impl Reader<'_> {
    fn log_name(&mut self, top: &Section<'_>) -> LogName {
        top.get("name")
            .and_then(|value| self.text("name", value, "name = \"acme\""))
            .map_or_else(LogName::default, Spanned::into_inner)
    }

    fn control_files(&mut self, top: &Section<'_>) -> Vec<Spanned<PathBuf>> {
        let example = "control_files = [\"controls.toml\"]";
        let Some(list) = top
            .get("control_files")
            .and_then(|value| self.list("control_files", value, example))
        else {
            return Vec::new();
        };
        let mut files: Vec<Spanned<PathBuf>> = Vec::new();
        for value in list {
            let Some(file) = self.text::<FilePath>("control_files", value, example) else {
                continue;
            };
            let path = self.beside(&file.get_ref().0);
            if files.iter().any(|other| *other.get_ref() == path) {
                self.problem(
                    &file.span(),
                    "control_files names a file twice".to_owned(),
                    "name each file once",
                );
            }
            files.push(Spanned::new(file.span(), path));
        }
        files
    }

    fn store(&mut self, top: &Section<'_>) -> (Option<PathBuf>, KeepRaw) {
        let Some(value) = top.get("store") else {
            return (None, KeepRaw::default());
        };
        let Some(table) = self.table("store", value, "[store], in single brackets") else {
            return (None, KeepRaw::default());
        };
        let section = self.open("in [store]", table, value.span(), &STORE_KEYS);
        let directory = section
            .get("directory")
            .and_then(|value| self.text::<FilePath>("directory", value, "directory = \"/var/lib/evidenced\""))
            .map(|path| self.beside(&path.get_ref().0));
        let raw = section
            .get("raw")
            .and_then(|value| self.text("raw", value, "raw = \"changed\" or raw = \"always\""))
            .map_or_else(KeepRaw::default, Spanned::into_inner);
        (directory, raw)
    }

    /// A path as seen from the configuration file's folder.
    fn beside(&self, path: &Path) -> PathBuf {
        match self.file.and_then(Path::parent) {
            Some(folder) => folder.join(path),
            None => path.to_path_buf(),
        }
    }
}

fn decode<'b>(bytes: &'b [u8], file: Option<&Path>) -> Result<&'b str, Problem> {
    if bytes.len() as u64 > SIZE_LIMIT {
        let mut problem = Problem::new("over 1 MiB, which no configuration is").help("check the path");
        problem.file = file.map(Path::to_path_buf);
        return Err(problem);
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = error.valid_up_to();
        let text = String::from_utf8_lossy(&bytes[..valid]);
        Problem::new("not UTF-8")
            .help("save the file as UTF-8; if it is no text at all, check the path")
            .at(file, &text, &(valid..valid))
    })
}

/// Reads no more than shows that the file is too long, since it may have no end.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that can't be read, in words that do not depend on the operating system's.
fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => (
            "no such file".to_owned(),
            "check the path: --config and $EVIDENCED_CONFIG name a file that exists",
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "let the user that runs evidenced read the file and its folders",
        ),
        io::ErrorKind::IsADirectory => (
            "a directory, not a file".to_owned(),
            "name the file in it with --config",
        ),
        _ => (
            format!("can't be read: {error}"),
            "make the file readable, or name another with --config",
        ),
    };
    Problem::new(message).help(help).in_file(path)
}
