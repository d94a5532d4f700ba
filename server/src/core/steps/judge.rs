//! What comes back from workers, and the verdict on it. Workers are strangers: every message may be late,
//! repeated, forged or wrong, and none of that costs more than its own handling.
//!
//! Every outcome gets its kind's always-on check, and a random share the deep check as well. Small checks run
//! at once: a hop to another thread and back costs 20 to 60 microseconds, more than such a check itself.
//! Everything else runs on the compute pool.

use std::sync::Arc;

use p2c2r_protocol::limits::REASON_BYTES_MAX;
use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Device, Digest, Micros, Nanos, PassedCheck, PeerId,
    ServerToWorker, TaskNo, VerdictNotice, WorkUnits, WorkerOffer, WorkerToServer,
};
use p2c2r_tasks::{CheckError, is_out_of_fuel};
use tracing::{debug, warn};

use super::lease::{self, Fruitless};
use super::settle::{self, Made};
use crate::core::receipts::{Moments, WorkerTimes, worker_stages};
use crate::core::state::tasks::Phase;
use crate::core::state::trust::Standing;
use crate::core::state::workers::Worker;
use crate::core::work::{Check, Checked};
use crate::core::{Core, Effect};
use crate::ledger::Entry;

/// Work units up to which the always-on check runs on the app's thread. The check is at most a few per cent of
/// the kernel, so this is some 50 microseconds of checking at the most.
pub const INLINE_UNITS_MAX: WorkUnits = WorkUnits(2_000);
/// Work units up to which the deep check does: it may cost as much as the kernel.
pub const INLINE_DEEP_UNITS_MAX: WorkUnits = WorkUnits(50);
/// Bytes of an outcome up to which either does: what a hostile worker makes us decode is bounded by this.
pub const INLINE_OUTCOME_BYTES_MAX: usize = 4 * 1024;

/// A worker says something.
pub fn hear(core: &mut Core, peer: PeerId, received_at: Micros, message: WorkerToServer) {
    if core.workers.get(peer).is_none() {
        return;
    }
    match message {
        WorkerToServer::Answer(answer) => take_answer(core, peer, received_at, answer),
        WorkerToServer::Ready(offer) => take_offer(core, peer, offer),
        WorkerToServer::BlobsMissing { task, attempt, missing } => {
            send_blobs_again(core, peer, task, attempt, &missing);
        }
        WorkerToServer::Draining => {
            debug!(worker = peer.0, "worker draining");
            core.workers.change(peer, |worker| worker.draining = true);
        }
    }
}

/// A worker says what it can do.
pub fn take_offer(core: &mut Core, peer: PeerId, offer: WorkerOffer) {
    debug!(worker = peer.0, slots = offer.slots, kernels = offer.kernels.len(), "worker ready");
    let kinds = &core.policy.kinds;
    core.workers.offer(peer, offer, |kernel| {
        kinds.get(kernel.kind).is_some_and(|kind| kind.kernel_version() == kernel.version)
    });
}

fn take_answer(core: &mut Core, worker: PeerId, received_at: Micros, answer: Answer) {
    let (no, attempt) = (answer.task, answer.attempt);
    let times = WorkerTimes::from(&answer);
    let task = match core.tasks.workers().holds(no, attempt, worker) {
        Ok(task) => task,
        Err(stray) => {
            debug!(task = no.0, attempt = attempt.0, worker = worker.0, ?stray, "not an answer");
            core.tally.stray += 1;
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
                core.workers.change(worker, Worker::overloaded);
            }
            let why = match failure {
                AttemptFailure::Overloaded => Fruitless::Overloaded,
                AttemptFailure::KernelPanicked | AttemptFailure::BadSpec | AttemptFailure::UnknownKind => {
                    Fruitless::Failed
                }
            };
            lease::attempt_over(core, no, attempt, worker, why);
            return;
        }
    };
    let (job, blobs) = (task.job.clone(), task.blobs.clone());
    // Preparing a blob is no small check's work.
    let small_units = if blobs.are_prepared() { INLINE_UNITS_MAX } else { WorkUnits(0) };
    let rtt = core.rtt(worker);
    let device = core.workers.get(worker).map_or(Device::Cores, |worker| worker.device(kind));
    core.workers.change(worker, |worker| {
        let turnaround = Micros(received_at.0.saturating_sub(since.0)).into();
        worker.measured(kind, units, turnaround, rtt, rounds);
        worker.tasks.remove(&no);
        worker.active_at = received_at;
    });
    if core.tasks.workers().answered(no, attempt, worker, received_at).is_err() {
        return;
    }
    // "Out of fuel" takes no work to say and all of it to check, so it is always checked deeply, and off this thread.
    let gave_up = is_out_of_fuel(&outcome);
    let deep = if gave_up { Some(0) } else { core.checks.draw() };
    let here = !gave_up
        && outcome.len() <= INLINE_OUTCOME_BYTES_MAX
        && units <= if deep.is_some() { INLINE_DEEP_UNITS_MAX.min(small_units) } else { small_units };
    let outcome = outcome.into();
    let check = Check { task: no, attempt, worker, account, device, times, kind, job, blobs, outcome, deep };
    if here {
        verdict(core, check.judge());
        return;
    }
    core.effects.others.push(Effect::Check(check));
    let deadline = core.tasks.get(no).and_then(|task| task.deliver_by);
    core.timers.schedule(&mut core.tasks, no, deadline);
}

