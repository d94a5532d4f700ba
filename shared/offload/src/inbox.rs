//! What component hooks leave for the next dispatch: submitted and cancelled tasks, in order.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use p2c2r_protocol::{KindId, Micros, TaskId};

use crate::offloading::TaskOptions;
use crate::work::AnyWork;

/// A task asked for.
pub(crate) struct Submission {
    /// Index into the table of kinds.
    pub kind: usize,
    pub entity: Entity,
    pub work: Arc<dyn AnyWork>,
    pub options: TaskOptions,
    pub submitted_at: Micros,
}

/// One event that a hook saw.
pub(crate) enum HookRequest {
    Submit(TaskId, Submission),
    Cancel(TaskId),
}

/// Hooks cannot reach the task table while systems hold it, so they leave their requests here.
#[derive(Resource)]
pub(crate) struct Inbox {
    /// Ids of the registered kinds, in the order of the table of kinds.
    pub kinds: Vec<KindId>,
    intents: Vec<HookRequest>,
    /// Counted from 1: zero marks a component without a task. Tasks at the coordinator are numbered within
    /// the connection's session (`ladder/numbering.rs`).
    next: u64,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { kinds: Vec::new(), intents: Vec::new(), next: 1 }
    }
}

impl Inbox {
    /// Stores a task and gives it its id.
    pub fn submit(&mut self, submission: Submission) -> TaskId {
        let task = TaskId(self.next);
        self.next += 1;
        self.intents.push(HookRequest::Submit(task, submission));
        task
    }

    /// Notes that a task is no longer wanted; the dispatcher ignores tasks that have already ended.
    pub fn cancel(&mut self, task: TaskId) {
        self.intents.push(HookRequest::Cancel(task));
    }

    /// Takes all requests so far.
    pub fn take(&mut self) -> Vec<HookRequest> {
        std::mem::take(&mut self.intents)
    }
}
