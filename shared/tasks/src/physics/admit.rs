//! Decides which specs are computed at all: those in every range, without a crowd that takes more time than it pays for.

use super::kernel::starts;
use super::meet::{Nearby, SegmentStart, pairs_max, wall_near};
use super::quanta::{POSITION_STEPS_PER_M, SPIN_ERROR_RAD_S, State, VELOCITY_ERROR_M_S};
use super::scene::PhysicsScene;
use super::spec::{Attractor, BodyMaterial, PhysicsSpec};
use super::vector::length;
use super::{
    ATTRACTORS_MAX, BODIES_MAX, DENSITY_MAX, MATERIALS_MAX, PULL_MAX_M_S2, SEGMENTS_MAX, SOFTNESS_MIN,
    SPEED_CAP_MAX, SPIN_CAP_MAX, START_MAX_M, STEPS_MAX, STRENGTH_MAX, ShapeId, WALL_HALF_MAX_M,
    WALL_HALF_MIN_M, WALL_SLACK_M,
};
use crate::admission::{counted, refuse};
use crate::blobs::Blobs;
use crate::fuel::Stop;
use crate::kind::SpecError;

/// The scene of a spec inside all documented ranges.
pub(super) fn in_range<'s>(spec: &'s PhysicsSpec, blobs: &Blobs) -> Result<PhysicsScene<'s>, SpecError> {
    let spec = spec.whole(blobs)?;
    counted("segments", spec.segments.into(), 1..=SEGMENTS_MAX)?;
    counted("steps in a segment", spec.steps.into(), 1..=STEPS_MAX)?;
    counted("attractors", spec.attractors.len(), 0..=ATTRACTORS_MAX)?;
    counted("materials", spec.materials.len(), 1..=MATERIALS_MAX)?;
    counted("bodies", spec.bodies.len(), 1..=BODIES_MAX)?;
    for (number, material) in spec.materials.iter().enumerate() {
        material_in_range(*material).or_else(|what| refuse(format!("material {number}: {what}")))?;
    }
    for (number, attractor) in spec.attractors.iter().enumerate() {
        attractor_in_range(attractor).or_else(|what| refuse(format!("attractor {number}: {what}")))?;
    }
    if !spec.bodies.windows(2).all(|pair| pair[0].id < pair[1].id) {
        return refuse("the bodies' ids do not rise");
    }
    let known = |material: u8| usize::from(material) < spec.materials.len();
    if let Some(body) =
        spec.bodies.iter().find(|body| !known(body.material) || body.shape.0 >= ShapeId::COUNT)
    {
        return refuse(format!("body {} has an unknown material or shape", body.id));
    }
    let scene = PhysicsScene::new(spec);
    if scene.pull_max > PULL_MAX_M_S2 {
        return refuse(format!(
            "the attractors pull with up to {} m/s² where {PULL_MAX_M_S2} are allowed",
            scene.pull_max
        ));
    }
    walls_in_range(&scene)?;
    for (body, facts) in scene.spec.bodies.iter().zip(&scene.facts) {
        state_in_range(&scene, facts.speed_cap, facts.spin_cap, &body.state)
            .or_else(|what| refuse(format!("body {}: {what}", body.id)))?;
    }
    Ok(scene)
}

/// The pairs of bodies that meet in the first segment, and the bodies that come near a wall; a crowd is refused.
pub(super) fn not_crowded(scene: &PhysicsScene<'_>) -> Result<(Nearby, Vec<usize>), SpecError> {
    let max = pairs_max(scene.facts.len());
    let SegmentStart { paths, near } = SegmentStart::of(scene, &starts(scene), &Stop::never())
        .or_else(|_| refuse(format!("more than {max} pairs of bodies meet at once")))?;
    let walled = (0..scene.facts.len()).filter(|body| wall_near(scene, &paths, *body)).collect();
    Ok((near, walled))
}

fn material_in_range(material: BodyMaterial) -> Result<(), &'static str> {
    let ranges = [
        (material.density, DENSITY_MAX, "its density is out of range"),
        (material.speed_cap, SPEED_CAP_MAX, "its speed cap is out of range"),
        (material.spin_cap, SPIN_CAP_MAX, "its spin cap is out of range"),
    ];
    match ranges.iter().find(|(value, max, _)| !(1..=*max).contains(value)) {
        Some((_, _, what)) => Err(what),
        None => Ok(()),
    }
}

fn attractor_in_range(attractor: &Attractor) -> Result<(), &'static str> {
    let far = (START_MAX_M * POSITION_STEPS_PER_M) as i32;
    if attractor.position.iter().any(|part| !(-far..=far).contains(part)) {
        return Err("it is too far away");
    }
    if attractor.softness < SOFTNESS_MIN || !(-STRENGTH_MAX..=STRENGTH_MAX).contains(&attractor.strength) {
        return Err("its softness is too small, or its strength too large");
    }
    Ok(())
}

fn walls_in_range(scene: &PhysicsScene<'_>) -> Result<(), SpecError> {
    let Some(halves) = scene.walls else { return Ok(()) };
    if !scene.spec.planar {
        return refuse("only a planar scene can have walls");
    }
    if halves.iter().any(|half| !(WALL_HALF_MIN_M..=WALL_HALF_MAX_M).contains(half)) {
        return refuse("the walls are too near or too far");
    }
    let outside = |state: &State| {
        let [x, _, z] = state.position_m();
        x.abs() > halves[0] + WALL_SLACK_M || z.abs() > halves[1] + WALL_SLACK_M
    };
    match scene.spec.bodies.iter().find(|body| outside(&body.state)) {
        Some(body) => refuse(format!("body {} is outside the walls", body.id)),
        None => Ok(()),
    }
}

fn state_in_range(
    scene: &PhysicsScene<'_>,
    speed_cap: f64,
    spin_cap: f64,
    state: &State,
) -> Result<(), &'static str> {
    if state.position_m().iter().any(|part| part.abs() > START_MAX_M) {
        return Err("it is too far away");
    }
    if scene.spec.planar && (state.position[1] != 0 || state.velocity[1] != 0) {
        return Err("it is not in the plane, or moves out of it");
    }
    if !state.rotation.is_legal() {
        return Err("its rotation is not valid");
    }
    // Rounding may leave the end of a segment slightly above the cap, and that state starts the next.
    if length(state.velocity_m_s()) > speed_cap + 2.0 * VELOCITY_ERROR_M_S {
        return Err("it moves faster than its material may");
    }
    if length(state.spin_rad_s()) > spin_cap + 2.0 * SPIN_ERROR_RAD_S {
        return Err("it spins faster than its material may");
    }
    Ok(())
}
