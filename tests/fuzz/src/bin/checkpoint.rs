//! Any text as a checkpoint, a signed note, a key: what is read is written the same, and nothing that was not signed is
//! accepted.

#![cfg_attr(fuzzing, no_main)]

use evidenced::log::checkpoint::{Checkpoint, Origin, Signer, VerifierKey};
use secrecy::ExposeSecret as _;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(origin) = Origin::parse(text) {
        assert_eq!(origin.as_str(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(signer) = Signer::parse(&text.into()) {
        assert_eq!(signer.to_secret().expose_secret().trim_end(), text.trim_end());
    }
    // The vectors' key.
    let origin = Origin::parse("vectors.example/0123abcd").expect("an origin");
    let signer = Signer::from_seed(origin, &[7; 32]);
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        let note = signer.sign(checkpoint.size, &checkpoint.root);
        let (_, written) = note.split_once('\n').expect("an origin and the rest");
        let (written, _) = written.split_once("\n\n").expect("a text and its signature");
        let written = format!("{}\n{written}", checkpoint.origin);
        let rest = text.strip_prefix(&written).expect("a checkpoint has one form");
        assert!(rest.is_empty() || rest.starts_with('\n'));
    }
    if let Ok(checkpoint) = signer.verifier().verify(text) {
        let note = signer.sign(checkpoint.size, &checkpoint.root);
        let text_of = |note: &str| note.split_once("\n\n").map(|(text, _)| text.to_owned());
        assert_eq!(text_of(text), text_of(&note), "only what we signed is accepted");
    }
}
