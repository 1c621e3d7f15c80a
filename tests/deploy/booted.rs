//! systemd's units in a systemd that was booted for them: started, reloaded, hung, killed, stopped.
//!
//! `boot/boot.sh` boots it in namespaces, over a layer that is thrown away; `boot/probe.sh` does things to the units in
//! there and notes what came of them. That needs root. Who runs the tests otherwise is told that nothing was tried,
//! unless `EVIDENCED_REQUIRE_SYSTEMD=1`, which asks `sudo` for root and fails where it can't be tried.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tools::{is_root, not_tried};

const UNITS: [(&str, &str); 3] = [
    (
        "evidenced.service",
        include_str!("../../deploy/systemd/evidenced.service"),
    ),
    (
        "evidenced-host.service",
        include_str!("../../deploy/systemd/evidenced-host.service"),
    ),
    (
        "evidenced-host.timer",
        include_str!("../../deploy/systemd/evidenced-host.timer"),
    ),
];
const PROBE: &str = include_str!("boot/probe.sh");

#[test]
fn the_units_do_in_a_booted_system_what_they_say() {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    lay_out(work.path());
    if let Err(why) = boot(work.path()) {
        not_tried("the units in a booted systemd", &why, "EVIDENCED_REQUIRE_SYSTEMD");
        return;
    }
    let read = |name: &str| fs::read_to_string(work.path().join("results").join(name)).unwrap_or_default();
    let (steps, journal) = (read("steps"), read("journal"));
    let failed: Vec<_> = steps.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(
        failed.is_empty(),
        "{}\n\nThe journal:\n{journal}",
        failed.join("\n")
    );
    // Each of them, in this order: none was left out.
    let done: Vec<_> = steps.lines().map(|line| &line["ok ".len()..]).collect();
    assert_eq!(done, steps_of_the_probe(), "{journal}");

    let log: Value = serde_json::from_str(&read("log.json")).unwrap();
    let seconds = |name: &str| read(name).trim().parse::<i64>().unwrap();
    let (begun, killed, back) = (seconds("begun"), seconds("killed"), seconds("back"));
    assert!(
        ticks(killed, back).next().is_some(),
        "no tick fell into the time in which it was killed: {killed} to {back}\n{journal}"
    );
    let accounted = accounted(&log);
    for tick in ticks(begun, back) {
        let times = accounted.get(&tick).copied().unwrap_or_default();
        assert_eq!(
            times, 1,
            "leaves that account for tick {tick}: begun {begun}, killed {killed}, back {back}\n{journal}"
        );
    }
}

/// What the scripts work with, in a folder.
fn lay_out(work: &Path) {
    let files = [
        ("boot.sh", include_str!("boot/boot.sh")),
        ("units/probe.service", include_str!("boot/probe.service")),
        ("units/probe.target", include_str!("boot/probe.target")),
        (
            "units/evidenced.service.d/faster.conf",
            include_str!("boot/faster.conf"),
        ),
        ("etc/probe/probe.sh", PROBE),
        ("etc/evidenced/config.toml", include_str!("boot/config.toml")),
    ];
    let units = UNITS.map(|(name, text)| (format!("units/{name}"), text));
    let files = files.map(|(name, text)| (name.to_owned(), text));
    for (name, text) in files.into_iter().chain(units) {
        let path = work.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for folder in ["layers", "root", "results", "cgroup"] {
        fs::create_dir(work.join(folder)).unwrap();
    }
}

/// Until the probe has powered it off; or why it did not get as far as the probe.
fn boot(work: &Path) -> Result<(), String> {
    let mut command = if is_root() {
        Command::new("unshare")
    } else if std::env::var_os("EVIDENCED_REQUIRE_SYSTEMD").is_some() {
        // Where this is not asked for, nobody's machine is meddled with.
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "--", "unshare"]);
        sudo
    } else {
        return Err("this needs root".to_owned());
    };
    command
        .args(["--mount", "--propagation", "private", "/bin/sh"])
        .arg(work.join("boot.sh"))
        .arg(work)
        .arg(env!("CARGO_BIN_EXE_evidenced"));
    let ended = command.stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if work.join("results/steps").exists() {
        return Ok(());
    }
    let said = [ended.stdout, ended.stderr].concat();
    Err(String::from_utf8_lossy(&said).trim().to_owned())
}

/// The steps that the probe goes through, as they stand in it.
fn steps_of_the_probe() -> Vec<&'static str> {
    let named = |line: &'static str| {
        let begun = line
            .strip_prefix("step ")
            .or_else(|| line.strip_prefix("echo \"ok "))?;
        begun.split([' ', '"']).next()
    };
    PROBE.lines().filter_map(named).collect()
}

/// Every ten seconds after `from` and up to `to`, in seconds since 1970: the ticks of the schedule.
fn ticks(from: i64, to: i64) -> impl Iterator<Item = i64> {
    (from.div_euclid(10) + 1..=to.div_euclid(10)).map(|tick| tick * 10)
}

/// How many leaves account for each tick, that is end it or say that it was missed.
fn accounted(log: &Value) -> BTreeMap<i64, u32> {
    let mut accounted = BTreeMap::new();
    for leaf in log["leaves"].as_array().unwrap() {
        let named = match leaf["kind"].as_str().unwrap() {
            "snapshot" | "failure" => vec![&leaf["tick"]],
            "missed" => vec![&leaf["ticks"]["first"], &leaf["ticks"]["last"]],
            _ => Vec::new(),
        };
        let times: Vec<_> = named.into_iter().filter_map(Value::as_str).map(seconds).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            continue;
        };
        for tick in ticks(first - 1, *last) {
            *accounted.entry(tick).or_default() += 1;
        }
    }
    accounted
}

/// Seconds since 1970 of a time of day in UTC, by `date`.
fn seconds(time: &str) -> i64 {
    let output = Command::new("date")
        .args(["--utc", "+%s", "--date", time])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{time} is no time"))
}

#[test]
fn ticks_are_counted_from_every_leaf_that_accounts_for_them() {
    let log = serde_json::json!({"leaves": [
        {"kind": "snapshot", "tick": null},
        {"kind": "snapshot", "tick": "1970-01-01T00:01:00Z"},
        {"kind": "failure", "tick": "1970-01-01T00:01:10.000Z"},
        {"kind": "missed", "ticks": {"first": "1970-01-01T00:01:30Z", "last": "1970-01-01T00:01:50Z", "count": 3}},
        {"kind": "plan"},
    ]});
    let expected = [60, 70, 90, 100, 110].map(|tick| (tick, 1));
    assert_eq!(accounted(&log), BTreeMap::from(expected));
    assert_eq!(ticks(60, 69).count(), 0);
    assert_eq!(ticks(59, 60).collect::<Vec<_>>(), [60]);
}
