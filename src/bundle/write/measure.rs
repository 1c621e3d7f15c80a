//! What is known of a file before it is written, from bytes that go by.

use sha2::{Digest as _, Sha256};
use std::io::{self, Write};

use crate::bundle::zip::Entry;

/// Size and digests of a file.
#[derive(Clone, Default)]
pub(super) struct Measure {
    pub(super) size: u64,
    crc: crc32fast::Hasher,
    sha256: Sha256,
}

impl Measure {
    /// Its SHA-256, in hex.
    pub(super) fn digest(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }

    pub(super) fn entry(&self, name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            size: self.size,
            crc: self.crc.clone().finalize(),
        }
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        self.sha256.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
