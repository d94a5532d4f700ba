//! Prints how long a step, a step of the autopilot and the kernels take, how large the tasks are, and what
//! they cost a gamer.
//!
//! `cargo run --release -p p2c2r_arena --example pace`

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_arena::{
    Arena, ArenaConfig, Autopilot, DueOutcome, Motions, OutcomeBody, PhysicsRules, TICKS_PER_SECOND,
    WantedSpec, WantedTask,
};
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{Blobs, Stop, TaskKind};

/// Ticks between a request and its outcome.
const DELAY_TICKS: u64 = 12;

/// The figures of one kind: times of its kernel, and sums over a run.
#[derive(Default)]
struct Kind {
    kernels: Vec<Duration>,
    /// Time on the app's thread besides the step: admitting and encoding a spec, decoding an outcome.
    asking: Vec<Duration>,
    decoding: Vec<Duration>,
    units: u64,
    spec_bytes: usize,
    spec_bytes_max: usize,
    outcome_bytes: usize,
    outcome_bytes_max: usize,
    blob_bytes: usize,
}

#[derive(Default)]
struct Figures {
    /// Times of steps: without motions due, with them, and of those in which a window began.
    plain_steps: Vec<Duration>,
    taking_steps: Vec<Duration>,
    beginning_steps: Vec<Duration>,
    looks: Vec<Duration>,
    /// Preparing motions, which a game does on another thread.
    preparing: Vec<Duration>,
    path: Kind,
    physics: Kind,
    loose_share: f64,
    windows: u64,
    inline_windows: u64,
    score: u64,
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

impl Kind {
    fn note<K: TaskKind>(
        &mut self,
        spec: &K::Spec,
        blobs: &Blobs,
    ) -> Result<K::Outcome, Box<dyn std::error::Error>> {
        let (units, asked) = timed(&mut self.asking, || (K::admit(spec, blobs), K::encode_spec(spec)));
        self.units += units?.0;
        let outcome = timed(&mut self.kernels, || K::run(spec, blobs, &Stop::never()))?;
        let answered = K::encode_outcome(&outcome);
        self.spec_bytes += asked.len();
        self.spec_bytes_max = self.spec_bytes_max.max(asked.len());
        self.outcome_bytes += answered.len();
        self.outcome_bytes_max = self.outcome_bytes_max.max(answered.len());
        Ok(timed(&mut self.decoding, || K::decode_outcome(&answered))?)
    }

