//! One schedule's ticks as they come and go. Pure: time is handed in.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use crate::duty::Post;
use crate::log::leaf::Ticks;
use crate::schedule::Schedule;

/// How late the scheduler may come to a tick that it still takes for its own. It wakes for each, so more than this means
/// that it, or the machine, stood still.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// Which ticks of a schedule are dealt with.
pub(super) struct Timetable {
    schedule: Schedule,
    jitter: TimeDelta,
    /// Up to here, every tick has been dealt with. It goes back with the clock.
    looked: DateTime<Utc>,
    /// The first tick behind that.
    coming: Option<DateTime<Utc>>,
    /// Up to here, every tick is accounted for, or is being collected. It never goes back.
    accounted: DateTime<Utc>,
}

/// What is to be done at a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Ticks that passed and are not collected.
    pub(super) missed: Option<Ticks>,
    /// What is to be collected.
    pub(super) run: Option<Purpose>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// This tick.
    Tick(DateTime<Utc>),
    /// None: ticks passed that are missed, or accounted for already.
    CatchUp,
}

impl Timetable {
    /// Everything up to `from` is dealt with; up to `accounted`, which may be later, nothing is owed.
    pub(super) fn new(
        schedule: Schedule,
        jitter: TimeDelta,
        from: DateTime<Utc>,
        accounted: DateTime<Utc>,
    ) -> Self {
        Self {
            coming: schedule.after(from),
            schedule,
            jitter,
            looked: from,
            accounted,
        }
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Up to where every tick has been dealt with.
    pub(super) fn looked(&self) -> DateTime<Utc> {
        self.looked
    }

    /// What is to be done now. While a run is under way, ticks are missed.
    pub(super) fn turn(&mut self, now: DateTime<Utc>, is_busy: bool) -> Due {
        if self.next().is_none_or(|next| now < next) {
            return Due::default();
        }
        let due = self.schedule.within(self.looked, now - self.jitter);
        let (mut missed, mut last): (Option<Ticks>, _) = (None, None);
        for tick in due {
            if let Some(before) = last.replace(tick)
                && before > self.accounted
            {
                missed = Some(missed.map_or(Ticks::one(before), |ticks| ticks.and(before)));
            }
        }
        let Some(last) = last else { return Due::default() };
        let is_owed = last > self.accounted;
        let in_time = now - self.jitter - last <= LATE;
        let run = match (is_busy, is_owed && in_time) {
            (true, _) => None,
            (false, true) => Some(Purpose::Tick(last)),
            (false, false) => Some(Purpose::CatchUp),
        };
        if is_owed && !matches!(run, Some(Purpose::Tick(_))) {
            missed = Some(missed.map_or(Ticks::one(last), |ticks| ticks.and(last)));
        }
        self.accounted = self.accounted.max(last);
        self.look_from(last);
        Due { missed, run }
    }

    /// The clock was set back: what it passes again is looked at again.
    pub(super) fn set_back(&mut self, now: DateTime<Utc>) {
        self.look_from(self.looked.min(now - self.jitter));
    }

    fn look_from(&mut self, looked: DateTime<Utc>) {
        self.looked = looked;
        self.coming = self.schedule.after(looked);
    }

    /// The instant at which there is something to do next.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.coming.map(|tick| tick + self.jitter)
    }
}

