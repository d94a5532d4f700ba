//! The kernel's paths are shortest: against published optima, a plain Dijkstra, and another crate.

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_tasks::path::{Cell, Cost, Grid, Path, PathOutcome, Query, QueryAnswer};
use p2c2r_tasks::{SpecError, Stop, TaskKind};
use proptest::prelude::*;

use crate::contest::{contest, table};
use crate::maps::{self, Case, assert_published};

/// Answers to all queries of a case, each of which passed the always-on and the deep check.
fn solve(case: &Case) -> Vec<QueryAnswer> {
    let mut answers = Vec::new();
    for (queries, seed) in case.queries.chunks(100).zip(0..) {
        let (spec, blobs) = case.spec(queries);
        Path::admit(&spec, &blobs).unwrap();
        let outcome = Path::run(&spec, &blobs, &Stop::never()).unwrap();
        Path::check(&spec, &blobs, &outcome).unwrap();
        Path::deep_check(&spec, &blobs, &outcome, seed).unwrap();
        answers.extend(outcome.answers);
    }
    answers
}

#[test]
fn every_moving_ai_entry_agrees_with_its_published_optimum() {
    for (name, entries, unreachable) in [("arena", 160, 0), ("rmtst01", 470, 2)] {
        let case = maps::moving_ai(name);
        let answers = solve(&case);
        assert_eq!(answers.len(), entries);
        for ((query, published), answer) in case.queries.iter().zip(&case.published).zip(&answers) {
            assert_published(*query, *published, answer);
        }
        assert_eq!(answers.iter().filter(|answer| **answer == QueryAnswer::Unreachable).count(), unreachable);
    }
}

/// Least costs between one cell and every cell that can be reached (a path costs the same both ways), by a
/// Dijkstra over cells that shares no code with the kernel but the order of costs.
fn dijkstra(grid: &Grid, goal: Cell) -> BTreeMap<Cell, Cost> {
    let mut settled = BTreeMap::new();
    if grid.is_blocked(goal) {
        return settled;
    }
    let mut open = BTreeSet::from([(Cost::ZERO, goal)]);
    while let Some((cost, cell)) = open.pop_first() {
        if settled.contains_key(&cell) {
            continue;
        }
        settled.insert(cell, cost);
        for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
            let at = |dx, dy| Cell { x: cell.x.wrapping_add_signed(dx), y: cell.y.wrapping_add_signed(dy) };
            if [at(dx, dy), at(dx, 0), at(0, dy)].into_iter().all(|cell| !grid.is_blocked(cell)) {
                let step = if dx != 0 && dy != 0 { (0, 1) } else { (1, 0) };
                open.insert((cost + Cost { straight: step.0, diagonal: step.1 }, at(dx, dy)));
            }
        }
    }
    settled
}

fn agrees_with_dijkstra(case: &Case) {
    let mut fields = BTreeMap::new();
    for (query, answer) in case.queries.iter().zip(solve(case)) {
        let field = fields.entry(query.to).or_insert_with(|| dijkstra(&case.grid, query.to));
        let expected = field.get(&query.from).copied();
        let found = match answer {
            QueryAnswer::Found { cost, .. } => Some(cost),
            QueryAnswer::Unreachable => None,
        };
        assert_eq!(found, expected, "{query:?} on {:?}", case.grid);
    }
}

fn all_pairs(grid: Grid) -> Case {
    let cells: Vec<Cell> =
        (0..grid.height()).flat_map(|y| (0..grid.width()).map(move |x| Cell::new(x, y))).collect();
    let queries = cells.iter().flat_map(|&from| cells.iter().map(move |&to| Query { from, to })).collect();
    Case { name: "all pairs".into(), grid, queries, published: Vec::new() }
}

#[test]
fn every_pair_of_cells_on_every_grid_of_three_by_three() {
    for obstacles in 0..512u32 {
        let mut grid = Grid::new(3, 3);
        for cell in 0..9u16 {
            grid.set_blocked(Cell::new(cell % 3, cell / 3), obstacles >> cell & 1 == 1);
        }
        agrees_with_dijkstra(&all_pairs(grid));
    }
}

