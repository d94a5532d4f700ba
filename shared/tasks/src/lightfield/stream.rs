//! A field as an entropy-coded stream: each number is coded as its difference from a prediction by its base
//! or its neighbours.

use super::field::{Coded, LEVEL_MAX, LEVELS, LightField, NUMBERS, SHARE_MAX};
use crate::reflection::{Coder, Decoder, Encoder, Odds};

/// Context classes, by how far the neighbours were from their predictions.
const CLASSES: usize = 6;
/// Differences below this are coded in unary with learnt odds; larger ones as a bit count and the bits.
const UNARY: usize = 10;
/// Most bits of the remainder of a difference.
const TAIL_BITS: usize = 10;
const _: () = assert!((LEVEL_MAX as usize) < 1 << TAIL_BITS);

/// Odds of a difference's parts in one class.
#[derive(Clone, Copy)]
struct Model {
    unary: [Odds; UNARY],
    sign: Odds,
    tail: [Odds; TAIL_BITS + 1],
}

impl Model {
    fn new() -> Self {
        let even = Odds::default();
        Self { unary: [even; UNARY], sign: even, tail: [even; TAIL_BITS + 1] }
    }
}

/// The odds of a whole stream: by group of numbers (levels, shares) and class, and of unchanged probes.
struct Models {
    numbers: [[Model; CLASSES]; 2],
    still: [Odds; 3],
}

/// Codes a difference.
fn difference<C: Coder>(coder: &mut C, model: &mut Model, value: i16) -> i16 {
    let size = usize::from(value.unsigned_abs());
    let mut found = 0;
    while found < UNARY && coder.bit(&mut model.unary[found], size > found) {
        found += 1;
    }
    if found == 0 {
        return 0;
    }
    if found == UNARY {
        // One more than the remainder, so that it has a highest bit.
        let rest = (size.max(UNARY) - UNARY + 1) as u32;
        let bits = rest.ilog2() as usize;
        let mut width = 0;
        while width < TAIL_BITS && coder.bit(&mut model.tail[width], bits > width) {
            width += 1;
        }
        let low = coder.even(rest & ((1 << width) - 1), width as u32);
        found = UNARY + ((1 << width | low) - 1) as usize;
    }
    let is_negative = coder.bit(&mut model.sign, value < 0);
    if is_negative { -(found as i16) } else { found as i16 }
}

fn class(sum: u32) -> usize {
    match sum {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=7 => 3,
        8..=15 => 4,
        _ => 5,
    }
}

