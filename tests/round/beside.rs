//! A test that is worded otherwise within a period: what each wording says of all of it, counted again from what was planted.

use chrono::{DateTime, TimeDelta, Utc};

use evidenced::exception;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{Body, Exception, Role};
use evidenced::log::start;
use evidenced::log::store::Reader;
use evidenced::period::beside::Verdict;
use evidenced::period::window::Window;
use evidenced::summary::{self, Beside, Summary};
use evidenced_collector_api::Resource;

use crate::fake::{Answer, Bench, RULES};

/// What the test says in the rules that these are made of.
const SAFE: &str = "passes = \"resource.safe\"";

fn rules(passes: &str) -> String {
    let rules = RULES.replace(SAFE, &format!("passes = \"{passes}\""));
    let example = rules.find("example = ").unwrap();
    let rest = rules[example..].find('\n').unwrap();
    let examples = "example = [{ given = { size = 0, age = 0 }, outcome = \"pass\" }, \
        { given = { size = 99, age = 99 }, outcome = \"fail\" }]";
    format!("{}{examples}{}", &rules[..example], &rules[example + rest..])
}

fn thing(id: &str, size: i64, age: i64) -> Resource {
    Resource::new("fake.thing", id, id, 0)
        .with("size", size)
        .with("age", age)
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn read(reader: &Reader) -> Summary {
    let window = Window {
        name: None,
        from: time("2026-03-01T00:00:00Z"),
        to: time("2026-04-01T00:00:00Z"),
        zone: chrono_tz::UTC,
        criteria: Vec::new(),
        sources: Vec::new(),
    };
    summary::read(&start::hold(reader).unwrap(), window).unwrap()
}

fn beside(summary: &Summary) -> &Beside {
    summary.tests[0].beside.as_ref().unwrap()
}

/// Size and age of x and y at each of sixteen looks.
fn planted() -> Vec<[(i64, i64); 2]> {
    (0..16)
        .map(|look: i64| [(look % 7, (look * 5) % 11), ((look * 3) % 8, look % 4)])
        .collect()
}

/// Lives through the looks, six hours apart; before each of these, the test is worded so.
async fn lived(bench: &mut Bench, wordings: &[(usize, &str)]) {
    for (look, things) in planted().into_iter().enumerate() {
        if let Some((_, passes)) = wordings.iter().find(|(at, _)| *at == look) {
            bench.rules(&rules(passes)).await;
        }
        let [x, y] = things;
        bench.holds([("a", Answer::seen([thing("x", x.0, x.1), thing("y", y.0, y.1)]))]);
        bench.run().await;
        bench.clock.forward(TimeDelta::hours(6));
    }
    end(bench).await;
}

/// The log goes on behind the last look: nobody could be asked.
async fn end(bench: &Bench) {
    bench.world.lock().unwrap().answers = None;
    bench.run().await;
}

/// What a wording says of a thing.
type Passes = fn((i64, i64)) -> bool;

/// What is shown is what counting by hand gives: looks passed and failed, and findings and resources that differ.
fn same_as_by_hand(beside: &Beside, wordings: &[Passes], in_force: impl Fn(usize) -> usize) {
    assert_eq!(beside.wordings.len(), wordings.len());
    for (row, passes) in beside.wordings.iter().zip(wordings) {
        let (mut passed, mut fails, mut well) = (0, Vec::new(), Vec::new());
        for (look, things) in planted().into_iter().enumerate() {
            passed += u64::from(things.iter().all(|thing| passes(*thing)));
            let then = wordings[in_force(look)];
            for (name, thing) in ["x", "y"].into_iter().zip(things) {
                match (passes(thing), then(thing)) {
                    (false, true) => fails.push(name),
                    (true, false) => well.push(name),
                    _ => {}
                }
            }
        }
        let of = &row.observations;
        assert_eq!(
            (of.taken, of.passed, of.failed),
            (16, passed, 16 - passed),
            "{}",
            row.passes
        );
        for (shown, mut truth) in [(&row.fails_where_passed, fails), (&row.passes_where_failed, well)] {
            assert_eq!(shown.findings, truth.len() as u64, "{}", row.passes);
            truth.sort_unstable();
            truth.dedup();
            assert_eq!(shown.resources, truth.len() as u64);
            let mut named: Vec<_> = shown.named.iter().map(|named| named.resource.as_str()).collect();
            named.sort_unstable();
            assert_eq!(named, truth);
        }
    }
}

const MILD: &str = "resource.size < 6";
const STRICT: &str = "resource.size < 3";
const OTHER: &str = "resource.age < 4";

fn mild(thing: (i64, i64)) -> bool {
    thing.0 < 6
}

fn strict(thing: (i64, i64)) -> bool {
    thing.0 < 3
}

fn other(thing: (i64, i64)) -> bool {
    thing.1 < 4
}

async fn after(wordings: &[(usize, &str)]) -> (tempfile::TempDir, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::with_rules(folder.path(), &rules(wordings[0].1)).await;
    lived(&mut bench, wordings).await;
    let shown = read(&bench.reader);
    (folder, shown)
}

#[tokio::test]
async fn a_wording_that_becomes_stricter_is_tried_on_all_that_was_before_it() {
    let (_folder, shown) = after(&[(0, MILD), (9, STRICT)]).await;
    let beside = beside(&shown);
    same_as_by_hand(beside, &[mild, strict], |look| usize::from(look >= 9));
    assert_eq!(beside.comparison, Verdict::Stricter);
    let stricter: Vec<bool> = beside.wordings.iter().map(|row| row.stricter).collect();
    assert_eq!(stricter, [false, true]);
    assert!(
        beside.wordings[1].fails_where_passed.findings > 3,
        "there is something to find"
    );
    assert_eq!(
        beside.wordings[0].coverage_percent,
        beside.wordings[1].coverage_percent
    );
    assert_eq!(beside.wordings[0].from, shown.tests[0].versions[0].from);
}

#[tokio::test]
async fn a_wording_that_becomes_milder_hides_nothing_and_one_that_returns_is_one() {
    let (_folder, shown) = after(&[(0, STRICT), (5, MILD), (12, STRICT)]).await;
    let beside = beside(&shown);
    same_as_by_hand(beside, &[strict, mild], |look| {
        usize::from((5..12).contains(&look))
    });
    assert_eq!(beside.comparison, Verdict::Stricter);
    assert!(beside.wordings[0].stricter && !beside.wordings[1].stricter);
    assert_eq!(
        (beside.wordings[0].plans.len(), shown.tests[0].versions.len()),
        (2, 3)
    );
}

#[tokio::test]
async fn of_wordings_that_each_fail_something_of_their_own_neither_is_stricter() {
    let (_folder, shown) = after(&[(0, MILD), (6, OTHER), (11, STRICT)]).await;
    let beside = beside(&shown);
    let in_force = |look| usize::from(look >= 6) + usize::from(look >= 11);
    same_as_by_hand(beside, &[mild, other, strict], in_force);
    assert_eq!(beside.comparison, Verdict::Neither);
    assert!(!beside.wordings.iter().any(|row| row.stricter));
}

#[tokio::test]
async fn how_long_evidence_speaks_changes_what_is_covered_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::with_rules(folder.path(), &rules(MILD)).await;
    lived(&mut bench, &[]).await;
    bench.rules(&rules(MILD).replace("26h", "3h")).await;
    bench.clock.forward(TimeDelta::hours(1));
    let short = rules(MILD).replace("26h", "3h").replace("\"high\"", "\"low\"");
    bench.rules(&short).await;
    let shown = read(&bench.reader);
    let beside = beside(&shown);
    same_as_by_hand(beside, &[mild, mild], |_| 0);
    let short = &beside.wordings[1];
    assert_eq!(
        (beside.comparison, short.covered_seconds),
        (Verdict::Same, 16 * 3 * 3600)
    );
    assert!(beside.wordings[0].covered_seconds > short.covered_seconds);
}

