//! What is answered: a cube and its filtered levels, packed, and the irradiance.
//!
//! A traced cube of 32 takes some 2.6 KB alone and 3.6 KB with all its levels, at 41 dB of log-luminance. Filtered levels
//! save whoever uses the probe 0.4 ms of a core ([`Probe::filtered`] gives the same but for their rounding),
//! and cost 0.9 KB, 7 ms of a link of 1 Mbit/s. The face of 64 takes 6.8 or 9.3 KB, filters in 3 ms; of 16,
//! 0.9 or 1.3 KB, 0.1 ms. Unfolding takes 0.2 to 0.4 ms at 32. Measured by `benches/probe.rs`.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use thiserror::Error;

use super::codec::{self, Block, FACE_MAX, Level, STEPS, Steps};
use super::cube::CubeMap;
use super::filter::{Irradiance, filter};
use super::probe::Probe;
use super::threads::Threads;
use super::units::{FILTER_STEPS, PACK_STEPS};
use crate::fuel::{Fuel, Stop};
use crate::kind::KernelError;

/// Logarithm of the largest face that travels.
pub const FACE_LOG2_MAX: u8 = FACE_MAX.ilog2() as u8;

/// Bytes that the stream of a face of `2^n` may have, for every `n`. A cube that would take more travels with coarser
/// steps: the link has 125 bytes a millisecond.
const STREAM_BYTES_MAX: [usize; FACE_LOG2_MAX as usize + 1] =
    [256, 256, 512, 1_024, 4_096, 12_000, 32_000, 60_000];
/// Bytes before the stream: size and levels, coarseness, irradiance, length.
const HEAD_BYTES: usize = 2 + 54 + 2;
/// With coarser steps than the finest a stream has at least this part of what is allowed, so that nobody can make his
/// work vague and say that it had to be. An honest one has: the next finer steps took more than is allowed, which is over
/// two bits a coefficient, and steps √2 as wide save half a bit of each.
const FULL_SHARE: usize = 2;

/// Coarsest steps of a face of `2^n`: what the wildest cube needs that a test packs, and one to spare.
const COARSENESS_MAX: [u8; FACE_LOG2_MAX as usize + 1] = [0, 0, 0, 0, 1, 1, 3, 9];

const _: () = assert!(STREAM_BYTES_MAX[FACE_LOG2_MAX as usize] + HEAD_BYTES <= OUTCOME_BYTES_MAX);
const _: () = assert!(STREAM_BYTES_MAX[FACE_LOG2_MAX as usize] <= u16::MAX as usize);

/// Why an outcome is no probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The stream is not one that the encoder writes.
    #[error("the stream does not end where its levels do")]
    Stream,
    /// The steps are coarser than the size of the stream explains.
    #[error("steps coarser than they need to be")]
    Coarse,
    /// A filtered level is not what filtering the sharp one gives.
    #[error("level {0} is not the filtered sharp level")]
    Filtered(u8),
    /// The irradiance is not that of the sharp level.
    #[error("the irradiance is not that of the sharp level")]
    Irradiance,
}

/// What is answered: a probe, packed. What it holds is only known once it is unfolded ([`ReflectionOutcome::unfold`]).
///
/// On the wire: face and levels in a byte, coarseness in one, 27 half floats of irradiance, two bytes of length,
/// the stream. Every value has exactly one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReflectionOutcome {
    face_log2: u8,
    levels: u8,
    coarseness: u8,
    irradiance: [[u16; 3]; 9],
    stream: Vec<u8>,
}

impl ReflectionOutcome {
    /// Filters and packs a cube, whose face is a power of two up to 128; `levels` counts the sharp one and is cut to
    /// those that the face has.
    ///
    /// What is filtered is the cube as it will be unfolded, so that everyone can filter it again and must find
    /// the same.
    ///
    /// # Panics
    /// If the face is larger or no power of two: specs that ask for such are not admitted.
    pub fn of(levels: u8, cube: &CubeMap) -> Self {
        Self::endlessly(levels, cube, Threads::This)
    }

    /// [`ReflectionOutcome::of`] on rayon's threads; the same outcome, bit for bit.
    ///
    /// # Panics
    /// As [`ReflectionOutcome::of`].
    pub fn of_parallel(levels: u8, cube: &CubeMap) -> Self {
        Self::endlessly(levels, cube, Threads::All)
    }

