//! The worker's app: which systems run, in which order.

use bevy_app::{App, Startup, Update};
use bevy_ecs::schedule::{IntoScheduleConfigs as _, SystemSet};
use bevy_time::TimePlugin;
use p2c2r_link::{ClientLinkConfig, ClientLinkPlugin, ClientTransport, WorkerSide, headless};
use p2c2r_protocol::WorkerOffer;

use crate::attempts::{Attempts, Offer, answer_results, follow_link, take_messages};
use crate::availability::{Availability, rest_or_work};
use crate::config::WorkerConfig;
use crate::console::{Console, show_banner, show_fallbacks, show_farewell, show_link, show_status};
use crate::control::{Control, answer_owner, heed_owner};
use crate::drain::{Drain, leave_when_done};
use crate::earnings::SessionEarnings;
use crate::error::WorkerError;
use crate::executor::Executor;

/// System sets of the worker, all in `Update`, between the link's receive and send sets: a tiny task that arrived is
/// computed and answered in the same update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub enum WorkerSystems {
    /// Heeds the owner, and rests or works.
    Heed,
    /// Takes the coordinator's messages; starts or queues attempts.
    Take,
    /// Answers attempts whose kernels have ended.
    Answer,
    /// Leaves, when asked to and done.
    Leave,
    /// Tells the helper.
    Show,
}

/// Builds a worker's app. Nothing in it makes it run: `main.rs` adds the event-driven runner, tests update it by
/// hand with a [`ClientTransport::Memory`].
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
    let offered = WorkerOffer { slots: config.slots, kernels: executor.offers(&config.kinds) };
    app.insert_resource(executor)
        .insert_resource(Drain::new(config.drain_limit))
        .insert_resource(Attempts::new(&config))
        .insert_resource(Console::new(&config))
        .insert_resource(Offer { kinds: config.kinds, slots: config.slots, offered })
        .insert_resource(Availability::new(config.times))
        .init_resource::<Control>()
        .init_resource::<SessionEarnings>()
        .configure_sets(
            Update,
            (
                WorkerSystems::Heed,
                WorkerSystems::Take,
                WorkerSystems::Answer,
                WorkerSystems::Leave,
                WorkerSystems::Show,
            )
                .chain(),
        )
        .add_systems(Startup, show_banner)
        .add_systems(
            Update,
            (
                (heed_owner, rest_or_work, answer_owner).chain().in_set(WorkerSystems::Heed),
                (take_messages, follow_link).chain().in_set(WorkerSystems::Take),
                answer_results.in_set(WorkerSystems::Answer),
                leave_when_done.in_set(WorkerSystems::Leave),
                (show_link, show_status, show_fallbacks, show_farewell).chain().in_set(WorkerSystems::Show),
            ),
        );
    headless(&mut app);
    Ok(app)
}
