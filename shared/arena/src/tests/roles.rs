//! How enemies' roles differ in their use of paths.

use p2c2r_tasks::path::QueryAnswer;

use super::*;
use crate::vec2::segment_distance_squared;

/// An arena in which nobody shoots and the ship is not hurt, with one enemy of this role.
fn with(role: EnemyRole, at: Vec2) -> Arena {
    let mut arena = empty();
    arena.ship.invulnerable_ticks = 6_000;
    arena.config.ship.invulnerable_ticks = 600;
    arena.add_enemy(role, at);
    arena.enemies[0].cooldown_ticks = 6_000;
    arena
}

/// A wall of rocks along `y` from `from` to `to` that blocks sight and flight.
fn wall(arena: &mut Arena, y: f32, from: i16, to: i16) {
    for step in from..=to {
        arena.put_rock(Vec2::new(f32::from(step) * 2.0, y), 0.9);
    }
}

/// The distance from the ship and whether the ship is seen, at each of some ticks.
fn watched(arena: Arena, ticks: u32) -> Vec<(f32, bool)> {
    let mut played = Played::new(arena, 12, answered);
    (0..ticks)
        .map(|_| {
            played.arena.ship.invulnerable_ticks = 600;
            played.step(Controls::default());
            let (enemy, ship) = (&played.arena.enemies()[0], played.arena.ship());
            let seen = !played.arena.rocks().iter().any(|rock| {
                segment_distance_squared(enemy.position, ship.position, rock.position)
                    < rock.radius * rock.radius
            });
            (enemy.position.distance(ship.position), seen)
        })
        .collect()
}

#[test]
fn a_gunner_backs_off_from_a_ship_that_is_too_near_and_then_keeps_its_distance() {
    let kept = EnemyRules::default().standoff;
    let way = watched(with(EnemyRole::Gunner, Vec2::new(0.0, 3.0)), 600);
    assert!(way[240..].iter().all(|(distance, _)| (kept * 0.75..kept * 1.25).contains(distance)), "{way:?}");
}

#[test]
fn a_gunner_without_a_line_of_sight_flies_to_where_it_has_one() {
    let mut arena = with(EnemyRole::Gunner, Vec2::new(0.0, 12.0));
    wall(&mut arena, 5.0, -4, 4);
    let way = watched(arena, 900);
    assert!(!way[30].1, "the wall hides the ship at first");
    let seeing = way.iter().position(|(_, seen)| *seen).expect("it finds a place");
    assert!(way[seeing + 120..].iter().filter(|(_, seen)| *seen).count() > (900 - seeing - 120) * 3 / 4);
    assert!(way.iter().all(|(distance, _)| *distance > 5.0), "and comes no nearer than it must");
}

#[test]
fn a_carrier_flees_from_a_ship_that_it_sees_and_hides_behind_rocks() {
    let way = watched(with(EnemyRole::Carrier, Vec2::new(0.0, 8.0)), 900);
    let kept = EnemyRules::default().carrier_distance;
    assert!(way.last().unwrap().0 > kept * 0.8, "{:?}", way.last());
    let mut arena = with(EnemyRole::Carrier, Vec2::new(8.0, 18.0));
    wall(&mut arena, 10.0, -3, 3);
    let hidden = watched(arena, 900);
    assert!(!hidden[600..].iter().any(|(_, seen)| *seen), "it waits behind the wall");
}

#[test]
fn paths_of_rammers_end_at_the_ship_those_of_gunners_where_it_is_seen_and_those_of_carriers_far_away() {
    let mut arena = empty();
    wall(&mut arena, 5.0, -4, 4);
    let roles = [EnemyRole::Rammer, EnemyRole::Gunner, EnemyRole::Carrier];
    for (role, x) in roles.into_iter().zip([-6.0, 0.0, 6.0]) {
        arena.add_enemy(role, Vec2::new(x, 25.0));
    }
    let wanted = (0..60).find_map(|_| {
        let step = arena.step(Controls::default(), &[]);
        step.wanted.into_iter().find(|wanted| wanted.path().is_some())
    });
    let wanted = wanted.expect("paths are asked for");
    let field = arena.field.clone();
    let ends: Vec<Vec2> = solve(&wanted)
        .answers
        .iter()
        .map(|answer| match answer {
            QueryAnswer::Found { waypoints, .. } => field.middle(*waypoints.last().unwrap()).unwrap(),
            QueryAnswer::Unreachable => panic!("everybody gets there"),
        })
        .collect();
    let ship = arena.ship().position;
    let seen = |from: Vec2| {
        !arena
            .rocks()
            .iter()
            .any(|rock| segment_distance_squared(from, ship, rock.position) < rock.radius * rock.radius)
    };
    let rules = &arena.config().enemies;
    assert!(ends[0].distance(ship) < 1.5);
    assert!((ends[1].distance(ship) - rules.standoff).abs() < 1.5 && seen(ends[1]));
    assert!((ends[2].distance(ship) - rules.carrier_distance).abs() < 1.5);
}

#[test]
fn nobody_asks_for_the_way_of_an_enemy_that_is_shut_in() {
    let mut arena = empty();
    for step in -2i16..=2 {
        let along = f32::from(step) * 2.0;
        for place in [(along, -4.0), (along, 4.0), (-4.0, along), (4.0, along)] {
            arena.put_rock(Vec2::new(place.0, 20.0 + place.1), 0.9);
        }
    }
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 20.0));
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(20.0, 20.0));
    let free = arena.enemies()[1].id;
    let step = (0..60)
        .map(|_| arena.step(Controls::default(), &[]))
        .find(|step| !step.wanted.is_empty() && step.wanted.iter().any(|wanted| wanted.path().is_some()));
    let wanted = step.expect("paths are asked for").wanted;
    let (spec, _) = wanted.iter().find_map(WantedTask::path).unwrap();
    assert_eq!(spec.queries.len(), 1);
    assert_eq!(arena.pathing.pending_enemies(), [free]);
}