    fn print(&mut self, name: &str, ticks: u64) {
        let seconds = ticks as f64 / f64::from(TICKS_PER_SECOND);
        let kbit = |bytes: usize| bytes as f64 * 8e-3 / seconds;
        println!(
            "  {name:<10} {:>6} tasks  kernel p50 {:>8.1} us  p99 {:>8.1} us  {:>7.0} units/s",
            self.kernels.len(),
            micros(&mut self.kernels, 0.5),
            micros(&mut self.kernels, 0.99),
            self.units as f64 / seconds
        );
        for (what, times) in [("asked for", &mut self.asking), ("decoded", &mut self.decoding)] {
            println!(
                "             {what}: p50 {:.1} us  p99 {:.1} us  most {:.1} us",
                micros(times, 0.5),
                micros(times, 0.99),
                micros(times, 1.0)
            );
        }
        println!(
            "             spec {:.1} kbit/s, at most {} B; blobs {:.1} kbit/s; outcome {:.1} kbit/s, at most {} B",
            kbit(self.spec_bytes),
            self.spec_bytes_max,
            kbit(self.blob_bytes),
            kbit(self.outcome_bytes),
            self.outcome_bytes_max
        );
    }
}

impl Figures {
    fn answer(&mut self, wanted: WantedTask) -> Result<DueOutcome, Box<dyn std::error::Error>> {
        let outcome = match wanted.spec {
            WantedSpec::Path { spec, grid } => {
                self.path.blob_bytes += grid.bytes().len();
                OutcomeBody::Path(Arc::new(self.path.note::<Path>(&spec, &Blobs::new(vec![grid]))?))
            }
            WantedSpec::Physics { spec, .. } => {
                let outcome = self.physics.note::<Physics>(&spec, &Blobs::default())?;
                OutcomeBody::Physics(timed(&mut self.preparing, || Motions::prepare(&spec, &outcome))?)
            }
            WantedSpec::Tactics { spec } => {
                OutcomeBody::Tactics(Arc::new(Tactics::run(&spec, &Blobs::default(), &Stop::never())?))
            }
        };
        Ok(DueOutcome { request: wanted.request, outcome })
    }
}

fn play(config: ArenaConfig, ticks: u64, answered: bool) -> Result<Figures, Box<dyn std::error::Error>> {
    let mut figures = Figures::default();
    let mut arena = Arena::new(config);
    let mut autopilot = Autopilot::default();
    let mut under_way: Vec<(u64, DueOutcome)> = Vec::new();
    while arena.tick() < ticks {
        let controls = timed(&mut figures.looks, || autopilot.controls(&arena));
        let (due, later) = under_way.into_iter().partition(|(at, _)| *at <= arena.tick());
        under_way = later;
        let due: Vec<DueOutcome> = Vec::into_iter(due).map(|(_, outcome)| outcome).collect();
        let windows = arena.physics().windows;
        let mut took = Vec::new();
        let step = timed(&mut took, || arena.step(controls, &due));
        let taking = due.iter().any(|due| matches!(due.outcome, OutcomeBody::Physics(_)));
        if arena.physics().windows > windows {
            figures.beginning_steps.extend(took);
        } else if taking {
            figures.taking_steps.extend(took);
        } else {
            figures.plain_steps.extend(took);
        }
        let physics = arena.physics();
        figures.loose_share += f64::from(physics.loose) / arena.rocks().len().max(1) as f64 / ticks as f64;
        for wanted in step.wanted {
            let is_physics = matches!(wanted.spec, WantedSpec::Physics { .. });
            let outcome = figures.answer(wanted)?;
            if answered || !is_physics {
                under_way.push((arena.tick() + DELAY_TICKS, outcome));
            }
        }
    }
    let physics = arena.physics();
    (figures.windows, figures.inline_windows) = (physics.windows, physics.inline_windows);
    figures.score = arena.score();
    Ok(figures)
}

fn report(
    name: &str,
    config: ArenaConfig,
    ticks: u64,
    answered: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut figures = play(config, ticks, answered)?;
    println!("{name}: {} s of the autopilot, seed 1, score {}", ticks / 60, figures.score);
    let line = |what: &str, times: &mut [Duration]| {
        let (count, p50, p99, most) =
            (times.len(), micros(times, 0.5), micros(times, 0.99), micros(times, 1.0));
        println!("  {what:<22} {count:>6} times  p50 {p50:>8.1} us  p99 {p99:>8.1} us  most {most:>8.1} us");
    };
    line("step", &mut figures.plain_steps);
    line("step, motions due", &mut figures.taking_steps);
    line("step, window begins", &mut figures.beginning_steps);
    line("motions made ready", &mut figures.preparing);
    line("autopilot", &mut figures.looks);
    figures.path.print("path", ticks);
    figures.physics.print("physics", ticks);
    println!(
        "  loose {:.1} % of the rocks, {} windows, {} of them inline",
        figures.loose_share * 100.0,
        figures.windows,
        figures.inline_windows
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == "windows") {
        for (segments, segment_ticks) in
            [(1, 20), (1, 30), (2, 10), (2, 15), (2, 20), (3, 10), (3, 15), (3, 20), (4, 15)]
        {
            let physics = PhysicsRules { segments, segment_ticks, ..PhysicsRules::default() };
            let config = ArenaConfig { physics, ..ArenaConfig::default() };
            report(&format!("{segments} segments of {segment_ticks} ticks"), config, 120 * 60, true)?;
        }
        return Ok(());
    }
    report("default", ArenaConfig::default(), 120 * 60, true)?;
    report("default, all inline", ArenaConfig::default(), 120 * 60, false)?;
    report("stress", ArenaConfig::stress(), 30 * 60, true)
}
