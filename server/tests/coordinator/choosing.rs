//! Which of several workers gets a task.

use std::collections::HashMap;
use std::time::Duration;

use p2c2r_protocol::{PeerId, Submit};

use crate::stage::Stage;
use crate::toy::{self, SLY};

/// How many of 400 tasks, asked for one after the other, each worker gets, if a task takes it this many milliseconds.
fn shares<const N: usize>(milliseconds: [u64; N]) -> [usize; N] {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let workers = [(); N].map(|()| stage.worker("w", 1));
    let takes: HashMap<PeerId, u64> = workers.into_iter().zip(milliseconds).collect();
    let mut given: HashMap<PeerId, usize> = HashMap::new();
    for number in 0..400 {
        let task = stage.ask(gamer, SLY + number);
        let (worker, assign) = stage.assignment();
        stage.pass(Duration::from_millis(takes[&worker]));
        stage.answer_rightly(worker, &assign);
        stage.done(task);
        *given.entry(worker).or_default() += 1;
    }
    workers.map(|worker| given.get(&worker).copied().unwrap_or(0))
}

/// Helpers with equally fast computers earn about the same.
#[test]
fn workers_about_as_fast_get_about_as_many_tasks() {
    for milliseconds in [[20, 20], [20, 22]] {
        let [one, other] = shares(milliseconds);
        assert!(one.min(other) >= 150, "{one} and {other} at {milliseconds:?} ms");
    }
}

#[test]
fn a_worker_that_is_clearly_slower_is_asked_only_now_and_then() {
    let [fast, slow] = shares([20, 40]);
    assert!(slow * 20 < fast, "{fast} and {slow}");
}

/// Otherwise half of such tasks would be late, or computed here, although a worker has time for each.
#[test]
fn of_workers_about_as_fast_the_one_that_is_in_time_is_asked() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let takes = |worker: PeerId, fast: PeerId| Duration::from_millis(if worker == fast { 20 } else { 24 });
    let (fast, slow) = (stage.worker("fast", 1), stage.worker("slow", 1));
    let mut given_to_slow = 0;
    for number in 0..200 {
        // At first there is time for either, so that both are measured.
        let is_hurried = number >= 100;
        let submit = stage.submit_of(&toy::spec(SLY + number));
        let budget_us = if is_hurried { Some(23_000) } else { submit.budget_us };
        let task = stage.submit(gamer, Submit { budget_us, ..submit });
        let assigned = stage.take_assigned();
        if let [(worker, assign)] = &assigned[..] {
            stage.pass(takes(*worker, fast));
            stage.answer_rightly(*worker, assign);
            given_to_slow += usize::from(*worker == slow && !is_hurried);
        }
        if is_hurried {
            assert_eq!(assigned.len(), 1, "task {number} is given to a worker");
            assert_eq!(assigned[0].0, fast, "task {number}");
            stage.done(task);
        }
    }
    assert!(given_to_slow >= 30, "both are measured: {given_to_slow}");
}
