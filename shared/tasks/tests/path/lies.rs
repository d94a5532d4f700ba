//! Every lie about a path is caught, by the check that is named for it.

use p2c2r_tasks::path::{Cell, Cost, Grid, Path, PathOutcome, PathSpec, Query, QueryAnswer};
use p2c2r_tasks::{Blob, Blobs, Stop, TaskKind};

/// A room with a wall: `#` is blocked.
///
/// ```text
/// ........
/// ...#....
/// ...#....
/// ........
/// .####...
/// .#.#....
/// .###....
/// ```
fn room() -> Grid {
    let mut grid = Grid::new(8, 7);
    for (x, y) in [(3, 1), (3, 2), (1, 4), (2, 4), (3, 4), (4, 4), (1, 5), (3, 5), (1, 6), (2, 6), (3, 6)] {
        grid.set_blocked(Cell::new(x, y), true);
    }
    grid
}

fn cells(points: &[(u16, u16)]) -> Vec<Cell> {
    points.iter().map(|&(x, y)| Cell::new(x, y)).collect()
}

fn found(straight: u32, diagonal: u32, points: &[(u16, u16)]) -> QueryAnswer {
    QueryAnswer::Found { cost: Cost { straight, diagonal }, waypoints: cells(points) }
}

fn spec(from: (u16, u16), to: (u16, u16)) -> (PathSpec, Blobs) {
    let blob = Blob::new(room().to_blob());
    let query = Query { from: Cell::new(from.0, from.1), to: Cell::new(to.0, to.1) };
    (PathSpec { grid: blob.digest(), queries: vec![query] }, Blobs::new(vec![blob]))
}

/// The always-on check's verdict on `answer`.
fn verdict(from: (u16, u16), to: (u16, u16), answer: QueryAnswer) -> Result<(), &'static str> {
    let (spec, blobs) = spec(from, to);
    Path::check(&spec, &blobs, &PathOutcome { answers: vec![answer] }).map_err(|error| error.check)
}

/// From left of the wall to right of it, around its lower end.
const FROM: (u16, u16) = (2, 2);
const TO: (u16, u16) = (4, 2);

#[test]
fn the_truth_passes() {
    let around = [FROM, (2, 3), (4, 3), TO];
    assert_eq!(verdict(FROM, TO, found(4, 0, &around)), Ok(()));
    let (spec, blobs) = spec(FROM, TO);
    let outcome = Path::run(&spec, &blobs, &Stop::never()).unwrap();
    assert_eq!(outcome.answers, [found(4, 0, &around)]);
    for seed in 0..100 {
        Path::deep_check(&spec, &blobs, &outcome, seed).unwrap();
    }
    assert_eq!(verdict(FROM, FROM, found(0, 0, &[FROM])), Ok(()));
    assert_eq!(verdict((0, 0), (2, 5), QueryAnswer::Unreachable), Ok(()));
    assert_eq!(verdict((3, 1), (0, 0), QueryAnswer::Unreachable), Ok(()));
}

#[test]
fn a_step_through_a_wall() {
    assert_eq!(verdict(FROM, TO, found(2, 0, &[FROM, TO])), Err("path.step_legal"));
    assert_eq!(verdict((2, 0), (5, 3), found(0, 3, &[(2, 0), (5, 3)])), Err("path.step_legal"));
    assert_eq!(verdict((4, 3), (4, 5), found(2, 0, &[(4, 3), (4, 5)])), Err("path.step_legal"));
}

#[test]
fn a_step_into_or_out_of_a_wall_or_the_grid() {
    assert_eq!(verdict((3, 1), (3, 1), found(0, 0, &[(3, 1)])), Err("path.step_legal"));
    assert_eq!(verdict((3, 1), (5, 1), found(2, 0, &[(3, 1), (5, 1)])), Err("path.step_legal"));
    assert_eq!(verdict((5, 1), (3, 1), found(2, 0, &[(5, 1), (3, 1)])), Err("path.step_legal"));
    for outside in [(9, 0), (8, 0), (70, 0), (u16::MAX, 0), (2, 60_000)] {
        assert_eq!(verdict((2, 0), TO, found(90, 0, &[(2, 0), outside, TO])), Err("path.step_legal"));
    }
}

