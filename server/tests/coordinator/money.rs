//! The mirror of the accounts never shows what the ledger has not recorded, and never loses a nano.

use p2c2r_protocol::{Device, Nanos, WorkerSession};
use p2c2r_tasks::kind::TaskKind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use crate::stage::{Heard, Stage};
use crate::toy::{self, Toy};

/// A seeded mix of honest, wrong, late and repeated answers, leaving workers and cancelled tasks. Afterwards
/// every task has ended once, what the gamer was told adds up, and the books agree with the receipts.
#[test]
fn whatever_happens_every_task_ends_once_and_the_books_agree() {
    let begun: i64 = (0..6).map(|seed| play(seed).0).sum();
    assert!(begun > 0, "some tasks were taken back after they were begun");
}

/// The amount that went back to gamers from convicted workers.
fn taken_back(stage: &mut Stage) -> Nanos {
    let connection = Connection::open(stage.folder.path().join("results.db")).unwrap();
    let sum = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    stage.books();
    // Each group carries out one reversal step.
    while sum("SELECT count(*) FROM reversals") > 0 {
        stage.books();
    }
    Nanos(sum("SELECT coalesce(sum(amount), 0) FROM transfers WHERE reason = 8"))
}

/// The amount charged for tasks that were taken back after they had been begun.
fn charged_for_what_was_begun(stage: &Stage) -> Nanos {
    let connection = Connection::open(stage.folder.path().join("results.db")).unwrap();
    let sum = "SELECT coalesce(sum(fee), 0) FROM tasks WHERE source = 4";
    Nanos(connection.query_row(sum, [], |row| row.get(0)).unwrap())
}

/// Plays one seed; returns the amount charged for tasks that were taken back after they had been begun.
fn play(seed: u64) -> Nanos {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut stage = Stage::with(|config| config.seed = Some(seed));
    let gamer = stage.gamer("g");
    let mut workers: Vec<_> = (0..3).map(|n| stage.worker(&format!("w{n}"), 2)).collect();
    let mut joined = workers.len();
    let (mut tasks, mut open) = (Vec::new(), Vec::new());
    for round in 0..300 {
        let task = stage.ask(gamer, 1_000 + round % 200);
        tasks.push(task);
        open.extend(stage.take_assigned());
        for _ in 0..rng.random_range(0..3) {
            if open.is_empty() {
                break;
            }
            let (worker, assign) = open.swap_remove(rng.random_range(0..open.len()));
            match rng.random_range(0..20) {
                0 => stage.answer(worker, &assign, Ok(toy::answer(2))),
                1 => {
                    stage.answer_rightly(worker, &assign);
                    stage.answer_rightly(worker, &assign);
                }
                2 => open.push((worker, assign)),
                _ => stage.answer_rightly(worker, &assign),
            }
        }
        if rng.random_range(0..40) == 0 {
            let gone = workers.swap_remove(rng.random_range(0..workers.len()));
            stage.leave(gone);
            workers.push(stage.worker(&format!("w{joined}"), 2));
            joined += 1;
        }
        if rng.random_range(0..30) == 0 {
            let task = tasks[rng.random_range(0..tasks.len())];
            stage.game_says(gamer, p2c2r_protocol::GameToServer::Cancel { task });
        }
    }
    stage.pass(std::time::Duration::from_millis(700));
    let mut charged = Nanos::ZERO;
    for task in &tasks {
        match stage.heard(*task) {
            [Heard::Done(done)] => charged += done.receipt.price,
            [Heard::Failed(_) | Heard::Refused(_)] => {}
            other => panic!("seed {seed}: {task} ended {other:?}"),
        }
    }
    assert_eq!(stage.in_flight(), 0, "seed {seed}");
    let taken_back = taken_back(&mut stage);
    assert!(taken_back < charged, "seed {seed}");
    let begun = charged_for_what_was_begun(&stage);
    let charged = charged + begun - taken_back;
    let told = stage.gamer_statement(gamer);
    assert_eq!((told.charged, told.held), (charged, Nanos::ZERO), "seed {seed}");
    assert_eq!(told.available, Nanos::DOLLAR - charged, "seed {seed}");
    assert_eq!(stage.books().totals.revenue, charged, "seed {seed}");
    assert!(charged > Nanos::ZERO);
    begun
}

/// A helper runs two workers under one account: each must be told its own part, and both the same account.
#[test]
fn workers_of_one_account_are_told_what_each_of_them_earned() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let (one, other) = (stage.worker("w", 1), stage.worker("w", 1));
    let mut answered = [0, 0];
    for pair in 0..6 {
        // Two at once: while one worker has the first, the other is sooner done with the second.
        let tasks = [stage.ask(gamer, 2 * pair), stage.ask(gamer, 2 * pair + 1)];
        for (to, assign) in stage.take_assigned() {
            stage.answer_rightly(to, &assign);
            answered[usize::from(to == other)] += 1;
        }
        for task in tasks {
            stage.done(task);
        }
    }
    assert!(answered.iter().all(|count| *count > 0), "both had work: {answered:?}");
    let told = [one, other].map(|worker| stage.worker_statement(worker));
    assert_eq!(told.each_ref().map(|told| told.session.accepted), answered);
    assert_eq!(told[0].earned, told[1].earned, "they have one account");
    assert_eq!(told[0].session.earned + told[1].session.earned, told[0].earned);
    // Whoever joins later has earned nothing yet, whatever the account holds.
    let late = stage.worker("w", 1);
    let late = stage.worker_statement(late);
    assert_eq!((late.session, late.earned), (WorkerSession::default(), told[0].earned));
}

/// The hold is the price on cores, since the device is not known yet; the charge is the price of the device that
/// computed.
#[test]
fn work_done_on_a_graphics_processor_is_charged_and_paid_at_its_own_price() {
    let mut stage = Stage::with(|config| {
        let rates = &mut config.prices.nanos_per_mega_unit;
        rates.iter_mut().find(|(kind, _)| *kind == Toy::ID).unwrap().1 = 1_000_000_000;
        config.prices.graphics_nanos_per_mega_unit = vec![(Toy::ID, 250_000_000)];
    });
    let gamer = stage.gamer("g");
    let (mut paid, mut charged) = (Vec::new(), Nanos::ZERO);
    for (device, name) in [(Device::Cores, "cores"), (Device::Graphics, "card")] {
        let worker = stage.worker_on(device, name, 1);
        let task = stage.ask(gamer, paid.len() as u64);
        let (to, assign) = stage.assignment();
        assert_eq!(to, worker);
        stage.answer_rightly(worker, &assign);
        let receipt = stage.done(task).receipt.clone();
        let price = stage.price(receipt.units.0);
        let earned = stage.worker_statement(worker).session.earned;
        charged += receipt.price;
        paid.push((receipt.price.0 * 1_000 / price.0, earned.0 * 1_000 / receipt.price.0));
        stage.leave(worker);
    }
    assert_eq!(paid, [(1_000, 900), (250, 900)], "thousandths of the price charged, and of that earned");
    let statement = stage.gamer_statement(gamer);
    assert_eq!((statement.charged, statement.held), (charged, Nanos::ZERO), "the rest went back");
    assert_eq!(stage.books().totals.revenue, charged);
}
