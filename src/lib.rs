#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod log;
pub mod plan;
pub mod registry;
pub mod round;
pub mod secret;
pub mod standing;
