//! Whatever nobody could read in between, what is known drifts the same.

use proptest::prelude::*;

use super::*;

/// A known thing: safe or not, and a size where it has one.
type Known = (bool, Option<u8>);

/// What is known of three things at one time; one that is not there is none.
type State = [Option<Known>; 3];

/// What was seen in between: of each thing whether it was seen at all, if the snapshot does not claim to be complete.
type Noise = Option<[bool; 3]>;

fn state() -> impl Strategy<Value = State> {
    let known = || proptest::option::of((any::<bool>(), proptest::option::of(0..2_u8)));
    [known(), known(), known()]
}

fn steps() -> impl Strategy<Value = Vec<(State, Vec<Noise>)>> {
    let noise = proptest::option::of(any::<[bool; 3]>());
    proptest::collection::vec((state(), proptest::collection::vec(noise, 0..4)), 2..6)
}

const IDS: [&str; 3] = ["x", "y", "z"];

fn known(state: &State) -> String {
    let things = IDS.iter().zip(state).filter_map(|(id, known)| {
        let (safe, size) = (*known)?;
        let size = size.map_or_else(String::new, |size| format!("/{size}"));
        Some(format!("{id}:{}{size}", u8::from(safe)))
    });
    things.collect::<Vec<_>>().join(" ")
}

/// The same things with nothing known of them; or some of them, in a snapshot that is not all.
fn unknown(state: &State, noise: Noise) -> String {
    let there = IDS.iter().zip(state).zip(noise.unwrap_or([true; 3]));
    let things = there.filter(|((_, known), seen)| known.is_some() && *seen);
    let mut words: Vec<_> = things.map(|((id, _), _)| format!("{id}:?/?")).collect();
    if noise.is_some() {
        words.push("...".to_owned());
    }
    words.join(" ")
}

/// What can't depend on what is between: a thing that vanished may have been seen last in an unreadable snapshot.
fn comparable(drift: &Drift) -> Drift {
    let mut drift = drift.clone();
    match &mut drift.change {
        Change::Vanished { findings } => {
            findings.clear();
            drift.from = drift.to;
        }
        Change::Appeared { .. } => drift.from = drift.to,
        _ => {}
    }
    drift
}

proptest! {
    #[test]
    fn what_nobody_could_read_neither_hides_a_drift_nor_makes_one(steps in steps()) {
        let plan = Arc::new(sealed(RULES));
        let (mut clear, mut noisy) = (Vec::new(), Vec::new());
        for (step, (state, noise)) in (0..).zip(&steps) {
            let seen = read(step * 10, &known(state), &plan);
            clear.push(seen.clone());
            noisy.push(seen);
            for (place, noise) in (1..).zip(noise) {
                noisy.push(read(step * 10 + place, &unknown(state, *noise), &plan));
            }
        }
        let expected: Vec<_> = (1..=clear.len())
            .flat_map(|end| newest(&clear[..end]).0)
            .map(|drift| comparable(&drift))
            .collect();
        let found = (1..=noisy.len()).flat_map(|end| newest(&noisy[..end]).0);
        let (of_known, of_noise): (Vec<_>, Vec<_>) = found.partition(|drift| drift.to.seq % 10 == 0);
        let of_known: Vec<_> = of_known.iter().map(comparable).collect();
        prop_assert_eq!(of_known, expected);
        let once: std::collections::BTreeSet<_> = of_noise.iter().map(show).collect();
        prop_assert_eq!(once.len(), of_noise.len());
        for drift in &of_noise {
            prop_assert!(drift.is_to_unknown(), "{}", show(drift));
        }
    }
}
