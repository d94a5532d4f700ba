//! The programs run for a long time, and nothing in them grows without bound.
//!
//! In real time, because what might grow (packets, tasks, the ledger's queue) is fed by real work. `./p2c2r test --long` runs
//! an hour, or as many seconds as `P2C2R_SOAK_SECONDS` says.

use std::path::Path;
use std::time::{Duration, Instant};

use p2c2r_tests::programs::{Program, coordinator, game, ledger_balances, worker};

/// Seconds of the run.
const SECONDS: u32 = 3_600;
/// Time between two looks at the memory of coordinator and worker.
const LOOK: Duration = Duration::from_secs(5);
/// KiB that the game may gain in an hour, extrapolated from its gain after the first third, in which caches fill.
const GAME_KIB_PER_HOUR_MAX: f64 = 24_000.0;
/// Most KiB of the others: their memory after a minute and full stores (the coordinator's 64 MiB of outcomes and 32 MiB of
/// blobs, the worker's 32 MiB of blobs), and half as much again. At one gamer's pace the stores take more than an hour to
/// fill, so growth in an hour would measure them alone.
const COORDINATOR_KIB_MAX: f64 = 300_000.0;
const WORKER_KIB_MAX: f64 = 120_000.0;
/// Largest growth of the medians of entities and open tasks from one third of the run to the next: both go up and down with
/// the waves.
const ENTITIES_MORE_MAX: f64 = 150.0;
const TASKS_MORE_MAX: f64 = 4.0;

/// Measurements of one number: seconds, and value.
#[derive(Default)]
struct Series(Vec<(f64, f64)>);

impl Series {
    /// The median of the values measured between two shares of the time.
    fn median(&self, from: f64, to: f64) -> f64 {
        let last = self.0.last().map_or(0.0, |(at, _)| *at);
        let mut values: Vec<f64> = self
            .0
            .iter()
            .filter(|(at, _)| (from * last..=to * last).contains(at))
            .map(|(_, value)| *value)
            .collect();
        values.sort_by(f64::total_cmp);
        assert!(!values.is_empty(), "nothing was measured from {from} to {to} of {last} s");
        values[values.len() / 2]
    }

    /// The median of the last third minus that of the middle one.
    fn growth(&self) -> f64 {
        self.median(2.0 / 3.0, 1.0) - self.median(1.0 / 3.0, 2.0 / 3.0)
    }

    /// The same per hour.
    fn growth_per_hour(&self) -> f64 {
        let seconds = self.0.last().map_or(0.0, |(at, _)| *at) / 3.0;
        self.growth() * 3_600.0 / seconds.max(1.0)
    }
}

fn resident_kib(program: &Program) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// The columns of the game's vitals, each against the seconds.
fn vitals(path: &Path) -> [Series; 3] {
    let text = std::fs::read_to_string(path).expect("the game writes its vitals");
    let mut columns: [Series; 3] = Default::default();
    for line in text.lines().skip(1) {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().expect("a number")).collect();
        for (series, column) in columns.iter_mut().zip([4, 5, 6]) {
            series.0.push((fields[0], fields[column]));
        }
    }
    columns
}

/// Runs the three programs for `seconds`; returns the game's entities, open tasks and memory, and the memory of coordinator
/// and worker.
fn run(seconds: u32) -> ([Series; 3], Series, Series) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", |name, mut command| {
        command.env("P2C2R_LOG", "warn");
        Program::start(name, command)
    });
    let mut worker = worker(folder.path(), "ada", Program::start);
    worker.line("onnected");
    let (report, told) = (folder.path().join("report.json"), folder.path().join("vitals.csv"));
    let mut game = game(folder.path(), seconds, &report, |name, mut command| {
        command.arg("--vitals").arg(&told);
        Program::start(name, command)
    });
    let began = Instant::now();
    let (mut coordinators, mut workers) = (Series::default(), Series::default());
    while game.has_ended().is_none() {
        let at = began.elapsed().as_secs_f64();
        coordinators.0.extend(resident_kib(&coordinator).map(|kib| (at, kib)));
        workers.0.extend(resident_kib(&worker).map(|kib| (at, kib)));
        // Their output must be read, or a full pipe would stop them.
        game.hear_until(Instant::now() + LOOK);
        coordinator.seen();
        worker.seen();
    }
    game.ended_well();
    worker.stop();
    coordinator.stop();
    ledger_balances(folder.path());
    (vitals(&told), coordinators, workers)
}

#[test]
fn a_short_run_says_how_it_is() {
    let ([entities, tasks, memory], coordinator, worker) = run(16);
    for (name, series) in
        [("entities", &entities), ("memory", &memory), ("coordinator", &coordinator), ("worker", &worker)]
    {
        assert!(
            series.0.len() >= 2 && series.0.iter().all(|(_, value)| *value > 0.0),
            "{name}: {:?}",
            series.0
        );
    }
    assert!(tasks.0.iter().any(|(_, open)| *open > 0.0), "{:?}", tasks.0);
}

/// An hour.
#[test]
#[ignore = "long"]
fn an_hour_of_play_makes_nothing_grow() {
    let seconds =
        std::env::var("P2C2R_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let ([entities, tasks, memory], coordinator, worker) = run(seconds);
    println!("{seconds} s; medians of the middle and of the last third:");
    let mut faults = Vec::new();
    let mut judge = |name: &str, series: &Series, grown: f64, most: f64| {
        let (before, after) = (series.median(1.0 / 3.0, 2.0 / 3.0), series.median(2.0 / 3.0, 1.0));
        println!("{name}: {before:.0}, {after:.0}; {grown:.0} judged, {most:.0} at most");
        if grown > most {
            faults.push(name.to_owned());
        }
    };
    judge("entities", &entities, entities.growth(), ENTITIES_MORE_MAX);
    judge("open tasks", &tasks, tasks.growth(), TASKS_MORE_MAX);
    judge("game, KiB an hour", &memory, memory.growth_per_hour(), GAME_KIB_PER_HOUR_MAX);
    for (name, series, most) in
        [("worker", &worker, WORKER_KIB_MAX), ("coordinator", &coordinator, COORDINATOR_KIB_MAX)]
    {
        judge(&format!("{name}, KiB at the end"), series, series.median(0.95, 1.0), most);
    }
    assert!(faults.is_empty(), "{faults:?} grow");
}

#[test]
fn what_grows_is_told_from_what_goes_up_and_down() {
    let series =
        |value: fn(f64) -> f64| Series((0..360).map(|at| (f64::from(at), value(f64::from(at)))).collect());
    assert!(series(|at| 100.0 + at).growth() > 100.0);
    let wave = series(|at| if at % 60.0 < 30.0 { 100.0 } else { 140.0 });
    assert!(wave.growth().abs() < 41.0);
    let filled = series(|at| at.min(100.0));
    assert_eq!(filled.growth(), 0.0, "what fills in the first third does not count");
    assert!((series(|at| at).growth_per_hour() - 3_600.0).abs() < 60.0);
}
