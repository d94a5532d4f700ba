//! Knocks on rocks and their effects: impulses, pieces, no contacts with rocks that are gone, walls and
//! crowds.

use super::windows::{WINDOW, next_motions, wait};
use super::*;
use crate::dice::Dice;

#[test]
fn a_knocked_rock_flies_along_the_shot_turns_and_is_carried_again_within_two_windows() {
    for (offset, turn) in [(-0.5, -1.0), (0.0, 0.0), (0.5, 1.0)] {
        let mut arena = empty();
        arena.put_rock(Vec2::new(0.0, 10.0), 1.5);
        wait(&mut arena, 3 * WINDOW - 11);
        assert!(arena.rocks()[0].is_carried());
        let muzzle = Vec2::new(offset, 7.0);
        arena.fire(Shooter::Ship, muzzle, Vec2::FORWARD, 30.0, 20, &mut Vec::new());
        let hit = wait(&mut arena, 6);
        assert!(hit.iter().any(|event| matches!(event, ArenaEvent::Hit { .. })));
        let knocked = arena.rocks()[0];
        let mass = arena.stuff().mass(&knocked);
        let expected = arena.config().rocks.knock / mass;
        assert!(!knocked.is_carried() && expected > 0.1);
        assert!((knocked.velocity.y - expected).abs() < 1e-4 && knocked.velocity.x.abs() < 1e-6);
        let spin = knocked.spin()[1];
        assert!(if turn == 0.0 { spin.abs() < 1e-5 } else { spin * turn > 0.05 }, "{spin} at {offset}");
        let mut ticks = 0;
        while !arena.rocks()[0].is_carried() {
            wait(&mut arena, 1);
            ticks += 1;
        }
        assert!(ticks < 2 * WINDOW && ticks > WINDOW, "{ticks}: the window under way did not know of it");
        wait(&mut arena, 100);
        let rock = arena.rocks()[0];
        assert!((rock.velocity.y - expected).abs() < 0.01);
        let way = rock.position.y - knocked.position.y;
        assert!((way - expected * (ticks + 100) as f32 / 60.0).abs() < 0.02, "{way}");
    }
}

#[test]
fn pieces_go_on_as_their_rock_went_and_join_the_next_window() {
    for pieces in 2..=4 {
        let mut config = empty_config();
        config.rocks.pieces = pieces;
        let mut arena = Arena::new(config);
        let site = Site { position: Vec2::new(0.0, 10.0), radius: 2.0, velocity: Vec2::new(0.7, -0.4) };
        arena.add_rock(site).unwrap().hits_left = 1;
        wait(&mut arena, 3 * WINDOW - 7);
        let rock = arena.rocks()[0];
        let stuff = arena.stuff();
        let mut pushed = rock;
        pushed.push(&stuff, rock.position, Vec2::FORWARD * arena.config().rocks.knock, arena.tick());
        arena.hit_rock(0, rock.position, Vec2::FORWARD, &mut Vec::new());
        assert_eq!(arena.rocks().len(), pieces as usize);
        let mass: f32 = arena.rocks().iter().map(|piece| stuff.mass(piece)).sum();
        let momentum =
            arena.rocks().iter().fold(Vec2::ZERO, |sum, piece| sum + piece.velocity * stuff.mass(piece));
        // The forms differ a little in mass.
        assert!((momentum * (1.0 / mass)).distance(pushed.velocity) < 0.1, "{pieces} pieces");
        for (index, piece) in arena.rocks().iter().enumerate() {
            assert!(piece.velocity.distance(pushed.velocity) > 0.5, "they fly apart");
            assert!(piece.position.distance(rock.position) + piece.radius <= rock.radius + 1e-4);
            for other in &arena.rocks()[..index] {
                assert!(piece.position.distance(other.position) >= piece.radius + other.radius);
            }
        }
        let spec = next_motions(&mut arena).physics().unwrap().clone();
        let ids: Vec<u32> = arena.rocks().iter().map(|piece| piece.id.0).collect();
        assert_eq!(spec.bodies.iter().map(|body| body.id).collect::<Vec<_>>(), ids);
        assert!(arena.rocks().iter().all(|piece| !piece.is_carried()));
        wait(&mut arena, WINDOW);
        assert!(arena.rocks().iter().all(Rock::is_carried));
    }
}

