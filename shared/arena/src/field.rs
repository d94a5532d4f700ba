//! The occupancy grid laid over the plane: cells for points, and what is free and connected.

use std::collections::VecDeque;

use p2c2r_tasks::path::{Cell, Grid};

use crate::vec2::Vec2;

/// Rings of cells searched for a free one around a blocked one. An enemy pressed against a rock is one or two
/// cells inside its inflated outline; from farther away a path would not help.
const FREE_SEARCH_RINGS: i32 = 6;

/// The square arena and the grid laid over it.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Half of the arena's edge, metres.
    pub(crate) half: f32,
    cells: u16,
    cell: f32,
}

impl Field {
    /// An arena of edge `size` with `cells` by `cells` cells.
    pub(crate) fn new(size: f32, cells: u16) -> Self {
        Self { half: size * 0.5, cells, cell: size / f32::from(cells) }
    }

    /// Edge of a cell, metres.
    pub(crate) fn cell_size(&self) -> f32 {
        self.cell
    }

    /// The cell under `point`; points outside the arena count as the nearest cell.
    pub(crate) fn cell_at(&self, point: Vec2) -> Cell {
        // Casts from float to integer saturate, and NaN becomes 0, on every machine.
        let index = |along: f32| (((along + self.half) / self.cell) as u16).min(self.cells - 1);
        Cell::new(index(point.x), index(point.y))
    }

    /// The middle of `cell`, or nothing if the grid has no such cell.
    pub(crate) fn middle(&self, cell: Cell) -> Option<Vec2> {
        (cell.x < self.cells && cell.y < self.cells).then(|| self.middle_of(cell.x, cell.y))
    }

    fn middle_of(&self, x: u16, y: u16) -> Vec2 {
        let along = |index: u16| (f32::from(index) + 0.5) * self.cell - self.half;
        Vec2::new(along(x), along(y))
    }

    /// The grid on which a cell is free if something of radius `clearance` fits with its centre on the
    /// cell's middle, between `rocks` (centre and radius) and inside the walls.
    pub(crate) fn occupancy(&self, rocks: impl Iterator<Item = (Vec2, f32)>, clearance: f32) -> Grid {
        let mut grid = Grid::new(self.cells, self.cells);
        for index in 0..self.cells {
            let middle = self.middle_of(index, 0).x;
            if middle < clearance - self.half || middle > self.half - clearance {
                for other in 0..self.cells {
                    grid.set_blocked(Cell::new(index, other), true);
                    grid.set_blocked(Cell::new(other, index), true);
                }
            }
        }
        for (centre, radius) in rocks {
            let reach = radius + clearance;
            let corner = Vec2::new(reach, reach);
            let (low, high) = (self.cell_at(centre - corner), self.cell_at(centre + corner));
            for y in low.y..=high.y {
                for x in low.x..=high.x {
                    if self.middle_of(x, y).distance_squared(centre) < reach * reach {
                        grid.set_blocked(Cell::new(x, y), true);
                    }
                }
            }
        }
        grid
    }

    /// The free cell nearest to `point`, within a few cells.
    pub(crate) fn nearest_free(&self, grid: &Grid, point: Vec2) -> Option<Cell> {
        let home = self.cell_at(point);
        if !grid.is_blocked(home) {
            return Some(home);
        }
        let mut best: Option<(f32, Cell)> = None;
        for ring in 1..=FREE_SEARCH_RINGS {
            for dy in -ring..=ring {
                let step = if dy.abs() == ring { 1 } else { 2 * ring };
                for dx in (-ring..=ring).step_by(step as usize) {
                    let (x, y) = (i32::from(home.x) + dx, i32::from(home.y) + dy);
                    let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y)) else { continue };
                    let cell = Cell::new(x, y);
                    if grid.is_blocked(cell) {
                        continue;
                    }
                    let away = self.middle_of(x, y).distance_squared(point);
                    if best.is_none_or(|(least, _)| away < least) {
                        best = Some((away, cell));
                    }
                }
            }
            if best.is_some() {
                break;
            }
        }
        best.map(|(_, cell)| cell)
    }

    /// Whether the free cells at `from` and `to` are connected by steps along rows and columns.
    pub(crate) fn connected(&self, grid: &Grid, from: Vec2, to: Vec2) -> bool {
        self.steps(grid, self.cell_at(from)).to(self.cell_at(to)).is_some()
    }

    /// How many steps along rows and columns lead from `start` to each free cell. Diagonal steps that cut no
    /// corner reach the same cells.
    pub(crate) fn steps(&self, grid: &Grid, start: Cell) -> StepCounts {
        let width = usize::from(self.cells);
        let mut steps = StepCounts { width, counts: vec![UNREACHED; width * width] };
        if grid.is_blocked(start) {
            return steps;
        }
        let mut open = VecDeque::from([start]);
        steps.counts[usize::from(start.y) * width + usize::from(start.x)] = 0;
        while let Some(cell) = open.pop_front() {
            let Cell { x, y } = cell;
            let next_count = steps.counts[usize::from(y) * width + usize::from(x)].saturating_add(1);
            // Wrapping below zero lands outside the grid.
            for next in [
                Cell::new(x.wrapping_sub(1), y),
                Cell::new(x + 1, y),
                Cell::new(x, y.wrapping_sub(1)),
                Cell::new(x, y + 1),
            ] {
                let (column, row) = (usize::from(next.x), usize::from(next.y));
                if column >= width || row >= width {
                    continue;
                }
                // Most neighbours are already known, and checking that is faster than checking whether they
                // are blocked.
                let count = &mut steps.counts[row * width + column];
                if *count == UNREACHED && !grid.is_blocked(next) {
                    *count = next_count.min(UNREACHED - 1);
                    open.push_back(next);
                }
            }
        }
        steps
    }
}

