//! Says to the service manager that the worker is alive, where one asks for it. An idle worker without one goes on
//! sleeping.

use bevy_app::{App, Update};
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs as _;
use bevy_ecs::system::{Res, ResMut};
use bevy_time::{Real, Time};
use p2c2r_link::{ClientLink, NextWake};
use p2c2r_program::service;

use crate::app::WorkerSystems;
use crate::attempts::Attempts;
use crate::availability::{Availability, Rest};
use crate::console::Console;

#[derive(Resource)]
struct Watchdog {
    watchdog: service::Watchdog,
    /// What was said of the worker last: whether it was connected, and why it rested.
    said: Option<(bool, Option<Rest>)>,
}

/// Adds the system that says so.
pub fn add_to(app: &mut App) {
    if let Some(watchdog) = service::Watchdog::of_service_manager() {
        app.insert_resource(Watchdog { watchdog, said: None })
            .add_systems(Update, say_alive.after(WorkerSystems::Show));
    }
}

/// Says so, with what the worker does. It is the app's own update that says it: a thread of its own would do so when the
/// app hangs too.
fn say_alive(
    mut watchdog: ResMut<'_, Watchdog>,
    (link, availability, attempts): (Res<'_, ClientLink>, Res<'_, Availability>, Res<'_, Attempts>),
    console: Res<'_, Console>,
    mut next_wake: ResMut<'_, NextWake>,
    time: Res<'_, Time<Real>>,
) {
    let (is_due, next) = watchdog.watchdog.due(time.elapsed());
    let state = Some((link.is_connected(), availability.rest()));
    // Whoever looks at the service is not to read for half a minute what holds no more.
    if is_due || watchdog.said != state {
        watchdog.said = state;
        let coordinator = console.coordinator();
        service::say_alive(&match availability.rest() {
            Some(why) => format!("resting: {why}"),
            None if link.is_connected() => {
                format!("working for {coordinator}, {} task(s) under way", attempts.held())
            }
            None => format!("not connected to {coordinator}, tries go on"),
        });
    }
    next_wake.within(next);
}
