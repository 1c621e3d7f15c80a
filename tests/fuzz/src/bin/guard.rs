//! Any bytes as a guard, and any bytes behind a right checksum: what is read as a note is written the same.

#![cfg_attr(fuzzing, no_main)]

use evidenced::log::guard::{self, GUARD_SIZE, Slot};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const SLOT: usize = GUARD_SIZE / 2;

pub(crate) fn run(data: &[u8]) {
    for (at, slot) in guard::parse(data).iter().enumerate() {
        match slot {
            Slot::Note(note) => {
                assert_eq!(
                    guard::encode_slot(note).expect("it fitted").as_slice(),
                    &data[at * SLOT..][..SLOT]
                );
            }
            Slot::Empty => assert_eq!(data[at * SLOT..][..SLOT], [0; SLOT]),
            Slot::Damaged => {}
        }
    }
    if let Ok(note) = std::str::from_utf8(data)
        && let Some(slot) = guard::encode_slot(note)
    {
        let read = guard::parse(&[slot, slot].concat());
        let expected = if note.is_empty() || note.contains('\0') {
            // No note of ours, and cut at the zero it could pass for another only if nothing follows.
            let cut = note.trim_end_matches('\0');
            if cut.is_empty() || cut.contains('\0') {
                Slot::Damaged
            } else {
                Slot::Note(cut.to_owned())
            }
        } else {
            Slot::Note(note.to_owned())
        };
        assert_eq!(read, [expected.clone(), expected]);
    }
}
