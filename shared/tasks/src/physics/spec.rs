//! The spec of the kind `physics`: bodies, their materials, and how long they fly.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use p2c2r_protocol::Digest;

use super::base::PhysicsBase;
use super::bits::{BitReader, BitWriter, unzigzag, zigzag};
use super::catalogue::ShapeId;
use super::quanta::{Rotation, State};
use super::{ATTRACTORS_MAX, BODIES_MAX, MATERIALS_MAX};

/// What bodies are made of; all quantities per body that many bodies share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyMaterial {
    /// Kilograms per cubic metre, 1 to [`DENSITY_MAX`](super::DENSITY_MAX).
    pub density: u16,
    /// Share of the approach speed kept on contact, in 255ths; two bodies in contact use the mean.
    pub restitution: u8,
    /// Coulomb's coefficient in 64ths; two bodies in contact use the mean.
    pub friction: u8,
    /// Fastest that contacts and attractors make such a body, in quarters of a metre a second, 1 to
    /// [`SPEED_CAP_MAX`](super::SPEED_CAP_MAX).
    pub speed_cap: u16,
    /// Fastest that contacts spin it, in quarters of a radian a second, 1 to
    /// [`SPIN_CAP_MAX`](super::SPIN_CAP_MAX).
    pub spin_cap: u16,
    /// Share of velocity and spin that such a body loses at the start of every segment, in 256ths, rounded towards rest.
    pub drag: u8,
}

impl BodyMaterial {
    /// Rock: bounces a little, rubs a little.
    pub const ROCK: Self =
        Self { density: 2_500, restitution: 180, friction: 19, speed_cap: 128, spin_cap: 64, drag: 0 };

    /// [`BodyMaterial::speed_cap`] in metres a second.
    pub fn speed_cap_m_s(&self) -> f64 {
        f64::from(self.speed_cap) / 4.0
    }

    /// [`BodyMaterial::spin_cap`] in radians a second.
    pub fn spin_cap_rad_s(&self) -> f64 {
        f64::from(self.spin_cap) / 4.0
    }
}

/// A point that draws bodies to it with a pull of `strength · d / (d² + softness²)^1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attractor {
    /// Where, in [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub position: [i32; 3],
    /// Cubic metres per second squared; below zero it repels.
    pub strength: i32,
    /// In quarters of a metre, at least [`SOFTNESS_MIN`](super::SOFTNESS_MIN).
    pub softness: u16,
}

/// A rectangle that planar bodies stay in, centred on the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Walls {
    /// Half its extent along x, in [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub half_x: i32,
    /// Half its extent along z.
    pub half_z: i32,
}

/// One body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    /// Id that the game gave it; ids rise along the list.
    pub id: u32,
    /// Its shape.
    pub shape: ShapeId,
    /// Index into [`PhysicsSpec::materials`].
    pub material: u8,
    /// Where it is and how it moves.
    pub state: State,
}

/// Bodies to move for `segments` times `steps` sixtieths of a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicsSpec {
    /// The snapshot that `bodies` are changes of; `None` if `bodies` lists all bodies.
    pub base: Option<PhysicsBase>,
    /// Segments, 1 to [`SEGMENTS_MAX`](super::SEGMENTS_MAX).
    pub segments: u8,
    /// Engine steps in each, 1 to [`STEPS_MAX`](super::STEPS_MAX).
    pub steps: u8,
    /// Whether all bodies stay in the plane y = 0; they turn freely even so.
    pub planar: bool,
    /// Walls around planar bodies.
    pub walls: Option<Walls>,
    /// What pulls the bodies.
    pub attractors: Vec<Attractor>,
    /// What the bodies are made of.
    pub materials: Vec<BodyMaterial>,
    /// The bodies, ids rising; with a base, only those that are new or differ from it.
    pub bodies: Vec<Body>,
}

impl PhysicsSpec {
    /// Engine steps in all.
    pub fn ticks(&self) -> u32 {
        u32::from(self.segments) * u32::from(self.steps)
    }

