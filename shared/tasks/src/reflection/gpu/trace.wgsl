// The kernel: paths from the probe through every texel, as in `trace.rs`. The samples of a texel are shared out
// among neighbouring threads of a group, whose sums are added in order, so that a device always gives the same cube.

fn texel_direction(face: u32, u: f32, v: f32) -> vec3f {
    let right = 2.0 * u - 1.0;
    let down = 2.0 * v - 1.0;
    switch face {
        case 0u: { return vec3f(1.0, -down, -right); }
        case 1u: { return vec3f(-1.0, -down, right); }
        case 2u: { return vec3f(right, 1.0, down); }
        case 3u: { return vec3f(right, -1.0, -down); }
        case 4u: { return vec3f(right, -down, 1.0); }
        default: { return vec3f(-right, -down, -1.0); }
    }
}

// `light` with each part at most `most`; NaN becomes black.
fn cut(light: vec3f, most: f32) -> vec3f {
    return select(vec3f(0.0), min(light, vec3f(most)), light > vec3f(0.0));
}

fn is_blocked(place: vec3f, direction: vec3f, end: f32, skip: vec2u) -> bool {
    return meet(ray(place, direction), end, skip, true).primitive != NONE;
}

// Light of the sun and of one sampled light that the surface reflects along the path.
fn direct(place: vec3f, object: u32, met: Surface, numbers: Draws, first: u32) -> vec3f {
    var light = vec3f(0.0);
    let shine = reflected(met, setting.sun.direction, true) * setting.sun.irradiance;
    if largest(shine) > THROUGHPUT_MIN {
        if !is_blocked(place, setting.sun.direction, FAR_AWAY, vec2u(object, NONE)) {
            light += shine;
        }
    }
    if setting.params.lights == 0u || !asks_lights(met) {
        return light;
    }
    let asked = light_at(place, object, draw(numbers, first + LIGHT), draw_pair(numbers, first + LIGHT_POINT));
    if asked.is_there {
        let glow = materials[primitives[asked.primitive].material].glow;
        let lamp = reflected(met, asked.direction, false) * glow * asked.weight;
        if largest(lamp) > 0.0 {
            if !is_blocked(place, asked.direction, asked.distance, vec2u(object, asked.primitive)) {
                light += lamp;
            }
        }
    }
    return light;
}

// Radiance that arrives at `place` from `towards` along one path.
fn path(place: vec3f, towards: vec3f, numbers: Draws) -> vec3f {
    var origin = place;
    var direction = towards;
    var light = vec3f(0.0);
    var throughput = vec3f(1.0);
    var skip = NONE;
    var sees_lights = true;
    for (var met_before = 0u; met_before < min(setting.params.bounces, BOUNCES_MAX); met_before++) {
        let hit = meet(ray(origin, direction), FAR_AWAY, vec2u(skip, NONE), false);
        if hit.primitive == NONE {
            break;
        }
        let material = materials[primitives[hit.primitive].material];
        let met_at = origin + hit.distance * direction;
        if sees_lights || primitives[hit.primitive].light == NONE {
            light += throughput * material.glow;
        }
        let met = surface(material, normal_at(hit.primitive, met_at), -direction);
        let first = met_before * PER_SURFACE;
        light += throughput * direct(met_at, hit.primitive, met, numbers, first);
        let next = onward(met, draw(numbers, first + CHOICE), draw_pair(numbers, first + LOBE));
        if !next.goes_on {
            return light;
        }
        throughput *= next.weight;
        if !(largest(throughput) > THROUGHPUT_MIN) {
            return light;
        }
        origin = met_at;
        direction = next.direction;
        skip = hit.primitive;
        sees_lights = next.sharp;
    }
    return light + throughput * sky_radiance(direction);
}

// Sum of every `lanes`th path through a texel.
fn share_of_texel(index: u32, lane: u32, lanes: u32) -> vec3f {
    let edge = setting.params.face;
    let area = edge * edge;
    let place = index % area;
    let corner = vec2f(f32(place % edge), f32(place / edge));
    var sum = vec3f(0.0);
    for (var sample = lane; sample < min(setting.params.samples, SAMPLES_MAX); sample += lanes) {
        let numbers = draws(setting.params.seed, index, sample);
        let at = (corner + draw_pair(numbers, JITTER)) / f32(edge);
        let towards = normalize_or_up(texel_direction((index / area) % FACES, at.x, at.y));
        sum += cut(path(setting.params.probe, towards, numbers), setting.params.radiance_max);
    }
    return sum;
}

var<workgroup> sums: array<vec3f, GROUP>;

@compute @workgroup_size(GROUP)
fn trace(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let lanes = 1u << setting.params.lanes_log2;
    let index = setting.params.first_texel + group.x * (GROUP / lanes) + thread / lanes;
    let lane = thread % lanes;
    let is_wanted = index < setting.params.end_texel;
    if is_wanted {
        sums[thread] = share_of_texel(index, lane, lanes);
    }
    workgroupBarrier();
    if is_wanted && lane == 0u {
        var sum = sums[thread];
        for (var other = 1u; other < lanes; other++) {
            sum += sums[thread + other];
        }
        texels[setting.params.answers_before + index] = vec4f(sum / f32(setting.params.samples), 1.0);
    }
}

var<workgroup> moments: array<array<vec3f, 4>, GROUP>;

// The light around places, as `moments_within`: a group for each, whose threads share its paths.
@compute @workgroup_size(GROUP)
fn field(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let index = setting.params.first_texel + group.x;
    let is_wanted = index < setting.params.end_texel;
    var mean = vec3f(0.0);
    var along_x = vec3f(0.0);
    var along_y = vec3f(0.0);
    var along_z = vec3f(0.0);
    if is_wanted {
        for (var sample = thread; sample < min(setting.params.samples, PATHS_MAX); sample += GROUP) {
            let numbers = draws(setting.params.seed, index, sample);
            let at = draw_pair(numbers, JITTER);
            let up = 1.0 - 2.0 * at.x;
            let turn = sin_cos_turns(at.y);
            let across = sqrt(max(1.0 - up * up, 0.0));
            let towards = vec3f(across * turn.y, up, across * turn.x);
            let light = cut(path(places[index].xyz, towards, numbers), setting.params.radiance_max);
            mean += light;
            along_x += light * towards.x;
            along_y += light * towards.y;
            along_z += light * towards.z;
        }
    }
    moments[thread] = array<vec3f, 4>(mean, along_x, along_y, along_z);
    workgroupBarrier();
    if is_wanted && thread < 4u {
        var sum = vec3f(0.0);
        for (var other = 0u; other < GROUP; other++) {
            sum += moments[other][thread];
        }
        texels[4u * index + thread] = vec4f(sum / f32(setting.params.samples), 1.0);
    }
}
