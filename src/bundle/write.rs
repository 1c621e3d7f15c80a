//! Writing a bundle from a store, which is verified as far as it is handed over: every leaf, link and hash up to the signed
//! checkpoints, and every blob against its name. One that does not verify is refused.
//!
//! The log is gone through a few times instead of being held: what is kept in memory is a few dozen bytes for each leaf and blob.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::PathBuf;

use super::output::{Output, Target};
use super::withheld::{self, Why, Withheld};
use super::zip::{Entry, SUMS};
use super::{Counts, FORMAT, Manifest, Period, README, Scope, VERIFY_PY, archive, blob_path};
use crate::log::leaf::{self, BlobRef, Role};
use crate::log::store::{Held, Reader, StoreError};
use crate::log::tree::Hash;

mod chosen;
mod measure;
mod scope;

use chosen::{Log, damaged, each_chosen};
use measure::Measure;
use scope::InScope;

/// What is to be handed over.
#[derive(Clone, Debug)]
pub struct Order {
    /// The stretch of time.
    pub period: Period,
    /// Whose evidence.
    pub scope: Scope,
    /// Why it is a draft; that the period is not over is added.
    pub draft: Vec<String>,
    /// Files made from what is in the bundle: path and bytes.
    pub derived: Vec<(String, Vec<u8>)>,
}

/// What was handed over.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it stands in the bundle.
    pub manifest: Manifest,
    /// The bytes of all files in it.
    pub content: u64,
    /// The bytes of its own file, where it is one.
    pub file: Option<u64>,
}

/// A bundle can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store can't be read, or does not verify.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something stands in its place.
    #[error("{} is there already", .0.display())]
    Taken(PathBuf),
    /// The scope names what no plan has.
    #[error("no plan in the bundle has the {0} {1:?}")]
    NoSuch(&'static str, String),
    /// A derived file can't have this path.
    #[error("a file of the bundle can't be named so: {0}")]
    Name(String),
    /// The operating system refused.
    #[error("the bundle can't be written")]
    Io(#[from] io::Error),
}

/// Writes a bundle of the log as it is `held`, from which what is derived in the order was made too. `progress` is told how many
/// bytes are written, of how many.
pub fn write(
    mut held: Held<'_>,
    order: &Order,
    target: Target,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written, ExportError> {
    if target.is_taken() {
        return Err(ExportError::Taken(target.path));
    }
    let log = Log::check(&held, order)?;
    let mut gathered = Gathered::of(&held, &log, order)?;
    let manifest = gathered.manifest(&log, order);
    let files = files(&log, &manifest, order)?;
    for (name, item) in files {
        let measure = gathered.measure(&held, &log, &item)?;
        gathered.files.insert(name, (item, measure));
    }
    let sums = measured(|out| gathered.sums(out))?;
    let all = gathered.bytes() + sums.size;
    let mut output = Output::begin(target)?;
    let mut done = 0;
    let mut step = |size: u64| {
        done += size;
        progress(done, all);
    };
    let split = super::blob_path(&[0; 32]);
    let (before, behind) = (
        gathered.files.range(..split.clone()),
        gathered.files.range(split..),
    );
    for (name, (item, measure)) in before {
        output.file(&measure.entry(name), |out| gathered.emit(&held, &log, item, out))?;
        step(measure.size);
    }
    for (sha256, size) in &gathered.blobs {
        let name = hex::encode(sha256);
        let blob = held.blob(sha256)?;
        let bytes = blob.ok_or_else(|| StoreError::Damaged(format!("blob {name} is missing")))?;
        let entry = Entry {
            name: blob_path(sha256),
            size: *size,
            crc: crc32fast::hash(bytes),
        };
        output.file(&entry, |out| out.write_all(bytes))?;
        step(*size);
    }
    for (name, (item, measure)) in behind {
        output.file(&measure.entry(name), |out| gathered.emit(&held, &log, item, out))?;
        step(measure.size);
    }
    output.file(&sums.entry(SUMS), |out| gathered.sums(out))?;
    step(sums.size);
    Ok(Written {
        manifest,
        content: all,
        file: output.finish()?,
    })
}

/// Refuses at once what would be refused when the bundle is written: a place that is taken or can't be written to, and a
/// scope that names what no plan of the log has.
pub fn check(reader: &Reader, scope: &Scope, target: &Target) -> Result<(), ExportError> {
    if target.is_taken() {
        return Err(ExportError::Taken(target.path.clone()));
    }
    scope::check_names(scope, reader)?;
    // What is begun and dropped leaves nothing.
    Ok(Output::begin(target.clone()).map(drop)?)
}

/// What a file of the bundle is made of.
enum Item<'a> {
    Bytes(Cow<'a, [u8]>),
    Leaves,
    Hashes,
    Withheld,
}

fn measured(emit: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>) -> Result<Measure, ExportError> {
    let mut measure = Measure::default();
    emit(&mut measure).map(|()| measure)
}

/// The files that are no blobs, by path.
fn files<'a>(
    log: &Log,
    manifest: &Manifest,
    order: &'a Order,
) -> Result<BTreeMap<String, Item<'a>>, ExportError> {
    let text = |text: String| Item::Bytes(text.into_bytes().into());
    let mut files = BTreeMap::from([
        ("README.txt".to_owned(), text(readme(log, manifest))),
        ("bundle.json".to_owned(), Item::Bytes(manifest.to_bytes().into())),
        ("log/hashes".to_owned(), Item::Hashes),
        ("log/key".to_owned(), text(format!("{}\n", log.key))),
        ("log/leaves.jsonl".to_owned(), Item::Leaves),
        ("verify.py".to_owned(), text(VERIFY_PY.to_owned())),
        ("withheld.csv".to_owned(), Item::Withheld),
    ]);
    for (size, note) in &log.notes {
        let name = if *size == log.size {
            "log/checkpoint".to_owned()
        } else {
            format!("log/checkpoints/{size}")
        };
        files.insert(name, text(note.clone()));
    }
    let mut folded: Vec<String> = files.keys().map(|name| name.to_ascii_lowercase()).collect();
    for (name, bytes) in &order.derived {
        archive::check_name(name).map_err(ExportError::Name)?;
        let lower = name.to_ascii_lowercase();
        if folded.contains(&lower) || lower.starts_with("blobs/") || lower.starts_with("log/") || name == SUMS
        {
            return Err(ExportError::Name(name.clone()));
        }
        folded.push(lower);
        files.insert(name.clone(), Item::Bytes(bytes.as_slice().into()));
    }
    Ok(files)
}

