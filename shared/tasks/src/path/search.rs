//! A* over jump points: the kernel's inner search.
//!
//! Jump point search (Harabor and Grastien, 2011) without corner cutting: of all shortest paths that differ
//! only in the order of their steps it searches the one that goes diagonally first, and so stops only where an
//! obstacle forces a turn. Turning points in the middle of a diagonal are passed through at once and never
//! queued (their 2014 paper). Ties between cells go to the lowest index, so the path is fixed by grid and query.
//!
//! JPS+, which stores jump distances for every cell, is faster per query, but its preparation pays only from some
//! two hundred queries on one grid, and a game's grid lives for one or two tasks of 8 to 30. A search shared by
//! all queries to one goal would pay from about 60 of them. `docs/PERFORMANCE.md` has the measurements.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bitboard::{Diagonal, Planes};
use super::cost::Cost;
use super::grid::GRID_SIDE_MAX;
use super::outcome::QueryAnswer;
use super::spec::{Cell, Query};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// Integer weights of a straight and a diagonal step.
///
/// Their ratio is a convergent of √2 whose denominator is above the number of cells. No fraction with a
/// smaller denominator lies between the two, so for paths of fewer steps than that the integer sum orders
/// costs exactly as the real numbers do.
const STRAIGHT: u64 = 1_136_689;
const DIAGONAL: u64 = 1_607_521;
const CELLS_MAX: u64 = GRID_SIDE_MAX as u64 * GRID_SIDE_MAX as u64;
const _: () = assert!(STRAIGHT > CELLS_MAX + 2 * GRID_SIDE_MAX as u64);

/// Bits of a cell's index in a queue entry; the rest is the weight.
const INDEX_BITS: u32 = 20;
const _: () = assert!(CELLS_MAX <= 1 << INDEX_BITS);
const _: () = assert!((CELLS_MAX + 2 * GRID_SIDE_MAX as u64) * DIAGONAL < 1 << (64 - INDEX_BITS));

/// Directions of a straight jump, as bits: whether along a column, and whether towards higher positions.
const VERTICAL: u8 = 2;
const FORWARD: u8 = 1;

/// Fuel steps that every query costs.
pub(super) const QUERY_STEPS: u64 = 60;

/// Fuel steps of the parts of a search: the most nanoseconds that each part takes.
struct Weights {
    /// A place taken from the queue and expanded.
    expand: u64,
    /// A place put into the queue.
    reach: u64,
    /// A jump along a row or column, and as much again for each word of cells it reads.
    straight: u64,
    /// A cell of a jump along a diagonal.
    diagonal: u64,
    /// A turning point of the path found.
    hop: u64,
}

/// Cells up to which the nodes (16 bytes each) stay in a core's caches.
pub(super) const CACHED_CELLS_MAX: usize = 1 << 16;
const CACHED: Weights = Weights { expand: 38, reach: 20, straight: 10, diagonal: 2, hop: 4 };
/// For larger grids, where every node read comes from memory.
const VAST: Weights = Weights { expand: 60, reach: 45, straight: 15, diagonal: 4, hop: 10 };

/// The best path to a cell that a search has found.
#[derive(Clone, Copy, Default)]
struct Node {
    /// Weight of the best way found.
    weight: u64,
    /// Index of the cell it jumped from.
    parent: u32,
    /// The query this belongs to, above the two bits of the direction it arrived by. Anything of an older
    /// query counts as unknown, so that nothing is cleared between queries.
    stamp: u32,
}

/// Memory that searches reuse: 16 bytes per cell of the largest grid so far.
#[derive(Default)]
pub(super) struct Scratch {
    nodes: Vec<Node>,
    open: BinaryHeap<Reverse<u64>>,
    hops: Vec<u32>,
    query: u32,
}

/// One query being answered.
struct Search<'a, 'b> {
    planes: &'a Planes,
    scratch: &'a mut Scratch,
    /// An index is row and column; the column takes this many low bits.
    column_bits: u32,
    goal: (usize, usize),
    /// Only paths of a weight below this are still of interest.
    below: u64,
    weights: Weights,
    /// Steps taken but not yet reported to the fuel.
    steps: u64,
    fuel: &'a mut Fuel<'b>,
}

/// Weight of the shortest path between two cells of an empty grid.
fn weight_between(a: (usize, usize), b: (usize, usize)) -> u64 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u64, a.1.abs_diff(b.1) as u64);
    dx.max(dy) * STRAIGHT + dx.min(dy) * (DIAGONAL - STRAIGHT)
}

