//! Accounts: enrolled once, found by their public key, and what the operator does with them.

use std::collections::HashMap;
use std::time::Duration;

use p2c2r_join::RefusalCode;
use p2c2r_protocol::{AccountKey, Nanos, Role, fit_name};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::core::state::gamers::HourCap;

use super::{AccountStore, CreditReference, JoinError, WallSeconds, invites, key_of, role_number, role_of};

/// Digits of an account's key that the operator is shown, and can type to name the account.
pub const KEY_DIGITS: usize = 16;

const COLUMNS: &str = "key, role, name, named_by_operator, enrolled_at, invite, credit_nanos, revoked_at,
     coalesce(seen_at, enrolled_at)";

/// An account's visits are stored at most this often, because each costs a write to the disk.
const VISIT_KEPT_EVERY: Duration = Duration::from_hours(1);

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its public key, which is what it is known by.
    pub key: AccountKey,
    /// One key is one role.
    pub role: Role,
    /// Its public name; a label.
    pub name: String,
    /// Whether the operator chose the name, so that its owner cannot change it.
    pub named_by_operator: bool,
    /// When it was enrolled.
    pub enrolled_at: WallSeconds,
    /// Whether an invite let it in; otherwise open registration did.
    pub by_invite: bool,
    /// What it was given when it was enrolled.
    pub credit: Nanos,
    /// When the operator closed it, if so.
    pub revoked_at: Option<WallSeconds>,
    /// When it was last given a connect token or seen connected; to the hour, and only for accounts that registered openly.
    pub seen_at: WallSeconds,
    /// Whether `name` is a new wish of its owner's, which is not stored yet.
    pub is_renamed: bool,
}

impl AccountRecord {
    /// Whether a token that it gets at `now` is to be stored with [`AccountStore::keep_visit`]: because its name has changed,
    /// or because it registered openly and the stored time is an hour old, or in the future since the clock was set back.
    pub fn is_visit_kept(&self, now: WallSeconds) -> bool {
        let age = now.since(self.seen_at).max(self.seen_at.since(now));
        self.is_renamed || !self.by_invite && age >= VISIT_KEPT_EVERY
    }
}

/// Someone who asks to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// Its key, which has signed the request.
    pub key: AccountKey,
    /// The role in which it comes.
    pub role: Role,
    /// The name it would like.
    pub name: &'a str,
    /// Its invite.
    pub invite: Option<&'a str>,
}

impl AccountStore {
    /// The account of the newcomer's key, if it has one. Its name follows the owner's wish unless the operator chose it;
    /// [`keep_visit`](Self::keep_visit) stores it. `Ok(None)`: the key has none yet.
    pub fn find(
        &self,
        newcomer: &Newcomer<'_>,
    ) -> Result<Result<Option<AccountRecord>, RefusalCode>, JoinError> {
        let found = self.account(newcomer.key)?;
        let Some(mut account) = found else { return Ok(Ok(None)) };
        if let Err(code) = check_known(&account, newcomer.role) {
            return Ok(Err(code));
        }
        let name = fit_name(newcomer.name);
        account.is_renamed = !account.named_by_operator && account.name != name;
        if account.is_renamed {
            account.name = name;
        }
        Ok(Ok(Some(account)))
    }

