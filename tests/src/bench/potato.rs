//! What borrowing is worth on a weak machine: the game confined to a share of one core, with and without borrowing.
//!
//! The game runs in a control group on a processor of its own; coordinator and workers run on the others and are
//! accounted apart. Every run gets the same recorded inputs, a coordinator and accounts of its own, and so nothing from
//! another run's cache. The settings are run in an order that chance draws anew in each repeat, and tables hold medians
//! over the repeats. "Off" is the same program with the same kernels that never connects.
//!
//! | module | owns |
//! |---|---|
//! | [`group`] | the control group, versions 1 and 2 |
//! | [`flight`] | the inputs: what the autopilot flies when outcomes come after a fixed time |
//! | [`run`](mod@run) | one run: starting its programs, ending them, reading their files |
//! | [`figures`] | what a run measured |
//! | [`flips`] | runs in which T is pressed |
//! | [`judgement`] | the table and the goals in words |
//! | [`stages`] | where the time of light goes, and its least possible age |
//! | [`warps`] | how long after a warp the light of the new sector is complete |
//! | [`picture`] | frame times over time, off and on, as SVG |

pub mod figures;
pub mod flight;
pub mod flips;
pub mod group;
pub mod judgement;
pub mod picture;
pub mod run;
pub mod stages;
pub mod warps;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use p2c2r_link::Impairment;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use figures::PotatoFigures;
use run::{Bench, PotatoRun};

/// Seed of the order of runs. Any value will do; a fixed one makes benches comparable.
const ORDER_SEED: u64 = 12;

/// Load average above which another program runs most of the time, so that the game waits for more than its share.
const BUSY_LOAD: f64 = 0.5;

/// The command line of `potato`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Presets of the game to measure.
    #[arg(long, value_name = "PRESET", value_delimiter = ',', default_value = "default,rich,stress")]
    pub preset: Vec<String>,
    /// Shares of one core that the game gets, in per cent.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_value = "30",
        value_parser = clap::value_parser!(u32).range(5..=100))]
    pub share: Vec<u32>,
    /// What to compare.
    #[arg(
        long,
        value_name = "ARM",
        value_enum,
        value_delimiter = ',',
        default_value = "off,dark,on,wan-200ms,wan-lossy,awful,killed,flipped"
    )]
    pub arm: Vec<Arm>,
    /// Seconds of play of each run.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(6..=3_600))]
    pub seconds: u32,
    /// Seed of the arena in which the autopilot flies: 60 s of some have a warp to another sector, of others not.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Repeats of each run; the table shows their medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// Workers; together they have as many slots as there are processors besides the game's.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Writes every run and the medians as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Writes frame times over time, off and on, of the first preset and share as SVG.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// A few seconds of some arms: shows that the bench works, not what borrowing is worth.
    #[arg(long)]
    pub quick: bool,
}

impl Options {
    /// The options that `--quick` stands for; files stay where they were asked for.
    fn settled(self) -> Self {
        if !self.quick {
            return self;
        }
        let arm = vec![Arm::Off, Arm::On, Arm::Killed, Arm::Flipped];
        Self { preset: vec!["default".into()], share: vec![100], arm, seconds: 6, repeats: 1, ..self }
    }
}

/// What distinguishes runs of one preset and share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// Everything is computed in the game's share of the core; it never connects.
    Off,
    /// The same without light, which is the first that a weak machine gives up: off at its best frame rate.
    Dark,
    /// Borrowing from workers on this machine.
    On,
    /// Borrowing with a round trip of 200 ms on the game's link and again on each worker's.
    #[value(name = "wan-200ms")]
    #[serde(rename = "wan-200ms")]
    Far,
    /// Borrowing with the same, 3 % loss and 1 Mbit/s on each link: the conditions of the goals.
    #[value(name = "wan-lossy")]
    #[serde(rename = "wan-lossy")]
    Lossy,
    /// Borrowing with that and 60 ms of jitter, packets twice and out of order.
    Awful,
    /// Borrowing until a worker is killed in the middle of the run, and on with the rest.
    Killed,
    /// T pressed every 15 seconds, in a short run twice; borrowing first.
    Flipped,
}

impl Arm {
    /// As the command line spells it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn borrows(self) -> bool {
        !matches!(self, Self::Off | Self::Dark)
    }

    /// The round trips of both links, milliseconds: from game to coordinator, and on to a worker.
    fn round_trips_ms(self) -> f64 {
        match self {
            Self::Far | Self::Lossy | Self::Awful => {
                Impairment::preset(&self.name()).map_or(0.0, |line| 4.0 * line.latency.as_secs_f64() * 1e3)
            }
            _ => 0.0,
        }
    }
}

/// The conditions of one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Setting {
    /// Preset of the game.
    pub preset: String,
    /// Per cent of one core that the game gets.
    pub share: u32,
    /// What is compared.
    pub arm: Arm,
}

/// The medians of one setting.
#[derive(Clone, Debug, Serialize)]
pub struct PotatoRow {
    /// What was run.
    #[serde(flatten)]
    pub setting: Setting,
    /// Medians over its runs.
    #[serde(flatten)]
    pub figures: PotatoFigures,
}

