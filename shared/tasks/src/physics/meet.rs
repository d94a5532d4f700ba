//! Finds the bodies that come near each other, from the formula alone, and the contacts that must have happened or
//! cannot have.

use std::collections::BTreeMap;

use super::flight::Paths;
use super::outcome::{Contact, WALL};
use super::quanta::State;
use super::scene::PhysicsScene;
use super::units::{LOOK_STEPS, SWEEP_STEPS};
use super::vector::{Vec3, dot, length, sub};
use super::{LOOKS_PER_BODY_MAX, PAIRS_PER_BODY_MAX, PREDICTION_M, STEP_S};
use crate::fuel::Stop;
use crate::kind::KernelError;

/// How far the engine's flight may be from the formula's, two bodies together, metres: `f32` rounding of up
/// to 30 steps of four operations, 1,000 m from the origin; more where attractors pull.
pub(super) fn drift_m(scene: &PhysicsScene<'_>) -> f64 {
    if scene.is_pulled() { 0.2 } else { 0.02 }
}

/// Two bodies that may touch in a segment.
pub(super) struct Near {
    pub a: u16,
    pub b: u16,
    /// Least distance of their centres.
    pub closest: f64,
}

/// The pairs that may touch in a segment, and the steps that finding them took.
pub(super) struct Nearby {
    pub pairs: Vec<Near>,
    /// Pairs that lie beside each other and do not move: they touch only once something has touched one of them.
    pub resting: Vec<Near>,
    /// Steps of fuel.
    pub steps: u64,
}

impl Nearby {
    /// For each body, the bodies that it rests beside.
    pub fn beside(&self, bodies: usize) -> Vec<Vec<u16>> {
        let mut beside = vec![Vec::new(); bodies];
        for pair in &self.resting {
            beside[usize::from(pair.a)].push(pair.b);
            beside[usize::from(pair.b)].push(pair.a);
        }
        beside
    }
}

/// Rings of neighbours at rest that enter the engine with a body.
const RINGS: usize = 2;

/// `bodies`, the bodies that rest beside them, and so on for [`RINGS`] rings; `beside` is that of
/// [`Nearby::beside`].
pub(super) fn with_neighbours(beside: &[Vec<u16>], bodies: Vec<usize>) -> Vec<usize> {
    let mut known = vec![false; beside.len()];
    let mut found = bodies;
    for body in &found {
        known[*body] = true;
    }
    let mut ring = 0;
    for _ in 0..RINGS {
        let end = found.len();
        for place in ring..end {
            for other in beside[found[place]].iter().map(|other| usize::from(*other)) {
                if !std::mem::replace(&mut known[other], true) {
                    found.push(other);
                }
            }
        }
        ring = end;
    }
    found
}

/// Where a segment starts from: how all bodies fly in it if nothing touches them, and which come near each
/// other.
pub(super) struct SegmentStart {
    pub paths: Paths,
    pub near: Nearby,
}

impl SegmentStart {
    /// Examines `start`, and looks at `stop` body by body.
    ///
    /// - [`KernelError::OutOfFuel`]: more than [`pairs_max`] pairs meet, or so many paths cross that examining them would
    ///   take too long. Admission cannot foresee such a crowd in a later segment, and it takes more than was paid for.
    /// - [`KernelError::Stopped`]: nobody wants the answer.
    pub fn of(scene: &PhysicsScene<'_>, start: &[State], stop: &Stop) -> Result<Self, KernelError> {
        let paths = Paths::of(scene, start, stop)?;
        let near = near_pairs(scene, &paths, stop)?;
        Ok(Self { paths, near })
    }
}

/// The most pairs of so many bodies that may meet in a segment.
pub(super) const fn pairs_max(bodies: usize) -> usize {
    PAIRS_PER_BODY_MAX * (bodies + 4)
}