/// The verdict is in. The evidence counts against the worker even if the task is over by now.
pub fn verdict(core: &mut Core, checked: Checked) {
    let Checked { check, verdict } = checked;
    let (no, attempt) = (check.task, check.attempt);
    // What a convicted worker still had out is worth no more than what it is convicted for.
    let verdict = if core.trust.is_quarantined(check.account) {
        verdict.and(Err(CheckError::new("trust.quarantined", "its worker gave wrong answers before")))
    } else {
        verdict
    };
    if let Err(error) = verdict {
        rejected(core, &check, error.to_string());
        return;
    }
    let Some(task) = core.tasks.workers().accepted(no, attempt) else { return };
    let Phase::Judging { worker, account, since, answered_at } = task.phase() else { return };
    let moments =
        Moments { received_at: task.received_at, assigned_at: since, answered_at, sent_at: core.now };
    let offset = core.link(worker).and_then(|link| link.clock_offset_us);
    let stages = worker_stages(moments, check.times, offset);
    let passed = if check.deep.is_some() { PassedCheck::Deep } else { PassedCheck::Always };
    let made = Made::ByWorker { worker, account, device: check.device, attempt, check: passed, stages };
    settle::finish(core, no, task, check.outcome, made);
}

fn rejected(core: &mut Core, check: &Check, mut reason: String) {
    let (no, attempt, worker) = (check.task, check.attempt, check.worker);
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    debug!(task = no.0, worker = worker.0, reason, "answer rejected");
    core.tally.rejected += 1;
    let notice = VerdictNotice { task: no, attempt, earned: Nanos::ZERO, rejected: Some(reason.clone()) };
    core.workers.change(worker, |worker| worker.books.note(notice));
    if core.trust.rejected(check.account) == Standing::Quarantined {
        quarantine(core, check);
    }
    lease::attempt_over(core, no, attempt, worker, Fruitless::Rejected { reason });
}

/// The account gets no more work, what it computed is not handed out again, and what it has pending goes back.
fn quarantine(core: &mut Core, check: &Check) {
    let forgotten = core.cache.forget_worker(check.account);
    core.book(Entry::WorkerConvicted { worker: check.account });
    for peer in core.workers.peers_of(check.account) {
        core.workers.change(peer, |worker| worker.quarantined = true);
        if let Some(worker) = core.workers.get(peer) {
            warn!(
                worker = &*worker.name,
                forgotten, "answers failed their checks again: no more work for it"
            );
        }
    }
}

/// The worker lacks blobs it was taken to have: it gets them, once per attempt, so that asking again and
/// again cannot make the coordinator send and send.
fn send_blobs_again(core: &mut Core, peer: PeerId, no: TaskNo, attempt: Attempt, missing: &[Digest]) {
    if core.tasks.workers().holds(no, attempt, peer).is_err() {
        core.tally.stray += 1;
        return;
    }
    core.workers.change(peer, |worker| worker.lacks_blobs(missing));
    if !core.tasks.workers().may_resend_blobs(no) {
        lease::attempt_over(core, no, attempt, peer, Fruitless::Failed);
        return;
    }
    let now = core.now;
    let Some(task) = core.tasks.get(no) else { return };
    let blobs: Vec<_> = task.blobs.iter().map(|blob| blob.bytes().to_vec()).collect();
    let known: Vec<_> = task.blobs.iter().map(|blob| (blob.digest(), blob.bytes().len())).collect();
    let lease_us = task.timer().map_or(u32::MAX, |until| until.since(now));
    let assign =
        Assign { task: no, attempt, kind: task.kind, lease_us, spec: Arc::clone(&task.spec).into(), blobs };
    core.workers.change(peer, |worker| {
        for (digest, bytes) in known {
            worker.sends_blob(digest, bytes);
        }
    });
    core.tell_worker(peer, ServerToWorker::Assign(assign));
}
