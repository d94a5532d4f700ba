//! A client's connection: the token, the handshake, the session, the loss, and the retry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::Role;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use renet::RenetClient;
use renetcode::{ClientAuthentication, ConnectToken, DisconnectReason, NetcodeClient};

use super::attempt::{Attempt, receive_connected};
use super::link::{ClientLink, LinkStatus};
use super::{ClientLinkConfig, ClientTransport, Reconnect};
use crate::channels::new_connection;
use crate::connection::ConnectionEnd;
use crate::envelope::{self, Envelope};
use crate::limits::{
    BEAT_IDLE_TO_CLIENT, DOUBT_IDLE, NETCODE_RESEND, NETCODE_TICK_AT_CLIENT, REDIAL_WITHIN,
    TOKEN_AHEAD_EVERY, TOKEN_BYTES_MAX, TOKEN_WAIT_MAX,
};
use crate::peer::{Offence, PeerSession};
use crate::runner::Sockets;
use crate::socket::{Medium, Wire};
use crate::tokens::{Access, AskedTokens, NoToken, Nowhere, TokenSource};
use crate::{LinkError, LinkProblem, PeerStats, RateLimit, problem as problems};

/// A connection that lasted this long was a success: the next try comes at once.
const LASTED: Duration = Duration::from_secs(2);

/// A client's connection and its retries.
#[derive(Resource)]
pub(super) struct Dialer {
    transport: ClientTransport,
    tokens: Arc<dyn TokenSource>,
    name: String,
    rate_limit: Option<RateLimit>,
    impair: Option<crate::Impairment>,
    reconnect: Reconnect,
    pub(super) ack_delay: Duration,
    random: Pcg32,
    tries: u64,
    failures: u32,
    /// Whether the next try comes at once, because a connection that had lasted was lost.
    is_prompt: bool,
    /// A token asked for when the coordinator was missed, and when: for the next try.
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
    Waiting { until: Duration },
    Fetching { asked: AskedTokens, give_up_at: Duration },
    Trying { attempt: Box<Attempt>, give_up_at: Duration },
    Connected { attempt: Box<Attempt>, session: Box<PeerSession>, since: Duration },
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
            reconnect: config.reconnect,
            ack_delay: Duration::ZERO,
            random: Pcg32::seed_from_u64(seed),
            tries: 0,
            failures: 0,
            is_prompt: false,
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
        if let State::Waiting { until } = self.state
            && now >= until
        {
            self.tries += 1;
            link.next_try = None;
            // A refusal stays visible until a later try ends otherwise.
            if !matches!(link.status, LinkStatus::Refused { .. }) {
                link.status = LinkStatus::Connecting;
            }
            let mut asked = self.ahead.take().map(|(asked, _)| asked).unwrap_or_default();
            if let Some(Ok(access)) = asked.take() {
                return self.try_with(now, &access, renet, link);
            }
            // Also where one is on its way: that one may have been asked for over a line that has just been cut.
            asked.ask(&*self.tokens, sockets.map(Sockets::waker));
            self.state = State::Fetching { asked, give_up_at: now + TOKEN_WAIT_MAX };
        }
        let State::Fetching { asked, give_up_at } = &mut self.state else { return };
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

    /// Asks for a token as soon as the coordinator is missed; runs after packets are read. To fetch one takes four round trips
    /// over HTTPS, which then pass while the silence lasts that ends the connection.
    pub(super) fn ask_ahead(&mut self, now: Duration, sockets: Option<&Sockets>) {
        let State::Connected { session, .. } = &self.state else { return };
        let is_missed = now >= session.heartbeat.heard_at() + DOUBT_IDLE;
        if is_missed && self.ahead.as_ref().is_none_or(|(_, since)| now >= *since + TOKEN_AHEAD_EVERY) {
            let mut asked = AskedTokens::default();
            asked.ask(&*self.tokens, sockets.map(Sockets::waker));
            self.ahead = Some((asked, now));
        }
    }

    fn try_with(&mut self, now: Duration, access: &Access, renet: &mut RenetClient, link: &mut ClientLink) {
        match self.dial(now, access) {
            Ok(attempt) => {
                *renet = new_connection();
                let give_up_at = now + self.reconnect.give_up_after;
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
        let connect_token = read_token(&access.token)?;
        // Any start will do: netcode's client measures time from here on only.
        let netcode = NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token })
            .map_err(|error| LinkError::Token(error.to_string()))?;
        Ok(Attempt { wire, netcode, server, ticked_at: now })
    }

