//! One run: its own coordinator and workers, the confined game, and the files that it leaves.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2c2r_link::RateLimit;
use serde::Serialize;
use serde_json::Value;

use super::super::cpu;
use super::figures::{FrameTime, PotatoFigures, frames};
use super::group::{ControlGroup, Missing};
use super::{Arm, Options, Setting};
use crate::programs::{self, Program, on_processors};

/// Seconds between two presses of T, where a run is long enough for three parts of that length.
const FLIP_SECONDS: u32 = 15;
/// How often a run looks whether the game has ended or the bench is to stop; a worker is killed late by this at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What all runs share.
pub struct Bench {
    group: ControlGroup,
    /// The processor of the game, and the list of the others.
    processors: (u32, String),
    workers: u16,
    slots: u16,
    seconds: u32,
    seed: u64,
    stop: Arc<AtomicBool>,
}

/// One run and what it measured.
#[derive(Serialize)]
pub struct PotatoRun {
    /// What was run.
    #[serde(flatten)]
    pub setting: Setting,
    /// Which repeat, from 0.
    pub repeat: u32,
    /// What it measured.
    #[serde(flatten)]
    pub figures: PotatoFigures,
    /// Digest of the arena's last state, which depends on when outcomes came.
    pub arena_digest: String,
    /// Every frame after the warm-up.
    #[serde(skip)]
    pub frames: Vec<FrameTime>,
}

/// The programs that run beside the game.
struct Helpers {
    coordinator: Program,
    workers: Vec<Program>,
    since: Instant,
}

impl Bench {
    /// Finds out what this machine has and makes the game's control group. `stop` ends a run.
    pub fn new(options: &Options, stop: Arc<AtomicBool>) -> Result<Self, Missing> {
        let status = fs::read_to_string("/proc/self/status")
            .map_err(|error| Missing(format!("cannot read /proc/self/status: {error}")))?;
        let mut processors = allowed(&status);
        let games = processors.pop().filter(|_| !processors.is_empty());
        let games = games.ok_or_else(|| Missing("there is only one processor here".into()))?;
        let pinned = Command::new("taskset").args(["-c", &games.to_string(), "true"]).status();
        if !pinned.is_ok_and(|status| status.success()) {
            return Err(Missing("taskset does not work here".into()));
        }
        let slots = u16::try_from(processors.len()).unwrap_or(u16::MAX) / options.workers;
        let others: Vec<String> = processors.iter().map(u32::to_string).collect();
        Ok(Self {
            group: ControlGroup::make()?,
            processors: (games, others.join(",")),
            workers: options.workers,
            slots: slots.clamp(1, 256),
            seconds: options.seconds,
            seed: options.seed,
            stop,
        })
    }

    /// Slots of each worker.
    pub fn slots(&self) -> u16 {
        self.slots
    }

    /// Runs one setting.
    pub fn run(&self, setting: &Setting, repeat: u32, flight: &Path) -> Result<PotatoRun, Box<dyn Error>> {
        self.group.limit(setting.share)?;
        let folder = tempfile::tempdir()?;
        let mut helpers = setting.arm.borrows().then(|| self.helpers(folder.path(), setting.arm));
        let (report, lines) = (folder.path().join("report.json"), folder.path().join("frames.csv"));
        let mut command = self.game(folder.path(), setting);
        command.arg("--flight").arg(flight).arg("--report").arg(&report).arg("--frames").arg(&lines);
        let before = self.group.spent()?;
        let mut game = Program::start("game", self.group.confine(self.processors.0, &command)?);
        self.play(&mut game, helpers.as_mut().filter(|_| setting.arm == Arm::Killed))?;
        let spent = self.group.spent()?.saturating_sub(before);
        let report: Value = serde_json::from_slice(&fs::read(report)?)?;
        let frames = frames(&fs::read_to_string(lines)?)?;
        let mut figures = PotatoFigures::of(&frames, &report, spent);
        if let Some(helpers) = helpers {
            helpers.end(folder.path(), &mut figures);
            let by_workers = figures.worker_percent.unwrap_or(0.0);
            if setting.arm == Arm::On && by_workers <= 0.0 {
                return Err("the game borrowed nothing, though workers were there".into());
            }
        }
        let arena_digest = report["arena_digest"].as_str().unwrap_or_default().to_owned();
        Ok(PotatoRun { setting: setting.clone(), repeat, figures, arena_digest, frames })
    }

