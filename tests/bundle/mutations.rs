//! A thousand ways to change a bundle: each is found by both verifiers.
//!
//! Some leave `SHA256SUMS` as it was, which finds them at once; others make it again, as whoever hides something would.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use evidenced::bundle::Manifest;
use evidenced::bundle::verify::{Held, verify};
use evidenced::log::checkpoint::{Origin, Signer, VerifierKey};
use evidenced::log::tree::{Frontier, hash_leaf};

use crate::exported::{bundle, export, files, verify_py};

type Files = BTreeMap<String, Vec<u8>>;

const MUTATIONS: u64 = 1000;

/// Random numbers that are the same in every run (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let (at, bit) = (self.below(bytes.len()), self.below(8));
        bytes[at] ^= 1 << bit;
    }

    fn name(&mut self, files: &Files, wanted: impl Fn(&str) -> bool) -> String {
        let names: Vec<&String> = files.keys().filter(|name| wanted(name)).collect();
        names[self.below(names.len())].clone()
    }
}

/// The list of the files as they are now.
fn sum_up(files: &mut Files) {
    let line =
        |(name, bytes): (&String, &Vec<u8>)| format!("{}  {name}\n", hex::encode(Sha256::digest(bytes)));
    let sums: String = files
        .iter()
        .filter(|(name, _)| *name != "SHA256SUMS")
        .map(line)
        .collect();
    files.insert("SHA256SUMS".to_owned(), sums.into_bytes());
}

fn manifest(files: &mut Files, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest::parse(&files["bundle.json"]).unwrap();
    change(&mut manifest);
    let mut bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    bytes.push(b'\n');
    files.insert("bundle.json".to_owned(), bytes);
}

