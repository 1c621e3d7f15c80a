//! The guard: a small file that remembers the newest checkpoint apart from the database.
//!
//! A database replaced by an older copy of itself is a valid log, only shorter: the guard is what tells. It has two
//! slots of 512 bytes, a signed checkpoint padded with zeros and the SHA-256 of that, and each write overwrites the
//! older slot, so that a torn write leaves the newer one. What was written is read back before it counts: a disk that
//! loses a write and reports success would otherwise leave the guard two batches behind.

use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes in the guard file.
pub const GUARD_SIZE: usize = 2 * SLOT;
const SLOT: usize = 512;
const NOTE: usize = SLOT - 32;

/// One of the two slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Never written: zeros.
    Empty,
    /// A note whose checksum is right; its signature is not looked at here.
    Note(String),
    /// Neither: torn, or tampered with.
    Damaged,
}

/// Both slots of a guard file; a file of another size is two damaged slots.
pub fn parse(bytes: &[u8]) -> [Slot; 2] {
    if bytes.len() != GUARD_SIZE {
        return [Slot::Damaged, Slot::Damaged];
    }
    [parse_slot(&bytes[..SLOT]), parse_slot(&bytes[SLOT..])]
}

fn parse_slot(bytes: &[u8]) -> Slot {
    if bytes.iter().all(|byte| *byte == 0) {
        return Slot::Empty;
    }
    let (padded, checksum) = bytes.split_at(NOTE);
    if Sha256::digest(padded).as_slice() != checksum {
        return Slot::Damaged;
    }
    let length = padded.iter().position(|byte| *byte == 0).unwrap_or(NOTE);
    let (note, padding) = padded.split_at(length);
    match std::str::from_utf8(note) {
        Ok(note) if !note.is_empty() && padding.iter().all(|byte| *byte == 0) => Slot::Note(note.to_owned()),
        _ => Slot::Damaged,
    }
}

/// The bytes of one slot; `None` if the note is too long for it.
pub fn encode_slot(note: &str) -> Option<[u8; SLOT]> {
    let mut slot = [0; SLOT];
    slot.get_mut(..NOTE)?
        .get_mut(..note.len())?
        .copy_from_slice(note.as_bytes());
    let checksum = Sha256::digest(&slot[..NOTE]);
    slot[NOTE..].copy_from_slice(&checksum);
    Some(slot)
}

/// Writes a slot, flushes it, and reads it back.
pub fn write_slot(file: &File, slot: usize, note: &str) -> io::Result<()> {
    let bytes =
        encode_slot(note).ok_or_else(|| io::Error::other("the checkpoint does not fit into the guard"))?;
    let offset = (slot * SLOT) as u64;
    file.write_all_at(&bytes, offset)?;
    file.sync_data()?;
    let mut written = [0; SLOT];
    file.read_exact_at(&mut written, offset)?;
    if written == bytes {
        Ok(())
    } else {
        Err(io::Error::other("the guard does not hold what was written to it"))
    }
}

/// Reads both slots.
pub fn read(file: &File) -> io::Result<[Slot; 2]> {
    let mut bytes = [0; GUARD_SIZE + 1];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(parse(&bytes[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_damages_its_slot() {
        let mut bytes = [0; GUARD_SIZE];
        bytes[..SLOT].copy_from_slice(&encode_slot("a note\n").unwrap());
        assert_eq!(parse(&bytes), [Slot::Note("a note\n".into()), Slot::Empty]);
        for at in 0..GUARD_SIZE {
            for bit in 0..8 {
                let mut broken = bytes;
                broken[at] ^= 1 << bit;
                assert_eq!(parse(&broken)[at / SLOT], Slot::Damaged, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_note_too_long_for_a_slot_is_refused() {
        assert!(encode_slot(&"x".repeat(NOTE)).is_some());
        assert!(encode_slot(&"x".repeat(NOTE + 1)).is_none());
    }
}
