//! How an answer from a stranger is judged.

use super::outcome::ReflectionOutcome;
use super::scene::{Scene, radiance_bound};
use super::spec::ReflectionSpec;
use crate::kind::CheckError;

/// The always-on check of every answer.
pub(super) fn check(spec: &ReflectionSpec, outcome: &ReflectionOutcome) -> Result<(), CheckError> {
    let cube = outcome
        .unfold()
        .ok()
        .and_then(|probe| probe.levels.into_iter().next())
        .filter(|cube| cube.face() == spec.face())
        .ok_or_else(|| CheckError::new("reflection.size", "not the size that was asked for"))?;
    let bound = radiance_bound(spec) * 8.0;
    if cube.texels().iter().flatten().any(|part| *part > bound) {
        return Err(CheckError::new("reflection.bright", format!("brighter than {bound}")));
    }
    Ok(())
}

/// Traces a few texels again.
pub(super) fn deep_check(
    spec: &ReflectionSpec,
    outcome: &ReflectionOutcome,
    seed: u64,
) -> Result<(), CheckError> {
    let Some(cube) = outcome.unfold().ok().and_then(|probe| probe.levels.into_iter().next()) else {
        return Err(CheckError::new("reflection.size", "not the size that was asked for"));
    };
    let scene = Scene::new(spec);
    let count = cube.texels().len() as u64;
    let mut off = 0;
    for number in 0..64_u64 {
        let place = (seed.wrapping_add(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % count;
        let (given, traced) = (cube.texels()[place as usize], scene.texel(place as u32));
        let most = traced.into_iter().fold(0.01, f32::max);
        if given.iter().zip(traced).any(|(given, traced)| (given - traced).abs() > 0.6 * most) {
            off += 1;
        }
    }
    if off > 32 {
        return Err(CheckError::new("reflection.texels", format!("{off} of 64 texels are off")));
    }
    Ok(())
}
