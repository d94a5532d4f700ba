//! A scene in the shaders' layout, and texels as they come back: `scene.wgsl` in bytes.

use std::mem::size_of;
use std::ops::Range;

use wgpu::{Buffer, Queue};

use super::super::bvh::Node;
use super::super::random::STEPS;
use super::super::scene::{Light, Material, Primitive, Scene};
use super::super::shapes::{ROCK_FACES, RockFaces};
use super::super::trace::RadianceMoments;
use super::super::{LIGHTS_MAX, OBJECTS_MAX, SURFACES_MAX};
use super::lanes::TaskBuffers;
use super::shader;
use crate::lightfield::PROBES_MAX;
use crate::physics::ROCK_FORMS;

/// Bytes of a texel: red, green, blue and padding.
pub(super) const TEXEL_BYTES: u64 = 16;
/// Bytes of `Setting`.
pub(super) const SETTING_BYTES: u64 = 176;
/// Bytes of the places of the largest field.
pub(super) const PLACES_BYTES: u64 = 16 * PROBES_MAX as u64;
/// Bytes of the largest scene's objects.
pub(super) const PRIMITIVES_BYTES: u64 = (OBJECTS_MAX * size_of::<Primitive>()) as u64;
/// Bytes of the largest scene's tree: each node but a lone root has at least two children.
pub(super) const NODES_BYTES: u64 = (OBJECTS_MAX * size_of::<Node>()) as u64;
/// Bytes of the most surfaces.
pub(super) const MATERIALS_BYTES: u64 = (SURFACES_MAX * size_of::<Material>()) as u64;
/// Bytes of the most lights.
pub(super) const LIGHTS_BYTES: u64 = (LIGHTS_MAX * size_of::<Light>()) as u64;

const _: () = assert!(
    size_of::<Primitive>() == 96
        && size_of::<Node>() == 112
        && size_of::<Material>() == 48
        && size_of::<Light>() == 16,
    "what a record takes here is what it takes in scene.wgsl"
);

/// Appends numbers as bytes.
#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn floats(mut self, values: &[f32]) -> Self {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    fn ints(mut self, values: &[u32]) -> Self {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }
}

/// `Setting`, for the texels in `range` of answers that follow `first` others.
pub(super) fn setting(scene: &Scene, range: &Range<u32>, first: u32) -> Vec<u8> {
    let visits_max = (scene.nodes.len() + scene.primitives.len()) as u32;
    let (sky, sun) = (&scene.sky, &scene.sun);
    Words::default()
        .floats(&scene.probe)
        .ints(&[scene.face, scene.samples, scene.bounces, scene.seed])
        .floats(&[scene.radiance_max])
        .ints(&[range.start, range.end, scene.lights.len() as u32, visits_max])
        .ints(&[shader::lanes_log2(scene.samples), first, 0, 0])
        .ints(&STEPS)
        .floats(&sky.ground)
        .ints(&[sky.seed])
        .floats(&sky.tint)
        .ints(&[0])
        .floats(&sky.glow)
        .ints(&[0])
        .floats(&sun.direction)
        .ints(&[0])
        .floats(&sun.irradiance)
        .ints(&[0])
        .0
}

/// Queues the upload of a scene's arrays.
pub(super) fn scene(queue: &Queue, lane: &TaskBuffers, scene: &Scene) {
    let mut words = Words::default();
    for thing in &scene.primitives {
        words =
            words.floats(&thing.position).floats(&[thing.radius]).floats(&thing.axis).ints(&[thing.shape]);
        words = words.floats(thing.rows.as_flattened()).ints(&[thing.material, thing.light, 0, 0]);
    }
    write(queue, &lane.primitives, words);
    let mut words = Words::default();
    for node in &scene.nodes {
        words = words.floats(node.bounds.as_flattened()).ints(&node.children);
    }
    write(queue, &lane.nodes, words);
    let mut words = Words::default();
    for material in &scene.materials {
        words = words.floats(&material.diffuse).floats(&[material.alpha]).floats(&material.mirror).ints(&[0]);
        words = words.floats(&material.glow).ints(&[0]);
    }
    write(queue, &lane.materials, words);
    let mut words = Words::default();
    for light in &scene.lights {
        words = words.ints(&[light.primitive]).floats(&[light.area, light.weight]).ints(&[0]);
    }
    write(queue, &lane.lights, words);
}

/// Queues the upload of the places of a field.
pub(super) fn places(queue: &Queue, lane: &TaskBuffers, places: &[[f32; 3]]) {
    let words = places.iter().fold(Words::default(), |words, place| words.floats(place).floats(&[0.0]));
    write(queue, &lane.places, words);
}

fn write(queue: &Queue, buffer: &Buffer, Words(bytes): Words) {
    if !bytes.is_empty() {
        queue.write_buffer(buffer, 0, &bytes);
    }
}

/// The planes of all rocks of the catalogue.
pub(super) fn rocks() -> Vec<u8> {
    let mut words = Words::default();
    for form in 0..ROCK_FORMS {
        let faces = RockFaces::of(form);
        let [x, y, z] = &faces.normals;
        for face in 0..ROCK_FACES {
            words = words.floats(&[x[face], y[face], z[face], faces.heights[face]]);
        }
    }
    words.0
}

/// The light around places from the bytes that came back. NaN and infinities become darkness.
pub(super) fn moments(bytes: &[u8]) -> Vec<RadianceMoments> {
    let (parts, _) = bytes.as_chunks::<4>();
    let number = |part: [u8; 4]| f32::from_le_bytes(part);
    let (places, _) = parts.as_chunks::<16>();
    let moments = places.iter().map(|place| {
        let moments: RadianceMoments =
            std::array::from_fn(|moment| std::array::from_fn(|colour| number(place[4 * moment + colour])));
        if moments.as_flattened().iter().all(|part| part.is_finite()) { moments } else { [[0.0; 3]; 4] }
    });
    moments.collect()
}

/// Texels from the bytes that came back. NaN and infinities become black.
pub(super) fn unpack<'t>(bytes: &[u8], texels: impl Iterator<Item = &'t mut [f32; 3]>) {
    let (parts, _) = bytes.as_chunks::<4>();
    for (texel, [red, green, blue, _]) in texels.zip(parts.as_chunks::<4>().0) {
        *texel = [*red, *green, *blue].map(|part| {
            let value = f32::from_le_bytes(part);
            if value.is_finite() && value > 0.0 { value } else { 0.0 }
        });
    }
}
