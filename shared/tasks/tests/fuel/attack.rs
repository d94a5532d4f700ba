//! Specs that would cost thousands of times what they pay for run out of fuel, and a false "out of fuel" is
//! caught.

use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::{Reflection, ReflectionSpec};
use p2c2r_tasks::{Blob, Blobs, KindRegistry, OUT_OF_FUEL, Stop, TaskKind, is_out_of_fuel};

use crate::{maps, scenes};

/// A grid of 1,024 by 1,024 on which a short query leads round the whole grid: single blocked cells every 10
/// columns, and a wall with its only gap at the far end. Without a limit on fuel, this spec of 1 KB would take
/// a core 132 s and pay for 14 ms.
fn comb() -> (PathSpec, Blobs) {
    let mut grid = Grid::new(1_024, 1_024);
    (0..1_023).for_each(|x| grid.set_blocked(Cell::new(x, 1), true));
    for (row, y) in (0..).zip((4..1_024).step_by(10)) {
        (4 + row % 2 * 5..1_024).step_by(10).for_each(|x| grid.set_blocked(Cell::new(x, y), true));
    }
    let query = |n: u16| Query { from: Cell::new(n % 4, 2), to: Cell::new(n / 4 % 64, 0) };
    let blob = Blob::new(grid.to_blob());
    let spec = PathSpec { grid: blob.digest(), queries: (0..256).map(query).collect() };
    (spec, Blobs::new(vec![blob]))
}

#[test]
fn a_short_query_that_leads_round_the_whole_grid_ends_by_its_fuel() {
    let (spec, blobs) = comb();
    let kinds = KindRegistry::builtin();
    let job = kinds.by_name("path").unwrap().decode(&Path::encode_spec(&spec)).unwrap();
    let units = job.admit(&blobs).unwrap();
    assert!(units.0 < 100_000, "{units:?} is what a cheap spec pays");
    let outcome = job.run(&blobs, &Stop::never()).unwrap();
    assert!(is_out_of_fuel(&outcome));
    // Out of fuel is an answer like any other: it passes every check.
    job.check(&blobs, &outcome).unwrap();
    job.deep_check(&blobs, &outcome, 1).unwrap();
}

#[test]
fn a_false_out_of_fuel_is_caught() {
    let kinds = KindRegistry::builtin();
    let case = maps::rocks(64, 30, 4, 20, 1);
    let (spec, blobs) = case.spec(&case.queries);
    let tiny = ReflectionSpec {
        probe: [0; 3],
        face_log2: 4,
        levels: 1,
        samples: 1,
        others: Vec::new(),
        bounces: 1,
        seed: 0,
        sky: 0,
        sun: None,
        surfaces: vec![],
        objects: vec![],
    };
    let specs = [
        ("path", Path::encode_spec(&spec), blobs),
        ("physics", Physics::encode_spec(&scenes::arena(20, 1)), Blobs::default()),
        ("reflection", Reflection::encode_spec(&tiny), Blobs::default()),
    ];
    for (name, spec, blobs) in specs {
        let job = kinds.by_name(name).unwrap().decode(&spec).unwrap();
        assert!(!is_out_of_fuel(&job.run(&blobs, &Stop::never()).unwrap()), "{name}");
        assert_eq!(job.deep_check(&blobs, OUT_OF_FUEL, 7).unwrap_err().check, "fuel", "{name}");
    }
}

#[test]
fn where_nothing_is_searched_out_of_fuel_is_rejected_at_once() {
    let mut grid = Grid::new(300, 300);
    (0..300).for_each(|x| grid.set_blocked(Cell::new(x, 150), true));
    let blob = Blob::new(grid.to_blob());
    let apart = Query { from: Cell::new(0, 0), to: Cell::new(0, 299) };
    let spec = PathSpec { grid: blob.digest(), queries: vec![apart] };
    let kinds = KindRegistry::builtin();
    let job = kinds.by_name("path").unwrap().decode(&Path::encode_spec(&spec)).unwrap();
    assert_eq!(job.check(&Blobs::new(vec![blob]), OUT_OF_FUEL).unwrap_err().check, "fuel");
}
