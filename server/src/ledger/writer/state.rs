//! The books in memory, the end of the hash chain, and how a group of entries is written.

use std::time::Duration;

use p2c2r_protocol::Nanos;
use rusqlite::{Connection, OptionalExtension as _, Result};

use super::super::account::Committed;
use super::super::account_log;
use super::super::accounts::load_account;
use super::super::book::Book;
use super::super::chain::{GRANTS, GroupHasher, PAYOUTS, RELEASES, REVERSALS};
use super::super::charges::Charges;
use super::super::earnings::Earnings;
use super::super::entry::kind;
use super::super::folding::{Checkpoint, Folding};
use super::super::meta::timing::{self, Timing};
use super::super::options::{LedgerClock, LedgerOptions};
use super::super::outcomes::KeptOutcomes;
use super::super::posting::Posting;
use super::super::queue::{Batch, WriterQueue};
use super::super::reversals::Reversals;
use super::super::sql::Statements;
use super::replies::GroupReplies;

/// The writer's state: the books in memory, and the end of the hash chain.
pub(in crate::ledger) struct WriterState {
    pub book: Book,
    pub earnings: Earnings,
    pub charges: Charges,
    pub outcomes: KeptOutcomes,
    pub reversals: Reversals,
    pub folding: Folding,
    pub options: LedgerOptions,
    /// The newest group and its hash.
    pub group: i64,
    pub head: [u8; 32],
    pub at_ms: i64,
    /// The ledger's time when the running clock was at zero.
    pub opened_ms: i64,
    pub next_release: i64,
    pub next_grant: i64,
    pub next_payout: i64,
    pub entries: u64,
    pub groups_written: u64,
}

