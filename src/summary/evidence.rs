//! What the schedules owed, and what came of it.

use std::collections::BTreeMap;

use super::gather::{Gathered, why};
use super::{EvidenceRow, HoleRow};
use crate::duty::Post;
use crate::period::ledger::{Account, Hole};

/// The accounts of every collector and source.
pub(super) type Accounts = BTreeMap<Post, Vec<Account>>;

pub(super) fn accounts(gathered: &Gathered) -> Accounts {
    let ledgers = gathered.ledgers();
    ledgers
        .map(|(post, ledger)| (post.clone(), ledger.close()))
        .collect()
}

pub(super) fn rows(accounts: &Accounts) -> Vec<EvidenceRow> {
    let accounts = accounts
        .iter()
        .flat_map(|(post, accounts)| accounts.iter().map(move |of| (post, of)));
    accounts
        .map(|(post, account)| EvidenceRow {
            collector: post.collector.clone(),
            source: post.source.clone(),
            target: named(&account.target),
            ticks: account.counts,
            holes: account.holes.iter().map(row).collect(),
        })
        .collect()
}

/// The name of a target; none where the targets have never been found out.
pub(super) fn named(target: &str) -> Option<String> {
    (!target.is_empty()).then(|| target.to_owned())
}

fn row(hole: &Hole) -> HoleRow {
    let (fate, why) = why(hole.fate);
    HoleRow {
        first: hole.ticks.first,
        last: hole.ticks.last,
        ticks: hole.ticks.count,
        fate,
        why,
    }
}
