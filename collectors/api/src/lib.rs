//! The contract between evidenced and its collectors.
//!
//! Depend on this crate to write a collector: implement [`Collector`], run [`conformance::check`] over recorded
//! answers in a test, and add one line to the registry of the `evidenced` crate. `collectors/README.md` shows how.
//! Programs that read evidence want the `evidenced` crate instead.
//!
//! A collector only reads. It returns what it saw ([`Snapshot`]) or why it could see nothing ([`CollectError`]);
//! it never judges, writes no file, and reads the time only through [`Run`].

pub mod conformance;

mod collector;
mod earlier;
mod error;
mod provenance;
mod recording;
mod setting;
mod snapshot;

pub use collector::{Clock, Collector, DEADLINE, Run, SettingsError, Target};
pub use earlier::{Earlier, EarlierSnapshot, FirstRun};
pub use error::{CollectError, FailureClass};
pub use provenance::{Call, CallTimer, Completeness, Provenance, RateLimit};
pub use recording::Recording;
pub use setting::{FromPlain, Plain};
pub use snapshot::{Covers, Raw, Resource, Snapshot};
