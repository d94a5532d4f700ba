//! A seeded simulation of the scheduler and the ledger: gamers and workers that connect, die, lie and stay silent, a
//! network that loses, duplicates, reorders and partitions, clocks that jump, coordinators that are killed and restart
//! from disk; and an auditor that checks the promises after every step.
//!
//! | module | owns |
//! |---|---|
//! | `action` | what can happen, as data; runs in files |
//! | `generator` | what happens next |
//! | `world` | scheduler, ledger, peers and network |
//! | `auditor` | what must hold |
//! | `kinds` | small kinds of work, for which wrong answers are easily made |
//! | `play`, `shrink` | plays runs, drawn or recorded; shortens runs that break a promise |
//! | `faults` | tests that the auditor finds injected faults |

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
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use action::SimulatedRun;
use auditor::AuditTally;
use p2c2r_program::Output;

/// Environment variable with a seed to play instead of the usual ones.
const SEED: &str = "P2C2R_SIMULATION_SEED";
/// Environment variable with a run to play instead of drawn ones: a file that a failed simulation named.
const RUN: &str = "P2C2R_SIMULATION_RUN";

/// Tasks of one world: enough for workers to become trusted, and few enough to try many worlds.
const TASKS: u64 = 500;
/// Tasks of one world in the long test: longer worlds get further.
const TASKS_LONG: u64 = 10_000;

/// Whether one world is to be played instead of all.
fn is_one_world() -> bool {
    std::env::var_os(SEED).is_some() || std::env::var_os(RUN).is_some()
}

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
    let all = [
        sum.by_workers,
        sum.by_coordinator,
        sum.patient_here,
        sum.gave_way,
        sum.from_cache,
        sum.recalled,
        sum.shared,
        sum.inherited,
        sum.refused,
        sum.begun,
        sum.voided,
        sum.hedged,
        sum.convicted,
        sum.restarts,
        sum.capped,
        sum.renamed,
        sum.sent_again,
        sum.blobs_asked_for,
    ];
    assert!(is_one_world() || all.iter().all(|count| *count > 0), "everything happens: {sum:?}");
}

/// Calls `next` on as many threads as there are processors, on each until it returns false. Worlds are independent of one
/// another, and each waits for the disk at times.
///
/// # Panics
/// If `next` panics on any thread; the other threads then finish their current call and stop.
fn on_all_processors(next: impl Fn() -> bool + Sync) {
    struct Stops<'a>(&'a AtomicBool);
    impl Drop for Stops<'_> {
        fn drop(&mut self) {
            self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
        }
    }
    let has_failed = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _stops = Stops(&has_failed);
                loop {
                    if has_failed.load(Ordering::Relaxed) || !next() {
                        break;
                    }
                }
            });
        }
    });
}

#[test]
#[ignore = "a million tasks: run by `./p2c2r test --long`"]
fn a_million_tasks_in_worlds_of_all_sorts() {
    if is_one_world() {
        play_worlds(0..0, TASKS_LONG);
        return;
    }
    let (seeds, sum) = (AtomicU64::new(1_000), Mutex::new(AuditTally::default()));
    let so_far = || *sum.lock().expect("no thread panics while it adds");
    on_all_processors(|| {
        if so_far().admitted >= 1_000_000 {
            return false;
        }
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let tally = play::must_hold(seed, TASKS_LONG);
        sum.lock().expect("no thread panics while it adds").add(&tally);
        let _ = writeln!(Output::Standard, "seed {seed} holds, {} tasks so far", so_far().admitted);
        true
    });
    let _ = writeln!(Output::Standard, "{} worlds: {:?}", seeds.into_inner() - 1_000, so_far());
}

/// Replays kept runs, each of which broke a promise before a mistake was mended.
#[test]
fn runs_that_showed_a_mistake_hold_since_it_was_mended() {
    let mut runs = 0;
    for file in std::fs::read_dir("src/simulation/kept").expect("the folder is there") {
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
