//! The local rule: how rocks fly after a knock, until a trajectory takes them over again.
//!
//! A loose rock flies straight and turns evenly, by the formula of the kind `physics`. At a wall it is
//! reflected. When it meets another rock, loose or carried, both get the velocities of two balls that meet
//! without friction, each with the mean of its outer and inner radius; the other rock is loose from then on.
//! Nothing is moved out of an overlap, so the rule makes no jumps. Among gravity wells it flies tick by tick
//! instead, by the formula that the kind has for attractors. It is the same on every machine: `f64` and `f32`
//! with `+ - * /` and square roots, rocks in the order of their ids.

use p2c2r_tasks::physics::{BodyMaterial, Motion, STEP_S};

use crate::arena::Arena;
use crate::config::RockRules;
use crate::record::{Record, Recorded};
use crate::rocks::{Rock, RockMotion};
use crate::vec2::Vec2;
use crate::wells::{self, Well};

/// Approach speed below which two rocks only lean on each other, m/s: otherwise rocks at rest in a heap would
/// knock one another forever and never be carried again.
const LEANING_SPEED: f32 = 0.02;

/// A flight by the local rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loose {
    /// The motion it started with.
    from: Motion,
    /// When it started.
    since: u64,
    /// Whether the latest requested window already includes this flight.
    pub(crate) asked: bool,
}

impl Loose {
    /// A flight that starts at `tick` because of an event that no window includes.
    pub(crate) fn new(from: Motion, tick: u64) -> Self {
        Self { from, since: tick, asked: false }
    }

    /// The same flight, restarted at `tick` from `motion`.
    pub(crate) fn renewed(&self, motion: Motion, tick: u64) -> Self {
        Self { from: motion, since: tick, asked: self.asked }
    }

    /// The motion at `tick` of a rock whose centre stays within `limit` of the arena's on both axes, or, if
    /// it started farther out, within its starting distance.
    pub(crate) fn at(&self, tick: u64, limit: f64, stuff: &Stuff, wells: &[Well]) -> Motion {
        let ticks = tick.saturating_sub(self.since);
        let mut motion = self.from.after(ticks as f64 * STEP_S);
        let limits = [0, 2].map(|axis: usize| limit.max(self.from.position[axis].abs()));
        let restitution = stuff.restitution.into();
        if wells.is_empty() {
            reflect(&mut motion, limits, restitution);
            return motion;
        }
        let mut falling = self.from;
        for _ in 0..ticks {
            wells::pulled(wells, &mut falling, stuff.speed_cap.into());
            reflect(&mut falling, limits, restitution);
        }
        Motion { position: falling.position, velocity: falling.velocity, ..motion }
    }
}

/// Reflects a motion at the walls.
fn reflect(motion: &mut Motion, limits: [f64; 2], restitution: f64) {
    for (axis, limit) in [0, 2].into_iter().zip(limits) {
        let (place, speed) = (&mut motion.position[axis], &mut motion.velocity[axis]);
        let over = place.abs() - limit;
        if over > 0.0 {
            *place = (limit - over * restitution).max(-limit) * place.signum();
            *speed *= -restitution;
        }
    }
}

/// Where and how hard two rocks met, or a rock and the wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collision {
    pub(crate) at: Vec2,
    /// Newton seconds.
    pub(crate) impulse: f32,
}

/// What rocks are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stuff {
    pub(crate) material: BodyMaterial,
    pub(crate) speed_cap: f32,
    pub(crate) restitution: f32,
}

/// The materials of a spec: of rocks, and of fragments, which come to rest.
pub(crate) fn materials(rules: &RockRules) -> Vec<BodyMaterial> {
    let rock = Stuff::new(rules).material;
    vec![rock, BodyMaterial { drag: rules.fragment_drag, ..rock }]
}

impl Stuff {
    pub(crate) fn new(rules: &RockRules) -> Self {
        let material = BodyMaterial {
            restitution: (rules.restitution * 255.0) as u8,
            speed_cap: (rules.speed_cap * 4.0) as u16,
            ..BodyMaterial::ROCK
        };
        Self {
            material,
            speed_cap: material.speed_cap_m_s() as f32,
            restitution: f32::from(material.restitution) / 255.0,
        }
    }

