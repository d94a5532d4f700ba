//! The hashes of the maps on the path of every task, where the standard library's hash is too slow.

use std::hash::{BuildHasherDefault, Hasher};

/// For keys that strangers choose. Its seeds (one of the program, from its memory layout and the clock, and one of
/// each map) are not visible on the network, so a peer cannot make up keys that collide. Unlike the standard
/// library's SipHash it makes no cryptographic promise, so every map with this hash is bounded.
pub type SeededHash = foldhash::fast::RandomState;

/// Builds [`NumberHasher`]s. Only for keys that no stranger can choose: it does not resist deliberate
/// collisions.
pub type NumberHash = BuildHasherDefault<NumberHasher>;

/// Multiplies by the golden ratio (Knuth, TAOCP 6.4), which spreads consecutive numbers over the high bits.
#[derive(Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        // The map takes its buckets from the low bits and its tags from the high ones: mix the high bits into
        // the low ones.
        self.0 ^ (self.0 >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
    fn write_i64(&mut self, number: i64) {
        self.write_u64(number as u64);
    }
}
