//! Tasks: each is admitted once at its price, attempted by permitted workers, and ends once, in time, for the right
//! charge.
//!
//! Equal tasks may be computed once. Two cases are visible: a task ends with the outcome of an equal one, in the same
//! step, at the price of reuse; or an equal one ends without an outcome and the task inherits its attempts, which keep
//! the number under which workers know them.

use std::sync::Arc;

use p2c2r_protocol::{Attempt, PassedCheck, PeerId, TaskId, TaskNo};

use super::attempts::Live;
use super::step::GivenOutcome;
use super::{Arrived, Asked, Audit, Auditor, Finished, StepCause, found, rule};
use crate::ledger::{AccountId, Admission, ComputedFrom, Settlement, VoidReason};
use crate::simulation::kinds::SimulatedKind;
use crate::simulation::world::{CORES_RATE, GRAPHICS_RATE, RATE_UNITS};

/// Wrong answers and failed attempts after which a patient task is given up.
const FAILURES_MAX: u32 = 4;
/// Units up to which every answer is computed again.
const RECOMPUTED_UNITS: u64 = 50;
/// Upper bound, in microseconds, on the time in which the coordinator computes the largest task behind a full queue.
const COMPUTED_WITHIN_US: u64 = 1_000_000;
/// The least any task costs.
const PRICE_MIN: i64 = 5;

/// An open task.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub account: AccountId,
    pub id: TaskId,
    pub peer: Option<PeerId>,
    pub kind: SimulatedKind,
    pub spec: Arc<[u8]>,
    pub units: u64,
    pub price: i64,
    /// No outcome is charged after this.
    pub deadline: Option<u64>,
    pub live: Vec<Live>,
    pub is_computed: bool,
    /// Whether its run on the own kernel gives way to everything else.
    pub gives_way: bool,
    pub newest: Attempt,
    /// Whether any attempt at it was begun.
    pub is_tried: bool,
    /// An equal task was open when it was let in, for whose outcome it may wait.
    pub has_equal: bool,
    /// The number under which workers and the pool know it.
    pub known_as: TaskNo,
    pub failures: u32,
    pub is_taken_back: bool,
    /// What the own kernel gave.
    pub computed: Option<Arc<[u8]>>,
    /// The own kernel gave nothing.
    pub is_computed_in_vain: bool,
}

impl Open {
    pub fn is_waiting(&self) -> bool {
        self.live.is_empty() && !self.is_computed
    }

    /// Whether this attempt at it is under way or being judged.
    pub fn has_live(&self, attempt: Attempt) -> bool {
        self.live.iter().any(|live| live.attempt == attempt)
    }

    /// Whether more than fair sharing decides which worker may do it next, and when.
    pub fn waits_for_more(&self) -> bool {
        self.is_tried || self.has_equal
    }

    pub fn is_equal(&self, other: &Self) -> bool {
        self.kind == other.kind && self.spec == other.spec
    }

    fn asked(&self) -> Asked {
        (self.kind.id(), self.spec.clone())
    }

    /// Another coordinator has it now.
    pub fn begin_again(&mut self, no: TaskNo) {
        self.live.clear();
        self.known_as = no;
        self.is_computed = false;
        self.gives_way = false;
        self.peer = None;
        self.failures = 0;
        self.is_taken_back = false;
        // Attempts that were never recorded have never been.
        self.newest = Attempt(0);
        self.is_tried = true;
    }
}

/// The cost of `units` at `rate`.
fn cost(units: u64, rate: u64) -> i64 {
    let cost = (u128::from(units) * u128::from(rate)).div_ceil(u128::from(RATE_UNITS));
    (cost as i64).max(PRICE_MIN)
}

/// A task may end without an outcome if it has a deadline, or if its gamer has taken it back.
fn may_end_without_outcome(open: &Open, what: &str) -> Audit {
    let may = open.is_taken_back || open.deadline.is_some();
    rule(may, "a task is given up for a reason", || what.to_owned())
}

impl Auditor {
    pub(super) fn find_open(&self, task: TaskNo) -> Result<&Open, super::BrokenPromise> {
        found(self.open.get(&task), "only open tasks are worked on, and each ends once", || task.to_string())
    }

