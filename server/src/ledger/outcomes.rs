//! Outcomes kept for the cache: for 24 hours, up to a number of bytes, and none of convicted workers. They are deleted in
//! steps that keep a group short.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Digest, KindId, Nanos, PassedCheck, TaskId, TaskNo, WorkUnits};
use rusqlite::{Connection, OptionalExtension as _, Result, Row};

use super::account::{CachedOutcome, SettledTask};
use super::chain::checksum;
use super::entry::AccountId;
use super::options::LedgerOptions;
use super::outcome_index::OutcomeIndex;
use super::sql::Statements;

/// Expired rows deleted per group: more than a busy coordinator's group adds.
const EXPIRED_PER_GROUP: i64 = 8_192;

/// Rows searched for revoked workers' outcomes per group; about 10 ms.
const REVOKED_PER_GROUP: i64 = 4_096;

/// The writer's state of the outcomes table.
pub(super) struct KeptOutcomes {
    kept_ms: i64,
    bytes_max: i64,
    bytes: i64,
    next_id: i64,
    oldest: Option<OldestOutcome>,
    index: Arc<OutcomeIndex>,
    /// Keys and rows of the current group's outcomes that others may be given.
    new: Vec<(Digest, i64)>,
    /// Workers whose rows are being deleted.
    revoked: BTreeMap<AccountId, Revocation>,
}

/// The outcome with the lowest id, which was kept before all others.
#[derive(Clone, Copy)]
struct OldestOutcome {
    id: i64,
    expires_ms: i64,
}

struct Revocation {
    below: i64,
    done: i64,
}

impl KeptOutcomes {
    pub fn load(connection: &Connection, options: &LedgerOptions, now_ms: i64) -> Result<Self> {
        let kept_ms =
            i64::try_from(options.outcomes_kept.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        shorten(connection, now_ms + kept_ms)?;
        delete_orphans(connection)?;
        let (bytes, last): (i64, i64) = connection.query_row(
            "SELECT coalesce(sum(length(bytes)), 0), coalesce(max(id), 0) FROM outcomes",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut kept = Self {
            kept_ms,
            bytes_max: i64::try_from(options.outcome_bytes_max).unwrap_or(i64::MAX),
            bytes,
            next_id: last + 1,
            oldest: None,
            index: Arc::default(),
            new: Vec::new(),
            revoked: BTreeMap::new(),
        };
        kept.find_oldest(connection)?;
        let mut select = connection.prepare("SELECT worker, below FROM revocations")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let below: i64 = row.get(1)?;
            // SQLite reuses ids once the table is empty; a revocation must not reach new rows.
            kept.next_id = kept.next_id.max(below);
            kept.revoked.insert(AccountId(row.get(0)?), Revocation { below, done: 0 });
        }
        Ok(kept)
    }

    /// The index of outcomes that are durable and that others may be given.
    pub fn index(&self) -> &Arc<OutcomeIndex> {
        &self.index
    }

    /// To be called when the current group is durable: its outcomes can be found from now on.
    pub fn group_is_durable(&mut self) {
        for (key, row) in self.new.drain(..) {
            self.index.add(key, row);
        }
    }

    /// Keeps an outcome, given with its task, whether that is patient, and whether others may be given the outcome.
    pub fn keep(
        &mut self,
        sql: &mut Statements<'_>,
        (task, patient, is_shared): (u64, bool, bool),
        key: &Digest,
        worker: Option<AccountId>,
        bytes: &[u8],
        now_ms: i64,
    ) -> Result<()> {
        let expires_ms = now_ms + self.kept_ms;
        let id = self.next_id;
        let sum = checksum(&key.0, bytes);
        sql.add_outcome(id, task, worker.map(|worker| worker.0), expires_ms, sum, bytes, patient)?;
        if is_shared {
            self.new.push((*key, id));
        }
        self.next_id += 1;
        self.bytes += bytes.len() as i64;
        self.oldest.get_or_insert(OldestOutcome { id, expires_ms });
        Ok(())
    }

    /// Deletes one step of rows that have expired or exceed the bounds; returns whether anything was deleted.
    pub fn expire(&mut self, connection: &Connection, now_ms: i64) -> Result<bool> {
        let Some(OldestOutcome { id: first, expires_ms }) = self.oldest else { return Ok(false) };
        if expires_ms > now_ms && self.bytes <= self.bytes_max {
            return Ok(false);
        }
        let mut last = None;
        let mut select = connection.prepare_cached(
            "SELECT id, expires_ms, length(bytes) FROM outcomes WHERE id >= ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = select.query([first, EXPIRED_PER_GROUP])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? > now_ms && self.bytes <= self.bytes_max {
                break;
            }
            last = Some(row.get::<_, i64>(0)?);
            self.bytes -= row.get::<_, i64>(2)?;
        }
        if let Some(last) = last {
            connection.prepare_cached("DELETE FROM outcomes WHERE id <= ?1")?.execute([last])?;
        }
        self.find_oldest(connection)?;
        Ok(last.is_some())
    }

