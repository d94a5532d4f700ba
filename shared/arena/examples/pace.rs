//! Says how long a step, a look of the autopilot and the paths take, and how large the tasks are.
//!
//! `cargo run --release -p p2c2r_arena --example pace`

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_arena::{Arena, ArenaConfig, Autopilot, DueOutcome, OutcomeBody, WantedSpec};
use p2c2r_tasks::path::Path;
use p2c2r_tasks::{Blobs, TaskKind};

/// Ticks between a request and its outcome.
const DELAY_TICKS: u64 = 12;

#[derive(Default)]
struct Figures {
    steps: Vec<Duration>,
    looks: Vec<Duration>,
    kernels: Vec<Duration>,
    queries: usize,
    spec_bytes_max: usize,
    outcome_bytes_max: usize,
    blob_bytes_max: usize,
}

fn timed<T>(into: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let made = work();
    into.push(start.elapsed());
    made
}

fn micros(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn play(config: ArenaConfig, ticks: u64) -> Result<Figures, Box<dyn std::error::Error>> {
    let mut figures = Figures::default();
    let mut arena = Arena::new(config);
    let mut autopilot = Autopilot::default();
    let mut under_way: Vec<(u64, DueOutcome)> = Vec::new();
    while arena.tick() < ticks {
        let controls = timed(&mut figures.looks, || autopilot.controls(&arena));
        let (due, later) = under_way.into_iter().partition(|(at, _)| *at <= arena.tick());
        under_way = later;
        let due: Vec<DueOutcome> = Vec::into_iter(due).map(|(_, outcome)| outcome).collect();
        let step = timed(&mut figures.steps, || arena.step(controls, &due));
        for wanted in step.wanted {
            let WantedSpec::Path { spec, grid } = wanted.spec;
            figures.queries += spec.queries.len();
            figures.spec_bytes_max = figures.spec_bytes_max.max(Path::encode_spec(&spec).len());
            figures.blob_bytes_max = figures.blob_bytes_max.max(grid.bytes().len());
            let blobs = Blobs::new(vec![grid]);
            let outcome = timed(&mut figures.kernels, || Path::run(&spec, &blobs))?;
            figures.outcome_bytes_max = figures.outcome_bytes_max.max(Path::encode_outcome(&outcome).len());
            let outcome = OutcomeBody::Path(Arc::new(outcome));
            under_way.push((arena.tick() + DELAY_TICKS, DueOutcome { request: wanted.request, outcome }));
        }
    }
    Ok(figures)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, config) in [("default", ArenaConfig::default()), ("stress", ArenaConfig::stress())] {
        let mut figures = play(config, 120 * 60)?;
        println!("{name}: two minutes of the autopilot, seed 1");
        let line = |what: &str, times: &mut [Duration]| {
            let (count, p50, p99) = (times.len(), micros(times, 0.5), micros(times, 0.99));
            println!("  {what:<10} {count:>6} times  p50 {p50:>8.1} us  p99 {p99:>8.1} us");
        };
        line("step", &mut figures.steps);
        line("autopilot", &mut figures.looks);
        line("paths", &mut figures.kernels);
        println!(
            "  queries {}, at most: spec {} B, outcome {} B, grid {} B",
            figures.queries, figures.spec_bytes_max, figures.outcome_bytes_max, figures.blob_bytes_max
        );
    }
    Ok(())
}