/// A small rock that flies at a large one and would meet it at about tick 100.
fn on_collision_course() -> Arena {
    let mut arena = empty();
    let site = Site { position: Vec2::new(-10.0, 10.0), radius: 0.75, velocity: Vec2::new(4.0, 0.0) };
    arena.add_rock(site);
    arena.put_rock(Vec2::new(-1.0, 10.0), 1.5);
    arena
}

#[test]
fn nothing_bounces_off_a_rock_that_is_gone_and_it_does_not_come_back() {
    let mut met = on_collision_course();
    wait(&mut met, 150);
    assert!(met.rocks()[0].velocity.x < 1.0, "a rock that is there stops it");
    // The window from 90 to 120, in which they meet, is requested at 60.
    for gone_at in [62, 85, 95] {
        let mut arena = on_collision_course();
        wait(&mut arena, gone_at);
        assert!(arena.rocks().iter().all(Rock::is_carried));
        let id = arena.rocks()[1].id;
        arena.rocks[1].hits_left = 1;
        arena.config.rocks.pieces = 0;
        arena.hit_rock(1, Vec2::new(-1.0, 8.5), Vec2::FORWARD, &mut Vec::new());
        for _ in 0..120 {
            wait(&mut arena, 1);
            assert!(arena.rocks().iter().all(|rock| rock.id != id));
            assert!((arena.rocks()[0].velocity.x - 4.0).abs() < 0.01, "gone at {gone_at}");
        }
        assert!(arena.rocks()[0].is_carried() && arena.rocks()[0].position.x > -1.0);
    }
}

#[test]
fn nothing_bounces_off_a_rock_that_was_knocked_away() {
    let mut arena = on_collision_course();
    wait(&mut arena, 65);
    let (stuff, tick) = (arena.stuff(), arena.tick());
    let mass = stuff.mass(&arena.rocks[1]);
    arena.rocks[1].push(&stuff, Vec2::new(-1.0, 8.5), Vec2::FORWARD * (6.0 * mass), tick);
    wait(&mut arena, 100);
    assert!((arena.rocks()[0].velocity.x - 4.0).abs() < 0.01);
    assert!((arena.rocks()[1].velocity.y - 6.0).abs() < 0.01);
}

#[test]
fn a_knocked_rock_knocks_the_next_one() {
    let mut arena = empty();
    for x in [0.0, 4.0] {
        arena.put_rock(Vec2::new(x, 10.0), 1.0);
    }
    wait(&mut arena, 2 * WINDOW + 1);
    let (stuff, tick) = (arena.stuff(), arena.tick());
    let masses = [0, 1].map(|index| stuff.mass(&arena.rocks()[index]));
    arena.rocks[0].push(&stuff, Vec2::new(-1.0, 10.0), Vec2::new(6.0 * masses[0], 0.0), tick);
    let events = wait(&mut arena, 26);
    let met = events.iter().find_map(|event| match event {
        ArenaEvent::RocksMet { at, impulse } => Some((*at, *impulse)),
        _ => None,
    });
    let (at, impulse) = met.expect("they meet by the local rule");
    assert!(at.distance(Vec2::new(3.0, 10.0)) < 0.4 && impulse > 1_000.0, "{at:?} {impulse}");
    assert!(arena.rocks().iter().all(|rock| !rock.is_carried()));
    let momentum: f32 = [0, 1].map(|index| arena.rocks()[index].velocity.x * masses[index]).iter().sum();
    assert!((momentum - 6.0 * masses[0]).abs() < 10.0);
    assert!(arena.rocks()[1].velocity.x > 4.0);
    wait(&mut arena, 2 * WINDOW);
    assert!(arena.rocks().iter().all(Rock::is_carried));
}

