//! Which instants crontab lines mean: by cases written out, by watching the clock, and beside another implementation.

use super::*;
use chrono_tz::{Africa, America, Antarctica, Australia, Europe, Pacific, UTC};
use proptest::prelude::*;

mod croner;
mod watched;

use watched::numbers;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The ticks of some days in a zone's own time, from the midnight that begins the first (in the first day's offset).
fn ticks(text: &str, zone: Tz, first: &str, last: &str) -> Vec<String> {
    let midnight = |date: &str| date.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN);
    let from = midnight(first) - TimeDelta::seconds(1);
    let to = midnight(last) + TimeDelta::seconds(86_399);
    let schedule = Schedule::parse(text, zone).unwrap();
    let ticks = schedule.within(from.and_utc() - DAY, to.and_utc() + DAY);
    ticks
        .map(|tick| tick.with_timezone(&zone))
        .filter(|tick| (from..=to).contains(&tick.naive_local()))
        .map(|tick| tick.format("%d %H:%M%:z").to_string())
        .collect()
}

#[test]
fn what_is_due_in_a_skipped_hour_ticks_once_at_its_end() {
    let day = |text| ticks(text, Europe::Berlin, "2026-03-29", "2026-03-29");
    assert_eq!(day("30 2 * * *"), ["29 03:00+02:00"]);
    assert_eq!(day("*/20 2 * * *"), ["29 03:00+02:00"]);
    assert_eq!(day("0 2,3 * * *"), ["29 03:00+02:00"]);
    assert_eq!(
        day("30 1-3 * * *"),
        ["29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"]
    );
    let after = |text, instant| Schedule::parse(text, Europe::Berlin).unwrap().after(utc(instant));
    let end = Some(utc("2026-03-29T01:00:00Z"));
    assert_eq!(after("30 2 * * *", "2026-03-29T00:59:59.999Z"), end);
    assert_eq!(
        after("30 2 * * *", "2026-01-29T00:00:00Z"),
        Some(utc("2026-01-29T01:30:00Z"))
    );
    assert_eq!(after("30 2 29 3 *", "2026-01-01T00:00:00Z"), end);
    assert_eq!(
        after("30 2 * * *", "2026-03-29T01:00:00Z"),
        Some(utc("2026-03-30T00:30:00Z"))
    );
}

#[test]
fn what_is_due_in_a_repeated_hour_ticks_the_first_time_unless_every_hour_counts() {
    let day = |text| ticks(text, Europe::Berlin, "2026-10-25", "2026-10-25");
    assert_eq!(day("30 2 * * *"), ["25 02:30+02:00"]);
    assert_eq!(day("*/30 2 * * *"), ["25 02:00+02:00", "25 02:30+02:00"]);
    assert_eq!(day("0 3 * * *"), ["25 03:00+01:00"]);
    for every in ["30 * * * *", "30 0-23 * * *"] {
        let ticks = day(every);
        assert_eq!(ticks[2..4], ["25 02:30+02:00", "25 02:30+01:00"]);
        assert_eq!(ticks.len(), 25);
    }
    assert_eq!(day("30 */2 * * *")[1..3], ["25 02:30+02:00", "25 02:30+01:00"]);
    assert_eq!(day("30 1-22 * * *").len(), 22);
    let after = |text, zone, instant| Schedule::parse(text, zone).unwrap().after(utc(instant)).unwrap();
    for second in [
        "2026-10-25T00:55:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:54:59.5Z",
    ] {
        assert_eq!(
            after("55 2 * * *", Europe::Berlin, second),
            utc("2026-10-26T01:55:00Z")
        );
    }
    // A station that moves its clock by two hours.
    let second = "2026-10-25T02:30:00Z";
    assert_eq!(
        after("45 2 * * *", Antarctica::Troll, second),
        utc("2026-10-26T02:45:00Z")
    );
    // The time of day to come again is earlier than now, and nothing else is due for a year.
    let first = "2024-10-31T20:45:00Z";
    assert_eq!(
        after("30 */23 31 10 *", Africa::Cairo, first),
        utc("2024-10-31T21:30:00Z")
    );
}