    /// Deletes the outcomes of tasks that were closed up to this group.
    pub fn let_go(&mut self, connection: &Connection, group: i64) -> Result<()> {
        let Some(OldestOutcome { id: first, .. }) = self.oldest else { return Ok(()) };
        let mut last = None;
        let mut select = connection.prepare_cached(
            "SELECT o.id, length(o.bytes), t.closed_grp FROM outcomes o JOIN tasks t ON t.no = o.task
             WHERE o.id >= ?1 ORDER BY o.id",
        )?;
        let mut rows = select.query([first])?;
        // Outcomes are kept in the order in which their tasks were closed.
        while let Some(row) = rows.next()?
            && row.get::<_, i64>(2)? <= group
        {
            last = Some(row.get::<_, i64>(0)?);
            self.bytes -= row.get::<_, i64>(1)?;
        }
        let Some(last) = last else { return Ok(()) };
        connection.prepare_cached("DELETE FROM outcomes WHERE id <= ?1")?.execute([last])?;
        self.find_oldest(connection)
    }

    /// Deletes the outcome of a task; returns whether it was there. Rows are in the order in which their tasks were closed,
    /// and within a group in the order of the tasks' numbers, so a binary search finds it.
    pub fn forget(&mut self, connection: &Connection, task: TaskNo) -> Result<bool> {
        let closed: Option<Option<i64>> = connection
            .prepare_cached("SELECT closed_grp FROM tasks WHERE no = ?1")?
            .query_row([task.0 as i64], |row| row.get(0))
            .optional()?;
        let (Some(group), Some(oldest)) = (closed.flatten(), self.oldest) else { return Ok(false) };
        let mut select = connection.prepare_cached(
            "SELECT o.id, t.closed_grp, t.no, length(o.bytes) FROM outcomes o JOIN tasks t ON t.no = o.task
             WHERE o.id >= ?1 AND o.id < ?2 ORDER BY o.id LIMIT 1",
        )?;
        let (mut from, mut to) = (oldest.id, self.next_id);
        while from < to {
            let middle = from + (to - from) / 2;
            let found = select
                .query_row([middle, to], |row| {
                    Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?), row.get::<_, i64>(3)?))
                })
                .optional()?;
            let Some((id, place, bytes)) = found else {
                to = middle;
                continue;
            };
            match place.cmp(&(group, task.0 as i64)) {
                Ordering::Less => from = id + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => {
                    connection.prepare_cached("DELETE FROM outcomes WHERE id = ?1")?.execute([id])?;
                    self.bytes -= bytes;
                    self.find_oldest(connection)?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Marks all present outcomes of `worker` for deletion.
    pub fn revoke(&mut self, connection: &Connection, worker: AccountId) -> Result<()> {
        connection.execute(
            "INSERT INTO revocations (worker, below) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET below = excluded.below",
            [worker.0, self.next_id],
        )?;
        self.revoked.insert(worker, Revocation { below: self.next_id, done: 0 });
        Ok(())
    }

    /// Deletes one step of one revoked worker's rows; returns whether there was anything to do.
    pub fn revoke_step(&mut self, connection: &Connection) -> Result<bool> {
        let Some((&worker, revocation)) = self.revoked.iter_mut().next() else { return Ok(false) };
        // The step is measured in rows, not in ids, which may have wide gaps.
        let until: Option<i64> = connection
            .prepare_cached("SELECT id FROM outcomes WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2")?
            .query_row([revocation.done, REVOKED_PER_GROUP], |row| row.get(0))
            .optional()?;
        let until = until.unwrap_or(i64::MAX).min(revocation.below - 1);
        let bytes: i64 = connection
            .prepare_cached(
                "SELECT coalesce(sum(length(bytes)), 0) FROM outcomes
                 WHERE id > ?1 AND id <= ?2 AND worker = ?3",
            )?
            .query_row([revocation.done, until, worker.0], |row| row.get(0))?;
        connection
            .prepare_cached("DELETE FROM outcomes WHERE id > ?1 AND id <= ?2 AND worker = ?3")?
            .execute([revocation.done, until, worker.0])?;
        self.bytes -= bytes;
        revocation.done = until;
        if until + 1 >= revocation.below {
            connection.execute("DELETE FROM revocations WHERE worker = ?1", [worker.0])?;
            self.revoked.remove(&worker);
            self.find_oldest(connection)?;
        }
        Ok(true)
    }

    /// How long outcomes are kept.
    pub fn kept_ms(&self) -> i64 {
        self.kept_ms
    }

    /// When there is next something to delete; `None` if never.
    pub fn next_due_ms(&self) -> Option<i64> {
        if !self.revoked.is_empty() || self.bytes > self.bytes_max && self.oldest.is_some() {
            return Some(0);
        }
        self.oldest.map(|oldest| oldest.expires_ms)
    }

    /// The newest outcomes that others may be given, within the options' bounds, newest first.
    pub fn newest(
        connection: &Connection,
        options: &LedgerOptions,
        now_ms: i64,
    ) -> Result<Vec<CachedOutcome>> {
        let mut select = connection.prepare(&format!("{SELECT_USABLE} ORDER BY o.id DESC"))?;
        let mut rows = select.query([])?;
        let (mut found, mut keys, mut bytes_total) = (Vec::new(), HashSet::new(), 0);
        while let Some(row) = rows.next()? {
            // Rows expire in the order of their ids.
            if row.get::<_, i64>(1)? <= now_ms {
                break;
            }
            let Some(outcome) = usable(row, now_ms)?.filter(|outcome| keys.insert(outcome.key)) else {
                continue;
            };
            bytes_total += outcome.bytes.len();
            if found.len() >= options.cache_entries_max || bytes_total > options.cache_bytes_max {
                break;
            }
            found.push(outcome);
        }
        Ok(found)
    }

    fn find_oldest(&mut self, connection: &Connection) -> Result<()> {
        self.oldest = connection
            .prepare_cached("SELECT id, expires_ms FROM outcomes ORDER BY id LIMIT 1")?
            .query_row([], |row| Ok(OldestOutcome { id: row.get(0)?, expires_ms: row.get(1)? }))
            .optional()?;
        Ok(())
    }
}

/// Selects outcomes that others may be given: those that were checked deeply or computed by the coordinator, except those of
/// a convicted worker that are still to be deleted. [`usable`] reads the columns.
pub(super) const SELECT_USABLE: &str =
    "SELECT o.worker, o.expires_ms, o.checksum, o.bytes, t.key, t.kind, t.kernel_version, a.name, o.patient, t.gamer,
         t.game_task, t.pay + t.fee, t.units, t.price_list, t.passed
     FROM outcomes o JOIN tasks t ON t.no = o.task LEFT JOIN accounts a ON a.id = o.worker
     WHERE t.passed <> 1
         AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.worker = o.worker AND o.id < r.below)";

