//! A worker and a game against a connected coordinator: every message, honest tasks and outcomes, silence and
//! disconnects, in any order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bevy_app::{App, Update};
use bevy_ecs::message::Messages;
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    ClientTransport, FromPeer, MemoryHub, Mint, NextWake, Peers, Reconnect, ServerLinkConfig,
    ServerLinkPlugin, ServerTransport, ToPeer,
};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::{
    Assign, Attempt, Done, GameToServer, GamerStatement, GamerWelcome, Nanos, PeerId, ServerToGame,
    ServerToWorker, Submit, TaskNo, WorkerToServer, identity,
};
use p2c2r_server::config::default_prices;
use p2c2r_tasks::KindRegistry;
use p2c2r_worker::attempts::Attempts;
use p2c2r_worker::{Execution, WorkerConfig};

use super::script::{Job, decoded, first, is_large, said, script, steps};
use crate::cluster::endings::{AskedBefore, Endings, Wanted, ask_for_wanted};
use crate::puzzles::{KINDS, PuzzleTag};

const STEP: Duration = Duration::from_millis(5);
/// Scripts that one program runs, one after the other.
const SCRIPTS: u32 = 64;
/// Updates within which a client must reconnect: more than a minute, since an account gets a limited number
/// of tokens per minute.
const PATIENCE: usize = 14_000;
/// Reconnects at once, however often it was disconnected.
const RECONNECT: Reconnect =
    Reconnect { first_pause: STEP, longest_pause: STEP, give_up_after: Duration::from_millis(500) };
/// The deadline of a game's tasks.
const DEADLINE: Duration = Duration::from_millis(500);

/// A client, and a coordinator's link that sends what a script says.
struct Pair {
    server: App,
    client: App,
    scripts: u32,
}

impl Pair {
    fn new(client: impl FnOnce(ClientTransport) -> App) -> Self {
        let (hub, identity) = (MemoryHub::new(), KindRegistry::builtin().identity());
        let mut server = App::new();
        server.add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
            transport: ServerTransport::Memory(hub.clone()),
            mint: Mint::new(&identity),
            identity,
            peers_max: 4,
            rate_limit: None,
            impair: None,
        }));
        let mut pair = Self { server, client: client(ClientTransport::Memory(hub)), scripts: 0 };
        for app in [&mut pair.server, &mut pair.client] {
            app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
            app.finish();
            app.cleanup();
        }
        pair
    }

    /// The one peer, once it is connected.
    fn peer(&self) -> Option<PeerId> {
        self.server.world().resource::<Peers>().iter().map(|(peer, _)| peer).next()
    }

    fn update(&mut self) {
        self.client.update();
        self.server.update();
        self.server.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
        while self.server.world().resource::<NextWake>().is_due() {
            self.server.update();
        }
        self.server.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
    }

    fn connect(&mut self) {
        let is_up = (0..PATIENCE).any(|_| {
            self.update();
            self.peer().is_some()
        });
        assert!(is_up, "a client comes back whatever it was told");
    }

    fn says<M: Send + Sync + 'static>(&mut self, message: M) {
        if let Some(peer) = self.peer() {
            self.server.world_mut().write_message(ToPeer { peer, message });
        }
    }

    fn hang_up(&mut self) {
        if let Some(peer) = self.peer() {
            self.server.world_mut().resource_mut::<Peers>().disconnect(peer, "it is in the script");
        }
    }

    fn heard<M: Send + Sync + 'static>(&mut self) -> Vec<M> {
        self.server
            .world_mut()
            .resource_mut::<Messages<FromPeer<M>>>()
            .drain()
            .map(|from| from.message)
            .collect()
    }
}

/// Calls `run` with the pair of this thread, which is replaced now and then.
fn with_pair(place: &RefCell<Option<Pair>>, new: fn() -> Pair, run: impl FnOnce(&mut Pair) -> bool) -> bool {
    let mut place = place.borrow_mut();
    if place.as_ref().is_some_and(|pair| pair.scripts >= SCRIPTS) {
        *place = None;
    }
    let pair = place.get_or_insert_with(new);
    pair.scripts += 1;
    run(pair)
}

