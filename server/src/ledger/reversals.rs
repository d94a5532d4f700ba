//! Reversals: pending pay of a convicted worker returns to the gamers who paid it, by transfers of its own.
//!
//! The payers are found by searching the tasks, in steps that keep a group short; meanwhile the money stays in the
//! worker's pending account, where it never falls due. The search begins with the first group that paid any of it: pay
//! falls due in the order in which it was earned and a reversal takes all, so all pay since that group is pending, and
//! nothing is returned twice. What is taken from a worker while earlier pay of it is still being returned waits for that
//! ([`Earnings::put_aside`](super::earnings::Earnings::put_aside)). (If the fraud window was shortened meanwhile, later
//! pay may have been released before; then the payers of the newest tasks come first.) Money whose payer is not found
//! goes to the fee.

use std::collections::BTreeMap;

use p2c2r_protocol::Nanos;
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::accounts::load_account;
use super::chain::REVERSALS;
use super::earnings::PendingPay;
use super::entry::{AccountId, kind, reason};
use super::posting::Posting;

/// Tasks searched per group, which takes about 10 ms.
const LOOKED_AT_PER_GROUP: i64 = 4_096;

/// Reversals that have begun, by worker.
pub(super) struct Reversals(BTreeMap<AccountId, Reversal>);

#[derive(Clone, Copy)]
struct Reversal {
    first_group: i64,
    last_group: i64,
    /// Tasks whose transfer of pay has this id or a larger one have been searched.
    below: i64,
    rest: i64,
}

impl Reversals {
    /// Reads the reversals that are under way.
    pub fn load(connection: &Connection) -> Result<Self> {
        let mut select =
            connection.prepare("SELECT worker, first_grp, last_grp, below, rest FROM reversals")?;
        let found = select.query_map([], |row| {
            let reversal = Reversal {
                first_group: row.get(1)?,
                last_group: row.get(2)?,
                below: row.get(3)?,
                rest: row.get(4)?,
            };
            Ok((AccountId(row.get(0)?), reversal))
        })?;
        Ok(Self(found.collect::<Result<_>>()?))
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When there is next something to do; `None` if never.
    pub fn next_due_ms(&self) -> Option<i64> {
        (!self.0.is_empty()).then_some(0)
    }
}

impl Posting<'_, '_> {
    /// Quarantines a worker, and takes back what it has pending and what it computed.
    pub fn convict(&mut self, worker: AccountId) -> Result<()> {
        let connection = self.sql.connection;
        self.quarantine(worker)?;
        self.outcomes.revoke(connection, worker)?;
        let Some(taken) = self.earnings.take(connection, worker, self.group)? else { return Ok(()) };
        // One reversal per worker at a time; a worker convicted twice in one group has nothing left to take.
        if self.reversals.0.contains_key(&worker) {
            return self.earnings.put_aside(self.sql, worker, taken, self.group);
        }
        self.begin_reversal(worker, taken, self.group)
    }

    /// Begins to return pay that was taken from a worker in the group `last_group`.
    fn begin_reversal(&mut self, worker: AccountId, taken: PendingPay, last_group: i64) -> Result<()> {
        let connection = self.sql.connection;
        let reversal =
            Reversal { first_group: taken.first_group, last_group, below: i64::MAX, rest: taken.amount };
        connection.execute(
            "INSERT INTO reversals (worker, first_grp, last_grp, below, rest) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![worker.0, reversal.first_group, reversal.last_group, reversal.below, reversal.rest],
        )?;
        self.reversals.0.insert(worker, reversal);
        Ok(())
    }

    /// Carries out one step of one reversal.
    pub fn reverse(&mut self) -> Result<()> {
        match self.reversals.0.first_key_value() {
            Some((&worker, &reversal)) => self.step(worker, reversal),
            None => Ok(()),
        }
    }

    fn step(&mut self, worker: AccountId, reversal: Reversal) -> Result<()> {
        let connection = self.sql.connection;
        let from: i64 = connection
            .prepare_cached(
                "SELECT no << 2 FROM tasks WHERE no <= (?1 - 2) >> 2 ORDER BY no DESC LIMIT 1 OFFSET ?2",
            )?
            .query_row([reversal.below, LOOKED_AT_PER_GROUP], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let mut rest = reversal.rest;
        let mut paid: BTreeMap<AccountId, i64> = BTreeMap::new();
        {
            let mut select = connection.prepare_cached(
                "SELECT t.gamer, t.pay
                 FROM tasks t LEFT JOIN attempts a ON t.worker IS NULL AND a.id = t.no << 8 | t.attempt
                 WHERE t.no BETWEEN ?1 >> 2 AND (?2 - 2) >> 2 AND t.source = 1 AND t.pay > 0
                     AND coalesce(t.worker, a.worker) = ?3 AND t.closed_grp BETWEEN ?4 AND ?5
                 ORDER BY t.no DESC",
            )?;
            let mut rows = select.query(params![
                from,
                reversal.below,
                worker.0,
                reversal.first_group,
                reversal.last_group
            ])?;
            while let Some(row) = rows.next()? {
                let amount = row.get::<_, i64>(1)?.min(rest);
                *paid.entry(AccountId(row.get(0)?)).or_default() += amount;
                rest -= amount;
            }
        }
        for (gamer, amount) in paid {
            self.give_back(worker, Some(gamer), amount)?;
        }
        if from == 0 && rest > 0 {
            self.give_back(worker, None, rest)?;
            rest = 0;
        }
        self.wrote = true;
        if rest == 0 {
            self.reversals.0.remove(&worker);
            connection.execute("DELETE FROM reversals WHERE worker = ?1", [worker.0])?;
            match self.earnings.take_aside(connection, worker)? {
                Some((taken, last_group)) => self.begin_reversal(worker, taken, last_group),
                None => Ok(()),
            }
        } else {
            self.reversals.0.insert(worker, Reversal { below: from, rest, ..reversal });
            connection
                .execute(
                    "UPDATE reversals SET below = ?2, rest = ?3 WHERE worker = ?1",
                    params![worker.0, from, rest],
                )
                .map(|_| ())
        }
    }

    /// One transfer of pending pay, to a gamer or to the fee. It then counts as neither earned nor charged.
    fn give_back(&mut self, worker: AccountId, gamer: Option<AccountId>, amount: i64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let connection = self.sql.connection;
        load_account(connection, self.book, worker)?;
        let amount = Nanos(amount);
        if let Some(account) = self.book.change(worker) {
            account.set_aside -= amount;
            account.turnover -= amount;
        }
        let totals = &mut self.book.totals;
        totals.earned -= amount;
        totals.pending -= amount;
        let to = if let Some(gamer) = gamer {
            totals.revenue -= amount;
            load_account(connection, self.book, gamer)?;
            if let Some(account) = self.book.change(gamer) {
                account.available += amount;
                account.turnover -= amount;
            }
            gamer.0
        } else {
            totals.fee += amount;
            self.book.fee += amount.0;
            kind::FEE_ACCOUNT
        };
        let id = REVERSALS + (self.group << 20) + self.reversed;
        self.reversed += 1;
        self.transfer(id, worker.set_aside(), to, amount, reason::REVERSAL, 0);
        Ok(())
    }
}
