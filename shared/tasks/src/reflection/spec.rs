//! The spec of the kind `reflection`: a scene, the points whose surroundings are wanted, and how finely.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::{OBJECTS_MAX, SURFACES_MAX, VIEWPOINTS_MAX};
use crate::physics::bits::{BitReader, BitWriter, unzigzag, zigzag};
use crate::physics::{Rotation, ShapeId};

/// Steps per metre of a position.
pub const POSITION_STEPS_PER_M: f32 = 64.0;
/// Steps per metre of a radius.
pub const RADIUS_STEPS_PER_M: f32 = 64.0;

/// What a surface does to light. Shares are in 255ths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Surface {
    /// Share of red, green and blue that it reflects: as a mirror where it is metal, diffusely where not.
    pub colour: [u8; 3],
    /// 0 for stone, 255 for metal; between them the share of metal.
    pub metal: u8,
    /// Perceptual roughness of the mirror's lobe (GGX, alpha is its square); 0 is a perfect mirror.
    pub roughness: u8,
    /// Colour of the light it gives off, scaled by [`Surface::power`].
    pub glow: [u8; 3],
    /// Radiance of the light it gives off at full [`Surface::glow`], in halves of powers of two: `2^(power / 2 - 8)`,
    /// or none for 0.
    pub power: u8,
}

/// A shape somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A ball.
    Sphere {
        /// In [`RADIUS_STEPS_PER_M`].
        radius: u16,
    },
    /// A ball swept along a line, such as a bolt of light, a hull or an engine's flame.
    Capsule {
        /// From the object's position to the other end, in [`POSITION_STEPS_PER_M`].
        to: [i16; 3],
        /// In [`RADIUS_STEPS_PER_M`].
        radius: u16,
    },
    /// A rock of the catalogue of shapes (see [`ShapeId::unit_mesh`]), turned.
    Rock {
        /// Which one and how large.
        shape: ShapeId,
        /// How it is turned.
        rotation: Rotation,
    },
}

/// One object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Centre of a sphere or rock, first end of a capsule, in [`POSITION_STEPS_PER_M`].
    pub position: [i16; 3],
    /// Its shape.
    pub form: Form,
    /// Index into [`ReflectionSpec::surfaces`].
    pub surface: u8,
}

/// A directional light, such as a sun; it casts shadows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sun {
    /// Towards the sun, any length but 0.
    pub direction: [i8; 3],
    /// Colour, scaled by [`Sun::power`].
    pub colour: [u8; 3],
    /// Irradiance on a surface that faces it, as [`Surface::power`].
    pub power: u8,
}

/// Where a cube probe is wanted, and how fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Viewpoint {
    /// See [`ReflectionSpec::probe`].
    pub probe: [i16; 3],
    /// See [`ReflectionSpec::face_log2`].
    pub face_log2: u8,
    /// See [`ReflectionSpec::levels`].
    pub levels: u8,
    /// See [`ReflectionSpec::samples`].
    pub samples: u8,
}

impl Viewpoint {
    /// Texels along the edge of a face.
    pub fn face(&self) -> u32 {
        1 << self.face_log2.min(15)
    }

    /// Where it is, metres.
    pub(super) fn at(&self) -> [f32; 3] {
        self.probe.map(|part| f32::from(part) / POSITION_STEPS_PER_M)
    }

    /// Texels of its sharp cube.
    pub(super) fn texels(&self) -> u64 {
        6 * u64::from(self.face()) * u64::from(self.face())
    }

    fn parts(&self) -> [u8; VIEWPOINT_PARTS] {
        [self.face_log2, self.levels, self.samples]
    }
}

/// Bytes of a [`Viewpoint`] beside its place.
const VIEWPOINT_PARTS: usize = 3;

