// The randomness of paths and the sky: `random.rs` and `sky.rs` line by line.

fn hash(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn unit(bits: u32) -> f32 {
    return f32(bits >> 8u) * (1.0 / 16777216.0);
}

const JITTER: u32 = 0u;
const LIGHT: u32 = 2u;
const LOBE: u32 = 3u;
const LIGHT_POINT: u32 = 5u;
const CHOICE: u32 = 7u;
const PER_SURFACE: u32 = 8u;

struct Draws {
    texel: u32,
    sample: u32,
}

fn draws(seed: u32, index: u32, sample: u32) -> Draws {
    return Draws(hash(seed ^ hash(index)), sample);
}

fn draw(numbers: Draws, number: u32) -> f32 {
    let start = hash(numbers.texel + number);
    if number < 8u {
        return unit(start + numbers.sample * setting.params.steps[number >> 2u][number & 3u]);
    }
    return unit(hash(start + numbers.sample));
}

fn draw_pair(numbers: Draws, number: u32) -> vec2f {
    return vec2f(draw(numbers, number), draw(numbers, number + 1u));
}

fn sine(x: f32) -> f32 {
    let y = x * 6.2831855;
    let square = y * y;
    return y * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5040.0 + square * (1.0 / 362880.0)))));
}

fn fold(x: f32) -> f32 {
    if x > 0.25 {
        return 0.5 - x;
    }
    if x < -0.25 {
        return -0.5 - x;
    }
    return x;
}

// Sine and cosine of whole turns.
fn sin_cos_turns(turns: f32) -> vec2f {
    let around = turns - 0.5;
    return vec2f(-sine(fold(around)), -sine(0.25 - abs(around)));
}

const SKY_OFFSET: f32 = 32.0;
const STRIDE = vec3u(0x8da6b343u, 0xd8163841u, 0xcb1ab31fu);

fn above(value: f32) -> f32 {
    return select(0.0, value, value > 0.0);
}

fn noise_at(place: u32, seed: u32) -> f32 {
    return unit(hash(place ^ seed));
}

fn noise(point: vec3f, seed: u32) -> f32 {
    let corner = vec3i(point);
    let past = point - vec3f(corner);
    let blend = past * past * (3.0 - 2.0 * past);
    let low = vec3u(corner) * STRIDE;
    let high = low + STRIDE;
    let y0z0 = lerp(noise_at(low.x + low.y + low.z, seed), noise_at(high.x + low.y + low.z, seed), blend.x);
    let y1z0 = lerp(noise_at(low.x + high.y + low.z, seed), noise_at(high.x + high.y + low.z, seed), blend.x);
    let y0z1 = lerp(noise_at(low.x + low.y + high.z, seed), noise_at(high.x + low.y + high.z, seed), blend.x);
    let y1z1 = lerp(noise_at(low.x + high.y + high.z, seed), noise_at(high.x + high.y + high.z, seed), blend.x);
    return lerp(lerp(y0z0, y1z0, blend.y), lerp(y0z1, y1z1, blend.y), blend.z);
}

fn lerp(a: f32, b: f32, share: f32) -> f32 {
    return a + (b - a) * share;
}

fn star(point: vec3f, seed: u32) -> f32 {
    let corner = vec3i(point);
    let past = point - vec3f(corner);
    let place = vec3u(corner) * STRIDE;
    let bits = hash((place.x + place.y + place.z) ^ seed ^ 0x5851f42du);
    if (bits & 7u) != 0u {
        return 0.0;
    }
    let part = 0.25 + 0.5 / 256.0 * vec3f(vec3u(bits >> 8u, bits >> 16u, bits >> 24u) & vec3u(255u));
    let off = past - part;
    let near = above(1.0 - 16.0 * dot(off, off));
    return near * near * (0.5 + 0.08 * f32((bits >> 3u) & 31u));
}

fn sky_radiance(direction: vec3f) -> vec3f {
    let coarse = noise(direction * 2.5 + SKY_OFFSET, setting.sky.seed);
    let fine = noise(direction * 6.0 + SKY_OFFSET, setting.sky.seed ^ 0x9e3779b9u);
    let cloud = above(0.65 * coarse + 0.35 * fine - 0.38);
    let density = cloud * cloud * 5.0;
    let wisp = above(fine - 0.55);
    let light = setting.sky.ground + density * setting.sky.tint + density * wisp * 4.0 * setting.sky.glow;
    return light + vec3f(star(direction * 12.0 + SKY_OFFSET, setting.sky.seed));
}
