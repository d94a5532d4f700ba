//! Opening the file: one coordinator at a time, the right kind of file, the right schema, safe settings; on any problem
//! it refuses and leaves the file unchanged.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::account_log;
use super::error::LedgerError;
use super::lock::{LockedFile, real_path, with_ending};
use super::meta::{closing, identity};
use super::options::{LedgerId, LedgerOptions};

/// "P2C2" in the file's header.
const APPLICATION_ID: i64 = 0x5032_4332;

/// Schemas in order; the n-th file takes a ledger from schema n to n + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_books.sql"),
    include_str!("migrations/0002_numbers_say_the_task.sql"),
    include_str!("migrations/0003_lighter_outcomes.sql"),
    include_str!("migrations/0004_accounts_by_key.sql"),
    include_str!("migrations/0005_reversals.sql"),
    include_str!("migrations/0006_folding.sql"),
    include_str!("migrations/0007_accounts_in_the_chain.sql"),
    include_str!("migrations/0008_trust.sql"),
    include_str!("migrations/0009_patient_outcomes.sql"),
    include_str!("migrations/0010_first_groups.sql"),
    include_str!("migrations/0011_charged_by_minute.sql"),
    include_str!("migrations/0012_tasks_in_one_row.sql"),
    include_str!("migrations/0013_tasks_of_accounts.sql"),
];

/// The schema from which on the chain covers accounts.
const ACCOUNTS_IN_THE_CHAIN: usize = 7;

/// The schema this program writes.
pub(super) const NEWEST_SCHEMA: i64 = MIGRATIONS.len() as i64;

/// Bytes up to which the whole file is checked for damage at open; about half a second's work. Larger files
/// are checked in full by `ledger check`.
const QUICK_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Pages of write-ahead log after which a checkpoint runs: 32 MiB, so that a busy second costs one or two checkpoints
/// instead of a dozen.
const CHECKPOINT_PAGES: u32 = 8_192;

/// Pages kept in memory: 16 MiB.
const CACHE_KIB: i32 = 16 * 1024;

/// How long a statement waits for a lock. Only `ledger check` can hold one, and in WAL mode it blocks no
/// writer: errs on the long side.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// An open ledger file.
pub(super) struct LedgerFile {
    // Declared first, so that it is closed before the lock is released.
    pub connection: Connection,
    pub path: PathBuf,
    pub lock: LockedFile,
    pub id: LedgerId,
}

/// Opens the ledger at `path` for writing; makes it if there is none and [`LedgerOptions::id`] names none.
pub(super) fn open(path: &Path, options: &LedgerOptions) -> Result<LedgerFile, LedgerError> {
    let exists = refuse_by_looking(path)?;
    if !exists {
        // Before the lock, which makes the file.
        refuse_log_alone(path)?;
        if options.id.is_some() {
            return Err(LedgerError::Lost { path: path.to_owned() });
        }
    }
    let lock = LockedFile::lock(path)?;
    let has_log = has_log(&lock.path);
    if exists {
        refuse_log_of_another(path)?;
        refuse_foreign(path, has_log, options.id)?;
    }
    let exists = lock.path.metadata().is_ok_and(|data| data.len() > 0);
    let explain = |error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let mut connection = Connection::open_with_flags(&lock.path, flags).map_err(explain)?;
    configure(&connection, options.pages_max).map_err(explain)?;
    if connection.is_readonly("main").map_err(explain)? {
        return Err(LedgerError::ReadOnly { path: path.to_owned() });
    }
    if exists && path.metadata().is_ok_and(|data| data.len() <= QUICK_CHECK_BYTES_MAX) {
        refuse_damaged(&connection, path)?;
    }
    // The tables are created before the write-ahead log is turned on, so that the file alone is a recognisable ledger.
    migrate(&mut connection, !exists).map_err(explain)?;
    let closed = closing::read(&connection).map_err(explain)?;
    if closed == Some(closing::COPY) {
        is_no_longer_a_copy(&connection).map_err(explain)?;
    }
    let id = identify(&connection, options.id).map_err(explain)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(explain)?;
    if connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).map_err(explain)?
        != "wal"
    {
        let reason = "its file system has no write-ahead logging".to_owned();
        return Err(LedgerError::Database { path: path.to_owned(), reason });
    }
    if exists && !has_log && closed == Some(closing::OPEN) {
        tracing::warn!(
            path = %path.display(),
            "the ledger was not closed in order and its write-ahead log is not there: if this is a copy that was made \
             while a coordinator ran, what was recorded last is missing; restore a copy made by `ledger backup`"
        );
    }
    Ok(LedgerFile { connection, path: path.to_owned(), lock, id })
}

/// Takes the mark off a copy that is about to be written. It has to be off the database itself before there is a log beside
/// it: [`refuse_log_of_another`] takes a log beside a marked copy for another ledger's.
fn is_no_longer_a_copy(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "delete")?;
    closing::write(connection, closing::OPEN)
}

/// The ledger's number. A new ledger draws one, and one that was made before there were numbers takes the one that is
/// expected.
fn identify(connection: &Connection, expected: Option<LedgerId>) -> rusqlite::Result<LedgerId> {
    if let Some(id) = identity::read(connection)? {
        return Ok(id);
    }
    let id = expected.unwrap_or_else(|| LedgerId(StdRng::from_os_rng().random()));
    identity::write(connection, id)?;
    Ok(id)
}