/// Cube probes that are wanted of one scene. y is up; the game's plane is y = 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReflectionSpec {
    /// Where the probe is, in [`POSITION_STEPS_PER_M`].
    pub probe: [i16; 3],
    /// Texels along the edge of a face, as a power of two.
    pub face_log2: u8,
    /// Mip levels of the answer: 1 for the sharp cube alone, more for GGX-filtered ones too, each half the size
    /// of the one before.
    pub levels: u8,
    /// Paths per texel.
    pub samples: u8,
    /// More probes in the same scene: in all, at most [`VIEWPOINTS_MAX`].
    pub others: Vec<Viewpoint>,
    /// Surfaces a path may meet.
    pub bounces: u8,
    /// Seed of the paths' random numbers. A probe's cube does not depend on the other probes.
    pub seed: u32,
    /// Seed of the sky: see [`sky_radiance`](super::sky_radiance).
    pub sky: u32,
    /// The sun, if there is one.
    pub sun: Option<Sun>,
    /// What objects are made of.
    pub surfaces: Vec<Surface>,
    /// The objects.
    pub objects: Vec<Object>,
}

/// Moves objects' positions into the frame of `origin`. In whole steps, so that scenes which differ only by
/// where they are become equal, and so do their outcomes. Positions too far away are clamped.
pub(crate) fn see_from(origin: [i16; 3], objects: &mut [Object]) {
    for object in objects {
        object.position = seen_from(origin, object.position);
    }
}

/// A place as seen from `origin`.
fn seen_from(origin: [i16; 3], place: [i16; 3]) -> [i16; 3] {
    std::array::from_fn(|axis| place[axis].saturating_sub(origin[axis]))
}

impl ReflectionSpec {
    /// The same spec with the probe at the origin, so that the worker does not learn where in a world it is.
    #[must_use]
    pub fn without_place(mut self) -> Self {
        let origin = std::mem::take(&mut self.probe);
        see_from(origin, &mut self.objects);
        for other in &mut self.others {
            other.probe = seen_from(origin, other.probe);
        }
        self
    }

    /// Texels along the edge of a face of the first probe.
    pub fn face(&self) -> u32 {
        1 << self.face_log2.min(15)
    }

    /// All probes that are wanted, in the order of the outcome's: the first, then the others.
    pub fn viewpoints(&self) -> impl Iterator<Item = Viewpoint> + Clone + '_ {
        let Self { probe, face_log2, levels, samples, .. } = *self;
        std::iter::once(Viewpoint { probe, face_log2, levels, samples }).chain(self.others.iter().copied())
    }

    fn to_bits(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        for value in [self.face_log2, self.levels, self.samples, self.bounces] {
            bits.put(value.into(), 8);
        }
        bits.put(self.seed, 32);
        bits.put(self.sky, 32);
        self.probe.iter().for_each(|part| bits.put(zigzag((*part).into()), 16));
        // A list over its limit is cut to a count that no decoder accepts.
        let others = &self.others[..self.others.len().min(VIEWPOINTS_MAX)];
        bits.put(others.len() as u32, OTHERS_COUNT_BITS);
        for axis in 0..3 {
            bits.column(others.iter().map(|other| zigzag(other.probe[axis].into())));
        }
        for part in 0..VIEWPOINT_PARTS {
            bits.column(others.iter().map(|other| other.parts()[part].into()));
        }
        put_surroundings(&mut bits, self.sun, &self.surfaces, &self.objects);
        bits.finish()
    }
}

const OTHERS_COUNT_BITS: u32 = 4;
const _: () = assert!(VIEWPOINTS_MAX < 1 << OTHERS_COUNT_BITS);

fn take_others<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Vec<Viewpoint>, DecodeError> {
    let count = bits.take(OTHERS_COUNT_BITS)? as usize;
    if count >= VIEWPOINTS_MAX {
        return Err(DecodeError::Other("too many probes"));
    }
    let mut places = vec![[0; 3]; count];
    for axis in 0..3 {
        let column = bits.column(count, u16::MAX.into())?;
        places.iter_mut().zip(column).for_each(|(place, part)| place[axis] = unzigzag(part) as i16);
    }
    let mut parts = vec![[0; VIEWPOINT_PARTS]; count];
    for part in 0..VIEWPOINT_PARTS {
        let column = bits.column(count, u8::MAX.into())?;
        parts.iter_mut().zip(column).for_each(|(parts, value)| parts[part] = value as u8);
    }
    let viewpoints = places.into_iter().zip(parts).map(|(probe, parts)| {
        let [face_log2, levels, samples] = parts;
        Viewpoint { probe, face_log2, levels, samples }
    });
    Ok(viewpoints.collect())
}

