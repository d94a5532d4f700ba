//! Every lie about light is caught by the check that is named for it, with the chance that is promised.

use p2c2r_tasks::reflection::{CubeMap, FACES, Reflection, ReflectionOutcome, ReflectionSpec, Scene};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::same::ships;
use crate::scenes;

fn scene() -> ReflectionSpec {
    scenes::arena(150, 20, 21)
}

/// Nothing but mirrors, near one another.
fn mirrors(count: usize, seed: u64) -> ReflectionSpec {
    let mut spec = scenes::arena(count, 20, seed);
    for object in &mut spec.objects {
        object.position = object.position.map(|part| part / 2);
        object.surface = if object.surface > 3 { object.surface } else { 1 };
    }
    spec
}

/// An answer with this cube.
fn claim(spec: &ReflectionSpec, cube: &CubeMap) -> ReflectionOutcome {
    ReflectionOutcome::of(spec.levels, cube)
}

/// The cube of another spec.
fn other(spec: &ReflectionSpec, change: impl Fn(&mut ReflectionSpec)) -> CubeMap {
    let mut lie = spec.clone();
    change(&mut lie);
    Scene::new(&lie).trace()
}

fn verdict(spec: &ReflectionSpec, outcome: &ReflectionOutcome) -> Result<(), &'static str> {
    Reflection::check(spec, &Blobs::default(), outcome).map_err(|error| error.check)
}

/// How many of `tries` deep checks fail, and the names of those that do.
fn caught(spec: &ReflectionSpec, outcome: &ReflectionOutcome, tries: u64) -> (u64, Vec<&'static str>) {
    assert_eq!(verdict(spec, outcome), Ok(()), "the always-on check has a name for this lie");
    let mut names: Vec<_> = (0..tries)
        .filter_map(|seed| Reflection::deep_check(spec, &Blobs::default(), outcome, seed).err())
        .map(|error| error.check)
        .collect();
    let count = names.len() as u64;
    names.sort_unstable();
    names.dedup();
    (count, names)
}

const DEEP: [&str; 2] = ["reflection.block", "reflection.residual"];

/// Asserts that at least `least` of 40 checks catch a cube.
fn is_caught(name: &str, spec: &ReflectionSpec, cube: &CubeMap, least: u64) {
    let (count, names) = caught(spec, &claim(spec, cube), 40);
    println!("{name}: caught {count} times in 40 by {names:?}");
    assert!(count >= least, "{name}: caught {count} times in 40");
    assert!(names.iter().all(|check| DEEP.contains(check)), "{name}: {names:?}");
}

#[test]
fn another_size() {
    let spec = scene();
    for lie in [
        ReflectionSpec { face_log2: 4, ..spec.clone() },
        ReflectionSpec { levels: 3, ..spec.clone() },
        ReflectionSpec { face_log2: 6, samples: 1, ..spec.clone() },
    ] {
        let outcome = claim(&lie, &Scene::new(&lie).trace());
        assert_eq!(verdict(&spec, &outcome), Err("reflection.size"));
    }
}

#[test]
fn brighter_than_anything_is() {
    let spec = scene();
    let mut cube = Scene::new(&spec).trace();
    cube.texels_mut()[1_000] = [2_000.0; 3];
    assert_eq!(verdict(&spec, &claim(&spec, &cube)), Err("reflection.brightness"));
    // In a dark scene the limit is lower.
    let dark = scenes::arena(0, 0, 1);
    let dark = ReflectionSpec { sun: None, surfaces: vec![], ..dark };
    let mut cube = Scene::new(&dark).trace();
    cube.texels_mut()[..64].fill([60.0; 3]);
    assert_eq!(verdict(&dark, &claim(&dark, &cube)), Err("reflection.brightness"));
}

#[test]
fn no_work_at_all() {
    let spec = scene();
    let honest = Scene::new(&spec).trace();
    is_caught("black", &spec, &CubeMap::black(32), 40);
    let mean = [0, 1, 2].map(|channel| {
        honest.texels().iter().map(|texel| texel[channel]).sum::<f32>() / honest.texels().len() as f32
    });
    let mut constant = CubeMap::black(32);
    constant.texels_mut().fill(mean);
    is_caught("constant", &spec, &constant, 40);
}

#[test]
fn less_work() {
    let spec = scene();
    for samples in [1, 2, 3] {
        is_caught("fewer samples", &spec, &other(&spec, |lie| lie.samples = samples), 40);
    }
    is_caught("another seed", &spec, &other(&spec, |lie| lie.seed ^= 1), 40);
    is_caught("one surface", &spec, &other(&spec, |lie| lie.bounces = 1), 6);
    // The third surface mostly adds less than what travels at all; a scene of mirrors shows it.
    let mirrors = mirrors(150, 3);
    is_caught("two surfaces", &mirrors, &other(&mirrors, |lie| lie.bounces = 2), 3);

    // A quarter of the texels, spread out.
    let small = other(&spec, |lie| lie.face_log2 = 4);
    let mut blurred = CubeMap::black(32);
    for face in 0..FACES {
        for y in 0..32 {
            for x in 0..32 {
                let at = blurred.index(face, x, y);
                blurred.texels_mut()[at] = small.texels()[small.index(face, x / 2, y / 2)];
            }
        }
    }
    is_caught("half the face", &spec, &blurred, 40);

    let mut copied = Scene::new(&spec).trace();
    let face = copied.texels()[..1_024].to_vec();
    (1..FACES).for_each(|other| copied.texels_mut()[other * 1_024..][..1_024].copy_from_slice(&face));
    is_caught("one face copied", &spec, &copied, 30);
}

