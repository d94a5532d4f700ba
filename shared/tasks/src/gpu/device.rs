//! An opened graphics processor: commands that fail without panicking, and waits that end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wgpu::{
    Adapter, Buffer, Device, DeviceDescriptor, DeviceType, ErrorFilter, ExperimentalFeatures, Features,
    Limits, MapMode, MemoryHints, PollError, PollType, Queue, SubmissionIndex, Trace,
};

use super::GpuError;
use super::find::at_once;

/// Longest wait between two polls of the device. While one thread waits, wgpu lets no other submit, so this
/// also bounds how long a second task waits to be queued behind the first.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Longest wait for one submission. A submission takes some ten milliseconds on hardware and seconds on
/// loaded software; a device that takes longer than this has hung. It errs towards waiting too long, so that
/// a slow device is never given up.
const SUBMISSION_MAX: Duration = Duration::from_secs(30);

/// Largest buffer that a kernel may ask for, and all the memory one binding can reach.
const BUFFER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An opened graphics processor. Clones share the device.
#[derive(Clone)]
pub struct Gpu(Arc<Opened>);

struct Opened {
    device: Device,
    queue: Queue,
    name: String,
    driver: String,
    software: bool,
    retired: Arc<OnceLock<String>>,
}

impl Gpu {
    /// Opens an adapter with the lowest limits that our kernels need.
    pub(super) fn open(adapter: &Adapter) -> Result<Self, GpuError> {
        let info = adapter.get_info();
        let unusable = |reason: String| GpuError::Unusable { name: info.name.clone(), reason };
        let limits = Limits {
            max_buffer_size: BUFFER_BYTES_MAX,
            max_storage_buffer_binding_size: BUFFER_BYTES_MAX,
            ..Limits::default()
        };
        let limits = limits.or_worse_values_from(&adapter.limits());
        let (device, queue) = at_once(adapter.request_device(&DeviceDescriptor {
            label: Some("p2c2r"),
            required_features: Features::empty(),
            required_limits: limits,
            experimental_features: ExperimentalFeatures::disabled(),
            memory_hints: MemoryHints::MemoryUsage,
            trace: Trace::Off,
        }))
        .ok_or_else(|| unusable("it does not open at once".into()))?
        .map_err(|error| unusable(error.to_string()))?;
        let retired = Arc::new(OnceLock::new());
        let lost = retired.clone();
        device.set_device_lost_callback(move |_, message| {
            lost.get_or_init(|| format!("it was lost: {message}"));
        });
        // Without a handler of ours an error outside every scope would panic.
        let uncaught = retired.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            uncaught.get_or_init(|| error.to_string());
        }));
        Ok(Self(Arc::new(Opened {
            device,
            queue,
            driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
            name: info.name,
            software: info.device_type == DeviceType::Cpu,
            retired,
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name of its driver, with the version.
    pub fn driver(&self) -> &str {
        &self.0.driver
    }

    /// Whether it is software that runs on the processor's cores.
    pub fn is_software(&self) -> bool {
        self.0.software
    }

    /// Why the device is retired (out of use for good), if it is.
    pub fn retired(&self) -> Option<&str> {
        self.0.retired.get().map(String::as_str)
    }

    /// Closes the device, as a driver that loses its device does: every pending and later call on it fails.
    pub fn close(&self) {
        self.retire("it was closed");
        self.0.device.destroy();
    }

    /// Takes the device out of use for good; the first reason is kept.
    pub(crate) fn retire(&self, reason: impl Into<String>) -> GpuError {
        GpuError::Retired(self.0.retired.get_or_init(|| reason.into()).clone())
    }

    /// Runs a call that gives the device commands, and returns the errors it causes. After out-of-memory the
    /// device stays in use; any other error retires it, because a fault of the driver or of our code would
    /// come again.
    pub(crate) fn guarded<T>(&self, call: impl FnOnce(&Device, &Queue) -> T) -> Result<T, GpuError> {
        if let Some(reason) = self.retired() {
            return Err(GpuError::Retired(reason.to_owned()));
        }
        let Opened { device, queue, .. } = &*self.0;
        let _retiring = RetireOnPanic(self);
        let internal = device.push_error_scope(ErrorFilter::Internal);
        let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(ErrorFilter::Validation);
        let made = call(device, queue);
        let [validation, memory, internal] = [validation, memory, internal].map(|scope| at_once(scope.pop()));
        for fault in [validation, internal] {
            if let Some(Some(error)) = fault {
                return Err(self.retire(error.to_string()));
            }
        }
        if let Some(Some(_)) = memory {
            return Err(GpuError::OutOfMemory);
        }
        match self.retired() {
            Some(reason) => Err(GpuError::Retired(reason.to_owned())),
            None => Ok(made),
        }
    }

    /// Waits until a submission is done, no longer than [`SUBMISSION_MAX`].
    pub(crate) fn wait(&self, submission: &SubmissionIndex) -> Result<(), GpuError> {
        let _retiring = RetireOnPanic(self);
        for _ in 0..SUBMISSION_MAX.as_millis() / LOOK_EVERY.as_millis() {
            if let Some(reason) = self.retired() {
                return Err(GpuError::Retired(reason.to_owned()));
            }
            let look =
                PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(LOOK_EVERY) };
            match self.0.device.poll(look) {
                Ok(_) => return Ok(()),
                Err(PollError::Timeout) => {}
                Err(error) => return Err(self.retire(error.to_string())),
            }
        }
        // Dropping a device waits for its queue without limit, and this queue would never end: leak the
        // device.
        std::mem::forget(self.clone());
        Err(self.retire(format!("it did not answer within {} s", SUBMISSION_MAX.as_secs())))
    }

    /// Reads the first `bytes` of a buffer that [`MapMode::Read`] may map, once all writes to it are done.
    pub(crate) fn read<T>(
        &self,
        buffer: &Buffer,
        bytes: u64,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, GpuError> {
        let (told, mapped) = std::sync::mpsc::channel();
        self.guarded(|device, _| {
            buffer.map_async(MapMode::Read, 0..bytes, move |result| {
                // The receiver is gone if the wait below has ended.
                let _ = told.send(result.is_ok());
            });
            device.poll(PollType::Poll)
        })?
        .map_err(|error| self.retire(error.to_string()))?;
        // Another thread's poll may have found the mapping first; that thread then runs the callback, a
        // moment later.
        if mapped.recv_timeout(SUBMISSION_MAX) != Ok(true) {
            return Err(self.retire("its memory cannot be read"));
        }
        let _retiring = RetireOnPanic(self);
        let taken = take(&buffer.get_mapped_range(0..bytes));
        buffer.unmap();
        Ok(taken)
    }
}

/// wgpu panics on errors it cannot report. The panic is caught higher up; the device must not be used again.
struct RetireOnPanic<'a>(&'a Gpu);

impl Drop for RetireOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.retire("its driver's interface panicked");
            // Nor may the device be dropped, see [`Gpu::wait`].
            std::mem::forget(self.0.clone());
        }
    }
}
