//! Notifies the service manager, if there is one, that the coordinator is alive. Without one an idle coordinator stays
//! asleep.

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
        app.insert_resource(Watchdog(watchdog)).add_systems(Update, say_alive.after(CoordinatorSystems));
    }
}

/// Sends the notification, with the number of peers. The app's own update sends it: a separate thread would do so even
/// if the app hangs.
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
