//! How a client's connection or try ends, and what follows.

use std::sync::Arc;
use std::time::Duration;

use renet::RenetClient;
use renetcode::DisconnectReason;

use super::{Dialer, State};
use crate::client::ClientTransport;
use crate::client::link::{ClientLink, LinkStatus};
use crate::tokens::TokenSource;
use crate::{LinkProblem, PeerStats, problem as problems};

impl Dialer {
    /// Detects the end of a try or of the connection; runs after packets are read.
    pub(in crate::client) fn check(
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
                    self.tokens.not_over_udp(server);
                    self.fail(now, link, problems::not_over_udp(server));
                }
            }
            State::Connected { attempt, session, .. } => {
                if let Some(reason) = attempt.netcode.disconnect_reason() {
                    let problem = match reason {
                        DisconnectReason::DisconnectedByServer => {
                            self.forget_spare();
                            problems::goodbye(self.goodbye.take())
                        }
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
    pub(in crate::client) fn hang_up(
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
            // A token requested in an earlier silence may be from before a restart of the coordinator.
            let heard_at = session.heartbeat.heard_at();
            self.ahead = self.ahead.take().filter(|(_, asked_at)| *asked_at >= heard_at);
            self.retries.lost_after(now.saturating_sub(*since));
        }
        self.try_spare(now);
        if let Some(beside) = &mut self.beside {
            beside.go_on_alone(now);
        }
        self.news.down = Some(reason.clone());
        self.fail(now, link, reason);
    }

    /// Leaves the coordinator, and at once tries the one that these tokens are for, as if no try had failed before.
    pub(in crate::client) fn connect_to(
        &mut self,
        now: Duration,
        tokens: Arc<dyn TokenSource>,
        renet: &mut RenetClient,
        link: &mut ClientLink,
    ) {
        if let State::Trying { attempt, .. } = &mut self.state {
            attempt.farewell(now);
        }
        self.forget_spare();
        self.hang_up(now, renet, link, problems::closed("another coordinator was chosen"));
        self.transport = ClientTransport::Udp(Arc::clone(&tokens));
        self.tokens = tokens;
        self.retries.forget();
        self.ahead = None;
        self.goodbye = None;
        self.state = State::Waiting { until: now };
        link.status = LinkStatus::Offline;
        link.problem = None;
        link.stats = PeerStats::default();
    }

    /// Disconnects for good.
    pub(in crate::client) fn close(
        &mut self,
        now: Duration,
        renet: &mut RenetClient,
        link: &mut ClientLink,
        detail: &str,
    ) {
        self.forget_spare();
        self.hang_up(now, renet, link, problems::closed(detail));
        self.state = State::Closed;
        link.status = LinkStatus::Offline;
        link.next_try = None;
    }
}
