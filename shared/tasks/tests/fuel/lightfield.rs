//! Fields in scenes of every sort: probes among the crowd, beside it, and far away.

use p2c2r_tasks::Blobs;
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, OBJECTS_MAX, Probes};
use p2c2r_tasks::reflection::ReflectionSpec;

use crate::lit;
use crate::reflection::Things;
use crate::seeded::Seeded;
use crate::worst::{self, Genome};

#[derive(Clone, Copy, Debug)]
pub struct Fields {
    things: Things,
    counts: [u64; 3],
    /// In 64ths of a metre.
    origin: [i64; 3],
    spacing: u64,
    paths: u64,
    /// Whether all probes but a few are far away.
    is_spread: bool,
}

fn field(scene: ReflectionSpec, probes: Probes, paths: u16) -> LightfieldSpec {
    let ReflectionSpec { bounces, seed, sky, sun, surfaces, mut objects, .. } = scene;
    objects.truncate(OBJECTS_MAX);
    LightfieldSpec { base: None, probes, paths, bounces, seed, sky, sun, surfaces, objects }
}

impl Genome for Fields {
    type Kind = Lightfield;

    fn random(seeded: &mut Seeded) -> Self {
        let mut part = |reach: u64| seeded.below(2 * reach + 1) as i64 - reach as i64;
        let origin = [part(2_000), part(400), part(2_000)];
        Self {
            things: Things::random(seeded),
            counts: [16 + seeded.below(3), 1 + seeded.below(2), 16 + seeded.below(3)],
            origin,
            spacing: 1 + worst::skewed(seeded, 9),
            paths: 1 + worst::skewed(seeded, 6),
            is_spread: seeded.below(4) == 0,
        }
    }

    fn varied(&self, seeded: &mut Seeded) -> Self {
        let (mut varied, other) = (*self, Self::random(seeded));
        match seeded.below(6) {
            0 => varied.origin = other.origin,
            1 => varied.spacing = other.spacing,
            2 => varied.paths = other.paths,
            3 => varied.is_spread = other.is_spread,
            _ => varied.things = self.things.varied(seeded),
        }
        varied
    }

    fn typical() -> (LightfieldSpec, Blobs) {
        let probes = Probes::Grid { origin: [-1_920, 64, -1_920], spacing: 256, counts: [16, 1, 16] };
        (field(lit::arena(48, 12, 1), probes, 48), Blobs::default())
    }

    fn spec(&self) -> (LightfieldSpec, Blobs) {
        let grid = Probes::Grid {
            origin: self.origin.map(|part| part as i16),
            spacing: self.spacing as u16,
            counts: self.counts.map(|count| count as u8),
        };
        let probes = if self.is_spread {
            // One in eight is in the crowd.
            let place = |number: usize| match number % 8 {
                0 => grid.place(number),
                _ => [20_000 + (number % 90) as i16, 20_000, -20_000],
            };
            Probes::List((0..grid.count()).map(place).collect())
        } else {
            grid
        };
        (field(self.things.spec().0, probes, self.paths as u16), Blobs::default())
    }

    fn slack(&self) -> u64 {
        // The rays of a surface are counted after they are traced.
        4 * 512 * 100
    }
}

#[test]
fn no_spec_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Fields>(150, 100, 5_000, 1));
}

#[test]
#[ignore = "takes many minutes"]
fn of_100_000_and_1_000_climbed_none_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Fields>(100_000, 1_000, 50_000, 2));
}

/// The scenes that games ask light for stay below the limit of fuel.
#[test]
fn fields_in_arenas() {
    let mut most = 0.0_f64;
    for seed in 0..6 {
        for (rocks, others) in [(0, 0), (10, 4), (48, 12), (150, 30), (400, 60)] {
            for (origin, spacing) in [([-1_920, 64, -1_920], 256), ([-256, 0, -256], 32)] {
                let probes = Probes::Grid { origin, spacing, counts: [16, 1, 16] };
                let spec = field(lit::arena(rocks, others, seed), probes, 12);
                let name = format!("field {rocks} {others} {spacing}");
                most = most.max(crate::honest::of_fuel::<Lightfield>(&name, &spec, &Blobs::default()));
            }
        }
    }
    assert!(most < 0.9, "{most} of the fuel");
}
