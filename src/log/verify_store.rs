//! Checking a whole store: the log in its database, and every column, the guard and the key beside it.

use foldhash::fast::RandomState;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Rows};
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::checkpoint::VerifierKey;
use super::guard::{self, Slot};
use super::leaf::Lead;
use super::start;
use super::store::{Paths, Reader, StoreError, TREE_LEVELS, reading};
use super::tree::Hash;
use super::verify::{Problem, Problems, Report, STRETCH, Stretch, Whole, newest};

mod beside;
mod blobs;
mod indexes;

use beside::{check_alerts, check_guard, check_key_file, check_rest, check_tree};
use indexes::Indexes;

/// Names of blobs that a thread remembers as present, about 64 bytes each.
const REMEMBERED: usize = 200_000;

/// Verifies a store. With `pinned`, its checkpoints must be signed by that key; without, the log is checked against the
/// key that it names itself, which shows that it is consistent, not whose it is. `progress` is told how many leaves
/// have been checked, of how many.
///
/// # Errors
/// Where the store can't be read for reasons that say nothing about the evidence. Damage is a report.
pub fn verify_store(
    paths: &Paths,
    pinned: Option<&VerifierKey>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report, StoreError> {
    match check(paths, pinned, progress) {
        Err(error) if error.is_damage() => {
            let source = std::error::Error::source(&error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            Ok(unchecked(None, "database", format!("{error}{source}")))
        }
        report => report,
    }
}

/// The report on a log that can't be checked any further.
fn unchecked(seq: Option<u64>, kind: &'static str, detail: String) -> Report {
    Report {
        intact: false,
        origin: String::new(),
        size: 0,
        root: String::new(),
        head: String::new(),
        key: String::new(),
        pinned: false,
        problems: vec![Problem { seq, kind, detail }],
    }
}

fn check(
    paths: &Paths,
    pinned: Option<&VerifierKey>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report, StoreError> {
    let mut problems = Problems::default();
    let (mut readers, slots) = open_at_one_instant(paths)?;
    let database = readers[0].connection();
    let origin = readers[0].origin().clone();
    let own = match start::log_key(database, &origin) {
        Err(error) if !error.is_damage() => return Err(error),
        own => own,
    };
    let key = match (pinned, &own) {
        (Some(key), _) | (None, Ok(key)) => key.clone(),
        (None, Err(error)) => return Ok(unchecked(Some(0), "key", error.to_string())),
    };
    if own.as_ref().ok() != Some(&key) {
        let named = own.map_or_else(|error| error.to_string(), |own| format!("it names {own}"));
        problems.add(
            Some(0),
            "key",
            format!("this log was not begun with the key given: {named}"),
        );
    }
    let notes = checkpoints(database)?;
    let size = log_size(&readers[0], &key, &notes, &mut problems)?;
    match notes.last() {
        None => problems.add(None, "checkpoint", "there is none"),
        Some((_, note)) => check_guard(database, &key, slots.as_ref(), note, size, &mut problems)?,
    }
    check_rest(database, size, &mut problems)?;
    check_alerts(database, &mut problems)?;
    check_key_file(paths, &key, &mut problems)?;

    let wanted: Vec<u64> = notes.iter().map(|(size, _)| *size).collect();
    let mut whole = stretches(&mut readers, origin.as_str(), size, &wanted, progress)?;
    for (at, note) in &notes {
        whole.checkpoint(&key, *at, note);
    }
    check_tree(readers[0].connection(), &mut whole, &mut problems)?;
    problems.append(std::mem::take(&mut whole.problems));
    problems.append(all_blobs(&mut readers, size)?);

    let problems = problems.finish();
    Ok(Report {
        intact: problems.is_empty(),
        origin: origin.to_string(),
        size,
        root: hex::encode(whole.frontier.root()),
        head: hex::encode(whole.last_hash),
        key: key.to_string(),
        pinned: pinned.is_some(),
        problems,
    })
}

/// Two readers that see the same log, and the guard as it stood at that instant. A writer commits before it moves the
/// guard, so where the guard is the same before and after, the database is at most that one batch ahead.
fn open_at_one_instant(paths: &Paths) -> Result<([Reader; 2], Option<[Slot; 2]>), StoreError> {
    let read = || match File::open(paths.guard()) {
        Ok(file) => guard::read(&file)
            .map(Some)
            .map_err(StoreError::io(paths.guard())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::Io(paths.guard(), error)),
    };
    let readers = [Reader::open(paths)?, Reader::open(paths)?];
    loop {
        let before = read()?;
        for reader in &readers {
            reader.connection().execute_batch("BEGIN").map_err(reading)?;
        }
        // The first read fixes what a transaction sees.
        let sizes = [readers[0].size()?, readers[1].size()?];
        if read()? == before && sizes[0] == sizes[1] {
            return Ok((readers, before));
        }
        for reader in &readers {
            reader.connection().execute_batch("ROLLBACK").map_err(reading)?;
        }
    }
}

/// Every checkpoint kept, by the size that it is kept under. What is no text is no checkpoint, and found as one.
fn checkpoints(connection: &Connection) -> Result<Vec<(u64, String)>, StoreError> {
    let mut statement = connection
        .prepare("SELECT size, note FROM checkpoint ORDER BY size")
        .map_err(reading)?;
    let rows = statement.query_map([], |row| {
        let note = match row.get_ref(1)? {
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), note))
    });
    rows.map_err(reading)?.collect::<Result<_, _>>().map_err(reading)
}

/// How many leaves to check: as many as the newest good checkpoint says, since a row far beyond would otherwise make
/// a gap of any length. What is missing up to there, and what lies beyond, is a problem.
fn log_size(
    reader: &Reader,
    key: &VerifierKey,
    notes: &[(u64, String)],
    problems: &mut Problems,
) -> Result<u64, StoreError> {
    let held = reader.size()?;
    let signed = newest(notes.iter().filter_map(|(_, note)| key.verify(note).ok()));
    let Some(signed) = signed else {
        let count = reader
            .connection()
            .query_row("SELECT count(*) FROM leaf", [], |row| row.get(0))
            .map_err(reading)?;
        return Ok(held.min(count));
    };
    if held > signed.size {
        problems.add(
            Some(signed.size),
            "leaf",
            format!(
                "stands behind the newest checkpoint, which is for {} leaves",
                signed.size
            ),
        );
    }
    Ok(signed.size)
}

/// Checks all leaves, a thread for each reader.
fn stretches<'a>(
    readers: &mut [Reader; 2],
    origin: &'a str,
    size: u64,
    wanted: &'a [u64],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Whole, StoreError> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let indexes = Indexes::of_entries();
    let results = in_parallel(readers, |reader| {
        indexes.read(reader.connection());
        let (mut present, mut checked, mut summed) = (HashSet::default(), Vec::new(), indexes.rows());
        loop {
            let from = next.fetch_add(STRETCH, Ordering::Relaxed);
            if from >= size {
                return Ok((checked, summed));
            }
            let to = (from + STRETCH).min(size);
            let stretch = stretch(
                reader.connection(),
                origin,
                from..to,
                wanted,
                &mut present,
                &mut summed,
            );
            checked.push((from, stretch.map_err(reading)?));
            progress(done.fetch_add(to - from, Ordering::Relaxed) + to - from, size);
        }
    })?;
    let (mut stretches, mut summed) = (Vec::new(), indexes.rows());
    for (checked, part) in results {
        stretches.extend(checked);
        summed.join(&part);
    }
    stretches.sort_by_key(|(from, _)| *from);
    let mut whole = Whole::default();
    for (_, stretch) in stretches {
        whole.join(stretch);
    }
    summed.compare(&mut whole.problems);
    Ok(whole)
}

