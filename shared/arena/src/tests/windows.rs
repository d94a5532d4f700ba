//! Rocks along trajectories: the same game whoever computes them and whenever they come, no jumps, no ghosts.

use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_tasks::physics::{
    Motion, POSITION_ERROR_M, ROTATION_ERROR_RAD, SPIN_ERROR_RAD_S, VELOCITY_ERROR_M_S,
};

use super::determinism::scripted;
use super::*;
use crate::dice::Dice;
use crate::rocks::Flight;

const MINUTE: u64 = 60 * TICKS_PER_SECOND as u64;

/// Ticks of a window by default.
const WINDOW: u64 = 30;

/// Outcomes on their way, each with the tick of the step that it is given to.
type Mail = Vec<(u64, DueOutcome)>;

/// A scripted minute in which paths come after 12 ticks and `post` says what comes of a wanted motion.
fn minute(mut post: impl FnMut(&WantedTask, u64, &mut Mail)) -> (Vec<Digest>, PhysicsInUse, Vec<ArenaEvent>) {
    let mut arena = Arena::new(ArenaConfig { seed: 42, ..ArenaConfig::default() });
    let (mut mail, mut events, mut digests) = (Mail::new(), Vec::new(), Vec::new());
    while arena.tick() < MINUTE {
        let now = arena.tick() + 1;
        let due: Vec<DueOutcome> = mail.extract_if(.., |(at, _)| *at <= now).map(|(_, due)| due).collect();
        let step = arena.step(scripted(arena.tick()), &due);
        assert_sound(&arena);
        events.extend(step.events);
        for wanted in step.wanted {
            if wanted.path().is_some() {
                mail.push((now + 12, answered(&wanted)));
            } else {
                post(&wanted, now, &mut mail);
            }
        }
        if now.is_multiple_of(u64::from(TICKS_PER_SECOND)) {
            digests.push(arena.digest());
        }
    }
    (digests, arena.physics(), events)
}

fn count(events: &[ArenaEvent], which: fn(&ArenaEvent) -> bool) -> usize {
    events.iter().filter(|event| which(event)).count()
}

/// An outcome that no check lets pass.
fn garbled(mut outcome: PhysicsOutcome, dice: &mut Dice) -> PhysicsOutcome {
    match dice.below(3) {
        0 => _ = outcome.segments.pop(),
        1 => outcome.segments.push(outcome.segments[0].clone()),
        _ => match outcome.segments.iter_mut().find_map(|segment| segment.touched.first_mut()) {
            Some(touched) => touched.state.position[0] += 8_192,
            None => outcome.segments.clear(),
        },
    }
    outcome
}

#[test]
fn who_computes_the_motions_and_when_they_come_leaves_no_trace() {
    let (on_time, seen, events) = minute(|wanted, now, mail| mail.push((now + 12, answered(wanted))));
    let windows = seen.windows;
    assert!(windows > 100 && seen.inline_windows == 0);
    let taken = count(&events, |event| matches!(event, ArenaEvent::PhysicsTaken { .. }));
    assert_eq!(taken as u64, seen.windows);
    assert!(count(&events, |event| matches!(event, ArenaEvent::RockDestroyed { .. })) > 3);
    assert!(count(&events, |event| matches!(event, ArenaEvent::RocksMet { .. })) > 10);

    let (never, seen, events) = minute(|_, _, _| ());
    assert_eq!((seen.windows, seen.inline_windows), (windows, windows));
    let inline = count(&events, |event| matches!(event, ArenaEvent::PhysicsInline { failed: false, .. }));
    assert_eq!(inline as u64, seen.inline_windows);
    assert!(never == on_time, "nothing comes");

    let mut dice = Dice::new(3);
    let (mixed, seen, events) = minute(|wanted, now, mail| {
        let outcome = fly(wanted.physics().unwrap());
        for _ in 0..dice.below(4) {
            let late = u64::from(dice.below(45));
            let sent = match dice.below(5) {
                0 => flown(wanted.request, garbled(outcome.clone(), &mut dice)),
                1 => flown(RequestId(wanted.request.0.wrapping_sub(dice.below(9))), outcome.clone()),
                2 => failed(wanted),
                3 => due(wanted.request, PathOutcome { answers: Vec::new() }),
                _ => flown(wanted.request, outcome.clone()),
            };
            mail.push((now + 1 + late, sent));
        }
    });
    let taken = count(&events, |event| matches!(event, ArenaEvent::PhysicsTaken { .. })) as u64;
    let ignored = count(&events, |event| matches!(event, ArenaEvent::OutcomeIgnored { .. }));
    assert!(taken > 15 && seen.inline_windows > 15 && ignored > 60, "{taken}, {seen:?}, {ignored}");
    assert_eq!(taken + seen.inline_windows, seen.windows);
    assert!(mixed == on_time, "late, doubled, garbled, missing");
}

