//! The coordinator's app: its plugins and resources.

use std::path::Path;

use bevy_app::{App, Last, Plugin, Startup, Update};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};
use bevy_time::TimePlugin;
use p2c2r_link::{Mint, ServerLinkConfig, ServerLinkPlugin, ServerTransport};
use p2c2r_program::settings;
use p2c2r_protocol::TaskNo;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::compute::Pool;
use crate::config::{ComputeMode, ServerConfig, ServerSettings};
use crate::core::{Core, Event};
use crate::drain::{DrainPhase, Shutdown};
use crate::error::ServerError;
use crate::ledger::{Ledger, LedgerOptions, OnFailure};
use crate::ledger_client::{self, LedgerClient};
use crate::peers::joins::Joining;
use crate::peers::{self, Recalls, Scheduler};
use crate::recording::{Header, Recorder};
use crate::restart;
use crate::status;
use crate::waking::{LateWaker, bind_waker};

/// The coordinator's own system, in `Update`, between the link's receive and send sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub struct CoordinatorSystems;

/// All of the coordinator except the link and the ledger.
pub struct CoordinatorPlugins {
    /// Its settings.
    pub config: ServerConfig,
}

impl Plugin for CoordinatorPlugins {
    fn build(&self, app: &mut App) {
        let config = self.config.clone();
        app.insert_resource(Joining::default())
            .insert_resource(DrainPhase::default())
            .insert_resource(ServerSettings(config));
        app.add_systems(Update, peers::update.in_set(CoordinatorSystems));
        app.add_systems(Last, ledger_client::apply_back_pressure);
    }
}

/// Builds the coordinator over the given transport; its [`Mint`] is a resource of the app. Tests build the very same app with a
/// [`MemoryHub`](p2c2r_link::MemoryHub) and manual time; the program adds
/// [`EventDrivenPlugin`](p2c2r_link::EventDrivenPlugin) and runs it.
pub fn build_app(config: ServerConfig, transport: ServerTransport) -> Result<App, ServerError> {
    config.validate()?;
    let mut app = App::new();
    let waker = LateWaker::default();
    app.insert_resource(waker.clone());
    app.add_plugins(TimePlugin);
    app.add_systems(Startup, bind_waker);
    let identity = config.kinds.identity();
    let mint = Mint::new(&identity);
    app.insert_resource(mint.clone());
    app.add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
        transport,
        identity,
        mint,
        peers_max: config.peers_max,
        rate_limit: config.rate_limit,
        impair: config.impair,
    }));
    let ledger = open_ledger(&config, waker.clone())?;
    let pool = Pool::new(config.compute, config.compute_queue_max, &waker)?;
    let (next_task, seed) = (ledger.next_task_no(), seed(&config));
    let recorder = config.record.as_deref().map(|path| record(path, &config, next_task, seed)).transpose()?;
    let core = Core::new(config.policy(), next_task, seed);
    let mut meter = status::add_to(&mut app, &config, waker.clone());
    let found = restart::found(&ledger)?;
    for (_, event) in &found {
        if let Event::Requeued { task, .. } = event {
            meter.goes_on(task);
        }
    }
    let client = LedgerClient::new(ledger.clone(), waker.clone());
    let mut scheduler = Scheduler::new(core, recorder, client, pool, meter);
    scheduler.take_over(found);
    app.insert_resource(scheduler);
    let reader = ledger.read_outcomes({
        let waker = waker.clone();
        move || waker.wake()
    })?;
    app.insert_resource(Recalls::new(reader, config.compute == ComputeMode::Inline));
    app.insert_resource(Shutdown::new(waker));
    app.add_plugins(CoordinatorPlugins { config });
    app.insert_resource(ledger);
    p2c2r_link::headless(&mut app);
    Ok(app)
}

/// Begins the recording of a scheduler with these settings.
fn record(
    path: &Path,
    config: &ServerConfig,
    next_task: TaskNo,
    seed: [u8; 32],
) -> Result<Recorder, ServerError> {
    let policy = config.policy();
    let shown = settings::shown(config);
    let compute = (policy.compute_threads as u64, policy.compute_waiting_max as u64);
    let header = Header { settings: shown, prices: policy.prices, compute, seed, next_task: next_task.0 };
    Ok(Recorder::begin(path, &config.kinds.identity(), &header)?)
}

/// The seed of the core's draws: from the settings, or from the system.
fn seed(config: &ServerConfig) -> [u8; 32] {
    let Some(chosen) = config.seed else {
        return StdRng::from_os_rng().random();
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&chosen.to_le_bytes());
    seed
}

fn open_ledger(config: &ServerConfig, waker: LateWaker) -> Result<Ledger, ServerError> {
    let options =
        LedgerOptions { on_failure: OnFailure::new(move || waker.wake()), ..config.ledger_options() };
    // No wake-up on commit: commits are collected once a second, and every append reports a failure.
    Ok(Ledger::open(&config.db, options, || {})?)
}
