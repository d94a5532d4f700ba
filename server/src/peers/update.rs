//! The coordinator's update: what has come since the last one becomes events, in a fixed order.
//!
//! One system, because Bevy fetches every resource anew for every system and every run condition (`docs/PERFORMANCE.md`,
//! "Dispatch").

use std::time::Duration;

use bevy_app::AppExit;
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::system::{Local, ResMut, SystemParam};
use bevy_ecs::world::{FromWorld, World};
use p2c2r_link::{FromPeer, NextWake, PeerJoined, PeerLeft};
use p2c2r_protocol::{GameToServer, Micros, WorkerToServer};

use super::account_statements::NextStatements;
use super::joins::{self, Joining};
use super::{Exchange, Recalls, receive};
use crate::config::ServerSettings;
use crate::console::{self, Summary};
use crate::core::Event;
use crate::drain::{self, DrainPhase, Shutdown};

/// Microseconds between two reads of the link's measurements. Round trips are smoothed over seconds, and each change
/// costs an event.
const MEASURED_EVERY_US: u32 = 50_000;

/// What the link has brought, the peers that wait to be welcomed, and what ends the coordinator.
#[derive(SystemParam)]
pub(crate) struct News<'w> {
    joined: ResMut<'w, Messages<PeerJoined>>,
    left: ResMut<'w, Messages<PeerLeft>>,
    from_games: ResMut<'w, Messages<FromPeer<GameToServer>>>,
    from_workers: ResMut<'w, Messages<FromPeer<WorkerToServer>>>,
    joining: ResMut<'w, Joining>,
    recalls: ResMut<'w, Recalls>,
    drain: ResMut<'w, DrainPhase>,
    exit: MessageWriter<'w, AppExit>,
}

/// What the updates remember, and what stays the same in all of them.
pub(crate) struct Kept {
    statements: NextStatements,
    measured_at: Micros,
    summary: Summary,
    shutdown: Shutdown,
    drain_limit: Duration,
    summary_every: Duration,
}

impl FromWorld for Kept {
    fn from_world(world: &mut World) -> Self {
        let ServerSettings(settings) = world.resource();
        Self {
            statements: NextStatements::default(),
            measured_at: Micros::default(),
            summary: Summary::default(),
            shutdown: world.resource::<Shutdown>().clone(),
            drain_limit: settings.drain_limit,
            summary_every: settings.summary_every,
        }
    }
}

/// Handles everything that has come, expires leases and waits, assigns waiting tasks to the slots that this update's answers
/// have freed, and schedules the next update.
pub(crate) fn update(
    mut exchange: Exchange<'_>,
    mut news: News<'_>,
    mut next_wake: ResMut<'_, NextWake>,
    mut kept: Local<'_, Kept>,
) {
    let (exchange, news, kept) = (&mut exchange, &mut news, &mut *kept);
    let now = exchange.now();
    // Before this update records anything: otherwise the statements would depend on how far the ledger's thread has got, and
    // would differ from run to run.
    kept.statements.send_when_due(exchange);
    let is_time_to_measure = now.since(kept.measured_at) >= MEASURED_EVERY_US || !news.joined.is_empty();
    if is_time_to_measure && exchange.peers.is_anything_measured() {
        kept.measured_at = now;
        receive::note_measured(exchange);
    }
    if !(news.joined.is_empty() && news.joining.is_empty()) {
        joins::welcome_peers(exchange, *news.drain, &mut news.joined, &mut news.joining);
    }
    if !news.left.is_empty() {
        joins::note_leaving(exchange, &news.left);
    }
    joins::refuse_peers(&mut news.joining, &mut exchange.peers);

    if exchange.scheduler.pool.has_finished() {
        receive::collect_finished(exchange);
    }
    if !news.from_workers.is_empty() {
        receive::hear_workers(exchange, &mut news.from_workers, &mut news.joining);
    }
    if !(news.from_games.is_empty() && news.recalls.is_empty()) {
        receive::hear_games(exchange, &mut news.from_games, &news.left, &mut news.recalls);
    }
    // Peers that left are removed after their last messages, which still count.
    if !news.left.is_empty() {
        joins::part_from_peers(exchange, &mut news.left, &mut news.joining);
    }
    if exchange.core().has_work(now) {
        exchange.handle(Event::TimePassed);
    }

    if drain::is_wanted(*news.drain, &kept.shutdown, &exchange.scheduler.ledger) {
        let limit = kept.drain_limit;
        drain::drain(exchange, limit, &mut news.drain, &kept.shutdown, &mut next_wake, &mut news.exit);
    }
    kept.statements.wake(now, &mut next_wake);
    news.recalls.wake(now, &mut next_wake);
    console::summarise(exchange.core(), now, kept.summary_every, &mut kept.summary, &mut next_wake);
    if exchange.scheduler.pool.has_inline_results() {
        next_wake.within(Duration::ZERO);
    }
    if let Some(next) = exchange.next_due() {
        next_wake.within(next.time_since(now));
    }
}
