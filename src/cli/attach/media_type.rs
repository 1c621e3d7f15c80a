//! What a file is, by its name's ending: what auditors are sent, and nothing that a browser would run.

/// IANA media type of a file. Text that is none of what is listed is told from bytes by looking.
pub(super) fn of(name: &str, payload: &[u8]) -> &'static str {
    let ending = name
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending)
        .to_ascii_lowercase();
    let listed = TYPES.iter().find(|(known, _)| *known == ending);
    match listed {
        Some((_, media_type)) => media_type,
        None if str::from_utf8(payload).is_ok_and(|text| !text.contains('\0')) => "text/plain",
        None => "application/octet-stream",
    }
}

const TYPES: [(&str, &str); 28] = [
    ("7z", "application/x-7z-compressed"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("eml", "message/rfc822"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("msg", "application/vnd.ms-outlook"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("rtf", "application/rtf"),
    ("tsv", "text/tab-separated-values"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_file_is_what_its_name_says_or_text_or_bytes() {
        assert_eq!(of("Review Q3.PDF", b"%PDF"), "application/pdf");
        assert_eq!(of("minutes", "über".as_bytes()), "text/plain");
        assert_eq!(of("dump.bin", b"\xff\xfe"), "application/octet-stream");
        assert_eq!(of(".csv", b"a"), "text/csv");
    }
}
