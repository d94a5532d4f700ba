//! Workers' messages, and the verdict on their answers. Workers are not trusted: a message may be late, repeated,
//! forged or wrong, and must cost no more than its own handling.
//!
//! Every outcome gets its kind's always-on check, and a share that falls with trust the deep check as well, more while
//! checks have time to spare; one that is cheaper to compute than to handle is computed again. Whether and where to
//! check is drawn after the answer arrived, so nothing about an attempt reveals it. Small checks run at once: a hop to
//! another thread and back costs 20 to 60 microseconds, more than such a check itself. All others run on the compute
//! pool, deep checks only within their budget: until then an answer waits, or its task goes to the own kernel.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::limits::REASON_BYTES_MAX;
use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Device, Digest, KindId, Micros, Nanos, PeerId, ServerToWorker,
    TaskNo, VerdictNotice, WorkUnits, WorkerOffer, WorkerToServer,
};
use p2c2r_tasks::{Blob, CheckError, is_out_of_fuel};
use tracing::{debug, warn};

use super::lease::{self, Fruitless};
use super::settle::{self, Made};
use super::{fall_back, follow, hedge};
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::receipts::{AttemptTimes, WorkerTimes, worker_stages};
use crate::core::state::checking::CheckStart;
use crate::core::state::tasks::{LiveAttempt, Stray};
use crate::core::state::trust::{CheckConsequence, Scrutiny};
use crate::core::state::workers::Worker;
use crate::core::work::{Cause, Check, Checked, Depth};
use crate::ledger::{AccountId, Entry, Verdict, WorkerTrust};

/// Work units up to which the always-on check runs on the app's thread. The check is at most a few per cent of the
/// kernel, so this is at most some 50 microseconds.
pub const INLINE_UNITS_MAX: WorkUnits = WorkUnits(2_000);
/// Work units up to which the deep check runs on the app's thread: it may cost as much as the kernel.
pub const INLINE_DEEP_UNITS_MAX: WorkUnits = WorkUnits(50);
/// Bytes of an outcome up to which either check runs on the app's thread: bounds what a hostile worker can make it
/// decode.
pub const INLINE_OUTCOME_BYTES_MAX: usize = 4 * 1024;

