//! The configuration that a worker app is built from, with its ranges.

use std::ops::RangeInclusive;
use std::time::Duration;

use p2c2r_join::machine_name;
use p2c2r_link::runner::BUSY_POLL_DEFAULT;
use p2c2r_link::{BUSY_POLL_MAX, Impairment, RateLimit, Reconnect};
use p2c2r_program::settings::within;
use p2c2r_protocol::limits::{BLOB_STORE_BYTES_MAX, NAME_BYTES_MAX, SLOTS_PER_WORKER_MAX};
use p2c2r_protocol::{Digest, Region, check_name};
use p2c2r_tasks::KindRegistry;

use crate::availability::WorkingTimes;
use crate::earnings::Electricity;
use crate::error::WorkerError;
use crate::gpu;
use crate::kernels::Sandbox;
use crate::share::Share;

/// Attempts that may wait for a slot. The coordinator pipelines up to this many to a distant worker, so a smaller queue
/// would refuse useful work.
pub const QUEUED_MAX_DEFAULT: usize = 1_024;

/// Upper bound of that setting: memory is reserved at start, and a lease ends long before so many attempts are
/// computed.
const QUEUED_MAX: usize = 65_536;
/// Bytes in a kilobit.
const BYTES_PER_KBIT: u32 = 125;
/// Range of the interval between status lines, in milliseconds: at least one, and at most a day, beyond which the line
/// is of no use.
const STATUS_EVERY_MS: RangeInclusive<u128> = 1..=24 * 60 * 60 * 1_000;
/// Longest time that may be set for finishing running attempts at the end: service managers kill programs after some
/// minutes.
const DRAIN_MAX: Duration = Duration::from_hours(1);

/// Tasks of at most this many work units (microseconds of a reference core) are computed on the app's own thread, or in
/// a process for whose answer that thread waits, when nothing waits before them. Handing one to another thread and back
/// costs about as much as the largest of them takes (`docs/PERFORMANCE.md`, "Dispatch"), and computing it delays the
/// link by no more than that.
pub const INLINE_UNITS_MAX: u64 = 50;

/// Where kernels run.
#[derive(Clone, Debug, Default)]
pub enum Execution {
    /// In processes of their own, one per slot and one for tiny tasks, which have no network, files or other programs
    /// within reach.
    Processes(Sandbox),
    /// On threads of this process, one per slot; tiny tasks on the app's thread.
    #[default]
    Threads,
    /// On the app's thread, at most one per slot and update: no thread, no clock, so tests repeat exactly.
    Inline,
}

/// What a worker app is built from.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The public name, 1 to 64 bytes without control characters.
    pub name: String,
    /// Attempts run at the same time, 1 to 256.
    pub slots: u16,
    /// Where its owner says that it is, for gamers and the coordinator's operator.
    pub region: Option<Region>,
    /// Attempts that may wait for a slot, at least 1.
    pub queued_max: usize,
    /// Bytes of blobs kept between tasks.
    pub blob_bytes_max: usize,
    /// Where kernels run.
    pub execution: Execution,
    /// What part of the time each slot may compute.
    pub cpu_share: Share,
    /// The kinds of work offered.
    pub kinds: KindRegistry,
    /// Impairment of the network, for tests and demos.
    pub impair: Option<Impairment>,
    /// Limit on what it sends; `None`: the link's default, which depends on where the coordinator is.
    pub rate_limit: Option<RateLimit>,
    /// When it may work.
    pub times: WorkingTimes,
    /// What computing costs its owner, if reports are to say it.
    pub electricity: Option<Electricity>,
    /// How long the program may look for the next packet before it sleeps; see
    /// [`EventDrivenPlugin`](p2c2r_link::EventDrivenPlugin).
    pub busy_poll: Duration,
    /// When a lost coordinator is tried again.
    pub reconnect: Reconnect,
    /// How often a status line is printed when something changed.
    pub status_every: Duration,
    /// How long a worker that was asked to leave may take to finish what it runs.
    pub drain_limit: Duration,
    /// The coordinator, as the console shows it.
    pub coordinator: String,
    /// What computes, as the console shows it; see [`crate::gpu`].
    pub computes_on: String,
}

