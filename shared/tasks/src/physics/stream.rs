//! Segments as an entropy-coded stream: only what differs from the formula's prediction is sent.
//!
//! A reader of a segment knows the states that it starts from, so it knows which bodies come near each other
//! and when. For each such pair a bit says whether they met; if they did, the tick and the impulse are coded
//! as differences from a prediction by the formula and the masses, or by the segment before. Contacts of
//! other pairs follow, then the states of all bodies in contact, as differences from a flight that changes
//! course at the first contact.

use std::collections::BTreeMap;

use super::flight::{fly, glide, landing};
use super::meet::{ContactRecord, Near, SegmentStart, gap_to_walls, wall_near};
use super::outcome::{Contact, Impulse, PhysicsOutcome, Segment, Touched, WALL};
use super::quanta::{POSITION_STEPS_PER_M, Rotation, SPIN_STEPS_PER_RAD_S, State, VELOCITY_STEPS_PER_M_S};
use super::scene::PhysicsScene;
use super::vector::{add, dot, length, normalised, scale, sub};
use super::{CONTACTS_MAX, STEP_S};
use crate::reflection::{Coder, Decoder, Encoder, Odds};

/// Context classes, by how large a number is predicted to be.
const CLASSES: usize = 10;
/// Most bits of a number.
const WIDTHS: usize = 32;
/// Positions a stream can hold, either way: twice the valid range, so that the check can name positions out
/// of range.
const POSITION_STEPS_MAX: i64 = 2 * (super::POSITION_MAX_M * POSITION_STEPS_PER_M) as i64;

/// Odds of a number's parts: how many bits it has, its second highest bit, its sign.
#[derive(Clone)]
struct Number {
    widths: [[Odds; WIDTHS]; CLASSES],
    second: [Odds; WIDTHS + 1],
    sign: Odds,
}

impl Number {
    fn new() -> Self {
        let even = Odds::default();
        Self { widths: [[even; WIDTHS]; CLASSES], second: [even; WIDTHS + 1], sign: even }
    }

    /// Codes a number; `class` is below [`CLASSES`].
    fn code<C: Coder>(&mut self, coder: &mut C, class: usize, value: i64) -> i64 {
        let size = value.unsigned_abs().min((1 << WIDTHS) - 1);
        let bits = (u64::BITS - size.leading_zeros()) as usize;
        let odds = &mut self.widths[class.min(CLASSES - 1)];
        let mut width = 0;
        while width < WIDTHS && coder.bit(&mut odds[width], bits > width) {
            width += 1;
        }
        if width == 0 {
            return 0;
        }
        let mut found = 1_u64;
        if width > 1 {
            let second = coder.bit(&mut self.second[width], size >> (width - 2) & 1 == 1);
            found = found << 1 | u64::from(second);
        }
        if width > 2 {
            let low = width as u32 - 2;
            let rest = coder.even((size & ((1 << low) - 1)) as u32, low);
            found = found << low | u64::from(rest);
        }
        let is_negative = coder.bit(&mut self.sign, value < 0);
        if is_negative { -(found as i64) } else { found as i64 }
    }
}

/// The class of a number that is predicted to be about `size`.
fn class(size: u64) -> usize {
    ((u64::BITS - size.leading_zeros()) as usize).div_ceil(2).min(CLASSES - 1)
}

/// Half way from a body's inner to its outer ball.
fn middle(scene: &PhysicsScene<'_>, body: usize) -> f64 {
    0.5 * (scene.facts[body].inner + scene.facts[body].outer)
}

/// Classes of how near two bodies come to each other; the last is for pairs that rest.
const GAPS: usize = 8;

/// Two bodies that may meet, or a body and the walls, in the order of the stream.
struct Candidate {
    a: u16,
    b: u16,
    gap: usize,
}

fn gap(scene: &PhysicsScene<'_>, pair: &Near) -> usize {
    let facts = |body: u16| &scene.facts[usize::from(body)];
    let inner = facts(pair.a).inner + facts(pair.b).inner;
    let outer = facts(pair.a).outer + facts(pair.b).outer;
    if pair.closest <= inner {
        return 0;
    }
    // A ball's inner and outer radius are equal: the maximum avoids a division by zero.
    let share = (pair.closest - inner) / (outer - inner).max(0.01);
    (1 + (share * 4.0) as usize).min(GAPS - 2)
}

