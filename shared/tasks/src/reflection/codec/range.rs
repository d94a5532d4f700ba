//! An adaptive binary range coder: the odds of each bit are learnt from earlier bits.
//!
//! The arithmetic is that of LZMA's coder (Igor Pavlov); the odds adapt fast at first and slower with every
//! bit seen. Encoder and decoder implement one trait, [`Coder`], so that one function describes a stream both
//! ways.

/// Odds of a bit, learnt from those before it.
#[derive(Clone, Copy)]
pub(crate) struct Odds {
    /// Odds of a zero, in 65,536ths.
    zero: u16,
    /// Bits seen, up to [`SLOWEST`].
    seen: u8,
}

/// Bits after which the odds adapt no slower. Larger pays off where statistics do not change.
const SLOWEST: u8 = 60;
/// Odds keep this far from certainty, so that the other bit can always be coded.
const ODDS_MARGIN: i32 = 96;

/// How far odds move towards a bit, in 32,768ths, by the number of bits seen.
const PACE: [i32; SLOWEST as usize + 1] = {
    let mut pace = [0; SLOWEST as usize + 1];
    let mut seen = 0;
    while seen < pace.len() {
        pace[seen] = 65_536 / (2 * seen as i32 + 5);
        seen += 1;
    }
    pace
};

impl Default for Odds {
    fn default() -> Self {
        Self { zero: 1 << 15, seen: 0 }
    }
}

impl Odds {
    /// Initial odds of a one, in hundredths, known from other cubes: they count as a few bits seen.
    pub const fn known(one: u16) -> Self {
        Self { zero: ((100 - one as u32) * 655) as u16, seen: 3 }
    }

    fn learn(&mut self, bit: bool) {
        let target = if bit { 0 } else { 65_536 };
        let zero = i32::from(self.zero);
        let moved = zero + (((target - zero) * PACE[usize::from(self.seen)]) >> 15);
        self.zero = moved.clamp(ODDS_MARGIN, 65_536 - ODDS_MARGIN) as u16;
        self.seen += u8::from(self.seen < SLOWEST);
    }
}

/// Either end of a stream. The encoder writes the bit it is given and returns it; the decoder returns the bit it
/// reads, whatever it is given.
pub(crate) trait Coder {
    /// A bit with learnt odds.
    fn bit(&mut self, odds: &mut Odds, bit: bool) -> bool;
    /// `width` bits with even odds.
    fn even(&mut self, bits: u32, width: u32) -> u32;
    /// Marks the stream as one that the encoder never writes.
    fn refuse(&mut self);
}

/// The number from `low` to before `low + range`, less `low`, that ends a stream in the fewest bytes: the one
/// with most trailing zeros.
fn end(low: u32, range: u32) -> u32 {
    let beyond = |zeros: u32| low.wrapping_neg() & ((1 << zeros) - 1);
    (0..32).rev().map(beyond).find(|&beyond| beyond < range).unwrap_or(0)
}

/// Below this the range is extended by a byte.
const TOP: u32 = 1 << 24;

/// Writes a stream.
pub(crate) struct Encoder {
    low: u64,
    range: u32,
    /// The last byte and how many 0xff follow it: they wait for a carry.
    held: Option<u8>,
    waiting: u32,
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Self {
        Self { low: 0, range: u32::MAX, held: None, waiting: 0, bytes: Vec::new() }
    }

