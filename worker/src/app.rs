//! The worker's app: its resources and its system.

use bevy_app::{App, Startup, Update};
use bevy_ecs::schedule::{IntoScheduleConfigs as _, SystemSet};
use bevy_time::TimePlugin;
use p2c2r_link::{ClientLinkConfig, ClientLinkPlugin, ClientTransport, WorkerSide, headless};
use p2c2r_protocol::WorkerOffer;

use crate::attempts::{Attempts, Offer};
use crate::availability::Availability;
use crate::config::WorkerConfig;
use crate::console::{Console, show_banner};
use crate::control::Control;
use crate::drain::Drain;
use crate::earnings::SessionEarnings;
use crate::error::WorkerError;
use crate::executor::Executor;
use crate::update::update;

/// The worker's own system, in `Update`, between the link's receive and send sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub struct WorkerSystems;

/// Builds a worker's app, without a runner: `main.rs` adds the event-driven one, and tests update the app by hand with
/// a [`ClientTransport::Memory`].
///
/// With [`Execution::Processes`](crate::Execution) the kernel processes are started here, and have shown that they are
/// restricted when this returns.
pub fn build_app(mut config: WorkerConfig, transport: ClientTransport) -> Result<App, WorkerError> {
    config.validate()?;
    let executor = Executor::new(&config)?;
    if let Some(computes_on) = executor.computes_on() {
        computes_on.clone_into(&mut config.computes_on);
    }
    let mut app = App::new();
    app.add_plugins(TimePlugin).add_plugins(ClientLinkPlugin::<WorkerSide>::new(ClientLinkConfig {
        transport,
        identity: config.kinds.identity(),
        name: config.name.clone(),
        rate_limit: config.rate_limit,
        impair: config.impair,
        reconnect: config.reconnect,
    }));
    let offered =
        WorkerOffer { slots: config.slots, kernels: executor.offers(&config.kinds), region: config.region };
    app.insert_resource(executor)
        .insert_resource(Drain::new(config.drain_limit))
        .insert_resource(Attempts::new(&config))
        .insert_resource(Console::new(&config))
        .insert_resource(Offer::new(config.kinds, offered))
        .insert_resource(Availability::new(config.times))
        .init_resource::<Control>()
        .init_resource::<SessionEarnings>()
        .add_systems(Startup, show_banner)
        .add_systems(Update, update.in_set(WorkerSystems));
    headless(&mut app);
    Ok(app)
}
