//! The gamer's ship.

use crate::Vec2;

/// The gamer's ship.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ship {
    /// Position, metres.
    pub position: Vec2,
    /// Position one tick ago, for interpolation.
    pub previous: Vec2,
    /// Velocity, metres per second.
    pub velocity: Vec2,
    /// Where it points: a unit vector.
    pub heading: Vec2,
    /// Heading one tick ago, for interpolation.
    pub previous_heading: Vec2,
    /// Radius, metres.
    pub radius: f32,
    /// Whether it is in the arena; after a loss it is away for a while.
    pub alive: bool,
    /// Ticks during which nothing can hurt it.
    pub invulnerable_ticks: u16,
    /// Whether its engine burned forward in this tick.
    pub thrusting: bool,
    pub(crate) cooldown_ticks: u16,
    pub(crate) away_ticks: u16,
}
