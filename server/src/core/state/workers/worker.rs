//! One connected worker: what it offers, what it holds, how fast it is, and when an attempt sent to it would be
//! answered.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::limits::BATCH_MAX;
use p2c2r_protocol::{
    Device, Digest, KernelOffer, KindId, Micros, Nanos, NumberHash, Region, TaskNo, VerdictNotice, WorkUnits,
    WorkerSession, WorkerStatement,
};
use p2c2r_tasks::KnownBlobs;

use super::Record;
use super::conduct::Conduct;
use crate::core::state::speed::ServiceTimes;
use crate::ledger::{Account, AccountId};

/// Work units, five milliseconds of the reference core, up to which an unproven worker competes equally; larger tasks
/// go to it only if no better known worker is asked.
const UNPROVEN_UNITS_MAX: WorkUnits = WorkUnits(5_000);
/// Factor on an unproven worker's predicted time for larger tasks.
const DOUBT: u32 = 4;
/// Factor on a worker's predicted time while one of its attempts is late and it has answered nothing since: it may have
/// stalled, and a new attempt would wait with the rest.
pub(super) const LATE: u32 = 8;
/// Idle time after which a worker without incidents counts as neglected.
const NEGLECTED_AFTER: Duration = Duration::from_secs(1);
/// Added to a worker's round trip when its window is computed, because messages leave in batches.
const GROUPING: Duration = Duration::from_millis(2);

/// Blobs that a worker is believed to have: fewer than its store holds, so that the coordinator forgets a blob first.
const KNOWN_BLOBS_MAX: usize = 128;

/// One connected worker.
pub struct Worker {
    /// Public name.
    pub name: Arc<str>,
    /// The account that earns.
    pub account: AccountId,
    /// Kernels it offers; empty until it says.
    pub kernels: Vec<KernelOffer>,
    /// Attempts it runs at the same time.
    pub slots: u32,
    /// Where its owner says that it is.
    pub region: Option<Region>,
    /// Whether it has announced that it takes no more attempts.
    pub draining: bool,
    /// Whether its account is quarantined, so that it gets no more attempts.
    pub quarantined: bool,
    /// Tasks of which it holds an attempt.
    pub tasks: HashSet<TaskNo, NumberHash>,
    /// How long its attempts take.
    pub speed: ServiceTimes,
    /// When it last was given an attempt or answered one.
    pub active_at: Micros,
    /// Whether the link was told to watch it as busy.
    pub busy: bool,
    /// Its account and verdicts, for the next statement to it.
    pub statements: WorkerStatements,
    blobs: KnownBlobs,
    pub(super) conduct: Conduct,
    /// Whether one of its attempts is late and it has answered nothing since.
    is_late: bool,
    /// Whether its newest attempt is a trial that was not measured yet.
    is_on_trial: bool,
    /// Its positions in the lists of [`Workers`](super::Workers), one per kind; empty for lists that it is not in.
    pub(super) places: [Vec<(KindId, usize)>; 2],
}

/// The next statement to a worker: its account and verdicts.
#[derive(Default)]
pub struct WorkerStatements {
    /// Earned, durably recorded.
    pub earned: Nanos,
    /// The part of `earned` that is pending.
    pub pending: Nanos,
    /// The part of `earned` that was paid out.
    pub paid: Nanos,
    /// What it has done since it connected; other workers of the same account have theirs.
    pub session: WorkerSession,
    /// Verdicts not told yet.
    pub verdicts: Vec<VerdictNotice>,
    /// Something above changed since it was told.
    pub changed: bool,
}

impl WorkerStatements {
    /// Takes over the account as the ledger has recorded it.
    pub fn follow(&mut self, account: &Account) {
        (self.earned, self.pending, self.paid) = (account.turnover, account.set_aside, account.paid_out());
        self.changed = true;
    }

    /// Earnings that are neither pending nor paid.
    pub fn available(&self) -> Nanos {
        self.earned - self.pending - self.paid
    }

