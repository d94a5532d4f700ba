//! Judges an answer from a stranger: the always-on check and the sampled deep check.

use super::SCORE_STEPS;
use super::kernel::Table;
use super::model::DISTANCE_SCORE_MAX;
use super::outcome::TacticsOutcome;
use super::plan::{Candidates, best};
use super::spec::TacticsSpec;
use crate::fuel::Fuel;
use crate::kind::{CheckError, KernelError};
use crate::picking::pick;

/// The deep check plays one in this many of a planner's candidates again, besides the best.
pub const CHECKED_SHARE: usize = 8;
/// Fewest candidates of each planner that the deep check plays again, besides the best.
pub const CHECKED_MIN: usize = 2;

/// The always-on check.
pub(super) fn check(spec: &TacticsSpec, outcome: &TacticsOutcome) -> Result<(), CheckError> {
    let candidates = usize::from(spec.candidates);
    if outcome.scores.len() != spec.planners.len()
        || outcome.scores.iter().any(|scores| scores.len() != candidates)
    {
        let what = format!("not {candidates} scores for each of {} planners", spec.planners.len());
        return Err(CheckError::new("tactics.count", what));
    }
    let most = score_max(spec);
    let beyond = |score: &i32| i64::from(*score).abs() > most;
    if let Some(score) = outcome.scores.iter().flatten().find(|score| beyond(score)) {
        let what = format!("a score of {score} where everybody there is worth {most}");
        return Err(CheckError::new("tactics.range", what));
    }
    Ok(())
}

/// The largest magnitude of any score.
fn score_max(spec: &TacticsSpec) -> i64 {
    let worth = |agent: &super::Agent| {
        let class = &spec.classes[usize::from(agent.class)];
        i64::from(agent.hull) * i64::from(class.hull_worth) + i64::from(class.life_worth)
    };
    let all: i64 = spec.agents.iter().map(worth).sum();
    (all * i64::from(SCORE_STEPS) + i64::from(DISTANCE_SCORE_MAX)) * i64::from(spec.futures)
}

/// The candidates to play again: the best, and some that the seed picks, all different.
fn picks(scores: &[i32], seed: &mut u64) -> Vec<usize> {
    let mut picked = vec![best(scores)];
    let wanted = scores.len().div_ceil(CHECKED_SHARE).max(CHECKED_MIN) + 1;
    pick(&mut picked, wanted, scores.len(), seed);
    picked
}

/// Plays some candidates again; their scores must be equal. `fuel` is the whole task's: an honest answer took less.
pub(super) fn deep_check(
    spec: &TacticsSpec,
    outcome: &TacticsOutcome,
    mut seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<(), CheckError> {
    let failed = |error: KernelError| CheckError::new("tactics.scores", error.to_string());
    let table = Table::new(spec, fuel).map_err(failed)?;
    for (planner, scores) in outcome.scores.iter().enumerate() {
        let picked = picks(scores, &mut seed);
        let mut candidates = Candidates::new(spec.seed, planner, spec.present(planner));
        for (number, said) in scores.iter().enumerate() {
            let plan = candidates.next(scores);
            if !picked.contains(&number) {
                continue;
            }
            let right = table.score(planner, plan, fuel).map_err(failed)?;
            if right != *said {
                let what =
                    format!("candidate {number} of planner {planner}: {said} is said, {right} is right");
                return Err(CheckError::new("tactics.scores", what));
            }
        }
    }
    Ok(())
}
