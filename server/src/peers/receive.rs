//! Turns messages of games and workers, results of the pool and measurements of the link into events.

use bevy_ecs::message::Messages;
use p2c2r_link::{FromPeer, PeerLeft};
use p2c2r_protocol::{GameToServer, PeerId, WorkerToServer};

use super::Exchange;
use super::joins::Joining;
use super::recalls::Recalls;
use crate::compute::PoolResult;
use crate::core::{Event, LinkState};

/// Handles games' messages, after the earlier ones that were held back and may go on now.
pub fn hear_games(
    exchange: &mut Exchange<'_>,
    messages: &mut Messages<FromPeer<GameToServer>>,
    left: &Messages<PeerLeft>,
    recalls: &mut Recalls,
) {
    let room = exchange.scheduler.ledger.room();
    exchange.tell(Event::UpdateBegins { room });
    recalls.collect(exchange);
    // A quit visits all of its gamer's tasks, and one packet can hold a thousand quits: only the first of a peer is handled.
    let mut quit: Vec<PeerId> = Vec::new();
    for FromPeer { peer, received_at, message } in messages.drain() {
        match message {
            GameToServer::Submit(submit) => {
                let (event, now) = (Event::submitted(peer, received_at, submit), exchange.now());
                if let Some(event) = recalls.hold(exchange.core(), now, event) {
                    exchange.tell(event);
                }
            }
            GameToServer::Cancel { task } => {
                recalls.release(exchange, peer, Some(task));
                exchange.tell(Event::Cancelled { peer, task });
            }
            GameToServer::Leaving if quit.contains(&peer) => {}
            GameToServer::Leaving => {
                recalls.release(exchange, peer, None);
                exchange.tell(Event::Quit { peer });
                quit.push(peer);
            }
        }
    }
    recalls.release_left(exchange, left);
    exchange.perform();
}

/// Handles workers' messages; those of workers that are not welcomed yet are kept until then.
pub fn hear_workers(
    exchange: &mut Exchange<'_>,
    messages: &mut Messages<FromPeer<WorkerToServer>>,
    joining: &mut Joining,
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

/// Handles what the compute pool has finished.
pub fn collect_finished(exchange: &mut Exchange<'_>) {
    while let Some(finished) = exchange.scheduler.pool.next_finished() {
        exchange.tell(match finished {
            PoolResult::Check(checked) => Event::Checked(Box::new(checked)),
            PoolResult::Kernel(computed) => Event::Computed(computed),
        });
    }
    exchange.perform();
}

/// Tells the core of connections whose measurements have changed.
pub fn note_measured(exchange: &mut Exchange<'_>) {
    let now = exchange.now();
    for (peer, stats) in exchange.peers.take_measured() {
        let link = LinkState { rtt: stats.rtt.unwrap_or_default(), clock_offset_us: stats.clock_offset_us };
        if exchange.scheduler.core.link(peer) != Some(link) {
            exchange.scheduler.tell(now, Event::Measured { peer, link });
        }
    }
    assert!(
        exchange.scheduler.effects.is_empty(),
        "a measurement alone changes nothing that anybody would be told of"
    );
}
