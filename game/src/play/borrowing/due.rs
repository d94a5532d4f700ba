//! Outcomes on their way back to the arena: made ready on another thread, and given to the very step that they were
//! asked for, so that play is the same whatever time they took.

use std::collections::VecDeque;
use std::sync::Arc;

use bevy::prelude::*;
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on};
use p2c2r_arena::{DueOutcome, Motions, OutcomeBody, RequestId, WantedSpec, WantedTask};
use p2c2r_tasks::physics::{PhysicsOutcome, PhysicsSpec};

/// Requests of the arena that are not answered yet, in the order in which they were made.
#[derive(Resource, Default)]
pub(in crate::play) struct Due {
    expected: Vec<RequestDue>,
    /// The newest requests whose outcomes the coordinator handed out as they were accepted: it keeps what they leave.
    kept_there: VecDeque<RequestId>,
}

/// How many of them are remembered: more than there are windows under way.
const KEPT_MAX: usize = 8;

/// One request.
pub(super) struct RequestDue {
    request: RequestId,
    due_at: u64,
    /// What was asked, for the kind whose outcomes have to be made ready with it.
    spec: Option<Arc<PhysicsSpec>>,
    answer: Option<RequestState>,
}

/// What has become of a request.
pub(super) enum RequestState {
    /// It can be given to the arena.
    Ready(OutcomeBody),
    /// It is being made ready.
    InPreparation(Task<OutcomeBody>),
}

impl RequestDue {
    /// Makes motions ready on another thread: for a thousand rocks that takes milliseconds.
    pub(super) fn prepare(&self, outcome: &Arc<PhysicsOutcome>) -> RequestState {
        let Some(spec) = self.spec.clone() else { return RequestState::Ready(OutcomeBody::None) };
        let outcome = Arc::clone(outcome);
        RequestState::InPreparation(AsyncComputeTaskPool::get().spawn(async move {
            match Motions::prepare(&spec, &outcome) {
                Ok(motions) => OutcomeBody::Physics(motions),
                Err(error) => {
                    tracing::error!(%error, "motions that do not pass their check");
                    OutcomeBody::Missed
                }
            }
        }))
    }

    /// What is given to the step that makes the tick `tick`, if that is the time for it. Paths and plans are taken late too;
    /// motions that are not there when their window begins are missed.
    fn give(&mut self, tick: u64) -> Option<OutcomeBody> {
        if tick < self.due_at {
            return None;
        }
        match self.answer.take() {
            Some(RequestState::Ready(outcome)) => Some(outcome),
            Some(RequestState::InPreparation(task)) if task.is_finished() => Some(block_on(task)),
            _ => self.spec.is_some().then_some(OutcomeBody::Missed),
        }
    }
}

impl Due {
    /// Notes what is asked for.
    pub(super) fn expect(&mut self, task: &WantedTask) {
        let spec = match &task.spec {
            WantedSpec::Physics { spec, .. } => Some(Arc::new(spec.clone())),
            WantedSpec::Path { .. } | WantedSpec::Tactics { .. } => None,
        };
        self.expected.push(RequestDue { request: task.request, due_at: task.due_at, spec, answer: None });
    }

    /// An outcome has come; `answer` says what is to be done with it.
    pub(super) fn came(&mut self, request: RequestId, answer: impl FnOnce(&RequestDue) -> RequestState) {
        if let Some(expected) = self.expected.iter_mut().find(|expected| expected.request == request) {
            expected.answer = Some(answer(expected));
        }
    }

    /// The coordinator has handed out the outcome of this request and keeps what it leaves.
    pub(super) fn keeps_there(&mut self, request: RequestId) {
        if self.kept_there.len() == KEPT_MAX {
            self.kept_there.pop_front();
        }
        self.kept_there.push_back(request);
    }

    /// Whether the coordinator keeps what the outcome of this request left. A belief: it asks for what it does not have.
    pub(super) fn is_kept_there(&self, request: RequestId) -> bool {
        self.kept_there.contains(&request)
    }

    /// No outcome will come.
    pub(super) fn failed(&mut self, request: RequestId) {
        self.came(request, |expected| {
            RequestState::Ready(if expected.spec.is_some() { OutcomeBody::Missed } else { OutcomeBody::None })
        });
    }

    /// What is given to the step that makes the tick `tick`.
    pub(in crate::play) fn take(&mut self, tick: u64) -> Vec<DueOutcome> {
        let mut due = Vec::new();
        self.expected.retain_mut(|expected| match expected.give(tick) {
            Some(outcome) => {
                due.push(DueOutcome { request: expected.request, outcome });
                false
            }
            None => true,
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use bevy::tasks::TaskPool;
    use p2c2r_arena::{Arena, ArenaConfig, Controls};
    use p2c2r_tasks::physics::Physics;
    use p2c2r_tasks::{Blobs, Stop, TaskKind as _};

    use super::*;

    /// An arena that has just asked for motions.
    fn asking() -> (Arena, WantedTask) {
        let mut arena = Arena::new(ArenaConfig::default());
        loop {
            let wanted = arena.step(Controls::default(), &[]).wanted;
            if let Some(wanted) =
                wanted.into_iter().find(|task| matches!(task.spec, WantedSpec::Physics { .. }))
            {
                return (arena, wanted);
            }
        }
    }

    #[test]
    fn motions_are_given_to_the_step_that_they_were_asked_for_and_not_before() {
        AsyncComputeTaskPool::get_or_init(TaskPool::new);
        let (mut arena, wanted) = asking();
        let mut due = Due::default();
        due.expect(&wanted);
        let WantedSpec::Physics { spec, .. } = &wanted.spec else { panic!("motions") };
        let outcome = Arc::new(Physics::run(spec, &Blobs::default(), &Stop::never()).unwrap());
        due.came(wanted.request, |expected| expected.prepare(&outcome));
        while due.expected.iter().any(
            |expected| matches!(&expected.answer, Some(RequestState::InPreparation(task)) if !task.is_finished()),
        ) {
            std::thread::yield_now();
        }
        assert!(due.take(wanted.due_at - 1).is_empty());
        let given = due.take(wanted.due_at);
        assert!(matches!(given[..], [DueOutcome { outcome: OutcomeBody::Physics(_), .. }]));
        while arena.tick() + 1 < wanted.due_at {
            arena.step(Controls::default(), &[]);
        }
        arena.step(Controls::default(), &given);
        assert_eq!(arena.physics().request, Some(wanted.request));
        assert!(due.expected.is_empty() && !arena.physics().inline);
    }

    #[test]
    fn motions_that_have_not_come_when_their_window_begins_are_missed() {
        let (mut arena, wanted) = asking();
        let mut due = Due::default();
        due.expect(&wanted);
        while arena.tick() + 1 < wanted.due_at {
            let given = due.take(arena.tick() + 1);
            assert!(given.is_empty());
            arena.step(Controls::default(), &given);
        }
        arena.step(Controls::default(), &due.take(wanted.due_at));
        let physics = arena.physics();
        assert_eq!((physics.missed_windows, physics.inline_windows, physics.carried), (1, 0, 0));
        assert!(due.expected.is_empty(), "what comes now finds nobody who waits");
    }
}