fn candidates(scene: &PhysicsScene<'_>, ground: &SegmentStart) -> Vec<Candidate> {
    let near = &ground.near;
    let pairs = near.pairs.iter().map(|pair| Candidate { a: pair.a, b: pair.b, gap: gap(scene, pair) });
    let resting = near.resting.iter().map(|pair| Candidate { a: pair.a, b: pair.b, gap: GAPS - 1 });
    let mut all: Vec<_> = pairs.chain(resting).collect();
    for body in 0..scene.facts.len() {
        if wall_near(scene, &ground.paths, body) {
            let ends = [0, scene.steps].map(|tick| gap_to_walls(scene, body, ground.paths.at(body, tick)));
            let is_over = ends[0].min(ends[1]) + scene.facts[body].outer < middle(scene, body);
            all.push(Candidate { a: body as u16, b: WALL, gap: usize::from(!is_over) });
        }
    }
    all.sort_unstable_by_key(|candidate| (candidate.a, candidate.b));
    all
}

/// When and how hard two untouched bodies are predicted to meet, by the balls half way between inner and
/// outer.
fn expected(scene: &PhysicsScene<'_>, ground: &SegmentStart, a: u16, b: u16) -> (u8, Impulse) {
    let (paths, one) = (&ground.paths, usize::from(a));
    let last = scene.steps - 1;
    let bounce = |body: usize| {
        let material = usize::from(scene.spec.bodies[body].material);
        f64::from(scene.spec.materials[material].restitution) / 255.0
    };
    if b == WALL {
        let reach = scene.facts[one].outer - middle(scene, one);
        let is_met = |tick: &u32| gap_to_walls(scene, one, paths.at(one, *tick)) + reach <= 0.0;
        let tick = (0..=last).find(is_met).unwrap_or(last);
        let at = paths.at(one, tick);
        let velocity = paths.velocity(one);
        let speed = scene.walls.map_or(0.0, |[x, z]| {
            if x - at[0].abs() < z - at[2].abs() { velocity[0].abs() } else { velocity[2].abs() }
        });
        let impulse = scene.facts[one].mass * speed * (1.0 + bounce(one));
        return (tick as u8, Impulse::of(impulse as f32));
    }
    let other = usize::from(b);
    let reach = middle(scene, one) + middle(scene, other);
    let way = |tick: u32| sub(paths.at(other, tick), paths.at(one, tick));
    let tick = (0..=last).find(|tick| dot(way(*tick), way(*tick)) <= reach * reach);
    let tick = tick.unwrap_or(last / 2);
    let (way, speed) = (way(tick), sub(paths.velocity(one), paths.velocity(other)));
    let approach = (dot(way, speed) / length(way).max(0.001)).max(0.0);
    let masses = 1.0 / scene.facts[one].mass + 1.0 / scene.facts[other].mass;
    let impulse = approach * (1.0 + 0.5 * (bounce(one) + bounce(other))) / masses;
    (tick as u8, Impulse::of(impulse as f32))
}

type Meetings = BTreeMap<(u16, u16), (u8, Impulse)>;

/// The odds that both ends of a stream have learnt so far.
struct Models {
    met: [[Odds; GAPS]; 2],
    ticks: [Number; 2],
    impulses: [Number; 2],
    more: Number,
    more_a: Number,
    more_b: Number,
    more_at_walls: Odds,
    more_ticks: Number,
    more_impulses: Number,
    as_flown: [Odds; 2],
    velocity: [Number; 3],
    spin: [Number; 3],
    position: [Number; 3],
    other_drop: Odds,
    rotation: [Number; 3],
    /// The meetings of the previous segment.
    before: Meetings,
}

impl Models {
    fn new() -> Box<Self> {
        let (even, number) = (Odds::default(), Number::new());
        let three = || [number.clone(), number.clone(), number.clone()];
        let two = || [number.clone(), number.clone()];
        Box::new(Self {
            met: [[even; GAPS]; 2],
            ticks: two(),
            impulses: two(),
            more: number.clone(),
            more_a: number.clone(),
            more_b: number.clone(),
            more_at_walls: even,
            more_ticks: number.clone(),
            more_impulses: number.clone(),
            as_flown: [even; 2],
            velocity: three(),
            spin: three(),
            position: three(),
            other_drop: even,
            rotation: three(),
            before: Meetings::new(),
        })
    }
}

/// `value` clamped to `range`; a value outside refuses the stream.
fn held<C: Coder>(coder: &mut C, value: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
    if !range.contains(&value) {
        coder.refuse();
    }
    value.clamp(*range.start(), *range.end())
}

