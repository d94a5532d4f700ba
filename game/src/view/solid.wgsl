// Lit surfaces, cheap enough for software renderers: the sector's star, the light around (as traced, in the field or at the ship, or a cool light from
// the other side and a sky), a highlight, a rim, the flashes of three explosions, and what polished ones mirror.
#import bevy_pbr::forward_io::Vertex
#import bevy_pbr::mesh_functions
#import bevy_pbr::mesh_view_bindings::view
#import bevy_pbr::view_transformations::position_world_to_clip

struct Surface {
    // Light of its own; vertex colours scale it.
    emission: vec4<f32>,
    // x: strength of highlight and rim, 0 for stone. y: share of metal. z: roughness. w: 1 where the mirror is of the light
    // around the object itself, 0 where it is of that around the player's ship.
    finish: vec4<f32>,
}

struct Lighting {
    // xyz: where an explosion flashes, w: how strongly.
    flashes: array<vec4<f32>, 3>,
    // Irradiance over pi: constant, x, y, z, xy, yz, zx, 3zz - 1, xx - yy.
    irradiance: array<vec4<f32>, 9>,
    // xyz: where the ship is, w: share of the traced light in the picture.
    ship: vec4<f32>,
    // x: highest level of the mirror, y: how much of a reflection's brightness the picture has no room for.
    range: vec2<f32>,
    // rgb: light of the sector's star on what faces it.
    sun: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> surface: Surface;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var<uniform> lighting: Lighting;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var mirror: texture_cube<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var mirror_sampler: sampler;
// The field's light on each object, four for each tag: of red, green and blue what falls on all sides alike and what
// more along x, y and z; then how much of it counts.
@group(#{MATERIAL_BIND_GROUP}) @binding(4) var<uniform> objects: array<vec4<f32>, 1024>;

const SUN = vec3<f32>(-0.557, 0.743, -0.371);
const FILL = vec3<f32>(0.766, 0.328, 0.553);
const FILL_COLOUR = vec3<f32>(0.16, 0.38, 0.78);
const SKY_COLOUR = vec3<f32>(0.075, 0.10, 0.19);
// At a distance of the root of 1 / this, metres, the traced light around counts half.
const NEARNESS = 0.03;
// What is left of a look's height when it is bent towards the plane.
const LOW = 0.4;
// Squared metres: what is mirrored is taken to be this far from the ship whose light it is.
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
    // A bolt that starts at the traced point is no second sun.
    return light / (1.0 + 0.6 * max(light.r, max(light.g, light.b)));
}

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) world_position: vec4<f32>,
    @location(1) world_normal: vec3<f32>,
    @location(2) color: vec4<f32>,
    // rgb: what the field throws on it, over pi. w: how much of it counts.
    @location(3) field: vec4<f32>,
    // Middle of the object.
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
    // Here and not in the fragments: it is linear in the normal, and so costs no pixel anything.
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
    // What lights the ship lights its neighbours too, but not the whole scene; and some of the cool light stays, so
    // that no side of anything is black under a dark sky. Nearness is counted from where the ship is now, not from
    // where its light was traced: an answer that took long must not leave the ship in the dark.
    let offset = in.world_position.xyz - lighting.ship.xyz;
    let away = dot(offset, offset);
    let near_ship = 1.0 + away * NEARNESS;
    let around = mix(unlit, unlit * 0.45 + irradiance(normal), share / near_ship);
    // Where the field is known, it is the light around.
    light += mix(around, unlit * 0.45 + in.field.rgb, in.field.w);
    // A flash of strength 0 is added like any other: a shader that branches on a uniform is compiled again by
    // lavapipe (Mesa 22.3) each time it is bound and never freed, which took 4 MB of memory in each frame.
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
    // The look goes to where it hits a ball around the ship whose light this is, so that two places do not mirror the same.
    // The ball is around where that ship is now: around where the light was traced, what is seen was farther from
    // freshly traced light (docs/PERFORMANCE.md, "Late reflections").
    // And it is bent towards the plane, on which everything is that flies and burns: seen from above, most of a hull
    // would mirror nothing but the sky.
    let glance = normalize(reflect(-to_eye, normal) * vec3<f32>(1.0, LOW, 1.0));
    let from_ship = in.world_position.xyz - mix(lighting.ship.xyz, in.middle, surface.finish.w);
    let along = dot(glance, from_ship);
    let near = min(dot(from_ship, from_ship), REACH_SQUARED * 0.9);
    let towards = from_ship + glance * (sqrt(along * along + REACH_SQUARED - near) - along);
    let traced = textureSampleLevel(mirror, mirror_sampler, towards, surface.finish.z * lighting.range.x).rgb;
    // Brightness is bent towards what the picture can show, all colours alike, so that a bolt keeps its hue.
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