impl WriterState {
    /// Reads everything that the writer keeps in memory but open tasks, which `recovery.rs` reads.
    pub fn load(connection: &Connection, options: LedgerOptions) -> Result<Self> {
        let newest = connection
            .query_row("SELECT id, at_ms, hash FROM groups ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let earnings = Earnings::load(connection, options.fraud_window)?;
        let checkpoint = Checkpoint::read(connection)?;
        let (group, at_ms, head) = newest.unwrap_or((checkpoint.group, 0, checkpoint.hash));
        let opened_ms = opened_ms(&timing::read(connection)?, at_ms, &options.clock);
        let now_ms = (opened_ms + options.clock.running_ms()).max(at_ms);
        let outcomes = KeptOutcomes::load(connection, &options, now_ms)?;
        let tasks_recorded: i64 =
            connection.query_row("SELECT sum(tasks) FROM accounts", [], |row| row.get(0))?;
        let is_early = options.folds_early(tasks_recorded as u64);
        let folding = Folding::load(connection, outcomes.kept_ms(), earnings.pending_ms(), is_early)?;
        // Releases and grants are counted from the first id of their range.
        let next_in = |first: i64, end: i64| -> Result<i64> {
            let sql = "SELECT max(id) FROM transfers WHERE id >= ?1 AND id < ?2";
            let last: Option<i64> = connection.query_row(sql, [first, end], |row| row.get(0))?;
            Ok(last.map_or(0, |id| id - first + 1))
        };
        let mut writer = Self {
            book: Book {
                folded_to: checkpoint.task as u64,
                accounts_max: options.accounts_max,
                tasks_recorded: tasks_recorded as u64,
                ..Book::default()
            },
            earnings,
            charges: Charges::default(),
            outcomes,
            reversals: Reversals::load(connection)?,
            folding,
            opened_ms,
            options,
            group,
            head,
            at_ms,
            next_release: next_in(RELEASES, GRANTS)?,
            next_grant: next_in(GRANTS, REVERSALS)?,
            next_payout: connection.query_row(
                "SELECT ifnull(max(id) + 1, ?1) - ?1 FROM payouts",
                [PAYOUTS],
                |row| row.get(0),
            )?,
            entries: 0,
            groups_written: 0,
        };
        let book = &mut writer.book;
        let mut select = connection.prepare(
            "SELECT kind, sum(balance), sum(turnover), sum(accepted), sum(rejected) FROM accounts GROUP BY kind",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (balance, turnover): (i64, i64) = (row.get(1)?, row.get(2)?);
            match row.get::<_, u8>(0)? {
                kind::BANK => book.bank = balance,
                kind::PAYOUT => book.totals.paid_out = Nanos(balance),
                kind::FEE => {
                    book.fee = balance;
                    book.totals.fee = Nanos(balance);
                }
                kind::GAMER => {
                    book.totals.revenue = Nanos(turnover);
                    book.totals.tasks_done = row.get::<_, i64>(3)? as u64;
                    book.totals.tasks_void = row.get::<_, i64>(4)? as u64;
                }
                kind::WORKER => book.totals.earned = Nanos(turnover),
                kind::PENDING => book.totals.pending = Nanos(balance),
                _ => {}
            }
        }
        Ok(writer)
    }

    /// The ledger's time in milliseconds: see [`LedgerClock`]. It never goes back, also not from one run
    /// to the next.
    pub fn now_ms(&self) -> i64 {
        (self.opened_ms + self.options.clock.running_ms()).max(self.at_ms)
    }

    /// Writes one group in one transaction. Afterwards everything in `batch` is durable; after an error nothing in it is, and
    /// the books in memory must not be used again. While `is_waited_for`, or if the batch contains requests, the writer does
    /// not yield to other threads meanwhile.
    pub fn write_group(
        &mut self,
        sql: &mut Statements<'_>,
        batch: &mut Batch,
        answers: &mut GroupReplies,
        is_waited_for: &dyn Fn() -> bool,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let group = self.group + 1;
        answers.owe(&mut batch.requests);
        let is_owed = answers.is_owed();
        sql.connection.execute_batch("BEGIN")?;
        self.entries += batch.entries.len() as u64;
        self.book.group = group;
        for entry in batch.entries.drain(..) {
            if let Some(account) = self.book.missing(&entry) {
                load_account(sql.connection, &mut self.book, account)?;
            }
            self.book.apply(entry);
        }
        let mut posting = Posting {
            sql,
            book: &mut self.book,
            earnings: &mut self.earnings,
            charges: &mut self.charges,
            outcomes: &mut self.outcomes,
            reversals: &mut self.reversals,
            reversed: 0,
            group,
            now_ms,
            wrote: false,
            is_waited_for: &|| is_owed || is_waited_for(),
        };
        posting.tasks()?;
        posting.disputed()?;
        posting.charges.write(posting.sql.connection, now_ms)?;
        // The step comes before the convictions, whose own steps begin with the next group.
        posting.reverse()?;
        posting.judgements()?;
        posting.trust()?;
        for asked in &mut answers.accounts {
            asked.found = Some(posting.account(&asked.ask, &mut self.next_grant, &mut self.next_payout)?);
        }
        posting.releases(&mut self.next_release)?;
        posting.wrote |= posting.outcomes.expire(posting.sql.connection, now_ms)?;
        posting.wrote |= posting.outcomes.revoke_step(posting.sql.connection)?;
        posting.earnings.write(posting.sql, group, now_ms)?;
        let mut wrote = posting.wrote;
        let folded = self.fold(sql, now_ms, is_waited_for)?;
        wrote |= folded.is_some();
        if wrote {
            self.write_chain(sql, group, now_ms, folded)?;
        }
        sql.connection.execute_batch("COMMIT")
    }

    /// Folds some of what is old enough, unless someone waits for this group.
    fn fold(
        &mut self,
        sql: &Statements<'_>,
        now_ms: i64,
        is_waited_for: &dyn Fn() -> bool,
    ) -> Result<Option<[u8; 32]>> {
        // A reversal searches for payers in the rows that folding would delete.
        if is_waited_for() || !self.reversals.is_empty() {
            return Ok(None);
        }
        let is_early = self.options.folds_early(self.book.tasks_recorded);
        let Some(step) = self.folding.step(sql.connection, now_ms, is_early, &mut self.outcomes)? else {
            return Ok(None);
        };
        let book = &mut self.book;
        book.folded_to = self.folding.checkpoint().task as u64;
        for (gamer, tasks) in step.tasks {
            book.tasks_recorded = book.tasks_recorded.saturating_sub(tasks);
            load_account(sql.connection, book, gamer)?;
            if let Some(account) = book.change(gamer) {
                account.tasks_recorded = account.tasks_recorded.saturating_sub(tasks);
            }
        }
        Ok(Some(step.digest))
    }

    /// Writes the group's transfers, its link in the chain, and the balances that follow.
    fn write_chain(
        &mut self,
        sql: &mut Statements<'_>,
        group: i64,
        now_ms: i64,
        folded: Option<[u8; 32]>,
    ) -> Result<()> {
        let book = &mut self.book;
        book.transfers.sort_unstable_by_key(|transfer| transfer.id);
        for transfer in &book.transfers {
            sql.add_transfer(group, transfer)?;
        }
        sql.write_rows()?;
        // The chain covers both alike. A stable sort, because it merges runs that are in order already.
        book.transfers.append(&mut book.transfers_in_tasks);
        book.transfers.sort_by_key(|transfer| transfer.id);
        let mut hasher = GroupHasher::new(&self.head, group, now_ms);
        hasher.add_all(&book.transfers);
        account_log::insert(sql.connection, group, &book.account_changes)?;
        if let Some(digest) = account_log::digest(&book.account_changes) {
            hasher.add_accounts(&digest);
        }
        book.account_changes.clear();
        if let Some(folded) = &folded {
            hasher.add_folded(folded);
        }
        let hash = hasher.finish();
        sql.insert_group(group, now_ms, book.transfers.len(), &hash, folded)?;
        self.folding.wrote(now_ms, self.options.folds_early(book.tasks_recorded));
        if !book.transfers.is_empty() {
            sql.update_balance(kind::BANK_ACCOUNT, book.bank)?;
            sql.update_balance(kind::FEE_ACCOUNT, book.fee)?;
            sql.update_balance(kind::PAYOUT_ACCOUNT, book.totals.paid_out.0)?;
        }
        book.transfers.clear();
        for id in &book.changed {
            if let Some(found) = book.accounts.get(id) {
                sql.update_account(&found.account)?;
            }
        }
        if cfg!(debug_assertions) {
            book.assert_sane();
        }
        self.group = group;
        self.head = hash;
        self.at_ms = now_ms;
        self.groups_written += 1;
        Ok(())
    }

    /// How long the writer may sleep when nothing arrives; `None` if nothing will fall due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let due_ms = [
            self.earnings.next_due_ms(),
            self.outcomes.next_due_ms(),
            self.reversals.next_due_ms(),
            self.folding.next_due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()?;
        let wait = u64::try_from(due_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        Some(Duration::from_millis(wait))
    }

    /// Makes the newest group's results known.
    pub(in crate::ledger) fn publish(&mut self, queue: &WriterQueue) {
        self.outcomes.group_is_durable();
        let closed = std::mem::take(&mut self.book.patient_closed);
        if closed > 0 {
            queue.patient_open_changed(0, closed);
        }
        let changed = self.book.take_changed();
        self.book.let_go_of_idle();
        queue.bound_accounts(self.options.tasks_per_account(self.book.tasks_recorded));
        queue.publish(changed.into_iter(), self.committed());
    }

    /// Everything but the accounts.
    pub fn committed(&mut self) -> Committed {
        Committed {
            accounts: Vec::new(),
            totals: self.book.totals,
            entries: self.entries,
            groups: self.groups_written,
            conflicts: std::mem::take(&mut self.book.conflicts),
            anomalies: self.book.anomalies,
        }
    }
}

/// The ledger's time, in milliseconds, when the clock's running time is zero.
fn opened_ms(last: &Timing, newest_group_ms: i64, clock: &LedgerClock) -> i64 {
    if let (Some(opened_ms), Some(boot)) = (last.opened_ms, last.boot)
        && clock.boot() == Some(boot)
    {
        return opened_ms;
    }
    // The time of a ledger that was killed continues from its newest group; that of a new one starts at the wall clock.
    let stood_at_ms = last.closed_ms.unwrap_or(0).max(newest_group_ms);
    let begins_ms = if stood_at_ms > 0 { stood_at_ms } else { clock.wall_ms() };
    begins_ms - clock.running_ms()
}
