//! Turns messages of games and workers, results of the pool and measurements of the link into events.

use bevy_ecs::message::Messages;
use bevy_ecs::system::{Local, Res, ResMut};
use p2c2r_link::{FromPeer, LinkClock, PeerJoined, Peers};
use p2c2r_protocol::{GameToServer, Micros, PeerId, WorkerToServer};

use super::joins::Joining;
use super::{Exchange, Scheduler};
use crate::compute::PoolResult;
use crate::core::{Event, LinkState};

/// Microseconds between two reads of the link's measurements. Round trips are smoothed over seconds, and each change
/// costs an event.
const MEASURED_EVERY_US: u32 = 50_000;

/// Takes what games say.
pub fn hear_games(mut exchange: Exchange<'_>, mut messages: ResMut<'_, Messages<FromPeer<GameToServer>>>) {
    let room = exchange.ledger.room();
    exchange.tell(Event::UpdateBegins { room });
    // A quit visits all of its gamer's tasks, and one packet can hold a thousand of them: handled once per peer.
    let mut quit: Vec<PeerId> = Vec::new();
    for FromPeer { peer, received_at, message } in messages.drain() {
        match message {
            GameToServer::Submit(submit) => {
                exchange.tell(Event::Submitted { peer, received_at, submit });
            }
            GameToServer::Cancel { task } => exchange.tell(Event::Cancelled { peer, task }),
            GameToServer::Leaving if quit.contains(&peer) => {}
            GameToServer::Leaving => {
                exchange.tell(Event::Quit { peer });
                quit.push(peer);
            }
        }
    }
    exchange.perform();
}

/// Handles workers' messages; those of workers that are not welcomed yet are kept until then.
pub fn hear_workers(
    mut exchange: Exchange<'_>,
    mut messages: ResMut<'_, Messages<FromPeer<WorkerToServer>>>,
    mut joining: ResMut<'_, Joining>,
) {
    for FromPeer { peer, received_at, message } in messages.drain() {
        if exchange.core().workers().get(peer).is_some() {
            exchange.tell(Event::FromWorker { peer, received_at, message });
        } else if let WorkerToServer::Ready(offer) = message {
            joining.keep_offer(peer, offer);
        }
    }
    exchange.perform();
}

/// Takes what the compute pool has finished.
pub fn collect_finished(mut exchange: Exchange<'_>) {
    while let Some(finished) = exchange.pool.next_finished() {
        exchange.tell(match finished {
            PoolResult::Check(checked) => Event::Checked(Box::new(checked)),
            PoolResult::Kernel(computed) => Event::Computed(computed),
        });
    }
    exchange.perform();
}

/// Run condition for [`note_measured`]: whether it is time to read the link's measurements.
pub fn is_time_to_measure(
    clock: Res<'_, LinkClock>,
    peers: Res<'_, Peers>,
    joined: Res<'_, Messages<PeerJoined>>,
    mut last: Local<'_, Micros>,
) -> bool {
    let is_time =
        peers.is_anything_measured() && (clock.now().since(*last) >= MEASURED_EVERY_US || !joined.is_empty());
    if is_time {
        *last = clock.now();
    }
    is_time
}

/// Tells the core what the link has measured of those for whom that has changed.
pub fn note_measured(
    mut scheduler: ResMut<'_, Scheduler>,
    mut peers: ResMut<'_, Peers>,
    clock: Res<'_, LinkClock>,
) {
    for (peer, stats) in peers.take_measured() {
        let link = LinkState { rtt: stats.rtt.unwrap_or_default(), clock_offset_us: stats.clock_offset_us };
        if scheduler.core.link(peer) != Some(link) {
            scheduler.tell(clock.now(), Event::Measured { peer, link });
        }
    }
    assert!(
        scheduler.effects.is_empty(),
        "a measurement alone changes nothing that anybody would be told of"
    );
}
