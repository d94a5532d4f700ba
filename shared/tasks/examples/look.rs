//! scratch
#[path = "../tests/reflection/scenes.rs"]
mod scenes;
use p2c2r_tasks::{Blobs, TaskKind, reflection::*};
use std::time::Instant;
fn main() {
    let spec = scenes::arena(150, 20, 1);
    println!(
        "spec {} bytes, units {:?}",
        Reflection::encode_spec(&spec).len(),
        Reflection::admit(&spec, &Blobs::default())
    );
    for (name, spec) in [
        ("default", spec.clone()),
        ("no objects", ReflectionSpec { objects: vec![], ..spec.clone() }),
        ("1 bounce", ReflectionSpec { bounces: 1, ..spec.clone() }),
        ("2 bounces", ReflectionSpec { bounces: 2, ..spec.clone() }),
    ] {
        let mut best = 1e9f64;
        let mut build = 1e9f64;
        for _ in 0..12 {
            let start = Instant::now();
            let scene = Scene::new(&spec);
            build = build.min(start.elapsed().as_secs_f64());
            std::hint::black_box(scene.trace());
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name}: {:.3} ms, build {:.3} ms", best * 1e3, build * 1e3);
    }
    let big = ReflectionSpec { face_log2: 7, samples: 64, ..spec };
    let cube = Scene::new(&big).trace_parallel();
    let n = cube.face();
    let mut out = format!("P6\n{} {}\n255\n", n * 3, n * 2).into_bytes();
    for y in 0..n * 2 {
        for x in 0..n * 3 {
            let f = (x / n + y / n * 3) as usize;
            let t = cube.texels()[cube.index(f, x % n, y % n)];
            for c in t {
                let v = c / (1.0 + c);
                out.push((v.powf(1.0 / 2.2) * 255.0) as u8);
            }
        }
    }
    std::fs::write("/work/tmp/trace-look.ppm", out).unwrap();
}
