//! Counting again, from the leaves alone and with another implementation of schedules: whether every tick of every source
//! and target in scope is accounted for exactly once.

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use evidenced::log::store::Reader;

type Time = DateTime<Utc>;

/// What the log says of one source.
#[derive(Default)]
struct Source {
    /// From when on which schedule counts; none while it is not in the plan.
    schedules: Vec<(Time, Option<(String, String)>)>,
    scopes: Vec<(u64, BTreeSet<String>)>,
    /// By tick: the leaf, its target or all, and what became of it.
    accounts: BTreeMap<Time, Vec<(u64, Option<String>, String)>>,
    /// Ranges of ticks that were missed for all targets.
    missed: Vec<(Time, Time, u64, String)>,
}

/// How many ticks had each outcome, where each is accounted for exactly once up to an instant.
pub(crate) fn audit(reader: &Reader, until: Time) -> BTreeMap<String, u64> {
    let sources = read(reader);
    let mut counts = BTreeMap::new();
    for (name, source) in &sources {
        for tick in source.ticks(until) {
            let outcomes = source.outcomes(tick);
            match outcomes {
                Ok(outcomes) => {
                    for outcome in outcomes {
                        *counts.entry(outcome).or_insert(0) += 1;
                    }
                }
                Err(why) => panic!("{name} at {tick}: {why}\n{}", around(reader, name, tick)),
            }
        }
        source.check_ranges(name, until);
    }
    counts
}

/// What the log holds around a tick, to find out.
fn around(reader: &Reader, name: &str, tick: Time) -> String {
    let mut lines = String::new();
    for seq in 0..reader.size().unwrap() {
        let bytes = reader.leaf_bytes(seq).unwrap().unwrap();
        let leaf: Value = serde_json::from_slice(&bytes).unwrap();
        let near = (time(&leaf["time"]) - tick).abs() < chrono::TimeDelta::hours(8);
        let kind = leaf["kind"].as_str().unwrap();
        if near && (leaf["source"] == name && kind != "evaluation" || ["plan", "heartbeat"].contains(&kind)) {
            let text = String::from_utf8(bytes).unwrap();
            let from = text.find("\"time\"").unwrap();
            let to = text[from..]
                .char_indices()
                .nth(420)
                .map_or(text.len(), |(at, _)| from + at);
            writeln!(lines, "{seq} {}", &text[from..to]).unwrap();
        }
    }
    lines
}

