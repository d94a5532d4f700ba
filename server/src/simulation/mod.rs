//! A simulation of everything that can happen to the scheduler and the ledger, from a seed: gamers and workers that come, die,
//! lie and keep silent, a network that loses, repeats, reorders and splits, clocks that jump, coordinators that are killed and
//! start again with what is on disk; and an auditor that says after every step whether what was promised holds.
//!
//! | module | owns |
//! |---|---|
//! | `action` | what can happen, as data; runs in files |
//! | `generator` | what happens next |
//! | `world` | scheduler, ledger, peers and network |
//! | `auditor` | what must hold |
//! | `kinds` | kinds of work to be lied about |
//! | `play`, `shrink` | runs, again and shorter |
//! | `faults` | that the auditor finds what is wrong |

mod action;
mod auditor;
mod faults;
mod generator;
mod kinds;
mod play;
mod shrink;
mod world;

use std::io::Write as _;
use std::path::Path;

use action::SimulatedRun;
use auditor::AuditTally;
use p2c2r_program::Output;

/// Environment variable with a seed to play instead.
const SEED: &str = "P2C2R_SIMULATION_SEED";
/// Environment variable with a run to play instead: a file that a failed simulation named.
const RUN: &str = "P2C2R_SIMULATION_RUN";

/// Tasks of one world: enough for workers to be known, and few enough for the next world to be another one.
const TASKS: u64 = 500;
/// The same where there is time: longer worlds get further.
const TASKS_LONG: u64 = 10_000;

fn play_worlds(seeds: std::ops::Range<u64>, tasks: u64) -> AuditTally {
    if let Some(path) = std::env::var_os(RUN) {
        let run = SimulatedRun::load(Path::new(&path)).expect("a run that can be read");
        let played = play::again(&run);
        assert_eq!(played.broken, None, "after {} of {} actions", played.actions, run.actions.len());
        return played.tally;
    }
    let mut sum = AuditTally::default();
    if let Ok(seed) = std::env::var(SEED) {
        sum.add(&play::must_hold(seed.parse().expect("a number"), tasks));
        return sum;
    }
    for seed in seeds {
        sum.add(&play::must_hold(seed, tasks));
    }
    sum
}

#[test]
fn some_thousand_tasks_in_worlds_of_all_sorts() {
    let sum = play_worlds(0..16, TASKS);
    let is_single = std::env::var_os(SEED).is_some() || std::env::var_os(RUN).is_some();
    let all = [
        sum.by_workers,
        sum.by_coordinator,
        sum.from_cache,
        sum.shared,
        sum.inherited,
        sum.refused,
        sum.begun,
        sum.voided,
        sum.hedged,
        sum.convicted,
        sum.restarts,
    ];
    assert!(is_single || all.iter().all(|count| *count > 0), "everything happens: {sum:?}");
}

#[test]
#[ignore = "a million tasks: run by `./p2c2r test --long`"]
fn a_million_tasks_in_worlds_of_all_sorts() {
    let mut sum = AuditTally::default();
    let mut seed = 1_000;
    while sum.admitted < 1_000_000 {
        sum.add(&play::must_hold(seed, TASKS_LONG));
        let _ = writeln!(Output::Standard, "seed {seed} holds, {} tasks so far", sum.admitted);
        seed += 1;
    }
    let _ = writeln!(Output::Standard, "{} worlds: {sum:?}", seed - 1_000);
}

/// Runs that broke a promise once.
#[test]
fn runs_that_showed_a_mistake_hold_since_it_was_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulation/kept");
    let mut runs = 0;
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("a file").path();
        let played = play::again(&SimulatedRun::load(&path).expect("a run"));
        assert_eq!(played.broken, None, "{}", path.display());
        runs += 1;
    }
    assert!(runs > 0, "some are kept");
}

#[test]
fn the_same_run_has_the_same_end() {
    let (run, first) = play::drawn(3, 200);
    let (again, second) = play::drawn(3, 200);
    assert_eq!(run, again);
    let third = play::again(&run);
    for other in [second, third] {
        assert_eq!(format!("{:?}", first.tally), format!("{:?}", other.tally));
        assert_eq!((&first.broken, first.actions), (&other.broken, other.actions));
    }
}
