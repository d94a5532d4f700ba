//! Equal specs give equal cubes: on repeat, on many threads, texel by texel, and on every machine.

use p2c2r_protocol::Digest;
use p2c2r_tasks::physics::{Rotation, ShapeId};
use p2c2r_tasks::reflection::{
    CubeMap, Form, Reflection, ReflectionOutcome, ReflectionSpec, Scene, Viewpoint,
};
use p2c2r_tasks::{Blobs, Stop, TaskKind};

use crate::scenes;
use crate::seeded::Seeded;

pub fn run(spec: &ReflectionSpec) -> ReflectionOutcome {
    Reflection::admit(spec, &Blobs::default()).unwrap();
    Reflection::run(spec, &Blobs::default(), &Stop::never()).unwrap()
}

/// Where other ships are in [`scenes::arena`], each with a small cube.
pub fn ships(count: usize) -> Vec<Viewpoint> {
    let place = |number: usize| {
        let away = 200 + 90 * number as i16;
        [[away, 0, -away], [-away, 0, away], [away, 32, away], [-away, 0, -away]][number % 4]
    };
    let ship =
        |number| Viewpoint { probe: place(number), face_log2: 4, levels: 1, samples: 1 + number as u8 % 2 };
    (0..count).map(ship).collect()
}

/// One of each sort.
pub fn cases() -> Vec<(&'static str, ReflectionSpec)> {
    let small = |spec| ReflectionSpec { face_log2: 4, ..spec };
    vec![
        ("default", scenes::arena(150, 20, 1)),
        ("few", small(scenes::arena(10, 8, 2))),
        ("sky", small(scenes::arena(0, 0, 3))),
        ("crowd", small(ReflectionSpec { samples: 2, ..scenes::arena(1_200, 300, 4) })),
        ("deep", small(ReflectionSpec { bounces: 8, samples: 16, ..scenes::arena(60, 20, 5) })),
        ("levels", ReflectionSpec { levels: 6, ..scenes::arena(40, 12, 6) }),
        ("ships", ReflectionSpec { others: ships(5), ..scenes::arena(40, 12, 7) }),
    ]
}

fn digest(cube: &CubeMap) -> String {
    let bytes: Vec<u8> =
        cube.texels().as_flattened().iter().flat_map(|part| part.to_bits().to_le_bytes()).collect();
    Digest::of(&bytes).to_string()[..16].to_string()
}

#[test]
fn on_repeat_on_many_threads_and_texel_by_texel() {
    for (name, spec) in cases() {
        let scene = Scene::new(&spec);
        let cube = scene.trace();
        assert_eq!(cube, Scene::new(&spec).trace_parallel(), "{name}");
        for index in (0..cube.texels().len()).step_by(37) {
            assert_eq!(scene.texel(index as u32), cube.texels()[index], "{name}");
        }
        assert_eq!(run(&spec), run(&spec), "{name}");
        assert!(cube.texels().as_flattened().iter().all(|part| part.is_finite() && *part >= 0.0));
    }
}

#[test]
fn each_probe_of_several_is_the_one_that_it_would_be_alone() {
    let mut spec = ReflectionSpec { others: ships(4), ..scenes::arena(60, 20, 3) };
    (spec.others[1].levels, spec.others[2].face_log2) = (5, 5);
    let together = run(&spec);
    let probes = together.unfold().unwrap();
    assert_eq!(probes.len(), 5);
    let (mut bytes, mut asked) = (0, 0);
    for (viewpoint, probe) in spec.viewpoints().zip(probes) {
        let Viewpoint { probe: place, face_log2, levels, samples } = viewpoint;
        let alone =
            ReflectionSpec { probe: place, face_log2, levels, samples, others: vec![], ..spec.clone() };
        asked += Reflection::encode_spec(&alone).len();
        let alone = run(&alone);
        bytes += alone.bytes();
        assert_eq!(alone.unfold().unwrap(), [probe]);
    }
    let asked_together = Reflection::encode_spec(&spec).len();
    println!("specs: {asked_together} bytes together, {asked} alone");
    println!("outcomes: {} bytes together, {bytes} alone", together.bytes());
    assert!(asked_together < asked / 4, "the scene is told once");
    assert!(together.bytes() < bytes, "{} bytes together, {bytes} alone", together.bytes());
}

