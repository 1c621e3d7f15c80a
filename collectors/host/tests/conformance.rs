//! `host.baseline` over recorded machines: the contract's suite, and the facts that an auditor would look for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod recording;

use evidenced_collector_api::{Resource, Run, Snapshot};
use recording::{Recorded, TestClock, collector, snapshot};
use serde_json::{Value, json};

fn find<'a>(snapshot: &'a Snapshot, kind: &str, id: &str) -> &'a Resource {
    snapshot
        .resources
        .iter()
        .find(|resource| resource.kind == kind && resource.id == id)
        .unwrap_or_else(|| panic!("no {kind} {id}"))
}

fn ids(snapshot: &Snapshot, kind: &str) -> Vec<String> {
    let of_kind = snapshot.resources.iter().filter(|resource| resource.kind == kind);
    let mut ids: Vec<_> = of_kind.map(|resource| resource.id.clone()).collect();
    ids.sort();
    ids
}

#[track_caller]
fn known(resource: &Resource, expected: &Value) {
    for (attribute, value) in expected.as_object().unwrap() {
        assert_eq!(
            resource.attributes.get(attribute),
            Some(value),
            "{} {} {attribute}: {:?}",
            resource.kind,
            resource.id,
            resource.unknown.get(attribute)
        );
    }
}

#[track_caller]
fn unknown(resource: &Resource, attribute: &str, part: &str) {
    let reason = resource.unknown.get(attribute).unwrap_or_else(|| {
        panic!(
            "{} {} {attribute} is {:?}",
            resource.kind,
            resource.id,
            resource.attributes.get(attribute)
        )
    });
    assert!(reason.contains(part), "{attribute}: {reason}");
}

#[tokio::test]
async fn a_hardened_server_is_known_in_full() {
    let found = snapshot(Recorded::open("debian-luks"), "").await;
    assert!(
        found.provenance.completeness.complete,
        "{}",
        found.provenance.completeness.basis
    );
    let system = find(&found, "host.system", "db1");
    known(
        system,
        &json!({"os_id": "debian", "os_version": "12", "container": false, "virtual_machine": false}),
    );
    assert_eq!(
        ids(&found, "host.mount"),
        ["/", "/boot", "/boot/efi", "/srv/data one"]
    );
    known(
        find(&found, "host.mount", "/"),
        &json!({"data": true, "encrypted": true, "fs_type": "ext4"}),
    );
    known(
        find(&found, "host.mount", "/srv/data one"),
        &json!({"data": true, "encrypted": true}),
    );
    known(
        find(&found, "host.mount", "/boot"),
        &json!({"data": false, "encrypted": false}),
    );
    assert_eq!(ids(&found, "host.account"), ["ada", "backup2", "root", "sync"]);
    known(
        find(&found, "host.account", "ada"),
        &json!({"uid": 1000, "login_shell": true, "password_state": "set"}),
    );
    known(
        find(&found, "host.account", "backup2"),
        &json!({"uid": 0, "login_shell": false, "password_state": "locked"}),
    );
    known(
        find(&found, "host.account", "sync"),
        &json!({"login_shell": true, "shell_listed": false}),
    );
    known(
        find(&found, "host.account_sources", "nsswitch"),
        &json!({"local_only": true}),
    );
    known(
        find(&found, "host.sshd", "sshd"),
        &json!({"installed": true, "running": true, "running_how": "process", "permit_root_login": "no",
            "password_authentication": false, "kbd_interactive_authentication": false, "max_auth_tries": 3,
            "x11_forwarding": false, "permit_empty_passwords": false, "match_blocks": 1}),
    );
    assert_eq!(
        ids(&found, "host.listener"),
        [
            "tcp/0.0.0.0:22",
            "tcp/0.0.0.0:443",
            "tcp/[::]:22",
            "udp/0.0.0.0:51820",
            "udp/127.0.0.1:323",
            "udp/[::1]:323"
        ]
    );
    known(
        find(&found, "host.listener", "tcp/0.0.0.0:443"),
        &json!({"process": "nginx", "port": 443, "loopback": false}),
    );
    unknown(
        find(&found, "host.listener", "udp/0.0.0.0:51820"),
        "process",
        "no process holds it",
    );
    known(
        find(&found, "host.time", "clock"),
        &json!({"synchronised": true, "service": "chrony", "offset_ms": 0.046}),
    );
    known(
        find(&found, "host.updates", "updates"),
        &json!({"reboot_required": false, "security_updates_pending": 0, "updates_pending": 2,
            "package_lists_as_of": "2026-02-28T18:12:07Z"}),
    );
    assert_eq!(found.provenance.caller["user"], "root");
}

