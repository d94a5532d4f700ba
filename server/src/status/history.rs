//! The last hour by the minute: what was done of each kind, how long it took, and what it brought.

use std::collections::VecDeque;

use p2c2r_protocol::{Micros, Nanos};

/// Minutes that are kept; the page's charts are as long.
pub const MINUTES: usize = 60;
/// Latency classes per factor of two: with two, quantiles are accurate to a fifth.
const CLASSES_PER_OCTAVE: f64 = 2.0;
/// The smallest distinguishable latency, in microseconds.
const LATENCY_LEAST_US: f64 = 100.0;
/// Classes: 100 microseconds times two to the twentieth is 105 seconds. What takes longer counts as that.
const CLASSES: usize = 41;

/// Counts of latencies by class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies([u32; CLASSES]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; CLASSES])
    }
}

impl Latencies {
    /// Counts one.
    pub fn count(&mut self, micros: u32) {
        let octaves = (f64::from(micros) / LATENCY_LEAST_US).max(1.0).log2();
        let class = ((octaves * CLASSES_PER_OCTAVE) as usize).min(CLASSES - 1);
        self.0[class] = self.0[class].saturating_add(1);
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// The latency that this share of them is not above, in milliseconds; `None` of none. `share` is 0 to 1.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        if all == 0 {
            return None;
        }
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let class = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        })?;
        // The middle of the class, on a logarithmic scale.
        let octaves = (class as f64 + 0.5) / CLASSES_PER_OCTAVE;
        Some(LATENCY_LEAST_US * octaves.exp2() / 1_000.0)
    }
}

/// What became of one kind's tasks in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Tasks done.
    pub done: u64,
    /// Admitted tasks that ended without an outcome.
    pub failed: u64,
    /// From a task's arrival at the coordinator to its outcome's departure.
    pub latencies: Latencies,
}

impl TaskCounts {
    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.latencies.add(&other.latencies);
    }
}

/// One minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// By kind, in the order of the coordinator's registry.
    pub kinds: Vec<TaskCounts>,
    /// Charged to gamers.
    pub revenue: Nanos,
    /// The coordinator's share of it.
    pub fee: Nanos,
}

/// The last hour. The newest minute is the one that is under way.
#[derive(Clone, Debug)]
pub struct History {
    kinds: usize,
    /// Number of the newest minute since the coordinator's start.
    newest: u64,
    /// Oldest first, never empty.
    minutes: VecDeque<Minute>,
}

impl History {
    /// An empty history of `kinds` kinds.
    pub fn new(kinds: usize) -> Self {
        Self { kinds, newest: 0, minutes: VecDeque::from([empty(kinds)]) }
    }

    /// The minute that is under way at `now`, to count in.
    pub fn at(&mut self, now: Micros) -> &mut Minute {
        self.go_on_to(now);
        // `go_on_to` leaves at least one.
        let last = self.minutes.len() - 1;
        &mut self.minutes[last]
    }

    /// Begins the minutes up to `now`, and forgets those of more than an hour ago.
    pub fn go_on_to(&mut self, now: Micros) {
        let minute = now.0 / 60_000_000;
        let missing = minute.saturating_sub(self.newest).min(MINUTES as u64);
        for _ in 0..missing {
            self.minutes.push_back(empty(self.kinds));
        }
        self.newest = self.newest.max(minute);
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    /// The minutes, oldest first; at most [`MINUTES`], fewer after a start. The last is under way.
    pub fn minutes(&self) -> impl ExactSizeIterator<Item = &Minute> {
        self.minutes.iter()
    }

    /// One kind's part of all minutes together.
    pub fn sum(&self, kind: usize) -> TaskCounts {
        let mut sum = TaskCounts::default();
        for done in self.minutes.iter().filter_map(|minute| minute.kinds.get(kind)) {
            sum.add(done);
        }
        sum
    }
}

fn empty(kinds: usize) -> Minute {
    Minute { kinds: vec![TaskCounts::default(); kinds], ..Minute::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::new(2);
        history.at(Micros(0)).kinds[1].done += 5;
        history.at(Micros(59 * MINUTE)).kinds[1].done += 1;
        assert_eq!((history.minutes().len(), history.sum(1).done, history.sum(0).done), (60, 6, 0));
        history.go_on_to(Micros(60 * MINUTE));
        assert_eq!((history.minutes().len(), history.sum(1).done), (60, 1));
        history.go_on_to(Micros(9_000 * MINUTE));
        assert_eq!((history.minutes().len(), history.sum(1).done), (60, 0));
        history.at(Micros(0)).kinds[0].done += 1;
        assert_eq!(history.sum(0).done, 1, "an older moment counts as the newest minute");
    }

    #[test]
    fn quantiles_are_right_within_a_fifth() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(0.5), None);
        for millis in 1..=100_u32 {
            latencies.count(millis * 1_000);
        }
        for (share, expected) in [(0.5, 50.0), (0.95, 95.0), (0.01, 1.0)] {
            let said = latencies.quantile_ms(share).unwrap();
            assert!((said / expected - 1.0).abs() < 0.25, "{share}: {said}");
        }
        latencies.count(0);
        latencies.count(u32::MAX);
        assert!(latencies.quantile_ms(1.0).unwrap() > 50_000.0 && latencies.quantile_ms(0.0).unwrap() < 0.2);
    }
}
