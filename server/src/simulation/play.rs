//! Plays runs: drawn from a seed, or again from a list.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::action::{SimulatedRun, WorldAction, WorldSetup};
use super::auditor::{Audit, AuditTally, BrokenPromise};
use super::generator::Generator;
use super::shrink::shrink;
use super::world::World;

/// Actions for each task that is wanted, at the most: a world in which nothing is admitted ends too.
const ACTIONS_PER_TASK: u64 = 100;

/// The result of a run.
pub struct PlayedRun {
    /// The promise it broke, if it did.
    pub broken: Option<BrokenPromise>,
    /// Actions until then.
    pub actions: usize,
    /// What happened.
    pub tally: AuditTally,
}

/// Plays a world drawn from `seed` until `tasks` tasks were admitted and all have ended. Returns the run as well.
pub fn drawn(seed: u64, tasks: u64) -> (SimulatedRun, PlayedRun) {
    let (mut generator, setup) = Generator::new(seed);
    let mut run = SimulatedRun { setup, actions: Vec::new() };
    let actions = &mut run.actions;
    let played = played(&run.setup, |world| {
        let is_over =
            world.auditor().tally.admitted >= tasks || actions.len() as u64 >= tasks * ACTIONS_PER_TASK;
        if is_over {
            return None;
        }
        let action = generator.next(world);
        actions.push(action.clone());
        Some(action)
    });
    (run, played)
}

/// Plays a run that was written down.
pub fn again(run: &SimulatedRun) -> PlayedRun {
    let mut actions = run.actions.iter().cloned();
    played(&run.setup, |_| actions.next())
}

fn played(setup: &WorldSetup, mut next: impl FnMut(&World) -> Option<WorldAction>) -> PlayedRun {
    let (mut actions, mut tally) = (0, AuditTally::default());
    let outcome = catch_unwind(AssertUnwindSafe(|| -> Audit {
        let mut world = World::new(setup)?;
        while let Some(action) = next(&world) {
            actions += 1;
            let holds = world.act(&action);
            tally = world.auditor().tally;
            holds?;
        }
        let holds = world.end();
        tally = world.auditor().tally;
        holds
    }));
    let broken = outcome.unwrap_or_else(|panicked| {
        let what = panicked.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panicked.downcast_ref::<&str>().map(|what| (*what).to_owned()));
        Err(BrokenPromise { rule: "the scheduler does not panic", what: what.unwrap_or_default() })
    });
    PlayedRun { broken: broken.err(), actions, tally }
}

/// Plays a seed, and fails with a short run in a file if a promise is broken.
#[track_caller]
pub fn must_hold(seed: u64, tasks: u64) -> AuditTally {
    let (run, played) = drawn(seed, tasks);
    if let Some(broken) = played.broken {
        let all = run.actions.len();
        let (run, broken) = shrink(&run, broken);
        let path = kept_at(seed);
        let kept = run.save(&path).map_or_else(|error| error.to_string(), |()| path.display().to_string());
        panic!(
            "seed {seed} breaks a promise: {}\n  {}\n{all} actions, shrunk to {}: {kept}\nCONTRIBUTING.md says how to play it again",
            broken.rule,
            broken.what,
            run.actions.len(),
        );
    }
    played.tally
}

/// The file for a run that broke a promise.
fn kept_at(seed: u64) -> PathBuf {
    std::env::temp_dir().join(format!("p2c2r-simulation-{seed}.jsonl"))
}
