//! The coordinator's desk: what the systems that move tasks along have in common.
//!
//! The verbs live where the thing they do lives: [`crate::settle`] ends tasks, [`crate::leases`] ends
//! attempts, [`crate::fallback`] starts the own kernel, [`crate::matching`] hands out.

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut, SystemParam};
use p2c2r_link::{LinkClock, Peers, ToPeer};
use p2c2r_protocol::{FeeCarry, Micros, Nanos, PeerId, ServerToGame, ServerToWorker};

use crate::books::Books;
use crate::busy::NewlyBusy;
use crate::cache::OutcomeCache;
use crate::compute::Pool;
use crate::config::ServerConfig;
use crate::fallback::OwnKernel;
use crate::leases::Leases;
use crate::registry::Workers;
use crate::sessions::Gamers;
use crate::table::TaskTable;
use crate::trust::Trust;

/// The settings, as systems read them.
#[derive(Resource)]
pub struct Settings(pub ServerConfig);

/// What has happened since the start, in counts.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What of the fee is too little to be charged yet; lost, less than a nano-dollar, with a restart.
    pub fee_carry: FeeCarry,
    /// Tasks admitted.
    pub admitted: u64,
    /// Tasks refused.
    pub refused: u64,
    /// Tasks done by workers.
    pub by_workers: u64,
    /// Tasks done by the coordinator's own kernel.
    pub by_coordinator: u64,
    /// Tasks answered from the cache.
    pub from_cache: u64,
    /// Admitted tasks without an outcome.
    pub failed: u64,
    /// Answers that failed a check.
    pub rejected: u64,
    /// Answers to attempts their sender did not hold: late, repeated or forged.
    pub stray: u64,
    /// Attempts handed out again after one that came to nothing.
    pub repeated: u64,
    /// Charged for finished tasks.
    pub revenue: Nanos,
    /// The coordinator's share of it.
    pub fee: Nanos,
}

impl Tally {
    /// Tasks done.
    pub fn completed(&self) -> u64 {
        self.by_workers + self.by_coordinator + self.from_cache
    }
}

/// Everything a task can touch on its way.
#[derive(SystemParam)]
pub struct Desk<'w> {
    /// Tasks in flight.
    pub tasks: ResMut<'w, TaskTable>,
    /// Gamers.
    pub gamers: ResMut<'w, Gamers>,
    /// Workers.
    pub workers: ResMut<'w, Workers>,
    /// The ledger.
    pub books: ResMut<'w, Books>,
    /// When leases and waits are over.
    pub leases: ResMut<'w, Leases>,
    /// Outcomes to reuse.
    pub cache: ResMut<'w, OutcomeCache>,
    /// The compute pool.
    pub pool: ResMut<'w, Pool>,
    /// How fast the own kernel is.
    pub own: ResMut<'w, OwnKernel>,
    /// Who may work.
    pub trust: ResMut<'w, Trust>,
    /// Who has got tasks out.
    pub busy: ResMut<'w, NewlyBusy>,
    /// Counts.
    pub tally: ResMut<'w, Tally>,
    /// Settings.
    pub settings: Res<'w, Settings>,
    /// Connections.
    pub peers: Res<'w, Peers>,
    clock: Res<'w, LinkClock>,
    to_games: ResMut<'w, Messages<ToPeer<ServerToGame>>>,
    to_workers: ResMut<'w, Messages<ToPeer<ServerToWorker>>>,
}

impl Desk<'_> {
    /// The coordinator's clock.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Sends a message to a game.
    pub fn tell_game(&mut self, peer: PeerId, message: ServerToGame) {
        self.to_games.write(ToPeer { peer, message });
    }

    /// Sends a message to a worker.
    pub fn tell_worker(&mut self, peer: PeerId, message: ServerToWorker) {
        self.to_workers.write(ToPeer { peer, message });
    }
}
