//! Fragments: where they come from, what they do on contact, and when they expire.

use p2c2r_tasks::physics::PhysicsSpec;

use super::*;
use crate::layout;
use crate::planning::Who;

/// An empty arena whose rocks shatter into up to `fragments`, with room for `most`.
fn shattering(fragments: u32, most: u32) -> Arena {
    let mut config = empty_config();
    (config.rocks.fragments, config.rocks.fragments_max, config.rocks.fragment_ticks) =
        (fragments, most, 300);
    Arena::new(config)
}

/// Breaks the rock at `index`.
fn break_rock(arena: &mut Arena, index: usize) {
    for _ in 0..arena.rocks[index].hits_left {
        arena.hit_rock(index, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    }
}

fn fragments(arena: &Arena) -> impl Iterator<Item = &Rock> {
    arena.rocks().iter().filter(|rock| rock.is_fragment())
}

#[test]
fn a_rock_shatters_into_fragments_inside_it_that_fly_apart() {
    let mut arena = shattering(30, 100);
    let centre = Vec2::new(0.0, 10.0);
    arena.put_rock(centre, 2.0);
    break_rock(&mut arena, 0);
    let pieces: Vec<Rock> = arena.rocks().iter().filter(|rock| !rock.is_fragment()).copied().collect();
    assert_eq!(pieces.len(), 2, "the pieces are there as before");
    let all: Vec<Rock> = fragments(&arena).copied().collect();
    assert!((8..=30).contains(&all.len()), "{} fragments", all.len());
    for (index, one) in all.iter().enumerate() {
        assert!(one.position.distance(centre) + one.radius <= 2.0 + 1e-3);
        let others = all[..index].iter().chain(&pieces);
        for other in others {
            assert!(one.position.distance(other.position) > one.radius + other.radius, "in one another");
        }
    }
    let away = all.iter().filter(|one| (one.position - centre).dot(one.velocity) > 0.0).count();
    assert!(away * 10 > all.len() * 7, "{away} of {} fly outwards", all.len());
    assert!(arena.rocks().windows(2).all(|pair| pair[0].id < pair[1].id));
    // A rock too small for pieces shatters too.
    let mut small = shattering(30, 100);
    small.put_rock(centre, 1.0);
    break_rock(&mut small, 0);
    assert!(small.rocks().iter().all(Rock::is_fragment) && small.rocks().len() >= 5);
}

#[test]
fn fragments_come_to_rest_and_are_gone_where_a_window_begins() {
    let mut played = Played::new(shattering(30, 100), 12, answered);
    played.arena.put_rock(Vec2::new(0.0, 10.0), 2.0);
    break_rock(&mut played.arena, 0);
    let gone_at = played.arena.tick() + 300;
    let (fastest, mut slowest) = (speed_of_all(&played.arena), f32::MAX);
    let mut count = fragments(&played.arena).count();
    while played.arena.tick() < gone_at + 60 {
        played.step(Controls::default());
        let now = fragments(&played.arena).count();
        let begun = played.arena.physics().age_ticks == 0;
        assert!(now == count || begun, "{count} to {now} within a window");
        assert!(now == count || played.arena.tick() >= gone_at, "before their time");
        if now > 0 {
            slowest = speed_of_all(&played.arena);
        }
        count = now;
    }
    assert_eq!(count, 0, "all are gone");
    assert!(slowest < 0.6 * fastest, "{slowest} of {fastest} m/s are left");
}

fn speed_of_all(arena: &Arena) -> f32 {
    fragments(arena).map(|fragment| fragment.velocity.length()).fold(0.0, f32::max)
}

#[test]
fn the_oldest_fragments_give_way() {
    let mut arena = shattering(30, 25);
    for number in 0..6 {
        arena.put_rock(Vec2::new(5.0 * number as f32 - 15.0, 10.0), 2.0);
    }
    let mut newest = 0;
    while let Some(index) = arena.rocks().iter().position(|rock| rock.radius > 1.9) {
        break_rock(&mut arena, index);
        let ids: Vec<u32> = fragments(&arena).map(|fragment| fragment.id.0).collect();
        assert!(ids.len() <= 25 && ids.last() > Some(&newest), "{ids:?}");
        newest = ids[ids.len() - 1];
    }
}

#[test]
fn fragments_hurt_nobody_stop_bullets_and_are_in_no_way() {
    let mut arena = shattering(30, 100);
    arena.put_rock(Vec2::new(0.0, 4.6), 1.2);
    break_rock(&mut arena, 0);
    arena.rocks.retain(Rock::is_fragment);
    let grid = |arena: &Arena| {
        let rocks = arena.rocks().iter().filter(|rock| !rock.is_fragment());
        arena
            .field
            .occupancy(rocks.map(|rock| (rock.position, rock.radius)), layout::clearance(arena.config()))
    };
    assert_eq!(grid(&arena), grid(&empty()));
    // Fast enough to lose the ship on a rock.
    arena.ship.velocity = Vec2::new(0.0, 14.0);
    let mut bumped = false;
    for _ in 0..40 {
        let events = arena.step(Controls::default(), &[]).events;
        bumped |= events.iter().any(|event| matches!(event, ArenaEvent::Bumped { .. }));
    }
    assert!(bumped && arena.lives() == 3, "pushed aside");
    let (before, score) = (arena.rocks().len(), arena.score());
    assert!(before > 0, "not all were in its way");
    arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    assert_eq!((arena.rocks().len(), arena.score()), (before - 1, score));
}

/// Every sort of hull that meets fragments.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flier {
    Ship,
    Wingman,
    Enemy(EnemyRole),
}

