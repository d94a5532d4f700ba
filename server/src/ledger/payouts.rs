//! What workers were paid outside: booked once per reference, never more than is available, undone only by another entry.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use p2c2r_protocol::{AccountKey, Nanos, Role, mark_unprintable};
use rusqlite::{Connection, OptionalExtension as _, Result, params};
use serde::Serialize;

use super::account_log::AccountLogEntry;
use super::accounts::{AccountResult, load_account};
use super::audit::{Booked, CheckReport};
use super::chain::{PAYOUTS, RELEASES, Transfer};
use super::entry::{AccountId, kind, reason};
use super::error::LedgerError;
use super::file;
use super::posting::Posting;
use super::reading::Reading;

/// Characters of a payout's reference: room for what banks and payment services call a payment.
pub const PAYOUT_REFERENCE_CHARS_MAX: usize = 64;

/// Whether a text can be a payout's reference: printable, and of 1 to [`PAYOUT_REFERENCE_CHARS_MAX`] characters.
pub(super) fn is_reference(text: &str) -> bool {
    (1..=PAYOUT_REFERENCE_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl Posting<'_, '_> {
    /// Books that a worker was paid. The same payout once more changes nothing, as long as it was not taken back.
    pub(super) fn pay_out(
        &mut self,
        id: AccountId,
        amount: Nanos,
        reference: &str,
        next: &mut i64,
    ) -> Result<AccountResult<AccountId>> {
        let connection = self.sql.connection;
        load_account(connection, self.book, id)?;
        let Some(account) = self.book.accounts.get(&id).map(|found| &found.account) else {
            return Ok(Err(LedgerError::NoAccount { role: Role::Worker, account: id.to_string() }));
        };
        if account.role != Role::Worker {
            return Ok(Err(LedgerError::NoAccount { role: Role::Worker, account: account.name.to_string() }));
        }
        match find(connection, reference)? {
            Some(same) if (same.account, same.amount, same.undone) == (id.0, amount.0, false) => {
                return Ok(Ok(id));
            }
            Some(_) => return Ok(Err(LedgerError::PayoutReferenceUsed { reference: reference.to_owned() })),
            None => {}
        }
        if amount > account.available {
            return Ok(Err(LedgerError::NotAvailable { amount, available: account.available }));
        }
        self.book_payout(id, amount, reference, None, next)?;
        Ok(Ok(id))
    }

    /// Books that the payout under `reference` came back: the worker can be paid the amount again.
    pub(super) fn take_back(&mut self, reference: &str, next: &mut i64) -> Result<AccountResult<AccountId>> {
        let connection = self.sql.connection;
        let Some(paid) = find(connection, reference)? else {
            return Ok(Err(LedgerError::NoPayout { reference: reference.to_owned() }));
        };
        let id = AccountId(paid.account);
        if !paid.undone {
            load_account(connection, self.book, id)?;
            self.book_payout(id, Nanos(paid.amount), reference, Some(paid.id), next)?;
        }
        Ok(Ok(id))
    }

    fn book_payout(
        &mut self,
        id: AccountId,
        amount: Nanos,
        reference: &str,
        undoes: Option<i64>,
        next: &mut i64,
    ) -> Result<()> {
        let transfer = PAYOUTS + *next;
        *next += 1;
        self.sql
            .connection
            .prepare_cached(
                "INSERT INTO payouts (id, grp, reference, account, amount, undoes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![transfer, self.group, reference, id.0, amount.0, undoes])?;
        self.log(AccountLogEntry::paid_out(id.0, amount.0, reference, undoes.is_some()));
        let signed = if undoes.is_none() { amount } else { -amount };
        if let Some(account) = self.book.change(id) {
            account.available -= signed;
        }
        self.book.totals.paid_out += signed;
        if undoes.is_none() {
            self.transfer(transfer, id.0, kind::PAYOUT_ACCOUNT, amount, reason::PAYOUT, 0);
        } else {
            self.transfer(transfer, kind::PAYOUT_ACCOUNT, id.0, amount, reason::PAYOUT_TAKEN_BACK, 0);
        }
        Ok(())
    }
}

struct Found {
    id: i64,
    account: i64,
    amount: i64,
    undone: bool,
}

fn find(connection: &Connection, reference: &str) -> Result<Option<Found>> {
    connection
        .prepare_cached(
            "SELECT p.id, p.account, p.amount, EXISTS (SELECT 1 FROM payouts u WHERE u.undoes = p.id)
             FROM payouts p WHERE p.reference = ?1 AND p.undoes IS NULL",
        )?
        .query_row([reference], |row| {
            Ok(Found { id: row.get(0)?, account: row.get(1)?, amount: row.get(2)?, undone: row.get(3)? })
        })
        .optional()
}

/// For `check`: payouts of groups that were not folded, each of which has one transfer.
pub(super) struct PayoutsBooked(HashMap<i64, (i64, i64, bool)>);

impl PayoutsBooked {
    pub fn read(connection: &Connection) -> Result<Self> {
        let mut select = connection.prepare(
            "SELECT id, account, amount, undoes IS NOT NULL FROM payouts
             WHERE grp > (SELECT grp FROM checkpoint)",
        )?;
        let found = select
            .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))?
            .collect::<Result<_>>()?;
        Ok(Self(found))
    }

    /// Whether the transfer is that of a payout, which is then crossed off.
    pub fn take(&mut self, transfer: &Transfer, accounts: &HashMap<i64, Booked>) -> bool {
        let Some((account, amount, taken_back)) = self.0.remove(&transfer.id) else { return false };
        let (why, from, to) = if taken_back {
            (reason::PAYOUT_TAKEN_BACK, kind::PAYOUT_ACCOUNT, account)
        } else {
            (reason::PAYOUT, account, kind::PAYOUT_ACCOUNT)
        };
        (PAYOUTS..RELEASES).contains(&transfer.id)
            && accounts.get(&account).is_some_and(|booked| booked.kind == kind::WORKER)
            && (transfer.reason, transfer.debit, transfer.credit, transfer.amount) == (why, from, to, amount)
    }

    /// Reports payouts that no transfer was found for.
    pub fn are_all_found(&self, report: &mut CheckReport) {
        for id in self.0.keys() {
            report.problem(|| format!("payout {id} has no transfer"));
        }
    }
}

/// A worker's account, and what it can be paid: a line of `ledger payout list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payable {
    /// Its number in the ledger.
    pub account: AccountId,
    /// Its name, which other accounts may have as well.
    pub name: String,
    /// Its owner's public key, if it has an owner.
    pub key: Option<String>,
    /// What it can be paid.
    pub available: Nanos,
    /// What is pending, and cannot be paid yet.
    pub pending: Nanos,
    /// What it was paid outside, so far.
    pub paid_out: Nanos,
}

