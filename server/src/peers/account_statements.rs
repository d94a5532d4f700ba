//! Once a second, updates the account mirrors with what the ledger has recorded, and sends statements to everyone whose
//! account changed.

use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{LinkClock, NextWake};
use p2c2r_protocol::Micros;

use super::{Exchange, Scheduler};
use crate::core::Event;

/// Time between statements. Peers hear at most this late what was recorded, never before it was.
const EVERY: Duration = Duration::from_secs(1);

/// When statements are due again.
#[derive(Resource, Default)]
pub struct NextStatements {
    at: Micros,
}

/// Whether there is anyone to send statements to and it is time: a condition for the system that does.
pub fn are_due(
    next: Res<'_, NextStatements>,
    clock: Res<'_, LinkClock>,
    scheduler: Res<'_, Scheduler>,
) -> bool {
    let core = scheduler.core();
    clock.now() >= next.at && !(core.gamers().is_empty() && core.workers().is_empty())
}

/// Takes over what was recorded and sends statements to those it concerns.
pub fn send_statements(mut exchange: Exchange<'_>, mut next: ResMut<'_, NextStatements>) {
    next.at = Micros(exchange.now().0.saturating_add(Micros::from(EVERY).0));
    let committed = Box::new(exchange.ledger.drain_committed());
    exchange.handle(Event::StatementsDue { committed });
}

/// Requests a wake-up for the next statements, in every update: another system's earlier request replaces this one.
pub fn wake_for_statements(
    next: Res<'_, NextStatements>,
    clock: Res<'_, LinkClock>,
    mut next_wake: ResMut<'_, NextWake>,
) {
    if next.at > clock.now() {
        next_wake.within(Duration::from_micros(next.at.0 - clock.now().0));
    }
}
