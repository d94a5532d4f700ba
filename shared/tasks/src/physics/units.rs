//! Work units of the kind `physics`, computed from a spec alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The constants below were fitted to the kernel's times on the scenes of the benchmark, rocks and
//! balls in arenas and clouds of 100 to 1,200 bodies; `cargo bench -p p2c2r_tasks --bench physics` prints
//! both side by side. A body that meets no other costs next to nothing, since it never enters the engine.
//!
//! Bodies that rest beside one another pay half where something moving lets them into the engine, and a sixth
//! elsewhere.
//!
//! The pairs that meet in the first segment are known beforehand; later segments are assumed to have as many.
//! A spec made to be underpaid flies apart at first and packs its bodies together later: it runs out of fuel.

use p2c2r_protocol::WorkUnits;

use super::catalogue::ShapeKind;
use super::meet::{Near, Nearby, with_neighbours};
use super::scene::PhysicsScene;
use super::vector::{length, sub};
use crate::admission::limited;
use crate::kind::SpecError;

/// Nanoseconds of any segment, and of one body in one segment.
const SEGMENT_NS: u64 = 10_000;
const BUILD_NS: u64 = 400;
/// Nanoseconds of one step, and of each body in it that is near another or a wall: the engine moves it.
const TICK_NS: u64 = 1_500;
const NEAR_NS: u64 = 450;
/// Nanoseconds of any body in one step, and what each attractor adds: its pull, and, in a task of at least
/// `GATHERED_STEPS` steps, the meetings it causes.
const MOVE_NS: u64 = 15;
const PULL_NS: u64 = 80;
const GATHER_NS: u64 = 170;
const GATHERED_STEPS: u64 = 120;
/// Nanoseconds of one step of two balls that meet, of any other two bodies, and of a body and a wall,
/// averaged over the segment: such bodies are near each other for part of it, and in contact for part of
/// that.
const BALLS_NS: u64 = 200;
const MEET_NS: u64 = 500;
const WALL_NS: u64 = 1_000;
/// The same for bodies that begin deep in each other, in the first segment: the engine separates them step
/// after step.
const DEEP_BALLS_NS: u64 = 500;
const DEEP_NS: u64 = 6_000;
/// Divisor of the cost of a meeting for two bodies that rest beside each other where something moving lets
/// them into the engine: they hardly move, so each step's contact is found from the step before.
const WOKEN_PART: u64 = 2;
/// The same for bodies that rest farther away.
const RESTING_PART: u64 = 6;
/// Additional steps that a meeting costs. With fewer, the fuel of a task of one step would not last.
const FIRST: u64 = 8;

/// Fuel steps of the parts of a kernel's work, the most nanoseconds that each takes: a segment; a body in it;
/// a body's tick by the formula, for each attractor.
const SEGMENT_STEPS: u64 = 10_000;
const BODY_STEPS: u64 = 200;
pub(super) const PULL_STEPS: u64 = 40;
/// Two bodies compared along one axis, and two whose paths are compared, per tick where the paths are curved.
pub(super) const SWEEP_STEPS: u64 = 2;
pub(super) const LOOK_STEPS: u64 = 8;
/// A tick of the engine, adding a body to it, and each tick of a body in it.
pub(super) const TICK_STEPS: u64 = 2_800;
pub(super) const ENTER_STEPS: u64 = 2_600;
pub(super) const MOVE_STEPS: u64 = 550;
/// A tick of two balls that are near each other in the engine, and of two in contact; the same for a body and
/// a wall.
const BALLS_NEAR_STEPS: u64 = 200;
const BALLS_TOUCH_STEPS: u64 = 1_100;
const WALL_NEAR_STEPS: u64 = 1_500;
const WALL_TOUCH_STEPS: u64 = 3_200;
/// The same for any other two bodies. The deeper they overlap, the longer the engine takes to separate them.
const NEAR_STEPS: u64 = 1_300;
const TOUCH_STEPS: u64 = 2_600;
const PRESSED_STEPS: u64 = 3_800;
const DEEP_STEPS: u64 = 12_500;
/// Metres of overlap from which two bodies count as pressed together, and as deep in each other.
const PRESSED_M: f32 = 0.03;
const DEEP_M: f32 = 0.1;
/// Additional steps of the first tick in contact.
const FIRST_TOUCH_STEPS: u64 = 3_000;
/// The part of any of these that the engine's solver takes: it comes after the search for contacts, and nothing can stop it.
const SOLVE_STEPS: u64 = 2_300;

/// The shapes of two bodies that meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    Balls,
    Wall,
    Other,
}

/// Two bodies near each other in a tick of the engine, or one and a wall.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub pair: Pair,
    /// How deep they overlap, metres; `None` if they are apart.
    pub depth: Option<f32>,
    /// Whether this is their first contact in the segment.
    pub first: bool,
}

impl Meeting {
    /// The steps it takes.
    pub fn steps(self) -> u64 {
        let Some(depth) = self.depth else {
            return match self.pair {
                Pair::Balls => BALLS_NEAR_STEPS,
                Pair::Wall => WALL_NEAR_STEPS,
                Pair::Other => NEAR_STEPS,
            };
        };
        let touch = match self.pair {
            Pair::Balls => BALLS_TOUCH_STEPS,
            Pair::Wall => WALL_TOUCH_STEPS,
            Pair::Other if depth < PRESSED_M => TOUCH_STEPS,
            Pair::Other if depth < DEEP_M => PRESSED_STEPS,
            Pair::Other => DEEP_STEPS,
        };
        touch + if self.first { FIRST_TOUCH_STEPS } else { 0 }
    }

