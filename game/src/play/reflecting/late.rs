//! Measures the error of late reflections: how much light traced a while ago differs from light traced now,
//! as a ship's hull shows both, what a correction by depth would change, and how far what each preset draws is from a
//! fresh trace. See `docs/PERFORMANCE.md`, "Late reflections" and "Light beside a fresh trace".

use p2c2r_arena::{Arena, ArenaConfig, Autopilot, Controls};
use p2c2r_tasks::reflection::{CubeMap, FAR, NONE, Reflection, Scene, locate};
use p2c2r_tasks::{Blobs, Stop, TaskKind as _};

use super::embers::Embers;
use super::scene::wanted;
use super::{Fineness, LEAD_MAX};
use crate::graphics::Quality;
use crate::presets::Preset;

pub(in crate::play) const TICKS: u32 = 60;
/// Ages in ticks at which the drawn light is compared with a fresh trace.
pub(in crate::play) const DRAWN_AGES: [u32; 4] = [0, 24, 48, 72];
/// The presets whose fineness differs.
pub(in crate::play) const PRESETS: [Preset; 3] = [Preset::Default, Preset::Rich, Preset::Max];
/// Ages in ticks.
const AGES: [u32; 6] = [6, 12, 18, 24, 36, 48];
/// How the ship is flown.
pub(in crate::play) const FLIGHTS: [(&str, HowFlown); 3] = [
    ("autopilot", HowFlown::Autopilot),
    ("boost, straight on", HowFlown::Boost),
    ("boost, turning", HowFlown::Turns),
];
/// Exponent by which `solid.wgsl` compresses a reflection's brightness when the picture ends at 1.
const BENT: f32 = 0.55;
/// Factor on the height of a view direction, as in `solid.wgsl`.
const LOW: f32 = 0.4;
const LOOKS: usize = 4_000;

#[derive(Clone, Copy)]
pub(in crate::play) enum HowFlown {
    Autopilot,
    Boost,
    Turns,
}

impl HowFlown {
    fn controls(self, pilot: &mut Autopilot, arena: &Arena) -> Controls {
        let controls = pilot.controls(arena);
        let tick = arena.tick();
        match self {
            Self::Autopilot => controls,
            Self::Boost => Controls { thrust: 1, boost: true, turn: i8::from(tick % 180 < 20), ..controls },
            Self::Turns => {
                let turn = if tick % 120 < 60 { 1 } else { -1 };
                Controls { thrust: 1, boost: true, turn, ..controls }
            }
        }
    }
}

/// A cube of light and, per texel, the distance of what it shows.
struct Look {
    light: CubeMap,
    depths: Vec<f32>,
    /// Where it was traced, metres.
    at: [f32; 3],
}

/// The light around the ship, predicted `lead` seconds ahead.
fn look(arena: &Arena, lead: f32) -> Look {
    let fineness = Fineness { samples: 16, ships_max: 0, ..Fineness::of(Quality::Low) };
    let spec = wanted(arena, &Embers::default(), &fineness, lead, &[]).spec;
    let scene = Scene::new(&spec);
    let light = scene.trace_parallel();
    let face = light.face();
    let depth = |index: usize| {
        let (side, place) = (index / (face * face) as usize, index as u32 % (face * face));
        let part = |at: u32| (at as f32 + 0.5) / face as f32;
        let way = unit(p2c2r_tasks::reflection::direction(side, part(place % face), part(place / face)));
        scene.closest(scene.probe, way, NONE).map_or(FAR, |hit| hit.distance)
    };
    let depths = (0..light.texels().len()).map(depth).collect();
    let ship = arena.ship();
    let at = ship.position + ship.velocity * lead;
    Look { light, depths, at: [at.x, 0.0, -at.y] }
}

fn unit(way: [f32; 3]) -> [f32; 3] {
    let length = way.iter().map(|part| part * part).sum::<f32>().sqrt();
    way.map(|part| part / length)
}

impl Look {
    fn texel(&self, way: [f32; 3]) -> usize {
        let (side, u, v) = locate(way);
        let face = self.light.face();
        let part = |share: f32| ((share * face as f32) as u32).min(face - 1);
        self.light.index(side, part(u), part(v))
    }

