//! A coordinator and a worker in processes of their own, started from this executable (see [`super::roles`]).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::program::Program;

/// Longest wait for the coordinator to listen.
const PATIENCE: Duration = Duration::from_mins(2);

/// Both programs; they end with this.
pub struct Network {
    programs: Vec<Program>,
    address: SocketAddr,
    _directory: TempDir,
}

impl Network {
    /// Starts both, with a ledger in a folder of their own; the worker may still be joining when this returns.
    pub fn start() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let ready = directory.path().join("ready");
        let db = directory.path().join("bench.db");
        let coordinator = Program::in_role(
            "coordinator",
            &["--db".as_ref(), db.as_ref(), "--ready-file".as_ref(), ready.as_ref()],
        )?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut network = Self { programs: vec![coordinator], address, _directory: directory };
        let give_up = Instant::now() + PATIENCE;
        network.address = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break text.trim().parse().map_err(io::Error::other)?;
            }
            if Instant::now() > give_up || network.programs[0].has_ended()? {
                return Err(io::Error::other("the coordinator did not start"));
            }
            std::thread::yield_now();
        };
        let coordinator = network.address.to_string();
        network.programs.push(Program::in_role("worker", &["--coordinator".as_ref(), coordinator.as_ref()])?);
        Ok(network)
    }

    /// Where the coordinator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The programs' process numbers.
    pub fn processes(&self) -> Vec<u32> {
        self.programs.iter().map(Program::id).collect()
    }
}
