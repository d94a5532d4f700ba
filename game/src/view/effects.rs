//! Explosions, sparks and flashes: particles in one list and a few reused lights.

use bevy::prelude::*;
use p2c2r_arena::{ArenaEvent, Shooter};

use super::camera::{DrawQuality, Eye};
use super::glow::{GlowShape, Lights, Quads, bright};
use super::lighting::Flashes;
use super::shapes::VisualRng;
use super::{ViewSystems, place};
use crate::graphics::Quality;
use crate::play::{Battlefield, Happened};
use crate::settings::Settings;

/// Most particles alive; new ones are left out above it.
const PARTICLES_MAX: usize = 900;

/// The setting of flashes from which an explosion lights its surroundings.
const FLASHES_LIGHT: f32 = 0.35;

/// Impulse of a medium knock between two rocks, newton seconds.
const RUB_IMPULSE: f32 = 8_000.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Particles>()
        .add_systems(Update, (burst, trail_exhaust, age_particles).chain().in_set(ViewSystems::Live))
        .add_systems(Update, shine_particles.in_set(ViewSystems::Shine));
}

/// A particle of light.
#[derive(Clone, Copy, Debug)]
struct Particle {
    look: Look,
    position: Vec3,
    velocity: Vec3,
    colour: LinearRgba,
    radius: f32,
    age: f32,
    life: f32,
}

/// How a particle is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// A streak along its path.
    Spark,
    /// A ball that grows and fades.
    Ball,
    /// A ring on the plane that expands.
    Wave,
}

#[derive(Resource)]
struct Particles {
    alive: Vec<Particle>,
    dice: VisualRng,
}

impl Default for Particles {
    fn default() -> Self {
        Self { alive: Vec::new(), dice: VisualRng::new(17) }
    }
}

impl Particles {
    fn add(&mut self, particle: Particle) {
        if self.alive.len() < PARTICLES_MAX {
            self.alive.push(particle);
        }
    }

    fn explode(&mut self, at: Vec3, size: f32, colour: LinearRgba, sparks: u32) {
        let still = Particle {
            look: Look::Ball,
            position: at,
            velocity: Vec3::ZERO,
            colour: colour * 0.7 + bright(1.0, 0.9, 0.7, 0.8),
            radius: size * 2.0,
            age: 0.0,
            life: 0.16,
        };
        self.add(still);
        self.add(Particle { colour: colour * 1.5, radius: size * 2.6, life: 0.5, ..still });
        self.add(Particle {
            look: Look::Wave,
            colour: colour * 0.9,
            radius: size * 4.2,
            life: 0.55,
            ..still
        });
        for _ in 0..sparks {
            let direction = self.dice.direction();
            let speed = self.dice.within(3.0, 15.0) * size.sqrt();
            let heat = self.dice.unit();
            let particle = Particle {
                look: if heat < 0.75 { Look::Spark } else { Look::Ball },
                position: at + direction * (size * 0.3),
                velocity: direction * if heat < 0.75 { speed } else { speed * 0.35 },
                colour: colour.mix(&bright(1.0, 0.85, 0.5, 2.2), heat),
                radius: if heat < 0.75 { 0.11 } else { size * 0.7 },
                age: 0.0,
                life: self.dice.within(0.35, 0.95),
            };
            self.add(particle);
        }
    }

    fn puff(&mut self, at: Vec3, colour: LinearRgba, radius: f32) {
        self.add(Particle {
            look: Look::Ball,
            position: at,
            velocity: Vec3::ZERO,
            colour,
            radius,
            age: 0.0,
            life: 0.12,
        });
    }
}

