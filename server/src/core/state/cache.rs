//! Outcomes of deterministic kinds, and of all patient tasks, kept 24 hours and reused for equal specs.
//!
//! Only an accepted verdict or the coordinator's own kernel inserts here. Every entry names the worker it came from, so
//! that a convicted worker's entries are removed at once. Bounded in entries and bytes; the oldest are evicted first.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Digest, Micros, SeededHash};

use crate::ledger::AccountId;

/// How long an outcome is kept; afterwards an equal task is computed again.
pub const KEPT: Duration = Duration::from_hours(24);

/// Bytes of one chunk of outcomes.
const CHUNK_BYTES: usize = 256 * 1024;

const _: () = assert!(p2c2r_protocol::limits::OUTCOME_BYTES_MAX <= CHUNK_BYTES, "each has room in one");

/// A kept outcome.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// The encoded outcome.
    pub outcome: Arc<[u8]>,
    /// The worker that computed it and its public name; `None` for the coordinator.
    pub worker: Option<(AccountId, Arc<str>)>,
}

/// The cache of outcomes.
///
/// Entries are evicted in insertion order, from a queue and from chunks of bytes: access to the newest and the oldest
/// entries is sequential, so the processor prefetches it. Only the small index is accessed at random.
pub struct OutcomeCache {
    /// Number of the valid entry, by the first 8 bytes of its key.
    index: HashMap<u64, u64, SeededHash>,
    /// The oldest first. Entries that the index does not point to are invalid; they are evicted in insertion order too.
    entries: VecDeque<Entry>,
    /// Number of the first of `entries`.
    first_entry: u64,
    chunks: VecDeque<Vec<u8>>,
    /// Number of the first of `chunks`.
    first_chunk: u64,
    /// The chunk that was freed last, for reuse.
    spare: Option<Vec<u8>>,
    /// Bytes of the outcomes of all entries.
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

struct Entry {
    key: Digest,
    worker: Option<(AccountId, Arc<str>)>,
    until: Micros,
    chunk: u64,
    start: usize,
    length: usize,
}

impl OutcomeCache {
    /// An empty cache that keeps at most `entries_max` outcomes (none if zero) of `bytes_max` bytes together.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            index: HashMap::default(),
            entries: VecDeque::new(),
            first_entry: 0,
            chunks: VecDeque::new(),
            first_chunk: 0,
            spare: None,
            bytes: 0,
            entries_max,
            bytes_max,
        }
    }

    /// Whether nothing is ever kept.
    pub fn is_off(&self) -> bool {
        self.entries_max == 0
    }

    /// Whether an outcome is kept under this key.
    pub fn has(&self, key: Digest, now: Micros) -> bool {
        self.find(key).is_some_and(|entry| entry.until > now)
    }

    /// The outcome kept under this key.
    pub fn get(&self, key: Digest, now: Micros) -> Option<CacheEntry> {
        let entry = self.find(key).filter(|entry| entry.until > now)?;
        let chunk = self.chunks.get((entry.chunk - self.first_chunk) as usize)?;
        let outcome = chunk.get(entry.start..entry.start + entry.length)?;
        Some(CacheEntry { outcome: outcome.into(), worker: entry.worker.clone() })
    }

    /// Keeps an accepted outcome for `left`. An unexpired entry is not replaced: it was checked, and another right
    /// outcome would be equal or as good.
    pub fn insert(
        &mut self,
        key: Digest,
        outcome: &[u8],
        worker: Option<(AccountId, Arc<str>)>,
        now: Micros,
        left: Duration,
    ) {
        if self.is_off() || outcome.len() > self.bytes_max.min(CHUNK_BYTES) {
            return;
        }
        let number = self.first_entry + self.entries.len() as u64;
        match self.index.entry(key.first_u64()) {
            MapEntry::Occupied(mut kept) => {
                let it = self.entries.get((kept.get() - self.first_entry) as usize);
                if it.is_some_and(|it| it.key == key && it.until > now) {
                    return;
                }
                // A key with the same first 8 bytes, which is all but impossible, is replaced: its outcome is computed
                // again.
                kept.insert(number);
            }
            MapEntry::Vacant(place) => {
                place.insert(number);
            }
        }
        let (chunk, start) = self.store(outcome);
        let until = now.after(left);
        self.entries.push_back(Entry { key, worker, until, chunk, start, length: outcome.len() });
        self.bytes += outcome.len();
        while self.entries.len() > self.entries_max || self.bytes > self.bytes_max || self.oldest_is_over(now)
        {
            self.drop_oldest();
        }
    }

    /// Invalidates every outcome of a worker and returns how many there were. Their memory is freed when they are
    /// evicted in insertion order.
    pub fn forget_worker(&mut self, worker: AccountId) -> usize {
        let mut forgotten = 0;
        for (number, entry) in (self.first_entry..).zip(&self.entries) {
            let is_its = entry.worker.as_ref().is_some_and(|(account, _)| *account == worker);
            if is_its && self.index.get(&entry.key.first_u64()) == Some(&number) {
                self.index.remove(&entry.key.first_u64());
                forgotten += 1;
            }
        }
        forgotten
    }

    /// Invalidates the outcome under this key, if there is one. Its memory is freed when it is evicted.
    pub fn forget(&mut self, key: Digest) {
        if self.find(key).is_some() {
            self.index.remove(&key.first_u64());
        }
    }

    fn find(&self, key: Digest) -> Option<&Entry> {
        let number = self.index.get(&key.first_u64())?;
        self.entries.get((number - self.first_entry) as usize).filter(|entry| entry.key == key)
    }

    fn oldest_is_over(&self, now: Micros) -> bool {
        let is_over = |entry: &Entry| {
            entry.until <= now || self.index.get(&entry.key.first_u64()) != Some(&self.first_entry)
        };
        self.entries.front().is_some_and(is_over)
    }

    /// Appends an outcome's bytes; returns the number of the chunk and the offset in it.
    fn store(&mut self, outcome: &[u8]) -> (u64, usize) {
        let has_room = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= outcome.len();
        if !self.chunks.back().is_some_and(has_room) {
            let chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
            self.chunks.push_back(chunk);
        }
        let number = self.first_chunk + self.chunks.len() as u64 - 1;
        let Some(chunk) = self.chunks.back_mut() else { unreachable!("there is one with room") };
        let start = chunk.len();
        chunk.extend_from_slice(outcome);
        (number, start)
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        if let MapEntry::Occupied(holding) = self.index.entry(oldest.key.first_u64())
            && *holding.get() == self.first_entry
        {
            holding.remove();
        }
        self.bytes -= oldest.length;
        self.first_entry += 1;
        // Chunks are filled in entry order, so those before the oldest entry's are free.
        let needed = self.entries.front().map_or(u64::MAX, |entry| entry.chunk);
        while self.first_chunk < needed
            && let Some(mut done) = self.chunks.pop_front()
        {
            self.first_chunk += 1;
            done.clear();
            self.spare = Some(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> &'static [u8] {
        &[0; 200][..n]
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
        assert_eq!(cache.forget_worker(AccountId(1)), 0);
        assert!(cache.get(key(1), Micros(0)).is_none());
        assert!(cache.get(key(2), Micros(0)).is_some() && cache.get(key(3), Micros(0)).is_some());
        cache.insert(key(1), &[7], None, Micros(0), KEPT);
        assert_eq!(&*cache.get(key(1), Micros(0)).unwrap().outcome, &[7], "computed again by another");
        assert_eq!(cache.bytes, 3);
    }

    #[test]
    fn keys_that_begin_alike_are_not_mistaken_for_one_another() {
        let (mut near, mut far) = ([1; 32], [1; 32]);
        (near[31], far[31]) = (2, 3);
        let (near, far) = (Digest(near), Digest(far));
        let mut cache = OutcomeCache::new(8, 100);
        cache.insert(near, &[2], None, Micros(0), KEPT);
        assert!(cache.get(far, Micros(0)).is_none());
        cache.insert(far, &[3], None, Micros(0), KEPT);
        assert_eq!(&*cache.get(far, Micros(0)).unwrap().outcome, &[3]);
        assert!(cache.get(near, Micros(0)).is_none());
    }

    /// Random keys, some repeated before and some after they expire, in a small cache: it returns what a plain map
    /// would, unless evicted, and never exceeds its bounds.
    #[test]
    fn what_it_gives_back_is_what_it_was_given_last() {
        const ENTRIES: usize = 50;
        const BYTES: usize = 2 * CHUNK_BYTES;
        let mut cache = OutcomeCache::new(ENTRIES, BYTES);
        let mut model: HashMap<u8, (Vec<u8>, u64)> = HashMap::new();
        let mut random = 1_u64;
        let mut hits = 0;
        for now in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (random >> 40) as u8 % 90;
            let outcome = vec![now as u8; (random >> 50) as usize % (CHUNK_BYTES / 10)];
            let left = 1 + (random >> 33) % 300;
            if model.get(&number).is_none_or(|(_, until)| *until <= now)
                || cache.get(key(number), Micros(now)).is_none()
            {
                model.insert(number, (outcome.clone(), now + left));
            }
            cache.insert(key(number), &outcome, None, Micros(now), Duration::from_micros(left));
            assert!(cache.entries.len() <= ENTRIES && cache.bytes <= BYTES && cache.index.len() <= ENTRIES);
            assert!(
                cache.chunks.len() <= 2 + BYTES / (CHUNK_BYTES / 10 * 9),
                "{} chunks",
                cache.chunks.len()
            );
            for asked in 0..90 {
                let Some(kept) = cache.get(key(asked), Micros(now)) else { continue };
                hits += 1;
                assert_eq!(*kept.outcome, *model[&asked].0, "key {asked} at {now}");
            }
        }
        assert!(hits > 100_000, "{hits}");
    }
}