thread_local! {
    static WORKER: RefCell<Option<Pair>> = const { RefCell::new(None) };
    static GAME: RefCell<Option<Pair>> = const { RefCell::new(None) };
}

/// Runs a script with a worker; returns whether all its messages decode.
pub(super) fn worker(input: &[u8]) -> bool {
    WORKER.with(|place| with_pair(place, new_worker, |pair| worker_goes_through(pair, input)))
}

/// Runs a script with a game; returns whether all its messages decode.
pub(super) fn game(input: &[u8]) -> bool {
    GAME.with(|place| with_pair(place, new_game, |pair| game_goes_through(pair, input)))
}

/// Seed scripts for a worker.
pub fn worker_seeds() -> Vec<Vec<u8>> {
    let honest: Vec<_> = (0..6).map(|number| (2, vec![number])).collect();
    let lost = vec![(2, vec![0]), (3, vec![]), (2, vec![1]), (5, vec![]), (2, vec![1]), (4, vec![20])];
    vec![script(&honest), script(&lost), script(&said(0, &identity::samples_of_server_to_worker()))]
}

/// Seed scripts for a game.
pub fn game_seeds() -> Vec<Vec<u8>> {
    let mut honest = vec![(3, vec![1])];
    honest.extend((0..3).flat_map(|number| [(2, vec![number]), (5, vec![]), (6, vec![2])]));
    let lost =
        vec![(3, vec![1]), (2, vec![0, 1]), (4, vec![7; 30]), (2, vec![1]), (7, vec![]), (6, vec![100])];
    vec![script(&honest), script(&lost), script(&said(0, &identity::samples_of_server_to_game()))]
}

fn new_worker() -> Pair {
    Pair::new(|transport| {
        let config = WorkerConfig {
            name: "wes".to_owned(),
            slots: 1,
            execution: Execution::Inline,
            reconnect: RECONNECT,
            ..WorkerConfig::default()
        };
        p2c2r_worker::build_app(config, transport).expect("a worker")
    })
}

fn worker_goes_through(pair: &mut Pair, input: &[u8]) -> bool {
    let held_max = WorkerConfig { slots: 1, ..WorkerConfig::default() }.held_max();
    let (mut assigned, mut next, mut is_honest) = (BTreeMap::<_, u32>::new(), 0, true);
    pair.connect();
    for (what, bytes) in steps(input) {
        match what % 8 {
            0 | 1 => match decoded(bytes) {
                Some(ServerToWorker::Assign(assign))
                    if is_large(assign.kind, &assign.spec, &assign.blobs) => {}
                Some(message) => {
                    if let ServerToWorker::Assign(assign) = &message {
                        *assigned.entry((assign.task, assign.attempt)).or_default() += 1;
                    }
                    pair.says(message);
                }
                None => is_honest = false,
            },
            2 => {
                let job = Job::number(first(bytes));
                next += 1;
                let (task, attempt) = (TaskNo(1_000_000 + next), Attempt(1));
                *assigned.entry((task, attempt)).or_default() += 1;
                pair.says(ServerToWorker::Assign(Assign {
                    task,
                    attempt,
                    kind: job.kind,
                    lease_us: 1_000_000,
                    spec: job.spec.clone().into(),
                    blobs: job.blobs.clone(),
                }));
            }
            3 => pair.says(ServerToWorker::Revoke { task: TaskNo(1_000_000 + next), attempt: Attempt(1) }),
            4 => (0..first(bytes)).for_each(|_| pair.update()),
            _ => {
                pair.hang_up();
                pair.connect();
            }
        }
        pair.update();
        let held = pair.client.world().resource::<Attempts>().held();
        assert!(held <= held_max, "{held} attempts are held");
        for message in pair.heard::<WorkerToServer>() {
            if let WorkerToServer::Answer(answer) = message {
                let left = assigned.get_mut(&(answer.task, answer.attempt)).expect("only what was assigned");
                *left =
                    left.checked_sub(1).expect("an attempt is answered once for each time it was assigned");
            }
        }
    }
    pair.hang_up();
    pair.connect();
    // Its answers from before the reconnect are void.
    pair.heard::<WorkerToServer>();
    assert_eq!(
        pair.client.world().resource::<Attempts>().held(),
        0,
        "nothing is held for a link that is gone"
    );
    is_honest
}

