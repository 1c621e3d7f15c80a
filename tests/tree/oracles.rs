//! Every proof of every tree up to [`LARGEST`] leaves, made by us and by two other implementations, judged by all.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use evidenced::log::tree::{self, Hash};
use sha2::Sha256;
use tlog_tiles::tlog;

use crate::{Tree, corrupted};

const LARGEST: u64 = 130;

fn leaf(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

/// The hashes that `tlog_tiles` stores, in its own order.
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()])
            .collect())
    }
}

/// Whether corrupted proofs of a tree are put to all three: around the powers of two, where the shape changes. To us
/// they are put at every size.
fn is_for_all(size: u64) -> bool {
    size <= 20 || (size.next_power_of_two() - size) <= 1 || (size - 1).is_power_of_two()
}

fn to_tlog(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof.iter().copied().map(tlog::Hash).collect()
}

/// The same leaves in three implementations; `roots` are `ct_merkle`'s, by size.
struct Trees {
    ours: Tree,
    stored: Stored,
    growing: MemoryBackedTree<Sha256, Vec<u8>>,
    roots: Vec<RootHash<Sha256>>,
}

impl Trees {
    fn new() -> Self {
        let growing = MemoryBackedTree::new();
        Self {
            ours: Tree::default(),
            stored: Stored(Vec::new()),
            roots: vec![growing.root()],
            growing,
        }
    }

    fn push(&mut self) -> u64 {
        let index = self.ours.frontier.size();
        self.ours.push(&leaf(index));
        let hashes = tlog::stored_hashes(index, &leaf(index), &self.stored).unwrap();
        self.stored.0.extend(hashes);
        self.growing.push(leaf(index));
        self.roots.push(self.growing.root());
        index + 1
    }

    fn root(&self, size: u64) -> &RootHash<Sha256> {
        &self.roots[usize::try_from(size).unwrap()]
    }
}

/// Whether a proof of inclusion is accepted; all three must agree.
fn includes(trees: &Trees, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    let accepted = tree::verify_inclusion(&tree::hash_leaf(&leaf(index)), index, size, proof, root);
    if !accepted && !is_for_all(size) {
        return false;
    }
    let (claimed, record) = (tlog::Hash(*root), tlog::record_hash(&leaf(index)));
    let by_tlog = tlog::check_record(&to_tlog(proof), size, claimed, index, record).is_ok();
    assert_eq!(accepted, by_tlog, "leaf {index} in {size}: {proof:02x?}");
    if root.as_slice() == trees.root(size).as_bytes().as_slice() {
        let proof = InclusionProof::from_bytes(proof.concat());
        let by_ct = trees.root(size).verify_inclusion(&leaf(index), index, &proof);
        assert_eq!(accepted, by_ct.is_ok(), "leaf {index} in {size}: {proof:02x?}");
    }
    accepted
}

