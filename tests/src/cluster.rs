//! A whole network in one thread: the very apps the programs run, stepped by a test.
//!
//! In memory, time is manual: every step moves all clocks by the same amount, so a scenario with a seed runs
//! the same way every time. Over UDP, the same apps use real loopback sockets and real time, and a step is one
//! update of each. Scenarios wait for conditions, with a bound on steps, and never sleep.
//!
//! | module | owns |
//! |---|---|
//! | `asking` | asking for tasks, and reading how they ended |
//! | `config` | how a cluster is set up |
//! | `endings` | the systems in a game's app that ask for tasks and record how they end |
//! | `mishaps` | hangs, crashes, departures and cut networks |
//! | [`rogue`] | workers that break the rules |

mod asking;
mod config;
pub(crate) mod endings;
mod mishaps;
pub mod rogue;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy_app::{App, Update};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    ClientTransport, Grant, MemoryHub, Mint, NextWake, ServerTransport, bind_server, on_one_thread,
};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::{ComputeMode, ServerConfig};
use p2c2r_server::ledger::{self, GROUP_COMMIT_MAX, Ledger};
use p2c2r_tasks::KindRegistry;
use p2c2r_worker::{Execution, WorkerConfig};
use tempfile::TempDir;

pub use config::{ClusterConfig, ClusterWire};
pub use endings::{Bytes, OffloadEnding};

use crate::joining::CurrentMint;
use crate::puzzles::{KINDS, Puzzle};
use endings::{AskedBefore, Endings, Wanted, ask_for_wanted};
use rogue::RogueTrick;

/// How far one step moves manual time.
pub const STEP: Duration = Duration::from_millis(5);
/// What every account is given when it is enrolled.
const CREDIT: Nanos = Nanos::DOLLAR;
/// Longest a scenario may wait for a condition over real sockets before it counts as failed.
const UDP_PATIENCE: Duration = Duration::from_mins(1);
/// Longest a scenario may wait in memory, in steps: five minutes of manual time.
const MEMORY_PATIENCE: u32 = 60_000;

/// The cluster.
pub struct Cluster {
    config: ClusterConfig,
    hub: MemoryHub,
    address: SocketAddr,
    mint: CurrentMint,
    directory: TempDir,
    coordinator: Option<App>,
    workers: Vec<Peer>,
    games: Vec<Peer>,
    asked: Vec<Vec<Arc<dyn Puzzle>>>,
}

struct Peer {
    name: String,
    app: Option<App>,
    frozen: bool,
}

/// Waits until the ledger has written and answered everything it was asked. It runs on a thread of its own: without the
/// wait, the figures in statements, and the bytes sent, would depend on how far that thread has come.
fn flush(app: &App) {
    app.world().resource::<Ledger>().flush().expect("a ledger that records");
}

/// Updates again, without moving time, while the app says that it is due. The runner of the real program does the same
/// when an update leaves work for the next.
fn go_on(app: &mut App) {
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
    while app.world().resource::<NextWake>().is_due() {
        flush(app);
        app.update();
    }
    app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
}

