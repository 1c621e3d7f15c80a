//! Telling people where no daemon does: what waits after a run, and that the log itself is not intact.

use anyhow::Result;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::setup::Setup;
use super::super::style;
use crate::alert::courier::Courier;
use crate::alert::direct;
use crate::alert::outlet::Outlet;
use crate::clock::{self, SharedClock};
use crate::daemon::lock;
use crate::log::append::Appender;
use crate::log::store::Reader;

/// How long channels may take to take alerts.
const TELL: Duration = Duration::from_mins(1);

/// Brings alerts to their channels, as far as these take them in time; a daemon that runs does that.
pub(super) async fn waiting(setup: &Setup, log: &Appender, clock: &SharedClock) -> Result<()> {
    if lock::holder(&setup.paths).is_some() {
        return Ok(());
    }
    let (_outlet, newest) = tokio::sync::watch::channel(Arc::clone(&setup.outlet));
    let courier = Courier {
        log: log.clone(),
        reader: Arc::new(Mutex::new(Reader::open(&setup.paths)?)),
        clock: clock.clone(),
        outlet: newest,
        bell: Arc::default(),
    };
    let waiting = courier.run_once(TELL).await as u64;
    if waiting > 0 {
        let messages = style::count(waiting, "message waits", "messages wait");
        tracing::warn!(
            "{messages} for a channel: the daemon sends them, or the next `evidenced collect --once`"
        );
    }
    Ok(())
}

/// Tells that the log is not intact: at once and without it, since it can't be written.
pub(super) fn not_intact(outlet: &Outlet, name: &str, error: &anyhow::Error) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("nobody can be told: {error}"),
    };
    let mut problems: Vec<String> = error.chain().map(ToString::to_string).collect();
    problems.dedup();
    runtime.block_on(direct::tell_not_intact(
        outlet,
        name,
        problems,
        clock::system().as_ref(),
    ));
}
