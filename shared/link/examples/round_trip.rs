//! Measures the link itself: game -> coordinator -> worker -> coordinator -> game with 256 bytes, each program
//! a Bevy app on its own thread under the event-driven runner, beside four plain UDP hops in the same run.
//!
//! `cargo run --release -p p2c2r_link --example round_trip [-- --seconds 3 | --idle | --crowd | --updates]`

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::{MessageReader, MessageWriter, Messages};
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Local, Res, ResMut};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    ClientLinkConfig, ClientLinkPlugin, ClientTransport, EventDrivenPlugin, FromPeer, FromServer, GameSide,
    Grant, LinkUp, MemoryHub, Mint, NextWake, PeerJoined, Reconnect, ServerLinkConfig, ServerLinkPlugin,
    ServerTransport, Side, ToPeer, ToServer, WorkerSide, bind_server,
};
use p2c2r_protocol::{
    Answer, Assign, Attempt, Digest, Done, GameToServer, KindId, Micros, Nanos, PeerId, ProtocolIdentity,
    Receipt, Role, ServerToGame, ServerToWorker, Submit, TaskId, TaskNo, WorkerToServer,
};

const BYTES: usize = 256;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut seconds = 3;
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            seconds = arguments.next().and_then(|value| value.parse().ok()).unwrap_or(seconds);
        } else if argument == "--idle" {
            return idle();
        } else if argument == "--crowd" {
            return crowd();
        } else if argument == "--updates" {
            return updates();
        }
    }
    let time = Duration::from_secs(seconds);
    println!("{:<12} {:>10} {:>10} {:>10} {:>14}", "", "in flight", "p50 us", "p99 us", "round trips/s");
    for in_flight in [1, 64] {
        report("udp-floor", in_flight, udp_floor(in_flight, time), time);
        report("p2c2r-link", in_flight, through_link(in_flight, time), time);
    }
}

fn report(name: &str, in_flight: usize, mut times: Vec<Duration>, time: Duration) {
    assert!(!times.is_empty(), "{name}: nothing came back");
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let rate = times.len() as f64 / time.as_secs_f64();
    println!("{name:<12} {in_flight:>10} {:>10.0} {:>10.0} {rate:>14.0}", at(0.5), at(0.99));
}

// Four plain hops: two echo threads that pass packets on, and the measuring one.
fn udp_floor(in_flight: usize, time: Duration) -> Vec<Duration> {
    let bind = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
        socket
    };
    let (game, server, worker) = (bind(), bind(), bind());
    let addresses = [&game, &server, &worker].map(|socket| socket.local_addr().expect("bound"));
    let [game_at, server_at, worker_at] = addresses;
    let server = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((bytes, from)) = server.recv_from(&mut buffer) {
            let to = if from == game_at { worker_at } else { game_at };
            let _ = server.send_to(&buffer[..bytes], to);
        }
    });
    let worker = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((bytes, _)) = worker.recv_from(&mut buffer) {
            let _ = worker.send_to(&buffer[..bytes], server_at);
        }
    });
    let start = Instant::now();
    let send = |number: u64| {
        let mut packet = [0; BYTES];
        packet[..8].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_le_bytes());
        packet[8..16].copy_from_slice(&number.to_le_bytes());
        let _ = game.send_to(&packet, server_at);
    };
    (0..in_flight as u64).for_each(send);
    let mut times = Vec::new();
    let mut buffer = [0; 2048];
    while start.elapsed() < time {
        let Ok(_) = game.recv(&mut buffer) else {
            send(0);
            continue;
        };
        let sent = u64::from_le_bytes(buffer[..8].try_into().expect("eight bytes"));
        times.push(start.elapsed().saturating_sub(Duration::from_nanos(sent)));
        send(0);
    }
    let _ = (server.join(), worker.join());
    times
}

fn identity() -> ProtocolIdentity {
    ProtocolIdentity::new(&[(KindId(1), "bench", 1)], Digest([0; 32]))
}