    pub(super) fn admitted(&mut self, admission: &Admission) -> Audit {
        let Admission { task, gamer, game_task: id, .. } = *admission;
        rule(task > self.newest, "numbers only grow", || format!("{task} after {}", self.newest))?;
        self.newest = task;
        let StepCause::Submitted { peer, submit, units } = self.step.cause.clone() else {
            return rule(false, "only what is asked for is admitted", || format!("{admission:?}"));
        };
        let account = self.peers.get(&peer).map(|peer| peer.account);
        let is_it = account == Some(gamer) && submit.task == id && submit.kind == admission.kind;
        rule(is_it && self.step.admitted.is_none(), "only what is asked for is admitted", || {
            format!("{admission:?} for {submit:?}")
        })?;
        let is_new = !self.ids.contains_key(&(gamer, id)) && !self.spent.contains(&(gamer, id));
        rule(is_new, "an id is admitted once", || format!("{id} of {gamer}"))?;
        let (price, full) = (admission.price.0, cost(units, CORES_RATE));
        let reused = ((full + 5) / 10).max(PRICE_MIN);
        rule(admission.units.0 == units, "a task is worth what its spec says", || format!("{admission:?}"))?;
        rule(price == full || price == reused, "a task costs what the price list says", || {
            format!("{price} instead of {full}, or of {reused} from the cache")
        })?;
        rule(price <= submit.price_cap.0, "no task costs more than its cap", || {
            format!("{price}, capped at {}", submit.price_cap.0)
        })?;
        let deadline = submit.budget_us.map(|budget| self.now + u64::from(budget));
        let may_be_kept = admission.patient.is_none() || deadline.is_none();
        rule(may_be_kept, "only patient tasks are kept", || id.to_string())?;
        let (kind, spec) = (SimulatedKind::of(submit.kind), Arc::<[u8]>::from(submit.spec.to_vec()));
        let has_equal = self.open.values().any(|other| other.kind == kind && other.spec == spec);
        let open = Open {
            account: gamer,
            id,
            peer: Some(peer),
            kind,
            spec,
            units,
            price,
            deadline,
            live: Vec::new(),
            is_computed: false,
            gives_way: false,
            newest: Attempt(0),
            is_tried: false,
            has_equal,
            known_as: task,
            failures: 0,
            is_taken_back: false,
            computed: None,
            is_computed_in_vain: false,
        };
        self.open.insert(task, open);
        self.ids.insert((gamer, id), None);
        if let Some(deadline) = deadline {
            self.due.insert((deadline, task, Attempt(0)));
        }
        self.step.admitted = Some(task);
        self.fairness.waits(gamer, has_equal);
        self.tally.admitted += 1;
        Ok(())
    }

    pub(super) fn settled(&mut self, settlement: &Settlement) -> Audit {
        let Settlement { task, source, pay, fee, check, .. } = *settlement;
        let open = self.find_open(task)?.clone();
        let charged = (pay + fee).0;
        let wrong_price = || format!("{task} of {} units: {charged} charged, {}", open.units, open.price);
        if !matches!(source, ComputedFrom::Begun) {
            let is_in_time = open.deadline.is_none_or(|deadline| self.now <= deadline);
            rule(is_in_time, "nothing is charged for what is late", || format!("{task} at {}", self.now))?;
            rule(
                settlement.outcome.is_some() != matches!(source, ComputedFrom::Cache),
                "what is charged in full has an outcome",
                || task.to_string(),
            )?;
        }
        match source {
            ComputedFrom::Worker { worker, attempt } => {
                self.worker_earned(settlement, &open, worker, attempt)?;
                self.charged += charged;
                self.fees += fee.0;
                let of_fees = self.charged - 10 * self.fees;
                rule((0..10).contains(&of_fees), "the fee is a tenth, to the nano-dollar", || {
                    format!("{} of {}", self.fees, self.charged)
                })?;
                self.tally.by_workers += 1;
            }
            ComputedFrom::Coordinator => {
                let is_it = open.computed.is_some() && open.computed == settlement.outcome;
                rule(is_it, "the coordinator charges for what it has computed", || task.to_string())?;
                rule(charged == open.price, "a task costs what is held for it", wrong_price)?;
                self.tally.by_coordinator += 1;
            }
            ComputedFrom::Cache => {
                let reused = ((cost(open.units, CORES_RATE) + 5) / 10).max(PRICE_MIN);
                rule(charged == reused, "reuse costs the fee", wrong_price)?;
                rule(check != PassedCheck::Always, "only what was checked deeply is reused", || {
                    task.to_string()
                })?;
                if self.step.admitted == Some(task) {
                    rule(charged == open.price, "a task costs what is held for it", wrong_price)?;
                    self.tally.from_cache += 1;
                } else {
                    let is_there = self.step.shareable.contains(&open.asked());
                    rule(is_there, "who waits for an outcome gets it when it is there", || task.to_string())?;
                    rule(open.is_waiting(), "only who waits gets somebody else's outcome", || {
                        task.to_string()
                    })?;
                    self.tally.shared += 1;
                }
            }
            ComputedFrom::Begun => {
                rule(open.is_tried && charged > 0, "only what was begun is charged", || task.to_string())?;
                rule(charged <= open.price, "at most what is held is charged", wrong_price)?;
                may_end_without_outcome(&open, &format!("{settlement:?}"))?;
                self.begun_is_charged_once(&open, charged)?;
                self.tally.begun += 1;
            }
        }
        let has_outcome = !matches!(source, ComputedFrom::Begun);
        let maker = if let ComputedFrom::Worker { worker, .. } = source { Some(worker) } else { None };
        let is_reused = matches!(source, ComputedFrom::Cache);
        let finished = has_outcome.then(|| Finished {
            charged: pay + fee,
            outcome: settlement.outcome.clone(),
            maker,
            reused: if is_reused { self.reusable_now(&open) } else { Vec::new() },
            check,
            is_sent: false,
            may_be_withdrawn: false,
        });
        if let Some(outcome) = settlement.outcome.as_ref().filter(|_| check != PassedCheck::Always) {
            self.reusable.entry(open.asked()).or_default().push((outcome.clone(), maker));
            self.step.shareable.push(open.asked());
        }
        self.ended(task, finished);
        Ok(())
    }

