//! The shaders' text, and its compilation into a program that can be run.

use std::fmt::Write as _;
use std::ops::Range;

use wgpu::{
    BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingType, Buffer, BufferBindingType, BufferDescriptor, BufferUsages, CommandEncoderDescriptor,
    ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device, PipelineCompilationOptions,
    PipelineLayoutDescriptor, Queue, ShaderModuleDescriptor, ShaderSource, ShaderStages, SubmissionIndex,
};

use super::super::bvh::{LEAF, NO_CHILD, STACK};
use super::super::cube::FACES;
use super::super::scene::{CAPSULE, FAR, MIRROR_ALPHA, NONE, ROCK, SPHERE, Scene};
use super::super::shapes::ROCK_FACES;
use super::super::surface::SHARP_ALPHA;
use super::super::trace::THROUGHPUT_MIN;
use super::super::{BOUNCES_MAX, FACE_LOG2_MAX, LIGHTS_MAX, SAMPLES_MAX};
use super::lanes::TaskBuffers;
use super::upload::{self, TEXEL_BYTES};
use crate::gpu::{Gpu, GpuError};
use crate::lightfield::PATHS_MAX;

/// Threads of a group.
const GROUP: u32 = 64;

/// Bytes of the largest cube: several cubes have fewer texels together, since their streams together have
/// fewer bytes.
const CUBE_BYTES: u64 = TEXEL_BYTES * ((FACES as u64) << (2 * FACE_LOG2_MAX));

/// How many neighbouring threads share a texel's samples, as a power of two: no more than there are samples.
pub(super) fn lanes_log2(samples: u32) -> u32 {
    samples.clamp(1, GROUP).ilog2()
}

/// The constants that the shaders share with the Rust files, so that each stands in one place.
fn constants() -> String {
    let mut text = String::new();
    let ints = [
        ("GROUP", GROUP),
        ("LEAF", LEAF),
        ("NO_CHILD", NO_CHILD),
        ("STACK", STACK as u32),
        ("FACES", FACES as u32),
        ("SPHERE", SPHERE),
        ("CAPSULE", CAPSULE),
        ("ROCK", ROCK),
        ("NONE", NONE),
        ("ROCK_FACES", ROCK_FACES as u32),
        ("LIGHTS_MAX", LIGHTS_MAX as u32),
        ("BOUNCES_MAX", BOUNCES_MAX.into()),
        ("SAMPLES_MAX", SAMPLES_MAX.into()),
        ("PATHS_MAX", PATHS_MAX.into()),
    ];
    let floats = [
        ("FAR_AWAY", FAR),
        ("MIRROR_ALPHA", MIRROR_ALPHA),
        ("SHARP_ALPHA", SHARP_ALPHA),
        ("THROUGHPUT_MIN", THROUGHPUT_MIN),
    ];
    for (name, value) in ints {
        // Writing into a string does not fail.
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    for (name, value) in floats {
        let _ = writeln!(text, "const {name}: f32 = {value:?};");
    }
    text
}

fn source() -> String {
    [
        constants().as_str(),
        include_str!("scene.wgsl"),
        include_str!("draws.wgsl"),
        include_str!("meet.wgsl"),
        include_str!("surface.wgsl"),
        include_str!("trace.wgsl"),
    ]
    .join("\n")
}

/// The kind of answers that a submission computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShaderWork {
    /// Texels of a cube.
    Cube,
    /// The light around places.
    Field,
}

impl ShaderWork {
    /// Bytes of one answer.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Cube => TEXEL_BYTES,
            Self::Field => 4 * TEXEL_BYTES,
        }
    }

    /// Answers that one thread group computes.
    fn of_group(self, scene: &Scene) -> u32 {
        match self {
            Self::Cube => GROUP >> lanes_log2(scene.samples),
            Self::Field => 1,
        }
    }
}

/// Answers of a task that are computed with one setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShaderPart {
    pub work: ShaderWork,
    /// Number of answers.
    pub count: u32,
    /// Index of the part's first answer in the task.
    pub first: u32,
}

/// The compiled shaders, and the rocks that all scenes share.
pub(super) struct ShaderProgram {
    cube: ComputePipeline,
    field: ComputePipeline,
    layout: BindGroupLayout,
    rocks: Buffer,
}

