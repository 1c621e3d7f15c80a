//! Blobs: payloads that leaves name by digest.
//!
//! A blob is 64 hex digits of random salt, a newline, and the payload; its name is the SHA-256 of all of it, so
//! `sha256sum` checks it, and nobody can guess an erased payload back from its digest. Stored as it is or compressed.

use sha2::{Digest as _, Sha256};
use std::cell::RefCell;

use super::tree::Hash;

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// zstd's compression level.
const LEVEL: i32 = 3;

/// Shorter blobs are stored as they are: compressing them costs more than the bytes that it saves.
const COMPRESSED_FROM: usize = 1024;

/// Salt in hex, and the newline.
pub const PREFIX: usize = 65;

thread_local! {
    // Kept by each thread: making one takes longer than most blobs do.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
        RefCell::new(zstd::bulk::Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

/// How a blob's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
        }
    }

    /// By its name in the store.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "raw" => Some(Self::Raw),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A blob ready to be stored.
#[derive(Debug)]
pub struct Sealed {
    /// SHA-256 of salt, newline and payload.
    pub sha256: Hash,
    /// Bytes of salt, newline and payload.
    pub size: u64,
    /// How `bytes` are stored.
    pub codec: Codec,
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of the stored bytes.
    pub stored_sha256: Hash,
    /// SHA-256 of the payload: finds an unchanged one again, and never leaves the store.
    pub payload_sha256: Hash,
}

impl Sealed {
    /// The digest of a row's columns other than `bytes`: finds what is wrong in them without hashing every payload
    /// a second time.
    pub fn row_sha256(&self, seq: u64) -> Hash {
        row_sha256(
            &self.sha256,
            seq,
            self.size,
            self.codec.as_str(),
            &self.stored_sha256,
            &self.payload_sha256,
        )
    }
}

/// SHA-256 of the columns of a row in the table `blob`, in order; numbers as eight bytes, the largest first.
pub fn row_sha256(sha256: &[u8], seq: u64, size: u64, codec: &str, stored: &[u8], payload: &[u8]) -> Hash {
    Sha256::new_with_prefix(sha256)
        .chain_update(seq.to_be_bytes())
        .chain_update(size.to_be_bytes())
        .chain_update(codec)
        .chain_update(stored)
        .chain_update(payload)
        .finalize()
        .into()
}

/// A blob's stored bytes are not the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The zstd frame is broken, or holds another number of bytes.
    #[error("the stored bytes don't decompress to the blob's size")]
    Compression,
    /// SHA-256 differs.
    #[error("the bytes don't have the digest they are named by")]
    Digest,
    /// No salt and newline at the beginning.
    #[error("the salt is missing or malformed")]
    Salt,
}

/// Salts a payload and compresses it where that saves a tenth.
///
/// # Errors
/// Where the operating system gives no random numbers.
pub fn seal(payload: &[u8]) -> Result<Sealed, getrandom::Error> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt)?;
    Ok(seal_with(&salt, payload))
}

/// [`seal`] with a given salt.
pub fn seal_with(salt: &[u8; 32], payload: &[u8]) -> Sealed {
    let mut bytes = Vec::with_capacity(PREFIX + payload.len());
    bytes.extend_from_slice(hex::encode(salt).as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(payload);
    let (sha256, size) = (Sha256::digest(&bytes).into(), bytes.len() as u64);
    let compressed = (bytes.len() >= COMPRESSED_FROM)
        .then(|| COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(&bytes).ok()))
        .flatten()
        .filter(|c| c.len() < bytes.len() / 10 * 9);
    let (codec, bytes) = compressed.map_or((Codec::Raw, bytes), |compressed| (Codec::Zstd, compressed));
    let stored_sha256 = Sha256::digest(&bytes).into();
    Sealed {
        sha256,
        size,
        codec,
        bytes,
        stored_sha256,
        payload_sha256: Sha256::digest(payload).into(),
    }
}

