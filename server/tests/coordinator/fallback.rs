//! What happens when no worker can do it, in the three ways an operator can choose.

use std::time::Duration;

use p2c2r_protocol::{AttemptFailure, ComputedBy, Nanos, Refusal, TaskFailure, WorkerToServer};
use p2c2r_server::{ComputeMode, Fallback, PatientFallback};

use crate::stage::{BUDGET, STEP, Stage};
use crate::toy;

#[test]
fn compute_does_it_here_at_full_price_and_pays_no_worker() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let task = stage.ask(gamer, 3);
    stage.step();
    let receipt = stage.done(task).receipt.clone();
    assert_eq!(receipt.computed_by, ComputedBy::Coordinator);
    assert_eq!(receipt.price, stage.price(1_000));
    let books = stage.books();
    assert_eq!((books.totals.revenue, books.totals.fee), (receipt.price, receipt.price));
}

#[test]
fn compute_takes_over_before_the_deadline_from_a_worker_that_hangs() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let hung = stage.worker("hung", 1);
    let task = stage.ask(gamer, 3);
    let (_, assign) = stage.assignment();
    stage.pass(BUDGET);
    let receipt = &stage.done(task).receipt;
    assert_eq!((&receipt.computed_by, receipt.attempts), (&ComputedBy::Coordinator, 2));
    assert!(u128::from(receipt.sent_at.since(receipt.received_at)) < BUDGET.as_micros());
    assert_eq!(stage.take_revoked(), [(hung, assign.task)]);
}

#[test]
fn a_kernel_that_fails_everywhere_is_said_so_and_not_charged() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let task = stage.ask(gamer, toy::FAILS);
    stage.step();
    assert_eq!(stage.failure(task), TaskFailure::KernelFailed);
    assert_eq!(stage.gamer_statement(gamer).charged, Nanos::ZERO);
}

#[test]
fn queue_waits_for_a_worker_to_return() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let worker = stage.worker("w", 1);
    let mut submit = stage.submit_of(&toy::spec(4));
    submit.budget_us = Some(60_000_000);
    let running = stage.submit(gamer, submit);
    stage.take_assigned();
    stage.leave(worker);
    let mut submit = stage.submit_of(&toy::spec(5));
    submit.budget_us = Some(60_000_000);
    let queued = stage.submit(gamer, submit);
    stage.pass(Duration::from_secs(5));
    assert!(stage.heard(running).is_empty() && stage.heard(queued).is_empty());
    let back = stage.worker("w", 1);
    for _ in [running, queued] {
        for (to, assign) in stage.take_assigned() {
            assert_eq!(to, back);
            stage.answer_rightly(back, &assign);
        }
    }
    for task in [running, queued] {
        assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Worker("w".into()));
    }
    assert_eq!(stage.books().totals.revenue.0, 2 * stage.price(1_000).0);
}

#[test]
fn queue_gives_up_at_the_deadline_and_charges_nothing() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let task = stage.ask(gamer, 4);
    stage.pass(BUDGET + Duration::from_millis(5));
    assert_eq!(stage.failure(task), TaskFailure::Late);
    let told = stage.gamer_statement(gamer);
    assert_eq!((told.charged, told.held, told.available), (Nanos::ZERO, Nanos::ZERO, Nanos::DOLLAR));
}

#[test]
fn refuse_says_so_at_once_and_when_the_last_worker_goes() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Refuse);
    let gamer = stage.gamer("g");
    let early = stage.ask(gamer, 4);
    assert_eq!(stage.refusal(early), &Refusal::NoWorker);
    let patient = stage.ask_patiently(gamer, 4);
    assert_eq!(stage.refusal(patient), &Refusal::NoWorker);
    let worker = stage.worker("w", 1);
    let task = stage.ask(gamer, 4);
    stage.leave(worker);
    assert_eq!(stage.failure(task), TaskFailure::NoWorker);
    assert_eq!(stage.books().totals.revenue, Nanos::ZERO);
}

#[test]
fn patient_tasks_wait_for_a_worker_whatever_the_fallback_and_outlive_their_gamers_connection() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let task = stage.ask_patiently(gamer, 6);
    stage.pass(Duration::from_secs(2));
    stage.jump(Duration::from_hours(1));
    assert!(stage.heard(task).is_empty());
    stage.leave(gamer);
    assert_eq!(stage.in_flight(), 1);
    let worker = stage.worker("w", 1);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    assert!(stage.heard(task).is_empty(), "nobody is there to hear");
    stage.gamer("g");
    assert_eq!(stage.done(task).outcome, toy::answer(6));
}

#[test]
fn a_patient_task_that_fails_at_the_only_worker_ends_after_its_attempts_and_its_gamer_is_told() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask_patiently(gamer, 7);
    stage.leave(gamer);
    let gamer = stage.gamer("g");
    for number in 1..=4 {
        let (_, assign) = stage.assignment();
        assert_eq!(assign.attempt.0, number);
        stage.answer(worker, &assign, Err(AttemptFailure::KernelPanicked));
        // From its second failure on the worker is given a rest.
        stage.pass(Duration::from_millis(110));
    }
    assert_eq!(stage.failure(task), TaskFailure::KernelFailed);
    let told = stage.gamer_statement(gamer);
    assert_eq!((told.charged, told.held, told.available), (Nanos::ZERO, Nanos::ZERO, Nanos::DOLLAR));
}

