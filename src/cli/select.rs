//! Which leaves a verb is asked about: when they were appended, and what they are about.

use anyhow::Result;

use super::instant;
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
    Ok(Filter {
        from: instant::from(within.from.as_deref())?.map(format_time),
        to: instant::to(within.to.as_deref())?.map(format_time),
        kinds: Vec::new(),
        collector: about.collector.clone(),
        source: about.source.clone(),
        target: about.target.clone(),
        limit: None,
    })
}
