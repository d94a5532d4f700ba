//! Equal tasks that are under way at the same time are computed once.

use std::time::Duration;

use p2c2r_protocol::{
    Assign, AttemptFailure, ComputedBy, GameToServer, Nanos, PassedCheck, PeerId, Refusal, Submit,
    TaskFailure, TaskId,
};
use p2c2r_server::{ComputeMode, Fallback};

use crate::stage::{BUDGET, STEP, Stage};
use crate::toy::{self, SLY, ToySpec};

/// Two gamers and a worker.
struct Town {
    stage: Stage,
    first: PeerId,
    second: PeerId,
    worker: PeerId,
}

impl Town {
    fn new() -> Self {
        let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
        let (first, second) = (stage.gamer("first"), stage.gamer("second"));
        let worker = stage.worker("w", 4);
        Self { stage, first, second, worker }
    }

    /// Both ask for the same, the second one a millisecond later; one attempt is handed out.
    fn both_ask(&mut self, number: u64) -> (TaskId, TaskId, Assign) {
        let first = self.stage.ask(self.first, number);
        let (to, assign) = self.stage.assignment();
        assert_eq!(to, self.worker);
        let second = self.stage.ask(self.second, number);
        self.stage.pass(Duration::from_millis(5));
        assert!(self.stage.take_assigned().is_empty(), "it is being done already");
        (first, second, assign)
    }

    fn ask_within(&mut self, gamer: PeerId, number: u64, budget: Duration) -> TaskId {
        let submit = self.stage.submit_of(&toy::spec(number));
        self.stage.submit(gamer, Submit { budget_us: Some(budget.as_micros() as u32), ..submit })
    }

    fn fee(&self) -> Nanos {
        // A tenth of 99 nano-dollars, rounded up.
        self.stage.reuse_price(1_000)
    }

    fn charged(&mut self) -> (Nanos, Nanos) {
        (self.stage.gamer_statement(self.first).charged, self.stage.gamer_statement(self.second).charged)
    }

    fn cancel(&mut self, gamer: PeerId, task: TaskId) {
        self.stage.game_says(gamer, GameToServer::Cancel { task });
        self.stage.step();
    }
}

#[test]
fn one_attempt_serves_both_and_the_second_pays_what_a_cache_hit_costs() {
    let mut town = Town::new();
    let (first, second, assign) = town.both_ask(SLY);
    town.stage.answer_rightly(town.worker, &assign);
    let (of_first, of_second) = (town.stage.done(first).clone(), town.stage.done(second).clone());
    assert_eq!(of_first.outcome, of_second.outcome);
    assert_eq!(of_first.receipt.computed_by, ComputedBy::Worker("w".into()));
    assert_eq!(of_second.receipt.computed_by, ComputedBy::Cache(Some("w".into())));
    assert_eq!(of_second.receipt.check, PassedCheck::Deep, "what two get is looked at closely");
    assert_eq!(town.charged(), (town.stage.price(1_000), town.fee()));
    assert_eq!(town.stage.gamer_statement(town.second).held, Nanos::ZERO);
    let tally = town.stage.tally();
    assert_eq!((tally.by_workers, tally.shared, tally.from_cache), (1, 1, 1));
    town.stage.books();
}

#[test]
fn a_wrong_answer_that_two_wait_for_is_found_although_it_looks_right() {
    let mut town = Town::new();
    let (first, second, assign) = town.both_ask(SLY + 1);
    town.stage.answer(town.worker, &assign, Ok(toy::answer(1)));
    assert!(town.stage.heard(first).is_empty() && town.stage.heard(second).is_empty());
    let other = town.stage.worker("other", 1);
    let (to, again) = town.stage.assignment();
    assert_eq!((to, again.task), (other, assign.task));
    town.stage.answer_rightly(other, &again);
    assert_eq!(town.stage.done(first).outcome, town.stage.done(second).outcome);
    town.stage.books();
}

