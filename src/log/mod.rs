//! The evidence log, format v1: a Merkle log in SQLite that only grows.

pub mod append;
pub mod backup;

pub mod blob;
pub mod checkpoint;
pub mod guard;
pub mod leaf;
mod schema;

pub mod recover;
pub mod start;
pub mod store;
pub mod tree;
pub mod verify;
pub mod verify_store;
