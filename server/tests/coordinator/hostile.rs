//! Hostile peers that try to make the coordinator store, forget, wait or pay.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{
    AttemptFailure, ComputedBy, Device, GameToServer, KernelOffer, Nanos, PeerId, Refusal, Role, Submit,
    TASK_PRICE_MIN, TaskId, WorkerOffer, WorkerToServer,
};
use p2c2r_server::Fallback;
use p2c2r_server::config::{TrustRules, default_prices};
use p2c2r_server::core::state::budgets::PATIENT_TASKS_PER_ACCOUNT_MAX;
use p2c2r_server::core::state::gamers::{DELIVERED_BYTES_IN_SUM_MAX, UNDELIVERED_BYTES_IN_SUM_MAX};
use p2c2r_server::peers::Scheduler;
use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use p2c2r_tasks::physics::{BodyMaterial, Physics, PhysicsBase, PhysicsSpec};
use p2c2r_tasks::{Blob, Blobs, KindRegistry, Stop, TaskKind};

use crate::stage::{Heard, Stage};
use crate::toy::{self, Bulky, Toy};

/// Bytes of an outcome: a thousand of them are more than all accounts together may have waiting.
const OUTCOME_BYTES: u32 = 46_561;

fn bulky(stage: &mut Stage) -> Submit {
    let submit = stage.submit_of(&toy::spec(0));
    Submit {
        kind: Bulky::ID,
        kernel_version: Bulky::KERNEL_VERSION,
        spec: Bulky::encode_spec(&(7, OUTCOME_BYTES)).into(),
        ..submit
    }
}

#[test]
fn outcomes_that_nobody_fetches_are_bounded_in_sum_and_stay_charged() {
    const NAMES: usize = 150;
    const SUBMITS: usize = 7;
    let mut stage = Stage::new();
    let first = stage.gamer("first");
    let submit = bulky(&mut stage);
    let kept = stage.submit(first, submit);
    stage.step();
    stage.done(kept);
    let mut tasks = Vec::new();
    for name in 0..NAMES {
        let gamer = stage.gamer(&name.to_string());
        for _ in 0..SUBMITS {
            let submit = bulky(&mut stage);
            tasks.push(stage.id_of(gamer, submit.task));
            stage.game_says(gamer, GameToServer::Submit(submit));
        }
        stage.leave(gamer);
        let gamers = stage.app().world().resource::<Scheduler>().core().gamers();
        assert!(gamers.undelivered_bytes() <= UNDELIVERED_BYTES_IN_SUM_MAX);
        assert!(gamers.delivered_bytes() <= DELIVERED_BYTES_IN_SUM_MAX);
    }
    let bytes = NAMES * SUBMITS * OUTCOME_BYTES as usize;
    assert!(bytes > UNDELIVERED_BYTES_IN_SUM_MAX * 5 / 4, "they would not fit");
    assert_eq!(stage.tally().from_cache, (NAMES * SUBMITS) as u64);
    let newest = stage.gamer(&(NAMES - 1).to_string());
    for task in &tasks[tasks.len() - SUBMITS..] {
        assert!(matches!(stage.done(*task).receipt.computed_by, ComputedBy::Cache(_)));
    }
    let oldest = stage.gamer("0");
    assert!(tasks[..SUBMITS].iter().all(|task| stage.heard(*task).is_empty()), "the oldest went first");
    let fee = stage.done(tasks[tasks.len() - 1]).receipt.price;
    for gamer in [newest, oldest] {
        assert_eq!(stage.gamer_statement(gamer).charged, Nanos(fee.0 * SUBMITS as i64));
    }
    let again = Submit { task: tasks[0], ..bulky(&mut stage) };
    stage.submit(oldest, again);
    assert_eq!(stage.refusal(tasks[0]), &Refusal::IdReused, "dropped, but not free to ask for again");
}

#[test]
fn an_outcome_waits_for_its_gamer_a_day() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let early = stage.ask_patiently(gamer, 1);
    stage.leave(gamer);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    stage.jump(Duration::from_hours(23));
    let gamer = stage.gamer("g");
    stage.done(early);
    let late = stage.ask_patiently(gamer, 2);
    stage.leave(gamer);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    stage.jump(Duration::from_hours(24));
    let gamer = stage.gamer("g");
    assert!(stage.heard(late).is_empty());
    assert_eq!(stage.gamer_statement(gamer).charged.0, 2 * stage.price(1_000).0);
    assert_eq!(stage.app().world().resource::<Scheduler>().core().gamers().undelivered_bytes(), 0);
}

