//! A task brought to some moment of its life, and what a message then did.

use std::time::Duration;

use p2c2r_protocol::{
    Assign, Attempt, GameToServer, PeerId, Refusal, Submit, TaskFailure, TaskId, TaskNo, WorkerToServer,
};
use p2c2r_server::{ComputeMode, Fallback};
use p2c2r_tasks::TaskKind;

use super::{Effect, State};
use crate::stage::{Heard, STEP, Stage};
use crate::toy::{self, Toy};

/// A task in some state, and everyone who has to do with it.
pub(super) struct Scene {
    pub stage: Stage,
    pub state: State,
    pub gamer: PeerId,
    pub worker: PeerId,
    pub submit: Submit,
    pub task: TaskId,
    pub assign: Assign,
}

impl Scene {
    pub fn new(state: State) -> Self {
        let judged = state == State::Judged;
        let mut stage = Stage::with(|config| {
            config.fallback = Fallback::Queue;
            if judged {
                config.compute = ComputeMode::Threads(1);
            }
        });
        let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
        let number = if judged { toy::hold_next() } else { 5 };
        // Its check is too long for the app's own thread.
        let units = if judged { 5_000 } else { 1_000 };
        let mut submit = stage.submit_of(&toy::ToySpec { units, ..toy::spec(number) });
        submit.budget_us = (state != State::Settled).then_some(30_000_000);
        submit.task = stage.id_of(gamer, submit.task);
        let task = submit.task;
        let assign = Assign {
            task: TaskNo(1),
            attempt: Attempt(1),
            kind: Toy::ID,
            lease_us: 0,
            spec: submit.spec.clone(),
            blobs: Vec::new(),
        };
        let mut scene = Self { stage, state, gamer, worker, submit, task, assign };
        scene.enter();
        scene
    }

    fn enter(&mut self) {
        let stage = &mut self.stage;
        match self.state {
            State::Unknown => {}
            State::Queued => {
                stage.worker_says(self.worker, WorkerToServer::Draining);
                stage.step();
                stage.submit(self.gamer, self.submit.clone());
            }
            State::Leased => self.lease(),
            State::Judged => {
                self.lease();
                let right = toy::answer(toy::number_in(&self.submit.spec));
                self.stage.answer(self.worker, &self.assign, Ok(right));
            }
            State::Revoked => {
                self.lease();
                self.stage.pass(Duration::from_millis(1_100));
                assert_eq!(self.stage.take_revoked(), [(self.worker, self.assign.task)]);
                assert!(self.stage.take_assigned().is_empty());
            }
            State::Settled => {
                self.lease();
                self.stage.leave(self.gamer);
                self.stage.answer_rightly(self.worker, &self.assign);
                self.gamer = self.stage.gamer("g");
                self.stage.done(self.task);
            }
            State::Delivered => {
                self.lease();
                self.stage.answer_rightly(self.worker, &self.assign);
                self.stage.done(self.task);
            }
            State::Cancelled => {
                self.lease();
                self.stage.game_says(self.gamer, GameToServer::Cancel { task: self.task });
                self.stage.step();
                assert_eq!(self.stage.failure(self.task), TaskFailure::Cancelled);
            }
        }
        self.stage.take_assigned();
    }

    fn lease(&mut self) {
        self.stage.submit(self.gamer, self.submit.clone());
        let (to, assign) = self.stage.assignment();
        assert_eq!(to, self.worker);
        self.assign = assign;
    }

    /// What a message did, from everything that can be seen of it.
    pub fn effect_of(&mut self, say: impl FnOnce(&mut Self)) -> Effect {
        let heard = self.stage.heard(self.task).len();
        let (before, in_flight) = (self.stage.tally(), self.stage.in_flight());
        say(self);
        self.stage.step();
        let after = self.stage.tally();
        let (strays, repeated) = (after.stray - before.stray, after.repeated - before.repeated);
        let assigned = self.stage.take_assigned();
        let now_in_flight = self.stage.in_flight();
        match &self.stage.heard(self.task)[heard..] {
            [] if strays == 1 && assigned.is_empty() && now_in_flight == in_flight => Effect::Stray,
            [] if strays != 0 => panic!("{strays} strays and more"),
            [] if now_in_flight > in_flight => Effect::Admitted,
            [] if self.state == State::Queued && !assigned.is_empty() => Effect::HandedOut,
            [] if assigned.iter().any(|(_, again)| again.attempt == self.assign.attempt) => Effect::SentAgain,
            [] if repeated == 1 && now_in_flight == in_flight => Effect::TriedAgain,
            [] if assigned.is_empty() && now_in_flight == in_flight => Effect::Nothing,
            [Heard::Done(_)] if in_flight == now_in_flight => Effect::AnsweredAgain,
            [Heard::Done(_)] => Effect::Done,
            [Heard::Refused(Refusal::IdReused)] if in_flight == now_in_flight => Effect::IdReused,
            [Heard::Failed(_)] if now_in_flight < in_flight => Effect::Ends,
            other => panic!("{other:?} and {assigned:?}"),
        }
    }

    /// Afterwards the task ends once, with the right outcome or none, and the books agree.
    #[track_caller]
    pub fn conclude(mut self) {
        toy::let_go(toy::number_in(&self.submit.spec));
        if self.state == State::Judged {
            self.stage.until("the check has ended", STEP, |stage| stage.in_flight() == 0);
        }
        let dones: Vec<_> = self
            .stage
            .heard(self.task)
            .iter()
            .filter_map(|heard| match heard {
                Heard::Done(done) => Some(done.receipt.price),
                Heard::Failed(_) | Heard::Refused(_) => None,
            })
            .collect();
        let charged = self.stage.books().totals.revenue;
        match dones.first() {
            None => {
                let was_begun = matches!(self.state, State::Leased | State::Cancelled);
                assert!(charged.0 == 0 || was_begun && charged < self.stage.price(1_000), "what was begun");
            }
            Some(price) => assert_eq!(charged, *price, "once, however often it was answered"),
        }
    }
}
