//! Outcomes for the arena: prepared on another thread, and given to exactly the step that they were asked
//! for, so that play is the same however long they took.

use std::collections::VecDeque;
use std::sync::Arc;

use bevy::prelude::*;
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on};
use p2c2r_arena::{DueOutcome, Motions, OutcomeBody, RequestId, WantedSpec, WantedTask};
use p2c2r_tasks::physics::{PhysicsOutcome, PhysicsSpec};

/// Unanswered requests of the arena, in the order in which they were made.
#[derive(Resource, Default)]
pub(in crate::play) struct Due {
    expected: Vec<RequestDue>,
    /// The newest requests whose outcomes the coordinator delivered: it keeps the blobs that they leave.
    kept_there: VecDeque<RequestId>,
}

/// Most requests remembered in `kept_there`: more than there are windows under way.
const KEPT_MAX: usize = 8;

/// One request.
pub(super) struct RequestDue {
    request: RequestId,
    due_at: u64,
    /// The spec, for the kind whose outcomes are prepared with it.
    spec: Option<Arc<PhysicsSpec>>,
    answer: Option<RequestState>,
}

/// The state of a request.
pub(super) enum RequestState {
    /// It can be given to the arena.
    Ready(OutcomeBody),
    /// It is being prepared.
    InPreparation(Task<OutcomeBody>),
}

impl RequestDue {
    /// Prepares motions on another thread: for a thousand rocks that takes milliseconds.
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

    /// What the step to `tick` gets, if it is due. Paths and plans are also taken late; motions that are not
    /// there when their window begins are missed.
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
    /// Records a request.
    pub(super) fn expect(&mut self, task: &WantedTask) {
        let spec = match &task.spec {
            WantedSpec::Physics { spec, .. } => Some(Arc::new(spec.clone())),
            WantedSpec::Path { .. } | WantedSpec::Tactics { .. } => None,
        };
        self.expected.push(RequestDue { request: task.request, due_at: task.due_at, spec, answer: None });
    }

    /// Records an outcome; `answer` turns the request into its next state.
    pub(super) fn came(&mut self, request: RequestId, answer: impl FnOnce(&RequestDue) -> RequestState) {
        if let Some(expected) = self.expected.iter_mut().find(|expected| expected.request == request) {
            expected.answer = Some(answer(expected));
        }
    }

    /// Records that the coordinator has delivered the outcome of this request and keeps the blob that it
    /// leaves.
    pub(super) fn keeps_there(&mut self, request: RequestId) {
        if self.kept_there.len() == KEPT_MAX {
            self.kept_there.pop_front();
        }
        self.kept_there.push_back(request);
    }

    /// Whether the coordinator is believed to keep the blob of this request's outcome. If it does not, it
    /// asks for it.
    pub(super) fn is_kept_there(&self, request: RequestId) -> bool {
        self.kept_there.contains(&request)
    }

    /// Records that no outcome will come.
    pub(super) fn failed(&mut self, request: RequestId) {
        self.came(request, |expected| {
            RequestState::Ready(if expected.spec.is_some() { OutcomeBody::Missed } else { OutcomeBody::None })
        });
    }

    /// The outcomes for the step to `tick`.
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
