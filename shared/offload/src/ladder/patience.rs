//! Patient tasks beyond the life of a game: each is on disk from the moment it is asked for until it ends.
//!
//! A game that was killed asks again by the id that the task had. So the coordinator, which keeps the task, neither computes
//! nor charges it twice; a task that it does not know by this id is sent as a new one.

use std::collections::BTreeMap;

use p2c2r_protocol::{GameToServer, Micros, Submit, TaskId};
use tracing::warn;

use super::{Ladder, Local, Remote, Session, Task, connecting};
use crate::config::OffloadConfig;
use crate::ladder_context::LadderContext;
use crate::patient_store::{FormerTask, NEVER_SENT, PatientStore};

/// What the ladder remembers of patient tasks.
#[derive(Default)]
pub(super) struct Patience {
    /// `None` if nothing is remembered.
    store: Option<PatientStore>,
    /// What was found in it, until it is asked for again.
    former: Vec<FormerTask>,
    /// Whether another coordinator is asked by now: the store belongs to one account, so new tasks are not remembered.
    is_elsewhere: bool,
    /// The tasks that have an id of a former life, by this id.
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

    /// Remembers by which id a task was sent.
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
    /// The tasks of a former life, once.
    pub fn take_former(&mut self) -> Vec<FormerTask> {
        std::mem::take(&mut self.patience.former)
    }

    /// Forgets a task of a former life that cannot be asked for any more.
    pub fn forget_former(&mut self, former: &FormerTask) {
        self.patience.forget(former.file);
    }

    /// Another coordinator is asked from now on. This one is told to stop what it has, as long as the link still sends;
    /// what was under way is computed here, and new tasks are not remembered with those of this coordinator.
    pub fn leave_coordinator(&mut self, context: &mut LadderContext<'_>) {
        self.patience.is_elsewhere = true;
        self.call_home(context, |_, _| true);
        self.cancel_orphans();
        self.lose_link(context, connecting());
        self.spending.leave_coordinator(context.now());
        // The next coordinator must not be told ids of this one.
        self.orphans.clear();
    }

    /// Starts a patient task that has just been asked for. One of a former life waits for the coordinator, which may have
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

    /// Has a task that the game asks for take the place of an equal one of a former life. False if there is none.
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

    /// The coordinator is told, once it is there, that what a former life asked for is no longer wanted.
    pub(super) fn disown(&mut self, id: TaskId) {
        let before = self.take_id_before(id);
        self.orphans.extend(before);
    }

    /// From now on the coordinator does not have this task under an id of a former life. Returns that id.
    pub(super) fn take_id_before(&mut self, id: TaskId) -> Option<TaskId> {
        let before = self.tasks.get_mut(&id)?.id_before.take()?;
        self.patience.by_former_id.remove(&before);
        Some(before)
    }

    /// Tells the coordinator, if it is there, which patient tasks are no longer wanted.
    pub fn cancel_orphans(&mut self) {
        if self.session.as_ref().is_some_and(Session::is_welcomed) {
            self.outgoing.extend(self.orphans.drain(..).map(|task| GameToServer::Cancel { task }));
        }
    }

    /// Removes a task on which nobody has anything more to say.
    pub(super) fn remove(&mut self, id: TaskId) -> Option<Task> {
        let task = self.tasks.remove(&id)?;
        if let Some(before) = task.id_before {
            self.patience.by_former_id.remove(&before);
        }
        Some(task)
    }
}
