//! Changes made by the operator's commands, which are other processes, for the running coordinator.

use std::fmt;

use p2c2r_protocol::{AccountKey, Nanos, Role};

use super::{AccountStore, JoinError, key_of, role_of};
use crate::core::state::gamers::HourCap;
use crate::ledger::{AccountId, Standings};

/// Names a credit, so that it is booked at most once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CreditReference(pub [u8; 16]);

impl fmt::Debug for CreditReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Money that the operator gave an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The account's role.
    pub role: Role,
    /// The account.
    pub key: AccountKey,
    /// How much, more than zero.
    pub nanos: Nanos,
    /// The reference under which it is booked at most once.
    pub reference: CreditReference,
}

/// The operator's quarantine order for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its number: later ones are larger.
    pub id: i64,
    /// The account.
    pub key: AccountKey,
    /// Whether it is quarantined or released.
    pub quarantined: bool,
}

/// What the operator wants done in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// An account gets money.
    Credit(Credit),
    /// A worker is quarantined or released.
    Judge(Judgement),
}

/// A change of an account that was made outside the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorChange {
    /// It was closed: its programs are to be disconnected.
    Revoked(AccountKey),
    /// It was of no use and has made place for another: its programs are to be disconnected, and may register anew.
    MadePlace(AccountKey),
    /// It has a new name.
    Renamed(AccountKey, String),
    /// It has a new hourly cap as a gamer.
    Capped(AccountKey, HourCap),
    /// It was quarantined or released as a worker; the ledger has recorded it.
    Judged(AccountId, bool),
}

impl Order {
    /// The account that it is about.
    pub fn account(&self) -> AccountKey {
        match self {
            Self::Credit(credit) => credit.key,
            Self::Judge(judgement) => judgement.key,
        }
    }
}

impl AccountStore {
    /// A number that changes whenever another process has changed the store. Asking costs microseconds.
    pub fn version(&self) -> Result<i64, JoinError> {
        let read = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        read.map_err(|error| self.explain(&error))
    }

    /// Number of the operator's last act on any account.
    pub fn epoch(&self) -> Result<i64, JoinError> {
        let sql = "SELECT coalesce(max(epoch), 0) FROM accounts";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.explain(&error))
    }

    /// Accounts that the operator has closed or renamed since `epoch`, in order, and the epoch they lead to.
    pub fn changes_since(&self, epoch: i64) -> Result<(Vec<OperatorChange>, i64), JoinError> {
        let read = || -> rusqlite::Result<Vec<(OperatorChange, i64)>> {
            let sql = "SELECT key, name, revoked_at IS NOT NULL, epoch FROM accounts WHERE epoch > ?1
                       ORDER BY epoch";
            self.connection
                .prepare_cached(sql)?
                .query_map([epoch], |row| {
                    let key = key_of(row, 0)?;
                    let change = if row.get(2)? {
                        OperatorChange::Revoked(key)
                    } else {
                        OperatorChange::Renamed(key, row.get(1)?)
                    };
                    Ok((change, row.get(3)?))
                })?
                .collect()
        };
        let changes = read().map_err(|error| self.explain(&error))?;
        let reached = changes.last().map_or(epoch, |(_, epoch)| *epoch);
        Ok((changes.into_iter().map(|(change, _)| change).collect(), reached))
    }

    /// Credits that are not booked yet, oldest first.
    pub fn credits_to_book(&self) -> Result<Vec<Credit>, JoinError> {
        let read = || -> rusqlite::Result<Vec<Credit>> {
            let sql = "SELECT role, account, nanos, reference
                       FROM credits JOIN accounts ON accounts.key = credits.account
                       WHERE booked = 0 ORDER BY made_at, reference";
            self.connection
                .prepare_cached(sql)?
                .query_map([], |row| {
                    Ok(Credit {
                        role: role_of(row.get(0)?),
                        key: key_of(row, 1)?,
                        nanos: Nanos(row.get(2)?),
                        reference: CreditReference(row.get(3)?),
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Quarantine orders that are not carried out yet, in order.
    pub fn judgements_to_do(&self) -> Result<Vec<Judgement>, JoinError> {
        let read = || -> rusqlite::Result<Vec<Judgement>> {
            let sql = "SELECT id, account, quarantined FROM judgements WHERE done = 0 ORDER BY id";
            self.connection
                .prepare_cached(sql)?
                .query_map([], |row| {
                    Ok(Judgement { id: row.get(0)?, key: key_of(row, 1)?, quarantined: row.get(2)? })
                })?
                .collect()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Gives orders again that were carried out but are missing in the books, because an older copy of the books was restored:
    /// credits, and quarantines of workers whom the operator has not forgiven later. Returns how many. Orders to forgive are
    /// not given again: a worker in quarantine may have failed checks after it was forgiven.
    pub fn give_lost_orders_again(&mut self, books: &Standings) -> Result<usize, JoinError> {
        if !books.are_there() {
            return Ok(0);
        }
        self.write(|transaction| {
            let sql = "SELECT reference FROM credits WHERE booked = 1";
            let credits: Vec<[u8; 16]> =
                transaction.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut given = 0;
            for reference in credits {
                if !books.has_grant(reference)? {
                    let sql = "UPDATE credits SET booked = 0 WHERE reference = ?1";
                    given += transaction.execute(sql, [reference])?;
                }
            }
            let sql = "SELECT id, account FROM judgements AS last WHERE quarantined = 1 AND done = 1
                           AND id = (SELECT max(id) FROM judgements WHERE account = last.account)";
            let quarantines: Vec<(i64, AccountKey)> = transaction
                .prepare(sql)?
                .query_map([], |row| Ok((row.get(0)?, key_of(row, 1)?)))?
                .collect::<Result<_, _>>()?;
            for (id, key) in quarantines {
                if !books.is_quarantined(key)? {
                    given += transaction.execute("UPDATE judgements SET done = 0 WHERE id = ?1", [id])?;
                }
            }
            Ok(given)
        })
    }

    /// Marks an order as recorded in the ledger.
    pub fn mark_done(&mut self, order: &Order) -> Result<(), JoinError> {
        match order {
            Order::Credit(credit) => self.mark_booked(credit.reference),
            Order::Judge(judgement) => self.write(|transaction| {
                let sql = "UPDATE judgements SET done = 1 WHERE id = ?1";
                transaction.execute(sql, [judgement.id]).map(|_| ())
            }),
        }
    }

    /// Marks a credit as recorded in the ledger.
    pub fn mark_booked(&mut self, reference: CreditReference) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql = "UPDATE credits SET booked = 1 WHERE reference = ?1";
            transaction.execute(sql, [reference.0]).map(|_| ())
        })
    }
}