#[derive(Serialize)]
struct Report<'a> {
    seconds: u32,
    seed: u64,
    warm_up_seconds: f64,
    repeats: u32,
    workers: u16,
    slots: u16,
    period_us: u32,
    medians: &'a [PotatoRow],
    runs: &'a [PotatoRun],
}

/// Runs every setting of `options`, prints the tables, and writes the files that they name.
pub fn bench(options: Options) -> Result<(), Box<dyn Error>> {
    let options = options.settled();
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    p2c2r_program::signals::on_stop(move || asked.store(true, Ordering::Relaxed))?;
    let bench = Bench::new(&options, stop)?;
    let folder = tempfile::tempdir()?;
    let flights = flights(&options, folder.path())?;
    let mut runs = Vec::new();
    let order = order(&options);
    println!(
        "{} runs of {} s, about {} minutes",
        order.len(),
        options.seconds,
        minutes(&options, order.len())
    );
    if let Some(load) = load().filter(|load| *load > BUSY_LOAD) {
        println!(
            "This machine is busy (load {load:.1}): what is measured now is not what borrowing is worth."
        );
    }
    for (number, (repeat, setting)) in order.iter().enumerate() {
        let run = bench.run(setting, *repeat, &flights[&setting.preset])?;
        println!("run {} of {}: {}", number + 1, order.len(), judgement::line(&run));
        runs.push(run);
    }
    let rows = medians(&runs);
    println!("\n{}\n{}\n{}", judgement::table(&rows), stages::table(&rows), judgement::goals(&rows));
    if let Some(path) = &options.picture {
        let first = |arm| picture::middle(&runs, &options.preset[0], options.share[0], arm);
        let strips: Vec<&PotatoRun> = [first(Arm::Off), first(Arm::On)].into_iter().flatten().collect();
        std::fs::write(path, picture::svg(&strips))?;
    }
    if let Some(path) = &options.report {
        let report = Report {
            seconds: options.seconds,
            seed: options.seed,
            warm_up_seconds: figures::WARM_UP.as_secs_f64(),
            repeats: options.repeats,
            workers: options.workers,
            slots: bench.slots() * options.workers,
            period_us: group::PERIOD_US,
            medians: &rows,
            runs: &runs,
        };
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// Programs that run or want to, on average over the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Starting and ending the programs of a run takes some seconds more.
fn minutes(options: &Options, runs: usize) -> u64 {
    (u64::from(options.seconds) + 5) * runs as u64 / 60 + 1
}

/// One recorded flight for each preset.
fn flights(options: &Options, folder: &Path) -> Result<BTreeMap<String, PathBuf>, Box<dyn Error>> {
    let mut flights = BTreeMap::new();
    for preset in &options.preset {
        let path = folder.join(format!("{preset}.flight"));
        let length = Duration::from_secs(u64::from(options.seconds));
        std::fs::write(&path, flight::record(preset, options.seed, length)?.to_string())?;
        flights.insert(preset.clone(), path);
    }
    Ok(flights)
}

/// All runs: in each repeat every setting once, in another order.
fn order(options: &Options) -> Vec<(u32, Setting)> {
    let mut settings = Vec::new();
    for preset in &options.preset {
        for share in &options.share {
            for arm in &options.arm {
                settings.push(Setting { preset: preset.clone(), share: *share, arm: *arm });
            }
        }
    }
    let mut chance = Pcg64Mcg::seed_from_u64(ORDER_SEED);
    let mut order = Vec::new();
    for repeat in 0..options.repeats {
        settings.shuffle(&mut chance);
        order.extend(settings.iter().cloned().map(|setting| (repeat, setting)));
    }
    order
}

fn medians(runs: &[PotatoRun]) -> Vec<PotatoRow> {
    let mut by_setting: BTreeMap<&Setting, Vec<&PotatoFigures>> = BTreeMap::new();
    for run in runs {
        by_setting.entry(&run.setting).or_default().push(&run.figures);
    }
    by_setting
        .into_iter()
        .map(|(setting, runs)| PotatoRow { setting: setting.clone(), figures: PotatoFigures::median(&runs) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        use clap::Parser as _;
        Line::parse_from([&["potato"], arguments].concat()).options
    }

    #[test]
    fn every_repeat_runs_every_setting_once_in_another_order() {
        let options = options(&["--repeats", "4", "--share", "20,30", "--preset", "default,stress"]);
        let order = order(&options);
        assert_eq!(order.len(), 4 * 2 * 2 * options.arm.len());
        let mut repeats: Vec<Vec<Setting>> = Vec::new();
        for repeat in 0..4 {
            repeats.push(order.iter().filter(|run| run.0 == repeat).map(|run| run.1.clone()).collect());
        }
        assert_ne!(repeats[0], repeats[1], "the order differs");
        for repeat in &mut repeats {
            repeat.sort();
            repeat.dedup();
            assert_eq!(repeat.len(), 2 * 2 * options.arm.len());
        }
        assert!(repeats.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn arms_are_spelled_as_the_command_line_and_the_report_have_them() {
        for arm in Arm::value_variants() {
            assert_eq!(serde_json::to_value(arm).expect("a name"), arm.name());
        }
    }
}
