// The data that the host uploads: `scene.rs` and `bvh.rs`, field by field. `shader.rs` puts constants before this.

struct Params {
    probe: vec3f,
    face: u32,
    samples: u32,
    bounces: u32,
    seed: u32,
    radiance_max: f32,
    first_texel: u32,
    end_texel: u32,
    lights: u32,
    visits_max: u32,
    lanes_log2: u32,
    answers_before: u32,
    steps: array<vec4u, 2>,
}

struct Sky {
    ground: vec3f,
    seed: u32,
    tint: vec3f,
    pad: u32,
    glow: vec3f,
    pad2: u32,
}

struct Sun {
    direction: vec3f,
    pad: u32,
    irradiance: vec3f,
    pad2: u32,
}

struct Setting {
    params: Params,
    sky: Sky,
    sun: Sun,
}

struct Primitive {
    position: vec3f,
    radius: f32,
    axis: vec3f,
    shape: u32,
    row_x: vec4f,
    row_y: vec4f,
    row_z: vec4f,
    material: u32,
    light: u32,
    pad: vec2u,
}

struct Node {
    low_x: vec4f,
    low_y: vec4f,
    low_z: vec4f,
    high_x: vec4f,
    high_y: vec4f,
    high_z: vec4f,
    children: vec4u,
}

struct Material {
    diffuse: vec3f,
    alpha: f32,
    mirror: vec3f,
    pad: u32,
    glow: vec3f,
    pad2: u32,
}

struct Light {
    primitive: u32,
    area: f32,
    weight: f32,
    pad: u32,
}

// A storage buffer, not a uniform one: Mesa's software driver compiles the shader anew for each new value of
// a uniform that a loop or branch depends on, which takes longer than a task.
@group(0) @binding(0) var<storage, read> setting: Setting;
@group(0) @binding(1) var<storage, read> primitives: array<Primitive>;
@group(0) @binding(2) var<storage, read> nodes: array<Node>;
@group(0) @binding(3) var<storage, read> materials: array<Material>;
@group(0) @binding(4) var<storage, read> lights: array<Light>;
// Faces of rocks, outward normal and distance from the centre, ROCK_FACES for each form.
@group(0) @binding(5) var<storage, read> rocks: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> texels: array<vec4f>;
// Places of a field's probes.
@group(0) @binding(7) var<storage, read> places: array<vec4f>;
