//! Connected workers, which of them have room, and the records of workers that have left.

mod conduct;
mod worker;

use std::collections::{HashMap, VecDeque};

use p2c2r_protocol::{KernelOffer, KindId, Micros, NumberHash, PeerId, WorkerOffer};

use crate::core::state::speed::ServiceTimes;
use crate::ledger::AccountId;
use conduct::Conduct;

pub use conduct::WINDOW_MAX;
pub use worker::{Prediction, Worker, WorkerStatements};

/// Accounts of disconnected workers whose record is kept, so that reconnecting, under whatever name, resets nothing.
const RECORDS_MAX: usize = 4_096;

/// Index into [`Workers::with_room`] of the list of all workers with room.
const ALL: usize = 0;
/// Index of the list of proven workers with room.
const PROVEN: usize = 1;

/// Per kind, workers that offer it in the coordinator's version, in no particular order.
type ByKind = Vec<(KindId, Vec<PeerId>)>;

/// All workers.
#[derive(Default)]
pub struct Workers {
    by_peer: HashMap<PeerId, Worker, NumberHash>,
    /// Workers with room, and the proven ones among them.
    with_room: [ByKind; 2],
    /// Workers that rest after incidents.
    resting: Vec<PeerId>,
    /// Records of workers that have left.
    records: HashMap<AccountId, Record, NumberHash>,
    /// Accounts with a record, in the order in which their latest connections ended: the first is evicted first.
    record_order: VecDeque<AccountId>,
}

/// What outlives a worker's connection, by account.
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

    /// Removes a worker that has left and returns it, with the attempts it held, which have failed.
    pub fn leave(&mut self, peer: PeerId, now: Micros) -> Option<Worker> {
        self.clear_all_places(peer);
        self.resting.retain(|other| *other != peer);
        let mut worker = self.by_peer.remove(&peer)?;
        if !worker.tasks.is_empty() {
            worker.conduct.failed(now, now);
        }
        let mut record = Record { conduct: worker.conduct.clone(), speed: worker.speed.clone() };
        if let Some(known) = self.records.remove(&worker.account) {
            if self.by_peer.values().any(|other| other.account == worker.account) {
                record.conduct = record.conduct.worse(&known.conduct);
            }
            self.record_order.retain(|other| *other != worker.account);
        }
        self.records.insert(worker.account, record);
        self.record_order.push_back(worker.account);
        if self.record_order.len() > RECORDS_MAX
            && let Some(oldest) = self.record_order.pop_front()
        {
            self.records.remove(&oldest);
        }
        debug_assert_eq!(self.records.len(), self.record_order.len());
        Some(worker)
    }

    /// Ends the rests that are over.
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

    /// Changes one worker, then updates the lists of those with room.
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

    /// Sets what a worker offers; kernels that are not `usable`, such as those of another version, are dropped.
    pub fn offer(&mut self, peer: PeerId, offer: WorkerOffer, usable: impl Fn(&KernelOffer) -> bool) {
        self.clear_all_places(peer);
        self.change(peer, |worker| {
            worker.kernels = offer.kernels;
            worker.kernels.retain(usable);
            // Of several kernels of a kind the one that was named first counts: each kind has one place in the lists.
            worker.kernels.sort_by_key(|kernel| kernel.kind);
            worker.kernels.dedup_by_key(|kernel| kernel.kind);
            worker.slots = u32::from(offer.slots);
            worker.region = offer.region;
            // An offer also ends draining.
            worker.draining = false;
            worker.conduct.has_use_for(2 * worker.slots);
        });
    }

    /// Workers with room for an attempt at `kind`.
    pub fn ready(&self, kind: KindId) -> &[PeerId] {
        in_list(&self.with_room[ALL], kind)
    }

    /// Proven workers with room for an attempt at `kind`.
    pub fn ready_and_proven(&self, kind: KindId) -> &[PeerId] {
        in_list(&self.with_room[PROVEN], kind)
    }

    /// Whether any active worker offers `kind`, with room or without.
    pub fn offers(&self, kind: KindId) -> bool {
        !self.ready(kind).is_empty() || self.offering(kind).next().is_some()
    }

    /// Active workers that offer `kind`, with room or without.
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

    /// Connected workers, to change only what has no influence on their room: such changes need [`Workers::change`].
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

    /// Checks the lists of workers with room against each worker's state.
    ///
    /// # Panics
    /// If they differ.
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
