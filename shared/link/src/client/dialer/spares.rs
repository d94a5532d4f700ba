//! When a client uses its spare connect token, and when it requests another token instead.

use std::time::Duration;

use p2c2r_protocol::SpareToken;
use renet::RenetClient;

use super::{Dialer, State};
use crate::channels::new_connection;
use crate::client::link::ClientLink;
use crate::client::spare::{Spare, SpareTry};
use crate::connection::ConnectionEnd;
use crate::limits::{DOUBT_IDLE, TOKEN_AHEAD_EVERY};
use crate::runner::Sockets;
use crate::tokens::AskedTokens;

impl Dialer {
    /// Whether the dialer waits for the handshake with the spare token before it tries another way. Once another token has
    /// been requested it waits only if the coordinator has answered the spare one.
    pub(super) fn waits_for_spare(&self, now: Duration) -> bool {
        let Some(beside) = self.beside.as_ref().filter(|beside| beside.hopes(now)) else { return false };
        match self.state {
            State::Waiting { .. } => beside.is_challenged() || self.ahead.is_none(),
            State::Fetching { .. } => beside.is_challenged(),
            State::Trying { .. } | State::Connected { .. } | State::Closed => false,
        }
    }

    /// Keeps a spare token that came over the session, in place of the previous one.
    pub(in crate::client) fn keep_spare(&mut self, now: Duration, token: SpareToken) {
        let State::Connected { attempt, .. } = &self.state else { return };
        match Spare::read(now, token, attempt.server, self.retries.moment()) {
            Ok(spare) => self.spare = Some(spare),
            Err(error) => tracing::error!(%error, "a spare connect token is of no use"),
        }
    }

    /// Uses the spare token once the coordinator has fallen silent. If there is none, or if it gets no answer, requests
    /// another one over HTTPS: that takes four round trips, which then pass during the silence that ends the connection.
    /// Runs after packets are read.
    pub(in crate::client) fn doubt(&mut self, now: Duration, sockets: Option<&Sockets>) {
        let State::Connected { session, .. } = &self.state else { return };
        let heard_at = session.heartbeat.heard_at();
        self.beside.take_if(|beside| beside.began_at() <= heard_at || beside.is_over(now));
        self.spare.take_if(|spare| !spare.is_good(now));
        if self.spare.as_ref().is_some_and(|spare| now >= spare.due_at(heard_at)) {
            self.try_spare(now);
        }
        let is_missed = now >= heard_at + DOUBT_IDLE;
        let is_hopeful = self.spare.is_some() || self.beside.as_ref().is_some_and(|beside| beside.hopes(now));
        if is_missed
            && !is_hopeful
            && self.ahead.as_ref().is_none_or(|(_, since)| now >= *since + TOKEN_AHEAD_EVERY)
        {
            let mut asked = AskedTokens::default();
            asked.ask(&*self.tokens, sockets.map(Sockets::waker));
            self.ahead = Some((asked, now));
        }
    }

    /// Begins the handshake with the spare token, if there is one.
    pub(super) fn try_spare(&mut self, now: Duration) {
        let State::Connected { session, .. } = &self.state else { return };
        let round_trip = session.heartbeat.rtt().unwrap_or_default() + 4 * session.heartbeat.jitter();
        let Some(spare) = self.spare.take().filter(|spare| spare.is_good(now)) else { return };
        self.tries += 1;
        match self.dial(now, &spare.access) {
            Ok(attempt) => self.beside = Some(SpareTry::begin(now, attempt, &spare, round_trip)),
            Err(error) => tracing::debug!(%error, "the spare connect token cannot be tried"),
        }
    }

    /// Drops the spare token and its handshake: a new connection has replaced them, or the client must not go back to the
    /// coordinator by them.
    pub(in crate::client) fn forget_spare(&mut self) {
        self.spare = None;
        self.beside = None;
    }

    /// Begins an update's receiving on the socket of the handshake with the spare token, whose packets then wake this program.
    pub(in crate::client) fn begin_receiving_beside(&mut self, sockets: Option<&Sockets>) {
        if let Some(beside) = &mut self.beside {
            beside.begin_receiving(sockets);
        }
    }

    /// Handles the packets of the handshake with the spare token.
    pub(in crate::client) fn receive_beside(
        &mut self,
        now: Duration,
        buffer: &mut [u8],
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        let is_connected = self.beside.as_mut().is_some_and(|beside| beside.receive(now, buffer));
        if let Some(beside) = self.beside.take_if(|_| is_connected) {
            *renet = new_connection(ConnectionEnd::Client);
            self.connected(now, beside.into_attempt(), renet, link);
        }
    }
}
