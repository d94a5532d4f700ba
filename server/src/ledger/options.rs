//! How a ledger is opened, and every limit of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use p2c2r_protocol::Nanos;
use p2c2r_protocol::limits::TASKS_MAX;

/// Longest time an entry waits for its group to be written. A gamer's statement lags by at most this, and a power cut
/// loses at most this much, none of which had been shown as charged.
pub const GROUP_COMMIT_MAX: Duration = Duration::from_millis(50);

/// Entries in the queue beyond which no task is admitted; at 150,000 entries a second (36,000 tasks) it bridges a disk
/// that stalls for 1.7 seconds.
pub const QUEUE_ENTRIES_MAX: usize = 262_144;

/// Fraction of the queue, in entries or bytes, given as its divisor, beyond which
/// [`Ledger::wait_for_writer`](super::Ledger::wait_for_writer) waits for the writer.
pub const QUEUE_SHARE_GIVING_WAY: usize = 2;

/// With this many entries a group is written at once, however little time has passed: larger transactions save nothing
/// noticeable, and a writer that is behind must not wait.
pub const GROUP_ENTRIES_ENOUGH: usize = 4_096;

/// Added to the writer's niceness: where threads compete for processors, a commit may wait and a packet may not. Moderate,
/// so that beside one busy thread the writer still gets about a tenth of a processor.
#[cfg(target_os = "linux")]
pub const WRITER_NICENESS: i32 = 10;

/// Bytes of specs and outcomes in the queue beyond which no task is admitted.
pub const QUEUE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Per cent of [`LedgerOptions::tasks_max`] from which on tasks are folded early.
const FOLDED_EARLY_PERCENT: u64 = 50;

/// Per cent of [`LedgerOptions::tasks_max`] from which on accounts are bounded. So far above [`FOLDED_EARLY_PERCENT`] that
/// accounts are bounded only where tasks are too young to be folded.
const BOUNDED_PERCENT: u64 = 75;

/// One account may have this part, given as its divisor, of what other accounts leave of [`LedgerOptions::tasks_max`]: a
/// few greedy accounts cannot lock out the next one.
const ACCOUNT_TASKS_SHARE: u64 = 16;

/// Open patient tasks beyond which no other is admitted: they are all in memory after a restart, at most
/// 100 KB each.
pub const PATIENT_TASKS_MAX: usize = 4_096;

/// Task numbers skipped after a crash, more than can have been unrecorded: an unrecorded task's number must not be
/// reused, or a worker's late answer to it would meet another task.
pub const TASK_NO_GAP: u64 = 1 << 20;

const _: () = assert!(
    QUEUE_ENTRIES_MAX / QUEUE_SHARE_GIVING_WAY >= 2 * GROUP_ENTRIES_ENOUGH,
    "nobody gives way to a writer that is only gathering"
);

const _: () = assert!(TASK_NO_GAP as usize > QUEUE_ENTRIES_MAX + TASKS_MAX);

/// Largest credit that is recorded at once: a million dollars. With [`MONEY_MAX`] it bounds the damage of a wrong
/// setting or command.
pub const CREDIT_MAX: Nanos = Nanos(1_000_000 * Nanos::DOLLAR.0);

/// Largest sum that the bank may give out. Every balance, and every sum of balances, is between its negative and
/// itself, so no sum in the books can overflow.
pub const MONEY_MAX: Nanos = Nanos(4_000_000_000 * Nanos::DOLLAR.0);

const _: () = assert!(MONEY_MAX.0 < i64::MAX / 2 && CREDIT_MAX.0 < MONEY_MAX.0);

/// Largest task number: the books number transfers and attempts inside it.
pub const TASK_NO_MAX: u64 = 1 << 52;

/// The clock of a ledger: wall-clock and running time, which tests replace.
///
/// A ledger's time never steps. It runs from boot to boot of the machine, also while the ledger is closed, and
/// continues after a reboot from where it stood. So a wrong or corrected wall clock can neither release pay early,
/// delay it, nor fold recent rows; how long a machine was off cannot be known from a clock that may be wrong. The wall
/// clock only sets the start time of a new ledger.
#[derive(Clone)]
pub struct LedgerClock {
    wall: Arc<dyn Fn() -> Duration + Send + Sync>,
    running: Arc<dyn Fn() -> Duration + Send + Sync>,
    boot: Option<i64>,
}

impl LedgerClock {
    /// A clock that reads `wall`, the time since 1970, and `running`, the time since some fixed moment, which never goes
    /// back. `boot` names that moment, if later programs can count from it too.
    pub fn new(
        wall: impl Fn() -> Duration + Send + Sync + 'static,
        running: impl Fn() -> Duration + Send + Sync + 'static,
        boot: Option<i64>,
    ) -> Self {
        Self { wall: Arc::new(wall), running: Arc::new(running), boot }
    }

