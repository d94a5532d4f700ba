//! Sectors and the warp from one to the next.

use super::*;
use crate::layout;

/// An arena whose sectors have one wave each, just before the end of the first.
fn at_the_end_of_a_sector() -> Arena {
    let config = ArenaConfig {
        sectors: SectorRules { waves: 1, ..SectorRules::default() },
        waves: WaveRules { pause_ticks: 5, ..WaveRules::default() },
        ..ArenaConfig::default()
    };
    let mut arena = Arena::new(config);
    while arena.wave() == 0 {
        arena.step(Controls::default(), &[]);
    }
    arena.enemies.clear();
    arena
}

/// Steps to the next event of this kind.
fn until(arena: &mut Arena, wanted: fn(&ArenaEvent) -> bool) -> ArenaEvent {
    (0..600)
        .find_map(|_| arena.step(Controls::default(), &[]).events.into_iter().find(&wanted))
        .expect("it happens within ten seconds")
}

#[test]
fn behind_a_sectors_last_wave_the_ship_warps_within_two_seconds_and_the_next_wave_waits_for_it() {
    let mut arena = at_the_end_of_a_sector();
    arena.ship.position = Vec2::new(11.0, -7.0);
    let (before, number) = (arena.tick(), arena.sector().number);
    let warp = until(&mut arena, |event| matches!(event, ArenaEvent::WarpStarted { .. }));
    let ArenaEvent::WarpStarted { ticks } = warp else { unreachable!() };
    assert_eq!(arena.warp_ticks(), Some(ticks));
    let old: Vec<RockId> = arena.rocks().iter().map(|rock| rock.id).collect();
    until(&mut arena, |event| matches!(event, ArenaEvent::SectorEntered { sector: 2 }));
    assert_eq!((arena.sector().number, arena.warp_ticks()), (number + 1, None));
    assert!(arena.tick() - before <= 2 * u64::from(TICKS_PER_SECOND));
    assert_eq!(arena.ship().position, Vec2::ZERO);
    assert!(arena.enemies().is_empty() && arena.bullets().is_empty());
    assert!(arena.rocks().len() > 50 && arena.rocks().iter().all(|rock| !old.contains(&rock.id)));
    assert_sound(&arena);
    until(&mut arena, |event| matches!(event, ArenaEvent::WaveStarted { wave: 2, .. }));
}

#[test]
fn what_lies_about_comes_along_and_a_lost_ship_is_waited_for() {
    let mut arena = at_the_end_of_a_sector();
    let pickup = Pickup {
        id: PickupId(1),
        kind: PickupKind::Missiles,
        position: Vec2::new(30.0, 0.0),
        ticks_left: 900,
    };
    arena.pickups.push(pickup);
    let missiles = arena.ship().missiles;
    let mut away = arena.clone();
    until(&mut arena, |event| matches!(event, ArenaEvent::SectorEntered { .. }));
    assert_eq!(arena.ship().missiles, missiles + arena.config().pickups.missiles);
    away.lose_ship(Harm::Shot, Vec2::FORWARD, &mut Vec::new());
    (away.ship.away_ticks, away.lives) = (600, 2);
    until(&mut away, |event| matches!(event, ArenaEvent::SectorEntered { .. }));
    assert!(!away.ship().alive && away.pickups().is_empty());
    until(&mut away, |event| matches!(event, ArenaEvent::ShipReturned { .. }));
}

#[test]
fn a_ship_that_arrives_fast_is_not_hurt_by_a_rock_that_it_could_not_see() {
    let mut arena = at_the_end_of_a_sector();
    while arena.warp_ticks() != Some(1) {
        arena.step(Controls::default(), &[]);
    }
    (arena.ship.heading, arena.ship.invulnerable_ticks) = (Vec2::FORWARD, 0);
    arena.ship.velocity = Vec2::FORWARD * 12.0;
    let burning = Controls { thrust: 1, ..Controls::default() };
    arena.step(burning, &[]);
    assert_eq!(arena.sector().number, 2);
    arena.put_rock(Vec2::FORWARD * 8.6, 1.6);
    let told: Vec<_> = (0..60).flat_map(|_| arena.step(burning, &[]).events).collect();
    let crash_speed = arena.config().ship.crash_speed;
    assert!(
        told.iter().any(|event| matches!(event, ArenaEvent::Bumped { speed, .. } if *speed >= crash_speed)),
        "it flies into the rock: {told:?}"
    );
    let hurt =
        |event: &ArenaEvent| matches!(event, ArenaEvent::ShipHurt { .. } | ArenaEvent::ShipLost { .. });
    assert!(!told.iter().any(hurt), "{told:?}");
}

