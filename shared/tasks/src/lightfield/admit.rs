//! Decides which specs are computed at all, and what they are worth.
//!
//! One work unit is a microsecond of the reference core. Paths are estimated as the kind `reflection` does
//! it, from [`VIEWS`] of the probes.

use p2c2r_protocol::WorkUnits;

use super::outcome::base;
use super::spec::{LightfieldSpec, Probes};
use super::{OBJECTS_MAX, PATHS_MAX, PROBES_MAX, PROBES_MIN};
use crate::admission::{counted, limited, refuse};
use crate::blobs::Blobs;
use crate::kind::SpecError;
use crate::reflection::{self, Crowd, ReflectionSpec};

/// Probes from which the surroundings of all are estimated, spread evenly.
const VIEWS: usize = 32;
/// Nanoseconds of a probe without its paths, and the most steps that coding its numbers takes.
const PROBE_NS: f64 = 900.0;
pub(super) const PROBE_STEPS: u64 = 1_300;
/// Factor on the estimate, because the fuel ends at less than twice what is paid for: crowds that few of the
/// sampled probes see are still computed.
const MARGIN: f64 = 1.1;

/// Checks every documented range and the base, and returns the scene.
pub(super) fn in_range(spec: &LightfieldSpec, blobs: &Blobs) -> Result<ReflectionSpec, SpecError> {
    let count = spec.probes.count();
    counted("probes", count, PROBES_MIN..=PROBES_MAX)?;
    if let Probes::Grid { origin, spacing, counts } = &spec.probes {
        let last =
            |axis: usize| i64::from(origin[axis]) + i64::from(*spacing) * (i64::from(counts[axis]) - 1);
        if *spacing == 0 || (0..3).any(|axis| last(axis) > i16::MAX.into()) {
            return refuse("a grid without spacing, or one that leaves the range of positions");
        }
    }
    counted("paths", spec.paths.into(), 1..=PATHS_MAX.into())?;
    counted("objects", spec.objects.len(), 0..=OBJECTS_MAX)?;
    let scene = spec.scene();
    reflection::in_range(&scene)?;
    base(spec, blobs)?;
    Ok(scene)
}

/// Work units of an admissible spec and its scene.
pub(super) fn reckon(spec: &LightfieldSpec, scene: &ReflectionSpec) -> Result<WorkUnits, SpecError> {
    let (crowd, count) = (Crowd::of(scene), spec.probes.count());
    let step = count.div_ceil(VIEWS).max(1);
    // Odd, so that the stride is no multiple of a grid's row.
    let views: Vec<f64> =
        (0..count).step_by(step | 1).map(|number| crowd.path_ns(spec.probes.place(number))).collect();
    let path = views.iter().sum::<f64>() / views.len().max(1) as f64;
    let probe = PROBE_NS + f64::from(spec.paths) * path * MARGIN;
    let units = ((crowd.scene_ns() + count as f64 * probe) / 1_000.0).ceil() as u64;
    limited(units)
}
