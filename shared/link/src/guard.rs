//! Checks every decrypted packet before renet sees it.
//!
//! renet 2.0.1 trusts its peer: a slice index at or above the slice count panics, slice counts that differ
//! within one message corrupt its accounting, messages of length zero cost no memory and grow a map without
//! bound, and late copies of slices of a finished message leave a half-built message that is never freed. So
//! this module parses renet's five packet types itself, mirrors in a small state what has been received, and
//! passes only what an honest renet sender could have sent.

use std::collections::{HashMap, VecDeque};

use p2c2r_protocol::Channel;

use crate::connection::ConnectionEnd;
use crate::limits::{
    ACK_RANGES_MAX, BEAT_BYTES_MAX, BEATS_PER_PACKET_MAX, CONTROL_AHEAD_MAX, MESSAGES_AHEAD_MAX,
    MESSAGES_AHEAD_POSSIBLE, PACKETS_EARLY_MAX, PACKETS_LATE_MAX, REASSEMBLY_BYTES_MAX, SLICE_BYTES,
    SLICES_MAX,
};

/// renet's packet types, the first byte of a packet.
pub(crate) mod packet_type {
    pub(crate) const SMALL_RELIABLE: u8 = 0;
    pub(crate) const SMALL_UNRELIABLE: u8 = 1;
    pub(crate) const RELIABLE_SLICE: u8 = 2;
    pub(crate) const UNRELIABLE_SLICE: u8 = 3;
    pub(crate) const ACK: u8 = 4;
    /// Our own packet type; renet's types count up from zero and do not reach it. The rest of the datagram is
    /// ignored.
    pub(crate) const PADDING: u8 = 0xFF;
}

/// Something that no honest sender sends; the peer is dropped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) &'static str);

/// What to do with a valid packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Pass it to renet.
    Feed {
        /// The channel whose messages it carries; `None` for an acknowledgement. Packets of reliable channels
        /// want an acknowledgement.
        channel: Option<Channel>,
        /// Whether it completes reliable messages.
        completes: bool,
    },
    /// All of it has been received before: let renet acknowledge it without reading it.
    Repeat {
        /// The packet's sequence number.
        sequence: u64,
    },
    /// Leave it unacknowledged, as if it had been lost.
    Ignore(&'static str),
}

/// The mirror of one peer's sending side.
#[derive(Debug)]
pub(crate) struct Guard {
    newest_packet: Option<u64>,
    control: Received,
    tasks: Received,
    /// `None` at the coordinator: no client sends anything on this channel.
    spare: Option<Received>,
}

impl Guard {
    /// The guard at this end of a new connection.
    pub(crate) fn new(end: ConnectionEnd) -> Self {
        let (control, spare) = match end {
            ConnectionEnd::Server => (Received::new(CONTROL_AHEAD_MAX, 0), None),
            ConnectionEnd::Client => (Received::with_long_messages(), Some(Received::with_long_messages())),
        };
        Self { newest_packet: None, control, tasks: Received::with_long_messages(), spare }
    }

    /// Checks one packet. `newest_sent` is the sequence number of the newest packet sent to this peer.
    pub(crate) fn check(&mut self, packet: &[u8], newest_sent: Option<u64>) -> Result<Pass, Violation> {
        let mut reader = Reader(packet);
        let kind = reader.byte()?;
        let sequence = reader.varint()?;
        let late = self.newest_packet.is_some_and(|newest| sequence + PACKETS_LATE_MAX < newest);
        if sequence > self.newest_packet.unwrap_or(0) + PACKETS_EARLY_MAX {
            return Err(Violation("packet number jumps ahead"));
        }
        let pass = match kind {
            packet_type::SMALL_RELIABLE => self.small_reliable(&mut reader, late),
            packet_type::SMALL_UNRELIABLE => small_unreliable(&mut reader),
            packet_type::RELIABLE_SLICE => self.slice(&mut reader, sequence, late),
            packet_type::UNRELIABLE_SLICE => Err(Violation("unreliable slice on a link that has none")),
            packet_type::ACK => acknowledgement(&mut reader, newest_sent),
            _ => Err(Violation("unknown packet type")),
        }?;
        if late {
            return Ok(Pass::Ignore("older than the replay window"));
        }
        self.newest_packet = Some(self.newest_packet.map_or(sequence, |newest| newest.max(sequence)));
        Ok(pass)
    }

