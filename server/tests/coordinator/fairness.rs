//! What gamers get of each other's coordinator.

use p2c2r_protocol::{GameToServer, PeerId, TaskId};
use p2c2r_server::Fallback;
use std::collections::VecDeque;

use crate::stage::{Heard, Stage};
use crate::toy;

/// Milliseconds played.
const PLAYED: u64 = 1_500;
/// Milliseconds between two tasks of the modest gamer: a tenth of what the worker does.
const MODEST_EVERY: u64 = 10;

/// One worker that answers one task in a millisecond.
struct Played {
    stage: Stage,
    worker: PeerId,
    with_worker: VecDeque<p2c2r_protocol::Assign>,
    next: u64,
}

impl Played {
    fn ask(&mut self, gamer: PeerId, budget_ms: u32) -> TaskId {
        self.next += 1;
        let mut submit = self.stage.submit_of(&toy::spec(self.next));
        submit.budget_us = Some(budget_ms * 1_000);
        let task = self.stage.id_of(gamer, submit.task);
        self.stage.game_says(gamer, GameToServer::Submit(submit));
        task
    }

    fn step(&mut self) {
        self.stage.step();
        self.with_worker.extend(self.stage.take_assigned().into_iter().map(|(_, assign)| assign));
        let revoked = self.stage.take_revoked();
        self.with_worker.retain(|assign| revoked.iter().all(|(_, task)| *task != assign.task));
        if let Some(assign) = self.with_worker.pop_front() {
            self.stage.send_answer(self.worker, &assign, Ok(toy::answer(toy::number_in(&assign.spec))));
        }
    }
}

/// The per cent of a modest gamer's tasks that are done in time, and how many of the others' are, when so many greedy
/// gamers ask for three tasks a millisecond each, with shorter deadlines.
fn in_time(greedy: usize) -> (u64, usize) {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let modest = stage.gamer("modest");
    let greedy: Vec<PeerId> = (0..greedy).map(|number| stage.gamer(&format!("greedy{number}"))).collect();
    let worker = stage.worker("w", 1);
    let mut played = Played { stage, worker, with_worker: VecDeque::new(), next: 1_000 };
    let (mut tasks, mut theirs) = (Vec::new(), Vec::new());
    for ms in 0..PLAYED {
        for gamer in &greedy {
            theirs.extend((0..3).map(|_| played.ask(*gamer, 150)));
        }
        if ms % MODEST_EVERY == 0 {
            tasks.push(played.ask(modest, 300));
        }
        played.step();
    }
    (0..400).for_each(|_| played.step());
    let done = |task: &&TaskId| matches!(played.stage.heard(**task), [Heard::Done(_)]);
    let in_time = tasks.iter().filter(done).count() as u64;
    (in_time * 100 / tasks.len() as u64, theirs.iter().filter(done).count())
}

#[test]
fn greedy_gamers_take_nothing_of_what_a_modest_one_has_in_time() {
    let (alone, _) = in_time(0);
    assert_eq!(alone, 100);
    for greedy in [1, 4] {
        let (beside, theirs) = in_time(greedy);
        println!("in time: {alone} % alone, {beside} % beside {greedy} greedy ones");
        assert!(beside >= alone - 2, "{beside} % beside {greedy} greedy ones");
        assert!(theirs > 900, "what nobody else wants is theirs: {theirs}");
    }
}
