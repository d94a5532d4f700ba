//! A coordinator on a stage: the test plays every peer, message by message.

mod books;
mod tasks;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::{IntoScheduleConfigs, ResMut, Resource};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{FromPeer, Grant, LinkClock, MemoryHub, PeerJoined, PeerLeft, ServerTransport, ToPeer};
use p2c2r_protocol::{
    Assign, Device, GameToServer, GamerStatement, KernelOffer, KindId, Micros, Nanos, PeerId, Role,
    ServerToGame, ServerToWorker, TaskId, TaskNo, WorkerOffer, WorkerStatement, WorkerToServer,
};
use p2c2r_server::app::CoordinatorSystems;
use p2c2r_server::config::{TrustRules, default_prices};
use p2c2r_server::core::state::tally::Tally;
use p2c2r_server::ledger::Ledger;
use p2c2r_server::peers::Scheduler;
use p2c2r_server::recording::{Replayed, replay};
use p2c2r_server::{ComputeMode, ServerConfig, Shutdown, build_app};
use p2c2r_tasks::kind::TaskKind;
use tempfile::TempDir;

use crate::toy::{self, Laden, Rough, Toy};
pub use tasks::Heard;

/// The budget of a timely task, unless a test says otherwise.
pub const BUDGET: Duration = Duration::from_millis(500);
/// How far one step moves time.
pub const STEP: Duration = Duration::from_millis(1);
/// How long a test waits for another thread, in real time, before it fails.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Resource, Default)]
struct Said {
    games: Vec<(PeerId, ServerToGame)>,
    workers: Vec<(PeerId, ServerToWorker)>,
}

fn listen(
    mut said: ResMut<'_, Said>,
    mut games: ResMut<'_, Messages<ToPeer<ServerToGame>>>,
    mut workers: ResMut<'_, Messages<ToPeer<ServerToWorker>>>,
) {
    said.games.extend(games.drain().map(|to| (to.peer, to.message)));
    said.workers.extend(workers.drain().map(|to| (to.peer, to.message)));
}

/// The stage.
pub struct Stage {
    pub app: Option<App>,
    pub folder: TempDir,
    config: ServerConfig,
    next_peer: u64,
    /// The session number of each gamer's welcome.
    sessions: HashMap<PeerId, u32>,
    next_task: u64,
    names: HashMap<PeerId, (Role, String)>,
    heard: HashMap<TaskId, Vec<Heard>>,
    assigned: Vec<(PeerId, Assign)>,
    revoked: Vec<(PeerId, TaskNo)>,
    gamer_statements: HashMap<PeerId, GamerStatement>,
    worker_statements: HashMap<PeerId, WorkerStatement>,
    farewells: Vec<String>,
    exit: Option<AppExit>,
    recordings: Vec<PathBuf>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.app.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

impl Stage {
    /// A coordinator with the default settings.
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// A coordinator with settings changed by `change`. Deep checks are off, so that tests say what is checked.
    pub fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig {
            db: folder.path().join("results.db"),
            compute: ComputeMode::Inline,
            trust: TrustRules::default().never(),
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            group_commit: Duration::from_millis(1),
            seed: Some(0),
            ..ServerConfig::default()
        };
        change(&mut config);
        let mut stage = Self {
            app: None,
            folder,
            config,
            next_peer: 1_000,
            sessions: HashMap::new(),
            next_task: 0,
            names: HashMap::new(),
            heard: HashMap::new(),
            assigned: Vec::new(),
            revoked: Vec::new(),
            gamer_statements: HashMap::new(),
            worker_statements: HashMap::new(),
            farewells: Vec::new(),
            exit: None,
            recordings: Vec::new(),
        };
        stage.start();
        stage
    }

