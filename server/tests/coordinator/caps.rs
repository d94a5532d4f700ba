//! The cap on what an hour may cost an account.

use std::time::Duration;

use p2c2r_link::Grant;
use p2c2r_protocol::{Nanos, PeerId, Refusal, Role, TaskId};
use p2c2r_server::Fallback;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::peers::Scheduler;

use crate::stage::Stage;

/// A coordinator that caps everybody's hour at the price of three and a half tasks.
fn three_and_a_half() -> (Stage, Nanos) {
    let price = Stage::new().price(1_000);
    let cap = Nanos(price.0 * 7 / 2);
    let stage = Stage::with(|config| (config.fallback, config.hour_cap) = (Fallback::Compute, Some(cap)));
    (stage, cap)
}

/// Asks for tasks of these numbers, which nobody has asked for before; the coordinator computes them.
fn ask(stage: &mut Stage, gamer: PeerId, numbers: std::ops::Range<u64>) -> Vec<TaskId> {
    let tasks = numbers.map(|number| stage.ask(gamer, number)).collect();
    stage.step();
    tasks
}

#[test]
fn an_hour_costs_no_more_than_its_cap_and_the_next_one_is_another() {
    let (mut stage, cap) = three_and_a_half();
    let (gamer, other) = (stage.gamer("g"), stage.gamer("other"));
    let tasks = ask(&mut stage, gamer, 20..24);
    for task in &tasks[..3] {
        stage.done(*task);
    }
    assert_eq!(stage.refusal(tasks[3]), &Refusal::HourCapReached { cap });
    let of_other = ask(&mut stage, other, 30..31);
    stage.done(of_other[0]);
    // A cached outcome costs a tenth, which still fits the cap.
    let kept = ask(&mut stage, gamer, 20..21);
    assert_eq!(stage.done(kept[0]).receipt.price, stage.reuse_price(1_000));
    stage.jump(Duration::from_mins(30));
    let again = ask(&mut stage, gamer, 40..41);
    assert_eq!(stage.refusal(again[0]), &Refusal::HourCapReached { cap });
    stage.jump(Duration::from_mins(31));
    let later = ask(&mut stage, gamer, 50..53);
    for task in later {
        stage.done(task);
    }
    stage.books();
}

#[test]
fn what_is_held_counts_and_is_free_again_when_it_is_given_back() {
    let price = Stage::new().price(1_000);
    let cap = Nanos(2 * price.0);
    let mut stage = Stage::with(|config| (config.fallback, config.hour_cap) = (Fallback::Queue, Some(cap)));
    let gamer = stage.gamer("g");
    stage.worker("w", 8);
    let tasks: Vec<TaskId> = (20..23).map(|number| stage.ask(gamer, number)).collect();
    assert_eq!(stage.refusal(tasks[2]), &Refusal::HourCapReached { cap });
    stage.pass(Duration::from_millis(600));
    let again = stage.ask(gamer, 24);
    assert!(stage.heard(again).is_empty(), "the first two were late and cost nothing");
}

#[test]
fn the_operator_can_say_otherwise_for_one_account() {
    let (mut stage, cap) = three_and_a_half();
    let key = |name| Grant::of_name(Role::Gamer, name).account;
    let price = stage.price(1_000);
    let caps = &mut stage.app().world_mut().resource_mut::<Scheduler>().hour_caps;
    caps.set(key("poor"), HourCap::At(price));
    caps.set(key("rich"), HourCap::Unlimited);
    caps.set(key("other"), HourCap::AsEverybody);
    for (name, numbers, done, cap) in
        [("poor", 20..22, 1, price), ("rich", 30..40, 10, price), ("other", 50..55, 3, cap)]
    {
        let gamer = stage.gamer(name);
        let tasks = ask(&mut stage, gamer, numbers);
        for task in &tasks[..done] {
            stage.done(*task);
        }
        for task in &tasks[done..] {
            assert_eq!(stage.refusal(*task), &Refusal::HourCapReached { cap }, "{name}");
        }
    }
    stage.books();
}

#[test]
fn the_cap_of_an_hour_holds_when_the_coordinator_starts_again_within_it() {
    let (mut stage, cap) = three_and_a_half();
    let gamer = stage.gamer("g");
    let tasks = ask(&mut stage, gamer, 20..22);
    for task in &tasks {
        stage.done(*task);
    }
    for (restarts, done) in [(1, 1), (2, 0)] {
        stage.books();
        stage.stop();
        stage.start();
        let (gamer, other) = (stage.gamer("g"), stage.gamer(&format!("other {restarts}")));
        let tasks = ask(&mut stage, gamer, 100 * restarts..100 * restarts + 2);
        for task in &tasks[..done] {
            stage.done(*task);
        }
        for task in &tasks[done..] {
            assert_eq!(stage.refusal(*task), &Refusal::HourCapReached { cap }, "restarts: {restarts}");
        }
        let of_other = ask(&mut stage, other, 100 * restarts + 50..100 * restarts + 51);
        stage.done(of_other[0]);
    }
    stage.jump(Duration::from_mins(62));
    let gamer = stage.gamer("g");
    let later = ask(&mut stage, gamer, 60..63);
    for task in later {
        stage.done(task);
    }
    stage.books();
}