#[tokio::test]
async fn a_test_that_is_worded_once_is_tried_by_nothing_beside() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::with_rules(folder.path(), &rules(MILD)).await;
    lived(&mut bench, &[]).await;
    bench.rules(&rules(MILD).replace("\"high\"", "\"low\"")).await;
    bench.clock.forward(TimeDelta::hours(1));
    bench.run().await;
    let shown = read(&bench.reader);
    assert_eq!(
        (shown.tests[0].versions.len(), shown.tests[0].beside.is_none()),
        (2, true)
    );
}

#[tokio::test]
async fn exceptions_count_by_every_wording_and_what_is_excepted_still_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::with_rules(folder.path(), &rules(MILD)).await;
    let exception = Exception {
        test: "things-safe".to_owned(),
        only_source: None,
        reason: "by design".to_owned(),
        requested_by: "Ann".to_owned(),
        approved_by: "Bob".to_owned(),
        recorded_by: "root".to_owned(),
        expires: time("2026-03-03T00:00:00Z"),
        resources: 1,
        ticket: None,
    };
    let payload = exception::payload(["x".to_owned()].into());
    let draft = Draft::new(Body::Exception(exception));
    let draft = draft
        .with_blob(Role::Resources, "application/json", &payload)
        .unwrap();
    bench.log.append(draft).await.unwrap();
    let big = || [("a", Answer::seen([thing("x", 4, 0)]))];
    for look in 0..4 {
        bench.holds(big());
        bench.run().await;
        bench.clock.forward(TimeDelta::hours(18));
        if look == 2 {
            bench.rules(&rules(STRICT)).await;
        }
    }
    end(&bench).await;
    // It covers noon of the 1st and six of the 2nd; at midnight of the 3rd it has ended.
    let shown = read(&bench.reader);
    let beside = beside(&shown);
    let of = |at: usize| &beside.wordings[at].observations;
    assert_eq!((of(0).passed, of(0).failed, of(0).excepted), (4, 0, 0));
    assert_eq!((of(1).passed, of(1).failed, of(1).excepted), (0, 2, 2));
    assert_eq!(beside.wordings[1].fails_where_passed.findings, 3);
    assert_eq!(beside.wordings[0].passes_where_failed.findings, 1);
    assert_eq!(beside.comparison, Verdict::Stricter);
}

