//! Room on the device for a few tasks at once, made when first needed and kept.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wgpu::{BindGroup, Buffer};

use crate::gpu::GpuError;

/// Tasks on the device at once: one is computed while others are uploaded and read back. Each takes some 4 MB.
pub(super) const LANES_MAX: usize = 4;

/// Longest wait for a lane; after it the task is computed on the cores.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Buffers of one task, for the largest there is.
pub(super) struct TaskBuffers {
    pub setting: Buffer,
    pub primitives: Buffer,
    pub nodes: Buffer,
    pub materials: Buffer,
    pub lights: Buffer,
    /// Places of a field's probes.
    pub places: Buffer,
    /// The answers that the shader writes.
    pub texels: Buffer,
    /// A copy of the answers that the host can read.
    pub back: Buffer,
    pub group: BindGroup,
}

/// The lanes of one device.
#[derive(Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    free: Vec<TaskBuffers>,
    taken: usize,
    /// Tickets of the waiting threads, first come first served.
    waiting: VecDeque<u64>,
    next: u64,
}

/// One of the slots for tasks, given back when dropped.
struct Place<'a>(&'a Lanes);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.locked().taken -= 1;
        // Wakes all, because only the first in the queue may go on.
        self.0.freed.notify_all();
    }
}

impl Lanes {
    /// Does one task's work on a lane, a free one or one made by `make`. A lane on which an error occurred is
    /// dropped.
    pub fn with<T>(
        &self,
        make: impl FnOnce() -> Result<TaskBuffers, GpuError>,
        work: impl FnOnce(&TaskBuffers) -> Result<T, GpuError>,
    ) -> Result<T, GpuError> {
        let (_place, free) = self.enter()?;
        let lane = match free {
            Some(lane) => lane,
            None => make()?,
        };
        let done = work(&lane)?;
        self.locked().free.push(lane);
        Ok(done)
    }

    fn enter(&self) -> Result<(Place<'_>, Option<TaskBuffers>), GpuError> {
        let mut state = self.locked();
        let mine = state.next;
        state.next += 1;
        state.waiting.push_back(mine);
        let behind = |state: &mut State| state.taken >= LANES_MAX || state.waiting.front() != Some(&mine);
        let waited = self.freed.wait_timeout_while(state, WAIT_MAX, behind);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.retain(|waiting| *waiting != mine);
        if !waited.timed_out() {
            state.taken += 1;
        }
        // The thread that is now first may find another slot free already.
        self.freed.notify_all();
        if waited.timed_out() {
            return Err(GpuError::Busy);
        }
        let free = state.free.pop();
        drop(state);
        Ok((Place(self), free))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
