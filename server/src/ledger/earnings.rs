//! Pay on its way from pending to available: kept by the time it falls due, released in whole buckets.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use p2c2r_protocol::NumberHash;
use rusqlite::{Connection, Result};

use super::entry::AccountId;
use super::statements::Statements;

/// Pending pay by when it falls due.
pub(super) struct Earnings {
    window_ms: i64,
    /// Width of a bucket: a sixtieth of the window, between a second and a minute. Pay is released at most
    /// one bucket late, never early.
    bucket_ms: i64,
    due: BTreeMap<i64, BTreeMap<AccountId, i64>>,
    fresh: HashMap<AccountId, i64, NumberHash>,
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
        let mut select = connection.prepare("SELECT due_ms, worker, amount FROM earnings")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            earnings.due.entry(row.get(0)?).or_default().insert(AccountId(row.get(1)?), row.get(2)?);
        }
        Ok(earnings)
    }

    /// `worker` earned `amount` in the current group.
    pub fn add(&mut self, worker: AccountId, amount: i64) {
        *self.fresh.entry(worker).or_default() += amount;
    }

    /// Records what was earned in the current group.
    pub fn write(&mut self, sql: &mut Statements<'_>, now_ms: i64) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let due_ms = (now_ms + self.window_ms).div_euclid(self.bucket_ms) * self.bucket_ms + self.bucket_ms;
        let bucket = self.due.entry(due_ms).or_default();
        for (worker, amount) in self.fresh.drain() {
            sql.add_earning(due_ms, worker.0, amount)?;
            *bucket.entry(worker).or_default() += amount;
        }
        Ok(())
    }

    /// Takes everything that is due out of the file and out of memory: who gets what.
    pub fn take_due(&mut self, connection: &Connection, now_ms: i64) -> Result<BTreeMap<AccountId, i64>> {
        let mut released = BTreeMap::new();
        while let Some(bucket) = self.due.first_entry()
            && *bucket.key() <= now_ms
        {
            connection.execute("DELETE FROM earnings WHERE due_ms = ?1", [*bucket.key()])?;
            for (worker, amount) in bucket.remove() {
                *released.entry(worker).or_default() += amount;
            }
        }
        Ok(released)
    }

    /// When the next pay falls due.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.keys().next().copied()
    }
}
