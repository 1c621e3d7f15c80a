//! What the operator does beside collecting: init, check, backup, completions.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use crate::workplace::{Workplace, collected, ran, tree};

#[test]
fn init_writes_a_configuration_and_makes_a_store_once() {
    let place = Workplace::new();
    let ran = place.run(&["init"]).ends(0);
    let key = place.run(&["key", "show"]).ends(0).out;
    let store = place.store();
    assert_eq!(
        ran.out,
        format!(
            "configuration  evidenced.toml: made\nstore          {}: made\nverifier key   {key}\n\
             Give that key to your auditor now: it tells your log from any other.\n\
             Next: fill in evidenced.toml, try it with `evidenced check`, then `evidenced collect --once`.\n",
            store.display()
        )
    );
    let written = std::fs::read_to_string(place.path("work/evidenced.toml")).unwrap();
    assert_eq!(written, include_str!("../../config.example.toml"));
    for (name, mode) in [("", 0o700), ("key", 0o600)] {
        let metadata = std::fs::metadata(store.join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }

    place.write("evidenced.toml", "# mine\n[[source]]\nname = \"a\"\ntype = \"host\"\ncollectors.\"host.baseline\".schedule = \"0 * * * *\"\n");
    let before = place.tree();
    let again = place.run(&["init"]).ends(0);
    assert!(
        again
            .out
            .starts_with("configuration  evidenced.toml: was there already, and was left as it is\n")
    );
    assert!(again.out.contains(&key));
    assert_eq!(place.tree(), before, "nothing is overwritten");
}

#[test]
fn init_configures_the_account_whose_credentials_are_there() {
    let place = Workplace::new();
    let mut init = place.command(&["init"]);
    let output = init.env("AWS_PROFILE", "audit").output().unwrap();
    assert!(output.status.success());
    let written = std::fs::read_to_string(place.path("work/evidenced.toml")).unwrap();
    assert!(
        written.contains("type = \"aws\"\nsettings = { profile = \"audit\" }"),
        "{written}"
    );
    // It is a configuration as it stands, though nobody answers to that profile.
    let mut check = place.command(&["check"]);
    let output = check.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("configuration: evidenced.toml: 2 sources"),
        "{said}"
    );
    assert!(
        said.contains("✗ aws.iam.mfa aws: accounts: sts:GetCallerIdentity could not be sent"),
        "{said}"
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "the library keeps quiet"
    );
}

#[test]
fn init_writes_the_store_that_was_named_into_the_configuration() {
    let place = Workplace::new();
    let ran = place
        .run(&[
            "init",
            "--config",
            "acme.toml",
            "--store",
            "../elsewhere",
            "--format",
            "json",
        ])
        .ends(0);
    let shown = ran.json();
    assert_eq!(
        (&shown["config_written"], &shown["store_made"]),
        (&true.into(), &true.into())
    );
    assert!(place.path("elsewhere/evidence.db").exists());
    let key = place.run(&["key", "show", "--config", "acme.toml"]).ends(0).out;
    assert_eq!(shown["key"], key.trim_end());
    assert!(
        !place.store().exists(),
        "the configuration goes before the system's folder"
    );

    // Another store beside a configuration that means this one must be told of.
    let ran = place
        .run(&["init", "--config", "acme.toml", "--store", "../third"])
        .ends(0);
    assert!(
        ran.out.contains("acme.toml means another store, ")
            && ran.out.contains("write directory into its [store]"),
        "{}",
        ran.out
    );
}

#[test]
fn init_that_fails_leaves_nothing_behind() {
    let place = Workplace::new();
    place.write("file", "");
    let before = place.tree();
    let ran = place.run(&["init", "--config", "nowhere/evidenced.toml"]).ends(2);
    assert_eq!(
        ran.err,
        "error: failed to write nowhere/evidenced.toml: No such file or directory (os error 2)\n  \
         help: name a file in a folder that is there and can be written with --config\n"
    );
    let ran = place.run(&["init", "--store", "file/store"]).ends(2);
    assert!(ran.err.contains("because: Not a directory"), "{}", ran.err);
    assert!(ran.err.contains("  help: "), "{}", ran.err);
    assert_eq!(place.tree(), before);
}

#[test]
fn check_tries_everything_and_writes_nothing() {
    let place = Workplace::new();
    place.write("evidenced.toml", include_str!("../../config.example.toml"));
    let before = place.tree();
    let ran = place.run(&["check"]);
    assert!([0, 2].contains(&ran.status), "{}", ran.err);
    assert_eq!(place.tree(), before);
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(
        lines[0],
        "✓ configuration: evidenced.toml: 1 source, 6 tests (41 examples hold), 6 controls"
    );
    assert_eq!(
        lines[1],
        format!(
            "✓ store: {}: none yet, the first collection makes it",
            place.store().display()
        )
    );
    assert!(lines[2].starts_with("✓ clock: 20"), "{}", lines[2]);
    assert!(
        lines[3..]
            .iter()
            .all(|line| line[3..].starts_with(" host.baseline this-machine: "))
    );
    assert_eq!(ran.status == 0, lines.iter().all(|line| line.starts_with('✓')));
}