    /// What is charged for what was begun in the same attempts is at most a price for each of them, whoever pays. Each charge
    /// is rounded up.
    fn begun_is_charged_once(&mut self, open: &Open, charged: i64) -> Audit {
        let (sum, charges) = self.begun.entry(open.known_as).or_default();
        (*sum, *charges) = (*sum + charged, *charges + 1);
        let most = i64::from(open.newest.0) * cost(open.units, CORES_RATE) + *charges;
        rule(*sum <= most, "no part of what was begun is charged twice", || {
            format!("{sum} of {most} in {charges} charges: {open:?}")
        })
    }

    fn worker_earned(
        &mut self,
        settlement: &Settlement,
        open: &Open,
        worker: AccountId,
        attempt: Attempt,
    ) -> Audit {
        let Settlement { task, check, .. } = *settlement;
        let live = open.live.iter().find(|live| live.attempt == attempt && live.account == worker);
        let known_as = open.known_as;
        let arrived = self.arrived.get(&(known_as, attempt));
        let (Some(live), Some(Arrived { given, is_on_probation, .. })) =
            (live.filter(|live| live.is_answered), arrived)
        else {
            return rule(false, "only answers under a lease are paid", || {
                format!("{settlement:?}, {open:?}")
            });
        };
        rule(
            given.outcome == settlement.outcome && given.looks_right,
            "only answers that pass the check are paid",
            || format!("{settlement:?} for {given:?}"),
        )?;
        rule(!self.failed.contains(&(known_as, attempt)), "only accepted answers are paid", || {
            format!("{settlement:?}")
        })?;
        let is_deep = check == PassedCheck::Deep;
        rule(given.is_right || !is_deep, "what was deeply checked is right", || format!("{settlement:?}"))?;
        let must_be_deep = *is_on_probation
            || open.units <= RECOMPUTED_UNITS
            || open.deadline.is_none() && !open.kind.is_exact();
        rule(
            is_deep || !must_be_deep,
            "who is not known, and what is cheap or shared, is checked deeply",
            || format!("{settlement:?} of {} units", open.units),
        )?;
        let is_convicted = self.known.get(&worker).is_some_and(|known| known.is_convicted);
        rule(!is_convicted, "who is convicted is not paid", || format!("{settlement:?}"))?;
        let on_device =
            if live.is_graphics && open.kind == SimulatedKind::Tenfold { GRAPHICS_RATE } else { CORES_RATE };
        let price = cost(open.units, on_device).min(open.price);
        let charged = (settlement.pay + settlement.fee).0;
        rule(charged == price, "a task costs what the price list says of who computed it", || {
            format!("{task}: {charged} instead of {price}")
        })?;
        self.tally.wrong += u64::from(!given.is_right);
        Ok(())
    }

