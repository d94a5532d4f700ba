//! The tasks of Borrowed Light at its default settings, taken from the arena's own rules while the autopilot
//! plays: the real specs at their real rates.
//!
//! Paths and motions are what the arena wants. The light around the ship is requested by the view and not by
//! the rules; [`LIGHT`] says how, and a test with the real game holds the two together.

mod sector;

use std::time::Duration;

use p2c2r_arena::{Arena, ArenaConfig, Autopilot, PlanDepth, Rock, TICKS_PER_SECOND, Vec2, WantedSpec};
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, Probes};
use p2c2r_tasks::path::{Path, PathSpec, Query};
use p2c2r_tasks::physics::{Physics, PhysicsSpec, Rotation, ShapeKind};
use p2c2r_tasks::reflection::{
    Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, Reflection, ReflectionSpec, Sun, Surface,
    Viewpoint,
};
use p2c2r_tasks::tactics::{Tactics, TacticsSpec};
use p2c2r_tasks::{Blobs, KernelError, TaskKind};

use super::answers::ArenaAnswers;

pub use sector::{SECTOR, SECTORS_PER_HOUR, sector};

/// How the game asks for the light around its ship.
#[derive(Clone, Debug, PartialEq)]
pub struct LightHabit {
    /// From one task to the next.
    pub interval: Duration,
    /// See [`ReflectionSpec::face_log2`].
    pub face_log2: u8,
    /// See [`ReflectionSpec::levels`].
    pub levels: u8,
    /// See [`ReflectionSpec::samples`].
    pub samples: u8,
    /// See [`ReflectionSpec::bounces`].
    pub bounces: u8,
    /// Most rocks that are mirrored: the nearest.
    pub rocks_max: usize,
    /// Most other ships with cubes of their own: the nearest.
    pub ships_max: usize,
    /// Paths per texel of those, see [`Viewpoint::samples`].
    pub ship_samples: u8,
}

/// Texels along the edge of a face of another ship's cube, as a power of two.
const SHIP_FACE_LOG2: u8 = 4;
/// Metres beyond which no ship has a cube of its own.
const SHIPS_NEAR_M: f32 = 26.0;

/// The default of Borrowed Light, `Fineness::of(Quality::Low)`.
pub const LIGHT: LightHabit = LightHabit {
    interval: Duration::from_millis(215),
    face_log2: 5,
    levels: 5,
    samples: 1,
    bounces: 2,
    rocks_max: 48,
    ships_max: 2,
    ship_samples: 1,
};

/// How the game asks for the light of the field around its ship.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldHabit {
    /// From one task to the next.
    pub interval: Duration,
    /// See [`LightfieldSpec::paths`].
    pub paths: u16,
    /// See [`LightfieldSpec::bounces`].
    pub bounces: u8,
    /// Most rocks in the scene: the nearest.
    pub rocks_max: usize,
}

/// The default of Borrowed Light, `FieldFineness::bought(Preset::Default, Quality::Low)`.
pub const FIELD: FieldHabit =
    FieldHabit { interval: Duration::from_millis(200), paths: 27, bounces: 2, rocks_max: 48 };

/// Wingmen of a game at its default settings.
const WINGMEN: u8 = 1;
/// Depth of its plans and the bosses', `depth::bought(Preset::Default)`.
pub const PLANS: PlanDepth = PlanDepth { candidates: 8, futures: 8 };

/// Tasks of one kind and how often a game asks for one.
pub struct Played<K: TaskKind> {
    /// In the order in which they were asked for.
    pub tasks: Vec<(K::Spec, Blobs)>,
    /// Tasks a second.
    pub per_second: f64,
}

/// A kind whose tasks of play can be varied, so that equal ones do not come from the coordinator's cache.
pub trait Varied: TaskKind {
    /// Variation `number` of `spec`: another spec of the same work. Number 0 is the spec itself.
    fn vary(spec: &Self::Spec, number: u32) -> Self::Spec;

    /// How many different tasks [`Varied::vary`] makes of one.
    fn variants(spec: &Self::Spec) -> u64 {
        let _ = spec;
        u64::from(u32::MAX)
    }
}

/// What a game asks for in `seconds` of play.
pub struct Play {
    /// Paths of the enemies.
    pub path: Played<Path>,
    /// Motions of the rocks.
    pub physics: Played<Physics>,
    /// Light around the ship.
    pub reflection: Played<Reflection>,
    /// Light on everything around it, each answer whole: the real game asks for changes where it can.
    pub lightfield: Played<Lightfield>,
    /// Plans of wingmen and bosses.
    pub tactics: Played<Tactics>,
}

