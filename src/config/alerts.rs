//! What people are told of, how often, and when they are left alone.

use chrono::NaiveTime;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

use super::names::{FilePath, ScheduleText, TimeZone, length};
use super::section::{Reader, Rejected, Section};
use crate::control::MaxAge;
use crate::schedule::Schedule;

/// What people are told of, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// After how many ticks in a row without evidence collecting counts as failing.
    pub after: u32,
    /// How often an alert that nobody has acknowledged is told again.
    pub reminder: Duration,
    /// How long a message is tried before it counts as undelivered.
    pub give_up: Duration,
    /// How many messages may wait for one channel at once before they become a digest.
    pub flood: usize,
    /// For how many days the disk must still last.
    pub disk_days: u32,
    /// How long before an exception ends it is told that it will.
    pub notice: Duration,
    /// A folder of templates that go before those that come with this program.
    pub templates: Option<PathBuf>,
    /// When all but the critical waits.
    pub quiet: Option<Quiet>,
    /// When owners get their digest; none where nobody gets one.
    pub digest: Option<Digest>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            after: 3,
            reminder: Duration::from_hours(24),
            give_up: Duration::from_hours(72),
            flood: 20,
            disk_days: 14,
            notice: Duration::from_hours(7 * 24),
            templates: None,
            quiet: None,
            digest: None,
        }
    }
}

/// The hours in which all but the critical waits: daily from one time of day to another, over midnight if the first is
/// the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Their first minute.
    pub from: NaiveTime,
    /// The minute they end; never that of `from`.
    pub to: NaiveTime,
    /// Where clocks show these times.
    pub zone: chrono_tz::Tz,
    /// Whether all of Saturday and Sunday is quiet too.
    pub weekends: bool,
}

/// When owners get their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its ticks.
    pub schedule: Schedule,
}

pub(super) const ALERTS_KEYS: [&str; 9] = [
    "after",
    "reminder",
    "give_up",
    "flood",
    "disk_days",
    "notice",
    "templates",
    "quiet",
    "digest",
];
pub(super) const QUIET_KEYS: [&str; 4] = ["from", "to", "timezone", "weekends"];
pub(super) const DIGEST_KEYS: [&str; 2] = ["schedule", "timezone"];

/// Monday at eight.
const DIGEST: &str = "0 8 * * 1";

/// How often is told again: an hour to 30 days.
struct Reminder(Duration);

/// How long is tried: a minute to 30 days.
struct GiveUp(Duration);

/// How long before: an hour to 90 days.
struct Notice(Duration);

length!(
    Reminder,
    3600..=30 * 86_400,
    "is not a time from an hour to 30 days",
    "how often what nobody has acknowledged is told again: reminder = \"24h\""
);
length!(
    GiveUp,
    60..=30 * 86_400,
    "is not a time from a minute to 30 days",
    "how long a message is tried: give_up = \"3d\""
);
length!(
    Notice,
    3600..=90 * 86_400,
    "is not a time from an hour to 90 days",
    "how long before an exception ends: notice = \"7d\""
);

/// A time of day, to the minute.
struct TimeOfDay(NaiveTime);

impl FromStr for TimeOfDay {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        NaiveTime::parse_from_str(text, "%H:%M")
            .ok()
            .filter(|_| text.len() == 5)
            .map(Self)
            .ok_or(Rejected {
                what: "is not a time of day",
                help: "hours and minutes, in 24 hours: \"07:00\"",
            })
    }
}

