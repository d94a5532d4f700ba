//! Which tasks are in flight, in what phase, and who may move them on.
//!
//! The table's fields are private. It is reached through three narrow faces, one per role: [`GamerPort`] lets
//! tasks in and takes them back, [`WorkerPort`] takes what comes back from whoever computes, and
//! [`MatcherPort`] hands tasks out. A phase changes only through one of their verbs, and every verb refuses
//! what does not fit the phase, so a late, repeated or forged message changes nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use p2c2r_protocol::{
    Attempt, Digest, KindId, Micros, Nanos, NumberHash, PeerId, SeededHash, TaskId, TaskNo, WorkUnits,
};
use p2c2r_tasks::{Blobs, Job, StopOnDrop};

use crate::core::state::budgets::{OpenLoad, Over, Weighed};
use crate::ledger::AccountId;

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
    pub job: Arc<dyn Job>,
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
    /// Where it stands.
    phase: Phase,
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
    /// Ends the own kernel as soon as the task has ended, however it did.
    own_kernel: Option<StopOnDrop>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody works on it.
    Waiting,
    /// A worker has it.
    Leased {
        /// Who.
        worker: PeerId,
        /// Whose account.
        account: AccountId,
        /// Since when.
        since: Micros,
        /// Rounds of its slots until it comes to this task, its own included.
        rounds: u32,
    },
    /// A worker's answer is being judged.
    Judging {
        /// Whose answer.
        worker: PeerId,
        /// Whose account.
        account: AccountId,
        /// Since when the worker had it.
        since: Micros,
        /// When the answer arrived.
        answered_at: Micros,
    },
    /// The coordinator's own kernel runs or waits for a thread.
    Computing {
        /// Since when.
        since: Micros,
    },
}

impl Task {
    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
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

    /// The worker that has it or whose answer is judged.
    pub fn worker(&self) -> Option<PeerId> {
        match self.phase {
            Phase::Leased { worker, .. } | Phase::Judging { worker, .. } => Some(worker),
            Phase::Waiting | Phase::Computing { .. } => None,
        }
    }
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
    pub job: Arc<dyn Job>,
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
}

/// Why an answer is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// No such task is in flight: finished, cancelled, or never was.
    UnknownTask,
    /// The attempt is not the newest, or not this worker's, or has been answered.
    StaleAttempt,
}

/// Entries of ended tasks that an order of waiting ones may hold before it is swept.
const ORDER_SLACK: usize = 1_024;

type Waiting = BinaryHeap<Reverse<(Micros, TaskNo)>>;

/// Every task in flight.
pub struct TaskTable {
    /// Each lies still from its admission to its end: it is some hundred bytes.
    tasks: HashMap<TaskNo, Box<Task>, NumberHash>,
    /// In flight, by what their gamers call them.
    ids: HashMap<(AccountId, TaskId), TaskNo, SeededHash>,
    /// Waiting tasks by kind, earliest deadline first; entries of tasks that moved on are skipped.
    waiting: Vec<(KindId, Waiting)>,
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
            waiting: Vec::new(),
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

    /// Whether any task may be waiting to be handed out; the orders may also hold entries of ended tasks.
    pub fn may_have_waiting(&self) -> bool {
        self.waiting.iter().any(|(_, order)| !order.is_empty())
    }

    /// Tasks with a deadline, in no particular order. Looks at all tasks: for the end of the program.
    pub fn timely_tasks(&self) -> impl Iterator<Item = TaskNo> {
        self.tasks.iter().filter(|(_, task)| task.deliver_by.is_some()).map(|(no, _)| *no)
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
        let Some(task) = self.tasks.get_mut(&no) else { return };
        task.phase = Phase::Waiting;
        let (kind, due) = (task.kind, task.deliver_by.unwrap_or(Micros(u64::MAX)));
        let at = self.waiting.iter().position(|(id, _)| *id == kind).unwrap_or_else(|| {
            self.waiting.push((kind, Waiting::new()));
            self.waiting.len() - 1
        });
        let order = &mut self.waiting[at].1;
        // Entries of tasks that ended while they waited stay behind; they must not pile up while nobody takes.
        if order.len() > 2 * self.tasks.len() + ORDER_SLACK {
            order.retain(|Reverse((_, no))| {
                self.tasks.get(no).is_some_and(|task| task.phase == Phase::Waiting && task.kind == kind)
            });
        }
        order.push(Reverse((due, no)));
    }

