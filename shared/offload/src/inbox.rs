//! What component hooks leave for the next dispatch: tasks asked for and tasks taken back, in order.

use std::hash::{BuildHasher, Hasher};
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

/// One thing a hook saw.
pub(crate) enum Intent {
    Submit(TaskId, Submission),
    Cancel(TaskId),
}

/// Hooks cannot reach the task table while systems hold it, so they leave their intents here.
#[derive(Resource)]
pub(crate) struct Inbox {
    /// Ids of the registered kinds, in the order of the table of kinds.
    pub kinds: Vec<KindId>,
    intents: Vec<Intent>,
    /// Upper half random per session, lower half counted: two sessions of one gamer never share an id.
    next: u64,
}

impl Default for Inbox {
    fn default() -> Self {
        // The standard library seeds every hasher from the operating system. Never zero, which marks a
        // component without a task.
        let session = (std::hash::RandomState::new().build_hasher().finish() >> 32).max(1);
        Self { kinds: Vec::new(), intents: Vec::new(), next: session << 32 }
    }
}

impl Inbox {
    /// Takes a task in and gives it its id.
    pub fn submit(&mut self, submission: Submission) -> TaskId {
        let task = TaskId(self.next);
        // After 2^32 tasks in one session the count moves on to the next session number.
        self.next = self.next.wrapping_add(1).max(1);
        self.intents.push(Intent::Submit(task, submission));
        task
    }

    /// Notes that a task is no longer wanted; one that already ended is none of the dispatcher's concern.
    pub fn cancel(&mut self, task: TaskId) {
        self.intents.push(Intent::Cancel(task));
    }

    /// Takes everything left so far.
    pub fn take(&mut self) -> Vec<Intent> {
        std::mem::take(&mut self.intents)
    }
}
