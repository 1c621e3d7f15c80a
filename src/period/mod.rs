//! What a stretch of time shows: pure over what was read of the log. Nothing here reads it, or a clock.
//!
//! - [`deviation`]: stretches in which a test failed on a resource;
//! - [`response`]: what people were told of one, and what they did about it.
//!
//! What was observed and what is inferred between two observations are told apart: an instant that stands here is one at
//! which somebody looked.

pub mod deviation;
pub mod response;