/// All pairs whose outer balls come within reach of a contact; errors are those of [`SegmentStart::of`].
fn near_pairs(scene: &PhysicsScene<'_>, paths: &Paths, stop: &Stop) -> Result<Nearby, KernelError> {
    let slack = 0.5 * (PREDICTION_M + drift_m(scene));
    let reach = |body: usize| scene.facts[body].outer + slack;
    let boxes: Vec<(Vec3, Vec3)> = (0..scene.facts.len())
        .map(|body| {
            let (low, high) = paths.bounds(body);
            (low.map(|part| part - reach(body)), high.map(|part| part + reach(body)))
        })
        .collect();
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|a, b| boxes[*a].0[0].total_cmp(&boxes[*b].0[0]));
    let max = pairs_max(boxes.len());
    let looks_max = LOOKS_PER_BODY_MAX * (boxes.len() + 4);
    let (mut pairs, mut resting, mut swept, mut looks) = (Vec::new(), Vec::new(), 0u64, 0);
    for (rank, &a) in order.iter().enumerate() {
        stop.goes_on()?;
        let (low, high) = boxes[a];
        for &b in &order[rank + 1..] {
            swept += 1;
            let (other_low, other_high) = boxes[b];
            if other_low[0] > high[0] {
                break;
            }
            let apart = |axis: usize| other_low[axis] > high[axis] || low[axis] > other_high[axis];
            if apart(1) || apart(2) {
                continue;
            }
            looks += 1;
            if looks > looks_max {
                return Err(KernelError::OutOfFuel);
            }
            let closest = closest(scene, paths, a, b);
            if closest <= reach(a) + reach(b) {
                if pairs.len() + resting.len() == max {
                    return Err(KernelError::OutOfFuel);
                }
                let rests = paths.is_still(a) && paths.is_still(b) && closest >= deep_m(scene, a, b);
                let list = if rests { &mut resting } else { &mut pairs };
                list.push(Near { a: a.min(b) as u16, b: a.max(b) as u16, closest });
            }
        }
    }
    let ticks = if paths.is_straight() { 1 } else { u64::from(scene.steps) + 1 };
    Ok(Nearby { pairs, resting, steps: swept * SWEEP_STEPS + looks as u64 * ticks * LOOK_STEPS })
}

fn closest(scene: &PhysicsScene<'_>, paths: &Paths, a: usize, b: usize) -> f64 {
    if !paths.is_straight() {
        let step = |tick| length(sub(paths.at(b, tick), paths.at(a, tick)));
        // Between ticks two bodies may come nearer by what they move in half a step.
        let between = scene.speed_max * STEP_S;
        return (0..=scene.steps).map(step).fold(f64::INFINITY, f64::min) - between;
    }
    let (way, speed) = (sub(paths.at(b, 0), paths.at(a, 0)), sub(paths.velocity(b), paths.velocity(a)));
    let square = dot(speed, speed);
    let when = if square > 0.0 { (-dot(way, speed) / square).clamp(0.0, scene.segment_s) } else { 0.0 };
    length([way[0] + speed[0] * when, way[1] + speed[1] * when, way[2] + speed[2] * when])
}

/// Centres nearer than this mean that the two bodies certainly overlap.
fn deep_m(scene: &PhysicsScene<'_>, a: usize, b: usize) -> f64 {
    scene.facts[a].inner + scene.facts[b].inner - reach_m(scene)
}

/// Whether a body's centre is so near a wall that the two certainly overlap.
fn is_in_wall(scene: &PhysicsScene<'_>, body: usize, at: Vec3) -> bool {
    let inner = scene.facts[body].inner - reach_m(scene);
    scene.walls.is_some_and(|[x, z]| at[0].abs() > x - inner || at[2].abs() > z - inner)
}

/// Whether the body's outer ball may come within reach of a wall. A body that rests beside one touches it only once
/// something has touched the body.
pub(super) fn wall_near(scene: &PhysicsScene<'_>, paths: &Paths, body: usize) -> bool {
    if paths.is_still(body) {
        return is_in_wall(scene, body, paths.at(body, 0));
    }
    if scene.walls.is_none() {
        return false;
    }
    let (low, high) = paths.bounds(body);
    [low, high].iter().any(|corner| gap_to_walls(scene, body, *corner) <= reach_m(scene))
}

