//! Folding: what has been over for a day leaves its rows and stays in sums, so that the file is as large as a day's work.
//!
//! Groups are folded in their order, a few in a step, and only if their hashes still fit: what was tampered with is not
//! turned into sums. The chain goes on from the newest folded group's hash, and the group that folds hashes a digest of all
//! the sums, so that changing one is found like changing a transfer.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Result, Row, params};

use super::account_log::{self, AccountLogEntry};
use super::audit::read_transfer;
use super::chain::{GRANTS, GroupHasher, OPENING_CREDITS, PAYOUTS, RELEASES, REVERSALS, Transfer};
use super::entry::{kind, reason, state, verdict};
use super::heads;

/// Transfers folded in one group, unless one group alone has more; some 10 ms.
const TRANSFERS_PER_GROUP: i64 = 2_048;

/// Groups folded in one.
const GROUPS_PER_GROUP: i64 = 1_024;

/// Rows that may be younger than those after them: tasks are recorded in the order of their numbers, or nearly.
const OUT_OF_ORDER_MAX: u32 = 256;

/// How much longer than it must anything is kept, so that a quiet ledger folds now and then and not in every group.
const SLACK_MS: i64 = 10 * 60 * 1_000;

/// How far folding has come.
pub(super) struct Folding {
    kept_ms: i64,
    checkpoint: Checkpoint,
    /// When there is something to fold: in the past while folding is under way; never if the oldest group does not match
    /// its hash.
    due_ms: Option<i64>,
}

/// Up to where everything is folded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    pub group: i64,
    pub hash: [u8; 32],
    /// The largest number of a folded task.
    pub task: i64,
    pub tasks: i64,
    pub transfers: i64,
    pub grants: i64,
    /// Digest of folded accounts, grants and payouts; `None` as long as there are none.
    pub accounts: Option<[u8; 32]>,
    /// Digest of the landmarks; `None` as long as there are none.
    pub landmarks: Option<[u8; 32]>,
}

impl Checkpoint {
    pub fn read(connection: &Connection) -> Result<Self> {
        let sql = "SELECT grp, hash, task, tasks, transfers, grants, accounts, landmarks FROM checkpoint";
        connection.query_row(sql, [], |row| {
            Ok(Self {
                group: row.get(0)?,
                hash: row.get(1)?,
                task: row.get(2)?,
                tasks: row.get(3)?,
                transfers: row.get(4)?,
                grants: row.get(5)?,
                accounts: row.get(6)?,
                landmarks: row.get(7)?,
            })
        })
    }

    fn write(&self, connection: &Connection) -> Result<()> {
        let sql =
            "UPDATE checkpoint SET grp = ?1, hash = ?2, task = ?3, tasks = ?4, transfers = ?5, grants = ?6,
                 accounts = ?7, landmarks = ?8";
        let Self { group, hash, task, tasks, transfers, grants, accounts, landmarks } = self;
        let values = params![group, hash, task, tasks, transfers, grants, accounts, landmarks];
        connection.execute(sql, values).map(|_| ())
    }
}

/// What an account's folded rows add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FoldedSums {
    pub balance: i64,
    pub turnover: i64,
    pub accepted: i64,
    pub rejected: i64,
}

/// What a kind's folded tasks add up to, in the order of the columns.
type KindSums = [i64; 7];

/// Some groups on their way into sums.
#[derive(Default)]
struct Fold {
    transfers: Vec<(i64, Transfer)>,
    /// What the groups did to accounts, in order.
    changes: Vec<(i64, AccountLogEntry)>,
    /// Tasks all of whose rows go.
    tasks: Vec<i64>,
    accounts: BTreeMap<i64, FoldedSums>,
    kinds: BTreeMap<u8, KindSums>,
    verdicts: BTreeMap<u8, i64>,
}

struct Group {
    id: i64,
    at_ms: i64,
    transfers: i64,
    hash: [u8; 32],
    folded: Option<[u8; 32]>,
}

fn read_group(row: &Row<'_>) -> Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        transfers: row.get(2)?,
        hash: row.get(3)?,
        folded: row.get(4)?,
    })
}

