//! Ships, enemies, bullets, score, lives and waves.

use super::*;
use crate::bullets::Shooter;
use crate::enemies::EnemyRole;

fn still() -> Controls {
    Controls::default()
}

/// Steps up to `ticks` times, until an event satisfies `wanted`.
fn until(
    arena: &mut Arena,
    controls: Controls,
    ticks: u32,
    wanted: fn(&ArenaEvent) -> bool,
) -> Option<ArenaEvent> {
    (0..ticks).find_map(|_| arena.step(controls, &[]).events.into_iter().find(&wanted))
}

#[test]
fn the_ship_turns_left_burns_along_its_heading_and_slows_by_drag() {
    let mut arena = empty();
    for _ in 0..20 {
        arena.step(Controls { turn: 1, ..still() }, &[]);
    }
    assert!(arena.ship().heading.x < -0.9, "4.2 rad/s for a third of a second is 80 degrees to the left");
    for _ in 0..30 {
        arena.step(Controls { thrust: 1, ..still() }, &[]);
    }
    let burning = arena.ship().velocity;
    assert!(burning.unit_or(Vec2::FORWARD).dot(arena.ship().heading) > 0.999 && burning.length() > 5.0);
    for _ in 0..60 {
        arena.step(still(), &[]);
    }
    let coasting = arena.ship().velocity.length();
    assert!(coasting < burning.length() * 0.25 && coasting > burning.length() * 0.15);
}

#[test]
fn controls_out_of_range_count_as_the_nearest() {
    let (mut far, mut near) = (empty(), empty());
    for _ in 0..30 {
        far.step(Controls { turn: i8::MIN, thrust: i8::MAX, fire: true, restart: true, ..still() }, &[]);
        near.step(Controls { turn: -1, thrust: 1, fire: true, ..still() }, &[]);
    }
    assert_eq!(far.digest(), near.digest());
}

#[test]
fn the_gun_fires_as_often_as_it_cools_down() {
    let mut arena = empty();
    let fired = (0..90)
        .flat_map(|_| arena.step(Controls { fire: true, ..still() }, &[]).events)
        .filter(|event| matches!(event, ArenaEvent::Fired { by: Shooter::Ship, .. }))
        .count();
    assert_eq!(fired, 10);
}

#[test]
fn a_rammer_takes_one_bullet_and_a_gunner_two() {
    for (role, bullets, points) in [(EnemyRole::Rammer, 1, 100), (EnemyRole::Gunner, 2, 150)] {
        let mut arena = empty();
        arena.add_enemy(role, Vec2::new(0.0, 12.0));
        for hit in 1..=bullets {
            let at = arena.enemies()[0].position;
            arena.fire(Shooter::Ship, at - Vec2::new(0.0, 2.0), Vec2::FORWARD, 30.0, 50, &mut Vec::new());
            let told = until(&mut arena, still(), 10, |event| {
                matches!(event, ArenaEvent::Hit { .. } | ArenaEvent::EnemyDestroyed { .. })
            });
            let destroyed =
                matches!(told, Some(ArenaEvent::EnemyDestroyed { points: paid, .. }) if paid == points);
            assert_eq!(destroyed, hit == bullets, "{role:?} after {hit}: {told:?}");
        }
        assert_eq!((arena.score(), arena.enemies().len()), (u64::from(points), 0));
    }
}

#[test]
fn bullets_do_not_jump_through_what_they_cross_in_one_tick() {
    let mut arena = empty();
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 20.0));
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 21.9));
    arena.config.enemies.agility = 0.0;
    arena.fire(Shooter::Ship, Vec2::new(0.0, 18.9), Vec2::FORWARD, 240.0, 50, &mut Vec::new());
    let first = arena.enemies()[0].id;
    let told = until(&mut arena, still(), 1, |event| matches!(event, ArenaEvent::EnemyDestroyed { .. }));
    assert!(
        matches!(told, Some(ArenaEvent::EnemyDestroyed { id, .. }) if id == first),
        "the nearer one: {told:?}"
    );
    assert_eq!(arena.enemies().len(), 1);
}

