//! Checkpoints: what the log commits to, as a C2SP tlog-checkpoint in a C2SP signed note, Ed25519.
//!
//! The note's text is origin, size and root in base64, a line each; the signature line carries the key's name, which
//! is the origin, and four bytes of its id. Lines of signatures by keys we do not know are kept and stepped over.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::tree::Hash;

/// The signature type of Ed25519 in key ids and encoded keys.
const ED25519: u8 = 1;

/// A log's name: the configured name, a slash, eight random hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// A new log's origin.
    ///
    /// # Errors
    /// Where the operating system gives no random numbers.
    pub fn generate(name: &str) -> Result<Self, getrandom::Error> {
        Ok(Self(format!("{name}/{:08x}", getrandom::u32()?)))
    }

    /// Reads an origin: a name of at most 40 characters `a-z 0-9 . -`, a slash, eight hex digits.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, digits) = text.split_once('/').ok_or(KeyError::Origin)?;
        let good_name = (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
            && !name.starts_with(['.', '-']);
        let good_digits = digits.len() == 8 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if good_name && good_digits {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::Origin)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name/8 hex digits`.
    #[error("the origin is not of the form name/1a2b3c4d")]
    Origin,
    /// Not `name+keyid+base64`, or the id is not the key's.
    #[error("not a verifier key of the form name+keyid+base64")]
    Verifier,
    /// Not `PRIVATE+KEY+name+keyid+base64`, or the id is not the key's.
    #[error("not a signing key of the form PRIVATE+KEY+name+keyid+base64")]
    Signer,
}

/// A public key with its origin: a C2SP signed-note verifier key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: Origin,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads `name+keyid+base64`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Verifier);
        };
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| KeyError::Verifier)?;
        let [ED25519, key @ ..] = bytes.as_slice() else {
            return Err(KeyError::Verifier);
        };
        let key = key
            .try_into()
            .ok()
            .and_then(|key| VerifyingKey::from_bytes(key).ok())
            .ok_or(KeyError::Verifier)?;
        let verifier = Self {
            origin: Origin::parse(name)?,
            key,
        };
        if hex::encode(verifier.id()) == id {
            Ok(verifier)
        } else {
            Err(KeyError::Verifier)
        }
    }

    /// The log it verifies.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ key).
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new_with_prefix(self.origin.as_str())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Checks a signed checkpoint of this key's log.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed)?;
        let checkpoint = Checkpoint::parse(text)?;
        if checkpoint.origin != self.origin {
            return Err(NoteError::Origin);
        }
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signed = format!("{text}\n");
        let mut found = false;
        for line in signatures.split('\n') {
            let (name, encoded) = line
                .strip_prefix("— ")
                .and_then(|line| line.split_once(' '))
                .ok_or(NoteError::Malformed)?;
            let bytes = BASE64_STANDARD
                .decode(encoded)
                .map_err(|_| NoteError::Malformed)?;
            let (id, signature) = bytes.split_at_checked(4).ok_or(NoteError::Malformed)?;
            if name != self.origin.as_str() || id != self.id() {
                continue;
            }
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::Malformed)?;
            self.key
                .verify_strict(signed.as_bytes(), &signature)
                .map_err(|_| NoteError::Signature)?;
            found = true;
        }
        if found {
            Ok(checkpoint)
        } else {
            Err(NoteError::Unsigned)
        }
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.origin,
            hex::encode(self.id()),
            BASE64_STANDARD.encode(bytes)
        )
    }
}

/// The key that signs a log's checkpoints. Debug shows the public half.
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Signer {
    /// A new random key for a log.
    ///
    /// # Errors
    /// Where the operating system gives no random numbers.
    pub fn generate(origin: Origin) -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::from_seed(origin, &seed))
    }

    /// The key that an Ed25519 seed makes.
    pub fn from_seed(origin: Origin, seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey {
            origin,
            key: key.verifying_key(),
        };
        Self { key, verifier }
    }

    /// Reads `PRIVATE+KEY+name+keyid+base64`.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let rest = text
            .expose_secret()
            .trim_end()
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(KeyError::Signer)?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Signer);
        };
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| KeyError::Signer)?;
        let [ED25519, seed @ ..] = bytes.as_slice() else {
            return Err(KeyError::Signer);
        };
        let signer = Self::from_seed(
            Origin::parse(name)?,
            seed.try_into().map_err(|_| KeyError::Signer)?,
        );
        if hex::encode(signer.verifier.id()) == id {
            Ok(signer)
        } else {
            Err(KeyError::Signer)
        }
    }

    /// `PRIVATE+KEY+name+keyid+base64` and a newline, for the key file.
    pub fn to_secret(&self) -> SecretString {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        let (origin, id) = (&self.verifier.origin, hex::encode(self.verifier.id()));
        format!("PRIVATE+KEY+{origin}+{id}+{}\n", BASE64_STANDARD.encode(bytes)).into()
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A signed checkpoint of this key's log.
    pub fn sign(&self, size: u64, root: &Hash) -> String {
        let origin = &self.verifier.origin;
        let text = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root));
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n— {origin} {}\n", BASE64_STANDARD.encode(signature))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("verifier", &self.verifier.to_string())
            .finish_non_exhaustive()
    }
}

/// What a log commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads a note's text: three lines, and extension lines that are stepped over. Signatures are not looked at.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed);
        };
        let origin = Origin::parse(origin).map_err(|_| NoteError::Origin)?;
        let canonical = size == "0" || !size.starts_with('0');
        let size = size
            .parse()
            .ok()
            .filter(|_| canonical && size.bytes().all(|b| b.is_ascii_digit()));
        let root = BASE64_STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok());
        match (size, root) {
            (Some(size), Some(root)) => Ok(Self { origin, size, root }),
            _ => Err(NoteError::Malformed),
        }
    }
}

/// A checkpoint is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note that holds a checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// Of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// No signature by the key.
    #[error("no signature by the log's key")]
    Unsigned,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_seed(Origin::parse("acme/0123abcd").unwrap(), &[7; 32])
    }

    #[test]
    fn keys_and_notes_survive_being_written_and_read() {
        let signer = signer();
        let read = Signer::parse(&signer.to_secret()).unwrap();
        assert_eq!(read.verifier(), signer.verifier());
        let verifier = VerifierKey::parse(&signer.verifier().to_string()).unwrap();
        let checkpoint = verifier.verify(&signer.sign(42, &[3; 32])).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (42, [3; 32]));
    }

    #[test]
    fn any_flipped_bit_of_a_signed_checkpoint_is_refused() {
        let signer = signer();
        let note = signer.sign(42, &[3; 32]).into_bytes();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut broken = note.clone();
                broken[at] ^= 1 << bit;
                let accepted =
                    std::str::from_utf8(&broken).is_ok_and(|note| signer.verifier().verify(note).is_ok());
                assert!(!accepted, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn signatures_by_unknown_keys_are_stepped_over_but_do_not_suffice() {
        let signer = signer();
        let witness = "— witness.example AAAAAAAA\n";
        let note = signer.sign(1, &[0; 32]);
        assert!(signer.verifier().verify(&format!("{note}{witness}")).is_ok());
        let (text, _) = note.split_once("\n\n").unwrap();
        assert_eq!(
            signer.verifier().verify(&format!("{text}\n\n{witness}")),
            Err(NoteError::Unsigned)
        );
    }

    #[test]
    fn a_carriage_return_is_no_part_of_a_line_end() {
        let signer = signer();
        let note = signer.sign(1, &[0; 32]);
        let (text, _) = note.split_once("\n\n").unwrap();
        assert_eq!(
            Checkpoint::parse(&text.replace('\n', "\r\n")),
            Err(NoteError::Origin)
        );
        let note = note.strip_suffix('\n').unwrap();
        assert_eq!(
            signer.verifier().verify(&format!("{note}\r\n")),
            Err(NoteError::Malformed)
        );
    }

    #[test]
    fn the_private_key_does_not_show_in_debug() {
        let signer = signer();
        let secret = signer.to_secret();
        let encoded = secret.expose_secret().trim().rsplit('+').next().unwrap();
        assert!(!format!("{signer:?}").contains(encoded));
        assert!(!format!("{secret:?}").contains(encoded));
    }
}
