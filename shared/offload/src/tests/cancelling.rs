//! Cancelling tasks.

use super::*;

#[test]
fn despawning_takes_the_task_back_and_nothing_more_is_heard_of_it() {
    let mut game = Game::new();
    let entity = game.ask_for(21);
    let task = game.submit().task;
    game.during_update(move |world| {
        world.despawn(entity);
    });
    assert_eq!(game.cancels(), [task]);
    game.say(done(task, 42));
    game.frames(40);
    assert!(game.got().done.is_empty() && game.got().failed.is_empty());
    let totals = game.totals();
    assert_eq!((totals.cancelled, totals.wasted, totals.open), (1, 1, 0));
    // The cancel came too late to be free of charge.
    assert_eq!(totals.cost_nanos, PRICE);
}

#[test]
fn removing_the_component_takes_the_task_back() {
    let mut game = Game::new();
    let entity = game.ask_for(21);
    let task = game.submit().task;
    game.during_update(move |world| {
        world.entity_mut(entity).remove::<Offloading<Twice>>();
    });
    assert_eq!(game.cancels(), [task]);
}

#[test]
fn asking_again_on_the_same_entity_replaces_the_task() {
    let mut game = Game::new();
    let entity = game.ask_for(1);
    let first = game.submit().task;
    game.during_update(move |world| {
        world.entity_mut(entity).insert(Offloading::<Twice>::new(spec(2), Blobs::default()));
    });
    let second = game.submit().task;
    assert_eq!(game.cancels(), [first]);
    assert_ne!(first, second);
    game.say(done(first, 2));
    game.say(done(second, 4));
    game.frame();
    assert_eq!(*game.outcome().outcome, 4);
}

#[test]
fn asked_for_and_taken_back_in_one_frame_never_leaves() {
    let mut game = Game::new();
    game.during_update(|world| {
        let entity = world.spawn(Offloading::<Twice>::new(spec(1), Blobs::default())).id();
        world.despawn(entity);
    });
    assert!(game.sent.is_empty());
    assert_eq!((game.totals().submitted, game.totals().cancelled), (1, 1));
}

#[test]
fn a_task_taken_back_is_not_computed_locally() {
    let mut game = Game::new();
    game.switch().enabled = false;
    let entity = game.ask_for(1);
    game.during_update(move |world| {
        world.despawn(entity);
    });
    game.frames(10);
    assert_eq!((game.totals().cancelled, game.totals().local), (1, 0));
}

#[test]
fn an_entity_spawned_for_a_task_lives_until_the_end_of_the_frame_of_its_outcome() {
    #[derive(Component)]
    struct Tag(u32);
    #[derive(Resource, Default)]
    struct Seen(Vec<u32>);
    let mut game = Game::new();
    game.app.init_resource::<Seen>().add_systems(
        Update,
        |mut messages: MessageReader<'_, '_, Offloaded<Twice>>,
         tags: Query<'_, '_, &Tag>,
         mut seen: ResMut<'_, Seen>| {
            seen.0.extend(messages.read().map(|done| tags.get(done.entity).unwrap().0));
        },
    );
    let before = game.app.world().entities().count_spawned();
    game.during_update(|world| {
        world.commands().offload::<Twice>(spec(1), Blobs::default()).insert(Tag(7));
        world.flush();
    });
    let task = game.submit().task;
    game.say(done(task, 2));
    game.frame();
    assert_eq!(game.app.world().resource::<Seen>().0, [7]);
    assert_eq!(game.app.world().entities().count_spawned(), before);
}

#[test]
fn asking_again_on_a_spawned_entity_keeps_it() {
    let mut game = Game::new();
    game.during_update(|world| {
        world.commands().offload::<Twice>(spec(1), Blobs::default()).observe(
            |done: On<'_, '_, OffloadDone<Twice>>, mut commands: Commands<'_, '_>| {
                if *done.outcome == 2 {
                    let again = Offloading::<Twice>::new(spec(2), Blobs::default());
                    commands.entity(done.entity).insert(again);
                }
            },
        );
        world.flush();
    });
    let task = game.submit().task;
    game.say(done(task, 2));
    game.frame();
    let task = game.submit().task;
    game.frame();
    game.say(done(task, 4));
    game.frame();
    assert_eq!((game.totals().remote, game.totals().cancelled), (2, 0));
}

#[test]
fn an_observer_may_ask_again_for_the_same_entity() {
    let mut game = Game::new();
    game.app.add_observer(|done: On<'_, '_, OffloadDone<Twice>>, mut commands: Commands<'_, '_>| {
        if *done.outcome < 8 {
            commands
                .entity(done.entity)
                .insert(Offloading::<Twice>::new(spec(*done.outcome), Blobs::default()));
        }
    });
    game.ask_for(1);
    for outcome in [2, 4, 8] {
        let task = game.submit().task;
        game.say(done(task, outcome));
        game.frame();
    }
    assert_eq!((game.totals().submitted, game.totals().remote, game.sent.len()), (3, 3, 0));
}
