//! One connected worker: what it offers, what it has, how fast it is, and when an attempt sent to it would be back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::limits::BATCH_MAX;
use p2c2r_protocol::{
    Device, Digest, KernelOffer, KindId, Micros, Nanos, NumberHash, TaskNo, VerdictNotice, WorkUnits,
    WorkerSession, WorkerStatement,
};
use p2c2r_tasks::KnownBlobs;

use super::Record;
use super::conduct::Conduct;
use crate::core::state::speed::ServiceTimes;
use crate::ledger::{Account, AccountId};

/// Work units of tasks by which a worker proves itself, five milliseconds of the reference core: larger ones go to it only
/// if nobody better known is asked.
const UNPROVEN_UNITS_MAX: WorkUnits = WorkUnits(5_000);
/// How many times longer an unproven worker is taken to need for larger ones.
const DOUBT: u32 = 4;
/// How many times longer than predicted a worker is taken to need while an attempt of it is late and nothing has come from it
/// since: it may stand still, and what it gets then waits with the rest.
pub(super) const LATE: u32 = 8;
/// How long a worker without incidents has had nothing when it counts as neglected.
const NEGLECTED_AFTER: Duration = Duration::from_secs(1);
/// Added to a worker's round trip when its window is reckoned: messages leave in groups.
const GROUPING: Duration = Duration::from_millis(2);

/// Blobs that a worker is believed to have: fewer than its store holds, so that this forgets first.
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
    /// It takes nothing more.
    pub draining: bool,
    /// It gets nothing more.
    pub quarantined: bool,
    /// Attempts it has.
    pub tasks: HashSet<TaskNo, NumberHash>,
    /// How long it takes.
    pub speed: ServiceTimes,
    /// When it last had an attempt.
    pub active_at: Micros,
    /// Whether the link was told that tasks are out.
    pub busy: bool,
    /// What its account says.
    pub statements: WorkerStatements,
    blobs: KnownBlobs,
    pub(super) conduct: Conduct,
    /// Whether an attempt of it is late and nothing has come from it since.
    is_late: bool,
    /// Whether its newest attempt was given to it to see whether it has become better, and nothing was measured since.
    is_on_trial: bool,
    /// Its places in the lists of [`Workers`](super::Workers), one per kind each; empty where it has none.
    pub(super) places: [Vec<(KindId, usize)>; 2],
}

/// A worker's account and verdicts, to tell it.
#[derive(Default)]
pub struct WorkerStatements {
    /// Earned, durably recorded.
    pub earned: Nanos,
    /// Of it, pending.
    pub pending: Nanos,
    /// Of it, paid out.
    pub paid: Nanos,
    /// What it has done since it connected; other workers of the same account have theirs.
    pub session: WorkerSession,
    /// Verdicts not told yet.
    pub verdicts: Vec<VerdictNotice>,
    /// Something above changed since it was told.
    pub changed: bool,
}

impl WorkerStatements {
    /// Follows the account as it is recorded.
    pub fn follow(&mut self, account: &Account) {
        (self.earned, self.pending, self.paid) = (account.turnover, account.set_aside, account.paid_out());
        self.changed = true;
    }

    /// Of what its account has earned, what it can be paid.
    pub fn available(&self) -> Nanos {
        self.earned - self.pending - self.paid
    }

    /// What is to be told now, with the verdicts not told yet.
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

/// What decides how well a worker suits a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// From sending the attempt to having its answer.
    pub finish: Duration,
    /// Mean deviation from that.
    pub deviation: Duration,
    /// The same, as late as it gets with a healthy worker (mean and four deviations, TCP's rule).
    pub finish_at_worst: Duration,
    /// In the kernel.
    pub service: Duration,
    /// By what it is compared with others: the same as `finish` for a worker in good standing.
    pub rank: Duration,
}

