//! A coordinator on a stage: the test plays every peer, message by message.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::{IntoScheduleConfigs, ResMut, Resource};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{FromPeer, Grant, LinkClock, MemoryHub, PeerJoined, PeerLeft, ServerTransport, ToPeer};
use p2c2r_protocol::{
    Answer, Assign, AttemptFailure, Device, Done, GameToServer, GamerStatement, KernelOffer, KindId, Micros,
    Nanos, PeerId, Refusal, Role, ServerToGame, ServerToWorker, Submit, TaskFailure, TaskId, TaskNo,
    WorkerOffer, WorkerStatement, WorkerToServer,
};
use p2c2r_server::app::CoordinatorSystems;
use p2c2r_server::config::{TrustRules, default_prices};
use p2c2r_server::core::state::tally::Tally;
use p2c2r_server::ledger::{self, Ledger};
use p2c2r_server::peers::Scheduler;
use p2c2r_server::recording::{Replayed, replay};
use p2c2r_server::{ComputeMode, ServerConfig, Shutdown, build_app};
use p2c2r_tasks::kind::TaskKind;
use tempfile::TempDir;

use crate::toy::{self, Rough, Toy, ToySpec};

/// The budget of a timely task, unless a test says otherwise.
pub const BUDGET: Duration = Duration::from_millis(500);
/// How far one step moves time.
pub const STEP: Duration = Duration::from_millis(1);

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

