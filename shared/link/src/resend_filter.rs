//! Drops renet's retransmissions that come before an acknowledgement could have arrived.
//!
//! renet retransmits unacknowledged data after a fixed 70 ms. With a longer round trip everything would
//! travel twice or more, and at 1 Mbit/s there is no room for that. A packet whose content was all sent less
//! than a round trip ago is dropped here as if the network had lost it; renet offers it again 70 ms later. A
//! packet that also has new data leaves whole, since renet counts its acknowledgement for everything in it.

use std::collections::HashMap;
use std::time::Duration;

use crate::guard::{self, SliceId};

/// Slices remembered; above it the oldest are forgotten, which costs a needless retransmission.
const PARTS_MAX: usize = 4_096;
/// How long a slice is remembered: after this a retransmission always leaves.
const REMEMBERED: Duration = Duration::from_secs(2);

/// When each slice in flight was last sent.
#[derive(Debug, Default)]
pub(crate) struct ResendFilter {
    left_at: HashMap<SliceId, Duration>,
    parts: Vec<SliceId>,
}

impl ResendFilter {
    /// Records that a packet leaves; false if it should not, because all of it was sent less than `young`
    /// ago.
    pub(crate) fn may_leave(&mut self, now: Duration, packet: &[u8], young: Option<Duration>) -> bool {
        self.parts.clear();
        guard::reliable_parts(packet, &mut self.parts);
        let is_young = |part: &SliceId| {
            let left_at = self.left_at.get(part);
            left_at.zip(young).is_some_and(|(left_at, young)| now < *left_at + young)
        };
        if !self.parts.is_empty() && self.parts.iter().all(is_young) {
            return false;
        }
        if self.left_at.len() + self.parts.len() > PARTS_MAX {
            self.left_at.retain(|_, left_at| now < *left_at + REMEMBERED);
            if self.left_at.len() + self.parts.len() > PARTS_MAX {
                self.left_at.clear();
            }
        }
        self.left_at.extend(self.parts.drain(..).map(|part| (part, now)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(id: u64, index: u64) -> Vec<u8> {
        let mut packet = vec![guard::packet_type::RELIABLE_SLICE];
        guard::put_varint(&mut packet, 9);
        packet.push(1);
        for value in [id, index, 3, 1] {
            guard::put_varint(&mut packet, value);
        }
        packet.push(0);
        packet
    }

    #[test]
    fn hold_back_young_copies_and_nothing_else() {
        let mut resend_filter = ResendFilter::default();
        let (ms, young) = (Duration::from_millis, Some(Duration::from_millis(130)));
        assert!(resend_filter.may_leave(ms(0), &slice(1, 0), young));
        assert!(resend_filter.may_leave(ms(0), &slice(1, 1), young), "another slice");
        assert!(!resend_filter.may_leave(ms(70), &slice(1, 0), young));
        assert!(resend_filter.may_leave(ms(70), &slice(1, 0), None), "room enough");
        assert!(resend_filter.may_leave(ms(210), &slice(1, 0), young), "old enough");
    }

    #[test]
    fn forget_rather_than_grow() {
        let mut resend_filter = ResendFilter::default();
        for id in 0..50_000 {
            resend_filter.may_leave(
                Duration::from_millis(id),
                &slice(id, 0),
                Some(Duration::from_millis(130)),
            );
            assert!(resend_filter.left_at.len() <= PARTS_MAX);
        }
    }
}
