//! The ids by which tasks go to the coordinator: the session number of this connection, then the task's own
//! number here.
//!
//! Ids of one connection are not valid on the next, so an answer to a task of an earlier connection matches
//! no task. Patient tasks of an earlier run keep the id that they had.

use p2c2r_protocol::TaskId;

use super::{Ladder, Session, Task};

impl Session {
    /// The id by which the coordinator knows the task called `id` here; `None` for a number that does not fit
    /// into the lower 32 bits: such tasks stay local.
    pub(super) fn id_there(&self, id: TaskId) -> Option<TaskId> {
        let number = u32::try_from(id.0).ok()?;
        Some(TaskId(u64::from(self.number) << 32 | u64::from(number)))
    }

    /// The task that the coordinator calls `id`, if it is one of this connection.
    fn id_here(&self, id: TaskId) -> Option<TaskId> {
        (id.0 >> 32 == u64::from(self.number)).then_some(TaskId(id.0 & u64::from(u32::MAX)))
    }
}

impl Ladder {
    /// The id by which the coordinator knows a task that it may have.
    pub(super) fn id_there(&self, id: TaskId) -> Option<TaskId> {
        let before = self.tasks.get(&id).and_then(|task| task.id_before);
        before.or_else(|| self.session.as_ref()?.id_there(id))
    }

    /// The task that the coordinator calls `id_there`, with its id here; `None` if the coordinator cannot have it.
    pub(super) fn find_by_id_there(&self, id_there: TaskId) -> Option<(TaskId, &Task)> {
        let before = self.patience.by_former_id.get(&id_there).copied();
        let id = before.or_else(|| self.session.as_ref()?.id_here(id_there))?;
        let task = self.tasks.get(&id).filter(|task| task.is_there())?;
        (self.id_there(id)? == id_there).then_some((id, task))
    }
}
