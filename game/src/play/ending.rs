//! When the run ends: after `--seconds`, when the player leaves by a menu, on a signal or when the window closes.

use std::time::Duration;

use bevy::app::AppExit;
use bevy::prelude::*;
use p2c2r_offload::OffloadSystems;

/// How long the end may wait for unfinished work, such as a picture from a slow renderer.
const GRACE: Duration = Duration::from_mins(1);

pub(super) fn plugin(app: &mut App) {
    // Before the offload plugin sends, so that it can tell the coordinator in the last frame that the game leaves.
    app.init_resource::<Ending>()
        .init_resource::<RunLength>()
        .add_systems(PostUpdate, end_run.before(OffloadSystems::Dispatch));
}

/// When the run ends.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Ending {
    /// Real time from the first frame to the end, if there is one.
    after: Option<Duration>,
    /// The end waits while this is above zero, but no longer than [`GRACE`].
    pub(crate) waiting_for: usize,
    now: bool,
}

impl Ending {
    /// Ends the run after this much real time, if at all.
    pub(crate) fn after(after: Option<Duration>) -> Self {
        Self { after, ..Self::default() }
    }

    /// Ends the run in this frame.
    pub(crate) fn end_now(&mut self) {
        self.now = true;
    }

    /// Real time left, if an end is set.
    pub(crate) fn left(&self, elapsed: Duration) -> Option<Duration> {
        self.after.map(|after| after.saturating_sub(elapsed))
    }
}

/// The length of the run so far.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(crate) struct RunLength {
    /// Real time from the first frame on.
    pub(crate) elapsed: Duration,
    /// Frames.
    pub(crate) frames: u64,
}

fn end_run(
    time: Res<Time<Real>>,
    ending: Res<Ending>,
    mut finished: ResMut<RunLength>,
    mut exits: MessageWriter<AppExit>,
) {
    finished.elapsed = time.elapsed();
    finished.frames += 1;
    let over = ending.after.is_some_and(|after| {
        time.elapsed() >= after && (ending.waiting_for == 0 || time.elapsed() >= after + GRACE)
    });
    if ending.now || over {
        exits.write(AppExit::Success);
    }
}
