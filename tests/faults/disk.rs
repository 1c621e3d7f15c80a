//! The disk after power loss, built from the recorded changes.
//!
//! What a flush of a file covered is kept, and what a flush of a folder covered of its names. Of the rest the disk may
//! hold all, nothing, or any part, a write torn at a multiple of 512 bytes. What SQLite keeps in its `-shm` file is
//! mapped memory and may hold anything.

use std::collections::BTreeMap;
use std::path::Path;

use super::child::Change;
use super::program::Random;

const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    /// By its position among `files`.
    File(usize),
}

type Names = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone, Debug)]
enum Rename {
    Make(String, Node),
    Remove(String),
}

/// A file: what is flushed, and what has been done to it since.
#[derive(Debug, Default)]
struct File {
    flushed: Vec<u8>,
    since: Vec<Edit>,
}

/// What becomes of what was not flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// Files' contents are lost; names are kept, as journalling file systems do.
    Contents,
    /// Contents and names.
    Everything,
    /// A part of it, by this seed.
    Some(u64),
}

/// A disk, and what it may forget.
#[derive(Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    by_inode: BTreeMap<u64, usize>,
    names: Names,
    flushed_names: Names,
    renames: Vec<Rename>,
}

impl Disk {
    /// The next change.
    pub(crate) fn apply(&mut self, change: &Change) {
        assert_eq!(change.fault, "-", "only what was done can be built again");
        let path = change.path.clone();
        match change.operation.as_str() {
            "mkdir" if change.inode == 0 => {}
            "mkdir" => self.rename(Rename::Make(path, Node::Folder)),
            "create" => {
                self.files.push(File::default());
                self.by_inode.insert(change.inode, self.files.len() - 1);
                self.rename(Rename::Make(path, Node::File(self.files.len() - 1)));
            }
            "unlink" => self.rename(Rename::Remove(path)),
            "rename" => {
                let (from, to) = path.split_once('\t').unwrap();
                let node = self.names[from];
                self.rename(Rename::Make(to.to_owned(), node));
                self.rename(Rename::Remove(from.to_owned()));
            }
            "empty" => self.file(change).since.push(Edit::Truncate(0)),
            "truncate" => self.file(change).since.push(Edit::Truncate(change.offset)),
            "write" => {
                let edit = Edit::Write(change.offset, change.data.clone());
                self.file(change).since.push(edit);
            }
            "flush" => {
                let file = self.file(change);
                for edit in std::mem::take(&mut file.since) {
                    edit.apply(&mut file.flushed);
                }
            }
            "flush-folder" => {
                let inside = |path: &str| Path::new(path).parent() == Some(Path::new(&folder(&change.path)));
                let flushed = self.renames.extract_if(.., |rename| inside(rename.path()));
                for rename in flushed {
                    rename.apply(&mut self.flushed_names);
                }
            }
            other => panic!("the model of the disk knows no {other}"),
        }
    }

    fn file(&mut self, change: &Change) -> &mut File {
        &mut self.files[self.by_inode[&change.inode]]
    }

    fn rename(&mut self, rename: Rename) {
        rename.apply(&mut self.names);
        self.renames.push(rename);
    }

    /// Puts the disk into an empty folder, as it is found when the power is back.
    pub(crate) fn build(&self, root: &Path, loss: Loss) {
        let mut random = Random(if let Loss::Some(seed) = loss { seed } else { 0 });
        let mut names = match loss {
            Loss::Contents => self.names.clone(),
            Loss::Everything | Loss::Some(_) => self.flushed_names.clone(),
        };
        if let Loss::Some(_) = loss {
            // File systems keep the order of names.
            for rename in self.renames.iter().take(random.index(self.renames.len() + 1)) {
                rename.apply(&mut names);
            }
        }
        // By name, so a folder comes before what is in it; what is in a lost folder is lost.
        for (path, node) in &names {
            let place = root.join(path);
            if !place.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Folder => std::fs::create_dir(place).unwrap(),
                Node::File(number) => {
                    let mut bytes = self.files[*number].after(loss, &mut random);
                    if path.ends_with("-shm") && matches!(loss, Loss::Some(_)) {
                        for byte in &mut bytes {
                            *byte = random.next().to_le_bytes()[0];
                        }
                    }
                    std::fs::write(place, bytes).unwrap();
                }
            }
        }
    }
}

/// The path of a folder as names in it begin.
fn folder(path: &str) -> String {
    if path == "." {
        String::new()
    } else {
        path.to_owned()
    }
}

impl File {
    fn after(&self, loss: Loss, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        for edit in &self.since {
            match loss {
                Loss::Contents | Loss::Everything => {}
                Loss::Some(_) => match random.below(4) {
                    0 => {}
                    1 => edit.torn(random).apply(&mut bytes),
                    _ => edit.apply(&mut bytes),
                },
            }
        }
        bytes
    }
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }

    /// Some of its sectors: those before or those behind a point.
    fn torn(&self, random: &mut Random) -> Self {
        let Self::Write(offset, data) = self else {
            return self.clone();
        };
        let first = offset / SECTOR;
        let sectors = (offset + data.len()).div_ceil(SECTOR) - first;
        let cut = ((first + random.index(sectors + 1)) * SECTOR).clamp(*offset, offset + data.len()) - offset;
        if random.below(2) == 0 {
            Self::Write(*offset, data[..cut].to_vec())
        } else {
            Self::Write(offset + cut, data[cut..].to_vec())
        }
    }
}

impl Rename {
    fn path(&self) -> &str {
        match self {
            Self::Make(path, _) | Self::Remove(path) => path,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Make(path, node) => names.insert(path.clone(), *node),
            Self::Remove(path) => names.remove(path),
        };
    }
}
