//! What a failed attempt costs its worker: a smaller window, and trust.
//!
//! All attempts that a worker held when it stalled are one incident
//! ([`Worker::failed`](crate::core::state::workers::Worker::failed)), and cost trust once. A lease that ended before
//! any healthy worker would have answered, because the deadline was short, costs none.

use std::time::Duration;

use p2c2r_protocol::{KindId, Micros, PeerId, TaskNo, WorkUnits};

use super::judge;
use crate::core::Core;
use crate::core::state::tasks::LiveAttempt;
use crate::core::state::trust::Misconduct;
use crate::ledger::AccountId;

/// Silence shorter than this costs nothing: a packet that is resent several times may take as long.
const SILENCE_MIN: Duration = Duration::from_millis(100);
/// Factor on the reference core's time that a healthy worker may take.
const SLOW_FACTOR: u64 = 4;

/// Ends a live attempt that failed through its worker's fault: frees the worker of the task and shrinks its window.
pub fn attempt(
    core: &mut Core,
    no: TaskNo,
    (kind, units): (KindId, WorkUnits),
    live: &LiveAttempt,
    misconduct: Misconduct,
) {
    let now = core.now;
    let is_incident = core.workers.change(live.worker, |worker| {
        worker.tasks.remove(&no);
        worker.failed(live.since, now)
    });
    // The allowance comes from the task's units, not from this worker's measurements: a worker that is often silent
    // must not be excused as slow.
    let rtt_us = Micros::from(core.rtt(live.worker)).0;
    let kernels_us = units.0.saturating_mul(SLOW_FACTOR * u64::from(live.expected.rounds));
    let healthy_us = rtt_us.saturating_add(kernels_us).max(Micros::from(SILENCE_MIN).0);
    let is_explained = misconduct == Misconduct::Silent && now.0.saturating_sub(live.since.0) < healthy_us;
    if is_incident == Some(true) && !is_explained {
        account(core, live.account, kind, misconduct);
    }
}

/// A connection ended while it held these tasks: one incident, counted in the kind of the first.
pub fn departure(core: &mut Core, peer: PeerId, account: AccountId, tasks: &[TaskNo]) {
    let unanswered = |no: &TaskNo| {
        let task = core.tasks.get(*no)?;
        task.awaited_from(peer).map(|_| task.kind)
    };
    if let Some(kind) = tasks.iter().find_map(unanswered) {
        self::account(core, account, kind, Misconduct::Silent);
    }
}

fn account(core: &mut Core, account: AccountId, kind: KindId, misconduct: Misconduct) {
    let version = core.kernel_version(kind);
    core.tally.incidents += 1;
    let known = core.trust.misbehaved(account, kind, version, misconduct, core.now);
    judge::record(core, account, known);
}
