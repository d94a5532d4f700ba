//! One direction of an impaired line: a queue of packets in flight.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Impairment;
use crate::limits::IMPAIRED_PACKETS_MAX;
use crate::socket::Ends;

/// The longest queue before packets are lost, as time at the line's bandwidth.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(250);

/// Packets in flight in one direction.
#[derive(Debug)]
pub(crate) struct DelayLine {
    fate: Impairment,
    random: Pcg32,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    entered: u64,
    free_at: Duration,
    last_due: Duration,
}

#[derive(Debug)]
struct UnderWay {
    due: Duration,
    number: u64,
    ends: Ends,
    packet: Vec<u8>,
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl DelayLine {
    /// An empty line; `direction` gives each direction its own random decisions.
    pub(crate) fn new(fate: Impairment, direction: u64) -> Self {
        Self {
            fate,
            random: Pcg32::seed_from_u64(fate.seed.wrapping_mul(2).wrapping_add(direction)),
            under_way: BinaryHeap::new(),
            entered: 0,
            free_at: Duration::ZERO,
            last_due: Duration::ZERO,
        }
    }

    /// Adds a packet.
    pub(crate) fn enter(&mut self, now: Duration, ends: Ends, packet: &[u8]) {
        if self.chance(self.fate.loss) || self.under_way.len() >= IMPAIRED_PACKETS_MAX {
            return;
        }
        let mut due = now;
        if let Some(rate) = self.fate.bytes_per_second {
            let start = self.free_at.max(now);
            if start.saturating_sub(now) > QUEUE_TIME_MAX {
                return;
            }
            self.free_at = start + Duration::from_secs_f64(packet.len() as f64 / f64::from(rate.max(1)));
            due = self.free_at;
        }
        due += self.fate.latency + self.fate.jitter.mul_f32(self.random.random::<f32>());
        if self.chance(self.fate.reorder) {
            // Later packets overtake it; it does not delay them.
            due =
                due.max(self.last_due) + self.fate.jitter + self.fate.latency / 4 + Duration::from_millis(2);
        } else {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        if self.chance(self.fate.duplicate) {
            self.push(due + Duration::from_millis(1), ends, packet);
        }
        self.push(due, ends, packet);
    }

    /// The next packet that has arrived.
    pub(crate) fn leave(&mut self, now: Duration) -> Option<(Ends, Vec<u8>)> {
        if self.next_due()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse(arrived)| (arrived.ends, arrived.packet))
    }

    /// When the next packet arrives.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse(next)| next.due)
    }

    fn push(&mut self, due: Duration, ends: Ends, packet: &[u8]) {
        self.entered += 1;
        let under_way = UnderWay { due, number: self.entered, ends, packet: packet.to_vec() };
        self.under_way.push(Reverse(under_way));
    }

    fn chance(&mut self, share: f32) -> bool {
        share > 0.0 && self.random.random::<f32>() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(fate: Impairment, packets: u32) -> Vec<(u32, Duration)> {
        let mut line = DelayLine::new(fate, 0);
        let ends = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let mut arrived = Vec::new();
        for ms in 0..u64::from(packets) + 2_000 {
            let now = Duration::from_millis(ms);
            if ms < u64::from(packets) {
                line.enter(now, ends, &(ms as u32).to_le_bytes());
            }
            while let Some((_, packet)) = line.leave(now) {
                arrived.push((u32::from_le_bytes(packet.try_into().unwrap()), now));
            }
        }
        arrived
    }

    #[test]
    fn a_perfect_line_keeps_everything_in_order_and_at_once() {
        let arrived = run(Impairment::NONE, 100);
        let expected: Vec<_> = (0..100).map(|i| (i, Duration::from_millis(u64::from(i)))).collect();
        assert_eq!(arrived, expected);
    }

    #[test]
    fn delays_lie_between_latency_and_latency_plus_jitter_and_keep_the_order() {
        let (latency, jitter) = (Duration::from_millis(50), Duration::from_millis(20));
        let arrived = run(Impairment { latency, jitter, ..Impairment::NONE }, 500);
        assert_eq!(arrived.len(), 500);
        assert!(arrived.is_sorted_by_key(|(number, _)| *number));
        for (number, at) in arrived {
            let delay = at.saturating_sub(Duration::from_millis(u64::from(number)));
            assert!((latency..=latency + jitter + Duration::from_millis(1)).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn loses_duplicates_and_reorders_about_as_often_as_told() {
        let lost = run(Impairment { loss: 0.1, ..Impairment::NONE }, 10_000);
        assert!((8_800..9_200).contains(&lost.len()), "{}", lost.len());
        let twice = run(Impairment { duplicate: 0.1, ..Impairment::NONE }, 10_000);
        assert!((10_800..11_200).contains(&twice.len()), "{}", twice.len());
        let mixed = run(Impairment { reorder: 0.1, ..Impairment::NONE }, 10_000);
        assert_eq!(mixed.len(), 10_000);
        let overtaken = mixed.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
        assert!((500..1_200).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        let fate = Impairment::preset("awful").unwrap();
        assert_eq!(run(fate, 1_000), run(fate, 1_000));
        assert_ne!(run(fate, 1_000), run(Impairment { seed: 2, ..fate }, 1_000));
    }

    #[test]
    fn bandwidth_bounds_the_flow_and_its_queue() {
        let fate = Impairment { bytes_per_second: Some(400), ..Impairment::NONE };
        let arrived = run(fate, 1_000);
        let in_first_second = arrived.iter().filter(|(_, at)| *at <= Duration::from_secs(1)).count();
        assert!((95..=101).contains(&in_first_second), "{in_first_second} packets of 4 bytes at 400 bytes/s");
        let last = arrived.last().unwrap().1;
        assert!(last <= Duration::from_millis(1_270), "the queue is bounded: last at {last:?}");
    }
}