    fn remove(&mut self, no: TaskNo) -> Option<Box<Task>> {
        let task = self.tasks.remove(&no)?;
        self.ids.remove(&(task.account, task.id));
        self.load.remove(task.weighed());
        assert!(
            self.ids.len() == self.tasks.len() && self.load.sum().tasks == self.tasks.len(),
            "every open task has one id and counts once"
        );
        Some(task)
    }
}

/// The table as gamers' messages see it.
pub struct GamerPort<'a>(&'a mut TaskTable);

impl GamerPort<'_> {
    /// Whether there is room for one more task of this account, patient or not, of so many encoded bytes.
    pub fn has_room(&self, account: AccountId, patient: bool, spec_bytes: usize) -> Result<(), Over> {
        self.0.load.may_add(account, patient, spec_bytes)
    }

    /// The task in flight that `account` calls `id`.
    pub fn find(&self, account: AccountId, id: TaskId) -> Option<(TaskNo, &Task)> {
        let no = *self.0.ids.get(&(account, id))?;
        Some((no, self.0.tasks.get(&no)?))
    }

    /// Lets a task in under a number from [`GamerPort::number`], or under the one the ledger knows it by, to
    /// wait for the matcher.
    pub fn admit(&mut self, no: TaskNo, new: NewTask) {
        debug_assert!(no.0 < self.0.next_no, "numbers are given out by the table or lie before its first");
        debug_assert!(!self.0.ids.contains_key(&(new.account, new.id)), "an id is in flight once");
        self.0.ids.insert((new.account, new.id), no);
        let task = Box::new(Task {
            id: new.id,
            account: new.account,
            gamer: new.gamer,
            kind: new.kind,
            job: new.job,
            spec: new.spec,
            blobs: new.blobs,
            key: new.key,
            units: new.units,
            price: new.price,
            received_at: new.received_at,
            deliver_by: new.deliver_by,
            phase: Phase::Waiting,
            attempts: new.attempts,
            tried: Vec::new(),
            failures: 0,
            timer: None,
            blobs_resent_for: None,
            own_kernel: None,
        });
        self.0.load.add(task.weighed());
        self.0.tasks.insert(no, task);
        self.0.wait(no);
    }

    /// The next task's number.
    pub fn number(&mut self) -> TaskNo {
        let no = TaskNo(self.0.next_no);
        self.0.next_no += 1;
        no
    }
}

/// The table as answers see it.
pub struct WorkerPort<'a>(&'a mut TaskTable);

