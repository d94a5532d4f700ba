//! The light of a whole sector, which the game asks for once when a ship arrives: the game's specs, except for details of
//! the scene that cost nothing.

use p2c2r_arena::{Arena, Rock};
use p2c2r_tasks::Blobs;
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, Probes};
use p2c2r_tasks::reflection::{Object, POSITION_STEPS_PER_M};

use super::{FIELD, FieldHabit, Played, field_around, in_scene, rock_object, walls};

/// Probes along an edge of a part, and parts along an edge of the sector.
const PART_EDGE: u8 = 16;
const PARTS_EDGE: u8 = 4;

/// Sectors an hour that a preset's price assumes: the autopilot clears two waves, which is a sector, in 65 s on average.
pub const SECTORS_PER_HOUR: f64 = 60.0;

/// How the game asks for a sector's light: paths, bounces and rocks of each part. The interval is not used.
pub const SECTOR: FieldHabit = FieldHabit { paths: 96, bounces: 3, rocks_max: 64, ..FIELD };

/// The light of the sector in which the arena is, in parts, at the rate of [`SECTORS_PER_HOUR`].
pub fn sector(arena: &Arena, habit: &FieldHabit) -> Played<Lightfield> {
    let scene = field_around(arena, habit);
    let size = arena.config().size;
    let spacing = size / f32::from(PART_EDGE * PARTS_EDGE);
    let rocks = arena.rocks_at_entrance();
    let tasks: Vec<_> = (0..PARTS_EDGE * PARTS_EDGE)
        .map(|number| {
            let place = [number % PARTS_EDGE, number / PARTS_EDGE].map(|place| f32::from(place * PART_EDGE));
            let origin = place.map(|place| ((place + 0.5) * spacing - size * 0.5) * POSITION_STEPS_PER_M);
            let half = f32::from(PART_EDGE - 1) * 0.5 * spacing * POSITION_STEPS_PER_M;
            let spec = LightfieldSpec {
                probes: Probes::Grid {
                    origin: [origin[0] as i16, 0, origin[1] as i16],
                    spacing: (spacing * POSITION_STEPS_PER_M) as u16,
                    counts: [PART_EDGE, 1, PART_EDGE],
                },
                objects: nearest(&rocks, origin.map(|at| at + half), habit.rocks_max)
                    .chain(walls(size * 0.5))
                    .collect(),
                ..scene.clone()
            };
            (spec, Blobs::default())
        })
        .collect();
    Played { per_second: tasks.len() as f64 * SECTORS_PER_HOUR / 3_600.0, tasks }
}

/// The rocks nearest to a place of the plane, in the units of a scene.
fn nearest(rocks: &[Rock], [x, z]: [f32; 2], most: usize) -> impl Iterator<Item = Object> {
    let away = |rock: &Rock| {
        let at = in_scene(rock.position);
        (f32::from(at[0]) - x).hypot(f32::from(at[2]) - z)
    };
    let mut rocks: Vec<_> = rocks.iter().collect();
    rocks.sort_by(|a, b| away(a).total_cmp(&away(b)));
    let objects: Vec<_> = rocks.into_iter().filter_map(rock_object).take(most).collect();
    objects.into_iter()
}
