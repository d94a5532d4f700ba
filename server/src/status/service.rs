//! What a service manager is told: that the coordinator is ready, that it is alive, and that it ends.
//!
//! The protocol is systemd's `sd_notify`. Without a service manager that asks for it nothing is sent, and an idle
//! coordinator goes on sleeping.

use bevy_app::App;

/// Adds the system that says that the coordinator is alive, where a service manager asks for it.
#[cfg(target_os = "linux")]
pub fn add_to(app: &mut App) {
    use bevy_app::Update;
    use bevy_ecs::schedule::IntoScheduleConfigs as _;

    if let Some(within) = sd_notify::watchdog_enabled() {
        app.insert_resource(watchdog::Watchdog::new(within))
            .add_systems(Update, watchdog::say_alive.after(crate::app::CoordinatorSystems::Housekeeping));
    }
}

/// Says that the coordinator listens, and where.
#[cfg(target_os = "linux")]
pub fn say_ready(address: std::net::SocketAddr) {
    let status = format!("listening on {address}");
    say(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&status)]);
}

/// Says that the coordinator ends.
#[cfg(target_os = "linux")]
pub fn say_stopping() {
    say(&[sd_notify::NotifyState::Stopping]);
}

#[cfg(target_os = "linux")]
fn say(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(target_os = "linux")]
mod watchdog {
    use std::time::Duration;

    use bevy_ecs::resource::Resource;
    use bevy_ecs::system::{Res, ResMut};
    use p2c2r_link::{LinkClock, NextWake};
    use p2c2r_protocol::Micros;

    use crate::peers::Scheduler;

    /// When to say the next time that the coordinator is alive.
    #[derive(Resource)]
    pub struct Watchdog {
        /// Half of what the service manager waits, as its documentation advises.
        every: Duration,
        at: Micros,
    }

    impl Watchdog {
        pub fn new(within: Duration) -> Self {
            Self { every: within / 2, at: Micros(0) }
        }
    }

    /// Says so, with who is connected. It is the app's own update that says it: a thread of its own would do so when the app
    /// hangs too.
    pub fn say_alive(
        mut watchdog: ResMut<'_, Watchdog>,
        scheduler: Res<'_, Scheduler>,
        clock: Res<'_, LinkClock>,
        mut next_wake: ResMut<'_, NextWake>,
    ) {
        let now = clock.now();
        if now >= watchdog.at {
            watchdog.at = Micros(now.0.saturating_add(Micros::from(watchdog.every).0));
            let core = scheduler.core();
            let status = format!("{} workers, {} gamers", core.workers().len(), core.gamers().len());
            super::say(&[sd_notify::NotifyState::Watchdog, sd_notify::NotifyState::Status(&status)]);
        }
        next_wake.within(Duration::from_micros(watchdog.at.0 - now.0));
    }
}

/// There is no such service manager here.
#[cfg(not(target_os = "linux"))]
pub fn add_to(_: &mut App) {}

/// There is no such service manager here.
#[cfg(not(target_os = "linux"))]
pub fn say_ready(_: std::net::SocketAddr) {}

/// There is no such service manager here.
#[cfg(not(target_os = "linux"))]
pub fn say_stopping() {}