#[tokio::test]
async fn a_cloud_machine_seen_without_root_admits_what_it_can_not_see() {
    let found = snapshot(Recorded::open("cloud-vm"), "name = \"web-1\"").await;
    assert!(
        found.provenance.completeness.complete,
        "{}",
        found.provenance.completeness.basis
    );
    known(
        find(&found, "host.system", "web-1"),
        &json!({"container": false, "virtual_machine": true, "virtualisation": "amazon"}),
    );
    unknown(
        find(&found, "host.mount", "/"),
        "encrypted",
        "below the host's sight",
    );
    assert_eq!(ids(&found, "host.mount"), ["/", "/boot", "/boot/efi"]);
    unknown(
        find(&found, "host.account", "ubuntu"),
        "password_state",
        "not allowed to look",
    );
    let sshd = find(&found, "host.sshd", "sshd");
    known(
        sshd,
        &json!({"installed": true, "running": true, "running_how": "socket activation", "match_blocks": 0}),
    );
    unknown(sshd, "permit_root_login", "sshd -T needs root");
    unknown(
        find(&found, "host.listener", "tcp/[::]:22"),
        "process",
        "not allowed to look",
    );
    known(
        find(&found, "host.listener", "tcp/127.0.0.1:9200"),
        &json!({"process": "evidenced", "loopback": true}),
    );
    known(
        find(&found, "host.updates", "updates"),
        &json!({"reboot_required": true, "reboot_required_since": "2026-02-20T06:31:02Z",
            "security_updates_pending": 2, "updates_pending": 3,
            "security_updates": ["libssl3t64 3.0.13-0ubuntu3.5", "openssl 3.0.13-0ubuntu3.5"]}),
    );
    let clock = find(&found, "host.time", "clock");
    known(
        clock,
        &json!({"synchronised": true, "service": "systemd-timesyncd"}),
    );
    unknown(clock, "offset_ms", "does not tell");
}

#[tokio::test]
async fn in_a_container_nothing_is_said_of_the_host() {
    let found = snapshot(Recorded::open("container"), "").await;
    assert!(!found.provenance.completeness.complete);
    assert!(found.provenance.completeness.basis.contains("inside a container"));
    let system = find(&found, "host.system", "4c1f0e2d3b5a");
    known(system, &json!({"container": true}));
    unknown(system, "kernel_release", "inside a container");
    for kind in ["host.mount", "host.account", "host.listener"] {
        assert!(ids(&found, kind).is_empty());
    }
    let others = ["host.sshd", "host.updates", "host.time", "host.account_sources"];
    for resource in found
        .resources
        .iter()
        .filter(|resource| others.contains(&resource.kind.as_str()))
    {
        assert!(resource.attributes.is_empty() && !resource.unknown.is_empty());
        assert!(
            resource
                .unknown
                .values()
                .all(|reason| reason.contains("inside a container"))
        );
    }
    assert_eq!(found.resources.len(), 5);
}

