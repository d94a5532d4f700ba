//! Cubes of light, typical and extreme, made of formulas and seeds.

use p2c2r_tasks::reflection::{CubeMap, FACES, direction};

use crate::seeded::Seeded;

pub fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn normalised(v: [f32; 3]) -> [f32; 3] {
    let length = dot(v, v).sqrt();
    v.map(|c| c / length)
}

/// A cube whose texels are `light` of their directions.
pub fn cube(face: u32, mut light: impl FnMut([f32; 3]) -> [f32; 3]) -> CubeMap {
    let mut cube = CubeMap::black(face);
    for side in 0..FACES {
        for y in 0..face {
            for x in 0..face {
                let (u, v) = ((x as f32 + 0.5) / face as f32, (y as f32 + 0.5) / face as f32);
                let at = cube.index(side, x, y);
                cube.texels_mut()[at] = light(normalised(direction(side, u, v)));
            }
        }
    }
    cube
}

/// A nebula and the dark.
pub fn smooth([x, y, z]: [f32; 3]) -> [f32; 3] {
    let cloud = 0.5 + 0.5 * (3.0 * x + 1.3).sin() * (2.0 * y - 0.4).cos() * (2.5 * z + 0.7).sin();
    let level = 0.02 + 0.15 * cloud * cloud;
    [level * (0.7 + 0.3 * x), level * (0.8 + 0.1 * y), level * (1.2 + 0.3 * z)]
}

/// Light of a texel at `way` in a ray-traced arena: rocks with the noise of a few paths, bolts, a sky.
fn arena(
    seeded: &mut Seeded,
    things: &[([f32; 3], f32, [f32; 3])],
    bolts: &[([f32; 3], [f32; 3], [f32; 3])],
    way: [f32; 3],
) -> [f32; 3] {
    for (from, to, colour) in bolts {
        // The nearest point of an arc.
        let nearest = (0..24).map(|step| {
            let t = step as f32 / 23.0;
            dot(normalised([0, 1, 2].map(|i| from[i] + t * (to[i] - from[i]))), way)
        });
        if nearest.fold(-1.0, f32::max) > 0.9988 {
            return colour.map(|c| 50.0 * c);
        }
    }
    for (middle, cosine, colour) in things {
        let along = dot(*middle, way);
        if along > *cosine {
            // Lit from one side, with the noise of four paths that find a light or not.
            let normal = normalised([0, 1, 2].map(|i| (way[i] - middle[i] * along) * 3.0 - way[i]));
            let sun = dot(normal, normalised([0.3, 0.9, -0.2])).max(0.0) * 2.0;
            let found: f32 =
                (0..4).map(|_| if seeded.unit() < 0.4 { 2.5 * seeded.unit() } else { 0.3 }).sum();
            return colour.map(|c| c * (sun + 0.1 * found / 4.0 + 0.01));
        }
    }
    let sky = smooth(way);
    if seeded.below(150) == 0 { sky.map(|c| c + 3.0 * seeded.unit()) } else { sky }
}

/// Rocks, bolts and stars round a hull, by seed.
pub fn battle(face: u32, seed: u64) -> CubeMap {
    let mut seeded = Seeded(seed);
    let mut way = || normalised([0, 1, 2].map(|_| seeded.unit() * 2.0 - 1.0));
    let ways: Vec<_> = (0..60).map(|_| way()).collect();
    let things: Vec<_> = ways[..22]
        .iter()
        .enumerate()
        .map(|(i, way)| {
            (*way, 1.0 - 0.004 * (1 + i) as f32, [[0.5, 0.4, 0.3], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]][i % 3])
        })
        .collect();
    let bolts: Vec<_> = (0..6)
        .map(|i| {
            let (a, b) = (ways[30 + 2 * i], ways[31 + 2 * i]);
            let to = [0, 1, 2].map(|k| a[k] + 0.25 * (b[k] - a[k]));
            (a, to, [[0.1, 1.0, 0.2], [1.0, 0.2, 0.1], [0.2, 0.4, 1.0]][i % 3])
        })
        .collect();
    let mut noise = Seeded(seed ^ 0x77);
    cube(face, |way| arena(&mut noise, &things, &bolts, way))
}

/// All cubes of the tests.
pub fn all(face: u32) -> Vec<(&'static str, CubeMap)> {
    let mut seeded = Seeded(5);
    let star = cube(face, |_| {
        if seeded.below(60) == 0 {
            [0.9, 1.0, 1.2].map(|c| c * 20.0 * seeded.unit())
        } else {
            [0.004, 0.004, 0.006]
        }
    });
    let mut seeded = Seeded(6);
    let noise = cube(face, |way| {
        let paths: f32 = (0..4).map(|_| -seeded.unit().max(1e-6).ln()).sum();
        smooth(way).map(|c| c * paths / 4.0)
    });
    let mut seeded = Seeded(7);
    let wild = cube(face, |_| [0, 1, 2].map(|_| (seeded.unit() * 24.0 - 12.0).exp2()));
    vec![
        ("battle", battle(face, 1)),
        ("battle 2", battle(face, 2)),
        ("smooth", cube(face, smooth)),
        ("stars", star),
        ("noise", noise),
        ("wild", wild),
        ("black", CubeMap::black(face)),
        ("brightest", cube(face, |_| [4096.0; 3])),
        ("exact", exact(face, 1)),
        (
            "bolts",
            cube(face, |way| {
                if dot(way, normalised([1.0, 0.1, 0.2])) > 0.995 { [5.0, 50.0, 8.0] } else { [0.02; 3] }
            }),
        ),
    ]
}

/// A cube made of sums, products and square roots alone, so that it is the same on every machine.
pub fn exact(face: u32, seed: u64) -> CubeMap {
    let mut seeded = Seeded(seed);
    let mut ways = || normalised([0, 1, 2].map(|_| seeded.unit() * 2.0 - 1.0));
    let lights: Vec<_> = (0..12).map(|_| ways()).collect();
    let mut noise = Seeded(seed ^ 0x99);
    cube(face, |way| {
        let mut texel = [0.02 + 0.01 * way[1], 0.03, 0.05 + 0.02 * way[0]];
        for (index, light) in lights.iter().enumerate() {
            let along = dot(*light, way);
            if along > 0.85 + 0.012 * index as f32 {
                let bright = (index * index) as f32 * 0.3 + noise.unit();
                texel = [bright * way[0] * way[0], bright * 0.5, bright * along];
            }
        }
        texel
    })
}