#[test]
fn ramming_costs_a_life_and_the_next_ship_cannot_be_hurt_for_a_while() {
    let mut arena = empty();
    arena.config.ship.invulnerable_ticks = 150;
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 6.0));
    let lost = until(&mut arena, still(), 300, |event| matches!(event, ArenaEvent::ShipLost { .. }));
    assert!(matches!(lost, Some(ArenaEvent::ShipLost { lives: 2, .. })));
    assert!(arena.enemies().is_empty() && !arena.ship().alive);
    let away = arena.tick();
    let back = until(&mut arena, still(), 300, |event| matches!(event, ArenaEvent::ShipReturned { .. }));
    assert!(back.is_some() && arena.ship().alive);
    assert_eq!(arena.tick() - away, u64::from(arena.config().ship.away_ticks));
    let at = arena.ship().position;
    arena.add_enemy(EnemyRole::Rammer, at);
    for _ in 0..150 {
        arena.enemies[0].position = arena.ship.position;
        arena.step(still(), &[]);
        assert_eq!(arena.lives(), 2 - u32::from(!arena.ship().alive));
    }
    assert_eq!(arena.lives(), 1, "protection ends after 150 ticks");
}

#[test]
fn the_last_life_ends_the_round_and_only_then_a_restart_is_heard() {
    let mut arena = Arena::new(ArenaConfig { seed: 5, ..ArenaConfig::default() });
    for _ in 0..200 {
        arena.step(Controls { restart: true, ..still() }, &[]);
    }
    assert_eq!((arena.wave(), arena.lives()), (1, 3), "restart means nothing during a round");
    while !arena.is_over() {
        arena.step(still(), &[]);
    }
    let score = arena.score();
    arena.destroy_enemy(0, &mut Vec::new());
    let (mut asked, mut moved) = (0, 0);
    for _ in 0..200 {
        let before: Vec<Vec2> = arena.enemies().iter().map(|enemy| enemy.position).collect();
        asked += arena.step(still(), &[]).wanted.len();
        moved +=
            arena.enemies().iter().zip(before).filter(|(enemy, before)| enemy.position != *before).count();
    }
    assert_eq!((arena.score(), asked), (score, 0), "no points and no requests after the end");
    assert!(moved > 0, "but enemies fly on");
    let last_enemy = arena.last_enemy;
    let step = arena.step(Controls { restart: true, ..still() }, &[]);
    assert_eq!(step.events.first(), Some(&ArenaEvent::RoundStarted));
    assert_eq!((arena.score(), arena.lives(), arena.wave(), arena.enemies().len()), (0, 3, 0, 0));
    until(&mut arena, still(), 400, |event| matches!(event, ArenaEvent::WaveStarted { wave: 1, enemies: 4 }))
        .expect("the first wave comes again");
    assert!(arena.enemies()[0].id.0 > last_enemy, "numbers are never used twice");
}

#[test]
fn damage_takes_the_shield_then_the_hull_then_the_ship_and_only_the_shield_comes_back() {
    let mut arena = empty();
    arena.config.ship = ShipRules { shield: 3, hull: 2, ..ShipRules::default() };
    arena.ship.shield = 3;
    arena.ship.hull = 2;
    let hurt = |arena: &mut Arena, damage| {
        arena.ship.invulnerable_ticks = 0;
        let mut events = Vec::new();
        arena.hurt_ship(damage, Harm::Shot, Vec2::FORWARD, &mut events);
        events
    };
    let told = hurt(&mut arena, 4);
    assert!(matches!(told[..], [ArenaEvent::ShipHurt { shield: 0, hull: 1, .. }]), "{told:?}");
    let mut second = Vec::new();
    arena.hurt_ship(1, Harm::Shot, Vec2::FORWARD, &mut second);
    assert!(second.is_empty(), "a moment of mercy");
    let (delay, point) = (arena.config.ship.shield_delay_ticks, arena.config.ship.shield_ticks);
    for _ in 0..delay {
        assert_eq!(arena.ship().shield, 0);
        arena.step(still(), &[]);
    }
    assert_eq!(arena.ship().shield, 1);
    for _ in 0..point * 9 {
        arena.step(still(), &[]);
    }
    assert_eq!((arena.ship().shield, arena.ship().hull), (3, 1));
    let told = hurt(&mut arena, 4);
    assert!(told.iter().any(|event| matches!(event, ArenaEvent::ShipLost { lives: 2, .. })), "{told:?}");
}

#[test]
fn boosting_is_faster_until_the_charge_is_gone_and_it_charges_again() {
    let top = |boost: bool| {
        let mut arena = empty();
        for _ in 0..80 {
            arena.step(Controls { thrust: 1, boost, ..still() }, &[]);
        }
        (arena.ship().velocity.length(), arena)
    };
    let ((plain, _), (boosted, mut arena)) = (top(false), top(true));
    assert!(boosted > plain * 1.4, "{boosted} against {plain}");
    for _ in 0..20 {
        arena.step(Controls { thrust: 1, boost: true, ..still() }, &[]);
    }
    assert!(!arena.ship().boosting && arena.ship().boost_ticks < 5);
    let all = u32::from(arena.config.ship.boost_ticks) * u32::from(arena.config.ship.boost_charge_ticks);
    for _ in 0..=all {
        arena.step(still(), &[]);
    }
    assert_eq!(arena.ship().boost_ticks, arena.config.ship.boost_ticks);
}

