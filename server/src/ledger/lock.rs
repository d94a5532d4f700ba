//! One coordinator for one file, by whatever name it is reached; and whether the file is still the one that was opened.
//!
//! Two locks, because neither is enough: a file beside the ledger's real path, which says who holds it, and the ledger's
//! own file, which a hard link in another folder shares. SQLite's locks on that file belong to the whole process and are
//! lost when any handle to it is closed, so the handle that holds ours is closed after SQLite's, and a second one is never
//! opened: [`OPEN`] says what this process has open already.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::LedgerError;
use super::file::no_access;

/// Tries at the lock before another coordinator is believed to hold it, half a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Symbolic links that are followed to a file that does not exist yet; as many as systems follow at the least.
const LINKS_MAX: u32 = 8;

/// Ledgers that this process has open.
static OPEN: Mutex<Vec<Identity>> = Mutex::new(Vec::new());

fn open_ones() -> MutexGuard<'static, Vec<Identity>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which file it is, whatever it is called.
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

/// Elsewhere a file is known by when it was made: one that was replaced is found out, a second name for one is not.
#[cfg(not(unix))]
fn identity(data: &Metadata) -> Identity {
    let made = data.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    Identity { device: 0, number: made.unwrap_or_default().as_nanos() as u64 }
}

fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|data| identity(&data))
}

/// A ledger's file that is this coordinator's alone until this is dropped; the system lets go of it when the process dies.
pub(super) struct LockedFile {
    /// Where it really is.
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
        let real = real_path(path, LINKS_MAX).map_err(|error| no_access(path, &error))?;
        let beside = lock_beside(path, &with_ending(&real, ".lock"))?;
        let locked = || LedgerError::Locked { path: path.to_owned(), holder: None };
        let mut open = open_ones();
        if cfg!(unix) && identity_at(&real).is_some_and(|it| open.contains(&it)) {
            return Err(locked());
        }
        let handle = private().open(&real).map_err(|error| no_access(path, &error))?;
        let own = handle.metadata().map(|data| identity(&data)).map_err(|error| no_access(path, &error))?;
        // Elsewhere such a lock would keep SQLite from reading.
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

    /// Fails if the file, or its write-ahead log, is no longer the one that was opened: what is written then would be lost.
    /// Costs two looks at the folder.
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

/// How files that only this user may read are opened for writing, and created if there are none.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// `path` with something at its end.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The path without symbolic links, of a file that need not exist.
fn real_path(path: &Path, links: u32) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.read_link() {
        Ok(target) if links > 0 => real_path(&folder.join(target), links - 1),
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
    // Only for the message a second coordinator prints: failing to write it is no reason to stop.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// A coordinator that is just ending, or a program it is just starting (which has a copy of the lock until it
/// runs), lets go within moments.
fn try_lock_patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}
