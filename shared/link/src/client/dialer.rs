//! A client's connection: tries, the handshake, the session, the loss, and the next try.

use std::net::SocketAddr;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{ProtocolIdentity, Role};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use renet::RenetClient;
use renetcode::{ClientAuthentication, ConnectToken, DisconnectReason, NetcodeClient};

use super::attempt::{Attempt, receive_connected};
use super::link::{ClientLink, LinkStatus};
use super::{ClientLinkConfig, ClientTransport, Reconnect};
use crate::channels::{End, connection_config};
use crate::envelope::{self, Envelope, Introduction};
use crate::limits::{NETCODE_RESEND, NETCODE_TICK, NETCODE_TIMEOUT_SECONDS, TOKEN_SECONDS};
use crate::memory::EPOCH;
use crate::peer::{Offence, Session};
use crate::server::wall_clock;
use crate::socket::{Medium, Wire};
use crate::{Authentication, LinkError, Pace, notice};

/// A connection that lasted this long was a success: the next try after it does not wait longer than the first.
const LASTED: Duration = Duration::from_secs(2);

/// A client's connection and its plans.
#[derive(Resource)]
pub(super) struct Dialer {
    transport: ClientTransport,
    identity: ProtocolIdentity,
    introduction: Introduction,
    pace: Option<Pace>,
    impair: Option<crate::Impairment>,
    reconnect: Reconnect,
    authentication: Authentication,
    pub(super) ack_delay: Duration,
    random: Pcg32,
    tries: u64,
    failures: u32,
    state: State,
    news: News,
}

/// What has happened to the link in this update.
#[derive(Default)]
pub(super) struct News {
    pub(super) is_up: bool,
    pub(super) down: Option<String>,
}

enum State {
    Waiting { until: Duration },
    Trying { attempt: Box<Attempt>, give_up_at: Duration, refusal: Option<String> },
    Connected { attempt: Box<Attempt>, session: Box<Session>, since: Duration },
    Closed,
}

