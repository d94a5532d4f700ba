//! What a graphics processor computes for this worker, and which one it is.

use p2c2r_tasks::gpu::GpuChoice;
use serde::{Deserialize as _, Deserializer};

use crate::config::WorkerConfig;
use crate::error::WorkerError;

/// The console's line for a worker that computes on its cores alone, and why it does.
pub fn cpu_only(reason: &str) -> String {
    format!("🖥  CPU only: {reason}")
}

/// Looks for the graphics processor that is wanted and lets it compute what it can.
#[cfg(feature = "gpu")]
pub fn equip(worker: &mut WorkerConfig, choice: &GpuChoice) -> Result<(), WorkerError> {
    use std::sync::Arc;

    use p2c2r_tasks::gpu::{Found, Gpu};
    use p2c2r_tasks::reflection::{GpuTracer, Reflection};

    let kinds = worker.kinds.clone();
    worker.computes_on = match Gpu::find(choice).map_err(|error| WorkerError::Gpu(error.to_string()))? {
        Found::None(reason) => cpu_only(&reason),
        Found::Gpu(gpu) => match GpuTracer::new(&gpu) {
            Ok(tracer) => {
                worker.kinds = kinds.with_kernel::<Reflection>(Arc::new(tracer));
                let software = if gpu.is_software() { ", software" } else { "" };
                format!("🖥  GPU: {} ({}{software})", gpu.name(), gpu.driver())
            }
            Err(error) => cpu_only(&error.to_string()),
        },
    };
    Ok(())
}

/// This build has no kernels for graphics processors: a name cannot be had, anything else is the cores.
#[cfg(not(feature = "gpu"))]
pub fn equip(worker: &mut WorkerConfig, choice: &GpuChoice) -> Result<(), WorkerError> {
    if let GpuChoice::Named(name) = choice {
        return Err(WorkerError::Gpu(format!("this worker was built without support for `{name}`")));
    }
    worker.computes_on = cpu_only("this worker was built without support for graphics processors");
    Ok(())
}

/// Reads a choice from a configuration file.
pub(crate) fn choice<'de, D: Deserializer<'de>>(source: D) -> Result<Option<GpuChoice>, D::Error> {
    let text = String::deserialize(source)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
