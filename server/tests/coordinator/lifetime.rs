//! Closing, dying and starting again.

use std::time::Duration;

use bevy_app::AppExit;
use p2c2r_protocol::{
    Attempt, ComputedBy, Micros, Nanos, Refusal, Role, Submit, TaskFailure, TaskId, TaskNo, WorkUnits,
};
use p2c2r_server::config::TrustRules;
use p2c2r_server::core::{Core, Effects, Event, task_key};
use p2c2r_server::ledger::{ATTEMPT_MAX, Entry, Ledger, PatientPayload, PatientTask, VoidReason};
use p2c2r_server::{Fallback, ServerConfig};
use p2c2r_tasks::kind::TaskKind;

use crate::scheduler::account;
use crate::stage::{Heard, Stage};
use crate::toy::{self, Toy};

#[test]
fn a_drain_finishes_what_is_in_flight_and_admits_nothing_more() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let running = stage.ask(gamer, 1);
    let (_, assign) = stage.assignment();
    stage.shut_down();
    stage.step();
    assert_eq!(stage.farewells().len(), 2, "gamer and worker hear of it");
    assert!(stage.farewells().iter().all(|reason| reason.contains("operator")), "{:?}", stage.farewells());
    let late = stage.ask(gamer, 2);
    assert_eq!(stage.refusal(late), &Refusal::Closing);
    assert_eq!(stage.exit(), None);
    stage.answer_rightly(worker, &assign);
    stage.done(running);
    stage.pass(Duration::from_millis(20));
    assert_eq!(stage.exit(), Some(AppExit::Success));
    assert_eq!(stage.books().totals.revenue, stage.price(1_000));
}

#[test]
fn what_a_drain_cannot_finish_is_given_up_uncharged() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let mut submit = stage.submit_of(&toy::spec(1));
    submit.budget_us = Some(60_000_000);
    let stuck = stage.submit(gamer, submit);
    stage.shut_down();
    stage.pass(Duration::from_secs(9));
    assert_eq!(stage.exit(), None);
    stage.pass(Duration::from_millis(1_100));
    assert_eq!(stage.failure(stuck), TaskFailure::Closing);
    assert_eq!(stage.exit(), Some(AppExit::Success));
    assert_eq!(stage.books().totals.revenue, Nanos::ZERO);
}

#[test]
fn a_second_request_stops_at_once() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let stuck = stage.ask(gamer, 1);
    stage.shut_down();
    stage.shut_down();
    stage.step();
    stage.step();
    assert_eq!(stage.failure(stuck), TaskFailure::Closing);
    assert_eq!(stage.exit(), Some(AppExit::Success));
}

#[test]
fn patient_tasks_and_outcomes_survive_a_restart() {
    let mut stage = Stage::with(|config| {
        (config.trust, config.fallback) = (TrustRules::default(), Fallback::Queue);
    });
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    stage.ask(gamer, 1);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    stage.leave(worker);
    let patient = stage.ask_patiently(gamer, 2);
    let timely = stage.ask(gamer, 3);
    stage.books();
    stage.stop();
    stage.start();
    assert_eq!(stage.in_flight(), 1);
    let gamer = stage.gamer("g");
    let again = stage.ask(gamer, 1);
    assert_eq!(stage.done(again).receipt.computed_by, ComputedBy::Cache(Some("w".into())));
    let worker = stage.worker("w", 1);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    assert_eq!(stage.done(patient).outcome, toy::answer(2));
    assert!(stage.heard(timely).is_empty());
    let charged = 2 * stage.price(1_000).0 + 10;
    assert_eq!(stage.gamer_statement(gamer).charged.0, charged);
    let told = stage.gamer_statement(gamer);
    assert_eq!((told.held, told.available), (Nanos::ZERO, Nanos(Nanos::DOLLAR.0 - charged)));
    assert_eq!(stage.books().totals.revenue.0, charged);
}

