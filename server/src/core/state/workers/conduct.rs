//! How much work a worker is given at once, earned by accepted answers and lost by attempts that come to nothing.
//!
//! A newcomer gets a few attempts, whatever slots it announces, and at most twice as many with each answer that is
//! accepted: so a worker that never answers costs little before it is found out. Attempts that come to nothing halve
//! the number, put it behind others, and from the second in a row on it rests for a while, each time twice as long.

use std::time::Duration;

use p2c2r_protocol::Micros;

/// Attempts a newcomer gets at once: one that it works on and one on the way.
const WINDOW_OF_NEWCOMER: u32 = 2;
/// Attempts one worker may have at the same time, however fast and far away it is.
pub const WINDOW_MAX: u32 = 1_024;
/// How long a worker rests after the second incident in a row.
const REST_MIN: Duration = Duration::from_millis(50);
/// The longest rest. Errs on the side of trying again: a machine that was overloaded may be well again.
const REST_MAX: Duration = Duration::from_mins(1);
/// Accepted answers after which a worker counts as proven, as long as nothing goes wrong: its window has doubled often
/// enough by then for what it really does to be known. Fewer would make a hedge of a stranger.
const PROVEN_AFTER: u32 = 8;
/// Incidents in a row beyond which nothing gets worse.
const INCIDENTS_MAX: u32 = 16;

/// How a worker has done of late.
#[derive(Clone, Debug)]
pub(super) struct Conduct {
    /// Attempts it may have at once.
    window: u32,
    /// Attempts that its slots, its speed and its distance have use for.
    useful: u32,
    /// Incidents in a row.
    incidents: u32,
    /// Its answers that were accepted.
    accepted: u32,
    /// When the newest incident was noticed.
    newest: Micros,
    rests_until: Option<Micros>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            window: WINDOW_OF_NEWCOMER,
            useful: 0,
            incidents: 0,
            accepted: 0,
            newest: Micros(0),
            rests_until: None,
        }
    }
}

impl Conduct {
    /// Attempts it may have at once; none while it rests.
    pub fn window(&self) -> u32 {
        if self.rests_until.is_some() { 0 } else { self.window.min(self.useful) }
    }

    /// How many times longer than predicted it is taken to need, when it is compared with others.
    pub fn handicap(&self) -> u32 {
        1 << self.incidents.min(8)
    }

    /// When its rest is over, if it rests.
    pub fn rests_until(&self) -> Option<Micros> {
        self.rests_until
    }

    /// So many attempts at once are of use, as far as is known.
    pub fn has_use_for(&mut self, attempts: u32) {
        self.useful = attempts.min(WINDOW_MAX);
    }

    /// An answer of it was accepted.
    pub fn accepted(&mut self) {
        self.window = (2 * self.window).min(self.useful.max(WINDOW_OF_NEWCOMER));
        self.incidents /= 2;
        self.accepted = self.accepted.saturating_add(1);
    }

    /// Whether enough of its answers were accepted, and nothing has gone wrong of late.
    pub fn is_proven(&self) -> bool {
        self.accepted >= PROVEN_AFTER && self.incidents == 0
    }

    /// An attempt that it had since then came to nothing. Those handed out before the newest incident was noticed are
    /// part of it: a machine that stands still for a moment fails all that it has at once. Says whether it is a new one.
    pub fn failed(&mut self, since: Micros, now: Micros) -> bool {
        if self.incidents > 0 && since <= self.newest {
            return false;
        }
        self.newest = now;
        self.incidents = (self.incidents + 1).min(INCIDENTS_MAX);
        self.window = (self.window / 2).max(1);
        if self.incidents > 1 {
            let rest = (REST_MIN * (1 << (self.incidents - 2))).min(REST_MAX);
            self.rests_until = Some(Micros(now.0.saturating_add(Micros::from(rest).0)));
        }
        true
    }

    /// It gets work again if its rest is over.
    pub fn end_rest(&mut self, now: Micros) {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
    }

    /// The worse of two records of one account.
    pub fn worse(self, other: &Self) -> Self {
        Self {
            window: self.window.min(other.window),
            useful: self.useful,
            incidents: self.incidents.max(other.incidents),
            accepted: self.accepted.min(other.accepted),
            newest: self.newest.max(other.newest),
            rests_until: self.rests_until.max(other.rests_until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_doubles_with_accepted_answers_up_to_what_is_of_use() {
        let mut conduct = Conduct::default();
        assert_eq!(conduct.window(), 0, "it has not said what it offers");
        conduct.has_use_for(20);
        let mut windows = vec![conduct.window()];
        for _ in 0..5 {
            conduct.accepted();
            windows.push(conduct.window());
        }
        assert_eq!(windows, [2, 4, 8, 16, 20, 20]);
        conduct.has_use_for(3);
        assert_eq!(conduct.window(), 3);
    }

    #[test]
    fn incidents_in_a_row_halve_the_window_and_lengthen_the_rest() {
        let mut conduct = Conduct::default();
        conduct.has_use_for(64);
        (0..5).for_each(|_| conduct.accepted());
        let mut now = Micros(1_000);
        conduct.failed(Micros(10), now);
        assert_eq!((conduct.window(), conduct.rests_until()), (32, None), "the first may be anybody's");
        conduct.failed(Micros(20), Micros(1_001));
        assert_eq!(conduct.window(), 32, "handed out before: the same incident");
        let mut rests = Vec::new();
        for _ in 0..14 {
            now.0 += 1_000_000_000;
            conduct.failed(Micros(now.0 - 1), now);
            assert_eq!(conduct.window(), 0);
            let until = conduct.rests_until().unwrap();
            rests.push((until.0 - now.0) / 1_000);
            conduct.end_rest(Micros(until.0 - 1));
            assert_eq!(conduct.window(), 0);
            conduct.end_rest(until);
        }
        assert_eq!(rests[..5], [50, 100, 200, 400, 800]);
        assert_eq!(rests[13], 60_000);
        assert_eq!(conduct.window(), 1, "it is tried again");
        let before = conduct.handicap();
        conduct.accepted();
        assert!(conduct.handicap() <= before && conduct.window() == 2);
    }
}
