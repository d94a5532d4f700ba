//! The kernel on the CPU: paths in all directions from every probe.

use super::admit::PROBE_STEPS;
use super::field::{LightField, coded};
use super::spec::LightfieldSpec;
use crate::fuel::Fuel;
use crate::kind::KernelError;
use crate::reflection::{POSITION_STEPS_PER_M, Scene};

/// Where a probe is, metres.
pub(super) fn place_m(spec: &LightfieldSpec, number: usize) -> [f32; 3] {
    spec.probes.place(number).map(|part| f32::from(part) / POSITION_STEPS_PER_M)
}

/// All probes, one after the other.
pub(super) fn trace(
    spec: &LightfieldSpec,
    scene: &Scene,
    fuel: &mut Fuel<'_>,
) -> Result<LightField, KernelError> {
    let mut probes = Vec::with_capacity(spec.probes.count());
    for number in 0..spec.probes.count() {
        fuel.spend(PROBE_STEPS)?;
        let light = scene.moments_within(place_m(spec, number), number as u32, spec.paths.into(), fuel)?;
        probes.push(coded(&light));
    }
    Ok(LightField { probes, across: spec.probes.across() })
}
