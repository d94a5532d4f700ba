//! Tasks in flight, the attempts at each, and which role may change them how.
//!
//! The table's fields are private. It is reached through three narrow ports, one per role: [`GamerPort`] admits and
//! cancels tasks, [`WorkerPort`] takes results, and [`MatcherPort`] assigns tasks. A task waits, or has a small set of
//! live attempts, or is computed here. Only the ports' methods change that, and each refuses what does not fit, so a
//! late, repeated or forged message changes nothing.

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
use crate::core::state::queue::{QueuePlace, TaskQueue};
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
    /// The connection it came by; `None` for a patient task from before the coordinator's start.
    pub gamer: Option<PeerId>,
    /// What sort of work.
    pub kind: KindId,
    /// The decoded spec.
    pub job: Arc<dyn TaskJob>,
    /// The encoded spec, as workers get it.
    pub spec: Arc<[u8]>,
    /// The blobs the spec refers to.
    pub blobs: Blobs,
    /// Digest of kind, kernel version and spec: the cache's key. Also tells a repeated submit from a reused task id.
    pub key: Digest,
    /// What it is worth.
    pub units: WorkUnits,
    /// What the gamer pays; held until it ends.
    pub price: Nanos,
    /// When it arrived.
    pub received_at: Micros,
    /// When its outcome must be sent to be in time; `None` for a patient task.
    pub deliver_by: Option<Micros>,
    /// Its number in the ledger; differs from its number in the table if it has inherited the attempts of an equal
    /// task.
    pub in_books: TaskNo,
    /// Whether the outcome may be given to others who ask for the same.
    pub shares: bool,
    /// The equal task whose outcome it waits for, and when it stops waiting.
    follows: Option<Following>,
    /// Equal tasks that wait for its outcome, in the order in which they came.
    followers: Vec<TaskNo>,
    /// Its live attempts, the oldest first, of workers of different accounts.
    live: SmallVec<[LiveAttempt; LIVE_MAX]>,
    /// Since when the coordinator's own kernel runs or waits for a thread.
    computing: Option<Micros>,
    /// Work units that this run had begun when the task inherited it; zero if it did not.
    own_begun_before: u64,
    /// Whether it waits for a thread to run the own kernel, and is not in the matcher's queue.
    waits_for_own_kernel: bool,
    /// When a hedge is due, if the first attempt is not answered by then.
    hedge_at: Option<Micros>,
    /// Work units that were begun in attempts which ended early through no fault of their workers.
    begun: u64,
    /// Attempts handed out so far; the newest one's number.
    attempts: u32,
    /// Accounts of workers whose attempt at it failed.
    tried: Vec<AccountId>,
    /// Attempts that count towards [`ATTEMPTS_PER_TASK_MAX`](p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX).
    failures: u32,
    /// When its timer fires: the end of a lease or of a wait.
    timer: Option<Micros>,
    /// Cancelled while an answer was judged: it ends with the verdict, whatever that is.
    unwanted: bool,
    /// Stops the own kernel when the task is dropped.
    own_kernel: Option<StopOnDrop>,
}

/// Attempts of workers that a task may have live at the same time: one, and a hedge.
pub const LIVE_MAX: usize = 2;

/// A live attempt: it is leased to a worker or its answer is being judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveAttempt {
    /// Its number.
    pub attempt: Attempt,
    /// The connection of the worker that holds it, or whose answer is being judged.
    pub worker: PeerId,
    /// That worker's account.
    pub account: AccountId,
    /// When it was handed out.
    pub since: Micros,
    /// When its lease is over.
    pub until: Micros,
    /// When its answer arrived, which is being judged.
    pub answered_at: Option<Micros>,
    /// While its check waits for budget: the moment by which the check must have begun, or the answer is discarded.
    pub check_begins_by: Option<Micros>,
    /// Work units that were begun in it when its task inherited it; zero if it did not.
    pub begun_before: u64,
    /// Whether its worker was sent the blobs a second time.
    pub blobs_resent: bool,
    /// What was expected of it when it was handed out.
    pub expected: Expected,
}

impl LiveAttempt {
    /// Whether this worker holds it and has not answered.
    fn is_awaited_from(&self, worker: PeerId) -> bool {
        let is_its = self.worker == worker || fault::is_made(Fault::AcceptsForgeries);
        is_its && self.answered_at.is_none()
    }
}

/// What was expected of an attempt when it was handed out. All of it is on the coordinator's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Rounds of the worker's slots until this task is done, its own included.
    pub rounds: u32,
    /// Microseconds that the kernel takes.
    pub service_us: u32,
    /// Worst-case microseconds, for a healthy worker, from sending it to receiving the answer.
    pub at_worst_us: u32,
    /// Time from sending it until it counts as late.
    pub late: Duration,
}

impl Task {
    /// Whether it waits to be assigned.
    pub fn is_waiting(&self) -> bool {
        self.live.is_empty() && self.computing.is_none() && self.follows.is_none()
    }

    /// Whether it waits for a thread to run the own kernel, and is not in the matcher's queue.
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

    /// The live attempt that this worker holds and has not answered.
    pub fn awaited_from(&self, worker: PeerId) -> Option<LiveAttempt> {
        self.live.iter().find(|live| live.worker == worker && live.answered_at.is_none()).copied()
    }

    /// Whether an answer to it is being judged.
    pub fn is_judged(&self) -> bool {
        self.live.iter().any(|live| live.answered_at.is_some())
    }

