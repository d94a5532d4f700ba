// Lit surfaces, cheap enough for software renderers: a warm sun, a cool light from the other side, a sky,
// a highlight, a rim, and the flashes of three explosions.
#import bevy_pbr::forward_io::VertexOutput
#import bevy_pbr::mesh_view_bindings::view

struct Solid {
    // Light of its own; vertex colours scale it.
    emission: vec4<f32>,
    // x: strength of highlight and rim, 0 for stone.
    finish: vec4<f32>,
    // xyz: where an explosion flashes, w: how strongly.
    flashes: array<vec4<f32>, 3>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> solid: Solid;

const SUN = vec3<f32>(-0.557, 0.743, -0.371);
const SUN_COLOUR = vec3<f32>(1.70, 1.48, 1.20);
const FILL = vec3<f32>(0.766, 0.328, 0.553);
const FILL_COLOUR = vec3<f32>(0.16, 0.38, 0.78);
const SKY_COLOUR = vec3<f32>(0.075, 0.10, 0.19);

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
    let normal = normalize(in.world_normal);
    let to_eye = normalize(view.world_position - in.world_position.xyz);
    var light = SUN_COLOUR * max(dot(normal, SUN), 0.0);
    light += FILL_COLOUR * max(dot(normal, FILL), 0.0);
    light += SKY_COLOUR * (0.75 + 0.5 * normal.y);
    // A flash of strength 0 is added like any other: a shader that branches on a uniform is compiled again by
    // lavapipe (Mesa 22.3) each time it is bound and never freed, which took 4 MB of memory in each frame.
    for (var i = 0u; i < 3u; i++) {
        let flash = solid.flashes[i];
        let towards = flash.xyz - in.world_position.xyz;
        let squared = dot(towards, towards) + 1.0;
        let facing = max(dot(normal, towards) * inverseSqrt(squared), 0.0);
        light += vec3<f32>(1.0, 0.58, 0.24) * (flash.w * facing / squared);
    }
    let half_way = normalize(SUN + to_eye);
    let highlight = pow(max(dot(normal, half_way), 0.0), 28.0) * solid.finish.x;
    let edge = 1.0 - max(dot(normal, to_eye), 0.0);
    let rim = FILL_COLOUR * (edge * edge * edge * solid.finish.x);
    let colour = in.color.rgb * (light + solid.emission.rgb) + SUN_COLOUR * highlight + rim;
    return vec4<f32>(colour, 1.0);
}