/// Does the same work on a thread for each reader.
fn in_parallel<T: Send>(
    readers: &mut [Reader; 2],
    work: impl Fn(&Reader) -> Result<T, StoreError> + Sync,
) -> Result<Vec<T>, StoreError> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(move || work(reader)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect()
    })
}

fn stretch<'a>(
    connection: &Connection,
    origin: &'a str,
    Range { start: from, end: to }: Range<u64>,
    wanted: &'a [u64],
    present: &mut HashSet<(Hash, u64), RandomState>,
    summed: &mut indexes::Rows<'_, 3>,
) -> rusqlite::Result<Stretch<'a>> {
    let leaves = "SELECT seq, hash, bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq";
    let entries = "SELECT seq, time, kind, snapshot, collector, source, target FROM entry \
                   WHERE seq >= ? AND seq < ? ORDER BY seq";
    let prev: Option<Hash> = match from.checked_sub(1) {
        None => Some([0; 32]),
        Some(before) => connection
            .query_row("SELECT hash FROM leaf WHERE seq = ?", [before], |row| row.get(0))
            .optional()?,
    };
    let mut stretch = Stretch::new(origin, from, prev.unwrap_or_default(), &TREE_LEVELS, wanted);
    let (mut leaves, mut entries) = (
        connection.prepare_cached(leaves)?,
        connection.prepare_cached(entries)?,
    );
    let (mut rows, mut entries) = (
        leaves.query([from, to])?,
        Entries::new(entries.query([from, to])?, summed),
    );
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        while stretch.next() < seq {
            stretch.missing();
        }
        let lead = stretch.leaf(row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?);
        if !entries.agree(row.get(0)?, lead.as_ref())? {
            stretch.problems.add(
                Some(seq),
                "entry",
                "the row in the index is not what the leaf says",
            );
        }
        for blob in &stretch.blobs {
            if !present.contains(blob) {
                if let Some(what) = missing_blob(connection, seq, blob)? {
                    stretch.problems.add(Some(seq), "blob", what);
                    continue;
                }
                if present.len() >= REMEMBERED {
                    present.clear();
                }
                present.insert(*blob);
            }
        }
    }
    while stretch.next() < to {
        stretch.missing();
    }
    Ok(stretch)
}

