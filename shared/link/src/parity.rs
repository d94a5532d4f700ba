//! An extra packet behind every burst, from which the other end restores any one lost packet of the burst.
//!
//! A packet that is sent again arrives a round trip late, which on a long line is later than the next answer. So on a line
//! that loses packets each burst is followed by the exclusive or of its packets: of up to [`BURST_PACKETS_MAX`] packets one
//! may be lost without delay, as with RAID 5 for disks and RFC 5109 for media.
//!
//! | datagram | bytes |
//! |---|---|
//! | packet of a burst | [`MEMBER`], the burst's number (2 bytes), the packet's place in the burst, the packet as it would travel alone |
//! | parity | [`PARITY`], the burst's number, the number of its packets, the exclusive or of them, each preceded by its length (2 bytes) |

use std::collections::VecDeque;

use crate::guard::Violation;
use crate::limits::{BURST_PACKETS_MAX, BURSTS_KEPT, RIDING_BYTES_MAX};

/// First byte of a packet of a burst; renet's packet types count up from zero and do not reach it.
const MEMBER: u8 = 0xFE;
/// First byte of a burst's parity.
const PARITY: u8 = 0xFD;

/// The sending side.
#[derive(Debug, Default)]
pub(crate) struct Protector {
    burst: u16,
    /// Packets of this burst so far, and the exclusive or of them.
    count: u8,
    sum: Vec<u8>,
}

impl Protector {
    /// Makes `packet` the next one of the burst. Not while it is [full](Self::is_full).
    pub(crate) fn add(&mut self, packet: &mut Vec<u8>) {
        debug_assert!(!self.is_full(), "a burst of too many packets");
        add(&mut self.sum, &(packet.len() as u16).to_be_bytes(), packet);
        let [high, low] = self.burst.to_be_bytes();
        packet.splice(..0, [MEMBER, high, low, self.count]);
        self.count += 1;
    }

    /// Whether the burst has to end.
    pub(crate) fn is_full(&self) -> bool {
        self.count == BURST_PACKETS_MAX
    }

    /// Ends the burst; returns its parity, unless it has no packets.
    pub(crate) fn end(&mut self) -> Option<Vec<u8>> {
        if self.count == 0 {
            return None;
        }
        let [high, low] = self.burst.to_be_bytes();
        let count = std::mem::take(&mut self.count);
        let mut parity = std::mem::take(&mut self.sum);
        parity.splice(..0, [PARITY, high, low, count]);
        self.burst = self.burst.wrapping_add(1);
        Some(parity)
    }
}

/// The receiving side.
#[derive(Debug, Default)]
pub(crate) struct Restorer {
    /// The latest bursts, the newest last. Complete ones stay until newer ones take their place, so that late copies of
    /// their packets are recognised.
    bursts: VecDeque<Burst>,
}

#[derive(Debug, Default)]
struct Burst {
    number: u16,
    /// Which packets have come, the first in the lowest bit.
    seen: u32,
    /// How many there are, once the parity has come.
    count: Option<u8>,
    /// The exclusive or of all that has come.
    sum: Vec<u8>,
}

/// What a datagram brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    /// Its own content; a parity has none.
    pub(crate) content: Option<&'a [u8]>,
    /// The content of the burst's one lost packet, if this datagram made it possible to restore it.
    pub(crate) restored: Option<Vec<u8>>,
}

impl Restorer {
    /// Takes the mark off a datagram, and restores the packet that its burst lacks if it is the only one.
    pub(crate) fn open<'a>(&mut self, datagram: &'a [u8]) -> Result<Opened<'a>, Violation> {
        let (kind, [high, low, number], content) = match datagram {
            [kind @ (MEMBER | PARITY), high, low, number, content @ ..] => {
                (*kind, [*high, *low, *number], content)
            }
            _ => return Ok(Opened { content: Some(datagram), restored: None }),
        };
        if content.is_empty() || content.len() > RIDING_BYTES_MAX + 2 {
            return Err(Violation("packet of a burst of an impossible length"));
        }
        let burst = self.burst(u16::from_be_bytes([high, low]));
        if kind == PARITY {
            if !(1..=BURST_PACKETS_MAX).contains(&number) {
                return Err(Violation("burst of an impossible number of packets"));
            }
            if burst.count.is_none() {
                burst.count = Some(number);
                add(&mut burst.sum, &[], content);
            }
        } else {
            if number >= BURST_PACKETS_MAX {
                return Err(Violation("place in a burst out of range"));
            }
            if burst.seen & (1 << number) == 0 {
                burst.seen |= 1 << number;
                add(&mut burst.sum, &(content.len() as u16).to_be_bytes(), content);
            }
        }
        let restored = burst.missing()?;
        Ok(Opened { content: (kind == MEMBER).then_some(content), restored })
    }

    fn burst(&mut self, number: u16) -> &mut Burst {
        let place = self.bursts.iter().position(|burst| burst.number == number).unwrap_or_else(|| {
            let mut burst = if self.bursts.len() < BURSTS_KEPT { None } else { self.bursts.pop_front() }
                .unwrap_or_default();
            burst.sum.clear();
            self.bursts.push_back(Burst { number, sum: burst.sum, ..Burst::default() });
            self.bursts.len() - 1
        });
        &mut self.bursts[place]
    }
}

