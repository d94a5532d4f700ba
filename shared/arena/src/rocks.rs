//! Rocks: round obstacles that stand in the way of bullets, ships and paths.

use crate::Vec2;

/// Number of a rock; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RockId(pub u32);

/// A rock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Stable number.
    pub id: RockId,
    /// Centre, metres.
    pub position: Vec2,
    /// Centre one tick ago, for interpolation.
    pub previous: Vec2,
    /// Radius, metres.
    pub radius: f32,
    /// Bullets it still takes before it breaks.
    pub hits_left: u8,
}
