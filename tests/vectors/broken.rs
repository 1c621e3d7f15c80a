//! The broken logs: what is done to the good one, and what a verifier must find.

use evidenced::log::blob;
use evidenced::log::checkpoint::{Origin, Signer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::generate::{Files, Log, good, pretty, proofs, signer};

/// One broken log.
pub(crate) struct Broken {
    name: &'static str,
    wrong: &'static str,
    seq: u64,
    kind: &'static str,
    log: Log,
    proofs: Value,
}

impl Broken {
    /// The files that differ from the good log's, and `expected.json`.
    pub(crate) fn files(&self, good: &Files) -> Files {
        let folder = format!("broken/{}", self.name);
        let mut files = self.log.files(&folder);
        files.insert(format!("{folder}/proofs.json"), pretty(&self.proofs));
        let of_good = |name: &str| name.replace(&folder, "good");
        let removed: Vec<_> = good
            .keys()
            .filter(|name| name.starts_with("good/blobs/"))
            .map(|name| name.trim_start_matches("good/"))
            .filter(|name| !files.contains_key(&format!("{folder}/{name}")))
            .collect();
        let expected = json!({
            "intact": false,
            "wrong": self.wrong,
            "seq": self.seq,
            "kind": self.kind,
            "removed": removed,
        });
        files.retain(|name, bytes| good.get(&of_good(name)) != Some(bytes));
        files.insert(format!("{folder}/expected.json"), pretty(&expected));
        files
    }
}

fn case(
    (name, seq, kind): (&'static str, u64, &'static str),
    wrong: &'static str,
    change: impl FnOnce(&mut Log),
) -> Broken {
    let mut log = good();
    let proofs = proofs(&log);
    change(&mut log);
    Broken {
        name,
        wrong,
        seq,
        kind,
        log,
        proofs,
    }
}

/// Replaces text in a leaf, which must be there.
fn replace(log: &mut Log, seq: usize, from: &str, to: &str) {
    let text = std::str::from_utf8(&log.leaves[seq]).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    log.leaves[seq] = text.replacen(from, to, 1).into_bytes();
}

fn leaves() -> Vec<Broken> {
    vec![
        case(
            ("leaf-changed", 5, "leaf"),
            "leaf 4 says another number of resources: leaf 5 names another hash",
            |log| replace(log, 4, "\"resources\":2", "\"resources\":3"),
        ),
        case(
            ("last-leaf-changed", 10, "checkpoint"),
            "the last leaf was changed: no other leaf names it, the checkpoint does",
            |log| replace(log, 10, "\"fail\":1", "\"fail\":0"),
        ),
        case(("leaf-dropped", 6, "leaf"), "leaf 6 is not there", |log| {
            log.leaves.remove(6);
        }),
        case(("leaf-inserted", 4, "leaf"), "leaf 3 is there twice", |log| {
            log.leaves.insert(4, log.leaves[3].clone());
        }),
        case(
            ("leaves-swapped", 6, "leaf"),
            "leaves 6 and 8 changed places",
            |log| {
                log.leaves.swap(6, 8);
            },
        ),
        case(
            ("history-rewritten", 10, "checkpoint"),
            "leaf 6 was changed and those behind it linked anew: only the signed root tells",
            |log| {
                let checkpoint = log.checkpoint.clone();
                replace(log, 6, "\"attempts\":3", "\"attempts\":1");
                log.link(7);
                log.checkpoint = checkpoint;
            },
        ),
        case(
            ("tail-cut", 10, "checkpoint"),
            "the last leaf is not there",
            |log| {
                log.leaves.pop();
            },
        ),
        case(
            ("tail-added", 10, "leaf"),
            "the last leaf is behind the newest checkpoint",
            |log| {
                let last = log.leaves.pop().unwrap();
                log.sign();
                log.leaves.push(last);
            },
        ),
    ]
}

/// Leaves of a wrong form: name, seq, what is wrong, and the text that is replaced by another.
#[rustfmt::skip]
const FORMS: [(&str, u64, &str, &str, &str); 14] = [
    ("leaf-of-another-log", 3, "leaf 3 names another log", "example/0123abcd", "example/0123abce"),
    ("seq-with-a-leading-zero", 6, "the seq of leaf 6 is 06", "\"seq\":6", "\"seq\":06"),
    ("version-2", 6, "leaf 6 is of format version 2", "{\"v\":1,", "{\"v\":2,"),
    ("field-before-the-version", 6, "leaf 6 begins with another field", "{\"v\":1,", "{\"w\":1,\"v\":1,"),
    ("space-in-the-header", 6, "leaf 6 has a space in its header", "\"seq\":6", "\"seq\": 6"),
    ("time-without-milliseconds", 6, "the time of leaf 6 has no milliseconds", ".123Z\",\"boot\"", "Z\",\"boot\""),
    ("time-of-another-zone", 6, "the time of leaf 6 is not in the form of UTC", "Z\",\"boot\"", "+00:00\",\"boot\""),
    ("mono-as-text", 6, "the mono_ms of leaf 6 is a string", "\"mono_ms\":6000", "\"mono_ms\":\"6000\""),
    ("kind-missing", 6, "leaf 6 names no kind", "\"kind\":", "\"sort\":"),
    ("kind-cut-short", 6, "the kind of leaf 6 ends too early", "\"failure\"", "\"fail\"ure\""),
    ("target-malformed", 6, "the target of leaf 6 is a number", "\"target\":\"host-2\"", "\"target\":2"),
    ("blobs-not-last", 6, "the blobs of leaf 6 are not its last field", "\"blobs\":[]}", "\"blobs\":[],\"x\":1}"),
    ("blobs-missing", 6, "leaf 6 names no blobs, not even none", ",\"blobs\":[]}", "}"),
    ("blob-with-an-unknown-field", 5, "a blob of leaf 5 has a field too many", "\"role\":", "\"x\":1,\"role\":"),
];

fn forms() -> Vec<Broken> {
    // All behind the leaf are linked and signed again, so that nothing but its form is wrong.
    let forms = FORMS.map(|(name, seq, wrong, from, to)| {
        case((name, seq, "leaf"), wrong, |log| {
            let at = usize::try_from(seq).unwrap();
            replace(log, at, from, to);
            log.link(at + 1);
        })
    });
    let mut cases = Vec::from(forms);
    cases.extend([
        case(
            ("first-prev-not-zero", 0, "leaf"),
            "leaf 0 names a leaf before it",
            |log| {
                replace(log, 0, "\"prev\":\"0", "\"prev\":\"1");
                log.link(1);
            },
        ),
        case(
            ("leaf-not-utf8", 6, "leaf"),
            "leaf 6 holds a byte that is no UTF-8",
            |log| {
                let at = log.leaves[6].len() - 40;
                log.leaves[6][at] = 0xff;
                log.link(7);
            },
        ),
        case(("leaf-too-long", 6, "leaf"), "leaf 6 has 65,536 bytes", |log| {
            let missing = 65_536 - log.leaves[6].len();
            replace(log, 6, "within", &format!("within{}", "x".repeat(missing)));
            log.link(7);
        }),
        case(
            ("key-not-of-the-log", 0, "key"),
            "the key that the verifier was given is not the one that leaf 0 names, and signed nothing",
            |log| log.key = signer(8).verifier().to_string(),
        ),
    ]);
    cases
}

fn checkpoints() -> Vec<Broken> {
    let at_end = |name| (name, 10, "checkpoint");
    vec![
        case(
            at_end("signature-wrong"),
            "the signature is of another text",
            |log| {
                let other = signer(7).sign(11, &[9; 32]);
                let (text, _) = log.checkpoint.split_once("\n\n").unwrap();
                let (_, signature) = other.split_once("\n\n").unwrap();
                log.checkpoint = format!("{text}\n\n{signature}");
            },
        ),
        case(
            at_end("signed-by-another-key"),
            "only a key that is not the log's signed",
            |log| {
                let other = Signer::from_seed(Origin::parse("vectors.example/ffffffff").unwrap(), &[8; 32]);
                let ours = log.checkpoint.split_once("\n\n").unwrap().0.to_owned();
                let theirs = other.sign(11, &[9; 32]);
                log.checkpoint = format!("{ours}\n\n{}", theirs.split_once("\n\n").unwrap().1);
            },
        ),
        case(at_end("unsigned"), "the checkpoint has no signature", |log| {
            let text = log.checkpoint.split_once("\n\n").unwrap().0;
            log.checkpoint = format!("{text}\n\n");
        }),
        case(at_end("root-wrong"), "the log's key signed another root", |log| {
            log.checkpoint = signer(7).sign(11, &[9; 32]);
        }),
        case(
            at_end("root-of-an-older-size"),
            "the log's key signed the root of ten leaves as that of eleven",
            |log| {
                let last = log.leaves.pop().unwrap();
                log.sign();
                log.leaves.push(last);
                let root = signer(7).verifier().verify(&log.checkpoint).unwrap().root;
                log.checkpoint = signer(7).sign(11, &root);
            },
        ),
        case(
            at_end("checkpoint-of-another-log"),
            "the checkpoint is of another origin",
            |log| {
                let other = Signer::from_seed(Origin::parse("vectors.example/ffffffff").unwrap(), &[7; 32]);
                let root = signer(7).verifier().verify(&log.checkpoint).unwrap().root;
                log.checkpoint = other.sign(11, &root);
            },
        ),
    ]
}

fn blobs() -> Vec<Broken> {
    let raw = || {
        let blobs = good().blobs;
        *blobs
            .iter()
            .find(|(_, bytes)| bytes.ends_with(&[255, 34, 92]))
            .unwrap()
            .0
    };
    vec![
        case(
            ("blob-changed", 4, "blob"),
            "a byte of the raw answer was changed",
            |log| {
                *log.blobs.get_mut(&raw()).unwrap().last_mut().unwrap() ^= 1;
            },
        ),
        case(
            ("blob-missing", 4, "blob"),
            "the raw answer is not there",
            |log| {
                log.blobs.remove(&raw());
            },
        ),
        case(
            ("blob-size-wrong", 4, "blob"),
            "leaf 4 says another size for the raw answer",
            |log| {
                replace(log, 4, "\"size\":71,", "\"size\":72,");
                log.link(5);
            },
        ),
        case(
            ("blob-without-salt", 4, "blob"),
            "the raw answer is named rightly and has no salt",
            |log| {
                let bytes = [0xfe; 71];
                let name = Sha256::digest(bytes).into();
                log.blobs.remove(&raw());
                log.blobs.insert(name, bytes.to_vec());
                replace(log, 4, &hex::encode(raw()), &hex::encode(name));
                log.link(5);
            },
        ),
        case(
            ("salt-in-uppercase", 4, "blob"),
            "the salt of the raw answer has uppercase digits",
            |log| {
                let sealed = blob::seal_with(&[0xab; 32], b"abcdef");
                let bytes = format!("{}\nabcdef", "AB".repeat(32)).into_bytes();
                assert_eq!(bytes.len() as u64, sealed.size);
                let name = Sha256::digest(&bytes).into();
                log.blobs.remove(&raw());
                log.blobs.insert(name, bytes);
                replace(log, 4, &hex::encode(raw()), &hex::encode(name));
                log.link(5);
            },
        ),
    ]
}

fn wrong_proofs() -> Vec<Broken> {
    let proof = |name, seq, wrong, change: &dyn Fn(&mut Value)| {
        let mut case = case((name, seq, "proof"), wrong, |_| {});
        change(&mut case.proofs);
        case
    };
    let path = |proofs: &mut Value, kind: &str, at: usize, change: &dyn Fn(&mut Vec<Value>)| {
        change(proofs[kind][at]["path"].as_array_mut().unwrap());
    };
    vec![
        proof(
            "inclusion-hash-changed",
            4,
            "a hash in an inclusion proof is another",
            &|proofs| {
                path(proofs, "inclusion", 3, &|path| path[1] = json!("00".repeat(32)));
            },
        ),
        proof(
            "inclusion-hash-too-many",
            4,
            "an inclusion proof has a hash too many",
            &|proofs| {
                path(proofs, "inclusion", 3, &|path| path.push(json!("00".repeat(32))));
            },
        ),
        proof(
            "inclusion-index-wrong",
            5,
            "an inclusion proof is said to be of the leaf beside",
            &|proofs| {
                proofs["inclusion"][3]["seq"] = json!(5);
            },
        ),
        proof(
            "inclusion-behind-the-end",
            11,
            "an inclusion proof of a leaf that the tree does not have",
            &|proofs| {
                proofs["inclusion"][3]["seq"] = json!(11);
            },
        ),
        proof(
            "consistency-hash-dropped",
            10,
            "a consistency proof lacks a hash",
            &|proofs| {
                path(proofs, "consistency", 2, &|path| drop(path.pop()));
            },
        ),
        proof(
            "consistency-order-wrong",
            10,
            "two hashes of a consistency proof changed places",
            &|proofs| {
                path(proofs, "consistency", 2, &|path| path.swap(0, 1));
            },
        ),
        proof(
            "consistency-old-root-wrong",
            7,
            "a consistency proof is for another old root",
            &|proofs| {
                proofs["consistency"][1]["old_root"] = json!("00".repeat(32));
            },
        ),
        proof(
            "consistency-with-itself-not-empty",
            10,
            "a tree is consistent with itself by no hashes at all",
            &|proofs| {
                path(proofs, "consistency", 4, &|path| {
                    path.push(json!("00".repeat(32)));
                });
            },
        ),
    ]
}

pub(crate) fn all() -> Vec<Broken> {
    let mut cases = leaves();
    cases.extend(forms());
    cases.extend(checkpoints());
    cases.extend(blobs());
    cases.extend(wrong_proofs());
    cases
}
