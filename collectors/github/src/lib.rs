//! Evidence about GitHub, read with the requests in [`ROUTES`] and GraphQL queries, and no others.
//!
//! | collector | a target is | kinds |
//! |---|---|---|
//! | `github.branch_protection` | an owner | `github.branch` |
//! | `github.pull_requests` | a repository | `github.branch_history`, `github.pull_request`, `github.commit`, `github.force_push`, `github.bypass` |
//! | `github.repositories` | an owner | `github.owner`, `github.repository` |
//!
//! `access` says as whom, `client` sends one request with manners (limits, retries, kept answers), `ask` makes calls of
//! requests, pages and GraphQL connections, `scope` lists what there is. The collectors ask, and pure code beside them
//! makes resources of the answers.

mod access;
mod activity;
mod ask;
#[cfg(test)]
mod bodies;
mod branch_history;
mod branch_protection;
mod branches;
mod bypass;
mod calls;
mod check;
mod client;
mod commits;
mod effective;
mod layers;
mod limits;
mod merge;
mod merged;
mod pull_requests;
mod redacted;
mod repositories;
mod rule_suites;
mod scope;
pub mod settings;
mod trial;

pub use calls::{GRAPHQL, ROUTES, Route};
pub use settings::Settings;

use evidenced_collector_api::Collector;
use secrecy::SecretString;

use access::Access;

/// The collector `github.branch_protection`.
pub fn branch_protection(settings: Settings<SecretString>) -> Box<dyn Collector> {
    Box::new(branch_protection::BranchProtection::new(Access::new(settings)))
}

/// The collector `github.repositories`.
pub fn repositories(settings: Settings<SecretString>) -> Box<dyn Collector> {
    Box::new(repositories::Repositories::new(Access::new(settings)))
}

/// The collector `github.pull_requests`.
pub fn pull_requests(settings: Settings<SecretString>) -> Box<dyn Collector> {
    Box::new(pull_requests::PullRequests::new(Access::new(settings)))
}
