//! Every way to change a store behind our back that we can think of, and who finds it: `verify`, the next start, or both.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod attacks;
mod beside;
mod disk;
mod flips;
mod forge;
mod store;
mod table;
