//! How a cluster is set up.

use std::time::Duration;

use p2c2r_link::Impairment;
use p2c2r_offload::prelude::*;
use p2c2r_server::ServerConfig;
use p2c2r_server::config::{Fallback, TrustRules};
use p2c2r_tasks::KindRegistry;

use crate::puzzles::PuzzleKind;

/// The network between a cluster's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterWire {
    /// A network in memory and manual time.
    Memory,
    /// Loopback sockets and real time.
    Udp,
}

/// The configuration of a cluster.
#[derive(Clone)]
pub struct ClusterConfig {
    /// Its transport.
    pub wire: ClusterWire,
    /// The kind of the tasks that its games ask for, unless a call names another.
    pub kind: PuzzleKind,
    /// Games at the start.
    pub games: usize,
    /// Workers at the start.
    pub workers: usize,
    /// What the coordinator does without workers.
    pub fallback: Fallback,
    /// How the coordinator checks answers.
    pub trust: TrustRules,
    /// Most outcomes that the coordinator keeps in memory for reuse.
    pub cache_entries: usize,
    /// The network of every game.
    pub impair_games: Option<Impairment>,
    /// The network of every worker.
    pub impair_workers: Option<Impairment>,
    /// The coordinator's kinds; games and workers have the shipped ones.
    pub coordinator_kinds: KindRegistry,
    /// How games treat tasks of a kind.
    pub settings: fn(PuzzleKind) -> KindSettings,
}

impl ClusterConfig {
    /// One game that asks for tasks of `kind`, and one worker, over `wire`, with a second for each task.
    pub fn new(wire: ClusterWire, kind: PuzzleKind) -> Self {
        Self {
            wire,
            kind,
            games: 1,
            workers: 1,
            fallback: Fallback::Compute,
            trust: TrustRules::default(),
            cache_entries: ServerConfig::default().cache_entries_max,
            impair_games: None,
            impair_workers: None,
            coordinator_kinds: KindRegistry::builtin(),
            settings: |_| KindSettings { deadline: Duration::from_secs(1), ..KindSettings::default() },
        }
    }

    /// The same with this network for all games and workers.
    #[must_use]
    pub fn impaired(self, impairment: Impairment) -> Self {
        Self { impair_games: Some(impairment), impair_workers: Some(impairment), ..self }
    }

    /// The same with twenty seconds for each task: long enough for workers to do them all, also on a busy machine.
    #[must_use]
    pub fn unhurried(self) -> Self {
        let settings = |_| KindSettings { deadline: Duration::from_secs(20), ..KindSettings::default() };
        Self { settings, ..self }
    }
}