#[test]
fn every_kind_of_change_of_clock_keeps_the_rules() {
    let ticks = |text, zone, days: &str| {
        let (first, last) = days.split_once(' ').unwrap_or((days, days));
        ticks(text, zone, first, last).join(", ")
    };

    // The day begins at 01:00; and begins twice at its end.
    let zone = America::Sao_Paulo;
    assert_eq!(
        ticks("0 0 * * *", zone, "2018-11-03 2018-11-04"),
        "03 00:00-03:00, 04 01:00-02:00"
    );
    assert_eq!(ticks("30 0 * * *", zone, "2018-11-04"), "04 01:00-02:00");
    assert_eq!(ticks("0 0,1 * * *", zone, "2018-11-04"), "04 01:00-02:00");
    assert_eq!(ticks("30 23 * * *", zone, "2019-02-16"), "16 23:30-02:00");
    assert_eq!(
        ticks("@daily", zone, "2019-02-16 2019-02-17"),
        "16 00:00-02:00, 17 00:00-03:00"
    );
    let zone = Africa::Cairo;
    assert_eq!(ticks("0 0 * * 5", zone, "2024-04-26"), "26 01:00+03:00");
    assert_eq!(ticks("0 23 * * *", zone, "2024-10-31"), "31 23:00+03:00");

    // Half an hour.
    let zone = Australia::Lord_Howe;
    assert_eq!(ticks("15 2 * * *", zone, "2026-10-04"), "04 02:30+11:00");
    assert_eq!(ticks("0,30 2 * * *", zone, "2026-10-04"), "04 02:30+11:00");
    assert_eq!(
        ticks("15,45 1 * * *", zone, "2026-04-05"),
        "05 01:15+11:00, 05 01:45+11:00"
    );

    // 30 December 2011 did not happen.
    let zone = Pacific::Apia;
    assert_eq!(
        ticks("0 9 30 * *", zone, "2011-12-29 2011-12-31"),
        "31 00:00+14:00"
    );
    assert_eq!(
        ticks("0 9 * * *", zone, "2011-12-29 2011-12-31"),
        "29 09:00-10:00, 31 00:00+14:00, 31 09:00+14:00"
    );
    assert_eq!(
        ticks("@daily", zone, "2011-12-29 2011-12-31"),
        "29 00:00-10:00, 31 00:00+14:00"
    );

    // Winter time in Ramadan; summer time as the standard.
    let zone = Africa::Casablanca;
    assert_eq!(ticks("30 2 * * *", zone, "2026-02-15"), "15 02:30+01:00");
    assert_eq!(ticks("30 2 * * *", zone, "2026-03-22"), "22 03:00+01:00");
    let zone = Europe::Dublin;
    assert_eq!(ticks("30 1 * * *", zone, "2026-03-29"), "29 02:00+01:00");
    assert_eq!(ticks("30 1 * * *", zone, "2026-10-25"), "25 01:30+01:00");

    // A minute after midnight, so that a date begins, ends and begins again.
    let zone = America::St_Johns;
    assert_eq!(ticks("30 0 * * *", zone, "2006-04-02"), "02 01:01-02:30");
    assert_eq!(ticks("0 0 * * *", zone, "2006-10-29"), "29 00:00-02:30");
    assert_eq!(ticks("30 23 * * *", zone, "2006-10-28"), "28 23:30-02:30");
    assert_eq!(
        ticks("0,30 */23 * * *", zone, "2006-10-28 2006-10-29"),
        "28 00:00-02:30, 28 00:30-02:30, 28 23:00-02:30, 28 23:30-02:30, 29 00:00-02:30, \
         28 23:30-03:30, 29 00:00-03:30, 29 00:30-03:30, 29 23:00-03:30, 29 23:30-03:30"
    );
}

