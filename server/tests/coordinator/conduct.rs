//! The trust that silence, failures and refusals cost a worker.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{AttemptFailure, GameToServer, PassedCheck, PeerId, TaskId};
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

    /// Asks for `count` tasks, which the worker answers rightly; returns the check that each answer passed.
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
        let cancel = GameToServer::Cancel { task };
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

/// How many answers are checked deeply after `incident`, of a worker whose next answer would not have been.
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
        play.stage.game_says(play.gamer, GameToServer::Cancel { task });
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

/// A link that loses every other answer, for long enough that the worker gets the longest rest.
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

/// How often a silent worker reconnects, and how many tasks are submitted each time: more than the honest one has room
/// for, so that any window granted to an unknown worker is used.
const RETURNS: u64 = 12;
const AT_ONCE: u64 = 40;

/// A worker that takes its tasks and never answers, beside an honest one that does a task in a millisecond: returns how
/// many tasks it took each time, and how many of the gamer's tasks were done in time. It reconnects every 60 ms with
/// 256 slots, under the account that `identity` gives.
fn harm(identity: impl Fn(u64) -> String) -> (Vec<usize>, usize) {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, honest) = (stage.gamer("g"), stage.worker("honest", 1));
    let (mut tasks, mut taken, mut with_honest) = (Vec::new(), Vec::new(), VecDeque::new());
    let mut step = |stage: &mut Stage| {
        stage.step();
        let (of_honest, others): (Vec<_>, Vec<_>) =
            stage.take_assigned().into_iter().partition(|(to, _)| *to == honest);
        with_honest.extend(of_honest.into_iter().map(|(_, assign)| assign));
        if let Some(assign) = with_honest.pop_front() {
            let number = toy::number_in(&assign.spec);
            stage.send_answer(honest, &assign, Ok(toy::answer(number)));
        }
        others.len()
    };
    for time in 0..RETURNS {
        let silent = stage.worker(&identity(time), 256);
        for number in 0..AT_ONCE {
            let submit = stage.submit_of(&toy::spec(10_000 + time * AT_ONCE + number));
            tasks.push(stage.id_of(gamer, submit.task));
            stage.game_says(gamer, GameToServer::Submit(submit));
        }
        taken.push((0..60).map(|_| step(&mut stage)).sum());
        stage.leave(silent);
    }
    for _ in 0..600 {
        step(&mut stage);
    }
    let done = tasks.iter().filter(|task| matches!(stage.heard(**task), [Heard::Done(_)])).count();
    (taken, done)
}

#[test]
fn a_silent_worker_takes_two_tasks_with_each_new_identity_and_fewer_by_coming_back() {
    let all = (RETURNS * AT_ONCE) as usize;
    let (by_kept, done_beside_kept) = harm(|_| "silent".into());
    let (by_new, done_beside_new) = harm(|time| format!("silent{time}"));
    println!("taken by one account: {by_kept:?}, by ever new ones: {by_new:?}");
    assert_eq!((done_beside_kept, done_beside_new), (all, all), "every task is done in time all the same");
    // There were tasks for a window of any size, so these counts are the windows that silent workers were granted.
    assert!(by_new.iter().all(|taken| *taken == 2), "a stranger has two tasks until it has answered");
    let (kept, new): (usize, usize) = (by_kept.iter().sum(), by_new.iter().sum());
    assert!(2 * kept < new, "what it did before is known of its account");
}
