//! The rules: what an entry does to accounts and tasks, in memory, one entry after the other.
//!
//! Nothing here touches the file: [`Book::apply`] changes memory and notes which tasks were touched, and
//! `posting.rs` writes those at the end of the group in their newest state.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map};

use p2c2r_protocol::limits::REASON_BYTES_MAX;
use p2c2r_protocol::{Attempt, Nanos, NumberHash, Role, TaskNo};
use smallvec::SmallVec;

use super::account::{Account, Anomalies, CONFLICTS_KEPT_MAX, Conflict, Totals};
use super::account_log::AccountLogEntry;
use super::chain::Transfer;
use super::entry::{
    ATTEMPT_MAX, AccountId, Admission, ComputedFrom, Entry, Settlement, Verdict, VoidReason, verdict,
};
use super::options::TASK_NO_MAX;
use super::trust::{KindTrust, WorkerTrust};

/// An account in memory, with whether the current group changed it.
pub(super) struct Ledgered {
    pub account: Account,
    pub changed: bool,
    /// The group that used it last.
    used: i64,
}

/// A task that is open, or ended within the current group.
pub(super) struct OpenTask {
    pub admission: Admission,
    /// Whether its row is in the file.
    pub recorded: bool,
    /// Whether the current group has something to write about it.
    pub touched: bool,
    pub patient: bool,
    /// Usually one: storing it inline saves each task an allocation.
    pub tries: SmallVec<[Try; 1]>,
    pub end: Option<TaskEnd>,
}

impl OpenTask {
    /// The worker of a task that began and ended within the current group in one attempt: such a task needs no row but its
    /// own. To be called before that row is in the file.
    pub fn in_one_row(&self) -> Option<AccountId> {
        let Some(TaskEnd::Settled(Settlement { source: ComputedFrom::Worker { worker, .. }, .. })) =
            &self.end
        else {
            return None;
        };
        (!self.recorded && self.tries.len() == 1).then_some(*worker)
    }
}

/// An attempt at an open task.
pub(super) struct Try {
    pub number: u8,
    pub worker: Option<AccountId>,
    /// The verdict in the file, if the attempt is in it.
    pub recorded: Option<u8>,
    pub verdict: u8,
    pub reason: Option<String>,
}

/// How a task ended.
pub(super) enum TaskEnd {
    Settled(Settlement),
    Void(VoidReason),
}

/// A verdict on an attempt at a task that is over.
pub(super) struct LateVerdict {
    pub task: TaskNo,
    pub number: u8,
    pub verdict: Verdict,
}

/// Accounts, open tasks, and what the current group changes.
#[derive(Default)]
pub(super) struct Book {
    pub accounts: HashMap<AccountId, Ledgered, NumberHash>,
    pub open: HashMap<u64, OpenTask, NumberHash>,
    /// The group that is being written.
    pub group: i64,
    /// Accounts in memory beyond which idle ones are evicted.
    pub accounts_max: usize,
    /// Number of accounts with open tasks at the last eviction: the next one waits until twice as many are in memory.
    pub busy_when_let_go: usize,
    /// Tasks that are recorded one by one.
    pub tasks_recorded: u64,
    /// The largest number of a task whose rows have been folded.
    pub folded_to: u64,
    pub bank: i64,
    pub fee: i64,
    pub totals: Totals,
    pub anomalies: Anomalies,
    pub conflicts: Vec<Conflict>,
    /// Tasks the current group has something to write about.
    pub touched: Vec<u64>,
    /// Accounts the current group changed.
    pub changed: Vec<AccountId>,
    /// Transfers of the current group that get rows of their own.
    pub transfers: Vec<Transfer>,
    /// Transfers of the current group that their tasks' rows stand for.
    pub transfers_in_tasks: Vec<Transfer>,
    /// What the current group did to accounts.
    pub account_changes: Vec<AccountLogEntry>,
    /// Verdicts of the current group on attempts at tasks that are over.
    pub late: Vec<LateVerdict>,
    /// Tasks whose outcomes the current group puts in doubt.
    pub disputed: Vec<TaskNo>,
    /// Trust records that the current group writes.
    pub trust: BTreeMap<AccountId, WorkerTrust>,
    /// Workers that the current group convicts or, with `false`, forgives, in this order.
    pub judged: Vec<(AccountId, bool)>,
    /// Patient tasks that the current group closed or dropped.
    pub patient_closed: usize,
}