/// Codes which pairs met, when and how hard: the encoder reads it from `given`, the decoder from the stream.
fn meetings<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    scene: &PhysicsScene<'_>,
    ground: &SegmentStart,
    given: &Meetings,
) -> Meetings {
    let (candidates, last) = (candidates(scene, ground), i64::from(scene.steps) - 1);
    let mut found = Meetings::new();
    for candidate in &candidates {
        let key = (candidate.a, candidate.b);
        let (known, before) = (given.get(&key).copied(), models.before.get(&key).copied());
        let again = usize::from(before.is_some());
        if !coder.bit(&mut models.met[again][candidate.gap], known.is_some()) {
            continue;
        }
        let (tick, impulse) = match before {
            Some((_, impulse)) => (0, impulse),
            None => expected(scene, ground, key.0, key.1),
        };
        let (known_tick, known_impulse) = known.unwrap_or_default();
        let mut part = |numbers: &mut [Number; 2], known: u8, expected: u8, max: i64| {
            let off = numbers[again].code(coder, 0, i64::from(known) - i64::from(expected));
            held(coder, i64::from(expected) + off, 0..=max) as u8
        };
        let tick = part(&mut models.ticks, known_tick, tick, last);
        let impulse = part(&mut models.impulses, known_impulse.0, impulse.0, 255);
        found.insert(key, (tick, Impulse(impulse)));
    }
    let is_candidate = |key: &(u16, u16)| {
        candidates.binary_search_by_key(key, |candidate| (candidate.a, candidate.b)).is_ok()
    };
    let others: Vec<_> = given.iter().filter(|(key, _)| !is_candidate(key)).collect();
    let count = models.more.code(coder, 0, others.len() as i64);
    let count = held(coder, count, 0..=CONTACTS_MAX as i64) as usize;
    let (bodies, mut before) = (scene.facts.len() as i64, (0, 0));
    for number in 0..count {
        let known = others.get(number).map(|(key, meeting)| (**key, **meeting));
        let ((a, b), (tick, impulse)) = known.unwrap_or_default();
        let a = i64::from(before.0) + models.more_a.code(coder, 0, i64::from(a) - i64::from(before.0));
        let a = held(coder, a, 0..=bodies - 1);
        let at_walls = scene.walls.is_some() && coder.bit(&mut models.more_at_walls, b == WALL);
        let b = if at_walls {
            WALL
        } else {
            let b = a + models.more_b.code(coder, 0, i64::from(b) - a);
            held(coder, b, 0..=bodies - 1) as u16
        };
        let key = (a as u16, b);
        if key.0 >= key.1 || is_candidate(&key) || number > 0 && key <= before {
            // Decoding stops as soon as what it reads is invalid.
            coder.refuse();
            break;
        }
        before = key;
        let tick = models.more_ticks.code(coder, 0, tick.into());
        let impulse = models.more_impulses.code(coder, 0, i64::from(impulse.0) - 64);
        let (tick, impulse) = (held(coder, tick, 0..=last), held(coder, impulse + 64, 0..=255));
        found.insert(key, (tick as u8, Impulse(impulse as u8)));
    }
    found
}

/// Codes the state at the end of a body that was touched first at tick `first` by contacts of `impulse` newton seconds.
fn state<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    scene: &PhysicsScene<'_>,
    (index, start): (usize, &State),
    (first, impulse): (u32, f64),
    known: Option<State>,
) -> State {
    let flown = landing(scene, index, start);
    let is_still = usize::from(start.is_still());
    let known = known.unwrap_or(flown);
    if coder.bit(&mut models.as_flown[is_still], known == flown) {
        return flown;
    }
    let facts = &scene.facts[index];
    let small = i64::from(i16::MIN)..=i64::from(i16::MAX);
    let kick = class((impulse / facts.mass * VELOCITY_STEPS_PER_M_S) as u64);
    let mut end = flown;
    let mut widest = 0;
    for axis in 0..3 {
        let off = i64::from(known.velocity[axis]) - i64::from(flown.velocity[axis]);
        let off = models.velocity[axis].code(coder, kick, off);
        widest = widest.max(off.unsigned_abs());
        end.velocity[axis] = held(coder, i64::from(flown.velocity[axis]) + off, small.clone()) as i16;
    }
    // Friction turns a body the more the faster the surfaces slide, by a part of the normal impulse.
    let twist = class((widest as f64 * facts.mass * facts.outer / facts.inertia * 0.5) as u64);
    let mut spun = 0;
    for axis in 0..3 {
        let off = i64::from(known.spin[axis]) - i64::from(flown.spin[axis]);
        let off = models.spin[axis].code(coder, twist, off);
        spun = spun.max(off.unsigned_abs());
        end.spin[axis] = held(coder, i64::from(flown.spin[axis]) + off, small.clone()) as i16;
    }
    let touched = fly(scene, index, start, first.into());
    let left = f64::from(scene.steps - first) * STEP_S;
    let (velocity, spin) = (end.velocity_m_s(), end.spin_rad_s());
    let at = add(touched.position, scale(velocity, left));
    let moved = class((widest as f64 / VELOCITY_STEPS_PER_M_S * left * POSITION_STEPS_PER_M / 4.0) as u64);
    for (axis, at) in at.into_iter().enumerate() {
        let expected = (at * POSITION_STEPS_PER_M).round() as i64;
        let off = models.position[axis].code(coder, moved, i64::from(known.position[axis]) - expected);
        let range = -POSITION_STEPS_MAX..=POSITION_STEPS_MAX;
        end.position[axis] = held(coder, expected + off, range) as i32;
    }
    let turned = glide(&super::quanta::Motion { velocity, spin, ..touched }, left).rotation;
    let turned = normalised(turned);
    let mut dropped = Rotation::of(turned).dropped;
    if coder.bit(&mut models.other_drop, known.rotation.dropped != dropped) {
        let other = coder.even(known.rotation.dropped.into(), 2) as u8 & 3;
        if other == dropped {
            coder.refuse();
        }
        dropped = other;
    }
    let about = class((spun as f64 / SPIN_STEPS_PER_RAD_S * left * 4_096.0) as u64);
    end.rotation.dropped = dropped;
    for (axis, expected) in Rotation::rest_of(turned, dropped).into_iter().map(i64::from).enumerate() {
        let off = i64::from(known.rotation.rest[axis]) - expected;
        let off = models.rotation[axis].code(coder, about, off);
        end.rotation.rest[axis] = held(coder, expected + off, small.clone()) as i16;
    }
    if end == flown {
        // An unchanged state has a shorter encoding, so this one is not canonical.
        coder.refuse();
    }
    end
}