impl ShaderProgram {
    /// Compiles, which takes a driver from a tenth of a second to some seconds.
    pub fn compile(gpu: &Gpu) -> Result<Self, GpuError> {
        gpu.guarded(|device, queue| {
            let module = device.create_shader_module(ShaderModuleDescriptor {
                label: Some("reflection"),
                source: ShaderSource::Wgsl(source().into()),
            });
            let entry = |binding: u32, ty: BufferBindingType| BindGroupLayoutEntry {
                binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            };
            let reads = BufferBindingType::Storage { read_only: true };
            let layout = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: Some("reflection"),
                entries: &[
                    entry(0, reads),
                    entry(1, reads),
                    entry(2, reads),
                    entry(3, reads),
                    entry(4, reads),
                    entry(5, reads),
                    entry(6, BufferBindingType::Storage { read_only: false }),
                    entry(7, reads),
                ],
            });
            let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some("reflection"),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = |entry| {
                device.create_compute_pipeline(&ComputePipelineDescriptor {
                    label: Some(entry),
                    layout: Some(&pipeline_layout),
                    module: &module,
                    entry_point: Some(entry),
                    compilation_options: PipelineCompilationOptions::default(),
                    cache: None,
                })
            };
            let (cube, field) = (pipeline("trace"), pipeline("field"));
            let planes = upload::rocks();
            let rocks = buffer(device, "rocks", planes.len() as u64, BufferUsages::STORAGE);
            queue.write_buffer(&rocks, 0, &planes);
            Self { cube, field, layout, rocks }
        })
    }

    /// The buffers of one task.
    pub fn lane(&self, device: &Device) -> TaskBuffers {
        let stored = |label, bytes| buffer(device, label, bytes, BufferUsages::STORAGE);
        let setting = stored("setting", upload::SETTING_BYTES);
        let primitives = stored("primitives", upload::PRIMITIVES_BYTES);
        let nodes = stored("nodes", upload::NODES_BYTES);
        let materials = stored("materials", upload::MATERIALS_BYTES);
        let lights = stored("lights", upload::LIGHTS_BYTES);
        let places = stored("places", upload::PLACES_BYTES);
        let texels = buffer(device, "texels", CUBE_BYTES, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let back = device.create_buffer(&BufferDescriptor {
            label: Some("back"),
            size: CUBE_BYTES,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let bound = [&setting, &primitives, &nodes, &materials, &lights, &self.rocks, &texels, &places];
        let entries: Vec<_> = (0..)
            .zip(bound)
            .map(|(binding, buffer)| BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = device.create_bind_group(&BindGroupDescriptor {
            label: Some("lane"),
            layout: &self.layout,
            entries: &entries,
        });
        TaskBuffers { setting, primitives, nodes, materials, lights, places, texels, back, group }
    }

    /// Queues the computation of the answers in `range` and their copy to a buffer that the host can read.
    pub fn submit(
        &self,
        device: &Device,
        queue: &Queue,
        lane: &TaskBuffers,
        scene: &Scene,
        part: ShaderPart,
        range: &Range<u32>,
    ) -> SubmissionIndex {
        let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor { label: Some("trace") });
        let mut pass = encoder
            .begin_compute_pass(&ComputePassDescriptor { label: Some("trace"), timestamp_writes: None });
        let work = part.work;
        pass.set_pipeline(match work {
            ShaderWork::Cube => &self.cube,
            ShaderWork::Field => &self.field,
        });
        pass.set_bind_group(0, &lane.group, &[]);
        pass.dispatch_workgroups((range.end - range.start).div_ceil(work.of_group(scene)), 1, 1);
        drop(pass);
        let (from, bytes) = (u64::from(part.first + range.start), u64::from(range.end - range.start));
        let (from, bytes) = (from * work.bytes(), bytes * work.bytes());
        encoder.copy_buffer_to_buffer(&lane.texels, from, &lane.back, from, bytes);
        queue.submit([encoder.finish()])
    }
}

fn buffer(device: &Device, label: &str, size: u64, usage: BufferUsages) -> Buffer {
    device.create_buffer(&BufferDescriptor {
        label: Some(label),
        size,
        usage: usage | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
