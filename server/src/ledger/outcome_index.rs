//! An index in memory of the outcomes on disk and their rows, so that the disk is read only for keys that it probably has.
//!
//! It has a fixed size and is built like a processor's cache: a key belongs to one set of four places, where the newest rows
//! stay. The writer's thread fills it and the app's thread asks it; neither waits for the other. It is a hint: a row that it
//! names may be gone or be another key's, and an outcome that it does not name is computed again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use p2c2r_protocol::Digest;

/// Sets, a power of two. With [`PLACES`] each the table knows a million outcomes in 8 MiB: more than the bytes kept on disk
/// have room for, unless outcomes are smaller than 2 KiB.
const SETS: usize = 1 << 18;
/// Places of a set. With one, every other outcome would be lost to one that falls into the same place.
const PLACES: usize = 4;
/// Outcomes that the table has room for.
pub(super) const KNOWN_MAX: usize = SETS * PLACES;

/// Bits of a row's number. Later rows, after a trillion outcomes, are not entered.
const ROW_BITS: u32 = 40;
const ROW_MAX: u64 = (1 << ROW_BITS) - 1;

/// Row numbers, each with a part of its key; zero is an empty place. Aligned, so that a look-up touches one cache line.
#[derive(Default)]
#[repr(align(32))]
struct Set([AtomicU64; PLACES]);

/// The table. It takes memory from [`OutcomeIndex::begin`] on.
#[derive(Default)]
pub(super) struct OutcomeIndex(OnceLock<Box<[Set]>>);

impl OutcomeIndex {
    /// Allocates the table. What was added before is not in it.
    pub fn begin(&self) {
        self.0.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
    }

    /// Adds an outcome that is on disk. If its set is full, the oldest outcome is dropped, which may be this one.
    pub fn add(&self, key: Digest, row: i64) {
        let Some((set, tag)) = self.set(key) else { return };
        let Some(row) = u64::try_from(row).ok().filter(|row| *row <= ROW_MAX) else { return };
        let row_in = |place: &&AtomicU64| place.load(Ordering::Relaxed) & ROW_MAX;
        let of_key = set.0.iter().find(|place| place.load(Ordering::Relaxed) >> ROW_BITS == tag);
        let Some(place) = of_key.or_else(|| set.0.iter().min_by_key(row_in)) else { return };
        if row_in(&place) < row {
            place.store(tag << ROW_BITS | row, Ordering::Relaxed);
        }
    }

    /// The row of the newest outcome under this key, or under another key with the same first bits.
    pub fn row(&self, key: Digest) -> Option<i64> {
        let (set, tag) = self.set(key)?;
        let held = set.0.iter().map(|place| place.load(Ordering::Relaxed));
        let row = held.filter(|held| held >> ROW_BITS == tag).map(|held| held & ROW_MAX).max()?;
        (row > 0).then_some(row as i64)
    }

    /// Removes a row that turned out to have no outcome under this key.
    pub fn forget(&self, key: Digest, row: i64) {
        let Some((set, tag)) = self.set(key) else { return };
        let held = tag << ROW_BITS | row as u64;
        for place in &set.0 {
            // If the writer has just put a newer row there, that one stays.
            let _ = place.compare_exchange(held, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The set of a key, and the part of the key that tells it from others there.
    fn set(&self, key: Digest) -> Option<(&Set, u64)> {
        let bits = key.first_u64();
        let set = self.0.get()?.get(bits as usize % SETS)?;
        Some((set, bits >> ROW_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that belongs to `set` and has `tag` there.
    fn key(set: u64, tag: u64) -> Digest {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(tag << ROW_BITS | set).to_le_bytes());
        Digest(key)
    }

    fn begun() -> OutcomeIndex {
        let index = OutcomeIndex::default();
        index.begin();
        index
    }

    #[test]
    fn it_knows_the_newest_row_of_a_key_whatever_order_they_come_in() {
        let index = OutcomeIndex::default();
        index.add(key(1, 1), 1);
        assert_eq!(index.row(key(1, 1)), None, "nothing is known before it begins");
        index.begin();
        for row in [2, 9, 5] {
            index.add(key(1, 1), row);
        }
        assert_eq!((index.row(key(1, 1)), index.row(key(1, 2)), index.row(key(2, 1))), (Some(9), None, None));
        assert_eq!(index.row(key(1, 0)), None, "an empty place is no key's");
        index.forget(key(1, 1), 5);
        assert_eq!(index.row(key(1, 1)), Some(9), "a newer row stays");
        index.forget(key(1, 1), 9);
        assert_eq!(index.row(key(1, 1)), None);
    }

    #[test]
    fn the_oldest_of_a_set_goes() {
        let index = begun();
        for tag in [3, 1, 4, 2] {
            index.add(key(7, tag), 10 + tag as i64);
        }
        index.add(key(8, 1), 1);
        index.add(key(7, 9), 5);
        assert_eq!(index.row(key(7, 9)), None, "older than all that are there");
        index.add(key(7, 5), 20);
        let known: Vec<_> = (1..=5).map(|tag| index.row(key(7, tag))).collect();
        assert_eq!(known, [None, Some(12), Some(13), Some(14), Some(20)]);
        assert_eq!(index.row(key(8, 1)), Some(1), "another set");
    }

    #[test]
    fn rows_beyond_its_numbers_are_not_known() {
        let index = begun();
        index.add(key(1, 1), 1 << ROW_BITS);
        index.add(key(1, 2), -1);
        assert_eq!((index.row(key(1, 1)), index.row(key(1, 2))), (None, None));
    }

    #[test]
    fn it_knows_most_of_what_fills_half_of_it() {
        let index = begun();
        let of = |number: u64| Digest::of(&number.to_le_bytes());
        let half = KNOWN_MAX as u64 / 2;
        for number in 1..=half {
            index.add(of(number), number as i64);
        }
        let known = (1..=half).filter(|number| index.row(of(*number)) == Some(*number as i64)).count() as u64;
        assert!(known > half / 100 * 94, "{known} of {half}");
    }
}
