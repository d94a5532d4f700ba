//! Folding: rows older than a day are replaced by sums, sooner where there are too many, so that the file stays bounded.
//!
//! Groups are folded in order, a few per step, and only if their hashes match, so that tampered rows are not turned
//! into sums. The chain continues from the newest folded group's hash, and the group that folds hashes a digest of all
//! sums, so a changed sum is detected like a changed transfer.

mod image;
mod sums;

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Result, Row, params};

use super::account_log;
use super::entry::{AccountId, reason};
use super::heads;
use super::outcomes::KeptOutcomes;

use image::FoldedImage;
pub(super) use sums::FoldedSums;
use sums::{Fold, GroupRow};

/// The most transfers, the most ended tasks and the most changes of accounts folded in one step; a single group with more
/// is folded all the same. Nothing else is recorded meanwhile, so a step has to stay short;
/// `what_a_step_of_folding_takes` measures it.
const ROWS_PER_STEP: i64 = 2_048;

/// Groups folded in one step.
const GROUPS_PER_STEP: i64 = 1_024;

/// Extra time that rows are kept, so that a quiet ledger folds occasionally instead of in every group.
const SLACK_MS: i64 = 10 * 60 * 1_000;

/// The shortest time that rows are kept, however many there are: late verdicts are about attempts of the last minutes.
const KEPT_EARLY_MS: i64 = 10 * 60 * 1_000;

/// Where there are too many rows and all are too young to be folded: how long to wait before looking at them again.
const EARLY_SLACK_MS: i64 = 1_000;

/// The progress of folding.
pub(super) struct Folding {
    kept_ms: i64,
    /// `kept_ms` for when there are too many rows.
    kept_early_ms: i64,
    checkpoint: Checkpoint,
    sums: FoldedImage,
    /// When there is something to fold: in the past while folding is under way; never if the oldest group does not match
    /// its hash.
    due_ms: Option<i64>,
}

/// A step that was taken.
pub(super) struct FoldingStep {
    /// Digest of all sums, which the current group's hash must include.
    pub digest: [u8; 32],
    /// For each gamer, the number of tasks whose rows the step deleted.
    pub tasks: BTreeMap<AccountId, u64>,
}

/// The newest folded group, and totals of all folded ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    pub group: i64,
    pub hash: [u8; 32],
    /// The largest number of a folded task.
    pub task: i64,
    pub tasks: i64,
    pub transfers: i64,
    pub grants: i64,
    /// Digest of folded accounts, grants and payouts; `None` before the first are folded.
    pub accounts: Option<[u8; 32]>,
    /// Digest of the landmarks; `None` before the first is kept.
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

fn read_group(row: &Row<'_>) -> Result<GroupRow> {
    Ok(GroupRow {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        transfers: row.get(2)?,
        hash: row.get(3)?,
        folded: row.get(4)?,
    })
}

impl Folding {
    /// Rows are kept until both `outcomes_kept_ms` and `pending_ms` have passed since they were written. Where there are too
    /// many rows, which `is_early` says of the start, `pending_ms` and [`KEPT_EARLY_MS`] are enough.
    pub fn load(
        connection: &Connection,
        outcomes_kept_ms: i64,
        pending_ms: i64,
        is_early: bool,
    ) -> Result<Self> {
        let (kept_ms, kept_early_ms) = (outcomes_kept_ms.max(pending_ms), pending_ms.max(KEPT_EARLY_MS));
        let mut oldest = connection.prepare("SELECT at_ms FROM groups ORDER BY id LIMIT 1")?;
        let oldest_ms: Option<i64> = oldest.query([])?.next()?.map(|row| row.get(0)).transpose()?;
        let due_ms = oldest_ms.map_or(i64::MAX, |at_ms| at_ms + kept_ms + SLACK_MS);
        let due_ms = Some(if is_early { 0 } else { due_ms });
        let (checkpoint, sums) = (Checkpoint::read(connection)?, FoldedImage::load(connection)?);
        Ok(Self { kept_ms, kept_early_ms, checkpoint, sums, due_ms })
    }