#[test]
fn a_fully_blocked_grid_and_a_grid_of_one_cell() {
    let mut grid = Grid::new(4, 2);
    (0..8).for_each(|cell| grid.set_blocked(Cell::new(cell % 4, cell / 4), true));
    agrees_with_dijkstra(&all_pairs(grid));
    agrees_with_dijkstra(&all_pairs(Grid::new(1, 1)));
}

#[test]
fn sides_at_and_around_the_machine_word() {
    for side in [62, 63, 64, 65, 66, 127, 128, 129] {
        for (width, height) in [(side, 1), (1, side), (side, 5), (5, side), (side, side)] {
            let mut seeded = crate::seeded::Seeded(u64::from(width) << 16 | u64::from(height));
            let mut grid = Grid::new(width, height);
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                grid.set_blocked(Cell::new(x, y), seeded.below(100) < 15);
            }
            let goals = [Cell::new(0, 0), Cell::new(width - 1, height - 1), seeded.cell(&grid)];
            let query = |number: usize| Query { from: seeded.cell(&grid), to: goals[number % 3] };
            let queries = (0..90).map(query).collect();
            agrees_with_dijkstra(&Case { name: String::new(), grid, queries, published: Vec::new() });
        }
    }
}

#[test]
fn large_grids_up_to_the_limit() {
    agrees_with_dijkstra(&maps::rocks(300, 150, 12, 20, 1));
    agrees_with_dijkstra(&maps::maze(201, 4, 2));
    let (grid, corner) = (Grid::new(1_024, 1_024), Cell::new(1_023, 1_023));
    let queries =
        vec![Query { from: Cell::new(0, 0), to: corner }, Query { from: corner, to: Cell::new(0, 5) }];
    let answers = solve(&Case { name: String::new(), grid, queries, published: Vec::new() });
    let cost = |straight, diagonal| Cost { straight, diagonal };
    assert!(matches!(&answers[0], QueryAnswer::Found { cost: found, .. } if *found == cost(0, 1_023)));
    assert!(
        matches!(&answers[1], QueryAnswer::Found { cost: found, waypoints } if *found == cost(5, 1_018) && waypoints.len() == 3)
    );
}

#[test]
fn the_bench_agrees_with_the_other_crate_and_fits_the_budget_of_the_wire() {
    let cases = [
        maps::moving_ai("arena"),
        maps::rocks(64, 40, 3, 20, 9),
        maps::noise(64, 20, 20, 9),
        maps::maze(33, 20, 9),
    ];
    let rows = cases.map(|case| contest(&case.shortened(20), 1));
    for row in &rows {
        assert_eq!(row.queries, 20);
        assert!(row.spec_bytes + row.blob_bytes <= 1_200 && row.outcome_bytes <= 1_200, "{}", row.name);
    }
    assert_eq!(table(&rows).lines().count(), rows.len() + 2);
}

#[test]
fn queries_outside_the_grid_and_too_many_or_none_are_refused() {
    let case = maps::rocks(16, 4, 2, 1, 3);
    let refused = |queries: &[Query]| {
        let (spec, blobs) = case.spec(queries);
        assert!(matches!(Path::admit(&spec, &blobs), Err(SpecError::OutOfRange(_))));
        assert!(Path::run(&spec, &blobs, &Stop::never()).is_err());
        let outcome = PathOutcome { answers: vec![QueryAnswer::Unreachable; queries.len()] };
        assert_eq!(Path::check(&spec, &blobs, &outcome).unwrap_err().check, "path.spec");
        assert_eq!(Path::deep_check(&spec, &blobs, &outcome, 1).unwrap_err().check, "path.spec");
    };
    let inside = Cell::new(15, 15);
    refused(&[]);
    refused(&[Query { from: inside, to: inside }; 257]);
    for outside in [Cell::new(16, 0), Cell::new(0, 16), Cell::new(u16::MAX, u16::MAX)] {
        refused(&[Query { from: inside, to: outside }]);
        refused(&[Query { from: outside, to: inside }]);
    }
    let (spec, blobs) = case.spec(&[Query { from: inside, to: inside }; 256]);
    Path::admit(&spec, &blobs).unwrap();
}