    /// The game's command, but for its files.
    fn game(&self, folder: &Path, setting: &Setting) -> Command {
        let mut command = programs::command("p2c2r-game");
        command.args(["--headless", "--preset", &setting.preset, "--seconds", &self.seconds.to_string()]);
        command.args(["--seed", &self.seed.to_string()]);
        match setting.arm {
            Arm::Off => command.arg("--local"),
            Arm::Dark => command.args(["--local", "--reflections", "off"]),
            Arm::On | Arm::Killed => &mut command,
            Arm::Far | Arm::Lossy | Arm::Awful => command.args(["--impair", &setting.arm.name()]),
            Arm::Flipped => {
                let every = FLIP_SECONDS.min(self.seconds / 3);
                command.args(["--flip-every", &every.to_string()])
            }
        };
        if setting.arm.borrows() {
            command.args(["--name", "gamer", "--keys"]).arg(folder.join("keys"));
            command.env("P2C2R_JOIN", programs::invite(folder, "gamer"));
        }
        command
    }

    /// A coordinator and workers that are connected to it, away from the game's processor.
    fn helpers(&self, folder: &Path, arm: Arm) -> Helpers {
        let start = |name: &str, mut command: Command| {
            command.env("P2C2R_LOG", "info");
            Program::start(name, on_processors(&self.processors.1, &command))
        };
        let is_far = matches!(arm, Arm::Far | Arm::Lossy | Arm::Awful);
        let start_coordinator = |name: &str, mut command: Command| {
            if is_far {
                // The limit for peers on other machines; by default it sends to this machine without one.
                command.env("P2C2R_BYTES_PER_SECOND", RateLimit::internet().bytes_per_second.to_string());
            }
            start(name, command)
        };
        let start_worker = |name: &str, mut command: Command| {
            command.env("P2C2R_SLOTS", self.slots.to_string()).env("P2C2R_GPU", "off");
            if is_far {
                command.env("P2C2R_IMPAIR", arm.name());
            }
            start(name, command)
        };
        let since = Instant::now();
        let (coordinator, _) = programs::coordinator(folder, "127.0.0.1:0", start_coordinator);
        let mut workers: Vec<Program> = (0..self.workers)
            .map(|number| programs::worker(folder, &format!("worker-{number}"), start_worker))
            .collect();
        for worker in &mut workers {
            worker.line("onnected");
        }
        Helpers { coordinator, workers, since }
    }

    /// Waits for the game's end, and kills a worker of `victims` halfway.
    fn play(&self, game: &mut Program, mut victims: Option<&mut Helpers>) -> Result<(), Box<dyn Error>> {
        // The first line of its display comes a second after its first frame.
        game.line("borrowing");
        let began = Instant::now();
        let length = Duration::from_secs(u64::from(self.seconds));
        let status = loop {
            game.hear_until(Instant::now() + LOOK_EVERY);
            if let Some(status) = game.has_ended() {
                break status;
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err("ended before the bench was over, as asked".into());
            }
            if began.elapsed() > length + programs::PATIENCE {
                return Err(format!("the game did not end:\n{}", game.seen()).into());
            }
            if began.elapsed() >= length / 2
                && let Some(victims) = victims.take()
                && let Some(victim) = victims.workers.pop()
            {
                victim.signal("KILL");
            }
        };
        if self.stop.load(Ordering::Relaxed) || !status.success() {
            return Err(format!("the game ended with {status}:\n{}", game.seen()).into());
        }
        Ok(())
    }
}

impl Helpers {
    /// Records their processor time, ends them, and checks the ledger.
    fn end(mut self, folder: &Path, figures: &mut PotatoFigures) {
        let seconds = self.since.elapsed().as_secs_f64();
        let ms_per_s = |spent: Option<Duration>| spent.map(|spent| spent.as_secs_f64() * 1e3 / seconds);
        // Kernels run in processes of their own, which are children of the workers'.
        let kernels: Option<Duration> = self.workers.iter().map(|worker| cpu::of_children(worker.id())).sum();
        let around: Option<Duration> = self.workers.iter().map(|worker| cpu::of(worker.id())).sum();
        let all = kernels.zip(around).map(|(kernels, around)| kernels + around);
        figures.worker_cpu_ms_per_s = ms_per_s(all);
        figures.kernel_percent = kernels
            .zip(all.filter(|all| !all.is_zero()))
            .map(|(kernels, all)| kernels.as_secs_f64() / all.as_secs_f64() * 100.0);
        figures.coordinator_cpu_ms_per_s = ms_per_s(cpu::of(self.coordinator.id()));
        for worker in &mut self.workers {
            worker.stop();
        }
        self.coordinator.stop();
        programs::ledger_balances(folder);
    }
}

/// The processors that `/proc/self/status` says this program may use, ascending.
fn allowed(status: &str) -> Vec<u32> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<u32>().ok();
        number(first).zip(number(last)).map(|(first, last)| first..=last)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_from_lists_and_ranges() {
        assert_eq!(allowed("Name:\tx\nCpus_allowed_list:\t0,2-4,7\n"), [0, 2, 3, 4, 7]);
        assert_eq!(allowed("Cpus_allowed_list:\t1\n"), [1]);
        assert_eq!(allowed(""), [0; 0]);
    }
}
