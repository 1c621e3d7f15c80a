//! A configured source: which vendor, its settings, and which collectors read it when.

use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use evidenced_collector_api::SettingsError;

use super::names::{CollectorId, Deadline, ScheduleText, SourceName, TimeZone, Vendor};
use super::section::{Reader, Section};

/// A configured account, organisation or host.
#[derive(Debug)]
pub struct Source {
    /// Unique in the configuration.
    pub name: SourceName,
    /// Where it says of which vendor it is; the registry knows whether there is such a vendor.
    pub vendor: Spanned<Vendor>,
    /// The vendor's own settings.
    pub settings: Settings,
    /// The collectors that read it, sorted by id; at least one.
    pub collectors: Vec<CollectorEntry>,
}

/// A collector that reads a source.
#[derive(Debug)]
pub struct CollectorEntry {
    /// Which, and where that is written; the registry knows whether there is such a collector.
    pub id: Spanned<CollectorId>,
    /// When.
    pub schedule: Spanned<ScheduleText>,
    /// The zone that the schedule is meant in; UTC unless it says otherwise.
    pub zone: chrono_tz::Tz,
    /// How long a run may take for one target, if not as usual.
    pub deadline: Option<Deadline>,
}

/// The settings of a vendor or of a type of channel, not read yet. They keep their places in the configuration's text, so
/// that what is wrong in them can be located. They are not shown by Debug.
#[derive(Clone)]
pub struct Settings {
    text: Arc<str>,
    /// The list they stand in: `source` or `channel`.
    list: &'static str,
    /// Which of the list.
    index: usize,
    span: Range<usize>,
}

impl Settings {
    /// Reads the settings as the owner's type, which should deny unknown fields. The error's span is a range of
    /// bytes in the configuration's text, and its message names no value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        self.read_quoting().map_err(|error| SettingsError {
            message: without_value(error.message()),
            span: error.span().or_else(|| Some(self.span.clone())),
        })
    }

    /// The text is parsed once more, since values that know their places borrow from it.
    fn read_quoting<T: DeserializeOwned>(&self) -> Result<T, toml::de::Error> {
        let document = DeTable::parse(&self.text)?;
        let settings = document
            .get_ref()
            .get(self.list)
            .and_then(|list| list.get_ref().get(self.index))
            .and_then(|entry| entry.get_ref().get("settings"))
            .cloned()
            .unwrap_or_else(|| Spanned::new(self.span.clone(), DeValue::Table(DeTable::new())));
        T::deserialize(ValueDeserializer::from(settings))
    }

    /// The bytes of the configuration's text that hold them, or where there are none the header of what they are for.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("list", &self.list)
            .field("index", &self.index)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// Serde's messages quote the value that they refuse. What was expected is enough, since the place is known.
fn without_value(message: &str) -> String {
    let quotes = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
    ];
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if quotes.iter().any(|quote| message.starts_with(quote)) => {
            format!("expected {expected}")
        }
        _ => message.to_owned(),
    }
}

const SOURCE_KEYS: [&str; 4] = ["name", "type", "settings", "collectors"];

impl Reader<'_> {
    /// All sources. Two of one name are a problem, and so are none: nothing would be collected, silently.
    pub(super) fn sources(&mut self, top: &Section<'_>) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        let Some(value) = self.required(top, "source", "a [[source]] with its collectors") else {
            return sources;
        };
        let example = "[[source]], in two brackets, once for each source";
        let Some(list) = self.list("source", value, example) else {
            return sources;
        };
        if list.is_empty() {
            self.problem(
                &value.span(),
                "the list of sources is empty, so nothing would be collected".to_owned(),
                format!("write {example}"),
            );
        }
        for (index, value) in list.iter().enumerate() {
            let Some(table) = self.table("source", value, example) else {
                continue;
            };
            let section = self.open("in [[source]]", table, value.span(), &SOURCE_KEYS);
            let name = self.source_name(&section, &sources);
            let vendor = self
                .required(&section, "type", "the vendor: type = \"host\"")
                .and_then(|value| self.text("type", value, "type = \"host\""));
            let settings = self.settings(&section, "source", index, value.span());
            let collectors = self.collectors(&section);
            if let (Some(name), Some(vendor), Some(settings), Some(collectors)) =
                (name, vendor, settings, collectors)
            {
                sources.push(Source {
                    name,
                    vendor,
                    settings,
                    collectors,
                });
            }
        }
        sources
    }

    fn source_name(&mut self, section: &Section<'_>, others: &[Source]) -> Option<SourceName> {
        let example = "name = \"this-machine\"";
        let value = self.required(section, "name", example)?;
        let name: Spanned<SourceName> = self.text("name", value, example)?;
        if others.iter().any(|other| other.name == *name.get_ref()) {
            self.problem(
                &name.span(),
                format!("a second source is named \"{}\"", name.get_ref()),
                "evidence is filed under the source's name: give each source its own",
            );
        }
        Some(name.into_inner())
    }

    /// The settings of an entry of a list, which may be absent: then they are empty.
    pub(super) fn settings(
        &mut self,
        section: &Section<'_>,
        list: &'static str,
        index: usize,
        header: Range<usize>,
    ) -> Option<Settings> {
        let mut span = header;
        if let Some(value) = section.get("settings") {
            let example = format!("settings = {{ }}, or [{list}.settings]");
            self.table("settings", value, &example)?;
            span = value.span();
        }
        Some(Settings {
            text: Arc::clone(self.text),
            list,
            index,
            span,
        })
    }

    fn collectors(&mut self, section: &Section<'_>) -> Option<Vec<CollectorEntry>> {
        let example = "[source.collectors.\"host.baseline\"] with a schedule";
        let value = self.required(section, "collectors", example)?;
        let table = self.table("collectors", value, example)?;
        if table.is_empty() {
            self.problem(
                &value.span(),
                "no collector reads this source".to_owned(),
                format!("add {example}"),
            );
            return None;
        }
        let mut entries = Vec::new();
        for (key, value) in table {
            let id = match key.get_ref().parse::<CollectorId>() {
                Ok(id) => Spanned::new(key.span(), id),
                Err(rejected) => {
                    let message = format!("{:?} {}", key.get_ref(), rejected.what);
                    self.problem(&key.span(), message, rejected.help);
                    continue;
                }
            };
            let title = format!("[source.collectors.{:?}]", key.get_ref());
            let Some(table) = self.table(&title, value, "a table with a schedule") else {
                continue;
            };
            let section = self.open(
                format!("in {title}"),
                table,
                key.span(),
                &["schedule", "timezone", "deadline"],
            );
            let example = "schedule = \"0 * * * *\"";
            let schedule = self
                .required(&section, "schedule", example)
                .and_then(|value| self.text("schedule", value, example));
            let zone = self.optional("timezone", &section, "timezone = \"Europe/Berlin\"");
            let deadline = self.optional("deadline", &section, "deadline = \"30m\"");
            if let (Some(schedule), Ok(zone), Ok(deadline)) = (schedule, zone, deadline) {
                entries.push(CollectorEntry {
                    id,
                    schedule,
                    zone: zone.map_or(chrono_tz::UTC, |TimeZone(zone)| zone),
                    deadline,
                });
            }
        }
        (entries.len() == table.len()).then_some(entries)
    }
}