impl Burst {
    /// Restores the missing packet if exactly one is missing; from then on the burst counts as complete.
    fn missing(&mut self) -> Result<Option<Vec<u8>>, Violation> {
        let Some(all) = self.count.map(|count| (1_u32 << count) - 1) else { return Ok(None) };
        if self.seen & !all != 0 {
            return Err(Violation("place in a burst beyond its end"));
        }
        if (all & !self.seen).count_ones() != 1 {
            return Ok(None);
        }
        self.seen = all;
        let wrong = Violation("parity that does not belong to its burst");
        let (length, rest) = self.sum.split_first_chunk::<2>().ok_or(wrong)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (packet, zeros) = rest.split_at_checked(length).ok_or(wrong)?;
        if packet.is_empty() || zeros.iter().any(|byte| *byte != 0) {
            return Err(wrong);
        }
        Ok(Some(packet.to_vec()))
    }
}

/// Adds `head` and `tail` to the exclusive or.
fn add(sum: &mut Vec<u8>, head: &[u8], tail: &[u8]) {
    if sum.len() < head.len() + tail.len() {
        sum.resize(head.len() + tail.len(), 0);
    }
    for (byte, added) in sum.iter_mut().zip(head.iter().chain(tail)) {
        *byte ^= added;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(number: u8, packets: u8) -> Vec<Vec<u8>> {
        (0..packets).map(|place| vec![number.wrapping_add(place); usize::from(place) * 100 + 1]).collect()
    }

    /// A protected burst, the parity last.
    fn sent(protector: &mut Protector, plain: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut packets = plain.to_vec();
        for packet in &mut packets {
            assert!(!protector.is_full());
            protector.add(packet);
        }
        packets.push(protector.end().expect("a parity"));
        assert_eq!(protector.end(), None, "nothing is left to protect");
        packets
    }

    fn open(restorer: &mut Restorer, datagram: &[u8]) -> Vec<Vec<u8>> {
        let opened = restorer.open(datagram).expect("an honest datagram");
        opened.content.map(<[u8]>::to_vec).into_iter().chain(opened.restored).collect()
    }

    #[test]
    fn any_one_packet_of_a_burst_may_be_lost_and_the_rest_come_in_any_order() {
        let (mut protector, mut restorer) = (Protector::default(), Restorer::default());
        for count in 1..=BURST_PACKETS_MAX {
            let plain = burst(count, count);
            for lost in 0..=usize::from(count) {
                for turned in 0..=usize::from(count) {
                    let mut packets = sent(&mut protector, &plain);
                    packets.remove(lost);
                    let first = turned % packets.len().max(1);
                    packets.rotate_left(first);
                    let mut come: Vec<Vec<u8>> =
                        packets.iter().flat_map(|packet| open(&mut restorer, packet)).collect();
                    come.sort_unstable();
                    assert_eq!(come, plain, "{count} packets, without {lost}");
                }
            }
        }
    }

    #[test]
    fn what_came_twice_or_all_of_it_restores_nothing_and_two_that_are_lost_stay_lost() {
        let (mut protector, mut restorer) = (Protector::default(), Restorer::default());
        let plain = burst(7, 3);
        let packets = sent(&mut protector, &plain);
        let come: Vec<Vec<u8>> = packets.iter().flat_map(|packet| open(&mut restorer, packet)).collect();
        assert_eq!(come, plain);
        assert_eq!(open(&mut restorer, &packets[1]), [plain[1].clone()], "a copy of it");
        let packets = sent(&mut protector, &plain);
        assert_eq!(open(&mut restorer, &packets[2]).len() + open(&mut restorer, &packets[3]).len(), 1);
    }

    #[test]
    fn a_burst_is_forgotten_after_some_others_and_numbers_come_again() {
        let (mut protector, mut restorer) = (Protector::default(), Restorer::default());
        for round in 0..70_000_u32 {
            let plain = burst(round as u8, 1 + (round % 3) as u8);
            let packets = sent(&mut protector, &plain);
            // Every fifth parity is lost, and every seventh burst lacks its first packet.
            let from = usize::from(round % 7 == 0);
            let to = packets.len() - usize::from(round % 5 == 0);
            let come: usize =
                packets[from.min(to)..to].iter().map(|packet| open(&mut restorer, packet).len()).sum();
            let lost = usize::from(round % 7 == 0 && round % 5 == 0);
            assert_eq!(come, plain.len() - lost, "round {round}");
            assert!(restorer.bursts.len() <= BURSTS_KEPT);
        }
    }

    #[test]
    fn what_no_honest_sender_sends_is_a_violation() {
        let mut restorer = Restorer::default();
        let mut refused = |datagram: &[u8]| restorer.open(datagram).is_err();
        assert!(refused(&[MEMBER, 0, 1, 0]) && refused(&[PARITY, 0, 1, 1]), "nothing in it");
        assert!(refused(&[MEMBER, 0, 1, BURST_PACKETS_MAX, 9]) && refused(&[PARITY, 0, 1, 0, 9]));
        assert!(refused(&[PARITY, 0, 2, BURST_PACKETS_MAX + 1, 9]));
        assert!(refused(&[PARITY, 0, 3, 1, 0, 9, 1]), "shorter than it says");
        assert!(refused(&[PARITY, 0, 4, 1, 0, 0, 0]), "an empty packet");
        assert!(refused(&[PARITY, 0, 5, 1, 0, 1, 4, 4]), "something behind it");
        assert!(!refused(&[MEMBER, 0, 6, 3, 9]) && refused(&[PARITY, 0, 6, 2, 9, 9, 9]), "beyond its end");
        assert!(refused(&[&[MEMBER, 0, 7, 0][..], &[1; RIDING_BYTES_MAX + 3]].concat()));
    }
}
