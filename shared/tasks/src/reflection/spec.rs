//! What is asked of the kind `reflection`: a scene, the point whose surroundings are wanted, and how well.

use bincode::{Decode, Encode};

use crate::physics::{Rotation, ShapeId};

/// Steps per metre of a position.
pub const POSITION_STEPS_PER_M: f32 = 64.0;
/// Steps per metre of a radius.
pub const RADIUS_STEPS_PER_M: f32 = 64.0;

/// What a surface does to light. Shares are in 255ths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Object {
    /// Centre of a sphere or rock, first end of a capsule, in [`POSITION_STEPS_PER_M`].
    pub position: [i16; 3],
    /// Its shape.
    pub form: Form,
    /// Index into [`ReflectionSpec::surfaces`].
    pub surface: u8,
}

/// A light without place, such as a sun; it casts shadows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Sun {
    /// Towards the sun, any length but 0.
    pub direction: [i8; 3],
    /// Colour, scaled by [`Sun::power`].
    pub colour: [u8; 3],
    /// Irradiance on a surface that faces it, as [`Surface::power`].
    pub power: u8,
}

/// A cube probe that is wanted. y is up; the game's plane is y = 0.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
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
    /// Surfaces a path may meet.
    pub bounces: u8,
    /// Where the paths' randomness starts.
    pub seed: u32,
    /// Which sky.
    pub sky: u32,
    /// The sun, if there is one.
    pub sun: Option<Sun>,
    /// What things are made of.
    pub surfaces: Vec<Surface>,
    /// The things.
    pub objects: Vec<Object>,
}
