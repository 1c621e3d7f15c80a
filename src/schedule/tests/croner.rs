//! Our ticks beside those of croner, another implementation.

use super::*;
use ::croner::Cron;
use ::croner::errors::CronError;
use chrono::offset::LocalResult::Ambiguous;
use chrono_tz::{Asia, Atlantic};
use std::collections::BTreeMap;

/// Why croner (its rules are its own) has a tick that we don't have, or lacks one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// It drops what is due in a gap, unless seconds, minutes and hours are one number each.
    Gap,
    /// It repeats what is due in a repeated hour, unless they are; whatever the hour field says.
    Repeat,
    /// Only a lone star makes a day field unrestricted for it; with `*/2`, either field is enough.
    Star,
    /// It gives up on gaps of more than two hours.
    LongGap,
}

fn explained(text: &str, zone: Tz, tick: DateTime<Utc>, ours: bool) -> Option<Difference> {
    let fields: Vec<&str> = text.split(' ').collect();
    let single = fields[..2].iter().all(|field| field.parse::<u32>().is_ok());
    let local = tick.with_timezone(&zone).naive_local();
    let before = (tick - TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
    let second = matches!(zone.from_local_datetime(&local), Ambiguous(_, later) if later == tick);
    match ours {
        true if !single && local - before > TimeDelta::seconds(1) => Some(Difference::Gap),
        false if !single && second && !fields[1].starts_with('*') => Some(Difference::Repeat),
        false if fields[2].starts_with("*/") && fields[4] != "*" => Some(Difference::Star),
        _ => None,
    }
}

/// Both over the same years, each tick that only one has explained.
fn compare(text: &str, zone: Tz, from: &str, to: &str, seen: &mut BTreeMap<Difference, u32>) {
    let (from, to) = (utc(from), utc(to));
    let cron: Cron = text.parse().unwrap();
    let schedule = Schedule::parse(text, zone).unwrap();
    let mut ours = schedule.within(from, to).peekable();
    let mut now = from.with_timezone(&zone);
    while now < to {
        match cron.find_next_occurrence(&now, false) {
            Ok(next) => now = next,
            Err(CronError::TimeSearchLimitExceeded) => {
                let end = ours.next().unwrap().with_timezone(&zone);
                let before = end - TimeDelta::seconds(1);
                assert!(end.naive_local() - before.naive_local() > TimeDelta::hours(2));
                *seen.entry(Difference::LongGap).or_default() += 1;
                now = end;
                continue;
            }
            Err(error) => panic!("{text} {zone} {now}: {error}"),
        }
        let theirs = now.to_utc();
        let note = |tick, ours| match explained(text, zone, tick, ours) {
            Some(difference) => difference,
            None => panic!(
                "{text} {zone}: {tick} is only {}",
                if ours { "ours" } else { "theirs" }
            ),
        };
        while let Some(tick) = ours.next_if(|tick| *tick < theirs) {
            *seen.entry(note(tick, true)).or_default() += 1;
        }
        if ours.next_if_eq(&theirs).is_none() && theirs <= to {
            *seen.entry(note(theirs, false)).or_default() += 1;
        }
    }
    assert_eq!(ours.next(), None);
}

#[test]
fn croner_agrees_over_a_hundred_years_but_for_differences_with_a_name() {
    use Difference::{Gap, LongGap, Repeat, Star};
    let zones = [
        UTC,
        Europe::Berlin,
        America::New_York,
        Australia::Lord_Howe,
        America::Sao_Paulo,
        America::St_Johns,
        Africa::Casablanca,
        Africa::Cairo,
        Europe::Dublin,
        Asia::Tehran,
        Atlantic::Azores,
        Pacific::Apia,
    ];
    let seldom = [
        "30 2 * * 0",
        "0 0 1 * *",
        "0 0 13 * 5",
        "30 1 * 3,4,10,11 SUN",
        "15 2 8-14 * 7",
        "0 9 30 12 *",
        "0 0 29 2 *",
        "59 23 31 * *",
        "0 0 */10 * MON",
        "*/20 1-3 * 3,10 6-7",
    ];
    let mut seen = BTreeMap::new();
    let mut years = |text, zone, from: &str, to: &str| {
        let midnight = |year| format!("{year}-01-01T00:00:00Z");
        compare(text, zone, &midnight(from), &midnight(to), &mut seen);
    };
    for (place, zone) in zones.into_iter().enumerate() {
        let (from, to) = if place < 6 {
            ("1970", "2070")
        } else {
            ("1990", "2030")
        };
        for text in seldom {
            years(text, zone, from, to);
        }
        years("30 */6 * * *", zone, "2008", "2012");
    }
    for zone in &zones[1..5] {
        years("30 2 * * *", *zone, "1970", "2070");
        years("30 * * * *", *zone, "2006", "2008");
        years("0 0-23 * * *", *zone, "2006", "2007");
        years("*/10 1,2 * * *", *zone, "2006", "2009");
    }
    // A difference that is never seen is no difference.
    let seen: Vec<Difference> = seen.into_keys().collect();
    assert_eq!(seen, [Gap, Repeat, Star, LongGap]);
}
