//! What `deploy/` lets the program do: the same in every form, and nothing that changes anything.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "deploy/aws.rs"]
mod aws;
#[path = "deploy/github.rs"]
mod github;
