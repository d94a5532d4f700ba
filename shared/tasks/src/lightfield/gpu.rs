//! The kernel on graphics processors: the paths of `gpu/trace.wgsl`, a group of threads for each probe.

use p2c2r_protocol::Device;

use super::field::{LightField, coded};
use super::spec::LightfieldSpec;
use super::{Lightfield, LightfieldOutcome, kernel, outcome};
use crate::blobs::Blobs;
use crate::fuel::{Fueled as _, Stop};
use crate::kind::{Kernel, KernelError};
use crate::reflection::{self, GpuTracer, Scene};

/// How well both kernels agree on the probes of one field.
pub struct FieldTolerance {
    /// A probe agrees if none of its numbers differs by more than this share of its brightest colour: two
    /// steps of a level or a share, since rounding may move either to the next.
    pub probe: f32,
    /// Share of probes that need not agree: those where rounding sends a path to a lamp, or past it.
    pub strays: f64,
    /// Largest mean of all signed differences, as a share of the mean radiance.
    pub mean: f64,
}

/// The tolerance that the tests hold both kernels to.
pub const FIELD_TOLERANCE: FieldTolerance = FieldTolerance { probe: 0.13, strays: 0.02, mean: 2e-3 };

impl Kernel<Lightfield> for GpuTracer {
    fn is_ready(&self) -> bool {
        Kernel::<reflection::Reflection>::is_ready(self)
    }

    fn device(&self) -> Device {
        Kernel::<reflection::Reflection>::device(self)
    }

    fn run(
        &self,
        spec: &LightfieldSpec,
        blobs: &Blobs,
        stop: &Stop,
    ) -> Result<LightfieldOutcome, KernelError> {
        let (base, scene) = (outcome::base(spec, blobs)?, spec.scene());
        Lightfield::fuel(spec, blobs, stop)?.spend(reflection::scene_steps(&scene))?;
        let count = spec.probes.count();
        let places: Vec<[f32; 3]> = (0..count).map(|number| kernel::place_m(spec, number)).collect();
        let light = self.moments(&Scene::new(&scene), &places, spec.paths.into(), stop);
        // A field that was stopped half way is no failure of the device.
        if stop.is_stopped() {
            return Err(KernelError::Stopped);
        }
        let field = LightField { probes: light?.iter().map(coded).collect(), across: spec.probes.across() };
        Ok(LightfieldOutcome::of(&field, base.as_deref()))
    }
}
