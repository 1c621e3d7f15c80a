//! The good log, always the same: fixed key, salts and clock.

use chrono::{DateTime, TimeDelta, Utc};
use evidenced::log::blob::{self, Sealed};
use evidenced::log::checkpoint::{Origin, Signer};
use evidenced::log::leaf::{
    self, BlobRef, Body, By, EvaluationLeaf, FailureLeaf, Header, Key, OldHead, Plan, Recovery, Role, Scope,
    SelfTest, SnapshotLeaf, Trigger,
};
use evidenced::log::tree::{self, Frontier, Hash};
use evidenced_collector_api::{Covers, FailureClass};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

/// Contents by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const ORIGIN: &str = "vectors.example/0123abcd";

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::from_seed(Origin::parse(ORIGIN).unwrap(), &[seed; 32])
}

/// A log as it is kept in files.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) blobs: BTreeMap<Hash, Vec<u8>>,
    pub(crate) key: String,
    pub(crate) checkpoint: String,
}

impl Log {
    /// Signs the leaves as they are now.
    pub(crate) fn sign(&mut self) {
        let mut frontier = Frontier::default();
        for leaf in &self.leaves {
            frontier.push(0, tree::hash_leaf(leaf), |_, _, _| {});
        }
        self.checkpoint = signer(7).sign(frontier.size(), &frontier.root());
    }

    /// Writes each leaf from `from` on anew, so that it links to the one before again; then signs.
    pub(crate) fn link(&mut self, from: usize) {
        for seq in from..self.leaves.len() {
            let prev = tree::hash_leaf(&self.leaves[seq - 1]);
            let leaf = &mut self.leaves[seq];
            let marker = b"\"prev\":\"";
            let at = leaf.windows(8).position(|window| window == marker).unwrap() + 8;
            leaf[at..at + 64].copy_from_slice(hex::encode(prev).as_bytes());
        }
        self.sign();
    }

    pub(crate) fn files(&self, folder: &str) -> Files {
        let mut files = Files::new();
        let mut add = |name: &str, bytes: Vec<u8>| files.insert(format!("{folder}/{name}"), bytes);
        let lines = self
            .leaves
            .iter()
            .flat_map(|leaf| [leaf.as_slice(), b"\n"].concat());
        add("leaves.jsonl", lines.collect());
        add("checkpoint", self.checkpoint.clone().into_bytes());
        add("key", format!("{}\n", self.key).into_bytes());
        for (name, bytes) in &self.blobs {
            add(&format!("blobs/{}", hex::encode(name)), bytes.clone());
        }
        files
    }
}

/// JSON as it is committed.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text.into_bytes()
}

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_123).unwrap() + TimeDelta::minutes(minutes)
}

struct Writer {
    log: Log,
    salts: u8,
}

impl Writer {
    fn seal(&mut self, role: Role, media_type: &str, payload: &[u8]) -> BlobRef {
        self.salts += 1;
        let Sealed { sha256, size, .. } = blob::seal_with(&[self.salts; 32], payload);
        let bytes = [hex::encode([self.salts; 32]).as_bytes(), b"\n", payload].concat();
        self.log.blobs.insert(sha256, bytes);
        BlobRef {
            role,
            sha256,
            size,
            media_type: media_type.to_owned(),
        }
    }

    fn header(&self) -> Header<'static> {
        let seq = self.log.leaves.len() as u64;
        Header {
            log: ORIGIN,
            seq,
            prev: self
                .log
                .leaves
                .last()
                .map_or([0; 32], |leaf| tree::hash_leaf(leaf)),
            time: at(i64::try_from(seq).unwrap()),
            boot: "00112233445566ff",
            mono_ms: 1000 * seq,
        }
    }

    fn append(&mut self, body: &Body, blobs: &[BlobRef]) {
        let bytes = leaf::encode(&self.header(), body, blobs).unwrap();
        self.log.leaves.push(bytes);
    }
}

fn plan() -> Body {
    Body::Plan(Plan {
        by: By::Daemon,
        effective: None,
        version: "0.1.0".to_owned(),
        binary_sha256: None,
        host: "host-1".to_owned(),
        os_user: "evidenced".to_owned(),
        reason: Some("start".to_owned()),
        configuration_sha256: "11".repeat(32),
        rules_sha256: "22".repeat(32),
        sources: 1,
        tests: 1,
        controls: 1,
        exclusions: 0,
        self_test: SelfTest {
            examples: 2,
            failed: 0,
        },
    })
}

fn snapshot(target: &str, covers: Covers) -> Body {
    Body::Snapshot(SnapshotLeaf {
        plan: 2,
        collector: "host.baseline".to_owned(),
        source: "here".to_owned(),
        target: target.to_owned(),
        tick: Some(at(0)),
        trigger: Trigger::Schedule,
        started: at(1),
        finished: at(2),
        attempts: 1,
        covers,
        complete: true,
        resources: 2,
    })
}

fn failure(target: Option<&str>, message: &str) -> Body {
    Body::Failure(FailureLeaf {
        plan: 2,
        collector: "host.baseline".to_owned(),
        source: "here".to_owned(),
        target: target.map(str::to_owned),
        tick: None,
        trigger: Trigger::AdHoc,
        started: at(1),
        finished: at(2),
        attempts: 3,
        class: FailureClass::Timeout,
        message: message.to_owned(),
        retryable: true,
    })
}

fn evaluation(snapshot: u64) -> Body {
    Body::Evaluation(EvaluationLeaf {
        snapshot,
        plan: 2,
        results: json!([{ "test": "disk-encrypted", "outcome": "fail", "pass": 1, "fail": 1, "unknown": 0 }]),
    })
}

