//! Which tasks are in flight, who works on each, and who may move them on.
//!
//! The table's fields are private. It is reached through three narrow faces, one per role: [`GamerPort`] lets
//! tasks in and takes them back, [`WorkerPort`] takes what comes back from whoever computes, and
//! [`MatcherPort`] hands tasks out. A task waits, or has a small set of live attempts, or is computed here; it moves on
//! only through one of their verbs, and every verb refuses what does not fit, so a late, repeated or forged message changes nothing.

mod following;
mod gamer_port;
mod matcher_port;
mod own_kernel_queue;
mod worker_port;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{
    Attempt, Digest, KindId, Micros, Nanos, NumberHash, PeerId, SeededHash, TaskId, TaskNo, WorkUnits,
};
use p2c2r_tasks::{Blobs, StopOnDrop, TaskJob};
use smallvec::SmallVec;

use crate::core::fault::{self, Fault};
use crate::core::state::budgets::{OpenLoad, Weighed};
use crate::core::state::queue::TaskQueue;
use crate::ledger::AccountId;
use following::Leaders;
use own_kernel_queue::OwnKernelQueue;

pub use following::FOLLOWERS_MAX;
pub use gamer_port::GamerPort;
pub use matcher_port::MatcherPort;
pub use worker_port::WorkerPort;

/// One task in flight.
pub struct Task {
    /// The game's id for it.
    pub id: TaskId,
    /// The account that pays.
    pub account: AccountId,
    /// The connection it came by; `None` for a patient task that was waiting when the coordinator started.
    pub gamer: Option<PeerId>,
    /// What sort of work.
    pub kind: KindId,
    /// The decoded spec.
    pub job: Arc<dyn TaskJob>,
    /// The encoded spec, as workers get it.
    pub spec: Arc<[u8]>,
    /// The blobs the spec refers to.
    pub blobs: Blobs,
    /// Digest of kind, kernel version and spec: the cache's key, and how a repeated id is told from a reused one.
    pub key: Digest,
    /// What it is worth.
    pub units: WorkUnits,
    /// What the gamer pays; held until it ends.
    pub price: Nanos,
    /// When it arrived.
    pub received_at: Micros,
    /// When it must be sent off to be in time; `None` for a patient task.
    pub deliver_by: Option<Micros>,
    /// Its number in the ledger: its own in the table, unless it has taken the place of an equal one that ended.
    pub in_books: TaskNo,
    /// Whether the outcome may be given to others who ask for the same.
    pub shares: bool,
    /// The equal task whose outcome it waits for, and when it goes on alone in any case.
    follows: Option<Following>,
    /// Equal tasks that wait for its outcome, in the order in which they came.
    followers: Vec<TaskNo>,
    /// Its live attempts, the oldest first, of workers of different accounts.
    live: SmallVec<[LiveAttempt; LIVE_MAX]>,
    /// Since when the coordinator's own kernel runs or waits for a thread.
    computing: Option<Micros>,
    /// Whether it waits for a thread to run the own kernel, and for nobody else.
    waits_for_own_kernel: bool,
    /// When a second worker is to be asked, if the first has not answered by then.
    hedge_at: Option<Micros>,
    /// Work units that were begun in attempts which ended early through no fault of their workers.
    begun: u64,
    /// Attempts handed out so far; the newest one's number.
    attempts: u32,
    /// Accounts of workers whose attempt did not succeed.
    tried: Vec<AccountId>,
    /// Attempts that count towards [`ATTEMPTS_PER_TASK_MAX`](p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX).
    failures: u32,
    /// The one moment at which its lease or its wait is over.
    timer: Option<Micros>,
    /// The attempt for which blobs were sent a second time.
    blobs_resent_for: Option<Attempt>,
    /// Its gamer took it back while an answer was judged: it ends with that, whatever the verdict.
    unwanted: bool,
    /// Ends the own kernel as soon as the task has ended, however it did.
    own_kernel: Option<StopOnDrop>,
}

/// Attempts of workers that a task may have live at the same time: one, and a hedge.
pub const LIVE_MAX: usize = 2;

/// One live attempt: a worker has it, and it is neither over nor decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveAttempt {
    /// Its number.
    pub attempt: Attempt,
    /// Who has it, or whose answer is judged.
    pub worker: PeerId,
    /// Whose account.
    pub account: AccountId,
    /// Since when.
    pub since: Micros,
    /// When its lease is over.
    pub until: Micros,
    /// When its answer arrived, which is being judged.
    pub answered_at: Option<Micros>,
    /// When its answer is of no more use unless its check has begun, while that waits for its turn.
    pub check_begins_by: Option<Micros>,
    /// What was expected of it when it was handed out.
    pub expected: Expected,
}