    /// Bilinear between the four nearest texels of the face.
    fn light(&self, way: [f32; 3]) -> [f32; 3] {
        let (side, u, v) = locate(way);
        let face = self.light.face();
        let place = |share: f32| (share * face as f32 - 0.5).clamp(0.0, face as f32 - 1.0);
        let (x, y) = (place(u), place(v));
        let corner = |right: u32, down: u32| {
            let (x, y) = ((x as u32 + right).min(face - 1), (y as u32 + down).min(face - 1));
            self.light.texels()[self.light.index(side, x, y)]
        };
        let (right, down) = (x.fract(), y.fract());
        std::array::from_fn(|colour| {
            let mix = |a: [f32; 3], b: [f32; 3], share: f32| a[colour] + (b[colour] - a[colour]) * share;
            let (up, low) = (mix(corner(0, 0), corner(1, 0), right), mix(corner(0, 1), corner(1, 1), right));
            up + (low - up) * down
        })
    }

    /// The light that `way` shows from `offset` metres beside the probe: intersects the ray with the depths
    /// in `steps` steps. With `parts`, depths are rounded to levels of `2^(1 / parts)`.
    fn corrected(&self, way: [f32; 3], offset: [f32; 3], steps: u32, parts: Option<f32>) -> [f32; 3] {
        let depth = |way: [f32; 3]| {
            let depth = self.depths[self.texel(way)].min(4_096.0);
            parts.map_or(depth, |parts| ((depth.log2() * parts).round() / parts).exp2())
        };
        let mut along = depth(way);
        let mut towards = way;
        for _ in 0..steps {
            let point: [f32; 3] = std::array::from_fn(|axis| offset[axis] + along * way[axis]);
            towards = unit(point);
            // Where the ray leaves the sphere of that depth around the probe.
            let reach = depth(towards);
            let (dot, square) = (0..3).fold((0.0, 0.0), |(dot, square), axis| {
                (dot + offset[axis] * way[axis], square + offset[axis] * offset[axis])
            });
            let under = dot * dot - square + reach * reach;
            along = if under > 0.0 { under.sqrt() - dot } else { 0.1 };
        }
        towards
    }
}

/// The view directions that a hull's normals give, as the shader bends them.
fn looks() -> Vec<[f32; 3]> {
    let golden = 2.399_963_f32;
    let look = |number: usize| {
        let up = 1.0 - 2.0 * (number as f32 + 0.5) / LOOKS as f32;
        let across = (1.0 - up * up).sqrt();
        let turn = golden * number as f32;
        unit([across * turn.cos(), up * LOW, across * turn.sin()])
    };
    (0..LOOKS).map(look).collect()
}

/// How far two lights are apart as shown, of 255: the mean difference, and the mean square of it.
fn apart(one: impl Fn([f32; 3]) -> [f32; 3], other: impl Fn([f32; 3]) -> [f32; 3]) -> [f64; 2] {
    let bent = |light: [f32; 3]| {
        let most = light.into_iter().fold(0.0, f32::max);
        light.map(|part| (part / (1.0 + BENT * most)).min(1.0))
    };
    let ways = looks();
    let mut sums = [0.0; 2];
    for way in &ways {
        let (one, other) = (bent(one(*way)), bent(other(*way)));
        for colour in 0..3 {
            let difference = 255.0 * f64::from((one[colour] - other[colour]).abs());
            sums[0] += difference;
            sums[1] += difference * difference;
        }
    }
    sums.map(|sum| sum / (3 * ways.len()) as f64)
}

/// Calls `judge` with the arena as it is and as it was `age` ticks before, at up to 16 moments of four rounds: without those
/// at which the ship is somewhere else, after a warp or a new round.
pub(in crate::play) fn moments(flight: HowFlown, age: u32, mut judge: impl FnMut(&Arena, &Arena)) {
    for seed in 1..=4 {
        let mut arena = Arena::new(ArenaConfig { seed, ..ArenaConfig::default().with_allies(1) });
        let mut pilot = Autopilot::default();
        for _ in 0..4 {
            for _ in 0..170 + 7 * seed {
                arena.step(flight.controls(&mut pilot, &arena), &[]);
            }
            let before = arena.clone();
            for _ in 0..age {
                arena.step(flight.controls(&mut pilot, &arena), &[]);
            }
            if arena.ship().alive && arena.ship().position.distance(before.ship().position) <= 20.0 {
                judge(&arena, &before);
            }
        }
    }
}

