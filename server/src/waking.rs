//! A waker that threads can hold before the app's runner exists.
//!
//! The runner brings its own [`Waker`] when its plugin is added, which is after the compute threads have been
//! started; they hold this one, which is bound to the runner's in the first update.

use std::sync::{Arc, OnceLock};

use bevy_ecs::resource::Resource;
use bevy_ecs::system::Res;
use p2c2r_link::Waker;

/// Wakes the app once it runs; before that there is nothing to wake, since the first update comes anyway.
#[derive(Resource, Clone, Default)]
pub struct LateWaker(Arc<OnceLock<Waker>>);

impl LateWaker {
    /// Asks for an update as soon as possible.
    pub fn wake(&self) {
        if let Some(waker) = self.0.get() {
            waker.wake();
        }
    }
}

/// Binds the late waker to the runner's.
pub fn bind_waker(late: Res<'_, LateWaker>, waker: Res<'_, Waker>) {
    // A second start of the same app would have the same runner.
    let _ = late.0.set(waker.clone());
}
