//! When the worker takes work: not while its owner has paused it, outside the hours it may work, while the computer runs
//! on battery or while somebody uses it.
//!
//! A worker that rests stays connected, says that it takes nothing more, hands back what has not begun and finishes what
//! it runs. When it may work again it announces itself anew.

mod battery;
mod hours;
mod usage;

use std::fmt;
use std::time::Duration;

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use bevy_time::{Real, Time};
use p2c2r_link::{ClientLink, NextWake, ToServer};
use p2c2r_protocol::WorkerToServer;
use tracing::info;

use crate::attempts::{Attempts, Offer};
use crate::drain::Drain;

pub use battery::Power;
pub use hours::Hours;
pub use usage::Usage;

/// Between two looks at the clock, the battery and who uses the computer: this late at most, never early, the worker
/// rests. Each look reads some small files.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When a worker may work, as its owner sets it.
#[derive(Clone, Debug, Default)]
pub struct WorkingTimes {
    /// Starts paused.
    pub paused: bool,
    /// The hours of the day; always if there are none.
    pub hours: Option<Hours>,
    /// Only after nobody has used the computer for so long.
    pub idle_for: Option<Duration>,
    /// On battery too.
    pub on_battery: bool,
}

/// Why a worker takes no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Its owner paused it; until this time of the app if it was for a time.
    Paused(Option<Duration>),
    /// It is outside its hours.
    OutsideHours,
    /// The computer runs on battery.
    OnBattery,
    /// Somebody uses the computer, or did until a moment ago.
    InUse,
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused(None) => "paused by its owner",
            Self::Paused(Some(_)) => "paused by its owner for a time",
            Self::OutsideHours => "outside its hours",
            Self::OnBattery => "the computer runs on battery",
            Self::InUse => "the computer is in use",
        })
    }
}

/// Whether its owner paused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    No,
    UntilResumed,
    /// Until this time of the app.
    Until(Duration),
}

/// Whether the worker takes work, and why not.
#[derive(Resource)]
pub struct Availability {
    times: WorkingTimes,
    /// Whether anything but its owner's word can make it rest.
    has_conditions: bool,
    power: Power,
    usage: Usage,
    pause: Pause,
    rest: Option<Rest>,
    looked_at: Option<Duration>,
}

impl Availability {
    /// What these times make of this computer.
    pub fn new(times: WorkingTimes) -> Self {
        let power = Power::of_this_computer();
        let has_conditions =
            times.hours.is_some() || times.idle_for.is_some() || (!times.on_battery && power.has_battery());
        let pause = if times.paused { Pause::UntilResumed } else { Pause::No };
        let usage = Usage::default();
        Self { times, has_conditions, power, usage, pause, rest: None, looked_at: None }
    }

    /// Why it takes no work, if it takes none.
    pub fn rest(&self) -> Option<Rest> {
        self.rest
    }

    /// Pauses it, until this time of the app if one is given.
    pub fn pause(&mut self, until: Option<Duration>) {
        self.pause = until.map_or(Pause::UntilResumed, Pause::Until);
        self.looked_at = None;
    }

    /// Ends a pause.
    pub fn resume(&mut self) {
        self.pause = Pause::No;
        self.looked_at = None;
    }

    /// Why it must not work now.
    fn look(&mut self, now: Duration) -> Option<Rest> {
        match self.pause {
            Pause::Until(until) if until <= now => self.pause = Pause::No,
            Pause::Until(until) => return Some(Rest::Paused(Some(until))),
            Pause::UntilResumed => return Some(Rest::Paused(None)),
            Pause::No => {}
        }
        if self.times.hours.as_ref().is_some_and(|hours| !hours.contains_now()) {
            return Some(Rest::OutsideHours);
        }
        if !self.times.on_battery && self.power.is_on_battery() {
            return Some(Rest::OnBattery);
        }
        if self.times.idle_for.is_some_and(|long| self.usage.unused_for(now) < long) {
            return Some(Rest::InUse);
        }
        None
    }
}

/// Rests and works as its owner wants.
pub fn rest_or_work(
    mut availability: ResMut<'_, Availability>,
    mut attempts: ResMut<'_, Attempts>,
    mut said: ResMut<'_, Messages<ToServer<WorkerToServer>>>,
    mut next: ResMut<'_, NextWake>,
    (offer, drain, link): (Res<'_, Offer>, Res<'_, Drain>, Res<'_, ClientLink>),
    time: Res<'_, Time<Real>>,
) {
    let now = time.elapsed();
    if availability.has_conditions {
        next.within(LOOK_EVERY);
    }
    let mut is_due = availability.looked_at.is_none_or(|at| now >= at + LOOK_EVERY);
    if let Pause::Until(until) = availability.pause {
        next.within(until.saturating_sub(now));
        is_due |= until <= now;
    }
    if !is_due || drain.is_asked() {
        return;
    }
    availability.looked_at = Some(now);
    let rest = availability.look(now);
    let was = std::mem::replace(&mut availability.rest, rest);
    match (was, rest) {
        (None, Some(why)) => {
            let handed_back = attempts.hand_back_queued(&mut said);
            info!(event = "resting", why = %why, handed_back, "⏸  Resting: {why}.");
            if link.is_connected() {
                said.write(ToServer(WorkerToServer::Draining));
            }
        }
        (Some(_), None) => {
            info!(event = "working", "▶  Working again.");
            if link.is_connected() {
                said.write(ToServer(WorkerToServer::Ready(offer.offered.clone())));
            }
        }
        (Some(was), Some(why)) if was != why => {
            info!(event = "resting", why = %why, "⏸  Resting: {why}.");
        }
        _ => {}
    }
}
