//! The kernel's times beside its work units, and rays to race with.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use p2c2r_tasks::reflection::{FACES, Form, NONE, Reflection, ReflectionSpec, Scene, direction};
use p2c2r_tasks::{Blobs, Stop, TaskKind};

use crate::scenes;
use crate::seeded::Seeded;

/// Least time of some repeats.
fn least<T>(repeats: u32, mut work: impl FnMut() -> T) -> Duration {
    let once = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..repeats.max(1)).map(once).min().unwrap_or_default()
}

/// A scene's figures.
pub struct Row {
    name: &'static str,
    spec: ReflectionSpec,
    trace: Duration,
    run: Duration,
    check: Duration,
    deep: Duration,
    units: u64,
    spec_bytes: usize,
    outcome_bytes: usize,
}

pub fn contest(name: &'static str, spec: &ReflectionSpec, repeats: u32) -> Row {
    let blobs = Blobs::default();
    let outcome = Reflection::run(spec, &blobs, &Stop::never()).unwrap();
    assert_eq!(Reflection::check(spec, &blobs, &outcome), Ok(()));
    assert_eq!(Reflection::deep_check(spec, &blobs, &outcome, 1), Ok(()));
    let mut seed = 0;
    Row {
        name,
        trace: least(repeats, || Scene::new(spec).trace()),
        run: least(repeats, || Reflection::run(spec, &blobs, &Stop::never())),
        check: least(repeats, || Reflection::check(spec, &blobs, &outcome)),
        // The mean, since blocks differ.
        deep: least(repeats / 2, || {
            for _ in 0..6 {
                seed += 1;
                black_box(Reflection::deep_check(spec, &blobs, &outcome, seed)).ok();
            }
        }) / 6,
        units: Reflection::admit(spec, &blobs).unwrap().0,
        spec_bytes: Reflection::encode_spec(spec).len(),
        outcome_bytes: Reflection::encode_outcome(&outcome).len(),
        spec: spec.clone(),
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "scene     objects probes face samples bounces levels  trace us    run us     units units/run  check us  deep us  spec B outcome B\n",
    );
    for row in rows {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let spec = &row.spec;
        writeln!(
            text,
            "{:9} {:7} {:6} {:4} {:7} {:7} {:6} {:9.0} {:9.0} {:9} {:9.2} {:9.0} {:8.0} {:7} {:9}",
            row.name,
            spec.objects.len(),
            1 + spec.others.len(),
            spec.face(),
            spec.samples,
            spec.bounces,
            spec.levels,
            us(row.trace),
            us(row.run),
            row.units,
            row.units as f64 / us(row.run),
            us(row.check),
            us(row.deep),
            row.spec_bytes,
            row.outcome_bytes
        )
        .unwrap();
    }
    text
}

pub struct Ray {
    pub origin: [f32; 3],
    pub direction: [f32; 3],
}

/// Rays through the default arena's 150 rocks, and the same rocks as triangles.
pub struct Race {
    pub scene: Scene,
    pub triangles: Vec<[[f32; 3]; 3]>,
    /// From the probe, one through each texel.
    pub primary: Vec<Ray>,
    /// From where those met a rock, outwards in any direction, as many again.
    pub secondary: Vec<Ray>,
}

fn unit(way: [f32; 3]) -> [f32; 3] {
    let length = way.iter().map(|part| part * part).sum::<f32>().sqrt();
    way.map(|part| part / length)
}

fn turned([x, y, z, w]: [f64; 4], point: [f64; 3]) -> [f64; 3] {
    let cross = |a: [f64; 3], b: [f64; 3]| {
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    };
    let twice = cross([x, y, z], point).map(|part| 2.0 * part);
    let again = cross([x, y, z], twice);
    [0, 1, 2].map(|axis| point[axis] + w * twice[axis] + again[axis])
}

impl Race {
    pub fn new(rocks: usize, face: u32) -> Self {
        let spec = scenes::arena(rocks, 0, 1);
        let scene = Scene::new(&spec);
        let mut triangles = Vec::new();
        for object in &spec.objects {
            let Form::Rock { shape, rotation } = object.form else { continue };
            let (corners, faces) = shape.unit_mesh().unwrap();
            let corner = |corner: u32| {
                let scaled = corners[corner as usize].map(|part| f64::from(part) * shape.outer_radius_m());
                let at = turned(rotation.quaternion(), scaled);
                [0, 1, 2].map(|axis| (at[axis] + f64::from(object.position[axis]) / 64.0) as f32)
            };
            triangles.extend(faces.iter().map(|face| face.map(corner)));
        }
        let (mut seeded, mut primary, mut hits) = (Seeded(3), Vec::new(), Vec::new());
        for side in 0..FACES {
            for texel in 0..face * face {
                let mut at = |place: u32| (place as f32 + seeded.between_f32(0.0, 1.0)) / face as f32;
                let towards = unit(direction(side, at(texel % face), at(texel / face)));
                if let Some(hit) = scene.closest(scene.probe, towards, NONE) {
                    let place = [0, 1, 2].map(|axis| scene.probe[axis] + hit.distance * towards[axis]);
                    let centre = scene.primitives[hit.primitive as usize].position;
                    hits.push((place, unit([0, 1, 2].map(|axis| place[axis] - centre[axis]))));
                }
                primary.push(Ray { origin: scene.probe, direction: towards });
            }
        }
        let secondary = (0..primary.len()).map(|_| {
            let (place, out) = hits[seeded.scaled(hits.len() as u64) as usize];
            let stray = unit([0; 3].map(|_: i32| seeded.between_f32(-1.0, 1.0)));
            Ray {
                origin: [0, 1, 2].map(|axis| place[axis] + 0.002 * out[axis]),
                direction: unit([0, 1, 2].map(|axis| out[axis] + 0.99 * stray[axis])),
            }
        });
        let secondary = secondary.collect();
        Self { scene, triangles, primary, secondary }
    }

    /// Where a ray ends, or -1.
    pub fn end(&self, ray: &Ray) -> f32 {
        self.scene.closest(ray.origin, ray.direction, NONE).map_or(-1.0, |hit| hit.distance)
    }

    /// Million rays a second on this thread.
    pub fn rate(&self, rays: &[Ray], repeats: u32) -> f64 {
        let time = least(repeats, || rays.iter().map(|ray| self.end(ray)).sum::<f32>());
        rays.len() as f64 / time.as_secs_f64() / 1e6
    }

    /// The whole race for another program: counts of triangles, primary and secondary rays, the triangles'
    /// corners, origin and direction of every ray, and where each ends; `u32` and `f32`, little endian.
    pub fn bytes(&self) -> Vec<u8> {
        let counts = [self.triangles.len(), self.primary.len(), self.secondary.len()];
        let mut bytes: Vec<u8> = counts.iter().flat_map(|count| (*count as u32).to_le_bytes()).collect();
        let mut put = |parts: &[f32]| bytes.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
        self.triangles.iter().for_each(|triangle| put(triangle.as_flattened()));
        let rays = || self.primary.iter().chain(&self.secondary);
        rays().for_each(|ray| put(&[ray.origin, ray.direction].concat()));
        rays().for_each(|ray| put(&[self.end(ray)]));
        bytes
    }
}

#[test]
fn the_benchmark_runs_and_says_what_it_measured() {
    let spec = ReflectionSpec { face_log2: 4, samples: 1, ..scenes::arena(15, 4, 1) };
    let text = table(&[contest("tiny", &spec, 2)]);
    assert!(text.lines().count() == 2 && text.contains("tiny"), "{text}");
}