#[tokio::test]
async fn a_machine_with_a_directory_and_pending_updates_is_incomplete_and_shows_them() {
    let found = snapshot(Recorded::open("rpm-sssd"), "").await;
    let completeness = &found.provenance.completeness;
    assert!(!completeness.complete && completeness.basis.contains("accounts also come from sss"));
    known(
        find(&found, "host.account_sources", "nsswitch"),
        &json!({"databases": ["sss", "files", "systemd"], "local_only": false}),
    );
    known(
        find(&found, "host.account", "root"),
        &json!({"password_state": "set"}),
    );
    let sshd = find(&found, "host.sshd", "sshd");
    known(
        sshd,
        &json!({"permit_root_login": "prohibit-password", "match_blocks": 1, "max_auth_tries": 4,
            "match_settings": ["passwordauthentication yes"]}),
    );
    unknown(sshd, "password_authentication", "Match block");
    let updates = find(&found, "host.updates", "updates");
    known(
        updates,
        &json!({"reboot_required": true, "security_updates_pending": 3, "package_lists_as_of": "2026-02-27T03:11:05Z"}),
    );
    unknown(updates, "reboot_required_since", "does not tell");
    let clock = find(&found, "host.time", "clock");
    known(clock, &json!({"synchronised": false, "service": "chrony"}));
    unknown(
        find(&found, "host.mount", "/"),
        "encrypted",
        "below the host's sight",
    );
    assert_eq!(ids(&found, "host.mount"), ["/", "/boot"]);
}

#[tokio::test]
async fn layers_of_storage_are_followed_to_every_disk() {
    let found = snapshot(Recorded::open("storage"), "").await;
    let encrypted = |id: &str| {
        find(&found, "host.mount", id)
            .attributes
            .get("encrypted")
            .cloned()
    };
    assert_eq!(
        encrypted("/"),
        Some(json!(false)),
        "one of btrfs's devices is plain"
    );
    assert_eq!(
        encrypted("/srv/mirror"),
        Some(json!(true)),
        "a partition of RAID over LUKS"
    );
    assert_eq!(
        encrypted("/srv/half"),
        Some(json!(false)),
        "a volume over LUKS and a plain partition"
    );
    assert_eq!(encrypted("/srv/plain"), Some(json!(false)));
    assert_eq!(
        encrypted("/srv/sealed"),
        Some(json!(false)),
        "dm-verity does not encrypt"
    );
    unknown(
        find(&found, "host.mount", "/mnt/image"),
        "encrypted",
        "loop device",
    );
    unknown(find(&found, "host.mount", "/tank/db"), "encrypted", "ZFS");
    let points = [
        "/",
        "/mnt/image",
        "/srv/half",
        "/srv/mirror",
        "/srv/plain",
        "/srv/sealed",
        "/tank",
        "/tank/db",
    ];
    assert_eq!(ids(&found, "host.mount"), points);
    known(find(&found, "host.sshd", "sshd"), &json!({"installed": false}));
    assert_eq!(find(&found, "host.sshd", "sshd").attributes.len(), 1);
    assert!(find(&found, "host.sshd", "sshd").unknown.is_empty());
    known(
        find(&found, "host.account", "open"),
        &json!({"password_state": "none"}),
    );
    unknown(
        find(&found, "host.updates", "updates"),
        "security_updates_pending",
        "package manager is not read",
    );
    unknown(find(&found, "host.time", "clock"), "synchronised", "chronyc");
    known(
        find(&found, "host.account_sources", "nsswitch"),
        &json!({"databases": ["files"], "local_only": true}),
    );
}

#[tokio::test]
async fn a_data_mount_of_the_settings_that_is_not_there_is_shown() {
    let settings = "data_mounts = [\"/srv/data one\", \"/gone\", \"/run\"]";
    let found = snapshot(Recorded::open("debian-luks"), settings).await;
    known(find(&found, "host.mount", "/"), &json!({"data": false}));
    known(
        find(&found, "host.mount", "/srv/data one"),
        &json!({"data": true, "encrypted": true}),
    );
    known(
        find(&found, "host.mount", "/gone"),
        &json!({"data": true, "mounted": false}),
    );
    unknown(
        find(&found, "host.mount", "/gone"),
        "encrypted",
        "nothing is mounted there",
    );
    unknown(
        find(&found, "host.mount", "/run"),
        "encrypted",
        "not on a block device",
    );
}

