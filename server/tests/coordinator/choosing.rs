//! Which of several workers gets a task.

use std::collections::HashMap;
use std::time::Duration;

use p2c2r_protocol::PeerId;

use crate::stage::Stage;
use crate::toy::SLY;

/// How many of 400 tasks, asked for one after the other, each of these workers gets, if it takes so many milliseconds.
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

/// Whoever helps with a computer as good as another's earns about as much.
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