fn time(value: &Value) -> Time {
    value.as_str().unwrap().parse().unwrap()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn read(reader: &Reader) -> BTreeMap<String, Source> {
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for seq in 0..reader.size().unwrap() {
        let leaf: Value = serde_json::from_slice(&reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        let payload = |role: &str| {
            let blob = leaf["blobs"]
                .as_array()
                .unwrap()
                .iter()
                .find(|blob| blob["role"] == role)
                .unwrap();
            let mut sha256 = [0; 32];
            hex::decode_to_slice(blob["sha256"].as_str().unwrap(), &mut sha256).unwrap();
            serde_json::from_slice::<Value>(&reader.payload(&sha256).unwrap().unwrap()).unwrap()
        };
        let source = leaf["source"].as_str().unwrap_or_default().to_owned();
        match leaf["kind"].as_str().unwrap() {
            "plan" if leaf["by"] == "daemon" => {
                let from = time(&leaf["effective"]);
                let planned: BTreeMap<_, _> = payload("plan")["sources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|source| {
                        // Each source has one collector here.
                        let (collector, schedule) =
                            source["schedules"].as_object().unwrap().iter().next().unwrap();
                        let zone = text(&source["time_zones"][collector]).unwrap_or("UTC".to_owned());
                        let schedule = text(schedule).unwrap();
                        (text(&source["name"]).unwrap(), (schedule, zone))
                    })
                    .collect();
                for name in planned.keys() {
                    sources.entry(name.clone()).or_default();
                }
                for (name, source) in &mut sources {
                    source.schedules.push((from, planned.get(name).cloned()));
                }
            }
            "scope" => {
                let names = payload("scope")["targets"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(text)
                    .collect();
                sources.entry(source).or_default().scopes.push((seq, names));
            }
            kind @ ("snapshot" | "failure") if !leaf["tick"].is_null() => {
                let account = (seq, text(&leaf["target"]), kind.to_owned());
                let source = sources.entry(source).or_default();
                source
                    .accounts
                    .entry(time(&leaf["tick"]))
                    .or_default()
                    .push(account);
            }
            "missed" => {
                let ticks = &leaf["ticks"];
                let (first, last) = (time(&ticks["first"]), time(&ticks["last"]));
                let reason = format!("missed: {}", leaf["reason"].as_str().unwrap());
                let source = sources.entry(source).or_default();
                match text(&leaf["target"]) {
                    None => {
                        let count = ticks["count"].as_u64().unwrap();
                        source.missed.push((first, last, count, reason));
                    }
                    target => {
                        assert_eq!((first, ticks["count"].as_u64()), (last, Some(1)));
                        source
                            .accounts
                            .entry(first)
                            .or_default()
                            .push((seq, target, reason));
                    }
                }
            }
            _ => {}
        }
    }
    sources
}

impl Source {
    /// The ticks that are owed up to an instant.
    fn ticks(&self, until: Time) -> BTreeSet<Time> {
        let mut ticks = BTreeSet::new();
        for (at, (from, schedule)) in self.schedules.iter().enumerate() {
            let end = self
                .schedules
                .get(at + 1)
                .map_or(until, |(next, _)| *next)
                .min(until);
            let Some((schedule, zone)) = schedule else {
                continue;
            };
            let cron = CronParser::builder()
                .seconds(Seconds::Optional)
                .build()
                .parse(schedule)
                .unwrap();
            let zone: chrono_tz::Tz = zone.parse().unwrap();
            let after = cron.iter_after(from.with_timezone(&zone));
            ticks.extend(after.map(|tick| tick.to_utc()).take_while(|tick| *tick <= end));
        }
        ticks
    }

    /// What became of a tick, for all targets or each; or why it is not accounted for exactly once.
    fn outcomes(&self, tick: Time) -> Result<Vec<String>, String> {
        let ranges: Vec<_> = self
            .missed
            .iter()
            .filter(|(first, last, ..)| *first <= tick && tick <= *last)
            .map(|(.., reason)| reason.clone())
            .collect();
        let own = self.accounts.get(&tick).map(Vec::as_slice).unwrap_or_default();
        let all: Vec<_> = own.iter().filter(|(_, target, _)| target.is_none()).collect();
        match (ranges.len(), all.len(), own.len()) {
            (1, 0, 0) => return Ok(ranges),
            (0, 1, 1) => return Ok(vec![all[0].2.clone()]),
            (0, 0, 1..) => {}
            counts => return Err(format!("accounted for {counts:?} times: {ranges:?} {own:?}")),
        }
        let first = own.iter().map(|(seq, ..)| *seq).min().unwrap();
        let scope = self.scopes.iter().rev().find(|(seq, _)| *seq < first);
        let (_, scope) = scope.ok_or("no scope stands before it")?;
        let named: Vec<_> = own.iter().filter_map(|(_, target, _)| target.clone()).collect();
        let distinct: BTreeSet<_> = named.iter().cloned().collect();
        if distinct.len() != named.len() || distinct != *scope {
            return Err(format!("accounted for {named:?} of {scope:?}"));
        }
        Ok(own.iter().map(|(.., outcome)| outcome.clone()).collect())
    }

    /// A range says how many ticks it holds, and holds no tick that is not owed.
    fn check_ranges(&self, name: &str, until: Time) {
        let owed = self.ticks(
            until.max(
                self.missed
                    .iter()
                    .map(|(_, last, ..)| *last)
                    .max()
                    .unwrap_or(until),
            ),
        );
        for (first, last, count, reason) in &self.missed {
            let held = owed.range(*first..=*last).count() as u64;
            assert_eq!(held, *count, "{name}: {reason} from {first} to {last}");
        }
        for tick in self.accounts.keys().filter(|tick| **tick <= until) {
            assert!(owed.contains(tick), "{name}: {tick} was never owed");
        }
    }
}
