//! Bullets: they fly straight and end at the first thing they touch.

use crate::Vec2;
use crate::enemies::EnemyId;

/// Number of a bullet; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BulletId(pub u32);

/// Who fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shooter {
    /// The gamer's ship.
    Ship,
    /// An enemy, possibly gone by now.
    Enemy(EnemyId),
}

/// A bullet in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bullet {
    /// Stable number.
    pub id: BulletId,
    /// Who fired it; enemies' bullets pass through enemies, the ship's own through the ship.
    pub shooter: Shooter,
    /// Position, metres.
    pub position: Vec2,
    /// Position one tick ago, for interpolation and for the path it swept.
    pub previous: Vec2,
    /// Velocity, metres per second.
    pub velocity: Vec2,
    /// Ticks it still flies.
    pub ticks_left: u16,
}
