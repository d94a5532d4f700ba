//! Judges an answer from a stranger: the always-on check and the sampled deep check.

use super::kernel::{advance, run_segment, slowed, starts};
use super::meet::{ContactRecord, SegmentStart, impossible, missing};
use super::outcome::{PhysicsOutcome, Segment, not_packed};
use super::quanta::{SPIN_ERROR_RAD_S, State, VELOCITY_ERROR_M_S};
use super::scene::PhysicsScene;
use super::settle::{Conserved, at_cap, groups, rounding};
use super::stream::Unpacking;
use super::units::segment_steps;
use super::vector::{length, sub};
use super::{DISPLACEMENT_SLACK_M, POSITION_MAX_M, STEP_S};
use crate::fuel::{Fuel, Stop};
use crate::kind::CheckError;
use crate::picking;

type Found = Result<(), (&'static str, String)>;

/// An outcome that has passed the always-on check, unfolded.
#[derive(Default)]
pub(super) struct Judged {
    pub segments: Vec<Segment>,
    /// The states that each segment starts from.
    pub starts: Vec<Vec<State>>,
    /// The states at the end of the last segment.
    pub ends: Vec<State>,
}

/// The always-on check of every answer.
pub(super) fn check(scene: &PhysicsScene<'_>, outcome: &PhysicsOutcome) -> Result<Judged, CheckError> {
    let mut judged =
        Judged { ends: scene.spec.bodies.iter().map(|body| body.state).collect(), ..Judged::default() };
    let mut unpacking = Unpacking::new(outcome);
    for number in 0..scene.spec.segments {
        let named = |(check, what)| CheckError::new(check, format!("segment {number}: {what}"));
        let states = slowed(scene, std::mem::take(&mut judged.ends));
        let ground = SegmentStart::of(scene, &states, &Stop::never())
            .map_err(|_| named(("physics.crowded", "more pairs meet than the kernel computes".into())))?;
        let segment = unpacking.next(scene, &states, &ground).ok_or_else(not_packed)?;
        for touched in &segment.touched {
            state(scene, touched.body, &touched.state).map_err(named)?;
        }
        let ends = advance(scene, &states, &segment);
        contacts(scene, &segment, &ground, &ends).map_err(named)?;
        books(scene, &segment, &states, &ends).map_err(named)?;
        judged.segments.push(segment);
        judged.starts.push(states);
        judged.ends = ends;
    }
    if unpacking.at_end() { Ok(judged) } else { Err(not_packed()) }
}

fn state(scene: &PhysicsScene<'_>, body: u16, state: &State) -> Found {
    let facts = &scene.facts[usize::from(body)];
    if !state.rotation.is_legal() {
        return Err((
            "physics.rotation",
            format!("body {body}: {:?} is not a valid rotation", state.rotation),
        ));
    }
    if scene.spec.planar && (state.position[1] != 0 || state.velocity[1] != 0) {
        return Err(("physics.plane", format!("body {body} leaves the plane")));
    }
    let most = POSITION_MAX_M;
    if state.position_m().iter().any(|part| part.abs() > most) {
        return Err(("physics.range", format!("body {body} is more than {most} m away")));
    }
    let (speed, spin) = (length(state.velocity_m_s()), length(state.spin_rad_s()));
    if speed > facts.speed_cap + 2.0 * VELOCITY_ERROR_M_S || spin > facts.spin_cap + 2.0 * SPIN_ERROR_RAD_S {
        return Err(("physics.caps", format!("body {body} moves at {speed} m/s and {spin} rad/s")));
    }
    Ok(())
}

/// Checks that no contact is missing, that none is impossible, and that no body is farther away than contacts can
/// have carried it.
fn contacts(scene: &PhysicsScene<'_>, segment: &Segment, ground: &SegmentStart, ends: &[State]) -> Found {
    let (paths, near) = (&ground.paths, &ground.near.pairs);
    let met = ContactRecord::of(scene, &segment.contacts);
    if let Some((tick, a, b)) = missing(scene, paths, near, &met).first() {
        let what = format!("bodies {a} and {b} overlap at tick {tick} and no contact says so");
        return Err(("physics.contact_missing", what));
    }
    if let Some(contact) = segment.contacts.iter().find(|contact| impossible(scene, paths, &met, **contact)) {
        return Err(("physics.contact_apart", format!("{contact:?}, but the two are apart")));
    }
    for touched in &segment.touched {
        let body = usize::from(touched.body);
        let first = met.first[body];
        let moved = length(sub(ends[body].position_m(), paths.at(body, first)));
        let most = scene.speed_max * f64::from(scene.steps - first) * STEP_S + DISPLACEMENT_SLACK_M;
        if moved > most {
            let what = format!("body {body} is {moved} m from its first contact, {most} m are possible");
            return Err(("physics.displacement", what));
        }
    }
    Ok(())
}

/// Checks that momentum stays and energy does not grow within each group of bodies in contact.
fn books(scene: &PhysicsScene<'_>, segment: &Segment, start: &[State], ends: &[State]) -> Found {
    for group in groups(scene.facts.len(), &segment.contacts) {
        let before = Conserved::of_states(scene, &group, start);
        let after = Conserved::of_states(scene, &group, ends);
        let (momentum_error, norm_error) = rounding(scene, &group);
        // Sums of f64 err by less than a billionth of the size of their terms.
        let dust = 1e-9 * before.mass * (scene.speed_max + 1.0);
        let norm_max = before.norm_max(scene) + norm_error;
        if after.energy_twice.sqrt() > norm_max + 1e-9 * (norm_max + before.mass.sqrt()) {
            let what = format!(
                "the group of body {} goes from {} J to {} J",
                group.bodies[0],
                before.energy_twice / 2.0,
                after.energy_twice / 2.0
            );
            return Err(("physics.energy", what));
        }
        let cut = group.bodies.iter().any(|body| at_cap(scene, *body, &ends[usize::from(*body)]));
        if group.walled || cut {
            continue;
        }
        let most = momentum_error + dust + before.mass * scene.pull_max * scene.segment_s;
        let change = sub(after.momentum, before.momentum);
        if change.iter().any(|part| part.abs() > most) {
            let what = format!("the group of body {} gains {change:?} kg m/s", group.bodies[0]);
            return Err(("physics.momentum", what));
        }
    }
    Ok(())
}

/// Runs the segment that `seed` picks again from the claimed state at its start, so anything false in that
/// segment is caught. `fuel` is the whole task's: an honest segment took less.
pub(super) fn deep_check(
    scene: &PhysicsScene<'_>,
    outcome: &PhysicsOutcome,
    seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<(), CheckError> {
    let number = picking::one_of(scene.spec.segments.into(), seed);
    let (mut states, mut unpacking) = (starts(scene), Unpacking::new(outcome));
    let mut unfolded = None;
    for _ in 0..=number {
        if let Some((segment, _)) = &unfolded {
            states = slowed(scene, advance(scene, &states, segment));
        }
        let ground = SegmentStart::of(scene, &states, &Stop::never()).map_err(|_| not_packed())?;
        let segment = unpacking.next(scene, &states, &ground).ok_or_else(not_packed)?;
        unfolded = Some((segment, ground));
    }
    let Some((claimed, ground)) = unfolded else { return Ok(()) };
    let right = fuel
        .spend(segment_steps(scene))
        .and_then(|()| run_segment(scene, &states, &ground, fuel))
        .map_err(|error| CheckError::new("physics.rerun", format!("segment {number}: {error}")))?;
    if claimed == right {
        return Ok(());
    }
    let what = format!(
        "segment {number} is not what its start leads to: {} bodies touched, {} right; {} contacts, {} right",
        claimed.touched.len(),
        claimed.touched.iter().filter(|touched| right.touched.contains(touched)).count(),
        claimed.contacts.len(),
        claimed.contacts.iter().filter(|contact| right.contacts.contains(contact)).count(),
    );
    Err(CheckError::new("physics.rerun", what))
}