fn burst(
    mut happened: MessageReader<Happened>,
    quality: Res<DrawQuality>,
    settings: Res<Settings>,
    mut particles: ResMut<Particles>,
    mut flashes: ResMut<Flashes>,
) {
    let many = if quality.0 == Quality::High { 2 } else { 1 };
    let flash = f32::from(settings.video.flashes) / 100.0;
    let fire = bright(1.0, 0.42, 0.10, 0.6 + flash);
    for Happened(event) in happened.read() {
        match *event {
            ArenaEvent::SectorEntered { .. } => particles.alive.clear(),
            ArenaEvent::Explosion { at, size } => {
                particles.explode(place(at, 0.2), size.max(0.6), fire, 14 * many);
                if flash >= FLASHES_LIGHT {
                    flashes.ignite(place(at, 2.2));
                }
            }
            ArenaEvent::ShipLost { at, .. } => {
                particles.explode(place(at, 0.3), 2.6, bright(0.35, 0.75, 1.0, 1.8), 40 * many);
            }
            ArenaEvent::ShipReturned { at } => {
                particles.explode(place(at, 0.1), 0.8, bright(0.2, 0.7, 1.0, 1.2), 4 * many);
            }
            ArenaEvent::Hit { at } => {
                let at = place(at, 0.3);
                particles.puff(at, bright(1.0, 0.8, 0.5, 1.6), 0.9);
                for _ in 0..3 * many {
                    let velocity = particles.dice.direction() * particles.dice.within(3.0, 9.0);
                    let life = particles.dice.within(0.15, 0.4);
                    let colour = bright(1.0, 0.7, 0.35, 1.8);
                    particles.add(Particle {
                        look: Look::Spark,
                        position: at,
                        velocity,
                        colour,
                        radius: 0.08,
                        age: 0.0,
                        life,
                    });
                }
            }
            ArenaEvent::Fired { by, at, .. } => {
                let colour = match by {
                    Shooter::Ship | Shooter::Wingman(_) => bright(0.4, 0.9, 1.0, 1.4),
                    Shooter::Enemy(_) => bright(1.0, 0.3, 0.6, 1.4),
                };
                particles.puff(place(at, 0.25), colour * (0.4 + 0.6 * flash), 0.7);
            }
            ArenaEvent::RocksMet { at, impulse } => {
                // Harder contacts make more sparks.
                let force = (impulse / RUB_IMPULSE).clamp(0.2, 3.0);
                let at = place(at, 0.6);
                particles.puff(at, bright(1.0, 0.85, 0.6, 0.5 * force), 0.35 + 0.15 * force);
                for _ in 0..(2.0 + force * 2.0) as u32 * many {
                    let velocity = particles.dice.direction() * particles.dice.within(2.0, 4.0 + 2.0 * force);
                    let life = particles.dice.within(0.2, 0.55);
                    particles.add(Particle {
                        look: Look::Spark,
                        position: at,
                        velocity,
                        colour: bright(1.0, 0.72, 0.38, 1.5),
                        radius: 0.06,
                        age: 0.0,
                        life,
                    });
                }
            }
            ArenaEvent::Reflected { at } => {
                particles.puff(place(at, 0.3), bright(0.8, 0.95, 1.0, 2.6 * flash), 1.5);
            }
            ArenaEvent::ShipHurt { at, .. } => {
                particles.explode(place(at, 0.2), 0.7, bright(0.3, 0.7, 1.0, 1.3 * flash), 6 * many);
            }
            ArenaEvent::MissileLaunched { at, .. } | ArenaEvent::Launched { at } => {
                particles.puff(place(at, 0.25), bright(1.0, 0.7, 0.3, 1.6 * flash), 1.1);
            }
            ArenaEvent::PickupTaken { at, .. } => {
                particles.explode(place(at, 0.1), 0.6, bright(0.5, 0.9, 0.8, 1.0), 3 * many);
            }
            ArenaEvent::Bumped { at, .. } => particles.puff(place(at, 0.2), bright(0.8, 0.9, 1.0, 1.0), 1.0),
            _ => {}
        }
    }
}