fn server_app(socket: UdpSocket, mint: Mint) -> App {
    let mut app = App::new();
    app.add_plugins((
        EventDrivenPlugin::default(),
        ServerLinkPlugin::new(ServerLinkConfig {
            transport: ServerTransport::Udp(socket),
            identity: identity(),
            mint,
            peers_max: 1_024,
            rate_limit: None,
            impair: None,
        }),
    ));
    app
}

fn client_app<S: Side>(server: SocketAddr, mint: &Mint, name: &str) -> App {
    let tokens = mint.source(Grant::of_name(S::ROLE, name), &identity(), server);
    let mut app = App::new();
    app.add_plugins((
        EventDrivenPlugin::default(),
        ClientLinkPlugin::<S>::new(ClientLinkConfig {
            transport: ClientTransport::Udp(Arc::new(tokens)),
            identity: identity(),
            name: name.to_owned(),
            rate_limit: None,
            impair: None,
            reconnect: Reconnect::default(),
        }),
    ));
    app
}

#[derive(Resource, Clone)]
struct Until(Instant);

fn exit_in_time(until: Res<'_, Until>, mut next: ResMut<'_, NextWake>, mut exit: MessageWriter<'_, AppExit>) {
    match until.0.checked_duration_since(Instant::now()) {
        Some(left) => next.within(left),
        None => drop(exit.write(AppExit::Success)),
    }
}

#[derive(Resource, Clone, Default)]
struct Times(Arc<Mutex<Vec<Duration>>>);

/// Tasks the game keeps in flight, and when each began.
#[derive(Resource)]
struct InFlight {
    begun: Vec<Option<Instant>>,
    is_up: bool,
}