fn lines(files: &Files) -> Vec<Vec<u8>> {
    let leaves = files["log/leaves.jsonl"].split(|byte| *byte == b'\n');
    leaves
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn put_lines(files: &mut Files, lines: &[Vec<u8>]) {
    let all = lines
        .iter()
        .flat_map(|line| [line.as_slice(), b"\n"].concat())
        .collect();
    files.insert("log/leaves.jsonl".to_owned(), all);
}

/// Changes something; returns what.
fn mutate(files: &mut Files, random: &mut Random, within: &[usize]) -> String {
    let kind = random.below(16);
    let name = random.name(files, |_| true);
    let what = match kind {
        0 => {
            random.flip(files.get_mut(&name).unwrap());
            format!("a bit of {name}")
        }
        1 => {
            files.remove(&name);
            format!("{name} dropped")
        }
        2 => {
            let folder = name
                .rsplit_once('/')
                .map_or(String::new(), |(folder, _)| format!("{folder}/"));
            files.insert(format!("{folder}copy"), files[&name].clone());
            format!("{name} doubled")
        }
        3 => {
            let other = random.name(files, |other| files[other] != files[&name]);
            let (a, b) = (files[&name].clone(), files[&other].clone());
            files.insert(name.clone(), b);
            files.insert(other.clone(), a);
            format!("{name} and {other} swapped")
        }
        4 => {
            files.get_mut(&name).unwrap().push(b'\n');
            format!("{name} longer")
        }
        5 => {
            let bytes = files.get_mut(&name).unwrap();
            bytes.pop();
            format!("{name} shorter")
        }
        _ => change(files, random, within, kind),
    };
    let hides = kind > 5 || random.below(4) == 0 && kind > 1 && name.starts_with("log/");
    if hides {
        sum_up(files);
    }
    format!("{what}, {}", if hides { "summed up" } else { "as it is" })
}

/// Changes what only who makes the list again could hide.
fn change(files: &mut Files, random: &mut Random, within: &[usize], kind: usize) -> String {
    let is_blob = |name: &str| name.starts_with("blobs/");
    match kind {
        6 | 7 => {
            let mut leaves = lines(files);
            let at = random.below(leaves.len());
            random.flip(&mut leaves[at]);
            put_lines(files, &leaves);
            format!("line {at} of the leaves changed")
        }
        8 => {
            let mut leaves = lines(files);
            let at = within[random.below(within.len())];
            leaves.remove(at);
            put_lines(files, &leaves);
            manifest(files, |manifest| manifest.counts.leaves = leaves.len() as u64);
            format!("line {at} of the leaves dropped")
        }
        9 => {
            let mut leaves = lines(files);
            let (a, b) = (random.below(leaves.len()), random.below(leaves.len() - 1));
            let b = if b == a { b + 1 } else { b };
            if random.below(2) == 0 {
                leaves.swap(a, b);
            } else {
                leaves.insert(b, leaves[a].clone());
                manifest(files, |manifest| manifest.counts.leaves = leaves.len() as u64);
            }
            put_lines(files, &leaves);
            format!("lines {a} and {b} of the leaves swapped, or doubled")
        }
        10 => {
            let name = random.name(files, |name| {
                name.starts_with("log/") && name != "log/leaves.jsonl"
            });
            random.flip(files.get_mut(&name).unwrap());
            format!("{name} changed")
        }
        11 => {
            let name = random.name(files, is_blob);
            files.remove(&name);
            manifest(files, |manifest| manifest.counts.blobs -= 1);
            format!("{name} dropped")
        }
        12 => {
            let name = random.name(files, is_blob);
            let mut bytes = files.remove(&name).unwrap();
            random.flip(&mut bytes);
            let renamed = hex::encode(Sha256::digest(&bytes));
            let renamed = if random.below(2) == 0 {
                format!("blobs/{}/{renamed}", &renamed[..2])
            } else {
                name.clone()
            };
            files.insert(renamed, bytes);
            format!("{name} changed, and renamed or not")
        }
        13 => {
            let signer = Signer::from_seed(origin(files), &[9; 32]);
            resign(files, &signer, random.below(2) == 0);
            "the checkpoints signed by another key".to_owned()
        }
        14 => {
            let which = random.below(4);
            manifest(files, |manifest| {
                let counts = &mut manifest.counts;
                let counts = [
                    &mut counts.leaves,
                    &mut counts.blobs,
                    &mut counts.withheld,
                    &mut counts.checkpoints,
                ];
                *counts.into_iter().nth(which).unwrap() += 1;
            });
            format!("count {which} is another")
        }
        _ => {
            let name = random.name(files, is_blob);
            let digest = name.rsplit('/').next().unwrap();
            let line = format!("{digest},evidence,3,out_of_scope\n");
            files.get_mut("withheld.csv").unwrap().extend(line.into_bytes());
            format!("{name} said to be withheld")
        }
    }
}

fn origin(files: &Files) -> Origin {
    let key = String::from_utf8(files["log/key"].clone()).unwrap();
    VerifierKey::parse(key.trim_end()).unwrap().origin().clone()
}

/// Signs all checkpoints anew, and puts the key that does beside them, or not.
fn resign(files: &mut Files, signer: &Signer, with_key: bool) {
    let mut frontier = Frontier::default();
    let hashes = files["log/hashes"].clone();
    for hash in hashes.chunks(32) {
        frontier.push(0, hash.try_into().unwrap(), |_, _, _| {});
        let size = frontier.size();
        let older = format!("log/checkpoints/{size}");
        let name = if size * 32 == hashes.len() as u64 {
            "log/checkpoint"
        } else {
            older.as_str()
        };
        if files.contains_key(name) {
            files.insert(name.to_owned(), signer.sign(size, &frontier.root()).into_bytes());
        }
    }
    if with_key {
        files.insert(
            "log/key".to_owned(),
            format!("{}\n", signer.verifier()).into_bytes(),
        );
    }
}

fn put(files: &Files, folder: &Path) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_thousand_mutations_are_found_by_both_verifiers() {
    let (place, folder) = bundle().await;
    let mut whole = files(&folder);
    // Of the older checkpoints one is enough: signatures are most of what verify.py takes.
    let older: Vec<String> = whole
        .keys()
        .filter(|name| name.starts_with("log/checkpoints/"))
        .skip(1)
        .cloned()
        .collect();
    manifest(&mut whole, |manifest| {
        manifest.counts.checkpoints -= older.len() as u64;
    });
    for name in older {
        whole.remove(&name);
    }
    sum_up(&mut whole);
    let day = |line: &[u8]| {
        let leaf: Value = serde_json::from_slice(line).unwrap();
        leaf["time"].as_str().unwrap()[..10].to_owned()
    };
    let leaves = lines(&whole);
    let within: Vec<usize> = (0..leaves.len())
        .filter(|at| ["2026-03-02", "2026-03-03"].contains(&day(&leaves[*at]).as_str()))
        .collect();
    assert!(within.len() > 20);
    let (mut random, mut told) = (Random(7), Vec::new());
    let all = place.path("mutated");
    for number in 0..MUTATIONS {
        let mut mutated = whole.clone();
        let what = mutate(&mut mutated, &mut random, &within);
        assert_ne!(mutated, whole, "{what}");
        let folder = all.join(number.to_string());
        put(&mutated, &folder);
        told.push(what);
    }
    put(&whole, &all.join(MUTATIONS.to_string()));
    // One process for all: else Python's start would take most of the time.
    let python = "import importlib.util, os, sys\n\
        spec = importlib.util.spec_from_file_location('verify', sys.argv[1])\n\
        verify = importlib.util.module_from_spec(spec)\n\
        spec.loader.exec_module(verify)\n\
        for name in os.listdir(sys.argv[2]):\n    \
            if not verify.check(os.path.join(sys.argv[2], name)).problems:\n        print(name)\n";
    let script = folder.join("verify.py");
    let python = Command::new("python3")
        .args(["-B", "-c", python])
        .arg(&script)
        .arg(&all)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for (number, what) in told.iter().enumerate() {
        let verified = verify(&all.join(number.to_string()), &Held::default(), &mut |_, _| {}).unwrap();
        assert!(!verified.report.intact, "{number}: {what}, by the program");
    }
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = String::from_utf8(output.stdout).unwrap();
    let passed: Vec<usize> = passed.lines().map(|name| name.parse().unwrap()).collect();
    for (number, what) in told.iter().enumerate() {
        assert!(!passed.contains(&number), "{number}: {what}, by verify.py");
    }
    assert_eq!(passed, [told.len()], "the whole one is found whole");
}

#[tokio::test]
async fn every_byte_of_an_archive_counts() {
    let (place, _) = bundle().await;
    let path = export(&place, "bundle.zip", &[]);
    let whole = std::fs::read(&path).unwrap();
    let mut random = Random(3);
    for _ in 0..300 {
        let mut changed = whole.clone();
        random.flip(&mut changed);
        std::fs::write(&path, changed).unwrap();
        let verified = verify(&path, &Held::default(), &mut |_, _| {}).unwrap();
        assert!(!verified.report.intact);
    }
}

#[tokio::test]
async fn a_whole_log_by_another_key_is_found_by_who_holds_the_right_one() {
    let (place, folder) = bundle().await;
    let key = place.run(&["key", "show"]).ends(0).out.trim_end().to_owned();
    place.write("held.txt", &place.run(&["checkpoint"]).ends(0).out);
    let note = place.path("work").join("held.txt");
    // Every leaf made again under the same name, as only somebody with a key of his own can: consistent in itself.
    let mut forged = files(&folder);
    let signer = Signer::from_seed(origin(&forged), &[9; 32]);
    let own = String::from_utf8(forged["log/key"].clone())
        .unwrap()
        .trim_end()
        .to_owned();
    let reader = place.reader();
    let (mut hashes, mut prev, mut kept) = (Vec::new(), [0; 32], Vec::new());
    let chosen: Vec<u64> = lines(&forged)
        .iter()
        .map(|line| {
            serde_json::from_slice::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    for seq in 0..reader.size().unwrap() {
        let leaf = String::from_utf8(reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        let at = leaf.find("\"prev\":\"").unwrap() + 8;
        let leaf = format!("{}{}{}", &leaf[..at], hex::encode(prev), &leaf[at + 64..]);
        let leaf = leaf.replace(&own, &signer.verifier().to_string());
        prev = hash_leaf(leaf.as_bytes());
        hashes.extend(prev);
        if chosen.contains(&seq) {
            kept.push(leaf.into_bytes());
        }
    }
    put_lines(&mut forged, &kept);
    forged.insert("log/hashes".to_owned(), hashes);
    resign(&mut forged, &signer, true);
    let checkpoint = signer
        .verifier()
        .verify(std::str::from_utf8(&forged["log/checkpoint"]).unwrap())
        .unwrap();
    manifest(&mut forged, |manifest| {
        manifest.root = hex::encode(checkpoint.root);
    });
    sum_up(&mut forged);
    put(&forged, &place.path("work").join("forged"));
    let (script, forged) = (folder.join("verify.py"), place.path("work").join("forged"));
    let python =
        |more: &[&str]| verify_py(&[&[script.to_str().unwrap(), forged.to_str().unwrap()], more].concat()).0;
    place.run(&["verify", "forged"]).ends(0);
    assert_eq!(python(&[]), 0, "consistent, and nobody knows whose");
    place.run(&["verify", "forged", "--key", &key]).ends(4);
    assert_eq!(python(&["--key", &key]), 4);
    place
        .run(&["verify", "forged", "--checkpoint", "held.txt"])
        .ends(4);
    assert_eq!(python(&["--checkpoint", note.to_str().unwrap()]), 4);
}