fn trail_exhaust(
    battlefield: Res<Battlefield>,
    time: Res<Time>,
    quality: Res<DrawQuality>,
    mut particles: ResMut<Particles>,
) {
    let ship = battlefield.arena.ship();
    // A slow renderer shows only the trail that carries information.
    let shown = ship.boosting || (ship.thrusting && quality.0 == Quality::High);
    if !ship.alive || !shown || time.delta_secs() <= 0.0 {
        return;
    }
    let back = place(-ship.heading, 0.0);
    let side = back.cross(Vec3::Y) * particles.dice.within(-0.3, 0.3);
    let velocity = place(ship.velocity, 0.0) * 0.3 + back * particles.dice.within(3.0, 6.0) + side * 2.0;
    let life = particles.dice.within(0.3, 0.6);
    particles.add(Particle {
        look: Look::Ball,
        position: place(ship.position, 0.0) + back + side,
        velocity,
        colour: bright(0.12, 0.35, 0.8, if ship.boosting { 1.1 } else { 0.55 }),
        radius: if ship.boosting { 0.75 } else { 0.5 },
        age: 0.0,
        life,
    });
}

fn age_particles(time: Res<Time>, mut particles: ResMut<Particles>) {
    let delta = time.delta_secs();
    let drag = (-2.2 * delta).exp();
    for particle in &mut particles.alive {
        particle.age += delta;
        particle.position += particle.velocity * delta;
        particle.velocity *= drag;
    }
    particles.alive.retain(|particle| particle.age < particle.life);
}

fn shine_particles(particles: Res<Particles>, eye: Res<Eye>, mut lights: ResMut<Lights>) {
    particles.shine(&eye, &mut lights.0);
}

impl Particles {
    fn shine(&self, eye: &Eye, lights: &mut Quads) {
        for particle in &self.alive {
            let share = (particle.age / particle.life).clamp(0.0, 1.0);
            let fade = 1.0 - share;
            let colour = particle.colour * (fade * fade);
            match particle.look {
                Look::Spark => {
                    let tail = particle.velocity * 0.06;
                    lights.beam(
                        eye,
                        particle.position - tail,
                        particle.position + tail * 0.2,
                        particle.radius,
                        colour,
                    );
                }
                Look::Ball => {
                    let radius = particle.radius * (0.45 + 0.55 * share.sqrt());
                    lights.spot(eye, GlowShape::Spot, particle.position, radius, colour);
                }
                Look::Wave => {
                    let radius = particle.radius * (1.0 - (1.0 - share) * (1.0 - share));
                    lights.flat(GlowShape::Ring, particle.position, radius, colour);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::view::glow::empty_mesh;

    fn crowd() -> Particles {
        let mut particles = Particles::default();
        while particles.alive.len() < PARTICLES_MAX {
            particles.explode(Vec3::ZERO, 1.0, bright(1.0, 0.4, 0.1, 1.0), 28);
        }
        particles
    }

    #[test]
    fn particles_never_exceed_their_number_and_each_is_one_quad() {
        let mut particles = crowd();
        particles.explode(Vec3::ZERO, 1.0, LinearRgba::WHITE, 100);
        assert_eq!(particles.alive.len(), PARTICLES_MAX);
        let mut quads = Quads::default();
        particles.shine(&Eye::default(), &mut quads);
        assert_eq!(quads.count(), PARTICLES_MAX);
    }

    /// Prints the frame time of the largest number of particles, for `docs/PERFORMANCE.md`.
    #[test]
    #[ignore = "measures"]
    fn what_a_crowd_of_particles_costs() {
        let (particles, eye) = (crowd(), Eye::default());
        let mut mesh = empty_mesh();
        let mut quads = Quads::default();
        let mut took: Vec<_> = (0..400)
            .map(|_| {
                let began = Instant::now();
                quads.clear();
                particles.shine(&eye, &mut quads);
                quads.write_to(&mut mesh);
                began.elapsed()
            })
            .collect();
        took.sort_unstable();
        p2c2r_program::say(format!(
            "{PARTICLES_MAX} particles: median {:?}, 95 % {:?}",
            took[200], took[380]
        ));
    }
}
