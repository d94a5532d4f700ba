//! What a graphics processor computes for this worker, and which one it is.

use p2c2r_tasks::gpu::GpuChoice;

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::share::Share;

#[cfg(feature = "gpu")]
mod rationed;

/// The console's line for a worker that computes on its cores alone, and why it does.
pub fn cpu_only(reason: &str) -> String {
    format!("🖥  CPU only: {reason}")
}

/// The console's line for a worker that computes on a graphics processor as well.
pub(crate) fn on_device(description: &str) -> String {
    format!("🖥  GPU: {description}")
}

/// A graphics processor's name and driver.
#[cfg(feature = "gpu")]
pub(crate) fn described(gpu: &p2c2r_tasks::gpu::Gpu) -> String {
    let software = if gpu.is_software() { ", software" } else { "" };
    format!("{} ({}{software})", gpu.name(), gpu.driver())
}

/// Restarts this program with Mesa's device selection off, if there is no desktop session. To be called first in
/// `main`: earlier work is repeated, and anything read from standard input is lost.
///
/// The drivers' loader puts Mesa's layer `VK_LAYER_MESA_device_select` before every Vulkan instance that can show
/// windows, as wgpu's always can. Whenever devices are listed, the layer asks the desktop which one it uses, and where
/// no session runs, libwayland writes an error to standard error. Only an environment variable switches the layer off,
/// and a program cannot set its own without unsafe code; so it executes itself anew, as the same process with that
/// variable.
#[cfg(all(feature = "gpu", target_os = "linux"))]
pub fn look_without_desktop() {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    /// Switches the layer off, as its manifest says.
    const OFF: &str = "NODEVICE_SELECT";
    /// Where a desktop session keeps its sockets.
    const SESSION: &str = "XDG_RUNTIME_DIR";
    /// A choice of device that only the layer knows how to make.
    const CHOICE: &str = "MESA_VK_DEVICE_SELECT";

    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set(OFF) || is_set(SESSION) || is_set(CHOICE) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    // Returns only on failure, and then only a harmless error line is printed.
    let _failed = Command::new(program).arg0(name).args(arguments).env(OFF, "1").exec();
}

/// Not needed on other systems, or without kernels for graphics processors.
#[cfg(not(all(feature = "gpu", target_os = "linux")))]
pub fn look_without_desktop() {}

/// Looks for the chosen graphics processor, and lets it compute the kinds that it can for this share of its time.
#[cfg(feature = "gpu")]
pub fn equip(worker: &mut WorkerConfig, choice: &GpuChoice, share: Share) -> Result<(), WorkerError> {
    use std::sync::Arc;

    use p2c2r_tasks::gpu::{Gpu, GpuSearch};
    use p2c2r_tasks::lightfield::Lightfield;
    use p2c2r_tasks::reflection::{GpuTracer, Reflection};

    let kinds = worker.kinds.clone();
    worker.computes_on = match Gpu::find(choice).map_err(|error| WorkerError::Gpu(error.to_string()))? {
        GpuSearch::None(reason) => cpu_only(&reason),
        GpuSearch::Gpu(gpu) => match GpuTracer::new(&gpu) {
            Ok(tracer) => {
                let tracer = Arc::new(rationed::Rationed::new(tracer, share));
                worker.kinds =
                    kinds.with_kernel::<Reflection>(tracer.clone()).with_kernel::<Lightfield>(tracer);
                on_device(&described(&gpu))
            }
            Err(error) => cpu_only(&error.to_string()),
        },
    };
    Ok(())
}

/// This build has no kernels for graphics processors: choosing one by name is an error, and any other choice means the
/// cores.
#[cfg(not(feature = "gpu"))]
pub fn equip(worker: &mut WorkerConfig, choice: &GpuChoice, _: Share) -> Result<(), WorkerError> {
    if let GpuChoice::Named(name) = choice {
        return Err(WorkerError::Gpu(format!("this worker was built without support for `{name}`")));
    }
    worker.computes_on = cpu_only("this worker was built without support for graphics processors");
    Ok(())
}
