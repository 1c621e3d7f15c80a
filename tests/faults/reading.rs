//! What a crash leaves, read where nothing can be written; and a guard torn at every place.

use evidenced::log::store::Paths;

use super::child::{Ack, Bench, Run};
use super::examine::{Excuse, Found, examine, verified};

/// What a verifier says that may write nothing at all.
fn verify_read_only(bench: &Bench) -> Run {
    let mut command = bench.command("verify");
    bench.finish(command.env("SHIM_READ_ONLY", "1").spawn().unwrap())
}

/// A store whose last process was killed, so that leaves stand only in the write-ahead log.
fn killed() -> (Bench, Vec<Ack>) {
    let bench = Bench::new();
    let whole = bench.run("brief", "");
    let bench = Bench::new();
    // The folded-in database is the last but one file to change: die before it.
    let last = whole
        .changes
        .iter()
        .rposition(|change| change.path.ends_with("/guard"))
        .unwrap()
        + 2;
    let run = bench.run("brief", &format!("{last}:kill"));
    assert_eq!(run.acks.len(), 3, "{:?}", run.said);
    assert!(
        bench
            .store()
            .database()
            .with_extension("db-wal")
            .metadata()
            .unwrap()
            .len()
            > 0
    );
    (bench, run.acks)
}

#[test]
fn a_killed_process_s_leaves_are_verified_without_writing_anything() {
    let (bench, acks) = killed();
    let run = verify_read_only(&bench);
    assert!(
        run.said.contains(&"verified true 4".to_owned()),
        "{:?} {}",
        run.said,
        run.complaints
    );
    assert!(
        run.changes.iter().all(|change| change.fault == "fail"),
        "something was written"
    );
    examine(&bench.store(), &acks, Excuse::None).unwrap();
}

#[test]
fn a_write_ahead_log_that_cannot_be_read_is_an_error_and_never_a_shorter_log() {
    let (bench, acks) = killed();
    // As on a read-only medium with a copy of the files that hold something.
    std::fs::remove_file(bench.store().database().with_extension("db-shm")).unwrap();
    let run = verify_read_only(&bench);
    assert!(
        run.said("error") || run.said.contains(&"verified true 4".to_owned()),
        "{:?}",
        run.said
    );
    examine(&bench.store(), &acks, Excuse::None).unwrap();
}

#[test]
fn a_store_at_rest_is_verified_without_writing_anything() {
    let bench = Bench::new();
    let acks = bench.run("brief", "").acks;
    let run = verify_read_only(&bench);
    assert!(
        run.said.contains(&"verified true 4".to_owned()),
        "{:?} {}",
        run.said,
        run.complaints
    );
    examine(&bench.store(), &acks, Excuse::None).unwrap();
}

#[test]
fn a_guard_torn_at_any_byte_is_mended_and_no_alarm() {
    let (bench, acks) = killed();
    let store = bench.store();
    let whole = std::fs::read(store.guard()).unwrap();
    // Leaf 3's checkpoint was the last to be written, over the first but one: both slots by turns, from leaf 0 on.
    let older = earlier_guard(&acks);
    for cut in 0..=512 {
        let place = Bench::new();
        let torn = Paths::new(place.root().join("torn"));
        std::fs::create_dir(torn.directory()).unwrap();
        for file in std::fs::read_dir(store.directory()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), torn.directory().join(file.file_name())).unwrap();
        }
        let mut bytes = whole.clone();
        bytes[512 + cut..].copy_from_slice(&older[cut..]);
        std::fs::write(torn.guard(), &bytes).unwrap();
        assert_eq!(verified(&torn, &acks), Ok(Found::Intact), "cut at {cut}");
        if cut % 16 == 0 {
            assert_eq!(
                examine(&torn, &acks, Excuse::None),
                Ok(Found::Intact),
                "cut at {cut}"
            );
        }
    }
}

/// What the slot held before: any bytes do that are not the new ones, as no checkpoint is repeated.
fn earlier_guard(acks: &[Ack]) -> [u8; 512] {
    assert_eq!(
        acks.last().map(|ack| ack.seq),
        Some(3),
        "the newest is in the second slot"
    );
    std::array::from_fn(|at| if at < 300 { b'x' } else { 0 })
}