impl Worker {
    pub(super) fn new(name: String, account: AccountId, now: Micros, record: Record) -> Self {
        Self {
            name: name.into(),
            account,
            kernels: Vec::new(),
            slots: 0,
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

    /// What its kernel of `kind` runs on, by its own word.
    pub fn device(&self, kind: KindId) -> Device {
        self.kernel(kind).map_or(Device::Cores, |kernel| kernel.device)
    }

    fn kernel(&self, kind: KindId) -> Option<&KernelOffer> {
        self.kernels.iter().find(|kernel| kernel.kind == kind)
    }

    /// Rounds of its slots until it would come to one more task, that task's own included. Slots count as far as it
    /// has shown use for them.
    pub fn rounds(&self) -> u32 {
        let slots = self.slots.min(self.conduct.window()).max(1);
        self.tasks.len() as u32 / slots + 1
    }

    /// When an attempt sent now would be back.
    pub fn predict(&self, kind: KindId, units: WorkUnits, rtt: Duration) -> Prediction {
        let service = self.speed.predict(kind, units);
        let rounds = self.rounds();
        let finish = rtt + service.mean * rounds;
        Prediction {
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

    /// How many times longer than predicted it is taken to need for a task of this size, because it has not proven what it
    /// can do: its speed and slots are its own word until then.
    fn doubt(&self, units: WorkUnits) -> u32 {
        if self.is_believed(units) { 1 } else { DOUBT }
    }

    /// Whether its speed and slots are believed for a task of this size.
    pub fn is_believed(&self, units: WorkUnits) -> bool {
        units <= UNPROVEN_UNITS_MAX || self.conduct.is_proven()
    }

    /// Whether it has proven itself: second attempts go to such workers.
    pub fn is_proven(&self) -> bool {
        self.conduct.is_proven()
    }

    /// An attempt of it is late.
    pub fn noticed_late(&mut self) {
        self.is_late = true;
    }

    /// Whether an attempt of it is late and nothing has come from it since.
    pub fn is_late(&self) -> bool {
        self.is_late && !self.tasks.is_empty()
    }

    /// Whether it has had nothing for so long that what is known of it is old: longer with each incident in a row.
    pub fn is_neglected(&self, now: Micros) -> bool {
        let since = now.0.saturating_sub(self.active_at.0);
        self.tasks.is_empty() && since >= Micros::from(NEGLECTED_AFTER * self.conduct.handicap()).0
    }

    /// What it is given next is to show whether it has become better.
    pub fn tried_again(&mut self) {
        self.is_on_trial = true;
    }

    /// It is given an attempt at a task. With the first one it begins anew: an attempt that was late and then revoked need
    /// never be answered.
    pub fn given(&mut self, task: TaskNo) {
        self.is_late = self.is_late();
        self.tasks.insert(task);
    }

    /// An answer has come from it.
    pub fn heard(&mut self) {
        self.is_late = false;
    }

    /// Takes a measurement, the time from sending an attempt to having its answer with so many rounds before
    /// it, and adapts how many attempts at once are of use, so that a worker a long way off is kept busy while answers
    /// and attempts travel.
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

    /// An answer of it was accepted: it gets at most twice as many attempts at once. The first of several workers to
    /// answer does not get all that waits.
    pub fn accepted(&mut self) {
        self.conduct.accepted();
    }

    /// An attempt that it had since then came to nothing. Says whether that is a new incident: attempts that it had already
    /// when the newest one was noticed are part of that one.
    pub fn failed(&mut self, since: Micros, now: Micros) -> bool {
        self.conduct.failed(since, now)
    }

    /// An attempt was held for so long without an answer: it takes at least as long, if that is more than was expected of
    /// it. The way there and back is no part of that.
    pub fn expired(&mut self, kind: KindId, units: WorkUnits, held: Duration, rtt: Duration, rounds: u32) {
        if held.saturating_sub(rtt) / rounds.max(1) > self.speed.predict(kind, units).mean {
            self.measured(kind, units, held, rtt, rounds);
        }
    }

    /// It said it has no free slot: from now on only as many as it said it runs, until it is measured again.
    pub fn overloaded(&mut self) {
        self.conduct.has_use_for(self.slots);
    }

    /// Whether the blob has to be sent with the task that refers to it: not if the worker is believed to have it.
    pub fn sends_blob(&mut self, digest: Digest, bytes: usize) -> bool {
        self.blobs.needs_sending(digest, bytes)
    }

    /// It does not have these blobs after all.
    pub fn lacks_blobs(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.blobs.forget(*digest);
        }
    }
}