/// The outcome in a row of [`SELECT_USABLE`]; `None` if it has expired or is damaged.
pub(super) fn usable(row: &Row<'_>, now_ms: i64) -> Result<Option<CachedOutcome>> {
    let worker = row.get::<_, Option<i64>>(0)?.map(AccountId);
    let expires_ms: i64 = row.get(1)?;
    let bytes = row.get_ref(3)?.as_blob()?;
    let key: [u8; 32] = row.get(4)?;
    if expires_ms <= now_ms || checksum(&key, bytes) != row.get::<_, i64>(2)? {
        return Ok(None);
    }
    let name: Option<String> = row.get(7)?;
    Ok(Some(CachedOutcome {
        key: Digest(key),
        kind: KindId(row.get(5)?),
        kernel_version: row.get(6)?,
        worker: worker.zip(name.map(Into::into)),
        bytes: bytes.into(),
        patient: row.get(8)?,
        expires_in: Duration::from_millis((expires_ms - now_ms) as u64),
        settled: SettledTask {
            gamer: AccountId(row.get(9)?),
            game_task: TaskId(row.get::<_, i64>(10)? as u64),
            charged: Nanos(row.get(11)?),
            units: WorkUnits(row.get::<_, i64>(12)? as u64),
            price_list: row.get(13)?,
            // The codes are those of `closing_of` in `posting.rs`; SELECT_USABLE excludes 1.
            check: if row.get::<_, u8>(14)? == 2 { PassedCheck::Deep } else { PassedCheck::Own },
        },
    }))
}

/// Shortens expiries to `expires_ms`, in case outcomes were kept for longer before: rows must expire in the order of
/// their ids.
fn shorten(connection: &Connection, expires_ms: i64) -> Result<()> {
    connection.execute("UPDATE outcomes SET expires_ms = ?1 WHERE expires_ms > ?1", [expires_ms])?;
    Ok(())
}

/// Deletes the oldest outcomes whose tasks were folded, which cannot be served. They exist in ledgers that an earlier
/// program version opened with a shorter retention time.
fn delete_orphans(connection: &Connection) -> Result<()> {
    connection.execute(
        "DELETE FROM outcomes WHERE id < ifnull(
             (SELECT o.id FROM outcomes o JOIN tasks t ON t.no = o.task ORDER BY o.id LIMIT 1),
             (SELECT max(id) + 1 FROM outcomes))
         AND task <= (SELECT task FROM checkpoint)",
        [],
    )?;
    Ok(())
}