#[test]
fn made_up_session_numbers_neither_get_in_nor_lock_their_account_out() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let kept = stage.ask(gamer, 5);
    stage.step();
    stage.done(kept);
    let available = stage.gamer_statement(gamer).available;
    let mut made_up = Vec::new();
    for number in 0..16_500_u64 {
        let submit = stage.submit_of(&toy::spec(5));
        made_up.push(TaskId((1_000 + number) << 32 | 1));
        stage.game_says(gamer, GameToServer::Submit(Submit { task: made_up[number as usize], ..submit }));
        if number % 500 == 499 {
            stage.step();
        }
    }
    assert!(made_up.iter().all(|task| stage.refusal(*task) == &Refusal::IdReused));
    assert_eq!(stage.gamer_statement(gamer).available, available, "nothing was charged");
    let mut gamer = gamer;
    for connection in 0..40 {
        let task = stage.ask(gamer, 5);
        assert!(matches!(stage.heard(task), [Heard::Done(_)]), "connection {connection}");
        let session = stage.session_of(gamer);
        stage.leave(gamer);
        gamer = stage.gamer("g");
        assert!(stage.session_of(gamer) > session);
    }
    let session = stage.session_of(gamer);
    stage.stop();
    stage.start();
    let gamer = stage.gamer("g");
    assert!(stage.session_of(gamer) >= session, "nothing was asked for under the last one");
    let task = stage.ask(gamer, 5);
    stage.done(task);
}

#[test]
fn a_task_is_charged_once_whichever_connection_repeats_it() {
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let submit = stage.submit_of(&toy::spec(3));
    let task = stage.submit(gamer, submit.clone());
    stage.step();
    stage.done(task);
    stage.leave(gamer);
    for _ in 0..20 {
        let gamer = stage.gamer("g");
        stage.submit(gamer, Submit { task, ..submit.clone() });
        stage.step();
        stage.leave(gamer);
    }
    assert_eq!(stage.heard(task).len(), 21, "answered again");
    assert!(stage.heard(task).iter().all(|heard| matches!(heard, Heard::Done(_))));
    assert_eq!(stage.books().totals.revenue, stage.price(1_000));
}

#[test]
fn one_gamers_patient_tasks_do_not_take_the_room_of_others() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let greedy = stage.gamer("greedy");
    let tasks: Vec<TaskId> = (0..PATIENT_TASKS_PER_ACCOUNT_MAX as u64 + 20)
        .map(|number| {
            let submit = Submit { budget_us: None, ..stage.submit_of(&toy::spec(number)) };
            let task = stage.id_of(greedy, submit.task);
            stage.game_says(greedy, GameToServer::Submit(submit));
            task
        })
        .collect();
    stage.step();
    let (within, beyond) = tasks.split_at(PATIENT_TASKS_PER_ACCOUNT_MAX);
    assert!(within.iter().all(|task| stage.heard(*task).is_empty()));
    let max = PATIENT_TASKS_PER_ACCOUNT_MAX as u32;
    assert!(beyond.iter().all(|task| stage.refusal(*task) == &Refusal::TooManyInFlight { max }));
    let modest = stage.gamer("modest");
    let task = stage.ask_patiently(modest, 1);
    assert!(stage.heard(task).is_empty());
    for task in &within[..2] {
        stage.game_says(greedy, GameToServer::Cancel { task: *task });
    }
    stage.step();
    let again = stage.ask_patiently(greedy, 9_999);
    assert!(stage.heard(again).is_empty(), "there is room again");
}

/// A worker that takes all it gets and never answers, coming back every 100 ms, beside an honest one that takes 12 ms for a
/// task and so is often busy.
#[test]
fn a_silent_worker_that_keeps_coming_back_holds_up_little() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, honest) = (stage.gamer("g"), stage.worker("honest", 4));
    let mut silent = stage.worker("silent", 256);
    let (mut tasks, mut taken) = (Vec::new(), 0);
    let mut under_way = VecDeque::new();
    for tick in 0..2_200 {
        if tick % 4 == 0 && tasks.len() < 400 {
            tasks.push(stage.ask(gamer, 10_000 + tasks.len() as u64));
        } else {
            stage.step();
        }
        for (to, assign) in stage.take_assigned() {
            if to == honest {
                under_way.push_back((tick + 12, assign));
            } else {
                taken += 1;
            }
        }
        while let Some((_, assign)) = under_way.pop_front_if(|(due, _)| *due <= tick) {
            stage.send_answer(honest, &assign, Ok(toy::answer(toy::number_in(&assign.spec))));
        }
        if tick % 100 == 99 {
            stage.leave(silent);
            silent = stage.worker("silent", 256);
        }
    }
    let done = tasks.iter().filter(|task| matches!(stage.heard(**task), [Heard::Done(_)])).count();
    assert!((1..=20).contains(&taken), "{taken} tasks went to the silent worker");
    assert_eq!(done, 400);
}

