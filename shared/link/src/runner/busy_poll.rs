//! How long the runner looks for something to do before it sleeps.
//!
//! To be woken takes a thread 5 to 15 us, and more where its processor has been halted, as on a virtual machine: as
//! much as an update. A program whose packets come in quick succession therefore answers sooner, and spends less
//! processor time on each, if it looks a little longer. How much longer it learns as a kernel's halt polling does
//! (Linux, `Documentation/virt/kvm/halt-polling.rst`): the window doubles when something came soon after the runner
//! had gone to sleep, and halves when it looked in vain. So an idle program does not look at all, and one that
//! gets something every 16 ms loses a window each time at the most.
//!
//! A program that gets many messages at a time sleeps at once. What it is sent has queued up on the way, so being woken
//! costs each of them little beside what it has waited already; and where there are more threads than processors, a
//! program that looks keeps one from those that are to send. Measured with 64 small tasks in flight on two cores,
//! together with the lower priority of the ledger's thread: 13 % more tasks a second and two thirds of the 99th
//! percentile, and neither of the two alone did it. A peer that sends many tiny messages at a time can so make a
//! coordinator sleep at once, which costs the others the time of being woken for each answer, and no more.

use std::time::Duration;

/// The window after which the runner first looks, and below which it does not look any more.
const SHORTEST: Duration = Duration::from_micros(10);

/// Messages between two waits from which on they come in bulk: twice what eight tasks in flight bring, which gain from
/// looking.
const MESSAGES_IN_BULK: usize = 16;

/// The window, and how long it may become.
#[derive(Debug)]
pub(super) struct BusyPoll {
    window: Duration,
    longest: Duration,
    /// Messages received since the last wait.
    received: usize,
    /// The newest messages, those between two waits, came in bulk.
    in_bulk: bool,
}

impl BusyPoll {
    /// Not looking yet, and never for longer than `longest`; zero switches it off.
    pub(super) fn new(longest: Duration) -> Self {
        Self { window: Duration::ZERO, longest, received: 0, in_bulk: false }
    }

    /// How long to look before sleeping in the wait that begins now.
    pub(super) fn begin_wait(&mut self) -> Duration {
        match std::mem::take(&mut self.received) {
            0 => {}
            received => self.in_bulk = received >= MESSAGES_IN_BULK,
        }
        if self.in_bulk { Duration::ZERO } else { self.window }
    }

    /// Learns how many messages an update has received. A burst may need several, with no wait between them.
    pub(super) fn received(&mut self, messages: usize) {
        self.received += messages;
    }

    /// Learns from a wait that took so long, looking and sleeping together.
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