    fn to_bits(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(self.segments.into(), 8);
        bits.put(self.steps.into(), 8);
        bits.put(self.planar.into(), 1);
        bits.put(self.walls.is_some().into(), 1);
        if let Some(Walls { half_x, half_z }) = self.walls {
            bits.put(zigzag(half_x), 32);
            bits.put(zigzag(half_z), 32);
        }
        // A list over its limit is cut to a count that no decoder accepts, so that an inadmissible spec is
        // refused on the other side too.
        bits.put(self.attractors.len().min(ATTRACTORS_MAX + 1) as u32, 4);
        for attractor in self.attractors.iter().take(ATTRACTORS_MAX + 1) {
            attractor.position.iter().for_each(|part| bits.put(zigzag(*part), 32));
            bits.put(zigzag(attractor.strength), 32);
            bits.put(attractor.softness.into(), 16);
        }
        bits.put(self.materials.len().min(MATERIALS_MAX + 1) as u32, 5);
        for material in self.materials.iter().take(MATERIALS_MAX + 1) {
            bits.put(material.density.into(), 16);
            bits.put(material.restitution.into(), 8);
            bits.put(material.friction.into(), 8);
            bits.put(material.speed_cap.into(), 16);
            bits.put(material.spin_cap.into(), 16);
            bits.put(material.drag.into(), 8);
        }
        put_bodies(&mut bits, &self.bodies);
        if let Some(base) = &self.base {
            let gone = &base.gone[..base.gone.len().min(BODIES_MAX + 1)];
            bits.put(gone.len() as u32, 11);
            bits.column(gaps(gone.iter().copied()));
        }
        bits.finish()
    }
}

/// Differences of neighbouring ids, less one, which are small where ids are dense. They wrap, so that every list of
/// ids can be encoded.
fn gaps(ids: impl Iterator<Item = u32> + Clone) -> impl Iterator<Item = u32> + Clone {
    let before = std::iter::once(u32::MAX).chain(ids.clone());
    ids.zip(before).map(|(id, before)| id.wrapping_sub(before).wrapping_sub(1))
}

/// Undoes [`gaps`].
fn ids(gaps: Vec<u32>) -> impl Iterator<Item = u32> {
    let mut id = u32::MAX;
    gaps.into_iter().map(move |gap| {
        id = id.wrapping_add(gap).wrapping_add(1);
        id
    })
}

/// Appends the bodies' columns. A list over the limit is cut to a count that no decoder accepts.
pub(super) fn put_bodies(bits: &mut BitWriter, bodies: &[Body]) {
    let bodies = &bodies[..bodies.len().min(BODIES_MAX + 1)];
    bits.put(bodies.len() as u32, 11);
    bits.column(gaps(bodies.iter().map(|body| body.id)));
    bits.column(bodies.iter().map(|body| body.shape.0.into()));
    bits.column(bodies.iter().map(|body| body.material.into()));
    put_states(bits, bodies.iter().map(|body| &body.state));
}

/// Appends the states' columns.
fn put_states<'s>(bits: &mut BitWriter, states: impl Iterator<Item = &'s State> + Clone) {
    for axis in 0..3 {
        bits.column(states.clone().map(|state| zigzag(state.position[axis])));
    }
    bits.column(states.clone().map(|state| state.rotation.dropped.into()));
    for axis in 0..3 {
        bits.column(states.clone().map(|state| zigzag(state.rotation.rest[axis].into())));
    }
    for axis in 0..3 {
        bits.column(states.clone().map(|state| zigzag(state.velocity[axis].into())));
    }
    for axis in 0..3 {
        bits.column(states.clone().map(|state| zigzag(state.spin[axis].into())));
    }
}

