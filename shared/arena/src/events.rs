//! What happened in one step, for sound, effects and statistics. The rules never read events.

use crate::Vec2;
use crate::bullets::Shooter;
use crate::enemies::{EnemyId, EnemyRole};
use crate::pickups::PickupKind;
use crate::rocks::RockId;
use crate::wanted::RequestId;

/// What hurt the ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// An enemy of this role touched it.
    Rammed(EnemyRole),
    /// A bolt of an enemy's hit it.
    Shot,
    /// A bolt that a boss's mirrors had reflected hit it.
    Reflected,
    /// It flew into a rock too fast.
    Crashed,
}

/// Something that happened in one step, in the order in which it happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArenaEvent {
    /// The round was restarted: score, lives, rocks and waves start over. A new arena's first round has no
    /// event.
    RoundStarted,
    /// A wave of enemies appeared.
    WaveStarted {
        /// Number of the wave, from 1.
        wave: u32,
        /// How many enemies it has.
        enemies: u32,
    },
    /// The last enemy of a wave was destroyed; the next wave comes after a pause.
    WaveCleared {
        /// Number of the wave.
        wave: u32,
    },
    /// The last wave of a sector is cleared, and the ship begins its warp to the next.
    WarpStarted {
        /// Ticks to the jump.
        ticks: u16,
    },
    /// The ship has jumped to the middle of another sector.
    SectorEntered {
        /// Which sector of the round, from 1.
        sector: u32,
    },
    /// A gun fired.
    Fired {
        /// Whose gun.
        by: Shooter,
        /// Where the bullet starts.
        at: Vec2,
        /// Where it flies: a unit vector.
        heading: Vec2,
    },
    /// A bullet struck something that survived it.
    Hit {
        /// Where.
        at: Vec2,
    },
    /// A boss's mirrors reflected a bolt.
    Reflected {
        /// Where.
        at: Vec2,
    },
    /// The ship was hurt and survived it.
    ShipHurt {
        /// Where it is.
        at: Vec2,
        /// Shield points left.
        shield: u8,
        /// Hull points left.
        hull: u8,
        /// What hurt it.
        by: Harm,
        /// The direction from the ship to what hurt it: a unit vector.
        from: Vec2,
    },
    /// The ship launched a missile.
    MissileLaunched {
        /// Where.
        at: Vec2,
        /// Where it flies at first: a unit vector.
        heading: Vec2,
    },
    /// A carrier launched a rammer.
    Launched {
        /// Where.
        at: Vec2,
    },
    /// A destroyed enemy left a pickup.
    PickupLeft {
        /// Where.
        at: Vec2,
        /// What.
        kind: PickupKind,
    },
    /// The ship took a pickup.
    PickupTaken {
        /// Where.
        at: Vec2,
        /// What.
        kind: PickupKind,
    },
    /// An enemy is gone.
    EnemyDestroyed {
        /// Which one.
        id: EnemyId,
        /// Where.
        at: Vec2,
        /// Points the gamer got for it; none for a rammer that a carrier launched.
        points: u32,
    },
    /// A rock is gone; its pieces, if any, are already in the list of rocks.
    RockDestroyed {
        /// Which one.
        id: RockId,
        /// Where.
        at: Vec2,
        /// Its radius, metres.
        radius: f32,
        /// How many pieces it left.
        pieces: u32,
    },
    /// Something blew up.
    Explosion {
        /// Where.
        at: Vec2,
        /// Radius of what blew up, metres.
        size: f32,
    },
    /// The ship bounced off a rock or the wall, faster than a scrape.
    Bumped {
        /// Where they touched.
        at: Vec2,
        /// How fast the ship went against it, metres per second.
        speed: f32,
    },
    /// The ship was destroyed.
    ShipLost {
        /// Where.
        at: Vec2,
        /// Lives that are left.
        lives: u32,
        /// What destroyed it.
        by: Harm,
        /// The direction from the ship to what destroyed it: a unit vector.
        from: Vec2,
    },
    /// The ship is back after a loss and is invulnerable for a while.
    ShipReturned {
        /// Where.
        at: Vec2,
    },
    /// The score earned one more life.
    LifeGained {
        /// Lives there are now.
        lives: u32,
    },
    /// The last life is gone; the score stays until a restart.
    GameOver {
        /// Final score.
        score: u64,
        /// The wave that was reached.
        wave: u32,
    },
    /// Enemies follow new paths.
    PathsTaken {
        /// The request that was answered.
        request: RequestId,
        /// How many enemies follow a path of this outcome.
        enemies: u32,
        /// Ticks between the request and its use.
        age_ticks: u32,
    },
    /// Two rocks met, or a rock and the wall, harder than the configured minimum; only the hardest of each
    /// tick.
    RocksMet {
        /// Where they touched.
        at: Vec2,
        /// How hard, newton seconds; in a trajectory, over its whole segment.
        impulse: f32,
    },
    /// The rocks' motions in the next window have arrived. They begin when the window does.
    PhysicsTaken {
        /// The request that was answered.
        request: RequestId,
    },
    /// No motions had arrived for the window that begins, so the arena computed them itself in this step.
    PhysicsInline {
        /// The unanswered request.
        request: RequestId,
        /// Whether the kernel gave up, as it then does on every machine: the rocks fly by the local rule.
        failed: bool,
    },
    /// The arena was told that the motions in the next window will not arrive before it begins: the rocks fly
    /// through it by the local rule.
    PhysicsMissed {
        /// The request without an answer in time.
        request: RequestId,
    },
    /// Wingmen and bosses fly new plans.
    PlansTaken {
        /// The request that was answered.
        request: RequestId,
        /// How many of them.
        planners: u32,
        /// Rollouts for each of them.
        rollouts: u32,
        /// Ticks between the request and its use.
        age_ticks: u32,
    },
    /// A wingman was destroyed.
    WingmanLost {
        /// Where.
        at: Vec2,
    },
    /// A wingman is back after a loss.
    WingmanReturned {
        /// Where.
        at: Vec2,
    },
    /// An outcome was not used: its request is not pending, it is older than one already taken, or it is
    /// invalid or fails its check.
    OutcomeIgnored {
        /// The request it claimed to answer.
        request: RequestId,
    },
}
