//! The order of the coordinator's link within an update.

use bevy_app::{App, Last, PostUpdate, PreUpdate};
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Res, ResMut};
use bevy_renet::{RenetReceive, RenetSend};
use p2c2r_protocol::wire::{Bounded, Decode, Encode};
use p2c2r_protocol::{GameToServer, PeerId, Role, Routed, ServerToGame, ServerToWorker, WorkerToServer};
use std::time::Duration;

use super::listener::Listener;
use super::peers::Peers;
use super::{FromPeer, PeerJoined, PeerLeft, ServerLinkConfig, ToPeer};
use crate::clock::UpdateTime;
use crate::limits::{
    ACK_DELAY, DEATH_BUSY, LADEN_PACKETS_PER_UPDATE_MAX, PACKET_BYTES_MAX, PACKETS_PER_UPDATE_MAX,
};
use crate::peer::{Offence, TakenMessages};
use crate::runner::{self, NextWake, Sockets};
use crate::sets::LinkSystems;

pub(super) fn set_up(app: &mut App, config: &ServerLinkConfig) {
    let listener = match Listener::new(config) {
        Ok(listener) => listener,
        // At start-up, with a socket that is already bound: only a system without free file handles gets
        // here.
        Err(error) => panic!("cannot set up the coordinator's socket: {error}"),
    };
    runner::set_up(app);
    app.insert_resource(listener)
        .init_resource::<Peers>()
        .add_message::<PeerJoined>()
        .add_message::<PeerLeft>()
        .add_message::<FromPeer<GameToServer>>()
        .add_message::<FromPeer<WorkerToServer>>()
        .add_message::<ToPeer<ServerToGame>>()
        .add_message::<ToPeer<ServerToWorker>>()
        .configure_sets(PreUpdate, LinkSystems::Receive.in_set(RenetReceive))
        .configure_sets(PostUpdate, LinkSystems::Send.in_set(RenetSend))
        .add_systems(PreUpdate, receive.in_set(LinkSystems::Receive))
        .add_systems(PostUpdate, send.in_set(LinkSystems::Send))
        .add_systems(Last, say_goodbye.run_if(runner::is_exiting));
}

fn receive(
    sockets: Option<Res<'_, Sockets>>,
    mut listener: ResMut<'_, Listener>,
    mut peers: ResMut<'_, Peers>,
    mut next: ResMut<'_, NextWake>,
    mut joined: MessageWriter<'_, PeerJoined>,
    mut left: MessageWriter<'_, PeerLeft>,
    mut from_games: MessageWriter<'_, FromPeer<GameToServer>>,
    mut from_workers: MessageWriter<'_, FromPeer<WorkerToServer>>,
) {
    let time = next.time();
    let now = time.now;
    let (listener, peers) = (&mut *listener, &mut *peers);
    peers.now = now;
    if sockets.is_some() {
        listener.ack_delay = ACK_DELAY;
    }
    listener.wire.begin(sockets.as_deref());
    listener.handshaker.begin();
    listener.advance(now, time.delta);
    let mut buffer = [0; PACKET_BYTES_MAX + 1];
    let mut laden = 0;
    for _ in 0..PACKETS_PER_UPDATE_MAX {
        let Some((from, bytes)) = listener.wire.receive(now, &mut buffer) else { break };
        laden += usize::from(listener.receive(now, from, &mut buffer[..bytes], peers));
        if laden == LADEN_PACKETS_PER_UPDATE_MAX || listener.handshaker.has_had_enough() {
            break;
        }
    }
    peers.totals.handshakes = listener.handshaker.handshakes();
    if listener.wire.has_unread() {
        next.within(Duration::ZERO);
    }
    let mut received = 0;
    for peer in std::mem::take(&mut listener.news.with_mail) {
        let Some(entry) = peers.entries.get_mut(&peer) else { continue };
        entry.is_in_mail = false;
        let read = match entry.who.role {
            Role::Gamer => read_mail(peer, time, peers, &mut from_games),
            Role::Worker => read_mail(peer, time, peers, &mut from_workers),
        };
        match read {
            Ok(taken) => {
                received += taken.messages;
                if taken.has_more {
                    if let Some(entry) = peers.entries.get_mut(&peer) {
                        listener.news.has_mail(peer, entry);
                    }
                    next.within(Duration::ZERO);
                }
            }
            Err(offence) => listener.offend(peer, &offence, now, peers),
        }
    }
    if let Some(sockets) = sockets {
        sockets.note_received(received);
    }
    for peer in std::mem::take(&mut listener.news.parting) {
        listener.leave(peer, "it closed the connection", peers);
    }
    // Time-outs come after reading: what arrived while this program was busy proves that its sender lives,
    // and so may what is still unread.
    let unread = listener.wire.has_unread();
    while let Some(peer) = listener.next_due(now, peers) {
        let Some(entry) = peers.entries.get_mut(&peer) else { continue };
        let heartbeat = &mut entry.session.heartbeat;
        if heartbeat.is_dead(now, time.delta) && !(unread && now < heartbeat.dies_at() + DEATH_BUSY) {
            let silence = now.saturating_sub(entry.session.heartbeat.heard_at());
            let reason = format!("no sign of life for {} ms", silence.as_millis());
            listener.give_up(peer, &reason, now, peers);
        } else {
            listener.tick_netcode(peer, now, now, peers);
            peers.mark_dirty(peer);
        }
    }
    joined.write_batch(listener.news.joined.drain(..));
    left.write_batch(listener.news.left.drain(..));
}

