//! What the matcher and the leases may do to tasks: take them from the queue, lease them, and give them to the own
//! kernel.

use p2c2r_protocol::{Attempt, KindId, Micros, PeerId, TaskNo};
use p2c2r_tasks::StopOnDrop;

use super::{Expected, LIVE_MAX, LiveAttempt, Task, TaskTable};
use crate::core::state::queue::QueuePlace;
use crate::core::steps::lease::ATTEMPTS_IN_ALL_MAX;
use crate::ledger::AccountId;

/// The table as the matcher and the leases see it.
pub struct MatcherPort<'a>(pub(super) &'a mut TaskTable);

impl<'a> MatcherPort<'a> {
    /// The waiting task that goes next of all kinds that are `open`, taken out of the queue: the caller hands it out or puts it
    /// back with [`MatcherPort::put_back`] or [`MatcherPort::put_behind`]. Tasks with a failed attempt are left out for kinds
    /// and accounts that are not `retried`.
    pub fn next(
        &mut self,
        open: impl Fn(KindId) -> bool,
        retried: impl Fn(KindId, AccountId) -> bool,
    ) -> Option<TaskNo> {
        let TaskTable { queue, tasks, .. } = &mut *self.0;
        queue.next(open, retried, |no| tasks.get(&no).is_some_and(|task| task.is_queued()))
    }

    /// Puts a task that could not be handed out back into the queue.
    pub fn put_back(&mut self, no: TaskNo) {
        self.0.wait(no);
    }

    /// Puts a task that was passed over back into the queue, behind the others of its account and kind that have a failed
    /// attempt.
    pub fn put_behind(&mut self, no: TaskNo) {
        self.0.wait_in(no, QueuePlace::PassedOver);
    }

    /// Leases the task to a worker and numbers the attempt; counts the task as served in the kinds that the worker
    /// `offers`. A hedge is due at `hedge_at`. A leased task can be leased once more, to a worker of another account, while
    /// it has attempts left.
    pub fn lease(
        &mut self,
        no: TaskNo,
        (worker, account): (PeerId, AccountId),
        (since, until): (Micros, Micros),
        hedge_at: Option<Micros>,
        expected: Expected,
        offers: impl Fn(KindId) -> bool,
    ) -> Option<Attempt> {
        let task = self.0.tasks.get_mut(&no)?;
        let is_free = task.computing.is_none()
            && task.live.len() < LIVE_MAX
            && task.attempts < ATTEMPTS_IN_ALL_MAX
            && task.live.iter().all(|live| live.account != account);
        if !is_free {
            return None;
        }
        task.attempts += 1;
        task.hedge_at = hedge_at;
        let attempt = task.attempt();
        if task.live.is_empty() {
            self.0.queue.served(task.account, task.units, offers);
        }
        task.live.push(LiveAttempt {
            attempt,
            worker,
            account,
            since,
            until,
            answered_at: None,
            check_begins_by: None,
            begun_before: 0,
            blobs_resent: false,
            expected,
        });
        Some(attempt)
    }

    /// Sets when a hedge is due; `None` for never.
    pub fn hedge_at(&mut self, no: TaskNo, at: Option<Micros>) {
        if let Some(task) = self.0.tasks.get_mut(&no) {
            task.hedge_at = at;
        }
    }

    /// Makes the waiting task wait for a thread of the own kernel.
    pub fn wait_for_own_kernel(&mut self, no: TaskNo) {
        let TaskTable { tasks, for_own_kernel, .. } = &mut *self.0;
        let Some(task) = tasks.get_mut(&no).filter(|task| task.is_queued()) else { return };
        task.waits_for_own_kernel = true;
        let (what, due) = ((task.kind, task.account), task.deliver_by.unwrap_or(Micros(u64::MAX)));
        let waits = |no: TaskNo| tasks.get(&no).is_some_and(|task| task.waits_for_own_kernel);
        for_own_kernel.push(what, (due, no), tasks.len(), waits);
    }

    /// Takes the next task from those that wait for the own kernel; the caller gives it to the own kernel.
    pub fn next_for_own_kernel(&mut self) -> Option<TaskNo> {
        let TaskTable { tasks, for_own_kernel, .. } = &mut *self.0;
        let no = for_own_kernel.next(|no| tasks.get(&no).is_some_and(|task| task.waits_for_own_kernel))?;
        let task = tasks.get_mut(&no)?;
        for_own_kernel.left(task.account, std::mem::take(&mut task.waits_for_own_kernel));
        Some(no)
    }

    /// Marks the task as computed by the own kernel; dropping the task drops `stop`, which ends the kernel.
    pub fn compute(&mut self, no: TaskNo, now: Micros, stop: StopOnDrop) -> Option<&Task> {
        let task = self.0.tasks.get_mut(&no).filter(|task| task.is_waiting())?;
        task.attempts += 1;
        self.0.queue.served(task.account, task.units, |_| true);
        self.0.for_own_kernel.served(task.account, task.units);
        self.0.for_own_kernel.left(task.account, std::mem::take(&mut task.waits_for_own_kernel));
        (task.computing, task.own_kernel, task.own_begun_before) = (Some(now), Some(stop), 0);
        Some(task)
    }

    /// Stops the own kernel's run of a patient task and queues the task again. Returns the task, and when the run began.
    pub fn stop_computing(self, no: TaskNo) -> Option<(&'a Task, Micros)> {
        let task = self.0.tasks.get_mut(&no).filter(|task| task.deliver_by.is_none())?;
        let since = task.computing.take()?;
        task.own_kernel = None;
        self.0.wait(no);
        Some((self.0.get(no)?, since))
    }
}
