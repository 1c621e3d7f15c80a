//! Random appends by two appenders in turn, compared with a model that fits in a map.

use evidenced::clock;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::Role;
use evidenced::log::store::{Paths, Reader};
use evidenced::log::tree::Hash;
use evidenced::log::verify_store::verify_store;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use crate::{evaluation, failure, scope, snapshot};

/// Which leaf to append; the names are picked from a few, so that they meet again.
#[derive(Clone, Debug)]
enum Kind {
    Scope(&'static str, &'static str),
    Snapshot(&'static str, &'static str, &'static str),
    Failure(&'static str, &'static str, Option<&'static str>),
    /// Of the newest snapshots one, under a plan.
    Evaluation(usize, u64),
}

#[derive(Clone, Debug)]
struct Step {
    second_appender: bool,
    reopen: bool,
    kind: Kind,
    blobs: Vec<(Role, usize)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || prop::sample::select(vec!["a", "b"]);
    let kind = prop_oneof![
        2 => (name(), name()).prop_map(|(c, s)| Kind::Scope(c, s)),
        4 => (name(), name(), name()).prop_map(|(c, s, t)| Kind::Snapshot(c, s, t)),
        2 => (name(), name(), prop::option::of(name())).prop_map(|(c, s, t)| Kind::Failure(c, s, t)),
        4 => (0..3_usize, 0..2_u64).prop_map(|(back, plan)| Kind::Evaluation(back, plan)),
    ];
    let role = prop::sample::select(vec![Role::Evidence, Role::Raw, Role::Findings]);
    let step = (
        any::<bool>(),
        prop::bool::weighted(0.1),
        kind,
        vec((role, 0..PAYLOADS), 0..4),
    );
    let step = step.prop_map(|(second_appender, reopen, kind, blobs)| Step {
        second_appender,
        reopen,
        kind,
        blobs,
    });
    vec(step, 1..40)
}

const PAYLOADS: usize = 4;

/// An empty payload, one that is compressed, one that is not, and one like another but for its last byte.
fn payload(index: usize) -> Vec<u8> {
    match index {
        0 => Vec::new(),
        1 => b"{\"resources\":[]}".repeat(50),
        2 => b"short".to_vec(),
        _ => b"shoru".to_vec(),
    }
}

/// What a leaf is about; an evaluation is about what its snapshot is about.
type About = [Option<String>; 3];

fn about(names: [Option<&str>; 3]) -> About {
    names.map(|name| name.map(str::to_owned))
}

/// What should be in the log.
#[derive(Default)]
struct Model {
    /// The payloads stored, by what their leaf was about, role and payload.
    stored: BTreeMap<(About, Role, usize), BTreeSet<Hash>>,
    /// Role and payload of each blob, by leaf.
    leaves: Vec<Vec<(Role, usize)>>,
    snapshots: Vec<(u64, About)>,
    evaluations: BTreeMap<(u64, u64), u64>,
}

impl Model {
    /// Appends, and compares what the log says with what is expected.
    fn append(&mut self, log: &Appender, reader: &Reader, step: &Step) {
        let (draft, about, judged) = self.draft(&step.kind);
        let draft = step.blobs.iter().fold(draft, |draft, (role, index)| {
            draft
                .with_blob(role.clone(), "text/plain", &payload(*index))
                .unwrap()
        });
        let receipt = log.append_blocking(draft).unwrap();
        if let Some(first) = judged.and_then(|key| self.evaluations.get(&key)) {
            assert_eq!(receipt.seq, *first, "the first evaluation under a plan stands");
            return;
        }
        let seq = receipt.seq;
        assert_eq!(seq, self.leaves.len() as u64, "seqs are contiguous");
        let leaf = reader.leaf(seq).unwrap().unwrap();
        assert_eq!(leaf.blobs.len(), step.blobs.len());
        let mut new = Vec::new();
        for (blob, (role, index)) in leaf.blobs.iter().zip(&step.blobs) {
            assert_eq!(&blob.role, role);
            let key = (about.clone(), role.clone(), *index);
            match self.stored.get(&key) {
                Some(known) => assert!(
                    known.contains(&blob.sha256),
                    "an unchanged payload is not stored again"
                ),
                None => new.push((key, blob.sha256)),
            }
        }
        for (key, sha256) in new {
            assert!(
                !self.stored.values().any(|known| known.contains(&sha256)),
                "what another target, role or payload had is never reused"
            );
            self.stored.entry(key).or_default().insert(sha256);
        }
        self.leaves.push(step.blobs.clone());
        self.evaluations.extend(judged.map(|key| (key, seq)));
        if matches!(step.kind, Kind::Snapshot(..)) {
            self.snapshots.push((seq, about));
        }
    }

    /// The leaf, what it is about, and for an evaluation the snapshot and plan.
    fn draft(&self, kind: &Kind) -> (Draft, About, Option<(u64, u64)>) {
        match kind {
            Kind::Scope(c, s) => (scope(c, s), about([Some(c), Some(s), None]), None),
            Kind::Snapshot(c, s, t) => (snapshot(c, s, t), about([Some(c), Some(s), Some(t)]), None),
            Kind::Failure(c, s, t) => (failure(c, s, *t), about([Some(c), Some(s), *t]), None),
            Kind::Evaluation(back, plan) => {
                let newest = self.snapshots.iter().rev().nth(*back);
                let (judged, about) = newest.cloned().unwrap_or((1 << 40, about([None; 3])));
                (evaluation(judged, *plan), about, Some((judged, *plan)))
            }
        }
    }
}

proptest! {
    // Each case makes a store and flushes it up to 80 times.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_payload_is_stored_again_exactly_when_it_must_be(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("store"));
        let open = || Appender::open(&paths, "acme", clock::system()).unwrap();
        let mut logs = [open(), open()];
        let reader = Reader::open(&paths).unwrap();
        let mut model = Model { leaves: vec![Vec::new()], ..Model::default() };
        for step in &steps {
            let which = usize::from(step.second_appender);
            if step.reopen {
                logs[which] = open();
            }
            model.append(&logs[which], &reader, step);
        }

        prop_assert_eq!(reader.size().unwrap(), model.leaves.len() as u64);
        for (seq, blobs) in (0..).zip(&model.leaves) {
            let leaf = reader.leaf(seq).unwrap().unwrap();
            for (blob, (_, index)) in leaf.blobs.iter().zip(blobs) {
                let read = reader.payload(&blob.sha256).unwrap().unwrap();
                prop_assert_eq!(&read, &payload(*index));
                prop_assert_eq!(blob.size, read.len() as u64 + 65);
            }
        }
        let report = verify_store(&paths, None, &|_, _| {}).unwrap();
        prop_assert_eq!(report.problems, []);
        prop_assert_eq!(report.size, model.leaves.len() as u64);
    }
}
