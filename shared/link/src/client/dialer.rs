//! A client's connection: the token, the handshake, the session, the loss, and the retry.

mod endings;
mod spares;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::Role;
use renet::RenetClient;

use super::attempt::{Attempt, receive_connected};
use super::link::{ClientLink, LinkStatus};
use super::retries::Retries;
use super::spare::{Spare, SpareTry};
use super::{ClientLinkConfig, ClientTransport};
use crate::channels::new_connection;
use crate::clock::UpdateTime;
use crate::connection::ConnectionEnd;
use crate::envelope::{self, Envelope};
use crate::limits::{BEAT_IDLE_TO_CLIENT, NETCODE_TICK_AT_CLIENT, TOKEN_AGAIN, TOKEN_WAIT_MAX};
use crate::peer::{Offence, PeerSession};
use crate::runner::Sockets;
use crate::socket::{Medium, Wire};
use crate::tokens::{Access, AskedTokens, NoToken, Nowhere, TokenSource};
use crate::{LinkError, LinkProblem, RateLimit, problem as problems};

/// A client's connection and its retries.
#[derive(Resource)]
pub(super) struct Dialer {
    transport: ClientTransport,
    tokens: Arc<dyn TokenSource>,
    name: String,
    rate_limit: Option<RateLimit>,
    impair: Option<crate::Impairment>,
    pub(super) ack_delay: Duration,
    retries: Retries,
    tries: u64,
    /// A connect token that came over the session, for the next try.
    spare: Option<Spare>,
    /// The handshake with the spare token, which goes on beside `state`.
    beside: Option<SpareTry>,
    /// The token requested for the next try when the coordinator fell silent, and when it was requested.
    ahead: Option<(AskedTokens, Duration)>,
    /// The reason that the coordinator gave for ending the connection.
    goodbye: Option<String>,
    state: State,
    news: DialerEvents,
}

/// Events of the link in this update.
#[derive(Default)]
pub(super) struct DialerEvents {
    pub(super) is_up: bool,
    pub(super) down: Option<LinkProblem>,
}

enum State {
    Waiting {
        until: Duration,
    },
    /// A token has been requested; at `again_at` a second one is.
    Fetching {
        asked: AskedTokens,
        again_at: Option<Duration>,
        give_up_at: Duration,
    },
    Trying {
        attempt: Box<Attempt>,
        give_up_at: Duration,
    },
    Connected {
        attempt: Box<Attempt>,
        session: Box<PeerSession>,
        since: Duration,
    },
    Closed,
}

