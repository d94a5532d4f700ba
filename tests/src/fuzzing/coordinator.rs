//! The coordinator against a connected game and a connected worker: every message, honest tasks and answers,
//! silence and departures, in any order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bevy_app::{App, PostUpdate};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::{IntoScheduleConfigs, ResMut, Resource};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    FromPeer, Grant, LinkClock, LinkSystems, MemoryHub, PeerJoined, PeerLeft, ServerTransport, ToPeer,
};
use p2c2r_protocol::limits::TASKS_PER_GAMER_MAX;
use p2c2r_protocol::{
    Answer, Assign, GameToServer, Nanos, PeerId, Role, ServerToGame, ServerToWorker, Submit, TaskId,
    WorkerOffer, WorkerToServer, identity,
};
use p2c2r_server::ledger::{self, Ledger};
use p2c2r_server::{ComputeMode, ServerConfig, build_app};
use p2c2r_tasks::KindRegistry;
use tempfile::TempDir;

use super::script::{Job, decoded, first, is_large, said, script, steps};

/// Scripts that one coordinator runs, one after the other; then its ledger is checked and the next begins.
const SCRIPTS: u32 = 64;
/// Requests of the step that asks many times: three such steps exceed what a gamer may have open.
const MANY: u32 = 400;
const STEP: Duration = Duration::from_millis(5);
/// The budget of a timely task.
const BUDGET: Duration = Duration::from_secs(1);
/// The names of the two peers.
const NAMES: [(Role, &str); 2] = [(Role::Gamer, "ann"), (Role::Worker, "wes")];

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Runs a script; returns whether all its messages decode.
pub(super) fn run(input: &[u8]) -> bool {
    STAGE.with_borrow_mut(|stage| {
        if stage.as_ref().is_some_and(|stage| stage.scripts >= SCRIPTS)
            && let Some(stage) = stage.take()
        {
            stage.close();
        }
        stage.get_or_insert_with(Stage::new).run(input)
    })
}

/// Seed scripts.
pub fn seeds() -> Vec<Vec<u8>> {
    let honest = (0..6_u8)
        .flat_map(|number| [(2, vec![number, number & 1]), (6, vec![1]), (5, vec![])])
        .collect::<Vec<_>>();
    let lost = vec![
        (2, vec![0, 1]),
        (2, vec![1]),
        (7, vec![1]),
        (6, vec![40]),
        (5, vec![]),
        (4, vec![9; 20]),
        (6, vec![250]),
        (7, vec![0]),
    ];
    vec![
        script(&honest),
        script(&lost),
        script(
            &[vec![(0x82, vec![2]), (0x82, vec![3, 1]), (0x82, vec![4]), (5, vec![]), (7, vec![0])]].concat(),
        ),
        script(&said(0, &identity::samples_of_game_to_server())),
        script(&said(3, &identity::samples_of_worker_to_server())),
    ]
}

#[derive(Resource, Default)]
struct Said {
    games: Vec<ServerToGame>,
    workers: Vec<ServerToWorker>,
}

fn listen(
    mut said: ResMut<'_, Said>,
    mut games: ResMut<'_, Messages<ToPeer<ServerToGame>>>,
    mut workers: ResMut<'_, Messages<ToPeer<ServerToWorker>>>,
) {
    said.games.extend(games.drain().map(|to| to.message));
    said.workers.extend(workers.drain().map(|to| to.message));
}

/// How often a game asked for a task, and how often it was told of its end.
#[derive(Default)]
struct Asked {
    submits: u32,
    ends: u32,
}

