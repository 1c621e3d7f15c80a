//! Evidence about the machine that evidenced runs on: `host.baseline`, for Linux.
//!
//! Build it with [`baseline`]. It reads files under `/etc`, `/proc`, `/sys`, `/run` and `/var/lib`, and runs a few
//! commands that only report. It never writes, never uses the network, and never judges: whether an account is
//! expected or a reboot overdue is for the tests to say.
//!
//! Everything that touches the machine goes through [`Machine`], and every touch is noted as a call of the
//! provenance; all else is pure and is tested over recorded machines. What a fact depends on and may not or can't be
//! read makes that fact unknown, with the reason, and leaves the other facts alone. Inside a container all facts of
//! the host are unknown.

mod accounts;
mod baseline;
mod check;
mod container;
mod disks;
mod inspection;
mod layers;
mod listeners;
mod machine;
mod match_blocks;
mod os;
mod packages;
mod processes;
mod ssh;
mod time;
mod updates;

pub use baseline::{Settings, baseline, baseline_on};
pub use machine::{Fault, Identity, LiveMachine, Machine, Output};
pub use time::{ClockState, clock_state};

/// The examples of `collectors/README.md` are compiled with this crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct HowToAddACollector;
