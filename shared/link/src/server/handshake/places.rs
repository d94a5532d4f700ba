//! The connections that each address and prefix holds, so that no source can take all places.

use std::collections::HashMap;

use p2c2r_protocol::SeededHash;

use super::packet_source::PacketSource;
use crate::limits::{PLACES_NARROW_LEAST, PLACES_WIDE_LEAST};
use crate::server::mint::ProgramKey;

/// Places taken, by program, by address and by prefix.
pub(super) struct Places {
    narrow_max: u32,
    wide_max: u32,
    all_max: usize,
    by_program: HashMap<ProgramKey, PacketSource, SeededHash>,
    taken: HashMap<u128, u32>,
}

impl Places {
    /// One address may hold an eighth of `all_max` places and one prefix a quarter, with a minimum.
    pub(super) fn new(all_max: usize) -> Self {
        Self {
            narrow_max: (all_max as u32 / 8).max(PLACES_NARROW_LEAST),
            wide_max: (all_max as u32 / 4).max(PLACES_WIDE_LEAST),
            all_max,
            by_program: HashMap::default(),
            taken: HashMap::new(),
        }
    }

    /// Whether a program at this source may be admitted. A place that it already holds is not counted, because it leaves
    /// that one on admission.
    pub(super) fn has_one_for(&self, source: PacketSource, program: ProgramKey) -> bool {
        let own = self.by_program.get(&program);
        let is_own = |key: u128| own.is_some_and(|own| own.narrow == key || own.wide == key);
        let taken = |key: u128| self.taken.get(&key).copied().unwrap_or_default() - u32::from(is_own(key));
        self.by_program.len() - usize::from(own.is_some()) < self.all_max
            && taken(source.narrow) < self.narrow_max
            && taken(source.wide) < self.wide_max
    }

    /// Records that a program that holds no place has been admitted.
    pub(super) fn take(&mut self, source: PacketSource, program: ProgramKey) {
        self.by_program.insert(program, source);
        for key in [source.narrow, source.wide] {
            *self.taken.entry(key).or_default() += 1;
        }
    }

    /// Records that a program has left its place.
    pub(super) fn give_back(&mut self, program: ProgramKey) {
        let Some(source) = self.by_program.remove(&program) else { return };
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
    use p2c2r_protocol::AccountKey;

    use super::*;

    fn source(b: u8, d: u8) -> PacketSource {
        PacketSource::of([203, b, 113, d].into())
    }

    fn program(number: u64) -> ProgramKey {
        (AccountKey([1; 32]), number)
    }

    #[test]
    fn one_address_and_one_prefix_have_a_share_of_the_places() {
        let mut places = Places::new(1_024);
        let next = |places: &Places| program(places.by_program.len() as u64);
        for _ in 0..128 {
            assert!(places.has_one_for(source(0, 1), next(&places)));
            places.take(source(0, 1), next(&places));
        }
        assert!(!places.has_one_for(source(0, 1), program(999)));
        for d in 0..128 {
            assert!(places.has_one_for(source(0, 2 + d), next(&places)));
            places.take(source(0, 2 + d), next(&places));
        }
        assert!(!places.has_one_for(source(0, 200), program(999)));
        assert!(places.has_one_for(source(1, 1), program(999)));
        places.give_back(program(0));
        assert!(places.has_one_for(source(0, 200), program(999)));
        for number in 1..256 {
            places.give_back(program(number));
        }
        assert_eq!(
            (places.by_program.len(), places.taken.len()),
            (0, 0),
            "nothing is kept of those who left"
        );
    }

    #[test]
    fn who_comes_back_needs_no_place_beside_its_own() {
        // The coordinator, a prefix or an address is full; each of those inside comes back from where it was, and from
        // elsewhere if that has room.
        for (all_max, addresses, elsewhere) in
            [(3, 3, source(9, 9)), (1_024, 256, source(0, 250)), (1_024, 1, source(0, 1))]
        {
            let mut places = Places::new(all_max);
            let at = |number: u64| source(0, (number % addresses) as u8);
            let inside = (0..).take_while(|number| {
                let has_place = places.has_one_for(at(*number), program(*number));
                if has_place {
                    places.take(at(*number), program(*number));
                }
                has_place
            });
            let inside = inside.count() as u64;
            assert!(!places.has_one_for(at(inside), program(inside)), "a newcomer finds no place");
            for number in 0..inside {
                assert!(places.has_one_for(at(number), program(number)), "{number} of {inside}");
                assert!(places.has_one_for(elsewhere, program(number)), "{number} of {inside}");
            }
        }
    }
}