    fn received(&mut self, channel: u8) -> Result<(Channel, &mut Received), Violation> {
        match channel {
            c if c == Channel::Control as u8 => Ok((Channel::Control, &mut self.control)),
            c if c == Channel::Tasks as u8 => Ok((Channel::Tasks, &mut self.tasks)),
            c if c == Channel::Spare as u8 => {
                let received = self.spare.as_mut().ok_or(Violation("a connect token for the coordinator"))?;
                Ok((Channel::Spare, received))
            }
            _ => Err(Violation("reliable data on a channel that is not reliable")),
        }
    }

    fn small_reliable(&mut self, reader: &mut Reader<'_>, late: bool) -> Result<Pass, Violation> {
        let (channel, received) = self.received(reader.byte()?)?;
        let count = reader.u16()?;
        // Validate the whole packet first, then record it: a packet counts as a whole or not at all.
        let mut look = Reader(reader.0);
        let mut too_far = false;
        for _ in 0..count {
            let id = look.varint()?;
            let length = look.varint()?;
            if length == 0 || length > SLICE_BYTES as u64 {
                return Err(Violation("small message of an impossible length"));
            }
            look.skip(length as usize)?;
            if received.partial.contains_key(&id) {
                return Err(Violation("small message under the id of a sliced one"));
            }
            too_far |= received.is_too_far_ahead(id)?;
        }
        look.end()?;
        if too_far || late {
            return Ok(Pass::Ignore("message too far ahead of the oldest one missing"));
        }
        for _ in 0..count {
            let id = reader.varint()?;
            let length = reader.varint()?;
            reader.skip(length as usize)?;
            received.finish(id);
        }
        Ok(Pass::Feed { channel: Some(channel), completes: true })
    }

    fn slice(&mut self, reader: &mut Reader<'_>, sequence: u64, late: bool) -> Result<Pass, Violation> {
        let (channel, received) = self.received(reader.byte()?)?;
        let (id, index, count) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let length = reader.varint()?;
        reader.skip(usize::try_from(length).map_err(|_| Violation("packet ends early"))?)?;
        reader.end()?;
        if !(2..=SLICES_MAX).contains(&count) {
            return Err(Violation("impossible number of slices"));
        }
        if index >= count {
            return Err(Violation("slice index out of range"));
        }
        let full = SLICE_BYTES as u64;
        if length == 0 || length > full || (index + 1 < count && length != full) {
            return Err(Violation("slice of an impossible length"));
        }
        if received.is_too_far_ahead(id)? {
            return Ok(Pass::Ignore("message too far ahead of the oldest one missing"));
        }
        if late {
            return Ok(Pass::Ignore("older than the replay window"));
        }
        received.slice(channel, id, index, count, sequence)
    }
}

fn small_unreliable(reader: &mut Reader<'_>) -> Result<Pass, Violation> {
    if reader.byte()? != Channel::Beat as u8 {
        return Err(Violation("unreliable data on a reliable channel"));
    }
    let count = reader.u16()?;
    if count > BEATS_PER_PACKET_MAX {
        return Err(Violation("too many heartbeats in one packet"));
    }
    for _ in 0..count {
        let length = reader.varint()?;
        if length == 0 || length > BEAT_BYTES_MAX as u64 {
            return Err(Violation("heartbeat of an impossible length"));
        }
        reader.skip(length as usize)?;
    }
    reader.end()?;
    Ok(Pass::Feed { channel: Some(Channel::Beat), completes: false })
}