const FLIERS: [Flier; 6] = [
    Flier::Ship,
    Flier::Wingman,
    Flier::Enemy(EnemyRole::Rammer),
    Flier::Enemy(EnemyRole::Gunner),
    Flier::Enemy(EnemyRole::Carrier),
    Flier::Enemy(EnemyRole::Boss),
];

/// An arena with a fragment at rest in the middle and `flier` half a metre before it, at `speed` upwards. All
/// hulls are as large as the ship, and none steers.
fn before_a_fragment(flier: Flier, speed: f32) -> Arena {
    let mut config = empty_config();
    config.rocks.fragments = 1;
    config.wingmen.flying = u8::from(flier == Flier::Wingman);
    let (enemies, radius) = (&mut config.enemies, config.ship.radius);
    (enemies.agility, config.wingmen.agility, config.ship.drag) = (0.1, 0.1, 0.0);
    (enemies.radius, enemies.carrier_radius, enemies.boss_radius) = (radius, radius, radius);
    config.wingmen.radius = radius;
    let mut arena = Arena::new(config);
    arena.put_rock(Vec2::ZERO, 1.0);
    break_rock(&mut arena, 0);
    arena.rocks.retain(Rock::is_fragment);
    assert_eq!(arena.rocks.len(), 1);
    let rest = arena.stuff();
    arena.rocks[0].disturb(&rest, Vec2::ZERO, [0.0; 3], arena.tick);
    let fragment = arena.rocks[0].position;
    let start = fragment - Vec2::FORWARD * (radius + arena.rocks[0].radius + 0.5);
    arena.ship.position = Vec2::new(30.0, 30.0);
    match flier {
        Flier::Ship => (arena.ship.position, arena.ship.velocity) = (start, Vec2::FORWARD * speed),
        Flier::Wingman => {
            (arena.wingmen[0].position, arena.wingmen[0].velocity) = (start, Vec2::FORWARD * speed);
        }
        Flier::Enemy(role) => {
            arena.add_enemy(role, start);
            arena.enemies[0].velocity = Vec2::FORWARD * speed;
            arena.enemies[0].cooldown_ticks = 6_000;
        }
    }
    arena
}

fn velocity_of(arena: &Arena, flier: Flier) -> Vec2 {
    match flier {
        Flier::Ship => arena.ship.velocity,
        Flier::Wingman => arena.wingmen[0].velocity,
        Flier::Enemy(_) => arena.enemies[0].velocity,
    }
}

