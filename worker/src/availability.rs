//! When the worker takes work: not while its owner has paused it, outside the hours it may work, while the computer runs
//! on battery, is too hot or is used by somebody; and on how many slots.
//!
//! A resting worker stays connected, announces that it takes nothing more, hands back queued attempts and finishes
//! running ones. Afterwards it announces itself again.

mod battery;
mod heat;
mod hours;
mod kept_pause;
mod usage;

use std::fmt;
use std::time::{Duration, SystemTime};

use bevy_ecs::resource::Resource;
use p2c2r_link::ToServer;
use p2c2r_protocol::WorkerToServer;
use tracing::{info, warn};

use crate::update::WorkerParts;

pub use battery::Power;
pub use heat::{Allows, Heat};
pub use hours::Hours;
pub use kept_pause::{FoundPause, KeptPause};
pub use usage::Usage;

/// Polling interval for the clock, the battery and the computer's use: the worker rests at most this late, never early.
/// Each poll reads some small files.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Idle time after which a computer counts as unused, for a worker that gets fewer slots while the computer is used.
pub const IDLE_DEFAULT: Duration = Duration::from_mins(3);

/// When a worker may work, as its owner sets it.
#[derive(Clone, Debug, Default)]
pub struct WorkingTimes {
    /// Whether it starts paused.
    pub paused: bool,
    /// Hours of the day in which it works; `None`: always.
    pub hours: Option<Hours>,
    /// Works only once nobody has used the computer for this long.
    pub idle_for: Option<Duration>,
    /// Slots that compute while somebody uses the computer; 0: the worker rests then. Without
    /// [`WorkingTimes::idle_for`] the computer counts as unused after [`IDLE_DEFAULT`].
    pub slots_in_use: u16,
    /// Degrees Celsius from which it rests; slightly below, only half of the slots compute.
    pub celsius_max: Option<u8>,
    /// Whether it works on battery too.
    pub on_battery: bool,
}

/// Why a worker takes no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Its owner paused it, until this time on the app's clock or, without one, until `resume`.
    Paused(Option<Duration>),
    /// It is outside its hours.
    OutsideHours,
    /// The computer runs on battery.
    OnBattery,
    /// Somebody uses the computer, or did until a moment ago.
    InUse,
    /// Too hot, or not cooled down enough since; the temperature now, in degrees Celsius.
    Hot(i32),
}

impl Rest {
    /// Whether this reason differs from `than`, so that the owner is told. Another temperature is no other reason.
    fn is_another(self, than: Self) -> bool {
        !matches!((self, than), (Self::Hot(_), Self::Hot(_))) && self != than
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused(None) => "paused by its owner",
            Self::Paused(Some(_)) => "paused by its owner for a time",
            Self::OutsideHours => "outside its hours",
            Self::OnBattery => "the computer runs on battery",
            Self::InUse => "the computer is in use",
            Self::Hot(degrees) => return write!(f, "the computer cools down from {degrees} degrees"),
        })
    }
}

impl Rest {
    /// The reason in words, at `now` on the app's clock; for a timed pause with the time left.
    pub fn said(self, now: Duration) -> String {
        let Self::Paused(Some(until)) = self else { return self.to_string() };
        let seconds = until.saturating_sub(now).as_secs_f64().ceil() as u64;
        // Whole minutes while more than one is left: seconds would be noise.
        let rounded = if seconds > 60 { seconds.div_ceil(60) * 60 } else { seconds };
        format!("paused by its owner for {} more", humantime::format_duration(Duration::from_secs(rounded)))
    }
}

/// Whether its owner paused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    No,
    UntilResumed,
    /// Until this time on the app's clock.
    Until(Duration),
}

/// How many slots may compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slots {
    /// The limit while somebody uses the computer.
    most: Option<u16>,
    /// Whether only half of them may compute, because the computer is warm.
    are_halved: bool,
}

impl Slots {
    fn of(self, all: u16) -> u16 {
        let most = self.most.map_or(all, |most| most.min(all));
        if self.are_halved { most.div_ceil(2) } else { most }
    }
}