struct Stage {
    app: App,
    folder: TempDir,
    scripts: u32,
    next_peer: u64,
    peers: [PeerId; 2],
    session: u32,
    next_task: u32,
    /// By all scripts so far, because the outcome of a patient task may come in a later one.
    asked: BTreeMap<TaskId, Asked>,
    /// Tasks of the game's present connection.
    current: BTreeSet<TaskId>,
    assigned: VecDeque<Assign>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = ServerConfig {
            db: folder.path().join("results.db"),
            compute: ComputeMode::Inline,
            seed: Some(0),
            ..ServerConfig::default()
        };
        let mut app = build_app(config, ServerTransport::Memory(MemoryHub::new())).expect("a coordinator");
        app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP))
            .init_resource::<Said>()
            .add_systems(PostUpdate, listen.before(LinkSystems::Send));
        app.finish();
        app.cleanup();
        Self {
            app,
            folder,
            scripts: 0,
            next_peer: 1,
            peers: [PeerId(0); 2],
            session: 0,
            next_task: 0,
            asked: BTreeMap::new(),
            current: BTreeSet::new(),
            assigned: VecDeque::new(),
        }
    }

    fn run(&mut self, input: &[u8]) -> bool {
        self.scripts += 1;
        self.join(0);
        self.join(1);
        let mut is_honest = true;
        for (what, bytes) in steps(input) {
            is_honest &= self.step(what, bytes);
            self.update(STEP);
            self.check();
        }
        self.leave(0);
        self.leave(1);
        // By then every task with a deadline has ended.
        for _ in 0..4 {
            self.update(BUDGET);
        }
        self.check();
        self.assigned.clear();
        is_honest
    }

    /// One step of a script; false if it is a message that does not decode.
    fn step(&mut self, what: u8, bytes: &[u8]) -> bool {
        let times = if what & 0x80 == 0 { 1 } else { MANY };
        match what % 8 {
            0 | 1 => match decoded(bytes) {
                Some(GameToServer::Submit(submit)) if is_large(submit.kind, &submit.spec, &submit.blobs) => {}
                Some(message) => self.game_says(message, what % 8 == 1),
                None => return false,
            },
            2 => (0..times).for_each(|_| self.ask(bytes)),
            3 => match decoded(bytes) {
                Some(message) => self.worker_says(message),
                None => return false,
            },
            4 => self.answer(Some(bytes)),
            5 => self.answer(None),
            6 => {
                let waits = u32::from(first(bytes));
                self.update(STEP * waits);
            }
            _ => {
                let who = usize::from(first(bytes) & 1);
                self.leave(who);
                self.update(STEP);
                self.join(who);
            }
        }
        true
    }

    /// One update, `after` the last.
    fn update(&mut self, after: Duration) {
        self.app.insert_resource(TimeUpdateStrategy::ManualDuration(after));
        self.app.update();
        let said = std::mem::take(&mut *self.app.world_mut().resource_mut::<Said>());
        for message in said.games {
            match message {
                ServerToGame::Welcome(welcome) => self.session = welcome.session,
                ServerToGame::Refused { task, .. } | ServerToGame::Failed { task, .. } => self.ended(task),
                ServerToGame::Done(done) => self.ended(done.task),
                ServerToGame::Statement(statement) => {
                    assert!(statement.held >= Nanos(0) && statement.available >= Nanos(0), "{statement:?}");
                }
                ServerToGame::Closing { .. } | ServerToGame::Spare(_) => {}
            }
        }
        for message in said.workers {
            if let ServerToWorker::Assign(assign) = message {
                self.assigned.push_back(assign);
            }
        }
    }

    fn ended(&mut self, task: TaskId) {
        let asked = self.asked.get_mut(&task).expect("only what was asked for ends");
        asked.ends += 1;
        assert!(asked.ends <= asked.submits, "{task:?} ended more often than it was asked for");
    }

    fn check(&self) {
        let open = self.current.iter().filter(|task| self.asked[task].ends == 0).count();
        assert!(open <= TASKS_PER_GAMER_MAX, "{open} tasks of one gamer are open");
    }

    fn join(&mut self, who: usize) {
        let (role, name) = NAMES[who];
        let Grant { account, instance, .. } = Grant::of_name(role, name);
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        self.peers[who] = peer;
        let (name, credit, address) = (name.to_owned(), Nanos::DOLLAR, "memory".to_owned());
        self.app.world_mut().write_message(PeerJoined {
            peer,
            role,
            account,
            instance,
            name,
            credit,
            address,
        });
        self.update(STEP);
        self.app.world().resource::<Ledger>().flush().expect("a ledger that records");
        self.update(STEP);
        if role == Role::Worker {
            let kernels = KindRegistry::builtin().offers();
            self.worker_says(WorkerToServer::Ready(WorkerOffer { slots: 4, kernels, region: None }));
        }
    }

    fn leave(&mut self, who: usize) {
        if who == 0 {
            self.current.clear();
        }
        let (role, name) = NAMES[who];
        let (peer, account) = (self.peers[who], Grant::of_name(role, name).account);
        let left =
            PeerLeft { peer, role, account, name: name.to_owned(), reason: "it is in the script".to_owned() };
        self.app.world_mut().write_message(left);
    }

    /// Sends a message of the game; `is_own` puts the connection's own session number into the id of a task.
    fn game_says(&mut self, mut message: GameToServer, is_own: bool) {
        if let GameToServer::Submit(submit) = &mut message {
            if is_own {
                submit.task = TaskId(u64::from(self.session) << 32 | submit.task.0 & 0xFFFF_FFFF);
            }
            self.asked.entry(submit.task).or_default().submits += 1;
            self.current.insert(submit.task);
        }
        let (peer, received_at) = (self.peers[0], self.app.world().resource::<LinkClock>().now());
        self.app.world_mut().write_message(FromPeer { peer, received_at, message });
    }

    fn worker_says(&mut self, message: WorkerToServer) {
        let (peer, received_at) = (self.peers[1], self.app.world().resource::<LinkClock>().now());
        self.app.world_mut().write_message(FromPeer { peer, received_at, message });
    }

    /// Asks for an honest task, chosen by the first byte; the second can make it a patient one.
    fn ask(&mut self, bytes: &[u8]) {
        let job = Job::number(first(bytes));
        let is_patient = bytes.get(1).is_some_and(|byte| byte & 1 == 1);
        self.next_task += 1;
        let submit = Submit {
            task: TaskId(u64::from(self.next_task)),
            kind: job.kind,
            kernel_version: job.version,
            budget_us: (!is_patient).then_some(BUDGET.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: self.app.world().resource::<LinkClock>().now(),
            spec: job.spec.clone().into(),
            blobs: job.blobs.clone(),
        };
        self.game_says(GameToServer::Submit(submit), true);
    }

    /// Answers the worker's oldest attempt: with these bytes, or correctly.
    fn answer(&mut self, bytes: Option<&[u8]>) {
        let Some(Assign { task, attempt, spec, .. }) = self.assigned.pop_front() else { return };
        let right = || Job::with_spec(&spec).map(|job| job.outcome.clone()).unwrap_or_default();
        let outcome = bytes.map_or_else(right, <[u8]>::to_vec);
        let now = self.app.world().resource::<LinkClock>().now();
        let answer = Answer {
            task,
            attempt,
            result: Ok(outcome.into()),
            received_at: now,
            started_at: now,
            finished_at: now,
        };
        self.worker_says(WorkerToServer::Answer(answer));
    }

    /// Ends the coordinator and checks its ledger.
    fn close(self) {
        let db = self.folder.path().join("results.db");
        self.app.world().resource::<Ledger>().close().expect("the books balance");
        drop(self.app);
        let check = ledger::check(&db).expect("a readable ledger");
        assert!(check.ok, "{check}");
    }
}