#[test]
fn check_tells_what_is_wrong_with_a_store() {
    let place = Workplace::collected();
    let place_of = |what: &str, out: &str| {
        let line = out
            .lines()
            .find(|line| line[3..].starts_with(&format!(" {what}: ")));
        line.unwrap_or_else(|| panic!("no {what} in {out}")).to_owned()
    };
    std::fs::set_permissions(place.store(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(place.store().join("key"), place.path("key")).unwrap();
    let ran = place.run(&["check"]).ends(2);
    for (what, end) in [
        ("log", "5 leaves; database and guard agree"),
        ("store", "has mode 755: run `chmod 700` on it"),
        ("key", "without it nothing can be appended"),
    ] {
        assert!(place_of(what, &ran.out).ends_with(end), "{}", ran.out);
    }

    std::fs::remove_file(place.store().join("guard")).unwrap();
    let ran = place.run(&["check", "--format", "json"]).ends(4);
    let checks = ran.json()["checks"].clone();
    let log = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|each| each["what"] == "log")
        .unwrap();
    assert_eq!(log["well"], false);
    assert!(
        log["detail"]
            .as_str()
            .unwrap()
            .ends_with("; run `evidenced verify`"),
        "{log}"
    );
}

#[test]
fn a_store_that_this_user_may_not_look_at_is_not_called_missing() {
    let place = Workplace::collected();
    for verb in ["status", "log", "verify", "checkpoint"] {
        let mut command = place.command(&[verb]);
        if rustix::process::geteuid().is_root() {
            // Root may look at everything, so somebody else asks, from a folder that is open to all.
            command.uid(65_534).gid(65_534).current_dir("/");
        } else {
            std::fs::set_permissions(place.store(), std::fs::Permissions::from_mode(0o000)).unwrap();
        }
        let ran = ran(&command.output().unwrap()).ends(2);
        assert_eq!(
            ran.err,
            format!(
                "error: {}\n  because: Permission denied (os error 13)\n  \
                 help: run as the user that owns the store, or name another with --store\n",
                place.store().display()
            )
        );
    }
    std::fs::set_permissions(place.store(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_backup_is_whole_readable_and_without_a_key() {
    let place = Workplace::collected();
    let ran = place.run(&["backup", "../copy"]).ends(0);
    let origin = place.reader().origin().to_string();
    assert_eq!(
        ran.out,
        format!(
            "Copied 5 leaves of {origin} to ../copy.\n\
             The signing key is not in the copy: keep it elsewhere, and keep it safe.\n"
        )
    );
    assert!(!place.path("copy/key").exists());
    let secret = std::fs::read(place.store().join("key")).unwrap();
    for (path, bytes) in tree(&place.path("copy")) {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "{}",
            path.display()
        );
    }
    let key = place.run(&["key", "show"]).ends(0).out;
    place.run(&["verify", "../copy", "--key", key.trim_end()]).ends(0);

    // As on a medium that can't be written.
    for path in tree(&place.path("copy")).keys() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    std::fs::set_permissions(place.path("copy"), std::fs::Permissions::from_mode(0o500)).unwrap();
    place.run(&["verify", "../copy"]).ends(0);
    let shown = place
        .run(&["log", "--store", "../copy", "--format", "json"])
        .ends(0);
    assert_eq!(shown.json()["leaves"].as_array().unwrap().len(), 5);
    place
        .run(&["status", "--store", "../copy"])
        .ends(collected().ran.status);
    let refused = place.run(&["collect", "--once", "--store", "../copy"]).ends(4);
    assert!(
        refused.err.contains("key missing from ../copy"),
        "{}",
        refused.err
    );
    std::fs::set_permissions(place.path("copy"), std::fs::Permissions::from_mode(0o700)).unwrap();

    let ran = place.run(&["backup", "../copy"]).ends(2);
    assert_eq!(
        ran.err,
        "error: ../copy is not empty, and a backup overwrites nothing\n  \
         help: name a folder that is empty or does not exist\n"
    );
}

#[test]
fn completions_name_every_verb_in_every_shell() {
    let place = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(&["completions", shell]).ends(0).out;
        for verb in ["collect", "checkpoint", "recover"] {
            assert!(script.contains(verb), "{shell} lacks {verb}");
        }
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let place = Workplace::collected();
    let mut child = place
        .command(&["show", "3"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