/// How far behind its ticks a post runs: always the same for one log and post, so that a fleet with one configuration does
/// not strike at once. A tenth of the shortest time between ticks at most.
pub(super) fn jitter(
    origin: &str,
    post: &Post,
    schedule: &Schedule,
    most: Duration,
    now: DateTime<Utc>,
) -> TimeDelta {
    let coming: Vec<_> = schedule
        .within(now, now + TimeDelta::days(366))
        .take(200)
        .collect();
    let shortest = coming.windows(2).map(|pair| pair[1] - pair[0]).min();
    let tenth = shortest.map_or(TimeDelta::MAX, |shortest| shortest / 10);
    let most = TimeDelta::from_std(most).map_or(tenth, |most| most.min(tenth));
    let mut hasher = Sha256::new();
    for part in [origin, &post.collector, &post.source] {
        hasher.update(part);
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    let number = digest
        .iter()
        .take(4)
        .fold(0, |sum, byte| (sum << 8) | i64::from(*byte));
    TimeDelta::milliseconds(number % (most.num_milliseconds() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn hourly(jitter: TimeDelta) -> Timetable {
        let schedule = Schedule::parse("0 * * * *", chrono_tz::UTC).unwrap();
        Timetable::new(schedule, jitter, time("09:30:00"), time("09:30:00"))
    }

    fn ticks(first: &str, last: &str, count: u64) -> Ticks {
        Ticks {
            first: time(first),
            last: time(last),
            count,
        }
    }

    #[test]
    fn a_tick_runs_once_behind_its_jitter() {
        let mut table = hourly(TimeDelta::minutes(3));
        assert_eq!(table.next(), Some(time("10:03:00")));
        assert_eq!(table.turn(time("10:02:59"), false), Due::default());
        let due = table.turn(time("10:03:00"), false);
        assert_eq!(
            (due.missed, due.run),
            (None, Some(Purpose::Tick(time("10:00:00"))))
        );
        assert_eq!(table.turn(time("10:03:01"), false), Due::default());
    }

    /// Looked at as the daemon does: at each tick, and every minute between.
    #[test]
    fn a_year_of_hourly_ticks_of_twenty_collectors_runs_each_once() {
        let begin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let schedule = Schedule::parse("0 * * * *", chrono_tz::UTC).unwrap();
        for number in 0..20 {
            let jitter = TimeDelta::seconds(number * 11);
            let mut table = Timetable::new(schedule.clone(), jitter, begin, begin);
            let (mut now, mut expected) = (begin, begin);
            while now < begin + TimeDelta::days(365) {
                let due = table.turn(now, false);
                assert_eq!(due.missed, None);
                if let Some(run) = due.run {
                    expected += TimeDelta::hours(1);
                    assert_eq!(run, Purpose::Tick(expected));
                }
                now = table.next().unwrap().min(now + TimeDelta::minutes(1));
            }
            assert_eq!(expected, begin + TimeDelta::hours(365 * 24 - 1));
        }
    }

    #[test]
    fn ticks_that_come_while_a_run_is_under_way_are_missed() {
        let mut table = hourly(TimeDelta::zero());
        let due = table.turn(time("11:00:00"), true);
        assert_eq!(
            (due.missed, due.run),
            (Some(ticks("10:00:00", "11:00:00", 2)), None)
        );
    }

    #[test]
    fn a_jump_misses_what_it_passed_and_catches_up_unless_it_ends_in_time() {
        let mut table = hourly(TimeDelta::zero());
        let due = table.turn(time("14:30:00"), false);
        assert_eq!(
            (due.missed, due.run),
            (Some(ticks("10:00:00", "14:00:00", 5)), Some(Purpose::CatchUp))
        );
        let due = table.turn(time("17:00:30"), false);
        assert_eq!(
            (due.missed, due.run),
            (
                Some(ticks("15:00:00", "16:00:00", 2)),
                Some(Purpose::Tick(time("17:00:00")))
            )
        );
    }

    #[test]
    fn after_the_clock_was_set_back_its_ticks_are_collected_again_and_not_accounted_for_twice() {
        let mut table = hourly(TimeDelta::zero());
        table.turn(time("11:00:00"), false);
        table.set_back(time("09:10:00"));
        let due = table.turn(time("10:00:00"), false);
        assert_eq!((due.missed, due.run), (None, Some(Purpose::CatchUp)));
        let due = table.turn(time("11:00:00"), false);
        assert_eq!((due.missed, due.run), (None, Some(Purpose::CatchUp)));
        let due = table.turn(time("12:00:00"), false);
        assert_eq!(
            (due.missed, due.run),
            (None, Some(Purpose::Tick(time("12:00:00"))))
        );
    }

    #[test]
    fn jitter_is_stable_differs_between_posts_and_is_a_tenth_of_the_time_at_most() {
        let schedule = |text| Schedule::parse(text, chrono_tz::UTC).unwrap();
        let of = |post: &str, text, most| {
            let post = Post::new("host.baseline", post);
            jitter(
                "acme/1",
                &post,
                &schedule(text),
                Duration::from_secs(most),
                time("09:30:00"),
            )
        };
        assert_eq!(of("a", "0 * * * *", 300), of("a", "0 * * * *", 300));
        assert_ne!(of("a", "0 * * * *", 300), of("b", "0 * * * *", 300));
        for post in ["a", "b", "c", "d", "e"] {
            assert!(of(post, "0 * * * *", 300) <= TimeDelta::minutes(5));
            assert!(of(post, "* * * * *", 300) <= TimeDelta::seconds(6));
            assert_eq!(of(post, "0 * * * *", 0), TimeDelta::zero());
        }
    }
}
