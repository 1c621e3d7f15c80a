//! One thing goes wrong at a time: what rests on it is unknown, everything else stays.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod recording;

use evidenced_collector_api::{Resource, Run, Snapshot, conformance};
use evidenced_collector_host::Fault;
use recording::{MACHINES, Mishap, Recorded, TestClock, collector, snapshot};
use std::collections::BTreeMap;

/// Facts that another source tells, less well, where the first does not.
const SECOND_SOURCES: &[(&str, &str)] = &[
    ("host.time", "how"),
    ("host.system", "container_how"),
    ("host.system", "virtualisation"),
];

fn by_id(snapshot: &Snapshot) -> BTreeMap<(&str, &str), &Resource> {
    let resources = snapshot.resources.iter();
    resources
        .map(|resource| ((resource.kind.as_str(), resource.id.as_str()), resource))
        .collect()
}

/// The operation under which a read is noted: those of processes are noted together.
fn operation(touched: &str) -> &str {
    let process = touched
        .strip_prefix("/proc/")
        .and_then(|rest| rest.split('/').next());
    let of_a_process = process.is_some_and(|pid| pid.bytes().all(|b| b.is_ascii_digit()));
    if touched == "/proc" || (of_a_process && touched != "/proc/1/environ") {
        "/proc/[pid]/{comm,cmdline,fd}"
    } else {
        touched
    }
}

fn rests_on(snapshot: &Snapshot, resource: &Resource, touched: &str) -> bool {
    let calls = &snapshot.provenance.calls;
    resource
        .call
        .iter()
        .any(|&call| calls[call].operation == operation(touched))
}

/// Whether the machine no longer knows that it is no container: then it says nothing at all.
fn confined(snapshot: &Snapshot) -> bool {
    let system = snapshot
        .resources
        .iter()
        .find(|resource| resource.kind == "host.system");
    system.is_some_and(|system| system.attributes.get("container") != Some(&false.into()))
}

/// Compares a run in which `touched` went wrong with a good one.
fn compare(good: &Snapshot, bad: &Snapshot, touched: &str, mishap: &Mishap) {
    let label = format!("{touched} {mishap:?}");
    if confined(bad) && !confined(good) {
        assert!(!bad.provenance.completeness.complete, "{label}");
        return;
    }
    let after = by_id(bad);
    for (id, before) in by_id(good) {
        let Some(now) = after.get(&id) else {
            // A kernel without IPv6 has no such table.
            let no_ipv6 = absent(mishap) && ["/proc/net/tcp6", "/proc/net/udp6"].contains(&touched);
            let told = !bad.provenance.completeness.complete;
            assert!(told || no_ipv6, "{label}: {id:?} is gone, and nothing says so");
            continue;
        };
        if !rests_on(good, before, touched) {
            assert_eq!(
                before.attributes, now.attributes,
                "{label}: {id:?} does not rest on it"
            );
            assert_eq!(before.unknown, now.unknown, "{label}: {id:?} does not rest on it");
        }
        for (attribute, value) in &before.attributes {
            let same = now.attributes.get(attribute) == Some(value);
            let explained = now
                .unknown
                .get(attribute)
                .is_some_and(|reason| !reason.is_empty());
            let second_source = SECOND_SOURCES.contains(&(id.0, attribute.as_str()));
            // What was read differently may be told differently, but only where something could be read.
            let read = matches!(mishap, Mishap::Text(_)) || absent(mishap);
            assert!(
                same || explained || read || second_source,
                "{label}: {id:?} {attribute} was {value}, is {now:?}"
            );
        }
    }
}

fn absent(mishap: &Mishap) -> bool {
    *mishap == Mishap::Fault(Fault::Absent)
}

/// One run only: there are thousands.
async fn once(machine: Recorded) -> Snapshot {
    let clock = TestClock::default();
    let run = Run::begin(&clock);
    let collector = collector(machine, "");
    let target = collector.targets(&run).await.unwrap().remove(0);
    let snapshot = collector.collect(&target, &run).await.unwrap();
    assert_eq!(
        conformance::snapshot_breaches(&snapshot, &run),
        Vec::<String>::new()
    );
    snapshot
}

async fn each(mishaps: &[Mishap]) {
    for name in MACHINES {
        let machine = Recorded::open(name);
        let good = snapshot(machine.clone(), "").await;
        let touched = machine.touched.lock().unwrap().clone();
        assert!(touched.len() > 5);
        for what in &touched {
            for mishap in mishaps {
                let bad = once(machine.clone().with(what, mishap.clone())).await;
                compare(&good, &bad, what, mishap);
            }
        }
    }
}

#[tokio::test]
async fn anything_that_may_not_be_read_makes_unknown_what_rests_on_it_and_nothing_else() {
    each(&[Mishap::Fault(Fault::Denied)]).await;
}

#[tokio::test]
async fn anything_that_hangs_or_never_ends_makes_unknown_what_rests_on_it_and_nothing_else() {
    each(&[
        Mishap::Fault(Fault::TimedOut),
        Mishap::Fault(Fault::TooLong),
        Mishap::Exit(255),
    ])
    .await;
}

#[tokio::test]
async fn anything_that_is_gone_or_garbage_breaks_nothing_else() {
    each(&[
        Mishap::Fault(Fault::Absent),
        Mishap::Text(""),
        Mishap::Text("\u{fffd}:::\0\n%s%n 7 x\n\n- - -\n"),
    ])
    .await;
}

#[tokio::test]
async fn garbage_in_what_a_pass_could_rest_on_is_never_taken_for_an_answer() {
    let apt = "apt-get -s -o Debug::NoLocking=1 -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= --ignore-hold \
               dist-upgrade";
    let places = [
        (apt, "host.updates", "security_updates_pending"),
        ("sshd -T", "host.sshd", "permit_root_login"),
        ("sshd -T", "host.sshd", "password_authentication"),
        ("/etc/nsswitch.conf", "host.account_sources", "local_only"),
    ];
    for text in ["", "garbage", "Inst\nnone\n0 ok\n"] {
        for (what, kind, attribute) in places {
            let bad = snapshot(Recorded::open("debian-luks").with(what, Mishap::Text(text)), "").await;
            let resource = bad
                .resources
                .iter()
                .find(|resource| resource.kind == kind)
                .unwrap();
            assert!(
                resource.unknown.contains_key(attribute),
                "{what} {text:?}: {resource:?}"
            );
        }
        for what in [
            "/etc/passwd",
            "/proc/self/mountinfo",
            "/proc/net/tcp",
            "/proc/net/udp6",
        ] {
            let bad = snapshot(Recorded::open("debian-luks").with(what, Mishap::Text(text)), "").await;
            assert!(!bad.provenance.completeness.complete, "{what} {text:?}");
        }
    }
}

#[tokio::test]
async fn without_lists_of_a_security_archive_no_count_is_given() {
    let lists = Mishap::Fault(Fault::Absent);
    let bad = snapshot(
        Recorded::open("debian-luks").with("/var/lib/apt/lists", lists),
        "",
    )
    .await;
    let updates = bad
        .resources
        .iter()
        .find(|resource| resource.kind == "host.updates")
        .unwrap();
    assert!(updates.unknown.contains_key("security_updates_pending"));
    assert!(updates.unknown.contains_key("package_lists_as_of"));
    let user = snapshot(Recorded::open("rpm-sssd").run_by(1000), "").await;
    let updates = user
        .resources
        .iter()
        .find(|resource| resource.kind == "host.updates")
        .unwrap();
    assert!(updates.unknown["security_updates_pending"].contains("root only"));
}