    /// The statement to send now; clears the verdicts.
    pub fn take(&mut self) -> WorkerStatement {
        self.changed = false;
        let Self { earned, pending, paid, session, .. } = *self;
        WorkerStatement { earned, pending, paid, session, verdicts: std::mem::take(&mut self.verdicts) }
    }

    /// Notes a verdict for the next statement; beyond [`BATCH_MAX`] only the sums tell of it.
    pub fn note(&mut self, notice: VerdictNotice) {
        self.session.earned = Nanos(self.session.earned.0.saturating_add(notice.earned.0));
        if notice.rejected.is_none() {
            self.session.accepted += 1;
        } else {
            self.session.rejected += 1;
        }
        self.changed = true;
        if self.verdicts.len() < BATCH_MAX {
            self.verdicts.push(notice);
        }
    }
}

/// How an attempt would go with a worker; decides which worker gets a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Number of kernels that run one after the other in its slot until this task is done, the task's own included.
    pub rounds: u32,
    /// Mean time from sending the attempt to receiving its answer.
    pub finish: Duration,
    /// Mean deviation of `finish`.
    pub deviation: Duration,
    /// Upper bound of `finish` for a healthy worker: mean and four deviations, TCP's rule.
    pub finish_at_worst: Duration,
    /// Time in the kernel.
    pub service: Duration,
    /// The value by which workers are compared: `finish` for a worker in good standing, more for others.
    pub rank: Duration,
}

impl Worker {
    pub(super) fn new(name: String, account: AccountId, now: Micros, record: Record) -> Self {
        Self {
            name: name.into(),
            account,
            kernels: Vec::new(),
            slots: 0,
            region: None,
            draining: false,
            quarantined: false,
            tasks: HashSet::default(),
            speed: record.speed,
            active_at: now,
            busy: false,
            statements: WorkerStatements::default(),
            blobs: KnownBlobs::new(KNOWN_BLOBS_MAX),
            conduct: record.conduct,
            is_late: false,
            is_on_trial: false,
            places: Default::default(),
        }
    }

    /// Whether one more attempt may be sent to it.
    pub fn has_room(&self) -> bool {
        !self.draining && !self.quarantined && (self.tasks.len() as u32) < self.conduct.window()
    }

    /// Whether it has a kernel of `kind`.
    pub fn offers(&self, kind: KindId) -> bool {
        self.kernel(kind).is_some()
    }

    /// What its kernel of `kind` runs on, as it claims.
    pub fn device(&self, kind: KindId) -> Device {
        self.kernel(kind).map_or(Device::Cores, |kernel| kernel.device)
    }

    fn kernel(&self, kind: KindId) -> Option<&KernelOffer> {
        self.kernels.iter().find(|kernel| kernel.kind == kind)
    }

    /// Rounds of its slots until one more task would be done, that task's own included. No more slots count than its
    /// window has.
    pub fn rounds(&self) -> u32 {
        let slots = self.slots.min(self.conduct.window()).max(1);
        self.tasks.len() as u32 / slots + 1
    }

    /// Predicts an attempt sent now.
    pub fn predict(&self, kind: KindId, units: WorkUnits, rtt: Duration) -> Prediction {
        let service = self.speed.predict(kind, units);
        let rounds = self.rounds();
        let finish = rtt + service.mean * rounds;
        Prediction {
            rounds,
            finish,
            deviation: service.deviation * rounds,
            finish_at_worst: finish + rtt + service.deviation * (4 * rounds),
            service: service.mean,
            rank: finish
                * self.conduct.handicap()
                * self.doubt(units)
                * if self.is_late() { LATE } else { 1 },
        }
    }

    /// Factor on its predicted time for a task of this size: until it is proven, its speed and slots are only claims.
    fn doubt(&self, units: WorkUnits) -> u32 {
        if self.is_believed(units) { 1 } else { DOUBT }
    }

    /// Whether its speed and slots are believed for a task of this size.
    pub fn is_believed(&self, units: WorkUnits) -> bool {
        units <= UNPROVEN_UNITS_MAX || self.conduct.is_proven()
    }