impl Folding {
    /// Rows are kept for `kept_ms` after they were written.
    pub fn load(connection: &Connection, kept_ms: i64) -> Result<Self> {
        let mut oldest = connection.prepare("SELECT at_ms FROM groups ORDER BY id LIMIT 1")?;
        let oldest_ms: Option<i64> = oldest.query([])?.next()?.map(|row| row.get(0)).transpose()?;
        let due_ms = Some(oldest_ms.map_or(i64::MAX, |at_ms| at_ms + kept_ms + SLACK_MS));
        Ok(Self { kept_ms, checkpoint: Checkpoint::read(connection)?, due_ms })
    }

    /// Where the chain goes on from.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// When there is next something to fold; `None` if never.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due_ms
    }

    /// A group was written.
    pub fn wrote(&mut self, at_ms: i64) {
        self.due_ms = self.due_ms.map(|due_ms| due_ms.min(at_ms + self.kept_ms + SLACK_MS));
    }

    /// Folds a step's worth of what was written long enough ago, and before `needed_from_ms`; `None` if there was nothing to
    /// fold, and else the digest that the current group is to be hashed with.
    pub fn step(
        &mut self,
        connection: &Connection,
        now_ms: i64,
        needed_from_ms: i64,
    ) -> Result<Option<[u8; 32]>> {
        if self.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(None);
        }
        let groups = oldest_groups(connection, (now_ms - self.kept_ms).min(needed_from_ms))?;
        let Some(last) = groups.last() else {
            self.due_ms = Some(now_ms + SLACK_MS);
            return Ok(None);
        };
        let mut fold = Fold::default();
        fold.collect(connection, last.id)?;
        if !fold.fits(&groups, self.checkpoint.hash) {
            tracing::error!(
                group = last.id,
                "the ledger's older rows do not match their hashes and are not folded: run `p2c2r-server ledger check`"
            );
            self.due_ms = None;
            return Ok(None);
        }
        let grants = fold.transfers.iter().filter(|(_, transfer)| transfer.reason == reason::GRANT).count();
        self.checkpoint = Checkpoint {
            group: last.id,
            hash: last.hash,
            task: fold.tasks.iter().copied().fold(self.checkpoint.task, i64::max),
            tasks: self.checkpoint.tasks + fold.tasks.len() as i64,
            transfers: self.checkpoint.transfers + fold.transfers.len() as i64,
            grants: self.checkpoint.grants + grants as i64,
            ..self.checkpoint
        };
        // The triggers that keep rows from being deleted look at it.
        self.checkpoint.write(connection)?;
        fold.write(connection, last.id)?;
        if !fold.changes.is_empty() {
            self.checkpoint.accounts = Some(account_log::folded_digest(connection)?);
        }
        if heads::keep_landmarks(connection, groups.iter().map(|group| (group.id, group.at_ms, &group.hash)))?
        {
            self.checkpoint.landmarks = Some(account_log::landmarks_digest(connection)?);
        }
        self.checkpoint.write(connection)?;
        digest(connection).map(Some)
    }
}

/// The oldest groups that may be folded, as many as a step takes.
fn oldest_groups(connection: &Connection, before_ms: i64) -> Result<Vec<Group>> {
    let mut select = connection
        .prepare_cached("SELECT id, at_ms, transfers, hash, folded FROM groups ORDER BY id LIMIT ?1")?;
    let mut rows = select.query([GROUPS_PER_GROUP])?;
    let (mut groups, mut transfers) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let group = read_group(row)?;
        transfers += group.transfers;
        if group.at_ms >= before_ms || transfers > TRANSFERS_PER_GROUP && !groups.is_empty() {
            break;
        }
        groups.push(group);
    }
    Ok(groups)
}

