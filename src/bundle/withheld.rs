//! `withheld.csv`: the blobs that leaves in a bundle name and that are not in it. Written and checked by the same words.

use crate::log::leaf::Role;
use crate::log::tree::Hash;

/// The first line.
pub(super) const HEAD: &str = "sha256,role,seq,why\n";

/// Why a blob is not in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It was not asked for.
    OutOfScope,
    /// A redaction erased it. Read, and written once there are redactions.
    Redacted,
    /// The store does not have it, and no redaction says why.
    Missing,
}

/// A line, sorted by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Withheld {
    pub(super) sha256: Hash,
    /// As the first leaf in the bundle that names it says.
    pub(super) role: Role,
    /// That leaf.
    pub(super) seq: u64,
    pub(super) why: Why,
}

impl Why {
    const ALL: [Self; 3] = [Self::OutOfScope, Self::Redacted, Self::Missing];

    /// Its name in the file.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::OutOfScope => "out_of_scope",
            Self::Redacted => "redacted",
            Self::Missing => "missing",
        }
    }
}

impl Withheld {
    /// The line, with its end.
    pub(super) fn line(&self) -> String {
        let (sha256, role) = (hex::encode(self.sha256), role(&self.role));
        format!("{sha256},{role},{},{}\n", self.seq, self.why.as_str())
    }
}

/// A role's name; of one that a later version writes, nothing but a word: the file may be opened in a spreadsheet.
pub(super) fn role(role: &Role) -> String {
    let name = serde_json::to_value(role).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word {
        name.to_owned()
    } else {
        "other".to_owned()
    }
}

/// Reads a line without its end: digest, role, leaf, why.
pub(super) fn parse(line: &str) -> Option<(Hash, &str, u64, Why)> {
    let mut fields = line.split(',');
    let (digest, role, seq, why) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let mut sha256 = [0; 32];
    hex::decode_to_slice(digest, &mut sha256).ok()?;
    let why = Why::ALL.into_iter().find(|known| known.as_str() == why)?;
    let seq = seq.parse().ok()?;
    let same = format!("{},{role},{seq},{}", hex::encode(sha256), why.as_str()) == line;
    (same && fields.next().is_none()).then_some((sha256, role, seq, why))
}
