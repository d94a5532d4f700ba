//! The places for HTTPS connections: how many there are, and which connection is ended when one more comes than there are
//! places.
//!
//! A flood of connections must not cut off clients that are joining, however far away they are. An honest client's first
//! bytes come with the packet that completes its connection, so silent connections are ended first, the oldest of them. Of
//! those that have spoken, one of the address prefix with the most connections is ended, so that an attacker with few
//! addresses ends its own. Only an attacker with as many addresses as there are places can cut off a client that joins.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2c2r_protocol::SeededHash;
use tokio::task::AbortHandle;

use super::limits::{JoinLimits, Prefix};

/// How long a connection may be silent before it is the first to be ended. Not shorter, because a client's first bytes may
/// wait to be read while the thread serves others.
const SILENCE_MAX: Duration = Duration::from_millis(200);

/// The connections at this moment; a pure state machine. Times are durations since a fixed moment.
#[derive(Debug, Default)]
struct Places {
    /// In the order in which they came.
    all: BTreeMap<u64, Place>,
    /// Has at most as many entries as there are connections.
    of_prefix: HashMap<Prefix, u32, SeededHash>,
    /// Those that have sent nothing yet.
    silent: BTreeSet<u64>,
    numbered: u64,
}

#[derive(Debug)]
struct Place {
    prefix: Prefix,
    since: Duration,
}

impl Places {
    /// Gives a connection a number, unless there are too many from this prefix.
    fn enter(&mut self, prefix: Prefix, now: Duration, of_prefix_max: u32) -> Option<u64> {
        let here = self.of_prefix.entry(prefix).or_default();
        if *here >= of_prefix_max {
            return None;
        }
        *here += 1;
        self.numbered += 1;
        self.all.insert(self.numbered, Place { prefix, since: now });
        self.silent.insert(self.numbered);
        Some(self.numbered)
    }

    /// Notes that a connection has sent something.
    fn spoke(&mut self, number: u64) {
        self.silent.remove(&number);
    }

    /// Forgets a connection.
    fn leave(&mut self, number: u64) {
        let Some(Place { prefix, .. }) = self.all.remove(&number) else { return };
        self.silent.remove(&number);
        match self.of_prefix.get_mut(&prefix) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                self.of_prefix.remove(&prefix);
            }
        }
    }

    /// The connection that is to be ended if there are more than `places`; it is forgotten.
    fn take_surplus(&mut self, now: Duration, places: u32) -> Option<u64> {
        if self.all.len() <= places as usize {
            return None;
        }
        let number = self.most_silent(now, places).or_else(|| self.oldest_of_the_most())?;
        self.leave(number);
        Some(number)
    }

    /// The oldest of those that have sent nothing, if it had time to, or if there are so many silent ones that they are a flood.
    fn most_silent(&self, now: Duration, places: u32) -> Option<u64> {
        let oldest = *self.silent.first()?;
        let silence = now.saturating_sub(self.all.get(&oldest)?.since);
        (silence >= SILENCE_MAX || self.silent.len() > places as usize / 2).then_some(oldest)
    }

    /// The oldest of those whose prefixes hold as many connections as any.
    fn oldest_of_the_most(&self) -> Option<u64> {
        let most = self.of_prefix.values().max()?;
        let of_most = |place: &Place| self.of_prefix.get(&place.prefix) == Some(most);
        self.all.iter().find(|(_, place)| of_most(place)).map(|(number, _)| *number)
    }
}

/// The connections and what ends each. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    places: Places,
    ends: HashMap<u64, AbortHandle, SeededHash>,
}

/// One connection that holds a place; dropping it gives that back.
#[derive(Debug)]
pub(super) struct Connected {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// A place for one more connection, unless there are too many from this prefix.
    pub fn enter(&self, prefix: Prefix, now: Duration, limits: &JoinLimits) -> Option<Connected> {
        let number = self.lock().places.enter(prefix, now, limits.connections_per_prefix_max)?;
        Some(Connected { connections: self.clone(), number })
    }

