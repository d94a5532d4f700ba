//! The share of a peer's packets that are lost on the way here, from the gaps in netcode's sequence numbers.

use std::time::Duration;

/// Length of one window.
const WINDOW: Duration = Duration::from_secs(1);
/// Windows remembered.
const WINDOWS: usize = 5;

/// Counts arrivals against sequence numbers, over the last few seconds.
#[derive(Debug, Default)]
pub(crate) struct LossMeter {
    newest: Option<u64>,
    /// A sequence number above the newest, of a packet that may be a copy; no certainly new packet has reached it yet.
    claimed: Option<u64>,
    /// Which of the 128 packets up to the newest have arrived; the newest is the lowest bit.
    seen: u128,
    started_at: Duration,
    started_with: u64,
    received: u64,
    windows: [Option<(u64, u64)>; WINDOWS],
    next: usize,
    /// The share lost in the remembered windows.
    share: f32,
}

impl LossMeter {
    /// Records a packet that may be a copy. It counts only once a certainly new packet shows that its number has been
    /// reached, so it can neither advance the meter nor make others seem lost.
    pub(crate) fn claimed(&mut self, sequence: u64) {
        let Some(newest) = self.newest else { return };
        if sequence > newest {
            self.claimed = Some(sequence);
        } else {
            self.late(newest - sequence);
        }
    }

    fn late(&mut self, late: u64) {
        if late < 128 && self.seen & (1 << late) == 0 {
            self.seen |= 1 << late;
            self.received += 1;
        }
    }

    /// Records a packet that the peer has sealed and not sent before.
    pub(crate) fn received(&mut self, now: Duration, sequence: u64) {
        let Some(newest) = self.newest else {
            self.newest = Some(sequence);
            self.seen = 1;
            self.started_at = now;
            self.started_with = sequence;
            return;
        };
        if sequence > newest {
            let step = sequence - newest;
            self.seen = if step < 128 { self.seen << step } else { 0 } | 1;
            self.newest = Some(sequence);
            self.received += 1;
            if let Some(claimed) = self.claimed.take_if(|claimed| *claimed <= sequence) {
                self.late(sequence - claimed);
            }
        } else {
            self.late(newest - sequence);
        }
        if now >= self.started_at + WINDOW {
            let newest = sequence.max(newest);
            self.windows[self.next] = Some((newest - self.started_with, self.received));
            self.next = (self.next + 1) % WINDOWS;
            (self.started_at, self.started_with, self.received) = (now, newest, 0);
            self.share = self.lost();
        }
    }

    /// The highest number of a packet passed to [`received`](Self::received).
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// The share lost, 0 to 1.
    pub(crate) fn share(&self) -> f32 {
        self.share
    }

    fn lost(&self) -> f32 {
        let (expected, received) = self
            .windows
            .iter()
            .flatten()
            .fold((0, 0), |(e, r), (expected, received)| (e + expected, r + received));
        if expected == 0 {
            return 0.0;
        }
        (1.0 - received as f32 / expected as f32).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(arrives: impl Fn(u64) -> u32) -> f32 {
        let mut meter = LossMeter::default();
        for sequence in 0..6_000 {
            for _ in 0..arrives(sequence) {
                meter.received(Duration::from_millis(sequence), sequence);
            }
        }
        meter.share()
    }

    #[test]
    fn counts_gaps_and_not_duplicates() {
        assert_eq!(measure(|_| 1), 0.0);
        assert_eq!(measure(|_| 2), 0.0);
        let lossy = measure(|sequence| u32::from(sequence % 10 != 0));
        assert!((0.09..0.11).contains(&lossy), "{lossy}");
    }

    #[test]
    fn counts_unauthenticated_packets_and_is_not_misled_by_forged_ones() {
        let mut meter = LossMeter::default();
        for sequence in 0..6_000 {
            let now = Duration::from_millis(sequence);
            if sequence % 3 == 2 {
                meter.claimed(sequence);
            } else {
                meter.received(now, sequence);
            }
        }
        assert!(meter.share() < 0.01, "{}", meter.share());
        meter.claimed(1 << 40);
        for sequence in 6_000..9_000 {
            meter.received(Duration::from_millis(sequence), sequence);
        }
        assert!(meter.share() < 0.01, "{}", meter.share());
    }

    #[test]
    fn forgives_reordering() {
        let mut meter = LossMeter::default();
        for pair in 0..3_000 {
            for sequence in [2 * pair + 1, 2 * pair] {
                meter.received(Duration::from_millis(pair), sequence);
            }
        }
        assert!(meter.share() < 0.01, "{}", meter.share());
    }
}
