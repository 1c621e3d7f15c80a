//! For how much of a stretch of time a test's result is known: *observed* at a look, and *inferred* from it for at most as
//! long as the test says that evidence speaks for the present (`max_age`), never backwards.
//!
//! A look counts where its snapshot held the whole population and the test had a result other than unknown. Looks at events
//! cover the interval that they are of, and nothing behind it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// What the looks of one test at one target cover, while they are added one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// Up to here everything is either covered or counted as not.
    reach: DateTime<Utc>,
    covered: TimeDelta,
    /// The last look that counts; the beginning before there is one.
    last: DateTime<Utc>,
    longest: Stretch,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Where it ends.
    pub to: DateTime<Utc>,
}

impl Stretch {
    /// How long it is.
    pub fn length(self) -> TimeDelta {
        self.to - self.from
    }
}

/// What was covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// How much of the time.
    pub time: TimeDelta,
    /// Of how much.
    pub of: TimeDelta,
    /// The longest stretch between two looks that count, or between one and an edge.
    pub longest: Stretch,
}

impl Coverage {
    /// Of a stretch of time, before any look.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let to = to.max(from);
        Self {
            from,
            to,
            reach: from,
            covered: TimeDelta::zero(),
            last: from,
            longest: Stretch { from, to: from },
        }
    }

    /// A look that counts, and for how long it speaks. One from before the stretch may speak into it.
    pub fn look(&mut self, at: DateTime<Utc>, max_age: TimeDelta) {
        self.cover(
            at,
            at.checked_add_signed(max_age).unwrap_or(DateTime::<Utc>::MAX_UTC),
        );
        self.observe(at, at);
    }

    /// A look at the events of an interval.
    pub fn interval(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        self.cover(from, until);
        self.observe(from, until);
    }

    fn cover(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        let (from, until) = (from.max(self.reach), until.min(self.to));
        if from < until {
            self.covered += until - from;
            self.reach = until;
        }
    }

    fn observe(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        let from = from.min(self.to);
        if from - self.last > self.longest.length() {
            self.longest = Stretch {
                from: self.last,
                to: from,
            };
        }
        self.last = self.last.max(until.min(self.to));
    }

    /// The longest stretch up to the newest look that counts.
    pub fn longest(&self) -> Stretch {
        self.longest
    }

    /// What was covered.
    pub fn end(&self) -> Covered {
        let mut to_the_end = self.clone();
        to_the_end.observe(self.to, self.to);
        Covered {
            time: self.covered,
            of: self.to - self.from,
            longest: to_the_end.longest,
        }
    }
}

impl std::ops::AddAssign for Covered {
    /// Of several targets together: their time is added, the longest stretch is the longest of any.
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.of += other.of;
        if other.longest.length() > self.longest.length() {
            self.longest = other.longest;
        }
    }
}

impl Covered {
    /// In hundredths of a percent, rounded down: what is not whole is never told as 100 %. None of no time at all.
    pub fn basis_points(&self) -> Option<u32> {
        let (time, of) = (self.time.num_milliseconds(), self.of.num_milliseconds());
        (of > 0).then(|| u32::try_from(i128::from(time) * 10_000 / i128::from(of)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn of_looks(looks: &[i64], max_age: i64) -> Covered {
        let mut coverage = Coverage::new(hour(0), hour(100));
        for look in looks {
            coverage.look(hour(*look), TimeDelta::hours(max_age));
        }
        coverage.end()
    }

    fn told(covered: Covered) -> (i64, i64, i64) {
        let hour = |at: DateTime<Utc>| at.timestamp() / 3600;
        let Stretch { from, to } = covered.longest;
        (covered.time.num_hours(), hour(from), hour(to))
    }

    #[test]
    fn a_look_speaks_for_its_max_age_and_never_backwards() {
        assert_eq!(told(of_looks(&[10], 5)), (5, 10, 100));
        assert_eq!(told(of_looks(&[90], 5)), (5, 0, 90));
        assert_eq!(told(of_looks(&[10, 12, 14, 98], 5)), (11, 14, 98));
        assert_eq!(told(of_looks(&[], 5)), (0, 0, 100));
    }

    #[test]
    fn a_look_from_before_the_beginning_speaks_into_it_and_is_no_observation_in_it() {
        assert_eq!(told(of_looks(&[-3], 5)), (2, 0, 100));
        assert_eq!(told(of_looks(&[-9, 50], 5)), (5, 0, 50));
    }

    #[test]
    fn events_cover_their_interval_and_nothing_behind_it() {
        let mut coverage = Coverage::new(hour(0), hour(100));
        for (from, until) in [(-5, 10), (10, 20), (40, 60), (60, 120)] {
            coverage.interval(hour(from), hour(until));
        }
        assert_eq!(told(coverage.end()), (80, 20, 40));
    }

    #[test]
    fn what_is_nearly_whole_is_not_told_as_whole() {
        let mut coverage = Coverage::new(hour(0), hour(100_000));
        coverage.look(hour(1), TimeDelta::hours(200_000));
        assert_eq!(coverage.end().basis_points(), Some(9999));
        assert_eq!(Coverage::new(hour(1), hour(1)).end().basis_points(), None);
    }

    proptest! {
        #[test]
        fn it_is_what_counting_hour_by_hour_gives(
            mut looks in proptest::collection::vec(-20_i64..120, 0..30),
            max_age in 1_i64..20,
        ) {
            looks.sort_unstable();
            let covered = (0..100).filter(|at| looks.iter().any(|look| look <= at && *at < look + max_age)).count();
            let inside = looks.iter().copied().filter(|look| (0..=100).contains(look));
            let edges: Vec<i64> = std::iter::once(0).chain(inside).chain([100]).collect();
            let longest = edges.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            let told = of_looks(&looks, max_age);
            prop_assert_eq!(told.time.num_hours(), i64::try_from(covered).unwrap());
            prop_assert_eq!(told.longest.length().num_hours(), longest);
        }
    }
}
