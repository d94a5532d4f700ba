//! Leases, fencing numbers, verdicts: how the answers of workers are treated.

use std::time::Duration;

use p2c2r_protocol::{
    Attempt, AttemptFailure, ComputedBy, Nanos, PassedCheck, TaskFailure, WorkerOffer, WorkerToServer,
};
use p2c2r_server::Fallback;
use p2c2r_tasks::OUT_OF_FUEL;

use crate::stage::Stage;
use crate::toy;

#[test]
fn a_round_trip_is_checked_charged_and_its_stages_tile() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, 5);
    let (to, assign) = stage.assignment();
    assert_eq!((to, assign.attempt), (worker, Attempt(1)));
    stage.pass(Duration::from_millis(20));
    stage.answer_rightly(worker, &assign);
    let done = stage.done(task).clone();
    assert_eq!(done.outcome, toy::answer(5));
    let receipt = &done.receipt;
    assert_eq!(receipt.computed_by, ComputedBy::Worker("w".into()));
    assert_eq!((receipt.check, receipt.attempts), (PassedCheck::Always, 1));
    assert_eq!(receipt.stages.total_us(), u64::from(receipt.sent_at.since(receipt.received_at)));
    assert!(receipt.stages.total_us() >= 20_000, "{:?}", receipt.stages);
    assert_eq!(receipt.price, stage.price(1_000));
    let told = stage.gamer_statement(gamer);
    assert_eq!((told.charged, told.held.0), (receipt.price, 0));
    let earned = stage.worker_statement(worker);
    assert_eq!((earned.session.accepted, earned.session.rejected), (1, 0));
    assert!(earned.earned.0 > 0 && earned.earned < receipt.price);
    let books = stage.books();
    assert_eq!(books.totals.revenue, receipt.price);
    assert_eq!(books.totals.fee + earned.earned, receipt.price);
}

#[test]
fn after_worker_loss_another_does_it_and_it_is_charged_once() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, first) = (stage.gamer("g"), stage.worker("first", 1));
    let task = stage.ask(gamer, 6);
    let (_, lost) = stage.assignment();
    let second = stage.worker("second", 1);
    stage.leave(first);
    let (to, assign) = stage.assignment();
    assert_eq!((to, assign.task, assign.attempt), (second, lost.task, Attempt(2)));
    stage.answer_rightly(second, &assign);
    assert_eq!(stage.done(task).receipt.attempts, 2);
    let price = stage.price(1_000);
    assert_eq!(stage.gamer_statement(gamer).charged, price);
    assert_eq!(stage.books().totals.revenue, price);
}

#[test]
fn when_the_lease_is_over_another_worker_gets_it_and_the_late_answer_is_not_one() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, slow) = (stage.gamer("g"), stage.worker("slow", 1));
    let task = stage.ask(gamer, 7);
    let (_, late) = stage.assignment();
    let quick = stage.worker("quick", 1);
    stage.pass(Duration::from_millis(150));
    let (to, assign) = stage.assignment();
    assert_eq!((to, assign.attempt), (quick, Attempt(2)));
    assert_eq!(stage.take_revoked(), [(slow, late.task)]);
    stage.answer_rightly(slow, &late);
    assert!(stage.heard(task).is_empty(), "attempt 1 is stale");
    stage.answer_rightly(quick, &assign);
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Worker("quick".into()));
    assert_eq!(stage.tally().stray, 1);
    assert_eq!(stage.worker_statement(slow).session.accepted, 0);
}

#[test]
fn repeated_forged_and_foreign_answers_change_nothing() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, 8);
    let (to, assign) = stage.assignment();
    assert_eq!(to, worker);
    let thief = stage.worker("thief", 1);
    stage.answer_rightly(thief, &assign);
    let mut forged = assign.clone();
    forged.attempt = Attempt(2);
    stage.answer_rightly(worker, &forged);
    forged.task.0 += 1;
    stage.answer_rightly(worker, &forged);
    assert!(stage.heard(task).is_empty());
    stage.answer_rightly(worker, &assign);
    stage.answer_rightly(worker, &assign);
    stage.done(task);
    assert_eq!(stage.tally().stray, 4);
    assert_eq!(stage.worker_statement(thief).session.accepted, 0);
    assert_eq!(stage.books().totals.revenue, stage.price(1_000));
}

