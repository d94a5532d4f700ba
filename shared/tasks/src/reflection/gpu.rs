//! The kernel on graphics processors: the same paths as `trace.rs` with the same random numbers, in WGSL.
//!
//! `Scene`'s arrays are uploaded as they are, each texel is traced by the functions of `gpu/*.wgsl`, which
//! follow the Rust files line by line, and the cube comes back as floating-point numbers; packing it stays
//! with the processor's cores. Both kernels may round differently in every operation, so a path close to a
//! decision (a silhouette, an edge of a rock, which lobe) may go another way: see [`TOLERANCE`].
//!
//! Limits on what a hostile spec can do to a helper's device: admission bounds the work, every loop in the
//! shaders has its own bound, wgpu checks every index, work is cut into submissions that hardware finishes in
//! some ten milliseconds (a driver resets a device that is busy for seconds), at most [`lanes::LANES_MAX`] tasks
//! are on the device, and every wait has a time-out.

mod lanes;
mod shader;
mod upload;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use p2c2r_protocol::Device;
use p2c2r_protocol::catch_panic::catch_panic;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wgpu::SubmissionIndex;

use super::Reflection;
use super::cube::CubeMap;
use super::outcome::ReflectionOutcome;
use super::scene::Scene;
use super::spec::{ReflectionSpec, Viewpoint};
use super::trace::RadianceMoments;
use crate::blobs::Blobs;
use crate::fuel::{Fueled as _, Stop};
use crate::gpu::{Gpu, GpuError};
use crate::kind::{Kernel, KernelError};
use lanes::{Lanes, TaskBuffers};
use shader::{ShaderPart, ShaderProgram, ShaderWork};

/// How well both kernels agree on texels of one cube.
pub struct Tolerance {
    /// A texel agrees if no colour differs by more than this share of the texel's brightest, or of
    /// [`Tolerance::floor`] where that is more.
    pub texel: f32,
    /// Radiance below which differences are measured as a share of this value.
    pub floor: f32,
    /// Share of texels that need not agree: those with a path that rounding sends another way.
    pub strays: f64,
    /// Largest mean of all signed differences, as a share of the mean radiance.
    pub mean: f64,
}

/// The tolerance that the tests hold both kernels to.
pub const TOLERANCE: Tolerance = Tolerance { texel: 1e-3, floor: 0.01, strays: 0.01, mean: 1e-3 };

/// Approximate rays of one submission in a scene of few objects: some ten milliseconds on a small graphics
/// processor, up to seconds on software.
const SUBMISSION_RAYS: u64 = 1 << 20;
/// Objects that double the cost of a ray if all lie in its way, as in a hostile scene they may.
const CROWD: u64 = 128;

/// Edge of a face, in texels, from which threads share in packing: below it, waking them takes longer.
const SHARED_FACE_MIN: u32 = 32;

/// The kernel, on one device. A separate thread compiles its programs, starting when the kernel is made.
pub struct GpuTracer {
    shared: Arc<Shared>,
    compiling: Mutex<Option<JoinHandle<()>>>,
    /// Threads that pack cubes: one core takes longer to pack a cube than a device takes to trace the next.
    /// `None` if no threads could be started; then the caller packs.
    packing: Option<ThreadPool>,
}

struct Shared {
    gpu: Gpu,
    program: OnceLock<Result<ShaderProgram, GpuError>>,
    lanes: Lanes,
}

