//! The fuzz targets of `tests/fuzz`, driven over mutated vectors, so that they are kept working and exercised without a
//! nightly compiler. A target is a file in `tests/fuzz/src/bin`, a line in `targets`, and its seeds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(unexpected_cfgs, reason = "`fuzzing` is set by the fuzzer's build")]

use evidenced::bundle::{Manifest, zip};
use evidenced::control::Rules;
use evidenced::log::guard;
use evidenced::matrix;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[path = "fuzz/src/bin"]
mod targets {
    pub(crate) mod bundle;
    pub(crate) mod checkpoint;
    pub(crate) mod configuration;
    pub(crate) mod guard;
    pub(crate) mod leaf;
    pub(crate) mod matrix;
}

/// What a fuzzer feeds.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("bundle", targets::bundle::run),
    ("checkpoint", targets::checkpoint::run),
    ("configuration", targets::configuration::run),
    ("guard", targets::guard::run),
    ("leaf", targets::leaf::run),
    ("matrix", targets::matrix::run),
];

/// How many inputs each target gets.
const INPUTS: u64 = 6000;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Every version of a file that there is among the vectors.
fn vectors(name: &str) -> BTreeSet<Vec<u8>> {
    let broken = std::fs::read_dir(tests().join("vectors/broken")).unwrap();
    let folders = broken.map(|entry| entry.unwrap().path());
    let folders = folders.chain([tests().join("vectors/good")]);
    folders
        .filter_map(|folder| std::fs::read(folder.join(name)).ok())
        .collect()
}