/// Solves one query between free cells of a grid.
pub(super) fn solve(
    planes: &Planes,
    query: Query,
    scratch: &mut Scratch,
    fuel: &mut Fuel<'_>,
) -> Result<QueryAnswer, KernelError> {
    fuel.spend(QUERY_STEPS)?;
    if query.from == query.to {
        return Ok(QueryAnswer::Found { cost: Cost::ZERO, waypoints: vec![query.from] });
    }
    let column_bits = planes.width.next_power_of_two().trailing_zeros();
    scratch.begin(planes.height << column_bits);
    let start = (usize::from(query.from.x), usize::from(query.from.y));
    let goal = (usize::from(query.to.x), usize::from(query.to.y));
    let mut weights = if planes.width * planes.height <= CACHED_CELLS_MAX { CACHED } else { VAST };
    weights.straight += planes.width.max(planes.height) as u64 / 64;
    let mut search = Search { planes, scratch, column_bits, goal, below: u64::MAX, weights, steps: 0, fuel };
    if search.run(start)? { search.trace(start) } else { Ok(QueryAnswer::Unreachable) }
}

impl Scratch {
    /// Makes room for `cells` indices and invalidates the previous query's nodes.
    fn begin(&mut self, cells: usize) {
        if self.nodes.len() < cells {
            self.nodes.resize(cells, Node::default());
        }
        self.query += 1;
        if self.query >= 1 << 30 {
            self.nodes.fill(Node::default());
            self.query = 1;
        }
        self.open.clear();
    }
}

impl Search<'_, '_> {
    fn index(&self, (x, y): (usize, usize)) -> usize {
        y << self.column_bits | x
    }

    fn cell(&self, index: usize) -> (usize, usize) {
        (index & ((1 << self.column_bits) - 1), index >> self.column_bits)
    }

    /// Whether there is a path; if so, the nodes hold it.
    fn run(&mut self, start: (usize, usize)) -> Result<bool, KernelError> {
        let at = self.index(start);
        self.scratch.nodes[at] = Node { weight: 0, parent: at as u32, stamp: self.scratch.query << 2 };
        if self.leave(start, at) {
            return Ok(true);
        }
        while let Some(Reverse(entry)) = self.scratch.open.pop() {
            // Expanding one place takes at most some ten microseconds, so it may be counted afterwards.
            self.fuel.spend(std::mem::take(&mut self.steps) + self.weights.expand)?;
            let (estimate, at) = (entry >> INDEX_BITS, entry as usize & ((1 << INDEX_BITS) - 1));
            let (cell, node) = (self.cell(at), self.scratch.nodes[at]);
            if cell == self.goal {
                return Ok(true);
            }
            // An entry is stale if its cell has since been reached by a better path.
            if estimate == node.weight + weight_between(cell, self.goal) {
                self.expand(cell, at, node.weight, node.stamp as u8 & 3);
            }
        }
        Ok(false)
    }

    /// Jumps from the start in all directions, those towards the goal first; true if one of them reaches the
    /// goal by a path that no other can beat.
    fn leave(&mut self, start: (usize, usize), at: usize) -> bool {
        let (right, down) = (self.goal.0 > start.0, self.goal.1 > start.1);
        let nearest = weight_between(start, self.goal) + 1;
        for (flip_x, flip_y) in [(false, false), (true, false), (false, true), (true, true)] {
            self.diagonal(start, 0, at, Diagonal { right: right ^ flip_x, down: down ^ flip_y });
            if flip_x == flip_y {
                self.straight(start, 0, at, u8::from(right ^ flip_x));
                self.straight(start, 0, at, VERTICAL | u8::from(down ^ flip_y));
            }
            if self.below == nearest {
                return true;
            }
        }
        false
    }

    /// Expands a place where an obstacle to the side and behind forces a turn.
    fn expand(&mut self, cell: (usize, usize), at: usize, weight: u64, direction: u8) {
        let forward = direction & FORWARD != 0;
        let vertical = direction & VERTICAL != 0;
        let (lines, (position, line)) = if vertical {
            (&self.planes.columns, (cell.1, cell.0 + 1))
        } else {
            (&self.planes.rows, (cell.0, cell.1 + 1))
        };
        let before = if forward { position - 1 } else { position + 1 };
        let opens = [false, true].map(|side| {
            let beside = if side { line + 1 } else { line - 1 };
            lines.is_free(beside, position) && !lines.is_free(beside, before)
        });
        self.straight(cell, weight, at, direction);
        for side in [false, true] {
            if opens[usize::from(side)] {
                self.straight(cell, weight, at, direction & VERTICAL ^ VERTICAL | u8::from(side));
                let (right, down) = if vertical { (side, forward) } else { (forward, side) };
                self.diagonal(cell, weight, at, Diagonal { right, down });
            }
        }
    }

