//! What is read of alerts, channels, routes and owners, and what the user is told where it is wrong.

use std::path::Path;
use std::time::Duration;

use crate::config::{Config, ConfigError, Criteria};
use crate::control::{Criterion, Severity};
use crate::log::leaf::Event;

const SOURCE: &str =
    "[[source]]\nname = \"prod\"\ntype = \"host\"\ncollectors.\"host.baseline\".schedule = \"0 * * * *\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(
        format!("{text}{SOURCE}").as_bytes(),
        Some(Path::new("evidenced.toml")),
    )
}

fn told(text: &str) -> String {
    parse(text).map_or_else(
        |error| error.to_string().replace("evidenced.toml:", ""),
        |_| "accepted".to_owned(),
    )
}

fn channel(name: &str) -> String {
    format!("[[channel]]\nname = \"{name}\"\ntype = \"slack\"\n")
}

#[test]
fn what_is_written_is_read() {
    let config = parse(
        "[alerts]\nafter = 5\nreminder = \"12h\"\ngive_up = \"1d\"\nflood = 9\ndisk_days = 30\nnotice = \"14d\"\n\
         [alerts.quiet]\nfrom = \"22:30\"\nto = \"06:45\"\ntimezone = \"Europe/Berlin\"\nweekends = true\n\
         [alerts.digest]\nschedule = \"0 9 * * 5\"\ntimezone = \"Europe/Berlin\"\n\
         [[channel]]\nname = \"on-call\"\ntype = \"pagerduty\"\npersonal_data = true\nsettings = { a = 1 }\n\
         [[channel]]\nname = \"mail\"\ntype = \"email\"\n\
         [[route]]\nchannels = [\"on-call\", \"mail\"]\nseverity = \"high\"\ncontrols = [\"a-b\"]\n\
         criteria = [\"CC6.1\", \"A1.*\"]\nsources = [\"prod\"]\nevents = [\"test_failing\", \"evidence_gap\"]\n\
         [[owner]]\nname = \"Platform team\"\ndigest = [\"mail\"]\n",
    )
    .unwrap();
    let alerts = &config.alerts;
    assert_eq!((alerts.after, alerts.flood, alerts.disk_days), (5, 9, 30));
    assert_eq!(alerts.reminder, Duration::from_hours(12));
    assert_eq!(alerts.give_up, Duration::from_hours(24));
    assert_eq!(alerts.notice, Duration::from_hours(14 * 24));
    let quiet = alerts.quiet.unwrap();
    assert_eq!(
        (quiet.from.to_string(), quiet.to.to_string()),
        ("22:30:00".to_owned(), "06:45:00".to_owned())
    );
    assert_eq!((quiet.zone, quiet.weekends), (chrono_tz::Europe::Berlin, true));
    let schedule = &alerts.digest.as_ref().unwrap().schedule;
    let next = schedule.after("2026-11-22T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(next.to_rfc3339(), "2026-11-27T08:00:00+00:00");
    let [on_call, mail] = config.channels.as_slice() else {
        panic!("{:?}", config.channels)
    };
    assert_eq!(on_call.kind.get_ref().as_str(), "pagerduty");
    assert!(on_call.personal_data && !mail.personal_data);
    assert_eq!(
        on_call.settings.read::<toml::Table>().unwrap()["a"].as_integer(),
        Some(1)
    );
    assert!(mail.settings.read::<toml::Table>().unwrap().is_empty());
    let route = &config.routes[0];
    assert_eq!(route.channels.len(), 2);
    assert_eq!(route.severity, Severity::High);
    assert_eq!(route.controls[0].get_ref().as_str(), "a-b");
    assert_eq!(route.sources[0].get_ref().as_str(), "prod");
    let events: Vec<_> = route.events.iter().map(|event| *event.get_ref()).collect();
    assert_eq!(events, [Event::TestFailing, Event::EvidenceGap]);
    assert_eq!(config.owners[0].name.get_ref(), "Platform team");
}

#[test]
fn who_gets_a_digest_gets_it_on_monday_where_nothing_else_is_said() {
    let owner = "[[owner]]\nname = \"platform\"\ndigest = [\"mail\"]\n";
    for alerts in ["", "[alerts]\nafter = 3\n", "[alerts.digest]\n"] {
        let config = parse(&format!("{alerts}{}{owner}", channel("mail"))).unwrap();
        let schedule = config.alerts.digest.unwrap().schedule;
        let next = schedule.after("2026-11-22T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(next.to_rfc3339(), "2026-11-23T08:00:00+00:00");
    }
    assert_eq!(parse("").unwrap().alerts.digest, None);
}

#[test]
fn what_is_not_written_well_is_told() {
    assert_eq!(
        told(
            "[alerts]\nafter = 0\nreminder = \"5m\"\ngive_up = \"1y\"\nflood = 1\nnotice = 7\ntemplates = \"absent\"\n\
             [alerts.quiet]\nfrom = \"7:00\"\nto = \"24:00\"\ntimezone = \"Berlin\"\nweekends = \"yes\"\n\
             [alerts.digest]\nschedule = \"0 8 * *\"\nday = 1\n"
        ),
        "\
2:9: after is not a whole number from 1 to 100
  help: write after = 1, or up to 100
3:12: reminder is not a time from an hour to 30 days
  help: how often what nobody has acknowledged is told again: reminder = \"24h\"
4:11: give_up is not a time from a minute to 30 days
  help: how long a message is tried: give_up = \"3d\"
5:9: flood is not a whole number from 2 to 1000
  help: write flood = 2, or up to 1000
6:10: notice must be text, not a number
  help: write notice = \"7d\"
7:13: templates can't be read: entity not found
  help: name a folder, absolute or relative to the configuration file, that this user may read
9:8: from is not a time of day
  help: hours and minutes, in 24 hours: \"07:00\"
10:6: to is not a time of day
  help: hours and minutes, in 24 hours: \"07:00\"
11:12: timezone is not a time zone that the IANA database names
  help: timezone = \"Europe/Berlin\", or \"UTC\", which is the default
12:12: weekends must be true or false, not text
  help: write weekends = true, or weekends = false
14:12: schedule is not crontab's: there are 4 fields instead of 5, 6 or 7
  help: minute, hour, day of month, month and day of week, such as \"30 6 * * *\"; seconds may come before, and after both a year
15:1: unknown key \"day\" in [alerts.digest]
  help: known keys: schedule, timezone"
    );
    assert_eq!(
        told("[alerts.quiet]\nfrom = \"07:00\"\nto = \"07:00\"\n"),
        "3:6: to is the same as from\n  help: say when the quiet hours begin and when they end"
    );
}

#[test]
fn channels_routes_and_owners_that_are_not_written_well_are_told() {
    assert_eq!(
        told(
            "[[channel]]\nname = \"On Call\"\ntype = \"Slack\"\npersonal_data = 1\n[[channel]]\nsetings = { }\n\
             [[route]]\nchannels = []\nseverity = \"hihg\"\ncontrols = [\"A\"]\ncriteria = [\"CC6\", \"CC6*\", \"XX.*\"]\n\
             sources = [\"A b\"]\nevents = [\"test_fails\", 1]\n[[owner]]\nname = \"\"\n"
        ),
        "\
2:8: name is not in kebab case
  help: 1 to 64 of a-z and 0-9, in parts joined by single hyphens: name = \"on-call\"
3:8: type is not the type of a channel
  help: a type in a-z, 0-9 and underscore: type = \"slack\"
4:17: personal_data must be true or false, not a number
  help: write personal_data = true, or personal_data = false
5:1: no \"name\" in [[channel]]
  help: add name = \"on-call\"
5:1: no \"type\" in [[channel]]
  help: add what it is: type = \"slack\"
6:1: unknown key \"setings\" in [[channel]]
  help: did you mean \"settings\"? known keys: name, type, personal_data, settings
8:12: channels is empty, so nobody would be told
  help: write channels = [\"on-call\"]
9:12: severity is none of the words known here
  help: did you mean \"high\"? there are: critical, high, medium, low
10:13: controls is not a control's id
  help: a control's id in kebab case: controls = [\"console-access-second-factor\"]
11:13: criteria is neither a criterion nor a series of them
  help: a number, \"CC6.1\", or a series, \"CC6.*\"
11:20: criteria is neither a criterion nor a series of them
  help: a number, \"CC6.1\", or a series, \"CC6.*\"
11:28: criteria is neither a criterion nor a series of them
  help: a number, \"CC6.1\", or a series, \"CC6.*\"
12:12: sources is not in kebab case
  help: 1 to 64 of a-z and 0-9, in parts joined by single hyphens: name = \"this-machine\"
13:11: events is none of the words known here
  help: did you mean \"test_failing\"? there are: test_failing, test_unknown, setting_changed, scope_changed, \
collection_failing, evidence_gap, exception_ending, exception_ended, manual_due, manual_overdue, \
log_not_intact, disk_filling
13:25: events must be text, not a number
  help: write events = \"test_failing\"
14:1: no \"digest\" in [[owner]]
  help: add digest = [\"on-call\"]
15:8: name is empty, of several lines or over 200 bytes
  help: the owner as controls name it: name = \"platform\""
    );
}

#[test]
fn names_that_lead_nowhere_are_told() {
    assert_eq!(
        told(&format!(
            "{}{}{}[[route]]\nchannels = [\"on-cal\", \"b\"]\nsources = [\"prd\"]\n\
             [[owner]]\nname = \"x\"\ndigest = [\"zzz\"]\n",
            channel("on-call"),
            channel("b"),
            channel("mail")
        )),
        "\
2:8: no route goes to channel \"on-call\", so it would never be told anything
  help: name it in a [[route]], or as an owner's digest, or take it out
8:8: no route goes to channel \"mail\", so it would never be told anything
  help: name it in a [[route]], or as an owner's digest, or take it out
11:13: no such channel: \"on-cal\"
  help: did you mean \"on-call\"? there are: on-call, b, mail
12:12: no such source: \"prd\"
  help: did you mean \"prod\"? there are: prod
15:11: no such channel: \"zzz\"
  help: there are: on-call, b, mail"
    );
    assert_eq!(
        told("[[route]]\nchannels = [\"a\"]\n"),
        "2:13: no such channel: \"a\"\n  help: there are none"
    );
    assert_eq!(
        told(&format!("{}{}", channel("a"), channel("a"))),
        "5:8: a second channel is named \"a\"\n  help: routes go to a channel by its name: give each channel its own"
    );
    // Without routes, all go everywhere.
    assert_eq!(told(&channel("a")), "accepted");
    let digest = "[[owner]]\nname = \"x\"\ndigest = [\"b\"]\n[[route]]\nchannels = [\"a\"]\n";
    assert_eq!(
        told(&format!("{}{}{digest}", channel("a"), channel("b"))),
        "accepted"
    );
}

#[test]
fn a_folder_of_templates_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let file = folder.path().join("evidenced.toml");
    let parse = |templates: &str| {
        let text = format!("[alerts]\ntemplates = \"{templates}\"\n{SOURCE}");
        Config::parse(text.as_bytes(), Some(&file))
    };
    assert_eq!(
        parse(".").unwrap().alerts.templates,
        Some(folder.path().join("."))
    );
    let refused = parse("file").unwrap_err().to_string();
    assert!(refused.contains(":2:13: templates is a file\n"), "{refused}");
}

#[test]
fn a_series_of_criteria_is_all_that_begin_alike() {
    let included = |written: &str| {
        let criteria: Criteria = written.parse().unwrap();
        Criterion::all()
            .filter(|criterion| criteria.include(*criterion))
            .map(Criterion::number)
            .collect::<Vec<_>>()
    };
    assert_eq!(included("CC6.1"), ["CC6.1"]);
    assert_eq!(included("A1.*"), ["A1.1", "A1.2", "A1.3"]);
    assert_eq!(included("C1.*"), ["C1.1", "C1.2"]);
    assert_eq!(included("CC6.*").len(), 8);
    for wrong in ["", "*", "CC*", "CC6", "CC6.9", "cc6.1", "CC6.*.*", "Q1.*"] {
        assert!(wrong.parse::<Criteria>().is_err(), "{wrong}");
    }
}
