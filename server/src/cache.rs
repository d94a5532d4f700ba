//! Outcomes of deterministic kinds, kept 24 hours and reused for equal specs.
//!
//! Only an accepted verdict or the coordinator's own kernel writes here, and every entry names the worker it
//! came from, so a convicted worker's entries go at once. Bounded by entries and bytes, the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{Digest, Micros, SeededHash};

use crate::ledger::AccountId;

/// How long an outcome may be reused.
pub const KEPT: Duration = Duration::from_hours(24);

/// One kept outcome.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The encoded outcome.
    pub outcome: Arc<[u8]>,
    /// The worker that computed it; `None` for the coordinator.
    pub worker: Option<(AccountId, Arc<str>)>,
    until: Micros,
}

/// Outcomes by the digest of kind, kernel version and spec.
#[derive(Resource)]
pub struct OutcomeCache {
    kept: HashMap<Digest, Kept, SeededHash>,
    /// Keys in the order they were written; each at most once.
    order: VecDeque<Digest>,
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

impl OutcomeCache {
    /// An empty cache with these bounds.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { kept: HashMap::default(), order: VecDeque::new(), bytes: 0, entries_max, bytes_max }
    }

    /// Whether anything is ever kept.
    pub fn is_off(&self) -> bool {
        self.entries_max == 0
    }

    /// The outcome kept under `key`.
    pub fn get(&self, key: Digest, now: Micros) -> Option<&Kept> {
        self.kept.get(&key).filter(|kept| kept.until > now)
    }

    /// Keeps an outcome until `now` plus `left`; one that is there already stays, unless it is over.
    pub fn insert(
        &mut self,
        key: Digest,
        outcome: Arc<[u8]>,
        worker: Option<(AccountId, Arc<str>)>,
        now: Micros,
        left: Duration,
    ) {
        if self.is_off() || outcome.len() > self.bytes_max {
            return;
        }
        if let Some(kept) = self.kept.get(&key) {
            if kept.until > now {
                return;
            }
            self.bytes -= kept.outcome.len();
        } else {
            self.order.push_back(key);
        }
        self.bytes += outcome.len();
        let until = Micros(now.0.saturating_add(Micros::from(left).0));
        self.kept.insert(key, Kept { outcome, worker, until });
        while self.kept.len() > self.entries_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.drop_entry(oldest);
        }
    }

    /// Forgets everything that came from `worker`; returns how many outcomes that were.
    pub fn forget_worker(&mut self, worker: AccountId) -> usize {
        let before = self.kept.len();
        let bytes = &mut self.bytes;
        self.kept.retain(|_, kept| {
            let keep = kept.worker.as_ref().is_none_or(|(account, _)| *account != worker);
            if !keep {
                *bytes -= kept.outcome.len();
            }
            keep
        });
        let kept = &self.kept;
        self.order.retain(|key| kept.contains_key(key));
        before - self.kept.len()
    }

    fn drop_entry(&mut self, key: Digest) {
        if let Some(gone) = self.kept.remove(&key) {
            self.bytes -= gone.outcome.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Arc<[u8]> {
        vec![0; n].into()
    }

    fn key(n: u8) -> Digest {
        Digest([n; 32])
    }

    #[test]
    fn keeps_within_its_bounds_and_its_time() {
        let mut cache = OutcomeCache::new(2, 100);
        cache.insert(key(1), bytes(40), None, Micros(0), Duration::from_micros(10));
        assert!(cache.get(key(1), Micros(9)).is_some() && cache.get(key(1), Micros(10)).is_none());
        cache.insert(key(1), bytes(50), None, Micros(10), Duration::from_micros(10));
        assert_eq!(
            cache.get(key(1), Micros(11)).unwrap().outcome.len(),
            50,
            "an entry that is over is replaced"
        );
        cache.insert(key(2), bytes(40), None, Micros(11), KEPT);
        cache.insert(key(3), bytes(40), None, Micros(11), KEPT);
        assert!(cache.get(key(1), Micros(11)).is_none(), "130 bytes are over the bound: the oldest goes");
        cache.insert(key(4), bytes(1), None, Micros(11), KEPT);
        assert!(cache.get(key(2), Micros(11)).is_none(), "three entries are over the bound");
        cache.insert(key(5), bytes(101), None, Micros(11), KEPT);
        assert!(cache.get(key(5), Micros(11)).is_none() && cache.bytes == 41);
    }

    #[test]
    fn a_convicted_workers_outcomes_go_at_once() {
        let mut cache = OutcomeCache::new(8, 100);
        let worker = |n| Some((AccountId(n), Arc::from("w")));
        cache.insert(key(1), bytes(1), worker(1), Micros(0), KEPT);
        cache.insert(key(2), bytes(1), worker(2), Micros(0), KEPT);
        cache.insert(key(3), bytes(1), None, Micros(0), KEPT);
        assert_eq!(cache.forget_worker(AccountId(1)), 1);
        assert!(cache.get(key(1), Micros(0)).is_none());
        assert!(cache.get(key(2), Micros(0)).is_some() && cache.get(key(3), Micros(0)).is_some());
        assert_eq!(cache.bytes, 2);
    }
}
