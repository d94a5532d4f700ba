//! The bench's coordinator and worker: the programs' own apps with the echo kind added, each in a process of
//! its own, as in real use.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bevy_app::AppExit;
use p2c2r_join::JoinLink;
use p2c2r_link::{EventDrivenPlugin, ServerTransport};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::{Compute, ServerConfig, default_prices};
use p2c2r_server::join::store::INVITE_USES_MAX;
use p2c2r_server::join::{self, AccountStore, NewInvite, WallSeconds};
use p2c2r_worker::{Execution, WorkerConfig};

use super::echo;
use crate::joining;

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
        compute: Compute::Threads(1),
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

/// Runs a worker for the coordinator of this join link until it is killed.
pub fn worker(link: &str) -> Result<AppExit, Box<dyn std::error::Error>> {
    let config = WorkerConfig {
        name: "bench-worker".into(),
        slots: 1,
        execution: Execution::Threads,
        kinds: echo::kinds(),
        ..WorkerConfig::default()
    };
    let transport = joining::by_link(link, Role::Worker, &config.name, config.kinds.identity())?;
    let mut app = p2c2r_worker::build_app(config, transport)?;
    app.add_plugins(EventDrivenPlugin::default());
    Ok(app.run())
}
