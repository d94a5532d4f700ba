//! What the arena asks for, and that the answers improve the play.

use p2c2r_protocol::limits::BLOB_BYTES_MAX;
use p2c2r_tasks::path::Grid;

use super::*;
use crate::enemies::EnemyRole;

/// Bytes that a typical path spec may have.
const SPEC_BYTES_TYPICAL: usize = 1_200;

/// Plays `ticks` with the autopilot and passes every wanted task to `look`.
fn watch(config: ArenaConfig, ticks: u64, mut look: impl FnMut(&Arena, &WantedTask)) {
    let mut played = Played::new(Arena::new(config), 12, answered);
    let mut autopilot = Autopilot::default();
    while played.arena.tick() < ticks {
        let controls = autopilot.controls(&played.arena);
        let step = played.step(controls);
        let paths = step.wanted.iter().filter(|wanted| wanted.path().is_some());
        paths.for_each(|wanted| look(&played.arena, wanted));
    }
}

#[test]
fn wanted_tasks_are_admitted_small_and_answered_soundly() {
    for (config, ticks) in [(ArenaConfig::default(), 3_600), (ArenaConfig::stress(), 400)] {
        let mut seen = 0;
        watch(config, ticks, |arena, wanted| {
            let (spec, grid) = wanted.path().unwrap();
            let blobs = Blobs::new(vec![Arc::clone(grid)]);
            Path::admit(spec, &blobs).unwrap();
            assert!(Path::encode_spec(spec).len() <= SPEC_BYTES_TYPICAL);
            assert!(grid.bytes().len() <= BLOB_BYTES_MAX);
            assert_eq!(spec.grid, grid.digest());
            let cells = Grid::from_blob(grid.bytes()).unwrap();
            assert!(spec.queries.iter().all(|query| !cells.is_blocked(query.from)));
            assert!(spec.queries.iter().all(|query| !cells.is_blocked(query.to)));
            // Now and then an enemy is squeezed into a gap between rocks, from where no path leads.
            let asking = arena.pathing.pending_enemies().len();
            assert!(asking * 4 >= arena.enemies().len() * 3 && (1..=spec.queries.len()).contains(&asking));
            Path::check(spec, &blobs, &solve(wanted)).unwrap();
            seen += 1;
        });
        assert!(seen > 5, "{seen} requests");
    }
}

#[test]
fn paths_are_asked_for_when_a_wave_starts_and_then_regularly() {
    let mut arena = Arena::new(ArenaConfig::default());
    let period = u64::from(arena.config().paths.period_ticks);
    let mut asked = Vec::new();
    let mut started = None;
    while asked.len() < 5 {
        let step = arena.step(Controls::default(), &[]);
        if step.events.iter().any(|event| matches!(event, ArenaEvent::WaveStarted { .. })) {
            started = Some(arena.tick());
        }
        asked.extend(step.wanted.iter().filter(|wanted| wanted.path().is_some()).map(|_| arena.tick()));
    }
    let start = started.unwrap();
    assert_eq!(asked, (0..5).map(|n| start + n * period).collect::<Vec<_>>());
}

#[test]
fn the_grid_is_the_same_object_until_a_rock_changes() {
    let rocks = RockRules { drift: 0.0, pieces: 0, ..RockRules::default() };
    let mut arena = Arena::new(ArenaConfig { rocks, ..ArenaConfig::default() });
    let next_grid = |arena: &mut Arena| loop {
        let step = arena.step(Controls::default(), &[]);
        if let Some((_, grid)) = step.wanted.iter().find_map(WantedTask::path) {
            return Arc::clone(grid);
        }
    };
    let first = next_grid(&mut arena);
    assert!(Arc::ptr_eq(&first, &next_grid(&mut arena)));
    arena.rocks[0].hits_left = 1;
    arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    let changed = next_grid(&mut arena);
    assert_ne!(first.digest(), changed.digest());
    assert!(Arc::ptr_eq(&changed, &next_grid(&mut arena)));
}

/// An arena with a wall that has one gap at its right end, and enemies on the other side of it from the ship.
fn behind_a_long_wall(seed: u64, role: EnemyRole, count: u16) -> Arena {
    let mut arena = Arena::new(ArenaConfig { seed, ..ArenaConfig::default() });
    arena.rocks.retain(|rock| rock.position.y.abs() > rock.radius + 2.5);
    for step in 0..37u16 {
        arena.put_rock(Vec2::new(f32::from(step) * 2.0 - 39.0, 0.0), 0.9);
    }
    arena.ship.position = Vec2::new(6.0, -6.0);
    for number in 0..count {
        arena.add_enemy(role, Vec2::new(f32::from(number) * 2.0 - 8.0, 28.0));
    }
    arena
}

