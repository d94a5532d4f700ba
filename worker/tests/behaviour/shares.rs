//! A part of each slot's time: a slot rests after each run by what that took.

use std::time::{Duration, Instant};

use p2c2r_protocol::Micros;
use p2c2r_tasks::KindRegistry;
use p2c2r_worker::executor::{ClockAnchor, Executor};
use p2c2r_worker::{Execution, Share, WorkerConfig};

use super::mirrors::mirror;

const RUNS: u64 = 10;

/// How long one slot computed for so many runs, and how long it rested between them, by the stamps of their results.
fn computed_and_rested(execution: Execution, percent: u8) -> (Duration, Duration) {
    let cpu_share = Share::try_from(percent).unwrap();
    let config = WorkerConfig { slots: 1, execution, cpu_share, ..WorkerConfig::default() };
    let mut executor = Executor::new(&config).unwrap();
    let kinds = KindRegistry::builtin();
    let clock = ClockAnchor { at: Micros(0), instant: Some(Instant::now()) };
    for serial in 0..RUNS {
        assert!(executor.queue(mirror(&kinds, serial, clock)), "there is room");
    }
    let mut times = Vec::new();
    while times.len() < RUNS as usize {
        match executor.next_result() {
            Some(result) => times.push((result.started_at.0, result.finished_at.0)),
            None => std::thread::yield_now(),
        }
    }
    times.sort_unstable();
    let took = times.iter().map(|(from, to)| to - from).sum();
    let rested = times.windows(2).map(|pair| pair[1].0 - pair[0].1).sum();
    (Duration::from_micros(took), Duration::from_micros(rested))
}

#[track_caller]
fn rests(execution: Execution) {
    let (took, rested) = computed_and_rested(execution, 20);
    // Four times as long as it computed, but for the last run. What a busy machine adds between the measuring and the stamps
    // is no part of what is rested for: half of it is more than without any rest there ever is.
    assert!(rested > 2 * took, "{rested:?} after {took:?}");
}

#[test]
fn a_slot_of_this_process_rests_by_its_share() {
    rests(Execution::Threads);
}

#[cfg(target_os = "linux")]
#[test]
fn a_slot_with_a_process_of_its_own_rests_by_its_share() {
    let private = tempfile::tempdir().unwrap();
    rests(Execution::Processes(super::kernel_processes::builtin(&private)));
}
