//! Limits a device to a share of its time: after each run it rests in proportion to the measured run time. Also
//! measures how much of its time a device has computed recently, for its owner.

use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Slices of time that [`BusyTime`] tells apart, and how long each is: together a minute.
const SLICES: usize = 12;
const SLICE: Duration = Duration::from_secs(5);

/// Per cent of its time that a device may compute, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Share(u8);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// Whether it is less than all.
    pub fn is_limited(self) -> bool {
        self != Self::ALL
    }

    /// In per cent.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// How long a device rests after computing for `took`.
    pub fn rest_after(self, took: Duration) -> Duration {
        took * u32::from(100 - self.0) / u32::from(self.0)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl From<Share> for u8 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl TryFrom<u8> for Share {
    type Error = String;

    fn try_from(percent: u8) -> Result<Self, String> {
        if (1..=100).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(format!("{percent} is not from 1 to 100 per cent"))
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        number.parse::<u8>().map_err(|_| format!("`{text}` is not from 1 to 100 per cent"))?.try_into()
    }
}

/// How much of its time a device has computed in the last minute.
#[derive(Clone, Debug)]
pub struct BusyTime {
    since: Instant,
    /// What was computed in each slice, by the number of the slice.
    slices: [(u64, Duration); SLICES],
}

impl BusyTime {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        Self { since: now, slices: [(0, Duration::ZERO); SLICES] }
    }

    fn slice(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.since).as_secs() / SLICE.as_secs()
    }

    /// Counts what was computed up to `end`.
    pub fn add(&mut self, end: Instant, took: Duration) {
        let (mut end, mut left) = (end, took.min(SLICE * SLICES as u32));
        // Goes backwards from the last slice: a run counts in every slice that it covers.
        loop {
            let number = self.slice(end);
            let begins = self.since + SLICE * u32::try_from(number).unwrap_or(u32::MAX);
            let here = left.min(end.saturating_duration_since(begins));
            let slice = &mut self.slices[(number % SLICES as u64) as usize];
            if slice.0 < number {
                *slice = (number, Duration::ZERO);
            }
            if slice.0 == number {
                slice.1 += here;
            }
            left = left.saturating_sub(here);
            if left.is_zero() || number == 0 {
                return;
            }
            end = begins.checked_sub(Duration::from_nanos(1)).unwrap_or(begins);
            left = left.saturating_sub(Duration::from_nanos(1));
        }
    }

    /// Its share of the last minute, or of the time since the beginning, in per cent.
    pub fn percent(&self, now: Instant) -> f64 {
        let newest = self.slice(now);
        let oldest = newest.saturating_sub(SLICES as u64 - 1);
        let counted = self.slices.iter().filter(|(number, _)| (oldest..=newest).contains(number));
        let busy: Duration = counted.map(|(_, busy)| *busy).sum();
        let from = self.since + SLICE * u32::try_from(oldest).unwrap_or(u32::MAX);
        let span = now.saturating_duration_since(from).max(Duration::from_millis(1));
        (100.0 * busy.as_secs_f64() / span.as_secs_f64()).min(100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_with_and_without_a_sign_and_only_in_range() {
        assert_eq!("30".parse::<Share>().unwrap().percent(), 30);
        assert_eq!("100%".parse::<Share>().unwrap(), Share::ALL);
        for wrong in ["0", "101", "300", "-1", "half", ""] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn runs_and_rests_together_come_to_the_share() {
        for percent in [1, 10, 30, 50, 99, 100] {
            let share = Share::try_from(percent).unwrap();
            let took = Duration::from_millis(10);
            let whole = took + share.rest_after(took);
            let came_to = 100.0 * took.as_secs_f64() / whole.as_secs_f64();
            assert!((came_to - f64::from(percent)).abs() < 0.01, "{came_to} of {percent}");
        }
    }

    #[test]
    fn what_was_computed_is_told_of_the_last_minute_and_forgotten() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut busy = BusyTime::new(start);
        let near = |busy: &BusyTime, now: f64, right: f64| {
            let told = busy.percent(at(now));
            assert!((told - right).abs() < 0.1, "{told} where {right} is right");
        };
        near(&busy, 1.0, 0.0);
        // Three seconds of the first ten, across a boundary of slices.
        busy.add(at(7.0), Duration::from_secs(3));
        near(&busy, 10.0, 30.0);
        near(&busy, 57.0, 100.0 * 3.0 / 57.0);
        near(&busy, 70.0, 0.0);
        for second in 100..160 {
            busy.add(at(f64::from(second) + 0.5), Duration::from_millis(250));
        }
        near(&busy, 159.9, 25.0);
        // A run of more than a minute is all of the last one.
        busy.add(at(400.0), Duration::from_mins(5));
        near(&busy, 400.0, 100.0);
    }
}