/// Whether the worker takes work, and why not.
#[derive(Resource)]
pub struct Availability {
    times: WorkingTimes,
    /// Whether anything besides a pause can make it rest; only then does it poll.
    has_conditions: bool,
    power: Power,
    usage: Usage,
    heat: Heat,
    pause: Pause,
    /// The file that keeps a pause over restarts.
    kept: Option<KeptPause>,
    rest: Option<Rest>,
    slots: Slots,
    looked_at: Option<Duration>,
}

impl Availability {
    /// Watches this computer for these settings.
    pub fn new(times: WorkingTimes) -> Self {
        let power = Power::of_this_computer();
        let has_conditions = times.hours.is_some()
            || times.idle_for.is_some()
            || times.slots_in_use > 0
            || times.celsius_max.is_some()
            || (!times.on_battery && power.has_battery());
        let pause = if times.paused { Pause::UntilResumed } else { Pause::No };
        let (usage, heat) = (Usage::of_this_computer(), Heat::of_this_computer(times.celsius_max));
        if heat.is_limited() && heat.degrees().is_none() {
            warn!("Nothing tells how hot this computer is: `celsius-max` has no effect.");
        }
        let slots = Slots::default();
        let (kept, rest, looked_at) = (None, None, None);
        Self { times, has_conditions, power, usage, heat, pause, kept, rest, slots, looked_at }
    }

    /// Why it takes no work, if it takes none.
    pub fn rest(&self) -> Option<Rest> {
        self.rest
    }

    /// How many of its slots may compute now.
    pub fn slots_of(&self, all: u16) -> u16 {
        self.slots.of(all)
    }

    /// Keeps pauses in this file from now on, and continues one that it has. `now` is on the app's clock.
    pub fn keep_pause(&mut self, kept: KeptPause, now: Duration) {
        match kept.find(SystemTime::now()) {
            Some(FoundPause::UntilResumed) => self.pause = Pause::UntilResumed,
            // A worker that starts paused must not begin to work when an earlier pause is over.
            Some(FoundPause::For(left)) if self.pause == Pause::No => self.pause = Pause::Until(now + left),
            Some(FoundPause::For(_)) | None => {}
        }
        self.kept = Some(kept);
    }

    /// Pauses the worker for `time_off` from `now` on the app's clock, or until [`resume`](Self::resume).
    pub fn pause(&mut self, now: Duration, time_off: Option<Duration>) {
        self.pause = time_off.map_or(Pause::UntilResumed, |time_off| Pause::Until(now + time_off));
        self.looked_at = None;
        let kept =
            self.kept.as_ref().map(|kept| kept.keep(time_off.map(|time_off| SystemTime::now() + time_off)));
        if let Some(Err(error)) = kept {
            warn!("This pause ends with this worker: it cannot be written down: {error}");
        }
    }

    /// Ends a pause.
    pub fn resume(&mut self) {
        self.looked_at = None;
        self.end_pause();
    }

    fn end_pause(&mut self) {
        self.pause = Pause::No;
        if let Some(Err(error)) = self.kept.as_ref().map(KeptPause::forget) {
            warn!("The file of the pause cannot be removed, and the next worker may start paused: {error}");
        }
    }

