// Lit surfaces, cheap enough for software renderers: the sector's star, the surrounding light (as traced, in
// the field or at the ship, or a cool light from the other side and a sky), a highlight, a rim, the flashes
// of three explosions, and reflections on polished surfaces.
#import bevy_pbr::forward_io::Vertex
#import bevy_pbr::mesh_functions
#import bevy_pbr::mesh_view_bindings::view
#import bevy_pbr::view_transformations::position_world_to_clip

struct Surface {
    // Emitted light; vertex colours scale it.
    emission: vec4<f32>,
    // x: strength of highlight and rim, 0 for stone. y: share of metal. z: roughness. w: 1 where the cube map
    // is the object's own, 0 where it is the player's ship's.
    finish: vec4<f32>,
}

struct Lighting {
    // xyz: place of a flash, w: its strength.
    flashes: array<vec4<f32>, 3>,
    // Irradiance over pi: constant, x, y, z, xy, yz, zx, 3zz - 1, xx - yy.
    irradiance: array<vec4<f32>, 9>,
    // xyz: the ship's place, w: weight of the traced light.
    ship: vec4<f32>,
    // x: highest level of the cube map, y: how strongly a reflection's brightness is compressed.
    range: vec2<f32>,
    // rgb: light of the sector's star on a surface that faces it.
    sun: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> surface: Surface;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var<uniform> lighting: Lighting;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var mirror: texture_cube<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var mirror_sampler: sampler;
// The field's light on each object, four vectors for each tag: of red, green and blue the constant part and
// the parts along x, y and z; then the weight.
@group(#{MATERIAL_BIND_GROUP}) @binding(4) var<uniform> objects: array<vec4<f32>, 1024>;

const SUN = vec3<f32>(-0.557, 0.743, -0.371);
const FILL = vec3<f32>(0.766, 0.328, 0.553);
const FILL_COLOUR = vec3<f32>(0.16, 0.38, 0.78);
const SKY_COLOUR = vec3<f32>(0.075, 0.10, 0.19);
// At a distance of the root of 1 / this, metres, the traced light has half its weight.
const NEARNESS = 0.03;
// Factor on the height of a reflected direction, which bends it towards the plane.
const LOW = 0.4;
// Squared metres: assumed distance of what is reflected from the ship whose light it is.
const REACH_SQUARED = 144.0;

// Light of the surroundings on a surface with this normal, over pi.
fn irradiance(n: vec3<f32>) -> vec3<f32> {
    let around = lighting.irradiance[0].rgb
        + lighting.irradiance[1].rgb * n.x
        + lighting.irradiance[2].rgb * n.y
        + lighting.irradiance[3].rgb * n.z
        + lighting.irradiance[4].rgb * (n.x * n.y)
        + lighting.irradiance[5].rgb * (n.y * n.z)
        + lighting.irradiance[6].rgb * (n.z * n.x)
        + lighting.irradiance[7].rgb * (3.0 * n.z * n.z - 1.0)
        + lighting.irradiance[8].rgb * (n.x * n.x - n.y * n.y);
    let light = max(around, vec3<f32>(0.0));
    // Compressed, so that a bolt at the probe does not look like a second sun.
    return light / (1.0 + 0.6 * max(light.r, max(light.g, light.b)));
}

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) world_position: vec4<f32>,
    @location(1) world_normal: vec3<f32>,
    @location(2) color: vec4<f32>,
    // rgb: the field's light on it, over pi. w: its weight.
    @location(3) field: vec4<f32>,
    // Centre of the object.
    @location(4) @interpolate(flat) middle: vec3<f32>,
}

@vertex
fn vertex(in: Vertex) -> Corner {
    var out: Corner;
    let world_from_local = mesh_functions::get_world_from_local(in.instance_index);
    out.world_position = mesh_functions::mesh_position_local_to_world(world_from_local, vec4<f32>(in.position, 1.0));
    out.position = position_world_to_clip(out.world_position.xyz);
    out.world_normal = mesh_functions::mesh_normal_local_to_world(in.normal, in.instance_index);
    out.color = in.color;
    out.middle = world_from_local[3].xyz;
    // In the vertex shader, because it is linear in the normal and so can be interpolated.
    let first = 4u * mesh_functions::get_tag(in.instance_index);
    let along = vec4<f32>(1.0, normalize(out.world_normal));
    let light = vec3<f32>(dot(objects[first], along), dot(objects[first + 1u], along), dot(objects[first + 2u], along));
    out.field = vec4<f32>(max(light, vec3<f32>(0.0)), objects[first + 3u].x);
    return out;
}

