//! What an attempt that came to nothing costs its worker: less work at once, and trust.
//!
//! Everything that a worker had when it stood still is one incident
//! ([`Worker::failed`](crate::core::state::workers::Worker::failed)), and costs trust once. What a gamer's deadline explains
//! costs none: a lease that ended before any healthy worker would have been back says nothing of who had it.

use std::time::Duration;

use p2c2r_protocol::{KindId, Micros, PeerId, TaskNo, WorkUnits};

use super::judge;
use crate::core::Core;
use crate::core::state::tasks::LiveAttempt;
use crate::core::state::trust::Misconduct;
use crate::ledger::AccountId;

/// Silence shorter than this costs nothing: a packet that is sent again and again may take as long.
const SILENCE_MIN: Duration = Duration::from_millis(100);
/// How many times longer than on the reference core a healthy worker may take.
const SLOW_FACTOR: u64 = 4;

/// A live attempt came to nothing by its worker's doing: it is free of the task, and is given less.
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
    // By what a unit is worth, not by what was learned of this worker: who is silent often must not be excused as slow.
    let rtt_us = Micros::from(core.rtt(live.worker)).0;
    let kernels_us = units.0.saturating_mul(SLOW_FACTOR * u64::from(live.expected.rounds));
    let healthy_us = rtt_us.saturating_add(kernels_us).max(Micros::from(SILENCE_MIN).0);
    let is_explained = misconduct == Misconduct::Silent && now.0.saturating_sub(live.since.0) < healthy_us;
    if is_incident == Some(true) && !is_explained {
        account(core, live.account, kind, misconduct);
    }
}

/// A connection ended with work of these tasks: that is one incident, of the first one's kind.
pub fn departure(core: &mut Core, peer: PeerId, account: AccountId, tasks: &[TaskNo]) {
    let unanswered = |no: &TaskNo| {
        let task = core.tasks.get(*no)?;
        let is_its = |live: &LiveAttempt| live.worker == peer && live.answered_at.is_none();
        task.live().iter().any(is_its).then_some(task.kind)
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
