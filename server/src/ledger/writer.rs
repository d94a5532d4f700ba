//! The one thread that touches the connection: gathers entries into groups, writes each group in one
//! transaction, answers requests once they are durable, and stops for good when writing fails.

mod replies;
mod state;

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::Nanos;

use super::account::{CloseReport, LedgerState};
use super::error::{Breakdown, LedgerError};
use super::file::{LedgerFile, explain};
use super::meta::{closing, timing};
use super::options::{GROUP_COMMIT_MAX, OnFailure};
use super::queue::{Batch, WriterQueue};
use super::sql::Statements;

pub(super) use replies::GroupReplies;
pub(super) use state::WriterState;

/// Interval at which an idle writer checks that the file is still in place: its loss is noticed at most this late.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Memory for this many entries is kept between groups; 50 ms of 400,000 tasks a second.
const SPARE_ENTRIES_MAX: usize = 65_536;

/// Lowers this thread's priority where niceness is per thread; elsewhere it would apply to the whole program.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(super::options::WRITER_NICENESS) {
        tracing::debug!(%error, "the ledger's thread keeps its priority");
    }
}

/// Runs until the ledger is closed or writing fails.
pub(super) fn run(mut file: LedgerFile, mut writer: WriterState, queue: Arc<WriterQueue>, notify: impl Fn()) {
    lower_priority();
    let broken_by_panic = PanicGuard(Arc::clone(&queue), writer.options.on_failure.clone());
    let (mut batch, mut answers) = (Batch::default(), GroupReplies::default());
    match serve(&mut file, &mut writer, &queue, &notify, &mut batch, &mut answers) {
        Ok(()) => {
            let mut report = Some(finish(&mut file, &writer));
            let rest = queue.end(LedgerState::Closed);
            // The file and its lock are released before anyone is told that the ledger is closed.
            drop(file);
            for reply in answers.close {
                let _ = reply.send(report.take().unwrap_or(Err(LedgerError::Closed)));
            }
            drop(rest);
        }
        Err(error) => {
            let breakdown = Breakdown::from(&error);
            tracing::error!(reason = breakdown.reason, "the ledger has stopped recording");
            drop(queue.end(LedgerState::Broken(breakdown)));
            drop((batch, answers));
            writer.options.on_failure.tell();
        }
    }
    notify();
    drop(broken_by_panic);
}

fn serve(
    file: &mut LedgerFile,
    writer: &mut WriterState,
    queue: &WriterQueue,
    notify: &impl Fn(),
    batch: &mut Batch,
    answers: &mut GroupReplies,
) -> Result<(), LedgerError> {
    let LedgerFile { connection, path, lock, .. } = file;
    let explain = |error| explain(path, &error);
    let mut sql = Statements::prepare(connection).map_err(explain)?;
    let gather = writer.options.group_commit.min(GROUP_COMMIT_MAX);
    loop {
        batch.entries.shrink_to(SPARE_ENTRIES_MAX);
        let due = writer.next_due();
        queue.take(batch, Some(due.map_or(LOOK_EVERY, |due| due.min(LOOK_EVERY))), gather);
        let idle = batch.is_empty() && writer.next_due().is_none_or(|due| !due.is_zero());
        if !idle {
            writer.write_group(&mut sql, batch, answers, &|| queue.is_waited_for()).map_err(explain)?;
        }
        // Checked before anyone is told that the group is durable.
        lock.is_in_place()?;
        if idle {
            continue;
        }
        writer.publish(queue);
        notify();
        answers.give();
        if !answers.close.is_empty() {
            return Ok(());
        }
    }
}

/// Checkpoints the log into the file and verifies the balances.
fn finish(file: &mut LedgerFile, writer: &WriterState) -> Result<CloseReport, LedgerError> {
    file.lock.is_in_place()?;
    let explain = |error| explain(&file.path, &error);
    let connection = &file.connection;
    timing::write_closed(connection, writer.now_ms()).map_err(explain)?;
    closing::write(connection, closing::IN_ORDER).map_err(explain)?;
    // A reader (`ledger check`) can keep the log from being emptied: then the next open does it.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(explain)?;
    let sum = balanced(file)?;
    Ok(CloseReport {
        totals: writer.book.totals,
        sum,
        groups: writer.groups_written,
        entries: writer.entries,
        anomalies: writer.book.anomalies,
    })
}

/// The quick check of start and shutdown: the balances add up to zero and only the bank is below it.
pub(super) fn balanced(file: &LedgerFile) -> Result<Nanos, LedgerError> {
    let (sum, below): (i64, i64) = file
        .connection
        .query_row(
            "SELECT sum(balance), count(*) FILTER (WHERE balance < 0 AND kind <> 1) FROM accounts",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|error| explain(&file.path, &error))?;
    if sum == 0 && below == 0 {
        return Ok(Nanos::ZERO);
    }
    let reason = format!("the balances add up to {}, {below} are below zero", Nanos(sum));
    Err(LedgerError::Unbalanced { path: file.path.clone(), reason })
}

/// Marks the ledger as broken if the writer panics, and lets waiting requests fail.
struct PanicGuard(Arc<WriterQueue>, OnFailure);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.end(LedgerState::Broken(Breakdown::panicked())));
            self.1.tell();
        }
    }
}