#[test]
fn the_second_gets_it_also_if_the_first_leaves_and_then_pays_for_it() {
    for leaves in [true, false] {
        let mut town = Town::new();
        let (first, second, assign) = town.both_ask(SLY + 2);
        if leaves {
            town.stage.leave(town.first);
        } else {
            town.cancel(town.first, first);
            assert_eq!(town.stage.failure(first), TaskFailure::Cancelled);
        }
        assert!(town.stage.take_revoked().is_empty(), "the attempt goes on");
        town.stage.answer_rightly(town.worker, &assign);
        assert_eq!(town.stage.done(second).receipt.computed_by, ComputedBy::Worker("w".into()));
        let full = town.stage.price(1_000);
        assert_eq!(town.stage.gamer_statement(town.second).charged, full);
        assert_eq!(town.stage.worker_statement(town.worker).session.accepted, 1);
        let totals = town.stage.books().totals;
        assert!(
            totals.revenue >= full && totals.revenue <= full + full,
            "what was begun for the first, at most"
        );
        assert_eq!(totals.tasks_done + totals.tasks_void, 2);
        assert_eq!(town.stage.tally().inherited, 1);
    }
}

#[test]
fn whoever_waits_longest_takes_the_place_and_the_others_go_on_waiting() {
    let mut town = Town::new();
    let third_gamer = town.stage.gamer("third");
    let (first, second, assign) = town.both_ask(SLY + 3);
    let third = town.stage.ask(third_gamer, SLY + 3);
    town.cancel(town.first, first);
    town.cancel(town.second, second);
    town.stage.answer_rightly(town.worker, &assign);
    assert_eq!(town.stage.done(third).receipt.computed_by, ComputedBy::Worker("w".into()));
    assert_eq!(town.stage.gamer_statement(third_gamer).charged, town.stage.price(1_000));
    town.stage.books();
}

#[test]
fn a_deadline_of_the_first_that_passes_does_not_end_what_the_second_waits_for() {
    let mut town = Town::new();
    let first = town.ask_within(town.first, SLY + 4, Duration::from_millis(60));
    let (_, assign) = town.stage.assignment();
    let second = town.stage.ask(town.second, SLY + 4);
    town.stage.pass(Duration::from_millis(80));
    assert_eq!(town.stage.failure(first), TaskFailure::Late);
    assert!(town.stage.take_revoked().is_empty() && town.stage.take_assigned().is_empty(), "it goes on");
    town.stage.answer_rightly(town.worker, &assign);
    assert_eq!(town.stage.done(second).receipt.computed_by, ComputedBy::Worker("w".into()));
    assert_eq!(town.charged(), (Nanos::ZERO, town.stage.price(1_000)));
    town.stage.books();
}

#[test]
fn if_the_attempts_of_the_first_fail_the_second_has_its_own() {
    let mut town = Town::new();
    let (first, second, assign) = town.both_ask(SLY + 5);
    let mut out = vec![(town.worker, assign)];
    let others: Vec<PeerId> = (0..6).map(|name| town.stage.worker(&format!("w{name}"), 1)).collect();
    // Four attempts that fail end the first; the fifth is the second's.
    for _ in 0..4 {
        let (to, assign) = out.remove(0);
        town.stage.answer(to, &assign, Err(AttemptFailure::KernelPanicked));
        out.extend(town.stage.take_assigned());
        town.stage.step();
        out.extend(town.stage.take_assigned());
    }
    assert_eq!(town.stage.failure(first), TaskFailure::KernelFailed);
    assert!(town.stage.heard(second).is_empty());
    let (to, assign) = out.remove(0);
    assert!(to == town.worker || others.contains(&to));
    town.stage.answer_rightly(to, &assign);
    town.stage.done(second);
    assert_eq!(town.charged(), (Nanos::ZERO, town.stage.price(1_000)));
    town.stage.books();
}