/// Appends the sun, the surfaces and the objects.
pub(crate) fn put_surroundings(
    bits: &mut BitWriter,
    sun: Option<Sun>,
    surfaces: &[Surface],
    objects: &[Object],
) {
    bits.put(sun.is_some().into(), 1);
    if let Some(sun) = sun {
        sun.direction.iter().for_each(|part| bits.put(zigzag((*part).into()), 8));
        sun.colour.iter().for_each(|part| bits.put((*part).into(), 8));
        bits.put(sun.power.into(), 8);
    }
    // A list over its limit is cut to a count that no decoder accepts, so that an inadmissible spec is
    // refused on the other side too.
    let surfaces = &surfaces[..surfaces.len().min(SURFACES_MAX + 1)];
    bits.put(surfaces.len() as u32, SURFACE_COUNT_BITS);
    for part in 0..SURFACE_PARTS {
        bits.column(surfaces.iter().map(|surface| surface.parts()[part].into()));
    }
    let objects = &objects[..objects.len().min(OBJECTS_MAX + 1)];
    bits.put(objects.len() as u32, OBJECT_COUNT_BITS);
    put_objects(bits, objects);
}

/// The sun, the surfaces and the objects.
pub(crate) type Surroundings = (Option<Sun>, Vec<Surface>, Vec<Object>);

/// Reads what [`put_surroundings`] wrote.
pub(crate) fn take_surroundings<D: Decoder>(
    bits: &mut BitReader<'_, D>,
) -> Result<Surroundings, DecodeError> {
    let byte = |bits: &mut BitReader<'_, D>| bits.take(8).map(|value| value as u8);
    let sun = if bits.take(1)? == 1 {
        let mut part = || bits.take(8).map(|value| unzigzag(value) as i8);
        let direction = [part()?, part()?, part()?];
        let colour = [byte(bits)?, byte(bits)?, byte(bits)?];
        Some(Sun { direction, colour, power: byte(bits)? })
    } else {
        None
    };
    let count = bits.take(SURFACE_COUNT_BITS)? as usize;
    if count > SURFACES_MAX {
        return Err(DecodeError::Other("too many surfaces"));
    }
    let mut parts = vec![[0; SURFACE_PARTS]; count];
    for part in 0..SURFACE_PARTS {
        let column = bits.column(count, u8::MAX.into())?;
        parts.iter_mut().zip(column).for_each(|(parts, value)| parts[part] = value as u8);
    }
    Ok((sun, parts.into_iter().map(Surface::of).collect(), take_objects(bits)?))
}

const SURFACE_COUNT_BITS: u32 = 7;
const OBJECT_COUNT_BITS: u32 = 12;
const _: () =
    assert!(SURFACES_MAX < (1 << SURFACE_COUNT_BITS) - 1 && OBJECTS_MAX < (1 << OBJECT_COUNT_BITS) - 1);

/// Bytes of a surface.
const SURFACE_PARTS: usize = 9;

impl Surface {
    fn parts(&self) -> [u8; SURFACE_PARTS] {
        let ([red, green, blue], [r, g, b]) = (self.colour, self.glow);
        [red, green, blue, self.metal, self.roughness, r, g, b, self.power]
    }

    fn of([red, green, blue, metal, roughness, r, g, b, power]: [u8; SURFACE_PARTS]) -> Self {
        Self { colour: [red, green, blue], metal, roughness, glow: [r, g, b], power }
    }
}