#[test]
fn workers_without_a_slot_do_not_end_patient_tasks_nor_are_they_asked_again_and_again() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let full = stage.worker("full", 4);
    let tasks: Vec<TaskId> = (0..10).map(|number| stage.ask_patiently(gamer, number)).collect();
    let mut refused = 0;
    for _ in 0..20_000 {
        for (_, assign) in stage.take_assigned() {
            refused += 1;
            stage.send_answer(full, &assign, Err(AttemptFailure::Overloaded));
        }
        stage.step();
    }
    assert!((4..60).contains(&refused), "{refused} attempts in 20 s");
    assert!(tasks.iter().all(|task| stage.heard(*task).is_empty()), "they wait");
    stage.leave(full);
    let worker = stage.worker("w", 4);
    answer_all(&mut stage, worker);
    for task in &tasks {
        assert_eq!(stage.done(*task).receipt.computed_by, by("w"));
    }
}

#[test]
fn workers_that_come_and_go_with_patient_tasks_do_not_end_them() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let task = stage.ask_patiently(gamer, 1);
    for name in 0..8 {
        let fleeting = stage.worker(&name.to_string(), 1);
        assert_eq!(stage.take_assigned().len(), 1, "{name}");
        stage.leave(fleeting);
    }
    let worker = stage.worker("w", 1);
    answer_all(&mut stage, worker);
    assert_eq!(stage.done(task).receipt.computed_by, by("w"));
}

#[test]
fn a_worker_that_offers_a_kind_on_several_devices_counts_once_for_it() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let (first, twice) = (stage.worker("first", 1), stage.worker("twice", 1));
    let on = |device| KernelOffer { kind: Toy::ID, version: Toy::KERNEL_VERSION, device };
    let kernels = vec![on(Device::Cores), on(Device::Graphics), on(Device::Cores)];
    stage.worker_says(twice, WorkerToServer::Ready(WorkerOffer { slots: 1, kernels, region: None }));
    stage.step();
    stage.leave(first);
    let task = stage.ask(gamer, 30);
    let (to, assign) = stage.assignment();
    assert_eq!(to, twice);
    stage.answer_rightly(twice, &assign);
    assert_eq!(stage.done(task).receipt.price, stage.price(1_000), "by the device that was named first");
    stage.leave(twice);
    let task = stage.ask(gamer, 31);
    assert!(stage.take_assigned().is_empty(), "nobody is left");
    let (worker, assign) = (stage.worker("last", 1), stage.assignment().1);
    stage.answer_rightly(worker, &assign);
    stage.done(task);
}

#[test]
fn one_worker_cannot_use_up_a_tasks_attempts_by_reconnecting() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, honest) = (stage.gamer("g"), stage.worker("honest", 1));
    stage.ask_patiently(gamer, 1);
    stage.ask_patiently(gamer, 2);
    let busy = stage.take_assigned();
    assert!(busy.len() == 2 && busy.iter().all(|(to, _)| *to == honest));
    let mut breaker = stage.worker("breaker", 1);
    let task = stage.ask_patiently(gamer, 3);
    let (to, assign) = stage.assignment();
    assert_eq!(to, breaker);
    stage.answer(breaker, &assign, Err(AttemptFailure::KernelPanicked));
    for _ in 0..6 {
        stage.leave(breaker);
        breaker = stage.worker("breaker", 1);
        stage.pass(Duration::from_millis(200));
        assert!(stage.take_assigned().is_empty(), "its account has failed it, under whatever connection");
    }
    for (_, assign) in &busy {
        stage.answer_rightly(honest, assign);
    }
    answer_all(&mut stage, honest);
    assert_eq!(stage.done(task).receipt.computed_by, by("honest"));
}

/// Sixty peers join while the disk stalls: tasks do not wait for them, and they are welcomed once it continues.
#[test]
fn joining_peers_hold_nobody_up() {
    let mut stage = Stage::with(|config| config.trust = TrustRules::default());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, 1);
    let (_, assign) = stage.assignment();
    let disk = rusqlite::Connection::open(stage.folder.path().join("results.db")).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let joining: Vec<PeerId> = (0..60).map(|name| stage.connect(Role::Gamer, &name.to_string())).collect();
    let gone = stage.connect(Role::Worker, "gone");
    stage.step();
    stage.answer_rightly(worker, &assign);
    stage.done(task);
    stage.leave(gone);
    let early = stage.ask(joining[0], 2);
    assert!(stage.heard(early).is_empty(), "nobody is heard before the welcome");
    assert_eq!(stage.app().world().resource::<Scheduler>().core().gamers().len(), 1);
    disk.execute_batch("ROLLBACK").unwrap();
    stage.let_ledger_answer();
    let gamers = stage.app().world().resource::<Scheduler>().core().gamers();
    assert!(gamers.len() == 61 && joining.iter().all(|peer| gamers.session(*peer).is_some()));
    assert_eq!(
        stage.app().world().resource::<Scheduler>().core().workers().len(),
        1,
        "who has gone is not welcomed"
    );
    let task = stage.ask(joining[59], 1);
    stage.done(task);
}

