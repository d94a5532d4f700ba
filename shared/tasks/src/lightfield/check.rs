//! Judging a field without computing it all again.

use super::field::{Coded, LEVEL_STEPS, LEVELS, LightField, NUMBERS, SHARE_STEPS, coded};
use super::spec::LightfieldSpec;
use super::{Lightfield, LightfieldOutcome};
use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled as _, Stop};
use crate::kind::{CheckError, KernelError};
use crate::picking::pick;
use crate::reflection::{ReflectionSpec, Scene, level_of, radiance_bound};

/// Probes that the deep check traces again.
pub const PROBES_CHECKED: usize = 16;
/// Steps by which a number may differ from the one traced again: rounding moves it over one edge at most.
const STEPS_OFF: u16 = 1;
/// Probes with a number that differs by more before an answer is false. One alone may be a stray: a path that
/// passes an edge on the other side and meets a lamp there.
const PROBES_OFF: usize = 2;
/// Largest mean of the levels' signed differences, in steps: an eighth of a step is half a per cent of
/// radiance.
const MEAN_OFF: f32 = 0.125;

/// The always-on check.
pub(super) fn check(
    spec: &LightfieldSpec,
    scene: &ReflectionSpec,
    blobs: &Blobs,
    outcome: &LightfieldOutcome,
) -> Result<(), CheckError> {
    let field = unfolded(spec, blobs, outcome)?;
    let brightest = level_of(radiance_bound(scene)) * LEVEL_STEPS + 1.0;
    // The mean direction has a length of at most 1, and rounding may raise each component by half a step.
    let longest = (SHARE_STEPS + 1.0) * (SHARE_STEPS + 1.0);
    for (number, probe) in field.probes.iter().enumerate() {
        if probe[..LEVELS].iter().any(|level| f32::from(*level) > brightest) {
            let what = format!("probe {number} is brighter than anything in the scene");
            return Err(CheckError::new("lightfield.brightness", what));
        }
        for colour in 0..LEVELS {
            let square = |axis: usize| f32::from(probe[LEVELS + 3 * axis + colour]).powi(2);
            if (0..3).map(square).sum::<f32>() > longest {
                let what = format!("the light of probe {number} comes more from one side than all of it");
                return Err(CheckError::new("lightfield.direction", what));
            }
        }
    }
    Ok(())
}

fn unfolded(
    spec: &LightfieldSpec,
    blobs: &Blobs,
    outcome: &LightfieldOutcome,
) -> Result<LightField, CheckError> {
    outcome.unfold(spec, blobs).map_err(|error| CheckError::new("lightfield.stream", error.to_string()))
}

/// The probes that a seed picks, none twice.
fn picks(count: usize, mut seed: u64) -> Vec<usize> {
    let mut picked = Vec::with_capacity(PROBES_CHECKED);
    pick(&mut picked, PROBES_CHECKED, count, &mut seed);
    picked
}

/// The largest difference between the numbers of two probes, in steps.
fn off(a: &Coded, b: &Coded) -> u16 {
    (0..NUMBERS).map(|part| a[part].abs_diff(b[part])).max().unwrap_or(0)
}

/// The sampled deep check: traces some probes again.
pub(super) fn deep_check(
    spec: &LightfieldSpec,
    scene: &ReflectionSpec,
    blobs: &Blobs,
    outcome: &LightfieldOutcome,
    seed: u64,
) -> Result<(), CheckError> {
    let (field, stop) = (unfolded(spec, blobs, outcome)?, Stop::never());
    let mut fuel = Lightfield::fuel(spec, blobs, &stop)
        .map_err(|error| CheckError::new("lightfield.spec", error.to_string()))?;
    // No core can trace what exceeds the fuel; a graphics processor may, and is not rejected for it.
    looked_at(spec, &Scene::new(scene), &field, seed, &mut fuel).unwrap_or(Ok(()))
}

/// Metres by which a probe is moved to see whether its light depends on rounding, which differs between
/// processors.
const HAIR_M: f32 = 1.0 / 65_536.0;

fn looked_at(
    spec: &LightfieldSpec,
    scene: &Scene,
    field: &LightField,
    seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<Result<(), CheckError>, KernelError> {
    let (mut off_by, mut strays, mut sum, mut judged) = (0, 0, 0.0, 0);
    for number in picks(field.count(), seed) {
        let place = super::kernel::place_m(spec, number);
        let mut trace = |place: [f32; 3]| {
            scene.moments_within(place, number as u32, spec.paths.into(), fuel).map(|light| coded(&light))
        };
        let (traced, said) = (trace(place)?, &field.probes[number]);
        if off(&traced, said) > STEPS_OFF {
            let beside = trace(place.map(|part| part + HAIR_M + part.abs() / 2_097_152.0))?;
            // A gamer can ask for two surfaces in one place; the worker is not to blame for which of the two
            // is seen.
            if 2 * off(&traced, &beside) > off(&traced, said) {
                continue;
            }
            strays += 1;
            off_by = off_by.max(off(&traced, said));
            continue;
        }
        judged += LEVELS;
        sum += (0..LEVELS).map(|part| f32::from(said[part] - traced[part])).sum::<f32>();
    }
    if strays >= PROBES_OFF {
        let what = format!("{strays} of {PROBES_CHECKED} probes differ, one by {off_by} steps");
        return Ok(Err(CheckError::new("lightfield.probes", what)));
    }
    let mean = sum / judged.max(1) as f32;
    if mean.abs() > MEAN_OFF {
        let what = format!("{mean} steps brighter than what was traced again");
        return Ok(Err(CheckError::new("lightfield.mean", what)));
    }
    Ok(Ok(()))
}
