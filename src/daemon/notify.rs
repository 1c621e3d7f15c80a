//! What systemd is told, where it started the daemon: readiness, state, and that the scheduler turns.

use sd_notify::NotifyState;
use std::time::Duration;

/// The time within which it must be told that the scheduler turns.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
    collecting();
}

pub(super) fn collecting() {
    status("Collecting.");
}

pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// The scheduler turned: nothing else keeps the watchdog quiet.
pub(super) fn turned() {
    if watchdog().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stopping.")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd can't be told: {error}");
    }
}