/// The rows of the table `entry` in order, read beside the leaves: joining them takes longer than all the hashing.
struct Entries<'a, 'i> {
    rows: Rows<'a>,
    /// Whether the row reached belongs to a later leaf than was asked for.
    ahead: bool,
    /// What the rows passed say that the indexes must hold.
    summed: &'a mut indexes::Rows<'i, 3>,
}

impl<'a, 'i> Entries<'a, 'i> {
    fn new(rows: Rows<'a>, summed: &'a mut indexes::Rows<'i, 3>) -> Self {
        Self {
            rows,
            ahead: false,
            summed,
        }
    }

    /// Whether the row of a leaf says what the leaf's beginning does, if that could be read. To be asked in order.
    fn agree(&mut self, seq: i64, lead: Option<&Lead<'_>>) -> rusqlite::Result<bool> {
        loop {
            if !self.ahead {
                self.rows.advance()?;
            }
            let Some(row) = self.rows.get() else {
                return Ok(lead.is_none());
            };
            let at: i64 = row.get(0)?;
            self.ahead = at > seq;
            if self.ahead {
                return Ok(lead.is_none());
            }
            let column = |index| row.get_ref(index);
            let columns = [column(2)?, column(3)?, column(4)?, column(5)?, column(6)?];
            self.summed.add(at, columns);
            if at == seq {
                let Some(lead) = lead else { return Ok(true) };
                return Ok(column(1)? == text(Some(lead.time)) && columns == expected(lead));
            }
        }
    }
}

/// The row that a leaf must have, but for its time. The same bytes as a blob would not be found by a query for text.
fn expected<'a>(lead: &'a Lead<'_>) -> [ValueRef<'a>; 5] {
    let snapshot = lead.snapshot.and_then(|seq| i64::try_from(seq).ok());
    [
        text(Some(lead.kind)),
        snapshot.map_or(ValueRef::Null, ValueRef::Integer),
        text(lead.collector.as_deref()),
        text(lead.source.as_deref()),
        text(lead.target.as_deref()),
    ]
}

fn text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

/// What is wrong with a blob that a leaf names, but for its bytes, which are checked row by row.
fn missing_blob(
    connection: &Connection,
    seq: u64,
    (sha256, named): &(Hash, u64),
) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT seq, size FROM blob WHERE sha256 = ?")?;
    let row: Option<(i64, i64)> = statement
        .query_row([sha256], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let name = hex::encode(sha256);
    Ok(match row {
        None => Some(format!("blob {name} is missing")),
        Some((_, size)) if u64::try_from(size) != Ok(*named) => {
            Some(format!("blob {name} has another size than the leaf says"))
        }
        Some((first, _)) if u64::try_from(first).map_or(true, |first| first > seq) => Some(format!(
            "blob {name} is stored as leaf {first}'s, though this leaf names it before"
        )),
        Some(_) => None,
    })
}

/// Checks all blobs, a thread for each reader.
fn all_blobs(readers: &mut [Reader; 2], size: u64) -> Result<Problems, StoreError> {
    let (next, indexes) = (Mutex::new(Some(i64::MIN)), Indexes::of_blobs());
    let results = in_parallel(readers, |reader| {
        indexes.read(reader.connection());
        let mut summed = indexes.rows();
        let problems = blobs::check(reader.connection(), &next, size, &mut summed)?;
        Ok((problems, summed))
    })?;
    let (mut problems, mut summed) = (Problems::default(), indexes.rows());
    for (found, part) in results {
        problems.append(found);
        summed.join(&part);
    }
    summed.compare(&mut problems);
    Ok(problems)
}