impl LiveAttempt {
    /// Whether this worker has it and has not answered.
    fn is_awaited_from(&self, worker: PeerId) -> bool {
        let is_its = self.worker == worker || fault::is_made(Fault::AcceptsForgeries);
        is_its && self.answered_at.is_none()
    }
}

/// What was expected of an attempt when it was handed out. All of it is on the coordinator's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Rounds of the worker's slots until it comes to this task, its own included.
    pub rounds: u32,
    /// Microseconds that the kernel takes.
    pub service_us: u32,
    /// Microseconds from sending it to having the answer, as late as it gets with a healthy worker.
    pub at_worst_us: u32,
    /// From sending it to when it is late.
    pub late: Duration,
}

impl Task {
    /// Whether it waits for somebody to do it.
    pub fn is_waiting(&self) -> bool {
        self.live.is_empty() && self.computing.is_none() && self.follows.is_none()
    }

    /// Whether it waits for a thread to run the own kernel, and for nobody else.
    pub fn waits_for_own_kernel(&self) -> bool {
        self.waits_for_own_kernel
    }

    /// Whether it waits for the matcher.
    fn is_queued(&self) -> bool {
        self.is_waiting() && !self.waits_for_own_kernel
    }

    /// Its live attempts, the oldest first.
    pub fn live(&self) -> &[LiveAttempt] {
        &self.live
    }

    /// The live attempt with this number.
    pub fn live_attempt(&self, attempt: Attempt) -> Option<LiveAttempt> {
        self.live.iter().find(|live| live.attempt == attempt).copied()
    }

    /// Whether an answer to it is being judged.
    pub fn is_judged(&self) -> bool {
        self.live.iter().any(|live| live.answered_at.is_some())
    }

    /// Whether its gamer took it back, and nothing but an answer that is being judged keeps it.
    pub fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    /// Since when the coordinator's own kernel runs or waits for a thread, if it does.
    pub fn computing_since(&self) -> Option<Micros> {
        self.computing
    }

    /// When a second worker is to be asked, if the first has not answered by then.
    pub fn hedge_at(&self) -> Option<Micros> {
        self.hedge_at
    }

    /// Work units that were begun in attempts which ended early through no fault of their workers.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Attempts made so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The task as it counts in its account's budget.
    fn weighed(&self) -> Weighed<'_> {
        Weighed {
            account: self.account,
            patient: self.deliver_by.is_none(),
            spec_bytes: self.spec.len(),
            blobs: &self.blobs,
        }
    }

    /// Number of the newest attempt.
    pub fn attempt(&self) -> Attempt {
        Attempt(self.attempts)
    }

    /// Whether a worker of this account has failed it before.
    pub fn was_tried_by(&self, account: AccountId) -> bool {
        self.tried.contains(&account)
    }

    /// Attempts that came to nothing and count.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The moment at which its lease or its wait is over.
    pub fn timer(&self) -> Option<Micros> {
        self.timer
    }
}

/// What a task waits for that is equal to one under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// The other task.
    pub leader: TaskNo,
    /// When it goes on alone, so as to be in time by itself; `None` for a patient task.
    pub until: Option<Micros>,
}

/// A task about to be let in.
pub struct NewTask {
    /// See [`Task::id`].
    pub id: TaskId,
    /// See [`Task::account`].
    pub account: AccountId,
    /// See [`Task::gamer`].
    pub gamer: Option<PeerId>,
    /// See [`Task::kind`].
    pub kind: KindId,
    /// See [`Task::job`].
    pub job: Arc<dyn TaskJob>,
    /// See [`Task::spec`].
    pub spec: Arc<[u8]>,
    /// See [`Task::blobs`].
    pub blobs: Blobs,
    /// See [`Task::key`].
    pub key: Digest,
    /// See [`Task::units`].
    pub units: WorkUnits,
    /// See [`Task::price`].
    pub price: Nanos,
    /// See [`Task::received_at`].
    pub received_at: Micros,
    /// See [`Task::deliver_by`].
    pub deliver_by: Option<Micros>,
    /// Attempts made before a restart.
    pub attempts: u32,
    /// See [`Task::shares`].
    pub shares: bool,
    /// The equal task it waits for, if there is one.
    pub follows: Option<Following>,
}

/// Why an answer is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// No such task is in flight: finished, cancelled, or never was.
    UnknownTask,
    /// The attempt is not live, or not this worker's, or has been answered.
    StaleAttempt,
}

