// Reflection by surfaces, and the sampling of lights: `surface.rs` and `lights.rs` line by line.

const PI: f32 = 3.1415927;
const TAU: f32 = 6.2831855;

struct Basis {
    a: vec3f,
    b: vec3f,
}

fn basis(normal: vec3f) -> Basis {
    let sign = select(-1.0, 1.0, normal.z >= 0.0);
    let a = -1.0 / (sign + normal.z);
    let b = normal.x * normal.y * a;
    return Basis(
        vec3f(1.0 + sign * normal.x * normal.x * a, sign * b, -sign * normal.x),
        vec3f(b, sign + normal.y * normal.y * a, -normal.y),
    );
}

fn out_of(across: Basis, up: vec3f, local: vec3f) -> vec3f {
    return local.x * across.a + local.y * across.b + local.z * up;
}

fn normalize_or(v: vec3f, otherwise: vec3f) -> vec3f {
    let square = dot(v, v);
    return select(otherwise, v / sqrt(square), square > 1e-30);
}

fn luminance(colour: vec3f) -> f32 {
    return dot(colour, vec3f(0.2126, 0.7152, 0.0722));
}

fn largest(colour: vec3f) -> f32 {
    return max(max(colour.x, colour.y), colour.z);
}

struct Surface {
    alpha: f32,
    normal: vec3f,
    view: vec3f,
    cos_view: f32,
    fresnel: vec3f,
    diffuse: vec3f,
}

fn surface(material: Material, normal: vec3f, view: vec3f) -> Surface {
    let cos_view = clamp(dot(normal, view), 1e-4, 1.0);
    let off = 1.0 - cos_view;
    let grazing = off * off * (off * off) * off;
    let fresnel = material.mirror + (vec3f(1.0) - material.mirror) * grazing;
    let diffuse = material.diffuse * (vec3f(1.0) - fresnel);
    return Surface(material.alpha, normal, view, cos_view, fresnel, diffuse);
}

fn asks_lights(met: Surface) -> bool {
    return met.alpha >= SHARP_ALPHA || largest(met.diffuse) > 0.0;
}

// Share of facets that light at this angle reaches.
fn lit(cosine: f32, alpha_square: f32) -> f32 {
    return 2.0 * cosine / (cosine + sqrt(alpha_square + (1.0 - alpha_square) * cosine * cosine));
}

fn reflected(met: Surface, direction: vec3f, is_sun: bool) -> vec3f {
    let cos_light = dot(met.normal, direction);
    if cos_light <= 0.0 {
        return vec3f(0.0);
    }
    let diffuse = met.diffuse * (1.0 / PI * cos_light);
    if !is_sun && met.alpha < SHARP_ALPHA {
        return diffuse;
    }
    let alpha = max(met.alpha, SHARP_ALPHA);
    let square = alpha * alpha;
    let halfway = normalize_or(met.view + direction, met.normal);
    let cos_half = dot(met.normal, halfway);
    let spread = cos_half * cos_half * (square - 1.0) + 1.0;
    let facets = square / (PI * spread * spread);
    let shadow = lit(met.cos_view, square) * lit(cos_light, square);
    return diffuse + met.fresnel * (facets * shadow / (4.0 * met.cos_view));
}

fn mirror(view: vec3f, normal: vec3f) -> vec3f {
    return 2.0 * dot(view, normal) * normal - view;
}

fn visible_facet(view: vec3f, alpha: f32, point: vec2f) -> vec3f {
    let up = vec3f(0.0, 0.0, 1.0);
    let stretched = normalize_or(vec3f(alpha * view.x, alpha * view.y, view.z), up);
    let turn = sin_cos_turns(point.x);
    let height = (1.0 - point.y) * (1.0 + stretched.z) - stretched.z;
    let radius = sqrt(max(1.0 - height * height, 0.0));
    let facet = vec3f(radius * turn.y, radius * turn.x, height) + stretched;
    return normalize_or(vec3f(alpha * facet.x, alpha * facet.y, max(facet.z, 0.0)), up);
}

struct Onward {
    goes_on: bool,
    sharp: bool,
    direction: vec3f,
    weight: vec3f,
}

const ENDS = Onward(false, false, vec3f(0.0, 1.0, 0.0), vec3f(0.0));

