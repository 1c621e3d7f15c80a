//! A log rewritten by somebody who knows the format, and perhaps the key.

use evidenced::log::checkpoint::{Origin, Signer};
use evidenced::log::guard;
use evidenced::log::tree::{self, Frontier};
use rusqlite::params;
use secrecy::ExposeSecret as _;
use std::fs::OpenOptions;

use crate::store::Store;

/// The key that a store's log was begun with.
pub(crate) fn own_key(store: &Store) -> Signer {
    let text = std::fs::read_to_string(store.paths.key()).unwrap();
    Signer::parse(&text.into()).unwrap()
}

/// Another key under the same origin.
pub(crate) fn other_key(store: &Store) -> Signer {
    let origin = Origin::parse(own_key(store).verifier().origin().as_str()).unwrap();
    Signer::from_seed(origin, &[0x66; 32])
}

pub(crate) fn write_key(store: &Store, signer: &Signer) {
    std::fs::write(store.paths.key(), signer.to_secret().expose_secret()).unwrap();
}

/// Writes every leaf anew, the text `from` replaced by `to` wherever it stands, with all that follows from it: links,
/// hashes, subtree roots, checkpoints. The log is then as good as the one before, in all but what others remember.
pub(crate) fn rewrite(store: &Store, signer: &Signer, from: &str, to: &str) {
    let mut database = store.database();
    let transaction = database.transaction().unwrap();
    let leaves: Vec<Vec<u8>> = {
        let mut statement = transaction
            .prepare("SELECT bytes FROM leaf ORDER BY seq")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let (old, new) = (
        own_key(store).verifier().to_string(),
        signer.verifier().to_string(),
    );
    let (mut frontier, mut prev, mut old_prev) = (Frontier::default(), [0; 32], [0; 32]);
    for (seq, bytes) in leaves.iter().enumerate() {
        let text = std::str::from_utf8(bytes).unwrap();
        let text = text.replace(&hex::encode(old_prev), &hex::encode(prev));
        let text = text.replace(&old, &new).replace(from, to);
        old_prev = tree::hash_leaf(bytes);
        prev = tree::hash_leaf(text.as_bytes());
        let sql = "UPDATE leaf SET bytes = ?, hash = ? WHERE seq = ?";
        transaction
            .execute(sql, params![text.as_bytes(), prev, seq])
            .unwrap();
        frontier.push(0, prev, |level, position, hash| {
            let sql = "UPDATE tree SET hash = ? WHERE level = ? AND position = ?";
            transaction.execute(sql, params![hash, level, position]).unwrap();
        });
        let sql = "UPDATE checkpoint SET note = ? WHERE size = ?";
        let note = signer.sign(frontier.size(), &frontier.root());
        transaction.execute(sql, params![note, frontier.size()]).unwrap();
    }
    transaction.commit().unwrap();
}

/// Brings the guard to what the database says.
pub(crate) fn rewrite_guard(store: &Store) {
    let database = store.database();
    let mut statement = database
        .prepare("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 2")
        .unwrap();
    let notes = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let guard = OpenOptions::new()
        .write(true)
        .read(true)
        .open(store.paths.guard())
        .unwrap();
    for (slot, note) in notes.enumerate() {
        guard::write_slot(&guard, slot, &note.unwrap()).unwrap();
    }
}
