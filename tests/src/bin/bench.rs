//! The benches as a program: `./p2c2r bench` builds it optimised and runs it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use p2c2r_tests::bench::{
    self, BenchRow, Load, Rival, calibration, condition, condition::Condition, flood, kinds, load, nats,
    nats::Nats, p2c2r::P2c2r, play::Play, potato, presets, roles, stall, trust, udp_floor,
    udp_floor::UdpFloor, updates,
};

/// As in the programs that are measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Dispatch latency and throughput through the real coordinator, beside the raw UDP floor; every kind end to end;
/// and what the kinds cost at default play.
#[derive(Parser)]
#[command(name = "p2c2r-bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Writes the table as a JSON list.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Measures NATS request/reply through a queue group as well; needs `nats-server`.
    #[arg(long)]
    peers: bool,
    /// Rounds per measurement; the table shows their medians.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Bytes of each payload; 256 to 1,100.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(256..=1_100))]
    size: u16,
    /// Runs only this part.
    #[arg(long)]
    only: Option<Part>,
    /// A few requests only: shows that the bench works, not how fast anything is.
    #[arg(long)]
    quick: bool,
    /// Only these rivals, for looking closer at one: udp-floor, p2c2r, nats; and unsandboxed, which is p2c2r with kernels in
    /// the worker's own process and runs only when it is named.
    #[arg(long, value_delimiter = ',')]
    rival: Vec<String>,
    /// What else the machine does while dispatch is measured.
    #[arg(long, value_delimiter = ',', default_values = ["quiet", "busy", "one-core"])]
    condition: Vec<Condition>,
    /// Only with so many requests under way at a time.
    #[arg(long)]
    in_flight: Option<usize>,
    /// Requests per round, instead of what suits each number under way.
    #[arg(long)]
    requests: Option<usize>,
    #[arg(long, hide = true)]
    role: Option<Role>,
    #[arg(long, hide = true)]
    db: Option<PathBuf>,
    #[arg(long, hide = true)]
    ready_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    coordinator: Option<SocketAddr>,
    #[arg(long, hide = true)]
    join: Option<String>,
    #[arg(long, hide = true, default_value_t = 1)]
    count: usize,
    #[arg(long, hide = true)]
    unsandboxed: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// What borrowing is worth on a weak machine: the game in a control group, off beside on.
    Potato(potato::Options),
    /// Enters control groups and becomes a program.
    #[command(hide = true)]
    Confined {
        #[arg(long)]
        group: Vec<PathBuf>,
        #[arg(long)]
        cpu: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The same small request through every rival.
    Dispatch,
    /// Every kind's tasks through the real coordinator.
    Kinds,
    /// Kernels on one core, work units, prices and what play costs.
    Calibration,
    /// What floods of strangers' packets cost; only when asked for.
    Flood,
    /// Many gamers and workers at one coordinator, and a thousand that are idle; only when asked for.
    Load,
    /// The thousand idle peers of `load` alone; only when asked for.
    Idle,
    /// One of four workers stalls at random: latencies with hedging off beside on; only when asked for.
    Stall,
    /// Workers that cheat: how soon they are found, and what checking costs; only when asked for.
    Trust,
    /// What a small task takes in each program's updates, all in one thread: for profilers; only when asked for.
    Updates,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Coordinator,
    Worker,
    /// A kernel process of the worker's.
    Kernel,
    UdpHub,
    UdpWorker,
    NatsWorker,
    Burner,
}

/// The exit status where the machine lacks what a bench needs (`EX_UNAVAILABLE` of `sysexits.h`).
const EXIT_UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let result = match (arguments.verb.take(), &arguments) {
        (Some(Verb::Potato(options)), _) => potato::bench(options),
        (Some(Verb::Confined { group, cpu, command }), _) => {
            Err(potato::group::enter(&group, cpu, &command).into())
        }
        (None, arguments) => without_verb(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("p2c2r-bench: {error}");
            let lacks = error.is::<potato::group::Missing>();
            if lacks { ExitCode::from(EXIT_UNAVAILABLE) } else { ExitCode::FAILURE }
        }
    }
}