    /// Jumps along a row or column.
    fn straight(&mut self, cell: (usize, usize), weight: u64, parent: usize, direction: u8) {
        self.steps += self.weights.straight;
        let forward = direction & FORWARD != 0;
        let landed = if direction & VERTICAL == 0 {
            let goal = (cell.1 == self.goal.1).then_some(self.goal.0);
            self.planes.rows.land(cell.1 + 1, cell.0, forward, goal).map(|x| (x, cell.1))
        } else {
            let goal = (cell.0 == self.goal.0).then_some(self.goal.1);
            self.planes.columns.land(cell.0 + 1, cell.1, forward, goal).map(|y| (cell.0, y))
        };
        if let Some(landed) = landed {
            let steps = cell.0.abs_diff(landed.0) + cell.1.abs_diff(landed.1);
            self.reach(landed, weight + steps as u64 * STRAIGHT, parent, direction);
        }
    }

    /// Walks a diagonal to its end and jumps sideways wherever the bitboards say there is a place to turn.
    fn diagonal(&mut self, cell: (usize, usize), weight: u64, parent: usize, diagonal: Diagonal) {
        let ((mut x, mut y), mut weight) = (cell, weight);
        let mut legal = self.planes.diagonal(x, y, diagonal).0;
        while legal {
            x = if diagonal.right { x + 1 } else { x - 1 };
            y = if diagonal.down { y + 1 } else { y - 1 };
            weight += DIAGONAL;
            if (x, y) == self.goal {
                self.reach((x, y), weight, parent, 0);
                break;
            }
            let sight;
            (legal, sight) = self.planes.diagonal(x, y, diagonal);
            if sight || x == self.goal.0 || y == self.goal.1 {
                self.straight((x, y), weight, parent, u8::from(diagonal.right));
                self.straight((x, y), weight, parent, VERTICAL | u8::from(diagonal.down));
            }
        }
        self.steps += self.weights.diagonal * x.abs_diff(cell.0) as u64;
    }

    /// Queues a cell that was reached, unless it was already reached as cheaply.
    fn reach(&mut self, cell: (usize, usize), weight: u64, parent: usize, direction: u8) {
        let estimate = weight + weight_between(cell, self.goal);
        if estimate >= self.below {
            return;
        }
        let (at, query) = (self.index(cell), self.scratch.query);
        let node = &mut self.scratch.nodes[at];
        if node.stamp >> 2 == query && node.weight <= weight {
            return;
        }
        *node = Node { weight, parent: parent as u32, stamp: query << 2 | u32::from(direction) };
        if cell == self.goal {
            self.below = estimate + 1;
        }
        self.steps += self.weights.reach;
        self.scratch.open.push(Reverse(estimate << INDEX_BITS | at as u64));
    }

    /// The path found, as its turning points. Each jump is a diagonal followed by a straight line; either may
    /// have no steps.
    fn trace(&mut self, start: (usize, usize)) -> Result<QueryAnswer, KernelError> {
        let (start, mut at) = (self.index(start), self.index(self.goal));
        self.scratch.hops.clear();
        self.fuel.spend(std::mem::take(&mut self.steps))?;
        while at != start {
            self.fuel.spend(self.weights.hop)?;
            self.scratch.hops.push(at as u32);
            at = self.scratch.nodes[at].parent as usize;
        }
        let (mut x, mut y) = self.cell(start);
        let mut cost = Cost::ZERO;
        let mut waypoints = Vec::with_capacity(2 * self.scratch.hops.len() + 1);
        waypoints.push(Cell::new(x as u16, y as u16));
        let mut heading = (0, 0);
        for hop in self.scratch.hops.iter().rev() {
            let (to_x, to_y) = self.cell(*hop as usize);
            let (dx, dy) = (to_x as isize - x as isize, to_y as isize - y as isize);
            let leg = Cost::octile(dx.unsigned_abs() as u32, dy.unsigned_abs() as u32);
            cost = cost + leg;
            let along = if dx.abs() > dy.abs() { (dx.signum(), 0) } else { (0, dy.signum()) };
            for (direction, steps) in [((dx.signum(), dy.signum()), leg.diagonal), (along, leg.straight)] {
                if steps == 0 {
                    continue;
                }
                x = x.wrapping_add_signed(direction.0 * steps as isize);
                y = y.wrapping_add_signed(direction.1 * steps as isize);
                if direction == heading {
                    waypoints.pop();
                }
                waypoints.push(Cell::new(x as u16, y as u16));
                heading = direction;
            }
        }
        waypoints.shrink_to_fit();
        Ok(QueryAnswer::Found { cost, waypoints })
    }
}
