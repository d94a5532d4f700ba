// Where rays meet things: `bvh.rs` and `shapes.rs` line by line, without infinities, which WGSL does not promise.

// Farther than any plane, and still finite.
const FAR: f32 = 1e30;
const NOTHING: f32 = -1.0;

struct Ray {
    origin: vec3f,
    direction: vec3f,
    inverse: vec3f,
}

fn safe(part: f32) -> f32 {
    return select(1e-12, part, abs(part) > 1e-12);
}

fn ray(origin: vec3f, direction: vec3f) -> Ray {
    return Ray(origin, direction, vec3f(1.0) / vec3f(safe(direction.x), safe(direction.y), safe(direction.z)));
}

// Where a ray enters a sphere, or NOTHING.
fn enter_sphere(from_centre: vec3f, direction: vec3f, radius: f32) -> f32 {
    let along = dot(from_centre, direction);
    let across = from_centre - along * direction;
    let left = radius * radius - dot(across, across);
    if left < 0.0 {
        return NOTHING;
    }
    let at = -along - sqrt(left);
    return select(NOTHING, at, at > 0.0);
}

fn enter_capsule(from_start: vec3f, direction: vec3f, axis: vec3f, radius: f32) -> f32 {
    let to_middle = dot(0.5 * axis - from_start, direction);
    let start = from_start + to_middle * direction;
    let axis_square = dot(axis, axis);
    let axis_along = dot(axis, direction);
    let axis_start = dot(axis, start);
    let along = dot(start, direction);
    let a = axis_square - axis_along * axis_along;
    let b = axis_square * along - axis_start * axis_along;
    let c = axis_square * (dot(start, start) - radius * radius) - axis_start * axis_start;
    var at = 0.0;
    // Along the axis: the end that is met first.
    var place = select(axis_square + 1.0, -1.0, axis_along > 0.0);
    if a > 1e-6 * axis_square {
        let left = b * b - a * c;
        if left < 0.0 {
            return NOTHING;
        }
        at = (-b - sqrt(left)) / a;
        place = axis_start + at * axis_along;
    }
    if place > 0.0 && place < axis_square {
        at += to_middle;
        return select(NOTHING, at, at > 0.0);
    }
    let end = select(from_start - axis, from_start, place <= 0.0);
    return enter_sphere(end, direction, radius);
}

// `faces` is where the rock's planes start; the ray is in the rock's own frame and size.
fn enter_rock(faces: u32, origin: vec3f, direction: vec3f) -> f32 {
    var entry = -FAR;
    var leave = FAR;
    for (var face = 0u; face < ROCK_FACES; face++) {
        let plane = rocks[faces + face];
        let along = dot(plane.xyz, direction);
        let room = plane.w - dot(plane.xyz, origin);
        if along < 0.0 {
            entry = max(entry, room / along);
        } else if along > 0.0 {
            leave = min(leave, room / along);
        } else if room < 0.0 {
            return NOTHING;
        }
    }
    return select(NOTHING, entry, entry > 0.0 && entry < leave);
}

fn rock_normal(faces: u32, point: vec3f) -> vec3f {
    var nearest = vec3f(0.0, 1.0, 0.0);
    var least = -FAR;
    for (var face = 0u; face < ROCK_FACES; face++) {
        let plane = rocks[faces + face];
        let above_it = dot(plane.xyz, point) - plane.w;
        if above_it > least {
            least = above_it;
            nearest = plane.xyz;
        }
    }
    return nearest;
}

// A direction of the world in the rock's frame.
fn inside(thing: Primitive, direction: vec3f) -> vec3f {
    return vec3f(dot(thing.row_x.xyz, direction), dot(thing.row_y.xyz, direction), dot(thing.row_z.xyz, direction));
}

// A direction of the rock's frame in the world, in metres.
fn outside(thing: Primitive, direction: vec3f) -> vec3f {
    let turned = direction.x * thing.row_x.xyz + direction.y * thing.row_y.xyz + direction.z * thing.row_z.xyz;
    return turned * (thing.radius * thing.radius);
}