impl<'a> WorkerPort<'a> {
    /// The task, if `worker` holds the lease on this attempt.
    pub fn holds(self, no: TaskNo, attempt: Attempt, worker: PeerId) -> Result<&'a Task, Stray> {
        let task = self.0.tasks.get(&no).ok_or(Stray::UnknownTask)?;
        match task.phase {
            Phase::Leased { worker: holder, .. } if holder == worker && task.attempt() == attempt => Ok(task),
            _ => Err(Stray::StaleAttempt),
        }
    }

    /// An outcome arrived under the lease of this attempt: from now on it is judged.
    pub fn answered(self, no: TaskNo, attempt: Attempt, worker: PeerId, at: Micros) -> Result<(), Stray> {
        let task = self.0.tasks.get_mut(&no).ok_or(Stray::UnknownTask)?;
        match task.phase {
            Phase::Leased { worker: holder, account, since, .. }
                if holder == worker && task.attempt() == attempt =>
            {
                task.phase = Phase::Judging { worker, account, since, answered_at: at };
                Ok(())
            }
            _ => Err(Stray::StaleAttempt),
        }
    }

    /// The verdict on this attempt is to accept: the task ends and comes out.
    pub fn accepted(self, no: TaskNo, attempt: Attempt) -> Option<Box<Task>> {
        let task = self.0.tasks.get(&no)?;
        if !matches!(task.phase, Phase::Judging { .. }) || task.attempt() != attempt {
            return None;
        }
        self.0.remove(no)
    }

    /// The own kernel gave an outcome: the task ends and comes out.
    pub fn computed(self, no: TaskNo) -> Option<Box<Task>> {
        matches!(self.0.tasks.get(&no)?.phase, Phase::Computing { .. }).then(|| self.0.remove(no)).flatten()
    }

    /// The attempt under way is over without success, be it leased or judged: the task waits again. The
    /// worker's account is remembered unless it may try again, as after being overloaded. Comes with the moment since
    /// which the worker had it.
    pub fn failed(
        self,
        no: TaskNo,
        attempt: Attempt,
        may_try_again: bool,
        counts: bool,
    ) -> Option<(&'a Task, Micros)> {
        let task = self.0.tasks.get_mut(&no)?;
        let (Phase::Leased { account, since, .. } | Phase::Judging { account, since, .. }) = task.phase
        else {
            return None;
        };
        if task.attempt() != attempt {
            return None;
        }
        if !may_try_again && !task.tried.contains(&account) {
            task.tried.push(account);
        }
        task.failures += u32::from(counts);
        self.0.wait(no);
        Some((self.0.tasks.get(&no)?, since))
    }

    /// Whether blobs may be sent a second time for the attempt under way: once.
    pub fn may_resend_blobs(self, no: TaskNo) -> bool {
        let Some(task) = self.0.tasks.get_mut(&no) else { return false };
        let attempt = Some(task.attempt());
        std::mem::replace(&mut task.blobs_resent_for, attempt) != attempt
    }
}

/// The table as the matcher and the leases see it.
pub struct MatcherPort<'a>(&'a mut TaskTable);

impl MatcherPort<'_> {
    /// Kinds that have ever had a task waiting.
    pub fn kinds(&self) -> usize {
        self.0.waiting.len()
    }

    /// The kind at this place in the list of kinds.
    pub fn kind(&self, at: usize) -> Option<KindId> {
        self.0.waiting.get(at).map(|(kind, _)| *kind)
    }

    /// The waiting task of the kind at this place with the earliest deadline, taken out of the order: the
    /// caller hands it out or puts it back with [`MatcherPort::put_back`].
    pub fn next(&mut self, at: usize) -> Option<TaskNo> {
        let (_, order) = self.0.waiting.get_mut(at)?;
        while let Some(Reverse((_, no))) = order.pop() {
            if self.0.tasks.get(&no).is_some_and(|task| task.phase == Phase::Waiting) {
                return Some(no);
            }
        }
        None
    }

    /// Returns a task that could not be handed out to the order.
    pub fn put_back(&mut self, no: TaskNo) {
        self.0.wait(no);
    }

    /// Leases the task to a worker and numbers the attempt.
    pub fn lease(
        &mut self,
        no: TaskNo,
        worker: PeerId,
        account: AccountId,
        since: Micros,
        rounds: u32,
    ) -> Option<Attempt> {
        let task = self.0.tasks.get_mut(&no).filter(|task| task.phase == Phase::Waiting)?;
        task.attempts += 1;
        task.phase = Phase::Leased { worker, account, since, rounds };
        Some(task.attempt())
    }

    /// Gives the task to the own kernel, which `stop` ends with the task.
    pub fn compute(&mut self, no: TaskNo, now: Micros, stop: StopOnDrop) -> Option<&Task> {
        let task = self.0.tasks.get_mut(&no).filter(|task| task.phase == Phase::Waiting)?;
        task.attempts += 1;
        task.phase = Phase::Computing { since: now };
        task.own_kernel = Some(stop);
        Some(task)
    }
}