impl Cluster {
    /// Starts every program of `config`.
    pub fn start(config: ClusterConfig) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let mut cluster = Self {
            hub: MemoryHub::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            mint: CurrentMint::default(),
            directory,
            coordinator: None,
            workers: Vec::new(),
            games: Vec::new(),
            asked: Vec::new(),
            config,
        };
        cluster.hub.set_credit(CREDIT);
        cluster.start_coordinator();
        for _ in 0..cluster.config.workers {
            cluster.add_worker();
        }
        for _ in 0..cluster.config.games {
            cluster.add_game();
        }
        cluster
    }

    /// The ledger's file.
    pub fn db(&self) -> PathBuf {
        self.directory.path().join("results.db")
    }

    /// Starts the coordinator, on the address and ledger it had before if it ran before.
    pub fn start_coordinator(&mut self) {
        let transport = match self.config.wire {
            ClusterWire::Memory => ServerTransport::Memory(self.hub.clone()),
            ClusterWire::Udp => {
                let socket = bind_server(self.address).expect("a free loopback port");
                self.address = socket.local_addr().expect("a bound socket");
                ServerTransport::Udp(socket)
            }
        };
        let config = ServerConfig {
            listen: self.address,
            db: self.db(),
            fallback: self.config.fallback,
            compute: match self.config.wire {
                ClusterWire::Memory => ComputeMode::Inline,
                ClusterWire::Udp => ComputeMode::Threads(1),
            },
            trust: self.config.trust,
            cache_entries_max: self.config.cache_entries,
            seed: Some(0),
            group_commit: match self.config.wire {
                ClusterWire::Memory => GROUP_COMMIT_MAX,
                ClusterWire::Udp => ServerConfig::default().group_commit,
            },
            kinds: self.config.coordinator_kinds.clone(),
            prices: p2c2r_server::config::default_prices(&self.config.coordinator_kinds),
            ..ServerConfig::default()
        };
        let app = p2c2r_server::build_app(config, transport).expect("a coordinator");
        self.mint.set(app.world().resource::<Mint>().clone(), self.address);
        self.coordinator = Some(self.ready(app));
    }

    /// Ends the coordinator as a crash would: no farewell, and nothing more is written.
    pub fn kill_coordinator(&mut self) {
        self.coordinator = None;
    }

    /// Starts another worker; returns its index.
    pub fn add_worker(&mut self) -> usize {
        let index = self.workers.len();
        self.workers.push(Peer { name: format!("worker-{index}"), app: None, frozen: false });
        self.start_worker(index);
        index
    }

    /// Starts worker `index` again.
    pub fn start_worker(&mut self, index: usize) {
        let config = WorkerConfig {
            name: self.workers[index].name.clone(),
            slots: 1,
            execution: match self.config.wire {
                ClusterWire::Memory => Execution::Inline,
                ClusterWire::Udp => Execution::Threads,
            },
            impair: self.config.impair_workers,
            ..WorkerConfig::default()
        };
        let transport = self.client_transport(Role::Worker, &config.name);
        let app = p2c2r_worker::build_app(config, transport).expect("a worker");
        self.workers[index].app = Some(self.ready(app));
        self.workers[index].frozen = false;
    }

    /// Starts a worker that plays this trick with every task; returns its index.
    pub fn add_rogue(&mut self, trick: RogueTrick) -> usize {
        let index = self.workers.len();
        let name = format!("rogue-{index}");
        let app = rogue::build_app(&name, trick, self.client_transport(Role::Worker, &name));
        let app = Some(self.ready(app));
        self.workers.push(Peer { name, app, frozen: false });
        index
    }

    /// Starts another game; returns its index.
    pub fn add_game(&mut self) -> usize {
        self.add_game_of(&format!("gamer-{}", self.games.len()))
    }

    /// Starts another game of this gamer's account; returns its index.
    pub fn add_game_of(&mut self, name: &str) -> usize {
        let index = self.games.len();
        self.games.push(Peer { name: name.to_owned(), app: None, frozen: false });
        self.asked.push(Vec::new());
        self.start_game(index);
        index
    }

    /// Starts game `index` again. It resumes the patient tasks that it had before it ended, and their endings carry the
    /// numbers under which they were asked for.
    pub fn start_game(&mut self, index: usize) {
        let name = self.games[index].name.clone();
        let asked = self.asked[index].iter().map(|puzzle| puzzle.spec()).collect();
        let mut app = App::new();
        app.add_plugins(OffloadPlugin {
            config: OffloadConfig {
                link: Some(self.client_transport(Role::Gamer, &name)),
                name: name.clone(),
                impair: self.config.impair_games,
                local: match self.config.wire {
                    ClusterWire::Memory => LocalCompute::Simulated { takes: STEP },
                    ClusterWire::Udp => LocalCompute::Auto,
                },
                patient_folder: Some(self.directory.path().join(format!("tasks-{name}"))),
                ..OffloadConfig::default()
            },
        })
        .init_resource::<Endings>()
        .init_resource::<Wanted>()
        .insert_resource(AskedBefore(asked))
        .add_systems(Update, ask_for_wanted);
        for kind in KINDS {
            kind.register(&mut app, (self.config.settings)(*kind));
        }
        self.games[index].app = Some(self.ready(app));
    }

    fn client_transport(&self, role: Role, name: &str) -> ClientTransport {
        match self.config.wire {
            ClusterWire::Memory => ClientTransport::Memory(self.hub.clone()),
            ClusterWire::Udp => {
                let grant = Grant { credit: CREDIT, ..Grant::of_name(role, name) };
                self.mint.transport(grant, KindRegistry::builtin().identity())
            }
        }
    }

    fn ready(&self, mut app: App) -> App {
        if self.config.wire == ClusterWire::Memory {
            app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
        }
        on_one_thread(&mut app);
        app.finish();
        app.cleanup();
        app
    }

    /// Updates every program that is not frozen once.
    pub fn step(&mut self) {
        for peer in self.games.iter_mut().chain(&mut self.workers) {
            if let Some(app) = peer.app.as_mut().filter(|_| !peer.frozen) {
                app.update();
            }
        }
        if let Some(app) = &mut self.coordinator {
            if self.config.wire == ClusterWire::Memory {
                flush(app);
            }
            app.update();
            if self.config.wire == ClusterWire::Memory {
                go_on(app);
            }
        }
    }

    /// Steps until `done`, or fails the test with `what` and the cluster's state.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        let mut steps = 0;
        while !done(self) {
            let patience = match self.config.wire {
                ClusterWire::Memory => steps < MEMORY_PATIENCE,
                ClusterWire::Udp => start.elapsed() < UDP_PATIENCE,
            };
            assert!(patience, "gave up waiting until {what}: {}", self.describe());
            self.step();
            if self.config.wire == ClusterWire::Udp {
                std::thread::yield_now();
            }
            steps += 1;
        }
    }

    /// Steps `steps` times.
    pub fn steps(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
        }
    }

    fn describe(&self) -> String {
        let games: Vec<String> = self
            .games
            .iter()
            .map(|peer| match &peer.app {
                Some(app) => format!(
                    "{}: {:?}, {} endings",
                    peer.name,
                    app.world().resource::<OffloadState>().mode,
                    app.world().resource::<Endings>().0.len()
                ),
                None => format!("{}: gone", peer.name),
            })
            .collect();
        games.join("; ")
    }

    /// Steps until every game is connected and sees `workers` workers.
    #[track_caller]
    pub fn until_connected(&mut self, workers: u32) {
        self.until("every game is connected and sees its workers", |cluster| {
            cluster.games.iter().all(|peer| {
                peer.app.as_ref().is_none_or(|app| {
                    app.world().resource::<OffloadState>().is_remote()
                        && app
                            .world()
                            .resource::<OffloadAccount>()
                            .statement
                            .is_some_and(|statement| statement.workers == workers)
                })
            })
        });
    }

    /// The app of game `index`.
    #[track_caller]
    pub fn game(&mut self, index: usize) -> &mut App {
        self.games[index].app.as_mut().expect("a game that runs")
    }

    /// The app of worker `index`.
    #[track_caller]
    pub fn worker(&mut self, index: usize) -> &mut App {
        self.workers[index].app.as_mut().expect("a worker that runs")
    }

    /// The coordinator's app.
    #[track_caller]
    pub fn coordinator(&mut self) -> &mut App {
        self.coordinator.as_mut().expect("a coordinator that runs")
    }

    /// Tasks that rogue `index` has been given.
    #[track_caller]
    pub fn rogue_has_seen(&self, index: usize) -> usize {
        rogue::has_seen(self.workers[index].app.as_ref().expect("a rogue that runs"))
    }

    /// Whether rogue `index` still holds answers back.
    #[track_caller]
    pub fn rogue_is_waiting(&self, index: usize) -> bool {
        rogue::is_waiting(self.workers[index].app.as_ref().expect("a rogue that runs"))
    }

    /// The ledger's report, once everything appended is durable. Fails if the ledger's own check does.
    #[track_caller]
    pub fn books(&mut self) -> ledger::LedgerReport {
        self.coordinator().world().resource::<Ledger>().flush().expect("a durable ledger");
        let check = ledger::check(&self.db()).expect("a readable ledger");
        assert!(check.ok, "the ledger does not balance: {:?}", check.problems);
        ledger::report(&self.db()).expect("a readable ledger")
    }
}

/// A game's totals.
pub fn totals(app: &App) -> &OffloadTotals {
    app.world().resource::<OffloadTotals>()
}

/// Whether a game may use the coordinator at the moment.
pub fn is_remote(app: &App) -> bool {
    app.world().get_resource::<OffloadState>().is_some_and(OffloadState::is_remote)
}
