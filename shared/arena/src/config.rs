//! The arena's numbers: sizes, speeds, counts and intervals, each with its range. Their values are in the balance
//! files, `assets/arena*.toml`.

use serde::Deserialize;

use crate::balance::BALANCE;
use crate::record::{Record, Recorded};

/// A number with a range.
trait Number: Copy {
    /// The value clamped to the range; `default` for NaN.
    fn within(self, min: Self, max: Self, default: Self) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Number for $type {
            fn within(self, min: Self, max: Self, _: Self) -> Self {
                self.clamp(min, max)
            }
        })*
    };
}

numbers!(u8, u16, u32);

impl Number for f32 {
    fn within(self, min: Self, max: Self, default: Self) -> Self {
        if self.is_nan() { default } else { self.clamp(min, max) }
    }
}

/// Declares a set of numbers: the struct, its default in the balance files, its ranges and its part in the digest.
macro_rules! rules {
    ($(#[$doc:meta])* $name:ident in $part:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $min:literal ..= $max:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[doc = concat!(" Range ", stringify!($min), " to ", stringify!($max), ".")]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            /// As `assets/arena.toml` has them.
            fn default() -> Self {
                BALANCE.pilot.$part.clone()
            }
        }

        impl $name {
            fn clamp(&mut self) {
                let default = Self::default();
                $(self.$field = Number::within(self.$field, $min, $max, default.$field);)*
            }
        }

        impl Recorded for $name {
            fn record(&self, record: &mut Record) {
                let Self { $($field,)* } = self;
                $(record.add($field);)*
            }
        }
    };
}

rules! {
    /// How the gamer's ship flies and shoots, and how many there are.
    ShipRules in ship {
        /// Radius, metres.
        radius: f32 = 0.1..=2.0;
        /// Mass, kilograms: what it weighs against a rock it rams.
        mass: f32 = 100.0..=100_000.0;
        /// Acceleration along the heading, m/s².
        thrust: f32 = 0.0..=100.0;
        /// Acceleration against the heading, m/s².
        brake: f32 = 0.0..=100.0;
        /// Share of the speed lost per second; thrust / drag is the top speed.
        drag: f32 = 0.0..=20.0;
        /// Turning, radians per second.
        turn_rate: f32 = 0.1..=12.0;
        /// Share of the speed kept after bouncing off a rock or the wall.
        bounce: f32 = 0.0..=1.0;
        /// Speed against a rock from which a crash hurts the ship, m/s.
        crash_speed: f32 = 1.0..=1000.0;
        /// Damage of such a crash.
        crash_damage: u8 = 0..=100;
        /// Damage of being rammed.
        ram_damage: u8 = 0..=100;
        /// Damage that a full shield absorbs.
        shield: u8 = 0..=100;
        /// Damage that a full hull absorbs once the shield is gone; the last point loses the ship.
        hull: u8 = 1..=100;
        /// Ticks without a hit after which the shield begins to recharge.
        shield_delay_ticks: u16 = 0..=6_000;
        /// Ticks in which the shield recharges one point.
        shield_ticks: u16 = 1..=6_000;
        /// Ticks of invulnerability after damage.
        mercy_ticks: u16 = 0..=600;
        /// Factor on the thrust while it boosts.
        boost: f32 = 1.0..=4.0;
        /// Ticks for which a full charge boosts.
        boost_ticks: u16 = 0..=6_000;
        /// Ticks in which one tick of boost is charged again.
        boost_charge_ticks: u16 = 1..=600;
        /// Ticks between two shots.
        cooldown_ticks: u16 = 1..=600;
        /// Speed of a bullet, m/s.
        bullet_speed: f32 = 1.0..=120.0;
        /// Ticks a bullet flies.
        bullet_ticks: u16 = 1..=600;
        /// Missiles of a new ship.
        missiles: u8 = 0..=100;
        /// Most missiles that can be carried.
        missiles_max: u8 = 0..=100;
        /// Ticks between two missiles.
        missile_cooldown_ticks: u16 = 1..=600;
        /// Speed of a missile, m/s.
        missile_speed: f32 = 1.0..=120.0;
        /// Turning of a missile, radians per second.
        missile_turn_rate: f32 = 0.0..=12.0;
        /// Ticks a missile flies.
        missile_ticks: u16 = 1..=600;
        /// Hits that a missile counts for.
        missile_hits: u8 = 1..=100;
        /// Ships at the start of a round.
        lives: u32 = 1..=100;
        /// Most ships that points can earn.
        lives_max: u32 = 1..=100;
        /// Points for each further ship.
        extra_life_points: u32 = 100..=1_000_000_000;
        /// Ticks between losing a ship and getting the next.
        away_ticks: u16 = 1..=600;
        /// Ticks of invulnerability of a new ship.
        invulnerable_ticks: u16 = 0..=600;
    }
}

