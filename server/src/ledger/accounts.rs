//! Finding, opening, claiming and crediting accounts, inside the group that is being written.
//!
//! A peer's account is found by its side and its owner's public key. An account of an older ledger, which was found by its
//! name, has no key until the operator claims it for one.

use p2c2r_protocol::{AccountKey, Nanos, Role, TaskId};
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};

use super::account::Account;
use super::account_log::AccountLogEntry;
use super::book::Book;
use super::chain::GRANTS;
use super::charges;
use super::entry::{AccountId, kind, reason};
use super::error::LedgerError;
use super::options::MONEY_MAX;
use super::posting::Posting;
use super::trust::{self, WorkerTrust};

/// A request about an account; it is answered with the account's new state.
pub(super) enum Ask {
    /// Find it, or open it and credit a gamer.
    Open { role: Role, key: AccountKey, name: Box<str>, credit: Nanos },
    /// Find it.
    Find { id: AccountId },
    /// Credit it, once per reference.
    Grant { role: Role, key: AccountKey, amount: Nanos, reference: [u8; 16] },
    /// Give an account without a key to the owner of this key.
    Claim { role: Role, name: Box<str>, key: AccountKey },
    /// Book what a worker was paid outside, once per reference.
    PayOut { account: AccountId, amount: Nanos, reference: Box<str> },
    /// Convict a worker by the operator's hand, or let it work again.
    Judge { key: AccountKey, quarantined: bool },
    /// Book that what was paid under this reference came back.
    TakeBack { reference: Box<str> },
}

/// The error means that the request was refused and the books are unchanged.
pub(super) type AccountResult<T> = std::result::Result<T, LedgerError>;

impl Posting<'_, '_> {
    /// Does what is asked, and answers with the account as it then is. The outer error ends the ledger, the inner one
    /// refuses this request alone.
    pub fn account(
        &mut self,
        ask: &Ask,
        next_grant: &mut i64,
        next_payout: &mut i64,
    ) -> Result<AccountResult<Account>> {
        let id = match ask {
            Ask::Open { role, key, name, credit } => self.open(*role, *key, name, *credit)?,
            Ask::Find { id } => Ok(*id),
            Ask::Grant { role, key, amount, reference } => {
                self.grant(*role, *key, *amount, *reference, next_grant)?
            }
            Ask::Claim { role, name, key } => self.claim(*role, name, *key)?,
            Ask::PayOut { account, amount, reference } => {
                self.pay_out(*account, *amount, reference, next_payout)?
            }
            Ask::Judge { key, quarantined } => self.judge_worker(*key, *quarantined)?,
            Ask::TakeBack { reference } => self.take_back(reference, next_payout)?,
        };
        let id = match id {
            Ok(id) => id,
            Err(refused) => return Ok(Err(refused)),
        };
        let connection = self.sql.connection;
        load_account(connection, self.book, id)?;
        let Some(found) = self.book.accounts.get(&id) else {
            return Ok(Err(LedgerError::NoAccount { role: Role::Gamer, account: id.to_string() }));
        };
        let mut account = found.account.clone();
        if account.role == Role::Gamer && matches!(ask, Ask::Open { .. } | Ask::Find { .. }) {
            account.largest_task = largest_task(connection, id)?;
            account.charged_lately = charges::of(connection, id, self.now_ms)?;
        }
        if account.role == Role::Worker && matches!(ask, Ask::Open { .. }) {
            account.trust = trust::load(connection, id, self.now_ms)?;
        }
        Ok(Ok(account))
    }

