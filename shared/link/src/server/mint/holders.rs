//! Counts the outstanding tokens of each holder, and finds the holder of most.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use p2c2r_protocol::SeededHash;

/// The number of tokens that a holder has, and the number under which its oldest one is recorded. The greatest is the
/// holder with most tokens; among equals, the one with the oldest token.
pub(super) type Holding = (usize, Reverse<u64>);

/// The numbers of outstanding tokens by holder; numbers grow with time, and each has one holder.
pub(super) struct Holders<K> {
    held: HashMap<K, BTreeSet<u64>, SeededHash>,
    holdings: BTreeSet<Holding>,
}

impl<K> Default for Holders<K> {
    fn default() -> Self {
        Self { held: HashMap::default(), holdings: BTreeSet::new() }
    }
}

fn holding(held: &BTreeSet<u64>) -> Option<Holding> {
    held.first().map(|oldest| (held.len(), Reverse(*oldest)))
}

impl<K: Copy + Eq + Hash> Holders<K> {
    /// Records that `holder` holds this number.
    pub(super) fn add(&mut self, holder: K, number: u64) {
        self.change(holder, |held| {
            held.insert(number);
        });
    }

    /// Records that `holder` does not hold this number.
    pub(super) fn remove(&mut self, holder: K, number: u64) {
        self.change(holder, |held| {
            held.remove(&number);
        });
    }

    fn change(&mut self, holder: K, change: impl FnOnce(&mut BTreeSet<u64>)) {
        let held = self.held.entry(holder).or_default();
        if let Some(before) = holding(held) {
            self.holdings.remove(&before);
        }
        change(held);
        match holding(held) {
            Some(after) => {
                self.holdings.insert(after);
            }
            None => {
                self.held.remove(&holder);
            }
        }
    }

    /// The numbers that `holder` holds.
    pub(super) fn of(&self, holder: K) -> impl Iterator<Item = u64> {
        self.held.get(&holder).into_iter().flatten().copied()
    }

    /// The holding of the holder with most tokens.
    pub(super) fn most(&self) -> Option<Holding> {
        self.holdings.last().copied()
    }
}
