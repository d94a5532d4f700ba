//! Patient tasks across restarts of the game: each is stored on disk from the frame that asks for it until it ends.
//!
//! A game that was killed asks again under the id that the task had. The coordinator keeps the task and so neither
//! computes nor charges it twice; a task that it does not know under this id is sent as a new one.

use std::collections::BTreeMap;

use p2c2r_protocol::{GameToServer, Micros, Submit, TaskId};
use tracing::warn;

use super::{Ladder, Local, Remote, Session, Task, connecting};
use crate::config::OffloadConfig;
use crate::ladder_context::LadderContext;
use crate::patient_store::{FormerTask, NEVER_SENT, PatientStore};

/// The stored patient tasks.
#[derive(Default)]
pub(super) struct Patience {
    /// `None` if no task is stored.
    store: Option<PatientStore>,
    /// The tasks that were found in it at the start, until they are asked for again.
    former: Vec<FormerTask>,
    /// Whether the game has moved to another coordinator: the store belongs to one account at the first, so new tasks
    /// are not stored.
    is_elsewhere: bool,
    /// The tasks that have an id of an earlier run, by this id.
    pub by_former_id: BTreeMap<TaskId, TaskId>,
}

impl Patience {
    pub fn new(config: &OffloadConfig) -> Self {
        let Some(folder) = &config.patient_folder else { return Self::default() };
        match PatientStore::open(folder) {
            Ok((store, former)) => Self { store: Some(store), former, ..Self::default() },
            Err(error) => {
                warn!(folder = %folder.display(), %error, "patient tasks are not remembered");
                Self::default()
            }
        }
    }

    /// Stores the id under which a task was sent.
    pub fn sent(&self, file: u64, submit: Submit) {
        if let Some(store) = &self.store {
            store.replace(file, submit);
        }
    }

    pub fn forget(&mut self, file: u64) {
        if let Some(store) = &mut self.store {
            store.forget(file);
        }
    }
}

impl Ladder {
    /// Takes the tasks of an earlier run.
    pub fn take_former(&mut self) -> Vec<FormerTask> {
        std::mem::take(&mut self.patience.former)
    }

    /// Forgets a task of an earlier run that cannot be asked for again.
    pub fn forget_former(&mut self, former: &FormerTask) {
        self.patience.forget(former.file);
    }

    /// Leaves this coordinator for another. It is told to cancel its tasks, while the link still sends; they are computed
    /// here. New patient tasks are not stored with those of this coordinator.
    pub fn leave_coordinator(&mut self, context: &mut LadderContext<'_>) {
        self.patience.is_elsewhere = true;
        self.call_home(context, |_, _| true);
        self.cancel_orphans();
        self.lose_link(context, connecting());
        self.spending.leave_coordinator(context.now());
        // Ids of this coordinator's tasks mean nothing to the next one.
        self.orphans.clear();
    }

    /// Starts a patient task that has just been asked for. One of an earlier run waits for the coordinator, which may have
    /// its outcome already.
    pub(super) fn set_out_patiently(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        if task.resumed {
            self.patience.by_former_id.extend(task.id_before.map(|before| (before, id)));
            self.queue_to_send(id, 0);
        } else if !self.take_over(context, id) {
            self.remember(context, id);
            self.set_out(context, id);
        }
    }

    fn remember(&mut self, context: &LadderContext<'_>, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let Some(store) = self.patience.store.as_mut().filter(|_| !self.patience.is_elsewhere) else {
            return;
        };
        let kind = context.kind(task.kind);
        let refs = task.work.blob_refs();
        let blobs = refs.iter().filter_map(|digest| task.work.blobs().get(*digest).ok());
        task.file = store.remember(Submit {
            task: NEVER_SENT,
            kind: kind.id,
            kernel_version: kind.kernel_version,
            budget_us: None,
            price_cap: task.price_cap,
            client_queue_us: 0,
            sent_at: Micros(0),
            spec: task.work.encode().into(),
            blobs: blobs.map(|blob| blob.bytes().to_vec()).collect(),
        });
    }

    /// Puts a task that the game asks for in the place of an equal one of an earlier run. False if there is none.
    fn take_over(&mut self, context: &mut LadderContext<'_>, id: TaskId) -> bool {
        let Some(task) = self.tasks.get(&id) else { return false };
        let (kind, spec) = (task.kind, task.work.encode());
        let is_equal = |other: &Task| {
            other.resumed
                && other.is_open()
                && other.kind == kind
                && matches!(other.local, Local::Idle)
                && other.work.encode() == spec
        };
        let Some(former) = self.tasks.iter().find(|(_, other)| is_equal(other)).map(|(id, _)| *id) else {
            return false;
        };
        let id_there = self.id_there(former);
        self.unsent.remove(&self.turn(former));
        let Some(former) = self.remove(former) else { return false };
        let totals = context.totals_of(kind);
        totals.cancelled += 1;
        totals.open -= 1;
        self.replaced.push(former.entity);
        let id_before = if former.is_sent() { id_there } else { former.id_before };
        self.patience.by_former_id.extend(id_before.map(|before| (before, id)));
        let Some(task) = self.tasks.get_mut(&id) else { return false };
        (task.file, task.id_before, task.owed) = (former.file, id_before, former.owed);
        match former.remote {
            Remote::Waiting { resends } => self.queue_to_send(id, resends),
            Remote::Over => self.set_out(context, id),
            sent @ Remote::Sent { .. } => task.remote = sent,
        }
        true
    }

    /// Has the coordinator told, as soon as it is connected, that a task of an earlier run is no longer wanted.
    pub(super) fn disown(&mut self, id: TaskId) {
        let before = self.take_id_before(id);
        self.orphans.extend(before);
    }

    /// Removes and returns the id of an earlier run, under which the coordinator does not have this task any more.
    pub(super) fn take_id_before(&mut self, id: TaskId) -> Option<TaskId> {
        let before = self.tasks.get_mut(&id)?.id_before.take()?;
        self.patience.by_former_id.remove(&before);
        Some(before)
    }

    /// Tells the coordinator, if it is connected, which patient tasks are no longer wanted.
    pub fn cancel_orphans(&mut self) {
        if self.session.as_ref().is_some_and(Session::is_welcomed) {
            self.outgoing.extend(self.orphans.drain(..).map(|task| GameToServer::Cancel { task }));
        }
    }

    /// Removes a task from the table, after its end and the coordinator's final answer.
    pub(super) fn remove(&mut self, id: TaskId) -> Option<Task> {
        let task = self.tasks.remove(&id)?;
        if let Some(before) = task.id_before {
            self.patience.by_former_id.remove(&before);
        }
        Some(task)
    }
}
