//! The rules of Borrowed Light: a space shooter on a plane, stepped 60 times a second, without drawing.
//!
//! [`Arena::step`] takes the controls and the outcomes due at this tick, and returns what happened and what
//! it wants to have computed. It reads no clock, does no I/O and draws nothing; the same configuration
//! and inputs give the same [`Arena::digest`] on every machine. Views read it through `&Arena` and keep
//! nothing but ids.
//!
//! The plane is centred on the origin: `x` to the right, `y` forward, both from minus to plus half the
//! arena's size, in metres.
//!
//! | file | owns |
//! |---|---|
//! | `arena` | the state, the order of a step, the read-only methods |
//! | `config` | all numbers with their ranges; `assets/arena.toml` holds the same |
//! | `difficulty` | three sets of those numbers, from easy to hard |
//! | `ship`, `bullets`, `rocks`, `fragments` | one thing each: how it moves, what it hits, how it ends |
//! | `enemies`, `steering`, `nearby` | what enemies are and do; how they move; which rocks are near them |
//! | `windows`, `loose` | rocks on trajectories of the kind `physics`; rocks that something knocked off theirs |
//! | `wingmen` | the ships that fly with the gamer |
//! | `planning`, `situation`, `duels` | asking for plans of wingmen and bosses; the spec that describes the arena for it; how much plans help |
//! | `sectors`, `wells` | the places to which a round moves on after some waves, and the warp there; gravity wells |
//! | `pathing`, `goals`, `wanted` | asking for paths and checking the answers; where each enemy wants to go; the types of requests and answers |
//! | `horizon` | how far ahead the arena asks |
//! | `plans`, `waves`, `rounds` | the designed waves; when enemies come; score, lives, beginning and end |
//! | `pickups` | what enemies leave behind |
//! | `layout`, `field`, `plane` | where rocks start; the plane as a path grid, and in the space of physics |
//! | `vec2`, `dice`, `record` | exactly rounded geometry, randomness, and the bytes that the digest covers |
//! | `autopilot`, `flight` | a player for demos and tests; recorded controls, to be replayed |

mod arena;
mod autopilot;
mod balance;
mod bullets;
mod config;
mod controls;
mod dice;
mod difficulty;
mod duels;
mod enemies;
mod events;
mod field;
mod flight;
mod fragments;
mod goals;
mod horizon;
mod layout;
mod loose;
mod nearby;
mod pathing;
mod pickups;
mod plane;
mod planning;
mod plans;
mod record;
mod rocks;
mod rounds;
mod sectors;
mod ship;
mod situation;
mod steering;
#[cfg(test)]
mod tests;
mod vec2;
mod wanted;
mod waves;
mod wells;
mod windows;
mod wingmen;

pub use arena::{Arena, Step};
pub use autopilot::Autopilot;
pub use bullets::{Ammunition, Bullet, BulletId, Shooter};
pub use config::{
    ArenaConfig, EnemyRules, PathRules, PhysicsRules, PickupRules, RockRules, SectorRules, ShipRules,
    TacticsRules, WaveRules, WingmanRules,
};
pub use controls::Controls;
pub use difficulty::Difficulty;
pub use enemies::{Enemy, EnemyId, EnemyRole, Steering};
pub use events::{ArenaEvent, Harm};
pub use flight::{Flight, FlightError};
pub use horizon::{HORIZON_TICKS_MAX, Horizon};
pub use pickups::{Pickup, PickupId, PickupKind};
pub use planning::PlanDepth;
pub use plans::{Stress, WavePlan};
pub use rocks::{Rock, RockId};
pub use sectors::{Sector, SectorPlan};
pub use ship::Ship;
pub use vec2::Vec2;
pub use wanted::{DueOutcome, Motions, OutcomeBody, RequestId, WantedSpec, WantedTask};
pub use wells::Well;
pub use windows::PhysicsInUse;
pub use wingmen::{Wingman, WingmanId};

/// Steps per second; every rate in the configuration is converted with it.
pub const TICKS_PER_SECOND: u32 = 60;
