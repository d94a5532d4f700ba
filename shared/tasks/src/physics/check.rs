//! How an answer from a stranger is judged.

use super::flight::Paths;
use super::kernel::{advance, run_segment, starts};
use super::meet::{ContactRecord, impossible, missing, near_pairs};
use super::outcome::{PhysicsOutcome, Segment, WALL};
use super::quanta::{SPIN_ERROR_RAD_S, State, VELOCITY_ERROR_M_S};
use super::scene::PhysicsScene;
use super::settle::{Conserved, at_cap, groups, rounding};
use super::vector::{length, sub};
use super::{DISPLACEMENT_SLACK_M, POSITION_MAX_M, STEP_S};
use crate::fuel::Fuel;
use crate::kind::CheckError;

type Found = Result<(), (&'static str, String)>;

/// The always-on check of every answer.
pub(super) fn check(scene: &PhysicsScene<'_>, outcome: &PhysicsOutcome) -> Result<(), CheckError> {
    count(scene, outcome)?;
    let mut states = starts(scene);
    for (number, segment) in outcome.segments.iter().enumerate() {
        let named = |(check, what)| CheckError::new(check, format!("segment {number}: {what}"));
        structure(scene, segment).map_err(named)?;
        let ends = advance(scene, &states, segment);
        contacts(scene, segment, &states, &ends).map_err(named)?;
        books(scene, segment, &states, &ends).map_err(named)?;
        states = ends;
    }
    Ok(())
}

fn count(scene: &PhysicsScene<'_>, outcome: &PhysicsOutcome) -> Result<(), CheckError> {
    let (given, asked) = (outcome.segments.len(), usize::from(scene.spec.segments));
    if given == asked {
        return Ok(());
    }
    Err(CheckError::new("physics.segment_count", format!("{given} segments where {asked} were asked for")))
}

/// What can be said of a segment without any physics.
fn structure(scene: &PhysicsScene<'_>, segment: &Segment) -> Found {
    let bodies = scene.facts.len();
    let rising = segment.touched.windows(2).all(|pair| pair[0].body < pair[1].body);
    if !rising || segment.touched.last().is_some_and(|touched| usize::from(touched.body) >= bodies) {
        return Err(("physics.bodies", "touched bodies are out of order or unknown".into()));
    }
    let mut in_contact = vec![false; bodies];
    let (mut before, mut pairs) = (None, Vec::with_capacity(segment.contacts.len()));
    for contact in &segment.contacts {
        let walled = contact.b == WALL && scene.walls.is_some();
        let known = usize::from(contact.a) < bodies
            && contact.a < contact.b
            && (walled || usize::from(contact.b) < bodies);
        let key = Some((contact.tick, contact.a, contact.b));
        if !known || u32::from(contact.tick) >= scene.steps || before >= key {
            return Err(("physics.contacts", format!("{contact:?} is out of order or range")));
        }
        before = key;
        pairs.push((contact.a, contact.b));
        in_contact[usize::from(contact.a)] = true;
        if !walled {
            in_contact[usize::from(contact.b)] = true;
        }
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(("physics.contacts", "a pair has two contacts".into()));
    }
    for touched in &segment.touched {
        if !std::mem::replace(&mut in_contact[usize::from(touched.body)], false) {
            return Err(("physics.touched", format!("body {} is sent but touches nothing", touched.body)));
        }
        state(scene, touched.body, &touched.state)?;
    }
    match in_contact.iter().position(|left| *left) {
        Some(body) => Err(("physics.touched", format!("body {body} has a contact and is not sent"))),
        None => Ok(()),
    }
}

fn state(scene: &PhysicsScene<'_>, body: u16, state: &State) -> Found {
    let facts = &scene.facts[usize::from(body)];
    if !state.rotation.is_legal() {
        return Err(("physics.rotation", format!("body {body}: {:?} is none", state.rotation)));
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

/// Contacts that must have happened, contacts that cannot have, and how far they can have carried a body.
fn contacts(scene: &PhysicsScene<'_>, segment: &Segment, start: &[State], ends: &[State]) -> Found {
    let paths = Paths::of(scene, start);
    let crowded = || ("physics.crowded", "more pairs meet than the kernel computes".to_owned());
    let near = near_pairs(scene, &paths).map_err(|_| crowded())?.pairs;
    let met = ContactRecord::of(scene, &segment.contacts);
    if let Some((tick, a, b)) = missing(scene, &paths, &near, &met).first() {
        let what = format!("bodies {a} and {b} overlap at tick {tick} and no contact says so");
        return Err(("physics.contact_missing", what));
    }
    if let Some(contact) = segment.contacts.iter().find(|contact| impossible(scene, &paths, &met, **contact))
    {
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

/// Momentum stays and energy does not grow within each group of bodies in contact.
fn books(scene: &PhysicsScene<'_>, segment: &Segment, start: &[State], ends: &[State]) -> Found {
    for group in groups(scene.facts.len(), &segment.contacts) {
        let before = Conserved::of_states(scene, &group, start);
        let after = Conserved::of_states(scene, &group, ends);
        let (momentum_error, norm_error) = rounding(scene, &group);
        // Sums of f64 err by less than a billionth of their terms' size.
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

/// Runs the segment that `seed` picks again from the claimed state at its start; whatever is false in that
/// segment is caught. `fuel` is the whole task's: an honest segment took less.
pub(super) fn deep_check(
    scene: &PhysicsScene<'_>,
    outcome: &PhysicsOutcome,
    seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<(), CheckError> {
    count(scene, outcome)?;
    // Neighbouring seeds shall pick unrelated segments: the golden ratio's multiples spread them.
    let spread = u128::from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let number = ((spread * outcome.segments.len() as u128) >> 64) as usize;
    let mut states = starts(scene);
    for segment in &outcome.segments[..number] {
        states = advance(scene, &states, segment);
    }
    let right = run_segment(scene, &states, fuel)
        .map_err(|error| CheckError::new("physics.rerun", format!("segment {number}: {error}")))?;
    if outcome.segments[number] == right {
        return Ok(());
    }
    let claimed = &outcome.segments[number];
    let what = format!(
        "segment {number} is not what its start leads to: {} bodies touched, {} right; {} contacts, {} right",
        claimed.touched.len(),
        claimed.touched.iter().filter(|touched| right.touched.contains(touched)).count(),
        claimed.contacts.len(),
        claimed.contacts.iter().filter(|contact| right.contacts.contains(contact)).count(),
    );
    Err(CheckError::new("physics.rerun", what))
}
