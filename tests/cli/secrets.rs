//! A whole run under a company's own rules, looked at for what must never show.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::workplace::{Ran, Workplace, ran, tree};

const CONFIGURATION: &str = r#"
name = "acme"
control_files = ["controls.toml"]
[[source]]
name = "web"
type = "host"
collectors."host.baseline".schedule = "0 * * * *"
"#;

const CONTROLS: &str = r#"
# Another number for a shipped test, a test and a control more, one of each switched off, and one exclusion.
[[test]]
id = "host-accounts-expected"
parameters = { allowed = ["root", "somebody-else"] }

[[test]]
id = "host-ssh-hardened"
enabled = false
reason = "no remote administration at all"

[[test]]
id = "acme-root-is-root"
title = "The account with uid 0 is called root"
doc = "Checked: its name."
resource = "host.account"
applies = "resource.uid == 0"
passes = "resource.id == 'root'"
severity = "low"
max_age = "26h"
example = [{ given = { id = "root", uid = 0 }, outcome = "pass" }, { given = { id = "toor", uid = 0 }, outcome = "fail" }]

[[control]]
id = "acme-root"
statement = "Root is root."
owner = "platform"
criteria = ["CC6.1"]
tests = ["acme-root-is-root"]

[[control]]
id = "clocks-synchronised"
enabled = false
reason = "the hypervisor's business"

[[exclusion]]
test = "host-disk-encrypted"
resource = "*"
reason = "a throw-away machine, SEC-12"
"#;

const IN_ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_SECRET_ACCESS_KEY", "planted-4Jx0Zk-in-the-environment"),
    ("GITHUB_TOKEN", "planted-ghp_9sQe2L-in-the-environment"),
    ("PASSWORD", "planted-hunter2-in-the-environment"),
];
const ON_COMMAND_LINE: &str = "planted-7Yt3-on-a-command-line";

struct Run {
    place: Workplace,
    ran: Ran,
}

/// One run, as noisy as it gets, beside a process whose command line holds a secret.
fn run() -> &'static Run {
    static ONCE: OnceLock<Run> = OnceLock::new();
    ONCE.get_or_init(|| {
        let place = Workplace::new();
        place.write("evidenced.toml", CONFIGURATION);
        place.write("controls.toml", CONTROLS);
        let mut other = Command::new("sh")
            .args(["-c", &format!("sleep 600; : {ON_COMMAND_LINE}")])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = place
            .command(&["collect", "--once", "-vv"])
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace")
            .envs(IN_ENVIRONMENT)
            .output();
        kill_process_group(Pid::from_child(&other), Signal::KILL).unwrap();
        other.wait().unwrap();
        let ran = ran(&output.unwrap());
        assert!(ran.status < 2, "{}", ran.err);
        Run { place, ran }
    })
}

