//! Archives and folders that were made to do harm: refused, and nothing is written.

use std::io::Write as _;
use std::path::Path;

use evidenced::bundle::zip::{Entry, Writer};

use crate::exported::{bundle, files, verify_py};
use crate::workplace::{Workplace, tree};

fn entry(name: &str, bytes: &[u8]) -> Entry {
    Entry {
        name: name.to_owned(),
        size: bytes.len() as u64,
        crc: crc32fast::hash(bytes),
    }
}

fn archive<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, bytes) in files {
        writer.begin(&entry(name, bytes)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// Insists that both verbs refuse it with these words, and write nothing.
#[track_caller]
fn refused(place: &Workplace, archive: &[u8], why: &str) {
    std::fs::write(place.path("work").join("evil.zip"), archive).unwrap();
    let before = tree(place.path("work").parent().unwrap());
    for verb in ["verify", "reperform"] {
        let ran = place.run(&[verb, "evil.zip"]).ends(4);
        assert!(
            ran.out.contains("NOT INTACT") && ran.out.contains(why),
            "{verb}, {why}: {}",
            ran.out
        );
    }
    assert_eq!(before, tree(place.path("work").parent().unwrap()));
}

#[test]
fn names_that_lead_elsewhere_or_stand_twice_are_refused() {
    let place = Workplace::new();
    for name in [
        "../evil",
        "/etc/evil",
        "a/../../evil",
        "a\\..\\evil",
        "C:evil",
        ".bashrc",
        "a//b",
        "blobs/ab/evil",
        "BLOBS/x",
    ] {
        refused(&place, &archive([(name, b"x".as_slice())]), "no name");
    }
    refused(
        &place,
        &archive([("a", b"x".as_slice()), ("a", b"y")]),
        "there twice",
    );
    refused(
        &place,
        &archive([("A", b"x".as_slice()), ("a", b"y")]),
        "there twice",
    );
    refused(
        &place,
        &archive([("b", b"x".as_slice()), ("a", b"y")]),
        "not in order",
    );
}

#[test]
fn what_unpacks_to_more_than_it_is_or_is_not_plain_is_refused() {
    let place = Workplace::new();
    let good = archive([("a", b"hello".as_slice()), ("b", b"world")]);
    let record = good.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let patched = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    refused(&place, &patched(record + 8, &[1]), "encrypted");
    refused(&place, &patched(record + 10, &[8]), "compressed");
    refused(&place, &patched(record + 40, &[0xff, 0xa1]), "is a link");
    // Says to be larger than the archive, or to begin within another entry.
    refused(
        &place,
        &patched(record + 20, &[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]),
        "longer than the archive",
    );
    refused(&place, &patched(record + 42, &[3]), "overlaps");
    refused(&place, &[good.as_slice(), b"x"].concat(), "behind its end");
    refused(
        &place,
        &[b"#!/bin/sh\n", good.as_slice()].concat(),
        "its end is not",
    );
    refused(&place, b"", "no zip archive");
    refused(&place, b"PK\x05\x06", "its end is not");
    let count = good.len() - 14;
    refused(
        &place,
        &patched(count, &[0xff, 0x7f, 0xff, 0x7f]),
        "its end is not",
    );
}

#[test]
fn a_bomb_by_another_program_is_refused_before_it_is_unpacked() {
    let place = Workplace::new();
    let path = place.path("work").join("bomb.zip");
    let python = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n    z.writestr('log/leaves.jsonl', bytes(1 << 26))\n";
    let made = std::process::Command::new("python3")
        .args(["-c", python, path.to_str().unwrap()])
        .status();
    assert!(made.unwrap().success());
    let ran = place.run(&["verify", "bomb.zip"]).ends(4);
    assert!(ran.out.contains("compressed"), "{}", ran.out);
}

#[tokio::test]
async fn links_and_odd_files_in_a_folder_are_refused_by_both_verifiers() {
    let (place, folder) = bundle().await;
    let script = folder.join("verify.py");
    let both = |why: &str| {
        let ran = place.run(&["verify", "bundle/"]).ends(4);
        assert!(ran.out.contains(why), "{}", ran.out);
        let (status, said) = verify_py(&[script.to_str().unwrap()]);
        assert!(status == 4 && said.contains(why), "{said}");
    };
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    link(Path::new("/etc/passwd"), "notes.txt");
    both("is a link");
    std::fs::remove_file(folder.join("notes.txt")).unwrap();
    link(&place.path("home"), "more");
    both("is a link");
    std::fs::remove_file(folder.join("more")).unwrap();
    std::fs::write(folder.join("unlisted.txt"), "x").unwrap();
    both("not in SHA256SUMS");
    std::fs::remove_file(folder.join("unlisted.txt")).unwrap();
    std::fs::write(folder.join("odd name"), "x").unwrap();
    both("no name");
    std::fs::remove_file(folder.join("odd name")).unwrap();
    std::fs::write(folder.join("readme.TXT"), "x").unwrap();
    both("there twice");
    std::fs::remove_file(folder.join("readme.TXT")).unwrap();
    place.run(&["verify", "bundle/"]).ends(0);
    assert!(files(&folder).len() > 20);
}
