//! Asks a second worker where the first is late, and learns from tasks that were answered twice.
//!
//! A timely task's attempt gets a second one beside it when 19 of 20 like it would be back, or when a second one could only
//! just be in time: whichever comes first, but never before the first is expected. What that may take, and when it is of no
//! use, is in [`Hedging`](crate::core::state::hedging::Hedging). The first accepted answer wins, and the other attempt is
//! revoked at once.

use std::time::Duration;

use p2c2r_protocol::{Micros, PeerId, TaskNo};
use tracing::debug;

use super::choose::Choice;
use super::hand_out;
use crate::core::Core;
use crate::core::state::hedging::Other;
use crate::core::state::tasks::Task;
use crate::core::state::workers::Prediction;

/// The soonest that a second worker is asked. Sooner would spend them on the jitter of networks and schedulers, to gain
/// less than a frame.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(10);
/// Workers that are looked at for a second attempt; more would cost more than the best of them is better.
const LOOKED_AT_MAX: usize = 8;

/// When a second worker is to be asked for a task that a first one gets now; `None` for never.
pub fn hedge_at(task: &Task, prediction: Prediction, now: Micros) -> Option<Micros> {
    let deadline = task.deliver_by?;
    let after = |time: Duration| now.0.saturating_add(Micros::from(time).0);
    let mostly = after(prediction.finish_mostly.max(HEDGE_AFTER_MIN));
    let just_in_time = deadline.0.saturating_sub(Micros::from(prediction.finish_at_worst).0);
    let at = Micros(mostly.min(just_in_time).max(after(prediction.finish.max(HEDGE_AFTER_MIN))));
    (at < deadline).then_some(at)
}

/// A first attempt is late: a second, proven worker gets the task as well, if one would be in time and the budget allows.
pub fn ask_another(core: &mut Core, no: TaskNo) {
    core.tasks.matcher().hedge_at(no, None);
    let Some(task) = core.tasks.get(no) else { return };
    let ready = core.workers.ready(task.kind);
    if ready.is_empty() {
        return;
    }
    let start = core.matcher.draw(ready.len());
    let ([first], Some(deadline)) = (task.live(), task.deliver_by) else { return };
    let left = Duration::from_micros(deadline.0.saturating_sub(core.now.0));
    let candidate = |peer: PeerId| {
        let worker = core.workers.get(peer)?;
        let suits =
            worker.is_proven() && worker.account != first.account && !task.was_tried_by(worker.account);
        let prediction = worker.predict(task.kind, task.units, core.rtt(peer));
        (suits && prediction.finish <= left).then_some(Choice { worker: peer, prediction })
    };
    let looked_at = ready.iter().cycle().skip(start).take(ready.len().min(LOOKED_AT_MAX));
    let best = looked_at.filter_map(|peer| candidate(*peer)).min_by_key(|choice| choice.prediction.rank);
    let Some(choice) = best else { return };
    if !core.hedging.take(task.units) {
        return;
    }
    core.tally.hedged += 1;
    debug!(task = no.0, "asking a second worker");
    hand_out::lease(core, no, choice);
}

/// The answer to an attempt that was revoked because another one was accepted. Two answers to one task are a check that
/// neither worker could foresee: what they show is counted here, and is for trust to learn from.
pub fn answered_twice(core: &mut Core, other: &Other, outcome: &[u8]) {
    let is_exact = core.policy.kinds.get(other.kind).is_some_and(|kind| kind.deterministic());
    if !is_exact {
        return;
    }
    if *outcome == *other.outcome {
        core.tally.twice_alike += 1;
    } else {
        core.tally.twice_unlike += 1;
        debug!(task = other.task.0, "two workers gave different answers");
    }
}
