//! The auditor: checks after every step what must hold, using only the scheduler's inputs and outputs.
//!
//! It shares no code and no state with the scheduler: it keeps its own books and its own list of open tasks, and knows
//! of every answer whether it is right. What the scheduler may decide (whom to ask, what to check) is left open; what
//! it promises (`docs/DESIGN.md`) is checked.
//!
//! | module | owns |
//! |---|---|
//! | `books` | the money of each account, and what each entry does to it |
//! | `tasks` | open tasks: admitted and ended; once each, in time, and for the right price |
//! | `attempts` | attempts at them: begun and ended, each for a reason |
//! | `workers` | what is known of workers: which may be believed, and which are convicted |
//! | `checking` | that answers wait for a check only while its time is spent, and none escapes its check |
//! | `patience` | that what is patient is computed here only in pauses, and gives way |
//! | `messages` | what peers are told |
//! | `fairness` | that nobody is served at somebody else's cost |
//! | `step` | the cause of one step, and what it led to |
//! | `tally` | what happened, in counts |

mod attempts;
pub mod books;
mod checking;
mod fairness;
mod messages;
mod patience;
mod step;
mod tally;
mod tasks;
mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use p2c2r_protocol::{Attempt, Nanos, PassedCheck, PeerId, Role, ServerToWorker, TaskId, TaskNo};

use super::action::WorldSetup;
use crate::config::{Fallback, PatientFallback};
use crate::core::state::gamers::HourCap;
use crate::core::{Effect, Effects};
use crate::ledger::{AccountId, Entry, Settlement};
use books::Books;
use checking::CheckingTime;
use fairness::Fairness;
use patience::Pauses;
use step::{Arrived, Asked, AuditedStep, Finished, GivenOutcome, Peer};
pub use step::{Given, StepCause};
pub use tally::AuditTally;
use tasks::Open;
use workers::Known;

/// An hour, in microseconds.
const HOUR_US: u64 = 3_600_000_000;
/// Microseconds by which the scheduler's clock may have gone less than the ledger's while an hour passed.
const CLOCKS_APART_US: u64 = 2_000_000;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenPromise {
    /// Which one.
    pub rule: &'static str,
    /// How.
    pub what: String,
}

/// Whether everything holds.
pub type Audit = Result<(), BrokenPromise>;

