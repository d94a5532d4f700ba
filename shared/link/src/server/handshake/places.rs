//! The connections that each address and prefix holds, so that no source can take all places.

use std::collections::HashMap;

use super::packet_source::PacketSource;
use crate::limits::{PLACES_NARROW_LEAST, PLACES_WIDE_LEAST};

/// Places taken, by address and by prefix.
pub(super) struct Places {
    narrow_max: u32,
    wide_max: u32,
    all_max: u32,
    all: u32,
    taken: HashMap<u128, u32>,
}

impl Places {
    /// One address may hold an eighth of `all_max` places and one prefix a quarter, with a minimum.
    pub(super) fn new(all_max: usize) -> Self {
        let all_max = all_max as u32;
        Self {
            narrow_max: (all_max / 8).max(PLACES_NARROW_LEAST),
            wide_max: (all_max / 4).max(PLACES_WIDE_LEAST),
            all_max,
            all: 0,
            taken: HashMap::new(),
        }
    }

    /// Whether this source may have one more.
    pub(super) fn has_one_for(&self, source: PacketSource) -> bool {
        let taken = |key: u128| self.taken.get(&key).copied().unwrap_or_default();
        self.all < self.all_max
            && taken(source.narrow) < self.narrow_max
            && taken(source.wide) < self.wide_max
    }

    pub(super) fn take(&mut self, source: PacketSource) {
        self.all += 1;
        for key in [source.narrow, source.wide] {
            *self.taken.entry(key).or_default() += 1;
        }
    }

    pub(super) fn give_back(&mut self, source: PacketSource) {
        self.all = self.all.saturating_sub(1);
        for key in [source.narrow, source.wide] {
            let Some(taken) = self.taken.get_mut(&key) else { continue };
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_one_prefix_have_a_share_of_the_places() {
        let mut places = Places::new(1_024);
        let source = |b: u8, d: u8| PacketSource::of([203, b, 113, d].into());
        for _ in 0..128 {
            assert!(places.has_one_for(source(0, 1)));
            places.take(source(0, 1));
        }
        assert!(!places.has_one_for(source(0, 1)));
        for d in 0..128 {
            assert!(places.has_one_for(source(0, 2 + d)));
            places.take(source(0, 2 + d));
        }
        assert!(!places.has_one_for(source(0, 200)) && places.has_one_for(source(1, 1)));
        places.give_back(source(0, 1));
        assert!(places.has_one_for(source(0, 200)));
        for _ in 1..128 {
            places.give_back(source(0, 1));
        }
        for d in 0..128 {
            places.give_back(source(0, 2 + d));
        }
        assert_eq!((places.all, places.taken.len()), (0, 0), "nothing is kept of those who left");
    }
}