/// Whether there is a write-ahead log with something in it beside the file at `path`, which must not be a symbolic link.
fn has_log(path: &Path) -> bool {
    with_ending(path, "-wal").metadata().is_ok_and(|data| data.len() > 0)
}

/// Refuses a write-ahead log without its database: SQLite deletes the log of an empty file that it opens.
pub(super) fn refuse_log_alone(path: &Path) -> Result<(), LedgerError> {
    let real = real_path(path).map_err(|error| no_access(path, &error))?;
    if !has_log(&real) || real.metadata().is_ok_and(|data| data.len() > 0) {
        return Ok(());
    }
    Err(LedgerError::LogAlone { path: path.to_owned(), log: with_ending(&real, "-wal") })
}

/// Refuses a copy made by `backup` with a write-ahead log beside it. A copy has none, so the log is that of the ledger
/// whose place the copy took, and SQLite would write its pages over the copy's.
pub(super) fn refuse_log_of_another(path: &Path) -> Result<(), LedgerError> {
    let real = real_path(path).map_err(|error| no_access(path, &error))?;
    if !has_log(&real) {
        return Ok(());
    }
    // A file that cannot be read because it is being written is not a copy.
    let marked = connect_without_log(&real)
        .and_then(|connection| closing::read(&connection).map_err(|error| explain(path, &error)));
    match marked {
        Ok(Some(closing::COPY)) => {
            Err(LedgerError::LogOfAnother { path: path.to_owned(), log: with_ending(&real, "-wal") })
        }
        _ => Ok(()),
    }
}

/// Refuses what can be refused without touching anything; returns whether there is a non-empty file.
fn refuse_by_looking(path: &Path) -> Result<bool, LedgerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(LedgerError::DirectoryMissing { path: path.to_owned() });
    }
    match path.metadata() {
        Ok(data) if !data.is_file() => Err(LedgerError::NotAFile { path: path.to_owned() }),
        // Read-only permission is respected even if the system would let this user write.
        Ok(data) if data.permissions().readonly() => Err(LedgerError::ReadOnly { path: path.to_owned() }),
        Ok(data) => Ok(data.len() > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(no_access(path, &error)),
    }
}

/// Refuses a file that is not a ledger of a known schema, or not the ledger `expected`, before anything could write to it.
fn refuse_foreign(path: &Path, has_log: bool, expected: Option<LedgerId>) -> Result<(), LedgerError> {
    // A rollback journal remains from a crash during creation; only a writer can undo it.
    let half_made = with_ending(path, "-journal").exists();
    let connection =
        if half_made { connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)? } else { connect_read_only(path)? };
    match schema(&connection, path)? {
        Schema::Empty if !has_log && path.metadata().is_ok_and(|data| data.len() > 0) => {
            Err(LedgerError::NotALedger { path: path.to_owned(), found: empty(path, has_log) })
        }
        Schema::Ours(_) => {
            let found = identity::read(&connection).map_err(|error| explain(path, &error))?;
            match (found, expected) {
                (Some(found), Some(expected)) if found != expected => {
                    Err(LedgerError::Another { path: path.to_owned() })
                }
                _ => Ok(()),
            }
        }
        Schema::Empty => Ok(()),
    }
}

/// Describes a database without tables.
pub(super) fn empty(path: &Path, has_log: bool) -> String {
    match path.metadata() {
        Ok(data) if data.len() > 0 && !has_log => format!(
            "a database with nothing in it: most likely a copy that was made while a coordinator ran, when everything was \
             still in {}; `ledger backup` makes whole copies",
            with_ending(path, "-wal").display()
        ),
        _ => "an empty file".to_owned(),
    }
}

pub(super) fn connect_read_only(path: &Path) -> Result<Connection, LedgerError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens the database file as one that nobody writes: without its log, without locks, and without creating anything.
pub(super) fn connect_without_log(path: &Path) -> Result<Connection, LedgerError> {
    let real = path.canonicalize().map_err(|error| no_access(path, &error))?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", escaped(&real));
    Connection::open_with_flags(uri, flags).map_err(|error| explain(path, &error))
}

/// The path as part of a URI: bytes that could mean something else there are percent-encoded.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(char::from(*byte));
            }
            other => {
                let _ = write!(text, "%{other:02X}");
            }
        }
    }
    text
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, LedgerError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    connection.busy_timeout(BUSY).map_err(|error| explain(path, &error))?;
    Ok(connection)
}

/// What a file holds.
pub(super) enum Schema {
    /// Nothing.
    Empty,
    /// A ledger of this schema.
    Ours(i64),
}

pub(super) fn schema(connection: &Connection, path: &Path) -> Result<Schema, LedgerError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        Ok((
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let known = NEWEST_SCHEMA;
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

/// Each migration and its version number are one transaction, so a crash leaves one schema or the other.
///
/// Foreign keys are off. Migrations could not replace a referenced table by its copy otherwise, and the writer would
/// spend long on looking up both accounts of every row. A group that names a missing account fails all the same when
/// that account's balance is written, and `ledger check` looks at all references.
fn migrate(connection: &mut Connection, new: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if at + 1 == ACCOUNTS_IN_THE_CHAIN {
            account_log::take_over(&transaction)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        if new {
            closing::mark_new(&transaction)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn no_access(path: &Path, error: &std::io::Error) -> LedgerError {
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
