//! What holds for trees of any size, up to sizes that no machine could hold.

use evidenced::log::tree::{self, Frontier, Hash};
use proptest::prelude::*;
use std::convert::Infallible;
use tlog_tiles::tlog;

use crate::{Tree, corrupted};

/// The hashes of a tree whose leaves are all the same: each level has one.
fn uniform() -> Vec<Hash> {
    let leaf = tree::hash_leaf(b"the same");
    std::iter::successors(Some(leaf), |hash| Some(tree::hash_node(hash, hash)))
        .take(64)
        .collect()
}

fn uniform_root(hashes: &[Hash], size: u64) -> Hash {
    let Ok(frontier) = Frontier::load(size, |level, _| {
        Ok::<_, Infallible>(hashes[usize::try_from(level).unwrap()])
    });
    frontier.root()
}

fn tlog_proof(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof.iter().copied().map(tlog::Hash).collect()
}

/// A size of any order of magnitude, with many around the powers of two.
fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![
        1..=4096_u64,
        (0..62_u32, 0..5_u64).prop_map(|(level, off)| ((1 << level) + off).saturating_sub(2).max(1)),
        1..=1_u64 << 62,
    ]
}

proptest! {
    #[test]
    fn a_frontier_loaded_is_the_one_pushed(size in 0..3000_u64) {
        let tree = Tree::of((0..size).map(u64::to_be_bytes));
        let Ok(loaded) = Frontier::load(size, tree.serve());
        prop_assert_eq!(&loaded, &tree.frontier);
        prop_assert_eq!(loaded.root(), tree.frontier.root());
        prop_assert_eq!(loaded.subtrees().count(), usize::try_from(size.count_ones()).unwrap());
    }

    #[test]
    fn whole_subtrees_may_be_pushed_at_once(levels in proptest::collection::vec(0..6_u32, 0..40)) {
        let leaves: Vec<_> = (0..4096_u64).map(u64::to_be_bytes).collect();
        let tree = Tree::of(&leaves);
        let mut frontier = Frontier::default();
        for level in levels {
            let level = level.min(frontier.size().checked_ilog2().map_or(level, |_| frontier.size().trailing_zeros()));
            let hash = tree.hashes[&(level, frontier.size() >> level)];
            let mut last = None;
            frontier.push(level, hash, |level, position, hash| {
                assert_eq!(tree.hashes[&(level, position)], *hash, "level {level}, position {position}");
                last = Some(*hash);
            });
            prop_assert!(last.is_some());
            prop_assert_eq!(frontier.root(), tree.root(frontier.size()));
        }
    }

    #[test]
    fn what_is_no_proof_is_refused_without_a_panic(
        first: u64, second: u64, proof in proptest::collection::vec(any::<Hash>(), 0..70), old: Hash, new: Hash,
    ) {
        prop_assert!(!tree::verify_inclusion(&old, first, second, &proof, &new));
        prop_assert!(!tree::verify_consistency(first, second, &old, &new, &proof));
        for (a, b) in [(u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX - 1, u64::MAX), (u64::MAX, 1), (0, 0)] {
            prop_assert!(!tree::verify_inclusion(&old, a, b, &proof, &new));
            prop_assert!(!tree::verify_consistency(a, b, &old, &new, &proof));
        }
    }
}

proptest! {
    // A proof of such a tree has up to 62 hashes, each of which is corrupted in seven ways.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn inclusion_proofs_of_any_size_are_accepted_and_corrupted_ones_refused(size in sizes(), index: u64) {
        let (hashes, index) = (uniform(), index % size);
        let get = |level, _| Ok::<_, Infallible>(hashes[usize::try_from(level).unwrap()]);
        let Ok(proof) = tree::inclusion_proof(index, size, get);
        let (proof, root) = (proof.unwrap(), uniform_root(&hashes, size));
        prop_assert!(tree::verify_inclusion(&hashes[0], index, size, &proof, &root));
        let (leaf, claimed) = (tlog::Hash(hashes[0]), tlog::Hash(root));
        prop_assert!(tlog::check_record(&tlog_proof(&proof), size, claimed, index, leaf).is_ok());
        // With equal leaves a swap of equal hashes changes nothing.
        for broken in corrupted(&proof).into_iter().filter(|broken| *broken != proof) {
            prop_assert!(!tree::verify_inclusion(&hashes[0], index, size, &broken, &root));
        }
    }

    #[test]
    fn consistency_proofs_of_any_size_are_accepted_and_corrupted_ones_refused(new in sizes(), old: u64) {
        let (hashes, old) = (uniform(), old % new + 1);
        let get = |level, _| Ok::<_, Infallible>(hashes[usize::try_from(level).unwrap()]);
        let Ok(proof) = tree::consistency_proof(old, new, get);
        let proof = proof.unwrap();
        let (old_root, new_root) = (uniform_root(&hashes, old), uniform_root(&hashes, new));
        prop_assert!(tree::verify_consistency(old, new, &old_root, &new_root, &proof));
        let (claimed_old, claimed_new) = (tlog::Hash(old_root), tlog::Hash(new_root));
        prop_assert!(tlog::check_tree(&tlog_proof(&proof), new, claimed_new, old, claimed_old).is_ok());
        for broken in corrupted(&proof).into_iter().filter(|broken| *broken != proof) {
            prop_assert!(!tree::verify_consistency(old, new, &old_root, &new_root, &broken));
        }
    }
}

#[test]
fn there_are_no_proofs_of_what_is_not_in_the_tree() {
    let none = |_, _| -> Result<Hash, Infallible> { unreachable!("no hash is needed") };
    assert_eq!(tree::inclusion_proof(0, 0, none), Ok(None));
    assert_eq!(tree::inclusion_proof(7, 7, none), Ok(None));
    assert_eq!(tree::consistency_proof(0, 7, none), Ok(None));
    assert_eq!(tree::consistency_proof(8, 7, none), Ok(None));
    assert_eq!(tree::consistency_proof(7, 7, none), Ok(Some(Vec::new())));
}