/// Distance between a body's outer ball and the nearest wall.
pub(super) fn gap_to_walls(scene: &PhysicsScene<'_>, body: usize, at: Vec3) -> f64 {
    let Some([x, z]) = scene.walls else { return f64::INFINITY };
    (x - at[0].abs()).min(z - at[2].abs()) - scene.facts[body].outer
}

/// The largest gap at which the engine may report a contact, with the drift of its flight.
fn reach_m(scene: &PhysicsScene<'_>) -> f64 {
    PREDICTION_M + drift_m(scene)
}

/// The contacts of a segment by pair, and when each body was touched first.
pub(super) struct ContactRecord {
    pub by_pair: BTreeMap<(u16, u16), u8>,
    /// Tick of each body's first contact; the number of steps where it has none.
    pub first: Vec<u32>,
}

impl ContactRecord {
    pub fn new(scene: &PhysicsScene<'_>) -> Self {
        Self { by_pair: BTreeMap::new(), first: vec![scene.steps; scene.facts.len()] }
    }

    /// The record of `contacts`, whose bodies must be in range.
    pub fn of(scene: &PhysicsScene<'_>, contacts: &[Contact]) -> Self {
        let mut met = Self::new(scene);
        for contact in contacts {
            met.add(contact.tick, contact.a, contact.b);
        }
        met
    }

    pub fn add(&mut self, tick: u8, a: u16, b: u16) {
        let known = self.by_pair.entry((a, b)).or_insert(tick);
        *known = (*known).min(tick);
        for body in [a, b] {
            if let Some(first) = self.first.get_mut(usize::from(body)) {
                *first = (*first).min(tick.into());
            }
        }
    }

    fn by(&self, a: u16, b: u16, tick: u32) -> bool {
        self.by_pair.get(&(a, b)).is_some_and(|met| u32::from(*met) <= tick)
    }
}

/// A contact that must have happened and is not in `met`: two bodies that nothing touched before overlap
/// deeply, or one is deep in a wall. The third number is the tick by which it must have happened.
pub(super) fn missing(
    scene: &PhysicsScene<'_>,
    paths: &Paths,
    near: &[Near],
    met: &ContactRecord,
) -> Vec<(u8, u16, u16)> {
    let mut missing = Vec::new();
    for pair in near {
        let (a, b) = (usize::from(pair.a), usize::from(pair.b));
        let deep = deep_m(scene, a, b);
        if pair.closest >= deep || deep <= 0.0 {
            continue;
        }
        let last = met.first[a].min(met.first[b]).min(scene.steps - 1);
        let inside = |tick: &u32| {
            let way = sub(paths.at(b, *tick), paths.at(a, *tick));
            dot(way, way) < deep * deep
        };
        if let Some(tick) = (0..=last).find(inside)
            && !met.by(pair.a, pair.b, tick)
        {
            missing.push((tick as u8, pair.a, pair.b));
        }
    }
    if scene.walls.is_none() {
        return missing;
    }
    for body in 0..scene.facts.len() {
        let inside = |tick: &u32| is_in_wall(scene, body, paths.at(body, *tick));
        let last = met.first[body].min(scene.steps - 1);
        // On a straight path the first and the last tick tell whether any tick between them can be inside.
        if paths.is_straight() && !inside(&0) && !inside(&last) {
            continue;
        }
        if let Some(tick) = (0..=last).find(inside)
            && !met.by(body as u16, WALL, tick)
        {
            missing.push((tick as u8, body as u16, WALL));
        }
    }
    missing
}

/// Whether `contact` cannot have happened: nothing touched either body before, and they were apart.
pub(super) fn impossible(
    scene: &PhysicsScene<'_>,
    paths: &Paths,
    met: &ContactRecord,
    contact: Contact,
) -> bool {
    let (a, b, tick) = (usize::from(contact.a), usize::from(contact.b), u32::from(contact.tick));
    if met.first[a] != tick {
        return false;
    }
    if contact.b == WALL {
        return gap_to_walls(scene, a, paths.at(a, tick)) > reach_m(scene);
    }
    let reach = scene.facts[a].outer + scene.facts[b].outer + reach_m(scene);
    met.first[b] == tick && length(sub(paths.at(b, tick), paths.at(a, tick))) > reach
}
