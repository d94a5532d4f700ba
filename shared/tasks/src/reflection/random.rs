//! The randomness of paths: a hash of where it is used, so that any texel can be traced alone and a GPU draws
//! the very same numbers. Integers only, 32 bits, wrapping.

/// One round of the PCG hash (O'Neill's RXS-M-XS as Jarzynski and Olano, 2020, recommend it for GPUs).
#[inline]
pub(super) const fn hash(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// A number in [0, 1), in steps of 2^-24.
#[inline]
pub(super) fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The numbers of a path's random draws, by purpose. Those of the first surface that a path meets are spread evenly
/// over a texel's samples.
pub(super) mod draw {
    /// Where in its texel a path starts, two numbers.
    pub const JITTER: u32 = 0;
    /// Which light is sampled.
    pub const LIGHT: u32 = 2;
    /// The direction in which the path goes on, two numbers.
    pub const LOBE: u32 = 3;
    /// The point of the light, two numbers.
    pub const LIGHT_POINT: u32 = 5;
    /// Whether the path goes on as in a mirror.
    pub const CHOICE: u32 = 7;
    /// Offset of the numbers of each later surface.
    pub const PER_SURFACE: u32 = 8;
}

/// Steps from sample to sample of the first eight numbers, in 2^-32: irrational and independent of one another
/// (Kronecker's sequence), the first two those of Roberts' R2.
pub(super) const STEPS: [u32; 8] =
    [0xc13f_a9a9, 0x91e1_0da5, 0x9e37_79b9, 0x6a09_e667, 0xbb67_ae85, 0x3c6e_f373, 0xa54f_f53b, 0x510e_527f];

/// The numbers of one path.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    texel: u32,
    sample: u32,
}

impl Draws {
    /// The numbers of path `sample` through the texel at `index` of the cube.
    pub fn new(seed: u32, index: u32, sample: u32) -> Self {
        Self { texel: hash(seed ^ hash(index)), sample }
    }

    /// Number `number` of the path, in [0, 1).
    #[inline]
    pub fn get(self, number: u32) -> f32 {
        let start = hash(self.texel.wrapping_add(number));
        unit(match STEPS.get(number as usize) {
            Some(step) => start.wrapping_add(self.sample.wrapping_mul(*step)),
            None => hash(start.wrapping_add(self.sample)),
        })
    }

    /// Number `number` and the next.
    #[inline]
    pub fn pair(self, number: u32) -> [f32; 2] {
        [self.get(number), self.get(number + 1)]
    }
}

/// Sine and cosine of `turns` whole turns, 0 to 1, to 4e-6, with + - and * alone: the same on every machine.
pub(super) fn sin_cos_turns(turns: f32) -> (f32, f32) {
    let around = turns - 0.5;
    // sin(2π·turns) is -sin(2π·around); fold to at most a quarter turn either way.
    let fold = |x: f32| {
        if x > 0.25 {
            0.5 - x
        } else if x < -0.25 {
            -0.5 - x
        } else {
            x
        }
    };
    (-sine(fold(around)), -sine(0.25 - around.abs()))
}

/// Taylor's series of sin(2πx) for x within a quarter.
fn sine(x: f32) -> f32 {
    let y = x * std::f32::consts::TAU;
    let square = y * y;
    y * (1.0
        + square
            * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5_040.0 + square * (1.0 / 362_880.0)))))
}
