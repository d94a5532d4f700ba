//! How closely answers are looked at, what a failed check does, and that both outlast a restart.

use std::time::Duration;

use p2c2r_protocol::{ComputedBy, Micros, Nanos, PassedCheck, PeerId, TaskFailure, TaskId, TaskNo};
use p2c2r_server::config::TrustRules;
use p2c2r_server::core::{Core, Effects, Event};
use p2c2r_server::ledger::{AccountId, Entry};
use p2c2r_server::{ComputeMode, Fallback, ServerConfig};

use crate::stage::{STEP, Stage};
use crate::toy::{self, SLY, ToySpec};

/// Newcomers' first three answers are checked, and nobody else's.
fn three_then_none() -> TrustRules {
    TrustRules { probation_answers: 3, ..TrustRules::default().never() }
}

fn ask_and_answer(stage: &mut Stage, gamer: PeerId, worker: PeerId, number: u64) -> TaskId {
    let task = stage.ask(gamer, number);
    let (to, assign) = stage.assignment();
    assert_eq!(to, worker);
    stage.answer_rightly(worker, &assign);
    task
}

/// A wrong answer that looks right.
fn lie(stage: &mut Stage, gamer: PeerId, worker: PeerId, number: u64) -> TaskId {
    let task = stage.ask(gamer, number);
    let (_, assign) = stage.assignment();
    stage.answer(worker, &assign, Ok(toy::answer(1)));
    // What is computed here instead comes with the next update.
    stage.step();
    task
}

#[test]
fn a_newcomers_answers_are_checked_deeply_until_enough_of_them_were_clean() {
    let mut stage = Stage::with(|config| config.trust = three_then_none());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let checks: Vec<PassedCheck> = (0..5)
        .map(|n| {
            let task = ask_and_answer(&mut stage, gamer, worker, SLY + n);
            stage.done(task).receipt.check
        })
        .collect();
    assert_eq!(
        checks,
        [PassedCheck::Deep, PassedCheck::Deep, PassedCheck::Deep, PassedCheck::Always, PassedCheck::Always]
    );
    // A second program of the same account is the same worker; another account is a newcomer.
    stage.worker("w", 1);
    stage.worker("other", 1);
    stage.leave(worker);
    let task = stage.ask(gamer, SLY + 10);
    let again = stage.ask(gamer, SLY + 11);
    for (to, assign) in stage.take_assigned() {
        stage.answer_rightly(to, &assign);
    }
    for task in [task, again] {
        let receipt = &stage.done(task).receipt;
        let expected = if receipt.computed_by == ComputedBy::Worker("w".into()) {
            PassedCheck::Always
        } else {
            PassedCheck::Deep
        };
        assert_eq!(receipt.check, expected);
    }
}

#[test]
fn a_failed_deep_check_is_made_good_unpaid_and_begins_again_and_a_second_convicts() {
    let mut stage = Stage::with(|config| config.trust = three_then_none());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    for n in 0..2 {
        ask_and_answer(&mut stage, gamer, worker, SLY + n);
    }
    let lied = lie(&mut stage, gamer, worker, SLY + 20);
    let done = stage.done(lied);
    assert_eq!(done.outcome, toy::answer(SLY + 20), "computed here");
    assert_eq!(done.receipt.computed_by, ComputedBy::Coordinator);
    let told = stage.worker_statement(worker);
    assert_eq!((told.session.accepted, told.session.rejected), (2, 1));
    assert!(told.pending > Nanos::ZERO, "one wrong answer is not fraud");
    for n in 0..3 {
        let task = ask_and_answer(&mut stage, gamer, worker, SLY + 30 + n);
        assert_eq!(stage.done(task).receipt.check, PassedCheck::Deep, "from the beginning");
    }
    // After three clean answers no deep check is drawn; an answer that fails the always-on check is always found.
    let task = lie(&mut stage, gamer, worker, 42);
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator);
    let told = stage.worker_statement(worker);
    assert_eq!((told.earned, told.pending), (Nanos::ZERO, Nanos::ZERO), "what was pending went back");
    let after = stage.ask(gamer, 50);
    stage.step();
    assert!(stage.take_assigned().is_empty(), "no more work");
    assert_eq!(stage.done(after).receipt.computed_by, ComputedBy::Coordinator);
    assert_eq!(stage.tally().convicted, 1);
}

