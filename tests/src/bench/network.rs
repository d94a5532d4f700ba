//! A coordinator and a worker in processes of their own, started from this executable (see [`super::roles`]).

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait for the coordinator to listen.
const PATIENCE: Duration = Duration::from_mins(2);

/// Both programs; they end with this.
pub struct Network {
    programs: Vec<Child>,
    address: SocketAddr,
    _directory: TempDir,
}

impl Network {
    /// Starts both, with a ledger in a folder of their own; the worker may still be joining when this returns.
    pub fn start() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let ready = directory.path().join("ready");
        let me = std::env::current_exe()?;
        let coordinator = Command::new(&me)
            .args(["--role", "coordinator", "--db"])
            .arg(directory.path().join("bench.db"))
            .arg("--ready-file")
            .arg(&ready)
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut network = Self { programs: vec![coordinator], address, _directory: directory };
        let give_up = Instant::now() + PATIENCE;
        network.address = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break text.trim().parse().map_err(io::Error::other)?;
            }
            if Instant::now() > give_up || network.programs[0].try_wait()?.is_some() {
                return Err(io::Error::other("the coordinator did not start"));
            }
            std::thread::yield_now();
        };
        let mut worker = Command::new(&me);
        worker.args(["--role", "worker", "--coordinator", &network.address.to_string()]);
        network.programs.push(worker.spawn()?);
        Ok(network)
    }

    /// Where the coordinator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The programs' process numbers.
    pub fn processes(&self) -> Vec<u32> {
        self.programs.iter().map(Child::id).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}