#[test]
fn an_outcome_that_comes_as_its_gamer_leaves_is_kept_for_its_return() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask_patiently(gamer, 8);
    let (_, assign) = stage.assignment();
    stage.send_answer(worker, &assign, Ok(toy::answer(8)));
    stage.leave(gamer);
    assert!(stage.heard(task).is_empty(), "nobody is there to hear");
    stage.gamer("g");
    assert_eq!(stage.done(task).outcome, toy::answer(8));
}

/// A pause after which the coordinator counts as idle, and one after which it does not.
const LONG: Duration = Duration::from_millis(5_100);
const SHORT: Duration = Duration::from_millis(4_500);

#[test]
fn a_patient_task_that_nobody_offers_to_do_is_computed_here_in_a_pause_where_the_operator_allows_it() {
    let mut stage = Stage::with(|config| config.patient_fallback = PatientFallback::Compute);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let first = stage.ask_patiently(gamer, 6);
    stage.assignment();
    stage.jump(LONG);
    stage.leave(worker);
    stage.jump(SHORT);
    stage.step();
    assert!(stage.heard(first).is_empty(), "it may be back in a moment");
    stage.jump(LONG);
    stage.step();
    let receipt = stage.done(first).receipt.clone();
    assert_eq!((&receipt.computed_by, receipt.attempts), (&ComputedBy::Coordinator, 2));
    assert_eq!(receipt.price, stage.price(1_000));
    // The next one needs no new pause.
    let second = stage.ask_patiently(gamer, 7);
    stage.step();
    assert_eq!(stage.done(second).receipt.computed_by, ComputedBy::Coordinator);
    stage.books();
}

#[test]
fn a_patient_task_that_is_computed_here_gives_way_to_a_timely_one_and_begins_again_later() {
    let mut stage = Stage::with(|config| {
        (config.patient_fallback, config.compute) = (PatientFallback::Compute, ComputeMode::Threads(1));
    });
    let gamer = stage.gamer("g");
    let number = toy::hold_next();
    let patient = stage.ask_patiently(gamer, number);
    stage.jump(LONG);
    let mut submit = stage.submit_of(&toy::spec(9));
    submit.budget_us = Some(60_000_000);
    let timely = stage.submit(gamer, submit);
    stage.until("the timely task is done", STEP, |stage| !stage.heard(timely).is_empty());
    assert_eq!(stage.done(timely).receipt.computed_by, ComputedBy::Coordinator, "on the only thread");
    assert!(stage.heard(patient).is_empty());
    toy::let_go(number);
    stage.until("the patient task is done", LONG, |stage| !stage.heard(patient).is_empty());
    let receipt = &stage.done(patient).receipt;
    assert_eq!((&receipt.computed_by, receipt.attempts), (&ComputedBy::Coordinator, 2));
    stage.books();
}

#[test]
fn a_patient_task_from_before_a_restart_is_computed_here_and_its_gamer_gets_it_when_it_is_back() {
    let mut stage = Stage::with(|config| config.patient_fallback = PatientFallback::Compute);
    let gamer = stage.gamer("g");
    let task = stage.ask_patiently(gamer, 6);
    stage.books();
    stage.stop();
    stage.start();
    stage.jump(LONG);
    stage.step();
    assert_eq!((stage.in_flight(), stage.tally().by_coordinator), (0, 1));
    stage.gamer("g");
    assert_eq!(stage.done(task).outcome, toy::answer(6));
}

#[test]
fn a_worker_that_takes_patient_tasks_and_stays_silent_does_not_keep_the_coordinator_from_computing_them() {
    let mut stage = Stage::with(|config| config.patient_fallback = PatientFallback::Compute);
    let gamer = stage.gamer("g");
    stage.worker("silent", 1);
    let task = stage.ask_patiently(gamer, 8);
    for _ in 0..40 {
        stage.jump(Duration::from_secs(12));
        stage.pass(Duration::from_millis(5));
    }
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator);
    stage.books();
}

#[test]
fn a_worker_that_comes_and_goes_does_not_keep_the_coordinator_from_computing_patient_tasks() {
    for drains in [false, true] {
        let mut stage = Stage::with(|config| config.patient_fallback = PatientFallback::Compute);
        let gamer = stage.gamer("g");
        let task = stage.ask_patiently(gamer, 9);
        for _ in 0..40 {
            let worker =
                if drains { stage.early_worker("w", WorkerToServer::Draining) } else { stage.worker("w", 1) };
            stage.jump(Duration::from_secs(4));
            stage.leave(worker);
        }
        assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator, "drains: {drains}");
        stage.books();
    }
}

#[test]
fn a_timely_task_that_waits_for_a_worker_does_not_keep_the_coordinator_from_computing_a_patient_one() {
    let mut stage = Stage::with(|config| {
        (config.fallback, config.patient_fallback) = (Fallback::Queue, PatientFallback::Compute);
    });
    let gamer = stage.gamer("g");
    let mut submit = stage.submit_of(&toy::spec(10));
    submit.budget_us = Some(60_000_000);
    let timely = stage.submit(gamer, submit);
    let patient = stage.ask_patiently(gamer, 11);
    for _ in 0..3 {
        stage.jump(LONG);
        stage.step();
    }
    assert_eq!(stage.done(patient).receipt.computed_by, ComputedBy::Coordinator);
    assert!(stage.heard(timely).is_empty(), "no worker has come, and there is time");
}