/// What became of a task, as its game heard.
#[derive(Clone, Debug)]
pub enum Heard {
    Done(Done),
    Failed(TaskFailure),
    Refused(Refusal),
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
            .add_systems(Update, listen.after(CoordinatorSystems::Housekeeping));
        app.finish();
        app.cleanup();
        self.app = Some(app);
        self.names.clear();
        self.step();
    }

    /// Ends the coordinator without a drain, and returns the recording of its run, which leads to the same when it is run
    /// again.
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

    /// The same with the account of `owner` under a name that may be another.
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

    /// The ledger answers what it was asked, in its own time; the coordinator hears of it in the next update.
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

    /// The same with the account of `owner` under a name that may be another.
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
        ];
        self.worker_says(peer, WorkerToServer::Ready(WorkerOffer { slots, kernels }));
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

    /// The id as this gamer says it: one without a session number gets that of its connection.
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

    /// A submit of `spec` that no test has made before; its id gets the session number of whoever says it.
    pub fn submit_of(&mut self, spec: &ToySpec) -> Submit {
        self.next_task += 1;
        let sent_at = self.now();
        Submit {
            task: TaskId(self.next_task),
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: Some(BUDGET.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at,
            spec: spec.encode().into(),
            blobs: Vec::new(),
        }
    }

    /// A gamer submits the square of `number`; one step passes.
    pub fn ask(&mut self, gamer: PeerId, number: u64) -> TaskId {
        let submit = self.submit_of(&toy::spec(number));
        self.submit(gamer, submit)
    }

    /// The same without a deadline.
    pub fn ask_patiently(&mut self, gamer: PeerId, number: u64) -> TaskId {
        let submit = Submit { budget_us: None, ..self.submit_of(&toy::spec(number)) };
        self.submit(gamer, submit)
    }

    /// A gamer submits; one step passes.
    pub fn submit(&mut self, gamer: PeerId, submit: Submit) -> TaskId {
        let task = self.id_of(gamer, submit.task);
        self.game_says(gamer, GameToServer::Submit(submit));
        self.step();
        task
    }

    /// Attempts handed out since this was last asked.
    pub fn take_assigned(&mut self) -> Vec<(PeerId, Assign)> {
        std::mem::take(&mut self.assigned)
    }

    /// The one attempt handed out since this was last asked.
    #[track_caller]
    pub fn assignment(&mut self) -> (PeerId, Assign) {
        let mut assigned = self.take_assigned();
        assert_eq!(assigned.len(), 1, "one attempt is handed out: {assigned:?}");
        assigned.remove(0)
    }

    /// Attempts taken back since this was last asked.
    pub fn take_revoked(&mut self) -> Vec<(PeerId, TaskNo)> {
        std::mem::take(&mut self.revoked)
    }

    /// A worker answers an attempt; one step passes.
    pub fn answer(&mut self, worker: PeerId, assign: &Assign, result: Result<Vec<u8>, AttemptFailure>) {
        self.send_answer(worker, assign, result);
        self.step();
    }

    /// A worker answers an attempt; no time passes.
    pub fn send_answer(&mut self, worker: PeerId, assign: &Assign, result: Result<Vec<u8>, AttemptFailure>) {
        let answer = Answer {
            task: assign.task,
            attempt: assign.attempt,
            result: result.map(Into::into),
            received_at: Micros(1),
            started_at: Micros(2),
            finished_at: Micros(300),
        };
        self.worker_says(worker, WorkerToServer::Answer(answer));
    }

    /// A worker answers an attempt rightly; one step passes.
    pub fn answer_rightly(&mut self, worker: PeerId, assign: &Assign) {
        self.answer(worker, assign, Ok(toy::answer(toy::number_in(&assign.spec))));
    }

    /// All that was heard of a task.
    pub fn heard(&self, task: TaskId) -> &[Heard] {
        self.heard.get(&task).map_or(&[], Vec::as_slice)
    }

    /// The outcome of a task; it must have ended so, and once.
    #[track_caller]
    pub fn done(&self, task: TaskId) -> &Done {
        match self.heard(task) {
            [Heard::Done(done)] => done,
            other => panic!("{task} is not done once: {other:?}"),
        }
    }

    /// Why a task was refused; it must have been, and once.
    #[track_caller]
    pub fn refusal(&self, task: TaskId) -> &Refusal {
        match self.heard(task) {
            [Heard::Refused(refusal)] => refusal,
            other => panic!("{task} is not refused once: {other:?}"),
        }
    }

    /// Why a task failed; it must have, and once.
    #[track_caller]
    pub fn failure(&self, task: TaskId) -> TaskFailure {
        match self.heard(task) {
            [Heard::Failed(failure)] => *failure,
            other => panic!("{task} has not failed once: {other:?}"),
        }
    }

    /// Steps until both ledger and peers know of everything, and returns what a gamer was told last.
    #[track_caller]
    pub fn gamer_statement(&mut self, gamer: PeerId) -> GamerStatement {
        self.settle();
        self.gamer_statements[&gamer]
    }

    /// The same for a worker.
    #[track_caller]
    pub fn worker_statement(&mut self, worker: PeerId) -> WorkerStatement {
        self.settle();
        self.worker_statements[&worker].clone()
    }

    fn settle(&mut self) {
        // Pay goes back in the group after the one that convicts.
        self.app().world().resource::<Ledger>().flush().unwrap();
        self.app().world().resource::<Ledger>().flush().unwrap();
        self.pass(Duration::from_millis(1_100));
    }

    /// What the ledger's file says; its own check must pass.
    #[track_caller]
    pub fn books(&mut self) -> ledger::LedgerReport {
        self.app().world().resource::<Ledger>().flush().unwrap();
        let db = self.folder.path().join("results.db");
        let check = ledger::check(&db).unwrap();
        assert!(check.ok, "{:?}", check.problems);
        ledger::report(&db).unwrap()
    }

    /// What the ledger knows of the worker with this name, once nobody is connected that it has to hear of.
    #[track_caller]
    pub fn known_of(&mut self, name: &str) -> ledger::WorkerLine {
        self.books();
        let lines = ledger::workers(&self.folder.path().join("results.db"), |_| None).unwrap();
        let mut of_name = lines.workers.into_iter().filter(|line| line.name == name);
        of_name.next().expect("the worker has an account")
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

    /// What the outcome of a task of this many units costs that is there already.
    pub fn reuse_price(&self, units: u64) -> Nanos {
        self.config.prices.reuse(self.price(units))
    }

    /// What a task of this many units costs.
    pub fn price(&self, units: u64) -> Nanos {
        let kind = KindId(200);
        self.config.prices.price(kind, p2c2r_protocol::WorkUnits(units)).unwrap()
    }
}