// Where a ray enters an object, metres, or NOTHING.
fn enter(number: u32, origin: vec3f, direction: vec3f) -> f32 {
    let thing = primitives[number];
    let start = origin - thing.position;
    if thing.shape == SPHERE {
        return enter_sphere(start, direction, thing.radius);
    }
    if thing.shape == CAPSULE {
        return enter_capsule(start, direction, thing.axis, thing.radius);
    }
    return enter_rock((thing.shape - ROCK) * ROCK_FACES, inside(thing, start), inside(thing, direction));
}

fn normalize_or_up(v: vec3f) -> vec3f {
    return normalize_or(v, vec3f(0.0, 1.0, 0.0));
}

// Outward normal, length 1, at a point of an object's surface.
fn normal_at(number: u32, point: vec3f) -> vec3f {
    let thing = primitives[number];
    let start = point - thing.position;
    if thing.shape == SPHERE {
        return normalize_or_up(start);
    }
    if thing.shape == CAPSULE {
        let share = clamp(dot(start, thing.axis) / dot(thing.axis, thing.axis), 0.0, 1.0);
        return normalize_or_up(start - share * thing.axis);
    }
    return normalize_or_up(outside(thing, rock_normal((thing.shape - ROCK) * ROCK_FACES, inside(thing, start))));
}

struct Hit {
    distance: f32,
    primitive: u32,
}

// The first object that a ray enters before `before`, except two; if `any` is set, the first one found. Ends
// because no part of the tree is visited twice; a count also bounds the loop.
fn meet(along: Ray, before: f32, skip: vec2u, any: bool) -> Hit {
    var references: array<u32, STACK>;
    var entries: array<f32, STACK>;
    references[0] = 0u;
    entries[0] = 0.0;
    var height = 1u;
    var nearest = Hit(before, NONE);
    for (var visits = 0u; height > 0u && visits < setting.params.visits_max; visits++) {
        height--;
        let reference = references[height];
        if entries[height] > nearest.distance {
            continue;
        }
        if (reference & LEAF) != 0u {
            let number = reference & ~LEAF;
            if number == skip.x || number == skip.y {
                continue;
            }
            let at = enter(number, along.origin, along.direction);
            if at > 0.0 && at < nearest.distance {
                nearest = Hit(at, number);
                if any {
                    break;
                }
            }
            continue;
        }
        let node = nodes[reference];
        let back = along.inverse < vec3f(0.0);
        let near_x = (select(node.low_x, node.high_x, back.x) - along.origin.x) * along.inverse.x;
        let near_y = (select(node.low_y, node.high_y, back.y) - along.origin.y) * along.inverse.y;
        let near_z = (select(node.low_z, node.high_z, back.z) - along.origin.z) * along.inverse.z;
        let far_x = (select(node.high_x, node.low_x, back.x) - along.origin.x) * along.inverse.x;
        let far_y = (select(node.high_y, node.low_y, back.y) - along.origin.y) * along.inverse.y;
        let far_z = (select(node.high_z, node.low_z, back.z) - along.origin.z) * along.inverse.z;
        let entry = max(max(near_x, near_y), max(near_z, vec4f(0.0)));
        let leave = min(min(far_x, far_y), min(far_z, vec4f(nearest.distance)));
        // Rounding of either distance must not lose a box that is touched.
        let met = entry <= leave * 1.000001;
        let bottom = height;
        for (var lane = 0u; lane < 4u; lane++) {
            if !met[lane] || node.children[lane] == NO_CHILD || height >= STACK {
                continue;
            }
            // The farthest is pushed first, so that the nearest is popped first.
            var place = height;
            while place > bottom && entries[place - 1u] < entry[lane] {
                references[place] = references[place - 1u];
                entries[place] = entries[place - 1u];
                place--;
            }
            references[place] = node.children[lane];
            entries[place] = entry[lane];
            height++;
        }
    }
    return nearest;
}
