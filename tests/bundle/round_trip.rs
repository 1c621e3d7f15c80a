//! Written, and checked by all three ways that the README tells of.

use serde_json::{Value, json};
use std::io::Read as _;
use std::process::Command;

use crate::exported::{PERIOD, bundle, export, files, log, verify_py};
use crate::workplace::{Workplace, tree};

fn text(files: &std::collections::BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files[name].clone()).unwrap()
}

#[tokio::test]
async fn a_bundle_is_found_whole_by_each_verifier_and_by_hand() {
    let (place, folder) = bundle().await;
    let zip = export(&place, "bundle.zip", &[]);
    let key = place.run(&["key", "show"]).ends(0).out.trim_end().to_owned();
    let shown = place
        .run(&["verify", "bundle.zip", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(shown["intact"], json!(true), "{shown}");
    assert_eq!([&shown["pinned"], &shown["key"]], [&json!(false), &json!(key)]);
    let log = place.run(&["verify", "--format", "json"]).ends(0).json();
    for same in ["origin", "size", "root", "head"] {
        assert_eq!(shown[same], log[same], "{same}");
    }
    for path in ["bundle.zip", "bundle/"] {
        let ran = place.run(&["verify", path]).ends(0);
        assert!(
            ran.out.contains("consistent, signer not established"),
            "{}",
            ran.out
        );
        let ran = place.run(&["verify", path, "--key", &key]).ends(0);
        assert!(ran.out.contains("intact, signed by the key given"), "{}", ran.out);
    }
    let script = folder.join("verify.py");
    let before = tree(&folder);
    let (status, said) = verify_py(&[script.to_str().unwrap()]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("consistent, signer not established"), "{said}");
    let (status, said) = verify_py(&[script.to_str().unwrap(), "--key", &key]);
    assert!(
        status == 0 && said.contains("signed by the key that you hold"),
        "{said}"
    );
    assert_eq!(before, tree(&folder), "nothing was written");
    let sums = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&folder)
        .output();
    assert!(sums.unwrap().status.success());
    // Any other program reads the archive, and finds the same files.
    let unpacked = place.path("work").join("unpacked");
    let python = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2])";
    let arguments = ["-c", python, zip.to_str().unwrap(), unpacked.to_str().unwrap()];
    assert!(
        Command::new("python3")
            .args(arguments)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(files(&unpacked), files(&folder));
}

#[tokio::test]
async fn the_same_log_and_period_give_the_same_bytes() {
    let (place, _) = bundle().await;
    let first = std::fs::read(export(&place, "a.zip", &[])).unwrap();
    assert_eq!(first, std::fs::read(export(&place, "b.zip", &[])).unwrap());
    // Also of a copy of the store, whose rows may lie elsewhere.
    place.run(&["backup", "../copy"]).ends(0);
    let copy = [&["export", "--store", "../copy", "-o", "c.zip"][..], &PERIOD].concat();
    place.run(&copy).ends(0);
    assert_eq!(first, std::fs::read(place.path("work").join("c.zip")).unwrap());
    let size = place.reader().size().unwrap();
    place.run(&["verify"]).ends(0);
    assert_eq!(place.reader().size().unwrap(), size, "no leaf is written");
}

