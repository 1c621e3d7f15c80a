//! Samples: which items of a numbered list are drawn, so that anybody can draw them again.
//!
//! The method, `sha256-smallest`: for each position i of the list (1 to its count) take the SHA-256 of the UTF-8 text
//! `SEED:POPULATION:COUNT:i`, with POPULATION as the list is called (`github.pull_request`) and numbers in decimal. The items with
//! the smallest digests are drawn, in the order of their digests; a larger sample begins with the smaller one. So
//!
//! ```text
//! for i in $(seq 40); do printf 'S:github.pull_request:40:%d' $i | sha256sum | sed "s/-/$i/"; done | sort | head -25
//! ```
//!
//! draws 25 of 40 by the seed `S`. What the list holds takes no part: a draw can be checked by who may not see the list, and
//! tells nobody what stood in one that was erased. What it holds was fixed before: the list is sealed first.

use sha2::{Digest as _, Sha256};

/// The method's name in leaves.
pub const METHOD: &str = "sha256-smallest";

/// The method in a sentence.
pub const IN_WORDS: &str =
    "of each position i in the list, SHA-256 of \"SEED:POPULATION:COUNT:i\"; the smallest are drawn";

/// The digest that decides on one position.
pub fn digest(seed: &str, population: &str, count: u64, position: u64) -> [u8; 32] {
    Sha256::digest(format!("{seed}:{population}:{count}:{position}")).into()
}

/// The positions that are drawn, from 1, in the order of drawing; all of them where the list holds no more than `size`.
pub fn draw(seed: &str, population: &str, count: u64, size: u64) -> Vec<u64> {
    let mut all: Vec<([u8; 32], u64)> = (1..=count)
        .map(|position| (digest(seed, population, count, position), position))
        .collect();
    all.sort_unstable();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    all.into_iter().take(size).map(|(_, position)| position).collect()
}

/// A size that auditors use, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// How many items.
    pub size: u64,
    /// Of which populations that is usual.
    pub basis: &'static str,
}

/// The usual size for a population of so many items: a control that operates so often in a year.
///
/// Of a range the upper end is taken, and never more than there are.
pub fn usual(count: u64) -> Usual {
    let (size, basis) = match count {
        0 => (0, "nothing can be drawn from nothing"),
        1 => (1, "1 item, as of a yearly control: usually 1"),
        2..=4 => (2, "2 to 4 items, as of a quarterly control: usually 2"),
        5..=12 => (5, "5 to 12 items, as of a monthly control: usually 2 to 5"),
        13..=52 => (15, "13 to 52 items, as of a weekly control: usually 5 to 15"),
        53..=365 => (25, "53 to 365 items, as of a daily control: usually 15 to 25"),
        _ => (25, "more than 365 items, as of a control per event: usually 25"),
    };
    Usual {
        size: size.min(count),
        basis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_draw_is_the_same_everywhere() {
        // By `printf 'S:github.pull_request:40:1' | sha256sum`.
        let first = digest("S", "github.pull_request", 40, 1);
        assert_eq!(hex::encode(first), FIRST);
        assert_eq!(draw("S", "github.pull_request", 40, 5), DRAWN);
        assert_eq!(draw("übrig", "host.account", 3, 2), OTHER);
    }

    const FIRST: &str = "a2c9ab0ba23c67aca86fcea26e492d7443c83980cb70380e1739d53f7afe511b";
    const DRAWN: [u64; 5] = [32, 5, 10, 3, 23];
    const OTHER: [u64; 2] = [2, 1];

    #[test]
    fn more_than_there_are_is_all_of_them() {
        let mut all = draw("S", "x.y", 7, 100);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7]);
        assert!(draw("S", "x.y", 0, 5).is_empty());
    }

    #[test]
    fn a_usual_size_grows_with_the_population_and_is_never_more_than_it() {
        let sizes: Vec<u64> = [0, 1, 2, 4, 5, 12, 13, 52, 53, 365, 366, 100_000]
            .into_iter()
            .map(|count| usual(count).size)
            .collect();
        assert_eq!(sizes, [0, 1, 2, 2, 5, 5, 13, 15, 25, 25, 25, 25]);
    }

    proptest! {
        #[test]
        fn a_larger_sample_begins_with_the_smaller_one(seed in "\\PC{1,8}", count in 1_u64..300, size in 0_u64..60) {
            let (some, more) = (draw(&seed, "x.y", count, size), draw(&seed, "x.y", count, size + 7));
            prop_assert_eq!(&more[..some.len()], &some[..]);
            prop_assert_eq!(some.len() as u64, size.min(count));
            let distinct: BTreeSet<_> = some.iter().collect();
            prop_assert!(distinct.len() == some.len() && some.iter().all(|position| (1..=count).contains(position)));
        }
    }
}