    /// Stores that an account was given a token at `now`, and the name that its owner wishes, unless the operator chose one.
    /// To be called only when a token was given: writing waits for the disk, and each account gets few tokens.
    pub fn keep_visit(&mut self, key: AccountKey, name: &str, now: WallSeconds) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql =
                "UPDATE accounts SET name = iif(named_by_operator, name, ?2), seen_at = ?3 WHERE key = ?1";
            transaction.execute(sql, params![key.0, name, now.0]).map(|_| ())
        })
    }

    /// Stores in one write that these accounts were connected at `now`; those that came by invite are left out.
    pub fn keep_visits(&mut self, keys: &[AccountKey], now: WallSeconds) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql = "UPDATE accounts SET seen_at = ?2 WHERE key = ?1 AND invite IS NULL";
            let mut visit = transaction.prepare_cached(sql)?;
            keys.iter().try_for_each(|key| visit.execute(params![key.0, now.0]).map(drop))
        })
    }

    /// Opens an account by invite. A use is counted in the same transaction that opens it, so a key that asks again
    /// because the answer was lost uses nothing up.
    pub fn enrol_by_invite(
        &mut self,
        newcomer: &Newcomer<'_>,
        secret: &str,
        now: WallSeconds,
    ) -> Result<Result<AccountRecord, RefusalCode>, JoinError> {
        self.write(|transaction| {
            // Another process may have enrolled the key since it was looked for.
            if let Some(account) = account(transaction, newcomer.key)? {
                return Ok(check_known(&account, newcomer.role).map(|()| account));
            }
            let Some(invite) = invites::find(transaction, secret)? else {
                return Ok(Err(RefusalCode::InviteUnknown));
            };
            let refusal = if invite.role != newcomer.role {
                Some(RefusalCode::WrongRole)
            } else if invite.uses_left == 0 {
                Some(RefusalCode::InviteUsedUp)
            } else if now >= invite.expires_at {
                Some(RefusalCode::InviteExpired)
            } else {
                None
            };
            if let Some(code) = refusal {
                return Ok(Err(code));
            }
            invites::use_up(transaction, invite.id)?;
            let named_by_operator = invite.label.is_some();
            let name = invite.label.unwrap_or_else(|| fit_name(newcomer.name));
            let (by, credit) = (Some(invite.id), invite.credit);
            insert(transaction, newcomer, &name, named_by_operator, (by, credit, now)).map(Ok)
        })
    }

    /// The account with this key.
    pub fn account(&self, key: AccountKey) -> Result<Option<AccountRecord>, JoinError> {
        account(&self.connection, key).map_err(|error| self.explain(&error))
    }

    /// All accounts, in the order in which they were enrolled.
    pub fn accounts(&self) -> Result<Vec<AccountRecord>, JoinError> {
        let read = || -> rusqlite::Result<Vec<_>> {
            let sql = format!("SELECT {COLUMNS} FROM accounts ORDER BY enrolled_at, key");
            self.connection.prepare(&sql)?.query_map([], record)?.collect()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// The account whose key begins with `text` or, if there is none, whose name is `text`. Of several, open accounts are
    /// preferred to closed ones, and then accounts of `role` to others. [`KEY_DIGITS`] or more hexadecimal digits are never
    /// a name: anyone can take as a name the digits of an account that has made place.
    pub fn account_called(&self, text: &str, role: Option<Role>) -> Result<AccountRecord, JoinError> {
        let accounts = self.accounts()?;
        let digits = text.to_ascii_lowercase();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (is_key, is_key_only) = (is_hex && digits.len() >= 8, is_hex && digits.len() >= KEY_DIGITS);
        let of_key = |account: &&AccountRecord| is_key && account.key.to_string().starts_with(&digits);
        let of_name = |account: &&AccountRecord| account.name == text;
        let mut found: Vec<_> = accounts.iter().filter(of_key).collect();
        if found.is_empty() && !is_key_only {
            found = accounts.iter().filter(of_name).collect();
        }
        if found.iter().any(|account| account.revoked_at.is_none()) {
            found.retain(|account| account.revoked_at.is_none());
        }
        if found.len() > 1 && found.iter().any(|account| Some(account.role) == role) {
            found.retain(|account| Some(account.role) == role);
        }
        let called = text.to_owned();
        match found.as_slice() {
            [] => {
                let text = text.to_lowercase();
                let is_like = |name: &str| {
                    let name = name.to_lowercase();
                    !text.is_empty() && !is_key_only && (name.contains(&text) || text.contains(&name))
                };
                let like = accounts.iter().filter(|account| role.is_none_or(|role| account.role == role));
                let mut like: Vec<_> =
                    like.map(|account| account.name.clone()).filter(|name| is_like(name)).collect();
                like.sort_unstable();
                like.dedup();
                Err(JoinError::NoSuchAccount { called, like })
            }
            [account] => Ok((*account).clone()),
            _ => {
                let keys =
                    found.iter().map(|account| account.key.to_string()[..KEY_DIGITS].to_owned()).collect();
                Err(JoinError::SeveralAccounts { called, keys })
            }
        }
    }

    /// Closes an account; it stays known, so that its key cannot be enrolled again.
    pub fn revoke(&mut self, key: AccountKey, now: WallSeconds) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql = "UPDATE accounts SET revoked_at = ?2, epoch = (SELECT max(epoch) + 1 FROM accounts)
                       WHERE key = ?1 AND revoked_at IS NULL";
            transaction.execute(sql, params![key.0, now.0]).map(|_| ())
        })
    }

    /// Gives an account a name that its owner cannot change; made fit to be shown, and returned so.
    pub fn rename(&mut self, key: AccountKey, name: &str) -> Result<String, JoinError> {
        let name = fit_name(name);
        self.write(|transaction| {
            let sql = "UPDATE accounts SET name = ?2, named_by_operator = 1,
                           epoch = (SELECT max(epoch) + 1 FROM accounts)
                       WHERE key = ?1";
            transaction.execute(sql, params![key.0, name]).map(|_| ())
        })?;
        Ok(name)
    }

    /// Notes a credit, more than zero, which the running coordinator books.
    pub fn credit(
        &mut self,
        key: AccountKey,
        nanos: Nanos,
        now: WallSeconds,
    ) -> Result<CreditReference, JoinError> {
        let mut reference = [0; 16];
        SystemRandom::new().fill(&mut reference).map_err(|_| JoinError::Randomness)?;
        self.write(|transaction| {
            let sql = "INSERT INTO credits (reference, account, nanos, made_at) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(sql, params![reference, key.0, nanos.0, now.0]).map(|_| ())
        })?;
        Ok(CreditReference(reference))
    }
}