    /// Checks whether it must rest now, and why.
    fn look(&mut self, now: Duration) -> Option<Rest> {
        let slots_in_use = self.times.slots_in_use;
        let unused_from = self.times.idle_for.or_else(|| (slots_in_use > 0).then_some(IDLE_DEFAULT));
        // Polled during every rest too, so that use during the rest counts when it ends.
        let is_in_use = unused_from.is_some_and(|long| self.usage.unused_for(now) < long);
        match self.pause {
            Pause::Until(until) if until <= now => self.end_pause(),
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
        self.slots = Slots::default();
        match self.heat.look() {
            Allows::Nothing(degrees) => return Some(Rest::Hot(degrees)),
            Allows::Half => self.slots.are_halved = true,
            Allows::All => {}
        }
        if is_in_use {
            if slots_in_use == 0 {
                return Some(Rest::InUse);
            }
            self.slots.most = Some(slots_in_use);
        }
        None
    }
}

/// Starts and ends rests as the settings and the owner's commands demand.
pub(crate) fn rest_or_work(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { availability, attempts, said, next, offer, drain, link, executor, time, .. } = parts;
    // A worker that leaves takes no work, and need not be woken when a pause is over.
    if drain.is_asked() {
        return;
    }
    let now = time.elapsed();
    if availability.has_conditions {
        next.within(LOOK_EVERY);
    }
    let mut is_due = availability.looked_at.is_none_or(|at| now >= at + LOOK_EVERY);
    if let Pause::Until(until) = availability.pause {
        next.within(until.saturating_sub(now));
        is_due |= until <= now;
    }
    if !is_due {
        return;
    }
    availability.looked_at = Some(now);
    let rest = availability.look(now);
    let was = std::mem::replace(&mut availability.rest, rest);
    let slots = availability.slots_of(offer.slots);
    let has_changed = offer.offered.slots != slots;
    if has_changed {
        offer.offered.slots = slots;
        executor.compute_on(slots);
    }
    match (was, rest) {
        (None, None) if has_changed => {
            let all = offer.slots;
            info!(event = "slots", slots, "⏱  {slots} of {all} slot(s) compute now.");
            if link.is_connected() {
                said.write(ToServer(WorkerToServer::Ready(offer.offered.clone())));
            }
        }
        (None, Some(why)) => {
            let handed_back = attempts.hand_back_queued(said);
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
        (Some(was), Some(why)) if why.is_another(was) => {
            info!(event = "resting", why = %why, "⏸  Resting: {why}.");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// As if the files in this folder were the system's.
    fn told_in(folder: &Path, times: &WorkingTimes) -> Availability {
        let mut availability = Availability::new(times.clone());
        availability.power = Power::told_in(folder);
        availability.heat = Heat::told_in(folder, times.celsius_max);
        availability.usage = Usage::told_in(folder, folder.join("dev"));
        availability
    }

    fn tell(folder: &Path, files: &[(&str, &str)]) {
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn on_battery_it_rests_unless_its_owner_lends_that_too() {
        let folder = tempfile::tempdir().unwrap();
        let battery = |status| tell(folder.path(), &[("BAT0/type", "Battery"), ("BAT0/status", status)]);
        let mut spared = told_in(folder.path(), &WorkingTimes::default());
        let mut lent = told_in(folder.path(), &WorkingTimes { on_battery: true, ..WorkingTimes::default() });
        for (status, rest) in [("Charging", None), ("Discharging", Some(Rest::OnBattery)), ("Full", None)] {
            battery(status);
            assert_eq!((spared.look(Duration::ZERO), lent.look(Duration::ZERO)), (rest, None), "{status}");
        }
    }

    #[test]
    fn while_it_is_warm_half_of_its_slots_compute_and_while_it_is_hot_none() {
        let folder = tempfile::tempdir().unwrap();
        let times = WorkingTimes { celsius_max: Some(80), on_battery: true, ..WorkingTimes::default() };
        let mut availability = told_in(folder.path(), &times);
        for (degrees, rest, slots) in [
            (60, None, 5),
            (76, None, 3),
            (81, Some(Rest::Hot(81)), 5),
            (76, Some(Rest::Hot(76)), 5),
            (69, None, 5),
        ] {
            tell(
                folder.path(),
                &[("hwmon0/name", "k10temp"), ("hwmon0/temp1_input", &format!("{degrees}000"))],
            );
            assert_eq!(availability.look(Duration::ZERO), rest, "{degrees}");
            assert_eq!(availability.slots_of(5), slots, "{degrees}");
        }
    }

    /// As if processors had been busy and idle for so many ticks since the start.
    fn tell_ticks(folder: &Path, busy: u64, idle: u64) {
        tell(folder, &[("stat", &format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\n"))]);
    }

    #[test]
    fn a_computer_in_use_is_left_alone_until_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let idle_for = Some(Duration::from_mins(3));
        let times = WorkingTimes { idle_for, on_battery: true, ..WorkingTimes::default() };
        let mut spared = told_in(folder.path(), &times);
        let mut shared = told_in(folder.path(), &WorkingTimes { slots_in_use: 2, ..times });
        // The computer counts as used at the first poll. In the first minute other programs keep half of it busy.
        for second in (0..=400_u64).step_by(5) {
            let busy = 50 * second.min(60);
            tell_ticks(folder.path(), busy, 100 * second - busy);
            let now = Duration::from_secs(second);
            let (rest, slots) = if second < 240 { (Some(Rest::InUse), 2) } else { (None, 5) };
            assert_eq!(spared.look(now), rest, "{second}");
            assert_eq!((shared.look(now), shared.slots_of(5)), (None, slots), "{second}");
        }
    }

    #[test]
    fn use_during_a_pause_counts_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let idle_for = Some(Duration::from_mins(3));
        let mut availability =
            told_in(folder.path(), &WorkingTimes { idle_for, on_battery: true, ..WorkingTimes::default() });
        tell_ticks(folder.path(), 0, 0);
        assert_eq!(availability.look(Duration::ZERO), Some(Rest::InUse), "at the first look");
        availability.pause(Duration::ZERO, None);
        // Somebody uses it in the last minute of the hour only.
        for second in (5..=3_600_u64).step_by(5) {
            let busy = 50 * second.saturating_sub(3_540);
            tell_ticks(folder.path(), busy, 100 * second - busy);
            assert_eq!(availability.look(Duration::from_secs(second)), Some(Rest::Paused(None)));
        }
        availability.resume();
        assert_eq!(availability.look(Duration::from_hours(1)), Some(Rest::InUse));
    }

    #[test]
    fn a_worker_that_starts_paused_stays_so_when_an_earlier_pause_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let hour = Duration::from_hours(1);
        KeptPause::in_folder(folder.path(), "ada").keep(Some(SystemTime::now() + hour)).unwrap();
        let started = |paused| {
            let times = WorkingTimes { paused, on_battery: true, ..WorkingTimes::default() };
            let mut availability = told_in(folder.path(), &times);
            availability.keep_pause(KeptPause::in_folder(folder.path(), "ada"), Duration::ZERO);
            availability
        };
        let (mut paused, mut other) = (started(true), started(false));
        assert_eq!(paused.look(Duration::ZERO), Some(Rest::Paused(None)));
        assert_eq!(paused.look(2 * hour), Some(Rest::Paused(None)));
        assert!(matches!(other.look(Duration::ZERO), Some(Rest::Paused(Some(_)))));
        assert_eq!(other.look(2 * hour), None);
    }

    #[test]
    fn a_pause_that_is_over_is_not_found_again_when_the_clock_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let kept = || KeptPause::in_folder(folder.path(), "ada");
        let mut availability =
            told_in(folder.path(), &WorkingTimes { on_battery: true, ..WorkingTimes::default() });
        availability.keep_pause(kept(), Duration::ZERO);
        availability.pause(Duration::ZERO, Some(Duration::from_hours(1)));
        assert!(kept().find(SystemTime::now()).is_some());
        assert_eq!(availability.look(Duration::from_hours(1)), None);
        assert_eq!(kept().find(SystemTime::now()), None, "by this clock it would not be over yet");
    }

    #[test]
    fn another_degree_is_no_other_reason_to_rest() {
        assert!(!Rest::Hot(91).is_another(Rest::Hot(90)));
        assert!(Rest::Hot(91).is_another(Rest::OnBattery) && Rest::InUse.is_another(Rest::Hot(91)));
        assert!(Rest::Paused(None).is_another(Rest::Paused(Some(Duration::ZERO))));
    }

    #[test]
    fn of_a_pause_for_a_time_it_is_said_how_much_is_left() {
        let now = Duration::from_secs(100);
        let left = |left: f64| Rest::Paused(Some(now + Duration::from_secs_f64(left))).said(now);
        for (seconds, said) in
            [(7_200.0, "2h"), (7_141.5, "2h"), (3_541.0, "1h"), (61.0, "2m"), (59.2, "1m"), (0.5, "1s")]
        {
            assert_eq!(left(seconds), format!("paused by its owner for {said} more"));
        }
        assert_eq!(Rest::Paused(Some(Duration::ZERO)).said(now), "paused by its owner for 0s more");
        assert_eq!(Rest::Paused(None).said(now), "paused by its owner");
        assert_eq!(Rest::Hot(90).said(now), Rest::Hot(90).to_string());
    }
}
