//! Telling people: what happened is raised in the log with what it rests on, waits in the outbox, and is sent until a
//! channel has taken it.
//!
//! ```text
//! judged, failed, missed ──> raise ──> one transaction: leaf, alert leaf, outbox
//!                                                           │
//!                        courier: compare ──> word ──> gather ──> channel ──> alert leaf
//! ```
//!
//! [`raise`] decides which alerts begin and end, [`courier`] brings messages on: it words what waits ([`facts`], [`template`]),
//! decides who hears of it ([`route`]) and hands it to channels ([`channel`]).

use crate::control::Severity;
use crate::log::leaf::Event;

mod calendar;
pub mod channel;
mod compare;
pub mod courier;
pub mod direct;
pub mod facts;
mod gather;
pub mod message;
pub mod outlet;
pub mod raise;
mod resources;
pub mod route;
pub mod template;
mod week;
mod word;

/// How bad an event is that concerns no test.
pub fn usual_severity(event: Event) -> Severity {
    match event {
        Event::LogNotIntact => Severity::Critical,
        Event::TestFailing
        | Event::TestUnknown
        | Event::CollectionFailing
        | Event::ManualOverdue
        | Event::DiskFilling => Severity::High,
        Event::ScopeChanged
        | Event::EvidenceGap
        | Event::ExceptionEnding
        | Event::ExceptionEnded
        | Event::ManualDue => Severity::Medium,
        Event::SettingChanged | Event::Digest | Event::Trial => Severity::Low,
    }
}
