//! Pending pay: grouped in buckets by due time, and released a whole bucket at a time.
//!
//! Pay that was taken from a worker while earlier pay of it is still being returned waits in buckets of its own, which never
//! fall due.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use p2c2r_protocol::NumberHash;
use rusqlite::{Connection, Result};

use super::entry::AccountId;
use super::sql::Statements;

/// Buckets from here on hold pay that was taken and waits to be returned: the bucket's number is this one and the number of
/// the group that took it. No due time is as large.
const TAKEN: i64 = 1 << 62;

/// Pending pay by when it falls due.
pub(super) struct Earnings {
    window_ms: i64,
    /// Width of a bucket: a sixtieth of the window, between a second and a minute. Pay is released at most
    /// one bucket late, never early.
    bucket_ms: i64,
    due: BTreeMap<i64, BTreeMap<AccountId, PendingPay>>,
    fresh: HashMap<AccountId, i64, NumberHash>,
}

/// Pay of one worker that is pending: every payment to it since the first group, unless that was released or taken before.
#[derive(Clone, Copy)]
pub(super) struct PendingPay {
    /// How much.
    pub amount: i64,
    /// The first group that paid any of it; 0 if that is not known.
    pub first_group: i64,
}

impl Earnings {
    /// What is pending in the file.
    pub fn load(connection: &Connection, window: Duration) -> Result<Self> {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        let mut earnings = Self {
            window_ms,
            bucket_ms: (window_ms / 60).clamp(1_000, 60_000),
            due: BTreeMap::new(),
            fresh: HashMap::default(),
        };
        let mut select = connection.prepare("SELECT due_ms, worker, amount, first_grp FROM earnings")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let pay = PendingPay { amount: row.get(2)?, first_group: row.get(3)? };
            earnings.due.entry(row.get(0)?).or_default().insert(AccountId(row.get(1)?), pay);
        }
        Ok(earnings)
    }

    /// `worker` earned `amount` in the current group.
    pub fn add(&mut self, worker: AccountId, amount: i64) {
        *self.fresh.entry(worker).or_default() += amount;
    }

    /// Records what was earned in the current group, which is `group`.
    pub fn write(&mut self, sql: &mut Statements<'_>, group: i64, now_ms: i64) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let due_ms = (now_ms + self.window_ms).div_euclid(self.bucket_ms) * self.bucket_ms + self.bucket_ms;
        let bucket = self.due.entry(due_ms).or_default();
        for (worker, amount) in self.fresh.drain() {
            sql.add_earning(group, due_ms, worker.0, amount)?;
            let first = PendingPay { amount: 0, first_group: group };
            bucket.entry(worker).or_insert(first).amount += amount;
        }
        Ok(())
    }

    /// Takes everything that is due out of the file and out of memory; returns the amount for each worker.
    pub fn take_due(&mut self, connection: &Connection, now_ms: i64) -> Result<BTreeMap<AccountId, i64>> {
        let mut released = BTreeMap::new();
        while let Some(bucket) = self.due.first_entry()
            && *bucket.key() <= now_ms
        {
            connection.execute("DELETE FROM earnings WHERE due_ms = ?1", [*bucket.key()])?;
            for (worker, pay) in bucket.remove() {
                *released.entry(worker).or_default() += pay.amount;
            }
        }
        Ok(released)
    }

    /// The longest time that pay stays pending.
    pub fn pending_ms(&self) -> i64 {
        self.window_ms + 2 * self.bucket_ms
    }

    /// Takes everything that one worker has pending out of the file and out of memory, with what it earned in the current
    /// group, which is `group`; `None` if nothing is pending but what was taken before.
    pub fn take(
        &mut self,
        connection: &Connection,
        worker: AccountId,
        group: i64,
    ) -> Result<Option<PendingPay>> {
        let amount = self.fresh.remove(&worker).unwrap_or(0);
        let mut taken = PendingPay { amount, first_group: group };
        for (_, bucket) in self.due.range_mut(..TAKEN) {
            if let Some(found) = bucket.remove(&worker) {
                taken.amount += found.amount;
                taken.first_group = taken.first_group.min(found.first_group);
            }
        }
        self.due.retain(|_, bucket| !bucket.is_empty());
        connection.execute("DELETE FROM earnings WHERE worker = ?1 AND due_ms < ?2", [worker.0, TAKEN])?;
        Ok((taken.amount > 0).then_some(taken))
    }

    /// Keeps what was taken from a worker in the current group, which is `group`, until it is asked for.
    pub fn put_aside(
        &mut self,
        sql: &mut Statements<'_>,
        worker: AccountId,
        taken: PendingPay,
        group: i64,
    ) -> Result<()> {
        sql.add_earning(taken.first_group, TAKEN + group, worker.0, taken.amount)?;
        self.due.entry(TAKEN + group).or_default().insert(worker, taken);
        Ok(())
    }

    /// The oldest pay of a worker that was put aside, and the group that took it from the worker. It is put aside no longer.
    pub fn take_aside(
        &mut self,
        connection: &Connection,
        worker: AccountId,
    ) -> Result<Option<(PendingPay, i64)>> {
        let mut aside = self.due.range_mut(TAKEN..);
        let found = aside.find_map(|(due, bucket)| Some((*due, bucket.remove(&worker)?)));
        let Some((due_ms, taken)) = found else { return Ok(None) };
        self.due.retain(|_, bucket| !bucket.is_empty());
        connection.execute("DELETE FROM earnings WHERE due_ms = ?1 AND worker = ?2", [due_ms, worker.0])?;
        Ok(Some((taken, due_ms - TAKEN)))
    }

    /// When the next pay falls due.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.keys().next().copied().filter(|due| *due < TAKEN)
    }
}
