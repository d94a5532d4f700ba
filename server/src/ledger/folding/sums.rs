//! One step of folding: reads the rows of some groups, checks them against the groups' hashes, and replaces them by sums.

use std::collections::{BTreeMap, BinaryHeap};

use rusqlite::{Connection, Result, Row, params};

use super::super::account_log::{self, AccountLogEntry};
use super::super::audit::read_transfer;
use super::super::chain::{GRANTS, GroupHasher, OPENING_CREDITS, PAYOUTS, RELEASES, REVERSALS, Transfer};
use super::super::entry::{AccountId, kind, reason, state, verdict};

/// Rows of younger tasks to look past before no older ones are expected: tasks are recorded almost in the order of their
/// numbers.
const OUT_OF_ORDER_MAX: u32 = 256;

/// What an account's folded rows add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ledger) struct FoldedSums {
    pub balance: i64,
    pub turnover: i64,
    pub accepted: i64,
    pub rejected: i64,
}

/// What a kind's folded tasks add up to, in the order of the columns of `folded_kinds`.
type KindSums = [i64; 7];

/// The rows of the groups that one step folds, and what they add up to.
#[derive(Default)]
pub(super) struct Fold {
    pub transfers: Vec<(i64, Transfer)>,
    /// Ids of those that have rows of their own.
    transfer_rows: Vec<i64>,
    /// What the groups did to accounts, in order.
    pub changes: Vec<(i64, AccountLogEntry)>,
    /// Tasks that are over, all of whose rows are deleted.
    pub tasks: Vec<i64>,
    /// The number of these tasks that each gamer has.
    pub ended: BTreeMap<AccountId, u64>,
    /// Those of these tasks whose attempts have rows of their own.
    with_attempts: Vec<i64>,
    pub accounts: BTreeMap<i64, FoldedSums>,
    kinds: BTreeMap<u8, KindSums>,
    verdicts: BTreeMap<u8, i64>,
}

/// A group as the file has it.
pub(super) struct GroupRow {
    pub id: i64,
    pub at_ms: i64,
    pub transfers: i64,
    pub hash: [u8; 32],
    pub folded: Option<[u8; 32]>,
}

/// The newest group, at most `last`, up to and including which no more than `tasks_max` tasks with rows have ended.
pub(super) fn in_bounds(connection: &Connection, mut last: i64, tasks_max: i64) -> Result<i64> {
    let mut tasks = connection.prepare_cached("SELECT opened_grp, closed_grp FROM tasks ORDER BY no")?;
    let mut rows = tasks.query([])?;
    let (mut ends, mut younger) = (BinaryHeap::new(), 0);
    while let Some(row) = rows.next()?
        && younger <= OUT_OF_ORDER_MAX
    {
        let (opened, closed): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        if opened > last {
            younger += 1;
            continue;
        }
        younger = 0;
        ends.extend(closed.filter(|closed| *closed <= last));
        if ends.len() as i64 > tasks_max
            && let Some(latest) = ends.pop()
        {
            last = latest - 1;
            while ends.peek().is_some_and(|end| *end > last) {
                ends.pop();
            }
        }
    }
    Ok(last)
}

impl Fold {
    /// Reads all rows of the groups up to `last`.
    pub fn collect(&mut self, connection: &Connection, last: i64) -> Result<()> {
        for (first, end) in
            [(PAYOUTS, RELEASES), (RELEASES, GRANTS), (GRANTS, REVERSALS), (REVERSALS, OPENING_CREDITS)]
        {
            let sql = "SELECT id, debit, credit, amount, reason, attempt, grp FROM transfers
                 WHERE id >= ?1 AND id < ?2 ORDER BY id";
            self.others(connection, sql, [first, end], last)?;
        }
        // A later account has a lower id.
        let sql = "SELECT id, debit, credit, amount, reason, attempt, grp FROM transfers
             WHERE id >= ?1 AND id < ?2 ORDER BY id DESC";
        self.others(connection, sql, [OPENING_CREDITS, 0], last)?;
        let sql = "SELECT grp, account, what, number, bytes, text FROM account_log WHERE grp <= ?1 ORDER BY grp, id";
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([last])?;
        while let Some(row) = rows.next()? {
            self.changes.push((row.get(0)?, AccountLogEntry::read(row, 1)?));
        }
        self.tasks(connection, last)
    }