impl Dialer {
    pub(super) fn new(config: &ClientLinkConfig, authentication: Authentication, role: Role) -> Self {
        let introduction = Introduction::new(role, &config.name);
        let seed = match config.transport {
            ClientTransport::Udp { .. } => u64::from_le_bytes(renetcode::generate_random_bytes()),
            // Tests repeat exactly.
            ClientTransport::Memory(_) => {
                introduction.name.bytes().fold(7, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte))
            }
        };
        Self {
            transport: config.transport.clone(),
            identity: config.identity.clone(),
            introduction,
            pace: config.pace,
            impair: config.impair,
            reconnect: config.reconnect,
            authentication,
            ack_delay: Duration::ZERO,
            random: Pcg32::seed_from_u64(seed),
            tries: 0,
            failures: 0,
            state: State::Waiting { until: Duration::ZERO },
            news: News::default(),
        }
    }

    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Connected { session, .. } => Some(session),
            _ => None,
        }
    }

    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        match &mut self.state {
            State::Trying { attempt, .. } | State::Connected { attempt, .. } => Some(&mut attempt.wire),
            State::Waiting { .. } | State::Closed => None,
        }
    }

    /// Starts a try if it is time for one.
    pub(super) fn dial_when_due(&mut self, now: Duration, renet: &mut RenetClient, link: &mut ClientLink) {
        let State::Waiting { until } = self.state else { return };
        if now < until {
            return;
        }
        self.tries += 1;
        match self.dial(now) {
            Ok(attempt) => {
                *renet = RenetClient::new(connection_config(End::Client));
                let give_up_at = now + self.reconnect.give_up_after;
                self.state = State::Trying { attempt: Box::new(attempt), give_up_at, refusal: None };
                link.next_try = None;
                // A refusal stays on show until a later try ends otherwise.
                if !matches!(link.status, LinkStatus::Refused { .. }) {
                    link.status = LinkStatus::Connecting;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot try to connect");
                self.wait(now, link, LinkStatus::Offline);
            }
        }
    }

    fn dial(&self, now: Duration) -> Result<Attempt, LinkError> {
        let (wire, server, time) = match &self.transport {
            ClientTransport::Udp { server } => {
                (Wire::connect(*server, self.impair())?, *server, wall_clock())
            }
            ClientTransport::Memory(hub) => {
                let port = hub.client_port(&self.introduction.name);
                (Wire::new(Medium::Memory(port), self.impair()), hub.server_address(), hub.reach(EPOCH))
            }
        };
        let token = ConnectToken::generate(
            time,
            self.identity.id,
            TOKEN_SECONDS,
            u64::from_le_bytes(renetcode::generate_random_bytes()),
            NETCODE_TIMEOUT_SECONDS,
            vec![server],
            Some(&self.introduction.to_user_data()),
            &self.authentication.token_key(),
        )
        .map_err(|error| LinkError::Token(error.to_string()))?;
        let netcode = NetcodeClient::new(time, ClientAuthentication::Secure { connect_token: token })
            .map_err(|error| LinkError::Token(error.to_string()))?;
        Ok(Attempt { wire, netcode, server, ticked_at: now })
    }

    /// The impairment with another fate for every try.
    fn impair(&self) -> Option<crate::Impairment> {
        self.impair.map(|fate| crate::Impairment { seed: fate.seed.wrapping_add(self.tries << 32), ..fate })
    }

    /// Plans the next try.
    fn wait(&mut self, now: Duration, link: &mut ClientLink, status: LinkStatus) {
        let Reconnect { first_pause, longest_pause, .. } = self.reconnect;
        let pause = if matches!(status, LinkStatus::Refused { .. }) {
            longest_pause
        } else {
            first_pause.saturating_mul(1 << self.failures.min(16)).min(longest_pause)
        };
        // Jitter keeps a crowd that lost its coordinator together from coming back together.
        let until = now + pause.mul_f64(self.random.random_range(0.75..1.25));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { until };
        link.next_try = Some(until);
        link.status = status;
        link.is_busy = false;
    }

    /// Moves the handshake on, and netcode's clock; runs before packets are read.
    pub(super) fn tick(&mut self, now: Duration) {
        let (attempt, pause) = match &mut self.state {
            State::Trying { attempt, .. } => (attempt, Duration::ZERO),
            State::Connected { attempt, .. } => (attempt, NETCODE_TICK),
            State::Waiting { .. } | State::Closed => return,
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
            State::Trying { attempt, refusal, .. } => {
                if from != attempt.server {
                    return;
                }
                if let Some(theirs) = notice::read(packet) {
                    *refusal = Some(format!(
                        "the coordinator speaks {theirs}, this program {}: update the older one",
                        self.identity
                    ));
                    return;
                }
                let opened = envelope::open(packet);
                if !matches!(opened, Ok(Envelope::Challenge | Envelope::Denied | Envelope::KeepAlive { .. }))
                {
                    return;
                }
                attempt.decrypt(packet);
                if attempt.netcode.is_connected() {
                    self.connected(now, renet, link);
                }
            }
            State::Connected { attempt, session, .. } => {
                if from != attempt.server {
                    return;
                }
                if let Err(offence) = receive_connected(now, packet, attempt, session, renet) {
                    tracing::error!(reason = offence.0, "the coordinator broke the protocol; hanging up");
                    self.hang_up(
                        now,
                        renet,
                        link,
                        &format!("the coordinator broke the protocol: {}", offence.0),
                    );
                }
            }
            State::Waiting { .. } | State::Closed => {}
        }
    }

    fn connected(&mut self, now: Duration, renet: &mut RenetClient, link: &mut ClientLink) {
        let State::Trying { attempt, .. } = std::mem::replace(&mut self.state, State::Closed) else { return };
        renet.set_connected();
        let bucket = Pace::bucket(self.pace, attempt.server.ip());
        let session = Session::new(now, attempt.server.ip().is_loopback(), bucket, self.ack_delay);
        link.stats = session.stats.clone();
        link.status = LinkStatus::Connected;
        self.news.is_up = true;
        self.state = State::Connected { attempt, session: Box::new(session), since: now };
    }

    /// Notices the end of a try or of the connection; runs after packets are read.
    pub(super) fn check(
        &mut self,
        now: Duration,
        delta: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        match &mut self.state {
            State::Trying { attempt, give_up_at, refusal } => {
                if attempt.netcode.disconnect_reason() == Some(DisconnectReason::ConnectionDenied) {
                    let reason = refusal.take().unwrap_or_else(|| "the coordinator is full".to_owned());
                    self.wait(now, link, LinkStatus::Refused { reason });
                } else if attempt.netcode.is_disconnected() || attempt.wire.was_refused || now >= *give_up_at
                {
                    let status =
                        refusal.take().map_or(LinkStatus::Offline, |reason| LinkStatus::Refused { reason });
                    self.wait(now, link, status);
                } else if let Some(reason) = refusal {
                    link.status = LinkStatus::Refused { reason: reason.clone() };
                }
            }
            State::Connected { attempt, session, .. } => {
                if let Some(reason) = attempt.netcode.disconnect_reason() {
                    let reason = match reason {
                        DisconnectReason::DisconnectedByServer => {
                            "the coordinator closed the connection".to_owned()
                        }
                        other => other.to_string(),
                    };
                    self.lose(now, link, reason);
                } else if session.heart.is_dead(now, delta) {
                    let silence = now.saturating_sub(session.heart.heard_at());
                    let reason =
                        format!("no sign of life from the coordinator for {} ms", silence.as_millis());
                    self.hang_up(now, renet, link, &reason);
                }
            }
            State::Waiting { .. } | State::Closed => {}
        }
    }

    /// Says goodbye and forgets the connection.
    pub(super) fn hang_up(
        &mut self,
        now: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
        reason: &str,
    ) {
        renet.disconnect();
        if let State::Connected { attempt, .. } = &mut self.state {
            attempt.farewell(now);
            self.lose(now, link, reason.to_owned());
        }
    }

    fn lose(&mut self, now: Duration, link: &mut ClientLink, reason: String) {
        if let State::Connected { since, session, .. } = &self.state {
            link.stats = session.stats.clone();
            if now >= *since + LASTED {
                self.failures = 0;
            }
        }
        self.news.down = Some(reason);
        self.wait(now, link, LinkStatus::Offline);
    }

    /// Closes for good.
    pub(super) fn close(
        &mut self,
        now: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
        reason: &str,
    ) {
        self.hang_up(now, renet, link, reason);
        self.state = State::Closed;
        link.status = LinkStatus::Offline;
        link.next_try = None;
    }

    /// Sends what may leave now; an error if more is waiting than may.
    pub(super) fn send(
        &mut self,
        now: Duration,
        stamp: Duration,
        everything: bool,
        renet: &mut RenetClient,
    ) -> Result<(), Offence> {
        let State::Connected { attempt, session, .. } = &mut self.state else {
            if let Some(wire) = self.wire() {
                wire.flush(now, everything);
            }
            return Ok(());
        };
        let Attempt { netcode, wire, .. } = &mut **attempt;
        let sent = session.send(now, stamp.into(), renet, everything, |payload| {
            match netcode.generate_payload_packet(payload) {
                Ok((address, packet)) => {
                    wire.send(now, address, packet);
                    packet.len()
                }
                Err(error) => {
                    tracing::debug!(%error, "payload not encrypted");
                    0
                }
            }
        });
        wire.flush(now, everything);
        sent
    }

    /// When the dialer next has something to do.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        let (attempt, due) = match &self.state {
            State::Waiting { until } => return Some(*until),
            State::Trying { attempt, give_up_at, .. } => {
                // netcode repeats its packet so often, and says nothing of when it sent the last.
                (attempt, (now + NETCODE_RESEND).min(*give_up_at))
            }
            State::Connected { attempt, session, .. } => {
                (attempt, session.next_due(now).min(attempt.ticked_at + NETCODE_TICK))
            }
            State::Closed => return None,
        };
        Some(attempt.wire.next_due().map_or(due, |wire| wire.min(due)))
    }
}
