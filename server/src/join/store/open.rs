//! Open registration: as many accounts as the operator allows. When all places are taken, an account that has been of no use
//! makes place for the next one.
//!
//! Strangers make as many keys as they like. If every account stayed for good, whoever registers often enough would shut
//! registration for everybody else. An account that makes place loses little: what the books say stays under its key, and
//! its owner's program registers the same key again when it asks for its next token.

use std::time::Duration;

use p2c2r_join::RefusalCode;
use p2c2r_protocol::{AccountKey, Nanos, Role, fit_name};
use rusqlite::{Transaction, params};

use super::accounts::{account, check_known, insert};
use super::{AccountRecord, AccountStore, JoinError, Newcomer, WallSeconds, key_of, role_of};
use crate::ledger::{Standing, Standings};

/// An account counts as of use once it was charged, has earned or is owed this much: a cent, some two minutes of a core's
/// work. Less would let strangers hold all places for the price of one tiny task each.
const OF_USE_MIN: Nanos = Nanos(Nanos::DOLLAR.0 / 100);
/// How long an account that is of no use keeps its place without a token or a connection. At the default rate, 200 an hour,
/// half of the default 10,000 places are taken in that time, so such accounts alone never shut registration.
const UNUSED_KEPT: Duration = Duration::from_hours(24);
/// How long an account that is of use keeps its place; one that is owed something keeps it for good.
const USED_KEPT: Duration = Duration::from_hours(30 * 24);

/// An account that was opened without invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedAccount {
    /// The account.
    pub account: AccountRecord,
    /// The account that made place for it, if one had to.
    pub in_place_of: Option<AccountKey>,
}

impl AccountStore {
    /// Opens an account without invite. If there are `accounts_max` such accounts, one makes place: of those that can, the one
    /// that has been away, without token or connection, for longest. An account can after a day if it was charged or has
    /// earned less than a cent, and otherwise after 30 days, but not while it is owed a cent. Accounts that the operator has
    /// closed are not counted; those that the operator has named, credited, capped or judged stay. Without `books`, which say
    /// what an account has done, none makes place.
    pub fn enrol_openly(
        &mut self,
        newcomer: &Newcomer<'_>,
        (credit, accounts_max): (Nanos, u32),
        books: Option<&Standings>,
        now: WallSeconds,
    ) -> Result<Result<OpenedAccount, RefusalCode>, JoinError> {
        self.write(|transaction| {
            if let Some(account) = account(transaction, newcomer.key)? {
                let account = check_known(&account, newcomer.role).map(|()| account);
                return Ok(account.map(|account| OpenedAccount { account, in_place_of: None }));
            }
            let sql = "SELECT count(*) FROM accounts WHERE invite IS NULL AND revoked_at IS NULL";
            let open: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
            let mut in_place_of = None;
            if open >= i64::from(accounts_max) {
                if let Some(books) = books {
                    in_place_of = of_no_use(transaction, books, now)?;
                }
                let Some(key) = in_place_of else { return Ok(Err(RefusalCode::RegistrationFull)) };
                transaction.execute("DELETE FROM accounts WHERE key = ?1", [key.0])?;
            }
            let name = fit_name(newcomer.name);
            let account = insert(transaction, newcomer, &name, false, (None, credit, now))?;
            Ok(Ok(OpenedAccount { account, in_place_of }))
        })
    }
}

/// The account that makes place. In the worst case it reads all that have been away for a day; the limit on accounts opened
/// in an hour bounds how often.
fn of_no_use(
    transaction: &Transaction<'_>,
    books: &Standings,
    now: WallSeconds,
) -> rusqlite::Result<Option<AccountKey>> {
    // A visit in the future was stored before the clock was set back: it counts as one of now.
    let sql = "UPDATE accounts SET seen_at = ?1 WHERE invite IS NULL AND coalesce(seen_at, enrolled_at) > ?1";
    transaction.execute(sql, [now.0])?;
    let sql = "SELECT key, role, credit_nanos, coalesce(seen_at, enrolled_at) AS seen FROM accounts
               WHERE invite IS NULL AND revoked_at IS NULL AND epoch = 0 AND seen <= ?1
                   AND key NOT IN (SELECT account FROM credits UNION SELECT account FROM hour_caps
                                   UNION SELECT account FROM judgements)
               ORDER BY seen, key";
    let mut away = transaction.prepare_cached(sql)?;
    let mut away = away.query(params![now.0 - UNUSED_KEPT.as_secs() as i64])?;
    while let Some(row) = away.next()? {
        let (key, role, credit) = (key_of(row, 0)?, role_of(row.get(1)?), Nanos(row.get(2)?));
        let standing = books.of(role, key)?;
        if makes_place(standing, (role, credit), now.since(WallSeconds(row.get(3)?))) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Whether an account can make place that has been `away` for a day or more and was given `credit` when it was opened.
fn makes_place(standing: Standing, (role, credit): (Role, Nanos), away: Duration) -> bool {
    let given = if role == Role::Gamer { credit } else { Nanos::ZERO };
    standing.money - given < OF_USE_MIN && (standing.turnover < OF_USE_MIN || away >= USED_KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_charged_or_paid_a_cent_stays_for_a_month_and_what_is_owed_one_for_good() {
        let after = |turnover, money, role, days: u64| {
            let standing = Standing { turnover: Nanos(turnover), money: Nanos(money) };
            makes_place(standing, (role, Nanos(9)), Duration::from_hours(24 * days))
        };
        let (gamer, worker) = (Role::Gamer, Role::Worker);
        let cent = 10_000_000;
        assert!(after(0, 0, gamer, 1) && after(0, 9, gamer, 1), "the credit is the coordinator's own");
        assert!(after(cent - 1, 9, gamer, 1) && after(cent - 1, cent - 1, worker, 1), "next to nothing");
        assert!(!after(cent, 5, gamer, 29) && after(cent, 5, gamer, 30));
        assert!(!after(cent, cent + 9, gamer, 900), "the operator gave it more");
        assert!(!after(cent, 0, worker, 29) && after(cent, 0, worker, 30));
        assert!(!after(cent, cent, worker, 900), "it was not paid yet");
    }
}