    /// Kilograms.
    pub(crate) fn mass(&self, rock: &Rock) -> f32 {
        (f64::from(self.material.density) * rock.shape.volume_m3()) as f32
    }

    pub(crate) fn capped_spin(&self, spin: [f64; 3]) -> [f64; 3] {
        let cap = self.material.spin_cap_rad_s();
        let long = (spin[0] * spin[0] + spin[1] * spin[1] + spin[2] * spin[2]).sqrt();
        if long > cap { spin.map(|part| part * (cap / long)) } else { spin }
    }
}

/// The mean of the radii of the smallest ball around the hull and of the largest inside it, metres.
fn contact_radius(rock: &Rock) -> f32 {
    (0.5 * (rock.shape.outer_radius_m() + rock.shape.inner_radius_m())) as f32
}

impl Arena {
    pub(crate) fn stuff(&self) -> Stuff {
        Stuff::new(&self.config.rocks)
    }

    /// The rock's motion at `tick` by the local rule, if it is loose.
    pub(crate) fn loose_motion(&self, rock: &Rock, tick: u64) -> Option<Motion> {
        let RockMotion::Loose(loose) = &rock.flight else { return None };
        let limit = f64::from(self.field.half - rock.radius);
        Some(loose.at(tick, limit, &self.stuff(), &self.sector.wells))
    }

    /// Lets loose rocks knock those they meet, and adds the collisions to `met`.
    pub(crate) fn knock_together(&mut self, met: &mut Vec<Collision>) {
        if self.rocks.iter().all(Rock::is_carried) {
            return;
        }
        let mut by_x: Vec<usize> = (0..self.rocks.len()).collect();
        by_x.sort_unstable_by(|&a, &b| {
            self.rocks[a].position.x.total_cmp(&self.rocks[b].position.x).then(a.cmp(&b))
        });
        let radii: Vec<f32> = self.rocks.iter().map(contact_radius).collect();
        let radius_max = radii.iter().copied().fold(0.0, f32::max);
        let mut pairs = Vec::new();
        for (rank, &a) in by_x.iter().enumerate() {
            let (first, far) = (&self.rocks[a], self.rocks[a].position.x + radii[a] + radius_max);
            for &b in &by_x[rank + 1..] {
                let second = &self.rocks[b];
                if second.position.x > far {
                    break;
                }
                let reach = radii[a] + radii[b];
                let near = first.position.distance_squared(second.position) < reach * reach;
                if near && !(first.is_carried() && second.is_carried()) {
                    pairs.push((a.min(b), a.max(b)));
                }
            }
        }
        pairs.sort_unstable();
        for (a, b) in pairs {
            met.extend(self.knock(a, b, radii[a]));
        }
    }

    fn knock(&mut self, a: usize, b: usize, radius: f32) -> Option<Collision> {
        let (stuff, tick) = (self.stuff(), self.tick);
        let (first, second) = (&self.rocks[a], &self.rocks[b]);
        let way = (second.position - first.position).unit_or(Vec2::FORWARD);
        let approach = (first.velocity - second.velocity).dot(way);
        if approach <= LEANING_SPEED {
            return None;
        }
        let (mass_a, mass_b) = (stuff.mass(first), stuff.mass(second));
        let impulse = approach * (1.0 + stuff.restitution) / (1.0 / mass_a + 1.0 / mass_b);
        let at = first.position + way * radius;
        // The push goes along the line of the centres, so it turns neither.
        for (index, push) in [(a, way * (-impulse / mass_a)), (b, way * (impulse / mass_b))] {
            let rock = &mut self.rocks[index];
            rock.disturb(&stuff, rock.velocity + push, rock.motion.spin, tick);
        }
        Some(Collision { at, impulse })
    }
}

impl Recorded for Motion {
    fn record(&self, record: &mut Record) {
        let Self { position, rotation, velocity, spin } = self;
        record.each(position);
        record.each(rotation);
        record.each(velocity);
        record.each(spin);
    }
}

impl Recorded for Loose {
    fn record(&self, record: &mut Record) {
        let Self { from, since, asked } = self;
        record.add(from);
        record.add(since);
        record.add(asked);
    }
}
