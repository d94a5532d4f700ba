//! The outcome of the kind `reflection`: cubes and their filtered levels, packed.
//!
//! Filtered levels are optional: [`Probe::filtered`] computes the same but for their rounding, which saves
//! bytes and costs the receiver time (`docs/PERFORMANCE.md`, `benches/probe.rs`). All cubes of one task are
//! one stream, so that later ones use the odds learnt from the first.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use thiserror::Error;

use super::VIEWPOINTS_MAX;
use super::codec::{self, Block, FACE_MAX, Level, STEPS, Steps};
use super::cube::CubeMap;
use super::filter::{self, filter};
use super::probe::Probe;
use super::threads::{Threads, undisturbed};
use super::units::{FILTER_STEPS, PACK_STEPS};
use crate::fuel::{Fuel, Stop};
use crate::kind::KernelError;

/// Logarithm of the largest face that travels.
pub const FACE_LOG2_MAX: u8 = FACE_MAX.ilog2() as u8;

/// Bytes that a face of `2^n` adds to the limit of the stream, for every `n`. Cubes that would take more
/// travel with coarser steps, because the link has 125 bytes a millisecond.
const CUBE_BYTES_MAX: [usize; FACE_LOG2_MAX as usize + 1] =
    [256, 256, 512, 1_024, 4_096, 12_000, 32_000, 60_000];
/// Bytes of the longest stream, whatever it holds.
pub(super) const STREAM_BYTES_MAX: usize = CUBE_BYTES_MAX[FACE_LOG2_MAX as usize];
/// Bytes before the stream, without the byte for each cube: number of cubes, coarseness, length.
const HEAD_BYTES: usize = 1 + 1 + 2;
/// With steps coarser than the finest a stream must have at least the limit divided by this, so that a worker
/// cannot choose coarse steps without need. An honest one has: the next finer steps took more than the limit,
/// which is over two bits a coefficient, and steps √2 as wide save half a bit of each.
const FULL_SHARE: usize = 2;

/// Coarsest steps of a face of `2^n`: one coarser than the wildest cube that a test packs needs.
const COARSENESS_MAX: [u8; FACE_LOG2_MAX as usize + 1] = [0, 0, 0, 0, 1, 1, 3, 9];

/// The steps of the parts of packing a texel add up to [`PACK_STEPS`], and those of filtering one, with packing its
/// filtered levels, which have less than a third of the sharp one's texels, to at most [`FILTER_STEPS`].
const _: () = {
    let coded = codec::QUANTISE_STEPS + codec::CODE_STEPS;
    let filtered = codec::DEQUANTISE_STEPS + filter::PYRAMID_STEPS + filter::TURN_STEPS + filter::LOBE_STEPS;
    assert!(coded == PACK_STEPS && filtered + coded.div_ceil(3) <= FILTER_STEPS);
};
const _: () = assert!(STREAM_BYTES_MAX + HEAD_BYTES + VIEWPOINTS_MAX <= OUTCOME_BYTES_MAX);
const _: () = assert!(STREAM_BYTES_MAX <= u16::MAX as usize && VIEWPOINTS_MAX <= u8::MAX as usize);

/// Bytes that a face of `2^face_log2` adds to the limit of the stream.
pub(super) fn stream_bytes_max(face_log2: u8) -> usize {
    CUBE_BYTES_MAX.get(usize::from(face_log2)).copied().unwrap_or(usize::MAX / VIEWPOINTS_MAX)
}

/// Why an outcome cannot be unfolded into probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The stream is not one that the encoder writes.
    #[error("the stream does not end where its levels do")]
    Stream,
    /// The steps are coarser than the size of the stream explains.
    #[error("steps coarser than they need to be")]
    Coarse,
    /// A filtered level is not what filtering the sharp one gives.
    #[error("level {level} of probe {probe} is not the filtered sharp level")]
    Filtered {
        /// Which probe, in the order of the spec's.
        probe: usize,
        /// Which level; the sharp one is 0.
        level: u8,
    },
}

/// Size of a cube on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CubeSize {
    face_log2: u8,
    levels: u8,
}