impl Play {
    /// Plays for `seconds`, at default settings and full speed.
    pub fn of(seconds: u32) -> Result<Self, KernelError> {
        Self::watched(seconds, |_| ())
    }

    /// The same; `watch` is called before every step.
    pub fn watched(seconds: u32, mut watch: impl FnMut(&Arena)) -> Result<Self, KernelError> {
        let ticks = u64::from(seconds) * u64::from(TICKS_PER_SECOND);
        let light_ticks = (LIGHT.interval.as_secs_f64() * f64::from(TICKS_PER_SECOND)).round() as u64;
        let config = ArenaConfig::default().with_allies(WINGMEN);
        let (mut arena, mut autopilot) = (Arena::new(config), Autopilot::default());
        arena.plan_deep(PLANS);
        let field_ticks = (FIELD.interval.as_secs_f64() * f64::from(TICKS_PER_SECOND)).round() as u64;
        let (mut path, mut physics) = (Vec::new(), Vec::new());
        let (mut reflection, mut lightfield, mut tactics) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = ArenaAnswers::default();
        while arena.tick() < ticks {
            let due = answers.due(arena.tick());
            watch(&arena);
            if arena.tick() % light_ticks == 0 {
                reflection.push((light_around(&arena, &LIGHT), Blobs::default()));
            }
            if arena.tick() % field_ticks == 0 {
                lightfield.push((field_around(&arena, &FIELD), Blobs::default()));
            }
            let step = arena.step(autopilot.controls(&arena), &due);
            for wanted in step.wanted {
                answers.compute(arena.tick(), &wanted)?;
                match wanted.spec {
                    WantedSpec::Path { spec, grid } => path.push((spec, Blobs::new(vec![grid]))),
                    WantedSpec::Physics { spec, .. } => physics.push((spec, Blobs::default())),
                    WantedSpec::Tactics { spec } => tactics.push((spec, Blobs::default())),
                }
            }
        }
        let rate = |count: usize| count as f64 / f64::from(seconds);
        Ok(Self {
            path: Played { per_second: rate(path.len()), tasks: path },
            physics: Played { per_second: rate(physics.len()), tasks: physics },
            tactics: Played { per_second: rate(tactics.len()), tasks: tactics },
            // Unlike the others, light is asked for by time and not by events.
            reflection: Played { per_second: 1.0 / LIGHT.interval.as_secs_f64(), tasks: reflection },
            lightfield: Played { per_second: 1.0 / FIELD.interval.as_secs_f64(), tasks: lightfield },
        })
    }
}

impl Varied for Path {
    /// Another order, and some queries reversed.
    fn vary(spec: &PathSpec, number: u32) -> PathSpec {
        let mut queries = spec.queries.clone();
        let count = queries.len().max(1) as u32;
        for (place, query) in queries.iter_mut().enumerate().take(31) {
            if (number / count) >> place & 1 == 1 {
                *query = Query { from: query.to, to: query.from };
            }
        }
        queries.rotate_left((number % count) as usize);
        PathSpec { queries, ..spec.clone() }
    }

    fn variants(spec: &PathSpec) -> u64 {
        (spec.queries.len() as u64) << spec.queries.len().min(31)
    }
}

impl Varied for Physics {
    /// Other numbers for the same bodies.
    fn vary(spec: &PhysicsSpec, number: u32) -> PhysicsSpec {
        let mut spec = spec.clone();
        for body in &mut spec.bodies {
            body.id += number;
        }
        spec
    }
}

impl Varied for Reflection {
    /// Other random numbers.
    fn vary(spec: &ReflectionSpec, number: u32) -> ReflectionSpec {
        ReflectionSpec { seed: spec.seed.wrapping_add(number), ..spec.clone() }
    }
}

impl Varied for Lightfield {
    /// Other random numbers.
    fn vary(spec: &LightfieldSpec, number: u32) -> LightfieldSpec {
        LightfieldSpec { seed: spec.seed.wrapping_add(number), ..spec.clone() }
    }
}

impl Varied for Tactics {
    /// Other random numbers.
    fn vary(spec: &TacticsSpec, number: u32) -> TacticsSpec {
        TacticsSpec { seed: spec.seed.wrapping_add(number), ..spec.clone() }
    }
}

/// Probes of a field along x and z, and metres between them.
const FIELD_COUNTS: [u8; 2] = [20, 13];
const FIELD_SPACING_M: f32 = 3.0;

