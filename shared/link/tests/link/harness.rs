//! A coordinator and its clients as Bevy apps with nothing but a link, stepped by tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bevy_app::App;
use bevy_ecs::message::{Message, Messages};
use bevy_time::{Fixed, Time, TimeUpdateStrategy};
use p2c2r_link::{
    ClientLink, ClientLinkConfig, ClientLinkPlugin, ClientTransport, FromPeer, FromServer, GameSide, Grant,
    Impairment, LinkDown, LinkStatus, LinkUp, MemoryHub, Mint, NextWake, PeerJoined, PeerLeft, Peers,
    RateLimit, Reconnect, ServerLinkConfig, ServerLinkPlugin, ServerTransport, Side, ToPeer, ToServer,
    TokenSource, WorkerSide, on_one_thread,
};
use p2c2r_protocol::{
    Digest, GameToServer, KindId, PeerId, ProtocolIdentity, Role, ServerToGame, ServerToWorker, TaskId,
    WorkerToServer,
};

/// The protocol of all programs here.
pub fn identity() -> ProtocolIdentity {
    ProtocolIdentity::new(&[(KindId(1), "path", 1)], Digest([0; 32]))
}

/// Settings that a test may change.
#[derive(Clone)]
pub struct Settings {
    pub identity: ProtocolIdentity,
    pub peers_max: usize,
    pub rate_limit: Option<RateLimit>,
    pub impair: Option<Impairment>,
    pub step: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity: identity(),
            peers_max: 16,
            rate_limit: None,
            impair: None,
            step: Duration::from_millis(1),
        }
    }
}

/// Bevy forgets unread messages after two fixed steps; tests read them when they get to it.
fn keep_messages() -> Time<Fixed> {
    Time::<Fixed>::from_seconds(86_400.0)
}

/// A client's transport over UDP: its tokens come straight from the coordinator's mint.
pub fn udp(mint: &Mint, address: SocketAddr, name: &str) -> ClientTransport {
    ClientTransport::Udp(tokens(mint, address, name))
}

/// A game's tokens, straight from a mint.
pub fn tokens(mint: &Mint, address: SocketAddr, name: &str) -> Arc<dyn TokenSource> {
    Arc::new(mint.source(Grant::of_name(Role::Gamer, name), &identity(), address))
}

/// A coordinator with nothing but a link.
pub fn server(transport: ServerTransport, settings: &Settings) -> App {
    server_with(transport, settings, Mint::new(&settings.identity))
}

/// The same with this mint.
pub fn server_with(transport: ServerTransport, settings: &Settings, mint: Mint) -> App {
    let mut app = App::new();
    app.add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
        transport,
        identity: settings.identity.clone(),
        mint,
        peers_max: settings.peers_max,
        rate_limit: settings.rate_limit,
        impair: None,
    }))
    .insert_resource(TimeUpdateStrategy::ManualDuration(settings.step))
    .insert_resource(keep_messages());
    on_one_thread(&mut app);
    app
}

/// A client with nothing but a link.
pub fn client<S: Side>(transport: ClientTransport, name: &str, settings: &Settings) -> App {
    let mut app = App::new();
    app.add_plugins(ClientLinkPlugin::<S>::new(ClientLinkConfig {
        transport,
        identity: settings.identity.clone(),
        name: name.to_owned(),
        rate_limit: settings.rate_limit,
        impair: settings.impair,
        reconnect: Reconnect::default(),
    }))
    .insert_resource(TimeUpdateStrategy::ManualDuration(settings.step))
    .insert_resource(keep_messages());
    on_one_thread(&mut app);
    app
}

