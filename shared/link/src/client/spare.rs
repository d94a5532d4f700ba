//! A client's spare connect token, and the handshake with it.
//!
//! When its coordinator falls silent, a client sends a connection request with its spare token from a second socket, and
//! keeps the silent session. It answers the coordinator's challenge only once that session is given up, because the
//! coordinator ends the older of two connections of one program. If the session is heard again, the client drops the
//! handshake, and the coordinator, which has seen the token and still hears the session, sends another one.

use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::SpareToken;

use super::attempt::{Attempt, read_token};
use crate::LinkError;
use crate::envelope::{self, Envelope};
use crate::limits::{DOUBT_IDLE, SPARE_MARGIN, SPARE_PATIENCE, TOKEN_SECONDS};
use crate::runner::Sockets;
use crate::tokens::Access;

/// A connect token for the next connection, which came over the session.
pub(super) struct Spare {
    pub(super) access: Access,
    good_until: Duration,
    /// Silence after which it is used.
    after: Duration,
}

impl Spare {
    /// Reads a token that came over the session with `server`. It is used `moment` after a silence of [`DOUBT_IDLE`].
    pub(super) fn read(
        now: Duration,
        token: SpareToken,
        server: SocketAddr,
        moment: Duration,
    ) -> Result<Self, LinkError> {
        let read = read_token(&token.0)?;
        let life = (read.expire_timestamp - read.create_timestamp).min(TOKEN_SECONDS);
        Ok(Self {
            access: Access { token: token.0, server },
            good_until: now + Duration::from_secs(life).saturating_sub(SPARE_MARGIN),
            after: DOUBT_IDLE + moment,
        })
    }

    pub(super) fn is_good(&self, now: Duration) -> bool {
        now < self.good_until
    }

    /// When silence since `heard_at` makes the client use it.
    pub(super) fn due_at(&self, heard_at: Duration) -> Duration {
        heard_at + self.after
    }
}

/// A handshake with a spare token.
pub(super) struct SpareTry {
    attempt: Box<Attempt>,
    began_at: Duration,
    good_until: Duration,
    round_trip: Duration,
    stage: Stage,
}

/// How far a handshake with a spare token has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client sends connection requests. `is_alone`: its session is given up, so a challenge may be answered.
    Asking { is_alone: bool, hopes_until: Duration },
    /// The coordinator has sent its challenge, which waits for an answer while the session may still be heard again.
    Challenged,
    /// The client answers the challenge.
    Answering { hopes_until: Duration },
}

impl SpareTry {
    /// Sends the first connection request. `round_trip` is an upper estimate of a round trip to the coordinator.
    pub(super) fn begin(now: Duration, mut attempt: Attempt, spare: &Spare, round_trip: Duration) -> Self {
        attempt.tick(now);
        Self {
            attempt: Box::new(attempt),
            began_at: now,
            good_until: spare.good_until,
            round_trip,
            stage: Stage::Asking { is_alone: false, hopes_until: now + SPARE_PATIENCE },
        }
    }

    pub(super) fn began_at(&self) -> Duration {
        self.began_at
    }

    pub(super) fn is_challenged(&self) -> bool {
        !matches!(self.stage, Stage::Asking { .. })
    }

    /// Whether it is worth waiting for this handshake before another way is tried: it has just begun, or the coordinator has
    /// answered.
    pub(super) fn hopes(&self, now: Duration) -> bool {
        match self.stage {
            Stage::Asking { hopes_until, .. } | Stage::Answering { hopes_until } => now < hopes_until,
            Stage::Challenged => true,
        }
    }

    /// Whether it has failed: it was refused, nothing listens there, or the token is too old.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.attempt.netcode.is_disconnected() || self.attempt.wire.was_refused || now >= self.good_until
    }

    /// Goes on after the session was given up: answers the challenge, or sends another request in case the line has just
    /// come back.
    pub(super) fn go_on_alone(&mut self, now: Duration) {
        match self.stage {
            Stage::Asking { hopes_until, .. } => {
                self.stage = Stage::Asking { is_alone: true, hopes_until };
                self.attempt.ask_anew(now);
            }
            Stage::Challenged => self.answer(now),
            Stage::Answering { .. } => {}
        }
        self.attempt.tick(now);
    }

    fn answer(&mut self, now: Duration) {
        self.stage = Stage::Answering { hopes_until: now + self.round_trip + SPARE_PATIENCE };
    }

    pub(super) fn begin_receiving(&mut self, sockets: Option<&Sockets>) {
        self.attempt.wire.begin(sockets);
    }

    pub(super) fn tick(&mut self, now: Duration) {
        if self.stage != Stage::Challenged {
            self.attempt.tick(now);
        }
    }

    /// Handles packets until none is left or the handshake has succeeded; returns whether it has.
    pub(super) fn receive(&mut self, now: Duration, buffer: &mut [u8]) -> bool {
        while let Some((from, bytes)) = self.attempt.wire.receive(now, buffer) {
            let packet = &mut buffer[..bytes];
            if from.theirs != self.attempt.server {
                continue;
            }
            match (envelope::open(packet), self.stage) {
                (Ok(Envelope::Challenge), Stage::Asking { is_alone, .. })
                    if self.attempt.is_genuine(packet) =>
                {
                    self.attempt.decrypt(packet);
                    if is_alone {
                        self.answer(now);
                    } else {
                        self.stage = Stage::Challenged;
                    }
                    self.tick(now);
                }
                (Ok(Envelope::Denied), _) | (Ok(Envelope::KeepAlive { .. }), Stage::Answering { .. }) => {
                    self.attempt.decrypt(packet);
                }
                _ => {}
            }
            if self.attempt.netcode.is_connected() {
                return true;
            }
        }
        false
    }

    pub(super) fn flush(&mut self, now: Duration, everything: bool) {
        self.attempt.wire.flush(now, everything);
    }

    /// When it next has something to do.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        let (sends_at, hopes_until) = match self.stage {
            Stage::Asking { hopes_until, .. } | Stage::Answering { hopes_until } => {
                (Some(self.attempt.sends_at()), Some(hopes_until).filter(|until| *until > now))
            }
            Stage::Challenged => (None, None),
        };
        [sends_at, hopes_until, self.attempt.wire.next_due()].into_iter().flatten().min()
    }

    /// The connection that the handshake has made.
    pub(super) fn into_attempt(self) -> Box<Attempt> {
        self.attempt
    }
}
