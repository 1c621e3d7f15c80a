//! Half a year whose truth is known, seeded: every figure that a period shows is counted again from that truth.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evidenced::clock::Clock as _;
use evidenced::log::start;
use evidenced::log::store::Reader;
use evidenced::period::ledger::Counts;
use evidenced::period::window::Window;
use evidenced::summary::{self, PeriodResult, State, Summary, Tally};

use crate::pushes;
use crate::waived::{self, Waived};
use crate::world::{Act, World, Written, pass};

type Time = DateTime<Utc>;

const THINGS: &str = "fake.things";
const SCHEDULE: &str = "0 */12 * * *";
const SLOT: i64 = 12;
const MAX_AGE: TimeDelta = TimeDelta::hours(26);

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn window(from: &str, to: &str) -> Window {
    Window {
        name: Some("2026-h1".to_owned()),
        from: time(from),
        to: time(to),
        zone: chrono_tz::Europe::Berlin,
        criteria: Vec::new(),
        sources: Vec::new(),
    }
}

/// From 5 January to 30 June, in Berlin.
fn half() -> Window {
    window("2026-01-04T23:00:00Z", "2026-06-30T22:00:00Z")
}

/// What the source answers in the twelve hours that an instant lies in.
pub(crate) fn act(source: &str, target: &str, at: Time) -> Act {
    let slot = at.timestamp() / (SLOT * 3600);
    let mut seed = source
        .bytes()
        .chain(target.bytes())
        .fold(slot.unsigned_abs(), |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    seed ^= seed >> 29;
    seed = seed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed ^= seed >> 32;
    // A stretch of three days in each of six weeks, and single failures between.
    let in_stretch = (slot / 2) % 43 < 3;
    match seed % 100 {
        0..4 => Act::Down,
        4..8 => Act::Part,
        _ if in_stretch && source == "prod" => Act::Unsafe,
        8..10 => Act::Unsafe,
        _ => Act::Answer(Duration::from_secs(1)),
    }
}

/// One target leaves in April, another comes in May.
fn targets(source: &str, at: Time) -> Vec<String> {
    let names = match source {
        "prod" if at < time("2026-04-01T00:00:00Z") => vec!["t", "u"],
        "prod" if at < time("2026-05-01T00:00:00Z") => vec!["t"],
        "prod" => vec!["t", "v"],
        _ => vec!["e"],
    };
    names.into_iter().map(str::to_owned).collect()
}

fn down_from() -> Time {
    time("2026-02-10T00:30:00Z")
}

fn down_to() -> Time {
    time("2026-02-12T07:10:00Z")
}

/// The half-year, lived through, and some days behind it.
async fn lived() -> (World, Vec<Waived>) {
    let mut written = Written::of([("prod", SCHEDULE), ("edge", SCHEDULE)]);
    written.script = Arc::new(act);
    written.targets = Arc::new(targets);
    written.further = Some(pushes::further());
    let world = World::new(written);
    let daemon = world.start().await;
    pass(down_from() - world.clock.now()).await;
    daemon.stop().await;
    pass(down_to() - world.clock.now()).await;
    let daemon = world.start().await;
    let waived = waived::pass_until(&world, time("2026-07-03T07:30:00Z")).await;
    daemon.stop().await;
    (world, waived)
}

/// A snapshot as its leaf has it.
#[derive(Clone, Debug)]
struct Look {
    at: Time,
    started: Time,
}

/// By source and target, every snapshot; read as JSON, by nothing of ours.
fn looks(reader: &Reader) -> BTreeMap<(String, String), Vec<Look>> {
    let mut looks: BTreeMap<_, Vec<Look>> = BTreeMap::new();
    for seq in 0..reader.size().unwrap() {
        let leaf: Value = serde_json::from_slice(&reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        if leaf["kind"] == "snapshot" && leaf["collector"] == THINGS {
            let text = |key: &str| leaf[key].as_str().unwrap().to_owned();
            looks
                .entry((text("source"), text("target")))
                .or_default()
                .push(Look {
                    at: time(leaf["covers"]["at"].as_str().unwrap()),
                    started: time(&text("started")),
                });
        }
    }
    looks
}

/// When a target is in scope, as the daemon found out.
fn in_scope(reader: &Reader, target: &str, period: &Window) -> (Time, Time) {
    let scopes = (0..reader.size().unwrap()).filter_map(|seq| {
        let leaf: Value = serde_json::from_slice(&reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        (leaf["kind"] == "scope" && leaf["source"] == "prod").then(|| time(leaf["time"].as_str().unwrap()))
    });
    let changes: Vec<Time> = scopes.skip(1).collect();
    assert_eq!(changes.len(), 2, "one leaves, one comes");
    match target {
        "u" => (period.from, changes[0]),
        "v" => (changes[1], period.to),
        _ => (period.from, period.to),
    }
}

/// The ticks of the schedule within the period, by another way of counting.
fn ticks(period: &Window) -> Vec<Time> {
    let first = time("2026-01-01T00:00:00Z");
    let all = (0..2 * 200).map(|slot| first + TimeDelta::hours(SLOT * slot));
    all.filter(|tick| period.from <= *tick && *tick < period.to)
        .collect()
}

fn owed(source: &str, target: &str, period: &Window) -> Counts {
    let mut counts = Counts::default();
    let own = ticks(period);
    for tick in own
        .into_iter()
        .filter(|tick| targets(source, *tick).iter().any(|own| own == target))
    {
        counts.owed += 1;
        *match act(source, target, tick) {
            _ if down_from() < tick && tick < down_to() => &mut counts.missed,
            Act::Down => &mut counts.failed,
            Act::Part => &mut counts.incomplete,
            _ => &mut counts.collected,
        } += 1;
    }
    counts
}

/// Milliseconds within `from` and `to` for which a look speaks.
fn covered(looks: &[Look], whole: impl Fn(&Look) -> bool, (from, to): (Time, Time)) -> i64 {
    let mut stretches: Vec<(Time, Time)> = looks
        .iter()
        .filter(|look| whole(look))
        .map(|look| (look.at.max(from), (look.at + MAX_AGE).min(to)))
        .filter(|(from, to)| from < to)
        .collect();
    stretches.sort();
    let (mut sum, mut reach) = (0, from);
    for (begins, ends) in stretches {
        sum += (ends - begins.max(reach)).num_milliseconds().max(0);
        reach = reach.max(ends);
    }
    sum
}

/// By source and target: where each stretch of failing looks begins, and where it ends if it does.
fn failing(source: &str, target: &str, looks: &[Look]) -> Vec<(Time, Option<Time>)> {
    let mut stretches: Vec<(Time, Option<Time>)> = Vec::new();
    for look in looks {
        let fails = act(source, target, look.started) == Act::Unsafe;
        match stretches.last_mut().filter(|last| last.1.is_none()) {
            None if fails => stretches.push((look.at, None)),
            Some(last) if !fails => last.1 = Some(look.at),
            _ => {}
        }
    }
    stretches
}

/// What the looks at a target came to, as the script had it; returns when it failed, excepted or not.
fn observed(
    tally: &Tally,
    own: &[Look],
    span: (Time, Time),
    (source, target): (&str, &str),
    waived: &[Waived],
) -> Vec<Time> {
    let within: Vec<&Look> = own
        .iter()
        .filter(|look| span.0 <= look.at && look.at < span.1)
        .collect();
    let count = |wanted: fn(Act) -> bool| {
        let acts = within.iter().map(|look| act(source, target, look.started));
        acts.filter(|act| wanted(*act)).count() as u64
    };
    let seen = &tally.observations;
    assert_eq!(seen.taken, within.len() as u64, "{source} {target}");
    let failed: Vec<Time> = within
        .iter()
        .filter(|look| act(source, target, look.started) == Act::Unsafe)
        .map(|look| look.at)
        .collect();
    let is_covered = |at: &&Time| waived::covering(waived, source, **at).is_some();
    let excepted = failed.iter().filter(is_covered).count() as u64;
    assert_eq!(
        (seen.failed, seen.excepted),
        (failed.len() as u64 - excepted, excepted)
    );
    assert_eq!(seen.unknown, count(|act| act == Act::Part), "a part can't pass");
    assert_eq!(seen.passed, count(|act| matches!(act, Act::Answer(_))));
    assert_eq!(tally.first.map(|at| at.time), within.first().map(|look| look.at));
    assert_eq!(tally.last.map(|at| at.time), within.last().map(|look| look.at));
    let before = own
        .iter()
        .rfind(|look| look.at < span.0 && look.at + MAX_AGE > span.0);
    assert_eq!(tally.before.map(|at| at.time), before.map(|look| look.at));

    let whole = |look: &Look| act(source, target, look.started) != Act::Part;
    assert_eq!(tally.of_seconds, (span.1 - span.0).num_seconds());
    assert_eq!(
        tally.covered_seconds,
        covered(own, whole, span) / 1000,
        "{source} {target}"
    );
    let edges = own
        .iter()
        .filter(|look| whole(look) && span.0 < look.at && look.at < span.1)
        .map(|look| look.at);
    let edges: Vec<Time> = std::iter::once(span.0).chain(edges).chain([span.1]).collect();
    let longest = edges.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert_eq!(tally.longest.seconds, longest.num_seconds(), "{source} {target}");
    failed
}

/// The things' deviations are these: of which target, since when, and until when.
fn deviations_are(shown: &Summary, deviations: &BTreeSet<(String, Time, Option<Time>)>) {
    let things = || {
        shown
            .deviations
            .iter()
            .filter(|failed| failed.collector == THINGS)
    };
    let told: BTreeSet<_> = things()
        .map(|failed| {
            (
                failed.target.clone(),
                failed.first_fail.time,
                failed.end.as_ref().map(|end| end.time),
            )
        })
        .collect();
    assert_eq!(
        (told.len(), things().count()),
        (deviations.len(), deviations.len())
    );
    assert_eq!(told, *deviations);
    assert!(
        deviations.len() > 20,
        "the truth has something to find: {}",
        deviations.len()
    );
}

/// Who did what.
fn people(shown: &Summary) {
    let roles: BTreeMap<_, _> = shown
        .people
        .iter()
        .map(|person| (person.name.as_str(), person.roles.as_slice()))
        .collect();
    let truth: [(&str, &[&str]); 4] = [
        ("Ann", &["requested"]),
        ("Bob", &["approved"]),
        ("ann", &["configured"]),
        ("cleo", &["recorded"]),
    ];
    assert_eq!(roles, BTreeMap::from(truth));
}

#[tokio::test(start_paused = true)]
async fn every_figure_of_a_lived_half_year_is_the_truth() {
    let (world, waived) = lived().await;
    let reader = world.reader();
    let period = half();
    let shown = summary::read(&start::hold(&reader).unwrap(), period.clone()).unwrap();
    assert_eq!(
        (shown.state, shown.draft.as_slice()),
        (State::Ended, [].as_slice())
    );
    assert_eq!((shown.unjudged.len(), shown.unreadable.len()), (0, 0));

    let looks = looks(&reader);
    let accounts: BTreeMap<_, _> = shown
        .evidence
        .iter()
        .filter(|row| row.collector == THINGS)
        .map(|row| ((row.source.as_str(), row.target.as_deref().unwrap()), row))
        .collect();
    assert_eq!(
        accounts.keys().copied().collect::<Vec<_>>(),
        [("edge", "e"), ("prod", "t"), ("prod", "u"), ("prod", "v")]
    );
    let [_, test] = shown.tests.as_slice() else {
        panic!("two tests")
    };
    let (mut deviations, mut failures) = (BTreeSet::new(), Vec::new());
    for ((source, target), row) in &accounts {
        let expected = owed(source, target, &period);
        assert_eq!(row.ticks, expected, "{source} {target}");
        let missing: u64 = row.holes.iter().map(|hole| hole.ticks).sum();
        assert_eq!(missing, expected.owed - expected.collected);

        let own = &looks[&((*source).to_owned(), (*target).to_owned())];
        let span = in_scope(&reader, target, &period);
        let of_source = test.sources.iter().find(|of| of.source == *source).unwrap();
        let tally = &of_source
            .targets
            .iter()
            .find(|of| of.target.as_deref() == Some(target))
            .unwrap()
            .tally;
        assert_eq!(tally.ticks, expected);

        let failed = observed(tally, own, span, (source, target), &waived);
        failures.extend(failed.into_iter().map(|at| ((*source).to_owned(), at)));
        for (begins, ends) in failing(source, target, own) {
            if begins < period.to && ends.is_none_or(|ends| ends > period.from) {
                deviations.insert(((*target).to_owned(), begins, ends));
            }
        }
    }
    deviations_are(&shown, &deviations);
    for failed in shown
        .deviations
        .iter()
        .filter(|failed| failed.collector == THINGS)
    {
        let own = looks[&(failed.source.clone(), failed.target.clone())].iter();
        let own = own.filter(|look| act(&failed.source, &failed.target, look.started) == Act::Unsafe);
        waived::are_told(&waived, failed, own.map(|look| look.at));
    }
    waived::is_worth_telling(&waived, &failures);
    edges(&shown);
    pushes::are_told(&shown, &reader, &period, (down_from(), down_to()));
    people(&shown);
}

/// What is told of the edges, of downtime and of changes.
fn edges(shown: &Summary) {
    let period = &shown.period;
    let things = || {
        shown
            .deviations
            .iter()
            .filter(|failed| failed.collector == THINGS)
    };
    for failed in things() {
        let ends = failed.end.as_ref().map(|end| end.time);
        assert_eq!(failed.open_at_start, failed.first_fail.time < period.from);
        assert_eq!(failed.open_at_end, ends.is_none_or(|ends| ends >= period.to));
    }
    let [_, control] = shown.controls.as_slice() else {
        panic!("two controls")
    };
    assert_eq!(
        (control.result, control.deviations),
        (PeriodResult::Deviations, things().count() as u64)
    );
    let test = &shown.tests[1];
    let worst = test
        .sources
        .iter()
        .filter_map(|source| source.all.coverage_percent);
    assert_eq!(control.coverage_percent, worst.min_by(f64::total_cmp));

    let [down] = shown.downtime.as_slice() else {
        panic!("one downtime: {:?}", shown.downtime)
    };
    assert!(
        (down.from - down_from()).abs() < TimeDelta::seconds(5),
        "{down:?}"
    );
    assert!(
        (down.to.unwrap() - down_to()).abs() < TimeDelta::seconds(5),
        "{down:?}"
    );
    let longest = &test.sources[0].all.longest;
    let said = longest.why.join("; ");
    assert!(said.contains("4 ticks: the daemon was not running"), "{said}");

    let scopes: Vec<_> = shown
        .changes
        .iter()
        .filter(|change| change.what == "scope")
        .map(|change| &change.detail)
        .collect();
    assert_eq!(scopes, ["fake.things at prod: -u", "fake.things at prod: +v"]);
}

#[tokio::test(start_paused = true)]
async fn before_the_end_it_is_a_draft_and_says_what_is_known_by_now() {
    let mut written = Written::of([("prod", SCHEDULE)]);
    written.script = Arc::new(|_, _, _| Act::Answer(Duration::ZERO));
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::days(2)).await;
    daemon.stop().await;
    let read = |from, to| summary::read(&start::hold(&world.reader()).unwrap(), window(from, to)).unwrap();

    let running = read("2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z");
    assert_eq!(running.state, State::Running);
    assert!(
        running.draft[0].starts_with("the period has not ended: the log ends at 2026-01-03T00:30"),
        "{:?}",
        running.draft
    );
    assert_eq!(
        running.evidence[0].ticks.owed, 4,
        "what is not due yet is not owed yet"
    );
    let tally = &running.tests[0].sources[0].all;
    assert_eq!(
        tally.of_seconds,
        (running.as_of - time("2026-01-01T00:00:00Z")).num_seconds()
    );
    assert_eq!(
        tally.coverage_percent,
        Some(98.96),
        "half an hour before the first plan is not covered"
    );
    assert_eq!(tally.days, "PPP......", "of nine days that it touches in Berlin");
    assert_eq!(running.controls[0].result, PeriodResult::Incomplete);

    // Something must be sealed from behind the end.
    let ended = read("2026-01-01T12:00:00Z", "2026-01-03T00:10:00Z");
    assert_eq!(
        (ended.state, ended.draft.len()),
        (State::Ended, 1),
        "{:?}",
        ended.draft
    );
    let sealed = read("2026-01-01T12:00:00Z", "2026-01-03T00:00:00Z");
    assert_eq!(
        (sealed.draft.len(), sealed.controls[0].result),
        (0, PeriodResult::NoDeviations)
    );

    let ahead = read("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    assert_eq!(ahead.state, State::Ahead);
    assert!(ahead.evidence.iter().all(|row| row.ticks.owed == 0));
}