/// The answer: a probe for each viewpoint, packed. [`ReflectionOutcome::unfold`] reads it.
///
/// On the wire: the number of probes in a byte, face and levels of each in one, coarseness in one, two bytes
/// of length, the stream. Every value has exactly one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReflectionOutcome {
    sizes: Vec<CubeSize>,
    coarseness: u8,
    stream: Vec<u8>,
}

impl ReflectionOutcome {
    /// Filters and packs a cube, whose face is a power of two up to 128; `levels` counts the sharp one and is
    /// cut to those that the face has.
    ///
    /// The filter runs on the cube as it will be unfolded, so that a receiver that filters it again gets the same
    /// levels.
    ///
    /// # Panics
    /// If the face is larger or no power of two: specs that ask for such are not admitted.
    pub fn of(levels: u8, cube: &CubeMap) -> Self {
        Self::of_all(&[(levels, cube)])
    }

    /// [`ReflectionOutcome::of`] for several cubes, each with its levels.
    ///
    /// # Panics
    /// As [`ReflectionOutcome::of`], and for more cubes than an admissible spec has.
    pub fn of_all(cubes: &[(u8, &CubeMap)]) -> Self {
        Self::endlessly(cubes, false)
    }

    /// [`ReflectionOutcome::of`] on rayon's threads; the same outcome, bit for bit.
    ///
    /// # Panics
    /// As [`ReflectionOutcome::of`].
    pub fn of_parallel(levels: u8, cube: &CubeMap) -> Self {
        Self::endlessly(&[(levels, cube)], true)
    }

    fn endlessly(cubes: &[(u8, &CubeMap)], is_shared: bool) -> Self {
        let never = Stop::never();
        let packed = Self::within(cubes, &mut Fuel::endless(&never), is_shared);
        packed.unwrap_or_else(|_| unreachable!("fuel without end that nobody stops"))
    }

    /// [`ReflectionOutcome::of_all`], on rayon's threads if they share in it; an error if the fuel ends or the task is
    /// stopped.
    pub(super) fn within(
        cubes: &[(u8, &CubeMap)],
        fuel: &mut Fuel<'_>,
        is_shared: bool,
    ) -> Result<Self, KernelError> {
        let size = |(levels, cube): &(u8, &CubeMap)| {
            let face = cube.face();
            assert!(
                face.is_power_of_two() && face <= FACE_MAX,
                "a face of {face} texels' edge does not travel"
            );
            let face_log2 = face.ilog2() as u8;
            CubeSize { face_log2, levels: (*levels).clamp(1, face_log2 + 1) }
        };
        let sizes: Vec<CubeSize> = cubes.iter().map(size).collect();
        let max = bytes_max(&sizes);
        assert!(
            (1..=VIEWPOINTS_MAX).contains(&sizes.len()) && max <= STREAM_BYTES_MAX,
            "so many cubes do not travel"
        );
        let steps = |(levels, cube): &(u8, &CubeMap)| {
            cube.texels().len() as u64 * (PACK_STEPS + if *levels > 1 { FILTER_STEPS } else { 0 })
        };
        let steps = cubes.iter().map(steps).sum();
        let mut coarseness = 0;
        loop {
            // Spent on every try: a cube of noise is packed up to ten times before it fits. A try is not begun that would
            // take more than is left.
            fuel.require(steps)?;
            let end = fuel.spent() + steps;
            let stream = if is_shared {
                fuel.spend(steps)?;
                pack(cubes, &sizes, coarseness, &mut Threads::All(fuel.stop()))?
            } else {
                pack(cubes, &sizes, coarseness, &mut Threads::This(fuel))?
            };
            fuel.spend(end - fuel.spent())?;
            if stream.len() <= max || coarseness + 1 == STEPS {
                return Ok(Self { sizes, coarseness, stream });
            }
            coarseness += 1;
        }
    }

