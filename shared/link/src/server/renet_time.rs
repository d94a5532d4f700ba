//! When renet's clock advances.
//!
//! renet looks at every connection whenever its time moves on, whether anything happens there or not. With a thousand idle
//! peers, each packet of one of them would have it look at all the others (`docs/PERFORMANCE.md`, "Idle clients"). All that
//! renet's clock is for here is to send again what is not acknowledged, and to forget packets three seconds after they left.
//! So it is right when something is to be sent again, nearly right when something leaves that may have to be, and moves
//! twice a second while nothing but heartbeats leaves, which are sent once.

use std::time::Duration;

/// What renet's clock may be behind, for each connection, when something leaves that is to be sent again if it is lost: it
/// looks at one in less than a hundredth of this. A thousand connections put it 25 ms behind, well below what it waits
/// before it sends again.
const BEHIND_PER_CONNECTION: Duration = Duration::from_micros(25);
/// What it may be behind otherwise. Longer, and packets would be remembered noticeably longer than they need be.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// How far renet's clock is behind.
#[derive(Debug, Default)]
pub(super) struct RenetTime {
    behind: Duration,
}

impl RenetTime {
    /// Lets `delta` pass; returns by how much renet's clock is to move, if it is.
    pub(super) fn pass(&mut self, delta: Duration) -> Option<Duration> {
        self.behind += delta;
        (self.behind >= BEHIND_MAX).then(|| self.catch_up())
    }

    /// By how much renet's clock is to move, if it is, before something leaves by one of so many connections that is to be
    /// sent again if it is lost: it would be too soon by as much as the clock is behind.
    pub(super) fn before_sending(&mut self, connections: usize) -> Option<Duration> {
        let most = BEHIND_PER_CONNECTION * u32::try_from(connections).unwrap_or(u32::MAX);
        (self.behind > most).then(|| self.catch_up())
    }

    /// By how much renet's clock must advance to be right. Retransmissions are late by that lag.
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
        for update in 0..10_000 {
            moved += time.pass(MS).unwrap_or_default();
            if update % 7 == 0 {
                moved += time.before_sending(700).unwrap_or_default();
            }
            if update % 13 == 0 {
                moved += time.catch_up();
            }
        }
        assert_eq!(moved + time.behind, 10_000 * MS);
        assert!(time.behind < 18 * MS);
    }

    #[test]
    fn what_may_be_sent_again_leaves_in_time_by_few_connections_and_25_milliseconds_too_soon_by_a_thousand() {
        let mut time = RenetTime::default();
        assert_eq!((time.pass(MS), time.before_sending(2)), (None, Some(MS)));
        assert_eq!((time.pass(25 * MS), time.before_sending(1_000)), (None, None));
        assert_eq!((time.pass(MS), time.before_sending(1_000)), (None, Some(26 * MS)));
        assert_eq!(time.before_sending(0), None, "it is right");
    }

    #[test]
    fn while_nothing_but_heartbeats_leaves_it_moves_twice_a_second() {
        let mut time = RenetTime::default();
        let moves = (0..10_000).filter(|_| time.pass(MS).is_some()).count();
        assert_eq!(moves, 20);
    }
}
