//! Limits on the slots: under a limited share a slot rests after each run in proportion to what it took, and no more
//! runs are computed at the same time than slots may compute.

use std::time::{Duration, Instant};

use p2c2r_protocol::Micros;
use p2c2r_tasks::KindRegistry;
use p2c2r_worker::executor::{ClockAnchor, Executor};
use p2c2r_worker::{Execution, Share, WorkerConfig};

use super::mirrors::mirror;

const RUNS: u64 = 10;

/// How long one slot computed and how long it rested between its runs, by the time stamps of their results.
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
    computed_and_rested_by(&times)
}

/// The same of the process of tiny tasks, given runs that take it longer than the app's thread waits.
fn computed_and_rested_beside(execution: Execution, percent: u8) -> (Duration, Duration) {
    let cpu_share = Share::try_from(percent).unwrap();
    let config = WorkerConfig { slots: 1, execution, cpu_share, ..WorkerConfig::default() };
    let mut executor = Executor::new(&config).unwrap();
    let kinds = KindRegistry::builtin();
    let clock = ClockAnchor { at: Micros(0), instant: Some(Instant::now()) };
    let mut times = Vec::new();
    for serial in 0..RUNS {
        let run = mirror(&kinds, serial, clock);
        while !executor.takes_tiny(&run) {
            std::thread::yield_now();
        }
        executor.run_tiny(run);
        executor.run_waiting();
        times.push(loop {
            match executor.next_result() {
                Some(result) => break (result.started_at.0, result.finished_at.0),
                None => std::thread::yield_now(),
            }
        });
    }
    computed_and_rested_by(&times)
}

fn computed_and_rested_by(times: &[(u64, u64)]) -> (Duration, Duration) {
    let took = times.iter().map(|(from, to)| to - from).sum();
    let rested = times.windows(2).map(|pair| pair[1].0 - pair[0].1).sum();
    (Duration::from_micros(took), Duration::from_micros(rested))
}

#[track_caller]
fn rests((took, rested): (Duration, Duration)) {
    // At 20 % a slot rests four times as long as it computed, except after the last run. On a busy machine the stamps
    // include time that is not rested for, so half of that is demanded, which is more than there ever is without rests.
    assert!(rested > 2 * took, "{rested:?} after {took:?}");
}

#[test]
fn a_slot_of_this_process_rests_by_its_share() {
    rests(computed_and_rested(Execution::Threads, 20));
}

#[cfg(target_os = "linux")]
#[test]
fn a_slot_with_a_process_of_its_own_rests_by_its_share() {
    let private = tempfile::tempdir().unwrap();
    rests(computed_and_rested(Execution::Processes(super::kernel_processes::builtin(&private)), 20));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_of_tiny_tasks_rests_by_its_share_of_what_they_took() {
    let private = tempfile::tempdir().unwrap();
    rests(computed_and_rested_beside(Execution::Processes(super::kernel_processes::builtin(&private)), 20));
}

/// While one slot may compute and does, nothing is begun beside it.
#[track_caller]
fn computes_one_at_a_time(execution: Execution) {
    let config = WorkerConfig { slots: 2, execution, ..WorkerConfig::default() };
    let mut executor = Executor::new(&config).unwrap();
    executor.compute_on(1);
    let kinds = KindRegistry::builtin();
    let clock = ClockAnchor { at: Micros(0), instant: Some(Instant::now()) };
    let tiny = mirror(&kinds, RUNS, clock);
    for serial in 0..RUNS {
        assert!(executor.queue(mirror(&kinds, serial, clock)), "there is room");
        loop {
            // Asked before the result is taken: until a slot has sent it, it may still compute.
            let would_begin = executor.takes_tiny(&tiny);
            if executor.next_result().is_some() {
                break;
            }
            assert!(!would_begin, "one is computed or waits for its slot");
            std::thread::yield_now();
        }
    }
    while !executor.takes_tiny(&tiny) {
        std::thread::yield_now();
    }
    executor.run_tiny(tiny);
    executor.run_waiting();
    while executor.next_result().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn a_tiny_task_waits_while_as_many_are_computed_on_threads_as_may_be() {
    computes_one_at_a_time(Execution::Threads);
}

#[cfg(target_os = "linux")]
#[test]
fn a_tiny_task_waits_while_as_many_are_computed_in_processes_as_may_be() {
    let private = tempfile::tempdir().unwrap();
    computes_one_at_a_time(Execution::Processes(super::kernel_processes::builtin(&private)));
}