    /// Texels along the edge of a face, and levels with the sharp one, of each probe in turn.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = (u32, u8)> + '_ {
        self.sizes.iter().map(|size| (1 << size.face_log2, size.levels))
    }

    /// Bytes of its encoding.
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + self.sizes.len() + self.stream.len()
    }

    /// The texels and the irradiance of each probe in turn. Time and memory are bounded by
    /// [`ReflectionOutcome::sizes`], whatever the stream holds: at most 50 ms and 3 MB at face 128, a
    /// sixteenth at 32.
    pub fn unfold(&self) -> Result<Vec<Probe>, ProbeError> {
        let probe = |levels: Vec<CubeMap>| {
            let irradiance = undisturbed(|threads| filter(&levels[0], 1, threads)).1;
            Probe { levels, irradiance }
        };
        Ok(self.cubes()?.into_iter().map(probe).collect())
    }

    /// The texels of every probe's levels.
    pub(crate) fn cubes(&self) -> Result<Vec<Vec<CubeMap>>, ProbeError> {
        let level = |level: &Level| undisturbed(|threads| level.dequantise(threads));
        let texels = |cube: &Coefficients| cube.levels.iter().map(level).collect();
        Ok(self.coefficients()?.iter().map(texels).collect())
    }

    /// The quantised coefficients of each probe, for checks.
    pub(crate) fn coefficients(&self) -> Result<Vec<Coefficients>, ProbeError> {
        let coarsest = self.sizes.iter().map(|size| COARSENESS_MAX[usize::from(size.face_log2)]).max();
        if self.coarseness > coarsest.unwrap_or(0)
            || self.coarseness > 0 && self.stream.len() < bytes_max(&self.sizes) / FULL_SHARE
        {
            return Err(ProbeError::Coarse);
        }
        let cubes = codec::unpack(&self.stream, self.sizes(), self.coarseness).ok_or(ProbeError::Stream)?;
        Ok(cubes.into_iter().map(|levels| Coefficients { levels }).collect())
    }
}

/// The stream of cubes whose coefficients are rounded to these steps.
fn pack(
    cubes: &[(u8, &CubeMap)],
    sizes: &[CubeSize],
    coarseness: u8,
    threads: &mut Threads<'_, '_>,
) -> Result<Vec<u8>, KernelError> {
    let mut quantised = Vec::with_capacity(cubes.len());
    for ((_, cube), size) in cubes.iter().zip(sizes) {
        quantised.push(Coefficients::of(size.levels, cube, coarseness, threads)?);
    }
    codec::pack(quantised.iter_mut().flat_map(|cube| &mut cube.levels), threads)
}

/// Whether each probe's filtered levels are exactly what its sharp level gives.
pub(crate) fn levels_agree(coefficients: &[Coefficients]) -> Result<(), ProbeError> {
    for (probe, cube) in coefficients.iter().enumerate() {
        let (sharp, rest) = (&cube.levels[0], &cube.levels[1..]);
        if rest.is_empty() {
            continue;
        }
        let (filtered, _) = undisturbed(|threads| {
            let sharp = sharp.dequantise(threads)?;
            filter(&sharp, cube.levels.len() as u8, threads)
        });
        for (index, (level, cube)) in rest.iter().zip(&filtered).enumerate() {
            if *level != undisturbed(|threads| Level::quantise(cube, level.steps(), threads)) {
                return Err(ProbeError::Filtered { probe, level: index as u8 + 1 });
            }
        }
    }
    Ok(())
}

/// Most bytes of the stream of cubes of these sizes.
fn bytes_max(sizes: &[CubeSize]) -> usize {
    sizes.iter().map(|size| stream_bytes_max(size.face_log2)).sum()
}

/// One probe of an outcome, its texels still as quantised coefficients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coefficients {
    levels: Vec<Level>,
}

impl Coefficients {
    fn of(
        levels: u8,
        cube: &CubeMap,
        coarseness: u8,
        threads: &mut Threads<'_, '_>,
    ) -> Result<Self, KernelError> {
        let sharp = Level::quantise(cube, Steps::new(coarseness, false), threads)?;
        let mut quantised = vec![sharp];
        if levels > 1 {
            let (filtered, _) = filter(&quantised[0].dequantise(threads)?, levels, threads)?;
            let steps = Steps::new(coarseness, true);
            for cube in &filtered {
                quantised.push(Level::quantise(cube, steps, threads)?);
            }
        }
        Ok(Self { levels: quantised })
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
        writer.write(&[self.sizes.len() as u8])?;
        for size in &self.sizes {
            writer.write(&[size.face_log2 << 4 | (size.levels - 1)])?;
        }
        writer.write(&[self.coarseness])?;
        writer.write(&(self.stream.len() as u16).to_le_bytes())?;
        writer.write(&self.stream)
    }
}

