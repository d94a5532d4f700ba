//! Cheats as workers of a cluster: they speak the protocol to the coordinator's own app, and a game that embeds the plugin
//! is given what they answer.

use std::sync::Arc;

use p2c2r_offload::prelude::{Blob, Blobs, TaskKind as _};
use p2c2r_server::ledger::{self, WorkerLine};
use p2c2r_tasks::path::Path;

use super::Trick;
use super::samples::{sample_of, samples};
use crate::cluster::rogue::RogueTrick;
use crate::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding};
use crate::puzzles::{PATH, Puzzle, puzzle_of};

/// Tasks that are asked for at the same time.
const TOGETHER: u64 = 10;

/// A cluster with cheats among its workers.
pub struct CheatedCluster {
    cluster: Cluster,
    trick: Trick,
    honest: u32,
    /// The cheats that are connected.
    cheats: Vec<usize>,
    asked: u64,
}

fn puzzle(number: u64) -> Arc<dyn Puzzle> {
    let spec = Path::decode_spec(&sample_of(number).spec).expect("a sample's spec");
    puzzle_of::<Path>(spec, Blobs::new(vec![Blob::new(samples().grid.clone())]))
}

impl CheatedCluster {
    /// Starts one cheat that plays `trick`, or two that collude, and this many honest workers, all of them new. The cache is
    /// off, since the same tasks repeat.
    pub fn start(wire: ClusterWire, trick: Trick, honest: u32) -> Self {
        let config = ClusterConfig { cache_entries: 0, ..ClusterConfig::new(wire, PATH).unhurried() };
        let cluster = Cluster::start(ClusterConfig { workers: honest as usize, ..config });
        let mut started = Self { cluster, trick, honest, cheats: Vec::new(), asked: 0 };
        for _ in 0..if trick == Trick::Colluding { 2 } else { 1 } {
            started.join();
        }
        started
    }

    /// Another cheat joins, with an account of its own.
    fn join(&mut self) {
        self.cheats.push(self.cluster.add_rogue(RogueTrick::Cheats(self.trick)));
        self.cluster.until_connected(self.honest + self.cheats.len() as u32);
    }

    /// All cheats leave, and as many join under new names.
    pub fn change_identities(&mut self) {
        let cheats = std::mem::take(&mut self.cheats);
        for cheat in &cheats {
            self.cluster.stop_worker(*cheat);
        }
        self.cluster.until_connected(self.honest);
        for _ in &cheats {
            self.join();
        }
    }

    /// Asks for ten tasks and waits for all of them: none may be late or without an outcome. Returns how many were asked for
    /// so far.
    #[track_caller]
    pub fn play(&mut self) -> u64 {
        for number in self.asked..self.asked + TOGETHER {
            self.cluster.ask_puzzle(0, puzzle(number), false);
        }
        self.asked += TOGETHER;
        let endings = self.cluster.until_ended(0, self.asked as usize);
        let is_done = |ending: &OffloadEnding| matches!(ending, OffloadEnding::Done { late: false, .. });
        let fault = endings.iter().find(|(_, ending)| !is_done(ending));
        assert!(fault.is_none(), "{fault:?}");
        self.asked
    }

    /// Wrong outcomes that the game was given.
    pub fn wrong(&mut self) -> usize {
        self.cluster.wrong_outcomes(0)
    }

    /// Tasks given to the cheats that are connected now.
    pub fn seen_by_cheats(&self) -> usize {
        self.cheats.iter().map(|cheat| self.cluster.rogue_has_seen(*cheat)).sum()
    }

    /// The ledger's lines of all cheats that ever joined.
    pub fn cheats(&mut self) -> Vec<WorkerLine> {
        self.lines("rogue")
    }

    /// The ledger's lines of the honest workers.
    pub fn honest(&mut self) -> Vec<WorkerLine> {
        self.lines("worker")
    }

    fn lines(&mut self, name: &str) -> Vec<WorkerLine> {
        // Flushes, and checks that the ledger balances.
        self.cluster.books();
        let known = ledger::workers(&self.cluster.db(), |_| None).expect("a ledger that can be read");
        known.workers.into_iter().filter(|line| line.name.starts_with(name)).collect()
    }
}
