//! Where alerts go and when they wait, and what of a configuration can't.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveTime;

use super::*;
use crate::config::Config;
use crate::plan::{Lists, PlannedCollector, PlannedSource};

const SOURCES: &str = "
[[source]]
name = \"prod\"
type = \"aws\"
collectors.\"aws.iam.mfa\".schedule = \"0 * * * *\"
[[source]]
name = \"web\"
type = \"host\"
collectors.\"host.baseline\".schedule = \"0 * * * *\"
[[channel]]
name = \"on-call\"
type = \"pagerduty\"
[[channel]]
name = \"chat\"
type = \"slack\"
[[channel]]
name = \"mail\"
type = \"email\"
";

fn config(routes: &str) -> Config {
    let text = format!("{SOURCES}{routes}");
    Config::parse(text.as_bytes(), Some(Path::new("evidenced.toml"))).unwrap()
}

fn rules() -> Rules {
    let own = "
[[control]]
id = \"reviewed-yearly\"
statement = \"Somebody reviews access every year.\"
owner = \"people\"
criteria = [\"CC6.2\"]
tests = []
[[control]]
id = \"access-keys-renewed\"
enabled = false
reason = \"there are none\"
";
    Rules::shipped().unwrap().with(own).unwrap()
}

/// To whom an alert goes.
fn to(routes: &str, about: &About<'_>) -> String {
    let config = config(routes);
    let names = config
        .channels
        .iter()
        .map(|channel| channel.name.get_ref().as_str());
    recipients(names, &config.routes, &rules(), about).join(" ")
}

const ABOUT: About<'_> = About {
    control: None,
    event: Event::TestFailing,
    severity: Severity::High,
    source: Some("prod"),
    test: Some("aws-console-mfa"),
};

fn route(channels: &str, more: &str) -> String {
    format!("[[route]]\nchannels = [{channels}]\n{more}\n")
}

const REST: &str = "[[route]]\nchannels = [\"on-call\", \"chat\", \"mail\"]\nevents = [\"log_not_intact\"]\n";

#[test]
fn without_routes_all_but_the_low_goes_everywhere() {
    let medium = About {
        severity: Severity::Medium,
        ..ABOUT
    };
    assert_eq!(to("", &medium), "on-call chat mail");
    let low = About {
        severity: Severity::Low,
        source: None,
        test: None,
        ..ABOUT
    };
    assert_eq!(to("", &low), "");
    let all = route("\"on-call\", \"chat\", \"mail\"", "");
    assert_eq!(to(&all, &low), "on-call chat mail");
}

#[test]
fn an_alert_goes_to_every_route_it_fits_and_to_each_channel_once() {
    let routes = route("\"mail\", \"on-call\"", "severity = \"high\"") + &route("\"mail\", \"chat\"", "");
    assert_eq!(to(&routes, &ABOUT), "on-call chat mail");
    let medium = About {
        severity: Severity::Medium,
        ..ABOUT
    };
    assert_eq!(to(&routes, &medium), "chat mail");
    let critical = About {
        severity: Severity::Critical,
        ..ABOUT
    };
    assert_eq!(to(&routes, &critical), "on-call chat mail");
}

#[test]
fn an_alert_must_fit_all_that_a_route_asks_for() {
    let fits = |more: &str, about: &About<'_>| {
        let told = to(&(route("\"chat\"", more) + REST), about);
        assert!(told.is_empty() || told == "chat", "{told}");
        !told.is_empty()
    };
    for (more, expected) in [
        ("sources = [\"prod\"]", true),
        ("sources = [\"web\"]", false),
        ("sources = [\"web\", \"prod\"]", true),
        ("events = [\"test_failing\"]", true),
        ("events = [\"evidence_gap\"]", false),
        ("controls = [\"console-access-second-factor\"]", true),
        ("controls = [\"data-at-rest-encrypted\"]", false),
        ("criteria = [\"CC6.1\"]", true),
        ("criteria = [\"CC6.*\"]", true),
        ("criteria = [\"A1.*\"]", false),
        (
            "controls = [\"console-access-second-factor\"]\ncriteria = [\"CC6.1\"]",
            true,
        ),
        (
            "controls = [\"console-access-second-factor\"]\ncriteria = [\"CC9.*\"]",
            false,
        ),
        ("sources = [\"prod\"]\nevents = [\"evidence_gap\"]", false),
    ] {
        assert_eq!(fits(more, &ABOUT), expected, "{more}");
    }
    let nowhere = About {
        event: Event::DiskFilling,
        source: None,
        test: None,
        ..ABOUT
    };
    assert!(fits("", &nowhere));
    for more in [
        "sources = [\"prod\"]",
        "controls = [\"console-access-second-factor\"]",
        "criteria = [\"CC6.1\"]",
    ] {
        assert!(!fits(more, &nowhere), "{more}");
    }
    // What a control that is not in force names is no reason.
    let keys = About {
        test: Some("aws-key-age"),
        ..ABOUT
    };
    assert!(!fits("controls = [\"access-keys-renewed\"]", &keys));
}

