//! Second attempts: when they are made, who gets them, and what becomes of the one that loses.

use std::time::Duration;

use p2c2r_protocol::{Assign, AttemptFailure, ComputedBy, Digest, Nanos, PeerId, TaskId, WorkerToServer};
use p2c2r_server::Fallback;
use p2c2r_server::config::TrustRules;

use crate::stage::Stage;
use crate::toy::{self, SLY, ToySpec};

/// Longer than the wait before a second worker is asked, and shorter than any lease.
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
        Self::with(TrustRules::default().never())
    }

    fn with(trust: TrustRules) -> Self {
        let mut stage = Stage::with(|config| (config.trust, config.fallback) = (trust, Fallback::Queue));
        let gamer = stage.gamer("g");
        let workers = [stage.worker("one", 1), stage.worker("other", 1)];
        let mut pair = Self { stage, gamer, workers, next: 1_000 };
        pair.prove(20);
        pair
    }

    /// Plays `rounds` rounds in which both workers answer one task each.
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

    /// Submits a task that its worker does not answer in time: its id, its worker and its assignment.
    fn ask(&mut self) -> (TaskId, PeerId, Assign) {
        self.next += 1;
        let task = self.stage.ask(self.gamer, self.next);
        let (worker, assign) = self.stage.assignment();
        (task, worker, assign)
    }

    /// A task that both workers answer, the second one first, each with the square of the number that its function makes of
    /// the task's. Returns the first worker and the second.
    fn answered_by_both(
        &mut self,
        first_says: impl Fn(u64) -> u64,
        second_says: impl Fn(u64) -> u64,
    ) -> [PeerId; 2] {
        let (task, first, assign) = self.ask();
        self.stage.pass(LATE);
        let (second, again) = self.stage.assignment();
        let number = toy::number_in(&assign.spec);
        self.stage.answer(second, &again, Ok(toy::answer(second_says(number))));
        self.stage.answer(first, &assign, Ok(toy::answer(first_says(number))));
        self.stage.step();
        self.stage.done(task);
        [first, second]
    }

    fn names(&self, workers: [PeerId; 2]) -> [&'static str; 2] {
        workers.map(|worker| if worker == self.workers[0] { "one" } else { "other" })
    }

    fn other(&self, worker: PeerId) -> PeerId {
        self.workers[usize::from(worker == self.workers[0])]
    }
}

#[test]
fn either_of_two_workers_is_sent_missing_blobs_whichever_asks_first() {
    let mut pair = Pair::new();
    let blob = b"a grid".to_vec();
    let digest = Digest::of(&blob);
    let mut submit = pair.stage.submit_of(&ToySpec { blob: Some(digest), ..toy::spec(pair.next + 1) });
    submit.blobs = vec![blob.clone()];
    pair.stage.submit(pair.gamer, submit);
    let (first, assign) = pair.stage.assignment();
    pair.stage.pass(LATE);
    let (second, again) = pair.stage.assignment();
    for (worker, assign) in [(second, again), (first, assign)] {
        let Assign { task, attempt, .. } = assign;
        pair.stage.worker_says(worker, WorkerToServer::BlobsMissing { task, attempt, missing: vec![digest] });
        pair.stage.step();
        let (to, sent) = pair.stage.assignment();
        assert_eq!((to, sent.attempt, sent.blobs), (worker, attempt, vec![blob.clone()]));
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
fn two_answers_that_agree_are_a_passed_check_of_both() {
    let mut pair = Pair::new();
    let both = pair.answered_by_both(|number| number, |number| number);
    let names = pair.names(both);
    let mut answers = Vec::new();
    for worker in both {
        pair.stage.leave(worker);
    }
    for name in names {
        let known = pair.stage.known_of(name);
        assert_eq!((known.checked, known.failures), (1, 0), "{name}");
        answers.push(known.answers.values().sum::<u64>());
    }
    let accepted = pair.stage.tally().by_workers;
    assert_eq!(answers.iter().sum::<u64>(), accepted + 1, "the one that was not needed counts as an answer");
}

/// For these numbers any answer passes the always-on check: only the other answer reveals that one is wrong.
#[test]
fn two_answers_that_differ_are_both_looked_at_and_the_wrong_one_counts_whichever_was_accepted() {
    for accepted_lies in [false, true] {
        let mut pair = Pair::with(TrustRules { failures_max: 1, ..TrustRules::default().never() });
        pair.next = SLY;
        let right = |number| number;
        let wrong = |number| number + 1;
        let both = if accepted_lies {
            pair.answered_by_both(right, wrong)
        } else {
            pair.answered_by_both(wrong, right)
        };
        let tally = pair.stage.tally();
        assert_eq!((tally.twice_unlike, tally.convicted), (1, 1));
        let [first, second] = pair.names(both);
        let (liar, honest) = if accepted_lies { (second, first) } else { (first, second) };
        for worker in both {
            pair.stage.leave(worker);
        }
        let (liar, honest) = (pair.stage.known_of(liar), pair.stage.known_of(honest));
        assert!(liar.quarantined && !honest.quarantined);
        assert_eq!((honest.failures, honest.checked), (0, 1), "what it said was looked at, and right");
    }
}

/// The outcome has passed a deep check of its own, which looks at a part only.
#[test]
fn an_outcome_that_another_worker_contradicted_is_given_to_nobody_else_also_after_a_restart() {
    for restarts in [false, true] {
        let mut pair = Pair::with(TrustRules::default().always());
        pair.answered_by_both(|number| number + 1, |number| number);
        assert_eq!(pair.stage.tally().twice_unlike, 1);
        if restarts {
            pair.stage.books();
            pair.stage.stop();
            pair.stage.start();
            pair.gamer = pair.stage.gamer("g");
            pair.stage.worker("another", 1);
        }
        let task = pair.stage.ask(pair.gamer, pair.next);
        let (worker, assign) = pair.stage.assignment();
        pair.stage.answer_rightly(worker, &assign);
        pair.stage.step();
        pair.stage.done(task);
        let again = pair.stage.ask(pair.gamer, pair.next);
        assert!(matches!(pair.stage.done(again).receipt.computed_by, ComputedBy::Cache(_)));
        pair.stage.books();
    }
}

#[test]
fn after_an_attempt_that_came_to_nothing_a_proven_worker_is_asked_before_strangers() {
    for fails in [true, false] {
        let mut pair = Pair::new();
        let (task, first, assign) = pair.ask();
        // Many more idle workers than a match examines.
        for stranger in 0..20 {
            pair.stage.worker(&format!("stranger {stranger}"), 4);
        }
        if fails {
            pair.stage.answer(first, &assign, Err(AttemptFailure::KernelPanicked));
        } else {
            pair.stage.leave(first);
        }
        let (to, again) = pair.stage.assignment();
        assert_eq!(to, pair.other(first), "not one of the strangers");
        pair.stage.answer_rightly(to, &again);
        pair.stage.done(task);
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
fn second_attempts_are_at_most_seven_per_cent_of_the_work() {
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
    assert!(tally.hedged > 0 && tally.hedged * 100 <= first * 7, "{} of {first}", tally.hedged);
}
