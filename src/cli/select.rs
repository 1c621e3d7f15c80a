//! Which leaves a verb is asked about: when they were appended, and what they are about.

use anyhow::Result;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};

use super::exit::UsageError;
use crate::log::leaf::format_time;
use crate::log::store::Filter;

/// A stretch of time.
#[derive(Debug, clap::Args)]
pub(super) struct Within {
    /// From this time on: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time, or up to the end of this date (UTC)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

/// Where something was collected.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    /// Only of this collector
    #[arg(long, value_name = "ID")]
    pub(super) collector: Option<String>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Only of this target
    #[arg(long, value_name = "NAME")]
    pub(super) target: Option<String>,
}

/// The entries that are asked for, of all kinds.
pub(super) fn filter(within: &Within, about: &About) -> Result<Filter> {
    let time = |text: &Option<String>, end| text.as_deref().map(|text| time(text, end)).transpose();
    Ok(Filter {
        from: time(&within.from, false)?,
        to: time(&within.to, true)?,
        kinds: Vec::new(),
        collector: about.collector.clone(),
        source: about.source.clone(),
        target: about.target.clone(),
        limit: None,
    })
}

/// A time in the leaves' form. A date as the end of a range means its last instant.
fn time(text: &str, end: bool) -> Result<String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(format_time(time.with_timezone(&Utc)));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let date = if end {
        date.and_then(|date| date.checked_add_days(Days::new(1)))
    } else {
        date
    };
    // Times are compared as text, of four digits for the year.
    let date = date.filter(|date| (0..=9999).contains(&date.year()));
    date.map(|date| format!("{date}T00:00:00.000Z")).ok_or_else(|| {
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
        assert_eq!(time("2026-11-21", false).unwrap(), "2026-11-21T00:00:00.000Z");
        assert_eq!(time("2026-11-21", true).unwrap(), "2026-11-22T00:00:00.000Z");
        assert_eq!(
            time("2026-11-21T02:00:00+02:00", true).unwrap(),
            "2026-11-21T00:00:00.000Z"
        );
        assert!(time("yesterday", false).is_err());
    }
}