#[test]
fn boxes_lose_no_hit() {
    for (name, spec) in cases() {
        let scene = Scene::new(&spec);
        let mut seeded = Seeded(9);
        let mut met = 0;
        for _ in 0..400 {
            let mut part = |reach: f32| seeded.between_f32(-reach, reach);
            let origin = [part(40.0), part(2.0), part(40.0)];
            let [x, y, z] = [part(1.0), part(0.2), part(1.0)];
            let length = (x * x + y * y + z * z).sqrt();
            let towards = [x / length, y / length, z / length];
            let found = scene.closest(origin, towards, p2c2r_tasks::reflection::NONE);
            let each = (0..spec.objects.len()).filter_map(|object| {
                let alone = ReflectionSpec { objects: vec![spec.objects[object]], ..spec.clone() };
                Scene::new(&alone).closest(origin, towards, p2c2r_tasks::reflection::NONE)
            });
            let nearest = each.map(|hit| hit.distance).min_by(f32::total_cmp);
            assert_eq!(found.map(|hit| hit.distance), nearest, "{name}");
            met += usize::from(nearest.is_some());
        }
        assert!(spec.objects.len() < 40 || met > 20, "{name}: {met}");
    }
}

#[test]
fn things_within_things_are_found_all_the_same() {
    // Two thousand shells around nearly one place: these make trees of boxes deep.
    let mut spec = scenes::arena(0, 0, 8);
    let mut object = scenes::arena(1, 0, 8).objects[0];
    for number in 0..2_048_u16 {
        object.position = [number.leading_zeros() as i16, 64 >> (number % 9), 2_000];
        object.form = match number % 3 {
            0 => Form::Rock { shape: ShapeId::rock(number % 8, 3.0), rotation: Rotation::IDENTITY },
            _ => Form::Sphere { radius: 1 + number / 2 },
        };
        spec.objects.push(object);
    }
    let scene = Scene::new(&spec);
    let hit = scene.closest([0.0; 3], [0.0, 0.0, 1.0], p2c2r_tasks::reflection::NONE).unwrap();
    // The largest ball: 1,024 steps of a 64th of a metre, about a centre at most a metre aside.
    assert!((14.9..15.4).contains(&hit.distance), "{hit:?}");
}

/// The first cube, and the encoded outcome. All arithmetic is + - * / and square roots of `f32`, in one
/// order, so these digests hold on every machine whose `f32` is IEEE 754's; a GPU's cubes differ by rounding.
/// A change of a digest must raise the kernel's version.
#[test]
fn golden() {
    let digests = |(name, spec): (&'static str, ReflectionSpec)| {
        let packed = Digest::of(&Reflection::encode_outcome(&run(&spec))).to_string()[..16].to_string();
        (name, digest(&Scene::new(&spec).trace()), packed)
    };
    let found: Vec<_> = cases().into_iter().map(digests).collect();
    let right = [
        ("default", "4fb4ab084decb205", "568bfd42f04491ad"),
        ("few", "656ef30af87ef98a", "a2765eb0ef1f2bdc"),
        ("sky", "f826352ffebf5e39", "1bb23b90c2578332"),
        ("crowd", "c300e7940c527da1", "8983ace3c94a6c64"),
        ("deep", "b129dbff0ebbcf5e", "f19856d5f196748d"),
        ("levels", "f3f66228301b7972", "93e430a33cef8ce1"),
        ("ships", "0de5cf9cf5fea976", "e31a17475e58f21e"),
    ];
    assert_eq!(found, right.map(|(name, cube, packed)| (name, cube.to_string(), packed.to_string())));
}