    fn shift(&mut self) {
        let carry = (self.low >> 32) as u8;
        if self.low < 0xff00_0000 || carry != 0 {
            if let Some(held) = self.held {
                self.bytes.push(held.wrapping_add(carry));
            }
            self.bytes.extend(std::iter::repeat_n(0xffu8.wrapping_add(carry), self.waiting as usize));
            self.waiting = 0;
            self.held = Some((self.low >> 24) as u8);
        } else {
            self.waiting += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn renew(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    /// The stream, without the zeros at its end: the decoder reads zeros there anyway.
    pub fn finish(mut self) -> Vec<u8> {
        self.low += u64::from(end(self.low as u32, self.range));
        (0..5).for_each(|_| self.shift());
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }
}

impl Coder for Encoder {
    fn bit(&mut self, odds: &mut Odds, bit: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(odds.zero);
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        odds.learn(bit);
        self.renew();
        bit
    }

    fn even(&mut self, bits: u32, width: u32) -> u32 {
        for place in (0..width).rev() {
            self.range >>= 1;
            self.low += u64::from(self.range) * u64::from(bits >> place & 1);
            self.renew();
        }
        bits
    }

    fn refuse(&mut self) {}
}

/// Reads a stream; past its end it reads zeros, so any bytes are some stream.
pub(crate) struct Decoder<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The encoder's `low`, without its carry.
    low: u32,
    range: u32,
    /// The value of the stream, less `low`.
    code: u32,
    refused: bool,
}

impl<'b> Decoder<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        let mut decoder = Self { bytes, at: 0, low: 0, range: u32::MAX, code: 0, refused: false };
        (0..4).for_each(|_| decoder.shift());
        decoder
    }

    fn shift(&mut self) {
        self.code = self.code << 8 | u32::from(self.bytes.get(self.at).copied().unwrap_or(0));
        self.at += 1;
    }

    fn renew(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.low <<= 8;
            self.shift();
        }
    }

    /// Whether something was read that the encoder does not write.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether the stream is exactly what the encoder would have written.
    pub fn at_end(&self) -> bool {
        !self.refused
            && self.bytes.len() <= self.at
            && self.bytes.last() != Some(&0)
            && self.code == end(self.low, self.range)
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, odds: &mut Odds, _: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(odds.zero);
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.low = self.low.wrapping_add(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        odds.learn(bit);
        self.renew();
        bit
    }

    fn even(&mut self, _: u32, width: u32) -> u32 {
        let mut bits = 0;
        for _ in 0..width {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
                self.low = self.low.wrapping_add(self.range);
            }
            bits = bits << 1 | u32::from(bit);
            self.renew();
        }
        bits
    }

    fn refuse(&mut self) {
        self.refused = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three kinds of skewed bits, each with its odds, and even bits between.
    fn pass<C: Coder>(coder: &mut C, bits: &mut [bool]) {
        let mut odds = [Odds::default(); 3];
        for (place, bit) in bits.iter_mut().enumerate() {
            *bit = match place % 4 {
                3 => coder.even(u32::from(*bit), 1) == 1,
                kind => coder.bit(&mut odds[kind], *bit),
            };
        }
    }

    #[test]
    fn bits_survive_and_rare_ones_are_cheap() {
        let mut state = 1u64;
        for (skew, length) in (1..40).zip([0, 1, 2, 7, 100, 5_000].into_iter().cycle()) {
            let mut bits: Vec<bool> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
                    (state >> 33).is_multiple_of(skew)
                })
                .collect();
            let original = bits.clone();
            let mut encoder = Encoder::new();
            pass(&mut encoder, &mut bits);
            let bytes = encoder.finish();
            assert!(length < 5_000 || skew < 20 || bytes.len() < 5_000 / 8 / 2, "{} bytes", bytes.len());
            bits.fill(false);
            let mut decoder = Decoder::new(&bytes);
            pass(&mut decoder, &mut bits);
            assert_eq!(bits, original);
            assert!(decoder.at_end());
            // Any accepted stream is the one that the encoder writes for its content.
            let mut taken = 0;
            for change in 0..=u8::MAX {
                let mut other = bytes.clone();
                if change.is_multiple_of(2) {
                    other.extend(vec![change; usize::from(change % 5)]);
                } else if let Some(last) = other.last_mut() {
                    *last ^= change;
                }
                let mut decoder = Decoder::new(&other);
                pass(&mut decoder, &mut bits);
                if decoder.at_end() {
                    taken += 1;
                    let mut encoder = Encoder::new();
                    pass(&mut encoder, &mut bits);
                    assert_eq!(encoder.finish(), other);
                }
            }
            assert!(taken < 256, "bytes after the end are not noticed");
        }
    }
}
