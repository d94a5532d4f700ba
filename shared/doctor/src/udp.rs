//! The link over UDP, as game and worker have it, held for some seconds and measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::MessageWriter;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::ResMut;
use p2c2r_join::JoinClient;
use p2c2r_link::{
    ClientLink, ClientLinkConfig, ClientLinkPlugin, ClientTransport, EventDrivenPlugin, GameSide, LinkStatus,
    NextWake, PeerStats, Reconnect, WorkerSide, headless,
};
use p2c2r_protocol::{ProtocolIdentity, Role};

/// How long a connection may take to come about: the link gives one try 2.5 seconds, and the first may be lost.
const CONNECT_MAX: Duration = Duration::from_secs(8);

/// What became of a connection.
#[derive(Clone, Debug, Default)]
pub struct HeldPort {
    /// How long connecting took; `None` if it failed.
    pub connected_after: Option<Duration>,
    /// What was measured.
    pub stats: PeerStats,
    /// Times it was lost.
    pub losses: u32,
    /// Why it failed or was lost, as far as the link knows.
    pub problem: Option<String>,
}

#[derive(Resource)]
struct Watch {
    began: Instant,
    measure: Duration,
    was_connected: bool,
    held: HeldPort,
    result: Arc<Mutex<HeldPort>>,
}

/// Connects from a port of its own, holds the connection for `measure` with the heartbeats of a program that has tasks out,
/// and leaves.
pub fn hold(client: &JoinClient, role: Role, identity: &ProtocolIdentity, measure: Duration) -> HeldPort {
    let result: Arc<Mutex<HeldPort>> = Arc::default();
    let config = ClientLinkConfig {
        transport: ClientTransport::Udp(Arc::new(client.clone())),
        identity: identity.clone(),
        name: "doctor".to_owned(),
        rate_limit: None,
        impair: None,
        reconnect: Reconnect::default(),
    };
    let mut app = App::new();
    match role {
        Role::Gamer => app.add_plugins(ClientLinkPlugin::<GameSide>::new(config)),
        Role::Worker => app.add_plugins(ClientLinkPlugin::<WorkerSide>::new(config)),
    };
    app.add_plugins(EventDrivenPlugin::default())
        .insert_resource(Watch {
            began: Instant::now(),
            measure,
            was_connected: false,
            held: HeldPort::default(),
            result: Arc::clone(&result),
        })
        .add_systems(Update, watch);
    headless(&mut app);
    app.run();
    let held = result.lock().unwrap_or_else(PoisonError::into_inner);
    held.clone()
}

fn watch(
    mut watch: ResMut<'_, Watch>,
    mut link: ResMut<'_, ClientLink>,
    mut next_wake: ResMut<'_, NextWake>,
    mut exit: MessageWriter<'_, AppExit>,
) {
    let since = watch.began.elapsed();
    let is_connected = link.is_connected();
    if is_connected && watch.held.connected_after.is_none() {
        watch.held.connected_after = Some(since);
        link.mark_busy(true);
    }
    if watch.was_connected && !is_connected {
        watch.held.losses += 1;
    }
    watch.was_connected = is_connected;
    if is_connected {
        watch.held.stats = link.stats().clone();
    } else {
        watch.held.problem = match link.status() {
            LinkStatus::Refused { reason } => Some(reason.detail.clone()),
            _ => link.problem().map(|problem| problem.detail.clone()),
        };
    }
    let is_over = match watch.held.connected_after {
        Some(after) => since >= after + watch.measure,
        None => since >= CONNECT_MAX || matches!(link.status(), LinkStatus::Refused { .. }),
    };
    if is_over {
        link.disconnect();
        *watch.result.lock().unwrap_or_else(PoisonError::into_inner) = watch.held.clone();
        exit.write(AppExit::Success);
    }
    next_wake.within(Duration::from_millis(20));
}
