//! Opening the file: one coordinator at a time, the right kind of file, the right schema, safe settings; on any problem
//! it refuses and leaves the file unchanged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::account_log;
use super::error::LedgerError;
use super::lock::{LockedFile, with_ending};

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
}

/// Opens or creates the ledger at `path` for writing.
pub(super) fn open(path: &Path, pages_max: Option<u32>) -> Result<LedgerFile, LedgerError> {
    let exists = refuse_by_looking(path)?;
    let lock = LockedFile::lock(path)?;
    let has_log = with_ending(&lock.path, "-wal").metadata().is_ok_and(|data| data.len() > 0);
    if exists {
        refuse_foreign(path, has_log)?;
    }
    let exists = lock.path.metadata().is_ok_and(|data| data.len() > 0);
    let explain = |error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let mut connection = Connection::open_with_flags(&lock.path, flags).map_err(explain)?;
    configure(&connection, pages_max).map_err(explain)?;
    if connection.is_readonly("main").map_err(explain)? {
        return Err(LedgerError::ReadOnly { path: path.to_owned() });
    }
    if exists && path.metadata().is_ok_and(|data| data.len() <= QUICK_CHECK_BYTES_MAX) {
        refuse_damaged(&connection, path)?;
    }
    // The tables are created before the write-ahead log is turned on, so that the file alone is a recognisable ledger.
    migrate(&mut connection, !exists).map_err(explain)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(explain)?;
    if connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).map_err(explain)?
        != "wal"
    {
        let reason = "its file system has no write-ahead logging".to_owned();
        return Err(LedgerError::Database { path: path.to_owned(), reason });
    }
    let closed = closing::read(&connection).map_err(explain)?;
    if exists && !has_log && matches!(closed, Some(closing::OPEN)) {
        tracing::warn!(
            path = %path.display(),
            "the ledger was not closed in order and its write-ahead log is not there: if this is a copy that was made \
             while a coordinator ran, what was recorded last is missing; restore a copy made by `ledger backup`"
        );
    }
    Ok(LedgerFile { connection, path: path.to_owned(), lock })
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

/// Refuses a file that is not a ledger of a known schema, before anything could write to it.
fn refuse_foreign(path: &Path, has_log: bool) -> Result<(), LedgerError> {
    // A rollback journal remains from a crash during creation; only a writer can undo it.
    let half_made = with_ending(path, "-journal").exists();
    let connection =
        if half_made { connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)? } else { connect_read_only(path)? };
    match schema(&connection, path)? {
        Schema::Empty if !has_log && path.metadata().is_ok_and(|data| data.len() > 0) => {
            Err(LedgerError::NotALedger { path: path.to_owned(), found: empty(path, has_log) })
        }
        _ => Ok(()),
    }
}

/// Describes a database without tables.
pub(super) fn empty(path: &Path, has_log: bool) -> String {
    match path.metadata() {
        Ok(data) if data.len() > 0 && !has_log => format!(
            "a database with nothing in it: most likely a copy that was made while a coordinator ran, when everything was \
             still in {}; `p2c2r-server ledger backup` makes whole copies",
            with_ending(path, "-wal").display()
        ),
        _ => "an empty file".to_owned(),
    }
}

pub(super) fn connect_read_only(path: &Path) -> Result<Connection, LedgerError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
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
/// Foreign keys are off, here and for the writer: here because a referenced table could not be replaced by its copy
/// otherwise, there because looking up both accounts of every row takes long. A group that names an account which is not
/// there fails all the same when its balance is written, and `ledger check` looks at all references.
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

/// How a ledger was last closed; in its table `meta` under `closed_in_order`.
pub(super) mod closing {
    use rusqlite::{Connection, OptionalExtension as _, Result};

    /// A coordinator has it open, or had when it died.
    pub const OPEN: i64 = 0;
    /// It was closed, and everything is in the database itself.
    pub const IN_ORDER: i64 = 1;
    /// It is a whole copy of one that was open.
    pub const COPY: i64 = 2;
    /// Nothing was ever recorded in it.
    pub const NEW: i64 = 3;

    pub fn read(connection: &Connection) -> Result<Option<i64>> {
        let sql = "SELECT value FROM meta WHERE name = 'closed_in_order'";
        connection.query_row(sql, [], |row| row.get(0)).optional()
    }

    pub fn write(connection: &Connection, value: i64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('closed_in_order', ?1)";
        connection.execute(sql, [value]).map(|_| ())
    }

    /// Marks a newly created ledger. Not called when a used ledger is migrated.
    pub fn mark_new(connection: &Connection) -> Result<()> {
        write(connection, NEW)
    }

    /// Marks a whole copy, unless it is a copy of a ledger that was closed in order.
    pub fn mark_copy(connection: &Connection) -> Result<()> {
        let sql = "UPDATE meta SET value = ?1 WHERE name = 'closed_in_order' AND value <> ?2";
        connection.execute(sql, [COPY, IN_ORDER]).map(|_| ())
    }
}

/// How a ledger's time continues from one start to the next; in its table `meta`.
pub(super) mod timing {
    use rusqlite::{Connection, OptionalExtension as _, Result};

    /// What the last start and the last close have stored.
    pub struct Timing {
        /// The ledger's time when the running time of `boot` was zero.
        pub opened_ms: Option<i64>,
        /// From when running time counted.
        pub boot: Option<i64>,
        /// The ledger's time when it was closed in order.
        pub closed_ms: Option<i64>,
    }

    pub fn read(connection: &Connection) -> Result<Timing> {
        let value = |name: &str| {
            let sql = "SELECT value FROM meta WHERE name = ?1";
            connection.query_row(sql, [name], |row| row.get(0)).optional()
        };
        Ok(Timing {
            opened_ms: value("time_at_boot_ms")?,
            boot: value("boot")?,
            closed_ms: value("closed_at_ms")?,
        })
    }

    fn write(connection: &Connection, name: &str, value: i64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
        connection.execute(sql, rusqlite::params![name, value]).map(|_| ())
    }

    pub fn write_opened(connection: &Connection, opened_ms: i64, boot: Option<i64>) -> Result<()> {
        write(connection, "time_at_boot_ms", opened_ms)?;
        match boot {
            Some(boot) => write(connection, "boot", boot),
            None => connection.execute("DELETE FROM meta WHERE name = 'boot'", []).map(|_| ()),
        }
    }

    pub fn write_closed(connection: &Connection, at_ms: i64) -> Result<()> {
        write(connection, "closed_at_ms", at_ms)
    }
}