fn new_game() -> Pair {
    Pair::new(|transport| {
        let mut app = App::new();
        app.add_plugins(OffloadPlugin {
            config: OffloadConfig {
                link: Some(transport),
                name: "ann".to_owned(),
                local: LocalCompute::Simulated { takes: STEP },
                reconnect: RECONNECT,
                ..OffloadConfig::default()
            },
        })
        .init_resource::<AskedBefore>()
        .init_resource::<Endings>()
        .init_resource::<Wanted>()
        .add_systems(Update, ask_for_wanted);
        for kind in KINDS {
            kind.register(&mut app, KindSettings { deadline: DEADLINE, ..KindSettings::default() });
        }
        app
    })
}

fn game_goes_through(pair: &mut Pair, input: &[u8]) -> bool {
    let (mut asked, mut is_honest) = (0, true);
    let mut submits = VecDeque::<Submit>::new();
    pair.client.world_mut().resource_mut::<Endings>().0.clear();
    pair.connect();
    for (what, bytes) in steps(input) {
        match what % 8 {
            0 | 1 => match decoded::<ServerToGame>(bytes) {
                Some(message) => pair.says(message),
                None => is_honest = false,
            },
            2 => {
                let kind = KINDS[usize::from(first(bytes)) % KINDS.len()];
                pair.client.world_mut().resource_mut::<Wanted>().0.push((
                    PuzzleTag(asked),
                    kind.puzzle(asked as u64 % 4),
                    false,
                ));
                asked += 1;
            }
            3 => pair.says(ServerToGame::Welcome(welcome(first(bytes)))),
            4 | 5 => {
                if let Some(submit) = submits.pop_front() {
                    let right =
                        || Job::with_spec(&submit.spec).map(|job| job.outcome.clone()).unwrap_or_default();
                    let outcome = if what % 8 == 4 { bytes.to_vec() } else { right() };
                    pair.says(ServerToGame::Done(Done {
                        task: submit.task,
                        outcome: outcome.into(),
                        receipt: receipt(),
                    }));
                }
            }
            6 => (0..first(bytes)).for_each(|_| pair.update()),
            _ => {
                pair.hang_up();
                pair.connect();
            }
        }
        pair.update();
        submits.extend(pair.heard::<GameToServer>().into_iter().filter_map(|message| match message {
            GameToServer::Submit(submit) => Some(submit),
            _ => None,
        }));
    }
    pair.hang_up();
    for _ in 0..2 * DEADLINE.as_millis() / STEP.as_millis() {
        pair.update();
    }
    pair.heard::<GameToServer>();
    let mut ended: Vec<usize> =
        pair.client.world().resource::<Endings>().0.iter().map(|(number, _)| *number).collect();
    ended.sort_unstable();
    assert_eq!(ended, (0..asked).collect::<Vec<_>>(), "every task ends, once");
    is_honest
}

fn welcome(session: u8) -> GamerWelcome {
    let statement =
        GamerStatement { available: Nanos::DOLLAR, workers: 1, gamers: 1, ..GamerStatement::default() };
    let prices = default_prices(&KindRegistry::builtin());
    GamerWelcome { name: "ann".to_owned(), prices, statement, session: u32::from(session) }
}

fn receipt() -> p2c2r_protocol::Receipt {
    let sample = identity::samples_of_server_to_game().into_iter().find_map(|message| match message {
        ServerToGame::Done(done) => Some(done.receipt),
        _ => None,
    });
    sample.expect("a sample of every message")
}