    pub(super) fn voided(&mut self, task: TaskNo, reason: VoidReason) -> Audit {
        let open = self.find_open(task)?.clone();
        let what = format!("{task}: {reason:?}, {open:?}");
        match reason {
            VoidReason::Closing => {
                let may = matches!(self.step.cause, StepCause::GivingUp) && open.deadline.is_some();
                rule(may, "a task is given up for a reason", || what)?;
            }
            VoidReason::NoWorker | VoidReason::KernelFailed => {
                let may = open.deadline.is_some() || open.failures >= FAILURES_MAX;
                rule(may, "a task is given up for a reason", || what.clone())?;
                // The coordinator itself can do what no worker does, as long as there is time.
                let left = open.deadline.map_or(0, |deadline| deadline.saturating_sub(self.now));
                let may = reason != VoidReason::NoWorker || !self.computes || left < COMPUTED_WITHIN_US;
                rule(may, "a task is not given up while there is time to compute it", || what)?;
            }
            VoidReason::Late | VoidReason::Cancelled => may_end_without_outcome(&open, &what)?,
            VoidReason::Crashed | VoidReason::BadSettlement => {
                rule(false, "a task is given up for a reason", || what)?;
            }
        }
        self.tally.voided += 1;
        self.ended(task, None);
        Ok(())
    }

    fn ended(&mut self, task: TaskNo, finished: Option<Finished>) {
        let Some(open) = self.open.remove(&task) else { return };
        for live in &open.live {
            self.due.remove(&(live.until, task, live.attempt));
            if !live.is_answered {
                self.nobody_wants(open.known_as, live);
            }
        }
        if let Some(deadline) = open.deadline {
            self.due.remove(&(deadline, task, Attempt(0)));
        }
        if open.is_waiting() {
            self.fairness.waits_no_more(open.account, open.waits_for_more());
        }
        self.step.ended.insert((open.account, open.id), open.peer);
        if finished.is_none() {
            self.step.given_up = Some(open.clone());
        }
        self.ended_as.insert(task, open.known_as);
        self.ids.insert((open.account, open.id), finished);
        if open.deadline.is_none() {
            self.unrecorded.insert(task, open);
        }
    }

    /// Marks the tasks that this step's cause takes back.
    pub(super) fn taken_back(&mut self) {
        let is_it = |open: &Open| match &self.step.cause {
            StepCause::Cancelled(account, id) => open.account == *account && open.id == *id,
            StepCause::GamerGone(peer) => open.peer == Some(*peer),
            _ => false,
        };
        for open in self.open.values_mut() {
            open.is_taken_back |= is_it(open);
        }
    }

    /// The full price of an admitted task is held, unless it is answered from the cache; a patient task is kept.
    pub(super) fn what_waits_is_held(&self) -> Audit {
        let Some(task) = self.step.admitted else { return Ok(()) };
        let Some(open) = self.open.get(&task) else { return Ok(()) };
        let full = cost(open.units, CORES_RATE);
        rule(open.price == full, "a task costs what the price list says", || {
            format!("{task}: {} is held of {full}", open.price)
        })?;
        let is_kept = self.books.is_patient(task) == open.deadline.is_none();
        rule(is_kept, "patient tasks are kept", || task.to_string())
    }

    /// Deadlines and ends of leases are handled in time, and `next_due` covers the next one.
    pub(super) fn nothing_is_forgotten(&self, next_due: Option<u64>) -> Audit {
        let Some((at, task, attempt)) = self.due.first() else { return Ok(()) };
        if matches!(self.step.cause, StepCause::TimePassed) {
            rule(*at > self.now, "nothing outlives its time", || {
                format!("{attempt} of {task} was due at {at}, it is {}: {:?}", self.now, self.open.get(task))
            })?;
        }
        rule(next_due.is_some_and(|next| next <= *at), "the scheduler is woken in time", || {
            format!("{attempt} of {task} is due at {at}, and it wakes at {next_due:?}")
        })
    }

    /// Open tasks.
    pub fn open_tasks(&self) -> usize {
        self.open.len()
    }

    /// The outcomes that a task may be given now because an equal one was done: none of a convicted worker.
    fn reusable_now(&self, open: &Open) -> Vec<GivenOutcome> {
        let is_convicted = |maker: &AccountId| self.known.get(maker).is_some_and(|it| it.is_convicted);
        let made = self.reusable.get(&open.asked()).into_iter().flatten();
        made.filter(|(_, maker)| !maker.as_ref().is_some_and(is_convicted)).cloned().collect()
    }
}
