//! A kernel that gets only a part of a device's time, where kernels run in the worker's own process.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_protocol::Device;
use p2c2r_tasks::{Blobs, Kernel, KernelError, Stop, TaskKind};

use crate::share::Share;

/// Interval at which a run that waits for the device checks whether it was cancelled.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A kernel that runs one task at a time and rests in between. With a share of 100 % it does neither.
pub struct Rationed<T> {
    kernel: T,
    share: Share,
    /// When the device has rested enough.
    free_at: Mutex<Instant>,
}

impl<T> Rationed<T> {
    /// This kernel with this part of its device's time.
    pub fn new(kernel: T, share: Share) -> Self {
        Self { kernel, share, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until the device may be used.
    fn turn(&self, stop: &Stop) -> Result<MutexGuard<'_, Instant>, KernelError> {
        while !stop.is_stopped() {
            let free_at = match self.free_at.try_lock() {
                Ok(free_at) => free_at,
                // Ignores poisoning: a kernel that panicked leaves a time that is valid.
                Err(TryLockError::Poisoned(broken)) => PoisonError::into_inner(broken),
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(LOOK_AGAIN);
                    continue;
                }
            };
            let rest = free_at.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(free_at);
            }
            drop(free_at);
            thread::sleep(rest.min(LOOK_AGAIN));
        }
        Err(KernelError::Stopped)
    }
}

impl<K: TaskKind, T: Kernel<K>> Kernel<K> for Rationed<T> {
    fn is_ready(&self) -> bool {
        self.kernel.is_ready()
    }

    fn device(&self) -> Device {
        self.kernel.device()
    }

    fn run(&self, spec: &K::Spec, blobs: &Blobs, stop: &Stop) -> Result<K::Outcome, KernelError> {
        if !self.share.is_limited() {
            return self.kernel.run(spec, blobs, stop);
        }
        let mut free_at = self.turn(stop)?;
        let began = Instant::now();
        let outcome = self.kernel.run(spec, blobs, stop);
        let now = Instant::now();
        *free_at = now + self.share.rest_after(now.saturating_duration_since(began));
        outcome
    }
}
