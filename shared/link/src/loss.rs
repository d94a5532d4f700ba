//! How many of a peer's packets are lost on the way here, from the gaps in netcode's sequence numbers.

use std::time::Duration;

/// Length of one window.
const WINDOW: Duration = Duration::from_secs(1);
/// Windows remembered.
const WINDOWS: usize = 5;

/// Counts arrivals against sequence numbers, over the last few seconds.
#[derive(Debug, Default)]
pub(crate) struct LossMeter {
    newest: Option<u64>,
    /// Which of the 128 packets up to the newest have arrived, the newest lowest.
    seen: u128,
    started_at: Duration,
    started_with: u64,
    received: u64,
    windows: [Option<(u64, u64)>; WINDOWS],
    next: usize,
}

impl LossMeter {
    /// A packet has arrived.
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
        } else {
            let late = newest - sequence;
            if late < 128 && self.seen & (1 << late) == 0 {
                self.seen |= 1 << late;
                self.received += 1;
            }
        }
        if now >= self.started_at + WINDOW {
            let newest = sequence.max(newest);
            self.windows[self.next] = Some((newest - self.started_with, self.received));
            self.next = (self.next + 1) % WINDOWS;
            (self.started_at, self.started_with, self.received) = (now, newest, 0);
        }
    }

    /// The share lost, 0 to 1.
    pub(crate) fn share(&self) -> f32 {
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
