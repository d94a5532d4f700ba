//! The coordinator's update: what has come since the last one becomes events, in a fixed order.
//!
//! One system, because Bevy fetches every resource anew for every system and every run condition (`docs/PERFORMANCE.md`,
//! "Dispatch").

use std::time::Duration;

use bevy_app::AppExit;
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::system::{Local, Res, ResMut, SystemParam};
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
    shutdown: Res<'w, Shutdown>,
    exit: MessageWriter<'w, AppExit>,
}

/// State of what is not done in every update.
#[derive(Default)]
pub(crate) struct Periodic {
    statements: NextStatements,
    measured_at: Micros,
    summary: Summary,
}

/// Handles everything that has come, expires leases and waits, assigns waiting tasks to the slots that this update's answers
/// have freed, and schedules the next update.
pub(crate) fn update(
    mut exchange: Exchange<'_>,
    mut news: News<'_>,
    settings: Res<'_, ServerSettings>,
    mut next_wake: ResMut<'_, NextWake>,
    mut periodic: Local<'_, Periodic>,
) {
    let (exchange, news) = (&mut exchange, &mut news);
    let now = exchange.now();
    // Before this update records anything: otherwise the statements would depend on how far the ledger's thread has got, and
    // would differ from run to run.
    periodic.statements.send_when_due(exchange);
    let is_time_to_measure = now.since(periodic.measured_at) >= MEASURED_EVERY_US || !news.joined.is_empty();
    if is_time_to_measure && exchange.peers.is_anything_measured() {
        periodic.measured_at = now;
        receive::note_measured(exchange);
    }
    if !(news.joined.is_empty() && news.joining.is_empty()) {
        joins::welcome_peers(exchange, *news.drain, &mut news.joined, &mut news.joining);
    }
    if !news.left.is_empty() {
        joins::note_leaving(exchange, &news.left);
    }
    joins::refuse_peers(&mut news.joining, &mut exchange.peers);

    if exchange.pool.has_finished() {
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

    if drain::is_wanted(*news.drain, &news.shutdown, &exchange.ledger) {
        let limit = settings.0.drain_limit;
        drain::drain(exchange, limit, &mut news.drain, &news.shutdown, &mut next_wake, &mut news.exit);
    }
    periodic.statements.wake(now, &mut next_wake);
    news.recalls.wake(now, &mut next_wake);
    console::summarise(exchange.core(), now, settings.0.summary_every, &mut periodic.summary, &mut next_wake);
    if exchange.pool.has_inline_results() {
        next_wake.within(Duration::ZERO);
    }
    if let Some(next) = exchange.next_due() {
        next_wake.within(next.time_since(now));
    }
}
