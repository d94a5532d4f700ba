//! How a coordinator is shared between gamers.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Assign, AttemptFailure, GameToServer, KindId, PeerId, TaskId, wire};
use p2c2r_server::Fallback;
use p2c2r_tasks::TaskKind;

use crate::stage::{Heard, Stage};
use crate::toy::{self, Rough, Toy};

/// Milliseconds played.
const PLAYED: u64 = 1_500;
/// Milliseconds between two tasks of the modest gamer: a tenth of what the worker does.
const MODEST_EVERY: u64 = 10;

/// One worker that answers one task in a millisecond.
struct Played {
    stage: Stage,
    worker: PeerId,
    with_worker: VecDeque<Assign>,
    next: u64,
    /// The kinds of all that was handed out, in order.
    handed_out: Vec<KindId>,
}

impl Played {
    fn new(stage: Stage, worker: PeerId) -> Self {
        Self { stage, worker, with_worker: VecDeque::new(), next: 1_000, handed_out: Vec::new() }
    }

    fn ask(&mut self, gamer: PeerId, kind: KindId, budget_ms: u32) -> TaskId {
        self.next += 1;
        let mut submit = self.stage.submit_of(&toy::spec(self.next));
        submit.budget_us = Some(budget_ms * 1_000);
        if kind == Rough::ID {
            (submit.kind, submit.kernel_version) = (kind, Rough::KERNEL_VERSION);
            submit.spec = wire::encode(&self.next).into();
        }
        let task = self.stage.id_of(gamer, submit.task);
        self.stage.game_says(gamer, GameToServer::Submit(submit));
        task
    }

    fn step(&mut self) {
        self.stage.step();
        for (_, assign) in self.stage.take_assigned() {
            self.handed_out.push(assign.kind);
            self.with_worker.push_back(assign);
        }
        let revoked = self.stage.take_revoked();
        self.with_worker.retain(|assign| revoked.iter().all(|(_, task)| *task != assign.task));
        if let Some(assign) = self.with_worker.pop_front() {
            let number = match assign.kind {
                Rough::ID => Rough::decode_spec(&assign.spec).unwrap(),
                _ => toy::number_in(&assign.spec),
            };
            self.stage.send_answer(self.worker, &assign, Ok(toy::answer(number)));
        }
    }
}

/// The percentage of a modest gamer's tasks of one kind that are done in time, and the number of the others', when
/// `greedy` gamers each submit three tasks a millisecond of the kinds `of`, with shorter deadlines.
fn in_time(kind: KindId, greedy: usize, of: &[KindId]) -> (u64, usize) {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let modest = stage.gamer("modest");
    let greedy: Vec<PeerId> = (0..greedy).map(|number| stage.gamer(&format!("greedy{number}"))).collect();
    let worker = stage.worker("w", 1);
    let mut played = Played::new(stage, worker);
    let (mut tasks, mut theirs) = (Vec::new(), Vec::new());
    for ms in 0..PLAYED {
        for gamer in &greedy {
            theirs.extend(of.iter().cycle().take(3).map(|kind| played.ask(*gamer, *kind, 150)));
        }
        if ms % MODEST_EVERY == 0 {
            tasks.push(played.ask(modest, kind, 300));
        }
        played.step();
    }
    (0..400).for_each(|_| played.step());
    let done = |task: &&TaskId| matches!(played.stage.heard(**task), [Heard::Done(_)]);
    let in_time = tasks.iter().filter(done).count() as u64;
    (in_time * 100 / tasks.len() as u64, theirs.iter().filter(done).count())
}

fn takes_nothing(kind: KindId, of: &[KindId]) {
    let (alone, _) = in_time(kind, 0, of);
    assert_eq!(alone, 100);
    for greedy in [1, 4] {
        let (beside, theirs) = in_time(kind, greedy, of);
        println!("in time: {alone} % alone, {beside} % beside {greedy} greedy ones");
        assert!(beside >= alone - 2, "{beside} % beside {greedy} greedy ones");
        assert!(theirs > 900, "what nobody else wants is theirs: {theirs}");
    }
}