/// Every task in flight.
pub struct TaskTable {
    /// Each lies still from its admission to its end: it is some hundred bytes.
    tasks: HashMap<TaskNo, Box<Task>, NumberHash>,
    /// In flight, by what their gamers call them.
    ids: HashMap<(AccountId, TaskId), TaskNo, SeededHash>,
    /// Those that wait for the matcher.
    queue: TaskQueue,
    /// Those that wait for a thread to run the own kernel.
    for_own_kernel: OwnKernelQueue,
    /// Those whose outcomes others may wait for.
    leaders: Leaders,
    /// What those in `tasks` take, by account.
    load: OpenLoad,
    next_no: u64,
}

impl TaskTable {
    /// An empty table that numbers its tasks from `next_no` on.
    pub fn new(next_no: TaskNo) -> Self {
        Self {
            tasks: HashMap::default(),
            ids: HashMap::default(),
            queue: TaskQueue::default(),
            for_own_kernel: OwnKernelQueue::default(),
            leaders: Leaders::default(),
            load: OpenLoad::default(),
            next_no: next_no.0.max(1),
        }
    }

    /// Tasks in flight.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is in flight.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether any task may be waiting to be handed out; the queue may also hold entries of ended tasks.
    pub fn may_have_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Tasks with a deadline, in no particular order. Looks at all tasks: for the end of the program.
    pub fn timely_tasks(&self) -> impl Iterator<Item = TaskNo> {
        self.tasks.iter().filter(|(_, task)| task.deliver_by.is_some()).map(|(no, _)| *no)
    }

    /// Tasks that the own kernel would do before one more of this account, of those that wait for it.
    pub fn before_in_own_kernel(&self, account: AccountId) -> usize {
        self.for_own_kernel.before(account)
    }

    /// Counts again those that wait for the own kernel.
    ///
    /// # Panics
    /// If they are others than are counted.
    pub fn assert_own_kernel_queue(&self) {
        let mut waiting = HashMap::default();
        for task in self.tasks.values().filter(|task| task.waits_for_own_kernel) {
            assert!(task.is_waiting(), "whoever waits for the own kernel has nothing else");
            *waiting.entry(task.account).or_default() += 1;
        }
        assert!(self.for_own_kernel.is_counted(&waiting), "those that wait for the own kernel are counted");
    }

    /// When the task arrived that has waited longest for somebody to do it. Looks at all tasks: for a summary.
    pub fn oldest_waiting(&self) -> Option<Micros> {
        self.tasks.values().filter(|task| task.is_waiting()).map(|task| task.received_at).min()
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (TaskNo, &Task)> {
        self.tasks.iter().map(|(no, task)| (*no, &**task))
    }

    /// One task, to read.
    pub fn get(&self, no: TaskNo) -> Option<&Task> {
        self.tasks.get(&no).map(|task| &**task)
    }

    /// Sets the one moment at which the task's lease or wait is over. For [`Timers`](super::timers::Timers) only.
    pub(crate) fn set_timer(&mut self, no: TaskNo, at: Option<Micros>) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.timer = at;
        }
    }

    /// The face for gamers' messages.
    pub fn gamers(&mut self) -> GamerPort<'_> {
        GamerPort(self)
    }

    /// The face for what comes back from workers and from the own kernel.
    pub fn workers(&mut self) -> WorkerPort<'_> {
        WorkerPort(self)
    }

    /// The face for handing out.
    pub fn matcher(&mut self) -> MatcherPort<'_> {
        MatcherPort(self)
    }

    /// Ends a task without an outcome, whatever its phase; it comes out as it stood.
    pub(crate) fn give_up(&mut self, no: TaskNo) -> Option<Box<Task>> {
        self.remove(no)
    }

    fn wait(&mut self, no: TaskNo) {
        let Some(task) = self.tasks.get(&no).filter(|task| task.is_queued()) else { return };
        let due = task.deliver_by.unwrap_or(Micros(u64::MAX));
        let waits = |no: TaskNo| self.tasks.get(&no).is_some_and(|task| task.is_queued());
        self.queue.push((task.kind, task.account), (due, no), self.tasks.len(), waits);
    }

    fn remove(&mut self, no: TaskNo) -> Option<Box<Task>> {
        let task = self.tasks.remove(&no)?;
        self.ids.remove(&(task.account, task.id));
        self.load.remove(task.weighed());
        self.for_own_kernel.left(task.account, task.waits_for_own_kernel);
        self.forget_equal(no, &task);
        assert!(
            self.ids.len() == self.tasks.len() && self.load.sum().tasks == self.tasks.len(),
            "every open task has one id and counts once"
        );
        Some(task)
    }
}
