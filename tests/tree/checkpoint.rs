//! The signed checkpoint, read by another parser and its signature made and checked by another Ed25519.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use evidenced::log::checkpoint::{Checkpoint, Origin, Signer, VerifierKey};
use proptest::prelude::*;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

fn signer(seed: &[u8; 32]) -> Signer {
    Signer::from_seed(Origin::parse("acme-prod.eu/0123abcd").unwrap(), seed)
}

/// The note's text with its last newline, and what its only signature line holds: name, key id, signature.
fn split(note: &str) -> (String, String, Vec<u8>, Vec<u8>) {
    let (text, signatures) = note.split_once("\n\n").unwrap();
    let line = signatures.strip_prefix("— ").unwrap().strip_suffix('\n').unwrap();
    let (name, encoded) = line.split_once(' ').unwrap();
    let bytes = BASE64_STANDARD.decode(encoded).unwrap();
    let (id, signature) = bytes.split_at(4);
    (
        format!("{text}\n"),
        name.to_owned(),
        id.to_vec(),
        signature.to_vec(),
    )
}

proptest! {
    #[test]
    fn another_parser_reads_our_checkpoint(seed: [u8; 32], size: u64, root: [u8; 32]) {
        let (text, name, ..) = split(&signer(&seed).sign(size, &root));
        let read = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        prop_assert_eq!(read.origin(), "acme-prod.eu/0123abcd");
        prop_assert_eq!(read.origin(), name);
        prop_assert_eq!((read.size(), read.hash().0), (size, root));
        prop_assert_eq!(read.to_bytes(), text.as_bytes());
    }

    #[test]
    fn we_read_another_writers_checkpoint(size: u64, root: [u8; 32], extension in "([a-z ]{1,20}\n){0,3}") {
        let written = tlog_tiles::Checkpoint::new("a/00000000", size, tlog_tiles::Hash(root), &extension).unwrap();
        let text = String::from_utf8(written.to_bytes()).unwrap();
        let origin = Origin::parse("a/00000000").unwrap();
        prop_assert_eq!(Checkpoint::parse(&text), Ok(Checkpoint { origin, size, root }));
    }

    #[test]
    fn what_we_read_another_parser_reads_alike(
        text in "a/[0-9a-f]{8}\n(0|0?[1-9][0-9]{0,20}|[+-]1)\n([A-Za-z0-9+/]{43}=|.{0,50})\n(ext\n)?",
    ) {
        if let Ok(read) = Checkpoint::parse(&text) {
            let other = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
            prop_assert!(other.is_ok(), "{:?}", text);
            let other = other.unwrap();
            prop_assert_eq!((read.size, read.root), (other.size(), other.hash().0));
        }
    }

    #[test]
    fn another_ed25519_makes_the_same_signature_and_accepts_it(seed: [u8; 32], size: u64, root: [u8; 32]) {
        let signer = signer(&seed);
        let (text, name, id, signature) = split(&signer.sign(size, &root));
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        prop_assert!(pair.sign(text.as_bytes()).as_ref() == signature);
        let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        prop_assert!(public.verify(text.as_bytes(), &signature).is_ok());

        // The key's id and its text form as C2SP's signed-note says.
        let mut typed = vec![1];
        typed.extend_from_slice(pair.public_key().as_ref());
        let digest = Sha256::new().chain_update(&name).chain_update(b"\n").chain_update(&typed).finalize();
        prop_assert_eq!(&digest[..4], &id[..]);
        let vkey = format!("{name}+{}+{}", hex::encode(&id), BASE64_STANDARD.encode(&typed));
        prop_assert_eq!(signer.verifier().to_string(), vkey);
    }

    #[test]
    fn we_accept_what_another_ed25519_signs(seed: [u8; 32], size: u64, root: [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let mut typed = vec![1];
        typed.extend_from_slice(pair.public_key().as_ref());
        let name = "other.example/00c0ffee";
        let digest = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(&typed).finalize();
        let vkey = format!("{name}+{}+{}", hex::encode(&digest[..4]), BASE64_STANDARD.encode(&typed));
        let text = format!("{name}\n{size}\n{}\n", BASE64_STANDARD.encode(root));
        let mut line = digest[..4].to_vec();
        line.extend_from_slice(pair.sign(text.as_bytes()).as_ref());
        let note = format!("{text}\n— {name} {}\n", BASE64_STANDARD.encode(line));
        let read = VerifierKey::parse(&vkey).unwrap().verify(&note).unwrap();
        prop_assert_eq!((read.size, read.root), (size, root));
    }

    #[test]
    fn a_key_survives_being_written_and_read(seed: [u8; 32]) {
        let signer = signer(&seed);
        let secret = signer.to_secret();
        let read = Signer::parse(&secret).unwrap();
        prop_assert_eq!(read.verifier(), signer.verifier());
        prop_assert!(read.to_secret().expose_secret() == secret.expose_secret());
    }
}

/// The example of Go's `golang.org/x/mod/sumdb/note`: its name can't be a log's, so only that much may be wrong.
#[test]
fn the_published_key_example_fails_for_its_name_alone() {
    use evidenced::log::checkpoint::KeyError;
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(VerifierKey::parse(vkey), Err(KeyError::Origin));
    let damaged = "PeterNeumann+c74f20a3+AhpcAQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(VerifierKey::parse(damaged), Err(KeyError::Verifier));
}