#[tokio::test]
async fn what_can_not_be_read_any_more_is_unknown_and_no_wording_is_called_stricter_for_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::with_rules(folder.path(), &rules(MILD)).await;
    lived(&mut bench, &[(9, STRICT)]).await;
    let leaves = bench.leaves();
    let snapshots: Vec<_> = leaves.iter().filter(|leaf| leaf.kind == "snapshot").collect();
    let evidence = snapshots[2]
        .blobs
        .iter()
        .find(|blob| blob.role == Role::Evidence)
        .unwrap();
    let (seq, sha256) = (snapshots[2].seq, evidence.sha256);
    drop(bench);
    let database = rusqlite::Connection::open(folder.path().join("evidence.db")).unwrap();
    let gone = database.execute("DELETE FROM blob WHERE sha256 = ?", [sha256.as_slice()]);
    assert_eq!(gone.unwrap(), 1);
    drop(database);
    let reader = Reader::open(&evidenced::log::store::Paths::new(folder.path())).unwrap();
    let shown = read(&reader);
    let beside = beside(&shown);
    assert_eq!(
        (beside.comparison, beside.unreadable.as_slice()),
        (Verdict::NotKnown, [seq].as_slice())
    );
    let of = |at: usize| &beside.wordings[at].observations;
    assert_eq!(
        (of(0).unknown, of(1).unknown),
        (0, 1),
        "what was in force is recorded"
    );
    assert_eq!((of(0).taken, of(1).taken), (16, 16));
}