impl<Context> Decode<Context> for ReflectionOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decoder.claim_bytes_read(HEAD_BYTES)?;
        let mut count = [0];
        decoder.reader().read(&mut count)?;
        let count = usize::from(count[0]);
        if !(1..=VIEWPOINTS_MAX).contains(&count) {
            return Err(DecodeError::Other("no probe, or too many"));
        }
        decoder.claim_bytes_read(count)?;
        let mut said = [0; VIEWPOINTS_MAX];
        decoder.reader().read(&mut said[..count])?;
        let size = |byte: &u8| CubeSize { face_log2: byte >> 4, levels: (byte & 15) + 1 };
        let sizes: Vec<CubeSize> = said[..count].iter().map(size).collect();
        let mut head = [0; HEAD_BYTES - 1];
        decoder.reader().read(&mut head)?;
        let (coarseness, length) = (head[0], usize::from(u16::from_le_bytes([head[1], head[2]])));
        let is_legal = |size: &CubeSize| size.face_log2 <= FACE_LOG2_MAX && size.levels <= size.face_log2 + 1;
        if !sizes.iter().all(is_legal) || coarseness >= STEPS {
            return Err(DecodeError::Other("a probe size or a coarseness that does not exist"));
        }
        let max = bytes_max(&sizes);
        if max > STREAM_BYTES_MAX || length > max {
            return Err(DecodeError::Other("a stream longer than its faces allow"));
        }
        decoder.claim_bytes_read(length)?;
        // At most 60,000 bytes, so the buffer may be reserved before the bytes are read.
        let mut stream = vec![0; length];
        decoder.reader().read(&mut stream)?;
        Ok(Self { sizes, coarseness, stream })
    }
}

bincode::impl_borrow_decode!(ReflectionOutcome);

#[cfg(test)]
mod tests {
    use super::super::codec::{block_texels, dequantise_block, quantise_block};
    use super::*;

    /// A cube with detail everywhere.
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
        for edge in [64, 32, 16, 8, 4, 2, 1] {
            let cubes = [cube(edge), cube((edge / 2).max(1))];
            let outcome = ReflectionOutcome::of_all(&[(1, &cubes[0]), (1, &cubes[1])]);
            let unfolded = outcome.unfold().unwrap();
            for ((cube, coefficients), unfolded) in
                cubes.iter().zip(outcome.coefficients().unwrap()).zip(unfolded)
            {
                for place in 0..6 * coefficients.across() * coefficients.across() {
                    let (across, face) = (coefficients.across(), place / coefficients.across().pow(2));
                    let (bx, by) = (place % across, place / across % across);
                    let block = quantise_block(&block_texels(cube, face, bx, by), coefficients.steps());
                    assert_eq!(coefficients.block(face, bx, by), &block);
                    let texels = dequantise_block(&block, coefficients.steps());
                    assert_eq!(texels, block_texels(&unfolded.levels[0], face, bx, by));
                }
            }
        }
    }

    #[test]
    fn honest_levels_agree_and_any_other_do_not() {
        let honest = ReflectionOutcome::of_all(&[(6, &cube(32)), (3, &cube(16)), (1, &cube(16))]);
        let coefficients = honest.coefficients().unwrap();
        levels_agree(&coefficients).unwrap();
        for (probe, levels) in [(0, 6), (1, 3)] {
            for index in 1..levels {
                let mut lie = coefficients.clone();
                let level = &mut lie[probe].levels[index];
                let cube = cube((32 >> probe) >> index);
                *level = undisturbed(|threads| Level::quantise(&cube, level.steps(), threads));
                let error = levels_agree(&lie).unwrap_err();
                assert_eq!(error, ProbeError::Filtered { probe, level: index as u8 });
            }
        }
    }
}
