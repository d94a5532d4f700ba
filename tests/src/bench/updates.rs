//! The time that a small task takes in the updates of coordinator, worker and client: the programs' own apps over
//! loopback sockets, updated in turn by one thread.
//!
//! Nothing sleeps and nothing is woken. With one task in flight each update gets the same messages in every run; with more,
//! a batch that comes apart stays so, and totals differ by some 4 % between runs. So two builds can be compared on a busy
//! machine, by instructions (one program at a time):
//! `valgrind --tool=callgrind --toggle-collect='*update_coordinator*' p2c2r-bench --only updates --requests 3000 --rounds 1`.
//! The ledger's thread and the checks' run beside it and are not counted.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use p2c2r_link::{ClientTransport, EventDrivenPlugin, Grant, Mint, RunningApp, ServerTransport, bind_server};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::{ComputeMode, ServerConfig, default_prices};
use p2c2r_worker::{Execution, WorkerConfig};
use tempfile::TempDir;

use super::{BenchRound, Load, echo::kinds, median, p2c2r};

/// Tasks under way. With this many, each program gets about as many messages per update as with 64 where the programs
/// run in parallel; here they take turns.
pub const IN_FLIGHT: usize = 32;
/// Credit that no run uses up.
const CREDIT: Nanos = Nanos(1_000_000 * Nanos::DOLLAR.0);
/// Time-out for a round.
const PATIENCE: Duration = Duration::from_mins(5);

/// The three programs.
struct Programs {
    coordinator: RunningApp,
    worker: RunningApp,
    client: RunningApp,
    rounds: Sender<Option<Load>>,
    results: Receiver<io::Result<BenchRound>>,
    _directory: TempDir,
}

/// Time in updates: of the coordinator, of the worker, of the client.
type Spent = [Duration; 3];

// Separate functions with different bodies: the compiler cannot merge them, so a profiler can tell the programs apart.
#[inline(never)]
fn update_coordinator(app: &mut RunningApp) {
    black_box("coordinator");
    app.update();
}

#[inline(never)]
fn update_worker(app: &mut RunningApp) {
    black_box("worker");
    app.update();
}

#[inline(never)]
fn update_client(app: &mut RunningApp) {
    black_box("client");
    app.update();
}

impl Programs {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let socket = bind_server(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        let config = ServerConfig {
            listen: address,
            db: directory.path().join("bench.db"),
            data_dir: directory.path().join("data"),
            prices: default_prices(&kinds()),
            kinds: kinds(),
            compute: ComputeMode::Threads(1),
            seed: Some(0),
            ..ServerConfig::default()
        };
        let mut coordinator = p2c2r_server::build_app(config, ServerTransport::Udp(socket))?;
        coordinator.add_plugins(EventDrivenPlugin::default());
        let mint = coordinator.world().resource::<Mint>().clone();
        let transport = |role, name| {
            let grant = Grant { credit: CREDIT, ..Grant::of_name(role, name) };
            ClientTransport::Udp(Arc::new(mint.source(grant, &kinds().identity(), address)))
        };
        let worker = WorkerConfig {
            name: "bench-worker".into(),
            slots: 1,
            execution: Execution::Threads,
            kinds: kinds(),
            ..WorkerConfig::default()
        };
        let mut worker = p2c2r_worker::build_app(worker, transport(Role::Worker, "bench-worker"))?;
        worker.add_plugins(EventDrivenPlugin::default());
        let ((rounds, requested), (report, results)) = (channel(), channel());
        let workers = Arc::new(AtomicUsize::new(0));
        let client = p2c2r::client(transport(Role::Gamer, "bench"), requested, report, workers);
        let mut programs = Self {
            coordinator: RunningApp::start(coordinator),
            worker: RunningApp::start(worker),
            client: RunningApp::start(client),
            rounds,
            results,
            _directory: directory,
        };
        // The client reports once when it has seen a worker.
        programs.until_result(&mut Spent::default())?;
        Ok(programs)
    }

    /// Updates all programs in turn until the client reports.
    fn until_result(&mut self, spent: &mut Spent) -> io::Result<BenchRound> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let begins = Instant::now();
            update_client(&mut self.client);
            let client = Instant::now();
            update_coordinator(&mut self.coordinator);
            let coordinator = Instant::now();
            update_worker(&mut self.worker);
            spent[0] += coordinator - client;
            spent[1] += coordinator.elapsed();
            spent[2] += client - begins;
            if let Ok(result) = self.results.try_recv() {
                return result;
            }
            if begins > give_up {
                return Err(io::Error::other("the round did not end in time"));
            }
        }
    }
}

/// Microseconds of a task in each program's updates: medians of `rounds` rounds after one that is not counted.
pub fn report(load: Load, rounds: usize) -> Result<String, Box<dyn std::error::Error>> {
    let mut programs = Programs::start()?;
    let mut measured: Vec<Spent> = Vec::new();
    for _ in 0..=rounds {
        let mut spent = Spent::default();
        programs.rounds.send(Some(load))?;
        let round = programs.until_result(&mut spent)?;
        assert_eq!(round.latencies_us.len(), load.requests, "answers were lost");
        measured.push(spent);
    }
    let mut text = format!("{:<12} {:>10}\n", "program", "us a task");
    for (place, name) in ["coordinator", "worker", "client"].into_iter().enumerate() {
        let us = |spent: &Spent| spent[place].as_secs_f64() * 1e6 / load.requests as f64;
        writeln!(text, "{name:<12} {:>10.2}", median(measured[1..].iter().map(us).collect()))?;
    }
    Ok(text)
}
