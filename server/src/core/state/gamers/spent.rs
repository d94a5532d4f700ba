//! Which of an account's task ids are used up, so that a task is charged at most once, however often and however late
//! its submit comes.
//!
//! The upper half of an id is a session number, which the coordinator gives to each connection and which only grows
//! within an account. So a few windows of recent sessions suffice, and no list of all sessions is needed: ids of older
//! sessions all count as spent, and ids of sessions that were never given are refused. A reconnected gamer gets a
//! number under which nothing was charged.

use std::collections::VecDeque;

use p2c2r_protocol::TaskId;
use p2c2r_protocol::limits::TASKS_PER_GAMER_MAX;

/// The newest session numbers of one account, under which new tasks are admitted. Fewer would cut off the older of that
/// many simultaneous connections; each takes a kilobyte once it is used.
const SESSIONS_MAX: usize = 16;
/// Ids remembered below the newest one of a session: more than one gamer may have in flight, so that ids that arrive
/// out of order are not mistaken for spent ones.
const WINDOW: u32 = 8_192;

const _: () = assert!(WINDOW as usize > 2 * TASKS_PER_GAMER_MAX);

/// The ids of one account that are used up.
#[derive(Default)]
pub(super) struct SpentIds {
    /// The newest session numbers, in the order in which they were given.
    sessions: VecDeque<SessionIds>,
    /// The newest number ever given; zero before the first.
    newest: u32,
}

/// The ids under one session number.
struct SessionIds {
    number: u32,
    /// `None` until a task was admitted.
    window: Option<Window>,
}

struct Window {
    newest: u32,
    bits: Box<[u64]>,
}

fn halves(id: TaskId) -> (u32, u32) {
    ((id.0 >> 32) as u32, id.0 as u32)
}

impl Window {
    /// Opens the window at the first id seen; smaller ids of the same session may still arrive.
    fn open(number: u32) -> Self {
        Self { newest: number, bits: vec![0; (WINDOW / 64) as usize].into() }
    }

    fn bit(number: u32) -> (usize, u64) {
        let at = number % WINDOW;
        ((at / 64) as usize, 1 << (at % 64))
    }

    fn contains(&self, number: u32) -> bool {
        if number > self.newest {
            return false;
        }
        let (word, bit) = Self::bit(number);
        self.newest - number >= WINDOW || self.bits[word] & bit != 0
    }

    fn insert(&mut self, number: u32) {
        if number > self.newest {
            if number - self.newest >= WINDOW {
                self.bits.fill(0);
            } else {
                for forgotten in self.newest + 1..=number {
                    let (word, bit) = Self::bit(forgotten);
                    self.bits[word] &= !bit;
                }
            }
            self.newest = number;
        }
        let (word, bit) = Self::bit(number);
        self.bits[word] |= bit;
    }
}

impl SpentIds {
    /// The spent ids of an account whose largest id is `largest`: all ids of that session and of earlier ones.
    pub fn after(largest: Option<TaskId>) -> Self {
        Self { sessions: VecDeque::new(), newest: largest.map_or(0, |id| halves(id).0) }
    }

    /// Gives a new session number, at least `at_least` and larger than all before. With more than [`SESSIONS_MAX`]
    /// sessions all ids of the oldest count as spent. After 2^32 connections no larger number exists: the last one is
    /// returned again, and admits nothing new.
    pub fn give_session(&mut self, at_least: u32) -> u32 {
        let Some(next) = self.newest.checked_add(1) else { return self.newest };
        self.newest = next.max(at_least);
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.pop_front();
        }
        self.sessions.push_back(SessionIds { number: self.newest, window: None });
        self.newest
    }

    /// Whether `id` is used up or was never given.
    pub fn contains(&self, id: TaskId) -> bool {
        let (session, number) = halves(id);
        match self.sessions.iter().rev().find(|given| given.number == session) {
            Some(given) => given.window.as_ref().is_some_and(|window| window.contains(number)),
            None => true,
        }
    }

    /// `id` is used up from now on.
    pub fn insert(&mut self, id: TaskId) {
        let (session, number) = halves(id);
        if let Some(given) = self.sessions.iter_mut().rev().find(|given| given.number == session) {
            given.window.get_or_insert_with(|| Window::open(number)).insert(number);
        }
        debug_assert!(self.contains(id), "no id is let in twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(session: u32, number: u64) -> TaskId {
        TaskId(u64::from(session) << 32 | number)
    }

    #[test]
    fn an_id_is_spent_once_in_any_order_and_for_ever() {
        let mut spent = SpentIds::default();
        let (one, two) = (spent.give_session(0), spent.give_session(0));
        for number in [5, 3, 9, 8_000, 4] {
            assert!(!spent.contains(id(one, number)), "{number}");
            spent.insert(id(one, number));
            assert!(spent.contains(id(one, number)), "{number}");
        }
        assert!(!spent.contains(id(one, 6)) && !spent.contains(id(two, 5)));
        spent.insert(id(one, 8_195 + 6));
        assert!(spent.contains(id(one, 6)), "fell out of the window unseen: counts as spent");
        assert!(spent.contains(id(one, 8_000)) && !spent.contains(id(one, 8_001)));
        spent.insert(id(one, 1_000_000));
        assert!(spent.contains(id(one, 8_001)) && !spent.contains(id(one, 999_999)));
    }

    #[test]
    fn sessions_are_given_in_growing_order_and_no_other_one_lets_anything_in() {
        let mut spent = SpentIds::after(Some(id(41, 7)));
        assert!((0..100).all(|session| spent.contains(id(session, 1_000))), "none is given yet");
        assert_eq!((spent.give_session(7), spent.give_session(50), spent.give_session(50)), (42, 50, 51));
        for session in [42, 50, 51] {
            assert!(!spent.contains(id(session, 0)) && !spent.contains(id(session, u64::from(u32::MAX))));
        }
        for session in [0, 41, 43, 49, 52, u32::MAX] {
            assert!(spent.contains(id(session, 1)), "{session}");
            spent.insert(id(session, 1));
        }
        assert_eq!(spent.sessions.len(), 3);
    }

    #[test]
    fn however_many_connections_there_were_the_newest_is_let_in_and_nothing_old_is() {
        let mut spent = SpentIds::default();
        for _ in 0..100_000 {
            let session = spent.give_session(0);
            assert!(!spent.contains(id(session, 1)));
            spent.insert(id(session, 1));
        }
        assert!((1..=100_000).all(|session| spent.contains(id(session, 1))));
        assert!((1..=100_000 - 16).all(|session| spent.contains(id(session, 2))));
        assert!((100_000 - 15..=100_000).all(|session| !spent.contains(id(session, 2))));
        assert_eq!(spent.sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn the_last_number_of_all_is_not_given_twice() {
        let mut spent = SpentIds::after(Some(id(u32::MAX - 1, 7)));
        let last = spent.give_session(0);
        spent.insert(id(last, 1));
        assert_eq!((last, spent.give_session(0)), (u32::MAX, u32::MAX));
        assert!(spent.contains(id(last, 1)) && !spent.contains(id(last, 2)));
        let mut none_left = SpentIds::after(Some(id(u32::MAX, 7)));
        assert!({
            let given = none_left.give_session(0);
            none_left.contains(id(given, 8))
        });
    }
}
