//! When collectors run: crontab's dialect, kept in one time zone through its changes of clock.
//!
//! It reads no clock: whoever asks says from when. The `cron` crate expands the fields into sets of numbers. What it
//! allows and when it ticks differ from crontab (no five fields, Sunday as 1, both day fields at once, nothing on the
//! day on which the clock skips 02:30), so what is allowed is decided here, and so is when it ticks.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset};
use chrono::{TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use cron::TimeUnitSpec;
use std::iter;

/// When a collector runs: the ticks of a crontab line in a time zone.
///
/// Five fields are minute, hour, day of month, month and day of week; six begin with seconds; seven also end with a
/// year. Or a name: `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`, or `@ad_hoc`, which
/// never ticks. As in crontab, a day matches when *either* day field does, but both must where one begins with `*`.
///
/// Where the clock goes forward, what was due in the skipped time ticks once, at the end of the gap. Where it goes back,
/// what is due in the repeated time ticks the first time only, or both times if the hour field begins with `*` or has
/// all 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    zone: Tz,
    /// None where there are no ticks.
    calendar: Option<Calendar>,
}

/// Why a text is no schedule: what is wrong with which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ScheduleError {
    what: String,
    help: &'static str,
}

impl ScheduleError {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        self.help
    }
}

impl Schedule {
    /// Parses crontab text in a time zone. A schedule whose day never comes, such as 30 February, is an error.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let fields = match text.trim_ascii() {
            "@ad_hoc" => return Ok(Self { zone, calendar: None }),
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@reboot" => return Err(refused("@reboot is not a time", NAMES_HELP)),
            name if name.starts_with('@') => {
                return Err(refused(
                    format!("{} is not a known name", shown(name)),
                    NAMES_HELP,
                ));
            }
            fields => fields,
        };
        Ok(Self {
            zone,
            calendar: Some(Calendar::parse(fields)?),
        })
    }

    /// The first tick after an instant. None if none is to come: the year field is over, or the schedule is `@ad_hoc`.
    /// There are no ticks before 1970.
    pub fn after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let calendar = self.calendar.as_ref()?;
        let mut now = DateTime::from_timestamp(instant.timestamp().max(-1), 0)?;
        let mut reading = self.reading(now)?.checked_add_signed(TimeDelta::seconds(1))?;
        if !calendar.every_hour
            && let Some(change) = self.change(now.checked_sub_signed(DAY)?, now)
        {
            // The clock went back not long ago: what it shows again has been.
            reading = reading.max(change.before);
        }
        // `due` is the next time that a clock could show; as long as no change comes before it, it comes at `tick`.
        loop {
            let due = calendar.due(reading)?;
            let tick = due.checked_sub_offset(self.offset(now))?.and_utc();
            // Even when the tick is far off, a day is looked over: if the clock goes back within it, a time before
            // `reading` may be due again.
            let seen = tick.min(now.checked_add_signed(DAY)?);
            if let Some(change) = self.change(now, seen) {
                if due < change.after {
                    return Some(change.at);
                }
                now = change.at;
                reading = if calendar.every_hour {
                    change.after
                } else {
                    change.after.max(change.before)
                };
            } else if seen == tick {
                return Some(tick);
            } else {
                // Nothing is due on the way, so only a change of clock near its end matters.
                now = due.checked_sub_signed(DAY * 2)?.and_utc().max(seen);
                reading = due;
            }
        }
    }

    /// The ticks after `from` up to and including `to`, oldest first.
    pub fn within(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        iter::successors(self.after(from), |tick| self.after(*tick)).take_while(move |tick| *tick <= to)
    }

    fn offset(&self, instant: DateTime<Utc>) -> FixedOffset {
        self.zone.offset_from_utc_datetime(&instant.naive_utc()).fix()
    }

    /// What the clock on the wall shows.
    fn reading(&self, instant: DateTime<Utc>) -> Option<NaiveDateTime> {
        instant.naive_utc().checked_add_offset(self.offset(instant))
    }

    /// The first change of clock after `from` up to and including `to`, whole seconds at most a day apart. Equal
    /// offsets mean no change: no zone since 1970 has changed its clock and changed it back within a week.
    fn change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Change> {
        let offset = self.offset(from);
        if self.offset(to) == offset {
            return None;
        }
        let (mut before, mut at) = (from.timestamp(), to.timestamp());
        while at - before > 1 {
            let middle = before.midpoint(at);
            if self.offset(DateTime::from_timestamp(middle, 0)?) == offset {
                before = middle;
            } else {
                at = middle;
            }
        }
        let at = DateTime::from_timestamp(at, 0)?;
        Some(Change {
            at,
            before: at.naive_utc().checked_add_offset(offset)?,
            after: self.reading(at)?,
        })
    }
}

/// More than a clock is ever moved, and than any zone is away from UTC.
const DAY: TimeDelta = TimeDelta::days(1);