/// Reads the complete messages of one peer.
fn read_mail<M: Decode<()> + Bounded + Routed + Send + Sync + 'static>(
    peer: PeerId,
    time: UpdateTime,
    peers: &mut Peers,
    messages: &mut MessageWriter<'_, FromPeer<M>>,
) -> Result<TakenMessages, Offence> {
    let Some(entry) = peers.entries.get_mut(&peer) else { return Ok(TakenMessages::default()) };
    let garbage = entry.session.stats.garbage;
    let measured = (entry.session.stats.rtt, entry.session.stats.clock_offset_us);
    let result = entry.session.take_beats(time, &mut entry.renet).and_then(|()| {
        entry.session.take_messages(&mut entry.renet, |message| {
            messages.write(FromPeer { peer, received_at: time.now.into(), message });
        })
    });
    peers.totals.garbage += entry.session.stats.garbage - garbage;
    if measured != (entry.session.stats.rtt, entry.session.stats.clock_offset_us) {
        peers.note_measured(peer);
    }
    result
}

fn send(
    mut listener: ResMut<'_, Listener>,
    mut peers: ResMut<'_, Peers>,
    mut next: ResMut<'_, NextWake>,
    mut left: MessageWriter<'_, PeerLeft>,
    mut to_games: ResMut<'_, Messages<ToPeer<ServerToGame>>>,
    mut to_workers: ResMut<'_, Messages<ToPeer<ServerToWorker>>>,
) {
    let time = next.time();
    let now = time.now;
    let (listener, peers) = (&mut *listener, &mut *peers);
    post(&mut to_games, Role::Gamer, peers);
    post(&mut to_workers, Role::Worker, peers);
    if !peers.dirty.is_empty() || !peers.closing.is_empty() {
        let mut dirty = std::mem::take(&mut peers.dirty);
        for peer in dirty.drain(..) {
            listener.send(peer, time, false, peers);
        }
        peers.dirty = dirty;
        for (peer, reason) in std::mem::take(&mut peers.closing) {
            listener.send(peer, time, true, peers);
            listener.drop_peer(peer, &reason, now, peers);
        }
        // Entries added meanwhile are of peers whose last messages did not fit; they have just been dropped.
        peers.closing.clear();
        left.write_batch(listener.news.left.drain(..));
    }
    listener.wire.flush(now, false);
    let due = listener.timers.first().map(|(due, _)| *due);
    if let Some(due) = due.into_iter().chain(listener.wire.next_due()).min() {
        next.link_at(due);
    }
}

/// Passes messages to renet, and drops peers that are too far behind to take theirs.
fn post<M: Encode + Routed + Send + Sync + 'static>(
    messages: &mut Messages<ToPeer<M>>,
    role: Role,
    peers: &mut Peers,
) {
    if messages.is_empty() {
        return;
    }
    for ToPeer { peer, message } in messages.drain() {
        let Some(entry) = peers.entries.get_mut(&peer) else { continue };
        if entry.who.role != role {
            tracing::error!(%peer, role = %entry.who.role, "a message for the other role; dropped");
            continue;
        }
        if entry.is_full {
            continue;
        }
        match entry.session.queue(&message, &mut entry.renet) {
            Ok(()) => peers.mark_dirty(peer),
            Err(offence) => {
                entry.is_full = true;
                peers.closing.push((peer, offence.0));
            }
        }
    }
}

/// On exit: sends queued messages without regard to the rate limit, then netcode's disconnect.
fn say_goodbye(next: Res<'_, NextWake>, mut listener: ResMut<'_, Listener>, mut peers: ResMut<'_, Peers>) {
    let now = next.time().now;
    let (listener, peers) = (&mut *listener, &mut *peers);
    for peer in peers.entries.keys().copied().collect::<Vec<_>>() {
        listener.send(peer, UpdateTime::at(now), true, peers);
        listener.drop_peer(peer, "the coordinator closes", now, peers);
    }
    listener.wire.flush(now, true);
}