#[test]
fn no_task_ends_by_its_fuel_where_all_ways_are_detours() {
    let roles = [EnemyRole::Gunner, EnemyRole::Rammer, EnemyRole::Carrier];
    for (seed, role) in (1..=6).zip(roles.into_iter().cycle()) {
        let mut arena = behind_a_long_wall(seed, role, 12);
        let wanted = arena.want_paths(true).expect("a request");
        let (spec, grid) = wanted.path().unwrap();
        let ran = Path::run(spec, &Blobs::new(vec![Arc::clone(grid)]), &Stop::never());
        assert!(ran.is_ok(), "seed {seed}, {role:?}: {ran:?}, {} queries", spec.queries.len());
        assert_eq!(arena.pathing.pending_enemies().len(), 12, "seed {seed}, {role:?}: some are left out");
    }
}

/// Ticks until an enemy that starts in front of a deep hollow reaches the ship behind it.
fn ticks_through_the_hollow(answer: fn(&WantedTask) -> DueOutcome) -> u64 {
    let mut arena = empty();
    for step in -6i16..=6 {
        arena.put_rock(Vec2::new(f32::from(step) * 2.0, 0.0), 0.9);
    }
    for step in 1i16..=5 {
        arena.put_rock(Vec2::new(-12.0, f32::from(step) * 2.0), 0.9);
        arena.put_rock(Vec2::new(12.0, f32::from(step) * 2.0), 0.9);
    }
    arena.ship.position = Vec2::new(0.0, -10.0);
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 18.0));
    let mut played = Played::new(arena, 18, answer);
    while !played.arena.enemies().is_empty() && played.arena.tick() < 3_600 {
        played.step(Controls::default());
    }
    played.arena.tick()
}

#[test]
fn a_path_leads_round_a_hollow_that_catches_a_nose() {
    let (with, without) = (ticks_through_the_hollow(answered), ticks_through_the_hollow(failed));
    assert!(with < 600, "{with} ticks with paths");
    assert!(without > 2 * with, "{without} ticks without paths, {with} with");
}

/// Sum over the enemies of a first wave of the ticks until each has come near a ship at rest.
fn ticks_to_gather(seed: u64, answer: fn(&WantedTask) -> DueOutcome) -> u64 {
    let config = ArenaConfig {
        seed,
        ship: ShipRules { invulnerable_ticks: 600, ..ShipRules::default() },
        ..ArenaConfig::default()
    };
    let mut played = Played::new(Arena::new(config), 18, answer);
    let mut sum = 0;
    while played.arena.tick() < 1_000 {
        played.arena.ship.invulnerable_ticks = 600;
        played.step(Controls::default());
        let at = played.arena.ship().position;
        sum +=
            played.arena.enemies().iter().filter(|enemy| enemy.position.distance(at) > 10.0).count() as u64;
    }
    sum
}

#[test]
fn enemies_with_paths_gather_sooner_in_generated_arenas() {
    let total = |answer| (1..=6).map(|seed| ticks_to_gather(seed, answer)).sum::<u64>();
    let (with, without) = (total(answered), total(failed));
    assert!(with * 5 < without * 4, "{with} enemy ticks on the way with paths, {without} without");
}

/// A ship that sways behind a wide wall makes each of the two paths round it the shorter one in turn; an
/// enemy must not turn back each time.
#[test]
fn an_enemy_does_not_dither_between_two_ways_of_like_length() {
    let mut arena = empty();
    for step in -8i16..=8 {
        arena.put_rock(Vec2::new(f32::from(step) * 2.0, 0.0), 0.9);
    }
    arena.ship.position = Vec2::new(4.5, -8.0);
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(0.0, 10.0));
    let mut played = Played::new(arena, 6, answered);
    while !played.arena.enemies().is_empty() {
        let side = if (played.arena.tick() / 30).is_multiple_of(2) { 4.5 } else { -4.5 };
        played.arena.ship.position = Vec2::new(side, -8.0);
        played.step(Controls::default());
        assert!(played.arena.tick() < 900, "still at {:?}", played.arena.enemies().first());
    }
}