/// What is told of a configuration under its rules.
fn told(routes: &str) -> String {
    let config = config(routes);
    let sources = config.sources.iter().map(|source| PlannedSource {
        name: source.name.as_str().to_owned(),
        vendor: source.vendor.get_ref().as_str().to_owned(),
        schedules: source
            .collectors
            .iter()
            .map(|entry| (entry.id.get_ref().as_str().to_owned(), "0 * * * *".to_owned()))
            .collect(),
        time_zones: BTreeMap::new(),
    });
    let collector = |kinds: &[&str]| PlannedCollector {
        by_provider: Vec::new(),
        version: "1".to_owned(),
        kinds: kinds.iter().map(ToString::to_string).collect(),
        volatile: Vec::new(),
    };
    let lists = Lists {
        sources: sources.collect(),
        collectors: BTreeMap::from([
            (
                "aws.iam.mfa".to_owned(),
                collector(&["aws.iam.user", "aws.iam.root", "aws.iam.access_key"]),
            ),
            (
                "host.baseline".to_owned(),
                collector(&["host.mount", "host.account"]),
            ),
        ]),
        maintenance: Vec::new(),
        rules: rules(),
    };
    let problems = unmatched(&config, &lists);
    let shown = problems.iter().map(|problem| {
        let shown = problem.to_string().replace("evidenced.toml:", "");
        // Lists of all there is change with the catalogue.
        let (shown, _) = shown.split_once("there are: ").unwrap_or((&shown, ""));
        let (shown, _) = shown.split_once("are served: ").unwrap_or((shown, ""));
        shown.trim_end().to_owned()
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_configuration_that_can_match_is_left_alone() {
    let all = "\"on-call\", \"chat\", \"mail\"";
    for more in [
        "",
        "controls = [\"console-access-second-factor\"]\ncriteria = [\"CC6.1\", \"A1.*\"]\nsources = [\"prod\", \"web\"]",
        "events = [\"disk_filling\"]",
        "events = [\"disk_filling\", \"test_failing\"]\nsources = [\"prod\"]",
        "criteria = [\"CC6.*\"]\nsources = [\"web\"]\nevents = [\"exception_ended\"]",
    ] {
        let more = more.replace(", \"A1.*\"", "");
        assert_eq!(told(&route(all, &more)), "", "{more}");
    }
    assert_eq!(told("[[owner]]\nname = \"people\"\ndigest = [\"mail\"]\n"), "");
}

#[test]
fn what_no_alert_can_fit_is_told() {
    let all = "\"on-call\", \"chat\", \"mail\"";
    // Where the route begins, after the sources and channels.
    let line = SOURCES.lines().count() + 1;
    let place = |down: usize, column: usize| format!("{}:{column}:", line + down);
    for (more, down, column, what) in [
        (
            "controls = [\"console-access-second-facto\"]",
            2,
            13,
            "no control \"console-access-second-facto\" is in force\n  help: did you mean \"console-access-second-factor\"?",
        ),
        (
            "controls = [\"access-keys-renewed\"]",
            2,
            13,
            "no control \"access-keys-renewed\" is in force\n  help:",
        ),
        (
            "criteria = [\"P8.1\"]",
            2,
            13,
            "no control in force serves this\n  help: criteria that",
        ),
        (
            "controls = [\"console-access-second-factor\"]\ncriteria = [\"CC6.2\"]",
            0,
            1,
            "no alert can fit this route: none of its controls serves one of its criteria\n  \
             help: an alert must fit all that a route asks for: make two routes of it",
        ),
        (
            "controls = [\"reviewed-yearly\"]",
            0,
            1,
            "no alert can fit this route: its controls have no tests\n  \
             help: only tests, and evidence that people owe, give rise to alerts: name controls that have some",
        ),
        (
            "criteria = [\"CC6.1\"]\nevents = [\"disk_filling\", \"evidence_gap\"]",
            0,
            1,
            "no alert can fit this route: its events are about no test, and so about no control\n  \
             help: leave out controls and criteria, or make two routes of it",
        ),
        (
            "sources = [\"prod\"]\nevents = [\"disk_filling\", \"log_not_intact\"]",
            0,
            1,
            "no alert can fit this route: its events are about no source\n  \
             help: leave out sources, or make two routes of it",
        ),
        (
            "controls = [\"console-access-second-factor\"]\nsources = [\"web\"]",
            0,
            1,
            "no alert can fit this route: nothing is collected from its sources that a test of its controls is about\n  \
             help: an alert must fit all that a route asks for: leave out one, or make two routes of it",
        ),
    ] {
        let expected = format!("{} {what}", place(down, column));
        assert_eq!(told(&route(all, more)), expected, "{more}");
    }
    assert_eq!(
        told("[[owner]]\nname = \"poeple\"\ndigest = [\"mail\"]\n"),
        format!(
            "{} no control in force has this owner\n  help: did you mean \"people\"?",
            place(1, 8)
        )
    );
}

fn quiet(from: &str, to: &str, zone: chrono_tz::Tz, weekends: bool) -> Quiet {
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
    Quiet {
        from: time(from),
        to: time(to),
        zone,
        weekends,
    }
}

fn until(quiet: &Quiet, now: &str) -> Option<String> {
    let until = quiet_until(quiet, Severity::High, now.parse().unwrap())?;
    Some(until.format("%FT%TZ").to_string())
}

const BERLIN: chrono_tz::Tz = chrono_tz::Europe::Berlin;

#[test]
fn what_is_not_critical_waits_for_the_morning() {
    let night = quiet("22:00", "07:00", BERLIN, false);
    // In winter Berlin is an hour ahead.
    for (now, expected) in [
        ("2026-11-24T20:59:59.999Z", None),
        ("2026-11-24T21:00:00Z", Some("2026-11-25T06:00:00Z")),
        ("2026-11-24T23:30:00.5Z", Some("2026-11-25T06:00:00Z")),
        ("2026-11-25T05:59:59.999Z", Some("2026-11-25T06:00:00Z")),
        ("2026-11-25T06:00:00Z", None),
        ("2026-07-01T05:00:00Z", None),
        ("2026-07-01T04:59:00Z", Some("2026-07-01T05:00:00Z")),
    ] {
        assert_eq!(until(&night, now).as_deref(), expected, "{now}");
    }
    let now = "2026-11-24T23:30:00Z".parse().unwrap();
    assert_eq!(quiet_until(&night, Severity::Critical, now), None);
    for severity in [Severity::High, Severity::Medium, Severity::Low] {
        assert!(quiet_until(&night, severity, now).is_some());
    }
    let noon = quiet("12:00", "13:30", chrono_tz::UTC, false);
    assert_eq!(
        until(&noon, "2026-11-24T12:00:00Z").as_deref(),
        Some("2026-11-24T13:30:00Z")
    );
    assert_eq!(until(&noon, "2026-11-24T11:59:59Z"), None);
}

#[test]
fn a_weekend_is_quiet_from_friday_night_to_monday_morning() {
    let with_weekends = quiet("22:00", "07:00", BERLIN, true);
    for (now, expected) in [
        ("2026-11-27T20:00:00Z", None),
        ("2026-11-27T21:30:00Z", Some("2026-11-30T06:00:00Z")),
        ("2026-11-28T12:00:00Z", Some("2026-11-30T06:00:00Z")),
        ("2026-11-29T23:30:00Z", Some("2026-11-30T06:00:00Z")),
        ("2026-11-30T06:00:00Z", None),
    ] {
        assert_eq!(until(&with_weekends, now).as_deref(), expected, "{now}");
    }
    let days = quiet("12:00", "13:00", BERLIN, true);
    assert_eq!(
        until(&days, "2026-11-28T11:30:00Z").as_deref(),
        Some("2026-11-29T23:00:00Z")
    );
    let week = quiet("22:00", "07:00", BERLIN, false);
    assert_eq!(until(&week, "2026-11-28T12:00:00Z"), None);
}

#[test]
fn nights_in_which_the_clock_changes_end_when_clocks_say_so() {
    let night = quiet("22:00", "07:00", BERLIN, false);
    // Forward at two on 29 March 2026, back at three on 25 October.
    assert_eq!(
        until(&night, "2026-03-28T22:00:00Z").as_deref(),
        Some("2026-03-29T05:00:00Z")
    );
    assert_eq!(
        until(&night, "2026-10-24T21:00:00Z").as_deref(),
        Some("2026-10-25T06:00:00Z")
    );
    // An end that no clock shows: it jumps from two to three.
    let skipped = quiet("22:00", "02:30", BERLIN, false);
    assert_eq!(
        until(&skipped, "2026-03-29T00:30:00Z").as_deref(),
        Some("2026-03-29T01:00:00Z")
    );
    // An end that clocks show twice: quiet again for half an hour.
    assert_eq!(
        until(&skipped, "2026-10-25T00:00:00Z").as_deref(),
        Some("2026-10-25T00:30:00Z")
    );
    assert_eq!(until(&skipped, "2026-10-25T00:45:00Z"), None);
    assert_eq!(
        until(&skipped, "2026-10-25T01:10:00Z").as_deref(),
        Some("2026-10-25T01:30:00Z")
    );
    // Half an hour's shift, and a day that Samoa never had.
    let lord_howe = quiet("22:00", "07:00", chrono_tz::Australia::Lord_Howe, false);
    assert_eq!(
        until(&lord_howe, "2026-10-03T14:00:00Z").as_deref(),
        Some("2026-10-03T20:00:00Z")
    );
    let samoa = quiet("22:00", "07:00", chrono_tz::Pacific::Apia, true);
    assert_eq!(
        until(&samoa, "2011-12-30T09:00:00Z").as_deref(),
        Some("2012-01-01T17:00:00Z")
    );
}
