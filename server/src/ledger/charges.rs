//! What gamers were charged recently, by minute: from it a restarted coordinator enforces their hourly caps.
//!
//! It is derived from tasks and groups, against which `check` compares it; stored separately so that a join reads some
//! dozens of rows instead of a day's tasks.

use std::collections::HashMap;
use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{Nanos, NumberHash};
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::audit::CheckReport;
use super::entry::{AccountId, state};
use super::folding::Checkpoint;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;
/// Whole minutes kept before the current one: an hour, and one more for charges early in a minute.
const MINUTES_KEPT: i64 = 61;

/// What an account was charged within one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecentCharge {
    /// How much.
    pub amount: Nanos,
    /// How long ago the minute ended, zero if it has not: a lower bound on the age of the charge.
    pub ago: Duration,
}

/// What gamers are charged in the group that is being written, and how far old minutes were deleted.
#[derive(Default)]
pub(super) struct Charges {
    fresh: HashMap<AccountId, i64, NumberHash>,
    deleted_before: i64,
}

impl Charges {
    /// `gamer` is charged `amount` in the current group.
    pub fn add(&mut self, gamer: AccountId, amount: Nanos) {
        if amount > Nanos::ZERO {
            *self.fresh.entry(gamer).or_default() += amount.0;
        }
    }

    /// Records what was charged in the current group, and deletes minutes that are too old.
    pub fn write(&mut self, connection: &Connection, now_ms: i64) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let minute = now_ms.div_euclid(MINUTE_MS);
        let mut add = connection.prepare_cached(
            "INSERT INTO charged (gamer, minute, amount) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?;
        for (gamer, amount) in self.fresh.drain() {
            add.execute(params![gamer.0, minute, amount])?;
        }
        if self.deleted_before < minute - MINUTES_KEPT {
            self.deleted_before = minute - MINUTES_KEPT;
            let mut delete = connection.prepare_cached("DELETE FROM charged WHERE minute < ?1")?;
            delete.execute([self.deleted_before])?;
        }
        Ok(())
    }
}

/// What a gamer was charged in the last hour and up to two minutes before it, the oldest minute first.
pub(super) fn of(connection: &Connection, gamer: AccountId, now_ms: i64) -> Result<Vec<RecentCharge>> {
    let oldest = now_ms.div_euclid(MINUTE_MS) - MINUTES_KEPT;
    let mut select = connection.prepare_cached(
        "SELECT minute, amount FROM charged WHERE gamer = ?1 AND minute >= ?2 ORDER BY minute",
    )?;
    let charged = select.query_map([gamer.0, oldest], |row| {
        let ended_ms = (row.get::<_, i64>(0)? + 1) * MINUTE_MS;
        let ago_ms = u64::try_from(now_ms - ended_ms).unwrap_or(0);
        Ok(RecentCharge { amount: Nanos(row.get(1)?), ago: Duration::from_millis(ago_ms) })
    })?;
    charged.collect()
}

/// Compares minutes that are wholly in the file with what their tasks were charged.
pub(super) fn check(
    connection: &Connection,
    checkpoint: &Checkpoint,
    report: &mut CheckReport,
) -> Result<()> {
    let from_group: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'charged_from_grp'", [], |row| row.get(0))
        .optional()?;
    let first = from_group.unwrap_or(1).max(checkpoint.group + 1);
    let (first_ms, last_ms): (Option<i64>, Option<i64>) = connection.query_row(
        "SELECT (SELECT at_ms FROM groups WHERE id >= ?1 ORDER BY id LIMIT 1), (SELECT max(at_ms) FROM groups)",
        [first],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else { return Ok(()) };
    // The first group's minute may be only partly in the file.
    let oldest = (first_ms.div_euclid(MINUTE_MS) + 1).max(last_ms.div_euclid(MINUTE_MS) - MINUTES_KEPT);
    let mut expected: HashMap<(i64, i64), i64> = HashMap::new();
    let mut select = connection.prepare(
        "SELECT t.gamer, g.at_ms, t.pay + t.fee FROM tasks t JOIN groups g ON g.id = t.closed_grp
         WHERE t.state = ?1 AND g.at_ms >= ?2 AND t.pay + t.fee > 0",
    )?;
    let mut rows = select.query([state::SETTLED.into(), oldest * MINUTE_MS])?;
    while let Some(row) = rows.next()? {
        let minute = row.get::<_, i64>(1)?.div_euclid(MINUTE_MS);
        let sum = expected.entry((row.get(0)?, minute)).or_default();
        *sum = sum.saturating_add(row.get(2)?);
    }
    let mut select = connection.prepare("SELECT gamer, minute, amount FROM charged WHERE minute >= ?1")?;
    let mut rows = select.query([oldest])?;
    while let Some(row) = rows.next()? {
        let (gamer, minute, amount): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let tasks = expected.remove(&(gamer, minute)).unwrap_or(0);
        if tasks != amount {
            report.problem(|| differs(gamer, minute, amount, tasks));
        }
    }
    for ((gamer, minute), tasks) in expected {
        report.problem(|| differs(gamer, minute, 0, tasks));
    }
    Ok(())
}

fn differs(gamer: i64, minute: i64, amount: i64, tasks: i64) -> String {
    format!(
        "account {gamer} was charged {} in minute {minute}, by the sums of its last hour, and {} by its tasks",
        Nanos(amount),
        Nanos(tasks)
    )
}
