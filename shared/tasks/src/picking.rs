//! Picks the parts of an answer that a deep check computes again, from its seed.

/// The golden ratio's fractional part, 64 bits.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number below `count` that the seed picks; 0 if `count` is 0. Neighbouring seeds pick unrelated numbers, because
/// multiples of the golden ratio are spread evenly.
pub(crate) fn one_of(count: usize, seed: u64) -> usize {
    let spread = u128::from(seed.wrapping_mul(GOLDEN_RATIO));
    ((spread * count as u128) >> 64) as usize
}

/// SplitMix64's next number (Steele, Lea and Flood 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN_RATIO);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Adds numbers below `count` that the seed picks, none twice, until `picked` has `wanted` of them, or all.
pub(crate) fn pick(picked: &mut Vec<usize>, wanted: usize, count: usize, seed: &mut u64) {
    while picked.len() < wanted.min(count) {
        let number = (next(seed) % count as u64) as usize;
        if !picked.contains(&number) {
            picked.push(number);
        }
    }
}