#[test]
fn a_wrong_outcome_is_not_delivered_nor_paid_and_the_task_is_recomputed() {
    let mut stage = Stage::new();
    let (gamer, liar) = (stage.gamer("g"), stage.worker("liar", 1));
    let task = stage.ask(gamer, 9);
    let (_, assign) = stage.assignment();
    stage.answer(liar, &assign, Ok(toy::answer(10)));
    stage.step();
    let done = stage.done(task).clone();
    assert_eq!(done.outcome, toy::answer(9));
    assert_eq!((done.receipt.computed_by, done.receipt.check), (ComputedBy::Coordinator, PassedCheck::Own));
    let told = stage.worker_statement(liar);
    assert_eq!((told.session.accepted, told.session.rejected, told.earned.0), (0, 1, 0));
    let reason = told.verdicts[0].rejected.clone().unwrap();
    assert!(reason.contains("toy.square"), "{reason}");
}

#[test]
fn undecodable_and_oversized_outcomes_and_panicking_checks_are_rejected() {
    for (number, outcome) in
        [(4, vec![0xFF; 3]), (4, vec![0; 60_000]), (toy::PANICS, toy::answer(toy::PANICS))]
    {
        let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
        let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
        let task = stage.ask(gamer, number);
        let (_, assign) = stage.assignment();
        stage.answer(worker, &assign, Ok(outcome));
        assert!(stage.heard(task).is_empty());
        assert_eq!(stage.tally().rejected, 1);
        assert_eq!(stage.take_assigned().len(), 0, "not again to the one who failed");
        stage.pass(Duration::from_millis(600));
        assert_eq!(stage.failure(task), TaskFailure::Late);
        assert_eq!(stage.books().totals.revenue.0, 0);
    }
}

#[test]
fn two_wrong_answers_end_a_workers_work_also_after_it_reconnects() {
    let mut stage = Stage::new();
    let (gamer, liar) = (stage.gamer("g"), stage.worker("liar", 4));
    for number in 20..22 {
        stage.ask(gamer, number);
        let (_, assign) = stage.assignment();
        stage.answer(liar, &assign, Ok(toy::answer(1)));
    }
    stage.leave(liar);
    stage.worker("liar", 4);
    let task = stage.ask(gamer, 23);
    assert!(stage.take_assigned().is_empty());
    stage.step();
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator);
}

#[test]
fn a_failed_attempt_goes_to_another_worker_and_an_overloaded_one_gets_fewer() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, first) = (stage.gamer("g"), stage.worker("first", 1));
    let task = stage.ask(gamer, 30);
    let (_, assign) = stage.assignment();
    stage.answer(first, &assign, Err(AttemptFailure::KernelPanicked));
    assert!(stage.take_assigned().is_empty());
    let second = stage.worker("second", 1);
    let (to, assign) = stage.assignment();
    assert_eq!(to, second);
    stage.answer(second, &assign, Err(AttemptFailure::Overloaded));
    let (to, assign) = stage.assignment();
    assert_eq!((to, assign.attempt), (second, Attempt(3)), "overload is no failure, and it has a slot");
    stage.answer_rightly(second, &assign);
    stage.done(task);
}