#[test]
fn greedy_gamers_take_nothing_of_what_a_modest_one_has_in_time() {
    takes_nothing(Toy::ID, &[Toy::ID]);
}

#[test]
fn nor_do_they_with_tasks_of_another_kind_or_of_several() {
    takes_nothing(Rough::ID, &[Toy::ID]);
    takes_nothing(Toy::ID, &[Rough::ID]);
    takes_nothing(Toy::ID, &[Toy::ID, Rough::ID]);
}

#[test]
fn tasks_that_everybody_with_room_has_failed_hold_up_nobody_elses() {
    const FAILING: u64 = 100;
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (unlucky, other) = (stage.gamer("unlucky"), stage.gamer("other"));
    let worker = stage.worker("w", 128);
    // Accepted answers earn it as much at once as it has slots.
    for number in 0..8 {
        stage.ask(unlucky, 1_000 + number);
        let (_, assign) = stage.assignment();
        stage.answer_rightly(worker, &assign);
    }
    for number in 0..FAILING {
        let mut submit = stage.submit_of(&toy::spec(2_000 + number));
        submit.budget_us = Some(20_000_000);
        stage.game_says(unlucky, GameToServer::Submit(submit));
    }
    stage.step();
    let assigned = stage.take_assigned();
    assert_eq!(assigned.len() as u64, FAILING);
    for (_, assign) in &assigned {
        stage.send_answer(worker, assign, Err(AttemptFailure::KernelPanicked));
    }
    stage.step();
    assert!(stage.take_assigned().is_empty(), "they wait for somebody else");
    for number in 0..20 {
        let task = stage.ask(other, 3_000 + number);
        let (_, assign) = stage.assignment();
        stage.answer_rightly(worker, &assign);
        stage.done(task);
    }
}

#[test]
fn within_a_gamer_the_earliest_deadline_goes_first_whatever_the_kind() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    let worker = stage.worker("w", 1);
    let mut played = Played::new(stage, worker);
    for _ in 0..2 {
        played.ask(gamer, Toy::ID, 500);
    }
    // The worker's window is filled before the others submit.
    played.step();
    played.step();
    for (kind, budget_ms) in [(Toy::ID, 400), (Rough::ID, 200), (Toy::ID, 300), (Rough::ID, 450)] {
        played.ask(gamer, kind, budget_ms);
    }
    (0..20).for_each(|_| played.step());
    assert_eq!(played.handed_out[2..], [Rough::ID, Toy::ID, Toy::ID, Rough::ID]);
}

/// Tasks that the worker with room has failed must not hold up one that it may do, however many they are.
#[test]
fn a_task_for_which_a_worker_has_room_goes_to_it_although_many_wait_that_it_has_failed() {
    const MANY: usize = 100;
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, failing) = (stage.gamer("g"), stage.worker("failing", 64));
    for number in 0..16 {
        stage.ask(gamer, 1_000 + number);
        let (to, assign) = stage.assignment();
        stage.answer_rightly(to, &assign);
    }
    for number in 0..MANY as u64 {
        stage.ask_patiently(gamer, 2_000 + number);
    }
    assert_eq!(stage.take_assigned().len(), MANY);
    let other = stage.worker("other", 1);
    // All leases end. The other worker, which is silent too, has room for a few of the tasks.
    stage.jump(Duration::from_secs(11));
    stage.step();
    let again = stage.take_assigned();
    assert!(!again.is_empty() && again.iter().all(|(to, _)| *to == other), "{again:?}");
    stage.ask_patiently(gamer, 3_000);
    let (to, assign) = stage.assignment();
    assert_eq!((to, toy::number_in(&assign.spec)), (failing, 3_000));
    stage.books();
}
