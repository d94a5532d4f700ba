//! The benches as a program: `./p2c2r bench` builds it optimised and runs it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use p2c2r_tests::bench::{
    self, Load, Rival, Row, calibration, flood, kinds, load, nats, nats::Nats, p2c2r::P2c2r, play::Play,
    potato, roles, udp_floor, udp_floor::UdpFloor,
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
    /// Only these rivals, for looking closer at one: udp-floor, p2c2r, nats.
    #[arg(long, value_delimiter = ',')]
    rival: Vec<String>,
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
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Coordinator,
    Worker,
    UdpHub,
    UdpWorker,
    NatsWorker,
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
        (Some(Role::Worker), Arguments { join: Some(link), count, .. }) => roles::workers(link, *count),
        (Some(Role::UdpHub), Arguments { coordinator: Some(client), .. }) => {
            udp_floor::hub(*client).map_err(Into::into)
        }
        (Some(Role::UdpWorker), Arguments { coordinator: Some(hub), .. }) => {
            udp_floor::worker(*hub).map_err(Into::into)
        }
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
const KINDS: kinds::Plan = kinds::Plan { in_flight: &[1, 8], requests: 300, rounds: 3 };

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Part::Dispatch) {
        rows.extend(dispatch(arguments)?);
        println!("{}", bench::table(&rows));
        println!("{}\n", verdict(&rows));
    }
    if wanted(Part::Kinds) || wanted(Part::Calibration) {
        let (seconds, repeats, plan) = if arguments.quick {
            (4, 1, kinds::Plan { requests: 6, rounds: 1, ..KINDS })
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
            let missed = calibration::missed(&figures);
            // A quick run is for seeing that the bench works, on a machine with other things to do.
            if !missed.is_empty() && !arguments.quick {
                return Err(format!("aims are missed: {}", missed.join("; ")).into());
            }
        }
    }
    if arguments.only == Some(Part::Flood) {
        let plan = if arguments.quick { flood::QUICK } else { flood::FULL };
        println!("{}", flood::table(&flood::rows(plan)?));
    }
    if arguments.only == Some(Part::Load) {
        let plan = if arguments.quick { load::QUICK } else { load::FULL };
        println!("{}", load::report(plan)?);
    }
    if let Some(path) = &arguments.report {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

fn dispatch(arguments: &Arguments) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let wanted = |name: &str| arguments.rival.is_empty() || arguments.rival.iter().any(|rival| rival == name);
    let mut rivals: Vec<Box<dyn Rival>> = Vec::new();
    if wanted("udp-floor") {
        rivals.push(Box::new(UdpFloor::start()?));
    }
    if wanted("p2c2r") {
        rivals.push(Box::new(P2c2r::start()?));
    }
    if arguments.peers && wanted("nats") {
        let nats = Nats::start()?
            .ok_or_else(|| io::Error::other("nats-server is not installed: apt-get install nats-server"))?;
        rivals.push(Box::new(nats));
    }
    let size_bytes = usize::from(arguments.size);
    let (rounds, scale) = if arguments.quick { (1, 100) } else { (arguments.rounds, 1) };
    let mut rows: Vec<Row> = Vec::new();
    let loads = [(1, 3_000), (8, 20_000), (64, 60_000)];
    for (in_flight, requests) in
        loads.into_iter().filter(|(in_flight, _)| arguments.in_flight.is_none_or(|only| only == *in_flight))
    {
        let requests = arguments.requests.unwrap_or(requests / scale).max(1);
        rows.extend(bench::contest(
            &mut rivals,
            Load { size_bytes, in_flight, requests, per_s: None },
            rounds,
        )?);
    }
    if rows.is_empty() {
        return Err("nothing to measure: --rival takes udp-floor, p2c2r and (with --peers) nats, --in-flight 1, 8 or 64"
            .into());
    }
    Ok(rows)
}

/// The two ratios that the project aims at, in words.
fn verdict(rows: &[Row]) -> String {
    let row =
        |name: &str, in_flight: usize| rows.iter().find(|row| row.name == name && row.in_flight == in_flight);
    let mut lines = Vec::new();
    if let (Some(ours), Some(floor)) = (row("p2c2r", 1), row("udp-floor", 1)) {
        lines.push(format!(
            "p50 with one task in flight: {:.2} x the raw UDP floor (aim: at most 1.6)",
            ours.p50_us / floor.p50_us
        ));
    }
    if let (Some(ours), Some(nats)) = (row("p2c2r", 1), row("nats", 1)) {
        lines.push(format!(
            "p50 with one task in flight: {:.2} x NATS (aim: below 1)",
            ours.p50_us / nats.p50_us
        ));
    }
    if let (Some(ours), Some(nats)) = (row("p2c2r", 64), row("nats", 64)) {
        lines.push(format!(
            "rate with 64 in flight: {:.2} x NATS (aim: at least 1)",
            ours.rate_per_s / nats.rate_per_s
        ));
    }
    lines.join("\n")
}