/// Steps until motions are wanted.
fn next_motions(arena: &mut Arena) -> WantedTask {
    loop {
        let step = arena.step(Controls::default(), &[]);
        if let Some(wanted) = step.wanted.into_iter().find(|wanted| wanted.physics().is_some()) {
            return wanted;
        }
    }
}

fn wait(arena: &mut Arena, ticks: u64) -> Vec<ArenaEvent> {
    (0..ticks).flat_map(|_| arena.step(Controls::default(), &[]).events).collect()
}

#[test]
fn an_outcome_is_taken_once_and_only_until_its_window_begins() {
    let mut arena = Arena::new(ArenaConfig::default());
    let wanted = next_motions(&mut arena);
    assert_eq!(u64::from(wanted.deadline_ticks), WINDOW);
    let (good, request) = (answered(&wanted), wanted.request);
    let told = |arena: &mut Arena, due: &DueOutcome| {
        let events = arena.step(Controls::default(), std::slice::from_ref(due)).events;
        let taken = events.contains(&ArenaEvent::PhysicsTaken { request });
        assert_ne!(taken, events.contains(&ArenaEvent::OutcomeIgnored { request: due.request }));
        (taken, events.iter().any(|event| matches!(event, ArenaEvent::PhysicsInline { .. })))
    };
    let bad = flown(request, garbled(fly(wanted.physics().unwrap()), &mut Dice::new(1)));
    assert!(!told(&mut arena, &bad).0, "garbage is not taken");
    let mut late = arena.clone();
    assert!(told(&mut arena, &good).0, "but the right one after it");
    assert!(!told(&mut arena, &good).0, "once");
    wait(&mut late, WINDOW - 2);
    let mut too_late = late.clone();
    assert_eq!(
        told(&mut late, &good),
        (true, false),
        "given to the step that begins the window it is in time"
    );
    wait(&mut too_late, 1);
    assert!(too_late.physics().inline && !late.physics().inline);
    assert!(!told(&mut too_late, &good).0, "one step later it is not");
    wait(&mut late, 1);
    assert_eq!(late.digest(), too_late.digest());
    assert_eq!((late.physics().request, late.physics().age_ticks), (Some(request), 1));
}

/// How far apart two motions are: position and velocity per axis, rotation, spin per axis.
#[derive(Clone, Copy, Debug, Default)]
struct Jump {
    position: f64,
    velocity: f64,
    rotation: f64,
    spin: f64,
}

impl Jump {
    fn between(a: &Motion, b: &Motion) -> Self {
        let apart =
            |a: [f64; 3], b: [f64; 3]| (0..3).map(|axis| (a[axis] - b[axis]).abs()).fold(0.0, f64::max);
        let cosine: f64 = (0..4).map(|part| a.rotation[part] * b.rotation[part]).sum();
        Self {
            position: apart(a.position, b.position),
            velocity: apart(a.velocity, b.velocity),
            rotation: 2.0 * (2.0 * (1.0 - cosine.abs())).max(0.0).sqrt(),
            spin: apart(a.spin, b.spin),
        }
    }

    fn or_more(self, other: Self) -> Self {
        Self {
            position: self.position.max(other.position),
            velocity: self.velocity.max(other.velocity),
            rotation: self.rotation.max(other.rotation),
            spin: self.spin.max(other.spin),
        }
    }
}

impl Arena {
    /// Where each rock's present flight has it at the next tick.
    fn expected(&self) -> Vec<(RockId, bool, Motion)> {
        let ahead = |rock: &Rock| {
            let motion =
                self.loose_motion(rock, self.tick + 1).or_else(|| self.carried_motion(rock, self.tick + 1));
            (rock.id, rock.is_carried(), motion.expect("every rock flies by something"))
        };
        self.rocks.iter().map(ahead).collect()
    }
}