fn without_verb(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    match (arguments.role, arguments) {
        (None, _) => run(arguments),
        (Some(Role::Coordinator), Arguments { db: Some(db), ready_file: Some(ready_file), .. }) => {
            roles::coordinator(db.clone(), ready_file.clone()).map(drop)
        }
        (Some(Role::Worker), Arguments { join: Some(link), count, unsandboxed, .. }) => {
            roles::workers(link, *count, *unsandboxed)
        }
        (Some(Role::Kernel), _) => {
            roles::kernel();
            Ok(())
        }
        (Some(Role::UdpHub), Arguments { coordinator: Some(client), .. }) => {
            udp_floor::hub(*client).map_err(Into::into)
        }
        (Some(Role::UdpWorker), Arguments { coordinator: Some(hub), .. }) => {
            udp_floor::worker(*hub).map_err(Into::into)
        }
        (Some(Role::Burner), _) => condition::burn(),
        (Some(Role::NatsWorker), Arguments { coordinator: Some(server), .. }) => {
            nats::worker(*server).map_err(Into::into)
        }
        (Some(_), _) => Err("a role needs its own options".into()),
    }
}

/// Seconds of play from which tasks are taken, and how often each kernel is timed for calibration.
const PLAY_SECONDS: u32 = 120;
const REPEATS: u32 = 5;
/// How much of every kind is measured.
const KINDS: kinds::KindsPlan = kinds::KindsPlan { in_flight: &[1, 8], requests: 300, rounds: 3 };

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    let mut rows: Vec<BenchRow> = Vec::new();
    if wanted(Part::Dispatch) {
        rows.extend(dispatch(arguments)?);
        println!("{}", bench::table(&rows));
        println!("{}\n", verdict(&rows));
    }
    if wanted(Part::Kinds) || wanted(Part::Calibration) {
        let (seconds, repeats, plan) = if arguments.quick {
            (4, 1, kinds::KindsPlan { requests: 6, rounds: 1, ..KINDS })
        } else {
            (PLAY_SECONDS, REPEATS, KINDS)
        };
        let play = Play::of(seconds)?;
        if wanted(Part::Kinds) {
            let of_kinds = kinds::rows(&play, plan)?;
            println!("{}", bench::table(&of_kinds));
            rows.extend(of_kinds);
        }
        if wanted(Part::Calibration) {
            let figures = calibration::calibrate(&play, repeats)?;
            println!("{}", calibration::tables(&figures));
            let bought = presets::measure(seconds, repeats, &figures)?;
            println!("{}", presets::table(&bought));
            let missed = [calibration::missed(&figures), presets::missed(&bought)].concat();
            // A quick run is for seeing that the bench works, on a machine with other things to do.
            if !missed.is_empty() && !arguments.quick {
                return Err(format!("aims are missed: {}", missed.join("; ")).into());
            }
        }
    }
    if arguments.only == Some(Part::Trust) {
        let plan = if arguments.quick { trust::QUICK } else { trust::FULL };
        let tasks = arguments.requests.map_or(plan.tasks, |tasks| tasks.max(1) as u64);
        let rows = trust::rows(trust::TrustPlan { tasks, ..plan });
        println!("{}", trust::table(&rows));
        let missed = trust::missed(&rows);
        // A quick run is too short for shares of one in ten thousand.
        if !missed.is_empty() && !arguments.quick {
            return Err(format!("aims are missed: {}", missed.join("; ")).into());
        }
    }
    if arguments.only == Some(Part::Stall) {
        let plan = if arguments.quick { stall::QUICK } else { stall::FULL };
        let tasks = arguments.requests.unwrap_or(plan.tasks).max(1);
        let rows = stall::rows(stall::StallPlan { tasks, ..plan })?;
        println!("{}", stall::table(&rows));
        let missed = stall::missed(&rows);
        // A quick run is too short for a 99th percentile.
        if !missed.is_empty() && !arguments.quick {
            return Err(format!("aims are missed: {}", missed.join("; ")).into());
        }
    }
    if arguments.only == Some(Part::Flood) {
        let plan = if arguments.quick { flood::QUICK } else { flood::FULL };
        let rows = flood::rows(plan)?;
        println!("{}\n{}", flood::table(&rows), flood::verdict(&rows));
        let missed = flood::missed(&rows);
        // A quick run is for seeing that the bench works, on a machine with other things to do.
        if !missed.is_empty() && !arguments.quick {
            return Err(format!("aims are missed: {}", missed.join("; ")).into());
        }
    }
    if arguments.only == Some(Part::Load) {
        let plan = if arguments.quick { load::QUICK } else { load::FULL };
        println!("{}", load::report(plan)?);
    }
    if arguments.only == Some(Part::Idle) {
        let plan = if arguments.quick { load::QUICK } else { load::FULL };
        println!("{}", load::idle(plan)?);
    }
    if arguments.only == Some(Part::Updates) {
        let requests = arguments.requests.unwrap_or(if arguments.quick { 600 } else { 60_000 });
        let in_flight = arguments.in_flight.unwrap_or(updates::IN_FLIGHT);
        let load = Load {
            size_bytes: usize::from(arguments.size),
            in_flight,
            requests: requests.max(1),
            per_s: None,
        };
        println!("{}", updates::report(load, if arguments.quick { 1 } else { arguments.rounds })?);
    }
    if let Some(path) = &arguments.report {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

fn dispatch(arguments: &Arguments) -> Result<Vec<BenchRow>, Box<dyn std::error::Error>> {
    let wanted = |name: &str| arguments.rival.is_empty() || arguments.rival.iter().any(|rival| rival == name);
    let mut rivals: Vec<Box<dyn Rival>> = Vec::new();
    if wanted("udp-floor") {
        rivals.push(Box::new(UdpFloor::start()?));
    }
    if wanted("p2c2r") {
        rivals.push(Box::new(P2c2r::start()?));
    }
    if arguments.rival.iter().any(|rival| rival == "unsandboxed") {
        rivals.push(Box::new(P2c2r::start_unsandboxed()?));
    }
    if arguments.peers && wanted("nats") {
        let nats = Nats::start()?
            .ok_or_else(|| io::Error::other("nats-server is not installed: apt-get install nats-server"))?;
        rivals.push(Box::new(nats));
    }
    let size_bytes = usize::from(arguments.size);
    let (rounds, scale) = if arguments.quick { (1, 100) } else { (arguments.rounds, 1) };
    let mut rows: Vec<BenchRow> = Vec::new();
    let loads = [(1, 3_000), (8, 20_000), (64, 60_000)];
    let children: Vec<u32> = rivals.iter().flat_map(|rival| rival.processes()).collect();
    for condition in &arguments.condition {
        let _held = condition.hold(&children).map_err(|error| format!("{condition}: {error}"))?;
        for (in_flight, requests) in loads
            .into_iter()
            .filter(|(in_flight, _)| arguments.in_flight.is_none_or(|only| only == *in_flight))
        {
            let requests = arguments.requests.unwrap_or(requests / scale).max(1);
            let load = Load { size_bytes, in_flight, requests, per_s: None };
            rows.extend(bench::contest(&mut rivals, *condition, load, rounds)?);
        }
    }
    if rows.is_empty() {
        return Err("nothing to measure: --rival takes udp-floor, p2c2r, unsandboxed and (with --peers) nats, --in-flight 1, 8 or 64"
            .into());
    }
    Ok(rows)
}

/// The ratios that the project aims at, in words.
fn verdict(rows: &[BenchRow]) -> String {
    let mut lines = Vec::new();
    for condition in [Condition::Quiet, Condition::Busy, Condition::OneCore] {
        let row = |name: &str, in_flight: usize| {
            let mut rows = rows.iter().filter(|row| row.condition == condition);
            rows.find(|row| row.name == name && row.in_flight == in_flight)
        };
        let mut compare = |what: &str, rival: &str, in_flight: usize, of: fn(&BenchRow) -> f64, aim: &str| {
            if let (Some(ours), Some(theirs)) = (row("p2c2r", in_flight), row(rival, in_flight)) {
                let ratio = of(ours) / of(theirs);
                lines.push(format!(
                    "{condition}, {in_flight} in flight: {what} {ratio:.2} x {rival} (aim: {aim})"
                ));
            }
        };
        compare("p50", "udp-floor", 1, |row| row.p50_us, "at most 1.6");
        compare("p50", "nats", 1, |row| row.p50_us, "at most 1");
        if condition == Condition::Quiet {
            compare("p99", "udp-floor", 1, |row| row.p99_us, "at most 2");
        }
        compare("rate", "nats", 64, |row| row.rate_per_s, "at least 1");
        compare("processor time", "nats", 64, |row| row.cpu_us.unwrap_or(f64::NAN), "at most 1");
        compare("rate", "unsandboxed", 64, |row| row.rate_per_s, "none");
        compare("processor time", "unsandboxed", 64, |row| row.cpu_us.unwrap_or(f64::NAN), "none");
        if let (Some(ours), Some(theirs)) = (row("p2c2r", 1), row("unsandboxed", 1)) {
            let crossing = ours.p50_us - theirs.p50_us;
            lines.push(format!(
                "{condition}: crossing into a kernel process takes {crossing:.1} us (aim: at most 15)"
            ));
        }
    }
    lines.join("\n")
}
