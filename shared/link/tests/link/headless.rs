//! What `headless` removes from an app, and what it keeps.

use std::time::Duration;

use bevy_app::{App, FixedUpdate, Update};
use bevy_ecs::message::{Message, MessageReader, Messages};
use bevy_ecs::resource::Resource;
use bevy_ecs::system::ResMut;
use bevy_time::{Real, Time, TimePlugin, TimeUpdateStrategy};
use p2c2r_link::headless;

#[derive(Resource, Default)]
struct Ran {
    updates: usize,
    fixed_steps: usize,
    heard: usize,
}

#[derive(Message)]
struct Word;

#[test]
fn an_update_after_a_pause_runs_no_fixed_steps_and_messages_live_for_two_updates() {
    let mut app = App::new();
    app.add_plugins(TimePlugin)
        .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(300)))
        .init_resource::<Ran>()
        .add_message::<Word>()
        .add_systems(FixedUpdate, |mut ran: ResMut<'_, Ran>| ran.fixed_steps += 1)
        .add_systems(Update, |mut ran: ResMut<'_, Ran>, mut words: MessageReader<'_, '_, Word>| {
            ran.updates += 1;
            ran.heard += words.read().count();
        });
    headless(&mut app);
    app.update();
    for _ in 0..10 {
        app.world_mut().write_message(Word);
        app.update();
        assert!(app.world().resource::<Messages<Word>>().len() <= 2, "messages pile up");
    }
    let ran = app.world().resource::<Ran>();
    assert_eq!((ran.updates, ran.fixed_steps, ran.heard), (11, 0, 10));
}

#[test]
fn the_real_clock_goes_by_the_strategy() {
    let mut app = App::new();
    app.add_plugins(TimePlugin);
    headless(&mut app);
    app.update();
    let elapsed = |app: &App| app.world().resource::<Time<Real>>().elapsed();
    let mut passed_by = |strategy| {
        app.insert_resource(strategy);
        let before = elapsed(&app);
        app.update();
        elapsed(&app).saturating_sub(before)
    };
    assert!(!passed_by(TimeUpdateStrategy::Automatic).is_zero());
    let manual = Duration::from_millis(300);
    assert_eq!(passed_by(TimeUpdateStrategy::ManualDuration(manual)), manual);
    assert_eq!(passed_by(TimeUpdateStrategy::FixedTimesteps(64)), Duration::from_secs(1));
    let later = std::time::Instant::now() + Duration::from_secs(100);
    assert!(!passed_by(TimeUpdateStrategy::ManualInstant(later)).is_zero());
    assert!(passed_by(TimeUpdateStrategy::ManualInstant(later)).is_zero());
}
