//! The session with one peer: its state, its measurements, and all sending and receiving.

use std::time::Duration;

use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use p2c2r_protocol::limits::MESSAGE_BYTES_MAX;
use p2c2r_protocol::wire::{self, Bounded, Decode, Encode};
use p2c2r_protocol::{Beat, Channel, Micros, Routed};

use crate::clock::UpdateTime;
use crate::connection::{Connection, ConnectionEnd};
use crate::guard::{self, Guard, Pass, Violation};
use crate::heartbeat::Heartbeat;
use crate::limits::{
    FORGED_PER_SECOND, INTAKE_LOCAL, INTAKE_REMOTE, MESSAGES_PER_UPDATE_MAX, PACKETS_EARLY_MAX,
    PACKETS_LATE_MAX, PARCEL_BYTES_MAX, UNDECODABLE_MAX,
};
use crate::loss::LossMeter;
use crate::parity::Restorer;
use crate::rate_limit::TokenBucket;
use crate::send_queue::SendQueue;

/// Measurements of one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerStats {
    /// Smoothed round trip; `None` before a heartbeat has been echoed.
    pub rtt: Option<Duration>,
    /// Smoothed variation of round trips.
    pub jitter: Duration,
    /// Share of the peer's packets lost on the way here, 0 to 1, over the last seconds.
    pub loss: f32,
    /// Bytes sent, as UDP payload.
    pub sent_bytes: u64,
    /// Bytes received, as UDP payload.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Our clock minus theirs in microseconds: ours = theirs + offset.
    pub clock_offset_us: Option<i64>,
    /// Bytes waiting here: not yet sent, or sent and not yet acknowledged.
    pub backlog_bytes: usize,
    /// Packets and messages from this peer that were refused.
    pub garbage: u64,
    /// When anything was last heard, on our clock.
    pub last_heard: Micros,
}

/// Why a peer is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offence(pub(crate) String);

impl Offence {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// The result of [`PeerSession::take_messages`].
#[derive(Debug, Default)]
pub(crate) struct TakenMessages {
    pub(crate) messages: usize,
    /// Whether some are left for the next update.
    pub(crate) has_more: bool,
}

/// One connection from the guard to the sending queue; the same at both ends.
#[derive(Debug)]
pub(crate) struct PeerSession {
    pub(crate) stats: PeerStats,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) send_queue: SendQueue,
    restorer: Restorer,
    guard: Guard,
    loss: LossMeter,
    packets: TokenBucket,
    bytes: TokenBucket,
    forged: TokenBucket,
    undecodable: u64,
    is_confirmed: bool,
    /// By channel: whether renet has received something since its messages were last taken. Asking renet
    /// costs look-ups, and most packets carry messages of at most one channel.
    has_mail: [bool; Channel::ALL.len()],
    /// By channel: messages that are to leave at the end of this update, concatenated. renet gets them as one
    /// message, because its cost per message exceeds that of most contents.
    parcels: [Vec<u8>; Channel::ALL.len()],
    scratch: Vec<u8>,
}

impl PeerSession {
    pub(crate) fn new(
        now: Duration,
        end: ConnectionEnd,
        is_local: bool,
        bucket: Option<TokenBucket>,
        ack_delay: Duration,
    ) -> Self {
        let (packets, bytes) = if is_local { INTAKE_LOCAL } else { INTAKE_REMOTE };
        Self {
            stats: PeerStats { last_heard: now.into(), ..PeerStats::default() },
            heartbeat: Heartbeat::new(now, end),
            send_queue: SendQueue::new(now, bucket, ack_delay),
            restorer: Restorer::default(),
            guard: Guard::new(end),
            loss: LossMeter::default(),
            packets: TokenBucket::new(packets, packets / 2.0),
            bytes: TokenBucket::new(bytes, bytes / 2.0),
            forged: TokenBucket::new(FORGED_PER_SECOND, FORGED_PER_SECOND / 2.0),
            undecodable: 0,
            is_confirmed: false,
            has_mail: [false; Channel::ALL.len()],
            parcels: Default::default(),
            scratch: Vec::new(),
        }
    }