#[test]
fn a_sector_follows_from_its_seed_and_number_alone() {
    let ways = [0, 200].map(|ticks| {
        let mut arena = Arena::new(ArenaConfig { seed: 5, ..ArenaConfig::default() });
        for tick in 0..ticks {
            arena.step(determinism::scripted(tick), &[]);
        }
        arena.enter_sector(2);
        let places: Vec<Vec2> = arena.rocks().iter().map(|rock| rock.position).collect();
        let entrance: Vec<Vec2> = arena.rocks_at_entrance().iter().map(|rock| rock.position).collect();
        assert_eq!(places, entrance);
        (places, arena.wells().to_vec())
    });
    assert_eq!(ways[0], ways[1]);
    let mut other = Arena::new(ArenaConfig { seed: 6, ..ArenaConfig::default() });
    other.enter_sector(2);
    assert_ne!(other.wells(), ways[0].1);
}

#[test]
fn what_was_at_the_entrance_is_known_whatever_has_happened_since() {
    let mut arena = Arena::new(ArenaConfig::default());
    let places = |rocks: &[Rock]| -> Vec<Vec2> { rocks.iter().map(|rock| rock.position).collect() };
    let first = places(arena.rocks());
    for tick in 0..120 {
        arena.step(determinism::scripted(tick), &[]);
    }
    let before = arena.digest();
    assert_ne!(places(arena.rocks()), first);
    assert_eq!(places(&arena.rocks_at_entrance()), first);
    assert_eq!(arena.digest(), before);
}

#[test]
fn sectors_differ_in_look_and_density_and_every_one_can_be_crossed() {
    let mut arena = Arena::new(ArenaConfig::default());
    let mut stars = Vec::new();
    let mut counts = Vec::new();
    for number in 1..=crate::balance::BALANCE.sectors.len() as u32 {
        arena.enter_sector(number);
        let plan = arena.sector().plan();
        assert_eq!(arena.wells().len(), plan.wells as usize);
        stars.push(plan.star);
        counts.push(arena.rocks().len());
        let field = &arena.field;
        let rocks = arena.rocks().iter().map(|rock| (rock.position, rock.radius));
        let grid = field.occupancy(rocks, layout::clearance(arena.config()));
        let steps = field.steps(&grid, field.cell_at(Vec2::ZERO));
        let lane = Vec2::new(1.0, 1.0) * (arena.config().enemies.radius + 1.6 - field.half);
        assert!(steps.to(field.cell_at(lane)).is_some(), "sector {number}");
        let near = arena.rocks().iter().filter(|rock| rock.position.length() < 7.0).count();
        assert_eq!(near, 0, "the ship arrives in the middle of sector {number}");
    }
    stars.sort_unstable();
    stars.dedup();
    assert_eq!(stars.len(), crate::balance::BALANCE.sectors.len());
    assert!(counts.iter().max() > counts.iter().min().map(|least| least + least / 2).as_ref(), "{counts:?}");
}

#[test]
fn an_arena_without_warps_stays_in_its_first_sector() {
    let mut arena = at_the_end_of_a_sector();
    arena.config.sectors.waves = 0;
    until(&mut arena, |event| matches!(event, ArenaEvent::WaveStarted { wave: 2, .. }));
    assert_eq!(arena.sector().number, 1);
}

#[test]
fn a_restart_begins_in_another_first_sector() {
    let mut arena = Arena::new(ArenaConfig::default());
    let first = arena.sector().clone();
    while !arena.is_over() {
        arena.lose_life(Vec2::ZERO, Harm::Shot, Vec2::FORWARD, &mut Vec::new());
    }
    arena.step(Controls { restart: true, ..Controls::default() }, &[]);
    assert_eq!(arena.sector().number, 1);
    assert_ne!(arena.sector().seed, first.seed);
}
