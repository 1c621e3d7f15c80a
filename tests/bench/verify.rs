//! `evidenced verify` against one thread's SHA-256 over the same bytes, and how much memory it takes.
//!
//! Both are measured in turns, so that what else the machine does hits both, and the best of each counts. What is
//! verified lies in the operating system's cache: this measures us, not the disk.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]

use evidenced::log::store::{Paths, Reader};
use sha2::{Digest as _, Sha256};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod store;

use figure::{Figures, time, watch};
use store::Content;

/// How often each is measured.
const TURNS: usize = 9;

/// The most that verifying may take, in megabytes.
const MEMORY: f64 = 100.0;

fn main() -> ExitCode {
    let mut figures = Figures::default();
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    for (name, content, required) in [
        ("leaves", Content::Leaves, Some(0.6)),
        ("fleet", Content::Fleet, None),
        ("raw", Content::Raw, Some(1.0)),
        ("zstd", Content::Zstd, Some(0.8)),
    ] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&mut figures, content, required);
        }
    }
    figures.exit()
}

fn measure(figures: &mut Figures, content: Content, required: Option<f64>) {
    let paths = store::store(content);
    let (what, bytes) = hashed_bytes(&paths, content);
    let (mut raw, mut ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        raw = raw.min(time(|| std::hint::black_box(Sha256::digest(&bytes))).0);
        ours = ours.min(time(|| verify(&paths)).0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    let rate = |time: Duration| format!("{:.0} MB/s", bytes.len() as f64 / 1e6 / time.as_secs_f64());
    figures.ratio(
        &format!("verify {what}"),
        &format!("{:.0} ms, {}", ours.as_secs_f64() * 1e3, rate(ours)),
        &format!("SHA-256 {}", rate(raw)),
        raw.as_secs_f64() / ours.as_secs_f64(),
        required,
    );
    figures.below(
        &format!("  memory, {content:?}"),
        watch(&mut command(&paths)).megabytes,
        MEMORY,
        "MB",
    );
}

/// What verifying has to hash: of a store of leaves the leaves, of a fleet's also the blobs, else the blobs alone.
fn hashed_bytes(paths: &Paths, content: Content) -> (String, Vec<u8>) {
    let reader = Reader::open(paths).unwrap();
    let (mut bytes, mut leaves, mut blobs) = (Vec::new(), 0, std::collections::HashSet::new());
    for seq in 0..reader.size().unwrap() {
        let leaf = reader.leaf_bytes(seq).unwrap().unwrap();
        if content != Content::Leaves {
            for blob in evidenced::log::leaf::blobs(&leaf).unwrap() {
                if blobs.insert(blob.sha256) {
                    bytes.extend(reader.payload(&blob.sha256).unwrap().unwrap());
                }
            }
        }
        if matches!(content, Content::Leaves | Content::Fleet) {
            bytes.extend(leaf);
            leaves += 1;
        }
    }
    let (count, megabytes) = (blobs.len(), bytes.len() / 1_000_000);
    let what = match content {
        Content::Leaves => format!("{leaves} leaves, {} bytes each", bytes.len() / leaves.max(1)),
        Content::Fleet => format!("{leaves} leaves, {count} blobs, {megabytes} MB"),
        Content::Raw | Content::Zstd => format!("{count} blobs, {content:?}, {megabytes} MB"),
    };
    (what, bytes)
}

fn command(paths: &Paths) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
    command.arg("verify").arg(paths.directory()).stdout(Stdio::null());
    command
}

fn verify(paths: &Paths) {
    assert!(
        command(paths).status().unwrap().success(),
        "the store must be intact"
    );
}
