//! The Merkle tree against published figures and two implementations that are not ours, and the signed checkpoint
//! against a parser and an Ed25519 that are not ours.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod checkpoint;
mod oracles;
mod properties;
mod published;

use evidenced::log::tree::{self, Frontier, Hash};
use std::collections::HashMap;
use std::convert::Infallible;

/// A tree that keeps every hash.
#[derive(Default)]
struct Tree {
    frontier: Frontier,
    hashes: HashMap<(u32, u64), Hash>,
}

impl Tree {
    fn of<T: AsRef<[u8]>>(leaves: impl IntoIterator<Item = T>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf.as_ref());
        }
        tree
    }

    fn push(&mut self, leaf: &[u8]) {
        let hashes = &mut self.hashes;
        self.frontier
            .push(0, tree::hash_leaf(leaf), |level, position, hash| {
                assert_eq!(
                    hashes.insert((level, position), *hash),
                    None,
                    "a subtree is completed once"
                );
            });
    }

    /// For whatever wants to be served hashes.
    fn serve(&self) -> impl Fn(u32, u64) -> Result<Hash, Infallible> + use<'_> {
        |level, position| Ok(self.hashes[&(level, position)])
    }

    /// The root over the first leaves.
    fn root(&self, size: u64) -> Hash {
        let Ok(frontier) = Frontier::load(size, self.serve());
        frontier.root()
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        let Ok(proof) = tree::inclusion_proof(index, size, self.serve());
        proof.unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        let Ok(proof) = tree::consistency_proof(old, new, self.serve());
        proof.unwrap()
    }
}

/// Proofs one step from a good one: a bit of a hash flipped, a hash dropped or repeated, two neighbours swapped, one too
/// many at either end.
fn corrupted(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut corrupted = Vec::new();
    let mut add = |change: &dyn Fn(&mut Vec<Hash>)| {
        let mut proof = proof.to_vec();
        change(&mut proof);
        corrupted.push(proof);
    };
    for at in 0..proof.len() {
        for (byte, bit) in [(0, 7), (at % 32, 3), (31, 0)] {
            add(&|proof| proof[at][byte] ^= 1 << bit);
        }
        add(&|proof| {
            proof.remove(at);
        });
        add(&|proof| proof.insert(at, proof[at]));
        if at > 0 {
            add(&|proof| proof.swap(at, at - 1));
        }
    }
    for extra in [[0; 32], [0xff; 32]] {
        add(&|proof| proof.push(extra));
        add(&|proof| proof.insert(0, extra));
    }
    corrupted
}
