//! What silence, failures and refusals cost a worker.

use std::time::Duration;

use p2c2r_protocol::{AttemptFailure, PassedCheck, PeerId, TaskId};
use p2c2r_server::Fallback;
use p2c2r_server::config::TrustRules;

use crate::stage::{Heard, Stage};
use crate::toy::{self, SLY};

/// The first twenty answers are checked deeply, and nobody's afterwards.
fn twenty_then_none() -> TrustRules {
    TrustRules {
        probation_answers: 3,
        proving_answers: 20,
        proving_percent: 100.0,
        settling: Duration::ZERO,
        ..TrustRules::default().never()
    }
}

/// A gamer, and a worker that does what a test says.
struct Play {
    stage: Stage,
    gamer: PeerId,
    worker: PeerId,
    next: u64,
}

impl Play {
    fn new(trust: TrustRules) -> Self {
        let mut stage = Stage::with(|config| (config.trust, config.fallback) = (trust, Fallback::Queue));
        let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
        Self { stage, gamer, worker, next: SLY }
    }

    fn ask(&mut self) -> TaskId {
        self.next += 1;
        self.stage.ask(self.gamer, self.next)
    }

    /// So many tasks that the worker answers rightly, and which check each answer passed.
    fn answered(&mut self, count: usize) -> Vec<PassedCheck> {
        (0..count)
            .map(|_| {
                let task = self.ask();
                let (_, assign) = self.stage.assignment();
                self.stage.answer_rightly(self.worker, &assign);
                self.stage.done(task).receipt.check
            })
            .collect()
    }

    /// A task that the worker takes and does not answer; its gamer has it late.
    fn unanswered(&mut self) {
        self.ask();
        self.stage.assignment();
        self.stage.pass(Duration::from_millis(600));
    }

    fn refused(&mut self, failure: AttemptFailure) {
        let task = self.ask();
        let (_, assign) = self.stage.assignment();
        self.stage.answer(self.worker, &assign, Err(failure));
        let cancel = p2c2r_protocol::GameToServer::Cancel { task };
        self.stage.game_says(self.gamer, cancel);
        self.stage.step();
        for (_, again) in self.stage.take_assigned() {
            self.stage.send_answer(self.worker, &again, Err(failure));
        }
        self.stage.jump(Duration::from_secs(1));
    }

    /// The worker's program ends and starts again, under another name.
    fn restarts_as(&mut self, name: &str) {
        self.stage.leave(self.worker);
        self.stage.jump(Duration::from_secs(1));
        self.worker = self.stage.worker_as("w", name, 1);
        self.stage.take_assigned();
    }
}

/// How many of the next answers are checked deeply of a worker whose last one was the first that would not have been.
fn checked_after(incident: impl Fn(&mut Play)) -> usize {
    let mut play = Play::new(twenty_then_none());
    assert!(play.answered(20).iter().all(|check| *check == PassedCheck::Deep));
    incident(&mut play);
    let checks = play.answered(20);
    assert_eq!(play.stage.tally().incidents, 1);
    assert_eq!(play.stage.tally().convicted, 0);
    let deep = checks.iter().take_while(|check| **check == PassedCheck::Deep).count();
    assert!(checks[deep..].iter().all(|check| *check == PassedCheck::Always));
    deep
}

#[test]
fn silence_costs_trust_a_failure_less_and_a_full_worker_the_least() {
    assert_eq!(checked_after(Play::unanswered), 10);
    assert_eq!(checked_after(|play| play.refused(AttemptFailure::KernelPanicked)), 5);
    assert_eq!(checked_after(|play| play.refused(AttemptFailure::Overloaded)), 2);
}