/// Inputs to begin with.
fn seeds(target: &str) -> BTreeSet<Vec<u8>> {
    match target {
        "bundle" => {
            let manifest = |draft: &str| {
                format!(
                    "{{\n  \"format\": 1,\n  \"origin\": \"acme/0123abcd\",\n  \"period\": {{\n    \"name\": null,\n    \
                     \"from\": \"2026-01-01T00:00:00.000Z\",\n    \"to\": \"2026-02-01T00:00:00.000Z\"\n  }},\n  \"size\": 1,\n  \
                     \"root\": \"00\",\n  \"draft\": [{draft}],\n  \"scope\": {{\n    \"controls\": [],\n    \"criteria\": [],\n    \
                     \"sources\": []\n  }},\n  \"counts\": {{\n    \"leaves\": 1,\n    \"blobs\": 0,\n    \"withheld\": 0,\n    \
                     \"checkpoints\": 1\n  }}\n}}\n"
                )
                .into_bytes()
            };
            let archives = (0..6).map(|count| {
                let mut writer = zip::Writer::new(Vec::new());
                for number in 0..count {
                    let name = format!("file-{number}");
                    let entry = zip::Entry {
                        name,
                        size: 2,
                        crc: 0,
                    };
                    writer
                        .begin(&entry)
                        .and_then(|()| writer.write_all(b"xy"))
                        .unwrap();
                }
                writer.finish().unwrap()
            });
            assert!(Manifest::parse(&manifest("")).is_ok());
            archives
                .chain([manifest(""), manifest("\n    \"x\"\n  ")])
                .collect()
        }
        "leaf" => {
            let files = vectors("leaves.jsonl");
            let lines = files.iter().flat_map(|file| file.split(|byte| *byte == b'\n'));
            lines
                .filter(|line| line.len() < 4096)
                .map(<[u8]>::to_vec)
                .collect()
        }
        "checkpoint" => {
            let mut seeds = vectors("checkpoint");
            seeds.extend(vectors("key").iter().map(|key| key.trim_ascii_end().to_vec()));
            seeds.insert(
                b"PRIVATE+KEY+vectors.example/0123abcd+1c365d3b+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"
                    .to_vec(),
            );
            seeds
        }
        "matrix" => {
            let controls = Rules::shipped().unwrap().controls;
            let rows = controls
                .chunks(1)
                .map(|control| matrix::write(control, Vec::new()).unwrap());
            let edited =
                b"control,owner,evidence due,tests,nature\nhosts-patched,'=it,yearly,host-patched,both\n";
            rows.chain([edited.to_vec()]).collect()
        }
        "configuration" => {
            let files = [
                "config.example.toml",
                "README.md",
                "src/control/catalogue/host.toml",
            ];
            let read = |file| std::fs::read(tests().parent().unwrap().join(file)).unwrap();
            // Whole files, and their tables one by one: short inputs are mutated to more effect.
            let files: Vec<_> = files.into_iter().map(read).collect();
            let text = |file: &Vec<u8>| String::from_utf8(file.clone()).unwrap();
            let tables: Vec<_> = files.iter().map(text).collect();
            let tables = tables.iter().flat_map(|text| text.split("\n[[").skip(1));
            tables
                .map(|table| format!("[[{table}").into_bytes())
                .chain(files.iter().take(1).cloned())
                .collect()
        }
        "guard" => {
            let notes = vectors("checkpoint");
            let slots = notes
                .iter()
                .filter_map(|note| guard::encode_slot(std::str::from_utf8(note).ok()?));
            let mut slots: Vec<_> = slots.collect();
            slots.push([0; 512]);
            let files = slots.windows(2).map(<[_]>::concat);
            files.chain(notes.iter().cloned()).collect()
        }
        other => panic!("the target {other} has no seeds"),
    }
}

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

    /// Below `limit`; 0 if there is nothing below it.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const TOKENS: [&[u8]; 12] = [
            b"\"",
            b"\\",
            b"\n",
            b"\n\n",
            b"\r\n",
            b"0",
            b"\0",
            b",\"blobs\":[]}",
            b"null",
            b"\xff",
            b"1e400",
            b"\"kind\":",
        ];
        let (from, to) = (self.below(input.len() + 1), self.below(input.len() + 1));
        let range = from.min(to)..from.max(to);
        match self.below(7) {
            0 if !input.is_empty() => {
                let (at, bit) = (self.below(input.len()), self.below(8));
                input[at] ^= 1 << bit;
            }
            1 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] = b"09azAZ\"\\{}[],:-+ \xc3"[self.below(18)];
            }
            2 => drop(input.splice(range, [])),
            3 => {
                let repeated = input[range].to_vec();
                drop(input.splice(from..from, repeated));
            }
            4 => drop(input.splice(from..from, TOKENS[self.below(TOKENS.len())].iter().copied())),
            5 => {
                let end = from + self.below(other.len() + 1);
                let tail = other.get(from..end.min(other.len())).unwrap_or_default();
                drop(input.splice(range, tail.iter().copied()));
            }
            _ => {}
        }
    }
}

#[test]
fn every_target_survives_thousands_of_mutated_vectors() {
    for (name, run) in TARGETS {
        let seeds: Vec<_> = seeds(name).into_iter().collect();
        assert!(seeds.len() > 5, "{name}");
        let mut random = Random(1);
        for seed in &seeds {
            run(seed);
        }
        for _ in 0..INPUTS {
            let mut input = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(3) {
                let other = &seeds[random.below(seeds.len())];
                random.mutate(&mut input, other);
            }
            let survived = std::panic::catch_unwind(|| run(&input));
            assert!(survived.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn every_fuzz_target_is_driven_here() {
    let files = std::fs::read_dir(tests().join("fuzz/src/bin")).unwrap();
    let files = files.map(|entry| {
        entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    });
    let (files, targets): (BTreeSet<_>, BTreeSet<_>) =
        (files.collect(), TARGETS.map(|(name, _)| name.to_owned()).into());
    assert_eq!(files, targets);
}

#[test]
fn the_seeds_are_written_for_the_fuzzers() {
    for (name, _) in TARGETS {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        assert!(std::fs::read_dir(&folder).unwrap().count() > 5, "{name}");
    }
}
