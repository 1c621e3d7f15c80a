//! Instants as people write them: RFC 3339, or a date, which is meant in UTC.

use anyhow::Result;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};

use super::exit::UsageError;

/// `--from`: from this instant on; a date means its beginning.
pub(super) fn from(text: Option<&str>) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| read(text, false)).transpose()
}

/// `--to`: before this instant; a date means its end.
pub(super) fn to(text: Option<&str>) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| read(text, true)).transpose()
}

/// A date as an end means all of that day.
pub(super) fn read(text: &str, is_end: bool) -> Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let date = date.and_then(|date| date.checked_add_days(Days::new(u64::from(is_end))));
    // Times are compared as text, of four digits for the year.
    let date = date.filter(|date| (0..=9999).contains(&date.year()));
    date.map(|date| date.and_time(NaiveTime::MIN).and_utc())
        .ok_or_else(|| {
            UsageError::error(
                format!("{text:?} is no time"),
                "write 2026-11-21, which is meant in UTC, or 2026-11-21T14:00:00Z",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_all_of_that_day() {
        let told = |text, is_end| read(text, is_end).unwrap().to_rfc3339();
        assert_eq!(told("2026-11-21", false), "2026-11-21T00:00:00+00:00");
        assert_eq!(told("2026-11-21", true), "2026-11-22T00:00:00+00:00");
        assert_eq!(
            told("2026-11-21T02:00:00+02:00", true),
            "2026-11-21T00:00:00+00:00"
        );
        assert!(read("yesterday", false).is_err());
    }
}