rules! {
    /// How enemies fly, shoot and what they are worth.
    EnemyRules in enemies {
        /// Radius, metres.
        radius: f32 = 0.1..=2.0;
        /// Speed of a rammer in the first wave, m/s.
        rammer_speed: f32 = 0.5..=30.0;
        /// Speed of a gunner in the first wave, m/s.
        gunner_speed: f32 = 0.5..=30.0;
        /// Share by which each wave is faster than the first.
        speed_per_wave: f32 = 0.0..=1.0;
        /// Largest share by which a wave is faster than the first.
        speed_gain_max: f32 = 0.0..=2.0;
        /// How fast the velocity approaches the desired one, share of the difference per second.
        agility: f32 = 0.1..=30.0;
        /// Turning of the hull, radians per second.
        turn_rate: f32 = 0.1..=12.0;
        /// Distance below which two enemies push each other aside, metres.
        separation: f32 = 0.0..=10.0;
        /// Every n-th enemy is a gunner.
        gunner_every: u32 = 1..=1_000;
        /// Bullets a gunner takes; a rammer takes one.
        gunner_hits: u8 = 1..=100;
        /// How far a gunner sees, metres.
        sight: f32 = 0.0..=500.0;
        /// Distance a gunner that sees the ship would rather keep, metres.
        standoff: f32 = 0.0..=100.0;
        /// Ticks between a gunner's shots.
        cooldown_ticks: u16 = 1..=6_000;
        /// Speed of a bullet, m/s.
        bullet_speed: f32 = 1.0..=120.0;
        /// Ticks a bullet flies.
        bullet_ticks: u16 = 1..=600;
        /// Random deviation of a shot, radians either way.
        spread: f32 = 0.0..=0.5;
        /// Points for a rammer.
        rammer_points: u32 = 0..=1_000_000;
        /// Points for a gunner.
        gunner_points: u32 = 0..=1_000_000;
        /// Damage of a bullet.
        bullet_damage: u8 = 0..=100;
        /// Radius of a carrier, metres.
        carrier_radius: f32 = 0.1..=2.0;
        /// Speed of a carrier in the first wave, m/s.
        carrier_speed: f32 = 0.5..=30.0;
        /// Bullets that destroy a carrier.
        carrier_hits: u8 = 1..=100;
        /// Ticks between the rammers that a carrier launches.
        launch_ticks: u16 = 10..=6_000;
        /// A carrier launches only while there are fewer enemies than this.
        launch_below: u32 = 0..=200;
        /// Distance a carrier would rather keep, metres.
        carrier_distance: f32 = 0.0..=100.0;
        /// Points for a carrier.
        carrier_points: u32 = 0..=1_000_000;
        /// Radius of a boss, metres.
        boss_radius: f32 = 0.1..=2.0;
        /// Speed of a boss in the first wave, m/s.
        boss_speed: f32 = 0.5..=30.0;
        /// Bullets that destroy a boss, from behind its plates.
        boss_hits: u8 = 1..=100;
        /// Turning of a boss, radians per second: slow enough to be flown around.
        boss_turn_rate: f32 = 0.1..=12.0;
        /// Cosine of the angle from its heading within which a boss is plated with mirrors, which reflect
        /// bolts.
        boss_plates: f32 = -1.0..=1.0;
        /// Ticks between a boss's salvos.
        boss_cooldown_ticks: u16 = 1..=6_000;
        /// Points for a boss.
        boss_points: u32 = 0..=1_000_000;
    }
}

