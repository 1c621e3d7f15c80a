//! What the looks of one test at one target came to: how many said what, what they cover, and each day's worst.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::coverage::{Coverage, Covered};
use crate::control::Outcome;

/// What one look at a target says to one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The snapshot's leaf.
    pub snapshot: u64,
    /// The instant that it speaks for; of events, the end of their interval.
    pub at: DateTime<Utc>,
    /// Of events, where their interval begins.
    pub events_from: Option<DateTime<Utc>>,
    /// Whether it held the whole population.
    pub complete: bool,
    /// What the test said.
    pub outcome: Outcome,
    /// For how long evidence speaks to the test.
    pub max_age: TimeDelta,
}

/// How many looks there were, and what the test said at each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observations {
    /// All of them: the sum of the others.
    pub taken: u64,
    /// It passed.
    pub passed: u64,
    /// It failed.
    pub failed: u64,
    /// Nobody could say.
    pub unknown: u64,
    /// It failed, and exceptions covered all failures.
    pub excepted: u64,
    /// There was nothing that it applies to.
    pub not_applicable: u64,
}

/// A look, as far as it is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct At {
    /// The snapshot's leaf.
    pub snapshot: u64,
    /// The instant that it speaks for.
    pub time: DateTime<Utc>,
}

/// What is known of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// A look found it.
    Observed(Outcome),
    /// No look on that day: what the last one found still speaks for its beginning.
    Inferred(Outcome),
    /// No evidence speaks for it.
    Nothing,
    /// Behind the end of what was read, or out of scope.
    Outside,
}

impl Day {
    /// One character: `P`, `F`, `U`, `E`, `N` observed, the same in lower case inferred, `-` nothing, `.` outside.
    pub fn letter(self) -> char {
        let letter = |outcome| match outcome {
            Outcome::Pass => 'P',
            Outcome::Fail => 'F',
            Outcome::Unknown => 'U',
            Outcome::Excepted => 'E',
            Outcome::NotApplicable => 'N',
        };
        match self {
            Self::Observed(outcome) => letter(outcome),
            Self::Inferred(outcome) => letter(outcome).to_ascii_lowercase(),
            Self::Nothing => '-',
            Self::Outside => '.',
        }
    }

    /// The one that speaks for several targets: a failure anywhere first, then what nobody knows.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let rank = |day| match day {
            Self::Observed(Outcome::Fail) => 0,
            Self::Inferred(Outcome::Fail) => 1,
            Self::Nothing => 2,
            Self::Observed(Outcome::Unknown) => 3,
            Self::Inferred(Outcome::Unknown) => 4,
            Self::Observed(Outcome::Excepted) => 5,
            Self::Inferred(Outcome::Excepted) => 6,
            Self::Inferred(Outcome::Pass) => 7,
            Self::Observed(Outcome::Pass) => 8,
            Self::Inferred(Outcome::NotApplicable) => 9,
            Self::Observed(Outcome::NotApplicable) => 10,
            Self::Outside => 11,
        };
        if rank(other) < rank(self) { other } else { self }
    }
}

/// The looks of one test at one target, one after another.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What they cover.
    coverage: Coverage,
    /// What the test said at those within the time.
    pub observations: Observations,
    /// The last look before the time that speaks into it.
    pub before: Option<At>,
    /// The first look within the time.
    pub first: Option<At>,
    /// The last.
    pub last: Option<At>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    days: Vec<Option<Outcome>>,
    /// By day, what the newest look before it found, if that still speaks for its beginning.
    carried: Vec<Option<Outcome>>,
    /// What the newest look found, and until when that speaks.
    speaks: Option<(Outcome, DateTime<Utc>)>,
    day: usize,
    begun: bool,
    /// Whole snapshots since the last look that counts, of which nobody could say, and those in the longest stretch without one.
    uncounted: u64,
    in_longest: u64,
}

