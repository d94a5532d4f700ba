//! The spec of the kind `lightfield`: a scene, the places where its light is wanted, and how finely.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use p2c2r_protocol::Digest;

use super::PROBES_MAX;
use crate::physics::bits::{BitReader, BitWriter, unzigzag, zigzag};
use crate::reflection::{
    FACE_LOG2_MIN, Object, ReflectionSpec, Sun, Surface, put_surroundings, see_from, take_surroundings,
};

/// Where light is wanted. Positions are in [`POSITION_STEPS_PER_M`](crate::reflection::POSITION_STEPS_PER_M).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probes {
    /// A grid along the axes: x first, then y, then z.
    Grid {
        /// The probe with the lowest coordinates.
        origin: [i16; 3],
        /// Distance from one probe to the next.
        spacing: u16,
        /// Probes along x, y and z, each at least 1.
        counts: [u8; 3],
    },
    /// Any places.
    List(Vec<[i16; 3]>),
}

impl Probes {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Grid { counts, .. } => counts.iter().map(|count| usize::from(*count)).product(),
            Self::List(places) => places.len(),
        }
    }

    /// Probes per row of a grid: consecutive probes are neighbours only within a row. A list is one row.
    pub fn across(&self) -> usize {
        match self {
            Self::Grid { counts, .. } => counts[0].into(),
            Self::List(places) => places.len(),
        }
    }

    /// Where a probe is. Grids that leave the range of `i16` are not admitted.
    pub fn place(&self, number: usize) -> [i16; 3] {
        match self {
            Self::Grid { origin, spacing, counts } => {
                let [x, y, _] = counts.map(|count| usize::from(count).max(1));
                let steps = [number % x, number / x % y, number / (x * y)];
                std::array::from_fn(|axis| {
                    let along = i32::from(*spacing) * steps[axis] as i32;
                    (i32::from(origin[axis]) + along).clamp(i16::MIN.into(), i16::MAX.into()) as i16
                })
            }
            Self::List(places) => places.get(number).copied().unwrap_or_default(),
        }
    }
}

/// A field of light that is wanted. y is up; the game's plane is y = 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightfieldSpec {
    /// Name of the [field](super::LightField) that the answer is encoded against: see
    /// [`LightField::to_blob`](super::LightField::to_blob). It must have as many probes. `None`: the answer
    /// is sent whole.
    pub base: Option<Digest>,
    /// Where light is wanted.
    pub probes: Probes,
    /// Paths per probe.
    pub paths: u16,
    /// Surfaces a path may meet.
    pub bounces: u8,
    /// Seed of the paths' random numbers. With the same seed only changes in the scene change the answer.
    pub seed: u32,
    /// Seed of the sky: see [`sky_radiance`](crate::reflection::sky_radiance).
    pub sky: u32,
    /// The sun, if there is one.
    pub sun: Option<Sun>,
    /// What objects are made of.
    pub surfaces: Vec<Surface>,
    /// The objects.
    pub objects: Vec<Object>,
}

impl LightfieldSpec {
    /// The same spec with the first probe at the origin, so that the worker does not learn where in a world
    /// it is. A base stays valid: its values do not depend on where the probes are.
    #[must_use]
    pub fn without_place(mut self) -> Self {
        let origin = self.probes.place(0);
        match &mut self.probes {
            Probes::Grid { origin, .. } => *origin = [0; 3],
            Probes::List(places) => {
                for place in places {
                    *place = std::array::from_fn(|axis| place[axis].saturating_sub(origin[axis]));
                }
            }
        }
        see_from(origin, &mut self.objects);
        self
    }

    /// The scene as a spec of the kind `reflection`, with its smallest cube: that spec is in range if the
    /// scene is.
    pub(super) fn scene(&self) -> ReflectionSpec {
        ReflectionSpec {
            probe: [0; 3],
            face_log2: FACE_LOG2_MIN,
            levels: 1,
            samples: 1,
            others: Vec::new(),
            bounces: self.bounces,
            seed: self.seed,
            sky: self.sky,
            sun: self.sun,
            surfaces: self.surfaces.clone(),
            objects: self.objects.clone(),
        }
    }

    fn to_bits(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        let place = |bits: &mut BitWriter, place: &[i16; 3]| {
            for part in place {
                bits.put(zigzag((*part).into()), 16);
            }
        };
        match &self.probes {
            Probes::Grid { origin, spacing, counts } => {
                bits.put(0, 1);
                place(&mut bits, origin);
                bits.put((*spacing).into(), 16);
                for count in counts {
                    bits.put((*count).into(), 8);
                }
            }
            Probes::List(places) => {
                bits.put(1, 1);
                // A list over its limit is cut to a count that no decoder accepts.
                let places = &places[..places.len().min(PROBES_MAX + 1)];
                bits.put(places.len() as u32, PROBE_COUNT_BITS);
                for axis in 0..3 {
                    bits.column(places.iter().map(|place| zigzag(place[axis].into())));
                }
            }
        }
        bits.put(self.paths.into(), 16);
        bits.put(self.bounces.into(), 8);
        bits.put(self.seed, 32);
        bits.put(self.sky, 32);
        put_surroundings(&mut bits, self.sun, &self.surfaces, &self.objects);
        bits.finish()
    }
}

const PROBE_COUNT_BITS: u32 = 13;
const _: () = assert!(PROBES_MAX + 1 < 1 << PROBE_COUNT_BITS);

fn take_probes<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Probes, DecodeError> {
    if bits.take(1)? == 0 {
        let mut part = || bits.take(16).map(|value| unzigzag(value) as i16);
        let origin = [part()?, part()?, part()?];
        let spacing = bits.take(16)? as u16;
        let mut count = || bits.take(8).map(|value| value as u8);
        return Ok(Probes::Grid { origin, spacing, counts: [count()?, count()?, count()?] });
    }
    let count = bits.take(PROBE_COUNT_BITS)? as usize;
    if count > PROBES_MAX {
        return Err(DecodeError::Other("too many probes"));
    }
    let mut places = vec![[0; 3]; count];
    for axis in 0..3 {
        let column = bits.column(count, u16::MAX.into())?;
        places.iter_mut().zip(column).for_each(|(place, part)| place[axis] = unzigzag(part) as i16);
    }
    Ok(Probes::List(places))
}

impl Encode for LightfieldSpec {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        // The digest's bytes are byte-aligned here, so that they stand in the encoded spec as they are.
        self.base.encode(encoder)?;
        encoder.writer().write(&self.to_bits())
    }
}

impl<Context> Decode<Context> for LightfieldSpec {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let base = Decode::decode(decoder)?;
        let mut bits = BitReader::new(decoder);
        let probes = take_probes(&mut bits)?;
        let paths = bits.take(16)? as u16;
        let bounces = bits.take(8)? as u8;
        let (seed, sky) = (bits.take(32)?, bits.take(32)?);
        let (sun, surfaces, objects) = take_surroundings(&mut bits)?;
        bits.finish()?;
        Ok(Self { base, probes, paths, bounces, seed, sky, sun, surfaces, objects })
    }
}

bincode::impl_borrow_decode!(LightfieldSpec);
