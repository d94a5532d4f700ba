//! Fragments: where they come from, what they do to whom, and when they are gone.

use p2c2r_tasks::physics::PhysicsSpec;

use super::*;
use crate::layout;

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
    // One that is too small for pieces shatters all the same.
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
    let before = arena.rocks().len();
    assert!(before > 0);
    // Fast enough to be lost on a rock.
    arena.ship.velocity = Vec2::new(0.0, 14.0);
    let mut bumped = false;
    for _ in 0..40 {
        let events = arena.step(Controls::default(), &[]).events;
        bumped |= events.iter().any(|event| matches!(event, ArenaEvent::Bumped { .. }));
    }
    assert!(bumped && arena.lives() == 3, "pushed aside");
    let score = arena.score();
    arena.hit_rock(0, Vec2::ZERO, Vec2::FORWARD, &mut Vec::new());
    assert_eq!((arena.rocks().len(), arena.score()), (before - 1, score));
}

/// A window that is asked for starts from where the one before ends, so most of it need not be said.
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
