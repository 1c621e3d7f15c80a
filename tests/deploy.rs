//! What `deploy/` is for: that the program may do the same in every form and change nothing, and that each form runs it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "deploy/aws.rs"]
mod aws;
#[path = "deploy/booted.rs"]
mod booted;
#[path = "deploy/container.rs"]
mod container;
#[path = "deploy/debian.rs"]
mod debian;
#[path = "deploy/github.rs"]
mod github;
#[path = "deploy/kubernetes.rs"]
mod kubernetes;
#[path = "deploy/owner.rs"]
mod owner;
#[path = "deploy/prometheus.rs"]
mod prometheus;
#[path = "../collectors/aws/tests/moto/python.rs"]
mod python;
#[path = "deploy/systemd.rs"]
mod systemd;
#[path = "deploy/tools.rs"]
mod tools;