/// The payload of a blob, after checking it against its name; `decompressor` is kept by callers with many blobs.
pub fn open<'a>(
    sha256: &Hash,
    size: u64,
    codec: Codec,
    stored: &'a [u8],
    buffer: &'a mut Vec<u8>,
    decompressor: &mut zstd::bulk::Decompressor<'_>,
) -> Result<&'a [u8], OpenError> {
    whole(sha256, size, codec, stored, buffer, decompressor).map(|bytes| &bytes[PREFIX..])
}

/// All of a blob as its name hashes it: salt, newline, payload.
pub fn whole<'a>(
    sha256: &Hash,
    size: u64,
    codec: Codec,
    stored: &'a [u8],
    buffer: &'a mut Vec<u8>,
    decompressor: &mut zstd::bulk::Decompressor<'_>,
) -> Result<&'a [u8], OpenError> {
    let bytes = match codec {
        Codec::Raw => stored,
        Codec::Zstd => {
            buffer.clear();
            let size = usize::try_from(size)
                .ok()
                .filter(|size| *size <= MAX_PAYLOAD + PREFIX);
            buffer.reserve(size.ok_or(OpenError::Compression)?);
            decompressor
                .decompress_to_buffer(stored, buffer)
                .map_err(|_| OpenError::Compression)?;
            buffer.as_slice()
        }
    };
    if bytes.len() as u64 != size {
        return Err(OpenError::Compression);
    }
    if Hash::from(Sha256::digest(bytes)) != *sha256 {
        return Err(OpenError::Digest);
    }
    salted(bytes).map(|_| bytes)
}

/// The payload in a blob's bytes, whose digest was checked.
pub fn salted(bytes: &[u8]) -> Result<&[u8], OpenError> {
    match bytes.split_at_checked(PREFIX) {
        Some((prefix, payload)) if is_salt(prefix) => Ok(payload),
        _ => Err(OpenError::Salt),
    }
}

/// [`open`] by itself, for callers with few blobs.
pub fn payload(sha256: &Hash, size: u64, codec: Codec, stored: &[u8]) -> Result<Vec<u8>, OpenError> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = decompressor.as_mut().ok_or(OpenError::Compression)?;
        open(sha256, size, codec, stored, &mut Vec::new(), decompressor).map(<[u8]>::to_vec)
    })
}

fn is_salt(prefix: &[u8]) -> bool {
    let (newline, digits) = prefix.split_last().unwrap_or((&0, &[]));
    *newline == b'\n'
        && digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opened(sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
        super::payload(&sealed.sha256, sealed.size, sealed.codec, &sealed.bytes)
    }

    #[test]
    fn sha256sum_of_salt_newline_and_payload_is_the_name() {
        let sealed = seal_with(&[0xab; 32], b"payload");
        let whole = format!("{}\npayload", "ab".repeat(32));
        assert_eq!(sealed.sha256, Hash::from(Sha256::digest(whole)));
        assert_eq!(sealed.size, 72);
    }

    #[test]
    fn equal_payloads_get_different_names() {
        assert_ne!(seal(b"x").unwrap().sha256, seal(b"x").unwrap().sha256);
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_a_flipped_bit_does_not(
            payload in proptest::collection::vec(0_u8..4, 0..2000), at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut sealed = seal(&payload).unwrap();
            prop_assert_eq!(opened(&sealed), Ok(payload.clone()));
            let at = at.index(sealed.bytes.len());
            sealed.bytes[at] ^= 1 << bit;
            // zstd ignores a few bits of a frame: the blob is then still the same, and `stored_sha256` tells.
            let intact_blob = opened(&sealed) == Ok(payload);
            prop_assert!(!intact_blob || Hash::from(Sha256::digest(&sealed.bytes)) != sealed.stored_sha256);
            prop_assert!(!intact_blob || sealed.codec == Codec::Zstd);
        }
    }
}