#[test]
fn fragments_bounce_off_whatever_flies_into_them_slowly() {
    for flier in FLIERS {
        let mut arena = before_a_fragment(flier, 5.0);
        let hull = arena.ship.hull;
        while arena.rocks[0].velocity == Vec2::ZERO {
            assert!(arena.tick() < 30, "{flier:?} flies through a fragment");
            arena.step(Controls::default(), &[]);
        }
        let pushed = arena.rocks[0].velocity;
        // At equal size and speed all push it alike; their engines make a difference of some hundredths in these few
        // ticks.
        assert!((6.0..7.0).contains(&pushed.y) && pushed.x.abs() < 0.5, "{flier:?}: {pushed:?}");
        let left = velocity_of(&arena, flier);
        assert!((4.3..4.9).contains(&left.y), "{flier:?} goes on at {left:?}");
        assert_eq!((arena.ship.hull, arena.rocks.len()), (hull, 1));
    }
}

#[test]
fn fragments_break_on_whatever_flies_into_them_fast_and_hurt_nobody() {
    for flier in FLIERS {
        let mut arena = before_a_fragment(flier, 8.0);
        let hits = arena.enemies.first().map(|enemy| enemy.hits_left);
        let (hull, score) = (arena.ship.hull, arena.score());
        let mut sparks = 0;
        for _ in 0..12 {
            let events = arena.step(Controls::default(), &[]).events;
            sparks += events.iter().filter(|event| matches!(event, ArenaEvent::Hit { .. })).count();
        }
        assert_eq!((arena.rocks.len(), sparks), (0, 1), "{flier:?}");
        let left = velocity_of(&arena, flier);
        assert!((7.0..7.9).contains(&left.y), "{flier:?} goes on at {left:?}");
        assert_eq!(arena.enemies.first().map(|enemy| enemy.hits_left), hits);
        assert_eq!((arena.ship.hull, arena.score()), (hull, score));
    }
}

/// A fragment that cannot move aside slows nobody down for long.
#[test]
fn a_fragment_before_a_rock_holds_nobody_up() {
    let mut arena = before_a_fragment(Flier::Enemy(EnemyRole::Gunner), 2.0);
    let fragment = arena.rocks[0];
    let past = fragment.position + Vec2::FORWARD * 0.6;
    for side in [-1.0, 1.0] {
        arena.put_rock(fragment.position + Vec2::new(side * 1.4, 0.8), 0.6);
    }
    for _ in 0..120 {
        arena.enemies[0].velocity = Vec2::FORWARD * 2.0;
        arena.step(Controls::default(), &[]);
    }
    assert!(arena.enemies[0].position.y > past.y, "{:?}", arena.enemies[0].position);
}

#[test]
fn plans_know_of_no_fragments() {
    let mut arena = before_a_fragment(Flier::Wingman, 0.0);
    let who = [Who::Wingman(arena.wingmen[0].id)];
    assert_eq!(arena.situation(&who, arena.tick() + 18).rocks, []);
    arena.put_rock(Vec2::new(4.0, 4.0), 1.0);
    assert_eq!(arena.situation(&who, arena.tick() + 18).rocks.len(), 1);
}

/// A requested window starts from where the one before ends, so most of its spec need not be sent.
#[test]
fn specs_are_mostly_what_the_window_before_left() {
    let mut played = Played::new(Arena::new(ArenaConfig::default()), 12, answered);
    let (mut whole_bytes, mut bytes, mut windows) = (0, 0, 0);
    for _ in 0..900 {
        let wanted = played.step(Controls { fire: true, turn: 1, ..Controls::default() }).wanted;
        for task in wanted {
            let WantedSpec::Physics { spec, before: Some((_, motions)) } = &task.spec else { continue };
            let Some((changes, left)) = motions.changes(spec) else { continue };
            let blobs = Blobs::new(vec![left]);
            let whole: PhysicsSpec = changes.whole(&blobs).unwrap().into_owned();
            assert_eq!(&whole, spec);
            whole_bytes += Physics::encode_spec(spec).len();
            bytes += Physics::encode_spec(&changes).len();
            windows += 1;
        }
    }
    assert!(windows > 20 && bytes * 3 < whole_bytes, "{windows} windows, {bytes} of {whole_bytes} bytes");
}
