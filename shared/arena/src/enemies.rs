//! Enemies: they come for the ship, along paths where they have fresh ones.

use crate::Vec2;

/// Number of an enemy; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnemyId(pub u32);

/// What an enemy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnemyRole {
    /// Rams the ship.
    Rammer,
    /// Slower and tougher; shoots when it sees the ship.
    Gunner,
}

/// What an enemy steers by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// A path from an outcome that is still fresh.
    Path,
    /// Its nose: straight at the ship, pushed aside by rocks; gets caught in hollows.
    Nose,
}

/// An enemy.
#[derive(Clone, Debug, PartialEq)]
pub struct Enemy {
    /// Stable number.
    pub id: EnemyId,
    /// What it does.
    pub role: EnemyRole,
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
    /// Bullets it still takes before it blows up.
    pub hits_left: u8,
    /// What it steered by in this tick.
    pub steering: Steering,
    pub(crate) waypoints: Vec<Vec2>,
    pub(crate) cooldown_ticks: u16,
}

impl Enemy {
    /// The points it still has to pass, nearest first, metres; empty without a path.
    pub fn waypoints(&self) -> &[Vec2] {
        &self.waypoints
    }
}