/// Every kind of leaf, one of a kind that no version knows yet, and text that needs escaping.
pub(crate) fn good() -> Log {
    let key = signer(7).verifier().to_string();
    let log = Log {
        leaves: Vec::new(),
        blobs: BTreeMap::new(),
        key: key.clone(),
        checkpoint: String::new(),
    };
    let mut writer = Writer { log, salts: 0 };
    writer.append(&Body::Key(Key { key }), &[]);
    let recovery = Recovery {
        origin: Some("vectors.example/ffffffff".to_owned()),
        directory: "logs/vectors.example/ffffffff".to_owned(),
        guard: Some(OldHead {
            size: 9,
            root: "33".repeat(32),
        }),
        database: None,
        problems: vec!["the disk is gone".to_owned()],
        reason: "restored from a copy".to_owned(),
        recorded_by: "root".to_owned(),
    };
    writer.append(&Body::Recovery(recovery), &[]);
    let lists = writer.seal(
        Role::Plan,
        "application/json",
        b"{\"tests\":[\"disk-encrypted\"]}",
    );
    writer.append(&plan(), &[lists]);
    let names = writer.seal(Role::Scope, "application/json", b"[\"host-1\",\"host-2\"]");
    let scope = Scope {
        collector: "host.baseline".to_owned(),
        source: "here".to_owned(),
        count: 2,
    };
    writer.append(&Body::Scope(scope), &[names]);
    let resources = r#"{"resources":[{"id":"sda","kind":"host.disk","name":"sda","call":[0],"attributes":{"encrypted":true},"unknown":{}},{"id":"sdb","kind":"host.disk","name":"sdb","call":[0],"attributes":{"encrypted":false},"unknown":{}}]}"#;
    let evidence = writer.seal(Role::Evidence, "application/json", resources.as_bytes());
    let raw = writer.seal(Role::Raw, "application/octet-stream", &[0, 10, 13, 255, 34, 92]);
    let provenance = writer.seal(Role::Provenance, "application/json", b"{\"calls\":[]}");
    let unchanged = evidence.clone();
    writer.append(
        &snapshot("host-1", Covers::At { at: at(1) }),
        &[evidence, raw, provenance],
    );
    let findings = writer.seal(Role::Findings, "application/json", b"{\"findings\":[]}");
    writer.append(&evaluation(4), &[findings]);
    writer.append(&failure(Some("host-2"), "no answer within 30 s"), &[]);
    let interval = Covers::Interval {
        from: at(-60),
        to: at(0),
    };
    let empty = writer.seal(Role::Raw, "text/plain", b"");
    writer.append(
        &snapshot("höst \"2\" \\ \u{7} \u{1f600}", interval),
        &[unchanged, empty],
    );
    writer.append(&failure(None, "\",\"blobs\":[]}"), &[]);
    let later = format!(
        "{{\"v\":1,\"log\":\"{ORIGIN}\",\"seq\":9,\"prev\":\"{}\",\"time\":\"2027-01-15T09:00:00.000Z\",\
         \"boot\":\"b\",\"mono_ms\":0,\"kind\":\"later\",\"news\":{{\"a\":[1,2]}},\"blobs\":[]}}",
        hex::encode(writer.header().prev)
    );
    writer.log.leaves.push(later.into_bytes());
    writer.append(&evaluation(7), &[]);
    writer.log.sign();
    writer.log
}

/// Inclusion and consistency proofs within a log.
pub(crate) fn proofs(log: &Log) -> Value {
    let (mut frontier, mut hashes) = (Frontier::default(), HashMap::new());
    let mut roots = vec![frontier.root()];
    for leaf in &log.leaves {
        frontier.push(0, tree::hash_leaf(leaf), |level, position, hash| {
            hashes.insert((level, position), *hash);
        });
        roots.push(frontier.root());
    }
    let serve = |level, position| Ok::<_, Infallible>(hashes[&(level, position)]);
    let texts = |hashes: &[Hash]| -> Vec<String> { hashes.iter().map(hex::encode).collect() };
    let size = frontier.size();
    let inclusion = [(0, 1), (0, size), (4, 5), (4, size), (9, size), (size - 1, size)].map(|(seq, size)| {
        let Ok(path) = tree::inclusion_proof(seq, size, serve);
        json!({
            "seq": seq,
            "size": size,
            "leaf": hex::encode(hashes[&(0, seq)]),
            "root": hex::encode(roots[usize::try_from(size).unwrap()]),
            "path": texts(&path.unwrap()),
        })
    });
    let consistency = [(1, size), (4, 8), (6, size), (8, size), (size, size)].map(|(old, new)| {
        let Ok(path) = tree::consistency_proof(old, new, serve);
        json!({
            "old": old,
            "new": new,
            "old_root": hex::encode(roots[usize::try_from(old).unwrap()]),
            "new_root": hex::encode(roots[usize::try_from(new).unwrap()]),
            "path": texts(&path.unwrap()),
        })
    });
    json!({ "inclusion": inclusion, "consistency": consistency })
}

/// Every file there is to be.
pub(crate) fn all() -> Files {
    let log = good();
    let mut files = log.files("good");
    files.insert("good/proofs.json".to_owned(), pretty(&proofs(&log)));
    let mut frontier = Frontier::default();
    for leaf in &log.leaves {
        frontier.push(0, tree::hash_leaf(leaf), |_, _, _| {});
    }
    let expected = json!({
        "intact": true,
        "origin": ORIGIN,
        "size": frontier.size(),
        "root": hex::encode(frontier.root()),
        "head": hex::encode(tree::hash_leaf(log.leaves.last().unwrap())),
    });
    files.insert("good/expected.json".to_owned(), pretty(&expected));
    let good = files.clone();
    for case in crate::broken::all() {
        files.extend(case.files(&good));
    }
    files
}