impl Slot {
    /// Before any look. `days` are the instants at which days begin, and the last one's end.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>, days: &[DateTime<Utc>]) -> Self {
        let count = days.len().saturating_sub(1);
        Self {
            coverage: Coverage::new(from, to),
            observations: Observations::default(),
            before: None,
            first: None,
            last: None,
            from,
            to,
            days: vec![None; count],
            carried: vec![None; count],
            speaks: None,
            day: 0,
            begun: false,
            uncounted: 0,
            in_longest: 0,
        }
    }

    /// Whether a look is an observation within the time.
    pub fn counts(&self, at: DateTime<Utc>, events_from: Option<DateTime<Utc>>) -> bool {
        at >= self.from && !self.is_behind(at, events_from)
    }

    fn is_behind(&self, at: DateTime<Utc>, events_from: Option<DateTime<Utc>>) -> bool {
        at >= self.to && events_from.is_none_or(|from| from >= self.to)
    }

    /// Adds a look, later than those before it.
    pub fn add(&mut self, seen: Seen, days: &[DateTime<Utc>]) {
        if self.is_behind(seen.at, seen.events_from) {
            return;
        }
        if seen.at >= self.from {
            self.begin(days);
        }
        self.pass_days(seen.at, days);
        let at = At {
            snapshot: seen.snapshot,
            time: seen.at,
        };
        let until = match seen.events_from {
            None => seen
                .at
                .checked_add_signed(seen.max_age)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
            Some(_) => seen.at,
        };
        let counts = seen.complete && seen.outcome != Outcome::Unknown;
        if counts {
            let longest = self.coverage.longest();
            match seen.events_from {
                None => self.coverage.look(seen.at, seen.max_age),
                Some(from) => self.coverage.interval(from, seen.at),
            }
            if self.coverage.longest() != longest {
                self.in_longest = self.uncounted;
            }
            self.uncounted = 0;
        } else if seen.complete && seen.at >= self.from {
            self.uncounted += 1;
        }
        self.speaks = Some((seen.outcome, until));
        if seen.at < self.from {
            if counts {
                self.before = (until > self.from).then_some(at);
            }
            return;
        }
        self.observations.add(seen.outcome);
        self.first.get_or_insert(at);
        self.last = Some(at);
        let day = self.day.min(self.days.len().saturating_sub(1));
        if let Some(known) = self.days.get_mut(day) {
            *known = Some(known.map_or(seen.outcome, |known| known.min(seen.outcome)));
        }
    }

    /// The time begins: what was found before it may speak for its first day.
    fn begin(&mut self, days: &[DateTime<Utc>]) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.pass_days(self.from, days);
        if let (Some(carried), Some((outcome, until))) = (self.carried.get_mut(self.day), self.speaks)
            && until > self.from
        {
            *carried = Some(outcome);
        }
    }

    /// Up to the day of an instant, what was found before is carried into each day that begins.
    fn pass_days(&mut self, at: DateTime<Utc>, days: &[DateTime<Utc>]) {
        while self.day + 1 < days.len() && days[self.day + 1] <= at {
            self.day += 1;
            self.carry(days);
        }
    }

    fn carry(&mut self, days: &[DateTime<Utc>]) {
        if let (Some(carried), Some((outcome, until))) = (self.carried.get_mut(self.day), self.speaks)
            && until > days[self.day]
        {
            *carried = Some(outcome);
        }
    }

    /// What the looks cover, and at how many in the longest stretch nobody could say.
    pub fn covered(&self) -> (Covered, u64) {
        let covered = self.coverage.end();
        let is_last = covered.longest != self.coverage.longest();
        (covered, if is_last { self.uncounted } else { self.in_longest })
    }

    /// What is known of each day.
    pub fn days(mut self, days: &[DateTime<Utc>]) -> Vec<Day> {
        self.begin(days);
        self.pass_days(self.to, days);
        let known = self.days.iter().zip(&self.carried).zip(days.windows(2));
        known
            .map(|((observed, carried), day)| match (observed, carried) {
                _ if day[0] >= self.to || day[1] <= self.from => Day::Outside,
                (Some(outcome), _) => Day::Observed(*outcome),
                (None, Some(outcome)) => Day::Inferred(*outcome),
                (None, None) => Day::Nothing,
            })
            .collect()
    }
}

