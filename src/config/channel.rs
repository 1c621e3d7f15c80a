//! Who is told what: channels, routes to them, and owners with their digest.

use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

use super::names::{ChannelName, ChannelType, SourceName};
use super::problem::there_are;
use super::section::{Reader, Rejected, Section};
use super::source::{Settings, Source};
use crate::control::{ControlId, Criterion, Severity};
use crate::log::leaf::Event;

/// A configured receiver of messages.
#[derive(Debug)]
pub struct Channel {
    /// Unique in the configuration.
    pub name: Spanned<ChannelName>,
    /// Where it says of which type it is; [`crate::alert::channel`] knows whether there is such a type.
    pub kind: Spanned<ChannelType>,
    /// Whether messages to it may name people and resources.
    pub personal_data: bool,
    /// The type's own settings.
    pub settings: Settings,
}

/// Which alerts go to some channels: those that fit all that is given. What is not given fits everything.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its place: the header.
    pub span: Range<usize>,
    /// To where; at least one.
    pub channels: Vec<Spanned<ChannelName>>,
    /// At least this bad.
    pub severity: Severity,
    /// About a test that serves one of these controls.
    pub controls: Vec<Spanned<ControlId>>,
    /// About a test that serves a control for one of these criteria.
    pub criteria: Vec<Spanned<Criteria>>,
    /// About one of these sources.
    pub sources: Vec<Spanned<SourceName>>,
    /// One of these events.
    pub events: Vec<Spanned<Event>>,
}

/// Somebody who answers for controls, and gets a digest of them.
#[derive(Clone, Debug)]
pub struct Owner {
    /// As controls name the owner.
    pub name: Spanned<String>,
    /// To where the digest goes; at least one.
    pub digest: Vec<Spanned<ChannelName>>,
}

/// One criterion, or a series of them: `CC6.1`, `CC6.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criteria {
    /// That one.
    One(Criterion),
    /// All whose number begins like this, the dot included.
    Series(String),
}

impl Criteria {
    /// Whether a criterion is among them.
    pub fn include(&self, criterion: Criterion) -> bool {
        match self {
            Self::One(one) => *one == criterion,
            Self::Series(beginning) => criterion.number().starts_with(beginning.as_str()),
        }
    }
}

impl FromStr for Criteria {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let found = match text.strip_suffix('*') {
            Some(series) => Criterion::all()
                .any(|criterion| series.ends_with('.') && criterion.number().starts_with(series))
                .then(|| Self::Series(series.to_owned())),
            None => Criterion::parse(text).ok().map(Self::One),
        };
        found.ok_or(Rejected {
            what: "is neither a criterion nor a series of them",
            help: "a number, \"CC6.1\", or a series, \"CC6.*\"",
        })
    }
}

/// The id of a control.
struct ControlWord(ControlId);

impl FromStr for ControlWord {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        ControlId::parse(text).map(Self).map_err(|_| Rejected {
            what: "is not a control's id",
            help: "a control's id in kebab case: controls = [\"console-access-second-factor\"]",
        })
    }
}

/// Whoever controls name as their owner.
struct OwnerName(String);