    fn open(
        &mut self,
        role: Role,
        key: AccountKey,
        name: &str,
        credit: Nanos,
    ) -> Result<AccountResult<AccountId>> {
        let connection = self.sql.connection;
        if let Some(id) = find(connection, role, key)? {
            self.label(id, name)?;
            return Ok(Ok(id));
        }
        let credit = if role == Role::Gamer { credit } else { Nanos::ZERO };
        if let Err(refused) = self.can_give(credit) {
            return Ok(Err(refused));
        }
        let last: i64 = connection.query_row("SELECT max(id) FROM accounts", [], |row| row.get(0))?;
        let id = AccountId(last + 1);
        let (own, beside) = kinds(role);
        let mut insert = connection.prepare_cached(
            "INSERT INTO accounts (id, kind, key, name, opened_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute(params![id.0, own, key.0, name, self.now_ms])?;
        insert.execute(params![id.set_aside(), beside, None::<[u8; 32]>, name, self.now_ms])?;
        self.log(AccountLogEntry::opened(role, id.0, Some(key.0), name, self.now_ms));
        load_account(connection, self.book, id)?;
        self.give(-id.0, id, credit, reason::OPENING_CREDIT);
        Ok(Ok(id))
    }

    /// Stores a label that has changed.
    fn label(&mut self, id: AccountId, name: &str) -> Result<()> {
        let connection = self.sql.connection;
        load_account(connection, self.book, id)?;
        let Some(found) = self.book.accounts.get_mut(&id) else { return Ok(()) };
        if *found.account.name != *name {
            found.account.name = name.into();
            connection
                .prepare_cached("UPDATE accounts SET name = ?2 WHERE id IN (?1, ?1 + 1)")?
                .execute(params![id.0, name])?;
            self.log(AccountLogEntry::renamed(id.0, name));
        }
        Ok(())
    }

    fn grant(
        &mut self,
        role: Role,
        key: AccountKey,
        amount: Nanos,
        reference: [u8; 16],
        next_grant: &mut i64,
    ) -> Result<AccountResult<AccountId>> {
        let connection = self.sql.connection;
        let Some(id) = find(connection, role, key)? else {
            return Ok(Err(LedgerError::NoAccount { role, account: key.to_string() }));
        };
        let booked: Option<(i64, i64)> = connection
            .prepare_cached("SELECT account, amount FROM grants WHERE reference = ?1")?
            .query_row([reference], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match booked {
            Some(same) if same == (id.0, amount.0) => return Ok(Ok(id)),
            Some(_) => return Ok(Err(LedgerError::ReferenceUsed)),
            None => {}
        }
        if let Err(refused) = self.can_give(amount) {
            return Ok(Err(refused));
        }
        connection
            .prepare_cached("INSERT INTO grants (reference, account, amount) VALUES (?1, ?2, ?3)")?
            .execute(params![reference, id.0, amount.0])?;
        load_account(connection, self.book, id)?;
        self.log(AccountLogEntry::granted(id.0, amount.0, reference));
        self.give(GRANTS + *next_grant, id, amount, reason::GRANT);
        *next_grant += 1;
        Ok(Ok(id))
    }

    fn judge_worker(&mut self, key: AccountKey, quarantined: bool) -> Result<AccountResult<AccountId>> {
        let role = Role::Worker;
        let Some(id) = find(self.sql.connection, role, key)? else {
            return Ok(Err(LedgerError::NoAccount { role, account: key.to_string() }));
        };
        self.convict_or_forgive(id, quarantined)?;
        Ok(Ok(id))
    }

    fn claim(&mut self, role: Role, name: &str, key: AccountKey) -> Result<AccountResult<AccountId>> {
        let connection = self.sql.connection;
        let (own, _) = kinds(role);
        if find(connection, role, key)?.is_some() {
            return Ok(Err(LedgerError::KeyHasAccount { role, key }));
        }
        // Names were unique when accounts had no keys, so there is at most one.
        let unclaimed: Option<i64> = connection
            .query_row(
                "SELECT id FROM accounts WHERE kind = ?1 AND name = ?2 AND key IS NULL",
                params![own, name],
                |row| row.get(0),
            )
            .optional()?;
        let Some(id) = unclaimed.map(AccountId) else {
            let claimed: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM accounts WHERE kind = ?1 AND name = ?2)",
                params![own, name],
                |row| row.get(0),
            )?;
            let name = name.to_owned();
            return Ok(Err(if claimed {
                LedgerError::AlreadyClaimed { role, name }
            } else {
                LedgerError::NoAccount { role, account: name }
            }));
        };
        connection.execute("UPDATE accounts SET key = ?2 WHERE id = ?1", params![id.0, key.0])?;
        self.log(AccountLogEntry::claimed(id.0, key.0));
        if let Some(found) = self.book.accounts.get_mut(&id) {
            found.account.key = Some(key);
        }
        Ok(Ok(id))
    }