impl GpuTracer {
    /// Starts to compile. Fails only if the thread cannot be started.
    pub fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        let shared = Arc::new(Shared { gpu: gpu.clone(), program: OnceLock::new(), lanes: Lanes::default() });
        let compiled = shared.clone();
        let compiling = thread::Builder::new()
            .name("gpu-compile".into())
            .spawn(move || {
                let prepared = catch_panic(|| compiled.prepare());
                if prepared.is_err() {
                    // Set only once; a preparation that panicked has not set it.
                    let _ = compiled
                        .program
                        .set(Err(compiled.gpu.retire("its driver panicked while it compiled")));
                }
            })
            .map_err(|error| gpu.retire(format!("no thread to compile on: {error}")))?;
        let packing = ThreadPoolBuilder::new().thread_name(|number| format!("gpu-pack-{number}"));
        Ok(Self { shared, compiling: Mutex::new(Some(compiling)), packing: packing.build().ok() })
    }

    /// Waits until it [is ready](Kernel::is_ready), or has failed.
    pub fn wait_until_ready(&self) -> Result<(), GpuError> {
        let thread = self.compiling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            return Err(self.shared.gpu.retire("its driver panicked while it compiled"));
        }
        self.shared.program().map(drop)
    }

    /// Whether it can no longer be used: it could not be compiled, or its device is out of use for good.
    pub fn has_failed(&self) -> bool {
        matches!(self.shared.program.get(), Some(Err(_))) || self.gpu().retired().is_some()
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.shared.gpu
    }

    /// As [`Scene::trace`], on the device. May be called from several threads at once.
    pub fn trace(&self, scene: &Scene) -> Result<CubeMap, GpuError> {
        let cubes = self.shared.trace(std::slice::from_ref(scene), &Stop::never())?;
        Ok(cubes.into_iter().next().unwrap_or_else(|| CubeMap::black(scene.face)))
    }

    /// [`GpuTracer::trace`] from each viewpoint in turn.
    pub fn trace_from(&self, scene: &Scene, viewpoints: &[Viewpoint]) -> Result<Vec<CubeMap>, GpuError> {
        self.shared.trace(&looks(scene, viewpoints.iter().copied()), &Stop::never())
    }
}

impl GpuTracer {
    /// The light around places, each from so many paths, as [`Scene::moments_within`] has it. Like
    /// [`GpuTracer::trace`] otherwise.
    pub(crate) fn moments(
        &self,
        scene: &Scene,
        places: &[[f32; 3]],
        paths: u32,
        stop: &Stop,
    ) -> Result<Vec<RadianceMoments>, GpuError> {
        self.shared.moments(self.shared.program()?, scene, places, paths, stop)
    }
}

impl Drop for GpuTracer {
    /// Waits for the compiler: a program must not end while a driver is compiling.
    fn drop(&mut self) {
        let compiling = self.compiling.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The panic hook has reported a panic of that thread, and the device is no longer used.
        let _ = compiling.take().map(JoinHandle::join);
    }
}

impl Kernel<Reflection> for GpuTracer {
    fn is_ready(&self) -> bool {
        self.shared.program.get().is_some()
    }

    /// A software device runs on cores, and a device that failed is not used again.
    fn device(&self) -> Device {
        if self.has_failed() || self.gpu().is_software() { Device::Cores } else { Device::Graphics }
    }

    fn run(
        &self,
        spec: &ReflectionSpec,
        blobs: &Blobs,
        stop: &Stop,
    ) -> Result<ReflectionOutcome, KernelError> {
        // The shaders' own loop bounds limit the device's time; the fuel is for the work of the cores.
        let mut fuel = Reflection::fuel(spec, blobs, stop)?;
        fuel.spend(super::units::scene_steps(spec))?;
        let traced = self.shared.trace(&looks(&Scene::new(spec), spec.viewpoints()), stop);
        // Cubes that were stopped half way are no failure of the device.
        if stop.is_stopped() {
            return Err(KernelError::Stopped);
        }
        let traced = traced?;
        let cubes: Vec<_> = spec.viewpoints().map(|viewpoint| viewpoint.levels).zip(&traced).collect();
        let mut pack = |is_shared| ReflectionOutcome::within(&cubes, &mut fuel, is_shared);
        match &self.packing {
            Some(pool) if traced.iter().any(|cube| cube.face() >= SHARED_FACE_MIN) => {
                pool.install(|| pack(true))
            }
            _ => pack(false),
        }
    }
}

/// The scene from each viewpoint in turn.
fn looks(scene: &Scene, viewpoints: impl Iterator<Item = Viewpoint>) -> Vec<Scene> {
    let look = |viewpoint: Viewpoint| {
        let mut look = scene.clone();
        look.look_from(&viewpoint);
        look
    };
    viewpoints.map(look).collect()
}

impl Shared {
    /// Compiles, and traces one small scene, because software devices compile most of a program when it first
    /// runs.
    fn prepare(&self) {
        let program = ShaderProgram::compile(&self.gpu);
        let spec = ReflectionSpec {
            probe: [0; 3],
            face_log2: super::FACE_LOG2_MIN,
            levels: 1,
            samples: 1,
            others: Vec::new(),
            bounces: 1,
            seed: 0,
            sky: 0,
            sun: None,
            surfaces: Vec::new(),
            objects: Vec::new(),
        };
        let (scene, stop) = (Scene::new(&spec), Stop::never());
        let warmed = program.and_then(|program| {
            self.trace_with(&program, std::slice::from_ref(&scene), &stop)?;
            self.moments(&program, &scene, &[[0.0; 3]], 1, &stop).map(|_| program)
        });
        // Only this thread sets it, and only once.
        let _ = self.program.set(warmed);
    }