#[tokio::test]
async fn password_hashes_leave_neither_shadow_nor_passwd() {
    for machine in recording::MACHINES {
        let found = snapshot(Recorded::open(machine), "").await;
        let mut all = serde_json::to_string(&found.resources).unwrap();
        all += &serde_json::to_string(&found.provenance).unwrap();
        for raw in &found.raw {
            all += &String::from_utf8_lossy(&raw.body);
        }
        assert!(!all.contains("NOTREAL"), "{machine}");
        let shadow = found
            .provenance
            .calls
            .iter()
            .find(|call| call.operation == "/etc/shadow");
        assert!(shadow.is_none_or(|call| call.body_sha256.is_none()));
    }
}

#[tokio::test]
async fn absent_and_not_allowed_are_told_apart_in_the_calls() {
    let found = snapshot(Recorded::open("cloud-vm"), "").await;
    let status = |operation: &str| {
        let call = found
            .provenance
            .calls
            .iter()
            .find(|call| call.operation == operation);
        call.unwrap().status.clone()
    };
    assert_eq!(status("/etc/shadow"), "EACCES");
    assert_eq!(status("/run/.containerenv"), "ENOENT");
    assert_eq!(status("/etc/passwd"), "ok");
    assert_eq!(status("chronyc -c tracking"), "not found");
    assert_eq!(status("systemctl is-active ssh.socket sshd.socket"), "exit 3");
}

#[tokio::test]
async fn check_says_what_is_missing_and_what_to_do() {
    let clock = TestClock::default();
    let lines = collector(Recorded::open("cloud-vm"), "")
        .check(&Run::begin(&clock))
        .await;
    let line = |tried: &str| &lines.iter().find(|(name, _)| name == tried).unwrap().1;
    assert!(line("run as root").as_ref().unwrap_err().contains("run as root"));
    assert!(line("see the host, not a container").is_ok());
    assert!(line("sshd -T").as_ref().unwrap_err().contains("needs root"));
    assert!(line("package lists").as_ref().unwrap().contains("2026-02-27"));
    assert!(line("time service").is_ok());
    let lines = collector(Recorded::open("container"), "")
        .check(&Run::begin(&clock))
        .await;
    assert!(lines.iter().any(|(_, found)| {
        found
            .as_ref()
            .is_err_and(|words| words.contains("on the host itself"))
    }));
}

#[test]
fn settings_of_another_name_are_refused() {
    let error = toml::from_str::<evidenced_collector_host::Settings>("data_mount = [\"/\"]").unwrap_err();
    assert!(error.message().contains("data_mount"));
}

#[tokio::test]
async fn every_attribute_is_explained_under_its_kind() {
    let page = include_str!("../README.md");
    for machine in recording::MACHINES {
        for resource in snapshot(Recorded::open(machine), "").await.resources {
            let heading = format!("## {}\n", resource.kind);
            let section = page
                .split_once(&heading)
                .unwrap()
                .1
                .split("\n## ")
                .next()
                .unwrap();
            for attribute in resource.attributes.keys().chain(resource.unknown.keys()) {
                assert!(
                    section.contains(&format!("`{attribute}`")),
                    "{} {attribute}",
                    resource.kind
                );
            }
        }
    }
}

#[tokio::test]
async fn another_network_namespace_than_process_1_is_not_the_whole() {
    let elsewhere = recording::Mishap::Text("net:[4026532999]");
    let found = snapshot(
        Recorded::open("debian-luks").with("/proc/self/ns/net", elsewhere),
        "",
    )
    .await;
    assert!(
        found
            .provenance
            .completeness
            .basis
            .contains("another network namespace")
    );
    assert!(!found.provenance.completeness.complete);
}