@fragment
fn fragment(in: Corner) -> @location(0) vec4<f32> {
    let normal = normalize(in.world_normal);
    let to_eye = normalize(view.world_position - in.world_position.xyz);
    let share = lighting.ship.w;
    let unlit = FILL_COLOUR * max(dot(normal, FILL), 0.0) + SKY_COLOUR * (0.75 + 0.5 * normal.y);
    var light = lighting.sun.rgb * max(dot(normal, SUN), 0.0);
    // What lights the ship also lights its neighbours, but not the whole scene; and some of the cool light
    // stays, so that nothing is black under a dark sky. Nearness is measured from the ship's present place,
    // not from where its light was traced: a late answer must not leave the ship in the dark.
    let offset = in.world_position.xyz - lighting.ship.xyz;
    let away = dot(offset, offset);
    let near_ship = 1.0 + away * NEARNESS;
    let around = mix(unlit, unlit * 0.45 + irradiance(normal), share / near_ship);
    // Where the field is known, it replaces the surrounding light.
    light += mix(around, unlit * 0.45 + in.field.rgb, in.field.w);
    // A flash of strength 0 is added like any other: lavapipe (Mesa 22.3) recompiles a shader that branches
    // on a uniform each time it is bound and never frees the result.
    for (var i = 0u; i < 3u; i++) {
        let flash = lighting.flashes[i];
        let towards = flash.xyz - in.world_position.xyz;
        let squared = dot(towards, towards) + 1.0;
        let facing = max(dot(normal, towards) * inverseSqrt(squared), 0.0);
        light += vec3<f32>(1.0, 0.58, 0.24) * (flash.w * facing / squared);
    }
    let half_way = normalize(SUN + to_eye);
    let highlight = pow(max(dot(normal, half_way), 0.0), 28.0) * surface.finish.x;
    let edge = 1.0 - max(dot(normal, to_eye), 0.0);
    let rim = FILL_COLOUR * (edge * edge * edge * surface.finish.x);
    var colour = in.color.rgb * (light + surface.emission.rgb) + lighting.sun.rgb * highlight + rim;
#ifdef MIRRORS
    // The direction is corrected to where it hits a sphere around the ship whose light this is, so that two
    // places do not reflect the same. The sphere is around the ship's present place: around the place of
    // tracing the error is larger (docs/PERFORMANCE.md, "Late reflections"). The direction is also bent
    // towards the plane, where everything flies and burns: seen from above, most of a hull would otherwise
    // reflect only the sky.
    let glance = normalize(reflect(-to_eye, normal) * vec3<f32>(1.0, LOW, 1.0));
    let from_ship = in.world_position.xyz - mix(lighting.ship.xyz, in.middle, surface.finish.w);
    let along = dot(glance, from_ship);
    let near = min(dot(from_ship, from_ship), REACH_SQUARED * 0.9);
    let towards = from_ship + glance * (sqrt(along * along + REACH_SQUARED - near) - along);
    let traced = textureSampleLevel(mirror, mirror_sampler, towards, surface.finish.z * lighting.range.x).rgb;
    // Brightness is compressed to what the picture can show, all colours alike, so that a bolt keeps its hue.
    let bent = traced / (1.0 + lighting.range.y * max(traced.r, max(traced.g, traced.b)));
    let untraced = SKY_COLOUR * (1.2 + glance.y) + FILL_COLOUR * (0.5 * max(dot(glance, FILL), 0.0));
    let metal = surface.finish.y;
    let facing_away = edge * edge * edge * edge * edge * (1.0 - 0.7 * surface.finish.z);
    let head_on = mix(vec3<f32>(0.04), min(in.color.rgb * 0.8 + 0.2, vec3<f32>(1.0)), metal);
    let fresnel = head_on + (1.0 - head_on) * facing_away;
    colour = colour * (1.0 - metal * (0.45 + 0.35 * share)) + 1.25 * mix(untraced * metal, bent, share) * fresnel;
#endif
    return vec4<f32>(colour, 1.0);
}
