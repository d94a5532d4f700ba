//! How long the runner polls before it sleeps.
//!
//! A wake-up takes a thread 5 to 15 us, and more where its processor has been halted, as on a virtual
//! machine: as much as an update. A program whose packets come in quick succession therefore answers sooner,
//! and spends less processor time on each, if it polls a little longer. The window adapts as a kernel's halt
//! polling does (Linux, `Documentation/virt/kvm/halt-polling.rst`): it doubles when an event came soon after
//! the runner had gone to sleep, and halves when polling found nothing. So an idle program does not poll, and
//! one with an event every 16 ms wastes at most one window each time.
//!
//! A program that gets many messages at a time sleeps at once. Its messages have queued on the way, so a
//! wake-up costs each little beside that; and with more threads than processors, polling takes one from the
//! threads that are to send (`docs/PERFORMANCE.md`). A peer can abuse this: many tiny messages at a time make
//! a coordinator sleep at once, which costs the others one wake-up for each answer, and no more.

use std::time::Duration;

/// The first window, and the one below which polling is off.
const SHORTEST: Duration = Duration::from_micros(10);

/// Messages between two waits that count as bulk: twice what eight tasks in flight bring, which gain from
/// polling.
const MESSAGES_IN_BULK: usize = 16;

/// The window, and its limit.
#[derive(Debug)]
pub(super) struct BusyPoll {
    window: Duration,
    longest: Duration,
    /// Messages received since the last wait.
    received: usize,
    /// Whether the messages between the last two waits came in bulk.
    in_bulk: bool,
}

impl BusyPoll {
    /// Polling is off at first; `longest` limits the window, and zero switches polling off.
    pub(super) fn new(longest: Duration) -> Self {
        Self { window: Duration::ZERO, longest, received: 0, in_bulk: false }
    }

    /// How long to poll in the wait that begins now.
    pub(super) fn begin_wait(&mut self) -> Duration {
        match std::mem::take(&mut self.received) {
            0 => {}
            received => self.in_bulk = received >= MESSAGES_IN_BULK,
        }
        if self.in_bulk { Duration::ZERO } else { self.window }
    }

    /// Records how many messages an update has received. A burst may take several updates, with no wait
    /// between them.
    pub(super) fn received(&mut self, messages: usize) {
        self.received += messages;
    }

    /// Records a wait of this length, polling and sleeping together.
    pub(super) fn waited(&mut self, wait: Duration) {
        if wait <= self.window {
            return;
        }
        self.window = if wait <= self.longest {
            (self.window * 2).clamp(SHORTEST.min(self.longest), self.longest)
        } else if self.window / 2 < SHORTEST {
            Duration::ZERO
        } else {
            self.window / 2
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_micros(100);

    fn us(value: u64) -> Duration {
        Duration::from_micros(value)
    }

    #[test]
    fn quick_succession_opens_the_window_as_far_as_it_may_open() {
        let mut poll = BusyPoll::new(LONGEST);
        assert_eq!(poll.begin_wait(), Duration::ZERO);
        for _ in 0..8 {
            poll.waited(us(90));
        }
        assert_eq!(poll.begin_wait(), LONGEST);
        poll.waited(us(5));
        assert_eq!(poll.begin_wait(), LONGEST, "found while looking: as long as it need be");
    }

    #[test]
    fn looking_in_vain_closes_it() {
        let mut poll = BusyPoll::new(LONGEST);
        for _ in 0..8 {
            poll.waited(us(90));
        }
        let in_vain: Duration = (0..8)
            .map(|_| {
                let looked = poll.begin_wait();
                poll.waited(us(16_000));
                looked
            })
            .sum();
        assert_eq!(poll.begin_wait(), Duration::ZERO);
        assert!(in_vain < 2 * LONGEST, "{in_vain:?}");
    }

    #[test]
    fn waits_that_are_never_short_are_slept_through() {
        let mut poll = BusyPoll::new(LONGEST);
        for wait in [150, 300, 1_000, 101] {
            poll.waited(us(wait));
            assert_eq!(poll.begin_wait(), Duration::ZERO);
        }
    }

    #[test]
    fn what_comes_in_bulk_is_slept_for() {
        let mut poll = BusyPoll::new(LONGEST);
        for _ in 0..8 {
            poll.waited(us(90));
        }
        poll.received(MESSAGES_IN_BULK - 1);
        assert_eq!(poll.begin_wait(), LONGEST);
        poll.received(MESSAGES_IN_BULK - 1);
        poll.received(1);
        assert_eq!(poll.begin_wait(), Duration::ZERO, "a burst in two updates");
        assert_eq!(poll.begin_wait(), Duration::ZERO, "a wait that no message ended says nothing");
        poll.received(1);
        assert_eq!(poll.begin_wait(), LONGEST, "as long as before");
    }

    #[test]
    fn switched_off_it_never_looks() {
        let mut poll = BusyPoll::new(Duration::ZERO);
        for wait in [0, 1, 50] {
            poll.waited(us(wait));
            assert_eq!(poll.begin_wait(), Duration::ZERO);
        }
    }
}
