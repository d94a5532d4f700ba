//! A grid over the rocks at each step, so that finding those near a place does not test all.

use super::spec::TacticsSpec;
use super::{POSITION_STEPS_PER_M, STEP_TICKS};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// Seconds of a step.
pub(super) const STEP_S: f32 = STEP_TICKS as f32 / 60.0;
/// Cells along an edge of the square.
const CELLS: usize = 32;
/// Cells of a grid.
const GRID_CELLS: usize = CELLS * CELLS;
/// Steps for which one grid is valid: a rock passes a few cells in them at most.
const SLICE_STEPS: usize = 8;
/// Metres from a rock at which bodies begin to steer aside.
pub(super) const FEELER_M: f32 = 1.6;
/// Metres between the places at which a line of sight is looked up; less than twice the feeler, so that no
/// rock is missed between two.
const LOOK_M: f32 = 2.5;
/// Fuel steps of making a cell of a grid, of looking one up, and of testing a rock.
const CELL_STEPS: u64 = 2;
const LOOK_STEPS: u64 = 4;
const ROCK_STEPS: u64 = 6;

/// A rock, metres and seconds.
#[derive(Clone, Copy)]
pub(super) struct Boulder {
    pub(super) at: [f32; 2],
    pub(super) velocity: [f32; 2],
    pub(super) radius: f32,
}

impl Boulder {
    /// Where it is after so many seconds.
    #[inline]
    fn place(&self, seconds: f32) -> [f32; 2] {
        [self.at[0] + self.velocity[0] * seconds, self.at[1] + self.velocity[1] * seconds]
    }
}

/// Seconds from the beginning to a step.
#[inline]
fn seconds_to(step: usize) -> f32 {
    step as f32 * STEP_S
}

/// Index of a strip along one axis, from a place counted in strips; places outside belong to the outermost strip.
#[inline]
pub(super) fn strip_of(place: f32, strips: u8) -> usize {
    // `as` saturates, so that a place outside still gives a strip. To a byte that is a few instructions, to a word many.
    usize::from((place as u8).min(strips - 1))
}

/// The rocks of a spec and where they are over time.
pub(super) struct MovingRocks {
    pub(super) half: f32,
    per_m: f32,
    rocks: Vec<Boulder>,
    /// Per slice and cell the rocks in reach of it, one bit each.
    grids: Vec<[u64; GRID_CELLS]>,
}

/// The same at one step, which is looked at many times.
#[derive(Clone, Copy)]
pub(super) struct RocksNow<'a> {
    half: f32,
    per_m: f32,
    seconds: f32,
    rocks: &'a [Boulder],
    cells: &'a [u64; GRID_CELLS],
}

pub(super) fn metres(place: [i16; 2]) -> [f32; 2] {
    place.map(|part| f32::from(part) / POSITION_STEPS_PER_M)
}

/// Slices that `steps` steps need.
pub(super) fn slices(steps: usize) -> usize {
    steps / SLICE_STEPS + 1
}

/// Fuel steps of making the grids of `slices` slices, without the rocks' cells.
pub(super) fn grid_steps(slices: usize) -> u64 {
    (slices * GRID_CELLS / 4) as u64
}