#[test]
fn missing_blobs_are_sent_once_and_asking_again_ends_the_attempt() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let blob = b"a grid".to_vec();
    let digest = p2c2r_protocol::Digest::of(&blob);
    let mut spec = toy::spec(31);
    spec.blob = Some(digest);
    let mut submit = stage.submit_of(&spec);
    submit.blobs = vec![blob.clone()];
    let first = stage.submit(gamer, submit);
    let (_, assign) = stage.assignment();
    assert_eq!(assign.blobs, std::slice::from_ref(&blob), "the worker is new: it needs the blob");
    stage.answer_rightly(worker, &assign);
    stage.done(first);
    spec.number = 32;
    let submit = stage.submit_of(&spec);
    let second = stage.submit(gamer, submit);
    let (_, assign) = stage.assignment();
    assert!(assign.blobs.is_empty(), "now it is known to have it");
    let missing =
        WorkerToServer::BlobsMissing { task: assign.task, attempt: assign.attempt, missing: vec![digest] };
    stage.worker_says(worker, missing.clone());
    stage.step();
    let (_, again) = stage.assignment();
    assert_eq!((again.attempt, &again.blobs), (assign.attempt, &vec![blob]));
    stage.worker_says(worker, missing);
    stage.step();
    assert!(stage.take_assigned().is_empty(), "it does not make us send and send");
    assert_eq!(stage.take_revoked(), [(worker, again.task)], "it need not wait for what it lacks any longer");
    stage.answer_rightly(worker, &again);
    assert!(stage.heard(second).is_empty());
}

#[test]
fn the_less_busy_of_two_workers_gets_the_task() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let (a, b) = (stage.worker("a", 1), stage.worker("b", 1));
    for number in 0..4 {
        stage.ask(gamer, 40 + number);
    }
    let to: Vec<_> = stage.take_assigned().into_iter().map(|(worker, _)| worker).collect();
    assert_eq!(to.iter().filter(|worker| **worker == a).count(), 2, "{to:?}");
    assert_eq!(to.iter().filter(|worker| **worker == b).count(), 2, "{to:?}");
}

#[test]
fn the_earliest_deadline_goes_first_when_workers_are_short() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let mut late = stage.submit_of(&toy::spec(50));
    late.budget_us = Some(3_000_000);
    stage.submit(gamer, late);
    stage.ask_patiently(gamer, 51);
    let mut soon = stage.submit_of(&toy::spec(52));
    soon.budget_us = Some(1_000_000);
    stage.submit(gamer, soon);
    let worker = stage.worker("w", 1);
    let mut numbers = Vec::new();
    for _ in 0..3 {
        for (_, assign) in stage.take_assigned() {
            numbers.push(toy::number_in(&assign.spec));
            stage.answer_rightly(worker, &assign);
        }
    }
    assert_eq!(numbers, [52, 50, 51]);
}

#[test]
fn a_draining_worker_finishes_what_it_has_and_gets_nothing_more() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let first = stage.ask(gamer, 60);
    let (_, assign) = stage.assignment();
    stage.worker_says(worker, WorkerToServer::Draining);
    stage.step();
    stage.ask(gamer, 61);
    assert!(stage.take_assigned().is_empty());
    stage.answer_rightly(worker, &assign);
    stage.done(first);
}

#[test]
fn a_worker_that_rested_and_is_ready_again_gets_what_waits() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    stage.worker_says(worker, WorkerToServer::Draining);
    stage.step();
    let task = stage.ask(gamer, 60);
    assert!(stage.take_assigned().is_empty());
    let offer = WorkerOffer { slots: 1, kernels: toy::kinds().offers(), region: None };
    stage.worker_says(worker, WorkerToServer::Ready(offer));
    stage.step();
    let (to, assign) = stage.assignment();
    assert_eq!(to, worker);
    stage.answer_rightly(worker, &assign);
    stage.done(task);
}

#[test]
fn what_a_convicted_worker_still_had_out_is_not_accepted() {
    let mut stage = Stage::new();
    let (gamer, liar) = (stage.gamer("g"), stage.worker("liar", 4));
    stage.ask(gamer, 89);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(liar, &assign);
    let before = stage.worker_statement(liar);
    assert!(before.earned > Nanos::ZERO && before.pending == before.earned);
    let last = (90..93).map(|number| stage.ask(gamer, number)).last().unwrap();
    let assigned = stage.take_assigned();
    assert_eq!(assigned.len(), 3);
    for (_, assign) in &assigned[..2] {
        stage.answer(liar, assign, Ok(toy::answer(1)));
    }
    stage.answer_rightly(liar, &assigned[2].1);
    stage.step();
    assert_eq!(stage.done(last).receipt.computed_by, ComputedBy::Coordinator);
    let told = stage.worker_statement(liar);
    assert_eq!((told.session.accepted, told.session.rejected), (1, 3));
    assert_eq!((told.earned, told.pending), (Nanos::ZERO, Nanos::ZERO), "what was pending went back");
    let (charged, price) = (stage.gamer_statement(gamer).charged, stage.price(1_000));
    assert_eq!(charged, Nanos(4 * price.0) - before.earned, "to who paid it");
}

