//! Our ticks beside those that the rules give, applied minute by minute to a clock that is watched.

use super::*;
use chrono_tz::Atlantic;
use std::collections::BTreeSet;

/// A field as text, as its numbers, and whether it begins with a star.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) text: String,
    set: BTreeSet<u32>,
    star: bool,
}

pub(super) fn numbers(least: u32, most: u32) -> impl Strategy<Value = Numbers> {
    let item = prop_oneof![
        2 => (1..=most).prop_map(move |step| match step {
            1 => ("*".to_owned(), least, most, 1),
            _ => (format!("*/{step}"), least, most, step),
        }),
        1 => Just(("*".to_owned(), least, most, 1)),
        3 => (least..=most).prop_map(|only| (only.to_string(), only, only, 1)),
        2 => (least..=most, least..=most, 1..=most).prop_map(|(a, b, step)| {
            (format!("{}-{}/{step}", a.min(b), a.max(b)), a.min(b), a.max(b), step)
        }),
    ];
    prop::collection::vec(item, 1..3).prop_map(|items| {
        let texts: Vec<&str> = items.iter().map(|item| item.0.as_str()).collect();
        let mut set = BTreeSet::new();
        for (_, first, last, step) in &items {
            set.extend((*first..=*last).filter(|number| (number - first) % step == 0));
        }
        let text = texts.join(",");
        Numbers {
            star: text.starts_with('*'),
            text,
            set,
        }
    })
}

/// Often those about which clocks change.
fn hours() -> impl Strategy<Value = Numbers> {
    let night = prop::collection::btree_set(prop::sample::select(vec![0, 1, 2, 3, 23]), 1..4);
    let night = night.prop_map(|set| Numbers {
        text: set.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        star: false,
        set,
    });
    prop_oneof![night, numbers(0, 23)]
}

/// The rules, word for word, by watching a clock for every minute: what is the first tick up to `until`?
fn watched(
    fields: &[Numbers; 5],
    zone: Tz,
    instant: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let [minutes, hours, days, months, weekdays] = fields;
    let due = |local: NaiveDateTime| {
        let weekday = local.weekday().num_days_from_sunday();
        let of_week = weekdays.set.contains(&weekday) || weekday == 0 && weekdays.set.contains(&7);
        let of_month = days.set.contains(&local.day());
        let day = if days.star || weekdays.star {
            of_month && of_week
        } else {
            of_month || of_week
        };
        let time = minutes.set.contains(&local.minute()) && hours.set.contains(&local.hour());
        time && day && months.set.contains(&local.month())
    };
    let minute = TimeDelta::minutes(1);
    let mut now =
        DateTime::from_timestamp(instant.timestamp().div_euclid(60) * 60, 0)? - TimeDelta::hours(26);
    let mut previous = now.with_timezone(&zone).naive_local();
    let mut latest = previous;
    while now + minute <= until {
        now += minute;
        let local = now.with_timezone(&zone).naive_local();
        let skipped = iter::successors(Some(previous + minute), |time| Some(*time + minute))
            .take_while(|time| *time < local)
            .any(due);
        let twice = hours.star || hours.set.len() == 24;
        if now > instant && (skipped || due(local) && (twice || local > latest)) {
            return Some(now);
        }
        latest = latest.max(local);
        previous = local;
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn ticks_are_what_watching_the_clock_gives(
        fields in (numbers(0, 59), hours(), numbers(1, 31), numbers(1, 12), numbers(0, 7)),
        any_day in any::<bool>(),
        (zone, change) in prop::sample::select(vec![
            (Europe::Berlin, "2026-03-29T01:00:00Z"),
            (Europe::Berlin, "2026-10-25T01:00:00Z"),
            (America::New_York, "2026-03-08T07:00:00Z"),
            (America::New_York, "2026-11-01T06:00:00Z"),
            (Australia::Lord_Howe, "2026-04-04T15:00:00Z"),
            (Australia::Lord_Howe, "2026-10-03T15:30:00Z"),
            (America::Sao_Paulo, "2018-11-04T03:00:00Z"),
            (America::Sao_Paulo, "2019-02-17T02:00:00Z"),
            (America::St_Johns, "2006-10-29T02:31:00Z"),
            (America::St_Johns, "2006-04-02T03:31:00Z"),
            (Pacific::Apia, "2011-12-30T10:00:00Z"),
            (Africa::Casablanca, "2026-02-15T02:00:00Z"),
            (Africa::Cairo, "2024-10-31T21:00:00Z"),
            (Atlantic::Azores, "2026-10-25T01:00:00Z"),
            (Europe::Dublin, "2026-10-25T01:00:00Z"),
        ]),
        milliseconds in prop_oneof![-8_000_000..8_000_000_i64, -150_000_000..40_000_000_i64],
    ) {
        let (minutes, hours, mut days, mut months, weekdays) = fields;
        if any_day {
            // Else few cases would have a tick near the change.
            days = Numbers { text: "*/1".to_owned(), set: (1..=31).collect(), star: true };
            months = Numbers { text: "*".to_owned(), set: (1..=12).collect(), star: true };
        }
        let fields = [minutes, hours, days, months, weekdays];
        let text = fields.each_ref().map(|field| field.text.as_str()).join(" ");
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let instant = utc(change) + TimeDelta::milliseconds(milliseconds);
        let until = instant + TimeDelta::days(3);
        let tick = schedule.after(instant).filter(|tick| *tick <= until);
        prop_assert_eq!(tick, watched(&fields, zone, instant, until), "{} {}", text, instant);
    }
}
