//! A coordinator and a worker in processes of their own, started from this executable (see [`super::roles`]).

use std::io;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::program::BenchProgram;
use crate::programs::children;

/// Time-out for the coordinator to listen.
const PATIENCE: Duration = Duration::from_mins(2);

/// Both programs; dropping this ends them.
pub struct Network {
    programs: Vec<BenchProgram>,
    game_link: String,
    worker_link: String,
    _directory: TempDir,
}

impl Network {
    /// Starts both, with a ledger in a temporary folder; the worker may still be joining when this returns.
    pub fn start() -> io::Result<Self> {
        let mut network = Self::without_workers()?;
        network.add_workers(1)?;
        Ok(network)
    }

    /// The same with kernels in the worker's own process.
    pub fn start_unsandboxed() -> io::Result<Self> {
        let mut network = Self::without_workers()?;
        let options = ["--join", &network.worker_link, "--unsandboxed"].map(AsRef::as_ref);
        network.programs.push(BenchProgram::in_role("worker", &options)?);
        Ok(network)
    }

    /// Starts the coordinator alone.
    pub fn without_workers() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let ready = directory.path().join("ready");
        let db = directory.path().join("bench.db");
        let coordinator = BenchProgram::in_role(
            "coordinator",
            &["--db".as_ref(), db.as_ref(), "--ready-file".as_ref(), ready.as_ref()],
        )?;
        let mut network = Self {
            programs: vec![coordinator],
            game_link: String::new(),
            worker_link: String::new(),
            _directory: directory,
        };
        let give_up = Instant::now() + PATIENCE;
        let links = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break text;
            }
            if Instant::now() > give_up || network.programs[0].has_ended()? {
                return Err(io::Error::other("the coordinator did not start"));
            }
            std::thread::yield_now();
        };
        let (game, worker) = links
            .trim()
            .split_once('\n')
            .ok_or_else(|| io::Error::other("the coordinator wrote no join links"))?;
        game.clone_into(&mut network.game_link);
        worker.clone_into(&mut network.worker_link);
        Ok(network)
    }

    /// Starts a process with `count` workers, each with an account of its own; they may still be joining when
    /// this returns.
    pub fn add_workers(&mut self, count: usize) -> io::Result<()> {
        let count = count.to_string();
        let options = ["--join", &self.worker_link, "--count", &count].map(AsRef::as_ref);
        self.programs.push(BenchProgram::in_role("worker", &options)?);
        Ok(())
    }

    /// The join link for games.
    pub fn game_link(&self) -> &str {
        &self.game_link
    }

    /// Process ids of the programs, the coordinator's first, and of their kernel processes.
    pub fn processes(&self) -> Vec<u32> {
        let programs: Vec<u32> = self.programs.iter().map(BenchProgram::id).collect();
        let started = programs.iter().flat_map(|program| children(*program));
        let started: Vec<u32> = started.collect();
        [programs, started].concat()
    }
}