    /// Milliseconds since 1970.
    pub(super) fn wall_ms(&self) -> i64 {
        i64::try_from((self.wall)().as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
    }

    /// Milliseconds since the moment that [`boot`](Self::boot) names.
    pub(super) fn running_ms(&self) -> i64 {
        i64::try_from((self.running)().as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
    }

    /// The boot from which running time counts; `None` if it counts from a moment within this process.
    pub(super) fn boot(&self) -> Option<i64> {
        self.boot
    }
}

impl Default for LedgerClock {
    fn default() -> Self {
        let wall = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        #[cfg(target_os = "linux")]
        if let Some(boot) = this_boot() {
            return Self::new(wall, since_boot, Some(boot));
        }
        let began = Instant::now();
        Self::new(wall, move || began.elapsed(), None)
    }
}

/// Identifies the current boot, if the system tells.
#[cfg(target_os = "linux")]
fn this_boot() -> Option<i64> {
    let name = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    blake3::hash(name.trim_ascii()).as_bytes().first_chunk().copied().map(i64::from_le_bytes)
}

/// Time since the machine was started, sleep included.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

impl fmt::Debug for LedgerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerClock({} ms, running {} ms)", self.wall_ms(), self.running_ms())
    }
}

/// Called on the ledger's thread when recording fails, to wake a sleeping app.
#[derive(Clone)]
pub struct OnFailure(Arc<dyn Fn() + Send + Sync>);

impl OnFailure {
    /// Calls `this`.
    pub fn new(this: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(this))
    }

    /// To be called when recording has failed and the ledger's state says so.
    pub(super) fn tell(&self) {
        (self.0)();
    }
}

impl Default for OnFailure {
    fn default() -> Self {
        Self::new(|| ())
    }
}

impl fmt::Debug for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFailure")
    }
}

/// Identifies a ledger: a number that is drawn when a ledger is made and that its copies share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerId(pub i64);

/// How a ledger is opened.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// The ledger that it has to be: no other is opened, and none is made in its place. `None` opens any.
    pub id: Option<LedgerId>,
    /// How long entries are gathered before they are written together; at most [`GROUP_COMMIT_MAX`].
    pub group_commit: Duration,
    /// How long a worker's pay stays pending.
    pub fraud_window: Duration,
    /// How long outcomes are kept.
    pub outcomes_kept: Duration,
    /// Bytes of outcomes kept on disk; the oldest go first.
    pub outcome_bytes_max: u64,
    /// Tasks recorded one by one. From half of them on, the oldest are folded before their time, with their outcomes,
    /// except where their pay is pending.
    pub tasks_max: u64,
    /// The most tasks of one account while there are more than three quarters of `tasks_max`; also at most a 16th of what
    /// other accounts leave.
    pub tasks_per_account_max: u64,
    /// Outcomes read for the cache at open.
    pub cache_entries_max: usize,
    /// Bytes of outcomes read for the cache at open.
    pub cache_bytes_max: usize,
    /// Entries in the queue beyond which no task is admitted.
    pub queue_entries_max: usize,
    /// Called when recording fails.
    pub on_failure: OnFailure,
    /// Where the ledger's time comes from.
    pub clock: LedgerClock,
    /// Accounts kept in memory; beyond it those idle longest are evicted, and read again when they are needed.
    pub accounts_max: usize,
    /// Most pages of the file; `None` for no limit but the disk's. With it, tests fill a small "disk".
    pub pages_max: Option<u32>,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            id: None,
            group_commit: GROUP_COMMIT_MAX,
            fraud_window: Duration::from_hours(1),
            outcomes_kept: Duration::from_hours(24),
            outcome_bytes_max: 2 * 1024 * 1024 * 1024,
            tasks_max: 64_000_000,
            tasks_per_account_max: 1_000_000,
            cache_entries_max: 65_536,
            cache_bytes_max: 64 * 1024 * 1024,
            queue_entries_max: QUEUE_ENTRIES_MAX,
            on_failure: OnFailure::default(),
            clock: LedgerClock::default(),
            accounts_max: 4_096,
            pages_max: None,
        }
    }
}

impl LedgerOptions {
    /// Whether there are so many `tasks` recorded one by one that the oldest are folded early.
    pub(super) fn folds_early(&self, tasks: u64) -> bool {
        tasks > self.tasks_max * FOLDED_EARLY_PERCENT / 100
    }

    /// How many tasks recorded one by one, of `tasks` in all, an account may have and still be let in with another one.
    pub(super) fn tasks_per_account(&self, tasks: u64) -> u64 {
        if tasks <= self.tasks_max * BOUNDED_PERCENT / 100 {
            return u64::MAX;
        }
        // An account with a 15th of what is left has a 16th of what the others leave.
        let left = self.tasks_max.saturating_sub(tasks);
        self.tasks_per_account_max.min(left / (ACCOUNT_TASKS_SHARE - 1))
    }
}
