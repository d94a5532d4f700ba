//! When renet's clock moves.
//!
//! renet looks at every connection whenever its time moves on, whether anything happens there or not. With a thousand idle
//! peers, each packet of one of them would have it look at all the others (`docs/PERFORMANCE.md`, "Idle clients").

use std::time::Duration;

/// What renet's clock may be behind for each connection: it looks at one in less than a hundredth of this. A thousand
/// connections put it 25 ms behind, well below what it waits before it sends again.
const BEHIND_PER_CONNECTION: Duration = Duration::from_micros(25);

/// How far renet's clock is behind.
#[derive(Debug, Default)]
pub(super) struct RenetTime {
    behind: Duration,
}

impl RenetTime {
    /// Lets `delta` pass with `connections`; returns by how much renet's clock is to move, if it is.
    pub(super) fn pass(&mut self, delta: Duration, connections: usize) -> Option<Duration> {
        self.behind += delta;
        let most = BEHIND_PER_CONNECTION * u32::try_from(connections).unwrap_or(u32::MAX);
        (self.behind >= most).then(|| self.catch_up())
    }

    /// By how much renet's clock is to move so that it is right. What is sent again is late by that clock.
    pub(super) fn catch_up(&mut self) -> Duration {
        std::mem::take(&mut self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn no_time_is_lost_and_none_passes_twice() {
        let mut time = RenetTime::default();
        let mut moved = Duration::ZERO;
        for update in 0..1_000 {
            moved += time.pass(MS, 700).unwrap_or_default();
            if update % 13 == 0 {
                moved += time.catch_up();
            }
        }
        assert_eq!(moved + time.behind, 1_000 * MS);
        assert!(time.behind < 18 * MS);
    }

    #[test]
    fn few_connections_are_never_behind_and_a_thousand_25_milliseconds_at_most() {
        let mut time = RenetTime::default();
        assert_eq!(time.pass(MS, 2), Some(MS));
        assert_eq!(time.pass(MS, 0), Some(MS));
        for _ in 0..24 {
            assert_eq!(time.pass(MS, 1_000), None);
        }
        assert_eq!(time.pass(MS, 1_000), Some(25 * MS));
    }
}