#[test]
fn a_follower_goes_on_alone_while_it_can_still_be_in_time() {
    let mut town = Town::new();
    town.stage.worker("other", 1);
    let first = town.stage.ask(town.first, SLY + 6);
    let (_, assign) = town.stage.assignment();
    let second = town.ask_within(town.second, SLY + 6, Duration::from_millis(100));
    assert!(town.stage.take_assigned().is_empty());
    let mut assigned = Vec::new();
    for _ in 0..99 {
        town.stage.step();
        assigned = town.stage.take_assigned();
        if assigned.iter().any(|(_, again)| again.task != assign.task) {
            break;
        }
    }
    let mine = assigned.iter().find(|(_, again)| again.task != assign.task);
    let (to, again) = mine.unwrap_or_else(|| panic!("the second has an attempt of its own: {assigned:?}"));
    town.stage.answer_rightly(*to, again);
    town.stage.done(second);
    assert!(town.stage.heard(first).is_empty());
    town.stage.pass(BUDGET);
    town.stage.books();
}

#[test]
fn a_follower_that_is_taken_back_costs_nothing_and_disturbs_nobody() {
    let mut town = Town::new();
    let (first, second, assign) = town.both_ask(SLY + 7);
    town.cancel(town.second, second);
    assert_eq!(town.stage.failure(second), TaskFailure::Cancelled);
    town.stage.answer_rightly(town.worker, &assign);
    town.stage.done(first);
    assert_eq!(town.charged(), (town.stage.price(1_000), Nanos::ZERO));
    town.stage.books();
}

#[test]
fn one_gamer_that_asks_twice_and_quits_takes_both_back() {
    let mut town = Town::new();
    let first = town.stage.ask(town.first, SLY + 8);
    let again = town.stage.ask(town.first, SLY + 8);
    town.stage.game_says(town.first, GameToServer::Leaving);
    town.stage.step();
    for task in [first, again] {
        assert_eq!(town.stage.failure(task), TaskFailure::Cancelled);
    }
    assert_eq!(town.stage.in_flight(), 0);
    town.stage.books();
}

#[test]
fn a_follower_must_be_able_to_pay_for_an_attempt_of_its_own() {
    let mut stage = Stage::with(|config| {
        (config.fallback, config.opening_credit) = (Fallback::Queue, Nanos(150));
    });
    let (first, second) = (stage.gamer("first"), stage.gamer("second"));
    stage.worker("w", 1);
    stage.ask(first, SLY + 9);
    let price = stage.price(1_000);
    let submit = stage.submit_of(&toy::spec(SLY + 9));
    let too_dear = stage.submit(second, Submit { price_cap: price - Nanos(1), ..submit });
    assert_eq!(stage.refusal(too_dear), &Refusal::PriceAboveCap { price });
    let within = stage.ask(second, SLY + 9);
    assert!(stage.heard(within).is_empty());
    let beyond = stage.ask(second, SLY + 9);
    assert!(matches!(stage.refusal(beyond), Refusal::BalanceTooLow { .. }));
}

#[test]
fn equal_patient_tasks_are_done_once_also_after_a_restart() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (first, second) = (stage.gamer("first"), stage.gamer("second"));
    let of_first = stage.ask_patiently(first, SLY + 10);
    let of_second = stage.ask_patiently(second, SLY + 10);
    stage.books();
    stage.stop();
    stage.start();
    let (first, second) = (stage.gamer("first"), stage.gamer("second"));
    let worker = stage.worker("w", 4);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    let computed = [of_first, of_second].map(|task| stage.done(task).receipt.computed_by.clone());
    assert_eq!(computed, [ComputedBy::Worker("w".into()), ComputedBy::Cache(Some("w".into()))]);
    let fee = stage.reuse_price(1_000);
    assert_eq!(stage.gamer_statement(first).charged, stage.price(1_000));
    assert_eq!(stage.gamer_statement(second).charged, fee);
    stage.books();
}

