//! Second attempts: when they are made, who gets them, and what becomes of the one that loses.

use std::time::Duration;

use p2c2r_protocol::{Assign, ComputedBy, Nanos, PeerId, TaskId};
use p2c2r_server::Fallback;

use crate::stage::Stage;
use crate::toy;

/// Longer than a second worker is waited for, and shorter than any lease.
const LATE: Duration = Duration::from_millis(60);

/// A gamer and two workers that have both proven themselves.
struct Pair {
    stage: Stage,
    gamer: PeerId,
    workers: [PeerId; 2],
    next: u64,
}

impl Pair {
    fn new() -> Self {
        let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
        let gamer = stage.gamer("g");
        let workers = [stage.worker("one", 1), stage.worker("other", 1)];
        let mut pair = Self { stage, gamer, workers, next: 1_000 };
        pair.prove(20);
        pair
    }

    /// So many rounds in which both answer a task at once.
    fn prove(&mut self, rounds: u64) {
        for _ in 0..rounds {
            for _ in 0..2 {
                let submit = self.stage.submit_of(&toy::spec(self.next));
                self.stage.game_says(self.gamer, p2c2r_protocol::GameToServer::Submit(submit));
                self.next += 1;
            }
            self.stage.step();
            for (worker, assign) in self.stage.take_assigned() {
                self.stage.send_answer(worker, &assign, Ok(toy::answer(toy::number_in(&assign.spec))));
            }
            self.stage.step();
        }
        assert_eq!(self.stage.in_flight(), 0);
    }

    /// A task that whoever gets it does not answer in time: its id, who has it, and what it was asked.
    fn ask(&mut self) -> (TaskId, PeerId, Assign) {
        self.next += 1;
        let task = self.stage.ask(self.gamer, self.next);
        let (worker, assign) = self.stage.assignment();
        (task, worker, assign)
    }

    fn other(&self, worker: PeerId) -> PeerId {
        self.workers[usize::from(worker == self.workers[0])]
    }
}

#[test]
fn a_second_worker_gets_a_late_task_and_whoever_is_first_wins() {
    for second_wins in [true, false] {
        let mut pair = Pair::new();
        let before = pair.stage.gamer_statement(pair.gamer).charged;
        let (task, first, assign) = pair.ask();
        pair.stage.pass(Duration::from_millis(8));
        assert!(pair.stage.take_assigned().is_empty(), "not before the first one is late");
        pair.stage.pass(LATE);
        let (second, again) = pair.stage.assignment();
        assert_eq!((second, again.task, again.attempt.0), (pair.other(first), assign.task, 2));
        assert!(pair.stage.take_revoked().is_empty(), "the first one goes on");
        let (winner, its) = if second_wins { (second, &again) } else { (first, &assign) };
        pair.stage.answer_rightly(winner, its);
        let loser = pair.other(winner);
        assert_eq!(pair.stage.take_revoked(), [(loser, assign.task)], "at once");
        let name = if winner == pair.workers[0] { "one" } else { "other" };
        assert_eq!(pair.stage.done(task).receipt.computed_by, ComputedBy::Worker(name.into()));
        let charged = pair.stage.gamer_statement(pair.gamer).charged;
        assert_eq!(charged - before, pair.stage.price(1_000), "once");
        let tally = pair.stage.tally();
        assert_eq!((tally.hedged, tally.hedges_won), (1, u64::from(second_wins)));
        pair.stage.books();
    }
}

#[test]
fn two_answers_to_one_task_are_compared_and_one_is_paid() {
    for (answer, alike, unlike) in [(None, 1, 0), (Some(5), 0, 1)] {
        let mut pair = Pair::new();
        let (task, first, assign) = pair.ask();
        pair.stage.pass(LATE);
        let (second, again) = pair.stage.assignment();
        pair.stage.answer_rightly(second, &again);
        let earned = pair.stage.worker_statement(first).earned;
        let said = answer.unwrap_or(toy::number_in(&assign.spec));
        for _ in 0..2 {
            pair.stage.answer(first, &assign, Ok(toy::answer(said)));
        }
        let tally = pair.stage.tally();
        assert_eq!((tally.twice_alike, tally.twice_unlike, tally.stray), (alike, unlike, 1));
        pair.stage.done(task);
        assert_eq!(pair.stage.worker_statement(first).earned, earned, "what was revoked is not paid");
    }
}

#[test]
fn a_second_attempt_goes_to_nobody_who_is_not_proven() {
    let mut pair = Pair::new();
    let (task, first, assign) = pair.ask();
    let other = pair.other(first);
    pair.stage.leave(other);
    pair.stage.worker("stranger", 4);
    pair.stage.pass(LATE);
    assert!(pair.stage.take_assigned().is_empty());
    pair.stage.answer_rightly(first, &assign);
    pair.stage.done(task);
}

#[test]
fn a_task_whose_attempts_both_fail_goes_on() {
    let mut pair = Pair::new();
    let (task, first, assign) = pair.ask();
    pair.stage.pass(LATE);
    let (second, again) = pair.stage.assignment();
    pair.stage.answer(second, &again, Ok(toy::answer(1)));
    assert!(pair.stage.heard(task).is_empty() && pair.stage.take_assigned().is_empty(), "one still has it");
    pair.stage.leave(first);
    let third = pair.stage.worker("third", 1);
    let (to, last) = pair.stage.assignment();
    assert_eq!((to, last.task, last.attempt.0), (third, assign.task, 3));
    pair.stage.answer_rightly(third, &last);
    pair.stage.done(task);
    assert!(pair.stage.books().totals.revenue > Nanos::ZERO);
}

#[test]
fn second_attempts_are_at_most_a_tenth_of_the_work() {
    let mut pair = Pair::new();
    let slow = pair.workers[0];
    for _ in 0..200 {
        let (_, worker, assign) = pair.ask();
        if worker == slow {
            // Late every time, but it does answer.
            pair.stage.pass(Duration::from_millis(30));
        }
        for (other, again) in pair.stage.take_assigned() {
            pair.stage.answer_rightly(other, &again);
        }
        pair.stage.answer_rightly(worker, &assign);
    }
    let tally = pair.stage.tally();
    let first = tally.admitted;
    assert!(tally.hedged > 0 && tally.hedged * 10 <= first, "{} of {first}", tally.hedged);
}
