//! Which tasks are admitted and which refused, and that repeated messages are idempotent.

use p2c2r_protocol::{ComputedBy, Digest, GameToServer, KindId, Nanos, Refusal, Submit, TaskFailure, TaskId};
use p2c2r_server::Fallback;
use p2c2r_server::config::TrustRules;

use crate::stage::{Heard, Stage};
use crate::toy;

#[test]
fn refusals_are_typed_and_hold_nothing() {
    let mut stage = Stage::with(|config| config.opening_credit = Nanos(100));
    let gamer = stage.gamer("poor");
    stage.worker("w", 1);
    let base = stage.submit_of(&toy::spec(1));
    let mut refused = |change: &dyn Fn(&mut Submit)| {
        let mut submit = base.clone();
        submit.task.0 += 1_000;
        change(&mut submit);
        submit.task.0 += u64::from(submit.spec.len() as u32);
        let task = stage.submit(gamer, submit);
        stage.heard(task).last().cloned()
    };
    let is = |heard: Option<Heard>, expected: &Refusal| match heard {
        Some(Heard::Refused(refusal)) => assert_eq!(&refusal, expected),
        other => panic!("{expected:?} expected, not {other:?}"),
    };
    is(refused(&|submit| submit.kind = KindId(1)), &Refusal::UnknownKind);
    is(refused(&|submit| submit.kernel_version = 9), &Refusal::KernelVersion { ours: 3 });
    let missing = Digest::of(b"grid");
    let mut with_blob = toy::spec(1);
    with_blob.blob = Some(missing);
    let with_blob = with_blob.encode();
    is(
        refused(&|submit| submit.spec = with_blob.clone().into()),
        &Refusal::BlobsMissing { missing: vec![missing] },
    );
    let big = toy::ToySpec { units: 10_000_000, ..toy::spec(1) }.encode();
    is(
        refused(&|submit| (submit.spec, submit.price_cap) = (big.clone().into(), Nanos(1))),
        &Refusal::PriceAboveCap { price: Nanos(987_650) },
    );
    is(
        refused(&|submit| submit.spec = big.clone().into()),
        &Refusal::BalanceTooLow { available: Nanos(100) },
    );
    for bad in [vec![], vec![0xFF; 40], toy::ToySpec { units: 10_000_001, ..toy::spec(1) }.encode()] {
        assert!(matches!(
            refused(&|submit| submit.spec = bad.clone().into()),
            Some(Heard::Refused(Refusal::BadSpec { .. }))
        ));
    }
    assert!(matches!(
        refused(&|submit| submit.budget_us = Some(10)),
        Some(Heard::Refused(Refusal::TooLate { predicted_us: 1_000.. }))
    ));
    assert_eq!(stage.in_flight(), 0);
    assert_eq!(stage.gamer_statement(gamer).available, Nanos(100));
    assert_eq!(stage.books().totals.revenue, Nanos::ZERO);
}

#[test]
fn holds_count_against_the_balance() {
    let mut stage = Stage::with(|config| {
        config.opening_credit = Nanos(2 * 99 + 6);
        config.fallback = Fallback::Queue;
    });
    let gamer = stage.gamer("poor");
    let first = stage.ask(gamer, 1);
    let second = stage.ask(gamer, 2);
    let third = stage.ask(gamer, 3);
    assert!(stage.heard(first).is_empty() && stage.heard(second).is_empty());
    assert_eq!(stage.refusal(third), &Refusal::BalanceTooLow { available: Nanos(6) });
    stage.game_says(gamer, GameToServer::Cancel { task: first });
    stage.step();
    assert_eq!(stage.failure(first), TaskFailure::Cancelled);
    let fourth = stage.ask(gamer, 4);
    assert!(stage.heard(fourth).is_empty());
}

#[test]
fn a_submit_that_comes_twice_is_done_and_charged_once() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let submit = stage.submit_of(&toy::spec(11));
    let task = stage.submit(gamer, submit.clone());
    stage.submit(gamer, submit.clone());
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    stage.done(task);
    stage.submit(gamer, submit.clone());
    assert!(matches!(stage.heard(task), [Heard::Done(a), Heard::Done(b)] if a == b), "answered again");
    let mut other = stage.submit_of(&toy::spec(12));
    other.task = task;
    stage.submit(gamer, other);
    assert!(matches!(stage.heard(task), [_, _, Heard::Refused(Refusal::IdReused)]));
    assert_eq!(stage.books().totals.revenue, stage.price(1_000));
    assert_eq!(stage.gamer_statement(gamer).charged, stage.price(1_000));
}

#[test]
fn an_id_in_flight_is_not_taken_for_another_task() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let task = stage.ask(gamer, 13);
    let mut other = stage.submit_of(&toy::spec(14));
    other.task = task;
    stage.submit(gamer, other);
    assert_eq!(stage.refusal(task), &Refusal::IdReused);
    assert_eq!(stage.in_flight(), 1);
    let namesake = stage.gamer("another");
    let mut same_id = stage.submit_of(&toy::spec(14));
    same_id.task = TaskId(u64::from(stage.session_of(namesake)) << 32 | task.0 & u64::from(u32::MAX));
    stage.submit(namesake, same_id);
    assert_eq!(stage.in_flight(), 2, "ids are unique per gamer, not among gamers");
}

