//! The matcher: draws two random workers with room and takes the one that is predicted to answer clearly sooner. If their
//! predictions are alike, it takes the one that would be in time, else the one with fewer rounds before it, else the first.
//!
//! Two choices are nearly as good as comparing all (Mitzenmacher, "The power of two choices in randomized load
//! balancing"), cost the same for two workers as for a thousand, and do not send every task to the worker that looks
//! best at the moment. [`super::hand_out`] acts on the choice.

use std::time::Duration;

use p2c2r_protocol::{Micros, PeerId};

use crate::core::state::draws::Matcher;
use crate::core::state::tasks::Task;
use crate::core::state::workers::{Prediction, Worker, Workers};

/// The worker chosen for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The worker's connection.
    pub worker: PeerId,
    /// How the attempt would go there.
    pub prediction: Prediction,
}

/// Two predictions count as alike if they differ by less than `1 / ALIKE` of the longer one. Without this, the slightly
/// slower of two similar workers would get, and earn, next to nothing, and nothing would change that: a worker that is not
/// chosen is not measured.
const ALIKE: u32 = 4;

/// Workers examined in a search for a proven or a neglected one; examining more costs more time than a better choice
/// saves.
const LOOKED_AT_MAX: usize = 8;

/// Up to [`LOOKED_AT_MAX`] of these workers, from a random position on.
fn handful<'a>(matcher: &mut Matcher, ready: &'a [PeerId]) -> impl Iterator<Item = PeerId> + use<'a> {
    let (before, from) = ready.split_at(if ready.is_empty() { 0 } else { matcher.draw(ready.len()) });
    from.iter().chain(before).copied().take(LOOKED_AT_MAX)
}

/// Of some random proven workers with room for `task`, the one predicted to answer first. Excludes workers that have
/// failed the task, and those for which `suits` is false.
pub fn proven(
    matcher: &mut Matcher,
    task: &Task,
    workers: &Workers,
    rtt: impl Fn(PeerId) -> Duration,
    suits: impl Fn(&Worker, &Prediction) -> bool,
) -> Option<Choice> {
    let candidate = |peer: PeerId| {
        let worker = workers.get(peer)?;
        if task.was_tried_by(worker.account) {
            return None;
        }
        let prediction = worker.predict(task.kind, task.units, rtt(peer));
        suits(worker, &prediction).then_some(Choice { worker: peer, prediction })
    };
    let ready = handful(matcher, workers.ready_and_proven(task.kind));
    ready.filter_map(candidate).min_by_key(|choice| choice.prediction.rank)
}

/// Chooses a worker with room for `task` that has not failed it; `None` if there is none. `left` is the time until the
/// task's deadline, if it has one. After a failed attempt a proven worker is preferred, because the rest of the deadline
/// leaves no time for unknown ones. A patient task that every active worker has failed goes to one of them again until it
/// runs out of attempts; otherwise it would never end.
pub fn choose(
    matcher: &mut Matcher,
    task: &Task,
    workers: &Workers,
    rtt: impl Fn(PeerId) -> Duration,
    left: Option<Duration>,
) -> Option<Choice> {
    if task.attempts() > 0
        && let Some(choice) = proven(matcher, task, workers, &rtt, |_, _| true)
    {
        return Some(choice);
    }
    let ready = workers.ready(task.kind);
    let predict = |peer: PeerId, again: bool| {
        let worker = workers.get(peer)?;
        (again || !task.was_tried_by(worker.account))
            .then(|| Choice { worker: peer, prediction: worker.predict(task.kind, task.units, rtt(peer)) })
    };
    if ready.is_empty() {
        return None;
    }
    let better = |first, second| better(first, second, left);
    let first = matcher.draw(ready.len());
    let second = (ready.len() > 1).then(|| {
        let second = matcher.draw(ready.len() - 1);
        second + usize::from(second >= first)
    });
    match (predict(ready[first], false), second.and_then(|second| predict(ready[second], false))) {
        (Some(first), Some(second)) => Some(better(first, second)),
        (Some(one), None) | (None, Some(one)) => Some(one),
        // Both have failed it before, which is rare: search all of them.
        (None, None) => ready.iter().filter_map(|peer| predict(*peer, false)).reduce(better).or_else(|| {
            let everyone_failed = task.deliver_by.is_none()
                && workers.offering(task.kind).all(|(_, worker)| task.was_tried_by(worker.account));
            everyone_failed.then(|| predict(ready[first], true)).flatten()
        }),
    }
}

/// The better of two choices for a task with the time `left` until its deadline; the first if neither is better.
fn better(first: Choice, second: Choice, left: Option<Duration>) -> Choice {
    let (a, b) = (first.prediction, second.prediction);
    let is_clear = a.rank.abs_diff(b.rank) * ALIKE >= a.rank.max(b.rank);
    let is_late = |it: Prediction| left.is_some_and(|left| it.finish > left);
    let is_second = if is_clear { b.rank < a.rank } else { (is_late(b), b.rounds) < (is_late(a), a.rounds) };
    if is_second { second } else { first }
}

/// Of some random workers with room for `task`, the one that has been idle longest, if it is neglected. Excludes
/// workers that are too unproven for a task of this size.
pub fn neglected(
    matcher: &mut Matcher,
    task: &Task,
    workers: &Workers,
    now: Micros,
    rtt: impl Fn(PeerId) -> Duration,
) -> Option<Choice> {
    let ready = workers.ready(task.kind);
    if ready.len() < 2 {
        return None;
    }
    let candidates = handful(matcher, ready).filter_map(|peer| Some((peer, workers.get(peer)?)));
    let neglected =
        candidates.filter(|(_, worker)| worker.is_neglected(now) && worker.is_believed(task.units));
    let (peer, worker) = neglected.min_by_key(|(_, worker)| worker.active_at)?;
    Some(Choice { worker: peer, prediction: worker.predict(task.kind, task.units, rtt(peer)) })
}
