//! Scenes of every sort: crowds around the probe, crowds out of sight, everything in one place.

use p2c2r_tasks::Blobs;
use p2c2r_tasks::physics::{Rotation, ShapeId};
use p2c2r_tasks::reflection::{Form, Object, Reflection, ReflectionSpec, Sun, Surface, Viewpoint};

use crate::lit;
use crate::seeded::Seeded;
use crate::worst::{self, Genome};

#[derive(Clone, Copy, Debug)]
pub struct Things {
    objects: u64,
    /// Metres around the middle that hold most objects; their size and length, in 64ths of a metre.
    spread: u64,
    size: u64,
    length: u64,
    /// 64ths of a metre from one object to the next, if they are in a row.
    row: u64,
    /// Percentages: of capsules, of rocks among the rest, of glowing ones.
    thin: u64,
    rocks: u64,
    glowing: u64,
    mirrors: u64,
    /// Metres from the middle to the probe.
    away: u64,
    face_log2: u64,
    all_levels: bool,
    samples: u64,
    bounces: u64,
    sun: bool,
    seed: u64,
    /// Probes beside the first, anywhere among the things.
    others: u64,
}

impl Genome for Things {
    type Kind = Reflection;

    fn random(seeded: &mut Seeded) -> Self {
        Self {
            objects: worst::skewed(seeded, 11),
            spread: worst::skewed(seeded, 11),
            size: 1 + worst::skewed(seeded, 11),
            length: worst::skewed(seeded, 13),
            row: seeded.below(4) / 3 * worst::skewed(seeded, 4),
            thin: seeded.below(101),
            rocks: seeded.below(101),
            glowing: seeded.below(101),
            mirrors: seeded.below(101),
            away: worst::skewed(seeded, 7),
            face_log2: 4 + seeded.below(8) / 7,
            all_levels: seeded.below(4) == 0,
            samples: 1 + seeded.below(4),
            bounces: 1 + seeded.below(8),
            sun: seeded.below(2) == 0,
            seed: seeded.bits(),
            others: seeded.below(8) / 5 * seeded.below(4),
        }
    }

    fn varied(&self, seeded: &mut Seeded) -> Self {
        let (mut varied, other) = (*self, Self::random(seeded));
        match seeded.below(14) {
            0 => varied.objects = other.objects,
            1 => varied.spread = other.spread,
            2 => varied.size = other.size,
            3 => varied.length = other.length,
            4 => varied.thin = other.thin,
            5 => varied.rocks = other.rocks,
            6 => varied.glowing = other.glowing,
            7 => varied.mirrors = other.mirrors,
            8 => varied.away = other.away,
            9 => varied.bounces = other.bounces,
            10 => varied.sun = other.sun,
            11 => varied.row = other.row,
            12 => varied.others = other.others,
            _ => varied.seed = other.seed,
        }
        varied
    }

    fn typical() -> (ReflectionSpec, Blobs) {
        (ReflectionSpec { samples: 1, bounces: 2, levels: 5, ..lit::arena(48, 12, 1) }, Blobs::default())
    }

    fn spec(&self) -> (ReflectionSpec, Blobs) {
        let mut seeded = Seeded(self.seed);
        let surface =
            |metal, roughness, power| Surface { colour: [230; 3], metal, roughness, glow: [255; 3], power };
        let surfaces = vec![surface(255, 0, 0), surface(0, 255, 0), surface(0, 200, 16)];
        let part =
            |seeded: &mut Seeded, reach: u64| (seeded.below(2 * reach + 1) as i64 - reach as i64) as i16;
        let others = (0..self.others).map(|_| Viewpoint {
            probe: [0; 3].map(|_| part(&mut seeded, self.spread)),
            face_log2: 4,
            levels: if self.all_levels { 5 } else { 1 },
            samples: self.samples as u8,
        });
        let others = others.collect();
        let objects = (0..self.objects)
            .map(|number| {
                let radius = (1 + seeded.below(self.size)) as u16;
                let form = if seeded.below(100) < self.thin {
                    Form::Capsule { to: [0; 3].map(|_| part(&mut seeded, self.length.min(8_000))), radius }
                } else if seeded.below(100) < self.rocks {
                    let shape = ShapeId::rock(seeded.below(8) as u16, f64::from(radius) / 64.0);
                    Form::Rock { shape, rotation: Rotation::IDENTITY }
                } else {
                    Form::Sphere { radius }
                };
                let surface = if seeded.below(100) < self.glowing {
                    2
                } else {
                    u8::from(seeded.below(100) >= self.mirrors)
                };
                let mut position = [0; 3].map(|_| part(&mut seeded, self.spread));
                position[0] = position[0].saturating_add((number * self.row) as i16);
                Object { position, form, surface }
            })
            .collect();
        let spec = ReflectionSpec {
            probe: [(64 * self.away) as i16, 0, 0],
            face_log2: self.face_log2 as u8,
            levels: if self.all_levels { self.face_log2 as u8 + 1 } else { 1 },
            samples: self.samples as u8,
            others,
            bounces: self.bounces as u8,
            seed: self.seed as u32,
            sky: 1,
            sun: self.sun.then_some(Sun { direction: [3, 5, -2], colour: [255; 3], power: 18 }),
            surfaces,
            objects,
        };
        (spec, Blobs::default())
    }

    fn slack(&self) -> u64 {
        // Packing is counted before it begins, the rays of a surface after they are traced.
        (6 * (1 << (2 * self.face_log2)) + self.others * 1_536) * 600 + 4 * 2_048 * 100
    }
}

#[test]
fn no_spec_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Things>(200, 100, 5_000, 1));
}

#[test]
#[ignore = "takes many minutes"]
fn of_100_000_and_1_000_climbed_none_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Things>(100_000, 1_000, 50_000, 2));
}

#[test]
fn light_around_ships_stays_far_from_the_end_of_its_fuel() {
    let mut most = 0.0_f64;
    for seed in 0..6 {
        for (rocks, others) in [(0, 0), (10, 4), (48, 12), (150, 30), (400, 60)] {
            for (samples, bounces) in [(1, 2), (4, 4)] {
                let spec = ReflectionSpec { samples, bounces, levels: 5, ..lit::arena(rocks, others, seed) };
                let name = format!("arena {rocks} {others} {samples} {bounces}");
                most = most.max(crate::honest::of_fuel::<Reflection>(&name, &spec, &Blobs::default()));
            }
        }
    }
    assert!(most < 0.9, "{most} of the fuel");
}
