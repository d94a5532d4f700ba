//! Measures how far the field that each preset draws is from a fresh trace with many paths, as rocks and ships show
//! both. See `docs/PERFORMANCE.md`, "Light beside a fresh trace".

use bevy::math::Vec3;
use p2c2r_arena::{Arena, Vec2};
use p2c2r_tasks::{Stop, TaskKind as _};

use super::*;
use crate::graphics::Quality;
use crate::play::reflecting::late::{DRAWN_AGES, FLIGHTS, PRESETS, TICKS, lead, moments};

/// Paths of a probe of the fresh trace.
const PATHS: u16 = 2_048;
/// How far from the ship things are looked at, metres: what the picture shows.
const REACH_M: f32 = 20.0;
/// The sides of a thing that are looked at.
const SIDES: [[f32; 3]; 6] =
    [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]];

/// The field around the ship, as it is drawn: traced, packed and unfolded.
fn field(arena: &Arena, fineness: &FieldFineness, lead: f32) -> TracedField {
    let grid = ProbeGrid::around(arena, None);
    let spec = scene::spec(arena, &Embers::default(), fineness, grid, lead, None);
    let outcome = Lightfield::run(&spec, &Blobs::default(), &Stop::never()).expect("an honest spec");
    unfold(grid, &spec, &Blobs::default(), &outcome).expect("an honest outcome").traced
}

/// Where there is something that the field lights.
fn lit(arena: &Arena) -> Vec<Vec3> {
    let ship = arena.ship().position;
    let rocks = arena.rocks().iter().map(|rock| rock.position);
    let enemies = arena.enemies().iter().map(|enemy| enemy.position);
    let near = |at: &Vec2| at.distance(ship) < REACH_M;
    rocks.chain(enemies).chain([ship]).filter(near).map(|at| Vec3::new(at.x, 0.0, -at.y)).collect()
}

/// Columns: by preset, the root mean square of the difference in irradiance over all sides of all things, in per cent of
/// the mean. At age 0 it comes from the trace's noise and from packing; the rest is due to the age.
#[test]
#[ignore = "measures"]
fn how_far_the_drawn_field_is_from_a_fresh_trace() {
    let bought = |preset| FieldFineness::bought(preset, Quality::Low).expect("a field");
    let best = FieldFineness { paths: PATHS, ..bought(PRESETS[PRESETS.len() - 1]) };
    for (flown, flight) in FLIGHTS {
        for age in DRAWN_AGES {
            let (mut squares, mut sum, mut count) = ([0.0; PRESETS.len()], 0.0, 0.0);
            moments(flight, age, |arena, before| {
                let fresh = field(arena, &best, 0.0);
                let shown = PRESETS.map(|preset| field(before, &bought(preset), lead(age)));
                for place in lit(arena) {
                    let Some((light, _)) = fresh.at(place) else { continue };
                    let shown = shown.each_ref().map(|field| field.at(place).unwrap_or_default().0);
                    for side in SIDES {
                        let light = light.irradiance_over_pi(side);
                        for (square, shown) in squares.iter_mut().zip(&shown) {
                            let shown = shown.irradiance_over_pi(side);
                            *square += (0..3)
                                .map(|colour| f64::from(light[colour] - shown[colour]).powi(2))
                                .sum::<f64>();
                        }
                        sum += light.iter().copied().map(f64::from).sum::<f64>();
                        count += 3.0;
                    }
                }
            });
            let errors =
                squares.map(|square| format!(" {:>5.1} %", (square / count).sqrt() / (sum / count) * 100.0));
            p2c2r_program::say(format!(
                "{flown:<20} {:>5} ms |{}| of {} sides",
                age * 1_000 / TICKS,
                errors.concat(),
                count / 3.0
            ));
        }
    }
}