    /// Whether the bank may give out `amount` more.
    fn can_give(&self, amount: Nanos) -> AccountResult<()> {
        match self.book.bank.checked_sub(amount.0) {
            Some(bank) if bank >= -MONEY_MAX.0 => Ok(()),
            _ => Err(LedgerError::TooMuchMoney),
        }
    }

    /// Credits an account that is in memory, from the bank.
    fn give(&mut self, transfer: i64, id: AccountId, amount: Nanos, reason: u8) {
        if amount > Nanos::ZERO
            && let Some(account) = self.book.change(id)
        {
            account.available += amount;
            self.book.bank -= amount.0;
            self.transfer(transfer, kind::BANK_ACCOUNT, id.0, amount, reason, 0);
        }
    }
}

/// Kinds of a peer's own account and of the one beside it.
pub(super) fn kinds(role: Role) -> (u8, u8) {
    match role {
        Role::Gamer => (kind::GAMER, kind::HELD),
        Role::Worker => (kind::WORKER, kind::PENDING),
    }
}

fn find(connection: &Connection, role: Role, key: AccountKey) -> Result<Option<AccountId>> {
    connection
        .prepare_cached("SELECT id FROM accounts WHERE kind = ?1 AND key = ?2")?
        .query_row(params![kinds(role).0, key.0], |row| row.get(0).map(AccountId))
        .optional()
}

/// The largest of a gamer's task ids: one or two look-ups in the index of its ids, where ids above `i64::MAX` are stored
/// as negative numbers.
fn largest_task(connection: &Connection, gamer: AccountId) -> Result<Option<TaskId>> {
    let mut select =
        connection.prepare_cached("SELECT max(game_task) FROM tasks WHERE gamer = ?1 AND game_task <= ?2")?;
    for last in [-1, i64::MAX] {
        if let Some(found) = select.query_row([gamer.0, last], |row| row.get::<_, Option<i64>>(0))? {
            return Ok(Some(TaskId(found as u64)));
        }
    }
    Ok(None)
}

/// Brings a peer's account into memory if it is not there; false if the file has no such account.
pub(super) fn load_account(connection: &Connection, book: &mut Book, id: AccountId) -> Result<bool> {
    if book.accounts.contains_key(&id) {
        return Ok(true);
    }
    let found = connection
        .prepare_cached(
            "SELECT own.kind, own.key, own.name, own.balance, own.turnover, own.accepted, own.rejected,
                 beside.balance, own.tasks
             FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
             WHERE own.id = ?1 AND own.kind IN (3, 5)",
        )?
        .query_row([id.0], |row| read_account(id, row))
        .optional()?;
    let there = found.is_some();
    if let Some(account) = found {
        book.remember(account);
    }
    Ok(there)
}

fn read_account(id: AccountId, row: &Row<'_>) -> Result<Account> {
    Ok(Account {
        id,
        role: if row.get::<_, u8>(0)? == kind::GAMER { Role::Gamer } else { Role::Worker },
        key: row.get::<_, Option<[u8; 32]>>(1)?.map(AccountKey),
        name: row.get::<_, String>(2)?.into(),
        available: Nanos(row.get(3)?),
        turnover: Nanos(row.get(4)?),
        accepted: row.get::<_, i64>(5)? as u64,
        rejected: row.get::<_, i64>(6)? as u64,
        set_aside: Nanos(row.get(7)?),
        tasks_recorded: row.get::<_, i64>(8)? as u64,
        largest_task: None,
        charged_lately: Vec::new(),
        trust: WorkerTrust::default(),
    })
}