#[test]
fn an_answer_that_came_before_its_worker_left_counts() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, 94);
    let (_, assign) = stage.assignment();
    stage.send_answer(worker, &assign, Ok(toy::answer(94)));
    stage.leave(worker);
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Worker("w".into()));
}

#[test]
fn a_worker_that_will_be_in_time_keeps_its_lease_though_the_own_kernel_would_be_late() {
    for budget in [4_000, 5_500] {
        let mut stage = Stage::new();
        let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
        let mut submit = stage.submit_of(&toy::spec(95));
        submit.budget_us = Some(budget);
        let task = stage.submit(gamer, submit);
        let (_, assign) = stage.assignment();
        stage.step();
        stage.answer_rightly(worker, &assign);
        assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Worker("w".into()), "{budget} us");
        assert!(stage.take_revoked().is_empty());
    }
}

#[test]
fn a_worker_whose_lease_ran_out_is_taken_for_slow() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, slow) = (stage.gamer("g"), stage.worker("slow", 1));
    stage.ask(gamer, 100);
    stage.take_assigned();
    let quick = stage.worker("quick", 1);
    stage.pass(Duration::from_millis(150));
    assert_eq!(stage.take_revoked().first().map(|(worker, _)| *worker), Some(slow));
    let (_, assign) = stage.assignment();
    stage.answer_rightly(quick, &assign);
    for number in 101..111 {
        stage.ask(gamer, number);
        let (to, assign) = stage.assignment();
        assert_eq!(to, quick);
        stage.answer_rightly(quick, &assign);
    }
}

#[test]
fn out_of_fuel_is_an_answer_that_is_computed_again_charged_and_paid() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, toy::ENDLESS);
    let (_, assign) = stage.assignment();
    stage.answer(worker, &assign, Ok(OUT_OF_FUEL.to_vec()));
    let done = stage.done(task).clone();
    assert_eq!(done.outcome, OUT_OF_FUEL.to_vec());
    // Deep checks are off, but "out of fuel" is always checked, because claiming it costs no work.
    assert_eq!(done.receipt.check, PassedCheck::Deep);
    assert_eq!(stage.gamer_statement(gamer).charged, stage.price(1_000));
    assert!(stage.worker_statement(worker).earned.0 > 0);
    // A repeated task comes from the cache, so the fuel is spent once.
    let again = stage.ask(gamer, toy::ENDLESS);
    assert!(matches!(stage.done(again).receipt.computed_by, ComputedBy::Cache(_)));
}

#[test]
fn who_says_out_of_fuel_where_there_is_some_left_is_rejected() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, liar) = (stage.gamer("g"), stage.worker("liar", 1));
    let task = stage.ask(gamer, 5);
    let (_, assign) = stage.assignment();
    stage.answer(liar, &assign, Ok(OUT_OF_FUEL.to_vec()));
    assert!(stage.heard(task).is_empty());
    assert_eq!(stage.worker_statement(liar).session.rejected, 1);
    assert_eq!(stage.tally().rejected, 1);
}

#[test]
fn the_own_kernel_that_runs_out_of_fuel_is_charged_as_well() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let task = stage.ask(gamer, toy::ENDLESS);
    stage.pass(Duration::from_secs(1));
    let done = stage.done(task).clone();
    assert_eq!((done.outcome.len(), &done.receipt.computed_by), (0, &ComputedBy::Coordinator));
    assert_eq!(stage.gamer_statement(gamer).charged, stage.price(1_000));
}
