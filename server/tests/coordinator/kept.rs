//! Cached outcomes that are given to others: within bounds, as long as their worker is trusted, and across restarts.

use p2c2r_protocol::{ComputedBy, PeerId, Refusal, Submit, TaskId, wire};
use p2c2r_server::Fallback;
use p2c2r_server::config::TrustRules;
use p2c2r_tasks::TaskKind;

use crate::stage::{Heard, Stage};
use crate::toy::{self, Bulky, Rough, SLY};

fn rough(stage: &mut Stage, number: u64, is_patient: bool) -> Submit {
    let submit = stage.submit_of(&toy::spec(0));
    Submit {
        kind: Rough::ID,
        kernel_version: Rough::KERNEL_VERSION,
        spec: Rough::encode_spec(&number).into(),
        budget_us: if is_patient { None } else { submit.budget_us },
        ..submit
    }
}

/// Asks for the square of a number, give or take one, and has the worker answer one more if it is asked at all.
fn ask_roughly(stage: &mut Stage, gamer: PeerId, worker: PeerId, number: u64, is_patient: bool) -> TaskId {
    let submit = rough(stage, number, is_patient);
    let task = stage.submit(gamer, submit);
    for (_, assign) in stage.take_assigned() {
        stage.answer(worker, &assign, Ok(wire::encode(&(number * number + 1))));
    }
    stage.step();
    task
}

fn is_from_cache(stage: &Stage, task: TaskId) -> bool {
    matches!(stage.done(task).receipt.computed_by, ComputedBy::Cache(_))
}

#[test]
fn a_patient_outcome_that_is_right_within_roundings_is_there_after_a_restart_and_no_other_is() {
    let mut stage = Stage::with(|config| {
        // Everything is checked deeply, so that a missing check is not the reason why something is not cached.
        (config.fallback, config.trust) = (Fallback::Queue, TrustRules::default().always());
    });
    let (first, worker) = (stage.gamer("first"), stage.worker("w", 1));
    let patient = ask_roughly(&mut stage, first, worker, 40, true);
    let timely = ask_roughly(&mut stage, first, worker, 50, false);
    for restart in [false, true] {
        if restart {
            stage.books();
            stage.stop();
            stage.start();
        }
        let second = stage.gamer("second");
        let again = ask_roughly(&mut stage, second, worker, 40, true);
        assert!(is_from_cache(&stage, again));
        let done = stage.done(again);
        assert_eq!(done.outcome, wire::encode(&1_601_u64), "the very outcome that was checked");
        assert_eq!(done.outcome, stage.done(patient).outcome);
        let worker = if restart { stage.worker("w", 1) } else { worker };
        let again = ask_roughly(&mut stage, second, worker, 50, false);
        assert_eq!(stage.done(again).receipt.computed_by, ComputedBy::Worker("w".into()));
        stage.leave(second);
    }
    assert!(!is_from_cache(&stage, timely));
}

#[test]
fn what_a_worker_computed_goes_with_it_also_from_the_file() {
    let mut stage = Stage::with(|config| {
        config.trust = TrustRules { probation_answers: 4, ..TrustRules::default().never() };
    });
    let (first, worker) = (stage.gamer("first"), stage.worker("liar", 1));
    let ask = |stage: &mut Stage, gamer: PeerId, number: u64, right: bool| {
        let task = stage.ask(gamer, number);
        for (to, assign) in stage.take_assigned() {
            stage.answer(to, &assign, Ok(toy::answer(if right { number } else { 1 })));
        }
        // Twice, since what the convicted one made is looked for in the ledger first.
        stage.step();
        stage.step();
        task
    };
    ask(&mut stage, first, SLY, true);
    let again = ask(&mut stage, first, SLY, true);
    assert!(is_from_cache(&stage, again));
    for number in 1..=2 {
        ask(&mut stage, first, SLY + number, false);
    }
    assert_eq!(stage.tally().convicted, 1);
    stage.leave(worker);
    for restart in [false, true] {
        if restart {
            stage.books();
            stage.stop();
            stage.start();
        }
        let gamer = stage.gamer("second");
        let number = SLY + 10 + u64::from(restart);
        let of_own = ask(&mut stage, gamer, number, true);
        assert_eq!(stage.done(of_own).receipt.computed_by, ComputedBy::Coordinator);
        if restart {
            // It was computed here after the conviction, before the restart.
            let task = ask(&mut stage, gamer, SLY, true);
            assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Cache(None));
        } else {
            let task = ask(&mut stage, gamer, SLY, true);
            assert_eq!(
                stage.done(task).receipt.computed_by,
                ComputedBy::Coordinator,
                "not from the convicted one"
            );
        }
        stage.leave(gamer);
    }
}