    fn program(&self) -> Result<&ShaderProgram, GpuError> {
        match self.program.get() {
            Some(Ok(program)) => Ok(program),
            Some(Err(error)) => Err(error.clone()),
            None => Err(GpuError::Busy),
        }
    }

    fn trace(&self, looks: &[Scene], stop: &Stop) -> Result<Vec<CubeMap>, GpuError> {
        self.trace_with(self.program()?, looks, stop)
    }

    /// The cubes of one scene from several viewpoints.
    fn trace_with(
        &self,
        program: &ShaderProgram,
        looks: &[Scene],
        stop: &Stop,
    ) -> Result<Vec<CubeMap>, GpuError> {
        let Some(scene) = looks.first() else { return Ok(Vec::new()) };
        self.lanes.with(
            || self.gpu.guarded(|device, _| program.lane(device)),
            |lane| {
                self.gpu.guarded(|_, queue| upload::scene(queue, lane, scene))?;
                let mut cubes: Vec<CubeMap> = looks.iter().map(|look| CubeMap::black(look.face)).collect();
                let (mut texels, mut before) = (0, None);
                for (look, cube) in looks.iter().zip(&cubes) {
                    let count = cube.texels().len() as u32;
                    let part = ShaderPart { work: ShaderWork::Cube, count, first: texels };
                    self.submit(program, lane, look, part, &mut before, stop)?;
                    texels += count;
                }
                before.map_or(Ok(()), |last| self.gpu.wait(&last))?;
                let bytes = ShaderWork::Cube.bytes() * u64::from(texels);
                self.gpu.read(&lane.back, bytes, |bytes| {
                    let all = cubes.iter_mut().flat_map(CubeMap::texels_mut);
                    upload::unpack(bytes, all);
                })?;
                Ok(cubes)
            },
        )
    }

    fn moments(
        &self,
        program: &ShaderProgram,
        scene: &Scene,
        places: &[[f32; 3]],
        paths: u32,
        stop: &Stop,
    ) -> Result<Vec<RadianceMoments>, GpuError> {
        let (scene, count) = (Scene { samples: paths, ..scene.clone() }, places.len() as u32);
        self.lanes.with(
            || self.gpu.guarded(|device, _| program.lane(device)),
            |lane| {
                self.gpu.guarded(|_, queue| {
                    upload::scene(queue, lane, &scene);
                    upload::places(queue, lane, places);
                })?;
                let part = ShaderPart { work: ShaderWork::Field, count, first: 0 };
                let mut before = None;
                self.submit(program, lane, &scene, part, &mut before, stop)?;
                before.map_or(Ok(()), |last| self.gpu.wait(&last))?;
                self.gpu.read(&lane.back, ShaderWork::Field.bytes() * u64::from(count), upload::moments)
            },
        )
    }

    /// Computes a part's answers into the lane, tile by tile. `before` is the last submission of the task,
    /// which may still run. Once stopped it submits no more.
    fn submit(
        &self,
        program: &ShaderProgram,
        lane: &TaskBuffers,
        scene: &Scene,
        part: ShaderPart,
        before: &mut Option<SubmissionIndex>,
        stop: &Stop,
    ) -> Result<(), GpuError> {
        let gpu = &self.gpu;
        // Per surface one ray onwards, one to the sun, one to a light.
        let rays_each = u64::from(scene.samples) * (1 + 3 * u64::from(scene.bounces));
        let cost = rays_each * (1 + scene.primitives.len() as u64 / CROWD);
        let tile = u32::try_from(SUBMISSION_RAYS / cost.max(1)).unwrap_or(part.count).max(1);
        let mut first = 0;
        while first < part.count && !stop.is_stopped() {
            let range = first..first.saturating_add(tile).min(part.count);
            first = range.end;
            let submission = gpu.guarded(|device, queue| {
                queue.write_buffer(&lane.setting, 0, &upload::setting(scene, &range, part.first));
                program.submit(device, queue, lane, scene, part, &range)
            })?;
            // At most two of a task's tiles are queued, so that each wait is short.
            if let Some(before) = before.replace(submission) {
                gpu.wait(&before)?;
            }
        }
        Ok(())
    }
}