impl AccountStore {
    /// Sets the hourly cap of a gamer's account, which the running coordinator applies.
    pub fn cap_hour(&mut self, key: AccountKey, cap: HourCap) -> Result<(), JoinError> {
        let nanos = match cap {
            HourCap::AsEverybody => {
                return self.write(|transaction| {
                    let sql = "DELETE FROM hour_caps WHERE account = ?1";
                    transaction.execute(sql, [key.0]).map(|_| ())
                });
            }
            HourCap::Unlimited => None,
            HourCap::At(nanos) => Some(nanos.0),
        };
        self.write(|transaction| {
            let sql = "INSERT INTO hour_caps (account, nanos) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET nanos = excluded.nanos";
            transaction.execute(sql, params![key.0, nanos]).map(|_| ())
        })
    }

    /// The hourly caps that the operator has set for single accounts.
    pub fn hour_caps(&self) -> Result<HashMap<AccountKey, HourCap>, JoinError> {
        let read = || -> rusqlite::Result<HashMap<AccountKey, HourCap>> {
            let sql = "SELECT account, nanos FROM hour_caps";
            let cap = |row: &Row<'_>| {
                let nanos: Option<i64> = row.get(1)?;
                Ok((key_of(row, 0)?, nanos.map_or(HourCap::Unlimited, |nanos| HourCap::At(Nanos(nanos)))))
            };
            self.connection.prepare_cached(sql)?.query_map([], cap)?.collect()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Records a quarantine order for a worker, which the running coordinator carries out.
    pub fn judge(&mut self, key: AccountKey, quarantined: bool, now: WallSeconds) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql = "INSERT INTO judgements (account, quarantined, made_at) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![key.0, quarantined, now.0]).map(|_| ())
        })
    }
}

pub(super) fn check_known(account: &AccountRecord, role: Role) -> Result<(), RefusalCode> {
    if account.revoked_at.is_some() {
        Err(RefusalCode::Revoked)
    } else if account.role != role {
        Err(RefusalCode::WrongRole)
    } else {
        Ok(())
    }
}

pub(super) fn account(connection: &Connection, key: AccountKey) -> rusqlite::Result<Option<AccountRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE key = ?1");
    connection.prepare_cached(&sql)?.query_row([key.0], record).optional()
}

fn record(row: &Row<'_>) -> rusqlite::Result<AccountRecord> {
    Ok(AccountRecord {
        key: key_of(row, 0)?,
        role: role_of(row.get(1)?),
        name: row.get(2)?,
        named_by_operator: row.get(3)?,
        enrolled_at: WallSeconds(row.get(4)?),
        by_invite: row.get::<_, Option<i64>>(5)?.is_some(),
        credit: Nanos(row.get(6)?),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(WallSeconds),
        seen_at: WallSeconds(row.get(8)?),
        is_renamed: false,
    })
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    newcomer: &Newcomer<'_>,
    name: &str,
    named_by_operator: bool,
    (invite, credit, now): (Option<i64>, Nanos, WallSeconds),
) -> rusqlite::Result<AccountRecord> {
    let sql = "INSERT INTO accounts
                   (key, role, name, named_by_operator, enrolled_at, invite, credit_nanos, epoch)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)";
    let key = newcomer.key;
    transaction.execute(
        sql,
        params![key.0, role_number(newcomer.role), name, named_by_operator, now.0, invite, credit.0],
    )?;
    Ok(AccountRecord {
        key,
        role: newcomer.role,
        name: name.to_owned(),
        named_by_operator,
        enrolled_at: now,
        by_invite: invite.is_some(),
        credit,
        revoked_at: None,
        seen_at: now,
        is_renamed: false,
    })
}