/// Broken unless `holds`.
fn rule(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Audit {
    if holds { Ok(()) } else { Err(BrokenPromise { rule, what: what() }) }
}

/// The value of `it`; broken if it is `None`.
fn found<T>(it: Option<T>, rule: &'static str, what: impl FnOnce() -> String) -> Result<T, BrokenPromise> {
    it.ok_or_else(|| BrokenPromise { rule, what: what() })
}

/// The auditor.
pub struct Auditor {
    now: u64,
    peers: BTreeMap<PeerId, Peer>,
    /// The books as the scheduler has them: with every entry it has written.
    pub books: Books,
    /// The books as the ledger has them: with every entry it has recorded.
    pub durable: Books,
    open: HashMap<TaskNo, Open>,
    /// Tasks that inherited attempts, by the number under which workers and the pool know these.
    successors: HashMap<TaskNo, TaskNo>,
    /// What was charged without an outcome, and how many times, by the number under which workers and the pool know the
    /// attempts.
    begun: HashMap<TaskNo, (i64, i64)>,
    /// The numbers under which workers and the pool knew tasks that have ended.
    ended_as: HashMap<TaskNo, TaskNo>,
    /// Tasks of this coordinator by what their gamers call them, and the outcome of those that had one.
    ids: HashMap<(AccountId, TaskId), Option<Finished>>,
    /// Patient tasks that the ledger has settled, with outcomes that may be reused: asked for again by their ids, also of
    /// another coordinator, they cost nothing more.
    settled: HashMap<(AccountId, TaskId), Finished>,
    /// Ids under which the ledger has a task.
    spent: HashSet<(AccountId, TaskId)>,
    /// Charged to each gamer, as recorded when that was last told.
    durable_when_told: HashMap<AccountId, i64>,
    /// Patient tasks that ended, whose end the ledger has not recorded: a crash opens them again.
    unrecorded: HashMap<TaskNo, Open>,
    newest: TaskNo,
    /// Moments by which something must have happened: ends of leases, and deadlines.
    due: BTreeSet<(u64, TaskNo, Attempt)>,
    known: HashMap<AccountId, Known>,
    /// The names that each account had, the present one last.
    names: HashMap<AccountId, Vec<String>>,
    /// The worker that each attempt was handed to. This and the next two maps are by the number under which workers know the
    /// task.
    assigned: HashMap<(TaskNo, Attempt), (PeerId, AccountId)>,
    arrived: HashMap<(TaskNo, Attempt), Arrived>,
    /// Verdicts that were not good.
    failed: HashSet<(TaskNo, Attempt)>,
    /// Outcomes that may be reused, by what was asked, because they were checked deeply: the outcome and whose it is.
    reusable: HashMap<Asked, Vec<GivenOutcome>>,
    /// Units of first attempts, and of attempts handed out while another worker had the task.
    first_units: u64,
    second_units: u64,
    /// Charged for workers' outcomes, and the fee on it, of this coordinator.
    charged: i64,
    fees: i64,
    sessions: HashMap<AccountId, u32>,
    fairness: Fairness,
    checking: CheckingTime,
    pauses: Pauses,
    /// Whether the coordinator computes what no worker can do in time.
    computes: bool,
    /// What an hour may cost a gamer, and those whose account has a cap of its own.
    hour_cap: Option<i64>,
    hour_caps: HashMap<AccountId, HourCap>,
    step: AuditedStep,
    /// Counts, to see that something happened.
    pub tally: AuditTally,
}

impl Auditor {
    /// An auditor for a world with this setup.
    pub fn new(setup: &WorldSetup) -> Self {
        Self {
            now: 0,
            peers: BTreeMap::new(),
            books: Books::default(),
            durable: Books::default(),
            open: HashMap::new(),
            successors: HashMap::new(),
            begun: HashMap::new(),
            ended_as: HashMap::new(),
            ids: HashMap::new(),
            settled: HashMap::new(),
            spent: HashSet::new(),
            durable_when_told: HashMap::new(),
            unrecorded: HashMap::new(),
            newest: TaskNo(0),
            due: BTreeSet::new(),
            known: HashMap::new(),
            names: HashMap::new(),
            assigned: HashMap::new(),
            arrived: HashMap::new(),
            failed: HashSet::new(),
            reusable: HashMap::new(),
            first_units: 0,
            second_units: 0,
            charged: 0,
            fees: 0,
            sessions: HashMap::new(),
            // Not checked where the coordinator computes tasks itself: it chooses them by deadline or by age, and yet they
            // count as served.
            fairness: Fairness::new(
                (setup.fallback != Fallback::Compute && setup.patient_fallback != PatientFallback::Compute)
                    .then_some(2 * setup.units_max),
            ),
            checking: CheckingTime::new(setup.checking_percent),
            pauses: Pauses::new(setup.patient_fallback, setup.threads),
            computes: setup.fallback == Fallback::Compute,
            hour_cap: setup.hour_cap,
            hour_caps: HashMap::new(),
            step: AuditedStep::default(),
            tally: AuditTally::default(),
        }
    }

    /// An account was opened: the ledger has it, with this much to spend.
    pub fn opened(&mut self, account: AccountId, role: Role, available: Nanos) {
        for books in [&mut self.books, &mut self.durable] {
            books.open(account, role, available);
        }
        self.known.entry(account).or_default();
    }

    /// An account was given so much by the operator.
    pub fn granted(&mut self, account: AccountId, amount: Nanos) {
        for books in [&mut self.books, &mut self.durable] {
            books.grant(account, amount);
        }
    }

    /// The operator has said what an hour may cost a gamer's account.
    pub fn capped(&mut self, account: AccountId, cap: HourCap) {
        self.hour_caps.insert(account, cap);
        self.tally.capped += 1;
    }

    /// An account is called this from now on.
    pub fn named(&mut self, account: AccountId, name: &str) {
        let names = self.names.entry(account).or_default();
        if names.last().is_none_or(|last| last != name) {
            self.tally.renamed += u64::from(!names.is_empty());
            names.push(name.to_owned());
        }
    }

    /// A step begins.
    pub fn begin(&mut self, now: u64, cause: StepCause) {
        self.now = self.now.max(now);
        self.checking.pass(self.now);
        self.step = AuditedStep { cause, ..AuditedStep::default() };
        self.taken_back();
    }

    /// A peer connected.
    pub fn connected(&mut self, peer: PeerId, role: Role, account: AccountId) {
        let new = Peer {
            role,
            account,
            is_leaving: false,
            is_draining: false,
            is_watched: false,
            blobs: HashSet::new(),
        };
        self.peers.insert(peer, new);
    }

    /// A connection is gone: nothing can be sent there.
    pub fn leaving(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.is_leaving = true;
        }
    }

    /// A worker takes nothing more.
    pub fn draining(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.is_draining = true;
        }
    }

    /// Nothing more comes from a connection.
    pub fn left(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    /// Checks the effects of this step.
    pub fn effects(&mut self, effects: &Effects) -> Audit {
        for (_, message) in &effects.to_workers {
            if let ServerToWorker::Assign(assign) = message {
                self.step.handed_out.insert((assign.task, assign.attempt));
            }
        }
        for effect in &effects.others {
            match effect {
                Effect::Compute(kernel) => {
                    self.step.computed_here.insert(kernel.task);
                }
                Effect::Check(_) => self.step.is_pool_needed |= self.pauses.check_begins(),
                Effect::Watch { .. } => {}
            }
        }
        effects.entries.iter().try_for_each(|entry| self.entry(entry))?;
        effects.to_workers.iter().try_for_each(|(peer, message)| self.worker_is_told(*peer, message))?;
        effects.to_games.iter().try_for_each(|(peer, message)| self.game_is_told(*peer, message))?;
        effects.others.iter().try_for_each(|effect| match effect {
            Effect::Check(check) => {
                let open = self.open.get(&self.in_books(check.task));
                let is_awaited = open.is_some_and(|open| open.has_live(check.attempt));
                self.checking.begun(check, is_awaited);
                rule(
                    self.arrived.contains_key(&(check.task, check.attempt)),
                    "only answers that were given are checked",
                    || format!("{} of {}", check.attempt, check.task),
                )
            }
            Effect::Compute(kernel) => rule(
                self.open.get(&self.in_books(kernel.task)).is_some_and(|task| task.is_computed),
                "what is computed here is written down",
                || format!("{}", kernel.task),
            ),
            Effect::Watch { peer, busy } => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.is_watched = *busy;
                }
                Ok(())
            }
        })
    }

    /// The task that workers and the pool know by this number.
    fn in_books(&self, known_as: TaskNo) -> TaskNo {
        self.successors.get(&known_as).copied().unwrap_or(known_as)
    }

    fn entry(&mut self, entry: &Entry) -> Audit {
        match entry {
            Entry::TaskAdmitted(admission) => self.admitted(admission)?,
            Entry::AttemptStarted { task, attempt, worker } => self.started(*task, *attempt, *worker)?,
            Entry::AttemptEnded { task, attempt, verdict, .. } => {
                self.attempt_ended(*task, *attempt, verdict)?;
            }
            Entry::TaskSettled(settlement) => self.settled(settlement)?,
            Entry::TaskVoided { task, reason } => self.voided(*task, *reason)?,
            Entry::OutcomeDisputed { .. } | Entry::WorkerForgiven { .. } => {}
            Entry::TrustChanged { worker, trust } => self.trusted(*worker, trust),
            Entry::WorkerConvicted { worker } => self.convicted(*worker)?,
        }
        self.books.enter(entry, self.now)?;
        if let Entry::TaskAdmitted(admission) = entry {
            self.hour_holds(admission.gamer)?;
        }
        Ok(())
    }

    /// Charges within an hour and holds are within the account's hourly cap. The scheduler's clock stands still at
    /// times, so the exact end of the hour may differ.
    fn hour_holds(&self, gamer: AccountId) -> Audit {
        let of_account = self.hour_caps.get(&gamer).copied().unwrap_or_default();
        let Some(Nanos(cap)) = of_account.or(self.hour_cap.map(Nanos)) else { return Ok(()) };
        let spent = self.books.spent_since(gamer, self.now.saturating_sub(HOUR_US - CLOCKS_APART_US));
        rule(spent <= cap, "no hour costs more than its cap", || format!("{gamer}: {spent} of {cap}"))
    }

    /// A step is over, after which the scheduler wants to be told of the time at `next_due`.
    pub fn end(&mut self, next_due: Option<u64>) -> Audit {
        self.what_waits_is_held()?;
        self.everybody_was_told()?;
        self.nobody_works_in_vain()?;
        self.nothing_is_forgotten(next_due)?;
        self.nobody_waits_for_a_check_in_vain()?;
        self.the_patient_gives_way()?;
        self.fairness.audit()
    }

    /// The ledger has recorded these entries, in order.
    pub fn recorded(&mut self, entries: &[Entry]) -> Audit {
        for entry in entries {
            self.durable.enter(entry, self.now)?;
            match entry {
                Entry::WorkerConvicted { worker } => {
                    self.known.entry(*worker).or_default().is_convicted_durably = true;
                    self.settled.retain(|_, finished| finished.maker != Some(*worker));
                }
                Entry::WorkerForgiven { worker } => {
                    self.known.entry(*worker).or_default().is_convicted_durably = false;
                }
                Entry::TaskSettled(Settlement { task, outcome, check, .. }) => {
                    let ended = self.unrecorded.remove(task);
                    if let Some(open) = ended.filter(|_| outcome.is_some() && *check != PassedCheck::Always) {
                        let of = (open.account, open.id);
                        self.settled.extend(self.ids.get(&of).cloned().flatten().map(|it| (of, it)));
                    }
                }
                Entry::TaskVoided { task, .. } => {
                    self.unrecorded.remove(task);
                }
                Entry::TaskAdmitted(admission) => {
                    self.spent.insert((admission.gamer, admission.game_task));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is recorded is told.
    pub fn told(&mut self) {
        let accounts: Vec<AccountId> = self.durable.accounts().collect();
        self.durable_when_told =
            accounts.into_iter().map(|account| (account, self.durable.sums(account).turnover)).collect();
    }

    /// The coordinator has ended, in order or not, and another one starts with what the ledger has. Returns the tasks that
    /// are still open, which are patient ones.
    pub fn restarted(&mut self) -> Vec<TaskNo> {
        self.tally.restarts += 1;
        self.durable.void_timely();
        self.books = self.durable.clone();
        self.peers.clear();
        self.due.clear();
        self.assigned.clear();
        self.arrived.clear();
        self.failed.clear();
        (self.first_units, self.second_units, self.charged, self.fees) = (0, 0, 0, 0);
        self.fairness.clear();
        self.checking.clear();
        self.pauses.clear();
        let patient: Vec<TaskNo> = self.books.open_tasks().collect();
        self.open.extend(std::mem::take(&mut self.unrecorded));
        self.open.retain(|no, _| patient.contains(no));
        // Session numbers that no recorded task has may be given again.
        self.sessions.clear();
        for (account, id) in &self.spent {
            let session = self.sessions.entry(*account).or_default();
            *session = (*session).max((id.0 >> 32) as u32);
        }
        self.successors.clear();
        self.begun.clear();
        self.ended_as.clear();
        for (no, task) in &mut self.open {
            task.begin_again(*no);
            self.fairness.waits(task.account, true);
        }
        // Earlier outcomes are forgotten, and so is what was never recorded.
        self.ids.clear();
        for task in self.open.values() {
            self.ids.insert((task.account, task.id), None);
        }
        self.ids.extend(self.settled.iter().map(|(id, finished)| (*id, Some(finished.clone()))));
        for known in self.known.values_mut() {
            known.restarted();
        }
        patient
    }
}