/// Shoots at some rock from some side, without a bullet's flight.
fn shoot(arena: &mut Arena, dice: &mut Dice) {
    let (index, heading) = (dice.below(arena.rocks.len() as u32) as usize, dice.direction());
    let at = arena.rocks[index].position + dice.direction() * arena.rocks[index].radius;
    arena.hit_rock(index, at, heading, &mut Vec::new());
}

#[test]
fn no_hand_over_jumps_by_more_than_the_lattice_rounds() {
    let mut arena = Arena::new(ArenaConfig { seed: 11, ..ArenaConfig::default() });
    let (mut dice, mut hand_overs, mut kept) = (Dice::new(5), 0, 0);
    let mut worst = Jump::default();
    let speed_cap = arena.config().rocks.speed_cap;
    while arena.tick() < 2 * MINUTE {
        if arena.tick() % 4 == 0 {
            shoot(&mut arena, &mut dice);
        }
        if arena.tick() % 300 == 0 {
            arena.regrow_rocks();
        }
        let expected = arena.expected();
        let before: Vec<Vec2> = arena.rocks().iter().map(|rock| rock.position).collect();
        arena.step(scripted(arena.tick()), &[]);
        arena.ship.invulnerable_ticks = 100;
        let begins = arena.tick().is_multiple_of(WINDOW);
        for ((id, was_carried, motion), before) in expected.iter().zip(before) {
            let Ok(index) = arena.rocks.binary_search_by_key(id, |rock| rock.id) else { continue };
            let rock = &arena.rocks[index];
            let jump = Jump::between(motion, &rock.motion);
            if rock.is_carried() && !was_carried {
                assert!(begins, "rocks are taken over at the beginning of windows only");
                hand_overs += 1;
                worst = worst.or_more(jump);
            } else if rock.is_carried() {
                kept += usize::from(begins);
                assert_eq!((jump.position, jump.velocity), (0.0, 0.0), "{id:?} at {}", arena.tick());
            } else {
                // Whatever happened to it, it happened where it was; also in the tick in which it was handed over.
                let most = if begins && !was_carried { POSITION_ERROR_M * 1.000_001 } else { 0.0 };
                assert!(jump.position <= most, "{id:?} at {}: {jump:?}", arena.tick());
                assert!(jump.rotation <= most.max(1e-6), "{id:?} at {}: {jump:?}", arena.tick());
            }
            let moved = rock.position.distance(before);
            // In a contact the engine may also move two rocks out of each other by some centimetres.
            assert!(moved < speed_cap / 60.0 + 0.05, "{id:?} moved {moved} m in a tick");
        }
    }
    println!("{hand_overs} hand-overs from the local rule, {kept} between trajectories, at most {worst:?}");
    assert!(hand_overs > 1_000 && kept > 10_000);
    // Sums of many roundings differ in the last bits.
    let bounds =
        |found: f64, bound: f64| assert!(found > 0.1 * bound && found <= bound * (1.0 + 1e-6), "{worst:?}");
    bounds(worst.position, POSITION_ERROR_M);
    bounds(worst.velocity, VELOCITY_ERROR_M_S);
    bounds(worst.spin, SPIN_ERROR_RAD_S);
    bounds(worst.rotation, ROTATION_ERROR_RAD);
}

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

/// A small rock that flies at a large one, which it would meet at about tick 100.
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
    // The window from 90 to 120, in which they meet, is asked for at 60.
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
        for rock in arena.rocks() {
            let out = rock.motion.position[0].abs().max(rock.motion.position[2].abs());
            assert!(out + rock.shape.inner_radius_m() < half + 0.2, "{rock:?}");
        }
    }
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