#[test]
fn a_task_id_from_before_a_restart_is_not_charged_again() {
    let mut stage = Stage::with(|config| config.cache_entries_max = 0);
    let gamer = stage.gamer("g");
    let submit = stage.submit_of(&toy::spec(1));
    let task = stage.submit(gamer, submit.clone());
    stage.step();
    stage.done(task);
    stage.books();
    stage.stop();
    stage.start();
    let gamer = stage.gamer("g");
    stage.submit(gamer, Submit { task, ..submit });
    stage.step();
    assert!(
        matches!(stage.heard(task), [Heard::Done(_), Heard::Refused(Refusal::IdReused)]),
        "nor done again"
    );
    assert_eq!(stage.books().totals.revenue, stage.price(1_000));
    let told = stage.gamer_statement(gamer);
    assert_eq!(told.charged, stage.price(1_000));
    assert_eq!(told.available, Nanos::DOLLAR - stage.price(1_000), "the mirror follows the ledger");
}

#[test]
fn outcomes_nobody_was_there_to_hear_are_all_kept_for_their_gamer() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let tasks: Vec<_> = (0..300).map(|number| stage.ask_patiently(gamer, 1_000 + number)).collect();
    stage.leave(gamer);
    let worker = stage.worker("w", 256);
    let mut answered = 0;
    while answered < tasks.len() {
        let assigned = stage.take_assigned();
        assert!(!assigned.is_empty(), "{answered} answered");
        answered += assigned.len();
        for (_, assign) in &assigned {
            stage.answer_rightly(worker, assign);
        }
    }
    stage.gamer("g");
    for task in tasks {
        stage.done(task);
    }
}

#[test]
fn a_ledger_that_fails_ends_the_coordinator_and_everyone_hears_the_true_reason() {
    let mut stage = Stage::new();
    let (gamer, _) = (stage.gamer("g"), stage.worker("w", 1));
    std::fs::remove_file(stage.folder.path().join("results.db")).unwrap();
    let task = stage.ask(gamer, 1);
    assert!(stage.app().world().resource::<Ledger>().flush().is_err());
    stage.pass(Duration::from_secs(11));
    assert_eq!(stage.exit(), Some(AppExit::error()));
    assert_eq!(stage.farewells(), ["the file of its ledger was deleted or replaced"; 2]);
    assert_eq!(stage.heard(task).len(), 1, "what was in flight ends once");
}

/// The ledger takes no attempt beyond the last, so that work on it could not be recorded.
#[test]
fn a_patient_task_that_has_had_all_its_attempts_when_the_coordinator_died_is_given_up() {
    let gamer = account(Role::Gamer, 1);
    let spec = toy::spec(7).encode();
    let requeued = |next_attempt: u32| {
        let task = PatientTask {
            task: TaskNo(1),
            gamer: gamer.id,
            game_task: TaskId(1),
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            key: task_key(Toy::ID, Toy::KERNEL_VERSION, &spec),
            units: WorkUnits(1_000),
            price: Nanos(100),
            price_list: 1,
            next_attempt: Attempt(next_attempt),
            payload: PatientPayload { spec: spec.clone().into(), blobs: Vec::new() },
        };
        let config = ServerConfig { kinds: toy::kinds(), ..ServerConfig::default() };
        let (mut core, mut effects) = (Core::new(config.policy(), TaskNo(2), [0; 32]), Effects::default());
        let event = Event::Requeued { task: Box::new(task), account: Box::new(gamer.clone()) };
        core.handle(Micros(1), event, &mut effects);
        core.assert_whole_state();
        let is_given_up = matches!(
            effects.entries[..],
            [Entry::TaskVoided { task: TaskNo(1), reason: VoidReason::NoWorker }]
        );
        assert_eq!(is_given_up, core.tasks().is_empty(), "attempt {next_attempt} would be next");
        is_given_up
    };
    assert!(!requeued(1) && !requeued(ATTEMPT_MAX - 1), "as many as while it runs");
    assert!(requeued(ATTEMPT_MAX) && requeued(ATTEMPT_MAX + 1));
}
