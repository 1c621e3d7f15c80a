//! A bundle as it was handed over, to read: a zip archive or the folder with the same files. Trusts nothing, writes nothing.
//!
//! A zip is read where it lies, never unpacked, and only in the form that `zip` describes. In a folder, links and whatever is
//! no ordinary file are refused. Names are portable: letters, digits, `.`, `_` and `-` between slashes, and no two that
//! a system without upper and lower case takes for one.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::zip::{self, SUMS, ZipError};

/// The longest path in a bundle.
const NAME: usize = 200;

/// So deep folders lie in each other at most.
const DEPTH: usize = 6;

/// A bundle can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no bundle, or one that was made to do harm.
    #[error("{0}")]
    Refused(String),
    /// The operating system refused.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

fn refused<T>(why: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Refused(why.into()))
}

/// A bundle's files, to read.
pub struct Archive {
    path: PathBuf,
    /// By name: its size, and in a zip the entry's CRC and where it begins.
    files: BTreeMap<Box<str>, Place>,
    is_zip: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    size: u64,
    crc: u32,
    begin: u64,
}

impl Archive {
    /// Opens a zip archive or a folder.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let io = |error| ArchiveError::Io(path.to_owned(), error);
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            return Self::folder(path);
        }
        let mut file = File::open(path).map_err(io)?;
        let mut magic = Vec::new();
        file.by_ref().take(21).read_to_end(&mut magic).map_err(io)?;
        if magic == b"age-encryption.org/v1" {
            return refused("it is encrypted: decrypt it with `age --decrypt` first");
        }
        let (mut names, mut files) = (Names::default(), BTreeMap::new());
        let entries = zip::entries(&mut file, |name| names.add_in_order(name));
        for (entry, begin) in entries.map_err(|error| of_zip(path, error))? {
            let place = Place {
                size: entry.size,
                crc: entry.crc,
                begin,
            };
            files.insert(entry.name.into_boxed_str(), place);
        }
        Ok(Self {
            path: path.to_owned(),
            files,
            is_zip: true,
        })
    }

    fn folder(path: &Path) -> Result<Self, ArchiveError> {
        let (mut names, mut files) = (Names::default(), BTreeMap::new());
        let mut folders = vec![(path.to_owned(), String::new(), 0)];
        while let Some((folder, below, depth)) = folders.pop() {
            let io = |error| ArchiveError::Io(folder.clone(), error);
            for entry in std::fs::read_dir(&folder).map_err(io)? {
                let entry = entry.map_err(io)?;
                let name = format!("{below}{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type().map_err(io)?;
                if kind.is_dir() && depth < DEPTH {
                    folders.push((entry.path(), format!("{name}/"), depth + 1));
                    continue;
                }
                if !kind.is_file() {
                    return refused(format!("{name:?} is a link, or no ordinary file"));
                }
                names.add(&name).or_else(refused)?;
                let place = Place {
                    size: entry.metadata().map_err(io)?.len(),
                    crc: 0,
                    begin: 0,
                };
                files.insert(name.into_boxed_str(), place);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            files,
            is_zip: false,
        })
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(AsRef::as_ref)
    }

    /// How large a file is; none if there is no such file.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.files.get(name).map(|place| place.size)
    }

    /// How many bytes all files have together.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, place| sum.saturating_add(place.size))
    }

    /// Reads a file from its beginning.
    pub fn read<'a>(&'a self, name: &str) -> Result<Box<dyn Read + 'a>, ArchiveError> {
        let Some(place) = self.files.get(name) else {
            return refused(format!("{name} is missing"));
        };
        let path = if self.is_zip {
            self.path.clone()
        } else {
            self.path.join(name)
        };
        let io = |error| ArchiveError::Io(path.clone(), error);
        if !self.is_zip {
            // One that became a link since is not followed.
            let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
            let file = File::options()
                .read(true)
                .custom_flags(flags)
                .open(&path)
                .map_err(io)?;
            return Ok(Box::new(BufReader::with_capacity(1 << 16, file.take(place.size))));
        }
        let entry = zip::Entry {
            name: name.to_owned(),
            size: place.size,
            crc: place.crc,
        };
        let mut file = File::open(&path).map_err(io)?;
        zip::go_to(&mut file, &entry, place.begin).map_err(|error| of_zip(&self.path, error))?;
        Ok(Box::new(Checked {
            from: BufReader::with_capacity(1 << 16, file.take(place.size)),
            hasher: crc32fast::Hasher::new(),
            crc: place.crc,
        }))
    }

    /// All of a file, if it has at most `limit` bytes.
    pub fn all(&self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if self.size(name).is_some_and(|size| size > limit) {
            return refused(format!("{name} is larger than any such file"));
        }
        let mut bytes = Vec::new();
        let read = self.read(name)?.take(limit).read_to_end(&mut bytes);
        read.map_err(|error| self.reading(name, error))?;
        Ok(bytes)
    }

    /// What an error while reading a file says: in a zip, a wrong CRC is one.
    pub fn reading(&self, name: &str, error: io::Error) -> ArchiveError {
        if error.kind() == io::ErrorKind::InvalidData {
            return ArchiveError::Refused(format!("{name} {error}"));
        }
        ArchiveError::Io(self.path.join(name), error)
    }
}

