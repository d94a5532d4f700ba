//! P2C2R under load: coordinator and worker as child processes, and a client app of the bench's own that keeps
//! a number of tasks under way.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::prelude::{Res, ResMut, Resource};
use p2c2r_link::{
    ClientLink, ClientLinkConfig, ClientLinkPlugin, ClientTransport, EventDrivenPlugin, FromServer, GameSide,
    LinkClock, NextWake, Reconnect, ToServer, Waker,
};
use p2c2r_protocol::{Done, GameToServer, Nanos, Role, ServerToGame, Submit, TaskId, wire};
use p2c2r_tasks::TaskKind;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::echo::{Echo, EchoPayload, kinds};
use super::network::Network;
use crate::joining;

use super::{BenchRound, Load, Rival, number_of, payload};

/// Time-out for the programs to start or a round to end.
const PATIENCE: Duration = Duration::from_mins(2);
/// Number of a client's first task.
const FIRST_TASK: u64 = 1;
/// Bytes that the wire codec puts before a payload of the bench's sizes.
const LENGTH_PREFIX_BYTES: usize = 3;

/// A coordinator, a worker and a client.
pub struct P2c2r {
    // Dropped before the network: a client that outlives its coordinator would try to reconnect.
    client: BenchClient,
    network: Network,
    name: &'static str,
}

impl P2c2r {
    /// Starts the programs and waits until the worker has joined.
    pub fn start() -> io::Result<Self> {
        Self::over(Network::start()?, "p2c2r")
    }

    /// The same with kernels in the worker's own process, to measure the cost of the process boundary.
    pub fn start_unsandboxed() -> io::Result<Self> {
        Self::over(Network::start_unsandboxed()?, "unsandboxed")
    }

    fn over(network: Network, name: &'static str) -> io::Result<Self> {
        let transport = joining::by_link(network.game_link(), Role::Gamer, "bench", kinds().identity())?;
        Ok(Self { client: BenchClient::start(transport)?, network, name })
    }

    /// The join link for games.
    pub fn game_link(&self) -> &str {
        self.network.game_link()
    }
}

/// A gamer's app of the bench, on a thread of its own, which keeps a number of tasks under way.
pub(super) struct BenchClient {
    rounds: Sender<Option<Load>>,
    results: Receiver<io::Result<BenchRound>>,
    waker: Waker,
    workers: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl BenchClient {
    /// Starts one and waits until it has joined a coordinator that has a worker.
    pub fn start(transport: ClientTransport) -> io::Result<Self> {
        let (rounds, requested) = channel();
        let (report, results) = channel();
        let (hand_over, waker) = channel();
        let workers = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&workers);
        let thread = std::thread::spawn(move || run_client(transport, requested, report, told, &hand_over));
        let waker = waker.recv().map_err(io::Error::other)?;
        let this = Self { rounds, results, waker, workers, thread: Some(thread) };
        // The client reports once when it has seen a worker.
        this.result()?;
        Ok(this)
    }

    /// Begins a round.
    pub fn begin(&self, load: Load) -> io::Result<()> {
        self.rounds.send(Some(load)).map_err(io::Error::other)?;
        self.waker.wake();
        Ok(())
    }

    /// Workers in its latest statement.
    pub fn workers(&self) -> usize {
        self.workers.load(Ordering::Relaxed)
    }

    /// Waits for the end of a round.
    pub fn result(&self) -> io::Result<BenchRound> {
        self.results.recv_timeout(PATIENCE).map_err(|_| io::Error::other("the round did not end in time"))?
    }
}

impl Rival for P2c2r {
    fn name(&self) -> &'static str {
        self.name
    }

    fn processes(&self) -> Vec<u32> {
        self.network.processes()
    }

    fn round(&mut self, load: Load) -> io::Result<BenchRound> {
        self.client.begin(load)?;
        self.client.result()
    }
}

impl Drop for BenchClient {
    fn drop(&mut self) {
        // A client that has already ended needs no request to end.
        let _ = self.rounds.send(None);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Resource)]
struct Client {
    rounds: Mutex<Receiver<Option<Load>>>,
    report: Sender<io::Result<BenchRound>>,
    workers: Arc<AtomicUsize>,
    /// The upper half of this connection's task ids.
    session: u64,
    next_task: u64,
    run: Option<Run>,
}