fn acknowledgement(reader: &mut Reader<'_>, newest_sent: Option<u64>) -> Result<Pass, Violation> {
    let (end, size, further) = (reader.varint()?, reader.varint()?, reader.varint()?);
    if newest_sent.is_none_or(|newest| end > newest) {
        return Err(Violation("acknowledges a packet that was never sent"));
    }
    if further >= ACK_RANGES_MAX {
        return Err(Violation("too many acknowledged ranges"));
    }
    let mut start = end.checked_sub(size).ok_or(Violation("acknowledged range below zero"))?;
    for _ in 0..further {
        let (gap, size) = (reader.varint()?, reader.varint()?);
        start = start
            .checked_sub(gap)
            .and_then(|start| start.checked_sub(2))
            .and_then(|end| end.checked_sub(size))
            .ok_or(Violation("acknowledged range below zero"))?;
    }
    reader.end()?;
    Ok(Pass::Feed { channel: None, completes: false })
}

/// What has been received on one reliable channel.
#[derive(Debug)]
struct Received {
    /// By how many messages a peer may be ahead of the oldest one still missing.
    ahead_max: u64,
    /// Bytes of partly received messages; 0 where all messages are short.
    partial_bytes_max: usize,
    /// Every message below this id has been received.
    oldest_missing: u64,
    /// Whether the messages from `oldest_missing` on have been received.
    ahead: VecDeque<bool>,
    /// Messages of which some slices are missing.
    partial: HashMap<u64, Partial>,
    partial_bytes: usize,
}

#[derive(Debug)]
struct Partial {
    slices: u64,
    seen: u128,
}

impl Received {
    fn new(ahead_max: u64, partial_bytes_max: usize) -> Self {
        Self {
            ahead_max,
            partial_bytes_max,
            oldest_missing: 0,
            ahead: VecDeque::new(),
            partial: HashMap::new(),
            partial_bytes: 0,
        }
    }

    fn with_long_messages() -> Self {
        Self::new(MESSAGES_AHEAD_MAX, REASSEMBLY_BYTES_MAX)
    }

    fn is_too_far_ahead(&self, id: u64) -> Result<bool, Violation> {
        let ahead = id.saturating_sub(self.oldest_missing);
        if ahead > MESSAGES_AHEAD_POSSIBLE {
            return Err(Violation("message id jumps ahead"));
        }
        Ok(ahead >= self.ahead_max)
    }

    fn is_finished(&self, id: u64) -> bool {
        match id.checked_sub(self.oldest_missing) {
            None => true,
            Some(ahead) => self.ahead.get(ahead as usize).copied().unwrap_or(false),
        }
    }

    fn finish(&mut self, id: u64) {
        let Some(ahead) = id.checked_sub(self.oldest_missing) else { return };
        let ahead = ahead as usize;
        if self.ahead.len() <= ahead {
            self.ahead.resize(ahead + 1, false);
        }
        self.ahead[ahead] = true;
        while self.ahead.front() == Some(&true) {
            self.ahead.pop_front();
            self.oldest_missing += 1;
        }
    }

    fn slice(
        &mut self,
        channel: Channel,
        id: u64,
        index: u64,
        count: u64,
        sequence: u64,
    ) -> Result<Pass, Violation> {
        if self.is_finished(id) {
            return Ok(Pass::Repeat { sequence });
        }
        let bytes = count as usize * SLICE_BYTES;
        let mut completes = false;
        if let Some(partial) = self.partial.get_mut(&id) {
            if partial.slices != count {
                return Err(Violation("number of slices differs within one message"));
            }
            if partial.seen & (1 << index) != 0 {
                return Ok(Pass::Repeat { sequence });
            }
            partial.seen |= 1 << index;
            if u64::from(partial.seen.count_ones()) == count {
                self.partial.remove(&id);
                self.partial_bytes -= bytes;
                self.finish(id);
                completes = true;
            }
        } else {
            if self.partial_bytes + bytes > self.partial_bytes_max {
                return Ok(Pass::Ignore("too many half-received messages"));
            }
            self.partial_bytes += bytes;
            self.partial.insert(id, Partial { slices: count, seen: 1 << index });
        }
        Ok(Pass::Feed { channel: Some(channel), completes })
    }
}

/// Writes a packet that only makes renet acknowledge the given number: it is of the unreliable channel, without messages.
pub(crate) fn empty_packet(sequence: u64, out: &mut Vec<u8>) {
    out.clear();
    out.push(packet_type::SMALL_UNRELIABLE);
    put_varint(out, sequence);
    out.extend_from_slice(&[Channel::Beat as u8, 0, 0]);
}

