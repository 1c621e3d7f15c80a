//! Every kind of bad configuration, and what the user is told about it.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "[[source]]\nname = \"a\"\ntype = \"host\"\n[source.collectors.\"host.baseline\"]\nschedule = \"0 * * * *\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text.as_bytes(), Some(Path::new("evidenced.toml")))
}

/// What the user sees.
fn told(text: &str) -> String {
    parse(text).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

fn told_by<T: std::fmt::Debug>(result: Result<T, impl std::fmt::Display>) -> String {
    result.map_or_else(|error| error.to_string(), |value| format!("{value:?}"))
}

#[test]
fn the_embedded_default_collects_the_baseline_of_this_machine() {
    let config = Config::embedded().unwrap();
    assert_eq!(config.name.as_str(), "evidenced");
    assert_eq!((config.file, config.store_directory), (None, None));
    assert_eq!(config.control_files, Vec::new());
    assert_eq!(config.raw, KeepRaw::Changed);
    let [source] = config.sources.as_slice() else {
        panic!("one source, not {}", config.sources.len());
    };
    assert_eq!(source.name.as_str(), "this-machine");
    assert_eq!(source.vendor.get_ref().as_str(), "host");
    assert_eq!(source.settings.read::<toml::Table>().unwrap(), toml::Table::new());
    assert_eq!(source.collectors.len(), 1);
    assert_eq!(source.collectors[0].id.get_ref().as_str(), "host.baseline");
    assert_eq!(source.collectors[0].schedule.get_ref().as_str(), "0 * * * *");
    assert_eq!(config.alerts, Alerts::default());
    assert!(config.channels.is_empty() && config.routes.is_empty() && config.owners.is_empty());
}

#[test]
fn the_example_mentions_every_key() {
    for key in TOP_KEYS
        .iter()
        .chain(&STORE_KEYS)
        .chain(&super::daemon::DAEMON_KEYS)
        .chain(&super::daemon::MAINTENANCE_KEYS)
        .chain(&super::attachments::ATTACHMENTS_KEYS)
        .chain(&super::alerts::ALERTS_KEYS)
        .chain(&super::alerts::QUIET_KEYS)
        .chain(&super::alerts::DIGEST_KEYS)
        .chain(&super::channel::CHANNEL_KEYS)
        .chain(&super::channel::ROUTE_KEYS)
        .chain(&super::channel::OWNER_KEYS)
        .chain(&super::period::PERIOD_KEYS)
        .chain(&["type", "settings", "schedule", "timezone", "deadline"])
    {
        assert!(EMBEDDED.contains(key), "{key}");
    }
}

#[test]
fn what_is_written_is_read() {
    let config = Config::parse(
        format!(
            "name = \"acme\"\ncontrol_files = [\"controls.toml\", \"/c/d.toml\"]\n\
             [store]\ndirectory = \"store\"\nraw = \"always\"\n{GOOD}"
        )
        .as_bytes(),
        Some(Path::new("/etc/x/evidenced.toml")),
    )
    .unwrap();
    assert_eq!(config.name.as_str(), "acme");
    let controls: Vec<&Path> = config
        .control_files
        .iter()
        .map(|path| path.get_ref().as_path())
        .collect();
    assert_eq!(
        controls,
        [Path::new("/etc/x/controls.toml"), Path::new("/c/d.toml")]
    );
    assert_eq!(config.store_directory.as_deref(), Some(Path::new("/etc/x/store")));
    assert_eq!(config.raw, KeepRaw::Always);
}

#[test]
fn the_daemon_runs_as_it_is_told_to_and_says_what_it_is_not_told_well() {
    let text = "[daemon]\nlisten = \"127.0.0.1:9464\"\nruns = 9\njitter = \"0s\"\nstop_within = \"2m\"\n\
                [[maintenance]]\nfrom = \"2026-12-24T20:00:00Z\"\nto = \"2026-12-25T04:00:00+02:00\"\nreason = \"the move\"\n";
    let config = parse(&format!("{text}{GOOD}")).unwrap();
    assert_eq!(config.daemon.listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!((config.daemon.runs, config.daemon.runs_per_source), (9, 2));
    assert_eq!(config.daemon.jitter.as_secs(), 0);
    assert_eq!(config.daemon.stop_within.as_secs(), 120);
    assert_eq!(
        (config.maintenance[0].to - config.maintenance[0].from).num_hours(),
        6
    );
    let text = "[daemon]\nlisten = 9464\nruns = 0\njitter = \"2h\"\n\
                [[maintenance]]\nfrom = \"2026-12-24\"\nto = 2026-12-24T21:00:00Z\n";
    assert_eq!(
        told(&format!("{text}{GOOD}")),
        "\
evidenced.toml:2:10: listen must be text, not a number
  help: write listen = \"127.0.0.1:9464\"
evidenced.toml:3:8: runs is not a whole number from 1 to 64
  help: write runs = 1, or up to 64
evidenced.toml:4:10: jitter is not a time of at most an hour
  help: the most that a run may begin behind its tick: jitter = \"5m\", or \"0s\" for none
evidenced.toml:5:1: no \"reason\" in [[maintenance]]
  help: add reason = \"the rack moves\"
evidenced.toml:6:8: from is not an instant of RFC 3339
  help: date, time and offset: \"2026-12-24T22:00:00Z\"
evidenced.toml:7:6: to must be text, not a time
  help: write to = \"2026-12-24T22:00:00Z\""
    );
}

#[test]
fn the_digest_is_that_of_the_file_as_it_lies_on_the_disk() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    let config = parse(&text).unwrap();
    assert_eq!(config.text(), text);
    assert_eq!(config.digest(), <[u8; 32]>::from(Sha256::digest(text.as_bytes())));
}

#[test]
fn places_are_right_after_a_byte_order_mark_and_carriage_returns() {
    assert_eq!(
        told(&format!("\u{feff}nmae = \"x\"\r\n{}", GOOD.replace('\n', "\r\n"))),
        "evidenced.toml:1:1: unknown key \"nmae\" at the top level\n  \
         help: did you mean \"name\"? known keys: name, control_files, store, daemon, maintenance, attachments, alerts, channel, route, owner, period, source"
    );
}

#[test]
fn a_misspelt_key_is_one_problem_and_not_also_a_missing_one() {
    assert_eq!(
        told(&GOOD.replace("schedule", "shedule")),
        "evidenced.toml:5:1: unknown key \"shedule\" in [source.collectors.\"host.baseline\"]\n  \
         help: did you mean \"schedule\"? known keys: schedule, timezone, deadline"
    );
}

#[test]
fn all_problems_are_found_in_one_reading() {
    let text = "name = \"Acme\"\ncontrol_files = \"a\"\n[store]\nraw = 1\ndir = \"/x\"\n[[source]]\nname = \"A b\"\n\
                collectors = {}\n[[source]]\nname = \"b\"\ntype = \"Host\"\nsettings = []\n\
                [source.collectors.\"host.x\"]\nschedule = \" \"\n";
    assert_eq!(
        told(text),
        "\
evidenced.toml:1:8: name can't begin the log's origin
  help: 1 to 40 of a-z, 0-9, dot and hyphen, a letter or digit first: name = \"acme\"
evidenced.toml:2:17: control_files must be a list, not text
  help: write control_files = [\"controls.toml\"]
evidenced.toml:4:7: raw must be text, not a number
  help: write raw = \"changed\" or raw = \"always\"
evidenced.toml:5:1: unknown key \"dir\" in [store]
  help: did you mean \"directory\"? known keys: directory, raw
evidenced.toml:6:1: no \"type\" in [[source]]
  help: add the vendor: type = \"host\"
evidenced.toml:7:8: name is not in kebab case
  help: 1 to 64 of a-z and 0-9, in parts joined by single hyphens: name = \"this-machine\"
evidenced.toml:8:14: no collector reads this source
  help: add [source.collectors.\"host.baseline\"] with a schedule
evidenced.toml:11:8: type is not a vendor's name
  help: a vendor's name in a-z, 0-9 and underscore: type = \"host\"
evidenced.toml:12:12: settings must be a table, not a list
  help: write settings = { }, or [source.settings]
evidenced.toml:14:12: schedule is empty
  help: say when to collect, or remove the collector's section: schedule = \"0 * * * *\""
    );
}

#[test]
fn a_configuration_that_collects_nothing_is_refused() {
    let help = "\n  help: add a [[source]] with its collectors";
    let message = "evidenced.toml:1:1: no \"source\" at the top level".to_owned() + help;
    assert_eq!(told(""), message);
    assert_eq!(told("# nothing\n"), message);
    assert_eq!(
        told("source = []"),
        "evidenced.toml:1:10: the list of sources is empty, so nothing would be collected\n  \
         help: write [[source]], in two brackets, once for each source"
    );
    assert_eq!(
        told("[[source]]\nname = \"a\"\ntype = \"host\"\n"),
        "evidenced.toml:1:1: no \"collectors\" in [[source]]\n  \
         help: add [source.collectors.\"host.baseline\"] with a schedule"
    );
}

#[test]
fn single_brackets_around_source_are_explained() {
    assert_eq!(
        told("[source]\nname = \"a\"\n"),
        "evidenced.toml:1:1: source must be a list, not a table\n  \
         help: write [[source]], in two brackets, once for each source"
    );
}

#[test]
fn an_unquoted_collector_is_explained() {
    assert_eq!(
        told(&GOOD.replace("\"host.baseline\"", "host.baseline")),
        "evidenced.toml:4:20: \"host\" is not a collector's id\n  \
         help: vendor, dot, kind of evidence, in quotes: [source.collectors.\"host.baseline\"]"
    );
}

#[test]
fn names_and_files_given_twice_are_refused() {
    assert_eq!(
        told(&format!("{GOOD}{GOOD}")),
        "evidenced.toml:7:8: a second source is named \"a\"\n  \
         help: evidence is filed under the source's name: give each source its own"
    );
    assert_eq!(
        told(&format!("control_files = [\"c\", \"d\", \"c\", \"\", 4]\n{GOOD}")),
        "\
evidenced.toml:1:28: control_files names a file twice
  help: name each file once
evidenced.toml:1:33: control_files is empty or has a null character
  help: write a path, absolute or relative to the configuration file
evidenced.toml:1:37: control_files must be text, not a number
  help: write control_files = [\"controls.toml\"]"
    );
}

#[test]
fn broken_toml_is_located_and_its_lines_are_not_shown() {
    assert_eq!(
        told("name = hunter2\n[store\nraw = \"x\"\ntoken = \"hunter2\n"),
        "\
evidenced.toml:1:8: not valid TOML: string values must be quoted, expected literal string
  help: mend the syntax there; toml.io describes it
evidenced.toml:2:7: not valid TOML: unclosed table, expected `]`
  help: mend the syntax there; toml.io describes it"
    );
    assert_eq!(
        told("name = \"a\"\nname = \"b\"\n"),
        "evidenced.toml:2:1: not valid TOML: duplicate key\n  help: mend the syntax there; toml.io describes it"
    );
    assert_eq!(
        told(&format!("a = {}", "[".repeat(100_000))),
        "evidenced.toml:1:85: not valid TOML: cannot recurse further; max recursion depth met\n  help: mend the syntax there; toml.io describes it"
    );
}

#[test]
fn what_is_no_text_is_refused_with_its_place() {
    let result = Config::parse(b"name = \"\xffhunter2\"", Some(Path::new("evidenced.toml")));
    assert_eq!(
        told_by(result),
        "evidenced.toml:1:9: not UTF-8\n  \
         help: save the file as UTF-8; if it is no text at all, check the path"
    );
}

#[test]
fn a_file_without_end_is_refused() {
    assert_eq!(
        told_by(Config::load(Path::new("/dev/zero"))),
        "/dev/zero: over 1 MiB, which no configuration is\n  help: check the path"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    assert_eq!(
        told_by(Config::load(folder.path())),
        format!("{path}: a directory, not a file\n  help: name the file in it with --config")
    );
    assert_eq!(
        told_by(Config::load(&folder.path().join("none.toml"))),
        format!(
            "{path}/none.toml: no such file\n  \
             help: check the path: --config and $EVIDENCED_CONFIG name a file that exists"
        )
    );
    // Root may read everything, so the refusal is made rather than provoked.
    assert_eq!(
        unreadable(
            Path::new("a.toml"),
            &io::Error::from(io::ErrorKind::PermissionDenied)
        )
        .to_string(),
        "a.toml: permission denied\n  help: let the user that runs evidenced read the file and its folders"
    );
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are there to be missed or mistaken")]
struct VendorSettings {
    port: u16,
    mode: Option<Mode>,
    token: Option<crate::secret::SecretRef>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Fast,
}

/// What the user is told about a vendor's settings.
fn settings_told(settings: &str) -> String {
    let config = parse(&GOOD.replace("[source.", &format!("{settings}\n[source."))).unwrap();
    let source = &config.sources[0];
    match source.settings.read::<VendorSettings>() {
        Ok(_) => "accepted".to_owned(),
        Err(error) => config.settings_problem(source, &error).to_string(),
    }
}

#[test]
fn settings_are_located_in_the_configuration_and_never_quoted() {
    let listed = "\n  help: collectors/host/README.md lists the settings of this type";
    assert!(settings_told("").ends_with(listed));
    let told = |settings| {
        settings_told(settings)
            .replace("evidenced.toml:", "")
            .replace(listed, "")
    };
    assert_eq!(told("settings = { port = 1, mode = \"fast\" }"), "accepted");
    let source = "settings of source \"a\":";
    assert_eq!(told(""), format!("1:1: {source} missing field `port`"));
    assert_eq!(
        told("settings = { prot = 1 }"),
        format!("4:14: {source} unknown field `prot`, expected one of `port`, `mode`, `token`")
    );
    assert_eq!(
        told("settings = { port = \"hunter2\" }"),
        format!("4:21: {source} expected u16")
    );
    assert_eq!(
        told("[source.settings]\nport = 99999999"),
        format!("5:8: {source} expected u16")
    );
    assert_eq!(
        told("settings = { port = 1, mode = \"hunter2, expected x\" }"),
        format!("4:31: {source} expected `fast`")
    );
    assert_eq!(
        told("settings = { port = 1, token = \"hunter2\" }"),
        format!(
            "4:32: {source} a secret is written here, and must not be in a configuration\n  \
             help: say where it is: {{ env = \"NAME\" }}, {{ file = \"/path\" }} or {{ credential = \"NAME\" }}; \
             and replace the secret, since others may have read it"
        )
    );
}

#[test]
fn debug_shows_neither_text_nor_settings() {
    let text = GOOD.replace("[source.", "settings = { token = \"hunter2\" }\n[source.");
    let shown = format!("{:?}", parse(&text).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(Config::parse(&bytes, None));
    }

    #[test]
    fn no_change_to_the_example_makes_the_reading_panic_or_misplace_a_problem(
        at in 0..EMBEDDED.len(),
        length in 0_usize..60,
        replacement in prop_oneof![
            "[\\[\\]{}=\"'.,#\n\r a-z0-9ä]{0,12}".boxed(),
            proptest::sample::select(vec!["[[source]]\n", "name = 3\n", "\"\"\"", "a.b.c = ", "\u{feff}"])
                .prop_map(str::to_owned)
                .boxed(),
        ],
    ) {
        let (at, end) = (EMBEDDED.floor_char_boundary(at), EMBEDDED.floor_char_boundary(at + length));
        let text = format!("{}{replacement}{}", &EMBEDDED[..at], &EMBEDDED[end..]);
        match Config::parse(text.as_bytes(), None) {
            Ok(config) => prop_assert!(!config.sources.is_empty()),
            Err(error) => {
                let lines = text.matches('\n').count() + 1;
                for problem in error.problems() {
                    prop_assert!(problem.position.is_some_and(|at| (1..=lines).contains(&at.line)));
                    prop_assert!(!problem.message.contains('\n'));
                }
            }
        }
    }

    #[test]
    fn no_value_is_ever_told(position in 0_usize..7) {
        let mut values = ["acme", "changed", "a", "host", "x", "0 * * * *", "c"].map(|value| format!("\"{value}\""));
        values[position] = "\"Hunter2 \\u0000\"".to_owned();
        let [name, raw, source, vendor, setting, schedule, control] = values;
        let text = format!(
            "name = {name}\ncontrol_files = [{control}]\nstore.raw = {raw}\n[[source]]\nname = {source}\n\
             type = {vendor}\nsettings.a = {setting}\ncollectors.\"host.baseline\" = {{ schedule = {schedule}, a = 1 }}\n"
        );
        prop_assert!(!told(&text).contains("Hunter2"));
    }
}
