//! Observation periods: the months that an audit is about, and what of the configuration is in its scope.

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

use super::channel::Criteria;
use super::names::{SourceName, TimeZone};
use super::problem::there_are;
use super::section::{Reader, Rejected, Section};
use super::source::Source;
use crate::period::window::midnight;

/// An observation period.
#[derive(Clone, Debug)]
pub struct Period {
    /// Unique in the configuration.
    pub name: String,
    /// Its first day.
    pub first: NaiveDate,
    /// Its last day: it belongs to it.
    pub last: NaiveDate,
    /// Where its days begin and end.
    pub zone: Tz,
    /// The criteria in scope; all that controls serve if empty.
    pub criteria: Vec<Criteria>,
    /// The sources in scope; all if empty.
    pub sources: Vec<String>,
}

impl Period {
    /// Its first instant.
    pub fn from(&self) -> DateTime<Utc> {
        midnight(self.first, self.zone)
    }

    /// The first instant behind it.
    pub fn to(&self) -> DateTime<Utc> {
        let behind = self.last.checked_add_days(Days::new(1)).unwrap_or(self.last);
        midnight(behind, self.zone)
    }
}

pub(super) const PERIOD_KEYS: [&str; 6] = ["name", "from", "to", "timezone", "criteria", "sources"];

struct PeriodName(String);