impl Book {
    /// Takes one entry in.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::TaskAdmitted(admission) => self.admit(admission),
            Entry::AttemptStarted { task, attempt, worker } => self.start_attempt(task, attempt, worker),
            Entry::AttemptEnded { task, attempt, verdict, .. } => self.end_attempt(task, attempt, verdict),
            Entry::TaskSettled(settlement) => self.settle(settlement),
            Entry::TaskVoided { task, reason } => self.void(task, reason),
            Entry::OutcomeDisputed { task } => self.disputed.push(task),
            Entry::TrustChanged { worker, trust } => self.learn(worker, *trust),
            Entry::WorkerConvicted { worker } => self.judge(worker, true),
            Entry::WorkerForgiven { worker } => self.judge(worker, false),
        }
    }

    /// The account, noted as changed; `None` if it is not in memory.
    pub fn change(&mut self, id: AccountId) -> Option<&mut Account> {
        let ledgered = self.accounts.get_mut(&id)?;
        ledgered.used = self.group;
        if !ledgered.changed {
            ledgered.changed = true;
            self.changed.push(id);
        }
        Some(&mut ledgered.account)
    }

    /// Puts an account into memory.
    pub fn remember(&mut self, account: Account) {
        self.accounts.insert(account.id, Ledgered { account, changed: false, used: self.group });
    }

    /// The account that `entry` is about and that is not in memory.
    pub fn missing(&self, entry: &Entry) -> Option<AccountId> {
        let needed = match entry {
            Entry::TaskAdmitted(admission) => admission.gamer,
            Entry::AttemptStarted { worker: Some(worker), .. }
            | Entry::TrustChanged { worker, .. }
            | Entry::WorkerConvicted { worker }
            | Entry::WorkerForgiven { worker } => *worker,
            // Accounts with an open task or a live attempt are in memory.
            _ => return None,
        };
        (!self.accounts.contains_key(&needed)).then_some(needed)
    }

    /// Evicts the longest idle accounts, down to half of `accounts_max`, when there are more than `accounts_max`; they
    /// are loaded again when needed. Accounts of open tasks stay. To be called between groups, when the file has
    /// everything.
    pub fn let_go_of_idle(&mut self) {
        if self.accounts.len() <= self.accounts_max.max(2 * self.busy_when_let_go) {
            return;
        }
        let of_task = |task: &OpenTask| {
            let workers = task.tries.iter().filter_map(|made| made.worker);
            workers.chain([task.admission.gamer]).collect::<SmallVec<[_; 2]>>()
        };
        let busy: HashSet<AccountId, NumberHash> = self.open.values().flat_map(of_task).collect();
        let mut idle: Vec<(i64, AccountId)> = self
            .accounts
            .iter()
            .filter(|(id, found)| !busy.contains(id) && !found.changed)
            .map(|(id, found)| (found.used, *id))
            .collect();
        idle.sort_unstable();
        let over = self.accounts.len() - self.accounts_max / 2;
        for (_, id) in idle.into_iter().take(over) {
            self.accounts.remove(&id);
        }
        self.busy_when_let_go = busy.len();
    }

    fn is(&self, id: AccountId, role: Role) -> bool {
        self.accounts.get(&id).is_some_and(|ledgered| ledgered.account.role == role)
    }

    fn admit(&mut self, admission: Admission) {
        let patient = admission.patient.is_some();
        if let Err(cause) = self.admissible(&admission) {
            *cause(&mut self.anomalies) += 1;
            self.patient_closed += usize::from(patient);
            return;
        }
        let Some(gamer) = self.change(admission.gamer) else { return };
        gamer.available -= admission.price;
        gamer.set_aside += admission.price;
        let task = admission.task.0;
        self.open.insert(
            task,
            OpenTask {
                admission,
                recorded: false,
                touched: true,
                patient,
                tries: SmallVec::new(),
                end: None,
            },
        );
        self.touched.push(task);
    }

    fn admissible(&self, admission: &Admission) -> Result<(), fn(&mut Anomalies) -> &mut u64> {
        if !self.is(admission.gamer, Role::Gamer) {
            return Err(|anomalies| &mut anomalies.wrong_account);
        }
        let task = admission.task.0;
        if task <= self.folded_to || task == 0 || task > TASK_NO_MAX || self.open.contains_key(&task) {
            return Err(|anomalies| &mut anomalies.conflicts);
        }
        let available =
            self.accounts.get(&admission.gamer).map_or(Nanos::ZERO, |found| found.account.available);
        if admission.price < Nanos::ZERO || admission.price > available {
            return Err(|anomalies| &mut anomalies.overdrawn);
        }
        Ok(())
    }

    /// The task, noted as touched, if it is open.
    fn touch(&mut self, task: TaskNo) -> Option<&mut OpenTask> {
        let Some(found) = self.open.get_mut(&task.0).filter(|found| found.end.is_none()) else {
            self.anomalies.not_open += 1;
            return None;
        };
        if !found.touched {
            found.touched = true;
            self.touched.push(task.0);
        }
        Some(found)
    }

    fn start_attempt(&mut self, task: TaskNo, attempt: Attempt, worker: Option<AccountId>) {
        if worker.is_some_and(|worker| !self.is(worker, Role::Worker)) {
            self.anomalies.wrong_account += 1;
            return;
        }
        let Some(found) = self.touch(task) else { return };
        let number = attempt.0 as u8;
        if attempt.0 == 0 || attempt.0 > ATTEMPT_MAX || found.tries.iter().any(|made| made.number == number) {
            self.anomalies.bad_attempt += 1;
            return;
        }
        found.tries.push(Try { number, worker, recorded: None, verdict: verdict::RUNNING, reason: None });
    }

    fn end_attempt(&mut self, task: TaskNo, attempt: Attempt, verdict: Verdict) {
        if attempt.0 == 0 || attempt.0 > ATTEMPT_MAX {
            self.anomalies.bad_attempt += 1;
            return;
        }
        let number = attempt.0 as u8;
        let Some(found) = self.open.get_mut(&task.0) else {
            self.late.push(LateVerdict { task, number, verdict });
            return;
        };
        let running = |made: &&mut Try| {
            made.number == number && matches!(made.verdict, verdict::RUNNING | verdict::UNNEEDED)
        };
        let Some(made) = found.tries.iter_mut().find(running) else {
            // An admission that is not in the file yet may still be dropped, because its number was used before. The verdict
            // is then about the earlier task of that number.
            if found.recorded {
                self.anomalies.bad_attempt += 1;
            } else {
                self.late.push(LateVerdict { task, number, verdict });
            }
            return;
        };
        made.verdict = verdict.code();
        made.reason = reason_of(verdict);
        if !found.touched {
            found.touched = true;
            self.touched.push(task.0);
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        let task = settlement.task;
        let Some(found) = self.touch(task) else { return };
        if !settles(found, &settlement) {
            self.anomalies.bad_settlement += 1;
            self.void(task, VoidReason::BadSettlement);
            return;
        }
        let paid = match settlement.source {
            ComputedFrom::Worker { attempt, .. } => Some(attempt.0 as u8),
            ComputedFrom::Coordinator | ComputedFrom::Cache | ComputedFrom::Begun => None,
        };
        for made in found.tries.iter_mut().filter(|made| made.verdict == verdict::RUNNING) {
            // The coordinator's own attempts name no worker; settling the task accepts them.
            let own = settlement.source == ComputedFrom::Coordinator && made.worker.is_none();
            let accepted = Some(made.number) == paid || own;
            made.verdict = if accepted { verdict::ACCEPTED } else { verdict::UNNEEDED };
        }
        let (gamer, price) = (found.admission.gamer, found.admission.price);
        let charged = settlement.pay + settlement.fee;
        found.end = Some(TaskEnd::Settled(settlement));
        self.let_go(gamer, price, charged);
    }

    fn void(&mut self, task: TaskNo, reason: VoidReason) {
        let Some(found) = self.touch(task) else { return };
        for made in found.tries.iter_mut().filter(|made| made.verdict == verdict::RUNNING) {
            made.verdict = verdict::UNNEEDED;
        }
        found.end = Some(TaskEnd::Void(reason));
        let (gamer, price) = (found.admission.gamer, found.admission.price);
        self.let_go(gamer, price, Nanos::ZERO);
    }

    fn learn(&mut self, worker: AccountId, mut trust: WorkerTrust) {
        if !self.is(worker, Role::Worker) {
            self.anomalies.wrong_account += 1;
            return;
        }
        // Kinds that the new record does not name keep their earlier values of the same group.
        if let Some(earlier) = self.trust.remove(&worker) {
            let is_named = |of: &KindTrust| {
                trust.kinds.iter().any(|new| (new.kind, new.kernel_version) == (of.kind, of.kernel_version))
            };
            let rest: Vec<KindTrust> = earlier.kinds.into_iter().filter(|of| !is_named(of)).collect();
            trust.kinds.extend(rest);
        }
        self.trust.insert(worker, trust);
    }

    fn judge(&mut self, worker: AccountId, quarantined: bool) {
        if !self.is(worker, Role::Worker) {
            self.anomalies.wrong_account += 1;
            return;
        }
        if !quarantined {
            // Trust is written after the judgements: a record from before would undo that the worker is a newcomer.
            self.trust.remove(&worker);
        }
        self.judged.push((worker, quarantined));
    }

    /// Releases a hold: the rest of it can be spent again, also by later entries of the same group.
    fn let_go(&mut self, gamer: AccountId, price: Nanos, charged: Nanos) {
        if let Some(gamer) = self.change(gamer) {
            gamer.set_aside -= price;
            gamer.available += price - charged;
        }
    }

    /// Undoes what a task did to the books, because its idempotency key turned out to be used before.
    pub fn drop_conflict(&mut self, task: &OpenTask) {
        self.anomalies.conflicts += 1;
        self.patient_closed += usize::from(task.patient);
        let admission = &task.admission;
        if self.conflicts.len() < CONFLICTS_KEPT_MAX {
            self.conflicts.push(Conflict {
                task: admission.task,
                gamer: admission.gamer,
                game_task: admission.game_task,
            });
        }
        let price = admission.price;
        let Some(gamer) = self.change(admission.gamer) else { return };
        match &task.end {
            None => {
                gamer.set_aside -= price;
                gamer.available += price;
            }
            Some(TaskEnd::Settled(settlement)) => gamer.available += settlement.pay + settlement.fee,
            Some(TaskEnd::Void(_)) => {}
        }
    }

    /// Asserts in debug builds that no account in memory is below zero.
    pub fn assert_sane(&self) {
        for Ledgered { account, .. } in self.accounts.values() {
            debug_assert!(account.available >= Nanos::ZERO, "{account:?}");
            debug_assert!(account.set_aside >= Nanos::ZERO, "{account:?}");
        }
    }

    /// Forgets which accounts the group changed, once it is written; hands them out.
    pub fn take_changed(&mut self) -> Vec<Account> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .filter_map(|id| match self.accounts.entry(id) {
                hash_map::Entry::Occupied(mut found) => {
                    found.get_mut().changed = false;
                    Some(found.get().account.clone())
                }
                hash_map::Entry::Vacant(_) => None,
            })
            .collect()
    }
}

/// Whether a settlement distributes at most the hold, and pays only the worker of the attempt it names.
fn settles(task: &OpenTask, settlement: &Settlement) -> bool {
    let (pay, fee) = (settlement.pay, settlement.fee);
    let shares = pay >= Nanos::ZERO
        && fee >= Nanos::ZERO
        && pay <= task.admission.price
        && fee <= task.admission.price - pay;
    let payee = match settlement.source {
        ComputedFrom::Worker { worker, attempt } => task.tries.iter().any(|made| {
            u32::from(made.number) == attempt.0
                && made.worker == Some(worker)
                && matches!(made.verdict, verdict::RUNNING | verdict::ACCEPTED)
        }),
        ComputedFrom::Coordinator | ComputedFrom::Cache => pay == Nanos::ZERO,
        ComputedFrom::Begun => pay == Nanos::ZERO && settlement.outcome.is_none(),
    };
    shares && payee
}

/// A rejection's reason, cut to its limit at a character.
pub(super) fn reason_of(verdict: Verdict) -> Option<String> {
    let Verdict::Rejected { mut reason } = verdict else { return None };
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    Some(reason)
}
