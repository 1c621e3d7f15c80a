//! The end of a leaf, read without a JSON parser where it is as evidenced writes it.

use super::super::tree::Hash;
use super::BlobRef;

/// Reads the names and sizes of the blobs that a leaf names into `named`; `None` if they can't be read.
pub fn named_blobs(bytes: &[u8], named: &mut Vec<(Hash, u64)>) -> Option<()> {
    named.clear();
    let list = blob_list(bytes)?;
    if plain(list, named).is_none() {
        named.clear();
        let blobs: Vec<BlobRef> = serde_json::from_slice(list).ok()?;
        named.extend(blobs.iter().map(|blob| (blob.sha256, blob.size)));
    }
    Some(())
}

/// The value of a leaf's last field, `blobs`.
pub(super) fn blob_list(bytes: &[u8]) -> Option<&[u8]> {
    const BEGIN: &[u8] = b",\"blobs\":[";
    let mut end = bytes.len();
    loop {
        end = memchr::memrchr(b'[', &bytes[..end])?;
        // Inside a string the quotes would be escaped, so only the field itself looks like this.
        if bytes[..=end].ends_with(BEGIN) {
            return bytes[end..]
                .strip_suffix(b"}")
                .filter(|list| list.ends_with(b"]"));
        }
    }
}

/// The list in the very form that it is written in; any other, `None`, is for a JSON parser.
fn plain(list: &[u8], named: &mut Vec<(Hash, u64)>) -> Option<()> {
    let mut rest = list.strip_prefix(b"[")?.strip_suffix(b"]")?;
    while !rest.is_empty() {
        if !named.is_empty() {
            rest = rest.strip_prefix(b",")?;
        }
        rest = string(rest.strip_prefix(b"{\"role\":\"")?)?;
        let (digits, after) = rest.strip_prefix(b",\"sha256\":\"")?.split_first_chunk::<64>()?;
        let sha256 = digest(digits)?;
        rest = after.strip_prefix(b"\",\"size\":")?;
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, after) = rest.split_at(length);
        if !(1..=16).contains(&length) || (length > 1 && number[0] == b'0') {
            return None;
        }
        let size = number
            .iter()
            .fold(0, |size, digit| size * 10 + u64::from(digit - b'0'));
        rest = string(after.strip_prefix(b",\"media_type\":\"")?)?.strip_prefix(b"}")?;
        named.push((sha256, size));
    }
    Some(())
}

/// What comes behind a string of printable ASCII without escapes.
fn string(inside: &[u8]) -> Option<&[u8]> {
    let end = inside
        .iter()
        .position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
    inside[end..].strip_prefix(b"\"")
}

/// 64 lowercase hex digits; without a branch or a table for each, so that they are read many at a time.
fn digest(digits: &[u8; 64]) -> Option<Hash> {
    let (mut values, mut good) = (*digits, true);
    for digit in &mut values {
        good &= digit.is_ascii_digit() | matches!(*digit, b'a'..=b'f');
        *digit = (*digit & 15) + 9 * (*digit >> 6);
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(values.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    good.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;
    use proptest::prelude::*;

    const LIST: &str = r#"{"role":"evidence","sha256":"00000000000000000000000000000000000000000000000000000000000000ff","size":70,"media_type":"application/json"}"#;

    /// What [`named_blobs`] must agree with.
    fn parsed(list: &str) -> Option<Vec<(Hash, u64)>> {
        let blobs: Option<Vec<BlobRef>> = serde_json::from_str(list).ok();
        blobs.map(|blobs| blobs.iter().map(|blob| (blob.sha256, blob.size)).collect())
    }

    fn named(leaf: &str) -> Option<Vec<(Hash, u64)>> {
        let mut named = vec![([9; 32], 9)];
        named_blobs(leaf.as_bytes(), &mut named).map(|()| named)
    }

    #[test]
    fn lists_as_written_need_no_parser() {
        for list in ["[]".to_owned(), format!("[{LIST}]"), format!("[{LIST},{LIST}]")] {
            let mut found = Vec::new();
            assert_eq!(plain(list.as_bytes(), &mut found), Some(()), "{list}");
            assert_eq!(Some(&found), parsed(&list).as_ref(), "{list}");
        }
        assert_eq!(parsed(&format!("[{LIST}]")).unwrap()[0].1, 70);
    }

    #[test]
    fn the_last_blobs_that_are_no_string_count() {
        let leaf = format!(r#"{{"v":1,"x":",\"blobs\":[]}}","y":[",",[]],"blobs":[{LIST}]}}"#);
        assert_eq!(named(&leaf).unwrap().len(), 1);
        let role = LIST.replace("evidence", "a[b");
        assert_eq!(named(&format!(r#"{{"v":1,"blobs":[{role}]}}"#)).unwrap().len(), 1);
        assert_eq!(named(r#"{"v":1,"blobs":[]"#), None);
        assert_eq!(named(r#"{"v":1,"blobs":[}"#), None);
        assert_eq!(named(r#"{"v":1}"#), None);
    }

    proptest! {
        #[test]
        fn a_changed_list_is_read_as_a_parser_reads_it(
            at in 0..LIST.len(), with in prop::option::of("[ -~é\\n]"), twice in any::<bool>(),
        ) {
            let changed = format!("{}{}{}", &LIST[..at], with.unwrap_or_default(), &LIST[at + 1..]);
            let list = if twice { format!("[{LIST},{changed}]") } else { format!("[{changed}]") };
            prop_assume!(!list.contains(",\"blobs\":["));
            prop_assert_eq!(named(&format!("{{\"v\":1,\"blobs\":{list}}}")), parsed(&list));
        }

        #[test]
        fn what_is_encoded_is_read(roles in prop::collection::vec("\\PC{0,8}", 0..4), size in 0_u64..1 << 53) {
            let blobs: Vec<_> = roles.into_iter().map(|role| BlobRef {
                role: Role::Other(role), sha256: [7; 32], size, media_type: "text/plain".to_owned(),
            }).collect();
            let list = serde_json::to_string(&blobs).unwrap();
            prop_assert_eq!(named(&format!("{{\"v\":1,\"blobs\":{list}}}")), parsed(&list));
        }
    }
}
