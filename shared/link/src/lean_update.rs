//! An update without Bevy's overhead around its schedules.
//!
//! `App::update` looks each of its schedules up in a hash map, takes it out, runs it and puts it back, five
//! times and inside a sixth, which is a fifth of the cost of an update that does next to nothing in each. An
//! event-driven program updates for every packet, and its schedules do not change once it runs, so its runner
//! holds them itself. It also updates messages, every few updates, where Bevy runs a condition in each.

use bevy_app::{App, First, Main, MainScheduleOrder};
use bevy_ecs::change_detection::{CheckChangeTicks, Mut, Tick};
use bevy_ecs::message::{MessageRegistry, ShouldUpdateMessages, message_update_system};
use bevy_ecs::observer::On;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::{Schedule, ScheduleCleanupPolicy, ScheduleLabel, Schedules};
use bevy_ecs::system::ResMut;
use bevy_ecs::world::World;

/// Bevy's event, once in hundreds of millions of system runs, that limits the age of change ticks: Bevy
/// handles the schedules in the world itself, and this resource passes the event to the schedules held here.
#[derive(Resource, Default)]
struct OldTicks(Option<CheckChangeTicks>);

/// Updates between two message updates. Bevy without fixed steps visits every message type in every update;
/// our readers drain their messages, so only a few are kept a little longer.
const MESSAGES_EVERY: u32 = 16;

/// The schedules of an app's update, in order.
pub(crate) struct LeanUpdate {
    updates: u32,
    /// The world's tick when messages were last updated here; `None` if Bevy's system updates them, as in an app with fixed
    /// steps, for which messages wait.
    messages_updated: Option<Tick>,
    /// Empty if the app has a custom update, which Bevy then runs.
    schedules: Vec<Schedule>,
}

impl LeanUpdate {
    /// Takes the schedules out of an app that has run its start-up. The world no longer holds them.
    pub(crate) fn of(app: &mut App) -> Self {
        let is_plain =
            app.main().update_schedule == Some(Main.intern()) && app.sub_apps().sub_apps.is_empty();
        let labels = match app.world().get_resource::<MainScheduleOrder>() {
            Some(order) if is_plain => order.labels.clone(),
            _ => Vec::new(),
        };
        let world = app.world_mut();
        let plain = Self { updates: 0, messages_updated: None, schedules: Vec::new() };
        if labels.is_empty() {
            return plain;
        }
        let always = world
            .get_resource::<MessageRegistry>()
            .is_some_and(|messages| messages.should_update == ShouldUpdateMessages::Always);
        world.init_resource::<OldTicks>();
        world.add_observer(|check: On<'_, '_, CheckChangeTicks>, mut old: ResMut<'_, OldTicks>| {
            old.0 = Some(*check);
        });
        let Some(mut all) = world.get_resource_mut::<Schedules>() else {
            return plain;
        };
        let mut schedules: Vec<Schedule> = labels.into_iter().filter_map(|label| all.remove(label)).collect();
        let first = schedules.iter_mut().find(|schedule| schedule.label() == First.intern());
        let is_removed = always && first.is_some_and(|first| remove_message_updates(first, world));
        // Zero instead of the present tick, so that messages of the first update count as new.
        let messages_updated = is_removed.then(|| Tick::new(0));
        Self { messages_updated, schedules, ..plain }
    }

    /// Updates the app once.
    pub(crate) fn run(&mut self, app: &mut App) {
        if self.schedules.is_empty() {
            app.update();
            return;
        }
        let world = app.world_mut();
        self.updates = self.updates.wrapping_add(1);
        if let Some(updated) = &mut self.messages_updated
            && self.updates.is_multiple_of(MESSAGES_EVERY)
        {
            world.resource_scope(|world, mut messages: Mut<'_, MessageRegistry>| {
                messages.run_updates(world, *updated);
            });
            // The tick is advanced, so that what the next system writes counts as newer.
            *updated = world.increment_change_tick();
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

/// Takes Bevy's system that updates messages out of its schedule; false if it was not there.
fn remove_message_updates(first: &mut Schedule, world: &mut World) -> bool {
    let policy = ScheduleCleanupPolicy::RemoveSystemsOnly;
    matches!(first.remove_systems_in_set(message_update_system, world, policy), Ok(1..))
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
        assert!(lean_update.messages_updated.is_some(), "Bevy's system is gone");
        for _ in 0..100 {
            lean_update.run(&mut app);
        }
        assert_eq!(app.world().resource::<Heard>().0, (0..=100).collect::<Vec<_>>());
        let kept = app.world().resource::<bevy_ecs::message::Messages<Said>>().len() as u32;
        assert!(kept <= 2 * MESSAGES_EVERY, "{kept} kept");
    }

    #[test]
    fn a_message_of_the_first_update_is_forgotten_too() {
        let mut app = App::new();
        app.add_message::<Said>();
        let mut is_said = false;
        app.add_systems(Update, move |mut said: MessageWriter<'_, Said>| {
            if !std::mem::replace(&mut is_said, true) {
                said.write(Said(0));
            }
        });
        app.update();
        let mut lean_update = LeanUpdate::of(&mut app);
        for _ in 0..2 * MESSAGES_EVERY {
            lean_update.run(&mut app);
        }
        assert!(app.world().resource::<bevy_ecs::message::Messages<Said>>().is_empty());
    }
}