/// Whether a proof of consistency is accepted; all three must agree.
fn extends(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> bool {
    let accepted = tree::verify_consistency(old, new, old_root, new_root, proof);
    if !accepted && !is_for_all(new) {
        return false;
    }
    let (claimed_old, claimed_new) = (tlog::Hash(*old_root), tlog::Hash(*new_root));
    let by_tlog = tlog::check_tree(&to_tlog(proof), new, claimed_new, old, claimed_old).is_ok();
    assert_eq!(accepted, by_tlog, "{old} to {new}: {proof:02x?}");
    let proof = ConsistencyProof::try_from_bytes(proof.concat()).unwrap();
    let root = |hash: &Hash, size| RootHash::<Sha256>::new((*hash).into(), size);
    let by_ct = root(new_root, new).verify_consistency(&root(old_root, old), &proof);
    assert_eq!(accepted, by_ct.is_ok(), "{old} to {new}: {proof:02x?}");
    accepted
}

#[test]
fn roots_are_those_of_two_other_implementations() {
    let mut trees = Trees::new();
    for _ in 0..600 {
        let size = trees.push();
        let root = trees.ours.frontier.root();
        assert_eq!(root, trees.ours.root(size), "loaded and pushed, of {size} leaves");
        assert_eq!(tlog::tree_hash(size, &trees.stored).unwrap(), tlog::Hash(root));
        assert_eq!(trees.root(size).as_bytes().as_slice(), root);
    }
}

#[test]
fn inclusion_proofs_equal_those_of_two_other_implementations() {
    let mut trees = Trees::new();
    for _ in 0..LARGEST {
        let size = trees.push();
        let root = trees.ours.root(size);
        for index in 0..size {
            let proof = trees.ours.inclusion(index, size);
            assert_eq!(
                tlog::prove_record(size, index, &trees.stored).unwrap(),
                to_tlog(&proof)
            );
            let by_ct = trees.growing.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(by_ct.as_bytes(), proof.concat());
            assert!(
                includes(&trees, index, size, &proof, &root),
                "leaf {index} in {size}"
            );
        }
    }
}

#[test]
fn consistency_proofs_equal_those_of_two_other_implementations() {
    let mut trees = Trees::new();
    for _ in 0..LARGEST {
        let new = trees.push();
        let new_root = trees.ours.root(new);
        for old in 1..=new {
            let (proof, old_root) = (trees.ours.consistency(old, new), trees.ours.root(old));
            assert_eq!(
                tlog::prove_tree(new, old, &trees.stored).unwrap(),
                to_tlog(&proof)
            );
            let by_ct = trees
                .growing
                .prove_consistency(usize::try_from(new - old).unwrap());
            assert_eq!(by_ct.as_bytes(), proof.concat());
            assert!(extends(old, new, &old_root, &new_root, &proof), "{old} to {new}");
        }
    }
}

#[test]
fn corrupted_inclusion_proofs_are_refused_by_all() {
    let mut trees = Trees::new();
    for _ in 0..LARGEST {
        let size = trees.push();
        let root = trees.ours.root(size);
        for index in 0..size {
            let proof = trees.ours.inclusion(index, size);
            for broken in corrupted(&proof) {
                assert!(
                    !includes(&trees, index, size, &broken, &root),
                    "leaf {index} in {size}"
                );
            }
            let mut other_root = root;
            other_root[31] ^= 1;
            assert!(
                !includes(&trees, index, size, &proof, &other_root),
                "another root"
            );
            assert!(
                !includes(&trees, size, size, &proof, &root),
                "an index behind the end"
            );
            let others = [
                0,
                size - 1,
                index.saturating_sub(1),
                index + 1,
                index ^ 1,
                index ^ 2,
                index ^ 64,
            ];
            for other in others
                .into_iter()
                .filter(|other| *other != index && *other < size)
            {
                assert!(!includes(&trees, other, size, &proof, &root), "another leaf");
                let leaf = tree::hash_leaf(&leaf(index));
                assert!(
                    !tree::verify_inclusion(&leaf, other, size, &proof, &root),
                    "this leaf in another place"
                );
            }
            // A proof does not bind the size by itself: the signed checkpoint does. All that may be asked is one opinion.
            for other in [size - 1, size + 1, 2 * size] {
                let leaf_hash = tree::hash_leaf(&leaf(index));
                let accepted = tree::verify_inclusion(&leaf_hash, index, other, &proof, &root);
                let by_tlog = tlog::check_record(
                    &to_tlog(&proof),
                    other,
                    tlog::Hash(root),
                    index,
                    tlog::Hash(leaf_hash),
                );
                assert_eq!(
                    accepted,
                    by_tlog.is_ok(),
                    "leaf {index} in {size}, said to be {other}"
                );
            }
        }
    }
}

#[test]
fn corrupted_consistency_proofs_are_refused_by_all() {
    let mut trees = Trees::new();
    for _ in 0..LARGEST {
        let new = trees.push();
        let new_root = trees.ours.root(new);
        for old in 1..=new {
            let (proof, old_root) = (trees.ours.consistency(old, new), trees.ours.root(old));
            for broken in corrupted(&proof) {
                assert!(
                    !extends(old, new, &old_root, &new_root, &broken),
                    "{old} to {new}"
                );
            }
            let (mut wrong_old, mut wrong_new) = (old_root, new_root);
            (wrong_old[0], wrong_new[0]) = (wrong_old[0] ^ 0x80, wrong_new[0] ^ 0x80);
            assert!(
                !extends(old, new, &wrong_old, &new_root, &proof),
                "another old root"
            );
            assert!(
                !extends(old, new, &old_root, &wrong_new, &proof),
                "another new root"
            );
            if old < new {
                assert!(!extends(old, new, &new_root, &old_root, &proof), "roots swapped");
                assert!(!extends(new, old, &new_root, &old_root, &proof), "sizes swapped");
            }
            assert!(!extends(0, new, &old_root, &new_root, &proof), "from nothing");
            for other in [old - 1, old + 1, 2 * old, old / 2, new] {
                if other == old || other == 0 || other > new {
                    continue;
                }
                // As above: a proof does not bind the sizes, the roots' checkpoints do.
                extends(other, new, &old_root, &new_root, &proof);
                assert!(
                    !extends(other, new, &trees.ours.root(other), &wrong_new, &proof),
                    "another size"
                );
            }
        }
    }
}