/// A change of clock: at this instant it would have shown `before` and shows `after`.
struct Change {
    at: DateTime<Utc>,
    before: NaiveDateTime,
    after: NaiveDateTime,
}

/// The local times that are due, whether or not a clock shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Calendar {
    sets: cron::Schedule,
    /// Whether one day field is enough.
    either_day: bool,
    /// Whether a repeated hour counts twice.
    every_hour: bool,
}

impl Calendar {
    fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > LONGEST {
            return Err(refused(
                format!("the text has {} bytes, above {LONGEST}", text.len()),
                FIELDS_HELP,
            ));
        }
        let mut texts: Vec<&str> = text.split_ascii_whitespace().collect();
        match texts.len() {
            0 => return Err(refused("the text is empty", FIELDS_HELP)),
            5 => {
                texts.insert(0, "0");
                texts.push("*");
            }
            6 => texts.push("*"),
            7 => {}
            1 => return Err(refused("there is 1 field instead of 5, 6 or 7", FIELDS_HELP)),
            count => {
                return Err(refused(
                    format!("there are {count} fields instead of 5, 6 or 7"),
                    FIELDS_HELP,
                ));
            }
        }
        let translated = iter::zip(&FIELDS, &texts)
            .map(|(field, text)| field.translate(text))
            .collect::<Result<Vec<_>, _>>()?;
        let sets: cron::Schedule = translated
            .join(" ")
            .parse()
            .map_err(|error| refused(format!("the fields: {error}"), FIELDS_HELP))?;
        let calendar = Self {
            either_day: !texts[3].starts_with('*') && !texts[5].starts_with('*'),
            every_hour: texts[2].starts_with('*') || sets.hours().is_all(),
            sets,
        };
        match calendar.date(NaiveDate::default()) {
            Some(_) => Ok(calendar),
            None => Err(refused(
                "the day fields: no such day ever comes in these months and years",
                "30 February never comes, 29 February in leap years only, 31 in seven months",
            )),
        }
    }

    /// The first local time that is due, from the one given.
    fn due(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = self.date(from.date())?;
        let first = self.time(NaiveTime::MIN)?;
        if date > from.date() {
            return Some(date.and_time(first));
        }
        match self.time(from.time()) {
            Some(time) => Some(date.and_time(time)),
            None => Some(self.date(date.succ_opt()?)?.and_time(first)),
        }
    }

    /// The first matching date, from the one given.
    fn date(&self, from: NaiveDate) -> Option<NaiveDate> {
        let years = self.sets.years();
        // The set of all years ends in 2100, but a schedule without a year does not. Nothing is rarer than a
        // 29 February that is a Sunday, which may take 40 years because 2100 is no leap year.
        let last = if years.is_all() {
            from.year().checked_add(40)?
        } else {
            2100
        };
        let mut date = from;
        while date.year() <= last {
            let year = u32::try_from(date.year()).ok()?;
            date = if !years.is_all() && !years.includes(year) {
                let year = years.range(year..).next()?;
                NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?
            } else if !self.sets.months().includes(date.month()) {
                match date.month() {
                    12 => NaiveDate::from_ymd_opt(date.year() + 1, 1, 1)?,
                    month => NaiveDate::from_ymd_opt(date.year(), month + 1, 1)?,
                }
            } else if self.has_day(date) {
                return Some(date);
            } else {
                date.succ_opt()?
            };
        }
        None
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let of_month = self.sets.days_of_month().includes(date.day());
        let of_week = self
            .sets
            .days_of_week()
            .includes(date.weekday().number_from_sunday());
        if self.either_day {
            of_month || of_week
        } else {
            of_month && of_week
        }
    }

    /// The first matching time of a day, from the one given.
    fn time(&self, from: NaiveTime) -> Option<NaiveTime> {
        let (hours, minutes, seconds) = (self.sets.hours(), self.sets.minutes(), self.sets.seconds());
        let (hour, minute) = (from.hour(), from.minute());
        if hours.includes(hour) {
            if minutes.includes(minute)
                && let Some(second) = seconds.range(from.second()..).next()
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = minutes.range(minute + 1..).next() {
                return NaiveTime::from_hms_opt(hour, minute, seconds.iter().next()?);
            }
        }
        let hour = hours.range(hour + 1..).next()?;
        NaiveTime::from_hms_opt(hour, minutes.iter().next()?, seconds.iter().next()?)
    }
}

/// One field of the text.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// The first stands for `least`.
    names: &'static [&'static str],
    help: &'static str,
}