fn through_link(in_flight: usize, time: Duration) -> Vec<Duration> {
    let socket = bind_server(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
    let address = socket.local_addr().expect("bound");
    let until = Until(Instant::now() + time + Duration::from_millis(300));
    let times = Times::default();
    let mint = Mint::new(&identity());
    let threads = [
        thread::spawn({
            let (until, mint) = (until.clone(), mint.clone());
            move || {
                let mut app = server_app(socket, mint);
                app.insert_resource(until).add_systems(Update, (forward, exit_in_time));
                app.run();
            }
        }),
        thread::spawn({
            let (until, mint) = (until.clone(), mint.clone());
            move || {
                let mut app = client_app::<WorkerSide>(address, &mint, "worker");
                app.insert_resource(until).add_systems(Update, (work, exit_in_time));
                app.run();
            }
        }),
        thread::spawn({
            let times = times.clone();
            move || {
                // The worker starts first, so that the first task finds one.
                thread::sleep(Duration::from_millis(300));
                let mut app = client_app::<GameSide>(address, &mint, "game");
                app.insert_resource(until)
                    .insert_resource(times)
                    .insert_resource(InFlight { begun: vec![None; in_flight], is_up: false })
                    .add_systems(Update, (play, exit_in_time));
                app.run();
            }
        }),
    ];
    for thread in threads {
        let _ = thread.join();
    }
    std::mem::take(&mut *times.0.lock().expect("no panic"))
}

fn play(
    times: Res<'_, Times>,
    mut tasks: ResMut<'_, InFlight>,
    mut ups: MessageReader<'_, '_, LinkUp>,
    mut outcomes: ResMut<'_, Messages<FromServer<ServerToGame>>>,
    mut submits: MessageWriter<'_, ToServer<GameToServer>>,
) {
    tasks.is_up |= ups.read().count() > 0;
    if !tasks.is_up {
        return;
    }
    for FromServer { message, .. } in outcomes.drain() {
        let ServerToGame::Done(done) = message else { continue };
        assert_eq!(done.outcome.len(), BYTES);
        if let Some(begun) = tasks.begun[done.task.0 as usize].take() {
            times.0.lock().expect("no panic").push(begun.elapsed());
        }
    }
    for (number, begun) in tasks.begun.iter_mut().enumerate().filter(|(_, begun)| begun.is_none()) {
        *begun = Some(Instant::now());
        submits.write(ToServer(GameToServer::Submit(Submit {
            task: TaskId(number as u64),
            kind: KindId(1),
            kernel_version: 1,
            budget_us: None,
            price_cap: Nanos(0),
            client_queue_us: 0,
            sent_at: Micros(0),
            spec: vec![7; BYTES].into(),
            blobs: Vec::new(),
        })));
    }
}

fn work(
    mut assigned: ResMut<'_, Messages<FromServer<ServerToWorker>>>,
    mut answers: MessageWriter<'_, ToServer<WorkerToServer>>,
) {
    for FromServer { message, received_at } in assigned.drain() {
        let ServerToWorker::Assign(assign) = message else { continue };
        answers.write(ToServer(WorkerToServer::Answer(Answer {
            task: assign.task,
            attempt: assign.attempt,
            result: Ok(assign.spec),
            received_at,
            started_at: received_at,
            finished_at: received_at,
        })));
    }
}

fn forward(
    mut peers: Local<'_, [Option<PeerId>; 2]>,
    mut receipt: Local<'_, Option<Receipt>>,
    mut joined: ResMut<'_, Messages<PeerJoined>>,
    mut submits: ResMut<'_, Messages<FromPeer<GameToServer>>>,
    mut answers: ResMut<'_, Messages<FromPeer<WorkerToServer>>>,
    mut to_games: MessageWriter<'_, ToPeer<ServerToGame>>,
    mut to_workers: MessageWriter<'_, ToPeer<ServerToWorker>>,
) {
    for peer in joined.drain() {
        peers[usize::from(peer.role == Role::Worker)] = Some(peer.peer);
    }
    let receipt = receipt.get_or_insert_with(|| {
        let samples = p2c2r_protocol::identity::samples_of_server_to_game();
        let done = samples.into_iter().find_map(|message| match message {
            ServerToGame::Done(done) => Some(done.receipt),
            _ => None,
        });
        done.expect("there is a sample of every message")
    });
    let [Some(game), Some(worker)] = *peers else { return };
    for FromPeer { message, .. } in submits.drain() {
        let GameToServer::Submit(submit) = message else { continue };
        to_workers.write(ToPeer {
            peer: worker,
            message: ServerToWorker::Assign(Assign {
                task: TaskNo(submit.task.0),
                attempt: Attempt(1),
                kind: submit.kind,
                lease_us: 100_000,
                spec: submit.spec,
                blobs: Vec::new(),
            }),
        });
    }
    for FromPeer { message, .. } in answers.drain() {
        let WorkerToServer::Answer(Answer { task, result: Ok(outcome), .. }) = message else { continue };
        let message = ServerToGame::Done(Done { task: TaskId(task.0), outcome, receipt: receipt.clone() });
        to_games.write(ToPeer { peer: game, message });
    }
}

/// The three programs on one thread and a memory hub: the cost of one update with one message in and one out.
fn updates() {
    let hub = MemoryHub::new();
    let times = Times::default();
    let mut apps = [App::new(), App::new(), App::new()];
    apps[0].add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
        transport: ServerTransport::Memory(hub.clone()),
        identity: identity(),
        mint: Mint::new(&identity()),
        peers_max: 16,
        rate_limit: None,
        impair: None,
    }));
    let client = |name: &str| ClientLinkConfig {
        transport: ClientTransport::Memory(hub.clone()),
        identity: identity(),
        name: name.to_owned(),
        rate_limit: None,
        impair: None,
        reconnect: Reconnect::default(),
    };
    apps[1].add_plugins(ClientLinkPlugin::<WorkerSide>::new(client("worker")));
    apps[2].add_plugins(ClientLinkPlugin::<GameSide>::new(client("game")));
    apps[0].add_systems(Update, forward);
    apps[1].add_systems(Update, work);
    apps[2]
        .insert_resource(times.clone())
        .insert_resource(InFlight { begun: vec![None; 1], is_up: false })
        .add_systems(Update, play);
    for app in &mut apps {
        app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_micros(100)));
    }
    let mut spin = |rounds: usize| {
        let start = Instant::now();
        for _ in 0..rounds {
            // In the order of the message's path.
            for at in [2, 0, 1, 0] {
                apps[at].update();
            }
        }
        start.elapsed() / (4 * rounds as u32)
    };
    spin(20_000);
    let before = times.0.lock().expect("no panic").len();
    let cost = spin(50_000);
    let trips = times.0.lock().expect("no panic").len() - before;
    println!("{trips} round trips of 4 updates each, {:.2} us per update", cost.as_secs_f64() * 1e6);
}

