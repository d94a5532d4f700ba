//! The account store: who may join. A separate SQLite file, which the running coordinator and the operator's commands
//! have open at the same time.
//!
//! It holds no secret: of an invite only the BLAKE3 hash of 24 random bytes, of an account the public key. A stolen
//! store lets nobody use an invite or sign for an account.

mod accounts;
mod changes;
mod copy;
mod invites;
mod logins;
mod noted;
mod open;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use p2c2r_protocol::{AccountKey, Role};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

pub use accounts::{AccountRecord, KEY_DIGITS, Newcomer};
pub use changes::{Credit, CreditReference, Judgement, OperatorChange, Order};
pub use invites::{INVITE_USES_MAX, NewInvite};
pub use open::OpenedAccount;

use super::error::JoinError;
use crate::private_file::private;

/// Name of the store in the data folder.
pub const ACCOUNTS_FILE: &str = "accounts.db";

/// "P2CA" in the file's header.
const APPLICATION_ID: i64 = 0x5032_4341;
/// Schemas in order; the n-th file takes a store from schema n to n + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_accounts.sql"),
    include_str!("migrations/0002_judgements.sql"),
    include_str!("migrations/0003_logins.sql"),
    include_str!("migrations/0004_hour_caps.sql"),
    include_str!("migrations/0005_visits.sql"),
];
/// How long a statement waits for another process's transaction, each of which takes milliseconds: errs on the long
/// side.
const BUSY: Duration = Duration::from_secs(5);
/// Attempts to turn the write-ahead log on, for which SQLite does not wait by itself; half a second in all.
const WAL_TRIES: u32 = 20;
const WAL_PAUSE: Duration = Duration::from_millis(25);

/// Seconds since 1970 by the wall clock, which labels rows, ends invites, and says which openly registered account has been
/// away for longest; nothing else is ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallSeconds(pub i64);

impl WallSeconds {
    /// The time from `earlier` until this one; zero if that is later, since the clock may have stepped back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }

    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

/// An open account store.
#[derive(Debug)]
pub struct AccountStore {
    connection: Connection,
    path: PathBuf,
}

impl AccountStore {
    /// Opens or creates the store in the data folder `folder`, which must exist. Other processes may have it open.
    pub fn open(folder: &Path) -> Result<Self, JoinError> {
        let path = folder.join(ACCOUNTS_FILE);
        create_private(&path).map_err(|error| JoinError::File { path: path.clone(), error })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let explain = |error| explain(&path, &error);
        let mut connection = Connection::open_with_flags(&path, flags).map_err(explain)?;
        connection.busy_timeout(BUSY).map_err(explain)?;
        refuse_foreign(&connection, &path)?;
        configure(&connection).map_err(explain)?;
        migrate(&mut connection).map_err(explain)?;
        Ok(Self { connection, path })
    }

    /// Runs `act` in a transaction that no other process's can come between.
    fn write<T>(
        &mut self,
        act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, JoinError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = act(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut self.connection).map_err(|error| explain(&self.path, &error))
    }

    fn explain(&self, error: &rusqlite::Error) -> JoinError {
        explain(&self.path, error)
    }
}

/// Makes the file, readable for its owner only, if there is none. SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    private().open(path).map(|_| ())
}

fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), JoinError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        Ok((
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let refuse = |reason: String| Err(JoinError::Store { path: path.to_owned(), reason });
    let known = MIGRATIONS.len() as i64;
    match read().map_err(|error| explain(path, &error))? {
        (APPLICATION_ID, found, _) if found > known => {
            refuse(format!("it has schema {found} and this program knows {known}: use a newer P2C2R with it"))
        }
        (APPLICATION_ID, ..) | (0, 0, 0) => Ok(()),
        _ => refuse(
            "it is a database of another program and was left untouched: name another --data-dir".into(),
        ),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    turn_write_ahead_log_on(connection)?;
    // A power cut must not lose an account: its owner's next request carries no invite.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// SQLite does not call its busy handler while it switches a file to the write-ahead log, so a concurrent switch by
/// another process is retried here.
fn turn_write_ahead_log_on(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..WAL_TRIES {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(WAL_PAUSE);
            }
            other => return other,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

/// Runs in one transaction that reads the schema version again: another process may have migrated meanwhile.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(version as usize) {
        transaction.execute_batch(migration)?;
    }
    if version < MIGRATIONS.len() as i64 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    }
    transaction.commit()
}

/// A SQLite error as a sentence an operator can act on.
fn explain(path: &Path, error: &rusqlite::Error) -> JoinError {
    let path = path.to_owned();
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free some space".to_owned(),
        Some(ErrorCode::ReadOnly) => "it cannot be written: make it writable for this user".to_owned(),
        Some(ErrorCode::NotADatabase) => {
            "it is not a database and was left untouched: name another --data-dir".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged ({error}): restore a backup of it"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps it locked: stop that one first".to_owned()
        }
        _ => error.to_string(),
    };
    JoinError::Store { path, reason }
}

fn role_number(role: Role) -> i64 {
    match role {
        Role::Gamer => 1,
        Role::Worker => 2,
    }
}

fn role_of(number: i64) -> Role {
    if number == 1 { Role::Gamer } else { Role::Worker }
}

fn key_of(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<AccountKey> {
    Ok(AccountKey(row.get::<_, [u8; 32]>(at)?))
}