    /// Starts the coordinator, again if it was stopped. Its run is recorded.
    pub fn start(&mut self) {
        let recording = self.folder.path().join(format!("run-{}", self.recordings.len()));
        self.config.record = Some(recording.clone());
        self.recordings.push(recording);
        let mut app = build_app(self.config.clone(), ServerTransport::Memory(MemoryHub::new())).unwrap();
        app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP))
            .init_resource::<Said>()
            .add_systems(Update, listen.after(CoordinatorSystems));
        app.finish();
        app.cleanup();
        self.app = Some(app);
        self.names.clear();
        self.step();
    }

    /// Ends the coordinator without a drain, checks that a replay of its recording leads to the same effects, and returns the
    /// recording.
    #[track_caller]
    pub fn stop(&mut self) -> &Path {
        self.app = None;
        let recording = self.recordings.last().unwrap();
        let replayed = replay(recording, &self.config.kinds).unwrap();
        assert!(matches!(replayed, Replayed::Same { .. }), "{replayed}");
        recording
    }

    pub fn app(&mut self) -> &mut App {
        self.app.as_mut().unwrap()
    }

    /// The coordinator's clock.
    pub fn now(&mut self) -> Micros {
        self.app().world().resource::<LinkClock>().now()
    }

    /// One update, a millisecond later.
    pub fn step(&mut self) {
        self.app().update();
        self.exit = self.exit.take().or(self.app().should_exit());
        let said = std::mem::take(&mut *self.app().world_mut().resource_mut::<Said>());
        for (peer, message) in said.games {
            match message {
                ServerToGame::Done(done) => self.heard.entry(done.task).or_default().push(Heard::Done(done)),
                ServerToGame::Failed { task, failure } => {
                    self.heard.entry(task).or_default().push(Heard::Failed(failure));
                }
                ServerToGame::Refused { task, refusal } => {
                    self.heard.entry(task).or_default().push(Heard::Refused(refusal));
                }
                ServerToGame::Welcome(welcome) => {
                    self.sessions.insert(peer, welcome.session);
                    self.gamer_statements.insert(peer, welcome.statement);
                }
                ServerToGame::Statement(statement) => {
                    self.gamer_statements.insert(peer, statement);
                }
                ServerToGame::Closing { reason } => self.farewells.push(reason),
                ServerToGame::Spare(_) => unreachable!("the link hands those out"),
            }
        }
        for (peer, message) in said.workers {
            match message {
                ServerToWorker::Assign(assign) => self.assigned.push((peer, assign)),
                ServerToWorker::Revoke { task, .. } => self.revoked.push((peer, task)),
                ServerToWorker::Welcome(welcome) => {
                    self.worker_statements.insert(peer, welcome.statement);
                }
                ServerToWorker::Statement(statement) => {
                    self.worker_statements.insert(peer, statement);
                }
                ServerToWorker::Closing { reason } => self.farewells.push(reason),
                ServerToWorker::Spare(_) => unreachable!("the link hands those out"),
            }
        }
    }

    /// Steps until `time` has passed.
    pub fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.step();
        }
    }

    /// One update after `time` in which nothing happened.
    pub fn jump(&mut self, time: Duration) {
        self.app().insert_resource(TimeUpdateStrategy::ManualDuration(time));
        self.step();
        self.app().insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
    }

    /// Updates, each `pace` after the last, until `done`; for tests in which the coordinator waits for another thread.
    #[track_caller]
    pub fn until(&mut self, what: &str, pace: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "gave up waiting until {what}");
            self.jump(pace);
            std::thread::yield_now();
        }
    }

    /// A worker joins that says something before it is welcomed.
    pub fn early_worker(&mut self, name: &str, message: WorkerToServer) -> PeerId {
        let peer = self.connect(Role::Worker, name);
        self.worker_says(peer, message);
        self.step();
        self.let_ledger_answer();
        peer
    }

    /// A peer is connected; nothing has been said yet.
    pub fn connect(&mut self, role: Role, name: &str) -> PeerId {
        self.connect_as(role, name, name)
    }

    /// The same with the account of `owner`, under a name that may differ.
    pub fn connect_as(&mut self, role: Role, owner: &str, name: &str) -> PeerId {
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        self.names.insert(peer, (role, owner.to_owned()));
        let Grant { account, instance, .. } = Grant::of_name(role, owner);
        let credit = self.config.opening_credit;
        let (name, address) = (name.to_owned(), "memory".to_owned());
        let joined = PeerJoined { peer, role, account, instance, name, credit, address };
        self.app().world_mut().write_message(joined);
        peer
    }

    /// Waits until the ledger has answered what it was asked; the coordinator hears of it in the next update.
    pub fn let_ledger_answer(&mut self) {
        self.app().world().resource::<Ledger>().flush().unwrap();
        self.step();
    }

    fn join(&mut self, role: Role, name: &str) -> PeerId {
        self.join_as(role, name, name)
    }

    fn join_as(&mut self, role: Role, owner: &str, name: &str) -> PeerId {
        let peer = self.connect_as(role, owner, name);
        self.step();
        self.let_ledger_answer();
        peer
    }

    /// A gamer joins.
    pub fn gamer(&mut self, name: &str) -> PeerId {
        self.join(Role::Gamer, name)
    }

    /// A worker with this many slots joins and offers the toy kernel.
    pub fn worker(&mut self, name: &str, slots: u16) -> PeerId {
        self.worker_on(Device::Cores, name, slots)
    }

    /// The same with the account of `owner`, under a name that may differ.
    pub fn worker_as(&mut self, owner: &str, name: &str, slots: u16) -> PeerId {
        let peer = self.join_as(Role::Worker, owner, name);
        self.offer(peer, Device::Cores, slots);
        peer
    }

    /// The same, with a kernel that runs on `device`.
    pub fn worker_on(&mut self, device: Device, name: &str, slots: u16) -> PeerId {
        let peer = self.join(Role::Worker, name);
        self.offer(peer, device, slots);
        peer
    }

    fn offer(&mut self, peer: PeerId, device: Device, slots: u16) {
        let kernels = vec![
            KernelOffer { kind: Toy::ID, version: Toy::KERNEL_VERSION, device },
            KernelOffer { kind: Rough::ID, version: Rough::KERNEL_VERSION, device },
            KernelOffer { kind: Laden::ID, version: Laden::KERNEL_VERSION, device },
        ];
        self.worker_says(peer, WorkerToServer::Ready(WorkerOffer { slots, kernels, region: None }));
        self.step();
    }

    /// A peer's connection ends.
    pub fn leave(&mut self, peer: PeerId) {
        let (role, name) = self.names.remove(&peer).unwrap();
        let account = Grant::of_name(role, &name).account;
        let left = PeerLeft { peer, role, account, name, reason: "as the test says".into() };
        self.app().world_mut().write_message(left);
        self.step();
    }

    /// The session number that a gamer was given.
    pub fn session_of(&self, gamer: PeerId) -> u32 {
        self.sessions.get(&gamer).copied().unwrap_or(u32::MAX)
    }

    /// The task id as this gamer sends it: one without a session number gets that of its connection.
    pub fn id_of(&self, gamer: PeerId, task: TaskId) -> TaskId {
        if task.0 >> 32 == 0 { TaskId(u64::from(self.session_of(gamer)) << 32 | task.0) } else { task }
    }

    /// A game says something.
    pub fn game_says(&mut self, peer: PeerId, mut message: GameToServer) {
        if let GameToServer::Submit(submit) = &mut message {
            submit.task = self.id_of(peer, submit.task);
        }
        let received_at = self.now();
        self.app().world_mut().write_message(FromPeer { peer, received_at, message });
    }

    /// A worker says something.
    pub fn worker_says(&mut self, peer: PeerId, message: WorkerToServer) {
        let received_at = self.now();
        self.app().world_mut().write_message(FromPeer { peer, received_at, message });
    }

    /// Tasks in flight.
    pub fn in_flight(&mut self) -> usize {
        self.app().world().resource::<Scheduler>().core().tasks().len()
    }

    /// Counts.
    pub fn tally(&mut self) -> Tally {
        *self.app().world().resource::<Scheduler>().core().tally()
    }

    /// Asks for a drain, or a stop.
    pub fn shut_down(&mut self) {
        self.app().world().resource::<Shutdown>().request();
    }

    /// How the app wanted to exit, if it did.
    pub fn exit(&self) -> Option<AppExit> {
        self.exit.clone()
    }

    /// Farewells heard, with the reasons given.
    pub fn farewells(&self) -> &[String] {
        &self.farewells
    }

    /// The price of a cached outcome, for a task of this many units.
    pub fn reuse_price(&self, units: u64) -> Nanos {
        self.config.prices.reuse(self.price(units))
    }

    /// The price of a task of this many units.
    pub fn price(&self, units: u64) -> Nanos {
        let kind = KindId(200);
        self.config.prices.price(kind, p2c2r_protocol::WorkUnits(units)).unwrap()
    }
}