/// A lazy worker that takes half the samples is caught within 20 checks, in any scene.
#[test]
fn half_the_samples_are_caught_at_once() {
    for spec in [
        scene(),
        scenes::arena(10, 4, 2),
        scenes::arena(0, 0, 3),
        ReflectionSpec { samples: 16, ..scenes::arena(150, 20, 4) },
        ReflectionSpec { face_log2: 4, ..scenes::arena(150, 20, 5) },
        ReflectionSpec { face_log2: 6, samples: 2, ..scenes::arena(150, 20, 6) },
    ] {
        let lazy = other(&spec, |lie| lie.samples /= 2);
        let (count, _) = caught(&spec, &claim(&spec, &lazy), 20);
        assert!(count >= 14, "caught {count} times in 20, {} samples of face {}", spec.samples, spec.face());
    }
}

#[test]
fn another_scene() {
    let spec = scene();
    is_caught("stale", &spec, &other(&spec, |lie| lie.probe[0] += 96), 16);
    is_caught("sky alone", &spec, &other(&spec, |lie| lie.objects.clear()), 16);
    is_caught("no bolts", &spec, &other(&spec, |lie| lie.objects.retain(|o| o.surface < 4)), 8);
    is_caught("no sun", &spec, &other(&spec, |lie| lie.sun = None), 16);
    is_caught("another sky", &spec, &other(&spec, |lie| lie.sky += 1), 40);
}

#[test]
fn darker_and_brighter() {
    let spec = scene();
    for by in [0.9, 0.97, 1.03, 1.1, 2.0] {
        let mut cube = Scene::new(&spec).trace();
        cube.texels_mut().as_flattened_mut().iter_mut().for_each(|part| *part *= by);
        is_caught("another brightness", &spec, &cube, 40);
    }
}

/// Four small cubes have as many macroblocks together as the large one, and each has an eighth of all.
#[test]
fn one_false_probe_of_several_is_caught_as_often_as_it_has_blocks() {
    let spec = ReflectionSpec { others: ships(4), ..scene() };
    let mut honest = Scene::new(&spec);
    let mut cubes: Vec<CubeMap> = Vec::new();
    for viewpoint in spec.viewpoints() {
        honest.look_from(&viewpoint);
        cubes.push(honest.trace());
    }
    // The cube that the ship next to it sees.
    let mut elsewhere = spec.others[2];
    elsewhere.probe = spec.others[1].probe;
    honest.look_from(&elsewhere);
    let (count, _) = caught(&spec, &told_of(&spec, &cubes), 100);
    assert_eq!(count, 0, "nobody who is honest is caught");
    cubes[3] = honest.trace();
    let (count, names) = caught(&spec, &told_of(&spec, &cubes), 400);
    println!("one false probe of five: caught {count} times in 400 by {names:?}");
    assert!((20..=90).contains(&count), "caught {count} times in 400");
    assert!(names.iter().all(|check| DEEP.contains(check)), "{names:?}");
    // Another number of probes, or other sizes.
    let short = told_of(&spec, &cubes[..4]);
    assert_eq!(verdict(&spec, &short), Err("reflection.size"));
    cubes.swap(0, 1);
    assert_eq!(verdict(&spec, &told_of(&spec, &cubes)), Err("reflection.size"));
}

/// An answer with these cubes, as many as there are.
fn told_of(spec: &ReflectionSpec, cubes: &[CubeMap]) -> ReflectionOutcome {
    let levels = spec.viewpoints().map(|viewpoint| viewpoint.levels);
    ReflectionOutcome::of_all(&levels.zip(cubes).collect::<Vec<_>>())
}

/// One macroblock of 24 is traced again; every third seed picks one with bolts.
#[test]
fn one_false_block_is_caught_by_one_seed_in_36() {
    let spec = scene();
    let mut cube = Scene::new(&spec).trace();
    // Above, where no bolt is.
    for y in 0..16 {
        for x in 16..32 {
            let at = cube.index(2, x, y);
            cube.texels_mut()[at] = [0.3; 3];
        }
    }
    let (count, names) = caught(&spec, &claim(&spec, &cube), 960);
    assert!((15..=45).contains(&count), "caught {count} times in 960");
    assert_eq!(names, ["reflection.block"]);
}
