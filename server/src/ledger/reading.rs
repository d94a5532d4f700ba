//! Opens a ledger to read it: beside a running coordinator, and for an auditor who may write neither to the file nor to its
//! folder.
//!
//! SQLite reads a database with a write-ahead log through an index file beside it. Where there is no index and none can
//! be created, there are two ways. Without a log the database file is complete, and is opened as immutable; with a log
//! both files are copied to a place where the index can be created. The notes say what was read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::Connection;
use tempfile::TempDir;

use super::error::LedgerError;
use super::file::{self, Schema, explain, no_access};
use super::lock::with_ending;
use super::meta::closing;

/// Attempts at making a copy while nothing is written to the original.
const COPIES_MAX: u32 = 5;

/// A ledger that is open for reading.
pub(super) struct Reading {
    pub connection: Connection,
    /// How the ledger was read, unless in place beside its writer, and what may be missing; a sentence each.
    pub notes: Vec<String>,
    path: PathBuf,
    /// The files' state at the start, if reading requires that they do not change.
    unchanging: Option<Look>,
    _copy: Option<TempDir>,
}

/// Lengths and modification times of a ledger's two files.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look([Option<(u64, Option<SystemTime>)>; 2]);

impl Look {
    fn at(path: &Path) -> Self {
        let of = |path: &Path| path.metadata().ok().map(|data| (data.len(), data.modified().ok()));
        Self([of(path), of(&with_ending(path, "-wal"))])
    }

    fn has_log(&self) -> bool {
        self.0[1].is_some_and(|(bytes, _)| bytes > 0)
    }
}

impl Reading {
    /// Opens the ledger at `path`; a coordinator may be writing it.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        match path.metadata() {
            Ok(data) if !data.is_file() => return Err(LedgerError::NotAFile { path: path.to_owned() }),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LedgerError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(no_access(path, &error)),
        }
        file::refuse_log_alone(path)?;
        file::refuse_log_of_another(path)?;
        let before = Look::at(path);
        let (mut reading, schema) = match Self::in_place(path) {
            Err(LedgerError::NoAccess { .. } | LedgerError::ReadOnly { .. }) if before.has_log() => {
                Self::of_a_copy(path)?
            }
            Err(LedgerError::NoAccess { .. } | LedgerError::ReadOnly { .. }) => Self::alone(path, before)?,
            found => found?,
        };
        refuse_other_schemas(path, &schema, before.has_log())?;
        reading.note_what_is_missing(before.has_log())?;
        Ok(reading)
    }

    /// Opens the file as a reader beside its writer.
    fn in_place(path: &Path) -> Result<(Self, Schema), LedgerError> {
        let connection = file::connect_read_only(path)?;
        let schema = file::schema(&connection, path)?;
        let path = path.to_owned();
        Ok((Self { connection, notes: Vec::new(), path, unchanging: None, _copy: None }, schema))
    }

    /// Opens the database file alone: without a log, nobody has it open for writing.
    fn alone(path: &Path, before: Look) -> Result<(Self, Schema), LedgerError> {
        let connection = file::connect_without_log(path)?;
        let schema = file::schema(&connection, path)?;
        let notes = vec![
            "Read without writing anything: the database alone, which has no write-ahead log.".to_owned(),
        ];
        Ok((Self { connection, notes, path: path.to_owned(), unchanging: Some(before), _copy: None }, schema))
    }

    /// Copies the database and its log to a temporary folder, and opens the copy.
    fn of_a_copy(path: &Path) -> Result<(Self, Schema), LedgerError> {
        for _ in 0..COPIES_MAX {
            let folder = TempDir::new().map_err(|error| no_access(&std::env::temp_dir(), &error))?;
            let copy = folder.path().join("ledger.db");
            let before = Look::at(path);
            for ending in ["", "-wal"] {
                std::fs::copy(with_ending(path, ending), with_ending(&copy, ending))
                    .map_err(|error| no_access(path, &error))?;
            }
            if Look::at(path) != before {
                continue;
            }
            let connection = Connection::open(&copy).map_err(|error| explain(path, &error))?;
            let schema = file::schema(&connection, path)?;
            let notes = vec![format!(
                "Read from a copy of the database and its write-ahead log, made now in {}: this user may write nothing \
                 beside the ledger, and no coordinator has it open.",
                std::env::temp_dir().display()
            )];
            let path = path.to_owned();
            return Ok((Self { connection, notes, path, unchanging: None, _copy: Some(folder) }, schema));
        }
        Err(LedgerError::Changing { path: path.to_owned() })
    }

    /// Notes that recent records may be missing: a database that was not closed in order has a log beside it, unless it was
    /// copied or moved without the log.
    fn note_what_is_missing(&mut self, has_log: bool) -> Result<(), LedgerError> {
        let closed = closing::read(&self.connection).map_err(|error| explain(&self.path, &error))?;
        if !has_log && matches!(closed, Some(closing::OPEN | closing::NEW)) {
            self.notes.push(format!(
                "This ledger was not closed in order and has no write-ahead log ({}): a copy of the database alone, made \
                 while a coordinator ran, lacks what was recorded last. `ledger backup` makes whole copies.",
                with_ending(&self.path, "-wal").display()
            ));
        }
        Ok(())
    }

    /// To be called after everything has been read: fails if the files changed meanwhile.
    pub fn is_whole(&self) -> Result<(), LedgerError> {
        match self.unchanging {
            Some(before) if Look::at(&self.path) != before => {
                Err(LedgerError::Changing { path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }
}

fn refuse_other_schemas(path: &Path, schema: &Schema, has_log: bool) -> Result<(), LedgerError> {
    match schema {
        Schema::Ours(version) if *version == file::NEWEST_SCHEMA => Ok(()),
        Schema::Ours(version) => Err(LedgerError::Database {
            path: path.to_owned(),
            reason: format!(
                "it has schema {version}: let the coordinator open it once to bring it up to date"
            ),
        }),
        Schema::Empty => {
            Err(LedgerError::NotALedger { path: path.to_owned(), found: file::empty(path, has_log) })
        }
    }
}