#[test]
fn no_rock_leaves_the_arena_however_it_is_knocked() {
    let mut arena = Arena::new(ArenaConfig { seed: 8, ..ArenaConfig::default() });
    let mut dice = Dice::new(8);
    let half = f64::from(arena.config().size * 0.5);
    let mut met_most = 0;
    for _ in 0..1_200 {
        let (stuff, tick) = (arena.stuff(), arena.tick());
        let index = dice.below(arena.rocks.len() as u32) as usize;
        let rock = &mut arena.rocks[index];
        let velocity = dice.direction() * 100.0;
        rock.disturb(&stuff, velocity, [50.0, -70.0, 20.0], tick);
        let step = arena.step(Controls::default(), &[]);
        arena.ship.invulnerable_ticks = 100;
        assert_sound(&arena);
        let failed = |event: &ArenaEvent| matches!(event, ArenaEvent::PhysicsInline { failed: true, .. });
        assert!(!step.events.iter().any(failed), "the kernel takes whatever the arena asks");
        let met = step.events.iter().filter(|event| matches!(event, ArenaEvent::RocksMet { .. })).count();
        assert!(met <= 16, "{met} in one tick");
        met_most = met_most.max(met);
        for rock in arena.rocks() {
            let out = rock.motion.position[0].abs().max(rock.motion.position[2].abs());
            assert!(out + rock.shape.inner_radius_m() < half + 0.2, "{rock:?}");
        }
    }
    assert!(met_most > 3);
}

#[test]
fn a_crowd_that_the_kernel_gives_up_on_flies_by_the_local_rule() {
    let mut arena = empty();
    for number in 0..80u16 {
        arena.put_rock(Vec2::new(10.0 + f32::from(number) * 0.01, 10.0), 2.0);
    }
    let step = wait(&mut arena, 2 * WINDOW);
    assert!(step.iter().any(|event| matches!(event, ArenaEvent::PhysicsInline { failed: true, .. })));
    assert_eq!((arena.physics().carried, arena.physics().loose, arena.physics().request), (0, 80, None));
    arena.rocks.truncate(2);
    wait(&mut arena, 2 * WINDOW);
    assert_eq!((arena.physics().carried, arena.physics().loose), (2, 0));
    assert_sound(&arena);
}

#[test]
fn ships_and_enemies_meet_rocks_where_they_are() {
    let mut arena = empty();
    arena.config.enemies.agility = 0.0;
    let site = Site { position: Vec2::new(-8.0, 0.2), radius: 1.5, velocity: Vec2::new(5.0, 0.0) };
    arena.add_rock(site);
    arena.add_rock(Site { position: Vec2::new(-8.0, 20.2), ..site });
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 20.0));
    let (stuff, rules) = (arena.stuff(), arena.config().ship.clone());
    let (mut bumped, mut swept) = (false, 0.0f32);
    for _ in 0..150 {
        let before = arena.rocks()[0].velocity * stuff.mass(&arena.rocks()[0]);
        let events = arena.step(Controls::default(), &[]).events;
        if let Some(ArenaEvent::Bumped { at, speed }) =
            events.iter().find(|event| matches!(event, ArenaEvent::Bumped { .. }))
        {
            assert!(!bumped && at.distance(Vec2::new(-0.6, 0.0)) < 0.2 && (4.0..5.1).contains(speed));
            bumped = true;
            let rock = &arena.rocks()[0];
            let after = rock.velocity * stuff.mass(rock) + arena.ship().velocity * rules.mass;
            assert!(after.distance(before) < before.length() * 1e-3, "momentum is exchanged");
            assert!(arena.ship().velocity.x > 4.0 && !rock.is_carried());
        }
        for rock in arena.rocks() {
            assert!(
                arena.ship().position.distance(rock.position) >= rock.radius + arena.ship().radius - 1e-3
            );
            let enemy = &arena.enemies()[0];
            assert!(enemy.position.distance(rock.position) >= rock.radius + enemy.radius - 1e-3);
        }
        swept = swept.max(arena.enemies()[0].position.x);
    }
    assert!(bumped && swept > 0.5);
}
