//! Rocks: where they stand, what they stop, how they break.

use super::*;
use crate::bullets::Shooter;
use crate::enemies::EnemyRole;
use crate::layout;

/// An arena with the ship flying forward at `speed`, 2 m before a rock.
fn before_a_rock(speed: f32) -> Arena {
    let mut arena = empty();
    arena.put_rock(Vec2::new(0.0, 4.6), 2.0);
    arena.ship.velocity = Vec2::new(0.0, speed);
    arena
}

#[test]
fn a_slow_ship_bounces_off_a_rock_and_a_fast_one_is_lost() {
    let mut slow = before_a_rock(9.0);
    let mut bumped = false;
    for _ in 0..40 {
        bumped |= slow.step(Controls::default(), &[]).events.iter().any(|event| match event {
            ArenaEvent::Bumped { at, speed } => at.distance(Vec2::new(0.0, 2.6)) < 0.1 && *speed > 4.0,
            _ => false,
        });
    }
    assert!(bumped && slow.ship().velocity.y < 0.0 && slow.lives() == 3);
    let mut fast = before_a_rock(14.0);
    for _ in 0..40 {
        fast.step(Controls::default(), &[]);
    }
    assert_eq!((fast.lives(), fast.ship().alive), (2, false));
    let mut protected = before_a_rock(14.0);
    protected.ship.invulnerable_ticks = 60;
    for _ in 0..40 {
        protected.step(Controls::default(), &[]);
    }
    assert_eq!(protected.lives(), 3);
}

#[test]
fn walls_bounce_the_ship_and_never_hurt() {
    let mut arena = empty();
    arena.ship.position = Vec2::new(38.0, 0.0);
    arena.ship.velocity = Vec2::new(25.0, 0.0);
    for _ in 0..30 {
        arena.step(Controls::default(), &[]);
        assert_sound(&arena);
    }
    assert!(arena.ship().velocity.x < 0.0 && arena.lives() == 3);
}

#[test]
fn a_large_rock_breaks_into_pieces_inside_it_and_a_small_one_is_gone() {
    let mut arena = empty();
    arena.put_rock(Vec2::new(0.0, 10.0), 2.0);
    let rock = arena.rocks()[0];
    assert_eq!(rock.hits_left, 4);
    for _ in 1..rock.hits_left {
        arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    }
    assert_eq!((arena.rocks().len(), arena.score()), (1, 0));
    let mut events = Vec::new();
    arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut events);
    assert!(matches!(events[0], ArenaEvent::RockDestroyed { id, pieces: 2, .. } if id == rock.id));
    assert_eq!((arena.rocks().len(), arena.score()), (2, 10));
    for piece in arena.rocks() {
        assert!(piece.position.distance(rock.position) + piece.radius <= rock.radius + 1e-4);
        assert!(piece.id > rock.id && piece.hits_left == 1);
    }
    arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    assert_eq!(arena.rocks().len(), 1, "a piece that small leaves nothing");
}

#[test]
fn rocks_stop_bullets_of_both_sides_but_only_until_they_are_shot_away() {
    let mut arena = empty();
    arena.put_rock(Vec2::new(0.0, 5.0), 0.9);
    let by_enemy = Shooter::Enemy(EnemyId(9));
    arena.fire(by_enemy, Vec2::new(0.0, 7.0), -Vec2::FORWARD, 30.0, 50, &mut Vec::new());
    for _ in 0..20 {
        arena.step(Controls::default(), &[]);
    }
    assert_eq!((arena.lives(), arena.rocks().len(), arena.bullets().len()), (3, 0, 0));
    arena.fire(by_enemy, Vec2::new(0.0, 7.0), -Vec2::FORWARD, 30.0, 50, &mut Vec::new());
    for _ in 0..20 {
        arena.step(Controls::default(), &[]);
    }
    assert_eq!(arena.lives(), 2);
}

#[test]
fn enemies_never_end_a_tick_deep_inside_a_rock() {
    for seed in 1..=3 {
        let config = ArenaConfig { seed, ..ArenaConfig::default() };
        let mut played = Played::new(Arena::new(config), 12, answered);
        for _ in 0..1_200 {
            played.arena.ship.invulnerable_ticks = 9;
            played.step(Controls::default());
            for enemy in played.arena.enemies() {
                for rock in played.arena.rocks() {
                    let gap = enemy.position.distance(rock.position) - rock.radius;
                    // Between two rocks that nearly touch, being moved out of one leads a little into the
                    // other.
                    assert!(gap > 0.5 * enemy.radius, "{:?} in {:?}, seed {seed}", enemy.id, rock.id);
                }
            }
        }
    }
}

#[test]
fn every_layout_leaves_the_centre_free_and_a_way_to_it() {
    for seed in 0..40 {
        for config in [ArenaConfig::default(), ArenaConfig::stress()] {
            let arena = Arena::new(ArenaConfig { seed, ..config });
            let grid = arena.field.occupancy(
                arena.rocks().iter().map(|rock| (rock.position, rock.radius)),
                layout::clearance(arena.config()),
            );
            let mut dice = arena.dice.clone();
            let lane = layout::lane_point(arena.config(), &mut dice);
            assert!(arena.field.connected(&grid, Vec2::ZERO, lane), "seed {seed}");
            let clear = arena.config().rocks.clear_radius;
            let nearest = arena.rocks().iter().map(|rock| rock.position.length() - rock.radius);
            assert!(nearest.fold(f32::MAX, f32::min) >= clear - 1e-3, "seed {seed}");
            assert!(arena.rocks().len() > 130, "seed {seed}: {} rocks", arena.rocks().len());
        }
    }
}

#[test]
fn new_waves_bring_new_rocks_where_most_are_gone() {
    let mut arena = Arena::new(ArenaConfig::default());
    arena.rocks.truncate(10);
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(20.0, 20.0));
    let before = arena.rocks().len();
    arena.regrow_rocks();
    assert!(arena.rocks().len() > before + 5);
    for rock in &arena.rocks()[before..] {
        for at in [arena.ship().position, arena.enemies()[0].position] {
            assert!(rock.position.distance(at) > rock.radius + 5.0, "not upon anybody");
        }
    }
    let full = Arena::new(ArenaConfig::default());
    let mut again = full.clone();
    again.regrow_rocks();
    assert_eq!(again.rocks(), full.rocks(), "nothing grows where nothing is missing");
}

#[test]
fn new_rocks_drift_as_fast_as_their_sectors_first_ones() {
    let mut arena = Arena::new(ArenaConfig::default());
    let drift = arena.config().rocks.drift;
    for number in 1..=crate::balance::BALANCE.sectors.len() as u32 {
        arena.enter_sector(number);
        // Wells give rocks a speed of their own.
        arena.sector.wells.clear();
        arena.rocks.clear();
        arena.regrow_rocks();
        let fastest = arena.rocks().iter().map(|rock| rock.velocity.length()).fold(0.0, f32::max);
        let most = drift * arena.sector().plan().drift;
        assert!((most * 0.8..=most * 1.001).contains(&fastest), "sector {number}: {fastest} of {most} m/s");
    }
}
