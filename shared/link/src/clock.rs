//! The clock every time stamp of the link is taken from.

use bevy_ecs::resource::Resource;
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
}
