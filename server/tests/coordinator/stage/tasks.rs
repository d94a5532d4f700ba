//! Tasks on the stage: asking for them, doing them, and what was heard of them.

use p2c2r_protocol::{
    Answer, Assign, AttemptFailure, Done, GameToServer, Micros, Nanos, PeerId, Refusal, Submit, TaskFailure,
    TaskId, TaskNo, WorkerToServer,
};
use p2c2r_tasks::kind::TaskKind;

use super::{BUDGET, Stage};
use crate::toy::{self, Toy, ToySpec};

/// A message about a task that its game received.
#[derive(Clone, Debug)]
pub enum Heard {
    Done(Done),
    Failed(TaskFailure),
    Refused(Refusal),
}

impl Stage {
    /// A submit of `spec` under a new id, which gets the session number of the gamer who sends it.
    pub fn submit_of(&mut self, spec: &ToySpec) -> Submit {
        self.next_task += 1;
        let sent_at = self.now();
        Submit {
            task: TaskId(self.next_task),
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: Some(BUDGET.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at,
            spec: spec.encode().into(),
            blobs: Vec::new(),
        }
    }

    /// A gamer submits the square of `number`; one step passes.
    pub fn ask(&mut self, gamer: PeerId, number: u64) -> TaskId {
        let submit = self.submit_of(&toy::spec(number));
        self.submit(gamer, submit)
    }

    /// The same without a deadline.
    pub fn ask_patiently(&mut self, gamer: PeerId, number: u64) -> TaskId {
        let submit = Submit { budget_us: None, ..self.submit_of(&toy::spec(number)) };
        self.submit(gamer, submit)
    }

    /// A gamer submits; one step passes.
    pub fn submit(&mut self, gamer: PeerId, submit: Submit) -> TaskId {
        let task = self.id_of(gamer, submit.task);
        self.game_says(gamer, GameToServer::Submit(submit));
        self.step();
        task
    }

    /// Attempts handed out since this was last asked.
    pub fn take_assigned(&mut self) -> Vec<(PeerId, Assign)> {
        std::mem::take(&mut self.assigned)
    }

    /// The one attempt handed out since this was last asked.
    #[track_caller]
    pub fn assignment(&mut self) -> (PeerId, Assign) {
        let mut assigned = self.take_assigned();
        assert_eq!(assigned.len(), 1, "one attempt is handed out: {assigned:?}");
        assigned.remove(0)
    }

    /// Attempts taken back since this was last asked.
    pub fn take_revoked(&mut self) -> Vec<(PeerId, TaskNo)> {
        std::mem::take(&mut self.revoked)
    }

    /// A worker answers an attempt; one step passes.
    pub fn answer(&mut self, worker: PeerId, assign: &Assign, result: Result<Vec<u8>, AttemptFailure>) {
        self.send_answer(worker, assign, result);
        self.step();
    }

    /// A worker answers an attempt; no time passes.
    pub fn send_answer(&mut self, worker: PeerId, assign: &Assign, result: Result<Vec<u8>, AttemptFailure>) {
        let answer = Answer {
            task: assign.task,
            attempt: assign.attempt,
            result: result.map(Into::into),
            received_at: Micros(1),
            started_at: Micros(2),
            finished_at: Micros(300),
        };
        self.worker_says(worker, WorkerToServer::Answer(answer));
    }

    /// A worker answers an attempt rightly; one step passes.
    pub fn answer_rightly(&mut self, worker: PeerId, assign: &Assign) {
        self.answer(worker, assign, Ok(toy::answer(toy::number_in(&assign.spec))));
    }

    /// All that was heard of a task.
    pub fn heard(&self, task: TaskId) -> &[Heard] {
        self.heard.get(&task).map_or(&[], Vec::as_slice)
    }

    /// The outcome of a task; it must have ended so, and once.
    #[track_caller]
    pub fn done(&self, task: TaskId) -> &Done {
        match self.heard(task) {
            [Heard::Done(done)] => done,
            other => panic!("{task} is not done once: {other:?}"),
        }
    }

    /// Why a task was refused; it must have been, and once.
    #[track_caller]
    pub fn refusal(&self, task: TaskId) -> &Refusal {
        match self.heard(task) {
            [Heard::Refused(refusal)] => refusal,
            other => panic!("{task} is not refused once: {other:?}"),
        }
    }

    /// Why a task failed; it must have, and once.
    #[track_caller]
    pub fn failure(&self, task: TaskId) -> TaskFailure {
        match self.heard(task) {
            [Heard::Failed(failure)] => *failure,
            other => panic!("{task} has not failed once: {other:?}"),
        }
    }
}