/// Reads what [`put_states`] wrote.
fn take_states<D: Decoder>(bits: &mut BitReader<'_, D>, count: usize) -> Result<Vec<State>, DecodeError> {
    let small = u32::from(u16::MAX);
    let mut states = vec![State::default(); count];
    for axis in 0..3 {
        let column = bits.column(count, u32::MAX)?;
        states.iter_mut().zip(column).for_each(|(state, part)| state.position[axis] = unzigzag(part));
    }
    let column = bits.column(count, 255)?;
    states
        .iter_mut()
        .zip(column)
        .for_each(|(state, part)| state.rotation = Rotation { dropped: part as u8, rest: [0; 3] });
    for axis in 0..3 {
        let column = bits.column(count, small)?;
        states
            .iter_mut()
            .zip(column)
            .for_each(|(state, part)| state.rotation.rest[axis] = unzigzag(part) as i16);
    }
    for axis in 0..3 {
        let column = bits.column(count, small)?;
        states.iter_mut().zip(column).for_each(|(state, part)| state.velocity[axis] = unzigzag(part) as i16);
    }
    for axis in 0..3 {
        let column = bits.column(count, small)?;
        states.iter_mut().zip(column).for_each(|(state, part)| state.spin[axis] = unzigzag(part) as i16);
    }
    Ok(states)
}

impl Encode for PhysicsSpec {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        // The digest's bytes are byte-aligned here, so that they stand in the encoded spec as they are.
        self.base.as_ref().map(|base| base.digest).encode(encoder)?;
        encoder.writer().write(&self.to_bits())
    }
}

impl<Context> Decode<Context> for PhysicsSpec {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let digest = Option::<Digest>::decode(decoder)?;
        let mut bits = BitReader::new(decoder);
        let (segments, steps) = (bits.take(8)? as u8, bits.take(8)? as u8);
        let (planar, walled) = (bits.take(1)? == 1, bits.take(1)? == 1);
        let number = |bits: &mut BitReader<'_, D>| bits.take(32).map(unzigzag);
        let walls = if walled {
            Some(Walls { half_x: number(&mut bits)?, half_z: number(&mut bits)? })
        } else {
            None
        };
        let count = bits.take(4)? as usize;
        if count > ATTRACTORS_MAX {
            return Err(DecodeError::Other("too many attractors"));
        }
        let mut attractors = Vec::new();
        for _ in 0..count {
            attractors.push(Attractor {
                position: [number(&mut bits)?, number(&mut bits)?, number(&mut bits)?],
                strength: number(&mut bits)?,
                softness: bits.take(16)? as u16,
            });
        }
        let count = bits.take(5)? as usize;
        if count > MATERIALS_MAX {
            return Err(DecodeError::Other("too many materials"));
        }
        let mut materials = Vec::new();
        for _ in 0..count {
            materials.push(BodyMaterial {
                density: bits.take(16)? as u16,
                restitution: bits.take(8)? as u8,
                friction: bits.take(8)? as u8,
                speed_cap: bits.take(16)? as u16,
                spin_cap: bits.take(16)? as u16,
                drag: bits.take(8)? as u8,
            });
        }
        let bodies = take_bodies(&mut bits)?;
        let mut base = None;
        if let Some(digest) = digest {
            let count = bits.take(11)? as usize;
            if count > BODIES_MAX {
                return Err(DecodeError::Other("too many bodies are gone"));
            }
            base = Some(PhysicsBase { digest, gone: ids(bits.column(count, u32::MAX)?).collect() });
        }
        bits.finish()?;
        Ok(Self { base, segments, steps, planar, walls, attractors, materials, bodies })
    }
}

/// Reads what [`put_bodies`] wrote.
pub(super) fn take_bodies<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Vec<Body>, DecodeError> {
    let count = bits.take(11)? as usize;
    if count > BODIES_MAX {
        return Err(DecodeError::Other("too many bodies"));
    }
    let gaps = bits.column(count, u32::MAX)?;
    let shapes = bits.column(count, u16::MAX.into())?;
    let materials = bits.column(count, u8::MAX.into())?;
    let states = take_states(bits, count)?;
    let bodies = ids(gaps).zip(shapes).zip(materials).zip(states);
    Ok(bodies
        .map(|(((id, shape), material), state)| Body {
            id,
            shape: ShapeId(shape as u16),
            material: material as u8,
            state,
        })
        .collect())
}

bincode::impl_borrow_decode!(PhysicsSpec);