#[test]
fn no_kept_outcome_is_free_however_small_its_task() {
    const TIMES: i64 = 200;
    let mut stage = Stage::new();
    let gamer = stage.gamer("g");
    let one_unit = toy::ToySpec { units: 1, ..toy::spec(9) };
    let submit = stage.submit_of(&one_unit);
    let first = stage.submit(gamer, submit);
    stage.step();
    let price = stage.done(first).receipt.price;
    assert_eq!(price, TASK_PRICE_MIN, "a unit is worth less");
    for _ in 0..TIMES {
        let submit = stage.submit_of(&one_unit);
        let again = stage.submit(gamer, submit);
        assert_eq!(stage.done(again).receipt.price, TASK_PRICE_MIN);
    }
    assert_eq!(stage.gamer_statement(gamer).charged, Nanos((1 + TIMES) * TASK_PRICE_MIN.0));
}

fn submit_as<K: TaskKind>(stage: &mut Stage, spec: &K::Spec, blobs: Vec<Vec<u8>>) -> Submit {
    let submit = stage.submit_of(&toy::spec(0));
    Submit {
        kind: K::ID,
        kernel_version: K::KERNEL_VERSION,
        spec: K::encode_spec(spec).into(),
        blobs,
        ..submit
    }
}

/// The coordinator keeps one copy of a blob for all gamers, and any spec may name it.
#[test]
fn a_spec_of_another_kind_that_names_a_grid_does_not_spoil_the_paths_on_it() {
    let mut stage = Stage::with(|config| {
        config.fallback = Fallback::Queue;
        config.kinds = KindRegistry::builtin();
        config.prices = default_prices(&config.kinds);
    });
    let (owner, hostile) = (stage.gamer("owner"), stage.gamer("hostile"));
    let worker = stage.connect(Role::Worker, "w");
    stage.step();
    stage.let_ledger_answer();
    let kernels = KindRegistry::builtin().offers();
    stage.worker_says(worker, WorkerToServer::Ready(WorkerOffer { slots: 1, kernels, region: None }));
    stage.step();
    // Larger than the grids that admission prepares; read as a snapshot of bodies, its first bits say 1,792 bodies or
    // more, which are too many.
    let mut grid = Grid::new(303, 150);
    grid.set_blocked(Cell::new(100, 70), true);
    let bytes = grid.to_blob();
    let grid = Blob::new(bytes.clone());
    let path = |to| PathSpec { grid: grid.digest(), queries: vec![Query { from: Cell::new(0, 0), to }] };
    let answer = |stage: &mut Stage, spec: &PathSpec| {
        let (to, assign) = stage.assignment();
        assert_eq!(to, worker);
        let outcome = Path::run(spec, &Blobs::new(vec![grid.clone()]), &Stop::never()).unwrap();
        stage.answer(worker, &assign, Ok(Path::encode_outcome(&outcome)));
        stage.pass(Duration::from_millis(5));
    };

    let first = path(Cell::new(200, 140));
    let submit = submit_as::<Path>(&mut stage, &first, vec![bytes]);
    let task = stage.submit(owner, submit);
    let named = PhysicsSpec {
        base: Some(PhysicsBase { digest: grid.digest(), gone: Vec::new() }),
        segments: 1,
        steps: 1,
        planar: false,
        walls: None,
        attractors: Vec::new(),
        materials: vec![BodyMaterial::ROCK],
        bodies: Vec::new(),
    };
    let submit = submit_as::<Physics>(&mut stage, &named, Vec::new());
    let refused = stage.submit(hostile, submit);
    assert!(matches!(stage.refusal(refused), Refusal::BadSpec { .. }), "{:?}", stage.refusal(refused));
    answer(&mut stage, &first);
    assert_eq!(stage.done(task).receipt.computed_by, by("w"));

    let second = path(Cell::new(302, 0));
    let submit = submit_as::<Path>(&mut stage, &second, Vec::new());
    let task = stage.submit(owner, submit);
    answer(&mut stage, &second);
    assert_eq!(stage.done(task).receipt.computed_by, by("w"));
    stage.leave(worker);
    let known = stage.known_of("w");
    assert_eq!((known.accepted, known.rejected, known.failures), (2, 0, 0));
}

fn by(name: &str) -> ComputedBy {
    ComputedBy::Worker(name.into())
}

fn answer_all(stage: &mut Stage, worker: PeerId) {
    loop {
        let assigned = stage.take_assigned();
        if assigned.is_empty() {
            return;
        }
        for (_, assign) in assigned {
            stage.answer_rightly(worker, &assign);
        }
    }
}