    fn endlessly(levels: u8, cube: &CubeMap, threads: Threads) -> Self {
        let never = Stop::never();
        let packed = Self::within(levels, cube, &mut Fuel::endless(&never), threads);
        packed.unwrap_or_else(|_| unreachable!("fuel without end that nobody stops"))
    }

    /// [`ReflectionOutcome::of`], unless the fuel ends or somebody stops it.
    pub(super) fn within(
        levels: u8,
        cube: &CubeMap,
        fuel: &mut Fuel<'_>,
        threads: Threads,
    ) -> Result<Self, KernelError> {
        let face = cube.face();
        assert!(face.is_power_of_two() && face <= FACE_MAX, "a face of {face} texels' edge does not travel");
        let face_log2 = face.ilog2() as u8;
        let levels = levels.clamp(1, face_log2 + 1);
        let max = STREAM_BYTES_MAX[usize::from(face_log2)];
        let texels = cube.texels().len() as u64;
        let mut coarseness = 0;
        loop {
            // Each time anew: a cube of noise is packed up to ten times before it fits.
            fuel.spend(texels * (PACK_STEPS + if levels > 1 { FILTER_STEPS } else { 0 }))?;
            let (mut coefficients, irradiance) = Coefficients::of(levels, cube, coarseness, threads);
            let stream = codec::pack(&mut coefficients.levels);
            if stream.len() <= max || coarseness + 1 == STEPS {
                let irradiance = irradiance.map(|c| c.map(codec::half));
                return Ok(Self { face_log2, levels, coarseness, irradiance, stream });
            }
            coarseness += 1;
        }
    }

    /// Texels along the edge of a face.
    pub fn face(&self) -> u32 {
        1 << self.face_log2
    }

    /// Levels, the sharp one among them.
    pub fn levels(&self) -> u8 {
        self.levels
    }

    /// Bytes of its encoding.
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + self.stream.len()
    }

    /// The texels. Bounded in time and memory by [`ReflectionOutcome::face`], whatever the stream holds: the worst that was
    /// found takes 50 ms and 3 MB at 128, a sixteenth at 32.
    pub fn unfold(&self) -> Result<Probe, ProbeError> {
        let coefficients = self.coefficients()?;
        let levels = coefficients.levels.iter().map(|level| level.dequantise(Threads::This)).collect();
        Ok(Probe { levels, irradiance: self.irradiance() })
    }

    /// The quantised coefficients, for those who judge.
    pub(crate) fn coefficients(&self) -> Result<Coefficients, ProbeError> {
        let face_log2 = usize::from(self.face_log2);
        if self.coarseness > COARSENESS_MAX[face_log2]
            || self.coarseness > 0 && self.stream.len() < STREAM_BYTES_MAX[face_log2] / FULL_SHARE
        {
            return Err(ProbeError::Coarse);
        }
        let levels = codec::unpack(&self.stream, self.face(), self.levels, self.coarseness);
        Ok(Coefficients { levels: levels.ok_or(ProbeError::Stream)? })
    }

    /// Whether filtered levels and irradiance are just what the sharp level gives. Takes `coefficients`, which are this
    /// outcome's, so that they need not be unpacked twice.
    pub(crate) fn levels_agree(&self, coefficients: &Coefficients) -> Result<(), ProbeError> {
        let (filtered, irradiance) =
            filter(&coefficients.levels[0].dequantise(Threads::This), self.levels, Threads::This);
        for (index, (level, cube)) in coefficients.levels[1..].iter().zip(&filtered).enumerate() {
            if *level != Level::quantise(cube, level.steps(), Threads::This) {
                return Err(ProbeError::Filtered(index as u8 + 1));
            }
        }
        if irradiance.map(|c| c.map(codec::half)) != self.irradiance {
            return Err(ProbeError::Irradiance);
        }
        Ok(())
    }

    fn irradiance(&self) -> Irradiance {
        // Halves that are not finite do not get past the decoder.
        self.irradiance.map(|coefficient| coefficient.map(|bits| codec::of_half(bits).unwrap_or(0.0)))
    }
}

/// What an outcome says, texel by texel still in quantised coefficients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coefficients {
    levels: Vec<Level>,
}

impl Coefficients {
    fn of(levels: u8, cube: &CubeMap, coarseness: u8, threads: Threads) -> (Self, Irradiance) {
        let sharp = Level::quantise(cube, Steps::new(coarseness, false), threads);
        let (filtered, irradiance) = filter(&sharp.dequantise(threads), levels, threads);
        let steps = Steps::new(coarseness, true);
        let filtered = filtered.iter().map(|cube| Level::quantise(cube, steps, threads));
        (Self { levels: std::iter::once(sharp).chain(filtered).collect() }, irradiance)
    }

