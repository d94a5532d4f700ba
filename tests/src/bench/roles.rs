//! The bench's coordinator and worker: the programs' own apps with the echo kind added, each in a process of
//! its own, as in real use.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bevy_app::AppExit;
use p2c2r_join::JoinLink;
use p2c2r_link::{EventDrivenPlugin, ServerTransport};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::{ComputeMode, ServerConfig, default_prices};
use p2c2r_server::join::store::INVITE_USES_MAX;
use p2c2r_server::join::{self, AccountStore, JoinLimits, JoinSettings, NewInvite, WallSeconds};
use p2c2r_worker::kernels::{self, Sandbox};
use p2c2r_worker::{Execution, WorkerConfig};

use super::echo;
use crate::joining;

/// Peers per address of this machine: a coordinator lets an address have an eighth of its places.
const PEERS_PER_ADDRESS: usize = 64;

/// The loopback address of peer `number` of a process, so that many peers look like many machines.
pub(super) fn local_address(number: usize) -> IpAddr {
    Ipv4Addr::new(127, (number / PEERS_PER_ADDRESS) as u8, 0, 1).into()
}

/// Limits that let hundreds of accounts join from one machine within a minute, which no real coordinator
/// needs.
fn everybody_from_here() -> JoinLimits {
    JoinLimits { connects_per_minute: 10_000, requests_per_minute: 10_000, ..JoinLimits::default() }
}

/// Credit that no bench run uses up.
const CREDIT: Nanos = Nanos(1_000_000 * Nanos::DOLLAR.0);

/// Runs a coordinator with a ledger at `db` until it is killed; writes a join link for games and one for workers to
/// `ready_file`, a line each.
pub fn coordinator(db: PathBuf, ready_file: PathBuf) -> Result<AppExit, Box<dyn std::error::Error>> {
    let (socket, listener) = join::bind_both(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let kinds = echo::kinds();
    let config = ServerConfig {
        listen: socket.local_addr()?,
        data_dir: db.with_extension("data"),
        db,
        prices: default_prices(&kinds),
        kinds,
        compute: ComputeMode::Threads(1),
        join: JoinSettings { limits: everybody_from_here(), ..JoinSettings::default() },
        ..ServerConfig::default()
    };
    let mut app = p2c2r_server::build_app(config.clone(), ServerTransport::Udp(socket))?;
    app.add_plugins(EventDrivenPlugin::default());
    let way_in = join::let_people_in(&mut app, &config, listener)?;
    let mut store = AccountStore::open(&config.data_dir)?;
    let mut links = String::new();
    for (role, credit) in [(Role::Gamer, CREDIT), (Role::Worker, Nanos::ZERO)] {
        let expires_in = Duration::from_hours(24);
        let invite = NewInvite { role, label: None, uses: INVITE_USES_MAX, expires_in, credit };
        let invite = Some(store.invite(&invite, WallSeconds::now())?);
        writeln!(links, "{}", JoinLink { invite, ..way_in.link().clone() })?;
    }
    let partial = ready_file.with_extension("partial");
    std::fs::write(&partial, links)?;
    std::fs::rename(&partial, &ready_file)?;
    let exit = app.run();
    drop(way_in);
    Ok(exit)
}

/// Runs a kernel process of a worker until the worker is gone.
pub fn kernel() {
    // The worker does not read how it ended.
    let _ = kernels::serve(&echo::kinds());
}

/// Runs `count` workers, each on a thread and with an account of its own, for the coordinator of this join
/// link until they are killed; with kernels in processes of their own, or unsandboxed in this one.
pub fn workers(link: &str, count: usize, unsandboxed: bool) -> Result<(), Box<dyn std::error::Error>> {
    std::thread::scope(|scope| {
        for number in 1..count {
            scope.spawn(move || {
                worker(link, number, unsandboxed).map(drop).map_err(|error| error.to_string())
            });
        }
        worker(link, 0, unsandboxed).map(drop)
    })
}

fn worker(link: &str, number: usize, unsandboxed: bool) -> Result<AppExit, Box<dyn std::error::Error>> {
    let execution = if unsandboxed {
        Execution::Threads
    } else {
        let arguments = vec!["--role".into(), "kernel".into()];
        Execution::Processes(Sandbox { arguments, ..Sandbox::of_this_program(std::env::temp_dir())? })
    };
    let config = WorkerConfig {
        name: "bench-worker".into(),
        slots: 1,
        execution,
        kinds: echo::kinds(),
        ..WorkerConfig::default()
    };
    let identity = config.kinds.identity();
    let transport = joining::by_link_from(local_address(number), link, Role::Worker, &config.name, identity)?;
    let mut app = p2c2r_worker::build_app(config, transport)?;
    app.add_plugins(EventDrivenPlugin::default());
    Ok(app.run())
}
