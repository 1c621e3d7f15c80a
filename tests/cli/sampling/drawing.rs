//! What is drawn, what is said of it, and what is refused.

use serde_json::{Value, json};
use std::process::Command;

use evidenced::log::leaf::{Body, Missed, MissedReason, Ticks};
use evidenced::log::store::{Paths, Reader};

use super::log::{GITHUB, Log, a_day, at};
use super::with;
use crate::workplace::Workplace;

/// What Python draws by the documented method.
fn drawn_by_python(seed: &str, of: &str, count: u64, size: u64) -> Vec<u64> {
    let program = "import hashlib,sys\nseed,of,count,size=sys.argv[1],sys.argv[2],int(sys.argv[3]),int(sys.argv[4])\n\
        digest=lambda i: hashlib.sha256(f'{seed}:{of}:{count}:{i}'.encode()).digest()\n\
        print(sorted(range(1,count+1), key=digest)[:size])";
    let arguments = [
        seed.to_owned(),
        of.to_owned(),
        count.to_string(),
        size.to_string(),
    ];
    let output = Command::new("python3")
        .args(["-c", program])
        .args(arguments)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_draw_seals_its_population_first_and_is_the_one_that_anybody_draws() {
    let place = Workplace::new();
    let log = a_day(&place).await;
    let size = Reader::open(&Paths::new(place.store())).unwrap().size().unwrap();
    let sample = with(&[
        "sample",
        "pull-requests",
        "--seed",
        "über 1",
        "--size",
        "3",
        "--format",
        "json",
    ]);
    let first = place.run(&sample).ends(0).json();
    assert_eq!(
        (&first["population"]["seq"], &first["sample"]),
        (&json!(size), &json!(size + 1))
    );
    assert_eq!(first["population"]["sealed_before"], false);
    assert_eq!((&first["draw"], &first["earlier_draws"]), (&json!(1), &json!([])));
    let items = |shown: &Value| -> Vec<(u64, String)> {
        let items = shown["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                (
                    item["n"].as_u64().unwrap(),
                    item["id"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    let all = ["acme/a#2", "acme/a#3", "acme/a#4", "acme/b#1"];
    let expected: Vec<_> = drawn_by_python("über 1", "github.pull_request", 4, 3)
        .into_iter()
        .map(|n| (n, all[usize::try_from(n - 1).unwrap()].to_owned()))
        .collect();
    assert_eq!(items(&first), expected);
    // The list is there already, and the draw is the second, also with an edge of the period moved, and from one source only.
    let again = place.run(&sample).ends(0).json();
    assert_eq!(
        (&again["population"]["seq"], &again["sample"]),
        (&json!(size), &json!(size + 2))
    );
    assert_eq!(items(&again), expected);
    assert_eq!(
        (&again["draw"], &again["earlier_draws"][0]["sample"]),
        (&json!(2), &json!(size + 1))
    );
    let moved = [
        "sample",
        "pull-requests",
        "--seed",
        "2",
        "--source",
        "github",
        "--from",
        "2026-02-28",
        "--to",
        "2026-03-01",
        "--format",
        "json",
    ];
    let moved = place.run(&moved).ends(0).json();
    assert_eq!(
        (&moved["draw"], &moved["earlier_draws"][1]["same_list"]),
        (&json!(3), &json!(false))
    );
    // Ids are in blobs, positions in the leaf.
    let reader = Reader::open(&Paths::new(place.store())).unwrap();
    for seq in size..reader.size().unwrap() {
        let leaf = String::from_utf8(reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        assert!(!leaf.contains("acme/a#"), "{leaf}");
    }
    let Some(Body::Sample(leaf)) = reader.leaf(size + 1).unwrap().unwrap().body else {
        panic!("no sample")
    };
    assert_eq!(leaf.positions, Some(expected.iter().map(|(n, _)| *n).collect()));
    let listed = place
        .run(&["sample", "--list", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(listed["draws"].as_array().unwrap().len(), 3);
    place.run(&["verify"]).ends(0);
    // Another snapshot of the time makes another list.
    log.until("2026-03-02T06:00");
    log.pulls("acme/a", "2026-03-02T00:00", &[("acme/a#9", "10:00")])
        .await;
    let more = place.run(&sample).ends(0).json();
    assert_eq!(
        (&more["population"]["sealed_before"], &more["population"]["count"]),
        (&json!(false), &json!(5))
    );
    assert_eq!(more["draw"], 4);
}

#[tokio::test]
async fn a_draw_is_told_in_words_that_an_auditor_can_follow() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let login = Command::new("id").arg("-un").output().unwrap();
    let login = String::from_utf8(login.stdout).unwrap().trim().to_owned();
    let ran = place
        .run(&with(&[
            "sample",
            "pull-requests",
            "--seed",
            "4711",
            "--note",
            "Changes",
        ]))
        .ends(0);
    assert_eq!(ran.out, SAMPLE.replace("LOGIN", &login));
    let command = ran.out.lines().last().unwrap();
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let positions: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(positions, ["4", "3"], "as it was drawn");
    let shown = place.run(&["show", "17"]).ends(0).out;
    assert!(
        shown.contains(
            "gap acme/a of github  2026-03-01T06:00:00.000Z to 2026-03-01T12:00:00.000Z: a run failed"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("acme/b#1  github  acme/b  2026-03-01T11:00:00.000Z"),
        "{shown}"
    );
    let shown = place.run(&["show", "18"]).ends(0).out;
    assert!(shown.contains("seed        4711"), "{shown}");
    let list = place.run(&["log", "-n", "2"]).ends(0).out;
    assert!(
        list.contains("2 drawn from population 17, seed \"4711\", by"),
        "{list}"
    );
    assert!(
        list.contains("github.pull_request: 4 items from 2026-03-01T00:00Z to 2026-03-03T00:00Z, 1 gap")
            || list.contains("1 gap"),
        "{list}"
    );
}

const SAMPLE: &str = "\
population 17 (sealed now): 4 items of github.pull_request from 2026-03-01T00:00Z to 2026-03-02T00:00Z
sample 18: 2 of 4, drawn by LOGIN
draw     this is draw 1 on this population
seed     4711
size     2: 2 to 4 items, as of a quarterly control: usually 2
method   sha256-smallest: of each position i in the list, SHA-256 of \"SEED:POPULATION:COUNT:i\"; the smallest are drawn
for      Changes
note: the list may lack items: for 1 stretch of the period there is no complete evidence; `evidenced show 17` lists them

DRAW  N  ID        SOURCE  TARGET  TIME                      SNAPSHOT
1     4  acme/b#1  github  acme/b  2026-03-01T11:00:00.000Z  9
2     3  acme/a#4  github  acme/a  2026-03-01T17:00:00.000Z  11

To draw it again, by hand:
  for i in $(seq 4); do printf '%s:%s:%d:%d' '4711' github.pull_request 4 $i | sha256sum | sed \"s/-/$i/\"; done | sort | head -2
";

#[tokio::test]
async fn what_can_not_be_drawn_is_refused_and_nothing_is_written() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let before = place.reader().size().unwrap();
    let refused = |arguments: &[&str], what: &str| {
        let ran = place.run(&with(arguments)).ends(2);
        assert!(ran.err.contains(what), "{}", ran.err);
        assert!(ran.err.contains("help: "), "{}", ran.err);
    };
    refused(&["sample", "users", "--seed", " "], "--seed is empty");
    refused(&["sample", "users", "--seed", "1", "--size", "0"], "--size is 0");
    refused(
        &["sample", "commits", "--seed", "1"],
        "github.commit has no items in this period",
    );
    refused(
        &["sample", "pull-request", "--seed", "1"],
        "no plan in the log has a population \"pull-request\"",
    );
    refused(
        &["sample", "users", "--seed", "1", "--source", "aw"],
        "no plan in the log has a source \"aw\"",
    );
    refused(
        &["population", "users", "--csv", "--format", "json"],
        "two forms of the same",
    );
    let ran = place
        .run(&[
            "population",
            "users",
            "--from",
            "2026-03-02",
            "--to",
            "2026-03-01",
        ])
        .ends(2);
    assert!(ran.err.contains("--from is not before --to"), "{}", ran.err);
    let ran = place
        .run(&["population", "users", "--from", "2026-03-02"])
        .ends(2);
    assert!(ran.err.contains("give --from and --to"), "{}", ran.err);
    place.run(&with(&["sample", "users"])).ends(2);
    let ran = place.run(&["sample", "users", "--seed", "1"]).ends(2);
    assert!(ran.err.contains("no period is configured"), "{}", ran.err);
    assert_eq!(place.reader().size().unwrap(), before);
}

#[tokio::test]
async fn a_configured_period_is_meant_by_its_name_with_the_sources_in_its_scope() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    place.write(
        "evidenced.toml",
        "name = \"acme\"\n\
         [[source]]\nname = \"aws\"\ntype = \"host\"\n[source.collectors.\"host.baseline\"]\nschedule = \"@hourly\"\n\
         [[period]]\nname = \"day\"\nfrom = \"2026-03-01\"\nto = \"2026-03-01\"\ntimezone = \"UTC\"\nsources = [\"aws\"]\n",
    );
    let sample = [
        "sample", "users", "--period", "day", "--seed", "1", "--format", "json",
    ];
    let shown = place.run(&sample).ends(0).json();
    let population = &shown["population"];
    assert_eq!(
        (
            &population["from"],
            &population["to"],
            &population["sources"],
            &population["count"]
        ),
        (
            &json!("2026-03-01T00:00:00.000Z"),
            &json!("2026-03-02T00:00:00.000Z"),
            &json!(["aws"]),
            &json!(4)
        )
    );
    let Some(Body::Population(leaf)) = place.reader().leaf(17).unwrap().unwrap().body else {
        panic!("no population")
    };
    assert_eq!(leaf.period.as_deref(), Some("day"));
    // The only one that is configured is meant where none is named.
    let listed = place.run(&["population", "--format", "json"]).ends(0).json();
    let counts: Vec<_> = listed["populations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["count"])
        .collect();
    assert_eq!(counts, [4, 0, 0, 0]);
    let ran = place
        .run(&["population", "users", "--period", "day", "--source", "github"])
        .ends(2);
    assert!(
        ran.err
            .contains("the source \"github\" is not in the period's scope"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_list_is_sealed_before_a_seed_is_named_and_more_than_there_are_is_all() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let sealed = place.run(&with(&["population", "users", "--seal"])).ends(0).out;
    assert!(
        sealed.contains("population 17 is sealed: 4 items of aws.iam.user\n"),
        "{sealed}"
    );
    let again = place
        .run(&with(&["population", "users", "--seal", "--format", "json"]))
        .ends(0)
        .json();
    assert_eq!(again["sealed"], 17);
    let all = with(&[
        "sample", "users", "--seed", "7", "--size", "9", "--format", "json",
    ]);
    let all = place.run(&all).ends(0).json();
    assert_eq!(
        (&all["population"]["seq"], &all["population"]["sealed_before"]),
        (&json!(17), &json!(true))
    );
    assert_eq!(
        (&all["drawn"], &all["basis"]),
        (&json!(4), &json!("as asked; there are only 4"))
    );
    let reader = place.reader();
    let Some(Body::Sample(leaf)) = reader.leaf(18).unwrap().unwrap().body else {
        panic!("no sample")
    };
    assert_eq!((leaf.positions, leaf.drawn, leaf.size), (None, 4, 9));
}

#[tokio::test]
async fn a_period_that_is_not_over_is_said_so_and_ticks_that_were_missed_are_a_reason() {
    let place = Workplace::new();
    let log = Log::begun(&place).await;
    log.scope(GITHUB, "github", &["acme/a"]).await;
    log.until("10:00");
    log.pulls("acme/a", "2026-02-28T22:00", &[("acme/a#1", "09:00")])
        .await;
    log.until("16:00");
    let ticks = Ticks {
        first: at("11:00"),
        last: at("15:00"),
        count: 5,
    };
    let missed = Missed {
        collector: GITHUB.to_owned(),
        source: "github".to_owned(),
        target: None,
        ticks,
        reason: MissedReason::DaemonDown,
        note: None,
    };
    log.append(Body::Missed(missed)).await;
    log.pulls("acme/a", "15:30", &[]).await;
    let shown = place.run(&with(&["population", "pull-requests"])).ends(0).out;
    assert!(
        shown.contains("The period is not over: the log ends at 2026-03-01T16:00Z."),
        "{shown}"
    );
    assert!(
        shown.contains("acme/a of github  2026-03-01T10:00Z to 2026-03-01T15:30Z, 5 h 30 min: ticks were missed (the daemon was not running; leaf 4)"),
        "{shown}"
    );
    let told = with(&["population", "pull-requests", "--format", "json"]);
    let told = place.run(&told).ends(0).json();
    let population = &told["populations"][0];
    assert_eq!(
        (&population["over"], &population["whole"]),
        (&json!(false), &json!(false))
    );
    let text = place
        .run(&with(&["sample", "pull-requests", "--seed", "1"]))
        .ends(0)
        .out;
    for note in [
        "note: the list may lack items: for 1 stretch of the period there is no complete evidence",
        "note: the period was not over when the list was read: what came later is not in it",
    ] {
        assert!(text.contains(note), "{text}");
    }
}
