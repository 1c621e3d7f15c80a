//! The time that is looked at, and what of the log is in its scope.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::control::Criterion;

/// A stretch of time with a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The period's name; none where only times were given.
    pub name: Option<String>,
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant behind it.
    pub to: DateTime<Utc>,
    /// The zone whose days it is made of.
    #[serde(rename = "timezone")]
    pub zone: Tz,
    /// Controls that serve none of these are out of scope; all are in it if empty.
    pub criteria: Vec<Criterion>,
    /// The sources in scope; all if empty.
    pub sources: Vec<String>,
}

/// The instant at which a day begins in a zone: where clocks skip midnight, the end of what they skip.
pub fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // No zone has ever skipped more than a day.
    let mut quarters = (0..=96).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
    let found = quarters.find_map(|local| zone.from_local_datetime(&local).earliest());
    found.map_or(midnight.and_utc(), |found| found.to_utc())
}

impl Window {
    /// The instants at which its days begin, and its end.
    pub fn days(&self) -> Vec<DateTime<Utc>> {
        let first = self.from.with_timezone(&self.zone).date_naive();
        let later = std::iter::successors(first.checked_add_days(Days::new(1)), |day| {
            day.checked_add_days(Days::new(1))
        });
        let begins = later.map(|day| midnight(day, self.zone));
        let mut days = vec![self.from];
        for begins in begins.take_while(|begins| *begins < self.to) {
            // A day that its zone skipped has no time of its own.
            if Some(&begins) > days.last() {
                days.push(begins);
            }
        }
        days.push(self.to);
        days
    }

    /// Whether an instant is in it.
    pub fn holds(&self, instant: DateTime<Utc>) -> bool {
        self.from <= instant && instant < self.to
    }

    /// Whether a source is in scope.
    pub fn has_source(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|known| known == source)
    }

    /// Whether what serves these criteria is in scope.
    pub fn has_criteria(&self, criteria: &[Criterion]) -> bool {
        self.criteria.is_empty() || criteria.iter().any(|criterion| self.criteria.contains(criterion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_where_their_zone_lets_them() {
        // At midnight of 6 September 2026 Santiago's clocks go to one o'clock, and the night before 5 April has an hour twice.
        let zone = chrono_tz::America::Santiago;
        let day = |month, day| midnight(NaiveDate::from_ymd_opt(2026, month, day).unwrap(), zone);
        let window = |from, to| Window {
            name: None,
            from,
            to,
            zone,
            criteria: Vec::new(),
            sources: Vec::new(),
        };
        let hours = |window: Window| {
            let days = window.days();
            let lengths = days.windows(2).map(|days| (days[1] - days[0]).num_hours());
            lengths.collect::<Vec<_>>()
        };
        assert_eq!(hours(window(day(9, 5), day(9, 8))), [24, 23, 24]);
        assert_eq!(hours(window(day(4, 3), day(4, 6))), [24, 25, 24]);
        assert_eq!(
            hours(window(day(4, 3) + TimeDelta::hours(20), day(4, 5))),
            [4, 25]
        );
        // Apia had no 30 December 2011.
        let apia = |day| {
            midnight(
                NaiveDate::from_ymd_opt(2011, 12, day).unwrap(),
                chrono_tz::Pacific::Apia,
            )
        };
        assert_eq!(apia(30), apia(31));
    }
}