/// How far ahead of its request light is traced that is `age` ticks old when it is shown.
pub(in crate::play) fn lead(age: u32) -> f32 {
    (age as f32 / TICKS as f32).min(LEAD_MAX.as_secs_f32())
}

/// Columns: without correction; with exact depths in one, two and three steps; with eight and two depth
/// levels an octave, in three steps.
#[test]
#[ignore = "measures"]
fn what_depths_would_do_for_late_reflections() {
    for (flown, flight) in FLIGHTS {
        for age in AGES {
            let mut sums = [0.0_f64; 6];
            let (mut count, mut metres, mut speed, mut better) = (0.0, 0.0, 0.0_f64, 0.0);
            moments(flight, age, |arena, before| {
                let (now, before) = (look(arena, 0.0), look(before, lead(age)));
                let offset: [f32; 3] = std::array::from_fn(|axis| now.at[axis] - before.at[axis]);
                let fresh = |way| now.light(way);
                let by = |steps, parts| {
                    apart(fresh, |way| before.light(before.corrected(way, offset, steps, parts)))[0]
                };
                let found = [
                    apart(fresh, |way| before.light(way))[0],
                    by(1, None),
                    by(2, None),
                    by(3, None),
                    by(3, Some(8.0)),
                    by(3, Some(2.0)),
                ];
                sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
                better += f64::from(u8::from(found[3] < found[0]));
                metres += f64::from(offset.iter().map(|part| part * part).sum::<f32>().sqrt());
                speed += f64::from(arena.ship().velocity.length());
                count += 1.0;
            });
            let mean = sums.map(|sum| sum / count);
            p2c2r_program::say(format!(
                "{flown:<20} {:>4} ms {:>5.1} m/s {:>5.2} m |{}| nearer in {:.0} of {count}",
                age * 1_000 / TICKS,
                speed / count,
                metres / count,
                mean.map(|value| format!(" {value:>6.2}")).concat(),
                better
            ));
        }
    }
}

/// The light that a preset buys, as it is drawn: traced, packed and unfolded.
fn drawn(arena: &Arena, preset: Preset, lead: f32) -> Look {
    let fineness = Fineness { ships_max: 0, ..Fineness::bought(preset, Quality::Low) };
    let spec = wanted(arena, &Embers::default(), &fineness, lead, &[]).spec;
    let outcome = Reflection::run(&spec, &Blobs::default(), &Stop::never()).expect("an honest spec");
    let probe = outcome.unfold().expect("an honest outcome").swap_remove(0);
    Look { light: probe.levels[0].clone(), depths: Vec::new(), at: [0.0; 3] }
}

/// Columns: by preset, the root mean square of the difference between what hulls show and a fresh trace with 64 paths a
/// texel, of 255. At age 0 it comes from the trace's noise and from packing; the rest is due to the age.
#[test]
#[ignore = "measures"]
fn how_far_drawn_reflections_are_from_a_fresh_trace() {
    let best = Fineness { samples: 64, ships_max: 0, ..Fineness::bought(Preset::Max, Quality::Low) };
    for (flown, flight) in FLIGHTS {
        for age in DRAWN_AGES {
            let (mut squares, mut count) = ([0.0; PRESETS.len()], 0.0);
            moments(flight, age, |arena, before| {
                let spec = wanted(arena, &Embers::default(), &best, 0.0, &[]).spec;
                let fresh =
                    Look { light: Scene::new(&spec).trace_parallel(), depths: Vec::new(), at: [0.0; 3] };
                for (square, preset) in squares.iter_mut().zip(PRESETS) {
                    let shown = drawn(before, preset, lead(age));
                    *square += apart(|way| fresh.light(way), |way| shown.light(way))[1];
                }
                count += 1.0;
            });
            let errors = squares.map(|square| format!(" {:>6.2}", (square / count).sqrt())).concat();
            p2c2r_program::say(format!("{flown:<20} {:>5} ms |{errors}| of {count}", age * 1_000 / TICKS));
        }
    }
}