#[test]
fn an_own_kernel_that_fails_does_not_end_a_patient_task_that_it_did_not_run_for() {
    let mut stage = Stage::with(|config| config.compute = ComputeMode::Threads(1));
    let (first, second) = (stage.gamer("first"), stage.gamer("second"));
    toy::hold(toy::FAILS_LATER);
    let timely = stage.ask(first, toy::FAILS_LATER);
    stage.step();
    let patient = stage.ask_patiently(second, toy::FAILS_LATER);
    stage.game_says(first, GameToServer::Cancel { task: timely });
    stage.step();
    assert_eq!(stage.failure(timely), TaskFailure::Cancelled);
    assert_eq!(stage.tally().inherited, 1, "the kernel goes on for the second");
    toy::let_go(toy::FAILS_LATER);
    let worker = stage.worker("w", 1);
    let mut assigned = Vec::new();
    stage.until("a worker is asked", STEP, |stage| {
        assert!(stage.heard(patient).is_empty());
        assigned = stage.take_assigned();
        !assigned.is_empty()
    });
    let [(to, assign)] = &assigned[..] else { panic!("{assigned:?}") };
    assert_eq!(*to, worker);
    stage.answer_rightly(worker, assign);
    let receipt = &stage.done(patient).receipt;
    assert_eq!((&receipt.computed_by, receipt.attempts), (&ComputedBy::Worker("w".into()), 2));
    stage.books();
}

#[test]
fn without_a_cache_everything_is_computed_by_itself() {
    let mut stage = Stage::with(|config| (config.fallback, config.cache_entries_max) = (Fallback::Queue, 0));
    let (first, second) = (stage.gamer("first"), stage.gamer("second"));
    stage.worker("w", 4);
    stage.ask(first, 30);
    stage.ask(second, 30);
    assert_eq!(stage.take_assigned().len(), 2);
}

/// A greedy gamer submits a modest gamer's tasks in advance and lets them wait: the modest gamer's are in time all the
/// same.
#[test]
fn asking_first_does_not_hold_up_whoever_asks_for_the_same_later() {
    let mut town = Town::new();
    let mut tasks = Vec::new();
    for number in 0..200 {
        town.stage.ask(town.first, SLY + 100 + number);
        for ahead in 0..3 {
            town.stage.ask(town.first, SLY + 10_000 + 3 * number + ahead);
        }
        tasks.push(town.ask_within(town.second, SLY + 100 + number, Duration::from_millis(300)));
        for (to, assign) in town.stage.take_assigned() {
            town.stage.send_answer(to, &assign, Ok(toy::answer(toy::number_in(&assign.spec))));
        }
        town.stage.step();
    }
    for _ in 0..400 {
        for (to, assign) in town.stage.take_assigned() {
            town.stage.send_answer(to, &assign, Ok(toy::answer(toy::number_in(&assign.spec))));
        }
        town.stage.step();
    }
    for task in tasks {
        town.stage.done(task);
    }
    assert!(town.stage.tally().shared > 0);
    town.stage.books();
}

/// The first and then the second of two who ask for the same cancel, each 50 ms after the other thing that happened. Returns
/// what each of them is charged, in per cent of the price.
fn both_cancel(mut stage: Stage, number: u64) -> [i64; 2] {
    const UNITS: u64 = 100_000;
    let gamers = [stage.gamer("first"), stage.gamer("second")];
    let tasks = gamers.map(|gamer| {
        let submit = stage.submit_of(&ToySpec { units: UNITS, ..toy::spec(number) });
        stage.submit(gamer, Submit { budget_us: Some(10_000_000), ..submit })
    });
    for (gamer, task) in gamers.into_iter().zip(tasks) {
        stage.pass(Duration::from_millis(50));
        stage.game_says(gamer, GameToServer::Cancel { task });
        stage.step();
        assert_eq!(stage.failure(task), TaskFailure::Cancelled);
    }
    assert_eq!(stage.tally().inherited, 1);
    let price = stage.price(UNITS).0;
    let charged = gamers.map(|gamer| stage.gamer_statement(gamer).charged.0 * 100 / price);
    stage.books();
    charged
}

#[test]
fn what_was_begun_for_the_first_is_charged_to_the_first_alone() {
    let number = toy::hold_next();
    let mut by_worker = Stage::with(|config| config.fallback = Fallback::Queue);
    by_worker.worker("w", 1);
    let by_coordinator = Stage::with(|config| config.compute = ComputeMode::Threads(1));
    // A newcomer and the own kernel alike are predicted to take 200 ms.
    for stage in [by_worker, by_coordinator] {
        let [first, second] = both_cancel(stage, number);
        assert!((20..=35).contains(&first) && (20..=35).contains(&second), "{first}, {second} per cent");
    }
    toy::let_go(number);
}
