//! Which leaves a verb is asked about: when they were appended, and what they are about.

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::exit::UsageError;
use super::{Common, instant};
use crate::config::{Config, Environment, Period, there_are};
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
    /// In this [[period]] of the configuration
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "to"])]
    period: Option<String>,
}

/// From an instant on, and before another; none where that is open.
pub(super) type Instants = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Within {
    /// The configured period that is meant; none where times are given.
    pub(super) fn named(&self, common: &Common) -> Result<Option<Period>> {
        let times = self.from.is_some() || self.to.is_some();
        (!times)
            .then(|| period(common, self.period.as_deref()))
            .transpose()
    }

    /// The period that is meant by name.
    pub(super) fn period(&self) -> Option<&str> {
        self.period.as_deref()
    }

    /// The instants that are meant.
    pub(super) fn instants(&self, common: &Common) -> Result<Instants> {
        if let Some(name) = &self.period {
            let period = period(common, Some(name))?;
            return Ok((Some(period.from()), Some(period.to())));
        }
        let (from, to) = (
            instant::from(self.from.as_deref())?,
            instant::to(self.to.as_deref())?,
        );
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(UsageError::error(
                "--from is not before --to",
                "give the earlier time in --from",
            )),
            instants => Ok(instants),
        }
    }
}

/// The configured period of that name; the only one where no name is given.
pub(super) fn period(common: &Common, name: Option<&str>) -> Result<Period> {
    let mut periods = Config::find(common.config.as_deref(), &Environment::of_process())?.periods;
    let known: Vec<&str> = periods.iter().map(|period| period.name.as_str()).collect();
    let help = "add a [[period]] with name, from and to to the configuration, or give --from and --to";
    if known.is_empty() {
        return Err(UsageError::error("no period is configured", help));
    }
    let at = match name {
        None if known.len() == 1 => 0,
        None => {
            let help = format!("there are: {}", known.join(", "));
            return Err(UsageError::error(
                "several periods are configured: say which",
                help,
            ));
        }
        Some(name) => {
            let at = known.iter().position(|known| *known == name);
            at.ok_or_else(|| UsageError::error(format!("no period {name:?}"), there_are(name, &known)))?
        }
    };
    Ok(periods.swap_remove(at))
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
pub(super) fn filter(common: &Common, within: &Within, about: &About) -> Result<Filter> {
    let (from, to) = within.instants(common)?;
    Ok(Filter {
        from: from.map(format_time),
        to: to.map(format_time),
        kinds: Vec::new(),
        collector: about.collector.clone(),
        source: about.source.clone(),
        target: about.target.clone(),
        limit: None,
    })
}