#[test]
fn what_is_left_of_the_charge_boosts_and_only_an_empty_one_waits_for_a_quarter() {
    let mut arena = empty();
    let full = arena.config.ship.boost_ticks;
    let boosting = Controls { thrust: 1, boost: true, ..still() };
    while arena.ship().boost_ticks > full / 6 {
        arena.step(boosting, &[]);
    }
    arena.step(still(), &[]);
    arena.step(boosting, &[]);
    assert!(arena.ship().boosting && !arena.ship().drained, "a sixth is left");
    while arena.ship().boost_ticks > 0 {
        arena.step(boosting, &[]);
    }
    let mut waited = 0;
    arena.step(boosting, &[]);
    while !arena.ship().boosting {
        assert!(arena.ship().drained && waited < 600, "after {waited} ticks");
        waited += 1;
        arena.step(boosting, &[]);
    }
    let quarter = u32::from(full.div_ceil(4)) * u32::from(arena.config.ship.boost_charge_ticks);
    assert!((quarter..quarter + 3).contains(&waited), "{waited} of {quarter} ticks");
}

#[test]
fn points_earn_lives_up_to_the_limit() {
    let mut arena = empty();
    let mut events = Vec::new();
    arena.earn(4_999, &mut events);
    assert_eq!((arena.lives(), events.len()), (3, 0));
    arena.earn(1, &mut events);
    assert_eq!((arena.lives(), events.last()), (4, Some(&ArenaEvent::LifeGained { lives: 4 })));
    arena.earn(1_000_000, &mut events);
    assert_eq!(arena.lives(), arena.config().ship.lives_max);
}

#[test]
fn waves_come_after_pauses_grow_and_pay() {
    let endless = WaveRules { designed: 0, boss_every: 0, ..WaveRules::default() };
    let mut arena = Arena::new(ArenaConfig { waves: endless, ..ArenaConfig::default() });
    let pause = u64::from(arena.config().waves.pause_ticks);
    for (wave, count) in [(1, 6), (2, 8), (3, 10)] {
        let from = arena.tick();
        let told = until(&mut arena, still(), 400, |event| matches!(event, ArenaEvent::WaveStarted { .. }));
        assert_eq!(told, Some(ArenaEvent::WaveStarted { wave, enemies: count }));
        assert_eq!(arena.tick() - from, pause);
        assert_eq!(arena.enemies().len(), count as usize);
        let gunners = arena.enemies().iter().filter(|enemy| enemy.role == EnemyRole::Gunner).count();
        assert_eq!(gunners, count as usize / 3);
        let at = arena.ship().position;
        assert!(arena.enemies().iter().all(|enemy| enemy.position.distance(at) > 15.0), "not upon the ship");
        while arena.enemies().len() > 1 {
            arena.destroy_enemy(0, &mut Vec::new());
        }
        arena.step(still(), &[]);
        let score = arena.score();
        arena.enemies.clear();
        let mut cleared = arena.step(still(), &[]).events;
        cleared.retain(|event| matches!(event, ArenaEvent::WaveCleared { .. }));
        assert_eq!(cleared, vec![ArenaEvent::WaveCleared { wave }]);
        assert_eq!(arena.score(), score + 250);
    }
}

#[test]
fn gunners_shoot_only_at_what_they_see_and_hurt_the_ship() {
    let mut arena = empty();
    arena.add_enemy(EnemyRole::Gunner, Vec2::new(0.0, 14.0));
    let mut covered = arena.clone();
    covered.put_rock(Vec2::new(0.0, 7.0), 5.0);
    covered.config.enemies.gunner_speed = 0.0;
    let shot = |event: &ArenaEvent| matches!(event, ArenaEvent::Fired { by: Shooter::Enemy(_), .. });
    assert!(until(&mut arena, still(), 200, shot).is_some());
    assert!(until(&mut covered, still(), 200, shot).is_none());
    let lost = until(&mut arena, still(), 600, |event| matches!(event, ArenaEvent::ShipLost { .. }));
    assert!(lost.is_some(), "a ship that stands still gets hit");
}