    /// Begins the connection with this number, which `ends` can end. If there are now more connections than places, the
    /// surplus is ended, which takes effect when the thread next polls it.
    pub fn begin(&self, number: u64, ends: AbortHandle, now: Duration, limits: &JoinLimits) {
        let mut held = self.lock();
        if held.places.all.contains_key(&number) {
            held.ends.insert(number, ends);
        }
        while let Some(surplus) = held.places.take_surplus(now, limits.connections_max) {
            if let Some(ends) = held.ends.remove(&surplus) {
                ends.abort();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Notes that it has sent something.
    pub fn spoke(&self) {
        self.connections.lock().places.spoke(self.number);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut held = self.connections.lock();
        held.places.leave(self.number);
        held.ends.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PLACES: u32 = 512;

    fn prefix(number: u32) -> Prefix {
        Prefix::V4(Ipv4Addr::from_bits(number))
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Lets `flood` come once a millisecond for ten seconds, and every 50 ms a newcomer of an address of its own that speaks
    /// after `speaks_after` ms and is done after a second; how many newcomers were cut, and how many came.
    fn newcomers_cut(speaks_after: u64, mut flood: impl FnMut(&mut Places, u64)) -> (usize, usize) {
        let (mut places, mut came, mut cut) = (Places::default(), Vec::new(), 0);
        for ms in 0..10_000 {
            flood(&mut places, ms);
            if ms % 50 == 0 {
                let number = places.enter(prefix(1 << 24 | ms as u32), at(ms), 64).unwrap();
                came.push((ms, number));
            }
            for (since, number) in &came {
                match ms - since {
                    passed if passed == speaks_after => places.spoke(*number),
                    1_000 => places.leave(*number),
                    _ => {}
                }
            }
            while let Some(ended) = places.take_surplus(at(ms), PLACES) {
                let of_newcomer = came.iter().any(|(since, number)| *number == ended && ms - since < 1_000);
                cut += usize::from(of_newcomer);
            }
            assert!(places.all.len() <= PLACES as usize);
        }
        (cut, came.len())
    }

    #[test]
    fn silent_connections_at_a_thousand_a_second_never_end_a_newcomer_whose_handshake_takes_a_second() {
        let silent = |places: &mut Places, ms: u64| {
            places.enter(prefix(ms as u32), at(ms), 64).unwrap();
        };
        assert_eq!(newcomers_cut(1, silent), (0, 200));
        assert_eq!(newcomers_cut(150, silent), (0, 200), "also while the thread is slow to read");
    }

    #[test]
    fn a_few_addresses_that_speak_on_all_their_connections_end_their_own() {
        let speak = |places: &mut Places, ms: u64| {
            if let Some(number) = places.enter(prefix(ms as u32 % 10), at(ms), 64) {
                places.spoke(number);
            }
        };
        assert_eq!(newcomers_cut(150, speak), (0, 200));
    }

    #[test]
    fn where_every_address_holds_one_the_oldest_is_ended() {
        let mut places = Places::default();
        let numbers: Vec<_> = (0..4).map(|number| places.enter(prefix(number), at(0), 1).unwrap()).collect();
        for number in &numbers {
            places.spoke(*number);
        }
        assert_eq!(places.take_surplus(at(1), 3), Some(numbers[0]));
        assert_eq!(places.take_surplus(at(1), 3), None);
    }

    #[test]
    fn places_are_counted_per_prefix_and_given_back() {
        let limits = JoinLimits { connections_per_prefix_max: 2, ..JoinLimits::default() };
        let connections = Connections::default();
        let enter = |number| connections.enter(prefix(number), at(0), &limits);
        let (one, two) = (enter(1).unwrap(), enter(1).unwrap());
        assert!(enter(1).is_none());
        let three = enter(2).unwrap();
        assert_eq!(connections.lock().places.all.len(), 3);
        drop((one, three));
        assert!(enter(1).is_some() && enter(3).is_some());
        drop(two);
        let held = connections.lock();
        assert!(
            held.places.all.is_empty() && held.places.of_prefix.is_empty() && held.places.silent.is_empty()
        );
    }
}