impl Fold {
    /// Finds everything of the groups up to `last`.
    fn collect(&mut self, connection: &Connection, last: i64) -> Result<()> {
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

    /// Transfers of one sort that is not tasks', in the order in which they were made.
    fn others(&mut self, connection: &Connection, sql: &str, range: [i64; 2], last: i64) -> Result<()> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(range)?;
        while let Some(row) = rows.next()? {
            let group: i64 = row.get(6)?;
            if group > last {
                break;
            }
            self.add(group, read_transfer(row)?);
        }
        Ok(())
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

    /// Tasks that began up to `last`: their transfers up to it, and all of them if they are over by then.
    fn tasks(&mut self, connection: &Connection, last: i64) -> Result<()> {
        let mut tasks = connection.prepare_cached(
            "SELECT no, opened_grp, closed_grp, gamer, kind, state, pay, fee, source, attempt FROM tasks ORDER BY no",
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
            let mut moved = transfers.query([no << 2, no << 2 | 3])?;
            while let Some(row) = moved.next()? {
                let group: i64 = row.get(6)?;
                if group <= last {
                    self.add(group, read_transfer(row)?);
                }
            }
            if row.get::<_, Option<i64>>(2)?.is_some_and(|closed| closed <= last) {
                self.tasks.push(no);
                self.count_task(row)?;
                let mut made = attempts.query([no << 8, no << 8 | 255])?;
                while let Some(attempt) = made.next()? {
                    self.count_attempt(row, attempt)?;
                }
            }
        }
        Ok(())
    }

    fn count_task(&mut self, task: &Row<'_>) -> Result<()> {
        let (pay, fee): (i64, i64) = (task.get(6)?, task.get(7)?);
        let (settled, source) = (task.get::<_, u8>(5)? == state::SETTLED, task.get::<_, Option<u8>>(8)?);
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

    fn count_attempt(&mut self, task: &Row<'_>, attempt: &Row<'_>) -> Result<()> {
        let said: u8 = attempt.get(1)?;
        *self.verdicts.entry(said).or_default() += 1;
        let Some(worker) = attempt.get::<_, Option<i64>>(0)? else { return Ok(()) };
        let paid = task.get::<_, Option<u8>>(9)? == Some(attempt.get(2)?);
        let pay: i64 = if paid { task.get(6)? } else { 0 };
        let sums = self.at(worker);
        sums.turnover += pay;
        sums.accepted += i64::from(said == verdict::ACCEPTED);
        sums.rejected += i64::from(said == verdict::REJECTED);
        Ok(())
    }

    /// Whether what was found is what the groups were hashed with.
    fn fits(&mut self, groups: &[Group], mut previous: [u8; 32]) -> bool {
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
    fn write(&self, connection: &Connection, last: i64) -> Result<()> {
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
        for (_, transfer) in &self.transfers {
            delete.execute([transfer.id])?;
        }
        let mut delete_task = connection.prepare_cached("DELETE FROM tasks WHERE no = ?1")?;
        let mut delete_attempts =
            connection.prepare_cached("DELETE FROM attempts WHERE id BETWEEN ?1 AND ?2")?;
        for no in &self.tasks {
            delete_task.execute([no])?;
            delete_attempts.execute([no << 8, no << 8 | 255])?;
        }
        connection.prepare_cached("DELETE FROM groups WHERE id <= ?1")?.execute([last]).map(|_| ())
    }
}

/// Every account's folded sums.
pub(super) fn read_sums(connection: &Connection) -> Result<HashMap<i64, FoldedSums>> {
    let mut select =
        connection.prepare("SELECT account, balance, turnover, accepted, rejected FROM folded")?;
    let sums = select.query_map([], |row| {
        let sums = FoldedSums {
            balance: row.get(1)?,
            turnover: row.get(2)?,
            accepted: row.get(3)?,
            rejected: row.get(4)?,
        };
        Ok((row.get(0)?, sums))
    })?;
    sums.collect()
}

/// Digest of the checkpoint and of all sums.
pub(super) fn digest(connection: &Connection) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let checkpoint = Checkpoint::read(connection)?;
    hasher.update(&checkpoint.hash);
    // A ledger that has folded nothing since its chain covers accounts has neither.
    for (tag, digest) in [(b"a", checkpoint.accounts), (b"l", checkpoint.landmarks)] {
        if let Some(digest) = digest {
            hasher.update(tag).update(&digest);
        }
    }
    for sql in [
        "SELECT grp, task, tasks, transfers, grants FROM checkpoint",
        "SELECT account, balance, turnover, accepted, rejected FROM folded ORDER BY account",
        "SELECT kind, tasks, by_worker, by_coordinator, by_cache, void, earned, fee FROM folded_kinds ORDER BY kind",
        "SELECT verdict, attempts FROM folded_attempts ORDER BY verdict",
    ] {
        let mut select = connection.prepare_cached(sql)?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        let mut count = 0_u64;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                hasher.update(&row.get::<_, i64>(column)?.to_le_bytes());
            }
            count += 1;
        }
        // So that no row of one table can pass for one of the next.
        hasher.update(&count.to_le_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}