const FIELDS: [Field; 7] = [
    Field {
        name: "second",
        least: 0,
        most: 59,
        names: &[],
        help: "0 to 59: 0, 15,45, 0-29, */10 or 5-29/10",
    },
    Field {
        name: "minute",
        least: 0,
        most: 59,
        names: &[],
        help: "0 to 59: 0, 15,45, 0-29, */10 or 5-29/10",
    },
    Field {
        name: "hour",
        least: 0,
        most: 23,
        names: &[],
        help: "0 to 23: *, 6, 6,18, 9-17, */4 or 8-18/2",
    },
    Field {
        name: "day-of-month",
        least: 1,
        most: 31,
        names: &[],
        help: "1 to 31: *, 1, 1,15, 1-7, */2 or 1-15/7",
    },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
        help: "1 to 12 or JAN to DEC: *, 1, JAN,JUL, 4-6, */3 or 1-10/3",
    },
    Field {
        name: "day-of-week",
        least: 0,
        most: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        help: "0 to 7, where 0 and 7 are Sunday, or SUN to SAT: *, 1, MON,THU, MON-FRI, 5-7 or 1-5/2",
    },
    Field {
        name: "year",
        least: 1970,
        most: 2100,
        names: &[],
        help: "1970 to 2100: *, 2027, 2027,2029 or 2027-2030",
    },
];

const FIELDS_HELP: &str = "minute, hour, day of month, month and day of week, such as \"30 6 * * *\"; seconds may come \
                           before, and after both a year";
const NAMES_HELP: &str = "@hourly, @daily, @weekly, @monthly, @yearly, five fields such as \"30 6 * * *\", or @ad_hoc for \
                          what is only collected by hand";

/// Ample for a list of everything in every field; `cron` makes a set for each item.
const LONGEST: usize = 2000;

impl Field {
    /// The field as `cron` reads it, holding nothing that crontab refuses.
    fn translate(&self, text: &str) -> Result<String, ScheduleError> {
        let items: Result<Vec<_>, _> = text.split(',').map(|item| self.translate_item(item)).collect();
        Ok(items?.join(","))
    }

    fn translate_item(&self, item: &str) -> Result<String, ScheduleError> {
        if item.is_empty() {
            return Err(self.wrong("the list has an empty item"));
        }
        if quartz(item) {
            return Err(self.wrong(format!("{} is Quartz's, which crontab doesn't have", shown(item))));
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (first, last) = if range == "*" {
            (self.least, self.most)
        } else if let Some((first, last)) = range.split_once('-') {
            (self.number(first, item)?, self.number(last, item)?)
        } else {
            let only = self.number(range, item)?;
            if step.is_some() {
                return Err(self.wrong(format!("{} has a step but no range", shown(item))));
            }
            (only, only)
        };
        if first > last {
            return Err(self.wrong(format!("{} runs backwards", shown(item))));
        }
        let step = step.map_or(Ok(1), |step| self.step(step, item))?;
        if self.name == "day-of-week" {
            // `cron` counts from Sunday as 1, so a range over Saturday has no range there.
            let days = (first..=last).step_by(step as usize);
            let days: Vec<String> = days.map(|day| (day % 7 + 1).to_string()).collect();
            return Ok(days.join(","));
        }
        Ok(format!("{first}-{last}/{step}"))
    }

    fn number(&self, text: &str, item: &str) -> Result<u32, ScheduleError> {
        let mut named = iter::zip(self.least.., self.names);
        if let Some((number, _)) = named.find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(number);
        }
        let number = self.digits(text, item)?;
        if number < self.least {
            return Err(self.wrong(format!("{} is below {}", shown(text), self.least)));
        }
        Ok(number)
    }

    fn step(&self, text: &str, item: &str) -> Result<u32, ScheduleError> {
        match self.digits(text, item)? {
            0 => Err(self.wrong(format!("{} has a step of 0, which is below 1", shown(item)))),
            step => Ok(step),
        }
    }

    /// A number that is not too big.
    fn digits(&self, text: &str, item: &str) -> Result<u32, ScheduleError> {
        if text.is_empty() {
            return Err(self.wrong(format!("{} lacks a number", shown(item))));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let names = if self.names.is_empty() { "" } else { " or a name" };
            return Err(self.wrong(format!("{} is not a number{names}", shown(text))));
        }
        // Digits that don't fit are too big as well.
        match text.parse() {
            Ok(number) if number <= self.most => Ok(number),
            _ => Err(self.wrong(format!("{} is above {}", shown(text), self.most))),
        }
    }

    fn wrong(&self, what: impl AsRef<str>) -> ScheduleError {
        refused(format!("the {} field: {}", self.name, what.as_ref()), self.help)
    }
}

/// Whether it is in Quartz's language: `?`, `L`, `15W`, `5L`, `FRI#2`.
fn quartz(item: &str) -> bool {
    let letters = |c: char| matches!(c.to_ascii_uppercase(), 'L' | 'W');
    item.contains(['?', '#'])
        || item.contains(letters) && item.chars().all(|c| letters(c) || c.is_ascii_digit() || c == '-')
}

/// A part of the text as a message shows it: short, on one line.
fn shown(part: &str) -> String {
    let start: String = part.chars().take(30).collect();
    let more = if start.len() < part.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}

fn refused(what: impl Into<String>, help: &'static str) -> ScheduleError {
    ScheduleError {
        what: what.into(),
        help,
    }
}

#[cfg(test)]
mod tests;
