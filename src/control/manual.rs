//! When people owe evidence for a control: a calendar, a grace time, and an age.
//!
//! What is due is due at a tick of the calendar, and what came of it follows from when evidence was sealed
//! ([`crate::period::manual`]). Nothing here says that it was given.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::MaxAge;
use crate::schedule::Schedule;

/// Evidence that people bring for a control, on a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Manual {
    written: Written,
    zone: Tz,
    schedule: Schedule,
}

/// As it stands in files and plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    every: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grace: Option<MaxAge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<MaxAge>,
}

/// The named calendars: what each is in crontab's words. Evidence of a quarter is due when the quarter ends.
const NAMED: [(&str, &str); 5] = [
    ("weekly", "0 0 * * 1"),
    ("monthly", "0 0 1 * *"),
    ("quarterly", "0 0 1 1,4,7,10 *"),
    ("semiannually", "0 0 1 1,7 *"),
    ("yearly", "0 0 1 1 *"),
];

impl Manual {
    /// Evidence that is due at each tick of a calendar: one of `weekly`, `monthly`, `quarterly`, `semiannually` and
    /// `yearly`, or a crontab line of which no two ticks fall on the same day.
    pub fn new(
        every: &str,
        timezone: Option<&str>,
        grace: Option<MaxAge>,
        max_age: Option<MaxAge>,
    ) -> Result<Self, String> {
        let zone = timezone.map_or(Ok(Tz::UTC), Self::zone)?;
        let schedule = calendar(every, zone)?;
        Ok(Self {
            written: Written {
                every: every.to_owned(),
                timezone: timezone.map(str::to_owned),
                grace,
                max_age,
            },
            zone,
            schedule,
        })
    }

    /// Whether a text is a calendar.
    pub fn check_calendar(every: &str) -> Result<String, String> {
        calendar(every, Tz::UTC).map(|_| every.to_owned())
    }

    /// Whether a text is a time zone.
    pub fn check_zone(name: &str) -> Result<String, String> {
        Self::zone(name).map(|_| name.to_owned())
    }

    fn zone(name: &str) -> Result<Tz, String> {
        name.parse().map_err(|_| {
            format!("{name:?} is not a time zone that the IANA database names, such as \"Europe/Berlin\"")
        })
    }

    /// The calendar, as its author wrote it.
    pub fn every(&self) -> &str {
        &self.written.every
    }

    /// The zone that the calendar is meant in, where its author named one.
    pub fn timezone(&self) -> Option<&str> {
        self.written.timezone.as_deref()
    }

    /// How long after its due date evidence is late and still accepted, as its author wrote it.
    pub fn grace(&self) -> Option<&MaxAge> {
        self.written.grace.as_ref()
    }

    /// The age beyond which evidence no longer counts, as its author wrote it.
    pub fn max_age(&self) -> Option<&MaxAge> {
        self.written.max_age.as_ref()
    }

    /// The due dates after an instant, up to and including another; evidence must be sealed by then.
    pub fn due(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        self.schedule.within(from, to)
    }

    /// The first due date after an instant.
    pub fn next(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.after(from)
    }

    /// When what is due at an instant becomes overdue.
    pub fn grace_ends(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        let grace = self.grace().map_or(TimeDelta::zero(), MaxAge::length);
        due.checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The last day that lies before an instant, where the calendar is meant: what is due at midnight is due the day before.
    pub fn last_day(&self, before: DateTime<Utc>) -> NaiveDate {
        let within = before.checked_sub_signed(TimeDelta::seconds(1)).unwrap_or(before);
        within.with_timezone(&self.zone).date_naive()
    }

    /// The instant at which a day ends where the calendar is meant.
    pub fn end_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let next = day.succ_opt().and_then(|next| next.and_hms_opt(0, 0, 0));
        // Where the clock skips midnight, the day ends within the hour.
        let end = next.and_then(|next| {
            let later = [0, 1, 2].map(|hours| next.checked_add_signed(TimeDelta::hours(hours)));
            let mut zoned = later.into_iter().flatten();
            zoned.find_map(|time| time.and_local_timezone(self.zone).earliest())
        });
        end.map_or(DateTime::<Utc>::MAX_UTC, |end| end.to_utc())
    }
}

