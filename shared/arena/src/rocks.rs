//! Rocks: hulls that fly, knock one another about, stand in the way of bullets, ships and paths, and break when
//! shot.

use p2c2r_tasks::physics::{BODIES_MAX, Motion, ROCK_FORMS, ROCK_RADIUS_STEP_M, Rotation, ShapeId};

use crate::arena::Arena;
use crate::config::RockRules;
use crate::events::ArenaEvent;
use crate::layout::{self, Site};
use crate::loose::{Loose, Stuff};
use crate::plane::{flattened, lifted, turning};
use crate::record::{Record, Recorded};
use crate::sectors;
use crate::vec2::Vec2;

/// Most rocks at once; pieces beyond it do not appear. More would not fit into one task.
const ROCKS_MAX: usize = BODIES_MAX;
/// Share of a rock's radius for more than two pieces: four of them just fit into it side by side.
const MANY_PIECES_SIZE: f32 = 0.41;

/// Number of a rock; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RockId(pub u32);

/// How a rock flies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RockMotion {
    /// Along the running trajectory, as its body of this index.
    Carried(u16),
    /// By the local rule, since something happened to it that the trajectory does not include.
    Loose(Loose),
}

/// A rock. It flies along a trajectory of the kind `physics`, or by the arena's own rule for a while after
/// something has knocked it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Stable number.
    pub id: RockId,
    /// Centre, metres.
    pub position: Vec2,
    /// Centre one tick ago, for interpolation.
    pub previous: Vec2,
    /// Velocity, metres per second.
    pub velocity: Vec2,
    /// Orientation in a space with y up, the arena's x as x and its y as -z: unit quaternion x, y, z, w.
    pub rotation: [f32; 4],
    /// Orientation one tick ago, for interpolation; the quaternion may have the opposite sign.
    pub previous_rotation: [f32; 4],
    /// Form and size: a rock of the catalogue, whose mesh is [`ShapeId::unit_mesh`] times the radius.
    pub shape: ShapeId,
    /// Outer radius of the shape, metres; bullets, ships and enemies treat the rock as this circle.
    pub radius: f32,
    /// Bullets it survives before it breaks.
    pub hits_left: u8,
    /// Tick at which it expires, if it is a [fragment](Rock::is_fragment).
    pub(crate) gone_at: Option<u64>,
    /// Its exact position and motion.
    pub(crate) motion: Motion,
    pub(crate) flight: RockMotion,
}

impl Rock {
    /// A rock at `site`, not turning, that flies by the local rule.
    pub(crate) fn new(id: RockId, site: Site, hits_left: u8, tick: u64) -> Self {
        // Consecutive numbers get different forms.
        let shape = ShapeId::rock((id.0 % u32::from(ROCK_FORMS)) as u16, site.radius.into());
        let motion =
            Motion { position: lifted(site.position), velocity: lifted(site.velocity), ..Motion::default() };
        let mut rock = Self {
            id,
            position: site.position,
            previous: site.position,
            velocity: site.velocity,
            rotation: [0.0; 4],
            previous_rotation: [0.0; 4],
            shape,
            radius: shape.outer_radius_m() as f32,
            hits_left,
            gone_at: None,
            motion,
            flight: RockMotion::Loose(Loose::new(motion, tick)),
        };
        rock.follow(motion);
        rock.previous_rotation = rock.rotation;
        rock
    }

    /// Whether it flies along a trajectory, and not by the local rule.
    pub fn is_carried(&self) -> bool {
        matches!(self.flight, RockMotion::Carried(_))
    }

    /// Angular velocity about the axes of [`Rock::rotation`]'s space, radians per second.
    pub fn spin(&self) -> [f32; 3] {
        self.motion.spin.map(|part| part as f32)
    }

    /// Takes on a motion.
    pub(crate) fn follow(&mut self, motion: Motion) {
        self.motion = motion;
        self.position = flattened(motion.position);
        self.velocity = flattened(motion.velocity);
        self.rotation = motion.rotation.map(|part| part as f32);
    }