/// The prediction of a number without a base, from its neighbours.
fn beside(probes: &[Coded], number: usize, across: usize, part: usize) -> i16 {
    let left = (!number.is_multiple_of(across)).then(|| probes[number - 1][part]);
    let up = (number >= across).then(|| probes[number - across][part]);
    match (left, up) {
        (Some(left), Some(up)) => {
            let corner = probes[number - across - 1][part];
            // The median of the three, as in LOCO-I (Weinberger, Seroussi, Sapiro).
            (left + up - corner).clamp(left.min(up), left.max(up))
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => 0,
    }
}

/// Codes all probes: the encoder reads `probes`, the decoder writes them.
fn pass<C: Coder>(coder: &mut C, probes: &mut [Coded], across: usize, base: Option<&[Coded]>) {
    let mut models = Models { numbers: [[Model::new(); CLASSES]; 2], still: [Odds::default(); 3] };
    // Differences already coded, which choose the class of the next ones.
    let mut differences = vec![[0_i16; NUMBERS]; probes.len()];
    for number in 0..probes.len() {
        let before = |back: usize| number.checked_sub(back).map(|at| differences[at]).unwrap_or_default();
        let (left, up) = (before(1), before(across));
        if let Some(base) = base {
            let moved = usize::from(left != [0; NUMBERS]) + usize::from(up != [0; NUMBERS]);
            if coder.bit(&mut models.still[moved], probes[number] == base[number]) {
                probes[number] = base[number];
                continue;
            }
        }
        let size = |value: i16| u32::from(value.unsigned_abs());
        for part in 0..NUMBERS {
            let expected = match base {
                Some(base) => base[number][part],
                None => beside(&probes[..number], number, across, part),
            };
            // Colours change together, and so do neighbouring probes.
            let before = if part.is_multiple_of(3) { 0 } else { 2 * size(differences[number][part - 1]) };
            let class = class(before + size(left[part]) + size(up[part]));
            let model = &mut models.numbers[usize::from(part >= LEVELS)][class];
            let found = difference(coder, model, probes[number][part].wrapping_sub(expected));
            differences[number][part] = found;
            let range = if part < LEVELS { 0..=LEVEL_MAX } else { -SHARE_MAX..=SHARE_MAX };
            let value = expected + found;
            // A black probe has no direction.
            let is_dark = part >= LEVELS && probes[number][part % 3] == 0;
            if !range.contains(&value) || is_dark && value != 0 {
                coder.refuse();
            }
            probes[number][part] = if is_dark { 0 } else { value.clamp(*range.start(), *range.end()) };
        }
        if base.is_some_and(|base| probes[number] == base[number]) {
            // An unchanged probe has a shorter encoding, so this one is not canonical.
            coder.refuse();
        }
    }
}

/// The stream of a field, as changes of `base` or whole. A base has as many probes.
pub(super) fn pack(field: &LightField, base: Option<&LightField>) -> Vec<u8> {
    let mut coder = Encoder::new();
    pass(&mut coder, &mut field.probes.clone(), field.across, base.map(|base| &base.probes[..]));
    coder.finish()
}

/// The field of a stream; `None` if the stream is not exactly what [`pack`] makes of that field.
pub(super) fn unpack(
    bytes: &[u8],
    count: usize,
    across: usize,
    base: Option<&LightField>,
) -> Option<LightField> {
    let mut coder = Decoder::new(bytes);
    let mut probes = vec![[0; NUMBERS]; count];
    pass(&mut coder, &mut probes, across, base.map(|base| &base.probes[..]));
    coder.at_end().then_some(LightField { probes, across })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(seed: u64, count: usize, across: usize, wild: bool) -> LightField {
        let mut state = seed;
        let mut next = |end: i16| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            ((state >> 40) as u16 & 0x7fff) as i16 % end
        };
        let probes = (0..count)
            .map(|number| {
                let mut numbers = [0; NUMBERS];
                for level in &mut numbers[..LEVELS] {
                    *level = if wild { next(LEVEL_MAX + 1) } else { 100 + (number / 9) as i16 + next(3) };
                }
                for part in LEVELS..NUMBERS {
                    let share = if wild { next(2 * SHARE_MAX + 1) - SHARE_MAX } else { next(3) };
                    numbers[part] = if numbers[part % 3] == 0 { 0 } else { share };
                }
                numbers
            })
            .collect();
        LightField { probes, across }
    }

    #[test]
    fn any_field_survives_whole_and_as_changes() {
        for (seed, count, across, wild) in [
            (1, 256, 16, false),
            (2, 300, 300, true),
            (3, 4_096, 64, true),
            (4, 256, 1, true),
            (5, 27, 9, false),
        ] {
            let (ours, other) = (field(seed, count, across, wild), field(seed + 9, count, across, wild));
            for base in [None, Some(&other), Some(&ours)] {
                let bytes = pack(&ours, base);
                assert_eq!(unpack(&bytes, count, across, base).as_ref(), Some(&ours));
                assert_eq!(unpack(&[&bytes[..], &[7]].concat(), count, across, base), None);
            }
            let whole = pack(&ours, None).len();
            assert!(pack(&ours, Some(&ours)).len() < 32, "nothing changed");
            assert!(whole <= count * 12, "{whole} bytes of {count} probes");
        }
    }

    #[test]
    fn a_stream_that_decodes_is_the_one_that_its_field_makes() {
        let (ours, base) = (field(1, 40, 8, false), field(2, 40, 8, false));
        let mut decoded = 0;
        for base in [None, Some(&base)] {
            let bytes = pack(&ours, base);
            for place in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[place / 8] ^= 1 << (place % 8);
                if let Some(field) = unpack(&other, 40, 8, base) {
                    decoded += 1;
                    assert_eq!(pack(&field, base), other);
                }
            }
        }
        assert!(decoded > 0, "no change of a bit makes another field");
    }
}