struct Run {
    load: Load,
    first_task: u64,
    sent_at: Vec<Option<Instant>>,
    next: usize,
    start: Instant,
    /// When the next request is due, if requests come at moments of their own.
    due: Option<Instant>,
    random: Pcg32,
    round: BenchRound,
}

fn run_client(
    transport: ClientTransport,
    rounds: Receiver<Option<Load>>,
    report: Sender<io::Result<BenchRound>>,
    workers: Arc<AtomicUsize>,
    hand_over: &Sender<Waker>,
) {
    let mut app = client(transport, rounds, report, workers);
    if hand_over.send(app.world().resource::<Waker>().clone()).is_ok() {
        app.run();
    }
}

/// The client's app. It reports once when it has seen a worker, then runs the rounds that it is sent and reports each.
pub(super) fn client(
    transport: ClientTransport,
    rounds: Receiver<Option<Load>>,
    report: Sender<io::Result<BenchRound>>,
    workers: Arc<AtomicUsize>,
) -> App {
    let mut app = linked(transport, "bench");
    app.insert_resource(Client {
        rounds: Mutex::new(rounds),
        report,
        workers,
        session: 0,
        next_task: FIRST_TASK,
        run: None,
    })
    .add_systems(Update, keep_under_way);
    p2c2r_link::headless(&mut app);
    app
}

/// An app with only a link to the coordinator and a runner.
pub(super) fn linked(transport: ClientTransport, name: &str) -> App {
    let mut app = App::new();
    app.add_plugins((
        EventDrivenPlugin::default(),
        ClientLinkPlugin::<GameSide>::new(ClientLinkConfig {
            transport,
            identity: kinds().identity(),
            name: name.into(),
            rate_limit: None,
            impair: None,
            reconnect: Reconnect::default(),
        }),
    ));
    app
}

/// Whether a newcomer is admitted within `patience`; it leaves at once.
pub(super) fn joins_within(transport: ClientTransport, patience: Duration) -> bool {
    let give_up = Instant::now() + patience;
    let mut app = linked(transport, "newcomer");
    app.add_systems(
        Update,
        move |link: Res<'_, ClientLink>,
              mut next: ResMut<'_, NextWake>,
              mut exit: MessageWriter<'_, AppExit>| {
            if link.is_connected() {
                exit.write(AppExit::Success);
            } else if Instant::now() >= give_up {
                exit.write(AppExit::error());
            }
            next.within(Duration::from_millis(20));
        },
    );
    p2c2r_link::headless(&mut app);
    app.run() == AppExit::Success
}

fn keep_under_way(
    mut client: ResMut<'_, Client>,
    mut received: ResMut<'_, Messages<FromServer<ServerToGame>>>,
    mut to_server: MessageWriter<'_, ToServer<GameToServer>>,
    mut exit: MessageWriter<'_, AppExit>,
    mut next_wake: ResMut<'_, NextWake>,
    clock: Res<'_, LinkClock>,
) {
    let client = &mut *client;
    for received in received.drain() {
        let failure = match received.message {
            ServerToGame::Welcome(welcome) => {
                client.session = u64::from(welcome.session) << 32;
                client.meet(welcome.statement.workers);
                None
            }
            ServerToGame::Statement(statement) => {
                client.meet(statement.workers);
                None
            }
            ServerToGame::Done(done) => client.take(&done).err(),
            ServerToGame::Refused { task, refusal } => {
                Some(io::Error::other(format!("{task} refused: {refusal}")))
            }
            ServerToGame::Failed { task, failure } => {
                Some(io::Error::other(format!("{task} failed: {failure}")))
            }
            ServerToGame::Closing { reason } => Some(io::Error::other(reason)),
            ServerToGame::Spare(_) => None,
        };
        if let Some(error) = failure {
            client.run = None;
            client.answer(Err(error));
        }
    }
    if client.run.is_none() {
        let requested = client.rounds.lock().unwrap_or_else(PoisonError::into_inner).try_recv();
        match requested {
            Ok(Some(load)) => client.begin(load),
            Ok(None) => {
                exit.write(AppExit::Success);
            }
            Err(_) => {}
        }
    }
    while let Some(submit) = client.next_submit(*clock) {
        to_server.write(ToServer(GameToServer::Submit(submit)));
    }
    let waiting = client.run.as_ref().filter(|run| run.next < run.load.requests);
    if let Some(due) = waiting.and_then(|run| run.due) {
        next_wake.within(due.saturating_duration_since(Instant::now()));
    }
}

