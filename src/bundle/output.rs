//! Where a bundle is written to: a zip archive, encrypted or not, or a folder.
//!
//! It is written beside its place under another name, flushed, and renamed when it is whole: a bundle that is there is a whole
//! one. What is there already is only replaced when told so, a folder only if it holds a bundle.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use age::x25519::Recipient;

use super::zip::{Entry, SUMS, Writer};

/// Where a bundle is to be written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The file or folder.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether one that is there is replaced.
    pub replace: bool,
    /// Whom a zip archive is encrypted to.
    pub recipient: Option<Recipient>,
}

/// A bundle that is being written. Dropped before it is finished, it leaves nothing.
pub(super) struct Output {
    target: Target,
    partial: PathBuf,
    sink: Option<Sink>,
}

enum Sink {
    Zip(Box<Writer<Stream>>),
    Folder,
}

/// A file's bytes, or what they become encrypted.
enum Stream {
    Plain(BufWriter<File>),
    Encrypted(StreamWriter<BufWriter<File>>),
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Encrypted(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Encrypted(to) => to.flush(),
        }
    }
}

impl Target {
    /// Whether something stands in its place that may not be replaced.
    pub fn is_taken(&self) -> bool {
        if self.path.symlink_metadata().is_err() {
            return false;
        }
        let is_bundle = || self.path.join(SUMS).is_file() && self.path.join("bundle.json").is_file();
        !self.replace || self.path.is_dir() != self.is_folder || self.is_folder && !is_bundle()
    }
}

impl Output {
    /// Begins beside the target.
    pub(super) fn begin(target: Target) -> io::Result<Self> {
        let partial = beside(&target.path, "partial")?;
        let mut output = Self {
            partial,
            sink: None,
            target,
        };
        let sink = if output.target.is_folder {
            DirBuilder::new().mode(0o700).create(&output.partial)?;
            Sink::Folder
        } else {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&output.partial)?;
            let file = BufWriter::with_capacity(1 << 18, file);
            Sink::Zip(Box::new(Writer::new(match &output.target.recipient {
                None => Stream::Plain(file),
                Some(recipient) => {
                    let recipients = std::iter::once(recipient as &dyn age::Recipient);
                    let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
                    Stream::Encrypted(encryptor.wrap_output(file)?)
                }
            })))
        };
        output.sink = Some(sink);
        Ok(output)
    }

    /// Adds a file, whose bytes `emit` writes.
    pub(super) fn file<E: From<io::Error>>(
        &mut self,
        entry: &Entry,
        emit: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(Sink::Zip(writer)) = &mut self.sink {
            writer.begin(entry)?;
            return emit(writer);
        }
        let path = self.partial.join(&entry.name);
        let folder = path.parent().unwrap_or(&path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        emit(&mut file)?;
        Ok(file.flush()?)
    }

    /// Puts the bundle in its place; returns how many bytes its file has, none for a folder.
    pub(super) fn finish(mut self) -> io::Result<Option<u64>> {
        let bytes = if let Some(Sink::Zip(writer)) = self.sink.take() {
            let file = match writer.finish()? {
                Stream::Plain(file) => file,
                Stream::Encrypted(file) => file.finish()?,
            };
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Some(file.metadata()?.len())
        } else {
            rustix::fs::syncfs(File::open(&self.partial)?)?;
            None
        };
        if self.target.is_taken() {
            let error = "something was put in its place meanwhile";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, error));
        }
        let path = &self.target.path;
        if self.target.is_folder && path.exists() {
            let old = beside(path, "replaced")?;
            std::fs::rename(path, &old)?;
            std::fs::rename(&self.partial, path)?;
            std::fs::remove_dir_all(&old)?;
        } else {
            std::fs::rename(&self.partial, path)?;
        }
        File::open(folder_of(path))?.sync_all()?;
        Ok(bytes)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // After finishing, nothing is left of that name.
        drop(std::fs::remove_file(&self.partial).or_else(|_| std::fs::remove_dir_all(&self.partial)));
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A name beside a path that nobody else takes.
fn beside(path: &Path, what: &str) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this names no file"))?;
    let name = format!(".{}.{}.{what}", name.to_string_lossy(), std::process::id());
    Ok(folder_of(path).join(name))
}
