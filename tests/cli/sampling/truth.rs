//! A week of a made-up world, by a seed: what was merged, when nobody looked, what was read in part. The population over it
//! equals what the world knows.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced::log::leaf::format_time as told;

use super::by_python;
use super::log::{GITHUB, Log, at, pull};
use crate::workplace::Workplace;

/// Numbers by a seed: the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What is true of one repository.
#[derive(Default)]
struct Truth {
    /// Merged in the period and read by some snapshot, with the time.
    read: BTreeMap<String, DateTime<Utc>>,
    /// The hours of the period that a complete interval covers, from 0.
    covered: BTreeSet<i64>,
}

const HOURS: i64 = 7 * 24;

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

/// Runs every hour or two: most are complete, some fail, some read a part, and after some the watermark is lost.
async fn simulated(log: &Log, seed: u64) -> BTreeMap<String, Truth> {
    let mut dice = Dice(seed);
    let begin = at("2026-03-01T00:00");
    let names = ["acme/a", "acme/b", "acme/c"];
    log.scope(GITHUB, "github", &names).await;
    let mut truth: BTreeMap<String, Truth> = BTreeMap::new();
    let mut watermarks = [-2_i64; 3];
    let mut merged: [BTreeMap<String, DateTime<Utc>>; 3] = Default::default();
    for hour in 0..HOURS + 6 {
        log.clock.forward(begin + hours(hour) - log.now());
        for (repository, name) in names.iter().enumerate() {
            for number in 0..dice.below(3) {
                let minutes = i64::try_from(dice.below(60)).unwrap();
                let at = begin + hours(hour) - TimeDelta::minutes(minutes);
                merged[repository].insert(format!("{name}#{hour}-{number}"), at);
            }
            let truth = truth.entry((*name).to_owned()).or_default();
            let (from, what) = (watermarks[repository], dice.below(20));
            if what < 5 {
                continue;
            }
            if what < 7 {
                log.fails(GITHUB, "github", Some(name)).await;
                continue;
            }
            let complete = what != 7;
            // The next begins later, or reads some of it again.
            let next = match what {
                8 => hour + 3,
                9 => hour - 1,
                _ => hour,
            };
            let since = begin + hours(from);
            let within = merged[repository]
                .iter()
                .filter(|(_, at)| **at > since && **at <= log.now());
            let within: Vec<_> = within.filter(|(id, _)| complete || !id.ends_with('0')).collect();
            if from >= hour {
                continue;
            }
            let resources = within.iter().map(|(id, at)| pull(id, **at)).collect();
            log.snapshot((GITHUB, "github", name), Some(since), complete, resources)
                .await;
            let period = begin..begin + hours(HOURS);
            let read = within.iter().filter(|(_, at)| period.contains(*at));
            truth.read.extend(read.map(|(id, at)| ((*id).clone(), **at)));
            if complete {
                truth
                    .covered
                    .extend((from.max(0)..hour).filter(|hour| *hour < HOURS));
                watermarks[repository] = next;
            }
        }
    }
    truth
}

/// The stretches of hours that are not covered.
fn holes(covered: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let mut holes: Vec<(i64, i64)> = Vec::new();
    for hour in (0..HOURS).filter(|hour| !covered.contains(hour)) {
        match holes.last_mut() {
            Some(last) if last.1 == hour => last.1 = hour + 1,
            _ => holes.push((hour, hour + 1)),
        }
    }
    holes
}

#[tokio::test]
async fn counts_gaps_and_the_spreadsheet_equal_the_truth() {
    for seed in [1, 20_260_301] {
        let place = Workplace::new();
        let log = Log::begun(&place).await;
        let truth = simulated(&log, seed).await;
        let arguments = [
            "population",
            "pull-requests",
            "--from",
            "2026-03-01",
            "--to",
            "2026-03-07",
        ];
        let shown = place
            .run(&[&arguments[..], &["--format", "json"]].concat())
            .ends(0)
            .json();
        let population = &shown["populations"][0];
        let expected: BTreeMap<&String, String> = truth
            .values()
            .flat_map(|truth| &truth.read)
            .map(|(id, at)| (id, told(*at)))
            .collect();
        assert!(expected.len() > 100, "{} merged", expected.len());
        assert_eq!(population["count"], expected.len());
        let items = population["items"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let read: BTreeMap<String, String> = items
            .iter()
            .map(|item| (text(&item["id"]), text(&item["at"])))
            .collect();
        let expected: BTreeMap<String, String> =
            expected.into_iter().map(|(id, at)| (id.clone(), at)).collect();
        assert_eq!(read, expected);
        let csv = place.run(&[&arguments[..], &["--csv"]].concat()).ends(0).out;
        let rows: BTreeMap<String, String> = by_python(&csv)
            .into_iter()
            .map(|row| (row["id"].clone(), row["at"].clone()))
            .collect();
        assert_eq!(rows, expected);

        let begin = at("2026-03-01T00:00");
        let gaps = population["gaps"].as_array().unwrap();
        let mut seen = 0;
        for (name, truth) in &truth {
            let gaps: Vec<(String, String)> = gaps
                .iter()
                .filter(|gap| gap["target"] == name.as_str())
                .map(|gap| (text(&gap["from"]), text(&gap["to"])))
                .collect();
            let expected: Vec<(String, String)> = holes(&truth.covered)
                .into_iter()
                .map(|(from, to)| (told(begin + hours(from)), told(begin + hours(to))))
                .collect();
            assert_eq!(gaps, expected, "{name} by {seed}");
            seen += expected.len();
        }
        assert!(seen > 3 && seen == gaps.len(), "{seen} gaps");
    }
}
