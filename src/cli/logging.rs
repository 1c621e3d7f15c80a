//! What the program notes about itself: text on a terminal; of the daemon elsewhere, systemd's journal or JSON.

use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins. A daemon says what it does also unasked.
pub(super) fn start(verbose: u8, is_daemon: bool) {
    let level = match verbose + u8::from(is_daemon) {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    // Vendors' libraries log what becomes an error of ours anyway, in words for their authors, with answers in full.
    let levels = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_target("evidenced", level);
    let is_terminal = std::io::stderr().is_terminal();
    let journal = (is_daemon && is_journal())
        .then(|| tracing_journald::layer().ok())
        .flatten();
    let registry = tracing_subscriber::registry();
    if let Some(journal) = journal {
        // EVIDENCED_COLLECTOR and so on: a plain TARGET is where in the program it was said.
        let journal = journal
            .with_syslog_identifier("evidenced".to_owned())
            .with_field_prefix(Some("EVIDENCED".to_owned()));
        registry.with(journal.with_filter(levels)).init();
    } else if is_daemon && !is_terminal {
        let json = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_target(false)
            .with_writer(std::io::stderr);
        registry.with(json.with_filter(levels)).init();
    } else {
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(is_terminal)
            .with_target(false);
        registry.with(lines.with_filter(levels)).init();
    }
}

/// Whether standard error is what systemd connected to its journal: it says which file that is.
pub(super) fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|file| named == format!("{}:{}", file.dev(), file.ino()))
}
