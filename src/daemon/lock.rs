//! `daemon.lock`: held for life, so that two daemons never collect the same ticks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::log::start;
use crate::log::store::{Paths, StoreError};

/// Another daemon has the store, or the lock can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A daemon runs already.
    #[error("a daemon is running already{}", .pid.map_or(String::new(), |pid| format!(", with pid {pid}")))]
    Running {
        /// Its process, if it said so.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lock of a running daemon; given back when this is dropped.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
}

/// Takes the lock, and writes this process's id into it.
pub fn take(paths: &Paths) -> Result<DaemonLock, LockError> {
    let path = paths.daemon_lock();
    let io = |error| StoreError::Io(path.clone(), error);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    start::hand_over(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LockError::Running { pid: pid(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(io(error).into()),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io)?;
    Ok(DaemonLock { _file: file })
}

/// The process of the daemon that holds a store; none if no daemon does.
pub fn holder(paths: &Paths) -> Option<Option<u32>> {
    let mut file = File::open(paths.daemon_lock()).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(pid(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path());
        assert!(holder(&paths).is_none());
        let first = take(&paths).unwrap();
        let refused = take(&paths).unwrap_err().to_string();
        let own = std::process::id();
        assert_eq!(refused, format!("a daemon is running already, with pid {own}"));
        assert_eq!(holder(&paths), Some(Some(own)));
        drop(first);
        assert!(holder(&paths).is_none());
        take(&paths).unwrap();
    }
}
