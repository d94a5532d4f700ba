//! The bench's coordinator and worker: the programs' own apps with the echo kind added, each in a process of
//! its own, as in real use.

use std::net::SocketAddr;
use std::path::PathBuf;

use bevy_app::AppExit;
use p2c2r_link::{EventDrivenPlugin, ServerTransport, bind_server};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::{Compute, ServerConfig, default_prices};
use p2c2r_worker::{Execution, WorkerConfig};

use super::echo;
use crate::joining;

/// Credit that no bench run uses up.
const CREDIT: Nanos = Nanos(1_000_000 * Nanos::DOLLAR.0);

/// Runs a coordinator with a ledger at `db` until it is killed; writes its address to `ready_file`.
pub fn coordinator(db: PathBuf, ready_file: PathBuf) -> Result<AppExit, Box<dyn std::error::Error>> {
    let socket = bind_server(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = socket.local_addr()?;
    let kinds = echo::kinds();
    let config = ServerConfig {
        listen: address,
        db,
        prices: default_prices(&kinds),
        kinds,
        opening_credit: CREDIT,
        compute: Compute::Threads(1),
        ..ServerConfig::default()
    };
    let mut app = p2c2r_server::build_app(config, ServerTransport::Udp(socket))?;
    app.add_plugins(EventDrivenPlugin::default());
    let partial = ready_file.with_extension("partial");
    std::fs::write(&partial, address.to_string())?;
    std::fs::rename(&partial, &ready_file)?;
    Ok(app.run())
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