impl FromStr for PeriodName {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > 40 || !text.bytes().all(plain) {
            return Err(Rejected {
                what: "is not 1 to 40 of letters, digits, dot, hyphen and underscore",
                help: "it names files: name = \"2026-h1\"",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

struct Day(NaiveDate);

impl FromStr for Day {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            // Times are compared as text, of four digits for the year.
            .filter(|_| text.len() == 10)
            .map(Self)
            .ok_or(Rejected {
                what: "is not a date",
                help: "year, month and day: \"2026-01-01\"",
            })
    }
}

impl Reader<'_> {
    /// Every `[[period]]`.
    pub(super) fn periods(&mut self, top: &Section<'_>, sources: &[Source]) -> Vec<Period> {
        let example = "[[period]], in two brackets, once for each period";
        let written = top
            .get("period")
            .and_then(|value| self.list("period", value, example));
        let mut periods: Vec<Period> = Vec::new();
        for value in written.into_iter().flatten() {
            let Some(table) = self.table("period", value, example) else {
                continue;
            };
            let section = self.open("in [[period]]", table, value.span(), &PERIOD_KEYS);
            let name = self.period_name(&section, &periods);
            let first = self.day("from", &section, "from = \"2026-01-01\"");
            let last = self.day("to", &section, "to = \"2026-06-30\"");
            let zone = self.optional("timezone", &section, "timezone = \"Europe/Berlin\"");
            let criteria: Vec<Spanned<Criteria>> = self.words("criteria", &section, "criteria = [\"CC6.*\"]");
            let named = self.sources_in_scope(&section, sources);
            let (Some(name), Some(first), Some((last, place)), Ok(zone)) =
                (name, first.map(|(day, _)| day), last, zone)
            else {
                continue;
            };
            if last < first {
                self.problem(
                    &place,
                    "to is before from".to_owned(),
                    "give the first and the last day of the period: both belong to it",
                );
                continue;
            }
            periods.push(Period {
                name,
                first,
                last,
                zone: zone.map_or(chrono_tz::UTC, |TimeZone(zone)| zone),
                criteria: criteria.into_iter().map(Spanned::into_inner).collect(),
                sources: named,
            });
        }
        periods
    }

    fn period_name(&mut self, section: &Section<'_>, others: &[Period]) -> Option<String> {
        let example = "name = \"2026-h1\"";
        let value = self.required(section, "name", example)?;
        let name = self.text::<PeriodName>("name", value, example)?;
        if others.iter().any(|other| other.name == name.get_ref().0) {
            let help = "bundles are named by their period: give each its own";
            self.problem(&name.span(), "a second period has this name".to_owned(), help);
        }
        Some(name.into_inner().0)
    }

    fn day(&mut self, key: &str, section: &Section<'_>, example: &str) -> Option<(NaiveDate, Range<usize>)> {
        let value = self.required(section, key, example)?;
        let day = self.text::<Day>(key, value, example)?;
        Some((day.get_ref().0, day.span()))
    }

    fn sources_in_scope(&mut self, section: &Section<'_>, sources: &[Source]) -> Vec<String> {
        let named: Vec<Spanned<SourceName>> = self.words("sources", section, "sources = [\"this-machine\"]");
        let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        for name in &named {
            let written = name.get_ref().as_str();
            if !known.contains(&written) && self.problems.is_empty() {
                let message = format!("no such source: \"{written}\"");
                self.problem(&name.span(), message, there_are(written, &known));
            }
        }
        named
            .into_iter()
            .map(|name| name.into_inner().to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::Config;
    use super::*;

    const SOURCE: &str = "[[source]]\nname = \"here\"\ntype = \"host\"\n\
        [source.collectors.\"host.baseline\"]\nschedule = \"0 * * * *\"\n";

    fn read(text: &str) -> Result<Vec<Period>, String> {
        let config = Config::parse(format!("{text}\n{SOURCE}").as_bytes(), None);
        config
            .map(|config| config.periods)
            .map_err(|error| error.to_string())
    }

    fn dated(from: &str, to: &str, zone: &str) -> Period {
        let text =
            format!("[[period]]\nname = \"p\"\nfrom = \"{from}\"\nto = \"{to}\"\ntimezone = \"{zone}\"");
        read(&text).unwrap().remove(0)
    }

    #[test]
    fn both_days_belong_to_it_from_midnight_to_midnight_of_its_zone() {
        let half = dated("2026-01-01", "2026-06-30", "Europe/Berlin");
        assert_eq!(half.from().to_rfc3339(), "2025-12-31T23:00:00+00:00");
        assert_eq!(half.to().to_rfc3339(), "2026-06-30T22:00:00+00:00");
        let day = dated("2024-02-29", "2024-02-29", "UTC");
        assert_eq!(day.to() - day.from(), TimeDelta::days(1));
    }

    #[test]
    fn a_day_without_midnight_begins_when_the_clocks_have_jumped() {
        // Beirut went from 00:00 to 01:00 on 27 March 2022.
        let day = dated("2022-03-27", "2022-03-27", "Asia/Beirut");
        assert_eq!(day.from().to_rfc3339(), "2022-03-26T22:00:00+00:00");
        assert_eq!(day.to() - day.from(), TimeDelta::hours(23));
        // Samoa had no 30 December 2011 at all.
        let none = dated("2011-12-30", "2011-12-30", "Pacific/Apia");
        assert_eq!(none.to(), none.from());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let wrong = |lines: &str| read(&format!("[[period]]\n{lines}")).unwrap_err();
        assert!(wrong("name = \"p\"\nfrom = \"2026-01-01\"").contains("no \"to\""));
        let turned = wrong("name = \"p\"\nfrom = \"2026-02-01\"\nto = \"2026-01-31\"");
        assert!(turned.contains(":4:6: to is before from"), "{turned}");
        let day = wrong("name = \"p\"\nfrom = \"2026-02-30\"\nto = \"2026-03-31\"");
        assert!(day.contains(":3:8: from is not a date"), "{day}");
        let source = wrong("name = \"p\"\nfrom = \"2026-02-01\"\nto = \"2026-03-31\"\nsources = [\"her\"]");
        assert!(
            source.contains("no such source") && source.contains("here"),
            "{source}"
        );
        let odd = wrong("name = \"a b\"\nfrom = \"2026-02-01\"\nto = \"2026-03-31\"\ncriteria = [\"CC6\"]");
        assert!(
            odd.contains("name is not") && odd.contains("criteria is neither"),
            "{odd}"
        );
        let one = "[[period]]\nname = \"p\"\nfrom = \"2026-02-01\"\nto = \"2026-03-31\"\n";
        let twice = read(&format!("{one}{one}")).unwrap_err();
        assert!(twice.contains("a second period"), "{twice}");
    }
}