/// The field around the ship: the scene of the light around it, with a ball for every bolt and flame.
pub fn field_around(arena: &Arena, habit: &FieldHabit) -> LightfieldSpec {
    let scene = light_around(arena, &LightHabit { rocks_max: habit.rocks_max, ..LIGHT });
    let mut surfaces = scene.surfaces;
    (surfaces[FLAME].power, surfaces[BOLT].power) = (22, 23);
    let balls = scene.objects.into_iter().filter(|object| usize::from(object.surface) != HULL);
    let balls = balls.map(|object| match object.form {
        Form::Capsule { .. } => {
            let radius = if usize::from(object.surface) == BOLT { 0.75 } else { 0.525 };
            Object { form: Form::Sphere { radius: (radius * RADIUS_STEPS_PER_M) as u16 }, ..object }
        }
        _ => object,
    });
    let mut objects: Vec<Object> = balls.collect();
    surfaces.push(Surface { glow: [50, 140, 255], power: 17, ..surfaces[BOLT] });
    objects.extend(walls(arena.config().size * 0.5));
    let spacing = FIELD_SPACING_M * POSITION_STEPS_PER_M;
    // As in the game, the grid ends at the wall.
    let half = arena.config().size * POSITION_STEPS_PER_M * 0.5;
    let corner = |axis: usize, count: u8| {
        let reach = f32::from(count - 1) * spacing;
        let most = (half - reach * 0.5).max(0.0);
        (f32::from(scene.probe[axis]).clamp(-most, most) - reach * 0.5) as i16
    };
    LightfieldSpec {
        base: None,
        probes: Probes::Grid {
            origin: [corner(0, FIELD_COUNTS[0]), 0, corner(2, FIELD_COUNTS[1])],
            spacing: spacing as u16,
            counts: [FIELD_COUNTS[0], 1, FIELD_COUNTS[1]],
        },
        paths: habit.paths,
        bounces: habit.bounces,
        seed: scene.seed,
        sky: scene.sky,
        sun: scene.sun,
        surfaces,
        objects,
    }
}

/// The glowing four sides of the arena.
fn walls(half: f32) -> [Object; 4] {
    let half = (half * POSITION_STEPS_PER_M) as i16;
    let corners = [[half, half], [half, -half], [-half, -half], [-half, half]];
    std::array::from_fn(|side| {
        let ([x, z], next) = (corners[side], corners[(side + 1) % 4]);
        let to = [next[0].saturating_sub(x), 0, next[1].saturating_sub(z)];
        let radius = (0.5 * RADIUS_STEPS_PER_M) as u16;
        Object { position: [x, 6, z], form: Form::Capsule { to, radius }, surface: WALL as u8 }
    })
}

/// Indices into [`SURFACES`], and after them that of the walls of a field.
const HULL: usize = 2;
const FLAME: usize = 3;
const BOLT: usize = 4;
const WALL: usize = SURFACES.len();

/// Stone, ore that mirrors, hulls, flames and bolts.
const SURFACES: [Surface; 5] = [
    Surface { colour: [108, 95, 84], metal: 0, roughness: 230, glow: [0; 3], power: 0 },
    Surface { colour: [204, 214, 230], metal: 255, roughness: 15, glow: [0; 3], power: 0 },
    Surface { colour: [150, 30, 20], metal: 170, roughness: 60, glow: [0; 3], power: 0 },
    Surface { colour: [0; 3], metal: 0, roughness: 255, glow: [255, 90, 25], power: 22 },
    Surface { colour: [0; 3], metal: 0, roughness: 255, glow: [90, 235, 255], power: 25 },
];

/// A place of the arena in a scene's coordinates.
fn in_scene(at: Vec2) -> [i16; 3] {
    [at.x, 0.0, -at.y].map(|metres| (metres * POSITION_STEPS_PER_M).round() as i16)
}

/// The nearest of the other ships, each with a cube of its own.
fn other_ships(arena: &Arena, habit: &LightHabit) -> Vec<Viewpoint> {
    let player = arena.ship().position;
    let wingmen = arena.wingmen().iter().filter(|wingman| wingman.is_there());
    let wingmen = wingmen.map(|wingman| (wingman.position, wingman.radius));
    let enemies = arena.enemies().iter().map(|enemy| (enemy.position, enemy.radius));
    let mut near: Vec<_> = wingmen
        .chain(enemies)
        .map(|(at, radius)| (at.distance(player) - radius, at))
        .filter(|(away, _)| *away < SHIPS_NEAR_M)
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let viewpoint = |at| Viewpoint {
        probe: in_scene(at),
        face_log2: SHIP_FACE_LOG2,
        levels: 1,
        samples: habit.ship_samples,
    };
    near.into_iter().take(habit.ships_max).map(|(_, at)| viewpoint(at)).collect()
}

