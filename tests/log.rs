//! The log from outside: what is appended can be read, is verified, and every change is found.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use evidenced::clock;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, Role, Scope};
use evidenced::log::store::{Paths, Reader};
use evidenced::log::verify_store::verify_store;

fn draft(collector: &str, payload: &[u8]) -> Draft {
    let scope = Scope {
        collector: collector.to_owned(),
        source: "s".to_owned(),
        count: 1,
    };
    Draft::new(Body::Scope(scope))
        .with_blob(Role::Scope, "application/json", payload)
        .unwrap()
}

#[test]
fn what_is_appended_is_read_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("store"));
    {
        let log = Appender::open(&paths, "acme", clock::system()).unwrap();
        for n in 0..600_u32 {
            let receipt = log
                .append_blocking(draft("host.baseline", format!("payload {}", n / 100).as_bytes()))
                .unwrap();
            assert_eq!(receipt.seq, u64::from(n) + 1);
        }
    }
    let log = Appender::open(&paths, "acme", clock::system()).unwrap();
    log.append_blocking(draft("other", b"payload 5")).unwrap();
    let reader = Reader::open(&paths).unwrap();
    assert_eq!(reader.size().unwrap(), 602);
    let report = verify_store(&paths, None, &|_, _| {}).unwrap();
    assert_eq!(report.problems, []);
    assert!(report.intact);
    let blob = &reader.leaf(601).unwrap().unwrap().blobs[0];
    assert_ne!(
        blob.sha256,
        reader.leaf(600).unwrap().unwrap().blobs[0].sha256,
        "another collector's is never reused"
    );
    assert_eq!(reader.payload(&blob.sha256).unwrap().unwrap(), b"payload 5");
    assert_eq!(
        reader.leaf(600).unwrap().unwrap().blobs,
        reader.leaf(599).unwrap().unwrap().blobs
    );
}