    /// Whether it is proven, and may get hedges.
    pub fn is_proven(&self) -> bool {
        self.conduct.is_proven()
    }

    /// Notes that one of its attempts is late.
    pub fn noticed_late(&mut self) {
        self.is_late = true;
    }

    /// Whether one of its attempts is late and it has answered nothing since.
    pub fn is_late(&self) -> bool {
        self.is_late && !self.tasks.is_empty()
    }

    /// Whether it has been idle so long that its measurements are outdated; the time grows with each incident in a row.
    pub fn is_neglected(&self, now: Micros) -> bool {
        let idle = now.time_since(self.active_at);
        self.tasks.is_empty() && idle >= NEGLECTED_AFTER * self.conduct.handicap()
    }

    /// Marks its newest attempt as a trial.
    pub fn tried_again(&mut self) {
        self.is_on_trial = true;
    }

    /// Gives it an attempt at a task. If it held none, it does not count as late from now on: an attempt that was late
    /// and then revoked may never be answered.
    pub fn given(&mut self, task: TaskNo) {
        self.is_late = self.is_late();
        self.tasks.insert(task);
    }

    /// Notes that it has sent an answer.
    pub fn heard(&mut self) {
        self.is_late = false;
    }

    /// Takes the measured `turnaround` of an attempt, from sending it to receiving its answer, with this many `rounds`.
    /// Adapts the useful window, so that a worker far away is kept busy while answers and attempts travel.
    pub fn measured(
        &mut self,
        kind: KindId,
        units: WorkUnits,
        turnaround: Duration,
        rtt: Duration,
        rounds: u32,
    ) {
        let service = turnaround.saturating_sub(rtt) / rounds.max(1);
        if std::mem::take(&mut self.is_on_trial) {
            self.speed.measured_after_a_while(kind, units, service);
        } else {
            self.speed.measured(kind, units, service);
        }
        let recent = self.speed.recent().max(Duration::from_micros(1));
        let pipeline = (rtt + GROUPING).as_secs_f64() / recent.as_secs_f64() * f64::from(self.slots);
        let pipeline = (pipeline.ceil() as u32).max(self.slots);
        self.conduct.has_use_for(self.slots.saturating_add(pipeline));
    }

    /// Counts an accepted answer, which at most doubles its window: the first of several workers to answer must not get
    /// all waiting tasks.
    pub fn accepted(&mut self) {
        self.conduct.accepted();
    }

    /// Counts a failed attempt, assigned at `since`. Returns whether it is a new incident: an attempt assigned before
    /// the newest incident was noticed belongs to that.
    pub fn failed(&mut self, since: Micros, now: Micros) -> bool {
        self.conduct.failed(since, now)
    }

    /// Whether it has left by a mishap, and may be back in a moment to go on with what it held. Not if this has happened
    /// several times in a row: a worker that comes and goes must not have others wait for it for ever.
    pub fn may_be_back(&self) -> bool {
        !self.tasks.is_empty() && self.conduct.incidents() <= 1
    }

    /// Learns from an attempt without an answer for `held`: its service takes at least that long, less the round trip,
    /// if that is more than expected.
    pub fn expired(&mut self, kind: KindId, units: WorkUnits, held: Duration, rtt: Duration, rounds: u32) {
        if held.saturating_sub(rtt) / rounds.max(1) > self.speed.predict(kind, units).mean {
            self.measured(kind, units, held, rtt, rounds);
        }
    }

    /// It reported that it has no free slot: its window shrinks to its announced slots until the next measurement.
    pub fn overloaded(&mut self) {
        self.conduct.has_use_for(self.slots);
    }

    /// Whether a blob must be sent with the task: not if the worker is believed to have it. From then on it is.
    pub fn sends_blob(&mut self, digest: Digest, bytes: usize) -> bool {
        self.blobs.needs_sending(digest, bytes)
    }

    /// Forgets that it has these blobs.
    pub fn lacks_blobs(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.blobs.forget(*digest);
        }
    }
}
