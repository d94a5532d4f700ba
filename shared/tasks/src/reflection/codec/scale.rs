//! Logarithms, powers of two and half floats out of `+ - * /` and the bits of floats, so that every machine has
//! the same.

/// Radiance that is added before taking the logarithm, so that black has one.
pub const RADIANCE_FLOOR: f32 = 1.0 / 4096.0;
/// Largest radiance of a channel that travels.
pub const TEXEL_MAX: f32 = 4096.0;
/// The largest [`level_of`]: just above 24.
pub(super) const LEVEL_MAX: f32 = 24.000_001;

/// Bits of √½: a mantissa below it is taken an octave lower, to keep the series' argument small.
const ROOT_HALF: i32 = 0x3f35_04f3;

/// log2 of a positive normal number, within 3e-7 plus rounding.
pub(super) fn log2(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let exponent = (bits - ROOT_HALF) >> 23;
    let mantissa = f32::from_bits((bits - (exponent << 23)) as u32);
    // The series of the inverse hyperbolic tangent, which converges fast near one.
    let f = (mantissa - 1.0) / (mantissa + 1.0);
    let s = f * f;
    exponent as f32 + f * (2.885_39 + s * (0.961_796_7 + s * (0.577_078 + s * 0.412_198_6)))
}

/// Two to the power of `y`, for `y` from -126 to 126, within a millionth of it.
pub(super) fn exp2(y: f32) -> f32 {
    // Truncation rounds down because the sum is positive.
    let whole = (y + 127.5) as i32 - 127;
    let x = (y - whole as f32) * std::f32::consts::LN_2;
    let series = 1.0
        + x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0))))));
    series * f32::from_bits(((whole + 127) as u32) << 23)
}

/// Octaves of a luminance above the floor: 0 for black, 24 for the largest that travels.
pub(crate) fn level_of(luminance: f32) -> f32 {
    log2(luminance + RADIANCE_FLOOR) + 12.0
}

/// Undoes [`level_of`]; 0 is exactly black.
pub(crate) fn luminance_of(level: f32) -> f32 {
    (exp2(level.clamp(0.0, LEVEL_MAX) - 12.0) - RADIANCE_FLOOR).max(0.0)
}

/// A channel clamped to what travels: NaN and negative values become 0.
pub(super) fn bounded(radiance: f32) -> f32 {
    if radiance.is_nan() { 0.0 } else { radiance.clamp(0.0, TEXEL_MAX) }
}

/// The half float nearest to `x`, ties to even; beyond the largest finite one, the largest. NaN is 0.
pub(in super::super) fn half(x: f32) -> u16 {
    const MAX: f32 = 65_504.0;
    if x.is_nan() {
        return 0;
    }
    let sign = ((x.to_bits() >> 16) & 0x8000) as u16;
    let magnitude = x.abs().min(MAX);
    // Below 2^-14 half floats are multiples of 2^-24: adding 1/2 leaves just these in the mantissa.
    if magnitude < 1.0 / 16_384.0 {
        return sign | (((magnitude + 0.5).to_bits() - 0.5f32.to_bits()) as u16);
    }
    let bits = magnitude.to_bits() - (112 << 23);
    let rounded = bits + 0xfff + ((bits >> 13) & 1);
    sign | (rounded >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number that a finite half float is; `None` for infinities and NaN.
    fn of_half(bits: u16) -> Option<f32> {
        let magnitude = u32::from(bits & 0x7fff);
        if magnitude >= 0x7c00 {
            return None;
        }
        let value = if magnitude < 0x400 {
            magnitude as f32 / 16_777_216.0
        } else {
            f32::from_bits((magnitude << 13) + (112 << 23))
        };
        Some(if bits & 0x8000 == 0 { value } else { -value })
    }

    #[test]
    fn logarithm_and_power_are_near_the_true_ones_and_undo_each_other() {
        for step in 0..200_000 {
            let y = step as f32 / 200_000.0 * 25.0 - 12.5;
            assert!((f64::from(exp2(y)) / f64::from(y).exp2() - 1.0).abs() < 1e-6, "2^{y}");
            let x = exp2(y);
            assert!((f64::from(log2(x)) - f64::from(x).log2()).abs() < 2e-6, "log2 {x}");
        }
        assert_eq!(luminance_of(level_of(0.0)), 0.0);
        assert_eq!(level_of(0.0), 0.0);
        assert!(level_of(TEXEL_MAX) < LEVEL_MAX);
    }

    #[test]
    fn half_floats_survive_and_round_to_the_nearest() {
        for bits in 0..=u16::MAX {
            match of_half(bits) {
                Some(value) => {
                    assert_eq!(half(value), bits, "{value}");
                    let next = of_half((bits & 0x7fff) + 1).unwrap_or(65_504.0);
                    let between = value.abs() + (next - value.abs()) * 0.49;
                    assert_eq!(half(between), bits & 0x7fff);
                }
                None => assert!(bits & 0x7fff >= 0x7c00),
            }
        }
        assert_eq!(half(f32::INFINITY), 0x7bff);
        assert_eq!(half(-1e9), 0xfbff);
        assert_eq!(half(f32::NAN), 0);
    }
}