    /// How the sharp level's coefficients were rounded.
    pub fn steps(&self) -> Steps {
        self.levels[0].steps()
    }

    /// Macroblocks along the edge of the sharp level's faces.
    pub fn across(&self) -> usize {
        self.levels[0].across()
    }

    /// A macroblock of the sharp level.
    pub fn block(&self, face: usize, bx: usize, by: usize) -> &Block {
        self.levels[0].block(face, bx, by)
    }
}

impl Encode for ReflectionOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let writer = encoder.writer();
        writer.write(&[self.face_log2 << 4 | (self.levels - 1), self.coarseness])?;
        for half in self.irradiance.as_flattened() {
            writer.write(&half.to_le_bytes())?;
        }
        writer.write(&(self.stream.len() as u16).to_le_bytes())?;
        writer.write(&self.stream)
    }
}

impl<Context> Decode<Context> for ReflectionOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decoder.claim_bytes_read(HEAD_BYTES)?;
        let mut head = [0; HEAD_BYTES];
        decoder.reader().read(&mut head)?;
        let (face_log2, levels, coarseness) = (head[0] >> 4, (head[0] & 15) + 1, head[1]);
        if face_log2 > FACE_LOG2_MAX || levels > face_log2 + 1 || coarseness >= STEPS {
            return Err(DecodeError::Other("a probe of no size, or steps that there are not"));
        }
        let mut halves = head[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let mut irradiance = [[0; 3]; 9];
        for half in irradiance.as_flattened_mut() {
            *half = halves.next().unwrap_or_default();
            if codec::of_half(*half).is_none() {
                return Err(DecodeError::Other("an irradiance that is not finite"));
            }
        }
        let length = usize::from(halves.next().unwrap_or_default());
        if length > STREAM_BYTES_MAX[usize::from(face_log2)] {
            return Err(DecodeError::Other("a stream longer than its face allows"));
        }
        decoder.claim_bytes_read(length)?;
        // At most 60,000 bytes, so it may be reserved before it is known to be there.
        let mut stream = vec![0; length];
        decoder.reader().read(&mut stream)?;
        Ok(Self { face_log2, levels, coarseness, irradiance, stream })
    }
}

bincode::impl_borrow_decode!(ReflectionOutcome);

#[cfg(test)]
mod tests {
    use super::super::codec::{block_texels, dequantise_block, quantise_block};
    use super::*;

    /// A cube with something to see everywhere.
    fn cube(face: u32) -> CubeMap {
        let mut cube = CubeMap::black(face);
        for (place, texel) in cube.texels_mut().iter_mut().enumerate() {
            let at = place as u32;
            *texel = [at.wrapping_mul(2_654_435_761), at * 977, at * 13].map(|n| (n % 1_000) as f32 / 200.0);
        }
        cube
    }

    #[test]
    fn any_macroblock_is_what_its_texels_give_alone() {
        for face in [64, 32, 16, 8, 4, 2, 1] {
            let cube = cube(face);
            let outcome = ReflectionOutcome::of(1, &cube);
            let coefficients = outcome.coefficients().unwrap();
            let unfolded = outcome.unfold().unwrap();
            for face in 0..6 {
                for place in 0..coefficients.across() * coefficients.across() {
                    let (bx, by) = (place % coefficients.across(), place / coefficients.across());
                    let block = quantise_block(&block_texels(&cube, face, bx, by), coefficients.steps());
                    assert_eq!(coefficients.block(face, bx, by), &block);
                    let texels = dequantise_block(&block, coefficients.steps());
                    assert_eq!(texels, block_texels(&unfolded.levels[0], face, bx, by));
                }
            }
        }
    }

    #[test]
    fn honest_levels_agree_and_any_other_do_not() {
        let honest = ReflectionOutcome::of(6, &cube(32));
        let coefficients = honest.coefficients().unwrap();
        honest.levels_agree(&coefficients).unwrap();
        for index in 1..6 {
            let mut lie = coefficients.clone();
            lie.levels[index] = Level::quantise(&cube(32 >> index), lie.levels[index].steps(), Threads::This);
            assert_eq!(honest.levels_agree(&lie), Err(ProbeError::Filtered(index as u8)));
        }
        let mut lie = honest.clone();
        lie.irradiance[4][1] ^= 1;
        assert_eq!(lie.levels_agree(&coefficients), Err(ProbeError::Irradiance));
    }
}