fn readme(log: &Log, manifest: &Manifest) -> String {
    let period = &manifest.period;
    let name = period
        .name
        .as_ref()
        .map_or(String::new(), |name| format!("{name}: "));
    let (from, to) = (leaf::format_time(period.from), leaf::format_time(period.to));
    let draft = if manifest.draft.is_empty() {
        String::new()
    } else {
        format!("\nTHIS IS A DRAFT: {}.\n", manifest.draft.join("; "))
    };
    README
        .replace("{draft}", &draft)
        .replace("{origin}", &manifest.origin)
        .replace(
            "{period}",
            &format!("{name}from {from} up to, and not with, {to}"),
        )
        .replace("{size}", &manifest.size.to_string())
        .replace("{root}", &manifest.root)
        .replace("{key}", &log.key.to_string())
}

/// What is handed over besides leaves, and every file as it will be.
struct Gathered<'a> {
    /// The file of the leaves.
    leaves: Measure,
    /// Sorted by digest, with their sizes.
    blobs: Vec<(Hash, u64)>,
    withheld: Vec<Withheld>,
    files: BTreeMap<String, (Item<'a>, Measure)>,
}

/// A blob that a leaf names.
struct Named {
    size: u64,
    role: Role,
    seq: u64,
    is_wanted: bool,
}

