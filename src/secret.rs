//! References to secrets: a configuration says where a secret is, never what it is.
//!
//! ```toml
//! token = { env = "NAME" }          # an environment variable
//! token = { file = "/path" }        # a file that other users can neither read nor write
//! token = { credential = "NAME" }   # systemd: NAME in $CREDENTIALS_DIRECTORY
//! ```
//!
//! No value passes through Debug, Display, serde or an error, and a secret written in place of a reference is refused
//! without being repeated. A value is held only as [`SecretString`], which is wiped when it is dropped; the buffer it
//! was read into is wiped too.
//!
//! Vendors' settings are read with a [`SecretRef`] in each secret's place, and the registry puts the secret there before it
//! builds a collector.

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Problem;

mod reference;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, by its absolute path.
    File(PathBuf),
    /// In a systemd credential.
    Credential(String),
}

/// What secrets are read from, besides files: a value, so that tests own it.
pub struct SecretSources<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials_directory: Option<&'a Path>,
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// A credential is asked for outside a service that has any.
    #[error("credential {0:?} is not there: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    /// The file can't be opened or read.
    #[error("{} can't be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder, a device or a pipe.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Every user of the machine can read or replace the secret.
    #[error("{} is open to every user of this machine (mode {mode:04o})", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing but a newline.
    #[error("{0} is empty")]
    Empty(String),
    /// Longer than any secret.
    #[error("{0} is over 64 KiB, which no secret is")]
    TooLong(String),
    /// Bytes that are no text.
    #[error("{0} is not UTF-8")]
    NotText(String),
}

const SIZE_LIMIT: usize = 64 * 1024;

impl SecretRef {
    /// Reads the secret, without the newline that editors and `echo` put at its end.
    pub fn resolve(&self, sources: &SecretSources<'_>) -> Result<SecretString, SecretError> {
        match self {
            Self::Env(name) => {
                let value = (sources.variable)(name).ok_or_else(|| SecretError::Unset(name.clone()))?;
                accept(
                    &Zeroizing::new(value.into_vec()),
                    &format!("environment variable {name}"),
                )
            }
            Self::File(path) => {
                let (bytes, mode) = read(path)?;
                // The group may read it: that is how a secret is handed to a service's own user.
                if mode & 0o006 != 0 {
                    return Err(SecretError::Exposed {
                        path: path.clone(),
                        mode,
                    });
                }
                accept(&bytes, &path.display().to_string())
            }
            Self::Credential(name) => {
                let folder = sources
                    .credentials_directory
                    .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                // systemd alone sees to who may enter the folder, so the mode of the file says nothing.
                let (bytes, _) = read(&folder.join(name))?;
                accept(&bytes, &format!("credential {name:?}"))
            }
        }
    }
}

impl SecretError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unset(name) => {
                format!("set {name} for the process, or refer to a file or credential instead")
            }
            Self::NoCredentials(name) => {
                format!(
                    "run evidenced as a systemd service with LoadCredential={name}:/path, or refer to a file instead"
                )
            }
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "create the file, or correct the reference".to_owned()
            }
            Self::Unreadable { .. } => {
                "let the user that runs evidenced read the file and its folders".to_owned()
            }
            Self::NotAFile(_) => "put the secret in a regular file".to_owned(),
            Self::Exposed { path, .. } => format!(
                "run `chmod o-rwx {}` (Kubernetes: defaultMode 0440), and replace the secret, since others may have read it",
                path.display()
            ),
            Self::Empty(_) | Self::TooLong(_) | Self::NotText(_) => {
                "put the secret there, and nothing else".to_owned()
            }
        }
    }
}

impl From<&SecretError> for Problem {
    /// Where the reference is written is for the caller to add.
    fn from(error: &SecretError) -> Self {
        let message = match error {
            SecretError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                format!("{error}: no such file")
            }
            SecretError::Unreadable { source, .. } => format!("{error}: {}", source.kind()),
            _ => error.to_string(),
        };
        Problem::new(message).help(error.help())
    }
}

/// The bytes of a regular file, as far as shows that they are too many, and its permission bits, both from one open
/// file, so that they belong together.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    // A pipe without a writer would hold up the opening for ever.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile(path.to_path_buf()));
    }
    // Sized once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(vec![0; SIZE_LIMIT + 1]);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    bytes.truncate(filled);
    Ok((bytes, metadata.mode() & 0o7777))
}

fn accept(bytes: &[u8], place: &str) -> Result<SecretString, SecretError> {
    if bytes.len() > SIZE_LIMIT {
        return Err(SecretError::TooLong(place.to_owned()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SecretError::NotText(place.to_owned()))?
        .trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err(SecretError::Empty(place.to_owned()));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests;