/// A rock in a scene, if it has the form of one.
fn rock_object(rock: &Rock) -> Option<Object> {
    matches!(rock.shape.kind(), ShapeKind::Rock(_)).then(|| {
        let rotation = Rotation::of(rock.rotation.map(f64::from));
        Object {
            position: in_scene(rock.position),
            form: Form::Rock { shape: rock.shape, rotation },
            surface: u8::from(rock.id.0 % 5 == 2),
        }
    })
}

/// The scene around the ship: the nearest rocks, all enemies and bolts; and the ships with cubes.
pub fn light_around(arena: &Arena, habit: &LightHabit) -> ReflectionSpec {
    let steps = |metres: f32| ((metres * RADIUS_STEPS_PER_M).round() as u16).max(1);
    let probe = arena.ship().position;
    let mut rocks: Vec<_> = arena.rocks().iter().collect();
    rocks.sort_by(|a, b| a.position.distance(probe).total_cmp(&b.position.distance(probe)));
    let mut objects: Vec<_> = rocks.into_iter().take(habit.rocks_max).filter_map(rock_object).collect();
    let mut capsule = |from: [i16; 3], to: [i16; 3], radius: f32, surface: u8| {
        let to = std::array::from_fn(|axis| to[axis].saturating_sub(from[axis]));
        objects.push(Object { position: from, form: Form::Capsule { to, radius: steps(radius) }, surface });
    };
    for enemy in arena.enemies() {
        let along = enemy.heading * enemy.radius;
        let (tail, tip) = (enemy.position - along, enemy.position + along);
        let flame = tail - along;
        capsule(in_scene(tail), in_scene(tip), enemy.radius * 0.4, 2);
        capsule(in_scene(tail), in_scene(flame), enemy.radius * 0.3, 3);
    }
    let others = other_ships(arena, habit);
    // The player's hull and the wingmen's, for the probes of other ships.
    let wingmen = arena.wingmen().iter().filter(|wingman| wingman.is_there());
    let mut hulls: Vec<_> = wingmen.map(|it| (it.position, it.heading, it.radius)).collect();
    let ship = arena.ship();
    if ship.alive && !others.is_empty() {
        hulls.push((ship.position, ship.heading, ship.radius));
    }
    for (place, heading, radius) in hulls {
        let (tail, tip) = (place - heading * radius, place + heading * radius);
        capsule(in_scene(tail), in_scene(tip), radius * 0.4, HULL as u8);
    }
    for bullet in arena.bullets() {
        let tail = bullet.position - bullet.velocity * 0.05;
        capsule(in_scene(bullet.position), in_scene(tail), 0.24, 4);
    }
    ReflectionSpec {
        probe: in_scene(probe),
        face_log2: habit.face_log2,
        levels: habit.levels,
        samples: habit.samples,
        others,
        bounces: habit.bounces,
        seed: 1,
        sky: arena.config().seed as u32,
        sun: Some(Sun { direction: [-71, 94, -47], colour: [240, 209, 170], power: 20 }),
        surfaces: SURFACES.to_vec(),
        objects,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<K: Varied>(played: &Played<K>) {
        assert!(!played.tasks.is_empty(), "{} is asked for", K::NAME);
        let (spec, blobs) = &played.tasks[played.tasks.len() / 2];
        let units = K::admit(spec, blobs).expect("what a game asks for is admissible");
        assert_eq!(&K::vary(spec, 0), spec);
        let mut seen = vec![K::encode_spec(spec)];
        for number in 1..20 {
            let varied = K::vary(spec, number);
            let price = K::admit(&varied, blobs).expect("so is its variation").0;
            assert!(price.abs_diff(units.0) * 5 <= units.0, "{}: {price} units, not {units:?}", K::NAME);
            seen.push(K::encode_spec(&varied));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 20, "{}: two variations are equal", K::NAME);
    }

    #[test]
    fn a_game_asks_for_every_kind_and_tasks_can_be_varied() {
        let play = Play::of(10).expect("the kernels take it");
        check(&play.path);
        check(&play.physics);
        check(&play.tactics);
        check(&play.reflection);
        check(&play.lightfield);
    }
}
