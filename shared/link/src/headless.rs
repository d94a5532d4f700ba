//! Removes from Bevy's update what a program without a window or fixed steps does not need, and from any program's the
//! threads for systems.

use bevy_app::{App, First, MainScheduleOrder, PreUpdate, RunFixedMainLoop, SpawnScene};
use bevy_ecs::message::{MessageRegistry, ShouldUpdateMessages};
use bevy_ecs::schedule::{
    IntoScheduleConfigs, IntoSystemSet, ScheduleCleanupPolicy, ScheduleLabel, Schedules,
    SingleThreadedExecutor,
};
use bevy_time::{Real, Time, TimeSystems, check_delayed_command_queues};

use crate::runner::{start_headless_update, start_update};

/// Removes useless work between receiving and sending: threads for systems that take microseconds each, and
/// fixed steps, of which one update after a pause would run up to sixteen. Messages then live for two
/// updates, not for two fixed steps; under [`EventDrivenPlugin`](crate::EventDrivenPlugin) for up to 32.
/// Of Bevy's clocks only `Time<Real>` advances. Delayed commands are never carried out, because they wait by `Time`.
///
/// Call it after all plugins are added: Bevy's `TimePlugin` ties messages to fixed steps.
pub fn headless(app: &mut App) {
    on_one_thread(app);
    let left_out = [RunFixedMainLoop.intern(), SpawnScene.intern()];
    let world = app.world_mut();
    world.resource_mut::<MainScheduleOrder>().labels.retain(|label| !left_out.contains(label));
    // Otherwise messages wait for the end of a fixed step, which never comes.
    world.get_resource_or_init::<MessageRegistry>().should_update = ShouldUpdateMessages::Always;
    if world.contains_resource::<Time<Real>>() {
        remove(app, First, TimeSystems);
        remove(app, First, start_update);
        remove(app, PreUpdate, check_delayed_command_queues);
        app.add_systems(First, start_headless_update.in_set(TimeSystems));
    }
}

/// Removes the systems of a set, if there are any.
fn remove<M>(app: &mut App, schedule: impl ScheduleLabel, set: impl IntoSystemSet<M>) {
    let policy = ScheduleCleanupPolicy::RemoveSystemsOnly;
    // An error means that there are none.
    let _ = app
        .world_mut()
        .schedule_scope(schedule, |world, schedule| schedule.remove_systems_in_set(set, world, policy));
}

/// Runs all systems of the app's schedules on the thread that asks for an update. Handing a system of a few microseconds to
/// another thread takes longer than running it ("A frame on one thread" in `docs/PERFORMANCE.md`). Parallel queries of the
/// engine still use its threads.
///
/// Call it after all plugins are added: a schedule that is made later keeps the engine's executor.
pub fn on_one_thread(app: &mut App) {
    for (_, schedule) in app.world_mut().resource_mut::<Schedules>().iter_mut() {
        schedule.set_executor(SingleThreadedExecutor::new());
    }
}
