//! Copying the store, also while a coordinator and the operator's commands write it.

use std::fs::OpenOptions;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{ACCOUNTS_FILE, AccountStore, BUSY, JoinError, create_private, explain, refuse_foreign};
use crate::ledger;

impl AccountStore {
    /// Copies the store in the folder `from`, as it stands, into the folder `to`, which must exist and have none. The copy is
    /// one file, readable for its owner only, and is on the disk afterwards.
    pub fn copy(from: &Path, to: &Path) -> Result<(), JoinError> {
        let (from, to) = (from.join(ACCOUNTS_FILE), to.join(ACCOUNTS_FILE));
        let failed = |error| JoinError::File { path: to.clone(), error };
        let read = |error| explain(&from, &error);
        let written = |error| explain(&to, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(&from, flags).map_err(read)?;
        source.busy_timeout(BUSY).map_err(read)?;
        refuse_foreign(&source, &from)?;
        create_private(&to).map_err(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(&to, flags).map_err(written)?;
        ledger::copy_pages(&source, &mut copy).map_err(written)?;
        // So that the copy has no write-ahead log beside it.
        copy.pragma_update(None, "journal_mode", "delete").map_err(written)?;
        let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(written)?;
        if found != "ok" {
            return Err(JoinError::Store { path: from.clone(), reason: format!("it is damaged ({found})") });
        }
        copy.close().map_err(|(_, error)| written(error))?;
        OpenOptions::new().write(true).open(&to).and_then(|file| file.sync_all()).map_err(failed)
    }
}
