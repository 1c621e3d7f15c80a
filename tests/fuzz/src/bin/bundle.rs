//! Any bytes as `bundle.json`, and as an archive: what is read is written the same, and no entry reaches beyond the archive.

#![cfg_attr(fuzzing, no_main)]

use evidenced::bundle::{Manifest, zip};
use std::io::Cursor;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        let mut again = serde_json::to_vec_pretty(&manifest).expect("it was read");
        again.push(b'\n');
        assert_eq!(again, data);
    }
    let mut archive = Cursor::new(data);
    let Ok(entries) = zip::entries(&mut archive, |_| Ok(())) else {
        return;
    };
    let mut end = 0;
    for (entry, begin) in entries {
        assert!(begin >= end, "entries overlap");
        end = begin + entry.size;
        assert!(end <= data.len() as u64, "an entry reaches beyond the archive");
        drop(zip::go_to(&mut archive, &entry, begin));
    }
}
