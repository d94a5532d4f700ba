//! Draining: nothing new is admitted, tasks in flight are finished or given up, and the app exits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bevy_app::AppExit;
use bevy_ecs::message::MessageWriter;
use bevy_ecs::resource::Resource;
use p2c2r_link::NextWake;
use p2c2r_protocol::Micros;
use tracing::{error, info};

use crate::core::Event;
use crate::ledger_client::LedgerClient;
use crate::peers::{Exchange, joins};
use crate::waking::LateWaker;

/// The reason that peers are given for an orderly end.
pub const CLOSING: &str = "its operator has asked it to stop";
/// Time-out for the acknowledgement of farewells: a few resends on a slow link.
const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// Interval at which the tasks in flight are counted.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Asks the coordinator to stop, from any thread: once to drain, twice to stop at once.
#[derive(Resource, Clone, Default)]
pub struct Shutdown {
    requests: Arc<AtomicU32>,
    waker: LateWaker,
}

impl Shutdown {
    /// A handle that wakes the app by `waker`.
    pub fn new(waker: LateWaker) -> Self {
        Self { requests: Arc::default(), waker }
    }

    /// Asks for a drain, or for an immediate stop if a drain was asked for before.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.waker.wake();
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The phase of draining.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrainPhase {
    /// Not begun.
    #[default]
    Open,
    /// Tasks in flight are finished, until then at the latest.
    Finishing {
        /// When what is left is given up.
        until: Micros,
    },
    /// Farewells are on their way, until then at the latest.
    Parting {
        /// When the app exits.
        until: Micros,
    },
    /// The app has been told to exit.
    Over,
}

impl DrainPhase {
    /// Whether nothing new is admitted.
    pub fn is_closing(&self) -> bool {
        *self != Self::Open
    }
}

fn after(now: Micros, wait: Duration) -> Micros {
    Micros(now.0.saturating_add(Micros::from(wait).0))
}

/// Whether draining has begun or must begin.
pub fn is_wanted(state: DrainPhase, shutdown: &Shutdown, ledger: &LedgerClient) -> bool {
    state != DrainPhase::Open || shutdown.requests() > 0 || !ledger.is_recording()
}

/// Advances draining, once it was requested or the ledger has failed. Tasks in flight are given up after `limit`.
pub fn drain(
    exchange: &mut Exchange<'_>,
    limit: Duration,
    state: &mut DrainPhase,
    shutdown: &Shutdown,
    next_wake: &mut NextWake,
    exit: &mut MessageWriter<'_, AppExit>,
) {
    let now = exchange.now();
    let requests = shutdown.requests();
    if *state == DrainPhase::Open {
        let broken = exchange.scheduler.ledger.has_failed();
        if requests == 0 && !broken {
            return;
        }
        if broken {
            error!("the ledger has stopped recording: closing");
        } else {
            info!(tasks = exchange.core().tasks().len(), "closing: finishing what is in flight");
        }
        let reason = joins::closing_reason(exchange);
        exchange.handle(Event::Closing { reason });
        *state = DrainPhase::Finishing { until: after(now, limit) };
    }
    if let DrainPhase::Finishing { until } = *state {
        let finished = exchange.core().tasks().timely_tasks().next().is_none();
        if finished || now >= until || requests > 1 {
            exchange.handle(Event::GivingUp);
            *state = DrainPhase::Parting { until: after(now, FAREWELL_MAX) };
            next_wake.within(LOOK_EVERY);
            return;
        }
    }
    if let DrainPhase::Parting { until } = *state {
        let unsent = exchange.peers.iter().any(|(_, stats)| stats.backlog_bytes > 0);
        if !unsent || now >= until || requests > 1 {
            *state = DrainPhase::Over;
            let has_failed = exchange.scheduler.ledger.has_failed();
            exit.write(if has_failed { AppExit::error() } else { AppExit::Success });
            return;
        }
    }
    if *state != DrainPhase::Over {
        next_wake.within(LOOK_EVERY);
    }
}