/// Handles a worker's message.
pub fn hear(core: &mut Core, peer: PeerId, received_at: Micros, message: WorkerToServer) {
    let Some(worker) = core.workers.get(peer) else { return };
    match message {
        WorkerToServer::Answer(answer) => {
            if worker.is_late() {
                core.workers.change(peer, Worker::heard);
            }
            take_answer(core, peer, received_at, answer);
        }
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

/// Takes a worker's offer.
pub fn take_offer(core: &mut Core, peer: PeerId, offer: WorkerOffer) {
    debug!(worker = peer.0, slots = offer.slots, kernels = offer.kernels.len(), "worker ready");
    let kinds = &core.policy.kinds;
    core.workers.offer(peer, offer, |kernel| {
        kinds.get(kernel.kind).is_some_and(|kind| kind.kernel_version() == kernel.version)
    });
}

fn take_answer(core: &mut Core, worker: PeerId, received_at: Micros, answer: Answer) {
    let (no, attempt, times) = (answer.task, answer.attempt, WorkerTimes::from(&answer));
    let (task, live) = match core.tasks.workers().holds(no, attempt, worker) {
        Ok(held) => held,
        Err(stray) => return take_stray(core, worker, answer, stray),
    };
    let outcome = match answer.result {
        Ok(outcome) => outcome,
        Err(failure) => return take_failure(core, worker, no, attempt, failure),
    };
    let (kind, units, in_books) = (task.kind, task.units, task.in_books);
    let (is_patient, has_followers) = (task.deliver_by.is_none(), !task.followers().is_empty());
    let (job, blobs) = (Arc::clone(&task.job), task.blobs.clone());
    let device = measure(core, no, (kind, units), &live, received_at);
    if core.tasks.workers().answered(no, attempt, worker, received_at).is_err() {
        return;
    }
    // Followers get the same outcome, so it must be checked. A patient outcome of an inexact kind is cached for all
    // gamers, and since nobody waits for it, each one is checked.
    let is_shared = has_followers || is_patient && !core.is_exact(kind);
    let depth = depth_of(core, live.account, kind, units, is_shared, &outcome);
    let check = Check {
        task: no,
        in_books,
        attempt,
        heard_at: core.now,
        worker,
        account: live.account,
        device,
        times,
        kind,
        job,
        blobs,
        units,
        outcome: outcome.into(),
        depth,
        reserved: Duration::ZERO,
        cause: Cause::Answer,
    };
    if is_small(core, &check) {
        verdict(core, check.judge());
    } else {
        begin(core, check);
    }
}

/// Handles an answer to an attempt that its sender does not hold: it may have lost to another one.
fn take_stray(core: &mut Core, worker: PeerId, answer: Answer, stray: Stray) {
    let Answer { task, attempt, result, .. } = answer;
    if let Some(other) = core.hedging.take_unanswered(task, attempt, worker) {
        if let Ok(outcome) = result {
            hedge::answered_twice(core, other, outcome.into());
        }
        return;
    }
    debug!(task = task.0, attempt = attempt.0, worker = worker.0, ?stray, "not an answer");
    core.tally.stray += 1;
}

/// Ends an attempt whose worker says that it has failed.
fn take_failure(core: &mut Core, worker: PeerId, no: TaskNo, attempt: Attempt, failure: AttemptFailure) {
    debug!(task = no.0, worker = worker.0, %failure, "attempt failed");
    let why = match failure {
        AttemptFailure::Overloaded => {
            core.workers.change(worker, Worker::overloaded);
            Fruitless::Overloaded
        }
        AttemptFailure::KernelPanicked | AttemptFailure::BadSpec | AttemptFailure::UnknownKind => {
            Fruitless::Failed
        }
    };
    lease::attempt_over(core, no, attempt, worker, why);
}

/// Learns from the time that an answered attempt took, and frees its worker of the task. Returns the device that the
/// worker claims to have used.
fn measure(
    core: &mut Core,
    no: TaskNo,
    (kind, units): (KindId, WorkUnits),
    live: &LiveAttempt,
    received_at: Micros,
) -> Device {
    let LiveAttempt { worker, since, expected, .. } = *live;
    let (rtt, took) = (core.rtt(worker), received_at.time_since(since));
    let device = core.workers.change(worker, |worker| {
        worker.measured(kind, units, took, rtt, expected.rounds);
        worker.tasks.remove(&no);
        worker.active_at = received_at;
        worker.device(kind)
    });
    let predicted = rtt + Duration::from_micros(u64::from(expected.service_us)) * expected.rounds;
    core.hedging.measured(took, predicted);
    core.hedging.ended(took, expected.late, true);
    device.unwrap_or(Device::Cores)
}

/// Whether a check takes so little time that it is made at once, on the app's thread.
fn is_small(core: &Core, check: &Check) -> bool {
    // A check of a blob that admission did not prepare is not small, nor is one of a blob that the store does not keep, such as
    // a patient task's copy. Whether the pool has prepared the blob meanwhile does not count, because a replay of the recording
    // could not know. A form that admission made and the store let go since is made anew, on the app's thread: of a grid that
    // takes some 30 microseconds.
    let are_prepared = check.job.admission_prepares(&check.blobs)
        && check.blobs.iter().all(|blob| core.submits.blobs.keeps(blob));
    let units_max = match check.depth {
        _ if !are_prepared => WorkUnits(0),
        Depth::Always => INLINE_UNITS_MAX,
        Depth::Deep(_) | Depth::Again(_) => INLINE_DEEP_UNITS_MAX,
    };
    check.units <= units_max
        && check.outcome.len() <= INLINE_OUTCOME_BYTES_MAX
        && !is_out_of_fuel(&check.outcome)
}

/// How closely an answer is looked at.
fn depth_of(
    core: &mut Core,
    account: AccountId,
    kind: KindId,
    units: WorkUnits,
    is_shared: bool,
    outcome: &[u8],
) -> Depth {
    let Some(of_kind) = core.policy.kinds.get(kind) else { return Depth::Always };
    let (version, is_exact) = (of_kind.kernel_version(), of_kind.deterministic());
    let is_cheap = units.0 <= core.policy.trust.recomputed_units;
    // Claiming "out of fuel" is free, and checking it takes all the fuel.
    let is_checked_anyhow = is_cheap || is_shared || is_out_of_fuel(outcome);
    let (share, round, is_whole) = if fault::is_made(Fault::TrustsNewcomers) {
        (0.0, None, false)
    } else if is_checked_anyhow {
        (1.0, None, is_cheap)
    } else {
        let Scrutiny { mut share, spare, is_new } = core.trust.scrutiny(account, kind, version, core.now);
        let mut is_whole = false;
        if spare > 0.0 && core.checking.has_time_to_spare(core.now) {
            share = share.max(core.checking.affordable_share(kind, units, spare));
            // A deep check of a newcomer's answer looks at a part, and misses a lie in another one.
            is_whole = is_new && core.checking.affords_all(kind, units);
        }
        (share, core.trust.check_round(account, kind, version), is_whole)
    };
    match core.checks.draw(share, round) {
        Some(seed) if is_whole && is_exact => Depth::Again(seed),
        Some(seed) => Depth::Deep(seed),
        None => Depth::Always,
    }
}

/// Has an answer checked on the pool, at once or when the budget allows it.
fn begin(core: &mut Core, check: Check) {
    let (no, attempt, worker) = (check.task, check.attempt, check.worker);
    let latest = core.tasks.get(no).and_then(|task| fall_back::wait_until(core, task));
    if check.depth == Depth::Always {
        fall_back::check(core, check);
        lease::set_timer(core, no);
        return;
    }
    let version = core.kernel_version(check.kind);
    let is_proven = !core.trust.is_on_probation(check.account, check.kind, version, core.now);
    match core.checking.ask(check, is_proven, core.now) {
        CheckStart::Begins(check) => {
            fall_back::check(core, check);
            lease::set_timer(core, no);
        }
        CheckStart::Waits => {
            core.tally.waited_for_checks += 1;
            core.tasks.workers().check_begins_by(no, attempt, latest);
            lease::set_timer(core, no);
        }
        CheckStart::NoRoom => {
            core.tally.unchecked += 1;
            lease::attempt_over(core, no, attempt, worker, Fruitless::Unchecked);
        }
    }
}

/// Begins waiting checks within the budget.
pub fn begin_what_waits(core: &mut Core) {
    loop {
        let tasks = &core.tasks;
        let is_awaited = |check: &Check| {
            let live = tasks.get(check.task).and_then(|task| task.live_attempt(check.attempt));
            live.is_some_and(|live| live.answered_at.is_some())
        };
        let Some(check) = core.checking.next(core.now, is_awaited) else { return };
        let (no, attempt) = (check.task, check.attempt);
        core.tasks.workers().check_begins_by(no, attempt, None);
        lease::set_timer(core, no);
        fall_back::check(core, check);
    }
}

/// Discards an answer whose check could not begin before the own kernel would have to start; the task continues without
/// it. If the check was drawn, it is made later.
pub fn give_up_waiting(core: &mut Core, no: TaskNo, attempt: Attempt, worker: PeerId) {
    core.checking.give_up(no, attempt);
    core.tally.unchecked += 1;
    debug!(task = no.0, worker = worker.0, "no time to check the answer");
    lease::attempt_over(core, no, attempt, worker, Fruitless::Unchecked);
}

/// Handles a verdict. It counts for or against the worker even if the task has ended or goes on without the answer.
pub fn verdict(core: &mut Core, checked: Checked) {
    core.checking.ended(&checked);
    let Checked { check, verdict, looked_right, left, .. } = checked;
    let verdict = if fault::is_made(Fault::AcceptsWhatFailed) { Ok(()) } else { verdict };
    let (no, attempt) = (check.task, check.attempt);
    if let Cause::Disputed { is_accepted } = check.cause {
        hedge::dispute_decided(core, &check, is_accepted, verdict, looked_right);
        return;
    }
    if core.trust.is_quarantined(check.account) {
        // Answers that a convicted worker sent before its conviction are refused as well.
        let error = verdict.err().unwrap_or_else(convicted_before);
        refuse(core, &check, &error);
        return;
    }
    if let Err(error) = verdict {
        refuse(core, &check, &error);
        failed(core, check.account, looked_right);
        return;
    }
    let version = core.kernel_version(check.kind);
    let deeply = check.depth != Depth::Always;
    core.tally.checked_deeply += u64::from(deeply);
    // An answer from before a reset of its worker's trust was drawn under the old trust: it earns none of the new.
    if !core.trust.has_begun_again_since(check.account, check.heard_at) {
        let known = core.trust.accepted(check.account, check.kind, version, deeply, core.now);
        record(core, check.account, known);
    }
    follow::succeed_if_late(core, no);
    let Some((task, live)) = core.tasks.workers().accepted(no, attempt) else {
        if let Some(other) = core.hedging.take_judged(no, attempt, check.worker) {
            hedge::judged_twice(core, other, check.outcome);
        }
        return;
    };
    if let Some(left) = left {
        keep(core, left, Some(live.worker));
    }
    let LiveAttempt { worker, account, since, answered_at: Some(answered_at), .. } = live else { return };
    let moments =
        AttemptTimes { received_at: task.received_at, assigned_at: since, answered_at, sent_at: core.now };
    let offset = core.link(worker).and_then(|link| link.clock_offset_us);
    let stages = worker_stages(moments, check.times, offset);
    let made = Made::ByWorker {
        worker,
        account,
        device: check.device,
        attempt,
        check: check.depth.passed(),
        stages,
    };
    settle::finish(core, no, task, check.outcome, made);
}

/// Counts a wrong answer of this account, and quarantines it if convicted. `looked_right` says that the check of every answer
/// had found nothing.
pub fn failed(core: &mut Core, account: AccountId, looked_right: bool) {
    let (standing, known) = core.trust.failed(account, looked_right, core.now);
    record(core, account, known);
    if standing == CheckConsequence::Convicted {
        quarantine(core, account);
    }
}

/// Stores the blob that an accepted outcome leaves, so that the gamer may refer to it without sending it. The worker
/// that computed it has it too.
pub fn keep(core: &mut Core, left: Arc<Blob>, worker: Option<PeerId>) {
    if let Some(worker) = worker {
        core.workers.change(worker, |worker| worker.sends_blob(left.digest(), left.bytes().len()));
    }
    core.submits.blobs.insert_blob(left);
}

fn convicted_before() -> CheckError {
    CheckError::new("trust.quarantined", "its worker gave wrong answers before")
}

/// Refuses an answer; its task continues without it. If the task has ended, even if given up while the answer was
/// judged, the refusal is recorded all the same.
pub fn refuse(core: &mut Core, check: &Check, why: &CheckError) {
    let Check { task: no, in_books, attempt, worker, .. } = *check;
    let reason = refused(core, no, attempt, worker, why);
    if core.tasks.get(no).is_some_and(|task| task.live_attempt(attempt).is_some()) {
        lease::attempt_over(core, no, attempt, worker, Fruitless::Rejected { reason });
    } else {
        drop(core.hedging.take_judged(no, attempt, worker));
        let verdict = Verdict::Rejected { reason };
        core.book(Entry::AttemptEnded { task: in_books, kind: check.kind, attempt, verdict });
    }
}

/// Refuses an attempt and tells its worker why. Returns the reason as the ledger records it.
fn refused(core: &mut Core, no: TaskNo, attempt: Attempt, worker: PeerId, why: &CheckError) -> String {
    let mut reason = why.to_string();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    debug!(task = no.0, worker = worker.0, reason, "answer rejected");
    core.tally.rejected += 1;
    let notice = VerdictNotice { task: no, attempt, earned: Nanos::ZERO, rejected: Some(reason.clone()) };
    core.workers.change(worker, |worker| worker.statements.note(notice));
    reason
}

/// Writes a worker's trust record to the ledger, if one is due.
pub fn record(core: &mut Core, worker: AccountId, known: Option<WorkerTrust>) {
    if let Some(trust) = known {
        core.book(Entry::TrustChanged { worker, trust: Box::new(trust) });
    }
}

/// Records all workers' changes that the ledger does not have.
pub fn record_everything(core: &mut Core) {
    for (worker, known) in core.trust.take_records(core.now) {
        record(core, worker, Some(known));
    }
}

/// Applies the operator's order on a worker's account. The ledger has recorded the order already. It is recorded again,
/// because entries about the worker that were sent before the core heard of the order may have undone it.
pub fn order(core: &mut Core, account: AccountId, quarantined: bool) {
    let known = core.trust.order(account, quarantined, core.now);
    if !quarantined {
        core.book(Entry::WorkerForgiven { worker: account });
    }
    record(core, account, known);
    if quarantined {
        quarantine(core, account);
        return;
    }
    for peer in core.workers.peers_of(account) {
        core.workers.change(peer, |worker| worker.quarantined = false);
    }
}

/// Quarantines the account: it gets no work, its attempts are revoked, its outcomes leave the cache, those that no gamer
/// has been sent are withdrawn, and its pending earnings are returned to the gamers who paid them.
fn quarantine(core: &mut Core, account: AccountId) {
    let keeps = fault::is_made(Fault::KeepsWhatTheConvictedMade);
    let forgotten = if keeps { 0 } else { core.cache.forget_worker(account) };
    if !fault::is_made(Fault::DeliversWhatTheConvictedMade) {
        core.gamers.withdraw(account);
    }
    core.tally.convicted += 1;
    core.book_revocation(Entry::WorkerConvicted { worker: account });
    let peers = core.workers.peers_of(account);
    // One that has left is convicted too, by a check that was still under way.
    let name = peers.first().and_then(|peer| core.workers.get(*peer)).map_or("not connected", |it| &*it.name);
    warn!(%account, worker = name, forgotten, "convicted: no more work for it");
    for peer in peers {
        core.workers.change(peer, |worker| worker.quarantined = !fault::is_made(Fault::EmploysTheConvicted));
        let Some(worker) = core.workers.get(peer) else { continue };
        let mut out: Vec<TaskNo> = worker.tasks.iter().copied().collect();
        out.sort_unstable();
        for no in out {
            let live = core.tasks.get(no).and_then(|task| task.awaited_from(peer));
            let Some(LiveAttempt { attempt, .. }) = live else { continue };
            core.tell_worker(peer, ServerToWorker::Revoke { task: no, attempt });
            let reason = refused(core, no, attempt, peer, &convicted_before());
            lease::attempt_over(core, no, attempt, peer, Fruitless::Rejected { reason });
        }
    }
}

/// Resends blobs that the worker was believed to have: once per attempt, so that repeated requests cannot make the
/// coordinator send without end.
fn send_blobs_again(core: &mut Core, peer: PeerId, no: TaskNo, attempt: Attempt, missing: &[Digest]) {
    if core.tasks.workers().holds(no, attempt, peer).is_err() {
        core.tally.stray += 1;
        return;
    }
    core.workers.change(peer, |worker| worker.lacks_blobs(missing));
    if !core.tasks.workers().may_resend_blobs(no, attempt) {
        lease::attempt_over(core, no, attempt, peer, Fruitless::Failed);
        // It still waits for what it lacks.
        core.tell_worker(peer, ServerToWorker::Revoke { task: no, attempt });
        return;
    }
    let now = core.now;
    let Some(task) = core.tasks.get(no) else { return };
    let sent = task.blobs.iter().filter(|_| !fault::is_made(Fault::SendsNoBlobs));
    let blobs: Vec<_> = sent.map(|blob| blob.bytes().to_vec()).collect();
    let known: Vec<_> = task.blobs.iter().map(|blob| (blob.digest(), blob.bytes().len())).collect();
    let lease_us = task.live_attempt(attempt).map_or(u32::MAX, |live| live.until.since(now));
    let assign =
        Assign { task: no, attempt, kind: task.kind, lease_us, spec: Arc::clone(&task.spec).into(), blobs };
    core.workers.change(peer, |worker| {
        for (digest, bytes) in known {
            worker.sends_blob(digest, bytes);
        }
    });
    core.tell_worker(peer, ServerToWorker::Assign(assign));
}