#[test]
fn an_equal_task_is_answered_from_the_cache_for_the_fee() {
    let mut stage = Stage::with(|config| config.trust = TrustRules::default());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    stage.ask(gamer, 15);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    let other = stage.gamer("other");
    let again = stage.ask(other, 15);
    let done = stage.done(again).clone();
    assert_eq!(done.outcome, toy::answer(15));
    assert_eq!(done.receipt.computed_by, ComputedBy::Cache(Some("w".into())));
    let fee = Nanos(10);
    assert_eq!(done.receipt.price, fee);
    assert!(stage.take_assigned().is_empty());
    assert_eq!(stage.gamer_statement(other).charged, fee);
    assert_eq!(stage.books().totals.revenue, stage.price(1_000) + fee);
}

#[test]
fn a_convicted_workers_outcomes_are_not_handed_out_again() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 4));
    stage.ask(gamer, 16);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    for number in [70, 71] {
        stage.ask(gamer, number);
        let (_, assign) = stage.assignment();
        stage.answer(worker, &assign, Ok(toy::answer(1)));
    }
    let again = stage.ask(gamer, 16);
    stage.step();
    assert_eq!(stage.done(again).receipt.computed_by, ComputedBy::Coordinator);
}

#[test]
fn strangers_and_parted_gamers_are_not_heard() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let worker = stage.worker("w", 1);
    let task = stage.ask(gamer, 80);
    let (_, assign) = stage.assignment();
    stage.leave(gamer);
    assert_eq!(stage.take_revoked(), [(worker, assign.task)]);
    assert_eq!(stage.in_flight(), 0);
    let late = stage.ask(gamer, 81);
    assert!(stage.heard(late).is_empty() && stage.heard(task).is_empty());
    stage.answer_rightly(worker, &assign);
    assert!(stage.books().totals.revenue < stage.price(1_000), "at most what was begun");
    assert_eq!(stage.worker_statement(worker).earned, Nanos::ZERO);
    assert_eq!(stage.tally().stray, 1);
}

#[test]
fn blobs_not_seen_before_are_rationed_per_account() {
    let mut stage = Stage::new();
    let (gamer, other) = (stage.gamer("g"), stage.gamer("other"));
    let bring = |stage: &mut Stage, gamer, number: u64| {
        let blob = number.to_le_bytes().to_vec();
        let spec = toy::ToySpec { blob: Some(Digest::of(&blob)), ..toy::spec(200 + number) };
        let submit = Submit { blobs: vec![blob], ..stage.submit_of(&spec) };
        let task = stage.submit(gamer, submit);
        stage.step();
        matches!(stage.heard(task), [Heard::Done(_)])
    };
    for number in 0..16 {
        assert!(bring(&mut stage, gamer, number), "{number}");
    }
    assert!(!bring(&mut stage, gamer, 16));
    assert!(bring(&mut stage, gamer, 3), "seen before");
    assert!(bring(&mut stage, other, 17), "another account");
    let again = stage.gamer("g");
    assert!(!bring(&mut stage, again, 18), "another connection of the same account");
    stage.pass(std::time::Duration::from_millis(200));
    assert!(bring(&mut stage, gamer, 16) && !bring(&mut stage, again, 18));
}

#[test]
fn looking_at_submits_takes_a_bounded_part_of_an_update_and_of_time_however_many_bring_them() {
    const GAMERS: u64 = 60;
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamers: Vec<_> = (0..GAMERS).map(|name| stage.gamer(&name.to_string())).collect();
    let bring = |stage: &mut Stage, round: u64| {
        let tasks: Vec<_> = gamers
            .iter()
            .zip(0..)
            .map(|(gamer, number)| {
                let blob = (round * GAMERS + number).to_le_bytes().to_vec();
                let spec = toy::ToySpec { blob: Some(Digest::of(&blob)), ..toy::spec(500 + number) };
                let submit = Submit { blobs: vec![blob], ..stage.submit_of(&spec) };
                let task = stage.id_of(*gamer, submit.task);
                stage.game_says(*gamer, GameToServer::Submit(submit));
                task
            })
            .collect();
        stage.step();
        let refused = |task: &&TaskId| matches!(stage.heard(**task), [Heard::Refused(Refusal::Full)]);
        GAMERS - tasks.iter().filter(refused).count() as u64
    };
    assert_eq!(bring(&mut stage, 0), 19, "20 ms of looking, the specs included");
    let admitted: u64 = (1..200).map(|round| bring(&mut stage, round)).sum();
    assert!((165..=185).contains(&admitted), "half of 200 ms, and a burst of 100 ms: {admitted}");
}
