//! Wordings of a test compared by what each says of the same findings: which is the stricter, as far as was observed. Pure.
//!
//! A finding that passes or does not apply is no objection; one that nobody can tell may be either. So a wording is at least as
//! strict as another where, of each resource at each look, it fails wherever the other fails, and does not pass where the
//! other can't tell. It is the stricter if it fails somewhere the other does not. What is excepted still fails.

use serde::Serialize;

use crate::control::Outcome;

/// How the wordings of a test compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All say the same of everything observed.
    Same,
    /// Some are stricter than the others: what they do not object to, none of the others does.
    Stricter,
    /// Each passes something that another one fails.
    Neither,
    /// Something that nobody can tell, or that can't be read any more, would have to be known.
    NotKnown,
}

impl Verdict {
    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Stricter => "stricter",
            Self::Neither => "neither",
            Self::NotKnown => "not_known",
        }
    }
}

/// What a finding says against a resource, in rising order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Objection {
    None,
    Perhaps,
    Fails,
}

impl Objection {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass | Outcome::NotApplicable => Self::None,
            Outcome::Unknown => Self::Perhaps,
            Outcome::Fail | Outcome::Excepted => Self::Fails,
        }
    }
}

/// Whether a finding is an objection; what is excepted is.
pub fn fails(outcome: Outcome) -> bool {
    Objection::of(outcome) == Objection::Fails
}

/// Whether a finding is none.
pub fn is_well(outcome: Outcome) -> bool {
    Objection::of(outcome) == Objection::None
}

/// What was found of wordings, finding by finding.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// By two wordings: that the first says less against something than the second.
    milder: Vec<Vec<bool>>,
    /// That the first has nothing against something that the second fails.
    misses: Vec<Vec<bool>>,
    lost: bool,
}

impl Comparison {
    /// Of so many wordings, before any finding.
    pub fn new(wordings: usize) -> Self {
        Self {
            milder: vec![vec![false; wordings]; wordings],
            misses: vec![vec![false; wordings]; wordings],
            lost: false,
        }
    }

    /// Adds what each wording says of a resource at a look.
    pub fn add(&mut self, outcomes: &[Outcome]) {
        for (first, says) in outcomes.iter().enumerate() {
            for (second, other) in outcomes.iter().enumerate() {
                let (says, other) = (Objection::of(*says), Objection::of(*other));
                self.milder[first][second] |= says < other;
                self.misses[first][second] |= says == Objection::None && other == Objection::Fails;
            }
        }
    }

    /// Notes that some of it can't be read any more.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// How they compare, and of each wording whether it is the stricter one, or among those.
    pub fn verdict(&self) -> (Verdict, Vec<bool>) {
        let count = self.milder.len();
        let none = vec![false; count];
        let strict: Vec<bool> = (0..count).map(|one| !self.milder[one].contains(&true)).collect();
        let is_missed = |one: usize| (0..count).any(|other| strict[other] && self.misses[one][other]);
        if !strict.contains(&true) {
            let refuted = |one: &Vec<bool>| one.contains(&true);
            let verdict = if self.misses.iter().all(refuted) {
                Verdict::Neither
            } else {
                Verdict::NotKnown
            };
            return (verdict, none);
        }
        if self.lost {
            return (Verdict::NotKnown, none);
        }
        if !strict.contains(&false) {
            return (Verdict::Same, none);
        }
        if (0..count).all(|one| strict[one] || is_missed(one)) {
            (Verdict::Stricter, strict)
        } else {
            (Verdict::NotKnown, none)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Excepted, Fail, NotApplicable, Pass, Unknown};

    fn verdict(findings: &[&[Outcome]]) -> (Verdict, Vec<bool>) {
        let mut comparison = Comparison::new(findings[0].len());
        for outcomes in findings {
            comparison.add(outcomes);
        }
        comparison.verdict()
    }

    #[test]
    fn the_stricter_is_the_one_that_fails_more_and_passes_nothing_that_another_fails() {
        let stricter = (Verdict::Stricter, vec![false, true]);
        assert_eq!(verdict(&[&[Pass, Pass], &[Pass, Fail], &[Fail, Fail]]), stricter);
        assert_eq!(verdict(&[&[NotApplicable, Excepted], &[Pass, Unknown]]), stricter);
        assert_eq!(
            verdict(&[&[Pass, Pass], &[Excepted, Fail], &[NotApplicable, Pass]]),
            (Verdict::Same, vec![false, false])
        );
    }

    #[test]
    fn where_each_fails_something_that_another_passes_neither_is() {
        let neither = (Verdict::Neither, vec![false, false]);
        assert_eq!(verdict(&[&[Pass, Fail], &[Fail, Pass]]), neither);
        let mut comparison = Comparison::new(2);
        comparison.add(&[Pass, Fail]);
        comparison.add(&[Fail, NotApplicable]);
        comparison.lose();
        assert_eq!(comparison.verdict(), neither, "what was lost can't mend that");
    }

    #[test]
    fn what_nobody_can_tell_proves_nothing() {
        let not_known = (Verdict::NotKnown, vec![false, false]);
        assert_eq!(verdict(&[&[Pass, Unknown]]), not_known, "it might pass");
        assert_eq!(verdict(&[&[Pass, Fail], &[Unknown, Pass]]), not_known);
        let mut comparison = Comparison::new(2);
        comparison.add(&[Pass, Fail]);
        comparison.lose();
        assert_eq!(comparison.verdict(), not_known);
    }

    #[test]
    fn of_three_wordings_two_may_be_equally_strict() {
        assert_eq!(
            verdict(&[&[Fail, Pass, Fail], &[Pass, Pass, Pass]]),
            (Verdict::Stricter, vec![true, false, true])
        );
        assert_eq!(
            verdict(&[&[Fail, Pass, Pass], &[Pass, Fail, Pass]]),
            (Verdict::Neither, vec![false; 3])
        );
    }
}