/// All workers that can be paid something or were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Payables {
    /// How the ledger was read, unless in place beside its writer, and what may be missing; a sentence each.
    pub notes: Vec<String>,
    /// Workers, those that can be paid most first.
    pub workers: Vec<Payable>,
}

impl Payables {
    /// The one worker whose key begins with `text` (8 digits at the least) or, if there is none, whose name is `text`. Keys
    /// come first, because anyone can take the digits of another's key as a name; 16 or more hexadecimal digits are never a
    /// name, because the key may belong to no worker.
    pub fn find(&self, text: &str) -> std::result::Result<&Payable, LedgerError> {
        let digits = text.to_lowercase();
        let has_key = |worker: &&Payable| {
            digits.len() >= KEY_DIGITS_MIN && worker.key.as_ref().is_some_and(|key| key.starts_with(&digits))
        };
        let mut found: Vec<_> = self.workers.iter().filter(has_key).collect();
        let is_key_only =
            digits.len() >= KEY_ONLY_DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if found.is_empty() && !is_key_only {
            found = self.workers.iter().filter(|worker| worker.name == text).collect();
        }
        match found[..] {
            [worker] => Ok(worker),
            [] => Err(LedgerError::NoAccount { role: Role::Worker, account: mark_unprintable(text) }),
            _ => Err(LedgerError::SeveralAccounts { account: mark_unprintable(text) }),
        }
    }
}

/// The fewest digits of a key that stand for an account on the command line.
const KEY_DIGITS_MIN: usize = 8;

/// From this many hexadecimal digits on, a text on the command line stands for a key and never for a name. The operator is
/// shown as many digits of each account's key.
const KEY_ONLY_DIGITS_MIN: usize = 16;

pub(super) fn payables(path: &Path) -> std::result::Result<Payables, LedgerError> {
    let reading = Reading::open(path)?;
    let workers = read(&reading.connection).map_err(|error| file::explain(path, &error))?;
    reading.is_whole()?;
    Ok(Payables { notes: reading.notes, workers })
}

fn read(connection: &Connection) -> Result<Vec<Payable>> {
    let mut select = connection.prepare(
        "SELECT own.id, own.name, own.key, own.balance, beside.balance,
             (SELECT ifnull(sum(CASE WHEN undoes IS NULL THEN amount ELSE -amount END), 0)
              FROM payouts WHERE account = own.id)
         FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
         WHERE own.kind = ?1 ORDER BY own.balance DESC, own.id",
    )?;
    select
        .query_map([kind::WORKER], |row| {
            Ok(Payable {
                account: AccountId(row.get(0)?),
                name: row.get(1)?,
                key: row.get::<_, Option<[u8; 32]>>(2)?.map(|key| AccountKey(key).to_string()),
                available: Nanos(row.get(3)?),
                pending: Nanos(row.get(4)?),
                paid_out: Nanos(row.get(5)?),
            })
        })?
        .collect()
}

impl fmt::Display for Payables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        write!(f, "{:<24} {:<10}{:>16}{:>16}{:>16}", "worker", "key", "can be paid", "pending", "paid out")?;
        for worker in &self.workers {
            write!(
                f,
                "\n{:<24} {:<10}{:>16}{:>16}{:>16}",
                mark_unprintable(&worker.name),
                worker.key.as_deref().and_then(|key| key.get(..KEY_DIGITS_MIN)).unwrap_or("unclaimed"),
                worker.available,
                worker.pending,
                worker.paid_out
            )?;
        }
        Ok(())
    }
}
