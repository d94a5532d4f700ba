//! The window of a worker, that is, how many attempts it may hold at once: it grows with accepted answers and shrinks
//! with failed attempts.
//!
//! A newcomer gets a few attempts, however many slots it announces, and the window at most doubles with each accepted
//! answer: a worker that never answers costs little. A failed attempt halves the window and ranks the worker behind
//! others; from the second failure in a row on it rests, twice as long each time.

use std::time::Duration;

use p2c2r_protocol::Micros;

/// Attempts a newcomer gets at once: one that it works on and one on the way.
const WINDOW_OF_NEWCOMER: u32 = 2;
/// Upper bound of the window, however fast and far away the worker is.
pub const WINDOW_MAX: u32 = 1_024;
/// How long a worker rests after the second incident in a row.
const REST_MIN: Duration = Duration::from_millis(50);
/// The longest rest. Errs on the short side: a machine that was overloaded may have recovered.
const REST_MAX: Duration = Duration::from_mins(1);
/// Accepted answers after which a worker without recent incidents counts as proven: by then its window has doubled
/// often enough to show its real speed. With fewer, hedges would go to unknown workers.
const PROVEN_AFTER: u32 = 8;
/// Incidents in a row that are counted at most.
const INCIDENTS_MAX: u32 = 16;

/// A worker's recent successes and failures.
#[derive(Clone, Debug)]
pub(super) struct Conduct {
    /// Attempts it may have at once.
    window: u32,
    /// Attempts that keep its slots busy, given its speed and round trip.
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

    /// Factor on its predicted time when it is compared with others: 2 to the power of its incidents in a row, at most
    /// 256.
    pub fn handicap(&self) -> u32 {
        1 << self.incidents.min(8)
    }

    /// Incidents in a row.
    pub fn incidents(&self) -> u32 {
        self.incidents
    }

    /// When its rest is over, if it rests.
    pub fn rests_until(&self) -> Option<Micros> {
        self.rests_until
    }

    /// Sets how many attempts keep it busy.
    pub fn has_use_for(&mut self, attempts: u32) {
        self.useful = attempts.min(WINDOW_MAX);
    }

    /// Counts an accepted answer.
    pub fn accepted(&mut self) {
        self.window = (2 * self.window).min(self.useful.max(WINDOW_OF_NEWCOMER));
        self.incidents /= 2;
        self.accepted = self.accepted.saturating_add(1);
    }

    /// Whether enough of its answers were accepted, and it has no recent incident.
    pub fn is_proven(&self) -> bool {
        self.accepted >= PROVEN_AFTER && self.incidents == 0
    }

    /// Counts an attempt, assigned at `since`, that failed. An attempt assigned before the newest incident was noticed
    /// belongs to that incident, since a stalled machine fails everything it holds at once. Returns whether this is a
    /// new incident.
    pub fn failed(&mut self, since: Micros, now: Micros) -> bool {
        if self.incidents > 0 && since <= self.newest {
            return false;
        }
        self.newest = now;
        self.incidents = (self.incidents + 1).min(INCIDENTS_MAX);
        self.window = (self.window / 2).max(1);
        if self.incidents > 1 {
            let rest = (REST_MIN * (1 << (self.incidents - 2))).min(REST_MAX);
            self.rests_until = Some(now.after(rest));
        }
        true
    }

    /// Ends its rest if that is over.
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
