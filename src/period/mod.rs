//! What a stretch of time shows: pure over what was read of the log. Nothing here reads it, or a clock.
//!
//! - [`window`]: the stretch and its scope;
//! - [`ledger`]: what became of every tick that was owed;
//! - [`coverage`]: for how much of the time a test's result is known;
//! - [`rules`]: versions of tests and controls, each with its dates; [`beside`] compares a test's wordings;
//! - [`slot`]: what the looks of one test at one target came to;
//! - [`deviation`]: stretches in which a test failed on a resource;
//! - [`population`]: the complete set that samples are drawn from, and its gaps; [`obtained`] is how it was read;
//! - [`sample`]: which items are drawn from a population;
//! - [`manual`]: what came of the evidence that people owe for a control;
//! - [`response`]: what people were told of one, and what they did about it.
//!
//! What was observed and what is inferred between two observations are told apart: an instant that stands here is one at
//! which somebody looked.

pub mod beside;
pub mod coverage;
pub mod deviation;
pub mod ledger;
pub mod manual;
pub mod obtained;
pub mod population;
pub mod response;
pub mod rules;
pub mod sample;
pub mod slot;
pub mod span;
pub mod window;
