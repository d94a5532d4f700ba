//! What a program without a window or fixed steps leaves out of Bevy's update.

use bevy_app::{
    App, First, Last, MainScheduleOrder, PostStartup, PostUpdate, PreStartup, PreUpdate, RunFixedMainLoop,
    SpawnScene, Startup, Update,
};
use bevy_ecs::message::{MessageRegistry, ShouldUpdateMessages};
use bevy_ecs::schedule::{InternedScheduleLabel, ScheduleLabel, SingleThreadedExecutor};

/// Takes out of an app what stands between receiving and sending without doing anything for it: threads for
/// systems that take microseconds each, and fixed steps, of which one update after a pause would run up to
/// sixteen. Messages then live for two updates, not for two fixed steps; under
/// [`EventDrivenPlugin`](crate::EventDrivenPlugin) for up to 32.
///
/// Call it when all plugins are in: Bevy's `TimePlugin` ties messages to fixed steps.
pub fn headless(app: &mut App) {
    let labels: [InternedScheduleLabel; 8] = [
        PreStartup.intern(),
        Startup.intern(),
        PostStartup.intern(),
        First.intern(),
        PreUpdate.intern(),
        Update.intern(),
        PostUpdate.intern(),
        Last.intern(),
    ];
    for label in labels {
        // Another crate in the same build may have switched Bevy's threads on for all of them.
        app.edit_schedule(label, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
        });
    }
    let left_out = [RunFixedMainLoop.intern(), SpawnScene.intern()];
    let world = app.world_mut();
    world.resource_mut::<MainScheduleOrder>().labels.retain(|label| !left_out.contains(label));
    // Otherwise messages wait for the end of a fixed step, which never comes.
    world.get_resource_or_init::<MessageRegistry>().should_update = ShouldUpdateMessages::Always;
}