fn of_zip(path: &Path, error: ZipError) -> ArchiveError {
    match error {
        ZipError::Refused(why) => ArchiveError::Refused(why),
        ZipError::Io(error) => ArchiveError::Io(path.to_owned(), error),
    }
}

/// Reads an entry and compares its CRC at its end.
struct Checked<R> {
    from: R,
    hasher: crc32fast::Hasher,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.hasher.clone().finalize() != self.crc {
            let what = "does not have the CRC that the archive states";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(read)
    }
}

/// The names seen so far.
#[derive(Default)]
struct Names {
    last: String,
    folded: HashSet<String>,
}

impl Names {
    /// The next name of a zip: behind all before it, the list of all last.
    fn add_in_order(&mut self, name: &str) -> Result<(), String> {
        let in_order = self.last != SUMS && (self.last.as_str() < name || name == SUMS);
        if !in_order {
            return Err(format!("{name:?} is there twice, or not in order"));
        }
        name.clone_into(&mut self.last);
        self.add(name)
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        check_name(name)?;
        // Blobs, of which there may be many, have no letters that could be in either case.
        let is_blob = super::blob_of(name).is_some();
        if !is_blob && !self.folded.insert(name.to_ascii_lowercase()) {
            return Err(format!("{name:?} is there twice, but for upper and lower case"));
        }
        Ok(())
    }
}

/// Whether a name means the same file on every system, and one inside of the bundle.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && part.chars().all(plain)
    };
    if name.len() > NAME || !name.split('/').all(part) {
        return Err(format!("{name:?} is no name that a file of a bundle has"));
    }
    let under_blobs = name
        .split('/')
        .next()
        .is_some_and(|first| first.eq_ignore_ascii_case("blobs"));
    if under_blobs && super::blob_of(name).is_none() {
        return Err(format!("{name:?} is no name of a blob"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_bundle_and_mean_the_same_everywhere() {
        for good in ["README.txt", "log/checkpoints/12", "a-b_c.csv"] {
            assert_eq!(check_name(good), Ok(()));
        }
        let long = "x".repeat(201);
        for bad in [
            "", "/a", "a/", "a//b", "../a", "a/../b", ".", ".a", "a.", "a\\b", "C:a", "a b", "é", "a\0",
            "blobs/x", "Blobs/ab", &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        let blob = format!("blobs/ab/{}", "ab".repeat(32));
        assert_eq!(check_name(&blob), Ok(()));
        assert!(check_name(&blob.to_uppercase()).is_err());
        assert!(check_name(&blob.replace("blobs/ab", "blobs/cd")).is_err());
    }

    #[test]
    fn a_name_stands_once_in_any_case_and_in_order() {
        let mut names = Names::default();
        assert_eq!(names.add_in_order("a"), Ok(()));
        assert!(names.add_in_order("a").is_err());
        assert_eq!(names.add_in_order("b"), Ok(()));
        assert!(names.add_in_order("a").is_err());
        let mut names = Names::default();
        assert_eq!(names.add_in_order("A"), Ok(()));
        assert!(names.add_in_order("a").is_err());
        let mut names = Names::default();
        assert_eq!(names.add_in_order("z"), Ok(()));
        assert_eq!(names.add_in_order(SUMS), Ok(()));
        assert!(names.add_in_order("zz").is_err());
    }
}
