//! The clock every time stamp of the link is taken from.

use std::time::{Duration, Instant};

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

/// The time of an update, and the clock right now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UpdateTime {
    /// `Time<Real>::elapsed()` of the update.
    pub(crate) now: Duration,
    /// Time since the update before.
    pub(crate) delta: Duration,
    /// When the update began; `None` on manual time.
    began: Option<Instant>,
}

impl UpdateTime {
    pub(crate) fn new(time: &Time<Real>, strategy: &TimeUpdateStrategy) -> Self {
        let is_automatic = matches!(strategy, TimeUpdateStrategy::Automatic);
        let began = time.last_update().filter(|_| is_automatic);
        Self { now: time.elapsed(), delta: time.delta(), began }
    }

    /// The time `now` for an update in which no time passes.
    pub(crate) fn at(now: Duration) -> Self {
        Self { now, ..Self::default() }
    }

    /// The clock right now, for heartbeats: they leave at the end of an update, and the update's duration must
    /// not count as network time. On manual time it is the update's time.
    pub(crate) fn this_moment(self) -> Duration {
        self.now + self.began.map(|began| began.elapsed()).unwrap_or_default()
    }
}