/// What is secret, in each form in which it may slip out.
fn secrets() -> Vec<(String, Vec<u8>)> {
    let key = std::fs::read_to_string(run().place.store().join("key")).unwrap();
    let last = key.trim_end().splitn(5, '+').last().unwrap();
    let data = BASE64_STANDARD.decode(last).unwrap();
    let seed = &data[1..];
    assert_eq!(seed.len(), 32, "the key's form changed");
    let mut secrets = vec![
        ("the key's text".to_owned(), key.trim_end().as_bytes().to_vec()),
        ("the key in base64".to_owned(), last.as_bytes().to_vec()),
        ("the seed".to_owned(), seed.to_vec()),
        ("the seed in hex".to_owned(), hex::encode(seed).into_bytes()),
        (
            "the seed in capital hex".to_owned(),
            hex::encode_upper(seed).into_bytes(),
        ),
        (
            "the seed in base64".to_owned(),
            BASE64_STANDARD.encode(seed).into_bytes(),
        ),
        ("a command line".to_owned(), ON_COMMAND_LINE.as_bytes().to_vec()),
    ];
    for (name, value) in IN_ENVIRONMENT {
        secrets.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    // Only root can read it, and only a machine with passwords has any.
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    let hashes = shadow.lines().filter_map(|line| line.split(':').nth(1));
    for hash in hashes.filter(|hash| hash.len() > 12) {
        secrets.push(("a password's hash".to_owned(), hash.as_bytes().to_vec()));
    }
    secrets
}

#[test]
fn no_secret_shows_in_output_leaves_payloads_or_files() {
    let Run { place, ran } = run();
    let mut places = vec![
        ("standard output".to_owned(), ran.out.clone().into_bytes()),
        ("standard error".to_owned(), ran.err.clone().into_bytes()),
    ];
    let reader = place.reader();
    for seq in 0..reader.size().unwrap() {
        places.push((format!("leaf {seq}"), reader.leaf_bytes(seq).unwrap().unwrap()));
        for blob in reader.leaf(seq).unwrap().unwrap().blobs {
            let payload = reader.payload(&blob.sha256).unwrap().unwrap();
            places.push((format!("{:?} of leaf {seq}", blob.role), payload));
        }
    }
    for (path, bytes) in tree(&place.path("")) {
        if !path.ends_with("key") {
            places.push((path.display().to_string(), bytes));
        }
    }
    assert!(places.len() > 12, "the evidence was looked at");
    for (what, secret) in secrets() {
        for (name, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{what} shows in {name}");
        }
    }
}

#[test]
fn a_secret_in_the_settings_is_refused_and_not_repeated() {
    let place = Workplace::new();
    for (settings, at) in [
        ("settings = { token = \"hunter2\" }", "5:14"),
        ("settings = { data_mounts = \"hunter2\" }", "5:28"),
        ("settings = \"hunter2\"", "5:12"),
    ] {
        place.write(
            "evidenced.toml",
            &format!("\n[[source]]\nname = \"a\"\ntype = \"host\"\n{settings}\ncollectors.\"host.baseline\".schedule = \"0 * * * *\"\n"),
        );
        let before = place.tree();
        let ran = place.run(&["collect", "--once", "-vv"]).ends(2);
        assert!(
            ran.err.starts_with(&format!("error: evidenced.toml:{at}: ")),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("\n  help: "), "{}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
        assert_eq!(place.tree(), before);
    }
}

#[test]
fn a_companys_rules_are_in_force_in_the_plan_and_seen_in_the_findings() {
    let Run { place, ran } = run();
    let reader = place.reader();
    assert!(reader.origin().as_str().starts_with("acme/"));
    let plan: Value = serde_json::from_slice(&reader.leaf_bytes(1).unwrap().unwrap()).unwrap();
    assert_eq!(
        [
            &plan["sources"],
            &plan["tests"],
            &plan["controls"],
            &plan["exclusions"],
            &plan["by"]
        ],
        [&json!(1), &json!(6), &json!(6), &json!(1), &json!("ad_hoc")],
        "six shipped tests and controls, one of each more and one of each off"
    );
    assert_eq!(plan["self_test"]["failed"], 0);
    let lists = place.run(&["show", "1", "--blob", "plan"]).ends(0).json();
    let tests = lists["rules"]["tests"].as_array().unwrap();
    let test = |id: &str| tests.iter().find(|test| test["id"] == id).unwrap();
    assert_eq!(
        test("host-accounts-expected")["overridden"],
        json!(["parameters"])
    );
    assert_eq!(
        test("host-ssh-hardened")["reason"],
        "no remote administration at all"
    );
    assert_eq!(test("acme-root-is-root")["shipped"], false);

    let findings = place.run(&["show", "4", "--blob", "findings"]).ends(0).json();
    let findings = findings["findings"].as_array().unwrap();
    let of = |test: &'static str| findings.iter().filter(move |finding| finding["test"] == test);
    assert!(of("acme-root-is-root").any(|finding| finding["outcome"] == "pass"));
    assert_eq!(of("host-ssh-hardened").count(), 0);
    assert!(of("host-disk-encrypted").all(|finding| {
        finding["outcome"] == "not_applicable"
            && finding["reason"] == "excluded: a throw-away machine, SEC-12"
    }));
    assert!(of("host-accounts-expected").all(|finding| {
        let reason = finding["reason"].as_str().unwrap();
        finding["outcome"] != "fail"
            || reason.contains(r#"allowed = ["root","somebody-else"]"#)
            || reason.contains(r#"allowed = ["root", "somebody-else"]"#)
    }));
    assert!(
        ran.out.contains("off host-ssh-hardened: switched off"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("clocks-synchronised"), "{}", ran.out);
    assert!(!ran.out.contains("No configuration was found"), "{}", ran.out);
}
