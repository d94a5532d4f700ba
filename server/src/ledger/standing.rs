//! Looks up what the books say of an account's owner, for the account store, which forgets accounts that nobody needs.

use std::path::Path;

use p2c2r_protocol::{AccountKey, Nanos, Role};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::accounts::kinds;
use super::error::LedgerError;
use super::file;

/// An account in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What a gamer was charged, or a worker has earned, since it was opened.
    pub turnover: Nanos,
    /// What it has, with what is held or pending.
    pub money: Nanos,
}

/// A ledger that is open to look accounts up, beside the coordinator that writes it.
#[derive(Debug)]
pub struct Standings {
    /// None where there is no ledger yet.
    connection: Option<Connection>,
}

impl Standings {
    /// Opens the ledger at `path`. Where there is none, nobody has an account in it.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Ok(Self { connection: None });
        }
        Ok(Self { connection: Some(file::connect_read_only(path)?) })
    }

    /// Whether there is a ledger.
    pub fn are_there(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the operator's grant of this reference is booked.
    pub fn has_grant(&self, reference: [u8; 16]) -> rusqlite::Result<bool> {
        let Some(connection) = &self.connection else { return Ok(false) };
        connection.prepare_cached("SELECT 1 FROM grants WHERE reference = ?1")?.exists([reference])
    }

    /// Whether the worker of this key is in quarantine. One that never connected is not.
    pub fn is_quarantined(&self, key: AccountKey) -> rusqlite::Result<bool> {
        let Some(connection) = &self.connection else { return Ok(false) };
        let sql = "SELECT 1 FROM standings JOIN accounts own ON own.id = worker
                   WHERE own.kind = ?1 AND own.key = ?2 AND quarantined_ms IS NOT NULL";
        connection.prepare_cached(sql)?.exists(params![kinds(Role::Worker).0, key.0])
    }

    /// How the owner of `key` stands in this role, as of the last group commit; all zero if it has never connected. Costs one
    /// or two look-ups in an index.
    pub fn of(&self, role: Role, key: AccountKey) -> rusqlite::Result<Standing> {
        let Some(connection) = &self.connection else { return Ok(Standing::default()) };
        let found = connection
            .prepare_cached(
                "SELECT own.turnover, own.balance + beside.balance
                 FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
                 WHERE own.kind = ?1 AND own.key = ?2",
            )?
            .query_row(params![kinds(role).0, key.0], |row| {
                Ok(Standing { turnover: Nanos(row.get(0)?), money: Nanos(row.get(1)?) })
            })
            .optional()?;
        Ok(found.unwrap_or_default())
    }
}