    /// Puts it on the local rule from its present motion on.
    pub(crate) fn loosen(&mut self, tick: u64) {
        self.flight = RockMotion::Loose(Loose::new(self.motion, tick));
    }

    /// Gives it another motion at `tick`, which the trajectory does not include.
    pub(crate) fn disturb(&mut self, stuff: &Stuff, velocity: Vec2, spin: [f64; 3], tick: u64) {
        let velocity = velocity.at_most(stuff.speed_cap);
        self.follow(Motion { velocity: lifted(velocity), spin: stuff.capped_spin(spin), ..self.motion });
        self.loosen(tick);
    }

    /// Applies `impulse` (newton seconds) at the point `at`.
    pub(crate) fn push(&mut self, stuff: &Stuff, at: Vec2, impulse: Vec2, tick: u64) {
        let mass = stuff.mass(self);
        let inertia = mass * self.shape.inertia_per_mass_m2() as f32;
        let mut spin = self.motion.spin;
        // Both vectors lie in the plane, so the impulse turns the rock about the vertical only.
        spin[1] += f64::from((at - self.position).cross(impulse) / inertia);
        self.disturb(stuff, self.velocity + impulse * (1.0 / mass), spin, tick);
    }

    /// Whether something of radius `reach` that moves straight from `start` to `end` touches it.
    pub(crate) fn blocks(&self, start: Vec2, end: Vec2, reach: f32) -> bool {
        let reach = self.radius + reach;
        crate::vec2::segment_distance_squared(start, end, self.position) < reach * reach
    }
}

/// The largest radius of the catalogue's rocks that is not above `radius`.
pub(crate) fn cut_radius(radius: f32) -> f32 {
    let step = ROCK_RADIUS_STEP_M as f32;
    ((radius / step) as u16).max(1) as f32 * step
}

/// Bullets that break a rock: one for the smallest, `hits` for the largest.
fn hits_of(rules: &RockRules, radius: f32) -> u8 {
    let span = (rules.radius_max - rules.radius_min).max(0.01);
    let share = ((radius - rules.radius_min) / span).clamp(0.0, 1.0);
    1 + (share * f32::from(rules.hits - 1)) as u8
}

/// A measure of how much rock there is.
pub(crate) fn area(rocks: &[Rock]) -> f32 {
    rocks.iter().filter(|rock| !rock.is_fragment()).map(|rock| rock.radius * rock.radius).sum()
}

impl Arena {
    /// A rock that does not turn.
    pub(crate) fn add_rock(&mut self, site: Site) -> Option<&mut Rock> {
        if self.rocks.len() >= ROCKS_MAX {
            return None;
        }
        self.last_rock += 1;
        let hits = hits_of(&self.config.rocks, site.radius);
        self.rocks.push(Rock::new(RockId(self.last_rock), site, hits, self.tick));
        self.rocks.last_mut()
    }

    /// A rock with random tumbling on top of `spin`.
    pub(crate) fn add_tumbling_rock(&mut self, site: Site, spin: [f64; 3]) {
        let tumble = self.config.rocks.tumble;
        let mut dice = |most: f32| f64::from(self.dice.between(-most, most));
        let rotation = Rotation::of([dice(1.0), dice(1.0), dice(1.0), dice(1.0)]).quaternion();
        let spin = spin.map(|part| part + dice(tumble));
        let (stuff, tick) = (self.stuff(), self.tick);
        if let Some(rock) = self.add_rock(site) {
            rock.follow(Motion { rotation, ..rock.motion });
            rock.previous_rotation = rock.rotation;
            rock.disturb(&stuff, site.velocity, spin, tick);
        }
    }

