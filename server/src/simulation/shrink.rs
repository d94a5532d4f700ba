//! Shrinks a run that breaks a promise to a short one that breaks the same: delta debugging over its actions (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use super::action::{SimulatedRun, WorldAction};
use super::auditor::BrokenPromise;
use super::play;

/// Runs that are tried at most; further ones rarely shorten the result.
const TRIES_MAX: usize = 1_500;

/// A run with as few actions as could be found that breaks the same promise, and how it does.
pub fn shrink(run: &SimulatedRun, broken: BrokenPromise) -> (SimulatedRun, BrokenPromise) {
    let mut best = (run.clone(), broken);
    let (mut tries, mut parts) = (0, 2);
    while best.0.actions.len() > 1 && tries < TRIES_MAX {
        let length = best.0.actions.len().div_ceil(parts);
        let starts = (0..best.0.actions.len()).step_by(length);
        let shorter = starts.rev().find_map(|start| {
            tries += 1;
            let actions = without(&best.0.actions, start, length);
            breaks_the_same(SimulatedRun { setup: run.setup.clone(), actions }, &best.1)
        });
        match shorter {
            Some(shorter) => {
                best = shorter;
                parts = parts.saturating_sub(1).max(2);
            }
            None if length == 1 => break,
            None => parts = (2 * parts).min(best.0.actions.len()),
        }
    }
    best
}

fn without(actions: &[WorldAction], start: usize, length: usize) -> Vec<WorldAction> {
    let end = (start + length).min(actions.len());
    [&actions[..start], &actions[end..]].concat()
}

/// The run up to where it breaks the promise, if it does.
fn breaks_the_same(mut run: SimulatedRun, broken: &BrokenPromise) -> Option<(SimulatedRun, BrokenPromise)> {
    let played = play::again(&run);
    let found = played.broken.filter(|found| found.rule == broken.rule)?;
    run.actions.truncate(played.actions);
    Some((run, found))
}
