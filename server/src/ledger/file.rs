//! Opening the file: one coordinator at a time, the right kind of file, the right schema, safe settings; and
//! a refusal that leaves the file as it was when anything is amiss.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::LedgerError;

/// "P2C2" in the file's header.
const APPLICATION_ID: i64 = 0x5032_4332;

/// Schemas in order; the n-th file takes a ledger from schema n to n + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_books.sql"),
    include_str!("migrations/0002_numbers_say_the_task.sql"),
    include_str!("migrations/0003_lighter_outcomes.sql"),
    include_str!("migrations/0004_accounts_by_key.sql"),
];

/// Bytes up to which the whole file is checked for damage at open; about half a second's work. Larger files
/// are checked in full by `ledger check`.
const QUICK_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Pages of write-ahead log after which it is folded into the file: 32 MiB, so that a busy second costs one
/// or two checkpoints and not a dozen.
const CHECKPOINT_PAGES: u32 = 8_192;

/// Pages kept in memory: 16 MiB.
const CACHE_KIB: i32 = 16 * 1024;

/// How long a statement waits for a lock. Only `ledger check` can hold one, and in WAL mode it blocks no
/// writer: errs on the long side.
const BUSY: Duration = Duration::from_secs(5);

/// Tries at the lock before another coordinator is believed to hold it, half a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// An open ledger file.
pub(super) struct LedgerFile {
    pub connection: Connection,
    pub path: PathBuf,
    /// Held while the ledger is open; the system lets go of it when the process dies.
    _lock: FileLock,
}

/// The lock that keeps a second coordinator out: a file beside the ledger, locked and never deleted (deleting
/// it would let two coordinators lock two different files). The ledger's own file is not locked this way,
/// because closing a second handle to it would drop SQLite's locks.
pub(super) struct FileLock {
    _file: File,
}

/// Opens or creates the ledger at `path` for writing.
pub(super) fn open(path: &Path, pages_max: Option<u32>) -> Result<LedgerFile, LedgerError> {
    let exists = refuse_by_looking(path)?;
    let lock = lock_beside(path)?;
    if exists {
        refuse_foreign(path)?;
    }
    let explain = |error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(explain)?;
    configure(&connection, pages_max).map_err(explain)?;
    if connection.is_readonly("main").map_err(explain)? {
        return Err(LedgerError::ReadOnly { path: path.to_owned() });
    }
    if connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).map_err(explain)?
        != "wal"
    {
        let reason = "its file system has no write-ahead logging".to_owned();
        return Err(LedgerError::Database { path: path.to_owned(), reason });
    }
    if exists && path.metadata().is_ok_and(|data| data.len() <= QUICK_CHECK_BYTES_MAX) {
        refuse_damaged(&connection, path)?;
    }
    migrate(&mut connection).map_err(explain)?;
    Ok(LedgerFile { connection, path: path.to_owned(), _lock: lock })
}

/// Opens the ledger at `path` for reading only; a coordinator may be writing it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    match path.metadata() {
        Ok(data) if !data.is_file() => return Err(LedgerError::NotAFile { path: path.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LedgerError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(no_access(path, &error)),
    }
    let connection = connect_read_only(path)?;
    match schema(&connection, path)? {
        Schema::Ours(version) if version == MIGRATIONS.len() as i64 => Ok(connection),
        Schema::Ours(version) => Err(LedgerError::Database {
            path: path.to_owned(),
            reason: format!(
                "it has schema {version}: let the coordinator open it once to bring it up to date"
            ),
        }),
        Schema::Empty => {
            Err(LedgerError::NotALedger { path: path.to_owned(), found: "an empty file".to_owned() })
        }
    }
}

/// What can be refused without touching anything; says whether there is a file with something in it.
fn refuse_by_looking(path: &Path) -> Result<bool, LedgerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(LedgerError::DirectoryMissing { path: path.to_owned() });
    }
    match path.metadata() {
        Ok(data) if !data.is_file() => Err(LedgerError::NotAFile { path: path.to_owned() }),
        // Also for a user whom the system would let write: whoever took the permission away meant it.
        Ok(data) if data.permissions().readonly() => Err(LedgerError::ReadOnly { path: path.to_owned() }),
        Ok(data) => Ok(data.len() > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(no_access(path, &error)),
    }
}

fn lock_beside(path: &Path) -> Result<FileLock, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(|error| no_access(path, &error))?;
    match try_lock_patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(32).read_to_string(&mut text);
            return Err(LedgerError::Locked { path: path.to_owned(), holder: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(no_access(path, &error)),
    }
    // Only for the message a second coordinator prints: failing to write it is no reason to stop.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(FileLock { _file: file })
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

/// Refuses a file that is not a ledger of a known schema, before anything could write to it.
fn refuse_foreign(path: &Path) -> Result<(), LedgerError> {
    let connection = connect_read_only(path)?;
    schema(&connection, path).map(|_| ())
}

fn connect_read_only(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    connection.busy_timeout(BUSY).map_err(|error| explain(path, &error))?;
    Ok(connection)
}

enum Schema {
    Empty,
    Ours(i64),
}

fn schema(connection: &Connection, path: &Path) -> Result<Schema, LedgerError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        Ok((
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let known = MIGRATIONS.len() as i64;
    match read().map_err(|error| explain(path, &error))? {
        (APPLICATION_ID, found, _) if found > known => {
            Err(LedgerError::NewerSchema { path: path.to_owned(), found, known })
        }
        (APPLICATION_ID, found, _) => Ok(Schema::Ours(found)),
        (0, 0, 0) => Ok(Schema::Empty),
        _ => Err(LedgerError::NotALedger {
            path: path.to_owned(),
            found: "a database of another program".to_owned(),
        }),
    }
}

fn configure(connection: &Connection, pages_max: Option<u32>) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    if let Some(pages) = pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

fn refuse_damaged(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if found == "ok" { Ok(()) } else { Err(LedgerError::Corrupt { path: path.to_owned(), reason: found }) }
}

/// Each migration and its version number are one transaction: a crash leaves one schema or the other. Foreign keys are
/// off meanwhile, or a table that others refer to could not be replaced by a copy of itself.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
    }
    connection.pragma_update(None, "foreign_keys", true)
}

fn no_access(path: &Path, error: &std::io::Error) -> LedgerError {
    match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => LedgerError::ReadOnly { path: path.to_owned() },
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            LedgerError::DiskFull { path: path.to_owned() }
        }
        _ => LedgerError::NoAccess { path: path.to_owned(), reason: error.to_string() },
    }
}

/// A SQLite error as a sentence an operator can act on.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LedgerError::DiskFull { path },
        Some(ErrorCode::ReadOnly) => LedgerError::ReadOnly { path },
        Some(ErrorCode::NotADatabase) => LedgerError::NotALedger { path, found: "not a database".to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Corrupt { path, reason },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => LedgerError::NoAccess { path, reason },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            LedgerError::Locked { path, holder: None }
        }
        _ => LedgerError::Database { path, reason },
    }
}
