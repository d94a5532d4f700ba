//! An update without what Bevy does around its schedules.
//!
//! `App::update` finds each of its schedules by a hash map, takes it out, runs it and puts it back, five times
//! over and inside a sixth, which is a fifth of what an update costs that does next to nothing in each. An
//! event-driven program updates for every packet, and none of its schedules changes once it runs, so its runner
//! keeps them at hand.

use bevy_app::{App, Main, MainScheduleOrder};
use bevy_ecs::change_detection::CheckChangeTicks;
use bevy_ecs::message::{MessageRegistry, ShouldUpdateMessages};
use bevy_ecs::observer::On;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::{Schedule, ScheduleLabel, Schedules};
use bevy_ecs::system::ResMut;

/// Bevy's call, once in hundreds of millions of systems run, to forget how long ago each last ran: it reaches the
/// schedules in the world by itself, and those that are kept elsewhere by this.
#[derive(Resource, Default)]
struct OldTicks(Option<CheckChangeTicks>);

/// Updates after which messages that nobody has taken are moved on. Bevy without fixed steps looks at every kind of
/// message in every update; our own are taken out by whoever reads them, so what is left is a few kept a little longer.
const MESSAGES_EVERY: u32 = 16;

/// The schedules of an app's update, in order.
pub(crate) struct LeanUpdate {
    updates: u32,
    /// Whether when messages move on is for this to say: in an app with fixed steps they wait for those.
    thins: bool,
    /// None: the app has an update of its own making, which stays Bevy's to run.
    schedules: Vec<Schedule>,
}

impl LeanUpdate {
    /// Takes the schedules out of an app that has run what belongs to the start. They are not to be found in the
    /// world any more.
    pub(crate) fn of(app: &mut App) -> Self {
        let is_plain =
            app.main().update_schedule == Some(Main.intern()) && app.sub_apps().sub_apps.is_empty();
        let labels = match app.world().get_resource::<MainScheduleOrder>() {
            Some(order) if is_plain => order.labels.clone(),
            _ => Vec::new(),
        };
        let world = app.world_mut();
        let plain = Self { updates: 0, thins: false, schedules: Vec::new() };
        if labels.is_empty() {
            return plain;
        }
        let thins = world
            .get_resource::<MessageRegistry>()
            .is_some_and(|messages| messages.should_update == ShouldUpdateMessages::Always);
        world.init_resource::<OldTicks>();
        world.add_observer(|check: On<'_, '_, CheckChangeTicks>, mut old: ResMut<'_, OldTicks>| {
            old.0 = Some(*check);
        });
        let Some(mut all) = world.get_resource_mut::<Schedules>() else {
            return plain;
        };
        let schedules = labels.into_iter().filter_map(|label| all.remove(label)).collect();
        Self { thins, schedules, ..plain }
    }

    /// Updates the app once.
    pub(crate) fn run(&mut self, app: &mut App) {
        if self.schedules.is_empty() {
            app.update();
            return;
        }
        let world = app.world_mut();
        self.updates = self.updates.wrapping_add(1);
        if self.thins
            && let Some(mut messages) = world.get_resource_mut::<MessageRegistry>()
        {
            messages.should_update = if self.updates.is_multiple_of(MESSAGES_EVERY) {
                ShouldUpdateMessages::Ready
            } else {
                ShouldUpdateMessages::Waiting
            };
        }
        for schedule in &mut self.schedules {
            schedule.run(world);
        }
        if let Some(old) = world.get_resource_mut::<OldTicks>().and_then(|mut old| old.0.take()) {
            for schedule in &mut self.schedules {
                schedule.check_change_ticks(old);
            }
        }
        world.clear_trackers();
    }
}

#[cfg(test)]
mod tests {
    use bevy_app::{First, Last, PostUpdate, PreUpdate, Startup, Update};
    use bevy_ecs::message::{Message, MessageReader, MessageWriter};
    use bevy_ecs::schedule::InternedScheduleLabel;

    use super::*;

    #[derive(Resource, Default)]
    struct Ran(Vec<InternedScheduleLabel>);

    #[derive(Message)]
    struct Said(u32);

    #[derive(Resource, Default)]
    struct Heard(Vec<u32>);

    #[test]
    fn runs_the_schedules_of_an_update_in_order_and_those_of_the_start_once() {
        let mut app = App::new();
        app.init_resource::<Ran>();
        let labels = [
            Startup.intern(),
            First.intern(),
            PreUpdate.intern(),
            Update.intern(),
            PostUpdate.intern(),
            Last.intern(),
        ];
        for label in labels {
            app.add_systems(label, move |mut ran: ResMut<'_, Ran>| ran.0.push(label));
        }
        app.update();
        let mut lean_update = LeanUpdate::of(&mut app);
        assert!(!lean_update.schedules.is_empty());
        lean_update.run(&mut app);
        assert_eq!(app.world().resource::<Ran>().0, [&labels[..], &labels[1..]].concat());
    }

    #[test]
    fn every_message_is_heard_once_and_forgotten_in_the_end() {
        let mut app = App::new();
        app.init_resource::<Heard>().add_message::<Said>();
        let mut next = 0;
        app.add_systems(Update, move |mut said: MessageWriter<'_, Said>| {
            said.write(Said(next));
            next += 1;
        });
        app.add_systems(Last, |mut said: MessageReader<'_, '_, Said>, mut heard: ResMut<'_, Heard>| {
            heard.0.extend(said.read().map(|said| said.0));
        });
        app.update();
        let mut lean_update = LeanUpdate::of(&mut app);
        for _ in 0..100 {
            lean_update.run(&mut app);
        }
        assert_eq!(app.world().resource::<Heard>().0, (0..=100).collect::<Vec<_>>());
        let kept = app.world().resource::<bevy_ecs::message::Messages<Said>>().len() as u32;
        assert!(kept <= 2 * MESSAGES_EVERY, "{kept} kept");
    }
}
