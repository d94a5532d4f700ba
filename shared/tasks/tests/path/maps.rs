//! Grids with queries: the Moving AI scenarios with their published optima, and seeded grids of the sorts a
//! game makes.

use std::path::Path;
use std::sync::Arc;

use p2c2r_tasks::path::{Cell, Grid, PathSpec, Query, QueryAnswer};
use p2c2r_tasks::{Blob, Blobs};

use crate::seeded::Seeded;

/// A grid and queries on it.
pub struct Case {
    pub name: String,
    pub grid: Grid,
    pub queries: Vec<Query>,
    /// Published optimal cost per query, rounded to six significant digits; 0 if there is no path or start
    /// and goal are one. Empty if none are published.
    pub published: Vec<f64>,
}

impl Case {
    /// The grid's blob.
    pub fn blob(&self) -> Arc<Blob> {
        Blob::new(self.grid.to_blob())
    }

    /// A spec of these queries on this case's grid, and its blobs.
    pub fn spec(&self, queries: &[Query]) -> (PathSpec, Blobs) {
        let blob = self.blob();
        (PathSpec { grid: blob.digest(), queries: queries.to_vec() }, Blobs::new(vec![blob]))
    }

    /// The same grid with only the first `count` queries.
    #[must_use]
    pub fn shortened(mut self, count: usize) -> Self {
        self.queries.truncate(count);
        self.published.truncate(count);
        self
    }
}

/// The Moving AI scenario `name`, from `tests/data/movingai`.
pub fn moving_ai(name: &str) -> Case {
    let folder = Path::new("../../tests/data/movingai");
    let read = |file: String| {
        std::fs::read_to_string(folder.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let map = read(format!("{name}.map"));
    let mut lines = map.lines();
    let mut header = |key: &str| lines.next().unwrap().strip_prefix(key).unwrap().trim().to_owned();
    assert_eq!(header("type"), "octile");
    let height = header("height").parse().unwrap();
    let mut grid = Grid::new(header("width").parse().unwrap(), height);
    header("map");
    for (y, row) in (0..height).zip(lines) {
        assert_eq!(row.len(), usize::from(grid.width()));
        for (x, terrain) in (0..).zip(row.bytes()) {
            grid.set_blocked(Cell::new(x, y), !matches!(terrain, b'.' | b'G' | b'S'));
        }
    }
    let (mut queries, mut published) = (Vec::new(), Vec::new());
    for entry in read(format!("{name}.map.scen")).lines().skip(1).filter(|line| !line.trim().is_empty()) {
        // bucket, map, width, height, start x, start y, goal x, goal y, optimal cost
        let fields: Vec<&str> = entry.split('\t').map(str::trim).collect();
        let number = |field: usize| fields[field].parse::<u16>().unwrap();
        assert_eq!((number(2), number(3)), (grid.width(), grid.height()));
        queries.push(Query { from: Cell::new(number(4), number(5)), to: Cell::new(number(6), number(7)) });
        published.push(fields[8].parse().unwrap());
    }
    Case { name: name.into(), grid, queries, published }
}

/// Fails unless `answer` has the published cost, to 1e-4 and within the six significant digits in which costs
/// are published.
pub fn assert_published(query: Query, published: f64, answer: &QueryAnswer) {
    match answer {
        QueryAnswer::Found { cost, .. } => {
            let value = cost.value();
            let decimals = if value >= 100.0 { 3 } else { 5 };
            let rounded: f64 = format!("{value:.decimals$}").parse().unwrap();
            assert!((rounded - published).abs() <= 1e-4, "{query:?}: {value}, published {published}");
        }
        QueryAnswer::Unreachable => assert_eq!(published, 0.0, "{query:?}"),
    }
}

impl Seeded {
    /// Any cell of the grid.
    pub fn cell(&mut self, grid: &Grid) -> Cell {
        Cell::new(self.below(grid.width().into()) as u16, self.below(grid.height().into()) as u16)
    }

    /// A random free cell of the grid, which must have one.
    pub fn free_cell(&mut self, grid: &Grid) -> Cell {
        loop {
            let cell = self.cell(grid);
            if !grid.is_blocked(cell) {
                return cell;
            }
        }
    }

    fn case(&mut self, name: String, grid: Grid, queries: usize, one_goal: bool) -> Case {
        let goal = self.free_cell(&grid);
        let mut query = || {
            let from = self.free_cell(&grid);
            Query { from, to: if one_goal { goal } else { self.free_cell(&grid) } }
        };
        let queries = (0..queries).map(|_| query()).collect();
        Case { name, grid, queries, published: Vec::new() }
    }
}

/// Round rocks on open ground, and enemies that all go to one place, as in the game.
pub fn rocks(side: u16, rocks: u64, radius_max: u64, queries: usize, seed: u64) -> Case {
    let mut seeded = Seeded(seed);
    let mut grid = Grid::new(side, side);
    for _ in 0..rocks {
        let (x, y) = (seeded.below(side.into()) as i32, seeded.below(side.into()) as i32);
        let radius = 1 + seeded.below(radius_max) as i32;
        for (dx, dy) in (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dx, dy))) {
            if let (Ok(x), Ok(y), true) =
                (u16::try_from(x + dx), u16::try_from(y + dy), dx * dx + dy * dy <= radius * radius)
            {
                grid.set_blocked(Cell::new(x, y), true);
            }
        }
    }
    seeded.case(format!("rocks {side}x{side}"), grid, queries, true)
}

/// Every cell blocked with a chance of `percent`.
pub fn noise(side: u16, percent: u64, queries: usize, seed: u64) -> Case {
    let mut seeded = Seeded(seed);
    let mut grid = Grid::new(side, side);
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        grid.set_blocked(Cell::new(x, y), seeded.below(100) < percent);
    }
    seeded.case(format!("noise {percent}% {side}x{side}"), grid, queries, false)
}

/// A perfect maze with corridors one cell wide: the worst a grid can do to a search.
pub fn maze(side: u16, queries: usize, seed: u64) -> Case {
    let mut seeded = Seeded(seed);
    let mut grid = Grid::new(side, side);
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        grid.set_blocked(Cell::new(x, y), true);
    }
    let mut walk = vec![Cell::new(1, 1)];
    grid.set_blocked(walk[0], false);
    while let Some(&at) = walk.last() {
        let step = |by: u16, dx: i16, dy: i16| {
            Cell::new(at.x.wrapping_add_signed(dx * by as i16), at.y.wrapping_add_signed(dy * by as i16))
        };
        let ways: Vec<_> = [(1, 0), (-1, 0), (0, 1), (0, -1)]
            .into_iter()
            .filter(|&(dx, dy)| {
                let two = step(2, dx, dy);
                two.x > 0 && two.y > 0 && two.x < side - 1 && two.y < side - 1 && grid.is_blocked(two)
            })
            .collect();
        if ways.is_empty() {
            walk.pop();
            continue;
        }
        let (dx, dy) = ways[seeded.below(ways.len() as u64) as usize];
        grid.set_blocked(step(1, dx, dy), false);
        grid.set_blocked(step(2, dx, dy), false);
        walk.push(step(2, dx, dy));
    }
    seeded.case(format!("maze {side}x{side}"), grid, queries, false)
}
