//! The order of a client's link within an update.

use std::time::Duration;

use bevy_app::{App, Last, PostUpdate, PreUpdate};
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Res, ResMut};
use bevy_renet::{RenetClient, RenetReceive, RenetSend};

use super::dialer::Dialer;
use super::link::ClientLink;
use super::{ClientLinkConfig, FromServer, LinkDown, LinkUp, Side, ToServer};
use crate::channels::new_connection;
use crate::clock::UpdateTime;
use crate::connection::ConnectionEnd;
use crate::limits::{ACK_DELAY, PACKET_BYTES_MAX, PACKETS_PER_UPDATE_MAX};
use crate::peer::{Offence, TakenMessages};
use crate::problem as problems;
use crate::runner::{self, NextWake, Sockets};
use crate::sets::LinkSystems;

pub(super) fn set_up<S: Side>(app: &mut App, config: &ClientLinkConfig) {
    runner::set_up(app);
    app.insert_resource(RenetClient(new_connection(ConnectionEnd::Client)))
        .insert_resource(Dialer::new(config, S::ROLE))
        .init_resource::<ClientLink>()
        .add_message::<LinkUp>()
        .add_message::<LinkDown>()
        .add_message::<FromServer<S::Receives>>()
        .add_message::<ToServer<S::Sends>>()
        .configure_sets(PreUpdate, LinkSystems::Receive.in_set(RenetReceive))
        .configure_sets(PostUpdate, LinkSystems::Send.in_set(RenetSend))
        .add_systems(PreUpdate, receive::<S>.in_set(LinkSystems::Receive))
        .add_systems(PostUpdate, send::<S>.in_set(LinkSystems::Send))
        .add_systems(Last, say_goodbye.run_if(runner::is_exiting));
}

fn receive<S: Side>(
    sockets: Option<Res<'_, Sockets>>,
    mut dialer: ResMut<'_, Dialer>,
    mut renet: ResMut<'_, RenetClient>,
    mut link: ResMut<'_, ClientLink>,
    mut next: ResMut<'_, NextWake>,
    mut ups: MessageWriter<'_, LinkUp>,
    mut downs: MessageWriter<'_, LinkDown>,
    mut messages: MessageWriter<'_, FromServer<S::Receives>>,
) {
    let time = next.time();
    let now = time.now;
    let (dialer, renet, link) = (&mut *dialer, &mut **renet, &mut *link);
    if let Some(tokens) = link.connect_to.take() {
        dialer.connect_to(now, tokens, renet, link);
    }
    dialer.dial_when_due(now, sockets.as_deref(), renet, link);
    if sockets.is_some() {
        dialer.ack_delay = ACK_DELAY;
    }
    if let Some(wire) = dialer.wire() {
        wire.begin(sockets.as_deref());
    }
    dialer.begin_receiving_beside(sockets.as_deref());
    dialer.tick(now);
    let mut buffer = [0; PACKET_BYTES_MAX + 1];
    for _ in 0..PACKETS_PER_UPDATE_MAX {
        let Some((from, bytes)) = dialer.wire().and_then(|wire| wire.receive(now, &mut buffer)) else {
            break;
        };
        dialer.receive(now, from.theirs, &mut buffer[..bytes], renet, link);
    }
    dialer.receive_beside(now, &mut buffer, renet, link);
    if dialer.wire().is_some_and(|wire| wire.has_unread()) {
        next.within(Duration::ZERO);
    }
    match read_mail::<S>(time, dialer, renet, &mut messages) {
        Ok(taken) => {
            if let Some(sockets) = &sockets {
                sockets.note_received(taken.messages);
            }
            if taken.has_more {
                next.within(Duration::ZERO);
            }
        }
        Err(offence) => {
            tracing::error!(reason = offence.0, "the coordinator sends nonsense; hanging up");
            let detail = format!("the coordinator sends nonsense: {}", offence.0);
            dialer.forget_spare();
            dialer.hang_up(now, renet, link, problems::nonsense(detail));
        }
    }
    dialer.doubt(now, sockets.as_deref());
    dialer.check(now, time.delta, renet, link);
    dialer.begin_receiving_beside(sockets.as_deref());
    let news = dialer.take_news();
    if news.is_up {
        tracing::debug!("link up");
        ups.write(LinkUp);
    }
    if let Some(reason) = news.down {
        tracing::debug!(%reason, "link down");
        downs.write(LinkDown { reason });
    }
}

fn read_mail<S: Side>(
    time: UpdateTime,
    dialer: &mut Dialer,
    renet: &mut renet::RenetClient,
    messages: &mut MessageWriter<'_, FromServer<S::Receives>>,
) -> Result<TakenMessages, Offence> {
    let Some(session) = dialer.session() else { return Ok(TakenMessages::default()) };
    session.take_beats(time, renet)?;
    let (mut goodbye, mut spare) = (None, None);
    let taken = session.take_messages(renet, |message| {
        if let Some(token) = S::spare(&message) {
            spare = Some(token.clone());
            return;
        }
        if let Some(reason) = S::goodbye(&message) {
            goodbye = Some(reason.to_owned());
        }
        messages.write(FromServer { received_at: time.now.into(), message });
    });
    if let Some(reason) = goodbye {
        dialer.note_goodbye(reason);
    }
    if let Some(token) = spare {
        dialer.keep_spare(time.now, token);
    }
    taken
}

fn send<S: Side>(
    mut dialer: ResMut<'_, Dialer>,
    mut renet: ResMut<'_, RenetClient>,
    mut link: ResMut<'_, ClientLink>,
    mut next: ResMut<'_, NextWake>,
    mut downs: MessageWriter<'_, LinkDown>,
    mut to_server: ResMut<'_, Messages<ToServer<S::Sends>>>,
) {
    let time = next.time();
    let now = time.now;
    let (dialer, renet, link) = (&mut *dialer, &mut **renet, &mut *link);
    let mut queued = Ok(());
    if !to_server.is_empty() {
        for ToServer(message) in to_server.drain() {
            // Messages are dropped while the link is down: what they refer to is void in the next connection.
            if let Some(session) = dialer.session().filter(|_| queued.is_ok()) {
                queued = session.queue(&message, renet);
            }
        }
    }
    if let Some(session) = dialer.session() {
        session.heartbeat.mark_busy(link.is_busy, now);
    }
    let sent = dialer.send(time, link.is_closed, renet);
    if let Err(Offence(reason)) = queued.and(sent) {
        let detail = format!("the line to the coordinator is {reason}");
        dialer.hang_up(now, renet, link, problems::overfull(detail));
    }
    if link.is_closed {
        dialer.close(now, renet, link, "closed by this program");
    }
    if let Some(session) = dialer.session() {
        link.stats.clone_from(&session.stats);
    }
    if let Some(reason) = dialer.take_news().down {
        downs.write(LinkDown { reason });
    }
    if let Some(due) = dialer.next_due(now) {
        next.link_at(due);
    }
}

/// On exit: sends queued messages without regard to the rate limit, then netcode's disconnect.
fn say_goodbye(
    next: Res<'_, NextWake>,
    mut dialer: ResMut<'_, Dialer>,
    mut renet: ResMut<'_, RenetClient>,
    mut link: ResMut<'_, ClientLink>,
) {
    let now = next.time().now;
    // An error means that some messages did not fit: they are lost, and the connection ends in any case.
    let _ = dialer.send(UpdateTime::at(now), true, &mut renet);
    dialer.close(now, &mut renet, &mut link, "this program closes");
}
