//! Says to the service manager that the coordinator is alive, where one asks for it. An idle coordinator without one goes
//! on sleeping.

use bevy_app::{App, Update};
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs as _;
use bevy_ecs::system::{Res, ResMut};
use bevy_time::{Real, Time};
use p2c2r_link::NextWake;
use p2c2r_program::service;

use crate::app::CoordinatorSystems;
use crate::peers::Scheduler;

#[derive(Resource)]
struct Watchdog(service::Watchdog);

/// Adds the system that says so.
pub fn add_to(app: &mut App) {
    if let Some(watchdog) = service::Watchdog::of_service_manager() {
        app.insert_resource(Watchdog(watchdog))
            .add_systems(Update, say_alive.after(CoordinatorSystems::Housekeeping));
    }
}

/// Says so, with who is connected. It is the app's own update that says it: a thread of its own would do so when the app
/// hangs too.
fn say_alive(
    mut watchdog: ResMut<'_, Watchdog>,
    scheduler: Res<'_, Scheduler>,
    mut next_wake: ResMut<'_, NextWake>,
    time: Res<'_, Time<Real>>,
) {
    let (is_due, next) = watchdog.0.due(time.elapsed());
    if is_due {
        let core = scheduler.core();
        service::say_alive(&format!("{} workers, {} gamers", core.workers().len(), core.gamers().len()));
    }
    next_wake.within(next);
}
