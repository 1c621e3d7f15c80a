//! Targets that came into a source's scope, or left it.

use std::collections::BTreeSet;

use super::{Cause, Change, Drift, Moment};

/// What a `scope` leaf says.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The leaf.
    pub moment: Moment,
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The targets in scope.
    pub targets: BTreeSet<String>,
}

/// What came or left between two scopes of the same collector and source, by target.
pub fn scope_drifts(later: &Targets, earlier: &Targets) -> Vec<Drift> {
    let drift = |target: &String| Drift {
        collector: later.collector.clone(),
        source: later.source.clone(),
        target: target.clone(),
        from: earlier.moment,
        to: later.moment,
        resource: None,
        change: if later.targets.contains(target) {
            Change::TargetCame
        } else {
            Change::TargetLeft
        },
        cause: Cause::Source,
    };
    let differing = later.targets.symmetric_difference(&earlier.targets);
    differing.map(drift).collect()
}
