//! Telling people: what happened is raised in the log with what it rests on, waits in the outbox, and is sent until a
//! channel has taken it.

pub mod channel;
pub mod message;