/// Splits a datagram: one packet, then optionally an acknowledgement, then optionally padding (see
/// `send_queue.rs`). What cannot be split comes out whole, for [`Guard::check`] to refuse.
pub(crate) fn split(datagram: &[u8]) -> Result<(&[u8], Option<&[u8]>), Violation> {
    let (packet, rest) = split_first(datagram);
    if rest.first() != Some(&packet_type::ACK) {
        return end_of_datagram(rest).map(|()| (packet, None));
    }
    let (acknowledgement, rest) = split_first(rest);
    end_of_datagram(rest).map(|()| (packet, Some(acknowledgement)))
}

fn split_first(datagram: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = Reader(datagram);
    match reader.skip_packet() {
        Ok(()) => datagram.split_at(datagram.len() - reader.0.len()),
        Err(_) => (datagram, &[]),
    }
}

fn end_of_datagram(rest: &[u8]) -> Result<(), Violation> {
    match rest {
        [] => Ok(()),
        [packet_type::PADDING, zeros @ ..] if zeros.iter().all(|byte| *byte == 0) => Ok(()),
        _ => Err(Violation("something other than one acknowledgement and padding behind a packet")),
    }
}

/// Pads a datagram to `length` bytes, if it is shorter.
pub(crate) fn pad(datagram: &mut Vec<u8>, length: usize) {
    if datagram.len() < length {
        datagram.push(packet_type::PADDING);
        datagram.resize(length, 0);
    }
}

/// Type and sequence number of a packet that renet has made.
pub(crate) fn header(packet: &[u8]) -> Option<(u8, u64)> {
    let mut reader = Reader(packet);
    Some((reader.byte().ok()?, reader.varint().ok()?))
}

/// The channel of a reliable packet that renet has made.
pub(crate) fn reliable_channel(packet: &[u8]) -> Option<u8> {
    let mut reader = Reader(packet);
    reader.byte().ok()?;
    reader.varint().ok()?;
    reader.byte().ok()
}

/// Writes a QUIC variable-length integer (RFC 9000 section 16), the form the octets crate writes.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=63 => out.push(value as u8),
        64..=16_383 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        16_384..=1_073_741_823 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

/// Reads renet's wire format.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Violation> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Violation("packet ends early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn skip(&mut self, count: usize) -> Result<(), Violation> {
        self.take(count).map(drop)
    }

    fn byte(&mut self) -> Result<u8, Violation> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Violation> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn varint(&mut self) -> Result<u64, Violation> {
        let first = *self.0.first().ok_or(Violation("packet ends early"))?;
        let bytes = self.take(1 << (first >> 6))?;
        let value =
            bytes.iter().skip(1).fold(u64::from(first & 0x3F), |value, byte| value << 8 | u64::from(*byte));
        Ok(value)
    }

    /// Skips a packet; for an unknown type, all that is left.
    fn skip_packet(&mut self) -> Result<(), Violation> {
        let kind = self.byte()?;
        self.varint()?;
        let (messages, numbers) = match kind {
            packet_type::SMALL_RELIABLE => (None, 1),
            packet_type::SMALL_UNRELIABLE => (None, 0),
            packet_type::RELIABLE_SLICE => (Some(1), 3),
            packet_type::ACK => return self.skip_ranges(),
            _ => return self.skip(self.0.len()),
        };
        self.byte()?;
        for _ in 0..messages.map_or_else(|| self.u16(), Ok)? {
            for _ in 0..numbers {
                self.varint()?;
            }
            let length = self.varint()?;
            self.skip(usize::try_from(length).map_err(|_| Violation("packet ends early"))?)?;
        }
        Ok(())
    }

    /// Skips the ranges of an acknowledgement.
    fn skip_ranges(&mut self) -> Result<(), Violation> {
        self.varint()?;
        self.varint()?;
        // Each range takes at least two bytes, so the data end soon, whatever the count claims.
        for _ in 0..self.varint()? {
            self.varint()?;
            self.varint()?;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation("bytes after the end of the packet")) }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