impl Default for WorkerConfig {
    /// A worker named after this machine.
    fn default() -> Self {
        Self::named(machine_name())
    }
}

impl WorkerConfig {
    /// A worker of this name with every setting at its default.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            slots: cores(),
            region: None,
            queued_max: QUEUED_MAX_DEFAULT,
            blob_bytes_max: BLOB_STORE_BYTES_MAX,
            execution: Execution::default(),
            cpu_share: Share::ALL,
            kinds: KindRegistry::builtin(),
            impair: None,
            rate_limit: None,
            times: WorkingTimes::default(),
            electricity: None,
            busy_poll: BUSY_POLL_DEFAULT,
            reconnect: Reconnect::default(),
            status_every: Duration::from_secs(10),
            drain_limit: Duration::from_secs(10),
            coordinator: "nowhere yet".into(),
            computes_on: gpu::cpu_only("none was looked for"),
        }
    }

    /// Checks every range. What passes here runs: no setting makes the worker panic or run out of memory.
    pub fn validate(&self) -> Result<(), WorkerError> {
        within("the length of the name in bytes", self.name.len(), 1..=NAME_BYTES_MAX)?;
        check_name(&self.name).map_err(|must| WorkerError::Setting(format!("the name {must}")))?;
        within("slots", self.slots, 1..=SLOTS_PER_WORKER_MAX)?;
        within("attempts that may wait", self.queued_max, 1..=QUEUED_MAX)?;
        within("bytes of blobs", self.blob_bytes_max, 0..=BLOB_STORE_BYTES_MAX)?;
        within("busy-poll-us", self.busy_poll.as_micros(), 0..=BUSY_POLL_MAX.as_micros())?;
        if cfg!(not(target_os = "linux")) {
            let times = &self.times;
            let of_linux = [
                ("idle-minutes", times.idle_for.is_some()),
                ("slots-in-use", times.slots_in_use > 0),
                ("celsius-max", times.celsius_max.is_some()),
            ];
            // A setting that has no effect on this system is refused.
            if let Some((name, _)) = of_linux.iter().find(|(_, is_set)| *is_set) {
                let why = "other systems are not asked how the computer is used and how hot it is";
                return Err(WorkerError::Setting(format!("`{name}` needs Linux: {why}")));
            }
        }
        within("slots-in-use", self.times.slots_in_use, 0..=self.slots)?;
        within("milliseconds between status lines", self.status_every.as_millis(), STATUS_EVERY_MS)?;
        within("seconds to finish what runs", self.drain_limit.as_secs(), 0..=DRAIN_MAX.as_secs())?;
        Ok(())
    }

    /// Attempts held at the same time, running ones included.
    pub fn held_max(&self) -> usize {
        usize::from(self.slots) + self.queued_max
    }
}

/// Cores this program may use, as a number of slots.
pub fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores).unwrap_or(SLOTS_PER_WORKER_MAX).clamp(1, SLOTS_PER_WORKER_MAX)
}

/// An impairment with a seed of the worker's own: two workers under the same preset must not lose the same packets.
pub fn impaired(impairment: Impairment, name: &str) -> Impairment {
    let mut seed = [0; 8];
    seed.copy_from_slice(&Digest::of(name.as_bytes()).0[..8]);
    Impairment { seed: impairment.seed ^ u64::from_le_bytes(seed), ..impairment }
}

/// A limit of so many kilobits a second, with the default's burst.
pub fn upload(kbit: u32) -> RateLimit {
    RateLimit { bytes_per_second: kbit.saturating_mul(BYTES_PER_KBIT), ..RateLimit::internet() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut WorkerConfig)) -> bool {
        let mut config = WorkerConfig::named("w");
        change(&mut config);
        config.validate().is_err()
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(!refused(|_| ()));
        assert!(refused(|config| config.name.clear()));
        assert!(refused(|config| config.name = "x".repeat(65)));
        assert!(refused(|config| config.name = "a\u{1b}[31m".into()));
        assert!(refused(|config| config.slots = 0));
        assert!(refused(|config| config.slots = 257));
        assert!(refused(|config| config.queued_max = 0));
        assert!(refused(|config| config.busy_poll = Duration::from_millis(20)));
    }
}