/// Codes a segment: the encoder reads it from `given`, the decoder from the stream.
fn pass<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    scene: &PhysicsScene<'_>,
    start: &[State],
    ground: &SegmentStart,
    given: &Segment,
) -> Segment {
    let bodies = scene.facts.len() as u16;
    let is_known = |contact: &&Contact| {
        let walled = contact.b == WALL && scene.walls.is_some();
        contact.a < bodies && contact.a < contact.b && (walled || contact.b < bodies)
    };
    let meeting = |contact: &Contact| {
        ((contact.a, contact.b), (contact.tick.min(scene.spec.steps.saturating_sub(1)), contact.impulse))
    };
    let given_meetings: Meetings = given.contacts.iter().filter(is_known).map(meeting).collect();
    let found = meetings(coder, models, scene, ground, &given_meetings);
    let mut contacts: Vec<Contact> = found
        .iter()
        .map(|((a, b), (tick, impulse))| Contact { tick: *tick, a: *a, b: *b, impulse: *impulse })
        .collect();
    contacts.sort_unstable_by_key(|contact| (contact.tick, contact.a, contact.b));
    let met = ContactRecord::of(scene, &contacts);
    let mut impulses = vec![0.0; scene.facts.len()];
    for contact in &contacts {
        for body in [contact.a, contact.b] {
            if let Some(sum) = impulses.get_mut(usize::from(body)) {
                *sum += f64::from(contact.impulse.newton_seconds());
            }
        }
    }
    let states: BTreeMap<u16, State> =
        given.touched.iter().map(|touched| (touched.body, touched.state)).collect();
    let mut touched = Vec::new();
    for (index, begin) in start.iter().enumerate() {
        if met.first[index] < scene.steps {
            let (body, contact) = (index as u16, (met.first[index], impulses[index]));
            let end = state(coder, models, scene, (index, begin), contact, states.get(&body).copied());
            touched.push(Touched { body, state: end });
        }
    }
    models.before = found;
    Segment { touched, contacts }
}

/// Packs segments into an outcome.
pub(super) struct Packing {
    coder: Encoder,
    models: Box<Models>,
}

impl Packing {
    pub fn new() -> Self {
        Self { coder: Encoder::new(), models: Models::new() }
    }

    /// Adds the next segment, which starts from `start`, without the parts that no outcome can express; returns
    /// the segment as it was packed.
    pub fn add(
        &mut self,
        scene: &PhysicsScene<'_>,
        start: &[State],
        ground: &SegmentStart,
        segment: &Segment,
    ) -> Segment {
        pass(&mut self.coder, &mut self.models, scene, start, ground, segment)
    }

    pub fn finish(self) -> PhysicsOutcome {
        PhysicsOutcome::new(self.coder.finish())
    }
}

/// Unpacks the segments of an outcome.
pub(super) struct Unpacking<'o> {
    coder: Decoder<'o>,
    models: Box<Models>,
}

impl<'o> Unpacking<'o> {
    pub fn new(outcome: &'o PhysicsOutcome) -> Self {
        Self { coder: Decoder::new(outcome.stream()), models: Models::new() }
    }

    /// The next segment, which starts from `start`; `None` once the stream has been found invalid.
    pub fn next(
        &mut self,
        scene: &PhysicsScene<'_>,
        start: &[State],
        ground: &SegmentStart,
    ) -> Option<Segment> {
        let segment = pass(&mut self.coder, &mut self.models, scene, start, ground, &Segment::default());
        (!self.coder.is_refused()).then_some(segment)
    }

    /// Whether the whole stream is read and is exactly what [`Packing`] makes of its segments.
    pub fn at_end(&self) -> bool {
        self.coder.at_end()
    }
}