/// Appends the objects' columns; a field that only some shapes have is a column of those objects alone.
fn put_objects(bits: &mut BitWriter, objects: &[Object]) {
    let forms = || objects.iter().map(|object| object.form);
    bits.column(forms().map(|form| match form {
        Form::Sphere { .. } => 0,
        Form::Capsule { .. } => 1,
        Form::Rock { .. } => 2,
    }));
    bits.column(objects.iter().map(|object| object.surface.into()));
    for axis in 0..3 {
        bits.column(objects.iter().map(|object| zigzag(object.position[axis].into())));
    }
    bits.column(forms().filter_map(|form| match form {
        Form::Sphere { radius } | Form::Capsule { radius, .. } => Some(radius.into()),
        Form::Rock { .. } => None,
    }));
    for axis in 0..3 {
        bits.column(forms().filter_map(|form| match form {
            Form::Capsule { to, .. } => Some(zigzag(to[axis].into())),
            _ => None,
        }));
    }
    let rocks = || {
        forms().filter_map(|form| match form {
            Form::Rock { shape, rotation } => Some((shape, rotation)),
            _ => None,
        })
    };
    bits.column(rocks().map(|(shape, _)| shape.0.into()));
    bits.column(rocks().map(|(_, rotation)| rotation.dropped.into()));
    for axis in 0..3 {
        bits.column(rocks().map(|(_, rotation)| zigzag(rotation.rest[axis].into())));
    }
}

/// Reads what [`put_objects`] wrote.
fn take_objects<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Vec<Object>, DecodeError> {
    let count = bits.take(OBJECT_COUNT_BITS)? as usize;
    if count > OBJECTS_MAX {
        return Err(DecodeError::Other("too many objects"));
    }
    let (byte, short) = (u32::from(u8::MAX), u32::from(u16::MAX));
    let kinds = bits.column(count, 2)?;
    let surfaces = bits.column(count, byte)?;
    let triple = |bits: &mut BitReader<'_, D>, count: usize| -> Result<Vec<[i16; 3]>, DecodeError> {
        let mut all = vec![[0; 3]; count];
        for axis in 0..3 {
            let column = bits.column(count, short)?;
            all.iter_mut().zip(column).for_each(|(to, part)| to[axis] = unzigzag(part) as i16);
        }
        Ok(all)
    };
    let positions = triple(bits, count)?;
    let of_kind = |kind: u32| kinds.iter().filter(|other| **other == kind).count();
    let (capsules, rocks) = (of_kind(1), of_kind(2));
    let mut radii = bits.column(count - rocks, short)?.into_iter();
    let mut ends = triple(bits, capsules)?.into_iter();
    let mut shapes = bits.column(rocks, short)?.into_iter();
    let mut dropped = bits.column(rocks, byte)?.into_iter();
    let mut rests = triple(bits, rocks)?.into_iter();
    let mut radius = || radii.next().unwrap_or_default() as u16;
    let objects = kinds.iter().zip(surfaces).zip(positions).map(|((kind, surface), position)| {
        let form = match kind {
            0 => Form::Sphere { radius: radius() },
            1 => Form::Capsule { to: ends.next().unwrap_or_default(), radius: radius() },
            _ => Form::Rock {
                shape: ShapeId(shapes.next().unwrap_or_default() as u16),
                rotation: Rotation {
                    dropped: dropped.next().unwrap_or_default() as u8,
                    rest: rests.next().unwrap_or_default(),
                },
            },
        };
        Object { position, form, surface: surface as u8 }
    });
    Ok(objects.collect())
}

impl Encode for ReflectionSpec {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encoder.writer().write(&self.to_bits())
    }
}

impl<Context> Decode<Context> for ReflectionSpec {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(decoder);
        let byte = |bits: &mut BitReader<'_, D>| bits.take(8).map(|value| value as u8);
        let [face_log2, levels, samples, bounces] =
            [byte(&mut bits)?, byte(&mut bits)?, byte(&mut bits)?, byte(&mut bits)?];
        let (seed, sky) = (bits.take(32)?, bits.take(32)?);
        let mut part = || bits.take(16).map(|value| unzigzag(value) as i16);
        let probe = [part()?, part()?, part()?];
        let others = take_others(&mut bits)?;
        let (sun, surfaces, objects) = take_surroundings(&mut bits)?;
        bits.finish()?;
        Ok(Self { probe, face_log2, levels, samples, others, bounces, seed, sky, sun, surfaces, objects })
    }
}

bincode::impl_borrow_decode!(ReflectionSpec);