#[test]
fn a_conviction_takes_what_the_worker_has_from_it_at_once() {
    let mut stage = Stage::with(|config| {
        (config.trust, config.fallback) = (TrustRules::default(), Fallback::Queue);
    });
    let (gamer, liar) = (stage.gamer("g"), stage.worker("liar", 8));
    for n in 0..4 {
        let task = stage.ask(gamer, n + 20);
        let (_, assign) = stage.assignment();
        stage.answer_rightly(liar, &assign);
        stage.done(task);
    }
    let tasks: Vec<TaskId> = (0..4).map(|n| stage.ask(gamer, SLY + n)).collect();
    let assigned = stage.take_assigned();
    assert_eq!(assigned.len(), 4);
    let honest = stage.worker("honest", 8);
    for (_, assign) in &assigned[..2] {
        stage.answer(liar, assign, Ok(toy::answer(1)));
    }
    let revoked = stage.take_revoked();
    assert_eq!(revoked, [(liar, assigned[2].1.task), (liar, assigned[3].1.task)]);
    // Long before their leases would have been over, they are with somebody else.
    let mut open = 4;
    while open > 0 {
        let assigned = stage.take_assigned();
        assert!(!assigned.is_empty(), "{open} are still open");
        open -= assigned.len();
        for (to, assign) in assigned {
            assert_eq!(to, honest);
            stage.answer_rightly(honest, &assign);
        }
    }
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(stage.done(task).outcome, toy::answer(SLY + n));
    }
    stage.books();
}

#[test]
fn a_conviction_withdraws_what_no_gamer_has_been_sent_yet() {
    let mut stage = Stage::with(|config| {
        (config.trust, config.fallback) = (three_then_none(), Fallback::Queue);
    });
    let (away, other) = (stage.gamer("away"), stage.gamer("other"));
    let liar = stage.worker("liar", 1);
    for n in 0..3 {
        ask_and_answer(&mut stage, other, liar, SLY + n);
    }
    let lied = stage.ask_patiently(away, SLY + 10);
    let (_, assign) = stage.assignment();
    stage.leave(away);
    stage.answer(liar, &assign, Ok(toy::answer(1)));
    assert_eq!(stage.in_flight(), 0);
    for number in [50, 51] {
        stage.ask(other, number);
    }
    for _ in 0..400 {
        for (to, assign) in stage.take_assigned() {
            stage.answer(to, &assign, Ok(toy::answer(1)));
        }
        stage.step();
    }
    assert_eq!(stage.tally().convicted, 1);
    stage.books();
    stage.books();
    let back = stage.gamer("away");
    assert_eq!(stage.failure(lied), TaskFailure::NoWorker, "a wrong answer is not handed on");
    let told = stage.gamer_statement(back);
    let share = stage.price(1_000).0 / 10;
    assert!(told.charged.0 <= share + 1, "what the worker was paid for it went back: {told:?}");
    stage.leave(back);
    stage.gamer("away");
    assert_eq!(stage.failure(lied), TaskFailure::NoWorker, "it is said once");
}

#[test]
fn only_what_was_checked_deeply_is_given_to_a_second_gamer_also_after_a_restart() {
    let mut stage = Stage::with(|config| {
        config.trust = TrustRules { probation_answers: 1, ..TrustRules::default().never() };
    });
    let (first, second, worker) = (stage.gamer("first"), stage.gamer("second"), stage.worker("w", 1));
    let checked = ask_and_answer(&mut stage, first, worker, SLY + 1);
    assert_eq!(stage.done(checked).receipt.check, PassedCheck::Deep);
    let unchecked = lie(&mut stage, first, worker, SLY + 2);
    assert_eq!(stage.done(unchecked).receipt.check, PassedCheck::Always, "it looks right");
    let again = stage.ask(second, SLY + 1);
    let receipt = &stage.done(again).receipt;
    assert_eq!(
        (&receipt.computed_by, receipt.check),
        (&ComputedBy::Cache(Some("w".into())), PassedCheck::Deep)
    );
    let asked = stage.ask(second, SLY + 2);
    assert_eq!(stage.take_assigned().len(), 1, "the wrong answer is not handed on");
    stage.books();
    stage.leave(worker);
    stage.step();
    stage.done(asked);
    stage.stop();
    stage.start();
    let gamer = stage.gamer("third");
    let kept = stage.ask(gamer, SLY + 1);
    assert!(matches!(stage.done(kept).receipt.computed_by, ComputedBy::Cache(_)));
    // The coordinator itself has computed the other one in the meantime.
    let right = stage.ask(gamer, SLY + 2);
    let done = stage.done(right);
    assert_eq!(
        (&done.outcome, &done.receipt.computed_by),
        (&toy::answer(SLY + 2).into(), &ComputedBy::Cache(None))
    );
}