impl Gathered<'_> {
    fn of(held: &Held<'_>, log: &Log, order: &Order) -> Result<Self, ExportError> {
        let scope = InScope::of(&order.scope, log, held.reader())?;
        let mut named: HashMap<Hash, Named> = HashMap::new();
        let mut leaves = Measure::default();
        each_chosen::<ExportError>(held, log, |seq, bytes| {
            leaves.write_all(bytes)?;
            leaves.write_all(b"\n")?;
            let blobs = leaf::blobs(bytes).ok_or_else(|| damaged(seq, &"it does not end with its blobs"))?;
            let is_wanted = !blobs.is_empty() && scope.wants(bytes, &log.chooser, held.reader())?;
            for BlobRef {
                sha256, size, role, ..
            } in blobs
            {
                let known = named.entry(sha256).or_insert_with(|| Named {
                    size,
                    role,
                    seq,
                    is_wanted: false,
                });
                known.is_wanted |= is_wanted;
                if known.size != size {
                    return Err(damaged(seq, &"it gives a blob another size than a leaf before it").into());
                }
            }
            Ok(())
        })?;
        let (mut blobs, mut withheld) = (Vec::new(), Vec::new());
        for (
            sha256,
            Named {
                size,
                role,
                seq,
                is_wanted,
            },
        ) in named
        {
            let why = match held.blob_size(&sha256)? {
                _ if !is_wanted => Why::OutOfScope,
                None => Why::Missing,
                Some(stored) if stored == size => {
                    blobs.push((sha256, size));
                    continue;
                }
                Some(_) => return Err(damaged(seq, &"it gives a blob another size than it has").into()),
            };
            withheld.push(Withheld {
                sha256,
                role,
                seq,
                why,
            });
        }
        blobs.sort_unstable();
        withheld.sort_unstable_by_key(|line| line.sha256);
        Ok(Self {
            leaves,
            blobs,
            withheld,
            files: BTreeMap::new(),
        })
    }

    fn manifest(&self, log: &Log, order: &Order) -> Manifest {
        let mut draft = order.draft.clone();
        let end = leaf::format_time(order.period.to);
        if log.newest < end {
            draft.push(format!(
                "the newest leaf is of {}, and the period ends at {end}",
                log.newest
            ));
        }
        Manifest {
            format: FORMAT,
            origin: log.key.origin().to_string(),
            period: order.period.clone(),
            size: log.size,
            root: hex::encode(log.root),
            draft,
            scope: order.scope.clone(),
            counts: Counts {
                leaves: log.chosen.len() as u64,
                blobs: self.blobs.len() as u64,
                withheld: self.withheld.len() as u64,
                checkpoints: log.notes.len() as u64,
            },
        }
    }

    fn measure(&self, held: &Held<'_>, log: &Log, item: &Item<'_>) -> Result<Measure, ExportError> {
        match item {
            Item::Hashes => Ok(log.hashes.clone()),
            Item::Leaves => Ok(self.leaves.clone()),
            item => measured(|out| self.emit(held, log, item, out)),
        }
    }

    /// Writes a file's bytes.
    fn emit(
        &self,
        held: &Held<'_>,
        log: &Log,
        item: &Item<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ExportError> {
        match item {
            Item::Bytes(bytes) => Ok(out.write_all(bytes)?),
            Item::Hashes => held.reader().walk(|_, hash, _| Ok(out.write_all(hash)?)),
            Item::Leaves => each_chosen(held, log, |_, bytes| {
                out.write_all(bytes)?;
                Ok(out.write_all(b"\n")?)
            }),
            Item::Withheld => {
                out.write_all(withheld::HEAD.as_bytes())?;
                for line in &self.withheld {
                    out.write_all(line.line().as_bytes())?;
                }
                Ok(())
            }
        }
    }

    /// Writes `SHA256SUMS`.
    fn sums(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        let split = blob_path(&[0; 32]);
        for (name, (_, measure)) in self.files.range(..split.clone()) {
            writeln!(out, "{}  {name}", measure.digest())?;
        }
        for (sha256, _) in &self.blobs {
            writeln!(out, "{}  {}", hex::encode(sha256), blob_path(sha256))?;
        }
        for (name, (_, measure)) in self.files.range(split..) {
            writeln!(out, "{}  {name}", measure.digest())?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let files = self.files.values().map(|(_, measure)| measure.size);
        files.chain(self.blobs.iter().map(|(_, size)| *size)).sum()
    }
}