fn calendar(every: &str, zone: Tz) -> Result<Schedule, String> {
    let line = match NAMED.iter().find(|(name, _)| *name == every) {
        Some((_, line)) => line,
        None if every.contains(' ') => every,
        None => {
            let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "{every:?} is no calendar: there are {}, and crontab lines such as \"0 0 15 1,7 *\"",
                names.join(", ")
            ));
        }
    };
    let schedule = Schedule::parse(line, zone)
        .map_err(|error| format!("{every:?} is no calendar: {error}; {}", error.help()))?;
    let mut last = None;
    for tick in schedule.within(START, START + TimeDelta::days(366)).take(400) {
        if last.is_some_and(|last| tick - last < SHORTEST) {
            return Err(format!(
                "{every:?} has due dates less than a day apart: people do not bring evidence that often"
            ));
        }
        last = Some(tick);
    }
    Ok(schedule)
}

/// 2026-01-01, midnight UTC: where calendars are tried.
const START: DateTime<Utc> = super::Example::NOW;

/// A day, less an hour for changes of clock.
const SHORTEST: TimeDelta = TimeDelta::hours(23);

impl TryFrom<Written> for Manual {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            every,
            timezone,
            grace,
            max_age,
        } = written;
        Self::new(&every, timezone.as_deref(), grace, max_age)
    }
}

impl From<Manual> for Written {
    fn from(manual: Manual) -> Self {
        manual.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual(every: &str, zone: Option<&str>) -> Manual {
        Manual::new(every, zone, Some(MaxAge::parse("14d").unwrap()), None).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_quarter_is_due_when_it_ends_where_the_company_is() {
        let quarterly = manual("quarterly", Some("Europe/Berlin"));
        let due: Vec<_> = quarterly
            .due(at("2026-02-01T00:00:00Z"), at("2026-12-31T00:00:00Z"))
            .collect();
        let expected = [
            "2026-03-31T22:00:00Z",
            "2026-06-30T22:00:00Z",
            "2026-09-30T22:00:00Z",
        ];
        assert_eq!(due, expected.map(at));
        assert_eq!(quarterly.last_day(due[0]).to_string(), "2026-03-31");
        assert_eq!(quarterly.grace_ends(due[0]), at("2026-04-14T22:00:00Z"));
        let day = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
        assert_eq!(quarterly.end_of(day), due[0]);
    }

    #[test]
    fn a_line_of_crontab_says_its_own_hour() {
        let line = manual("0 17 15 3 *", None);
        let due = line.next(at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(due, at("2026-03-15T17:00:00Z"));
        assert_eq!(line.last_day(due).to_string(), "2026-03-15");
    }

    #[test]
    fn what_is_no_calendar_for_people_is_refused() {
        let wrong = |every| Manual::new(every, None, None, None).unwrap_err();
        assert!(wrong("anually").contains("weekly, monthly, quarterly"));
        assert!(wrong("0 * * * *").contains("less than a day apart"));
        assert!(wrong("0 0 31 2 *").contains("no such day"));
        assert!(Manual::new("yearly", Some("Mars"), None, None).is_err());
    }

    #[test]
    fn it_reads_back_from_a_plan_as_it_was_written() {
        let json = r#"{"every":"quarterly","timezone":"Europe/Berlin","grace":"14d"}"#;
        let read: Manual = serde_json::from_str(json).unwrap();
        assert_eq!(read, manual("quarterly", Some("Europe/Berlin")));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(serde_json::from_str::<Manual>(r#"{"every":"yearly","later":1}"#).is_err());
    }
}
