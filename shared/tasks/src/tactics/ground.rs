//! A grid over the rocks at each step, so that finding those near a place does not test all.

use super::spec::TacticsSpec;
use super::{POSITION_STEPS_PER_M, STEP_TICKS};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// Seconds of a step.
pub(super) const STEP_S: f32 = STEP_TICKS as f32 / 60.0;
/// Cells along an edge of the square.
const CELLS: usize = 32;
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
    /// Where it is at a step.
    fn place(&self, step: usize) -> [f32; 2] {
        let seconds = step as f32 * STEP_S;
        [0, 1].map(|axis| self.at[axis] + self.velocity[axis] * seconds)
    }
}

/// The rocks of a spec and where they are over time.
pub(super) struct MovingRocks {
    pub(super) half: f32,
    per_m: f32,
    rocks: Vec<Boulder>,
    /// Per slice and cell the rocks in reach of it, one bit each.
    cells: Vec<u64>,
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
    (slices * CELLS * CELLS / 4) as u64
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
        let mut ground =
            Self { half, per_m: CELLS as f32 / (2.0 * half), rocks, cells: vec![0; slices * CELLS * CELLS] };
        for slice in 0..slices {
            for number in 0..ground.rocks.len() {
                let rock = ground.rocks[number];
                let reach = rock.radius + reach + FEELER_M;
                let from = rock.place(slice * SLICE_STEPS);
                let to = rock.place((slice + 1) * SLICE_STEPS);
                let low = [0, 1].map(|axis: usize| ground.along(from[axis].min(to[axis]) - reach));
                let high = [0, 1].map(|axis: usize| ground.along(from[axis].max(to[axis]) + reach));
                fuel.spend(CELL_STEPS * ((high[0] - low[0] + 1) * (high[1] - low[1] + 1)) as u64)?;
                for row in low[1]..=high[1] {
                    let begin = (slice * CELLS + row) * CELLS;
                    for cell in &mut ground.cells[begin + low[0]..=begin + high[0]] {
                        *cell |= 1 << number;
                    }
                }
            }
        }
        Ok(ground)
    }

    /// Index of the cell along one axis; places outside belong to the outermost cell.
    fn along(&self, place: f32) -> usize {
        // `as` saturates, so that a place outside still gives a cell.
        (((place + self.half) * self.per_m) as usize).min(CELLS - 1)
    }

    /// The rocks in reach of a place, one bit each.
    pub(super) fn near(&self, step: usize, at: [f32; 2]) -> u64 {
        self.cells[(step / SLICE_STEPS * CELLS + self.along(at[1])) * CELLS + self.along(at[0])]
    }

    /// Rock `number` as it is at a step.
    pub(super) fn rock(&self, step: usize, number: u32) -> Boulder {
        let rock = self.rocks[number as usize];
        Boulder { at: rock.place(step), ..rock }
    }

    /// Whether any rock stands between two places. Adds its fuel steps to `weight`.
    pub(super) fn blocks(&self, step: usize, from: [f32; 2], to: [f32; 2], weight: &mut u64) -> bool {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = (along[0] * along[0] + along[1] * along[1]).sqrt();
        let looks = (length / LOOK_M) as u32 + 1;
        let mut found = 0;
        for look in 0..=looks {
            let share = look as f32 / looks as f32;
            found |= self.near(step, [from[0] + along[0] * share, from[1] + along[1] * share]);
        }
        *weight += LOOK_STEPS * u64::from(looks);
        self.touches(step, from, along, 0.2, found, weight)
    }

    /// Whether something of radius `reach` that moves `along` from a place touches one of the rocks `found`.
    pub(super) fn touches(
        &self,
        step: usize,
        from: [f32; 2],
        along: [f32; 2],
        reach: f32,
        mut found: u64,
        weight: &mut u64,
    ) -> bool {
        *weight += ROCK_STEPS * u64::from(found.count_ones());
        while found != 0 {
            let rock = self.rock(step, found.trailing_zeros());
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
pub(super) fn meets(from: [f32; 2], along: [f32; 2], centre: [f32; 2], reach: f32) -> Option<f32> {
    let to = [centre[0] - from[0], centre[1] - from[1]];
    let square = along[0] * along[0] + along[1] * along[1];
    let share =
        if square > 0.0 { ((to[0] * along[0] + to[1] * along[1]) / square).clamp(0.0, 1.0) } else { 0.0 };
    let off = [to[0] - along[0] * share, to[1] - along[1] * share];
    (off[0] * off[0] + off[1] * off[1] < reach * reach).then_some(share)
}
