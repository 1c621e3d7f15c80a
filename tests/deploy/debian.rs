//! The Debian package: made around the program that was just compiled, and looked into.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::tools::{in_path, not_tried, output};

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/debian/build");
const INSTRUCTIONS: [&str; 3] = [
    include_str!("../../deploy/debian/postinst"),
    include_str!("../../deploy/debian/prerm"),
    include_str!("../../deploy/debian/postrm"),
];

fn build(folder: &Path) -> String {
    let mut command = Command::new(BUILD);
    command
        .arg(env!("CARGO_BIN_EXE_evidenced"))
        .arg(folder)
        .arg("-Znone")
        .env("SOURCE_DATE_EPOCH", "1700000000");
    let output = output(&mut command).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn dpkg_deb(arguments: &[&str]) -> String {
    let output = output(Command::new("dpkg-deb").args(arguments)).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_holds_what_it_should_and_is_the_same_each_time() {
    if in_path("dpkg-deb").is_none() {
        return not_tried(
            "the Debian package",
            "there is no dpkg-deb",
            "EVIDENCED_REQUIRE_DEBIAN",
        );
    }
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let package = build(one.path());
    let again = build(other.path());
    assert!(
        output(Command::new("cmp").args([&package, &again])).is_ok(),
        "two builds differ"
    );

    let field = |name: &str| dpkg_deb(&["--field", &package, name]).trim().to_owned();
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    let depends = field("Depends");
    assert!(depends.contains("libc6 (>= 2."), "{depends}");
    assert!(depends.contains("ca-certificates"), "{depends}");

    let contents = dpkg_deb(&["--contents", &package]);
    let entries: Vec<Vec<_>> = contents
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for entry in &entries {
        assert_eq!(entry[1], "root/root", "{entry:?}");
        let expected = match entry[5] {
            path if path.ends_with('/') => "drwxr-xr-x",
            "./usr/bin/evidenced" => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert_eq!(entry[0], expected, "{entry:?}");
    }
    let files: BTreeSet<_> = entries.iter().map(|entry| entry[5]).collect();
    for file in [
        "./etc/evidenced/",
        "./usr/bin/evidenced",
        "./usr/lib/systemd/system/evidenced.service",
        "./usr/lib/systemd/system/evidenced-host.service",
        "./usr/lib/systemd/system/evidenced-host.timer",
        "./usr/share/bash-completion/completions/evidenced",
        "./usr/share/doc/evidenced/changelog.gz",
        "./usr/share/doc/evidenced/copyright",
        "./usr/share/doc/evidenced/examples/config.toml",
        "./usr/share/fish/vendor_completions.d/evidenced.fish",
        "./usr/share/zsh/vendor-completions/_evidenced",
    ] {
        assert!(files.contains(file), "{file} is missing from\n{contents}");
    }
    // Neither a configuration that dpkg would ask about, nor anything in the store.
    for file in files {
        assert!(
            !file.starts_with("./etc/evidenced/") || file.ends_with('/'),
            "{file}"
        );
        assert!(!file.starts_with("./var"), "{file}");
    }
    its_files_are_those_that_were_packed(&package);
}

fn its_files_are_those_that_were_packed(package: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    dpkg_deb(&["--raw-extract", package, root]);
    let mut check = Command::new("md5sum");
    check
        .args(["--check", "--quiet", "DEBIAN/md5sums"])
        .current_dir(root);
    output(&mut check).unwrap_or_else(|error| panic!("{error}"));
    for (file, word) in [
        ("bash-completion/completions/evidenced", "complete -F"),
        ("zsh/vendor-completions/_evidenced", "#compdef evidenced"),
        (
            "fish/vendor_completions.d/evidenced.fish",
            "complete -c evidenced",
        ),
    ] {
        let text = std::fs::read_to_string(folder.path().join("usr/share").join(file)).unwrap();
        assert!(text.contains(word), "{file}");
    }
}

#[test]
fn installing_starts_nothing_and_removing_keeps_the_evidence() {
    for text in INSTRUCTIONS {
        for word in [
            "enable --now",
            "systemctl start",
            "restart evidenced-host",
            "rm -r",
            "rm -f",
        ] {
            assert!(
                !text.replace("disable --now", "").contains(word),
                "{word}: {text}"
            );
        }
        let mut shell = Command::new("sh");
        output(shell.args(["-n", "-c", text])).unwrap_or_else(|error| panic!("{error}"));
    }
}