    /// Those of them that follow the engine's search for contacts.
    pub fn solver_steps(self) -> u64 {
        if self.depth.is_some() { self.steps().min(SOLVE_STEPS) } else { 0 }
    }

    /// The most steps that any meeting of such a pair takes.
    pub fn steps_max(pair: Pair) -> u64 {
        Self { pair, depth: Some(f32::MAX), first: true }.steps()
    }
}

/// Steps of a segment without its meetings.
pub(super) fn segment_steps(scene: &PhysicsScene<'_>) -> u64 {
    let (bodies, attractors) = (scene.facts.len() as u64, scene.spec.attractors.len() as u64);
    SEGMENT_STEPS + bodies * (BODY_STEPS + attractors * u64::from(scene.steps) * PULL_STEPS)
}

/// Whether two bodies begin deep in each other, taken as balls half way between inner and outer.
fn is_deep(scene: &PhysicsScene<'_>, pair: &Near) -> bool {
    let body = |body: u16| (&scene.spec.bodies[usize::from(body)].state, &scene.facts[usize::from(body)]);
    let ((a, a_facts), (b, b_facts)) = (body(pair.a), body(pair.b));
    let reach = (a_facts.inner + a_facts.outer + b_facts.inner + b_facts.outer) / 2.0;
    length(sub(a.position_m(), b.position_m())) + f64::from(DEEP_M) < reach
}

/// Work units of an admissible spec in whose first segment the pairs `near` meet, and the bodies `walled` come near walls.
pub(super) fn reckon(
    scene: &PhysicsScene<'_>,
    near: &Nearby,
    walled: &[usize],
) -> Result<WorkUnits, SpecError> {
    let is_ball = |body: u16| scene.spec.bodies[usize::from(body)].shape.kind() == ShapeKind::Ball;
    let are_balls = |pair: &Near| is_ball(pair.a) && is_ball(pair.b);
    let meet = |pair: &Near| if are_balls(pair) { BALLS_NS } else { MEET_NS };
    // Additional cost of a step of a pair while the two are deep in each other.
    let deeper = |pair: &Near| match (is_deep(scene, pair), are_balls(pair)) {
        (false, _) => 0,
        (true, true) => DEEP_BALLS_NS - BALLS_NS,
        (true, false) => DEEP_NS - MEET_NS,
    };
    let (bodies, attractors) = (scene.facts.len(), scene.spec.attractors.len() as u64);
    let mut moves = vec![false; bodies];
    near.pairs.iter().flat_map(|pair| [pair.a, pair.b]).for_each(|body| moves[usize::from(body)] = true);
    for body in walled {
        moves[*body] = true;
    }
    let moved = moves.iter().filter(|moves| **moves).count();
    let Resting { meetings, woken, asleep } = Resting::of(near, &moves, |pair| meet(pair) + deeper(pair));
    let meetings = near.pairs.iter().map(meet).sum::<u64>() + meetings + walled.len() as u64 * WALL_NS;
    let engine = (moved + woken) as u64 + asleep as u64 / RESTING_PART;
    // The engine has them apart by the end of the first segment.
    let first = near.pairs.iter().map(deeper).sum::<u64>() * (FIRST + u64::from(scene.steps));
    let bodies = bodies as u64;
    let all_steps = u64::from(scene.spec.segments) * u64::from(scene.steps);
    let pull = PULL_NS + GATHER_NS * all_steps.min(GATHERED_STEPS) / GATHERED_STEPS;
    let step = TICK_NS + engine * NEAR_NS + bodies * (MOVE_NS + attractors * pull) + meetings;
    let segment =
        SEGMENT_NS + near.steps + bodies * BUILD_NS + FIRST * meetings + u64::from(scene.steps) * step;
    let units = (first + u64::from(scene.spec.segments) * segment).div_ceil(1_000);
    limited(units)
}

/// Bodies that rest beside one another, for pairs of which neither moves.
#[derive(Default)]
struct Resting {
    /// Nanoseconds of a step of all their pairs.
    meetings: u64,
    /// Bodies that something moving near them wakes, and bodies that only a later push may wake.
    woken: usize,
    asleep: usize,
}

impl Resting {
    /// `moves` says by body whether it is near another that moves, or near a wall.
    fn of(near: &Nearby, moves: &[bool], meet: impl Fn(&Near) -> u64) -> Self {
        if near.resting.is_empty() {
            return Self::default();
        }
        let moving: Vec<usize> = (0..moves.len()).filter(|body| moves[*body]).collect();
        let mut wakes = vec![false; moves.len()];
        for body in with_neighbours(&near.beside(moves.len()), moving) {
            wakes[body] = true;
        }
        let (mut awake, mut asleep) = (0, 0);
        let mut rests = vec![false; moves.len()];
        for pair in &near.resting {
            let ends = [pair.a, pair.b].map(usize::from);
            let sum = if ends.iter().all(|body| wakes[*body]) { &mut awake } else { &mut asleep };
            *sum += meet(pair);
            for body in ends {
                rests[body] = !moves[body];
            }
        }
        let (woken, asleep_bodies): (Vec<usize>, Vec<usize>) =
            (0..rests.len()).filter(|body| rests[*body]).partition(|body| wakes[*body]);
        Self {
            meetings: awake / WOKEN_PART + asleep / RESTING_PART,
            woken: woken.len(),
            asleep: asleep_bodies.len(),
        }
    }
}
