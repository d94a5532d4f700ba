//! Pending handshakes: strangers that have been sent a challenge and have not yet answered it.
//!
//! They are kept by token and not by address, so that a request with a spoofed address opens a handshake of
//! its own beside the stranger's. Each source has a share of the table, and its own oldest entry is evicted
//! for its next one: one source cannot evict another's.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::packet_source::PacketSource;
use crate::envelope::REQUEST_BYTES;
use crate::limits::{
    HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, HANDSHAKES_NARROW_MAX, HANDSHAKES_PORT_MAX, HANDSHAKES_WIDE_MAX,
};
use crate::seal::{CHALLENGE_BYTES, Token};
use crate::server::mint::{ProgramKey, Seal};

/// One pending handshake.
#[derive(Clone, Debug)]
pub(in crate::server) struct Handshake {
    pub(in crate::server) address: SocketAddr,
    pub(in crate::server) token: Token,
    /// The request as received, for renetcode once the address is proven.
    pub(in crate::server) request: Box<[u8; REQUEST_BYTES]>,
    /// The seal of its token, by which the mint identifies it.
    pub(super) seal: Seal,
    /// Whose token it is.
    pub(super) program: ProgramKey,
    /// A secret that only the receiver at this address can know.
    pub(super) challenge: [u8; CHALLENGE_BYTES],
    pub(super) answered_at: Duration,
    began_at: Duration,
}

impl Handshake {
    pub(super) fn new(
        now: Duration,
        address: SocketAddr,
        token: Token,
        (seal, program): (Seal, ProgramKey),
        request: &[u8; REQUEST_BYTES],
    ) -> Self {
        let mut challenge = [0; CHALLENGE_BYTES];
        challenge[..32].copy_from_slice(&renetcode::generate_random_bytes::<32>());
        let request = Box::new(*request);
        Self { address, token, request, seal, program, challenge, answered_at: now, began_at: now }
    }
}

/// All pending handshakes, each under a number that counts up: the first is the oldest.
#[derive(Default)]
pub(super) struct PendingHandshakes {
    all: BTreeMap<u64, Handshake>,
    by_token: HashMap<Seal, u64>,
    /// By /24 or /48, the oldest first.
    by_prefix: HashMap<u128, Vec<Place>>,
    numbered: u64,
}

#[derive(Clone, Copy)]
struct Place {
    number: u64,
    address: SocketAddr,
    narrow: u128,
}

impl PendingHandshakes {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The handshake of a token.
    pub(super) fn of_token(&mut self, seal: &Seal) -> Option<&mut Handshake> {
        self.by_token.get(seal).and_then(|number| self.all.get_mut(number))
    }

    /// Collects the numbers of the handshakes with an address into `numbers`.
    pub(super) fn with(&self, address: SocketAddr, numbers: &mut Vec<u64>) {
        numbers.clear();
        let places = self.by_prefix.get(&PacketSource::of(address.ip()).wide);
        numbers.extend(
            places.into_iter().flatten().filter(|place| place.address == address).map(|place| place.number),
        );
    }

    pub(super) fn get(&self, number: u64) -> Option<&Handshake> {
        self.all.get(&number)
    }

    /// Adds the handshake of a token that has no pending one; returns whether an older one was evicted.
    pub(super) fn begin(&mut self, handshake: Handshake) -> bool {
        let source = PacketSource::of(handshake.address.ip());
        let oldest = self.who_makes_room(handshake.address, source);
        if let Some(oldest) = oldest {
            self.end(oldest);
        }
        self.numbered += 1;
        let place = Place { number: self.numbered, address: handshake.address, narrow: source.narrow };
        self.by_prefix.entry(source.wide).or_default().push(place);
        self.by_token.insert(handshake.seal, self.numbered);
        self.all.insert(self.numbered, handshake);
        oldest.is_some()
    }