impl Run {
    /// Draws when the next request is due: the gaps of a Poisson process are distributed exponentially.
    fn draw_due(&mut self) {
        if let (Some(due), Some(per_s)) = (&mut self.due, self.load.per_s) {
            let uniform: f64 = self.random.random();
            *due += Duration::from_secs_f64(-(1.0 - uniform).ln() / per_s);
        }
    }
}

impl Client {
    fn answer(&self, result: io::Result<BenchRound>) {
        // The receiver is gone if the bench has ended.
        let _ = self.report.send(result);
    }

    fn meet(&mut self, workers: u32) {
        let before = self.workers.swap(workers as usize, Ordering::Relaxed);
        if workers > 0 && before == 0 && self.next_task == FIRST_TASK {
            self.answer(Ok(BenchRound::default()));
        }
    }

    fn begin(&mut self, load: Load) {
        let start = Instant::now();
        let mut run = Run {
            load,
            first_task: self.next_task,
            sent_at: vec![None; load.requests],
            next: 0,
            start,
            due: load.per_s.map(|_| start),
            // Each client of a coordinator has a session of its own, and so moments of its own.
            random: Pcg32::seed_from_u64(self.session),
            round: BenchRound::default(),
        };
        run.draw_due();
        self.run = Some(run);
        self.next_task += load.requests as u64;
    }

    fn next_submit(&mut self, clock: LinkClock) -> Option<Submit> {
        let run = self.run.as_mut()?;
        if run.next == run.load.requests || run.next - run.round.latencies_us.len() >= run.load.in_flight {
            return None;
        }
        let number = run.next;
        let mut sent_at = Instant::now();
        if let Some(due) = run.due {
            if due > sent_at {
                return None;
            }
            sent_at = due;
            run.draw_due();
        }
        run.next += 1;
        run.sent_at[number] = Some(sent_at);
        let task = run.first_task + number as u64;
        // The payload is the task's own number, so that no answer can come from the cache.
        let spec = EchoPayload(payload(task as usize, run.load.size_bytes - LENGTH_PREFIX_BYTES));
        Some(Submit {
            task: TaskId(self.session | task),
            kind: Echo::ID,
            kernel_version: Echo::KERNEL_VERSION,
            budget_us: Some(30_000_000),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: clock.now(),
            spec: wire::encode(&spec).into(),
            blobs: Vec::new(),
        })
    }

    fn take(&mut self, done: &Done) -> io::Result<()> {
        let Some(run) = &mut self.run else {
            return Err(io::Error::other(format!("{} after its round", done.task)));
        };
        let task = TaskId(done.task.0 ^ self.session);
        let payload = Echo::decode_outcome(&done.outcome).map_err(io::Error::other)?.0;
        let answered = number_of(&payload, run.load.size_bytes - LENGTH_PREFIX_BYTES)? as u64;
        let number = usize::try_from(task.0.wrapping_sub(run.first_task)).unwrap_or(usize::MAX);
        if answered != task.0 {
            return Err(io::Error::other(format!("{task} was answered with the outcome of {answered}")));
        }
        let sent_at = run
            .sent_at
            .get_mut(number)
            .and_then(Option::take)
            .ok_or_else(|| io::Error::other(format!("{task} is not under way")))?;
        run.round.latencies_us.push(sent_at.elapsed().as_secs_f64() * 1e6);
        let stages = &done.receipt.stages;
        run.round.coordinator_us.push(f64::from(stages.coordinator_queue_us) + f64::from(stages.judge_us));
        if run.round.latencies_us.len() == run.load.requests {
            run.round.elapsed = run.start.elapsed();
            if let Some(run) = self.run.take() {
                self.answer(Ok(run.round));
            }
        }
        Ok(())
    }
}
