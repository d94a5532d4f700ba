//! A grid that finds the rocks near a point: without it, two hundred enemies that test a thousand rocks each
//! tick would take most of a step.

use crate::rocks::Rock;
use crate::vec2::Vec2;

/// Edge of a cell, metres. Smaller cells hold fewer rocks that are too far away; larger cells are fewer to
/// visit.
const CELL: f32 = 4.0;

/// Rocks, or fragments, by the cell in which their centres lie, as they were when it was made.
pub(crate) struct RockGrid {
    half: f32,
    cells: usize,
    /// For each cell where its rocks begin in `rocks`; one more at the end.
    starts: Vec<u32>,
    /// Indices of rocks, in each cell ascending.
    rocks: Vec<u32>,
    radius_max: f32,
}

impl RockGrid {
    /// The obstacles in an arena from minus to plus `half`: all of `rocks` but fragments.
    pub(crate) fn new(rocks: &[Rock], half: f32) -> Self {
        Self::of(rocks, half, |rock| !rock.is_fragment())
    }

    /// The fragments of `rocks`.
    pub(crate) fn of_fragments(rocks: &[Rock], half: f32) -> Self {
        Self::of(rocks, half, Rock::is_fragment)
    }

    fn of(rocks: &[Rock], half: f32, holds: impl Fn(&Rock) -> bool) -> Self {
        let cells = ((2.0 * half / CELL) as usize + 1).max(1);
        let (indices, cell_of): (Vec<usize>, Vec<usize>) = rocks
            .iter()
            .enumerate()
            .filter(|(_, rock)| holds(rock))
            .map(|(index, rock)| {
                let along = |place: f32| along(place, half, cells);
                (index, along(rock.position.y) * cells + along(rock.position.x))
            })
            .unzip();
        let radii = indices.iter().map(|index| rocks[*index].radius);
        let mut grid = Self {
            half,
            cells,
            starts: vec![0; cells * cells + 1],
            rocks: vec![0; indices.len()],
            radius_max: radii.fold(0.0, f32::max),
        };
        for &cell in &cell_of {
            grid.starts[cell + 1] += 1;
        }
        for cell in 0..cells * cells {
            grid.starts[cell + 1] += grid.starts[cell];
        }
        let mut next = grid.starts.clone();
        for (index, cell) in indices.into_iter().zip(cell_of) {
            grid.rocks[next[cell] as usize] = index as u32;
            next[cell] += 1;
        }
        grid
    }

    /// Writes into `found`, ascending, the indices of all rocks that come within `reach` of the box from `a` to `b`,
    /// and of some others near it.
    pub(crate) fn near(&self, a: Vec2, b: Vec2, reach: f32, found: &mut Vec<u32>) {
        found.clear();
        let reach = reach + self.radius_max;
        let (left, right) = (self.along(a.x.min(b.x) - reach), self.along(a.x.max(b.x) + reach));
        for row in self.along(a.y.min(b.y) - reach)..=self.along(a.y.max(b.y) + reach) {
            let (from, to) =
                (self.starts[row * self.cells + left], self.starts[row * self.cells + right + 1]);
            found.extend_from_slice(&self.rocks[from as usize..to as usize]);
        }
        // Ascending order, so that sums are the same on every machine.
        found.sort_unstable();
    }

    fn along(&self, place: f32) -> usize {
        along(place, self.half, self.cells)
    }
}

/// Index of the cell along one axis; places outside belong to the outermost cell.
fn along(place: f32, half: f32, cells: usize) -> usize {
    // `as` saturates, and NaN becomes 0.
    (((place + half) / CELL) as usize).min(cells - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::{Arena, ArenaConfig};

    #[test]
    fn every_rock_in_reach_is_found_and_in_order() {
        let mut dice = Dice::new(7);
        for config in [ArenaConfig::default(), ArenaConfig::stress()] {
            let arena = Arena::new(config);
            let half = arena.config().size * 0.5;
            let grid = RockGrid::new(arena.rocks(), half);
            let mut found = Vec::new();
            let mut looked_at = 0;
            for _ in 0..500 {
                let (a, reach) = (dice.point(half + 3.0), dice.between(0.0, 4.0));
                let b = a + dice.direction() * dice.between(0.0, 9.0);
                grid.near(a, b, reach, &mut found);
                assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
                for (index, rock) in arena.rocks().iter().enumerate() {
                    let touched = rock.blocks(a, b, reach);
                    assert!(!touched || found.contains(&(index as u32)), "rock {index} near {a:?} to {b:?}");
                }
                looked_at += found.len();
            }
            assert!(looked_at < 500 * arena.rocks().len() / 4, "{looked_at} rocks are looked at");
        }
    }
}