rules! {
    /// How many rocks there are, how they move and how many hits they take.
    RockRules in rocks {
        /// Chains of rocks that enemies must go round, at most.
        reefs: u32 = 0..=64;
        /// Rocks in each chain.
        reef_rocks: u32 = 1..=32;
        /// Rocks at the start of a round; those that are in no reef stand alone, as far as there is room.
        count: u32 = 0..=1_200;
        /// Radius of the smallest rock, metres.
        radius_min: f32 = 0.3..=8.0;
        /// Radius of the largest rock, metres.
        radius_max: f32 = 0.3..=8.0;
        /// Distance from the centre that starts free of rocks, metres.
        clear_radius: f32 = 3.0..=64.0;
        /// Bullets that the largest rock takes; smaller ones take fewer.
        hits: u8 = 1..=100;
        /// Pieces into which a rock breaks that is large enough.
        pieces: u32 = 0..=4;
        /// Radius of a piece as a share of its rock's; more than two pieces have at most 0.41.
        piece_size: f32 = 0.1..=0.5;
        /// Fragments into which a rock shatters beside its pieces, at most; small rocks have room for fewer.
        fragments: u32 = 0..=64;
        /// Most fragments at once; the oldest are removed.
        fragments_max: u32 = 0..=1_000;
        /// Radius of a fragment, metres.
        fragment_radius: f32 = 0.125..=0.5;
        /// Speed at which fragments fly apart from the edge of a rock, m/s.
        fragment_speed: f32 = 0.0..=12.0;
        /// Share of its speed that a fragment loses in every segment of the rocks' motions, in 256ths.
        fragment_drag: u8 = 0..=255;
        /// Speed against a ship of any kind from which a fragment breaks on it instead of bouncing off, m/s.
        fragment_break_speed: f32 = 0.0..=100.0;
        /// Ticks after which a fragment is gone.
        fragment_ticks: u16 = 60..=7_200;
        /// Points for a rock.
        points: u32 = 0..=1_000_000;
        /// Share of the rocks' first area below which a new wave brings new rocks.
        regrow_below: f32 = 0.0..=1.0;
        /// Largest drift of a new rock, m/s; a reef drifts as one, a third as fast.
        drift: f32 = 0.0..=4.0;
        /// Fastest tumbling of a new rock about each axis, radians per second.
        tumble: f32 = 0.0..=4.0;
        /// Largest speed that knocks give a rock, m/s.
        speed_cap: f32 = 1.0..=16.0;
        /// Share of the speed kept when rocks meet one another or a wall.
        restitution: f32 = 0.0..=1.0;
        /// What a bullet knocks a rock with, newton seconds.
        knock: f32 = 0.0..=1_000_000.0;
        /// Speed at which pieces fly apart, m/s.
        split_speed: f32 = 0.0..=8.0;
    }
}

rules! {
    /// How far ahead the rocks' motions are asked for. The next window is asked for while the present one
    /// runs.
    PhysicsRules in physics {
        /// Segments of one window; each can be checked on its own.
        segments: u8 = 1..=8;
        /// Ticks of one segment.
        segment_ticks: u8 = 4..=30;
        /// Contacts softer than this make no event, newton seconds.
        contact_min: f32 = 0.0..=1_000_000.0;
    }
}

rules! {
    /// What enemies leave behind.
    PickupRules in pickups {
        /// Share of the enemies that leave something.
        chance: f32 = 0.0..=1.0;
        /// Ticks for which it stays.
        ticks: u16 = 1..=6_000;
        /// How near the ship must come, metres from centre to centre.
        reach: f32 = 0.1..=8.0;
        /// Missiles in a rack.
        missiles: u8 = 1..=100;
    }
}

rules! {
    /// Which waves come, and how they grow.
    WaveRules in waves {
        /// How many of the designed waves come first.
        designed: u32 = 0..=10;
        /// Factor on the numbers of the designed waves; bosses and carriers stay as they are.
        scale: f32 = 0.1..=4.0;
        /// After the designed waves every n-th has a boss, one more for every ten waves; 0 for none.
        boss_every: u32 = 0..=1_000;
        /// Enemies of the first wave.
        enemies_first: u32 = 1..=200;
        /// Enemies that each wave has more than the one before.
        enemies_step: u32 = 0..=200;
        /// Enemies of the largest wave.
        enemies_max: u32 = 1..=200;
        /// Ticks from the last enemy's end, or the round's start, to the next wave.
        pause_ticks: u16 = 1..=6_000;
        /// Points for clearing a wave.
        points: u32 = 0..=1_000_000;
    }
}

rules! {
    /// When the ship warps from sector to sector, and what gravity wells do.
    SectorRules in sectors {
        /// Waves in each sector, after which the ship warps to the next; 0 for never.
        waves: u32 = 0..=1_000;
        /// Ticks from the end of a sector's last wave to the jump.
        warp_ticks: u16 = 1..=90;
        /// Strength of a well, cubic metres per second squared: at a distance far beyond its softness it pulls with this
        /// over the distance squared.
        well_strength: f32 = 0.0..=400.0;
        /// Distance within which the pull no longer grows, metres.
        well_softness: f32 = 2.0..=16.0;
        /// Share of the pull that acts on rocks: they are heavy.
        well_rocks: f32 = 0.0..=1.0;
        /// Radius in which rocks and bullets end, metres.
        well_core: f32 = 0.0..=4.0;
    }
}

rules! {
    /// When paths are asked for and how long they hold.
    PathRules in paths {
        /// Ticks from one request to the next.
        period_ticks: u16 = 6..=600;
        /// Ticks until a path should be there.
        deadline_ticks: u16 = 1..=600;
        /// Ticks after which an outcome is too old to be taken.
        patience_ticks: u16 = 1..=600;
        /// Ticks for which an enemy follows a path it has taken.
        fresh_ticks: u16 = 1..=600;
        /// How many seconds of its flight ahead of the ship the goal lies.
        lead: f32 = 0.0..=3.0;
    }
}

