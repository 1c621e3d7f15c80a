//! What the log survives: every change to its store failing, lost, or done though reported failed, alone and in pairs;
//! death at every change and at random moments; power loss; a full disk; several processes at once; and what a daemon that
//! lives through all of that says of its ticks.
//!
//! The program under test is this test binary again, as a child process (`program`), with a shim between it and the
//! operating system (`shim.c`, run by `child`). After each child, the store is looked at without the shim (`examine`).

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../daemon/account.rs"]
mod account;
mod alerts;
mod child;
mod daemon;
mod disk;
#[path = "../fake/everything.rs"]
mod everything;
mod examine;
#[path = "../fake/mod.rs"]
mod fake;
mod full_disk;
mod kills;
mod one_fault;
mod power_loss;
mod processes;
mod program;
mod reading;
#[allow(dead_code, reason = "the daemon's own tests use more of it")]
#[path = "../daemon/world.rs"]
mod world;
