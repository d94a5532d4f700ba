//! Holds back submits whose outcome is in the ledger but not in memory, until the outcome has been read: the core gets the
//! outcome first.
//!
//! Each wait is bounded in time, and so is the number of waiting submits, per account and in sum. Beyond a bound a submit
//! goes on and its task is computed, as if the ledger had nothing. When a gamer takes a task back or leaves, its waiting
//! submits go on at once.

use std::collections::VecDeque;
use std::time::Duration;

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use p2c2r_link::{NextWake, PeerLeft};
use p2c2r_protocol::{Digest, Micros, PeerId, TaskId};

use super::Exchange;
use crate::core::{Core, Event};
use crate::ledger::{AccountId, OutcomeReader, READS_WAITING_MAX};

/// Submits that wait at the same time.
const WAITING_MAX: usize = 64;
/// Submits of one account that wait at the same time: as many as a game sends in a burst. With more, a few accounts would
/// keep the disk busy, and everybody else's outcomes would be computed again.
const WAITING_PER_ACCOUNT_MAX: usize = 8;
/// The longest that a submit waits: several times what a slow disk takes. Late by at most one update, never early.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// A submit waits at most `1 / WAIT_BUDGET_SHARE` of its task's time budget: the rest suffices to compute the task.
const WAIT_BUDGET_SHARE: u32 = 4;

/// The submits that wait, and what the reader was asked for.
#[derive(Resource)]
pub struct Recalls {
    reader: OutcomeReader,
    /// Whether updates wait for the reader: for tests on manual time, which must not depend on the disk's speed.
    is_inline: bool,
    /// What the reader was asked for and has not answered, in the order of asking.
    asked: VecDeque<AskedOutcome>,
    counts: RecallCounts,
}

/// Results of looking for outcomes in the ledger, in counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecallCounts {
    /// Outcomes read.
    pub found: u64,
    /// Looked for in vain: expired, revoked, damaged or unreadable.
    pub gone: u64,
    /// Submits that went on because the disk took too long.
    pub late: u64,
}

/// An outcome that the reader was asked for, and the submits that wait for it.
struct AskedOutcome {
    key: Digest,
    at: Micros,
    submits: Vec<WaitingSubmit>,
}

struct WaitingSubmit {
    account: AccountId,
    peer: PeerId,
    task: TaskId,
    until: Micros,
    event: Event,
}

impl Recalls {
    /// Nothing waits yet.
    pub fn new(reader: OutcomeReader, is_inline: bool) -> Self {
        Self { reader, is_inline, asked: VecDeque::new(), counts: RecallCounts::default() }
    }

    /// The results so far.
    pub fn counts(&self) -> RecallCounts {
        self.counts
    }

    /// Whether the reader has answered everything.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Holds a submit back if the ledger has its task's outcome and the core does not; otherwise returns it.
    pub fn hold(&mut self, core: &Core, now: Micros, event: Event) -> Option<Event> {
        let Event::Submitted { peer, submit, key, .. } = &event else { return Some(event) };
        let (peer, task, key) = (*peer, submit.task, *key);
        // Almost always nothing is found, and this costs one access to memory.
        let Some(row) = self.reader.find(key) else { return Some(event) };
        let Some(account) = core.lacks(peer, submit, key).filter(|account| self.has_room(*account, now))
        else {
            return Some(event);
        };
        let share = |budget_us: u32| Duration::from_micros((budget_us / WAIT_BUDGET_SHARE).into());
        let wait = submit.budget_us.map_or(WAIT_MAX, |budget| WAIT_MAX.min(share(budget)));
        let until = now.after(wait);
        let Some(asked) = self.ask(key, row, now) else { return Some(event) };
        asked.submits.push(WaitingSubmit { account, peer, task, until, event });
        None
    }

    /// Whether one more submit of this account may wait.
    fn has_room(&self, account: AccountId, now: Micros) -> bool {
        let of_account = self.waiting().filter(|waiting| waiting.account == account).count();
        of_account < WAITING_PER_ACCOUNT_MAX && self.waiting().count() < WAITING_MAX && !self.is_stalled(now)
    }

    fn waiting(&self) -> impl Iterator<Item = &WaitingSubmit> {
        self.asked.iter().flat_map(|asked| &asked.submits)
    }

    /// Asks the reader for the outcome under this key, unless it was asked already; `None` if too many reads are waiting.
    fn ask(&mut self, key: Digest, row: i64, now: Micros) -> Option<&mut AskedOutcome> {
        let at = self.asked.iter().position(|asked| asked.key == key).or_else(|| {
            let is_asked = self.asked.len() < READS_WAITING_MAX && self.reader.ask(key, row);
            is_asked.then(|| {
                self.asked.push_back(AskedOutcome { key, at: now, submits: Vec::new() });
                self.asked.len() - 1
            })
        })?;
        self.asked.get_mut(at)
    }

    /// Whether the disk takes too long at the moment: then no more submits are held back.
    fn is_stalled(&self, now: Micros) -> bool {
        self.asked.front().is_some_and(|asked| now.time_since(asked.at) >= WAIT_MAX)
    }

    /// Tells the core each outcome that has been read, followed by the submits that waited for it, and then the submits that
    /// have waited long enough.
    pub fn collect(&mut self, exchange: &mut Exchange<'_>) {
        while !self.asked.is_empty() {
            let read = if self.is_inline { self.reader.wait() } else { self.reader.answer() };
            let Some(read) = read else { break };
            let Some(asked) = self.asked.pop_front() else { break };
            debug_assert_eq!(asked.key, read.key, "answers come in the order of what was asked");
            if let Some(outcome) = read.outcome {
                self.counts.found += 1;
                exchange.tell(Event::Recalled { outcome, recorded: read.recorded });
            } else {
                self.counts.gone += 1;
            }
            for waited in asked.submits {
                exchange.tell(waited.event);
            }
        }
        let now = exchange.now();
        self.counts.late += self.go_on(exchange, |waiting| waiting.until <= now);
    }

    /// Lets the submits of this peer go on, those of one task or all, because a later message of the peer concerns them.
    pub fn release(&mut self, exchange: &mut Exchange<'_>, peer: PeerId, task: Option<TaskId>) {
        self.go_on(exchange, |waiting| waiting.peer == peer && task.is_none_or(|task| waiting.task == task));
    }

    /// Lets these submits go on without the outcome; returns how many there were.
    fn go_on(&mut self, exchange: &mut Exchange<'_>, is_meant: impl Fn(&WaitingSubmit) -> bool) -> u64 {
        let mut gone = 0;
        for asked in &mut self.asked {
            for waited in asked.submits.extract_if(.., |waiting| is_meant(waiting)) {
                exchange.tell(waited.event);
                gone += 1;
            }
        }
        gone
    }

    /// Lets the submits of peers that left go on: a peer's last messages still count.
    pub fn release_left(&mut self, exchange: &mut Exchange<'_>, left: &Messages<PeerLeft>) {
        if self.asked.is_empty() {
            return;
        }
        for gone in left.get_cursor().read(left) {
            self.release(exchange, gone.peer, None);
        }
    }

    /// Wakes the app when a submit has waited long enough.
    pub fn wake(&self, now: Micros, next_wake: &mut NextWake) {
        if let Some(until) = self.waiting().map(|waiting| waiting.until).min() {
            next_wake.within(if self.is_inline { Duration::ZERO } else { until.time_since(now) });
        }
    }
}