/// A cell that no step leads to.
const UNREACHED: u16 = u16::MAX;

/// Numbers of steps from one cell to every other.
#[derive(Clone, Debug)]
pub(crate) struct StepCounts {
    width: usize,
    counts: Vec<u16>,
}

impl StepCounts {
    /// Steps to `cell`; none if it is blocked, shut off or outside.
    pub(crate) fn to(&self, cell: Cell) -> Option<u16> {
        let (x, y) = (usize::from(cell.x), usize::from(cell.y));
        let count = *self.counts.get(y * self.width + x).filter(|_| x < self.width)?;
        (count != UNREACHED).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rock(x: f32, y: f32, radius: f32) -> (Vec2, f32) {
        (Vec2::new(x, y), radius)
    }

    #[test]
    fn cells_and_points_agree() {
        let field = Field::new(64.0, 128);
        for cell in [Cell::new(0, 0), Cell::new(127, 127), Cell::new(5, 90)] {
            assert_eq!(field.cell_at(field.middle(cell).unwrap()), cell);
        }
        assert_eq!(field.middle(Cell::new(128, 0)), None);
        assert_eq!(field.cell_at(Vec2::new(-1e9, f32::NAN)), Cell::new(0, 0));
        assert_eq!(field.cell_at(Vec2::new(1e9, f32::INFINITY)), Cell::new(127, 127));
    }

    #[test]
    fn rocks_and_walls_block_exactly_where_nothing_fits() {
        let field = Field::new(64.0, 64);
        let rocks = [rock(0.0, 0.0, 2.0), rock(-31.0, 20.0, 1.0)];
        let grid = field.occupancy(rocks.into_iter(), 0.8);
        for y in 0..64 {
            for x in 0..64 {
                let middle = field.middle(Cell::new(x, y)).unwrap();
                let fits = middle.x.abs() <= 31.2
                    && middle.y.abs() <= 31.2
                    && rocks.iter().all(|rock| middle.distance(rock.0) >= rock.1 + 0.8);
                assert_eq!(!grid.is_blocked(Cell::new(x, y)), fits, "cell {x}, {y}");
            }
        }
    }

    #[test]
    fn nearest_free_cell_is_the_nearest_and_not_too_far() {
        let field = Field::new(64.0, 64);
        let grid = field.occupancy([rock(0.0, 0.0, 3.0)].into_iter(), 0.8);
        let at = Vec2::new(2.9, 0.3);
        let found = field.middle(field.nearest_free(&grid, at).unwrap()).unwrap();
        assert!(found.distance(at) < 1.7 && !grid.is_blocked(field.cell_at(found)), "{found:?}");
        let all = field.occupancy([rock(0.0, 0.0, 60.0)].into_iter(), 0.8);
        assert_eq!(field.nearest_free(&all, at), None);
    }

    #[test]
    fn a_closed_ring_of_rocks_disconnects() {
        let field = Field::new(64.0, 64);
        let wall: Vec<(Vec2, f32)> = (-32..=32).map(|x| rock(x as f32, 4.0, 1.0)).collect();
        let (a, b) = (Vec2::new(0.0, -10.0), Vec2::new(0.0, 10.0));
        assert!(!field.connected(&field.occupancy(wall.iter().copied(), 0.8), a, b));
        assert!(field.connected(&field.occupancy(wall[..40].iter().copied(), 0.8), a, b));
        assert!(!field.connected(&field.occupancy(wall.iter().copied(), 0.8), a, wall[5].0));
    }
}