#[test]
fn a_corner_cut() {
    assert_eq!(verdict((2, 3), (4, 3), found(0, 2, &[(2, 3), (3, 2), (4, 3)])), Err("path.step_legal"));
    assert_eq!(verdict((2, 1), (3, 0), found(0, 1, &[(2, 1), (3, 0)])), Err("path.step_legal"));
    assert_eq!(verdict((3, 3), (4, 2), found(0, 1, &[(3, 3), (4, 2)])), Err("path.step_legal"));
}

#[test]
fn a_leg_that_is_not_a_line() {
    assert_eq!(verdict((5, 0), (7, 1), found(1, 1, &[(5, 0), (7, 1)])), Err("path.step_legal"));
}

#[test]
fn a_path_between_other_cells() {
    let around = [FROM, (2, 3), (4, 3), TO];
    assert_eq!(verdict(FROM, (5, 2), found(4, 0, &around)), Err("path.ends"));
    assert_eq!(verdict((2, 1), TO, found(4, 0, &around)), Err("path.ends"));
    assert_eq!(verdict(TO, FROM, found(4, 0, &around)), Err("path.ends"));
    assert_eq!(verdict(FROM, TO, found(4, 0, &[])), Err("path.ends"));
    assert_eq!(verdict(FROM, TO, found(4, 0, &[FROM])), Err("path.ends"));
}

#[test]
fn a_cost_that_is_not_the_paths() {
    let around = [FROM, (2, 3), (4, 3), TO];
    for (straight, diagonal) in [(3, 0), (5, 0), (4, 1), (2, 1), (u32::MAX, u32::MAX)] {
        assert_eq!(verdict(FROM, TO, found(straight, diagonal, &around)), Err("path.cost_sum"));
    }
}

#[test]
fn a_cost_below_the_bound() {
    let around = [FROM, (2, 3), (4, 3), TO];
    for (straight, diagonal) in [(0, 0), (1, 0), (0, 1)] {
        assert_eq!(verdict(FROM, TO, found(straight, diagonal, &around)), Err("path.cost_bound"));
    }
}

#[test]
fn a_path_said_not_to_exist() {
    assert_eq!(verdict(FROM, TO, QueryAnswer::Unreachable), Err("path.unreachable"));
    assert_eq!(verdict(FROM, FROM, QueryAnswer::Unreachable), Err("path.unreachable"));
    assert_eq!(verdict((0, 6), (7, 6), QueryAnswer::Unreachable), Err("path.unreachable"));
}

#[test]
fn a_path_to_where_there_is_none() {
    assert_eq!(verdict((0, 5), (2, 5), found(2, 0, &[(0, 5), (2, 5)])), Err("path.step_legal"));
}

#[test]
fn waypoints_that_mean_nothing() {
    let split = [FROM, (2, 3), (3, 3), (4, 3), TO];
    assert_eq!(verdict(FROM, TO, found(4, 0, &split)), Err("path.canonical"));
    let twice = [FROM, (2, 3), (2, 3), (4, 3), TO];
    assert_eq!(verdict(FROM, TO, found(4, 0, &twice)), Err("path.canonical"));
    assert_eq!(verdict(FROM, FROM, found(0, 0, &[FROM, FROM])), Err("path.canonical"));
}

#[test]
fn a_missing_or_an_extra_answer() {
    let (spec, blobs) = spec(FROM, TO);
    for answers in [vec![], vec![QueryAnswer::Unreachable; 2]] {
        let outcome = PathOutcome { answers };
        assert_eq!(Path::check(&spec, &blobs, &outcome).unwrap_err().check, "path.answer_count");
    }
    let none = PathOutcome { answers: vec![] };
    assert_eq!(Path::deep_check(&spec, &blobs, &none, 3).unwrap_err().check, "path.answer_count");
}

#[test]
fn a_legal_path_that_is_not_a_shortest_one_is_caught_by_the_deep_check_as_often_as_promised() {
    let (mut spec, blobs) = spec(FROM, TO);
    spec.queries = vec![spec.queries[0]; 10];
    let mut outcome = Path::run(&spec, &blobs, &Stop::never()).unwrap();
    // One of ten paths goes around the upper end, which is two steps longer.
    outcome.answers[6] = found(6, 0, &[FROM, (2, 0), (4, 0), TO]);
    Path::check(&spec, &blobs, &outcome).unwrap();
    let errors: Vec<_> =
        (0..1_000).filter_map(|seed| Path::deep_check(&spec, &blobs, &outcome, seed).err()).collect();
    assert!((80..120).contains(&errors.len()), "caught {} times in 1,000", errors.len());
    assert!(errors.iter().all(|error| error.check == "path.optimal"));
}