fn onward(met: Surface, choice: f32, point: vec2f) -> Onward {
    let mirrored = luminance(met.fresnel);
    let all = mirrored + luminance(met.diffuse);
    if !(all > 0.0) {
        return ENDS;
    }
    let share = mirrored / all;
    let across = basis(met.normal);
    if choice >= share {
        let turn = sin_cos_turns(point.x);
        let radius = sqrt(point.y);
        let direction = out_of(across, met.normal, vec3f(radius * turn.y, radius * turn.x, sqrt(1.0 - point.y)));
        return Onward(true, false, direction, met.diffuse / (1.0 - share));
    }
    let weight = met.fresnel / share;
    if met.alpha < MIRROR_ALPHA {
        return Onward(true, true, mirror(met.view, met.normal), weight);
    }
    let local = vec3f(dot(met.view, across.a), dot(met.view, across.b), met.cos_view);
    let out = mirror(local, visible_facet(local, met.alpha, point));
    if out.z <= 0.0 {
        return ENDS;
    }
    let direction = normalize_or(out_of(across, met.normal, out), met.normal);
    return Onward(true, met.alpha < SHARP_ALPHA, direction, weight * lit(out.z, met.alpha * met.alpha));
}

struct LightPoint {
    is_there: bool,
    direction: vec3f,
    distance: f32,
    weight: f32,
    primitive: u32,
}

const NO_LIGHT = LightPoint(false, vec3f(0.0, 1.0, 0.0), 0.0, 0.0, 0u);

// How likely a light is sampled from a place, without scale.
fn pull(number: u32, place: vec3f, skip: u32) -> f32 {
    let light = lights[number];
    if light.primitive == skip {
        return 0.0;
    }
    let middle = primitives[light.primitive].position + 0.5 * primitives[light.primitive].axis - place;
    let radius = primitives[light.primitive].radius;
    return light.weight / (dot(middle, middle) + radius * radius);
}

// One of the lights, the likelier the brighter it is at `place`, and a point of it; never object `skip`.
fn light_at(place: vec3f, skip: u32, choice: f32, point: vec2f) -> LightPoint {
    let count = min(setting.params.lights, LIGHTS_MAX);
    var total = 0.0;
    for (var number = 0u; number < count; number++) {
        total += pull(number, place, skip);
    }
    var left = choice * total;
    var chosen = NONE;
    var chosen_pull = 0.0;
    for (var number = 0u; number < count; number++) {
        let its_pull = pull(number, place, skip);
        if its_pull > 0.0 {
            chosen = number;
            chosen_pull = its_pull;
            left -= its_pull;
            if left < 0.0 {
                break;
            }
        }
    }
    if chosen == NONE {
        return NO_LIGHT;
    }
    let light = lights[chosen];
    var found = look_sphere(light.primitive, place, point);
    if primitives[light.primitive].shape == CAPSULE {
        found = look_capsule(light.primitive, light.area, place, point);
    }
    found.weight *= total / chosen_pull;
    return found;
}

fn look_sphere(number: u32, place: vec3f, point: vec2f) -> LightPoint {
    let to = primitives[number].position - place;
    let radius = primitives[number].radius;
    let distance_square = dot(to, to);
    let radius_square = radius * radius;
    if distance_square <= radius_square * 1.0001 {
        return NO_LIGHT;
    }
    let middle = to / sqrt(distance_square);
    let sin_square = radius_square / distance_square;
    let cap = sin_square / (1.0 + sqrt(1.0 - sin_square));
    let off = point.y * cap;
    let turn = sin_cos_turns(point.x);
    let across = sqrt(off * (2.0 - off));
    let direction = out_of(basis(middle), middle, vec3f(across * turn.y, across * turn.x, 1.0 - off));
    let along = dot(to, direction);
    let left = radius_square - (distance_square - along * along);
    return LightPoint(true, direction, along - sqrt(max(left, 0.0)), TAU * cap, number);
}

fn look_capsule(number: u32, area: f32, place: vec3f, point: vec2f) -> LightPoint {
    let thing = primitives[number];
    let size = sqrt(dot(thing.axis, thing.axis));
    let up = thing.axis / size;
    let turn = sin_cos_turns(point.x);
    let along = point.y * (size + 2.0 * thing.radius);
    let on_side = along < size;
    let height = (along - size) / thing.radius - 1.0;
    let across = sqrt(max(1.0 - height * height, 0.0));
    let outwards =
        select(vec3f(across * turn.y, across * turn.x, height), vec3f(turn.y, turn.x, 0.0), on_side);
    let share = select(select(0.0, 1.0, height > 0.0), along / size, on_side);
    var normal = out_of(basis(up), up, outwards);
    var to = thing.position + share * thing.axis + thing.radius * normal - place;
    if dot(to, normal) >= 0.0 {
        normal = -normal;
        let other = select(1.0 - share, share, on_side);
        to = thing.position + other * thing.axis + thing.radius * normal - place;
    }
    let facing = -dot(to, normal);
    let distance_square = dot(to, to);
    if facing <= 0.0 || distance_square < 1e-8 {
        return NO_LIGHT;
    }
    let distance = sqrt(distance_square);
    return LightPoint(true, to / distance, distance, 0.5 * area * facing / (distance * distance_square), number);
}
