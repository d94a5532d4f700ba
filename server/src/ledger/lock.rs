//! Keeps a second coordinator from opening the same file, by whatever name, and tells whether the file was replaced.
//!
//! Two locks, because neither is enough: a lock file beside the ledger's real path, which names the holder, and a lock
//! on the ledger's own file, which a hard link in another folder shares. A process loses SQLite's locks on a file when
//! it closes any handle to that file, so the handle with our lock is closed after SQLite's, and no second one is ever
//! opened: [`OPEN`] lists what this process has open.

use std::ffi::OsString;
use std::fs::{File, Metadata, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::LedgerError;
use super::file::no_access;
use crate::private_file::private;

/// Attempts at the lock before it counts as held by another coordinator; half a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Symbolic links followed to a file that does not exist yet; every system follows at least as many.
const LINKS_MAX: u32 = 8;

/// Ledgers that this process has open.
static OPEN: Mutex<Vec<Identity>> = Mutex::new(Vec::new());

fn open_ones() -> MutexGuard<'static, Vec<Identity>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
}

#[cfg(unix)]
fn identity(data: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    Identity { device: data.dev(), number: data.ino() }
}

/// Other systems identify a file by its creation time: that detects a replaced file, but not a second name for it.
#[cfg(not(unix))]
fn identity(data: &Metadata) -> Identity {
    let made = data.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    Identity { device: 0, number: made.unwrap_or_default().as_nanos() as u64 }
}

fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|data| identity(&data))
}

/// The exclusive lock on a ledger's file, held until this is dropped; the system releases it when the process dies.
pub(super) struct LockedFile {
    /// Its path, without symbolic links.
    pub path: PathBuf,
    own: Identity,
    /// The write-ahead log, once it has been seen.
    log: Option<Identity>,
    _beside: File,
    _handle: File,
}

impl LockedFile {
    /// Locks the ledger at `path`, creating an empty file that only this user can read if there is none.
    pub fn lock(path: &Path) -> Result<Self, LedgerError> {
        let real = real_path(path).map_err(|error| no_access(path, &error))?;
        let beside = lock_beside(path, &with_ending(&real, ".lock"))?;
        let locked = || LedgerError::Locked { path: path.to_owned(), holder: None };
        let mut open = open_ones();
        if cfg!(unix) && identity_at(&real).is_some_and(|it| open.contains(&it)) {
            return Err(locked());
        }
        let handle = private().open(&real).map_err(|error| no_access(path, &error))?;
        let own = handle.metadata().map(|data| identity(&data)).map_err(|error| no_access(path, &error))?;
        // On other systems such a lock would keep SQLite from reading.
        if cfg!(unix) {
            match try_lock_patiently(&handle) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(locked()),
                Err(TryLockError::Error(error)) => return Err(no_access(path, &error)),
            }
        }
        open.push(own);
        Ok(Self { path: real, own, log: None, _beside: beside, _handle: handle })
    }

    /// Fails if the file, or its write-ahead log, was replaced since it was opened: anything written would be lost.
    /// Costs two `stat` calls.
    pub fn is_in_place(&mut self) -> Result<(), LedgerError> {
        let gone = |path: PathBuf| Err(LedgerError::Gone { path });
        if identity_at(&self.path) != Some(self.own) {
            return gone(self.path.clone());
        }
        let log = with_ending(&self.path, "-wal");
        match (self.log, identity_at(&log)) {
            (None, found) => self.log = found,
            (Some(seen), found) if found != Some(seen) => return gone(log),
            (Some(_), _) => {}
        }
        Ok(())
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        open_ones().retain(|it| *it != self.own);
    }
}

/// `path` with something at its end.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The path without symbolic links, of a file that need not exist.
pub(super) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    without_links(path, LINKS_MAX)
}

fn without_links(path: &Path, links: u32) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.read_link() {
        Ok(target) if links > 0 => without_links(&folder.join(target), links - 1),
        _ => Ok(folder.canonicalize()?.join(path.file_name().unwrap_or_default())),
    }
}

fn lock_beside(path: &Path, lock: &Path) -> Result<File, LedgerError> {
    let unusable = |error: &std::io::Error| match no_access(path, error) {
        full @ LedgerError::DiskFull { .. } => full,
        _ => LedgerError::LockFile { path: lock.to_owned(), reason: error.to_string() },
    };
    let mut file = private().open(lock).map_err(|error| unusable(&error))?;
    match try_lock_patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(32).read_to_string(&mut text);
            return Err(LedgerError::Locked { path: path.to_owned(), holder: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(&error)),
    }
    // Used only for the message of a second coordinator, so a failure to write it is ignored.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Retries briefly: a coordinator that is shutting down, or a child process that inherited the lock and has not started
/// yet, releases it within moments.
fn try_lock_patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}