    /// A try has failed: says of what, and plans the next.
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
        let Reconnect { first_pause, longest_pause, .. } = self.reconnect;
        let is_refused = matches!(status, LinkStatus::Refused { .. });
        // Jitter keeps clients that lost their coordinator together from reconnecting at one moment.
        let until = if std::mem::take(&mut self.is_prompt) && !is_refused {
            now + REDIAL_WITHIN.mul_f64(self.random.random_range(0.0..1.0))
        } else {
            let pause = first_pause.saturating_mul(1 << self.failures.min(16)).min(longest_pause);
            self.failures = self.failures.saturating_add(1);
            now + if is_refused { longest_pause } else { pause }.mul_f64(self.random.random_range(0.75..1.25))
        };
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
                    let detail = format!("the coordinator broke the protocol: {}", offence.0);
                    self.hang_up(now, renet, link, problems::nonsense(detail));
                }
            }
            State::Waiting { .. } | State::Fetching { .. } | State::Closed => {}
        }
    }

    fn connected(&mut self, now: Duration, renet: &mut RenetClient, link: &mut ClientLink) {
        let State::Trying { attempt, .. } = std::mem::replace(&mut self.state, State::Closed) else { return };
        self.goodbye = None;
        renet.set_connected();
        let bucket = RateLimit::bucket(self.rate_limit, attempt.server.ip(), self.impair.is_some());
        let is_local = attempt.server.ip().is_loopback();
        let session = PeerSession::new(now, ConnectionEnd::Client, is_local, bucket, self.ack_delay);
        link.stats = session.stats.clone();
        link.status = LinkStatus::Connected;
        link.problem = None;
        self.news.is_up = true;
        self.state = State::Connected { attempt, session: Box::new(session), since: now };
    }

    /// Detects the end of a try or of the connection; runs after packets are read.
    pub(super) fn check(
        &mut self,
        now: Duration,
        delta: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        match &mut self.state {
            State::Trying { attempt, give_up_at } => {
                if attempt.netcode.disconnect_reason() == Some(DisconnectReason::ConnectionDenied) {
                    self.wait(now, link, LinkStatus::Refused { reason: problems::full() });
                } else if attempt.netcode.is_disconnected() || attempt.wire.was_refused || now >= *give_up_at
                {
                    let server = attempt.server;
                    self.fail(now, link, problems::not_over_udp(server));
                }
            }
            State::Connected { attempt, session, .. } => {
                if let Some(reason) = attempt.netcode.disconnect_reason() {
                    let problem = match reason {
                        DisconnectReason::DisconnectedByServer => problems::goodbye(self.goodbye.take()),
                        other => problems::lost(other.to_string()),
                    };
                    self.lose(now, link, problem);
                } else if session.heartbeat.is_dead(now, delta) {
                    let silence = now.saturating_sub(session.heartbeat.heard_at());
                    let detail =
                        format!("no sign of life from the coordinator for {} ms", silence.as_millis());
                    self.hang_up(now, renet, link, problems::lost(detail));
                }
            }
            State::Waiting { .. } | State::Fetching { .. } | State::Closed => {}
        }
    }

    /// Disconnects and drops the connection.
    pub(super) fn hang_up(
        &mut self,
        now: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
        reason: LinkProblem,
    ) {
        renet.disconnect();
        if let State::Connected { attempt, .. } = &mut self.state {
            attempt.farewell(now);
            self.lose(now, link, reason);
        }
    }

    fn lose(&mut self, now: Duration, link: &mut ClientLink, reason: LinkProblem) {
        if let State::Connected { since, session, .. } = &self.state {
            link.stats = session.stats.clone();
            // One asked for in an earlier silence may be of a coordinator that was restarted since.
            let heard_at = session.heartbeat.heard_at();
            self.ahead = self.ahead.take().filter(|(_, asked_at)| *asked_at >= heard_at);
            if now >= *since + LASTED {
                self.failures = 0;
                self.is_prompt = true;
            }
        }
        self.news.down = Some(reason.clone());
        self.fail(now, link, reason);
    }

    /// Leaves the coordinator, and tries the one of these tokens at once, as if it were the first.
    pub(super) fn connect_to(
        &mut self,
        now: Duration,
        tokens: Arc<dyn TokenSource>,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        if let State::Trying { attempt, .. } = &mut self.state {
            attempt.farewell(now);
        }
        self.hang_up(now, renet, link, problems::closed("another coordinator was chosen"));
        self.transport = ClientTransport::Udp(Arc::clone(&tokens));
        self.tokens = tokens;
        self.failures = 0;
        self.is_prompt = false;
        self.ahead = None;
        self.goodbye = None;
        self.state = State::Waiting { until: now };
        link.status = LinkStatus::Offline;
        link.problem = None;
        link.stats = PeerStats::default();
    }

    /// Disconnects for good.
    pub(super) fn close(
        &mut self,
        now: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
        detail: &str,
    ) {
        self.hang_up(now, renet, link, problems::closed(detail));
        self.state = State::Closed;
        link.status = LinkStatus::Offline;
        link.next_try = None;
    }

    /// Sends what may leave now; an error if more is queued than allowed.
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
        let Attempt { netcode, wire, server, .. } = &mut **attempt;
        let sent = session.send(now, stamp.into(), renet, everything, |payload| {
            match netcode.generate_payload_packet(payload) {
                Ok((_, packet)) => {
                    wire.send(now, *server, packet);
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
            State::Fetching { give_up_at, .. } => return Some(*give_up_at),
            State::Trying { attempt, give_up_at } => {
                // netcode resends its packet at this interval, and does not tell when it sent the last.
                (attempt, (now + NETCODE_RESEND).min(*give_up_at))
            }
            State::Connected { attempt, session, .. } => {
                // The coordinator's next heartbeat wakes this program in any case.
                let ticks_at = attempt.ticked_at + NETCODE_TICK_AT_CLIENT + BEAT_IDLE_TO_CLIENT;
                (attempt, session.next_due(now).min(ticks_at))
            }
            State::Closed => return None,
        };
        Some(attempt.wire.next_due().map_or(due, |wire| wire.min(due)))
    }
}

/// Decodes a connect token and checks what netcode assumes of one.
pub(crate) fn read_token(mut token: &[u8]) -> Result<ConnectToken, LinkError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(LinkError::Token("it is too long".to_owned()));
    }
    let token = ConnectToken::read(&mut token).map_err(|error| LinkError::Token(error.to_string()))?;
    // netcode assumes a first address and times in order, and asks nobody by a token that lives no second.
    if token.server_addresses[0].is_none() || token.create_timestamp >= token.expire_timestamp {
        return Err(LinkError::Token("it names no address, or no time".to_owned()));
    }
    Ok(token)
}
