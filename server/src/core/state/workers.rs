//! The workers who are connected: what they offer, what they have, how fast they are, and which have room.

mod conduct;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::limits::BATCH_MAX;
use p2c2r_protocol::{
    Device, Digest, KernelOffer, KindId, Micros, Nanos, NumberHash, PeerId, TaskNo, VerdictNotice, WorkUnits,
    WorkerOffer, WorkerSession, WorkerStatement,
};

use p2c2r_tasks::KnownBlobs;

use crate::core::state::speed::ServiceTimes;
use crate::ledger::{Account, AccountId};
use conduct::Conduct;

pub use conduct::WINDOW_MAX;

/// Accounts of workers that have left whose record is kept, so that coming back, under whatever name, changes nothing.
const RECORDS_MAX: usize = 4_096;
/// Work units of tasks by which a worker proves itself, five milliseconds of the reference core: larger ones go to it only
/// if nobody better known is asked.
const UNPROVEN_UNITS_MAX: WorkUnits = WorkUnits(5_000);
/// How many times longer an unproven worker is taken to need for larger ones.
const DOUBT: u32 = 4;
/// How many times longer than predicted a worker is taken to need while an attempt of it is late and nothing has come from it
/// since: it may stand still, and what it gets then waits with the rest.
const LATE: u32 = 8;
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
    conduct: Conduct,
    /// Whether an attempt of it is late and nothing has come from it since.
    is_late: bool,
    /// Whether its newest attempt was given to it to see whether it has become better, and nothing was measured since.
    is_on_trial: bool,
    /// Its places in the lists of [`Workers::with_room`], one per kind each; empty where it has none.
    places: [Vec<(KindId, usize)>; 2],
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
    fn new(name: String, account: AccountId, now: Micros, record: Record) -> Self {
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

/// Place in [`Workers::with_room`] of all workers that have room.
const ALL: usize = 0;
/// The same of those that are proven.
const PROVEN: usize = 1;

/// Per kind, workers that offer it in the coordinator's version, in no particular order.
type ByKind = Vec<(KindId, Vec<PeerId>)>;

/// Everyone who helps.
#[derive(Default)]
pub struct Workers {
    by_peer: HashMap<PeerId, Worker, NumberHash>,
    /// Those that have room, and those of them that are proven.
    with_room: [ByKind; 2],
    /// Those that rest.
    resting: Vec<PeerId>,
    /// How those did that have left, and in which order they are forgotten.
    records: HashMap<AccountId, Record, NumberHash>,
    record_order: VecDeque<AccountId>,
}

/// What is known of a worker's account beyond its connection.
#[derive(Clone)]
struct Record {
    conduct: Conduct,
    speed: ServiceTimes,
}

impl Default for Record {
    fn default() -> Self {
        Self { conduct: Conduct::default(), speed: ServiceTimes::of_newcomer() }
    }
}

impl Workers {
    /// Connected workers.
    pub fn len(&self) -> usize {
        self.by_peer.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.by_peer.is_empty()
    }

    /// A worker joined; it gets nothing until it says what it offers.
    pub fn join(&mut self, peer: PeerId, name: String, account: AccountId, now: Micros) -> &mut Worker {
        let mut record = self.records.get(&account).cloned().unwrap_or_default();
        for other in self.by_peer.values().filter(|other| other.account == account) {
            record.conduct = record.conduct.worse(&other.conduct);
        }
        if record.conduct.rests_until().is_some() {
            self.resting.push(peer);
        }
        self.by_peer.entry(peer).or_insert_with(|| Worker::new(name, account, now, record))
    }

    /// A worker left; it comes out with the attempts it had, which came to nothing.
    pub fn leave(&mut self, peer: PeerId, now: Micros) -> Option<Worker> {
        self.clear_all_places(peer);
        self.resting.retain(|other| *other != peer);
        let mut worker = self.by_peer.remove(&peer)?;
        if !worker.tasks.is_empty() {
            worker.conduct.failed(now, now);
        }
        let mut record = Record { conduct: worker.conduct.clone(), speed: worker.speed.clone() };
        if let Some(known) = self.records.get(&worker.account) {
            if self.by_peer.values().any(|other| other.account == worker.account) {
                record.conduct = record.conduct.worse(&known.conduct);
            }
        } else {
            self.record_order.push_back(worker.account);
            if self.record_order.len() > RECORDS_MAX
                && let Some(oldest) = self.record_order.pop_front()
            {
                self.records.remove(&oldest);
            }
        }
        self.records.insert(worker.account, record);
        debug_assert_eq!(self.records.len(), self.record_order.len());
        Some(worker)
    }

    /// Those whose rest is over get work again.
    pub fn end_rests(&mut self, now: Micros) {
        for peer in std::mem::take(&mut self.resting) {
            let rests = |worker: &mut Worker| {
                worker.conduct.end_rest(now);
                worker.conduct.rests_until().is_some()
            };
            if self.change(peer, rests) == Some(true) && !self.resting.contains(&peer) {
                self.resting.push(peer);
            }
        }
    }

    /// When the next rest is over.
    pub fn next_end_of_rest(&self) -> Option<Micros> {
        self.resting.iter().filter_map(|peer| self.get(*peer)?.conduct.rests_until()).min()
    }

    /// One worker.
    pub fn get(&self, peer: PeerId) -> Option<&Worker> {
        self.by_peer.get(&peer)
    }

    /// Changes one worker, then finds out again whether it has room.
    pub fn change<T>(&mut self, peer: PeerId, change: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        let worker = self.by_peer.get_mut(&peer)?;
        let result = change(worker);
        if worker.conduct.rests_until().is_some() && !self.resting.contains(&peer) {
            self.resting.push(peer);
        }
        let (has_room, is_proven) = (worker.has_room(), worker.is_proven());
        let has_none = [worker.places[ALL].is_empty(), worker.places[PROVEN].is_empty()];
        for (list, belongs) in [(ALL, has_room), (PROVEN, has_room && is_proven)] {
            if belongs && has_none[list] {
                self.give_places(peer, list);
            } else if !belongs && !has_none[list] {
                self.clear_places(peer, list);
            }
        }
        Some(result)
    }

    /// A worker says what it offers; kernels of another version than the coordinator's are of no use.
    pub fn offer(&mut self, peer: PeerId, offer: WorkerOffer, usable: impl Fn(&KernelOffer) -> bool) {
        self.clear_all_places(peer);
        self.change(peer, |worker| {
            worker.kernels = offer.kernels;
            worker.kernels.retain(usable);
            worker.kernels.sort_unstable_by_key(|kernel| kernel.kind);
            worker.kernels.dedup();
            worker.slots = u32::from(offer.slots);
            // One that rested works again.
            worker.draining = false;
            worker.conduct.has_use_for(2 * worker.slots);
        });
    }

    /// Those with room for an attempt at `kind`.
    pub fn ready(&self, kind: KindId) -> &[PeerId] {
        in_list(&self.with_room[ALL], kind)
    }

    /// Those of them that have proven themselves.
    pub fn ready_and_proven(&self, kind: KindId) -> &[PeerId] {
        in_list(&self.with_room[PROVEN], kind)
    }

    /// Whether anyone at work offers `kind`, with room or without.
    pub fn offers(&self, kind: KindId) -> bool {
        !self.ready(kind).is_empty() || self.offering(kind).next().is_some()
    }

    /// Those at work that offer `kind`, with room or without.
    pub fn offering(&self, kind: KindId) -> impl Iterator<Item = (PeerId, &Worker)> {
        self.by_peer
            .iter()
            .filter(move |(_, worker)| !worker.draining && !worker.quarantined && worker.offers(kind))
            .map(|(peer, worker)| (*peer, worker))
    }

    /// Connected workers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Worker)> {
        self.by_peer.iter().map(|(peer, worker)| (*peer, worker))
    }

    /// Connected workers, to change what does not concern room.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut Worker)> {
        self.by_peer.iter_mut().map(|(peer, worker)| (*peer, worker))
    }

    /// Their connections.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.by_peer.keys().copied()
    }

    /// Connections of one account.
    pub fn peers_of(&self, account: AccountId) -> Vec<PeerId> {
        self.by_peer.iter().filter(|(_, worker)| worker.account == account).map(|(peer, _)| *peer).collect()
    }

    /// Derives again from each worker what the lists of those with room must say.
    ///
    /// # Panics
    /// If they do not.
    pub fn assert_places(&self) {
        for (list, belongs) in [
            (ALL, Worker::has_room as fn(&Worker) -> bool),
            (PROVEN, |worker| worker.has_room() && worker.is_proven()),
        ] {
            let listed = self.with_room[list].iter().map(|(_, peers)| peers.len()).sum::<usize>();
            let mut expected = 0;
            for (peer, worker) in self.by_peer.iter().filter(|(_, worker)| belongs(worker)) {
                expected += worker.kernels.len();
                let is_listed = |of: &KernelOffer| in_list(&self.with_room[list], of.kind).contains(peer);
                assert!(worker.kernels.iter().all(is_listed), "{peer:?} has room");
            }
            assert_eq!(listed, expected, "nobody else is listed");
        }
    }

    fn give_places(&mut self, peer: PeerId, list: usize) {
        let Some(worker) = self.by_peer.get_mut(&peer) else { return };
        let with_room = &mut self.with_room[list];
        for kernel in &worker.kernels {
            let at = with_room.iter().position(|(id, _)| *id == kernel.kind).unwrap_or_else(|| {
                with_room.push((kernel.kind, Vec::new()));
                with_room.len() - 1
            });
            worker.places[list].push((kernel.kind, with_room[at].1.len()));
            with_room[at].1.push(peer);
        }
    }

    fn clear_all_places(&mut self, peer: PeerId) {
        self.clear_places(peer, ALL);
        self.clear_places(peer, PROVEN);
    }

    fn clear_places(&mut self, peer: PeerId, list: usize) {
        while let Some((kind, place)) =
            self.by_peer.get_mut(&peer).and_then(|worker| worker.places[list].pop())
        {
            let Some((_, peers)) = self.with_room[list].iter_mut().find(|(id, _)| *id == kind) else {
                continue;
            };
            peers.swap_remove(place);
            if let Some(moved) = peers.get(place)
                && let Some(moved) = self.by_peer.get_mut(moved)
                && let Some((_, at)) = moved.places[list].iter_mut().find(|(id, _)| *id == kind)
            {
                *at = place;
            }
        }
    }
}

fn in_list(list: &ByKind, kind: KindId) -> &[PeerId] {
    list.iter().find(|(id, _)| *id == kind).map_or(&[], |(_, peers)| peers)
}

#[cfg(test)]
mod tests;