impl MovingRocks {
    /// The grids for `steps` steps; `reach` is the radius of the largest body, metres.
    pub(super) fn new(
        spec: &TacticsSpec,
        steps: usize,
        reach: f32,
        fuel: &mut Fuel<'_>,
    ) -> Result<Self, KernelError> {
        let half = f32::from(spec.half) / POSITION_STEPS_PER_M;
        let boulder = |rock: &super::RoundRock| Boulder {
            at: metres(rock.position),
            velocity: metres(rock.velocity),
            radius: f32::from(rock.radius) / 32.0,
        };
        let rocks: Vec<Boulder> = spec.rocks.iter().map(boulder).collect();
        let slices = slices(steps);
        fuel.spend(grid_steps(slices))?;
        let per_m = CELLS as f32 / (2.0 * half);
        let along = |place: f32| strip_of((place + half) * per_m, CELLS as u8);
        let mut grids = vec![[0; GRID_CELLS]; slices];
        for (slice, cells) in grids.iter_mut().enumerate() {
            let (begin, end) = (seconds_to(slice * SLICE_STEPS), seconds_to((slice + 1) * SLICE_STEPS));
            for (number, rock) in rocks.iter().enumerate() {
                let reach = rock.radius + reach + FEELER_M;
                let (from, to) = (rock.place(begin), rock.place(end));
                let low = [0, 1].map(|axis: usize| along(from[axis].min(to[axis]) - reach));
                let high = [0, 1].map(|axis: usize| along(from[axis].max(to[axis]) + reach));
                fuel.spend(CELL_STEPS * ((high[0] - low[0] + 1) * (high[1] - low[1] + 1)) as u64)?;
                for row in low[1]..=high[1] {
                    for cell in &mut cells[row * CELLS + low[0]..=row * CELLS + high[0]] {
                        *cell |= 1 << number;
                    }
                }
            }
        }
        Ok(Self { half, per_m, rocks, grids })
    }

    /// The rocks at a step.
    #[inline]
    pub(super) fn at(&self, step: usize) -> RocksNow<'_> {
        let Self { half, per_m, ref rocks, ref grids } = *self;
        RocksNow { half, per_m, seconds: seconds_to(step), rocks, cells: &grids[step / SLICE_STEPS] }
    }
}

impl RocksNow<'_> {
    /// Index of the cell along one axis; places outside belong to the outermost cell.
    #[inline]
    fn along(&self, place: f32) -> usize {
        strip_of((place + self.half) * self.per_m, CELLS as u8)
    }

    /// The rocks in reach of a place, one bit each.
    #[inline]
    pub(super) fn near(&self, at: [f32; 2]) -> u64 {
        self.cells[self.along(at[1]) * CELLS + self.along(at[0])]
    }

    /// Rock `number` where it is now.
    #[inline]
    pub(super) fn rock(&self, number: u32) -> Boulder {
        let rock = self.rocks[number as usize];
        Boulder { at: rock.place(self.seconds), ..rock }
    }

    /// Whether any rock stands between two places. Adds its fuel steps to `weight`.
    pub(super) fn blocks(&self, from: [f32; 2], to: [f32; 2], weight: &mut u64) -> bool {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = (along[0] * along[0] + along[1] * along[1]).sqrt();
        let looks = (length / LOOK_M) as u32 + 1;
        let mut found = 0;
        for look in 0..=looks {
            let share = look as f32 / looks as f32;
            found |= self.near([from[0] + along[0] * share, from[1] + along[1] * share]);
        }
        *weight += LOOK_STEPS * u64::from(looks);
        self.touches(from, along, 0.2, found, weight)
    }

    /// Whether something of radius `reach` that moves `along` from a place touches one of the rocks `found`.
    #[inline]
    pub(super) fn touches(
        &self,
        from: [f32; 2],
        along: [f32; 2],
        reach: f32,
        mut found: u64,
        weight: &mut u64,
    ) -> bool {
        *weight += ROCK_STEPS * u64::from(found.count_ones());
        while found != 0 {
            let rock = self.rock(found.trailing_zeros());
            found &= found - 1;
            if meets(from, along, rock.at, rock.radius + reach).is_some() {
                return true;
            }
        }
        false
    }
}

/// The share of its way, 0 to 1, at which something that moves `along` from a place is nearest to `centre`, if it comes
/// within `reach` of it.
#[inline]
pub(super) fn meets(from: [f32; 2], along: [f32; 2], centre: [f32; 2], reach: f32) -> Option<f32> {
    let to = [centre[0] - from[0], centre[1] - from[1]];
    let square = along[0] * along[0] + along[1] * along[1];
    let share =
        if square > 0.0 { ((to[0] * along[0] + to[1] * along[1]) / square).clamp(0.0, 1.0) } else { 0.0 };
    let off = [to[0] - along[0] * share, to[1] - along[1] * share];
    (off[0] * off[0] + off[1] * off[1] < reach * reach).then_some(share)
}