#[test]
fn enemies_bullets_spare_enemies_and_the_ships_spare_the_ship() {
    let mut arena = empty();
    arena.config.enemies.agility = 0.0;
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 12.0));
    arena.add_enemy(EnemyRole::Gunner, Vec2::new(0.0, 14.0));
    let gunner = arena.enemies()[1].id;
    let back = -Vec2::FORWARD;
    arena.fire(Shooter::Enemy(gunner), Vec2::new(0.0, 13.0), back, 20.0, 20, &mut Vec::new());
    arena.fire(Shooter::Ship, Vec2::new(0.0, -2.0), Vec2::FORWARD, 20.0, 20, &mut Vec::new());
    for _ in 0..19 {
        assert!(arena.step(still(), &[]).events.is_empty());
    }
    assert_eq!((arena.enemies().len(), arena.lives(), arena.bullets().len()), (2, 3, 2));
    arena.step(still(), &[]);
    assert!(arena.bullets().is_empty(), "after their 20 ticks they are gone");
}

#[test]
fn two_enemies_on_one_spot_part() {
    let mut arena = empty();
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 20.0));
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 20.0));
    for _ in 0..60 {
        arena.step(still(), &[]);
    }
    assert!(arena.enemies()[0].position.distance(arena.enemies()[1].position) > 0.7);
}

#[test]
fn who_only_looks_on_survives_well_past_a_minute_as_a_cadet() {
    for seed in 1..=8 {
        let mut arena = Arena::new(ArenaConfig { seed, ..ArenaConfig::of(Difficulty::Cadet) });
        while !arena.is_over() && arena.tick() < 120 * 60 {
            arena.step(still(), &[]);
        }
        let seconds = arena.tick() / 60;
        assert!(seconds >= 90, "seed {seed}: over after {seconds} s in wave {}", arena.wave());
    }
}

#[test]
fn a_round_begun_by_other_numbers_is_the_same_whatever_was_before_it() {
    let config = || ArenaConfig { seed: 9, ..ArenaConfig::of(Difficulty::Cadet) };
    let mut arena = Arena::new(ArenaConfig { seed: 3, ..ArenaConfig::default() });
    for _ in 0..300 {
        arena.step(Controls { fire: true, thrust: 1, ..still() }, &[]);
    }
    let (tick, last_rock) = (arena.tick(), arena.last_rock);
    arena.begin(config());
    assert_eq!((arena.tick(), arena.score(), arena.lives(), arena.wave()), (tick, 0, 3, 0));
    assert!(arena.rocks()[0].id.0 > last_rock, "numbers are never used twice");
    let fresh = Arena::new(config());
    let places = |arena: &Arena| -> Vec<Vec2> { arena.rocks().iter().map(|rock| rock.position).collect() };
    assert_eq!(places(&arena), places(&fresh));
}

#[test]
fn what_hurts_the_ship_is_told_with_the_side_that_it_comes_from() {
    let hurt = |arena: &mut Arena, controls| {
        arena.config.ship.shield = 9;
        arena.ship.shield = 9;
        until(arena, controls, 300, |event| matches!(event, ArenaEvent::ShipHurt { .. }))
    };
    let mut rammed = empty();
    rammed.add_enemy(EnemyRole::Rammer, Vec2::new(-6.0, 0.0));
    let told = hurt(&mut rammed, still());
    let Some(ArenaEvent::ShipHurt { by: Harm::Rammed(EnemyRole::Rammer), from, .. }) = told else {
        panic!("{told:?}")
    };
    assert!(from.x < -0.9, "{from:?}");

    let mut shot = empty();
    let gunner = Shooter::Enemy(EnemyId(9));
    shot.fire(gunner, Vec2::new(5.0, 0.0), Vec2::new(-1.0, 0.0), 30.0, 50, &mut Vec::new());
    let told = hurt(&mut shot, still());
    let Some(ArenaEvent::ShipHurt { by: Harm::Shot, from, .. }) = told else { panic!("{told:?}") };
    assert!(from.x > 0.9, "{from:?}");

    let mut crashed = empty();
    crashed.config.ship.crash_speed = 5.0;
    crashed.put_rock(Vec2::new(0.0, 12.0), 2.0);
    let told = hurt(&mut crashed, Controls { thrust: 1, ..still() });
    let Some(ArenaEvent::ShipHurt { by: Harm::Crashed, from, .. }) = told else { panic!("{told:?}") };
    assert!(from.y > 0.9, "{from:?}");
}
