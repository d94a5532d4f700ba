//! Injected faults: the auditor must find each within a number of tasks.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use p2c2r_program::Output;

use super::auditor::BrokenPromise;
use super::shrink::shrink;
use super::{on_all_processors, play};
use crate::core::fault::{Fault, FaultGuard};

/// Every fault, and the rules whose violation reveals it.
const FAULTS: [(Fault, &[&str]); 35] = [
    (Fault::LendsMoney, &["nobody spends what he does not have"]),
    (Fault::IgnoresCaps, &["no task costs more than its cap"]),
    (Fault::ForgetsTheHour, &["no hour costs more than its cap"]),
    (Fault::KeepsTheCap, &["no hour costs more than its cap"]),
    (Fault::KeepsTheName, &["a receipt names the worker as it is called"]),
    (Fault::SendsNoBlobs, &["who lacks blobs is sent them"]),
    (Fault::ForgetsIds, &["an id is admitted once"]),
    (Fault::IgnoresQuitting, &["what was taken back is not begun again"]),
    (Fault::ServesTheFirst, &["nobody is served at somebody else's cost"]),
    (Fault::HedgesWithoutEnd, &["second attempts are at most 7 % of the work"]),
    (Fault::TrustsNewcomers, &["who is not known, and what is cheap or shared, is checked deeply"]),
    (
        Fault::AcceptsWhatFailed,
        &[
            "only accepted answers are paid",
            "only answers that pass the check are paid",
            "what was deeply checked is right",
        ],
    ),
    (Fault::EmploysTheConvicted, &["who is convicted gets no work"]),
    (
        Fault::KeepsWhatTheConvictedMade,
        &["a game gets what was accepted, and nobody gets what a convicted worker made"],
    ),
    (
        Fault::DeliversWhatTheConvictedMade,
        &["a game gets what was accepted, and nobody gets what a convicted worker made"],
    ),
    (Fault::ConvictsAtOnce, &["one error is not fraud"]),
    (Fault::ChargesEveryCheck, &["answers wait for a check only while its time is spent"]),
    (Fault::KeepsThePool, &["what is patient gives way"]),
    (Fault::WaitsForEver, &["the scheduler is woken in time"]),
    (
        Fault::AcceptsForgeries,
        &["only answers under a lease are paid", "only answers that were given are checked"],
    ),
    (Fault::ChargesTwice, &["only open tasks are worked on, and each ends once"]),
    (Fault::KeepsANano, &["the fee is a tenth, to the nano-dollar"]),
    (Fault::ChargesWhatIsLate, &["nothing is charged for what is late"]),
    (
        Fault::SharesTheUnchecked,
        &["a game gets what was accepted, and nobody gets what a convicted worker made"],
    ),
    (Fault::GivesTheUnchecked, &["only what was checked deeply is reused"]),
    (Fault::ChargesReuseInFull, &["reuse costs the fee"]),
    (Fault::GivesTwice, &["only open tasks are worked on, and each ends once"]),
    (Fault::LetsThemWorkInVain, &["what nobody wants any more is revoked at once"]),
    (Fault::ChargesWhatWasNotBegun, &["only what was begun is charged"]),
    (Fault::ChargesTheHeirForAll, &["no part of what was begun is charged twice"]),
    (
        Fault::DeliversToAnybody,
        &[
            "outcomes go to who asked for them",
            "what failed has failed",
            "a game hears how its task ended",
            "only who is there is told anything",
        ],
    ),
    (
        Fault::RecallsWhatIsRevoked,
        &["a game gets what was accepted, and nobody gets what a convicted worker made"],
    ),
    (Fault::ForgetsPatientTasks, &["patient tasks survive"]),
    (Fault::TellsTooSoon, &["what is told as charged is recorded"]),
    (Fault::SleepsTooLong, &["the scheduler is woken in time"]),
];

/// Tasks of a world, and worlds in which a fault must be found: within 200,000 tasks.
const TASKS: u64 = 500;
const WORLDS: u64 = 400;

/// Plays worlds until the fault is found. Returns how many tasks that took, and the broken promise; `None` if no world
/// reveals it.
fn found(fault: Fault) -> Option<(u64, BrokenPromise)> {
    let _made = FaultGuard::on_this_thread(fault);
    let mut tasks = 0;
    for seed in 0..WORLDS {
        let (_, played) = play::drawn(seed, TASKS);
        tasks += played.tally.admitted;
        if let Some(broken) = played.broken {
            return Some((tasks, broken));
        }
    }
    None
}

#[test]
#[ignore = "up to 200,000 tasks for a fault: run by `./p2c2r test --long`"]
fn every_fault_is_found() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    on_all_processors(|| {
        let Some((fault, rules)) = FAULTS.get(next.fetch_add(1, Ordering::Relaxed)) else { return false };
        let is_found = match found(*fault) {
            None => {
                let _ = writeln!(Output::Standard, "{fault:?} is not found");
                false
            }
            Some((tasks, broken)) => {
                let _ = writeln!(Output::Standard, "{fault:?} is found after {tasks} tasks: {}", broken.rule);
                rules.contains(&broken.rule)
            }
        };
        if !is_found {
            missed.lock().expect("no thread panics while it adds").push(*fault);
        }
        true
    });
    let missed = missed.into_inner().expect("no thread panics while it adds");
    assert_eq!(missed, [], "faults that are not found, or taken for something else");
}

#[test]
fn a_run_that_breaks_a_promise_shrinks_and_can_be_played_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The fault, the first world to play, and the length to which its run must shrink. In world 1 the run of the last fault
    // becomes no shorter than 14 actions.
    for (fault, from, actions_max) in
        [(Fault::ChargesTwice, 0, 20), (Fault::ForgetsPatientTasks, 0, 10), (Fault::IgnoresCaps, 2, 8)]
    {
        let made = FaultGuard::on_this_thread(fault);
        let (run, broken) = (from..WORLDS)
            .find_map(|seed| {
                let (run, played) = play::drawn(seed, TASKS);
                Some((run, played.broken?))
            })
            .expect("the fault is found");
        let (short, still) = shrink(&run, broken.clone());
        assert_eq!(still.rule, broken.rule);
        let length = short.actions.len();
        assert!(
            length <= actions_max,
            "{fault:?}: {} actions shrunk to {length}: {short:?}",
            run.actions.len()
        );
        let path = folder.path().join("run.jsonl");
        short.save(&path).expect("it can be written");
        let read = super::SimulatedRun::load(&path).expect("it can be read");
        assert_eq!(read, short);
        assert_eq!(play::again(&read).broken, Some(still));
        drop(made);
        assert_eq!(play::again(&read).broken, None, "without the fault it is an ordinary run");
    }
}
