//! Removes from Bevy's update what a program without a window or fixed steps does not need.

use bevy_app::{
    App, First, Last, MainScheduleOrder, PostStartup, PostUpdate, PreStartup, PreUpdate, RunFixedMainLoop,
    SpawnScene, Startup, Update,
};
use bevy_ecs::message::{MessageRegistry, ShouldUpdateMessages};
use bevy_ecs::schedule::{InternedScheduleLabel, ScheduleLabel, SingleThreadedExecutor};

/// Removes useless work between receiving and sending: threads for systems that take microseconds each, and
/// fixed steps, of which one update after a pause would run up to sixteen. Messages then live for two
/// updates, not for two fixed steps; under [`EventDrivenPlugin`](crate::EventDrivenPlugin) for up to 32.
///
/// Call it after all plugins are added: Bevy's `TimePlugin` ties messages to fixed steps.
pub fn headless(app: &mut App) {
    on_one_thread(app);
    let left_out = [RunFixedMainLoop.intern(), SpawnScene.intern()];
    let world = app.world_mut();
    world.resource_mut::<MainScheduleOrder>().labels.retain(|label| !left_out.contains(label));
    // Otherwise messages wait for the end of a fixed step, which never comes.
    world.get_resource_or_init::<MessageRegistry>().should_update = ShouldUpdateMessages::Always;
}

/// Runs all systems of an update on the thread that asks for it, also where another crate in the same build has enabled Bevy's
/// threads for all of them. Handing a system of a few microseconds to another thread would take longer than running it.
pub fn on_one_thread(app: &mut App) {
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
        app.edit_schedule(label, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
        });
    }
}
