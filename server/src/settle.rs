//! The end of a task: the money moves, the receipt is written, the outcome is kept and delivered. Or none of it.

use std::sync::Arc;

use p2c2r_protocol::{
    Attempt, ComputedBy, Done, Nanos, PassedCheck, PeerId, Receipt, ServerToGame, ServerToWorker, Stages,
    TaskFailure, TaskId, TaskNo, VerdictNotice,
};
use tracing::debug;

use crate::cache;
use crate::desk::Desk;
use crate::ledger::{AccountId, Entry, Settlement, Source, VoidReason};
use crate::sessions::Finished;
use crate::table::{Phase, Task};

/// Who made an outcome, and how.
pub enum Made {
    /// A worker; its answer passed.
    ByWorker {
        /// Its connection, which may be gone by now.
        worker: PeerId,
        /// Its account.
        account: AccountId,
        /// Its attempt.
        attempt: Attempt,
        /// The check the answer passed.
        check: PassedCheck,
        /// Where the time went.
        stages: Stages,
    },
    /// The coordinator's own kernel.
    Here {
        /// Where the time went.
        stages: Stages,
    },
}

fn void_reason(failure: TaskFailure) -> VoidReason {
    match failure {
        TaskFailure::Late => VoidReason::Late,
        TaskFailure::KernelFailed => VoidReason::KernelFailed,
        TaskFailure::NoWorker => VoidReason::NoWorker,
        TaskFailure::Cancelled => VoidReason::Cancelled,
        TaskFailure::Closing => VoidReason::Closing,
    }
}

impl Desk<'_> {
    /// Charges, pays, keeps and delivers. The task has left the table.
    pub fn finish(&mut self, no: TaskNo, task: Task, outcome: Arc<[u8]>, made: Made) {
        let now = self.now();
        if task.deliver_by.is_some_and(|deadline| deadline < now) {
            self.end_without_outcome(no, &task, TaskFailure::Late);
            return;
        }
        let (computed_by, source, pay, fee, check, stages) = self.share_out(no, &task, made);
        let settlement =
            Settlement { task: no, source, pay, fee, check, outcome: Some(Arc::clone(&outcome)) };
        self.books.append(Entry::TaskSettled(settlement));
        self.tally.revenue += task.price;
        self.tally.fee += fee;
        if self.settings.0.kinds.get(task.kind).is_some_and(|kind| kind.deterministic())
            && !self.cache.is_off()
        {
            let worker = match (&computed_by, source) {
                (ComputedBy::Worker(name), Source::Worker { worker, .. }) => {
                    Some((worker, Arc::from(name.as_str())))
                }
                _ => None,
            };
            self.cache.insert(task.key, &outcome, worker, now, cache::KEPT);
        }
        if let Some(account) = self.gamers.account_mut(task.account) {
            account.release(task.price);
            account.charge(task.price);
            account.tasks.remove(&no);
        }
        let receipt = Receipt {
            price: task.price,
            units: task.units,
            price_list: self.settings.0.prices.version,
            computed_by,
            check,
            attempts: task.attempts(),
            received_at: task.received_at,
            sent_at: now,
            stages,
        };
        debug!(
            target: "p2c2r_server::console", event = "result", task = no.0,
            ms = now.since(task.received_at) / 1_000, kind = self.settings.0.kinds.name(task.kind),
            "Result ready"
        );
        let finished = Finished { key: task.key, outcome, receipt, delivered: false };
        self.deliver(task.account, task.gamer, task.id, finished);
    }

    /// What worker and coordinator get, and what counts of it.
    fn share_out(
        &mut self,
        no: TaskNo,
        task: &Task,
        made: Made,
    ) -> (ComputedBy, Source, Nanos, Nanos, PassedCheck, Stages) {
        match made {
            Made::ByWorker { worker, account, attempt, check, stages } => {
                let split = self.settings.0.prices.split(task.price, &mut self.tally.fee_carry);
                let notice = VerdictNotice { task: no, attempt, earned: split.worker, rejected: None };
                let name = self.workers.change(worker, |worker| {
                    worker.books.note(notice);
                    worker.accepted();
                    worker.name.clone()
                });
                self.tally.by_workers += 1;
                // A worker that left while its answer was judged is paid all the same.
                let name = name.unwrap_or_else(|| "a worker that has left".into());
                let source = Source::Worker { worker: account, attempt };
                (ComputedBy::Worker(name), source, split.worker, split.fee, check, stages)
            }
            Made::Here { stages } => {
                self.tally.by_coordinator += 1;
                let (pay, fee) = (Nanos::ZERO, task.price);
                (ComputedBy::Coordinator, Source::Coordinator, pay, fee, PassedCheck::Own, stages)
            }
        }
    }

    /// The connection to tell of a task: the one it came by, or another of the account if that has gone.
    fn listener(&self, account: AccountId, gamer: Option<PeerId>) -> Option<PeerId> {
        let connected = gamer.filter(|peer| self.gamers.session(*peer).is_some_and(|it| !it.leaving));
        connected.or_else(|| self.gamers.account(account)?.any_session())
    }

    /// Sends a finished task to the gamer, by another connection of the account if the one it came by has
    /// gone, and remembers it, so that a repeated submit is answered again.
    pub fn deliver(&mut self, account: AccountId, gamer: Option<PeerId>, id: TaskId, mut finished: Finished) {
        if let Some(peer) = self.listener(account, gamer) {
            finished.delivered = true;
            self.send_done(peer, id, &finished);
        }
        self.gamers.remember(account, id, finished);
    }

    /// Sends a finished task.
    pub fn send_done(&mut self, peer: PeerId, id: TaskId, finished: &Finished) {
        let outcome = Arc::clone(&finished.outcome).into();
        let done = Done { task: id, outcome, receipt: finished.receipt.clone() };
        self.tell_game(peer, ServerToGame::Done(done));
    }

    /// Ends a task in flight without an outcome: nothing is charged, whoever works on it is told to stop.
    pub fn fail(&mut self, no: TaskNo, failure: TaskFailure) {
        if let Some(task) = self.tasks.give_up(no) {
            self.end_without_outcome(no, &task, failure);
        }
    }

    fn end_without_outcome(&mut self, no: TaskNo, task: &Task, failure: TaskFailure) {
        debug!(task = no.0, %failure, "no outcome");
        self.books.append(Entry::TaskVoided { task: no, reason: void_reason(failure) });
        self.tally.failed += 1;
        if let Phase::Leased { worker, .. } = task.phase() {
            self.workers.change(worker, |worker| worker.tasks.remove(&no));
            self.tell_worker(worker, ServerToWorker::Revoke { task: no, attempt: task.attempt() });
        }
        if let Some(account) = self.gamers.account_mut(task.account) {
            account.release(task.price);
            account.tasks.remove(&no);
        }
        let came_by = task.gamer.filter(|peer| self.gamers.session(*peer).is_some());
        // A patient task outlives the connection it came by, a timely one is cancelled with it.
        let patient = task.deliver_by.is_none();
        let listener = if patient { self.listener(task.account, task.gamer) } else { came_by };
        if let Some(peer) = listener {
            self.tell_game(peer, ServerToGame::Failed { task: task.id, failure });
        }
    }
}
