//! What comes back from workers, and the verdict on it. Workers are strangers: every message may be late,
//! repeated, forged or wrong, and none of that costs more than its own handling.
//!
//! Every outcome gets its kind's always-on check, and a random share the deep check as well. Small checks run
//! at once: a hop to another thread and back costs 20 to 60 microseconds, more than such a check itself.
//! Everything else runs on the compute pool.

use std::sync::Arc;

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::ResMut;
use p2c2r_link::FromPeer;
use p2c2r_protocol::limits::REASON_BYTES_MAX;
use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Digest, Micros, PassedCheck, PeerId, ServerToWorker, TaskNo,
    VerdictNotice, WorkUnits, WorkerOffer, WorkerToServer,
};
use p2c2r_tasks::{CheckError, is_out_of_fuel};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tracing::{debug, warn};

use crate::compute::{self, Check, Checked, Finished};
use crate::desk::Desk;
use crate::joins::Joining;
use crate::leases::Fruitless;
use crate::ledger::Entry;
use crate::matcher::rtt;
use crate::receipts::{Moments, WorkerTimes, worker_stages};
use crate::registry::Worker;
use crate::settle::Made;
use crate::table::Phase;
use crate::trust::Standing;

/// Work units up to which the always-on check runs on the app's thread. The check is at most a few per cent of
/// the kernel, so this is some 50 microseconds of checking at the most.
pub const INLINE_UNITS_MAX: WorkUnits = WorkUnits(2_000);
/// Work units up to which the deep check does: it may cost as much as the kernel.
pub const INLINE_DEEP_UNITS_MAX: WorkUnits = WorkUnits(50);
/// Bytes of an outcome up to which either does: what a hostile worker makes us decode is bounded by this.
pub const INLINE_OUTCOME_BYTES_MAX: usize = 4 * 1024;

/// Draws which answers are checked deeply, and where. The generator is a cryptographic one, so that a worker that sees
/// which of its answers were checked learns nothing of the next draw.
#[derive(Resource)]
pub struct Judge {
    rng: StdRng,
    deep_share: f64,
}

impl Judge {
    /// A judge that checks this many per cent of the answers deeply. Without a seed its draws come from the system.
    pub fn new(seed: Option<u64>, deep_check_percent: f64) -> Self {
        // With a seed: another stream than the matcher's, which starts from the same one.
        let rng =
            seed.map_or_else(StdRng::from_os_rng, |seed| StdRng::seed_from_u64(seed ^ 0x6A75_6467_6521));
        Self { rng, deep_share: deep_check_percent / 100.0 }
    }

    fn draw(&mut self) -> Option<u64> {
        (self.deep_share > 0.0 && self.rng.random_bool(self.deep_share.min(1.0))).then(|| self.rng.random())
    }
}

/// Takes what workers say.
pub fn hear_workers(
    mut desk: Desk<'_>,
    mut judge: ResMut<'_, Judge>,
    mut messages: ResMut<'_, Messages<FromPeer<WorkerToServer>>>,
    mut joining: ResMut<'_, Joining>,
) {
    for FromPeer { peer, received_at, message } in messages.drain() {
        if desk.workers.get(peer).is_none() {
            if let WorkerToServer::Ready(offer) = message {
                joining.keep_offer(peer, offer);
            }
            continue;
        }
        match message {
            WorkerToServer::Answer(answer) => desk.take_answer(&mut judge, peer, received_at, answer),
            WorkerToServer::Ready(offer) => desk.take_offer(peer, offer),
            WorkerToServer::BlobsMissing { task, attempt, missing } => {
                desk.send_blobs_again(peer, task, attempt, &missing);
            }
            WorkerToServer::Draining => {
                debug!(worker = peer.0, "worker draining");
                desk.workers.change(peer, |worker| worker.draining = true);
            }
        }
    }
}

/// Takes what the compute pool has finished.
pub fn collect_finished(mut desk: Desk<'_>) {
    while let Some(finished) = desk.pool.next_finished() {
        match finished {
            Finished::Check(checked) => desk.verdict(checked),
            Finished::Kernel(computed) => desk.computed(computed),
        }
    }
}