    fn who_makes_room(&self, address: SocketAddr, source: PacketSource) -> Option<u64> {
        let places = self.by_prefix.get(&source.wide).map_or(&[][..], Vec::as_slice);
        let mut of_port = places.iter().filter(|place| place.address == address);
        let oldest_of_port = of_port.next().map(|place| place.number);
        if of_port.count() + 1 >= HANDSHAKES_PORT_MAX {
            return oldest_of_port;
        }
        let mut of_narrow = places.iter().filter(|place| place.narrow == source.narrow);
        let oldest_of_narrow = of_narrow.next().map(|place| place.number);
        if of_narrow.count() + 1 >= HANDSHAKES_NARROW_MAX {
            return oldest_of_narrow;
        }
        if places.len() >= HANDSHAKES_WIDE_MAX {
            return places.first().map(|place| place.number);
        }
        let oldest = self.all.first_key_value().map(|(number, _)| *number);
        oldest.filter(|_| self.all.len() >= HANDSHAKES_MAX)
    }

    /// Removes a handshake.
    pub(super) fn end(&mut self, number: u64) -> Option<Handshake> {
        let handshake = self.all.remove(&number)?;
        self.by_token.remove(&handshake.seal);
        let wide = PacketSource::of(handshake.address.ip()).wide;
        if let Some(places) = self.by_prefix.get_mut(&wide) {
            places.retain(|place| place.number != number);
            if places.is_empty() {
                self.by_prefix.remove(&wide);
            }
        }
        Some(handshake)
    }

    /// Drops those that took too long.
    pub(super) fn forget_old(&mut self, now: Duration) {
        while let Some((number, oldest)) = self.all.first_key_value() {
            if now < oldest.began_at + HANDSHAKE_TIME_MAX {
                break;
            }
            let number = *number;
            self.end(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(address: [u8; 4], port: u16, number: u32) -> Handshake {
        let mut seal = [0; 16];
        seal[..4].copy_from_slice(&number.to_le_bytes());
        let token = Token { from_client: [0; 32], to_client: [0; 32] };
        let whose = (seal, (p2c2r_protocol::AccountKey([0; 32]), 0));
        Handshake::new(Duration::ZERO, (address, port).into(), token, whose, &[0; REQUEST_BYTES])
    }

    fn is_consistent(handshakes: &PendingHandshakes) -> bool {
        let places: usize = handshakes.by_prefix.values().map(Vec::len).sum();
        places == handshakes.all.len() && handshakes.by_token.len() == places
    }

    #[test]
    fn each_source_makes_room_for_its_own() {
        let mut handshakes = PendingHandshakes::default();
        handshakes.begin(handshake([192, 0, 2, 1], 1, 0));
        for number in 1..=1_000 {
            handshakes.begin(handshake([203, 0, 113, 1], number as u16, number));
        }
        assert_eq!(handshakes.len(), 1 + HANDSHAKES_NARROW_MAX);
        for number in 1_001..=2_000 {
            handshakes.begin(handshake([203, 0, 113, number as u8], 1, number));
        }
        assert_eq!(handshakes.len(), 1 + HANDSHAKES_WIDE_MAX);
        for number in 2_001..=2_100 {
            handshakes.begin(handshake([203, 0, 113, 9], 7, number));
        }
        let mut numbers = Vec::new();
        handshakes.with(([203, 0, 113, 9], 7).into(), &mut numbers);
        assert_eq!(numbers.len(), HANDSHAKES_PORT_MAX, "each is one more try to open a response with");
        handshakes.with(([192, 0, 2, 1], 1).into(), &mut numbers);
        assert_eq!(numbers.len(), 1, "the other prefix has lost nothing");
        assert!(is_consistent(&handshakes));
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_goes_first() {
        let mut handshakes = PendingHandshakes::default();
        for number in 0..10_000_u32 {
            let [_, _, c, d] = number.to_be_bytes();
            handshakes.begin(handshake([10, c, d, 1], 1, number));
        }
        assert_eq!(handshakes.len(), HANDSHAKES_MAX);
        let seal = |number: u32| handshake([0; 4], 0, number).seal;
        assert!(handshakes.of_token(&seal(9_999)).is_some() && handshakes.of_token(&seal(0)).is_none());
        assert!(is_consistent(&handshakes));
        handshakes.forget_old(HANDSHAKE_TIME_MAX);
        assert_eq!((handshakes.len(), is_consistent(&handshakes)), (0, true));
    }
}
