//! What computes in a kernel process: the kinds' own kernels on a core, or a graphics processor.

use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_protocol::{Digest, KindId};
use p2c2r_tasks::{Blob, BlobStore, Blobs, KindRegistry, Stop};

use super::frame::{Failure, GpuOffer};
use super::process::failure;

/// Computes the encoded outcome of one kind from an encoded spec and its blobs.
type Computes = Box<dyn Fn(&[u8], &Blobs, &Stop) -> Result<Vec<u8>, Failure> + Send + Sync>;

/// What computes in this process.
pub(super) struct Compute {
    kinds: KindRegistry,
    /// On a graphics processor: what it computes.
    on_device: Vec<(KindId, Computes)>,
    is_device: bool,
}

impl Compute {
    /// The kinds' own kernels.
    pub fn on_core(kinds: &KindRegistry) -> Self {
        Self { kinds: kinds.clone(), on_device: Vec::new(), is_device: false }
    }

    /// Computes an outcome, with the blobs that were sent and those that were kept.
    pub fn run(
        &self,
        kind: KindId,
        spec: &[u8],
        kept: &Mutex<BlobStore>,
        sent: Vec<Arc<Blob>>,
        stop: &Stop,
    ) -> Result<Vec<u8>, Failure> {
        let job = self.kinds.get(kind).ok_or(Failure::BadSpec)?.decode(spec).map_err(|_| Failure::BadSpec)?;
        let blobs = resolve(job.blob_refs(), kept, sent)?;
        if self.is_device {
            let kernel = self.on_device.iter().find(|(own, _)| *own == kind).ok_or(Failure::NotReady)?;
            return (kernel.1)(spec, &blobs, stop);
        }
        job.admit(&blobs).map_err(|_| Failure::BadSpec)?;
        job.run(&blobs, stop).map_err(|error| failure(&error))
    }
}

fn resolve(wanted: &[Digest], kept: &Mutex<BlobStore>, sent: Vec<Arc<Blob>>) -> Result<Blobs, Failure> {
    if wanted.is_empty() {
        return Ok(Blobs::default());
    }
    // Ignores poisoning: no code panics while this lock is held.
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    for blob in sent {
        if wanted.contains(&blob.digest()) {
            kept.insert_blob(blob);
        }
    }
    kept.resolve(wanted).map_err(Failure::BlobsMissing)
}

/// Opens the chosen graphics processor. The inner error says why there is none to compute on; the outer one, that the
/// one chosen by name is not there.
#[cfg(feature = "gpu")]
pub(super) fn open(choice: &str) -> Result<(Compute, Result<GpuOffer, String>), String> {
    use p2c2r_tasks::gpu::{self, Gpu, GpuChoice};
    use p2c2r_tasks::lightfield::Lightfield;
    use p2c2r_tasks::reflection::{GpuTracer, Reflection};
    use p2c2r_tasks::{Kernel, TaskKind as _};

    let choice: GpuChoice = choice.parse().map_err(|never: std::convert::Infallible| never.to_string())?;
    let mut compute = Compute { kinds: KindRegistry::builtin(), on_device: Vec::new(), is_device: true };
    let found = match Gpu::find(&choice).map_err(|error| error.to_string())? {
        gpu::GpuSearch::None(reason) => Err(reason),
        gpu::GpuSearch::Gpu(gpu) => match GpuTracer::new(&gpu) {
            Err(error) => Err(error.to_string()),
            Ok(tracer) => {
                let tracer = Arc::new(tracer);
                let device = Kernel::<Reflection>::device(&*tracer);
                let kinds = vec![(Reflection::ID, device), (Lightfield::ID, device)];
                compute.on_device = vec![
                    (Reflection::ID, kernel::<Reflection>(tracer.clone(), tracer.clone())),
                    (Lightfield::ID, kernel::<Lightfield>(tracer.clone(), tracer)),
                ];
                Ok(GpuOffer { description: crate::gpu::described(&gpu), kinds })
            }
        },
    };
    Ok((compute, found))
}

/// This build has no kernels for graphics processors.
#[cfg(not(feature = "gpu"))]
pub(super) fn open(choice: &str) -> Result<(Compute, Result<GpuOffer, String>), String> {
    Err(format!("this worker was built without support for `{choice}`"))
}

/// Wraps the tracer as the kernel of one kind.
#[cfg(feature = "gpu")]
fn kernel<K: p2c2r_tasks::TaskKind>(
    device: Arc<dyn p2c2r_tasks::Kernel<K>>,
    tracer: Arc<p2c2r_tasks::reflection::GpuTracer>,
) -> Computes {
    use p2c2r_tasks::KernelError;

    Box::new(move |spec, blobs, stop| {
        let spec = K::decode_spec(spec).map_err(|_| Failure::BadSpec)?;
        K::admit(&spec, blobs).map_err(|_| Failure::BadSpec)?;
        if !device.is_ready() {
            return Err(Failure::NotReady);
        }
        // A panic in a driver's library counts as a failure.
        let reason = match p2c2r_protocol::catch_panic::catch_panic(|| device.run(&spec, blobs, stop)) {
            Ok(Ok(outcome)) => return Ok(K::encode_outcome(&outcome)),
            Ok(Err(KernelError::Stopped)) => return Err(Failure::Stopped),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the kernel panicked".to_owned(),
        };
        Err(if tracer.has_failed() { Failure::DeviceLost(reason) } else { Failure::Device(reason) })
    })
}