    /// Whether packets of the peer may be accepted now; asked before anything is decrypted. Only packets that
    /// prove to be the peer's count against its rate, because anyone can spoof its address.
    pub(crate) fn admits(&mut self, now: Duration) -> bool {
        self.packets.take(now, 0) && self.bytes.take(now, 0)
    }

    /// Whether a packet of this number can be a new one of the peer: neither older than the replay window, as
    /// netcode would find too, nor further ahead than packets can have been lost.
    pub(crate) fn may_be_new(&self, sequence: u64) -> bool {
        let newest = self.loss.newest().unwrap_or_default();
        sequence + PACKETS_LATE_MAX > newest && sequence <= newest + PACKETS_EARLY_MAX
    }

    /// Records a packet with the peer's address that was forged, or a copy.
    pub(crate) fn forged(&mut self, now: Duration) {
        self.forged.take(now, 1);
    }

    /// Whether hundreds of such packets come per second.
    pub(crate) fn is_suspect(&self) -> bool {
        self.forged.is_low()
    }

    /// Whether so many of them come that the work for them has to be limited for the other peers' sake.
    pub(crate) fn is_plagued(&mut self, now: Duration) -> bool {
        !self.forged.take(now, 0)
    }

    /// Records a keep-alive that the peer has sealed. It may be a copy of an older one, so it proves nothing.
    pub(crate) fn may_have_kept_alive(&mut self, sequence: u64, bytes: usize) {
        self.loss.claimed(sequence);
        self.stats.received_bytes += bytes as u64;
        self.stats.received_packets += 1;
    }

    /// Records an authenticated packet of this peer.
    pub(crate) fn heard(&mut self, now: Duration, sequence: u64, bytes: usize) {
        self.is_confirmed = true;
        self.packets.take(now, 1);
        self.bytes.take(now, bytes);
        self.heartbeat.heard(now);
        self.loss.received(now, sequence);
        self.stats.loss = self.loss.share();
        self.stats.last_heard = now.into();
        self.stats.received_bytes += bytes as u64;
        self.stats.received_packets += 1;
    }