#[tokio::test]
async fn it_holds_the_period_what_was_before_and_what_became_of_it() {
    let (place, folder) = bundle().await;
    let files = files(&folder);
    let leaves: Vec<Value> = text(&files, "log/leaves.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reader = place.reader();
    for line in text(&files, "log/leaves.jsonl").lines() {
        let seq = serde_json::from_str::<Value>(line).unwrap()["seq"]
            .as_u64()
            .unwrap();
        assert_eq!(
            reader.leaf_bytes(seq).unwrap().unwrap(),
            line.as_bytes(),
            "exactly as stored"
        );
    }
    let times = |kind: &str| -> Vec<String> {
        let of_kind = leaves.iter().filter(|leaf| leaf["kind"] == kind);
        of_kind
            .map(|leaf| leaf["time"].as_str().unwrap()[5..16].to_owned())
            .collect()
    };
    let snapshots = times("snapshot");
    assert_eq!(
        snapshots,
        [
            "03-01T18:00",
            "03-02T00:00",
            "03-02T06:00",
            "03-02T12:00",
            "03-02T18:00",
            "03-03T00:00",
            "03-03T06:00",
            // Down at noon; behind the end the first, and the one that was mended.
            "03-03T18:00",
            "03-04T00:00",
            "03-04T12:00",
        ]
    );
    assert_eq!(times("evaluation"), snapshots);
    assert_eq!(times("failure"), ["03-03T12:00"]);
    assert_eq!(
        [times("exception").len(), times("plan").len(), times("key").len()],
        [1, 2, 1]
    );
    assert_eq!(
        times("heartbeat").len(),
        1 + 8 + 8,
        "of the period, one before it, all behind it"
    );
    let manifest: Value = serde_json::from_slice(&files["bundle.json"]).unwrap();
    assert_eq!(
        manifest["period"],
        json!({ "name": null, "from": "2026-03-02T00:00:00.000Z", "to": "2026-03-04T00:00:00.000Z" })
    );
    assert_eq!(manifest["draft"], json!([]));
    assert_eq!(manifest["counts"]["leaves"], json!(leaves.len()));
    assert_eq!(files["log/hashes"].len() as u64, 32 * reader.size().unwrap());
    assert!(text(&files, "README.txt").contains(reader.origin().as_str()));
}

#[tokio::test]
async fn a_checkpoint_that_was_handed_over_before_establishes_whose_it_is() {
    let place = Workplace::new();
    let bench = crate::fake::Bench::new(&place.store()).await;
    place.write("early.txt", &place.run(&["checkpoint"]).ends(0).out);
    drop(bench);
    let elsewhere = Workplace::new();
    drop(log(&elsewhere).await);
    elsewhere.write("late.txt", &elsewhere.run(&["checkpoint"]).ends(0).out);
    let folder = export(&elsewhere, "bundle/", &[]);
    let script = folder.join("verify.py");
    let (script, foreign) = (script.to_str().unwrap(), place.path("work").join("early.txt"));
    let own = elsewhere.path("work").join("late.txt");
    let held = ["verify", "bundle/", "--checkpoint", own.to_str().unwrap()];
    assert!(
        elsewhere
            .run(&held)
            .ends(0)
            .out
            .contains("signed by the key given")
    );
    let (status, said) = verify_py(&[script, "--checkpoint", own.to_str().unwrap()]);
    assert!(status == 0 && said.contains("you hold"), "{said}");
    // Of another log; and of this one, when it was longer.
    let held = ["verify", "bundle/", "--checkpoint", foreign.to_str().unwrap()];
    elsewhere.run(&held).ends(4);
    assert_eq!(
        verify_py(&[script, "--checkpoint", foreign.to_str().unwrap()]).0,
        4
    );
    elsewhere.run(&["verify", "--checkpoint", "late.txt"]).ends(2);
}

#[tokio::test]
async fn out_of_scope_is_withheld_whole_and_named() {
    let (place, whole) = bundle().await;
    let all = files(&whole);
    let narrowed = export(&place, "narrow/", &["--control", "by-hand"]);
    let narrow = files(&narrowed);
    let leaves = |files: &std::collections::BTreeMap<String, Vec<u8>>| files["log/leaves.jsonl"].clone();
    let (whole, own) = (leaves(&all), leaves(&narrow));
    let further = own
        .strip_prefix(whole.as_slice())
        .expect("the leaves are always all there");
    assert_eq!(
        further.split_inclusive(|byte| *byte == b'\n').count(),
        1,
        "and this export's own"
    );
    let blobs = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files
            .keys()
            .filter(|name| name.starts_with("blobs/"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let withheld = text(&narrow, "withheld.csv");
    let lines: Vec<_> = withheld.lines().skip(1).collect();
    assert_eq!(lines.len() + blobs(&narrow).len(), blobs(&all).len());
    for role in ["evidence", "findings", "provenance", "raw"] {
        let line = lines
            .iter()
            .find(|line| line.contains(&format!(",{role},")))
            .unwrap();
        assert!(line.ends_with(",out_of_scope"), "{line}");
    }
    assert!(!withheld.contains(",plan,") && !withheld.contains(",resources,"));
    place.run(&["verify", "narrow/"]).ends(0);
    assert_eq!(verify_py(&[narrowed.join("verify.py").to_str().unwrap()]).0, 0);
    for same in [
        ["--control", "safe-things"],
        ["--criterion", "CC6.1"],
        ["--source", "src"],
    ] {
        let name = format!("{}/", same[1]);
        assert_eq!(
            blobs(&files(&export(&place, &name, &same))),
            blobs(&all),
            "{same:?}"
        );
    }
    for (unknown, value) in [
        ("--control", "nobody"),
        ("--source", "nowhere"),
        ("--criterion", "CC0"),
    ] {
        let arguments = [&["export", "-o", "x.zip", unknown, value][..], &PERIOD].concat();
        place.run(&arguments).ends(2);
    }
}

#[tokio::test]
async fn a_blob_that_the_store_does_not_have_is_named_as_missing_and_one_that_is_broken_is_refused() {
    let (place, _) = bundle().await;
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let last: i64 = database
        .query_row("SELECT max(rowid) FROM blob WHERE seq < 40", [], |row| row.get(0))
        .unwrap();
    database
        .execute("DELETE FROM blob WHERE rowid = ?", [last])
        .unwrap();
    let folder = export(&place, "missing/", &[]);
    assert!(text(&files(&folder), "withheld.csv").contains(",missing\n"));
    place.run(&["verify", "missing/"]).ends(0);
    assert_eq!(verify_py(&[folder.join("verify.py").to_str().unwrap()]).0, 0);
    for breaking in [
        "UPDATE blob SET bytes = zeroblob(length(bytes)) WHERE rowid = (SELECT max(rowid) FROM blob WHERE seq < 30)",
        "UPDATE leaf SET hash = zeroblob(32) WHERE seq = 3",
    ] {
        database.execute(breaking, []).unwrap();
        let ran = place
            .run(&[&["export", "-o", "no.zip"][..], &PERIOD].concat())
            .ends(4);
        assert!(ran.err.contains("evidenced verify"), "{}", ran.err);
        let left = std::fs::read_dir(place.path("work")).unwrap();
        let left: Vec<_> = left
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().contains("no.zip"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn what_is_there_is_replaced_only_when_told_so() {
    let (place, _) = bundle().await;
    let arguments = |name, more: &[&'static str]| [&["export", "-o", name][..], &PERIOD, more].concat();
    export(&place, "b.zip", &[]);
    let ran = place.run(&arguments("b.zip", &[])).ends(2);
    assert!(
        ran.err.contains("b.zip is there already") && ran.err.contains("--force"),
        "{}",
        ran.err
    );
    place.run(&arguments("b.zip", &["--force"])).ends(0);
    place.run(&arguments("bundle/", &[])).ends(2);
    place.run(&arguments("bundle/", &["--force"])).ends(0);
    place.run(&["verify", "bundle/"]).ends(0);
    // A folder that holds no bundle is somebody else's.
    std::fs::create_dir(place.path("work").join("mine")).unwrap();
    place.run(&arguments("mine/", &["--force"])).ends(2);
    place
        .run(&["export", "-o", "x.zip", "--from", "2026-03-02"])
        .ends(2);
    place.run(&["export", "-o", "x.zip"]).ends(2);
}

#[tokio::test]
async fn a_configured_period_is_exported_by_its_name_and_scope() {
    let (place, whole) = bundle().await;
    let period = "[[period]]\nname = \"march\"\nfrom = \"2026-03-02\"\nto = \"2026-03-03\"\ncriteria = [\"CC1.*\"]\n\
        [[source]]\nname = \"here\"\ntype = \"host\"\n[source.collectors.\"host.baseline\"]\nschedule = \"0 * * * *\"\n";
    place.write("evidenced.toml", period);
    let shown = place
        .run(&["export", "--period", "march", "-o", "m/", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(shown["bundle"]["period"]["name"], json!("march"));
    assert_eq!(shown["bundle"]["scope"]["criteria"][0], json!("CC1.1"));
    let narrow = files(&place.path("work").join("m"));
    let (all, own) = (
        text(&files(&whole), "log/leaves.jsonl"),
        text(&narrow, "log/leaves.jsonl"),
    );
    let further = own.strip_prefix(&all).unwrap();
    assert!(further.lines().count() == 1 && further.contains("\"kind\":\"export\",\"period\":\"march\""));
    assert!(text(&narrow, "withheld.csv").lines().count() > 10);
    place.run(&["verify", "m/"]).ends(0);
    place.run(&["export", "--period", "april", "-o", "x/"]).ends(2);
}

#[tokio::test]
async fn until_the_period_is_over_it_is_a_draft() {
    let (place, _) = bundle().await;
    let arguments = [
        "export",
        "-o",
        "draft/",
        "--from",
        "2026-03-02",
        "--to",
        "2026-03-31",
    ];
    let ran = place.run(&arguments).ends(0);
    assert!(
        ran.out
            .contains("draft: nothing is sealed yet of fake.things at src from behind the end"),
        "{}",
        ran.out
    );
    assert!(place.run(&["verify", "draft/"]).ends(0).out.contains("draft:"));
    let folder = place.path("work").join("draft");
    let (status, said) = verify_py(&[folder.join("verify.py").to_str().unwrap()]);
    assert!(status == 0 && said.contains("DRAFT"), "{said}");
    assert!(text(&files(&folder), "README.txt").contains("THIS IS A DRAFT"));
}

#[tokio::test]
async fn an_encrypted_bundle_is_the_same_one_to_who_has_the_key() {
    let (place, _) = bundle().await;
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let path = export(&place, "b.zip.age", &["--encrypt-to", &recipient]);
    let decryptor = age::Decryptor::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut plain = Vec::new();
    let mut reader = decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .unwrap();
    reader.read_to_end(&mut plain).unwrap();
    assert_eq!(plain, std::fs::read(export(&place, "b.zip", &[])).unwrap());
    let ran = place.run(&["verify", "b.zip.age"]).ends(4);
    assert!(ran.out.contains("age --decrypt"), "{}", ran.out);
    place
        .run(
            &[
                &["export", "-o", "x.zip", "--encrypt-to", "age1nobody"][..],
                &PERIOD,
            ]
            .concat(),
        )
        .ends(2);
}
