//! Our own verifier on a log in files.

use evidenced::log::blob::{self, Codec};
use evidenced::log::checkpoint::VerifierKey;
use evidenced::log::leaf::{self, Body};
use evidenced::log::tree::{self, Hash};
use evidenced::log::verify::{STRETCH, Stretch, Whole};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The order in which problems of one leaf count.
const KINDS: [&str; 5] = ["key", "leaf", "blob", "checkpoint", "proof"];

pub(crate) struct Case {
    folder: PathBuf,
    good: PathBuf,
    expected: Value,
}

/// The first problem, by position and kind; nothing if all is well.
type Verdict = Option<(u64, String)>;

impl Case {
    pub(crate) fn read(vectors: &Path, name: &str) -> Self {
        let folder = vectors.join(name);
        let expected = std::fs::read(folder.join("expected.json")).unwrap();
        Self {
            good: vectors.join("good"),
            expected: serde_json::from_slice(&expected).unwrap(),
            folder,
        }
    }

    pub(crate) fn expected(&self) -> Verdict {
        let seq = self.expected["seq"].as_u64()?;
        Some((seq, self.expected["kind"].as_str()?.to_owned()))
    }

    /// A file of this log, or the good one's.
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let removed = self.expected["removed"].as_array();
        if removed.is_some_and(|removed| removed.iter().any(|other| other == name)) {
            return None;
        }
        let own = std::fs::read(self.folder.join(name)).ok();
        own.or_else(|| std::fs::read(self.good.join(name)).ok())
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.file(name).unwrap()).unwrap()
    }

    pub(crate) fn judge(&self) -> Verdict {
        let mut problems: Vec<(u64, &str)> = Vec::new();
        let key = VerifierKey::parse(self.text("key").trim_end()).unwrap();
        let file = self.file("leaves.jsonl").unwrap();
        let leaves: Vec<_> = file
            .strip_suffix(b"\n")
            .unwrap()
            .split(|byte| *byte == b'\n')
            .collect();
        let named = leaf::decode(leaves[0]).ok().and_then(|leaf| leaf.body);
        if named != Some(Body::Key(leaf::Key { key: key.to_string() })) {
            problems.push((0, "key"));
        }
        let note = self.text("checkpoint");
        let signed = key
            .verify(&note)
            .map_or(leaves.len() as u64, |checkpoint| checkpoint.size);
        let wanted = [signed];
        assert!(leaves.len() as u64 <= STRETCH);
        let mut stretch = Stretch::new(key.origin().as_str(), 0, [0; 32], &[], &wanted);
        for (seq, bytes) in (0..signed).zip(&leaves) {
            stretch.leaf(&tree::hash_leaf(bytes), bytes);
            let wrong = stretch
                .blobs
                .iter()
                .filter(|blob| !self.has(blob))
                .map(|_| (seq, "blob"));
            problems.extend(wrong);
        }
        if leaves.len() as u64 > signed {
            problems.push((signed, "leaf"));
        }
        let mut whole = Whole::default();
        whole.join(stretch);
        whole.checkpoint(&key, signed, &note);
        let found = whole.problems.finish();
        problems.extend(found.iter().map(|problem| (problem.seq.unwrap(), problem.kind)));
        let proofs = serde_json::from_slice(&self.file("proofs.json").unwrap()).unwrap();
        problems.extend(wrong_proofs(&proofs).into_iter().map(|seq| (seq, "proof")));
        problems.sort_by_key(|(seq, kind)| (*seq, KINDS.iter().position(|other| other == kind)));
        problems.first().map(|(seq, kind)| (*seq, (*kind).to_owned()))
    }

    /// Whether a blob is there and is what the leaf says.
    fn has(&self, (sha256, size): &(Hash, u64)) -> bool {
        let bytes = self.file(&format!("blobs/{}", hex::encode(sha256)));
        bytes.is_some_and(|bytes| blob::payload(sha256, *size, Codec::Raw, &bytes).is_ok())
    }
}

fn hash(value: &Value) -> Hash {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

/// The last leaf that each wrong proof speaks of.
fn wrong_proofs(proofs: &Value) -> Vec<u64> {
    let list = |kind: &str| proofs[kind].as_array().unwrap().clone();
    let path = |proof: &Value| -> Vec<Hash> { proof["path"].as_array().unwrap().iter().map(hash).collect() };
    let number = |value: &Value| value.as_u64().unwrap();
    let mut wrong = Vec::new();
    for proof in list("inclusion") {
        let (seq, size) = (number(&proof["seq"]), number(&proof["size"]));
        if !tree::verify_inclusion(
            &hash(&proof["leaf"]),
            seq,
            size,
            &path(&proof),
            &hash(&proof["root"]),
        ) {
            wrong.push(seq);
        }
    }
    for proof in list("consistency") {
        let (old, new) = (number(&proof["old"]), number(&proof["new"]));
        let (old_root, new_root) = (hash(&proof["old_root"]), hash(&proof["new_root"]));
        if !tree::verify_consistency(old, new, &old_root, &new_root, &path(&proof)) {
            wrong.push(new - 1);
        }
    }
    wrong
}