rules! {
    /// How many wingmen fly with the gamer, and how they fly and shoot.
    WingmanRules in wingmen {
        /// How many there are.
        flying: u8 = 0..=2;
        /// Radius, metres.
        radius: f32 = 0.1..=2.0;
        /// Speed, m/s.
        speed: f32 = 0.5..=30.0;
        /// How fast the velocity approaches the desired one, share of the difference per second.
        agility: f32 = 0.1..=30.0;
        /// Turning of the hull, radians per second.
        turn_rate: f32 = 0.1..=12.0;
        /// Damage that a wingman absorbs before it is lost.
        hull: u8 = 1..=100;
        /// Ticks between losing a wingman and its return.
        away_ticks: u16 = 1..=6_000;
        /// Distance from enemies that it would rather keep, metres.
        standoff: f32 = 0.0..=60.0;
        /// How far it sees to shoot, metres.
        sight: f32 = 0.0..=60.0;
        /// Ticks between two shots.
        cooldown_ticks: u16 = 1..=600;
        /// Speed of a bullet, m/s.
        bullet_speed: f32 = 1.0..=60.0;
        /// Ticks a bullet flies.
        bullet_ticks: u16 = 1..=600;
        /// Random deviation of a shot, radians either way.
        spread: f32 = 0.0..=0.5;
        /// Ticks without a shot of the gamer's after which they hold their fire, so that they do not win for a player who
        /// only watches; 0 for never.
        holds_fire_ticks: u16 = 0..=60_000;
    }
}

rules! {
    /// When plans are asked for, and whether bosses plan besides wingmen.
    TacticsRules in tactics {
        /// Whether bosses plan: 1 for yes.
        bosses: u8 = 0..=1;
        /// Ticks from one request to the next.
        period_ticks: u16 = 6..=600;
        /// Ticks until a plan begins.
        deadline_ticks: u16 = 4..=120;
    }
}

/// Everything that makes one arena differ from another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArenaConfig {
    /// Seed of all randomness.
    pub seed: u64,
    /// Edge of the square arena, metres. Range 32 to 256.
    pub size: f32,
    /// Cells along each edge of the grid that paths are found on. Range 32 to 256, and cells of at most 2 m.
    pub grid_cells: u16,
    /// The gamer's ship.
    pub ship: ShipRules,
    /// The enemies.
    pub enemies: EnemyRules,
    /// The rocks.
    pub rocks: RockRules,
    /// The requests for the rocks' motions.
    pub physics: PhysicsRules,
    /// What enemies leave behind.
    pub pickups: PickupRules,
    /// The waves.
    pub waves: WaveRules,
    /// The sectors and their wells.
    pub sectors: SectorRules,
    /// The requests for paths.
    pub paths: PathRules,
    /// Who flies with the gamer.
    pub wingmen: WingmanRules,
    /// The requests for plans.
    pub tactics: TacticsRules,
}

impl Default for ArenaConfig {
    /// As `assets/arena.toml` has it.
    fn default() -> Self {
        BALANCE.pilot.clone()
    }
}

impl ArenaConfig {
    /// Up to 200 enemies on a 256 x 256 grid and about 1,200 rocks: paths and physics cost enough here that a
    /// weak machine feels them. As `assets/arena-stress.toml` has it.
    pub fn stress() -> Self {
        BALANCE.stress.clone()
    }

    /// The same with `wingmen` wingmen, and with bosses that plan.
    #[must_use]
    pub fn with_allies(mut self, wingmen: u8) -> Self {
        self.wingmen.flying = wingmen;
        self.tactics.bosses = 1;
        self
    }

    /// The same with every number inside its range; [`crate::Arena::new`] uses these.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.size = self.size.within(32.0, 256.0, BALANCE.pilot.size);
        let cells_min = (self.size * 0.5) as u16;
        self.grid_cells = self.grid_cells.clamp(cells_min.max(32), 256);
        self.ship.clamp();
        self.enemies.clamp();
        self.rocks.clamp();
        self.rocks.radius_max = self.rocks.radius_max.max(self.rocks.radius_min);
        self.physics.clamp();
        self.pickups.clamp();
        self.waves.clamp();
        self.sectors.clamp();
        self.paths.clamp();
        self.wingmen.clamp();
        self.tactics.clamp();
        self
    }
}

impl Recorded for ArenaConfig {
    fn record(&self, record: &mut Record) {
        let Self {
            seed,
            size,
            grid_cells,
            ship,
            enemies,
            rocks,
            physics,
            pickups,
            waves,
            sectors,
            paths,
            // The arena records these two itself, and only if they are used.
            wingmen: _,
            tactics: _,
        } = self;
        record.add(seed);
        record.add(size);
        record.add(grid_cells);
        record.add(ship);
        record.add(enemies);
        record.add(rocks);
        record.add(physics);
        record.add(pickups);
        record.add(waves);
        record.add(sectors);
        record.add(paths);
    }
}