    /// The end of the folded part, from which the chain continues.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// When there is next something to fold; `None` if never.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due_ms
    }

    /// A group was written; `is_early` says that there are now too many rows.
    pub fn wrote(&mut self, at_ms: i64, is_early: bool) {
        let next_ms = if is_early { at_ms + EARLY_SLACK_MS } else { at_ms + self.kept_ms + SLACK_MS };
        self.due_ms = self.due_ms.map(|due_ms| due_ms.min(next_ms));
    }

    /// Folds one step of the groups that are old enough; `is_early` says that there are too many rows, so that it suffices if
    /// a group's pay is not pending. Deletes the outcomes of their tasks: early they may still be usable, otherwise they have
    /// expired, unless a longer time was set when they were kept. `None` if there was nothing to fold.
    pub fn step(
        &mut self,
        connection: &Connection,
        now_ms: i64,
        is_early: bool,
        outcomes: &mut KeptOutcomes,
    ) -> Result<Option<FoldingStep>> {
        if self.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(None);
        }
        let kept_ms = if is_early { self.kept_early_ms } else { self.kept_ms };
        let groups = oldest_groups(connection, now_ms - kept_ms)?;
        let Some(last) = groups.last() else {
            self.due_ms = Some(now_ms + if is_early { EARLY_SLACK_MS } else { SLACK_MS });
            return Ok(None);
        };
        let mut fold = Fold::default();
        fold.collect(connection, last.id)?;
        if !fold.fits(&groups, self.checkpoint.hash) {
            tracing::error!(
                group = last.id,
                "the ledger's older rows do not match their hashes and are not folded: run `ledger check`"
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
        outcomes.let_go(connection, last.id)?;
        // Written first: the triggers that protect rows from deletion read the checkpoint.
        self.checkpoint.write(connection)?;
        fold.write(connection, last.id)?;
        self.sums.add(&fold.accounts);
        if !fold.changes.is_empty() {
            self.checkpoint.accounts = Some(account_log::folded_digest(connection)?);
        }
        if heads::keep_landmarks(connection, groups.iter().map(|group| (group.id, group.at_ms, &group.hash)))?
        {
            self.checkpoint.landmarks = Some(account_log::landmarks_digest(connection)?);
        }
        self.checkpoint.write(connection)?;
        Ok(Some(FoldingStep { digest: digest(connection, &self.sums)?, tasks: fold.ended }))
    }
}

/// The oldest groups that were written before `before_ms`, at most those of one step.
fn oldest_groups(connection: &Connection, before_ms: i64) -> Result<Vec<GroupRow>> {
    let mut select = connection
        .prepare_cached("SELECT id, at_ms, transfers, hash, folded FROM groups ORDER BY id LIMIT ?1")?;
    let mut rows = select.query([GROUPS_PER_STEP])?;
    let (mut groups, mut transfers) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let group = read_group(row)?;
        transfers += group.transfers;
        if group.at_ms >= before_ms || transfers > ROWS_PER_STEP && !groups.is_empty() {
            break;
        }
        groups.push(group);
    }
    if let Some(last) = groups.last() {
        // Tasks that were voided in the group they began in have no transfers, nor have changes of accounts.
        let last = account_log::in_bounds(connection, last.id, ROWS_PER_STEP)?;
        let last = sums::in_bounds(connection, last, ROWS_PER_STEP)?;
        groups.truncate(groups.partition_point(|group| group.id <= last).max(1));
    }
    Ok(groups)
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

/// Digest of the checkpoint and of all sums, as the file has them.
pub(super) fn digest_of_file(connection: &Connection) -> Result<[u8; 32]> {
    digest(connection, &FoldedImage::load(connection)?)
}

fn digest(connection: &Connection, sums: &FoldedImage) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let checkpoint = Checkpoint::read(connection)?;
    hasher.update(&checkpoint.hash);
    // Both are absent until something is folded under a chain that covers accounts.
    for (tag, digest) in [(b"a", checkpoint.accounts), (b"l", checkpoint.landmarks)] {
        if let Some(digest) = digest {
            hasher.update(tag).update(&digest);
        }
    }
    hash_numbers(connection, "SELECT grp, task, tasks, transfers, grants FROM checkpoint", &mut hasher)?;
    sums.hash_into(&mut hasher);
    for sql in [
        "SELECT kind, tasks, by_worker, by_coordinator, by_cache, void, earned, fee FROM folded_kinds ORDER BY kind",
        "SELECT verdict, attempts FROM folded_attempts ORDER BY verdict",
    ] {
        hash_numbers(connection, sql, &mut hasher)?;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Hashes a table of numbers.
fn hash_numbers(connection: &Connection, sql: &str, hasher: &mut blake3::Hasher) -> Result<()> {
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
    // Separates the tables, so that a row of one cannot be mistaken for a row of the next.
    hasher.update(&count.to_le_bytes());
    Ok(())
}
