//! Stretches of time, the union of several, and the holes in it.

use chrono::{DateTime, TimeDelta, Utc};

/// A stretch of time, `from` included, `to` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends.
    pub to: DateTime<Utc>,
}

impl Span {
    /// A stretch.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self { from, to }
    }

    /// What an interval of events covers, which excludes its `from` and includes its `to`: to the nanosecond, since an event
    /// at the edge belongs to one interval and not to both.
    pub fn of_events(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let next = TimeDelta::nanoseconds(1);
        Self::new(from + next, to + next)
    }

    /// Whether an instant is in it.
    pub fn contains(self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.to
    }

    /// What two have in common, if that is anything.
    pub fn shared(self, other: Self) -> Option<Self> {
        let shared = Self::new(self.from.max(other.from), self.to.min(other.to));
        (shared.from < shared.to).then_some(shared)
    }

    /// How long it is.
    pub fn length(self) -> TimeDelta {
        self.to - self.from
    }
}

/// What none of the spans covers of `within`, oldest first.
pub fn holes(mut spans: Vec<Span>, within: Span) -> Vec<Span> {
    spans.sort();
    let mut holes = Vec::new();
    let mut until = within.from;
    for span in spans.into_iter().filter_map(|span| span.shared(within)) {
        if span.from > until {
            holes.push(Span::new(until, span.from));
        }
        until = until.max(span.to);
    }
    if until < within.to {
        holes.push(Span::new(until, within.to));
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn span(from: i64, to: i64) -> Span {
        Span::new(at(from), at(to))
    }

    #[test]
    fn an_interval_of_events_leaves_out_its_beginning_and_takes_in_its_end() {
        let events = Span::of_events(at(10), at(20));
        assert!(!events.contains(at(10)) && events.contains(at(20)));
        let next = Span::of_events(at(20), at(30));
        assert!(!next.contains(at(20)));
        assert_eq!(holes(vec![next, events], Span::new(at(11), at(30))), []);
        // The instant at which the first interval begins is in none.
        let hole = Span::new(at(10), at(10) + TimeDelta::nanoseconds(1));
        assert_eq!(holes(vec![events], Span::new(at(10), at(20))), [hole]);
    }

    #[test]
    fn a_hole_is_where_no_interval_is() {
        let within = span(0, 100);
        assert_eq!(holes(Vec::new(), within), [within]);
        let some = vec![span(50, 60), span(-5, 10), span(55, 70), span(200, 300)];
        assert_eq!(holes(some, within), [span(10, 50), span(70, 100)]);
    }

    proptest! {
        #[test]
        fn an_instant_is_in_a_hole_or_in_a_span_and_never_in_both(
            spans in prop::collection::vec((-20_i64..120, 0_i64..40), 0..12)
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(from, length)| span(from, from + length)).collect();
            let holes = holes(spans.clone(), span(0, 100));
            for second in 0..100 {
                let covered = spans.iter().any(|span| span.contains(at(second)));
                let open = holes.iter().filter(|hole| hole.contains(at(second))).count();
                prop_assert_eq!(open, usize::from(!covered));
            }
            prop_assert!(holes.iter().all(|hole| hole.from < hole.to && span(0, 100).shared(*hole) == Some(*hole)));
        }
    }
}
