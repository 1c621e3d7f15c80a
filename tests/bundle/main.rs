//! The fieldwork bundle: written, checked by both verifiers, performed again, and broken in every way we can think of.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

#[path = "../fake/mod.rs"]
mod fake;
#[allow(dead_code, reason = "the tests of the command line use more of it")]
#[path = "../cli/workplace.rs"]
mod workplace;

mod attached;
mod drawn;
mod exported;
mod hostile;
mod mutations;
mod performed;
mod recorded;
mod round_trip;