impl FromStr for OwnerName {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        if text.trim().is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
            return Err(Rejected {
                what: "is empty, of several lines or over 200 bytes",
                help: "the owner as controls name it: name = \"platform\"",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

pub(super) const CHANNEL_KEYS: [&str; 4] = ["name", "type", "personal_data", "settings"];
pub(super) const ROUTE_KEYS: [&str; 6] = [
    "channels", "severity", "controls", "criteria", "sources", "events",
];
pub(super) const OWNER_KEYS: [&str; 2] = ["name", "digest"];

const CHANNELS: &str = "channels = [\"on-call\"]";

const SEVERITIES: [(&str, Severity); 4] = [
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
];

impl Reader<'_> {
    /// Every `[[channel]]`.
    pub(super) fn channels(&mut self, top: &Section<'_>) -> Vec<Channel> {
        let mut channels: Vec<Channel> = Vec::new();
        let example = "[[channel]], in two brackets, once for each channel";
        let list = top
            .get("channel")
            .and_then(|value| self.list("channel", value, example));
        for (index, value) in list.into_iter().flatten().enumerate() {
            let Some(table) = self.table("channel", value, example) else {
                continue;
            };
            let section = self.open("in [[channel]]", table, value.span(), &CHANNEL_KEYS);
            let name = self.channel_name(&section, &channels);
            let kind = self
                .required(&section, "type", "what it is: type = \"slack\"")
                .and_then(|value| self.text("type", value, "type = \"slack\""));
            let personal_data = self.flag("personal_data", &section).unwrap_or(false);
            let settings = self.settings(&section, "channel", index, value.span());
            if let (Some(name), Some(kind), Some(settings)) = (name, kind, settings) {
                channels.push(Channel {
                    name,
                    kind,
                    personal_data,
                    settings,
                });
            }
        }
        channels
    }

    fn channel_name(&mut self, section: &Section<'_>, others: &[Channel]) -> Option<Spanned<ChannelName>> {
        let example = "name = \"on-call\"";
        let value = self.required(section, "name", example)?;
        let name: Spanned<ChannelName> = self.text("name", value, example)?;
        if others.iter().any(|other| other.name.get_ref() == name.get_ref()) {
            self.problem(
                &name.span(),
                format!("a second channel is named \"{}\"", name.get_ref()),
                "routes go to a channel by its name: give each channel its own",
            );
        }
        Some(name)
    }

    /// Every `[[route]]`.
    pub(super) fn routes(&mut self, top: &Section<'_>) -> Vec<Route> {
        let example = "[[route]], in two brackets, once for each route";
        let list = top
            .get("route")
            .and_then(|value| self.list("route", value, example));
        let mut routes = Vec::new();
        for value in list.into_iter().flatten() {
            let Some(table) = self.table("route", value, example) else {
                continue;
            };
            let section = self.open("in [[route]]", table, value.span(), &ROUTE_KEYS);
            let channels = self.named_channels("channels", &section, CHANNELS);
            let controls = self.words::<ControlWord>(
                "controls",
                &section,
                "controls = [\"console-access-second-factor\"]",
            );
            routes.push(Route {
                span: value.span(),
                channels,
                severity: self.severity(&section),
                controls: controls
                    .into_iter()
                    .map(|word| Spanned::new(word.span(), word.into_inner().0))
                    .collect(),
                criteria: self.words("criteria", &section, "criteria = [\"CC6.*\"]"),
                sources: self.words("sources", &section, "sources = [\"this-machine\"]"),
                events: self.events(&section),
            });
        }
        routes
    }

    fn named_channels(
        &mut self,
        key: &str,
        section: &Section<'_>,
        example: &str,
    ) -> Vec<Spanned<ChannelName>> {
        let Some(value) = self.required(section, key, example) else {
            return Vec::new();
        };
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            self.problem(
                &value.span(),
                format!("{key} is empty, so nobody would be told"),
                format!("write {example}"),
            );
        }
        self.words(key, section, example)
    }

    /// The least that is told; of an unknown word, all.
    fn severity(&mut self, section: &Section<'_>) -> Severity {
        let known = SEVERITIES.map(|(word, _)| word);
        let word = section
            .get("severity")
            .and_then(|value| self.one_of("severity", value, &known));
        SEVERITIES
            .iter()
            .find(|(known, _)| Some(*known) == word)
            .map_or(Severity::Low, |(_, severity)| *severity)
    }

    fn events(&mut self, section: &Section<'_>) -> Vec<Spanned<Event>> {
        let known = Event::ALL.map(Event::as_str);
        let example = "events = [\"test_failing\"]";
        let list = section
            .get("events")
            .and_then(|value| self.list("events", value, example));
        let mut events = Vec::new();
        for value in list.into_iter().flatten() {
            let word = self.one_of("events", value, &known);
            let event = Event::ALL.into_iter().find(|event| Some(event.as_str()) == word);
            events.extend(event.map(|event| Spanned::new(value.span(), event)));
        }
        events
    }

    /// Every `[[owner]]`.
    pub(super) fn owners(&mut self, top: &Section<'_>) -> Vec<Owner> {
        let example = "[[owner]], in two brackets, once for each owner";
        let list = top
            .get("owner")
            .and_then(|value| self.list("owner", value, example));
        let mut owners: Vec<Owner> = Vec::new();
        for value in list.into_iter().flatten() {
            let Some(table) = self.table("owner", value, example) else {
                continue;
            };
            let section = self.open("in [[owner]]", table, value.span(), &OWNER_KEYS);
            let name = self
                .required(&section, "name", "name = \"platform\"")
                .and_then(|value| self.text::<OwnerName>("name", value, "name = \"platform\""));
            let digest = self.named_channels("digest", &section, "digest = [\"on-call\"]");
            let Some(name) = name else { continue };
            let name = Spanned::new(name.span(), name.into_inner().0);
            if owners.iter().any(|other| other.name.get_ref() == name.get_ref()) {
                self.problem(
                    &name.span(),
                    "a second owner has this name".to_owned(),
                    "name all channels of an owner in one [[owner]]",
                );
            }
            owners.push(Owner { name, digest });
        }
        owners
    }

    /// Notes each name of a channel or source that there is not, and each channel that nothing can reach.
    pub(super) fn reached(
        &mut self,
        channels: &[Channel],
        routes: &[Route],
        owners: &[Owner],
        sources: &[Source],
    ) {
        let known: Vec<&str> = channels
            .iter()
            .map(|channel| channel.name.get_ref().as_str())
            .collect();
        let named: Vec<_> = routes
            .iter()
            .flat_map(|route| &route.channels)
            .chain(owners.iter().flat_map(|owner| &owner.digest))
            .collect();
        for name in &named {
            let written = name.get_ref().as_str();
            if !known.contains(&written) {
                let message = format!("no such channel: \"{written}\"");
                self.problem(&name.span(), message, there_are(written, &known));
            }
        }
        let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        for name in routes.iter().flat_map(|route| &route.sources) {
            let written = name.get_ref().as_str();
            if !known.contains(&written) {
                let message = format!("no such source: \"{written}\"");
                self.problem(&name.span(), message, there_are(written, &known));
            }
        }
        // Without routes everything goes everywhere.
        let unreached = channels.iter().filter(|channel| {
            !routes.is_empty() && !named.iter().any(|name| name.get_ref() == channel.name.get_ref())
        });
        for channel in unreached {
            self.problem(
                &channel.name.span(),
                format!(
                    "no route goes to channel \"{}\", so it would never be told anything",
                    channel.name.get_ref()
                ),
                "name it in a [[route]], or as an owner's digest, or take it out",
            );
        }
    }
}

#[cfg(test)]
mod tests;
