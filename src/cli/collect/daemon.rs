//! `evidenced collect` without `--once`: the daemon, its runtimes, its signals and its listener.

use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::super::exit::{Exit, UsageError};
use super::super::setup::{self, Setup};
use super::super::{Common, style};
use crate::clock::{self, SharedClock};
use crate::daemon::lock::{self, LockError};
use crate::daemon::{ClockProbe, Configured, Daemon, LoadError, Means, Order, Watch, http};
use crate::log::append::Appender;
use crate::log::leaf::By;
use crate::log::store::Paths;
use crate::registry;

/// How long after it could not be listened at an address it is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

pub(super) fn run(common: &Common, setup: Setup) -> Result<Exit> {
    let clock = clock::system();
    let paths = setup.paths.clone();
    let log = Appender::open(&paths, setup.config.name.as_str(), clock.clone())?;
    let _lock = lock::take(&paths).map_err(locked)?;
    // Collectors have threads of their own: one that hangs holds up neither the scheduler nor the listener.
    let collectors = Builder::new_multi_thread()
        .worker_threads(setup.config.daemon.runs + 1)
        .thread_name("collector")
        .enable_all()
        .build()?;
    let scheduler = Builder::new_current_thread().enable_all().build()?;
    let ended = scheduler.block_on(serve(common.clone(), setup, paths, log, clock, &collectors));
    // Whatever hangs is not waited for: what it owes was recorded, or will be at the next start.
    collectors.shutdown_background();
    scheduler.shutdown_background();
    ended
}

async fn serve(
    common: Common,
    setup: Setup,
    paths: Paths,
    log: Appender,
    clock: SharedClock,
    collectors: &Runtime,
) -> Result<Exit> {
    // From the first: a signal that comes while earlier evidence is judged must not kill.
    let orders = orders()?;
    let listen = setup.config.daemon.listen;
    let sources = style::count(setup.config.sources.len() as u64, "source", "sources");
    let store = paths.directory().display().to_string();
    let means = Means {
        log,
        paths: paths.clone(),
        clock: clock.clone(),
        collectors: collectors.handle().clone(),
        clock_state: probe(clock),
        load: Box::new(move || load(&common, &paths)),
    };
    let daemon = Daemon::begin(means, configured(setup)).await?;
    if let Some(address) = listen {
        tokio::spawn(answer(address, daemon.watch()));
    }
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        version,
        "evidenced {version}: collecting {sources} on schedule into {store}"
    );
    daemon.run(orders).await?;
    tracing::info!("stopped");
    Ok(Exit::Well)
}

/// Answers at an address. Evidence is collected also while something else has that.
async fn answer(address: SocketAddr, watch: Arc<Watch>) {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!("answering /healthz, /readyz and /metrics on http://{address}");
                match http::serve(listener, Arc::clone(&watch)).await {
                    Ok(()) => return,
                    Err(error) => tracing::error!("the listener ended: {error}"),
                }
            }
            Err(error) => tracing::error!(
                "{address} can't be listened on, and is tried again: {error}; end what listens there, or choose another \
                 address for listen in [daemon]"
            ),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

fn configured(setup: Setup) -> Configured {
    Configured {
        maker: setup::maker(&setup.config, By::Daemon),
        jobs: setup.jobs,
        plan: setup.plan,
        raw: setup.config.raw,
        daemon: setup.config.daemon,
        outlet: setup.outlet,
    }
}

fn load(common: &Common, paths: &Paths) -> Result<Configured, LoadError> {
    let setup = setup::setup(common)?;
    if setup.paths != *paths {
        return Err("the store can't be changed while the daemon runs: restart it".into());
    }
    Ok(configured(setup))
}

fn probe(clock: SharedClock) -> ClockProbe {
    Arc::new(move || {
        let clock = clock.clone();
        Box::pin(async move { registry::clock_state(clock.as_ref()).await }) as Pin<Box<_>>
    })
}

/// SIGTERM and SIGINT stop, SIGHUP reads the configuration anew.
fn orders() -> Result<mpsc::Receiver<Order>> {
    let (sender, orders) = mpsc::channel(8);
    let kinds = [
        (SignalKind::terminate(), Order::Stop),
        (SignalKind::interrupt(), Order::Stop),
        (SignalKind::hangup(), Order::Reload),
    ];
    for (kind, order) in kinds {
        let signal = signal(kind).context("signals can't be received")?;
        tokio::spawn(pass_on(signal, order, sender.clone()));
    }
    Ok(orders)
}

async fn pass_on(mut signal: Signal, order: Order, orders: mpsc::Sender<Order>) {
    while signal.recv().await.is_some() {
        if orders.send(order).await.is_err() {
            return;
        }
    }
}

fn locked(error: LockError) -> anyhow::Error {
    match error {
        LockError::Running { .. } => UsageError::error(
            error.to_string(),
            "stop it first; `evidenced collect --once` may run beside it",
        ),
        LockError::Store(error) => error.into(),
    }
}