impl Reader<'_> {
    /// The `[alerts]` section. `wanted`: somebody gets a digest, and so it has a schedule.
    pub(super) fn alerts(&mut self, top: &Section<'_>, wanted: bool) -> Alerts {
        let mut alerts = Alerts::default();
        let value = top.get("alerts");
        let table = value.and_then(|value| {
            let table = self.table("alerts", value, "[alerts], in single brackets")?;
            Some(self.open("in [alerts]", table, value.span(), &ALERTS_KEYS))
        });
        let Some(section) = table else {
            alerts.digest = wanted.then(|| self.digest(None)).flatten();
            return alerts;
        };
        let mut count = |key, usual: u32, most| {
            self.number(key, &section, &(1..=most))
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(usual)
        };
        alerts.after = count("after", alerts.after, 100);
        alerts.disk_days = count("disk_days", alerts.disk_days, 365);
        if let Some(flood) = self.number("flood", &section, &(2..=1000)) {
            alerts.flood = usize::try_from(flood).unwrap_or(alerts.flood);
        }
        if let Ok(Some(Reminder(each))) = self.optional("reminder", &section, "reminder = \"24h\"") {
            alerts.reminder = each;
        }
        if let Ok(Some(GiveUp(after))) = self.optional("give_up", &section, "give_up = \"3d\"") {
            alerts.give_up = after;
        }
        if let Ok(Some(Notice(before))) = self.optional("notice", &section, "notice = \"7d\"") {
            alerts.notice = before;
        }
        alerts.templates = self.templates(&section);
        alerts.quiet = self.quiet(&section);
        if wanted || section.get("digest").is_some() {
            alerts.digest = self.digest(Some(&section));
        }
        alerts
    }

    /// A folder that is there: a message must not fail when it is due.
    fn templates(&mut self, section: &Section<'_>) -> Option<PathBuf> {
        let value = section.get("templates")?;
        let written = self.text::<FilePath>("templates", value, "templates = \"templates\"")?;
        let path = self.beside(&written.get_ref().0);
        let help = "name a folder, absolute or relative to the configuration file, that this user may read";
        match std::fs::read_dir(&path) {
            Ok(_) => return Some(path),
            Err(error) if path.is_file() => {
                drop(error);
                self.problem(&written.span(), "templates is a file".to_owned(), help);
            }
            Err(error) => {
                let message = format!("templates can't be read: {}", error.kind());
                self.problem(&written.span(), message, help);
            }
        }
        None
    }

    fn quiet(&mut self, alerts: &Section<'_>) -> Option<Quiet> {
        let value = alerts.get("quiet")?;
        let table = self.table("quiet", value, "[alerts.quiet], in single brackets")?;
        let section = self.open("in [alerts.quiet]", table, value.span(), &QUIET_KEYS);
        let from = self.time_of_day("from", &section, "from = \"22:00\"");
        let to = self.time_of_day("to", &section, "to = \"07:00\"");
        let zone = self.optional("timezone", &section, "timezone = \"Europe/Berlin\"");
        let weekends = self.flag("weekends", &section).unwrap_or(false);
        let (from, to) = (from?, to?);
        let (from, until) = (from.into_inner().0, (to.get_ref().0, to.span()));
        if from == until.0 {
            self.problem(
                &until.1,
                "to is the same as from".to_owned(),
                "say when the quiet hours begin and when they end",
            );
            return None;
        }
        Some(Quiet {
            from,
            to: until.0,
            zone: zone.ok()?.map_or(chrono_tz::UTC, |TimeZone(zone)| zone),
            weekends,
        })
    }

    fn time_of_day(&mut self, key: &str, section: &Section<'_>, example: &str) -> Option<Spanned<TimeOfDay>> {
        let value = self.required(section, key, example)?;
        self.text(key, value, example)
    }

    fn digest(&mut self, alerts: Option<&Section<'_>>) -> Option<Digest> {
        let (mut text, mut zone, mut place) = (DIGEST.to_owned(), chrono_tz::UTC, 0..0);
        if let Some(value) = alerts.and_then(|section| section.get("digest")) {
            let table = self.table("digest", value, "[alerts.digest], in single brackets")?;
            let section = self.open("in [alerts.digest]", table, value.span(), &DIGEST_KEYS);
            let example = "schedule = \"0 8 * * 1\"";
            if let Some(value) = section.get("schedule") {
                let written = self.text::<ScheduleText>("schedule", value, example)?;
                place = written.span();
                written.get_ref().as_str().clone_into(&mut text);
            }
            let written = self.optional("timezone", &section, "timezone = \"Europe/Berlin\"");
            zone = written.ok()?.map_or(zone, |TimeZone(zone)| zone);
        }
        match Schedule::parse(&text, zone) {
            Ok(schedule) => Some(Digest { schedule }),
            Err(error) => {
                self.problem(
                    &place,
                    format!("schedule is not crontab's: {error}"),
                    error.help(),
                );
                None
            }
        }
    }
}