#[test]
fn after_the_end_of_a_round_rocks_fly_on_and_nothing_is_asked_for() {
    let mut arena = Arena::new(ArenaConfig::default());
    wait(&mut arena, 100);
    while !arena.is_over() {
        arena.lose_life(Vec2::ZERO, &mut Vec::new());
    }
    let before: Vec<Vec2> = arena.rocks().iter().map(|rock| rock.position).collect();
    let mut asked = 0;
    for _ in 0..400 {
        asked += arena.step(Controls::default(), &[]).wanted.len();
        assert_sound(&arena);
    }
    let moved = arena.rocks().iter().zip(before).filter(|(rock, before)| rock.position != *before).count();
    assert_eq!((asked, moved, arena.physics().carried), (0, arena.rocks().len(), 0));
    arena.step(Controls { restart: true, ..Controls::default() }, &[]);
    wait(&mut arena, 2 * WINDOW);
    assert_eq!(arena.physics().loose, 0, "the next round's rocks are carried");
}

#[test]
fn as_many_rocks_as_a_task_may_have_are_flown() {
    let mut config = ArenaConfig::stress();
    config.size = 256.0;
    config.rocks.count = 1_200;
    let mut arena = Arena::new(config);
    assert_eq!(arena.rocks().len(), 1_200);
    let wanted = next_motions(&mut arena);
    let spec = wanted.physics().unwrap();
    assert_eq!(spec.bodies.len(), 1_200);
    let asked = Physics::encode_spec(spec).len();
    let outcome = fly(spec);
    let answered = Physics::encode_outcome(&outcome).len();
    println!("1,200 rocks: spec {asked} B, outcome {answered} B");
    assert!(asked <= SPEC_BYTES_MAX && answered <= OUTCOME_BYTES_MAX / 8);
    let mut inline = arena.clone();
    arena.step(Controls::default(), &[flown(wanted.request, outcome)]);
    inline.step(Controls::default(), &[]);
    wait(&mut arena, WINDOW + 5);
    wait(&mut inline, WINDOW + 5);
    assert_eq!((arena.physics().inline_windows, inline.physics().inline_windows), (0, 1));
    assert_eq!(arena.digest(), inline.digest());
    assert_eq!(arena.physics().carried, 1_200);
    let mut dice = Dice::new(2);
    for _ in 0..60 {
        shoot(&mut arena, &mut dice);
        wait(&mut arena, 1);
        assert_sound(&arena);
        assert!(arena.rocks().len() <= 1_200);
    }
}

#[test]
fn a_minute_of_play_takes_little_of_a_slow_line() {
    let mut played = Played::new(Arena::new(ArenaConfig::default()), 12, answered);
    let mut autopilot = Autopilot::default();
    let (mut asked, mut answered, mut units, mut tasks) = (0, 0, 0, 0);
    while played.arena.tick() < MINUTE {
        let controls = autopilot.controls(&played.arena);
        for wanted in played.step(controls).wanted {
            let Some(spec) = wanted.physics() else { continue };
            let bytes = (Physics::encode_spec(spec).len(), Physics::encode_outcome(&fly(spec)).len());
            assert!(bytes.0 <= 3_000 && bytes.1 <= 3_000, "{bytes:?}");
            units += Physics::admit(spec, &Blobs::default()).unwrap().0;
            (asked, answered, tasks) = (asked + bytes.0, answered + bytes.1, tasks + 1);
        }
    }
    let kbit_s = |bytes: usize| bytes as f64 * 8.0 / 60.0 / 1_000.0;
    println!(
        "{tasks} tasks: {:.1} kbit/s asked, {:.1} kbit/s answered, {} units/s",
        kbit_s(asked),
        kbit_s(answered),
        units / 60
    );
    assert!(tasks > 110 && kbit_s(asked) + kbit_s(answered) < 80.0);
}

/// What a rock's flight says of it must be what is shown of it.
#[test]
fn what_is_shown_of_a_rock_is_its_motion() {
    let mut arena = Arena::new(ArenaConfig::default());
    wait(&mut arena, 75);
    for rock in arena.rocks() {
        assert!(matches!(rock.flight, Flight::Carried(_)));
        let [x, y, z] = rock.motion.position;
        assert_eq!((rock.position, y), (Vec2::new(x as f32, -z as f32), 0.0));
        assert_eq!(rock.rotation, rock.motion.rotation.map(|part| part as f32));
        assert_ne!(rock.rotation, rock.previous_rotation, "rocks tumble");
        let step = rock.position - rock.previous;
        assert!((step * 60.0).distance(rock.velocity) < 0.05 || rock.velocity.length() > 0.7, "{rock:?}");
        assert_eq!(rock.shape.outer_radius_m() as f32, rock.radius);
    }
}
