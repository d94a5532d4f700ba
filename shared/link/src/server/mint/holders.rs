//! Who holds how many of the outstanding tokens, and who holds most.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use p2c2r_protocol::SeededHash;

/// How many tokens somebody holds, and the number of the oldest: who holds more is greater, and of those who hold as many
/// whoever holds the older one.
pub(super) type Holding = (usize, Reverse<u64>);

/// The numbers of outstanding tokens by holder; numbers grow with time, and each is of one holder.
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
    /// `holder` holds this number too.
    pub(super) fn add(&mut self, holder: K, number: u64) {
        self.change(holder, |held| {
            held.insert(number);
        });
    }

    /// `holder` holds this number no longer.
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

    /// What whoever holds most has.
    pub(super) fn most(&self) -> Option<Holding> {
        self.holdings.last().copied()
    }
}
