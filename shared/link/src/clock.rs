//! The clock every time stamp of the link is taken from.

use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_time::{Real, Time, TimeUpdateStrategy};
use p2c2r_protocol::Micros;

/// This program's clock, as the link stamps messages with it: `Time<Real>::elapsed()` of this update.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct LinkClock {
    now: Micros,
}

impl LinkClock {
    /// Microseconds since this program's first update, as of the start of this update.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Sets it to this update's time.
    pub(crate) fn set(&mut self, now: Micros) {
        self.now = now;
    }
}

/// The clock right now, for heartbeats: they leave at the end of an update, and the update's duration must
/// not count as network time. On manual time it is the update's time.
pub(crate) fn this_moment(time: &Time<Real>, strategy: Option<&TimeUpdateStrategy>) -> Duration {
    match (strategy, time.last_update()) {
        (None | Some(TimeUpdateStrategy::Automatic), Some(updated)) => time.elapsed() + updated.elapsed(),
        _ => time.elapsed(),
    }
}
