//! Gravity wells: what they attract, and what ends in them.

use super::*;
use crate::bullets::Shooter;
use crate::enemies::EnemyRole;
use crate::wells::Well;

/// An empty arena with one well.
fn with_well(position: Vec2) -> Arena {
    let mut arena = empty();
    let well = Well::new(&arena.config.sectors, position);
    arena.sector.wells.push(well);
    arena
}

fn steps(arena: &mut Arena, ticks: u32) -> Vec<ArenaEvent> {
    (0..ticks).flat_map(|_| arena.step(Controls::default(), &[]).events).collect()
}

#[test]
fn a_well_draws_the_ship_and_its_engine_gets_it_out_again() {
    let mut arena = with_well(Vec2::new(8.0, 0.0));
    steps(&mut arena, 120);
    let drawn = arena.ship().position;
    assert!(drawn.x > 1.0 && drawn.y.abs() < 1e-3, "{drawn:?}");
    arena.ship.position = Vec2::new(8.0, 3.0);
    arena.ship.velocity = Vec2::ZERO;
    arena.ship.heading = Vec2::FORWARD;
    for _ in 0..240 {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
    }
    assert!(arena.ship().position.y > 12.0, "{:?}", arena.ship().position);
    assert_eq!(arena.lives(), 3, "a well hurts nobody");
}

#[test]
fn bolts_bend_towards_a_well_and_missiles_keep_their_speed() {
    let mut arena = with_well(Vec2::new(4.0, 10.0));
    arena.ship.alive = false;
    arena.ship.away_ticks = 600;
    arena.fire(Shooter::Ship, Vec2::ZERO, Vec2::FORWARD, 30.0, 60, &mut Vec::new());
    arena.launch(Vec2::ZERO, Vec2::FORWARD, 22.0, 60, &mut Vec::new());
    steps(&mut arena, 35);
    let [bolt, missile] = arena.bullets() else { panic!("{:?}", arena.bullets()) };
    assert!(bolt.position.x > 0.5 && missile.position.x > 0.5, "{bolt:?} {missile:?}");
    assert!((missile.velocity.length() - 22.0).abs() < 1e-3);
}

#[test]
fn what_comes_into_the_core_ends_there_and_pays_nothing() {
    let mut arena = with_well(Vec2::new(0.0, 20.0));
    arena.ship.alive = false;
    arena.ship.away_ticks = 600;
    arena.fire(Shooter::Ship, Vec2::new(0.0, 10.0), Vec2::FORWARD, 30.0, 60, &mut Vec::new());
    arena.put_rock(Vec2::new(0.0, 23.0), 0.6);
    let events = steps(&mut arena, 500);
    assert!(arena.bullets().is_empty() && arena.rocks().is_empty());
    let swallowed = |event: &ArenaEvent| matches!(event, ArenaEvent::RockDestroyed { pieces: 0, .. });
    assert_eq!(events.iter().filter(|event| swallowed(event)).count(), 1);
    assert_eq!(arena.score(), 0);
}

#[test]
fn enemies_do_not_feel_it() {
    let way = |mut arena: Arena| {
        // A ship that flew there would be another target.
        arena.ship.position = Vec2::new(0.0, -30.0);
        (arena.ship.alive, arena.ship.away_ticks) = (false, 600);
        arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 30.0));
        steps(&mut arena, 90);
        arena.enemies()[0].position
    };
    assert_eq!(way(with_well(Vec2::new(6.0, 22.0))), way(empty()));
}

/// A rock that circles a well, for some windows, with or without their outcomes.
fn circling(answer: fn(&WantedTask) -> DueOutcome) -> Vec<(Vec2, bool)> {
    let mut arena = with_well(Vec2::new(0.0, 15.0));
    arena.ship.position = Vec2::new(-30.0, -30.0);
    let velocity = Vec2::new(arena.wells()[0].circling_speed(10.0), 0.0);
    arena.add_rock(Site { position: Vec2::new(0.0, 25.0), radius: 0.9, velocity });
    let mut played = Played::new(arena, 12, answer);
    (0..600)
        .map(|_| {
            played.step(Controls::default());
            let rock = &played.arena.rocks()[0];
            (rock.position, rock.is_carried())
        })
        .collect()
}

/// A rock behaves the same loose and carried: the kernel's formula and the local rule are one.
#[test]
fn a_rock_circles_alike_along_trajectories_and_by_the_local_rule_and_goes_over_without_jumps() {
    let missed = |wanted: &WantedTask| DueOutcome { request: wanted.request, outcome: OutcomeBody::Missed };
    let (carried, loose) = (circling(answered), circling(missed));
    assert!(carried[100..].iter().all(|(_, carried)| *carried));
    assert!(loose.iter().all(|(_, carried)| !carried));
    for ((a, _), (b, _)) in carried.iter().zip(&loose) {
        assert!(a.distance(*b) < 0.1, "{a:?} {b:?}");
        let out = a.distance(Vec2::new(0.0, 15.0));
        assert!((8.5..11.5).contains(&out), "it goes round: {out}");
    }
    let leap = carried.windows(2).map(|pair| pair[0].0.distance(pair[1].0)).fold(0.0, f32::max);
    assert!(leap < 1.8 / 60.0 + 0.002, "{leap} m in a tick");
    let way = carried[0].0.distance(carried[599].0);
    assert!(way > 10.0, "it has come a quarter round: {way}");
}

#[test]
fn rocks_that_come_with_a_new_wave_circle_the_well_and_do_not_start_in_it() {
    let mut arena = Arena::new(ArenaConfig::default());
    arena.enter_sector(2);
    arena.config.rocks.drift = 0.0;
    arena.rocks.clear();
    arena.regrow_rocks();
    let [well] = arena.wells() else { panic!("{:?}", arena.wells()) };
    assert!(arena.rocks().len() > 30, "{}", arena.rocks().len());
    for rock in arena.rocks() {
        let out = rock.position - well.position;
        assert!(out.length() >= 5.0 + rock.radius, "{rock:?}");
        assert!(out.left().dot(rock.velocity) > 0.0, "{rock:?}");
    }
}

#[test]
fn sectors_with_wells_are_admitted_flown_within_their_fuel_and_do_not_heap_up() {
    for number in [2, 4] {
        let mut arena = Arena::new(empty_config());
        arena.config.rocks = RockRules::default();
        arena.enter_sector(number);
        let first = arena.rocks().len();
        assert!(!arena.wells().is_empty() && first > 60, "{first}");
        let mut played = Played::new(arena, 12, answered);
        let mut failed = 0;
        for _ in 0..60 * 90 {
            let step = played.step(Controls::default());
            failed +=
                step.events.iter().filter(|event| matches!(event, ArenaEvent::PhysicsInline { .. })).count();
            assert_sound(&played.arena);
        }
        assert!(failed <= 1, "{failed} windows had no outcome in sector {number}");
        let left = played.arena.rocks().len();
        assert!(left > first / 3, "{left} of {first} rocks are left after a minute and a half");
    }
}