    /// Reads transfers of one sort that belong to no task, in the order in which they were made.
    fn others(&mut self, connection: &Connection, sql: &str, range: [i64; 2], last: i64) -> Result<()> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(range)?;
        while let Some(row) = rows.next()? {
            let group: i64 = row.get(6)?;
            if group > last {
                break;
            }
            self.add_row(group, read_transfer(row)?);
        }
        Ok(())
    }

    fn add_row(&mut self, group: i64, transfer: Transfer) {
        self.transfer_rows.push(transfer.id);
        self.add(group, transfer);
    }

    fn add(&mut self, group: i64, transfer: Transfer) {
        self.at(transfer.debit).balance -= transfer.amount;
        self.at(transfer.credit).balance += transfer.amount;
        if transfer.reason == reason::REVERSAL {
            self.at(transfer.debit - 1).turnover -= transfer.amount;
            if transfer.credit != kind::FEE_ACCOUNT {
                self.at(transfer.credit).turnover -= transfer.amount;
            }
        }
        self.transfers.push((group, transfer));
    }

    fn at(&mut self, account: i64) -> &mut FoldedSums {
        self.accounts.entry(account).or_default()
    }

    /// Reads tasks that began up to `last`: their transfers up to it, and of those that are over by then all rows.
    fn tasks(&mut self, connection: &Connection, last: i64) -> Result<()> {
        let mut tasks = connection.prepare_cached(
            "SELECT no, opened_grp, closed_grp, gamer, kind, state, pay, fee, source, attempt, worker
             FROM tasks ORDER BY no",
        )?;
        let mut transfers = connection.prepare_cached(
            "SELECT id, debit, credit, amount, reason, attempt, grp FROM transfers WHERE id BETWEEN ?1 AND ?2",
        )?;
        let mut attempts = connection
            .prepare_cached("SELECT worker, verdict, id & 255 FROM attempts WHERE id BETWEEN ?1 AND ?2")?;
        let mut rows = tasks.query([])?;
        let mut younger = 0;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? > last {
                younger += 1;
                if younger > OUT_OF_ORDER_MAX {
                    break;
                }
                continue;
            }
            younger = 0;
            let no: i64 = row.get(0)?;
            if let Some(worker) = row.get(10)? {
                self.in_one_row(row, worker)?;
                continue;
            }
            let mut moved = transfers.query([no << 2, no << 2 | 3])?;
            while let Some(row) = moved.next()? {
                let group: i64 = row.get(6)?;
                if group <= last {
                    self.add_row(group, read_transfer(row)?);
                }
            }
            if row.get::<_, Option<i64>>(2)?.is_some_and(|closed| closed <= last) {
                self.tasks.push(no);
                self.with_attempts.push(no);
                self.count_task(row)?;
                let mut made = attempts.query([no << 8, no << 8 | 255])?;
                while let Some(attempt) = made.next()? {
                    self.count_attempt(row, attempt.get(0)?, attempt.get(1)?, attempt.get(2)?)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a task whose row stands for its attempt and its transfers.
    fn in_one_row(&mut self, task: &Row<'_>, worker: i64) -> Result<()> {
        let (no, gamer): (i64, i64) = (task.get(0)?, task.get(3)?);
        // Both are set, unless the row was tampered with; then it does not fit its group's hash.
        let group = task.get::<_, Option<i64>>(2)?.unwrap_or(0);
        let attempt = task.get::<_, Option<u8>>(9)?.unwrap_or(0);
        let (pay, fee) = (task.get(6)?, task.get(7)?);
        let mut id = no << 2;
        for (credit, amount, reason, attempt) in
            [(worker + 1, pay, reason::PAY, attempt), (kind::FEE_ACCOUNT, fee, reason::FEE, 0)]
        {
            if amount > 0 {
                id += 1;
                self.add(group, Transfer { id, debit: gamer, credit, amount, reason, attempt });
            }
        }
        self.tasks.push(no);
        self.count_task(task)?;
        self.count_attempt(task, Some(worker), verdict::ACCEPTED, attempt)
    }

    fn count_task(&mut self, task: &Row<'_>) -> Result<()> {
        let (pay, fee): (i64, i64) = (task.get(6)?, task.get(7)?);
        let (settled, source) = (task.get::<_, u8>(5)? == state::SETTLED, task.get::<_, Option<u8>>(8)?);
        *self.ended.entry(AccountId(task.get(3)?)).or_default() += 1;
        let gamer = self.at(task.get(3)?);
        gamer.turnover += pay + fee;
        gamer.accepted += i64::from(settled);
        gamer.rejected += i64::from(!settled);
        let by = |number| i64::from(source == Some(number));
        let line = [1, by(1), by(2), by(3), i64::from(!settled), pay, fee];
        let sums = self.kinds.entry(task.get(4)?).or_default();
        for (sum, one) in sums.iter_mut().zip(line) {
            *sum += one;
        }
        Ok(())
    }

    fn count_attempt(&mut self, task: &Row<'_>, worker: Option<i64>, said: u8, number: u8) -> Result<()> {
        *self.verdicts.entry(said).or_default() += 1;
        let Some(worker) = worker else { return Ok(()) };
        let paid = task.get::<_, Option<u8>>(9)? == Some(number);
        let pay: i64 = if paid { task.get(6)? } else { 0 };
        let sums = self.at(worker);
        sums.turnover += pay;
        sums.accepted += i64::from(said == verdict::ACCEPTED);
        sums.rejected += i64::from(said == verdict::REJECTED);
        Ok(())
    }

    /// Whether the rows match the hashes of their groups.
    pub fn fits(&mut self, groups: &[GroupRow], mut previous: [u8; 32]) -> bool {
        self.transfers.sort_unstable_by_key(|(group, transfer)| (*group, transfer.id));
        let (mut rest, mut changes) = (&self.transfers[..], &self.changes[..]);
        for group in groups {
            let many = rest.iter().take_while(|(of, _)| *of == group.id).count();
            let (own, after) = rest.split_at(many);
            rest = after;
            let mut hasher = GroupHasher::new(&previous, group.id, group.at_ms);
            for (_, transfer) in own {
                hasher.add(transfer);
            }
            let many = changes.iter().take_while(|(of, _)| *of == group.id).count();
            let (done, after) = changes.split_at(many);
            changes = after;
            if let Some(digest) = account_log::digest(done.iter().map(|(_, change)| change)) {
                hasher.add_accounts(&digest);
            }
            if let Some(folded) = &group.folded {
                hasher.add_folded(folded);
            }
            if own.len() as i64 != group.transfers || hasher.finish() != group.hash {
                return false;
            }
            previous = group.hash;
        }
        rest.is_empty() && changes.is_empty()
    }

    /// Adds to the sums and deletes the rows.
    pub fn write(&self, connection: &Connection, last: i64) -> Result<()> {
        let mut add = connection.prepare_cached(
            "INSERT INTO folded (account, balance, turnover, accepted, rejected) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET balance = balance + ?2, turnover = turnover + ?3,
                 accepted = accepted + ?4, rejected = rejected + ?5",
        )?;
        for (account, sums) in &self.accounts {
            add.execute(params![account, sums.balance, sums.turnover, sums.accepted, sums.rejected])?;
        }
        let mut add = connection.prepare_cached(
            "INSERT INTO folded_kinds (kind, tasks, by_worker, by_coordinator, by_cache, void, earned, fee)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET tasks = tasks + ?2, by_worker = by_worker + ?3,
                 by_coordinator = by_coordinator + ?4, by_cache = by_cache + ?5, void = void + ?6,
                 earned = earned + ?7, fee = fee + ?8",
        )?;
        for (kind, [tasks, worker, coordinator, cache, void, earned, fee]) in &self.kinds {
            add.execute(params![kind, tasks, worker, coordinator, cache, void, earned, fee])?;
        }
        let mut add = connection.prepare_cached(
            "INSERT INTO folded_attempts (verdict, attempts) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET attempts = attempts + ?2",
        )?;
        for (verdict, attempts) in &self.verdicts {
            add.execute(params![verdict, attempts])?;
        }
        for (_, change) in &self.changes {
            account_log::fold(connection, change)?;
        }
        connection.prepare_cached("DELETE FROM account_log WHERE grp <= ?1")?.execute([last])?;
        let mut delete = connection.prepare_cached("DELETE FROM transfers WHERE id = ?1")?;
        for id in &self.transfer_rows {
            delete.execute([id])?;
        }
        let mut delete_task = connection.prepare_cached("DELETE FROM tasks WHERE no = ?1")?;
        let mut delete_attempts =
            connection.prepare_cached("DELETE FROM attempts WHERE id BETWEEN ?1 AND ?2")?;
        for no in &self.tasks {
            delete_task.execute([no])?;
        }
        for no in &self.with_attempts {
            delete_attempts.execute([no << 8, no << 8 | 255])?;
        }
        connection.prepare_cached("DELETE FROM groups WHERE id <= ?1")?.execute([last]).map(|_| ())
    }
}
