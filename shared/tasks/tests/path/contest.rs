//! The kernel beside the `pathfinding` crate's A*, on equal terms: `benches/path.rs` times it, and a normal
//! test runs it on little input so that it cannot rot.

use std::hint::black_box;
use std::time::Instant;

use p2c2r_protocol::wire;
use p2c2r_tasks::path::{Cell, Cost, Grid, Path, PathSpec, Query, QueryAnswer};
use p2c2r_tasks::{Blob, Blobs, Stop, TaskKind};

use crate::maps::{Case, assert_published};

/// The figures of one case. Times are medians over the repeats, in microseconds.
pub struct Row {
    pub name: String,
    pub queries: usize,
    /// Mean over the queries.
    pub rival_us: f64,
    pub kernel_us: f64,
    /// Median over the queries of rival time by kernel time.
    pub ratio: f64,
    /// All queries as tasks of at most 20: preparing the grid anew for each, the kernel, and the check.
    pub prepare_us: f64,
    pub batch_us: f64,
    pub check_us: f64,
    /// Encoded bytes per task of at most 20 queries: spec, blob, outcome.
    pub spec_bytes: usize,
    pub blob_bytes: usize,
    pub outcome_bytes: usize,
    /// Work units per task, by admission.
    pub units: f64,
}

/// The rival's grid: legal steps per cell as bits, made beforehand as ours is.
pub struct RivalGrid {
    stride: u32,
    steps: Vec<u8>,
}

const STEPS: [(i32, i32); 8] = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)];
/// Integer costs that order as the real ones do on grids of this size, and are cheap for the rival.
const STRAIGHT: u64 = 1_136_689;
const DIAGONAL: u64 = 1_607_521;

impl RivalGrid {
    pub fn new(grid: &Grid) -> Self {
        let (width, height) = (i32::from(grid.width()), i32::from(grid.height()));
        let free = |x: i32, y: i32| x >= 0 && y >= 0 && !grid.is_blocked(Cell::new(x as u16, y as u16));
        let legal = |x, y, (dx, dy)| free(x + dx, y + dy) && free(x + dx, y) && free(x, y + dy);
        let mut steps = vec![0; ((width + 2) * (height + 2)) as usize];
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).filter(|&(x, y)| free(x, y)) {
            for (bit, step) in STEPS.into_iter().enumerate() {
                steps[((y + 1) * (width + 2) + x + 1) as usize] |= u8::from(legal(x, y, step)) << bit;
            }
        }
        Self { stride: width as u32 + 2, steps }
    }

    fn node(&self, cell: Cell) -> u32 {
        (u32::from(cell.y) + 1) * self.stride + u32::from(cell.x) + 1
    }

    /// The `pathfinding` crate's A*: small integer nodes, no allocation in the successor rule.
    pub fn solve(&self, query: Query) -> Option<(Vec<u32>, u64)> {
        let goal = self.node(query.to);
        let (goal_x, goal_y) = (goal % self.stride, goal / self.stride);
        let offsets = STEPS.map(|(dx, dy)| dx + dy * self.stride as i32);
        pathfinding::directed::astar::astar(
            &self.node(query.from),
            |&node| {
                let steps = self.steps[node as usize];
                (0..8).filter(move |bit| steps >> bit & 1 != 0).map(move |bit| {
                    let cost = if bit < 4 { STRAIGHT } else { DIAGONAL };
                    (node.wrapping_add_signed(offsets[bit]), cost)
                })
            },
            |&node| {
                let dx = u64::from((node % self.stride).abs_diff(goal_x));
                let dy = u64::from((node / self.stride).abs_diff(goal_y));
                dx.max(dy) * STRAIGHT + dx.min(dy) * (DIAGONAL - STRAIGHT)
            },
            |&node| node == goal,
        )
    }
}

fn weight(cost: Cost) -> u64 {
    u64::from(cost.straight) * STRAIGHT + u64::from(cost.diagonal) * DIAGONAL
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median_us<T>(repeats: usize, mut work: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_secs_f64() * 1e6
    };
    median((0..repeats).map(once).collect())
}