#[test]
fn fields_mean_what_crontab_means() {
    let after = |text: &str, instant: &str| Schedule::parse(text, UTC).unwrap().after(utc(instant));
    let cases = [
        // 2026-01-01 is a Thursday.
        ("0 0 * * 0", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 * * sun", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 * * 5-7", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 * * 6-7/1", "2026-01-04T00:00:00Z", "2026-01-10T00:00:00Z"),
        ("0 0 * * Mon-wED", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("0 0 * * */3", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
        ("0 0 * FEB-4/2 *", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        // Either day field, or both where one begins with a star.
        ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 0 13 * 5", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"),
        ("0 0 */12 * 5", "2026-01-01T00:00:00Z", "2026-02-13T00:00:00Z"),
        ("0 0 13 * */5", "2026-01-01T00:00:00Z", "2026-02-13T00:00:00Z"),
        ("1-30/5 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T01:01:00Z"),
        (
            "*/40 * * * *",
            "2026-01-01T00:00:00.000000001Z",
            "2026-01-01T00:40:00Z",
        ),
        ("*/10 * * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"),
        (
            "*/10 * * * * *",
            "2026-01-01T00:00:09.999Z",
            "2026-01-01T00:00:10Z",
        ),
        (
            "59 59 23 31 12 * 2030",
            "2026-01-01T00:00:00Z",
            "2030-12-31T23:59:59Z",
        ),
        // Rare days: nothing is rarer than the last of these.
        ("0 0 29 2 1", "2026-03-01T00:00:00Z", "2027-02-01T00:00:00Z"),
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
        ("0 0 29 2 */7", "2088-03-01T00:00:00Z", "2128-02-29T00:00:00Z"),
        ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
        ("@midnight", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        (" @annually ", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 0 1 1 *", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ];
    for (text, instant, expected) in cases {
        assert_eq!(
            after(text, instant),
            Some(utc(expected)),
            "{text} after {instant}"
        );
    }
    assert_eq!(after("@ad_hoc", "2026-01-01T00:00:00Z"), None);
    assert_eq!(after("0 0 0 1 1 * 2026", "2026-01-01T00:00:00Z"), None);
    assert_eq!(
        Schedule::parse("@daily", UTC),
        Schedule::parse("0\t0 * *  *", UTC)
    );
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let cases = [
        ("", "the text is empty"),
        ("* * * *", "there are 4 fields instead of 5, 6 or 7"),
        ("daily", "there is 1 field instead of 5, 6 or 7"),
        ("@reboot", "@reboot is not a time"),
        ("@dayly", "@dayly is not a known name"),
        ("61 * * * *", "the minute field: 61 is above 59"),
        (
            "99999999999999999999 * * * *",
            "the minute field: 99999999999999999999 is above 59",
        ),
        ("* 24 * * *", "the hour field: 24 is above 23"),
        ("* * 0 * *", "the day-of-month field: 0 is below 1"),
        ("* * * 13 *", "the month field: 13 is above 12"),
        ("* * * Janu *", "the month field: Janu is not a number or a name"),
        ("* * * * 8", "the day-of-week field: 8 is above 7"),
        (
            "* * * * friday",
            "the day-of-week field: friday is not a number or a name",
        ),
        ("* * * * FRI-SUN", "the day-of-week field: FRI-SUN runs backwards"),
        ("60 * * * * *", "the second field: 60 is above 59"),
        ("0 0 0 1 1 * 1969", "the year field: 1969 is below 1970"),
        ("0 0 0 1 1 * 2101", "the year field: 2101 is above 2100"),
        ("MON * * * *", "the minute field: MON is not a number"),
        ("5/15 * * * *", "the minute field: 5/15 has a step but no range"),
        (
            "*/0 * * * *",
            "the minute field: */0 has a step of 0, which is below 1",
        ),
        ("*/90 * * * *", "the minute field: 90 is above 59"),
        ("30-10 * * * *", "the minute field: 30-10 runs backwards"),
        ("1,,2 * * * *", "the minute field: the list has an empty item"),
        (", * * * *", "the minute field: the list has an empty item"),
        ("1- * * * *", "the minute field: 1- lacks a number"),
        ("-5 * * * *", "the minute field: -5 lacks a number"),
        ("*/ * * * *", "the minute field: */ lacks a number"),
        ("+5 * * * *", "the minute field: +5 is not a number"),
        ("1-2-3 * * * *", "the minute field: 2-3 is not a number"),
        ("** * * * *", "the minute field: ** is not a number"),
        (
            "* * ? * *",
            "the day-of-month field: ? is Quartz's, which crontab doesn't have",
        ),
        (
            "* * L * *",
            "the day-of-month field: L is Quartz's, which crontab doesn't have",
        ),
        (
            "* * 15W * *",
            "the day-of-month field: 15W is Quartz's, which crontab doesn't have",
        ),
        (
            "* * * * 5#2",
            "the day-of-week field: 5#2 is Quartz's, which crontab doesn't have",
        ),
        (
            "0 0 30 2 *",
            "the day fields: no such day ever comes in these months and years",
        ),
        (
            "0 0 0 29 2 * 2027",
            "the day fields: no such day ever comes in these months and years",
        ),
        ("\u{7}\n* * * *  *", "the second field: \\u{7} is not a number"),
    ];
    for (text, expected) in cases {
        let error = Schedule::parse(text, UTC).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
        assert!(!error.help().is_empty());
    }
    let long = format!("{} * * * *", "x".repeat(1000));
    let said = Schedule::parse(&long, UTC).unwrap_err().to_string();
    assert_eq!(
        said,
        format!("the minute field: {}… is not a number", "x".repeat(30))
    );
    let long = Schedule::parse(&"1,".repeat(100_000), UTC).unwrap_err();
    assert_eq!(long.to_string(), "the text has 200000 bytes, above 2000");
}

proptest! {
    #[test]
    fn ticks_increase_and_within_has_them_all(
        fields in (numbers(0, 59), numbers(0, 59), numbers(0, 23), numbers(1, 31)),
        from in 0..4_000_000_000_i64,
        seconds in 0..400_000_i64,
    ) {
        let (second, minute, hour, day) = fields;
        let text = format!("{} {} {} {} * *", second.text, minute.text, hour.text, day.text);
        let schedule = Schedule::parse(&text, America::St_Johns).unwrap();
        let from = DateTime::from_timestamp(from, 999_999_999).unwrap();
        let to = from + TimeDelta::seconds(seconds);
        let mut last = from;
        for tick in schedule.within(from, to).take(200) {
            prop_assert!(last < tick && tick <= to);
            prop_assert_eq!(schedule.after(last), Some(tick));
            prop_assert_eq!(schedule.after(tick - TimeDelta::nanoseconds(1)), Some(tick));
            last = tick;
        }
        if schedule.within(from, to).nth(200).is_none() {
            prop_assert!(schedule.after(last).unwrap() > to);
        }
    }

    #[test]
    fn nothing_panics(
        text in prop_oneof!["\\PC{0,60}", "[0-9*/,A-Z@?# -]{0,40}", "([0-9*]{1,2}[/,-]?[0-9*]{0,12} ){4,7}"],
        seconds in any::<i64>(),
    ) {
        if let Ok(schedule) = Schedule::parse(&text, Pacific::Apia) {
            let instant = DateTime::from_timestamp(seconds % 8_210_000_000_000, 0).unwrap();
            for instant in [instant, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                prop_assert!(schedule.after(instant).is_none_or(|tick| tick > instant));
            }
        }
    }
}