#[test]
fn trust_and_convictions_outlast_a_restart() {
    let mut stage = Stage::with(|config| {
        config.trust = TrustRules { probation_answers: 16, ..TrustRules::default().never() };
    });
    let gamer = stage.gamer("g");
    let honest = stage.worker("honest", 1);
    for n in 0..16 {
        ask_and_answer(&mut stage, gamer, honest, SLY + n);
    }
    stage.leave(honest);
    let liar = stage.worker("liar", 1);
    for n in 0..2 {
        lie(&mut stage, gamer, liar, SLY + 100 + n);
    }
    stage.leave(liar);
    let flipped = stage.worker("flipped", 1);
    lie(&mut stage, gamer, flipped, SLY + 110);
    stage.books();
    stage.stop();
    stage.start();
    let gamer = stage.gamer("g");
    stage.worker("liar", 1);
    let task = stage.ask(gamer, SLY + 200);
    stage.step();
    assert!(stage.take_assigned().is_empty(), "it was convicted before the restart");
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator);
    let honest = stage.worker("honest", 1);
    let task = ask_and_answer(&mut stage, gamer, honest, SLY + 201);
    assert_eq!(stage.done(task).receipt.check, PassedCheck::Always, "it has proven itself before");
    stage.leave(honest);
    let flipped = stage.worker("flipped", 1);
    lie(&mut stage, gamer, flipped, SLY + 202);
    assert_eq!(stage.tally().convicted, 1, "the failure from before the restart counts");
}

#[test]
fn what_takes_less_to_compute_than_to_handle_is_always_computed_again() {
    let mut stage = Stage::with(|config| {
        config.trust = TrustRules { recomputed_units: 50, ..TrustRules::default().never() };
    });
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    for (number, units, passes) in [(SLY + 1, 50, false), (SLY + 2, 51, true)] {
        let submit = stage.submit_of(&ToySpec { units, ..toy::spec(number) });
        let task = stage.submit(gamer, submit);
        let (_, assign) = stage.assignment();
        stage.answer(worker, &assign, Ok(toy::answer(1)));
        stage.step();
        let done = stage.done(task);
        assert_eq!(done.receipt.computed_by == ComputedBy::Worker("w".into()), passes, "{units} units");
    }
}

#[test]
fn an_answer_that_there_is_no_time_to_check_waits_and_is_never_let_through() {
    let mut stage = Stage::with(|config| {
        // A running check of 40 milliseconds uses up the 30 that are saved up, and what ten seconds more give.
        config.trust = TrustRules { budget_percent: 0.1, ..TrustRules::default() };
        (config.compute, config.fallback) = (ComputeMode::Threads(1), Fallback::Queue);
    });
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 2));
    let number = toy::hold_next();
    let mut submit = stage.submit_of(&ToySpec { units: 40_000, ..toy::spec(number) });
    submit.budget_us = Some(60_000_000);
    let held = stage.submit(gamer, submit);
    let hurried = stage.ask(gamer, SLY + 1);
    let patient = stage.ask_patiently(gamer, SLY + 2);
    let mut answered = 0;
    stage.until("all three are answered", STEP, |stage| {
        for (_, assign) in stage.take_assigned() {
            let number = toy::number_in(&assign.spec);
            stage.answer(worker, &assign, Ok(toy::answer(number)));
            answered += 1;
        }
        answered == 3
    });
    stage.pass(Duration::from_millis(600));
    assert_eq!(stage.failure(hurried), TaskFailure::Late, "rather no answer than one that was not checked");
    assert!(stage.heard(patient).is_empty() && stage.heard(held).is_empty());
    assert_eq!(stage.tally().waited_for_checks, 2);
    toy::let_go(number);
    stage.until("the held task is done", STEP, |stage| !stage.heard(held).is_empty());
    stage.until("the patient task is done", Duration::from_mins(1), |stage| !stage.heard(patient).is_empty());
    stage.done(held);
    assert_eq!(stage.done(patient).receipt.check, PassedCheck::Deep);
    stage.books();
}

#[test]
fn what_the_operator_orders_is_booked_also_of_a_worker_that_is_not_here() {
    let config = ServerConfig { kinds: toy::kinds(), ..ServerConfig::default() };
    let mut core = Core::new(config.policy(), TaskNo(1), [0; 32]);
    let (mut effects, account) = (Effects::default(), AccountId(10));
    for quarantined in [true, false] {
        core.handle(Micros(1), Event::QuarantineSet { account, quarantined }, &mut effects);
    }
    let [convicted, forgiven, learned] = &effects.entries[..] else { panic!("{:?}", effects.entries) };
    assert!(matches!(convicted, Entry::WorkerConvicted { worker } if *worker == account));
    assert!(matches!(forgiven, Entry::WorkerForgiven { worker } if *worker == account));
    assert!(matches!(learned, Entry::TrustChanged { worker, .. } if *worker == account));
}