    /// A bullet flying along `heading` hits the rock at `index`.
    pub(crate) fn hit_rock(&mut self, index: usize, at: Vec2, heading: Vec2, events: &mut Vec<ArenaEvent>) {
        let (stuff, tick, knock) = (self.stuff(), self.tick, heading * self.config.rocks.knock);
        let rock = &mut self.rocks[index];
        rock.push(&stuff, at, knock, tick);
        rock.hits_left -= 1;
        if rock.hits_left > 0 {
            events.push(ArenaEvent::Hit { at });
            return;
        }
        let rock = self.rocks.remove(index);
        if rock.is_fragment() {
            events.push(ArenaEvent::Hit { at });
            return;
        }
        let before = self.rocks.len();
        let pieces = self.split_rock(&rock, heading);
        self.shatter(&rock, before);
        events.push(ArenaEvent::RockDestroyed {
            id: rock.id,
            at: rock.position,
            radius: rock.radius,
            pieces,
        });
        events.push(ArenaEvent::Explosion { at: rock.position, size: rock.radius });
        self.earn(self.config.rocks.points, events);
    }

    /// Leaves the pieces of `rock`, which is gone. Returns their number.
    ///
    /// They lie inside it, side by side, so nothing that stood beside it now overlaps a piece. Together they
    /// keep its velocity; the mass that the pieces lack counts as dust of the same velocity.
    fn split_rock(&mut self, rock: &Rock, heading: Vec2) -> u32 {
        let rules = &self.config.rocks;
        let size = if rules.pieces > 2 { rules.piece_size.min(MANY_PIECES_SIZE) } else { rules.piece_size };
        let (radius, split_speed) = (cut_radius(rock.radius * size), rules.split_speed);
        let pieces = if radius >= rules.radius_min { rules.pieces as usize } else { 0 };
        let sides = [heading.left(), -heading.left(), heading, -heading];
        let sides = &sides[..pieces.min(sides.len())];
        let mean = sides.iter().fold(Vec2::ZERO, |sum, side| sum + *side) * (1.0 / pieces.max(1) as f32);
        let before = self.rocks.len();
        for side in sides {
            let (lever, out) = (*side * (rock.radius - radius), *side - mean);
            let turned = turning(rock.motion.spin[1] as f32, out * (rock.radius - radius));
            let velocity = rock.velocity + out * split_speed + turned;
            self.add_tumbling_rock(
                Site { position: rock.position + lever, radius, velocity },
                rock.motion.spin,
            );
        }
        // At the limit of rocks some pieces are left out.
        (self.rocks.len() - before) as u32
    }

    /// Adds new rocks if much has been shot away.
    pub(crate) fn regrow_rocks(&mut self) {
        let mut shunned: Vec<Vec2> = self.enemies.iter().map(|enemy| enemy.position).collect();
        shunned.push(self.ship.position);
        let config = sectors::numbers_in(&self.config, self.sector.plan());
        for _ in 0..config.rocks.count {
            if self.rocks.len() >= ROCKS_MAX
                || area(&self.rocks) >= self.first_rock_area * config.rocks.regrow_below
            {
                return;
            }
            let placed: Vec<Site> = self.rocks.iter().map(Site::of).collect();
            let found = layout::single(&config, &self.field, &mut self.dice, &placed, &shunned);
            if let Some(site) = found.and_then(|site| self.circling(site)) {
                self.add_tumbling_rock(site, [0.0; 3]);
            }
        }
    }
}

impl Recorded for Rock {
    fn record(&self, record: &mut Record) {
        // The public position, velocity and rotation are derived from the motion.
        let Self {
            id,
            position: _,
            previous,
            velocity: _,
            rotation: _,
            previous_rotation,
            shape,
            radius,
            hits_left,
            gone_at,
            motion,
            flight,
        } = self;
        record.add(&id.0);
        record.add(previous);
        record.each(previous_rotation);
        record.add(&shape.0);
        record.add(radius);
        record.add(hits_left);
        record.add(&gone_at.unwrap_or(0));
        record.add(motion);
        match flight {
            RockMotion::Carried(body) => {
                record.add(&0u8);
                record.add(body);
            }
            RockMotion::Loose(loose) => {
                record.add(&1u8);
                record.add(loose);
            }
        }
    }
}
