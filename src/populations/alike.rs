//! Gaps that many targets have in common, told once.

use std::collections::BTreeMap;

use crate::period::population::Gap;

/// Gaps that many targets of a source have in common are told once, with how many targets.
pub fn alike(gaps: &[Gap]) -> Vec<(Gap, u64)> {
    let mut alike: Vec<(Gap, u64)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for gap in gaps {
        let (why, ends) = (
            &gap.why,
            [gap.span.from, gap.span.to].map(|at| at.timestamp().div_euclid(60)),
        );
        let edges = (why.out_of_scope, why.nothing_before, why.nothing_after);
        let happened: Vec<_> = why.happened.keys().collect();
        let key = format!("{:?}", (&gap.scope.source, ends, edges, happened));
        let place = *places.entry(key).or_insert(alike.len());
        match alike.get_mut(place) {
            None => alike.push((gap.clone(), 1)),
            Some((first, targets)) => {
                *targets += 1;
                for (what, leaves) in &why.happened {
                    let all = first.why.happened.entry(what.clone()).or_default();
                    all.extend(leaves);
                    // What stopped a whole source is each target's reason.
                    all.sort_unstable();
                    all.dedup();
                }
            }
        }
    }
    alike
}