/// A coordinator and one idle worker for ten seconds; prints what share of one core the whole process used.
fn idle() {
    let socket = bind_server(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
    let address = socket.local_addr().expect("bound");
    let until = Until(Instant::now() + Duration::from_secs(13));
    let idle_app = |mut app: App, until: Until| {
        app.insert_resource(until).add_systems(Update, (exit_in_time, count).chain()).run()
    };
    let mint = Mint::new(&identity());
    let server = thread::spawn({
        let (until, mint) = (until.clone(), mint.clone());
        move || idle_app(server_app(socket, mint), until)
    });
    let worker = thread::spawn(move || idle_app(client_app::<WorkerSide>(address, &mint, "worker"), until));
    thread::sleep(Duration::from_secs(2));
    let before = cpu_ticks();
    thread::sleep(Duration::from_secs(10));
    let ticks = cpu_ticks() - before;
    println!(
        "both programs together: {ticks} ticks of 10 ms in 10 s = {:.2} % of a core",
        ticks as f64 / 10.0
    );
    let _ = (server.join(), worker.join());
}

/// A coordinator and as many idle workers as one address may have, for ten seconds; prints what share of one
/// core the coordinator's thread used for each of them.
fn crowd() {
    const WORKERS: usize = 128;
    let socket = bind_server(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
    let address = socket.local_addr().expect("bound");
    let until = Until(Instant::now() + Duration::from_secs(17));
    let mint = Mint::new(&identity());
    let (tell, told) = std::sync::mpsc::channel();
    let server = thread::spawn({
        let (until, mint) = (until.clone(), mint.clone());
        move || {
            let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
            tell.send(std::path::Path::new("/proc").join(thread).join("schedstat")).expect("a listener");
            let mut app = server_app(socket, mint);
            app.insert_resource(until).add_systems(Update, (exit_in_time, count).chain());
            p2c2r_link::headless(&mut app);
            app.run();
        }
    });
    let statistics = told.recv().expect("a thread");
    let spent = || {
        let text = std::fs::read_to_string(&statistics).unwrap_or_default();
        text.split_ascii_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default()
    };
    let mut workers: Vec<App> = (0..WORKERS)
        .map(|number| client_app::<WorkerSide>(address, &mint, &format!("worker {number}")))
        .collect();
    let (start, mut before) = (Instant::now(), None);
    while start.elapsed() < Duration::from_secs(15) {
        workers.iter_mut().for_each(App::update);
        if before.is_none() && start.elapsed() >= Duration::from_secs(5) {
            before = Some(spent());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let nanos = spent() - before.unwrap_or_default();
    let share = nanos as f64 / 10e9;
    println!(
        "{WORKERS} idle workers: {:.2} % of a core, {:.4} % for each",
        share * 100.0,
        share * 100.0 / WORKERS as f64
    );
    let _ = server.join();
}

fn count(mut updates: Local<'_, u64>, exit: MessageReader<'_, '_, AppExit>) {
    *updates += 1;
    if !exit.is_empty() {
        println!("{} updates in all", *updates);
    }
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    number(11) + number(12)
}