/// A coordinator and clients on one hub, stepped together.
pub struct World {
    pub hub: MemoryHub,
    pub server: App,
    pub games: Vec<App>,
    pub workers: Vec<App>,
    pub settings: Settings,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let hub = MemoryHub::new();
        let server = server(ServerTransport::Memory(hub.clone()), &settings);
        Self { hub, server, games: Vec::new(), workers: Vec::new(), settings }
    }

    /// One game `ann` and one worker `wes`, connected.
    pub fn connected(settings: Settings) -> Self {
        let mut world = Self::new(settings);
        world.add_game("ann");
        world.add_worker("wes");
        world.run_until("both are connected", Duration::from_secs(5), |world| {
            link(&world.games[0]).is_connected()
                && link(&world.workers[0]).is_connected()
                && peers(&world.server).len() == 2
        });
        world
    }

    pub fn add_game(&mut self, name: &str) {
        self.games.push(client::<GameSide>(ClientTransport::Memory(self.hub.clone()), name, &self.settings));
    }

    pub fn add_worker(&mut self, name: &str) {
        self.workers.push(client::<WorkerSide>(
            ClientTransport::Memory(self.hub.clone()),
            name,
            &self.settings,
        ));
    }

    pub fn step(&mut self) {
        for app in self.games.iter_mut().chain(&mut self.workers) {
            app.update();
        }
        self.server.update();
        // What an update leaves to the next is done before time goes on, as under the runner.
        self.server.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
        while self.server.world().resource::<NextWake>().is_due() {
            self.server.update();
        }
        self.server.insert_resource(TimeUpdateStrategy::ManualDuration(self.settings.step));
    }

    pub fn run(&mut self, time: Duration) {
        for _ in 0..time.as_nanos().div_ceil(self.settings.step.as_nanos()) {
            self.step();
        }
    }

    pub fn run_until(&mut self, what: &str, at_most: Duration, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..at_most.as_nanos().div_ceil(self.settings.step.as_nanos()) {
            self.step();
            if is_so(self) {
                return;
            }
        }
        panic!("not within {at_most:?}: {what}");
    }

    /// The peer of this role; the first one if there are several.
    pub fn peer(&self, role: Role) -> PeerId {
        let peers = peers(&self.server);
        let mut found: Vec<_> = peers
            .iter()
            .map(|(peer, _)| peer)
            .filter(|peer| peers.introduction(*peer).is_some_and(|(theirs, _)| theirs == role))
            .collect();
        found.sort_unstable();
        *found.first().unwrap_or_else(|| panic!("no {role} is connected"))
    }
}

pub fn peers(server: &App) -> &Peers {
    server.world().resource::<Peers>()
}

pub fn link(client: &App) -> &ClientLink {
    client.world().resource::<ClientLink>()
}

pub fn status(client: &App) -> LinkStatus {
    link(client).status().clone()
}

/// Takes all messages of a type.
pub fn take<M: Message>(app: &mut App) -> Vec<M> {
    app.world_mut().resource_mut::<Messages<M>>().drain().collect()
}

pub fn say<M: Message>(app: &mut App, message: M) {
    app.world_mut().resource_mut::<Messages<M>>().write(message);
}

pub fn from_games(server: &mut App) -> Vec<FromPeer<GameToServer>> {
    take(server)
}

pub fn from_workers(server: &mut App) -> Vec<FromPeer<WorkerToServer>> {
    take(server)
}

pub fn to_game(server: &mut App, peer: PeerId, message: ServerToGame) {
    say(server, ToPeer { peer, message });
}

pub fn to_worker(server: &mut App, peer: PeerId, message: ServerToWorker) {
    say(server, ToPeer { peer, message });
}

pub fn at_game(game: &mut App) -> Vec<FromServer<ServerToGame>> {
    take(game)
}

pub fn at_worker(worker: &mut App) -> Vec<FromServer<ServerToWorker>> {
    take(worker)
}

pub fn joined(server: &mut App) -> Vec<PeerJoined> {
    take(server)
}

pub fn left(server: &mut App) -> Vec<PeerLeft> {
    take(server)
}

pub fn ups(client: &mut App) -> usize {
    take::<LinkUp>(client).len()
}

pub fn downs(client: &mut App) -> Vec<String> {
    take::<LinkDown>(client).into_iter().map(|down| down.reason.detail).collect()
}

/// The smallest message of a game, numbered.
pub fn cancel(number: u64) -> ToServer<GameToServer> {
    ToServer(GameToServer::Cancel { task: TaskId(number) })
}

/// The number in a [`cancel`].
pub fn number(message: &GameToServer) -> u64 {
    match message {
        GameToServer::Cancel { task } => task.0,
        other => panic!("not a cancel: {other:?}"),
    }
}