#[test]
fn kept_outcomes_are_bounded_and_hits_are_counted() {
    const BYTES: u32 = 10_000;
    let mut stage = Stage::with(|config| config.cache_entries_max = 3);
    let gamer = stage.gamer("g");
    let ask = |stage: &mut Stage, number: u64| {
        let submit = Submit {
            kind: Bulky::ID,
            kernel_version: Bulky::KERNEL_VERSION,
            spec: Bulky::encode_spec(&(number, BYTES)).into(),
            ..stage.submit_of(&toy::spec(0))
        };
        let task = stage.submit(gamer, submit);
        stage.step();
        assert!(matches!(stage.heard(task), [Heard::Done(_)]));
        is_from_cache(stage, task)
    };
    for number in 0..4 {
        assert!(!ask(&mut stage, number));
    }
    assert_eq!([1, 2, 3].map(|number| ask(&mut stage, number)), [true; 3]);
    stage.books();
    assert!(ask(&mut stage, 0), "the oldest had to go, and is read from the ledger");
    assert_eq!(stage.tally().from_cache, 4);
    stage.stop();
    stage.start();
    assert_eq!(stage.tally().from_cache, 0);
    let gamer = stage.gamer("other");
    let submit = Submit {
        kind: Bulky::ID,
        kernel_version: Bulky::KERNEL_VERSION,
        spec: Bulky::encode_spec(&(3, BYTES)).into(),
        ..stage.submit_of(&toy::spec(0))
    };
    let task = stage.submit(gamer, submit);
    assert!(is_from_cache(&stage, task), "read back within the same bounds");
    let cheaper = stage.done(task).receipt.price;
    assert!(cheaper < stage.price(1_000) && cheaper == stage.reuse_price(1_000));
}

#[test]
fn a_patient_task_that_was_settled_before_a_restart_is_answered_by_its_id_and_costs_nothing_more() {
    let mut stage = Stage::with(|config| config.trust = TrustRules::default().always());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let submit = Submit { budget_us: None, ..stage.submit_of(&toy::spec(60)) };
    let id = stage.submit(gamer, submit.clone());
    let (_, assign) = stage.assignment();
    stage.leave(gamer);
    stage.answer_rightly(worker, &assign);
    assert!(stage.heard(id).is_empty(), "nobody is there to hear");
    stage.books();
    stage.stop();
    stage.start();
    let gamer = stage.gamer("g");
    let charged = stage.gamer_statement(gamer).charged;
    assert_eq!(charged, stage.price(1_000));
    stage.submit(gamer, Submit { task: id, ..submit });
    let done = stage.done(id);
    assert_eq!((&done.outcome, done.receipt.price), (&toy::answer(60).into(), charged));
    assert_eq!(done.receipt.computed_by, ComputedBy::Worker("w".into()));
    assert_eq!(stage.gamer_statement(gamer).charged, charged, "nothing more");
    // Another spec under that id is another task, which has no right to it.
    let other = Submit { task: id, budget_us: None, ..stage.submit_of(&toy::spec(61)) };
    stage.submit(gamer, other);
    assert!(matches!(stage.heard(id), [Heard::Done(_), Heard::Refused(Refusal::IdReused)]));
    stage.books();
}