    /// Whether it is cancelled and kept only until the verdict on an answer.
    pub fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    /// Since when the coordinator's own kernel runs or waits for a thread, if it does.
    pub fn computing_since(&self) -> Option<Micros> {
        self.computing
    }

    /// When a hedge is due, if the first attempt is not answered by then.
    pub fn hedge_at(&self) -> Option<Micros> {
        self.hedge_at
    }

    /// Work units that were begun in attempts which ended early through no fault of their workers.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Work units that the own kernel's present run had begun when the task inherited it; zero if it did not.
    pub fn own_begun_before(&self) -> u64 {
        self.own_begun_before
    }

    /// Attempts made so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What the task counts towards its account's budget.
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

    /// Failed attempts that count towards [`ATTEMPTS_PER_TASK_MAX`](p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX).
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When its timer fires: the end of a lease or of a wait.
    pub fn timer(&self) -> Option<Micros> {
        self.timer
    }
}

/// Which equal task a follower waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// The other task.
    pub leader: TaskNo,
    /// When it stops following, so that it can still be done in time by itself; `None` for a patient task.
    pub until: Option<Micros>,
}

/// A task about to be admitted.
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

/// Why an answer is rejected as stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// No such task is in flight: finished, cancelled, or never was.
    UnknownTask,
    /// The attempt is not live, or not this worker's, or has been answered.
    StaleAttempt,
}

/// Every task in flight.
pub struct TaskTable {
    /// Boxed: a task is some hundred bytes, and growing the map must not move it.
    tasks: HashMap<TaskNo, Box<Task>, NumberHash>,
    /// Number of each task in flight, by its gamer's account and id.
    ids: HashMap<(AccountId, TaskId), TaskNo, SeededHash>,
    /// Tasks that wait for the matcher.
    queue: TaskQueue,
    /// Tasks that wait for a thread to run the own kernel.
    for_own_kernel: OwnKernelQueue,
    /// Tasks that others may follow.
    leaders: Leaders,
    /// Budget use of the tasks in `tasks`, by account.
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

    /// Whether any task may be waiting to be assigned; true also for stale queue entries.
    pub fn may_have_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Tasks with a deadline, in no particular order. Visits all tasks, so it is only for shutdown.
    pub fn timely_tasks(&self) -> impl Iterator<Item = TaskNo> {
        self.tasks.iter().filter(|(_, task)| task.deliver_by.is_some()).map(|(no, _)| *no)
    }

    /// Number of tasks waiting for the own kernel that would run before one more task of this account.
    pub fn before_in_own_kernel(&self, account: AccountId) -> usize {
        self.for_own_kernel.before(account)
    }

    /// Checks the counts of tasks that wait for the own kernel against the tasks themselves.
    ///
    /// # Panics
    /// If they differ.
    pub fn assert_own_kernel_queue(&self) {
        let mut waiting = HashMap::default();
        for task in self.tasks.values().filter(|task| task.waits_for_own_kernel) {
            assert!(task.is_waiting(), "whoever waits for the own kernel has nothing else");
            *waiting.entry(task.account).or_default() += 1;
        }
        assert!(self.for_own_kernel.is_counted(&waiting), "those that wait for the own kernel are counted");
    }

    /// Arrival time of the oldest waiting task. Visits all tasks, so it is only for summaries.
    pub fn oldest_waiting(&self) -> Option<Micros> {
        self.tasks.values().filter(|task| task.is_waiting()).map(|task| task.received_at).min()
    }

    /// All tasks in flight, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (TaskNo, &Task)> {
        self.tasks.iter().map(|(no, task)| (*no, &**task))
    }

    /// One task, to read.
    pub fn get(&self, no: TaskNo) -> Option<&Task> {
        self.tasks.get(&no).map(|task| &**task)
    }

    /// Sets the task's timer. For [`Timers`](super::timers::Timers) only.
    pub(crate) fn set_timer(&mut self, no: TaskNo, at: Option<Micros>) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.timer = at;
        }
    }

    /// The port for gamers' messages.
    pub fn gamers(&mut self) -> GamerPort<'_> {
        GamerPort(self)
    }

    /// The port for results of workers and of the own kernel.
    pub fn workers(&mut self) -> WorkerPort<'_> {
        WorkerPort(self)
    }

    /// The port for assigning tasks.
    pub fn matcher(&mut self) -> MatcherPort<'_> {
        MatcherPort(self)
    }

    /// Removes a task without an outcome, whatever its phase, and returns it unchanged.
    pub(crate) fn give_up(&mut self, no: TaskNo) -> Option<Box<Task>> {
        self.remove(no)
    }

    fn wait(&mut self, no: TaskNo) {
        let is_tried = self.get(no).is_some_and(|task| !task.tried.is_empty());
        self.wait_in(no, if is_tried { QueuePlace::Retried } else { QueuePlace::Untried });
    }

    fn wait_in(&mut self, no: TaskNo, place: QueuePlace) {
        let Self { tasks, queue, .. } = self;
        if let Some(task) = tasks.get(&no).filter(|task| task.is_queued()) {
            enqueue(queue, tasks, no, task, place);
        }
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

/// Puts a task that waits for the matcher into its queue.
fn enqueue(
    queue: &mut TaskQueue,
    tasks: &HashMap<TaskNo, Box<Task>, NumberHash>,
    no: TaskNo,
    task: &Task,
    place: QueuePlace,
) {
    let due = task.deliver_by.unwrap_or(Micros(u64::MAX));
    let waits = |no: TaskNo| tasks.get(&no).is_some_and(|task| task.is_queued());
    queue.push((task.kind, task.account), (due, no), place, tasks.len(), waits);
}