/// Runs both on every query, asserts that they agree, and times them.
pub fn contest(case: &Case, repeats: usize) -> Row {
    let rival = RivalGrid::new(&case.grid);
    let (mut rival_us, mut kernel_us) = (Vec::new(), Vec::new());
    for (number, query) in case.queries.iter().enumerate() {
        let (spec, blobs) = case.spec(&[*query]);
        let answers = Path::run(&spec, &blobs, &Stop::never()).unwrap().answers;
        let expected = rival.solve(*query).map(|(_, cost)| cost);
        match &answers[..] {
            [QueryAnswer::Found { cost, .. }] => assert_eq!(Some(weight(*cost)), expected, "{query:?}"),
            [QueryAnswer::Unreachable] if case.grid.is_blocked(query.from) => {}
            _ => assert_eq!(expected, None, "{query:?}"),
        }
        if let Some(published) = case.published.get(number) {
            assert_published(*query, *published, &answers[0]);
        }
        rival_us.push(median_us(repeats, || rival.solve(*query)));
        kernel_us.push(median_us(repeats, || Path::run(&spec, &blobs, &Stop::never())));
    }
    let tasks: Vec<(PathSpec, Blobs)> = case.queries.chunks(20).map(|some| case.spec(some)).collect();
    let outcomes: Vec<_> =
        tasks.iter().map(|(spec, blobs)| Path::run(spec, blobs, &Stop::never()).unwrap()).collect();
    let checks = || {
        for ((spec, blobs), outcome) in tasks.iter().zip(&outcomes) {
            Path::check(spec, blobs, outcome).unwrap();
        }
    };
    let runs =
        || tasks.iter().map(|(spec, blobs)| Path::run(spec, blobs, &Stop::never())).collect::<Vec<_>>();
    // Admission of one query on a fresh blob is the decoding and preparing of the grid, and little else.
    let bytes = case.grid.to_blob();
    let prepare = || {
        let blob = Blob::new(bytes.clone());
        let spec = PathSpec { grid: blob.digest(), queries: case.queries[..1].to_vec() };
        Path::admit(&spec, &Blobs::new(vec![blob]))
    };
    let count = tasks.len() as f64;
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let units: u64 = tasks.iter().map(|(spec, blobs)| Path::admit(spec, blobs).unwrap().0).sum();
    Row {
        name: case.name.clone(),
        queries: case.queries.len(),
        rival_us: mean(&rival_us),
        kernel_us: mean(&kernel_us),
        ratio: median(rival_us.iter().zip(&kernel_us).map(|(rival, kernel)| rival / kernel).collect()),
        prepare_us: median_us(repeats, prepare),
        batch_us: median_us(repeats, runs) / count,
        check_us: median_us(repeats, checks) / count,
        spec_bytes: tasks.iter().map(|(spec, _)| Path::encode_spec(spec).len()).max().unwrap_or(0),
        blob_bytes: bytes.len(),
        outcome_bytes: outcomes.iter().map(|outcome| wire::encode(outcome).len()).max().unwrap_or(0),
        units: units as f64 / count,
    }
}

/// The rows as a table, and the ratios in short.
pub fn table(rows: &[Row]) -> String {
    let head = ["map", "n", "rival us", "kernel us", "ratio", "grid us", "task us", "check us", "units"];
    let [map, head @ ..] = head;
    let head = head.map(|title| format!("{title:>9}")).concat();
    let mut lines = vec![format!("{map:19}{head}{:>6}{:>7}{:>8}", "spec", "blob", "outcome")];
    lines.extend(rows.iter().map(|row| {
        let name = &row.name;
        let times =
            [row.rival_us, row.kernel_us, row.ratio, row.prepare_us, row.batch_us, row.check_us, row.units];
        let times = times.map(|value| format!("{value:9.2}")).concat();
        let bytes = format!("{:6}{:7}{:8}", row.spec_bytes, row.blob_bytes, row.outcome_bytes);
        format!("{name:19}{:9}{times}{bytes}", row.queries)
    }));
    let least = rows.iter().map(|row| row.ratio).fold(f64::INFINITY, f64::min);
    let all = median(rows.iter().map(|row| row.ratio).collect());
    lines.push(format!("least ratio {least:.1}, median over the maps {all:.1}"));
    lines.join("\n")
}