#[test]
fn work_units_grow_with_grid_queries_clutter_and_distance() {
    let units = |case: &Case, queries: &[Query]| {
        let (spec, blobs) = case.spec(queries);
        Path::admit(&spec, &blobs).unwrap().0
    };
    let open = maps::rocks(64, 5, 3, 40, 1);
    let one = units(&open, &open.queries[..1]);
    assert!(units(&open, &open.queries) > one);
    let large = maps::rocks(256, 5, 3, 40, 1);
    assert!(units(&large, &open.queries[..1]) > one);
    let cluttered = maps::noise(64, 20, 40, 1);
    assert!(units(&cluttered, &open.queries) > units(&open, &open.queries));
    let query = |x| Query { from: Cell::new(0, 0), to: Cell::new(x, x) };
    assert!(units(&cluttered, &[query(60)]) > units(&cluttered, &[query(6)]));
    // The price of a spec is part of the protocol between machines: it must not drift unnoticed.
    assert_eq!((one, units(&open, &open.queries), units(&cluttered, &cluttered.queries)), (10, 20, 386));
}

/// A grid of up to 24 by 24 cells, some of them blocked, and queries anywhere on it.
fn any_case() -> impl Strategy<Value = Case> {
    (1u16..=24, 1u16..=24, 0u64..=60, any::<u64>()).prop_map(|(width, height, percent, seed)| {
        let mut seeded = crate::seeded::Seeded(seed);
        let mut grid = Grid::new(width, height);
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            grid.set_blocked(Cell::new(x, y), seeded.below(100) < percent);
        }
        let goals: Vec<Cell> = (0..3).map(|_| seeded.cell(&grid)).collect();
        let query = |number: usize| Query { from: seeded.cell(&grid), to: goals[number % 3] };
        let queries = (0..30).map(query).collect();
        Case { name: format!("seed {seed}"), grid, queries, published: Vec::new() }
    })
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {:?}", self.name, self.queries)?;
        for y in 0..self.grid.height() {
            let mark = |x| if self.grid.is_blocked(Cell::new(x, y)) { '@' } else { '.' };
            writeln!(f, "{}", (0..self.grid.width()).map(mark).collect::<String>())?;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_grid_agrees_with_dijkstra(case in any_case()) {
        agrees_with_dijkstra(&case);
    }

    #[test]
    fn costs_order_as_the_numbers_they_stand_for(a in 0u32..5_000, b in 0u32..5_000, c in 0u32..5_000, d in 0u32..5_000) {
        let (left, right) = (Cost { straight: a, diagonal: b }, Cost { straight: c, diagonal: d });
        let difference = left.value() - right.value();
        // Different costs below 5,000 differ by more than 1e-5, far above the rounding of a double.
        prop_assert_eq!(left.cmp(&right), if left == right { std::cmp::Ordering::Equal } else { difference.total_cmp(&0.0) });
    }
}

#[test]
fn costs_too_close_for_a_double_are_told_apart() {
    // Successive convergents of √2: the sides differ by 3e-10 and 7e-10, and doubles of this size are 1e-7
    // or more apart.
    let costs = |straight, diagonal| (Cost { straight, diagonal: 0 }, Cost { straight: 0, diagonal });
    let (straight, diagonal) = costs(1_855_077_841, 1_311_738_121);
    assert!(straight < diagonal);
    let (straight, diagonal) = costs(768_398_401, 543_339_720);
    assert!(straight > diagonal);
    assert_eq!(Cost::octile(3, 7), Cost { straight: 4, diagonal: 3 });
}
