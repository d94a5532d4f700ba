//! The kernel: segment after segment, each a pure function of the lattice state at its start.

use super::flight::landing;
use super::meet::{ContactRecord, SegmentStart, missing, wall_near};
use super::outcome::{Contact, Impulse, PhysicsOutcome, Segment, Touched};
use super::quanta::State;
use super::scene::PhysicsScene;
use super::settle::{groups, settle};
use super::stream::Packing;
use super::units::segment_steps;
use super::world;
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// All segments.
pub(super) fn run(scene: &PhysicsScene<'_>, fuel: &mut Fuel<'_>) -> Result<PhysicsOutcome, KernelError> {
    let mut states = starts(scene);
    let mut packing = Packing::new();
    for _ in 0..scene.spec.segments {
        let steps = segment_steps(scene);
        fuel.require(steps)?;
        let ground = SegmentStart::of(scene, &states, fuel.stop())?;
        fuel.spend_watched(steps)?;
        let segment = run_segment(scene, &states, &ground, fuel)?;
        packing.add(scene, &states, &ground, &segment);
        states = slowed(scene, advance(scene, &states, &segment));
    }
    Ok(packing.finish())
}

/// The states the first segment starts from.
pub(super) fn starts(scene: &PhysicsScene<'_>) -> Vec<State> {
    slowed(scene, scene.spec.bodies.iter().map(|body| body.state).collect())
}

/// The states that a segment starts from if the one before ended with `ends`: those states after drag.
pub(super) fn slowed(scene: &PhysicsScene<'_>, mut ends: Vec<State>) -> Vec<State> {
    for (state, body) in ends.iter_mut().zip(&scene.spec.bodies) {
        let drag = scene.spec.materials[usize::from(body.material)].drag;
        if drag > 0 {
            *state = state.slowed(drag);
        }
    }
    ends
}

/// The states at the end of `segment`: the sent ones for touched bodies, the formula's for all others.
pub(super) fn advance(scene: &PhysicsScene<'_>, start: &[State], segment: &Segment) -> Vec<State> {
    let mut sent: Vec<Option<State>> = vec![None; start.len()];
    for touched in &segment.touched {
        if let Some(slot) = sent.get_mut(usize::from(touched.body)) {
            *slot = Some(touched.state);
        }
    }
    let ends = sent.into_iter().zip(start).enumerate();
    ends.map(|(index, (sent, state))| sent.unwrap_or_else(|| landing(scene, index, state))).collect()
}

/// Runs one segment from `start`; the segment's fixed steps are already spent.
pub(super) fn run_segment(
    scene: &PhysicsScene<'_>,
    start: &[State],
    ground: &SegmentStart,
    fuel: &mut Fuel<'_>,
) -> Result<Segment, KernelError> {
    let (paths, near) = (&ground.paths, &ground.near.pairs);
    fuel.spend_watched(ground.near.steps)?;
    if near.is_empty() && !(0..start.len()).any(|body| wall_near(scene, paths, body)) {
        // No body can touch anything, so the engine is not needed.
        return Ok(Segment::default());
    }
    let mut run = world::run(scene, start, ground, fuel)?;
    let mut met = ContactRecord::new(scene);
    run.met.iter().for_each(|((a, b), (tick, _))| met.add(*tick, *a, *b));
    // The engine may find no contact where two centres coincide, but the check requires one.
    for (tick, a, b) in missing(scene, paths, near, &met) {
        run.met.entry((a, b)).or_insert((tick, 0.0)).0 = tick;
    }
    let mut contacts: Vec<Contact> = run
        .met
        .iter()
        .map(|((a, b), (tick, impulse))| Contact {
            tick: *tick,
            a: *a,
            b: *b,
            impulse: Impulse::of(*impulse),
        })
        .collect();
    contacts.sort_unstable_by_key(|contact| (contact.tick, contact.a, contact.b));
    let mut touched = Vec::new();
    for group in groups(start.len(), &contacts) {
        settle(scene, &group, start, &mut run.ends, &run.pulled);
        touched.extend(group.bodies.iter().map(|body| {
            let state = State::of(&run.ends[usize::from(*body)]);
            Touched { body: *body, state }
        }));
    }
    touched.sort_unstable_by_key(|touched| touched.body);
    Ok(Segment { touched, contacts })
}
