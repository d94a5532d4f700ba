//! Path tasks too large to be simply computed again, with right answers and detours: legal paths that add up,
//! pass the always-on check and are longer than necessary.

use std::sync::OnceLock;

use p2c2r_protocol::WorkUnits;
use p2c2r_tasks::path::{Cell, Cost, Grid, Path, PathOutcome, PathSpec, Query, QueryAnswer};
use p2c2r_tasks::{Blob, Blobs, Stop, TaskKind};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

/// Different tasks; a game asks for them in turn.
const SAMPLES: u64 = 48;
/// Cells along an edge of the grid, and paths in a task.
const SIDE: u16 = 96;
pub(crate) const QUERIES: usize = 16;

/// A task and the answers that cheats give to it.
pub(crate) struct Sample {
    pub spec: Vec<u8>,
    pub units: WorkUnits,
    pub right: Vec<u8>,
    /// A detour for each path.
    pub wrong: Vec<u8>,
    /// A detour for one of them.
    pub nearly_right: Vec<u8>,
    pub unreachable: Vec<u8>,
}

/// All tasks, and the grid they are on.
pub(crate) struct Samples {
    pub grid: Vec<u8>,
    pub tasks: Vec<Sample>,
}

/// Task number `asked` of a game, which asks for all samples in turn.
pub(crate) fn sample_of(asked: u64) -> &'static Sample {
    let tasks = &samples().tasks;
    &tasks[asked as usize % tasks.len()]
}

/// The number of the task with this spec.
pub(crate) fn number_of(spec: &[u8]) -> Option<u64> {
    samples().tasks.iter().position(|sample| sample.spec == spec).map(|number| number as u64)
}

/// The same in every run.
pub(crate) fn samples() -> &'static Samples {
    static SAMPLES_MADE: OnceLock<Samples> = OnceLock::new();
    SAMPLES_MADE.get_or_init(|| {
        let grid = grid();
        let tasks = (0..SAMPLES).map(|seed| sample(&grid, seed)).collect();
        Samples { grid: grid.to_blob(), tasks }
    })
}

fn grid() -> Grid {
    let mut random = Pcg32::seed_from_u64(1);
    let mut grid = Grid::new(SIDE, SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            grid.set_blocked(Cell::new(x, y), random.random_bool(0.2));
        }
    }
    grid
}

fn solve(grid: &Grid, queries: &[Query]) -> (PathSpec, Blobs, PathOutcome) {
    let blob = Blob::new(grid.to_blob());
    let spec = PathSpec { grid: blob.digest(), queries: queries.to_vec() };
    let blobs = Blobs::new(vec![blob]);
    let outcome = Path::run(&spec, &blobs, &Stop::never()).expect("a small grid is no maze");
    (spec, blobs, outcome)
}

fn cost(answer: &QueryAnswer) -> Option<Cost> {
    match answer {
        QueryAnswer::Found { cost, .. } => Some(*cost),
        QueryAnswer::Unreachable => None,
    }
}

/// A longer path: the shortest one if a cell of the shortest is blocked.
fn detour(grid: &Grid, query: Query, right: &QueryAnswer) -> Option<QueryAnswer> {
    let QueryAnswer::Found { cost: least, waypoints } = right else { return None };
    waypoints.iter().skip(1).take(waypoints.len().saturating_sub(2)).find_map(|cell| {
        let mut blocked = grid.clone();
        blocked.set_blocked(*cell, true);
        let (_, _, outcome) = solve(&blocked, &[query]);
        outcome.answers.into_iter().next().filter(|answer| cost(answer).is_some_and(|cost| cost > *least))
    })
}

fn sample(grid: &Grid, seed: u64) -> Sample {
    let mut random = Pcg32::seed_from_u64(seed);
    let mut cell = || Cell::new(random.random_range(0..SIDE), random.random_range(0..SIDE));
    let (mut queries, mut detours) = (Vec::new(), Vec::new());
    while queries.len() < QUERIES {
        let query = Query { from: cell(), to: cell() };
        let right = solve(grid, &[query]).2.answers.remove(0);
        if let Some(longer) = detour(grid, query, &right) {
            queries.push(query);
            detours.push(longer);
        }
    }
    let (spec, blobs, right) = solve(grid, &queries);
    let mut nearly_right = right.clone();
    nearly_right.answers[0] = detours[0].clone();
    let unreachable = PathOutcome { answers: vec![QueryAnswer::Unreachable; QUERIES] };
    Sample {
        units: Path::admit(&spec, &blobs).expect("the kernel has solved it"),
        spec: Path::encode_spec(&spec),
        right: Path::encode_outcome(&right),
        wrong: Path::encode_outcome(&PathOutcome { answers: detours }),
        nearly_right: Path::encode_outcome(&nearly_right),
        unreachable: Path::encode_outcome(&unreachable),
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_tasks::KindRegistry;

    use super::*;

    #[test]
    fn detours_look_right_and_every_deep_check_finds_a_whole_lie() {
        let kinds = KindRegistry::builtin();
        let samples = samples();
        let blobs = Blobs::new(vec![Blob::new(samples.grid.clone())]);
        for sample in &samples.tasks {
            let job = kinds.get(Path::ID).unwrap().decode(&sample.spec).unwrap();
            for outcome in [&sample.right, &sample.wrong, &sample.nearly_right] {
                job.check(&blobs, outcome).expect("it looks right");
            }
            assert!(job.check(&blobs, &sample.unreachable).is_err());
            let found = |outcome: &[u8]| {
                (0..64_u64).filter(|seed| job.deep_check(&blobs, outcome, *seed).is_err()).count()
            };
            assert_eq!((found(&sample.right), found(&sample.wrong)), (0, 64));
            assert!((1..20).contains(&found(&sample.nearly_right)), "one path in {QUERIES}");
        }
    }
}
