//! Locks by which the games of one player that run at the same time know of one another.
//!
//! They are empty files in the player's folder. The system frees the lock of a game that was killed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Games that can know of one another; a further one borrows nothing while a cap is set.
pub(super) const GAMES_MAX: u32 = 16;
/// How often to try again while another game has the turn, and how many times: a turn takes a few milliseconds.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);
const TRIES_MAX: u32 = 20;

/// The right to read and write what the games share; one game has it at a time.
pub(super) struct SharingTurn {
    folder: PathBuf,
    _lock: File,
}

/// A number that no other running game has.
pub(super) struct OwnNumber {
    pub(super) number: u32,
    _lock: File,
}

impl SharingTurn {
    /// Waits for the turn, for a tenth of a second at most: then the error is [`io::ErrorKind::WouldBlock`].
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = opened(&folder.join("spending.lock"))?;
        for _ in 0..TRIES_MAX {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { folder: folder.to_owned(), _lock: lock }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_AGAIN_AFTER),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes a number, if one is left.
    pub(super) fn take_number(&self) -> io::Result<Option<OwnNumber>> {
        for number in 1..=GAMES_MAX {
            let lock = opened(&self.path(number))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Some(OwnNumber { number, _lock: lock })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether the game with this number, which is not the caller's, still runs.
    pub(super) fn is_running(&self, number: u32) -> io::Result<bool> {
        let lock = match File::open(self.path(number)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Gives a number back.
    pub(super) fn give_back(&self, own: OwnNumber) {
        // Only a game that has the turn opens these files, so no game can be about to lock this one.
        let _ = fs::remove_file(self.path(own.number));
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("spending-{number}.lock"))
    }
}

fn opened(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(path)
}
