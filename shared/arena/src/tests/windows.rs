//! Rocks along trajectories: the game is the same whoever computes them and whenever they arrive, and rocks neither
//! jump nor touch rocks that are gone.

use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_tasks::physics::{
    Motion, POSITION_ERROR_M, ROTATION_ERROR_RAD, SPIN_ERROR_RAD_S, VELOCITY_ERROR_M_S,
};

use super::determinism::scripted;
use super::*;
use crate::dice::Dice;
use crate::rocks::RockMotion;

const MINUTE: u64 = 60 * TICKS_PER_SECOND as u64;

/// Ticks of a window by default.
pub(super) const WINDOW: u64 = 30;

/// Outcomes on their way, each with the tick of the step that gets it.
type Mail = Vec<(u64, DueOutcome)>;

/// A scripted minute in which paths come after 12 ticks and `post` decides what happens to a wanted motion.
fn minute(mut post: impl FnMut(&WantedTask, u64, &mut Mail)) -> (Vec<Digest>, PhysicsInUse, Vec<ArenaEvent>) {
    // Enough lives that the round does not end, so that motions are requested throughout.
    let ship = ShipRules { lives: 100, lives_max: 100, ..ShipRules::default() };
    // No other sector is entered, because that ends a window early.
    let sectors = SectorRules { waves: 0, ..SectorRules::default() };
    let mut arena = Arena::new(ArenaConfig { seed: 42, ship, sectors, ..ArenaConfig::default() });
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

/// An outcome that fails every check.
fn garbled(spec: &PhysicsSpec, outcome: &PhysicsOutcome, dice: &mut Dice) -> PhysicsOutcome {
    let mut segments = outcome.unfold(spec, &Blobs::default()).unwrap();
    match segments.iter_mut().find_map(|segment| segment.touched.first_mut()) {
        Some(touched) if dice.below(3) > 0 => touched.state.position[0] += 8_192,
        // Bytes after the end of a stream are refused.
        _ => {
            let mut bytes = Physics::encode_outcome(outcome);
            bytes.push(7);
            let length = bytes.len() as u16 - 2;
            bytes[..2].copy_from_slice(&length.to_le_bytes());
            return Physics::decode_outcome(&bytes).unwrap();
        }
    }
    PhysicsOutcome::of(spec, &Blobs::default(), &segments).unwrap()
}

#[test]
fn who_computes_the_motions_and_when_they_come_leaves_no_trace() {
    let (on_time, seen, events) = minute(|wanted, now, mail| mail.push((now + 12, answered(wanted))));
    // New rocks are in no window yet.
    let windows = MINUTE / WINDOW - 1;
    assert_eq!((seen.windows, seen.inline_windows), (windows, 0));
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
        let spec = wanted.physics().unwrap();
        let outcome = fly(spec);
        for _ in 0..dice.below(4) {
            let late = u64::from(dice.below(45));
            let sent = match dice.below(5) {
                0 => flown(wanted.request, spec, &garbled(spec, &outcome, &mut dice)),
                1 => flown(RequestId(wanted.request.0.wrapping_sub(dice.below(9))), spec, &outcome),
                2 => failed(wanted),
                3 => due(wanted.request, PathOutcome { answers: Vec::new() }),
                _ => flown(wanted.request, spec, &outcome),
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
pub(super) fn next_motions(arena: &mut Arena) -> WantedTask {
    loop {
        let step = arena.step(Controls::default(), &[]);
        if let Some(wanted) = step.wanted.into_iter().find(|wanted| wanted.physics().is_some()) {
            return wanted;
        }
    }
}

pub(super) fn wait(arena: &mut Arena, ticks: u64) -> Vec<ArenaEvent> {
    (0..ticks).flat_map(|_| arena.step(Controls::default(), &[]).events).collect()
}

#[test]
fn an_outcome_is_taken_once_and_only_until_its_window_begins() {
    let mut arena = Arena::new(ArenaConfig::default());
    let wanted = next_motions(&mut arena);
    assert!(u64::from(wanted.deadline_ticks) < WINDOW);
    let (good, request) = (answered(&wanted), wanted.request);
    let told = |arena: &mut Arena, due: &DueOutcome| {
        let events = arena.step(Controls::default(), std::slice::from_ref(due)).events;
        let taken = events.contains(&ArenaEvent::PhysicsTaken { request });
        assert_ne!(taken, events.contains(&ArenaEvent::OutcomeIgnored { request: due.request }));
        (taken, events.iter().any(|event| matches!(event, ArenaEvent::PhysicsInline { .. })))
    };
    let spec = wanted.physics().unwrap();
    let bad = flown(request, spec, &garbled(spec, &fly(spec), &mut Dice::new(1)));
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
    look_for_jumps(0, 2 * MINUTE, (1_000, 10_000));
}

#[test]
fn nor_does_one_that_was_asked_for_long_ahead() {
    look_for_jumps(42, MINUTE, (500, 1_000));
    look_for_jumps(HORIZON_TICKS_MAX, MINUTE, (150, 200));
}

fn speed_of(motion: &Motion) -> f32 {
    motion.velocity.iter().map(|part| part * part).sum::<f64>().sqrt() as f32
}

/// Plays for `ticks` while rocks are shot at and every tenth window is missed; at least as many rocks as
/// `least` says must have been handed over from the local rule, and between trajectories.
fn look_for_jumps(horizon: u16, ticks: u64, least: (usize, usize)) {
    let mut arena = Arena::new(ArenaConfig { seed: 11, ..ArenaConfig::default() });
    arena.look_ahead(Horizon { motions: horizon, ..Horizon::default() });
    let mut missed: Vec<DueOutcome> = Vec::new();
    let (mut dice, mut hand_overs, mut kept) = (Dice::new(5), 0, 0);
    let mut worst = Jump::default();
    let speed_cap = arena.config().rocks.speed_cap;
    while arena.tick() < ticks {
        if arena.tick().is_multiple_of(4) {
            shoot(&mut arena, &mut dice);
        }
        if arena.tick().is_multiple_of(300) {
            arena.regrow_rocks();
        }
        let expected = arena.expected();
        let before: Vec<Vec2> = arena.rocks().iter().map(|rock| rock.position).collect();
        let step = arena.step(scripted(arena.tick()), &missed);
        let requests = step.wanted.iter().filter(|wanted| wanted.physics().is_some());
        missed = requests
            .filter(|_| horizon > 0 && dice.below(10) == 0)
            .map(|wanted| DueOutcome { request: wanted.request, outcome: OutcomeBody::Missed })
            .collect();
        arena.ship.invulnerable_ticks = 100;
        let begins = step.wanted.iter().any(|wanted| wanted.physics().is_some());
        for ((id, was_carried, motion), before) in expected.iter().zip(before) {
            let Ok(index) = arena.rocks.binary_search_by_key(id, |rock| rock.id) else { continue };
            let rock = &arena.rocks[index];
            let jump = Jump::between(motion, &rock.motion);
            if rock.is_carried() && !was_carried {
                assert!(begins, "rocks are taken over at the beginning of windows only");
                hand_overs += 1;
                // Drag reduces a fragment's motion where a segment begins.
                worst = worst.or_more(if rock.is_fragment() { Jump::default() } else { jump });
            } else if rock.is_carried() {
                kept += usize::from(begins);
                let slowed = begins && rock.is_fragment();
                assert!(jump.position == 0.0 && (slowed || jump.velocity == 0.0), "{id:?}: {jump:?}");
                assert!(!slowed || rock.velocity.length() <= speed_of(motion), "{id:?}: {jump:?}");
            } else {
                // Whatever happens to a rock must happen at its place, also in the tick in which it is handed
                // over.
                let most = if begins && !was_carried { POSITION_ERROR_M * 1.000_001 } else { 0.0 };
                assert!(jump.position <= most, "{id:?} at {}: {jump:?}", arena.tick());
                assert!(jump.rotation <= most.max(1e-6), "{id:?} at {}: {jump:?}", arena.tick());
            }
            let moved = rock.position.distance(before);
            // In a contact the engine may also move two rocks out of each other by some centimetres.
            assert!(moved < speed_cap / 60.0 + 0.05, "{id:?} moved {moved} m in a tick");
        }
    }
    assert!(
        hand_overs > least.0 && kept > least.1,
        "{hand_overs} from the local rule, {kept} between trajectories"
    );
    // Sums of many rounded numbers differ in the last bits.
    let bounds =
        |found: f64, bound: f64| assert!(found > 0.1 * bound && found <= bound * (1.0 + 1e-6), "{worst:?}");
    bounds(worst.position, POSITION_ERROR_M);
    bounds(worst.velocity, VELOCITY_ERROR_M_S);
    bounds(worst.spin, SPIN_ERROR_RAD_S);
    bounds(worst.rotation, ROTATION_ERROR_RAD);
}

#[test]
fn after_the_end_of_a_round_rocks_fly_on_and_nothing_is_asked_for() {
    let mut arena = Arena::new(ArenaConfig::default());
    wait(&mut arena, 100);
    while !arena.is_over() {
        arena.lose_life(Vec2::ZERO, Harm::Shot, Vec2::FORWARD, &mut Vec::new());
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
    assert!(asked <= SPEC_BYTES_MAX && answered <= OUTCOME_BYTES_MAX / 8, "{asked} and {answered} bytes");
    let mut inline = arena.clone();
    arena.step(Controls::default(), &[flown(wanted.request, spec, &outcome)]);
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
            // As the game sends it while windows arrive in time.
            let WantedSpec::Physics { before, .. } = &wanted.spec else { continue };
            let changes = before.as_ref().and_then(|(_, motions)| motions.changes(spec));
            let sent = changes.as_ref().map_or(spec, |(changes, _)| changes);
            let bytes = (Physics::encode_spec(sent).len(), Physics::encode_outcome(&fly(spec)).len());
            assert!(bytes.0 <= 4_500 && bytes.1 <= 4_500, "{bytes:?}");
            units += Physics::admit(spec, &Blobs::default()).unwrap().0;
            (asked, answered, tasks) = (asked + bytes.0, answered + bytes.1, tasks + 1);
        }
    }
    let kbit_s = |bytes: usize| bytes as f64 * 8.0 / 60.0 / 1_000.0;
    let (asked, answered, units_s) = (kbit_s(asked), kbit_s(answered), units / 60);
    assert!(tasks > 110 && asked + answered < 80.0, "{tasks} tasks, {asked} and {answered} kbit/s");
    assert!((1_000..20_000).contains(&units_s), "{units_s} work units a second");
}

/// A rock's public values must equal those of its motion.
#[test]
fn what_is_shown_of_a_rock_is_its_motion() {
    let mut arena = Arena::new(ArenaConfig::default());
    wait(&mut arena, 75);
    let mut as_fast = 0;
    for rock in arena.rocks() {
        assert!(matches!(rock.flight, RockMotion::Carried(_)));
        let [x, y, z] = rock.motion.position;
        assert_eq!((rock.position, y), (Vec2::new(x as f32, -z as f32), 0.0));
        assert_eq!(rock.rotation, rock.motion.rotation.map(|part| part as f32));
        assert_ne!(rock.rotation, rock.previous_rotation, "rocks tumble");
        let step = rock.position - rock.previous;
        as_fast += usize::from((step * 60.0).distance(rock.velocity) < 0.01);
        assert_eq!(rock.shape.outer_radius_m() as f32, rock.radius);
    }
    // In a segment with a contact a rock moves evenly to where the contact leads it.
    assert!(as_fast > arena.rocks().len() * 4 / 5, "{as_fast}");
}