#[test]
fn going_away_with_work_is_silence_and_another_name_changes_nothing() {
    let departure = |play: &mut Play| {
        let task = play.ask();
        play.stage.assignment();
        play.restarts_as("somebody else");
        play.stage.game_says(play.gamer, p2c2r_protocol::GameToServer::Cancel { task });
        play.stage.pass(Duration::from_millis(600));
    };
    assert_eq!(checked_after(departure), 10);
    let silence = |play: &mut Play| {
        play.unanswered();
        play.restarts_as("nobody");
    };
    assert_eq!(checked_after(silence), 10);
}

#[test]
fn everything_a_worker_has_when_it_stands_still_is_one_incident() {
    let mut play = Play::new(twenty_then_none());
    play.stage.leave(play.worker);
    play.worker = play.stage.worker("w", 4);
    play.answered(20);
    for _ in 0..4 {
        play.ask();
    }
    assert_eq!(play.stage.take_assigned().len(), 4);
    play.stage.pass(Duration::from_millis(600));
    assert_eq!(play.stage.tally().incidents, 1);
    let deep = play.answered(20).iter().filter(|check| **check == PassedCheck::Deep).count();
    assert_eq!(deep, 10);
}

/// A line that loses every other answer, for as long as it takes to send a worker to rest for as long as there is.
#[test]
fn lost_answers_alone_neither_convict_nor_put_anybody_back_on_probation() {
    let trust = TrustRules { probation_answers: 3, ..TrustRules::default().never() };
    let mut play = Play::new(trust);
    play.answered(5);
    for _ in 0..60 {
        play.unanswered();
        play.stage.jump(Duration::from_mins(2));
        assert_eq!(play.answered(1), [PassedCheck::Always]);
    }
    let tally = play.stage.tally();
    assert!(tally.incidents >= 50 && tally.convicted == 0, "{tally:?}");
}

#[test]
fn a_deadline_that_nobody_could_have_met_costs_nobody_trust() {
    let mut play = Play::new(twenty_then_none());
    play.answered(20);
    play.next += 1;
    let mut submit = play.stage.submit_of(&toy::ToySpec { units: 400_000, ..toy::spec(play.next) });
    submit.budget_us = Some(450_000);
    let task = play.stage.submit(play.gamer, submit);
    play.stage.assignment();
    play.stage.pass(Duration::from_millis(500));
    assert!(matches!(play.stage.heard(task), [Heard::Failed(_)]));
    assert_eq!(play.stage.tally().incidents, 0);
    assert_eq!(play.answered(1), [PassedCheck::Always]);
}

/// A worker that takes what it gets and never answers, beside an honest one: how many tasks it took, and how many of its gamer's
/// were done. Every 33 ms it comes back, under the account that `identity` says.
fn harm(identity: impl Fn(u64) -> String) -> (usize, usize) {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, honest) = (stage.gamer("g"), stage.worker("honest", 4));
    let mut silent = stage.worker(&identity(0), 256);
    let (mut tasks, mut taken) = (Vec::new(), 0);
    for number in 0..1_400 {
        if number < 400 {
            tasks.push(stage.ask(gamer, 10_000 + number));
        }
        for (to, assign) in stage.take_assigned() {
            if to == honest {
                stage.answer_rightly(honest, &assign);
            } else {
                taken += 1;
            }
        }
        if number < 400 && number % 33 == 32 {
            stage.leave(silent);
            silent = stage.worker(&identity(number), 256);
        }
        stage.step();
    }
    let done = tasks.iter().filter(|task| matches!(stage.heard(**task), [Heard::Done(_)])).count();
    (taken, done)
}

#[test]
fn a_new_identity_gains_a_silent_worker_nothing() {
    let (kept, done_beside_kept) = harm(|_| "silent".into());
    let (new, done_beside_new) = harm(|number| format!("silent{number}"));
    println!("taken by one account: {kept}, by ever new ones: {new}");
    assert_eq!((done_beside_kept, done_beside_new), (400, 400), "every task is done in time all the same");
    assert!(new <= 2 * 13, "a stranger gets two tasks, and no more until it has answered: {new}");
}
