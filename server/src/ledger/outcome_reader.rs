//! A thread that reads kept outcomes from the ledger's file, beside the writer: in WAL mode neither waits for the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use p2c2r_protocol::Digest;
use rusqlite::{Connection, OptionalExtension as _};
use tracing::warn;

use super::account::CachedOutcome;
use super::error::LedgerError;
use super::file;
use super::outcome_index::{KNOWN_MAX, OutcomeIndex};
use super::outcomes::{SELECT_USABLE, usable};
use super::queue::WriterQueue;

/// Outcomes that may wait to be read.
pub const READS_WAITING_MAX: usize = 64;

/// Requests kept outcomes and receives them, without waiting for the disk.
pub struct OutcomeReader {
    index: Arc<OutcomeIndex>,
    asks: Sender<Ask>,
    answers: Receiver<ReadOutcome>,
}

/// The answer to [`OutcomeReader::ask`].
pub struct ReadOutcome {
    /// The key that was asked for.
    pub key: Digest,
    /// `None` if it has expired, is revoked, damaged or cannot be read.
    pub outcome: Option<CachedOutcome>,
    /// Entries that the ledger had recorded before it was read, since the ledger was opened.
    pub recorded: u64,
}

enum Ask {
    Read { key: Digest, row: i64 },
    End,
}

/// The thread, as the ledger holds it.
pub(super) struct ReaderThread {
    asks: Sender<Ask>,
    thread: JoinHandle<()>,
}

/// What the reader needs of the ledger.
pub(super) struct ReadFrom {
    pub path: PathBuf,
    pub index: Arc<OutcomeIndex>,
    pub queue: Arc<WriterQueue>,
    /// The ledger's time in milliseconds.
    pub now_ms: Box<dyn Fn() -> i64 + Send>,
}

impl OutcomeReader {
    /// Enters all outcomes of the file in the index, and starts the thread, which calls `notify` after each answer.
    pub(super) fn start(
        from: ReadFrom,
        notify: impl Fn() + Send + 'static,
    ) -> Result<(Self, ReaderThread), LedgerError> {
        let connection = file::connect_read_only(&from.path)?;
        // The writer adds to the index from here on, so no outcome is missed between its additions and the reading below.
        from.index.begin();
        fill(&from.index, &connection).map_err(|error| file::explain(&from.path, &error))?;
        let (asks, asked) = bounded(READS_WAITING_MAX);
        let (answer, answers) = unbounded();
        let index = Arc::clone(&from.index);
        let reading = Reading { from, connection: Some(connection), has_failed: false };
        let thread = std::thread::Builder::new()
            .name("outcomes".to_owned())
            .spawn(move || reading.serve(&asked, &answer, &notify))
            .map_err(|error| LedgerError::Thread(error.to_string()))?;
        Ok((Self { index, asks: asks.clone(), answers }, ReaderThread { asks, thread }))
    }

    /// The row that may have the outcome under this key; `None` if none is known. Costs one access to memory.
    pub fn find(&self, key: Digest) -> Option<i64> {
        self.index.row(key)
    }

    /// Asks for the outcome under this key in this row; false if too many requests wait already, or the ledger is closed.
    /// Answers come in the order of the requests.
    pub fn ask(&self, key: Digest, row: i64) -> bool {
        self.asks.try_send(Ask::Read { key, row }).is_ok()
    }

    /// The next answer, if it is there.
    pub fn answer(&self) -> Option<ReadOutcome> {
        self.answers.try_recv().ok()
    }

    /// Waits for the next answer; `None` if the thread has ended. For tests on manual time, which cannot wait for a disk.
    pub fn wait(&self) -> Option<ReadOutcome> {
        self.answers.recv().ok()
    }
}

impl ReaderThread {
    /// Makes the thread close the file and end, and waits for that.
    pub fn end(self) {
        let _ = self.asks.send(Ask::End);
        if self.thread.join().is_err() {
            tracing::error!("the reader of kept outcomes panicked");
        }
    }
}

fn fill(index: &OutcomeIndex, connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(
        "SELECT t.key, o.id FROM outcomes o JOIN tasks t ON t.no = o.task
         WHERE t.passed <> 1 ORDER BY o.id DESC LIMIT ?1",
    )?;
    let mut rows = select.query([KNOWN_MAX as i64])?;
    while let Some(row) = rows.next()? {
        index.add(Digest(row.get(0)?), row.get(1)?);
    }
    Ok(())
}

struct Reading {
    from: ReadFrom,
    /// Opened anew after an error.
    connection: Option<Connection>,
    /// Whether the last read failed, which was logged.
    has_failed: bool,
}

impl Reading {
    fn serve(mut self, asked: &Receiver<Ask>, answers: &Sender<ReadOutcome>, notify: &impl Fn()) {
        while let Ok(Ask::Read { key, row }) = asked.recv() {
            let recorded = self.from.queue.recorded();
            let outcome = self.read(key, row);
            if answers.send(ReadOutcome { key, outcome, recorded }).is_err() {
                return;
            }
            notify();
        }
    }

    fn read(&mut self, key: Digest, row: i64) -> Option<CachedOutcome> {
        match self.try_to_read(row) {
            Ok(found) => {
                self.has_failed = false;
                let outcome = found.filter(|outcome| outcome.key == key);
                if outcome.is_none() {
                    self.from.index.forget(key, row);
                }
                outcome
            }
            Err(error) => {
                self.connection = None;
                // Logged once until a read succeeds: strangers decide what is asked for, and could flood the log.
                if !std::mem::replace(&mut self.has_failed, true) {
                    warn!(%error, "a kept outcome cannot be read; such tasks are computed again");
                }
                None
            }
        }
    }

    fn try_to_read(&mut self, row: i64) -> Result<Option<CachedOutcome>, LedgerError> {
        let Self { from, connection, .. } = self;
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(file::connect_read_only(&from.path)?),
        };
        let now_ms = (from.now_ms)();
        find(connection, row, now_ms).map_err(|error| file::explain(Path::new(&from.path), &error))
    }
}

fn find(connection: &Connection, row: i64, now_ms: i64) -> rusqlite::Result<Option<CachedOutcome>> {
    let mut select = connection.prepare_cached(&format!("{SELECT_USABLE} AND o.id = ?1"))?;
    let found = select.query_row([row], |row| usable(row, now_ms)).optional()?;
    Ok(found.flatten())
}