    /// Whether the peer has been heard since the handshake.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Checks a decrypted payload and passes its content to renet; returns whether it completes messages.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        payload: &[u8],
        connection: &mut impl Connection,
    ) -> Result<bool, Offence> {
        let opened = self.restorer.open(payload).map_err(|violation| self.violated(violation))?;
        let mut is_laden = false;
        for content in opened.content.into_iter().chain(opened.restored.as_deref()) {
            let (packet, acknowledgement) =
                guard::split(content).map_err(|violation| self.violated(violation))?;
            is_laden |= self.receive_packet(now, packet, connection)?;
            if let Some(acknowledgement) = acknowledgement {
                self.receive_packet(now, acknowledgement, connection)?;
            }
        }
        Ok(is_laden)
    }

    fn violated(&mut self, violation: Violation) -> Offence {
        self.stats.garbage += 1;
        Offence::new(format!("protocol violation: {}", violation.0))
    }

    fn receive_packet(
        &mut self,
        now: Duration,
        payload: &[u8],
        connection: &mut impl Connection,
    ) -> Result<bool, Offence> {
        let pass = self.guard.check(payload, self.send_queue.newest_sent());
        let pass = pass.map_err(|violation| self.violated(violation))?;
        let mut is_laden = false;
        let packet = match pass {
            Pass::Feed { channel, completes } => {
                is_laden = completes;
                if let Some(channel) = channel {
                    self.has_mail[channel as usize] = true;
                    if channel != Channel::Beat {
                        self.send_queue.ack_wanted(now);
                    }
                }
                payload
            }
            Pass::Repeat { sequence } => {
                self.send_queue.ack_wanted(now);
                guard::empty_packet(sequence, &mut self.scratch);
                &self.scratch
            }
            Pass::Ignore(reason) => {
                self.stats.garbage += 1;
                tracing::debug!(reason, "packet ignored");
                return Ok(false);
            }
        };
        // The guard prevents every known panic in renet; this catches unknown ones.
        let processed = catch_panic(|| connection.process(packet));
        if processed.is_err() {
            self.stats.garbage += 1;
            return Err(Offence::new("processing its packet panicked"));
        }
        match connection.failure() {
            None => Ok(is_laden),
            Some(failure) => {
                self.stats.garbage += 1;
                Err(Offence::new(format!("renet gave up: {failure}")))
            }
        }
    }

    /// Handles the heartbeats that renet has received. They arrive by the clock right now: the update's time
    /// may be older than the moment when an earlier heartbeat left (Bevy's pipelined rendering passes it on
    /// late), and then an honest echo would seem to come from the future.
    pub(crate) fn take_beats(
        &mut self,
        time: UpdateTime,
        connection: &mut impl Connection,
    ) -> Result<(), Offence> {
        if !std::mem::take(&mut self.has_mail[Channel::Beat as usize]) {
            return Ok(());
        }
        let arrived = time.this_moment().into();
        while let Some(bytes) = connection.receive(Channel::Beat) {
            match wire::decode_message::<Beat>(&bytes) {
                Ok(beat) if self.heartbeat.take(beat, arrived) => {}
                Ok(_) => {
                    // Not an offence: it affects only the peer's own measurements, and an honest peer with an
                    // irregular clock may look like this.
                    self.stats.garbage += 1;
                    tracing::debug!("a heartbeat that cannot be true was ignored");
                }
                Err(error) => self.undecodable(&format!("a heartbeat that does not decode: {error}"))?,
            }
        }
        self.stats.rtt = self.heartbeat.rtt();
        self.stats.jitter = self.heartbeat.jitter();
        self.stats.clock_offset_us = self.heartbeat.offset_us();
        self.send_queue
            .set_round_trip(self.heartbeat.rtt().unwrap_or_default() + 2 * self.heartbeat.jitter());
        Ok(())
    }

    /// Returns the messages of type `M` that renet has, about [`MESSAGES_PER_UPDATE_MAX`] at most;
    /// undecodable ones are counted and skipped.
    pub(crate) fn take_messages<M: Decode<()> + Bounded + Routed>(
        &mut self,
        connection: &mut impl Connection,
        mut hand_over: impl FnMut(M),
    ) -> Result<TakenMessages, Offence> {
        let mut taken = TakenMessages::default();
        for channel in Channel::RELIABLE {
            if !std::mem::take(&mut self.has_mail[channel as usize]) {
                continue;
            }
            while let Some(parcel) = connection.receive(channel) {
                self.open_parcel(channel, &parcel, &mut |message| {
                    taken.messages += 1;
                    hand_over(message);
                })?;
                if taken.messages >= MESSAGES_PER_UPDATE_MAX {
                    self.has_mail[channel as usize] = true;
                    taken.has_more = true;
                    return Ok(taken);
                }
            }
        }
        Ok(taken)
    }

    fn open_parcel<M: Decode<()> + Bounded + Routed>(
        &mut self,
        channel: Channel,
        parcel: &[u8],
        hand_over: &mut impl FnMut(M),
    ) -> Result<(), Offence> {
        let mut rest = parcel;
        while !rest.is_empty() {
            match wire::take_message::<M>(&mut rest) {
                Ok(_) if !rest.is_empty() && parcel.len() > PARCEL_BYTES_MAX => {
                    return self.undecodable("a long message with something behind it");
                }
                Ok(message) if message.channel() == channel => hand_over(message),
                Ok(_) => self.undecodable("a message on the wrong channel")?,
                Err(error) => return self.undecodable(&format!("a message that does not decode: {error}")),
            }
        }
        Ok(())
    }

    fn undecodable(&mut self, what: &str) -> Result<(), Offence> {
        self.stats.garbage += 1;
        self.undecodable += 1;
        tracing::debug!(what, "message refused");
        if self.undecodable >= UNDECODABLE_MAX {
            return Err(Offence::new(format!("sent {what}")));
        }
        Ok(())
    }

    /// Adds a message to its channel's parcel.
    pub(crate) fn queue<M: Encode + Routed>(
        &mut self,
        message: &M,
        connection: &mut impl Connection,
    ) -> Result<(), Offence> {
        let channel = message.channel();
        let parcel = &mut self.parcels[channel as usize];
        let before = parcel.len();
        wire::encode_onto(message, parcel);
        let bytes = parcel.len() - before;
        if bytes == 0 || bytes > MESSAGE_BYTES_MAX {
            parcel.truncate(before);
            // An error of this program, not of the peer: no decoder would accept it, so it must not leave.
            tracing::error!(bytes, max = MESSAGE_BYTES_MAX, "message too large to send; dropped");
            return Ok(());
        }
        if parcel.len() <= PARCEL_BYTES_MAX {
            return Ok(());
        }
        self.post(channel, before, connection)?;
        if bytes > PARCEL_BYTES_MAX { self.post(channel, bytes, connection) } else { Ok(()) }
    }

    /// Passes the first `bytes` of a channel's parcel to renet, if there are any.
    fn post(
        &mut self,
        channel: Channel,
        bytes: usize,
        connection: &mut impl Connection,
    ) -> Result<(), Offence> {
        if bytes == 0 {
            return Ok(());
        }
        let parcel = &mut self.parcels[channel as usize];
        let message = parcel[..bytes].to_vec();
        parcel.drain(..bytes);
        if !connection.can_send(channel, message.len()) {
            return Err(Offence::new("too slow: its backlog is full"));
        }
        connection.send(channel, message);
        self.send_queue.data_added();
        Ok(())
    }

    /// Sends what may leave now through `transmit`, which encrypts a payload, sends it, and returns its size on
    /// the wire. What renet had room for leaves even if the rest is refused.
    pub(crate) fn send(
        &mut self,
        time: UpdateTime,
        connection: &mut impl Connection,
        everything: bool,
        mut transmit: impl FnMut(&[u8]) -> usize,
    ) -> Result<(), Offence> {
        let now = time.now;
        let mut posted = Ok(());
        let has_parcels = self.parcels.iter().any(|parcel| !parcel.is_empty());
        if everything || has_parcels || self.next_due(now) <= now {
            connection.advance(self.send_queue.advance_clock(now, self.loss.share()));
            for channel in Channel::RELIABLE {
                let bytes = self.parcels[channel as usize].len();
                posted = posted.and(self.post(channel, bytes, connection));
            }
            if self.heartbeat.due_at() <= now {
                let beat = wire::encode(&self.heartbeat.beat(now, time.this_moment().into()));
                if connection.can_send(Channel::Beat, beat.len()) {
                    connection.send(Channel::Beat, beat);
                    self.send_queue.data_added();
                }
            }
            let stats = &mut self.stats;
            self.send_queue.send(now, connection, everything, |payload| {
                stats.sent_bytes += transmit(payload) as u64;
                stats.sent_packets += 1;
            });
        }
        self.stats.backlog_bytes = self.send_queue.queued_bytes();
        for channel in Channel::RELIABLE {
            if !self.send_queue.may_be_unacknowledged(channel) {
                continue;
            }
            let unacknowledged = CHANNEL_MEMORY_BYTES_MAX.saturating_sub(connection.free_bytes(channel));
            if unacknowledged == 0 {
                self.send_queue.all_acknowledged(channel);
            }
            self.stats.backlog_bytes += unacknowledged;
        }
        posted
    }

    /// When this session next needs attention.
    pub(crate) fn next_due(&self, now: Duration) -> Duration {
        let due = self.heartbeat.due_at().min(self.heartbeat.dies_at());
        self.send_queue.next_due(now).map_or(due, |sends_at| sends_at.min(due))
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
