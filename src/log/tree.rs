//! The Merkle tree of RFC 6962, section 2.1: hashes, roots, inclusion and consistency proofs. Pure.
//!
//! Hashes of perfect subtrees are named by `(level, position)`: the subtree over the leaves
//! `position << level .. (position + 1) << level`; a leaf's hash is `(0, seq)`. Proofs are made from whatever serves
//! those hashes, and checked from nothing but the proof.

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// SHA-256(0x00 ‖ bytes): section 2.1's MTH of one entry.
pub fn hash_leaf(bytes: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(bytes).finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right): section 2.1's MTH of two subtrees.
pub fn hash_node(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    Sha256::digest(input).into()
}

/// The roots of the perfect subtrees that make up a tree, largest first: all that appending needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves.
    pub fn load<E>(size: u64, mut hash: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Self, E> {
        let levels = (0..64).rev().filter(|level| size >> level & 1 == 1);
        let subtrees = levels
            .map(|level| hash(level, (size >> level) - 1))
            .collect::<Result<_, _>>()?;
        Ok(Self { size, subtrees })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a perfect subtree of `1 << level` leaves; `completed` gets each subtree that this completes, as level,
    /// position and hash, itself included. The size must be a multiple of the subtree's.
    pub fn push(&mut self, level: u32, hash: Hash, mut completed: impl FnMut(u32, u64, &Hash)) {
        debug_assert_eq!(self.size % (1 << level), 0, "a subtree goes where it is aligned");
        let (mut level, mut hash, mut position) = (level, hash, self.size >> level);
        self.size += 1 << level;
        completed(level, position, &hash);
        while position & 1 == 1 {
            let Some(left) = self.subtrees.pop() else { break };
            hash = hash_node(&left, &hash);
            (level, position) = (level + 1, position >> 1);
            completed(level, position, &hash);
        }
        self.subtrees.push(hash);
    }

    /// The perfect subtrees with their levels, largest first.
    pub fn subtrees(&self) -> impl Iterator<Item = (u32, Hash)> {
        let levels = (0..64).rev().filter(|level| self.size >> level & 1 == 1);
        levels.zip(self.subtrees.iter().copied())
    }

    /// The tree's root; of the empty tree SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(&last) = subtrees.next() else {
            return Sha256::digest([]).into();
        };
        subtrees.fold(last, |right, left| hash_node(left, &right))
    }
}

/// The root over the leaves `from..to`, which must not be empty.
fn range_root<E>(from: u64, to: u64, hash: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let size = to - from;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return hash(level, from >> level);
    }
    let middle = from + split(size);
    Ok(hash_node(
        &range_root(from, middle, hash)?,
        &range_root(middle, to, hash)?,
    ))
}

/// The largest power of two below `size`, which must be above 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The audit path of section 2.1.1 for the leaf `index` in the tree of `size` leaves; `None` if there is no such leaf.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut hash: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range_root(middle, to, &mut hash)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, &mut hash)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The consistency proof of section 2.1.2 between the trees of `old` and `new` leaves; `None` unless
/// `0 < old <= new`.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut hash: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old == 0 || old > new {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, new, Vec::new());
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range_root(middle, to, &mut hash)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, &mut hash)?);
            from = middle;
        }
    }
    if from > 0 {
        path.push(range_root(from, to, &mut hash)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// Whether `proof` shows that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162, section
/// 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = hash_node(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = hash_node(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162, section
/// 2.1.4.2). A tree is consistent with itself by an empty proof; nothing is with the empty tree.
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some(split) => split,
        None => return false,
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = hash_node(sibling, &old_hash);
            new_hash = hash_node(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = hash_node(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}
