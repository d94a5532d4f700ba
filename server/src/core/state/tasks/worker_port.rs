//! What comes back from whoever computes, and what that may do to tasks: each verb refuses what does not fit.

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

    /// An outcome arrived under the lease of this attempt: from now on it is judged.
    pub fn answered(self, no: TaskNo, attempt: Attempt, worker: PeerId, at: Micros) -> Result<(), Stray> {
        let task = self.0.tasks.get_mut(&no).ok_or(Stray::UnknownTask)?;
        let held = |live: &&mut LiveAttempt| live.attempt == attempt && live.is_awaited_from(worker);
        let live = task.live.iter_mut().find(held).ok_or(Stray::StaleAttempt)?;
        live.answered_at = Some(at);
        task.hedge_at = None;
        Ok(())
    }

    /// The check of an attempt's answer waits for its turn until then, or waits no more.
    pub fn check_begins_by(self, no: TaskNo, attempt: Attempt, at: Option<Micros>) {
        let task = self.0.tasks.get_mut(&no);
        let live = task.and_then(|task| task.live.iter_mut().find(|live| live.attempt == attempt));
        if let Some(live) = live {
            live.check_begins_by = at;
        }
    }

    /// The verdict on this attempt is to accept: the task ends and comes out, and the attempt with it. The task's other
    /// attempts are of no more use.
    pub fn accepted(self, no: TaskNo, attempt: Attempt) -> Option<(Box<Task>, LiveAttempt)> {
        let live = self.0.tasks.get(&no)?.live_attempt(attempt)?;
        live.answered_at?;
        let mut task = self.0.remove(no)?;
        task.live.retain(|other| other.attempt != attempt);
        Some((task, live))
    }

    /// The own kernel gave an outcome: the task ends and comes out.
    pub fn computed(self, no: TaskNo) -> Option<Box<Task>> {
        self.0.tasks.get(&no)?.computing.and_then(|_| self.0.remove(no))
    }

    /// A live attempt is over without success, be it leased or judged; the task waits again if it was the only one. The
    /// worker's account is remembered unless it may try again, as after being overloaded. `begun` are the work units that
    /// were begun through no fault of its worker.
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

    /// Whether blobs may be sent a second time for this attempt: once, and not for one before the newest such.
    pub fn may_resend_blobs(self, no: TaskNo, attempt: Attempt) -> bool {
        let Some(task) = self.0.tasks.get_mut(&no) else { return false };
        let may = task.blobs_resent_for.is_none_or(|newest| newest < attempt);
        if may {
            task.blobs_resent_for = Some(attempt);
        }
        may
    }
}
