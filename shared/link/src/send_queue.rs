//! Sends to one peer: what leaves, and when.
//!
//! renet makes packets whenever it is asked and adds an acknowledgement each time, which the other end
//! acknowledges in turn: two event-driven programs would wake each other forever. It also retransmits by a
//! fixed timer, whatever still waits for the socket. So it is asked only when there is something to send,
//! packets wait in one short queue for the token bucket, and acknowledgements are delayed a little, to ride
//! behind the next packet: a datagram is one renet packet, perhaps one acknowledgement after it, and perhaps
//! padding. On a paced link that loses packets, each burst has a parity behind it (see `parity.rs`).

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::Channel;
use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;

use crate::connection::Connection;
use crate::guard::{self, packet_type};
use crate::limits::{
    ACK_DELAY, ACK_PACKETS, ACK_PACKETS_MAX, BYTES_PER_CALL, CALLS_PER_UPDATE_MAX, OVERHEAD_BYTES,
    QUEUED_BYTES_MAX, RIDING_BYTES_MAX, RUN_PACKETS, SLICE_BYTES,
};
use crate::parity::Protector;
use crate::rate_limit::TokenBucket;
use crate::resend_clock::ResendClock;

/// Sends within this of one another share a resend timer, set by the latest: at most this much late by the clock that renet
/// goes by, never early.
const RESEND_GROUP: Duration = Duration::from_millis(5);
/// Share of lost packets from which parities are worth their bytes. A player notices a loss of 1 %, and the share measured
/// over a few seconds is then now and then as low as a third of that.
const LOSS_FELT: f32 = 0.003;

/// The sending side of one connection.
#[derive(Debug)]
pub(crate) struct SendQueue {
    bucket: Option<TokenBucket>,
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    has_data: bool,
    ack_at: Option<Duration>,
    ack_delay: Duration,
    unacknowledged_packets: u32,
    resends: [ResendTimer; Channel::RELIABLE.len()],
    newest_sent: Option<u64>,
    resend_clock: ResendClock,
    protector: Protector,
    loses_packets: bool,
    round_trip: Duration,
}

impl SendQueue {
    pub(crate) fn new(now: Duration, bucket: Option<TokenBucket>, ack_delay: Duration) -> Self {
        Self {
            bucket,
            queue: VecDeque::new(),
            queued_bytes: 0,
            has_data: false,
            ack_at: None,
            ack_delay,
            unacknowledged_packets: 0,
            resends: Channel::RELIABLE.map(ResendTimer::new),
            newest_sent: None,
            resend_clock: ResendClock::new(now),
            protector: Protector::default(),
            loses_packets: false,
            round_trip: Duration::ZERO,
        }
    }

    /// Sets the time that an acknowledgement takes, from the heartbeats' measurements.
    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Advances the clock by which renet sends again; returns by how much. `loss` is the share of packets that is lost on this
    /// connection. Called before anything is sent.
    pub(crate) fn advance_clock(&mut self, now: Duration, loss: f32) -> Duration {
        let passed = self.resend_clock.advance(now);
        self.resend_clock.set_pace(self.round_trip + ACK_DELAY);
        self.loses_packets = loss >= LOSS_FELT;
        passed
    }

    /// Records that renet has got a message to send.
    pub(crate) fn data_added(&mut self) {
        self.has_data = true;
    }