impl Dialer {
    pub(super) fn new(config: &ClientLinkConfig, role: Role) -> Self {
        let random = || u64::from_le_bytes(renetcode::generate_random_bytes());
        let (tokens, seed): (Arc<dyn TokenSource>, u64) = match &config.transport {
            ClientTransport::Udp(tokens) => (Arc::clone(tokens), random()),
            ClientTransport::Later => (Arc::new(Nowhere), random()),
            // A fixed seed, so that tests are repeatable.
            ClientTransport::Memory(hub) => (
                Arc::new(hub.tokens(role, &config.name, &config.identity)),
                config.name.bytes().fold(7, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte)),
            ),
        };
        Self {
            transport: config.transport.clone(),
            tokens,
            name: config.name.clone(),
            rate_limit: config.rate_limit,
            impair: config.impair,
            ack_delay: Duration::ZERO,
            retries: Retries::new(config.reconnect, seed),
            tries: 0,
            spare: None,
            beside: None,
            ahead: None,
            goodbye: None,
            state: match &config.transport {
                ClientTransport::Later => State::Closed,
                _ => State::Waiting { until: Duration::ZERO },
            },
            news: DialerEvents::default(),
        }
    }

    /// Records the coordinator's reason for ending the connection.
    pub(super) fn note_goodbye(&mut self, reason: String) {
        self.goodbye = Some(reason);
    }

    pub(super) fn take_news(&mut self) -> DialerEvents {
        std::mem::take(&mut self.news)
    }

    pub(super) fn session(&mut self) -> Option<&mut PeerSession> {
        match &mut self.state {
            State::Connected { session, .. } => Some(session),
            _ => None,
        }
    }

    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        match &mut self.state {
            State::Trying { attempt, .. } | State::Connected { attempt, .. } => Some(&mut attempt.wire),
            State::Waiting { .. } | State::Fetching { .. } | State::Closed => None,
        }
    }

    /// Asks for a token when a try is due, and starts the try once the token is there.
    pub(super) fn dial_when_due(
        &mut self,
        now: Duration,
        sockets: Option<&Sockets>,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        self.beside.take_if(|beside| beside.is_over(now));
        if self.waits_for_spare(now) {
            return;
        }
        if let State::Waiting { until } = self.state
            && now >= until
        {
            self.tries += 1;
            link.next_try = None;
            // A refusal stays visible until a later try ends otherwise.
            if !matches!(link.status, LinkStatus::Refused { .. }) {
                link.status = LinkStatus::Connecting;
            }
            let (mut asked, asked_at) = self.ahead.take().unwrap_or_default();
            if let Some(Ok(access)) = asked.take() {
                return self.try_with(now, &access, renet, link);
            }
            // A token requested earlier may never come, since the line was cut: a second one is requested later.
            let again_at = if asked.is_empty() { now } else { asked_at + TOKEN_AGAIN };
            self.state =
                State::Fetching { asked, again_at: Some(again_at), give_up_at: now + TOKEN_WAIT_MAX };
        }
        let State::Fetching { asked, again_at, give_up_at } = &mut self.state else { return };
        if again_at.take_if(|at| now >= *at).is_some() {
            asked.ask(&*self.tokens, sockets.map(Sockets::waker));
        }
        let answer = match asked.take() {
            Some(answer) => answer,
            None if now < *give_up_at => return,
            None => Err(NoToken::Unreachable {
                reason: problems::too_slow("the coordinator took too long to answer over HTTPS"),
            }),
        };
        match answer {
            Ok(access) => self.try_with(now, &access, renet, link),
            Err(NoToken::Unreachable { reason }) => self.fail(now, link, reason),
            Err(NoToken::Refused { reason }) => self.wait(now, link, LinkStatus::Refused { reason }),
        }
    }

    fn try_with(&mut self, now: Duration, access: &Access, renet: &mut RenetClient, link: &mut ClientLink) {
        match self.dial(now, access) {
            Ok(attempt) => {
                self.beside = None;
                *renet = new_connection(ConnectionEnd::Client);
                let give_up_at = self.retries.give_up_at(now);
                self.state = State::Trying { attempt: Box::new(attempt), give_up_at };
            }
            Err(error) => self.fail(now, link, error.into()),
        }
    }

    fn dial(&self, now: Duration, access: &Access) -> Result<Attempt, LinkError> {
        let (wire, server) = match &self.transport {
            ClientTransport::Udp(_) | ClientTransport::Later => {
                (Wire::connect(access.server, self.tokens.leaves_from(), self.impair())?, access.server)
            }
            ClientTransport::Memory(hub) => {
                let port = hub.client_port(&self.name);
                (Wire::new(Medium::Memory(port), self.impair()), hub.server_address())
            }
        };
        Attempt::new(now, wire, server, &access.token)
    }

    /// Records why a try has failed, and plans the next one.
    fn fail(&mut self, now: Duration, link: &mut ClientLink, reason: LinkProblem) {
        tracing::debug!(%reason, "not connected");
        link.problem = Some(reason);
        self.wait(now, link, LinkStatus::Offline);
    }

    /// The impairment with another seed for every try.
    fn impair(&self) -> Option<crate::Impairment> {
        self.impair.map(|fate| crate::Impairment { seed: fate.seed.wrapping_add(self.tries << 32), ..fate })
    }

    /// Plans the next try.
    fn wait(&mut self, now: Duration, link: &mut ClientLink, status: LinkStatus) {
        let until = self.retries.next_at(now, matches!(status, LinkStatus::Refused { .. }));
        self.state = State::Waiting { until };
        if let LinkStatus::Refused { reason } = &status {
            link.problem = Some(reason.clone());
        }
        link.next_try = Some(until);
        link.status = status;
        link.is_busy = false;
    }

    /// Advances the handshake and netcode's clock; runs before packets are read.
    pub(super) fn tick(&mut self, now: Duration) {
        if let Some(beside) = &mut self.beside {
            beside.tick(now);
        }
        let (attempt, pause) = match &mut self.state {
            State::Trying { attempt, .. } => (attempt, Duration::ZERO),
            State::Connected { attempt, .. } => (attempt, NETCODE_TICK_AT_CLIENT),
            State::Waiting { .. } | State::Fetching { .. } | State::Closed => return,
        };
        if now >= attempt.ticked_at + pause {
            attempt.tick(now);
        }
    }

    /// Handles one packet from the socket.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &mut [u8],
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        match &mut self.state {
            State::Trying { attempt, .. } => {
                if from != attempt.server {
                    return;
                }
                let opened = envelope::open(packet);
                if !matches!(opened, Ok(Envelope::Challenge | Envelope::Denied | Envelope::KeepAlive { .. }))
                {
                    return;
                }
                attempt.decrypt(packet);
                if !attempt.netcode.is_connected() {
                    // The answer to the packet leaves in this update: the next one may be a while away.
                    attempt.tick(now);
                } else if let State::Trying { attempt, .. } =
                    std::mem::replace(&mut self.state, State::Closed)
                {
                    self.connected(now, attempt, renet, link);
                }
            }
            State::Connected { attempt, session, .. } => {
                if from != attempt.server {
                    return;
                }
                if let Err(offence) = receive_connected(now, packet, attempt, session, renet) {
                    tracing::error!(reason = offence.0, "the coordinator broke the protocol; hanging up");
                    let detail = format!("the coordinator broke the protocol: {}", offence.0);
                    self.forget_spare();
                    self.hang_up(now, renet, link, problems::nonsense(detail));
                }
            }
            State::Waiting { .. } | State::Fetching { .. } | State::Closed => {}
        }
    }

    fn connected(
        &mut self,
        now: Duration,
        attempt: Box<Attempt>,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        self.forget_spare();
        self.goodbye = None;
        renet.set_connected();
        let bucket = RateLimit::bucket(self.rate_limit, attempt.server.ip(), self.impair.is_some());
        let is_local = attempt.server.ip().is_loopback();
        let session = PeerSession::new(now, ConnectionEnd::Client, is_local, bucket, self.ack_delay);
        link.stats = session.stats.clone();
        link.status = LinkStatus::Connected;
        link.problem = None;
        link.next_try = None;
        self.news.is_up = true;
        self.state = State::Connected { attempt, session: Box::new(session), since: now };
    }

    /// Sends what may leave now; an error if more is queued than allowed.
    pub(super) fn send(
        &mut self,
        time: UpdateTime,
        everything: bool,
        renet: &mut RenetClient,
    ) -> Result<(), Offence> {
        let now = time.now;
        if let Some(beside) = &mut self.beside {
            beside.flush(now, everything);
        }
        let State::Connected { attempt, session, .. } = &mut self.state else {
            if let Some(wire) = self.wire() {
                wire.flush(now, everything);
            }
            return Ok(());
        };
        let Attempt { netcode, wire, server, .. } = &mut **attempt;
        let sent =
            session.send(time, renet, everything, |payload| match netcode.generate_payload_packet(payload) {
                Ok((_, packet)) => {
                    wire.send(now, *server, packet);
                    packet.len()
                }
                Err(error) => {
                    tracing::debug!(%error, "payload not encrypted");
                    0
                }
            });
        wire.flush(now, everything);
        sent
    }

    /// When the dialer next has something to do.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        let (due, wire) = match &self.state {
            // `beside` has a timer for the moment when its handshake is no longer worth waiting for.
            State::Waiting { .. } | State::Fetching { .. } if self.waits_for_spare(now) => (None, None),
            State::Waiting { until } => (Some(*until), None),
            State::Fetching { again_at, give_up_at, .. } => {
                (Some(again_at.map_or(*give_up_at, |at| at.min(*give_up_at))), None)
            }
            State::Trying { attempt, give_up_at } => {
                (Some(attempt.sends_at().min(*give_up_at)), attempt.wire.next_due())
            }
            State::Connected { attempt, session, .. } => {
                // netcode's tick may wait for the coordinator's next heartbeat, which wakes this program anyway.
                let ticks_at = attempt.ticked_at + NETCODE_TICK_AT_CLIENT + BEAT_IDLE_TO_CLIENT;
                let spare_at = self.spare.as_ref().map(|spare| spare.due_at(session.heartbeat.heard_at()));
                let due = session.next_due(now).min(ticks_at).min(spare_at.unwrap_or(Duration::MAX));
                (Some(due), attempt.wire.next_due())
            }
            State::Closed => (None, None),
        };
        let beside = self.beside.as_ref().and_then(|beside| beside.next_due(now));
        [due, wire, beside].into_iter().flatten().min()
    }
}
