//! What results may do to tasks; each method refuses what does not fit.

use p2c2r_protocol::{Attempt, Micros, PeerId, TaskNo};

use super::{LiveAttempt, Stray, Task, TaskTable};

/// The table as answers see it.
pub struct WorkerPort<'a>(pub(super) &'a mut TaskTable);

impl<'a> WorkerPort<'a> {
    /// The task and the attempt, if `worker` holds the lease on it.
    pub fn holds(
        self,
        no: TaskNo,
        attempt: Attempt,
        worker: PeerId,
    ) -> Result<(&'a Task, LiveAttempt), Stray> {
        let task = self.0.tasks.get(&no).ok_or(Stray::UnknownTask)?;
        let held = task.live_attempt(attempt).filter(|live| live.is_awaited_from(worker));
        held.map(|live| (&**task, live)).ok_or(Stray::StaleAttempt)
    }

    /// Records that an outcome of this attempt arrived: from now on the attempt is judged.
    pub fn answered(self, no: TaskNo, attempt: Attempt, worker: PeerId, at: Micros) -> Result<(), Stray> {
        let task = self.0.tasks.get_mut(&no).ok_or(Stray::UnknownTask)?;
        let held = |live: &&mut LiveAttempt| live.attempt == attempt && live.is_awaited_from(worker);
        let live = task.live.iter_mut().find(held).ok_or(Stray::StaleAttempt)?;
        live.answered_at = Some(at);
        task.hedge_at = None;
        Ok(())
    }

    /// Sets by when the waiting check of an attempt's answer must begin; `None` once it does not wait.
    pub fn check_begins_by(self, no: TaskNo, attempt: Attempt, at: Option<Micros>) {
        let task = self.0.tasks.get_mut(&no);
        let live = task.and_then(|task| task.live.iter_mut().find(|live| live.attempt == attempt));
        if let Some(live) = live {
            live.check_begins_by = at;
        }
    }

    /// Accepts this attempt: removes the task and returns it with the attempt. The task's other attempts have lost.
    pub fn accepted(self, no: TaskNo, attempt: Attempt) -> Option<(Box<Task>, LiveAttempt)> {
        let live = self.0.tasks.get(&no)?.live_attempt(attempt)?;
        live.answered_at?;
        let mut task = self.0.remove(no)?;
        task.live.retain(|other| other.attempt != attempt);
        Some((task, live))
    }

    /// Removes a task for which the own kernel gave an outcome, and returns it.
    pub fn computed(self, no: TaskNo) -> Option<Box<Task>> {
        self.0.tasks.get(&no)?.computing.and_then(|_| self.0.remove(no))
    }

    /// The own kernel failed, which counts as a failed attempt: the task is queued again.
    pub fn computed_in_vain(self, no: TaskNo) -> Option<&'a Task> {
        let task = self.0.tasks.get_mut(&no).filter(|task| task.computing.is_some())?;
        (task.computing, task.own_kernel) = (None, None);
        task.failures += 1;
        self.0.wait(no);
        self.0.get(no)
    }

    /// Ends a live attempt, leased or judged, without success; the task is queued again if it was the only one. The
    /// worker's account is excluded from the task unless it `may_try_again`, as after being overloaded. `begun` are the
    /// work units wasted through no fault of the worker.
    pub fn failed(
        self,
        no: TaskNo,
        attempt: Attempt,
        may_try_again: bool,
        counts: bool,
        begun: u64,
    ) -> Option<(&'a Task, LiveAttempt)> {
        let task = self.0.tasks.get_mut(&no)?;
        let live = task.live_attempt(attempt)?;
        task.live.retain(|other| other.attempt != attempt);
        if !may_try_again && !task.tried.contains(&live.account) {
            task.tried.push(live.account);
        }
        task.failures += u32::from(counts);
        task.begun = task.begun.saturating_add(begun);
        task.hedge_at = None;
        self.0.wait(no);
        Some((self.0.tasks.get(&no)?, live))
    }

    /// Whether blobs may be resent for this live attempt: once.
    pub fn may_resend_blobs(self, no: TaskNo, attempt: Attempt) -> bool {
        let task = self.0.tasks.get_mut(&no);
        let live = task.and_then(|task| task.live.iter_mut().find(|live| live.attempt == attempt));
        live.is_some_and(|live| !std::mem::replace(&mut live.blobs_resent, true))
    }
}