    /// Records a packet that wants an acknowledgement.
    pub(crate) fn ack_wanted(&mut self, now: Duration) {
        self.unacknowledged_packets += 1;
        let at = if self.unacknowledged_packets >= ACK_PACKETS { now } else { now + self.ack_delay };
        self.ack_at = Some(self.ack_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Whether so many packets wait for an acknowledgement that it must not wait for the end of the update:
    /// renet remembers 64 ranges of packets and drops the oldest above that.
    pub(crate) fn owes_acks(&self) -> bool {
        self.unacknowledged_packets >= ACK_PACKETS_MAX
    }

    /// Number of the newest packet sent, the highest that a peer may acknowledge.
    pub(crate) fn newest_sent(&self) -> Option<u64> {
        self.newest_sent
    }

    /// Bytes waiting for the token bucket.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Whether renet may hold unacknowledged data on this channel; if false, it holds none.
    pub(crate) fn may_be_unacknowledged(&self, channel: Channel) -> bool {
        self.has_data || self.resends.iter().any(|timer| timer.channel == channel && !timer.groups.is_empty())
    }

    /// Records that renet holds no unacknowledged data on this channel, so that no retransmission is due.
    pub(crate) fn all_acknowledged(&mut self, channel: Channel) {
        for timer in self.resends.iter_mut().filter(|timer| timer.channel == channel) {
            timer.groups.clear();
        }
    }

    /// Sends what may leave now. `everything` ignores the rate limit, for the last messages of a program that
    /// exits.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        connection: &mut impl Connection,
        everything: bool,
        mut transmit: impl FnMut(&[u8]),
    ) {
        self.drain(now, everything, &mut transmit);
        for _ in 0..CALLS_PER_UPDATE_MAX {
            if self.queued_bytes > self.queued_bytes_max() || !self.wants_packets(now, connection) {
                break;
            }
            self.fetch(now, connection);
            self.end_burst();
            if self.bucket.is_some() || self.queue.len() >= RUN_PACKETS {
                self.drain(now, everything, &mut transmit);
            }
        }
        self.drain(now, everything, &mut transmit);
    }

    /// Limit of the queue. Without a rate limit packets do not wait for the bucket, and are gathered to leave
    /// together.
    fn queued_bytes_max(&self) -> usize {
        if self.bucket.is_some() { QUEUED_BYTES_MAX } else { usize::MAX }
    }

    /// Orders the packets into runs of one length, each of which passes the system's network stack at once
    /// (see `socket/udp.rs`): the longest first; those that are nearly as long are padded. That adds at most
    /// a third more bytes, on a link without a rate limit; heartbeats, whose time counts, stay in front.
    ///
    /// renet accepts any order. The other end's guard refuses packets that are too late, so only
    /// [`RUN_PACKETS`] are ordered at a time.
    fn make_runs(&mut self) {
        if self.queue.len() < 2 {
            return;
        }
        self.queue.make_contiguous().sort_by_key(|packet| {
            (packet.first() != Some(&packet_type::SMALL_UNRELIABLE), Reverse(packet.len()))
        });
        let mut length = 0;
        for packet in &mut self.queue {
            if packet.len() > length || packet.len() < length * 3 / 4 {
                length = packet.len();
            }
            self.queued_bytes += length - packet.len();
            guard::pad(packet, length);
        }
    }

    fn wants_packets(&mut self, now: Duration, connection: &impl Connection) -> bool {
        let shows = self.resend_clock.shows();
        let mut resend = false;
        for timer in &mut self.resends {
            // Check the clock first: asking renet costs a look-up.
            if timer.is_due(shows) {
                let is_unacknowledged = connection.free_bytes(timer.channel) < CHANNEL_MEMORY_BYTES_MAX;
                timer.pop(shows, is_unacknowledged);
                resend |= is_unacknowledged;
            }
        }
        self.has_data |= resend;
        self.has_data || self.ack_at.is_some_and(|at| at <= now)
    }

    fn fetch(&mut self, now: Duration, connection: &mut impl Connection) {
        let ack_is_due = self.ack_at.is_some_and(|at| at <= now);
        let shows = self.resend_clock.shows();
        let mut data_bytes = 0;
        let queued_before = self.queue.len();
        // No parity while the rate limit holds packets back: those go first.
        let protects = self.loses_packets && self.bucket.as_mut().is_some_and(|bucket| bucket.take(now, 0));
        // An acknowledgement, if there is one, comes last.
        for packet in connection.packets() {
            let Some((kind, sequence)) = guard::header(&packet) else { continue };
            self.newest_sent = Some(sequence);
            match kind {
                packet_type::ACK => {
                    let rides_along = self.ack_at.is_some() && self.ride_along(queued_before, &packet);
                    if !rides_along && !ack_is_due {
                        // Not due yet: renet repeats its content until an acknowledgement arrives, so this
                        // one can be dropped.
                        continue;
                    }
                    self.ack_at = None;
                    self.unacknowledged_packets = 0;
                    if rides_along {
                        continue;
                    }
                }
                packet_type::SMALL_RELIABLE | packet_type::RELIABLE_SLICE => {
                    data_bytes += packet.len();
                    let channel = guard::reliable_channel(&packet);
                    for timer in &mut self.resends {
                        if channel == Some(timer.channel as u8) {
                            timer.sent(shows);
                        }
                    }
                }
                _ => data_bytes += packet.len(),
            }
            self.queued_bytes += packet.len();
            self.queue.push_back(packet);
        }
        if protects {
            self.protect(queued_before);
        }
        if ack_is_due && self.ack_at.is_some_and(|at| at <= now) {
            // renet had nothing to acknowledge.
            self.ack_at = None;
            self.unacknowledged_packets = 0;
        }
        // renet stops below its allowance only when it has no more data, or a slice that does not fit.
        self.has_data = data_bytes + SLICE_BYTES > BYTES_PER_CALL as usize;
    }

    /// Appends an acknowledgement to the newest of the packets queued since `queued_before`, if one has room:
    /// that costs a few bytes, where a datagram of its own costs a wake-up at the other end.
    fn ride_along(&mut self, queued_before: usize, acknowledgement: &[u8]) -> bool {
        let has_new = self.queue.len() > queued_before;
        let fits = |packet: &&mut Vec<u8>| packet.len() + acknowledgement.len() <= RIDING_BYTES_MAX;
        let Some(packet) = self.queue.back_mut().filter(|packet| has_new && fits(packet)) else {
            return false;
        };
        packet.extend_from_slice(acknowledgement);
        self.queued_bytes += acknowledgement.len();
        true
    }

    /// Adds the reliable packets queued since `queued_before` to the burst.
    fn protect(&mut self, queued_before: usize) {
        let is_data = |packet: &&mut Vec<u8>| {
            matches!(packet.first(), Some(&(packet_type::SMALL_RELIABLE | packet_type::RELIABLE_SLICE)))
        };
        for packet in self.queue.iter_mut().skip(queued_before).filter(is_data) {
            if !self.protector.is_full() {
                self.queued_bytes -= packet.len();
                self.protector.add(packet);
                self.queued_bytes += packet.len();
            }
        }
    }

    /// Queues the parity of the burst, once it is full or there is no more to send.
    fn end_burst(&mut self) {
        if (self.protector.is_full() || !self.has_data)
            && let Some(parity) = self.protector.end()
        {
            self.queued_bytes += parity.len();
            self.queue.push_back(parity);
        }
    }

    fn drain(&mut self, now: Duration, everything: bool, transmit: &mut impl FnMut(&[u8])) {
        if self.bucket.is_none() {
            self.make_runs();
        }
        while let Some(packet) = self.queue.front() {
            let may_leave = everything
                || self.bucket.as_mut().is_none_or(|bucket| bucket.take(now, packet.len() + OVERHEAD_BYTES));
            if !may_leave {
                break;
            }
            transmit(packet);
            self.queued_bytes -= packet.len();
            self.queue.pop_front();
        }
    }

    /// When [`send`](Self::send) next has something to do.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        if !self.queue.is_empty() {
            // renet is not asked while packets wait, so only the bucket matters.
            return self.bucket.as_ref().map(TokenBucket::ready_at);
        }
        let data = self.has_data.then_some(now);
        let resends = self.resends.iter().filter_map(ResendTimer::next_due);
        let resends = resends.map(|shows| self.resend_clock.time_of(shows));
        data.into_iter().chain(self.ack_at).chain(resends).min()
    }
}

/// When reliable data sent on one channel are due to be sent again, all by [`ResendClock`].
#[derive(Debug)]
struct ResendTimer {
    channel: Channel,
    after: Duration,
    /// First and last moment of each group of sends, oldest first.
    groups: VecDeque<(Duration, Duration)>,
}

impl ResendTimer {
    fn new(channel: Channel) -> Self {
        Self { channel, after: channel.resend_after().unwrap_or(Duration::MAX), groups: VecDeque::new() }
    }

    fn sent(&mut self, shows: Duration) {
        match self.groups.back_mut() {
            Some((first, last)) if shows.saturating_sub(*first) < RESEND_GROUP => *last = shows,
            _ => self.groups.push_back((shows, shows)),
        }
    }

    fn is_due(&self, shows: Duration) -> bool {
        self.next_due().is_some_and(|due| due <= shows)
    }

    fn next_due(&self) -> Option<Duration> {
        self.groups.front().map(|(_, last)| *last + self.after)
    }

    fn pop(&mut self, shows: Duration, is_unacknowledged: bool) {
        if !is_unacknowledged {
            self.groups.clear();
        }
        while self.is_due(shows) {
            self.groups.pop_front();
        }
    }
}