impl Desk<'_> {
    /// A worker says what it can do.
    pub fn take_offer(&mut self, peer: PeerId, offer: WorkerOffer) {
        debug!(worker = peer.0, slots = offer.slots, kernels = offer.kernels.len(), "worker ready");
        let kinds = &self.settings.0.kinds;
        self.workers.offer(peer, offer, |kernel| {
            kinds.get(kernel.kind).is_some_and(|kind| kind.kernel_version() == kernel.version)
        });
    }

    fn take_answer(&mut self, judge: &mut Judge, worker: PeerId, received_at: Micros, answer: Answer) {
        let (no, attempt) = (answer.task, answer.attempt);
        let times = WorkerTimes::from(&answer);
        let task = match self.tasks.workers().holds(no, attempt, worker) {
            Ok(task) => task,
            Err(stray) => {
                debug!(task = no.0, attempt = attempt.0, worker = worker.0, ?stray, "not an answer");
                self.tally.stray += 1;
                return;
            }
        };
        let (kind, units) = (task.kind, task.units);
        let Phase::Leased { account, since, rounds, .. } = task.phase() else { return };
        let outcome = match answer.result {
            Ok(outcome) => outcome,
            Err(failure) => {
                debug!(task = no.0, worker = worker.0, %failure, "attempt failed");
                if failure == AttemptFailure::Overloaded {
                    self.workers.change(worker, Worker::overloaded);
                }
                let why = match failure {
                    AttemptFailure::Overloaded => Fruitless::Overloaded,
                    AttemptFailure::KernelPanicked
                    | AttemptFailure::BadSpec
                    | AttemptFailure::UnknownKind => Fruitless::Failed,
                };
                self.attempt_over(no, attempt, worker, why);
                return;
            }
        };
        let (job, blobs) = (task.job.clone(), task.blobs.clone());
        // Preparing a blob is no small check's work.
        let small_units = if blobs.are_prepared() { INLINE_UNITS_MAX } else { WorkUnits(0) };
        let rtt = rtt(&self.peers, worker);
        self.workers.change(worker, |worker| {
            let turnaround = Micros(received_at.0.saturating_sub(since.0)).into();
            worker.measured(kind, units, turnaround, rtt, rounds);
            worker.tasks.remove(&no);
            worker.active_at = received_at;
        });
        if self.tasks.workers().answered(no, attempt, worker, received_at).is_err() {
            return;
        }
        // "Out of fuel" takes no work to say and all of it to check, so it is always checked deeply, and off this thread.
        let gave_up = is_out_of_fuel(&outcome);
        let deep = if gave_up { Some(0) } else { judge.draw() };
        let inline = !gave_up
            && outcome.len() <= INLINE_OUTCOME_BYTES_MAX
            && units <= if deep.is_some() { INLINE_DEEP_UNITS_MAX.min(small_units) } else { small_units };
        let outcome = outcome.into();
        let check = Check { task: no, attempt, worker, account, times, kind, job, blobs, outcome, deep };
        let checked = if inline { Some(compute::judge(check)) } else { self.pool.check(check) };
        if let Some(checked) = checked {
            self.verdict(checked);
        } else {
            let deadline = self.tasks.get(no).and_then(|task| task.deliver_by);
            self.leases.schedule(&mut self.tasks, no, deadline);
        }
    }

    /// The verdict is in. The evidence counts against the worker even if the task is over by now.
    fn verdict(&mut self, checked: Checked) {
        let Checked { check, verdict } = checked;
        let (no, attempt) = (check.task, check.attempt);
        // What a convicted worker still had out is worth no more than what it is convicted for.
        let verdict = if self.trust.is_quarantined(check.account) {
            verdict.and(Err(CheckError::new("trust.quarantined", "its worker gave wrong answers before")))
        } else {
            verdict
        };
        if let Err(error) = verdict {
            self.rejected(&check, error.to_string());
            return;
        }
        let Some(task) = self.tasks.workers().accepted(no, attempt) else { return };
        let Phase::Judging { worker, account, since, answered_at } = task.phase() else { return };
        let moments =
            Moments { received_at: task.received_at, assigned_at: since, answered_at, sent_at: self.now() };
        let offset = self.peers.get(worker).and_then(|stats| stats.clock_offset_us);
        let stages = worker_stages(moments, check.times, offset);
        let passed = if check.deep.is_some() { PassedCheck::Deep } else { PassedCheck::Always };
        self.finish(
            no,
            task,
            check.outcome,
            Made::ByWorker { worker, account, attempt, check: passed, stages },
        );
    }

    fn rejected(&mut self, check: &Check, mut reason: String) {
        let (no, attempt, worker) = (check.task, check.attempt, check.worker);
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        debug!(task = no.0, worker = worker.0, reason, "answer rejected");
        self.tally.rejected += 1;
        let notice = VerdictNotice {
            task: no,
            attempt,
            earned: p2c2r_protocol::Nanos::ZERO,
            rejected: Some(reason.clone()),
        };
        self.workers.change(worker, |worker| worker.books.note(notice));
        if self.trust.rejected(check.account) == Standing::Quarantined {
            self.quarantine(check);
        }
        self.attempt_over(no, attempt, worker, Fruitless::Rejected { reason });
    }

    /// The account gets no more work, what it computed is not handed out again, and what it has pending goes back.
    fn quarantine(&mut self, check: &Check) {
        let forgotten = self.cache.forget_worker(check.account);
        self.books.append(Entry::WorkerConvicted { worker: check.account });
        for peer in self.workers.peers_of(check.account) {
            self.workers.change(peer, |worker| worker.quarantined = true);
            if let Some(worker) = self.workers.get(peer) {
                warn!(
                    worker = worker.name,
                    forgotten, "answers failed their checks again: no more work for it"
                );
            }
        }
    }

    /// The worker lacks blobs it was taken to have: it gets them, once per attempt, so that asking again and
    /// again cannot make the coordinator send and send.
    fn send_blobs_again(&mut self, peer: PeerId, no: TaskNo, attempt: Attempt, missing: &[Digest]) {
        if self.tasks.workers().holds(no, attempt, peer).is_err() {
            self.tally.stray += 1;
            return;
        }
        self.workers.change(peer, |worker| worker.lacks_blobs(missing));
        if !self.tasks.workers().may_resend_blobs(no) {
            self.attempt_over(no, attempt, peer, Fruitless::Failed);
            return;
        }
        let now = self.now();
        let Some(task) = self.tasks.get(no) else { return };
        let blobs: Vec<_> = task.blobs.iter().map(|blob| blob.bytes().to_vec()).collect();
        let known: Vec<_> = task.blobs.iter().map(|blob| (blob.digest(), blob.bytes().len())).collect();
        let lease_us = task.timer().map_or(u32::MAX, |until| until.since(now));
        let assign = Assign {
            task: no,
            attempt,
            kind: task.kind,
            lease_us,
            spec: Arc::clone(&task.spec).into(),
            blobs,
        };
        self.workers.change(peer, |worker| {
            for (digest, bytes) in known {
                worker.sends_blob(digest, bytes);
            }
        });
        self.tell_worker(peer, ServerToWorker::Assign(assign));
    }
}
