#![doc = include_str!("ARCHITECTURE.md")]

pub mod alert;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod drift;
pub mod duty;
pub mod history;
pub mod log;
pub mod plan;
pub mod registry;
pub mod round;
pub mod schedule;
pub mod secret;
pub mod standing;
