//! The charge for a task that ends without an outcome.

use std::time::Duration;

use p2c2r_protocol::{GameToServer, Nanos, PeerId, TaskFailure, TaskId};
use p2c2r_server::{ComputeMode, Fallback};

use crate::stage::{STEP, Stage};
use crate::toy::{self, ToySpec};

/// Work units that a newcomer is predicted to do in 200 ms, and in 600 ms at worst.
const UNITS: u64 = 100_000;

fn stage() -> Stage {
    Stage::with(|config| config.fallback = Fallback::Queue)
}

fn ask(stage: &mut Stage, gamer: PeerId, number: u64, units: u64, budget: Duration) -> TaskId {
    let mut submit = stage.submit_of(&ToySpec { units, ..toy::spec(number) });
    submit.budget_us = Some(budget.as_micros() as u32);
    stage.submit(gamer, submit)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn taking_back_what_was_begun_costs_the_part_that_was_begun() {
    let mut charged = Vec::new();
    for held in [0, 50, 100, 190, 350] {
        let mut stage = stage();
        let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
        let task = ask(&mut stage, gamer, 5, UNITS, ms(2_000));
        stage.assignment();
        stage.pass(ms(held));
        stage.game_says(gamer, GameToServer::Cancel { task });
        stage.step();
        assert_eq!(stage.failure(task), TaskFailure::Cancelled);
        assert_eq!(stage.take_revoked().len(), 1, "whoever has it is told to stop");
        let told = stage.gamer_statement(gamer);
        assert_eq!((told.held, told.available), (Nanos::ZERO, Nanos::DOLLAR - told.charged));
        assert_eq!(
            stage.worker_statement(worker).earned,
            Nanos::ZERO,
            "nobody can check what was broken off"
        );
        assert_eq!(stage.books().totals.revenue, told.charged);
        charged.push(told.charged.0 * 100 / stage.price(UNITS).0);
    }
    let [at_once, quarter, half, most, all] = charged[..] else { panic!() };
    assert!(at_once <= 2, "{charged:?}");
    assert!(
        (20..=30).contains(&quarter) && (45..=55).contains(&half) && (90..=99).contains(&most),
        "{charged:?}"
    );
    assert_eq!(all, 100, "never more than what was held");
}

#[test]
fn quitting_is_no_way_around_it() {
    for by_word in [true, false] {
        let mut stage = stage();
        let gamer = stage.gamer("g");
        stage.worker("w", 1);
        ask(&mut stage, gamer, 5, UNITS, ms(2_000));
        stage.pass(ms(100));
        if by_word {
            stage.game_says(gamer, GameToServer::Leaving);
            stage.step();
        } else {
            stage.leave(gamer);
        }
        let half = stage.books().totals.revenue.0 * 100 / stage.price(UNITS).0;
        assert!((45..=55).contains(&half), "{half} per cent");
    }
}

#[test]
fn what_nobody_has_begun_costs_nothing() {
    let mut stage = stage();
    let gamer = stage.gamer("g");
    let task = ask(&mut stage, gamer, 5, UNITS, ms(2_000));
    stage.pass(ms(300));
    stage.game_says(gamer, GameToServer::Cancel { task });
    stage.step();
    assert_eq!(stage.failure(task), TaskFailure::Cancelled);
    assert_eq!(stage.gamer_statement(gamer).charged, Nanos::ZERO);
}

#[test]
fn a_worker_that_takes_longer_than_it_may_costs_its_gamer_nothing() {
    let mut stage = stage();
    let gamer = stage.gamer("g");
    stage.worker("w", 1);
    let task = ask(&mut stage, gamer, 5, UNITS, ms(5_000));
    stage.pass(ms(700));
    stage.game_says(gamer, GameToServer::Cancel { task });
    stage.step();
    assert_eq!(stage.gamer_statement(gamer).charged, Nanos::ZERO);
}

#[test]
fn what_is_taken_back_while_a_wrong_answer_is_judged_ends_with_the_verdict() {
    enum Way {
        Cancel,
        Quit,
        Leave,
    }
    for way in [Way::Cancel, Way::Quit, Way::Leave] {
        let mut stage = Stage::with(|config| {
            config.fallback = Fallback::Queue;
            config.compute = ComputeMode::Threads(1);
        });
        let gamer = stage.gamer("g");
        let workers = [stage.worker("one", 1), stage.worker("other", 1)];
        let number = toy::hold_next();
        let task = ask(&mut stage, gamer, number, UNITS, ms(60_000));
        let (worker, assign) = stage.assignment();
        assert!(workers.contains(&worker));
        stage.answer(worker, &assign, Ok(toy::answer(1)));
        match way {
            Way::Cancel => stage.game_says(gamer, GameToServer::Cancel { task }),
            Way::Quit => stage.game_says(gamer, GameToServer::Leaving),
            Way::Leave => stage.leave(gamer),
        }
        stage.step();
        assert!(stage.heard(task).is_empty(), "its answer is being judged");
        toy::let_go(number);
        stage.until("the check has ended", STEP, |stage| stage.in_flight() == 0);
        if !matches!(way, Way::Leave) {
            assert_eq!(stage.failure(task), TaskFailure::Cancelled);
        }
        assert!(stage.take_assigned().is_empty(), "no other worker gets what nobody wants");
        assert_eq!(stage.books().totals.revenue, Nanos::ZERO);
    }
}

/// Runs `count` tasks at once, each on its own worker, which has no time to finish: returns the total charge, in
/// prices.
fn late_tasks(count: u64) -> f64 {
    const SECOND: u64 = 1_000_000;
    let mut stage = stage();
    let gamer = stage.gamer("g");
    for number in 0..count {
        stage.worker(&format!("w{number}"), 1);
    }
    let tasks: Vec<_> = (0..count).map(|number| ask(&mut stage, gamer, number, SECOND, ms(2_500))).collect();
    assert_eq!(stage.take_assigned().len() as u64, count);
    stage.jump(ms(2_600));
    assert!(tasks.iter().all(|task| stage.failure(*task) == TaskFailure::Late));
    stage.books().totals.revenue.0 as f64 / stage.price(SECOND).0 as f64
}

#[test]
fn late_tasks_cost_nothing_as_long_as_misfortune_explains_them() {
    assert_eq!(late_tasks(5), 0.0);
    let charged = late_tasks(20);
    assert!(charged > 0.0 && charged <= 10.0, "ten seconds of work are given away: {charged}");
}
