//! Notifies the service manager, if there is one, that the worker is alive. Without one an idle worker stays asleep.

use bevy_app::{App, Update};
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs as _;
use bevy_ecs::system::{Res, ResMut};
use bevy_time::{Real, Time};
use p2c2r_link::{ClientLink, LinkProblem, NextWake};
use p2c2r_program::service;

use crate::app::WorkerSystems;
use crate::attempts::Attempts;
use crate::availability::{Availability, Rest};
use crate::console::Console;

#[derive(Resource)]
struct Watchdog {
    watchdog: service::Watchdog,
    /// What was said of the worker last: whether it was connected, if not why, and why it rested.
    said: Option<(bool, Option<LinkProblem>, Option<Rest>)>,
}

/// Adds the system that notifies it, if there is one.
pub fn add_to(app: &mut App) {
    if let Some(watchdog) = service::Watchdog::of_service_manager() {
        app.insert_resource(Watchdog { watchdog, said: None })
            .add_systems(Update, say_alive.after(WorkerSystems));
    }
}

/// Sends the notification, with the worker's state. The app's own update sends it: a separate thread would do so even
/// if the app hangs.
fn say_alive(
    mut watchdog: ResMut<'_, Watchdog>,
    (link, availability, attempts): (Res<'_, ClientLink>, Res<'_, Availability>, Res<'_, Attempts>),
    console: Res<'_, Console>,
    mut next_wake: ResMut<'_, NextWake>,
    time: Res<'_, Time<Real>>,
) {
    let (is_due, next) = watchdog.watchdog.due(time.elapsed());
    let is_said = watchdog.said.as_ref().is_some_and(|(connected, problem, rest)| {
        (*connected, problem.as_ref(), *rest) == (link.is_connected(), link.problem(), availability.rest())
    });
    // A changed state is sent at once, so that the service's status is not outdated until the next notification.
    if is_due || !is_said {
        watchdog.said = Some((link.is_connected(), link.problem().cloned(), availability.rest()));
        let coordinator = console.coordinator();
        service::say_alive(&match availability.rest() {
            Some(why) => format!("resting: {why}"),
            None if link.is_connected() => {
                format!("working for {coordinator}, {} task(s) under way", attempts.held())
            }
            None => match link.problem() {
                Some(problem) => format!("not connected to {coordinator}: {}", problem.brief()),
                None => format!("connecting to {coordinator}"),
            },
        });
    }
    next_wake.within(next);
}