impl Observations {
    fn add(&mut self, outcome: Outcome) {
        self.taken += 1;
        *match outcome {
            Outcome::Pass => &mut self.passed,
            Outcome::Fail => &mut self.failed,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Excepted => &mut self.excepted,
            Outcome::NotApplicable => &mut self.not_applicable,
        } += 1;
    }
}

impl std::ops::AddAssign for Observations {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.passed += other.passed;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.excepted += other.excepted;
        self.not_applicable += other.not_applicable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Excepted, Fail, Pass, Unknown};

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    /// Five days, with looks at hours, each speaking for 26 hours.
    fn slot(looks: &[(i64, Outcome)]) -> (Slot, Vec<DateTime<Utc>>) {
        let days: Vec<_> = (0..=5).map(|day| hour(24 * day)).collect();
        let mut slot = Slot::new(hour(0), hour(120), &days);
        for (snapshot, (at, outcome)) in looks.iter().enumerate() {
            let seen = Seen {
                snapshot: snapshot as u64,
                at: hour(*at),
                events_from: None,
                complete: true,
                outcome: *outcome,
                max_age: TimeDelta::hours(26),
            };
            slot.add(seen, &days);
        }
        (slot, days)
    }

    fn strip(looks: &[(i64, Outcome)]) -> String {
        let (slot, days) = slot(looks);
        slot.days(&days).into_iter().map(Day::letter).collect()
    }

    #[test]
    fn a_day_tells_the_worst_that_was_observed_on_it_and_else_what_still_speaks_for_its_beginning() {
        assert_eq!(
            strip(&[(1, Pass), (2, Fail), (3, Pass), (45, Pass), (119, Excepted)]),
            "FPp-E"
        );
        assert_eq!(strip(&[(30, Unknown), (50, Pass)]), "-UPp-");
        assert_eq!(strip(&[]), "-----");
        assert_eq!(strip(&[(-3, Pass)]), "p----");
        assert_eq!(
            strip(&[(-1, Fail)]),
            "ff---",
            "until one o'clock of the second day"
        );
        assert_eq!(strip(&[(-3, Pass), (50, Pass)]), "p-Pp-");
        assert_eq!(strip(&[(-1, Fail), (1, Pass)]), "Pp---");
        assert_eq!(strip(&[(-30, Pass)]), "-----");
    }

    #[test]
    fn looks_within_the_time_are_counted_and_the_last_before_it_is_named() {
        let (slot, _) = slot(&[
            (-30, Pass),
            (-1, Pass),
            (0, Pass),
            (50, Fail),
            (119, Unknown),
            (120, Pass),
        ]);
        let of = slot.observations;
        assert_eq!([of.taken, of.passed, of.failed, of.unknown], [3, 1, 1, 1]);
        let seqs = [slot.before, slot.first, slot.last].map(|at| at.map(|at| at.snapshot));
        assert_eq!(seqs, [Some(1), Some(2), Some(4)]);
        // Until 26 from the first two, from 50 for 26: what is unknown covers nothing.
        let (covered, uncounted) = slot.covered();
        assert_eq!(
            (covered.time.num_hours(), uncounted),
            (52, 1),
            "from 50 to the end, and one in it"
        );
    }

    #[test]
    fn what_is_named_before_the_time_is_the_last_look_that_tells() {
        let (slot, _) = slot(&[(-3, Pass), (-1, Unknown), (60, Pass)]);
        assert_eq!(slot.before.map(|at| at.snapshot), Some(0));
    }

    #[test]
    fn of_several_targets_a_failure_anywhere_speaks_for_the_day() {
        use Day::{Inferred, Nothing, Observed, Outside};
        let joined = |days: &[Day]| days.iter().copied().reduce(Day::join).map(Day::letter);
        assert_eq!(joined(&[Observed(Pass), Inferred(Fail), Nothing]), Some('f'));
        assert_eq!(joined(&[Observed(Pass), Nothing]), Some('-'));
        assert_eq!(joined(&[Observed(Pass), Inferred(Pass), Outside]), Some('p'));
        assert_eq!(joined(&[Observed(Excepted), Observed(Unknown)]), Some('U'));
    }
}
