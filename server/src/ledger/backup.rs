//! `backup`: a whole and verified copy of a ledger, also of one that a coordinator is writing.

use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::audit::{self, CheckReport};
use super::error::LedgerError;
use super::file::{BUSY, explain, no_access, refuse_log_alone};
use super::lock::with_ending;
use super::meta::closing;
use super::reading::Reading;
use crate::private_file::{folder_of, private, sync_folder};

/// Attempts at the copy while the ledger is locked, each as long as SQLite waits for a lock.
const TRIES_MAX: u32 = 5;

/// A copy that was made and verified: printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What `check` says of it.
    pub check: CheckReport,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.check)?;
        write!(f, "Copied to {} ({} bytes) and verified.", self.path.display(), self.bytes)
    }
}

/// Copies the ledger at `source` to `path`, where there must be nothing, and verifies the copy.
pub(super) fn backup(source: &Path, path: &Path) -> Result<BackupReport, LedgerError> {
    refuse_log_alone(path)?;
    // Creates the file, so that two simultaneous backups do not overwrite each other.
    let mut name = private();
    name.create_new(true).open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => LedgerError::Exists { path: path.to_owned() },
        _ => no_access(path, &error),
    })?;
    let partial = with_ending(path, ".partial");
    let made = copy(source, &partial).and_then(|check| {
        let bytes = partial.metadata().map_err(|error| no_access(&partial, &error))?.len();
        std::fs::rename(&partial, path)
            .and_then(|()| sync_folder(folder_of(path)))
            .map_err(|error| no_access(path, &error))?;
        Ok(BackupReport { path: path.to_owned(), bytes, check })
    });
    if made.is_err() {
        for left in [&partial, path] {
            let _ = std::fs::remove_file(left);
        }
    }
    made
}

/// Copies and verifies; what was written is on the disk afterwards.
fn copy(source: &Path, to: &Path) -> Result<CheckReport, LedgerError> {
    let _ = std::fs::remove_file(to);
    private().open(to).map_err(|error| no_access(to, &error))?;
    let reading = Reading::open(source)?;
    let explain = |error| explain(to, &error);
    let mut connection = Connection::open(to).map_err(explain)?;
    connection.busy_timeout(BUSY).map_err(explain)?;
    copy_pages(&reading.connection, &mut connection).map_err(explain)?;
    reading.is_whole()?;
    // A copy has no write-ahead log, and is marked as a whole copy.
    connection.pragma_update(None, "journal_mode", "delete").map_err(explain)?;
    closing::mark_copy(&connection).map_err(explain)?;
    connection.close().map_err(|(_, error)| explain(error))?;
    let file = OpenOptions::new().read(true).write(true).open(to).map_err(|error| no_access(to, &error))?;
    file.sync_all().map_err(|error| no_access(to, &error))?;
    let check = audit::check(to, &[])?;
    if check.ok {
        Ok(check)
    } else {
        Err(LedgerError::Unsound { path: source.to_owned(), check: Box::new(check) })
    }
}

/// Copies all pages in one step, so that the copy is one consistent state while the writer goes on.
pub(crate) fn copy_pages(source: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    let backup = Backup::new(source, to)?;
    for _ in 0..TRIES_MAX {
        if backup.step(-1)? == StepResult::Done {
            return Ok(());
        }
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}
