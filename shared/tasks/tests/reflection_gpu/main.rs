//! The kernel on graphics processors beside the one on cores: agreement, repetition, parallel use, hostile
//! specs.
//!
//! On the device that `P2C2R_GPU` names, else the fastest there is, else Mesa's software. Without a device
//! each test is skipped and says why; such a run proves nothing about the kernel.
#![cfg(feature = "gpu")]

#[path = "../reflection/scenes.rs"]
#[allow(dead_code, reason = "these tests take the arena of those")]
mod arenas;
mod fields;
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;

use std::sync::{Arc, LazyLock};
use std::thread;

use p2c2r_tasks::gpu::{Gpu, GpuChoice, GpuError, GpuSearch};
use p2c2r_tasks::reflection::{CubeMap, GpuTracer, Reflection, ReflectionSpec, Scene, TOLERANCE, Viewpoint};
use p2c2r_tasks::{Blobs, Kernel, KindRegistry, Stop, TaskKind as _};

/// The device's kernel, ready, or why there is none.
static TRACER: LazyLock<Result<Arc<GpuTracer>, String>> = LazyLock::new(|| {
    let wanted = std::env::var("P2C2R_GPU").unwrap_or_default().parse::<GpuChoice>().unwrap_or_default();
    let mut found = Gpu::find(&wanted);
    if wanted == GpuChoice::Auto && matches!(found, Ok(GpuSearch::None(_))) {
        found = Gpu::find(&GpuChoice::Named("llvmpipe".into()));
    }
    let gpu = match found.map_err(|error| error.to_string())? {
        GpuSearch::Gpu(gpu) => gpu,
        GpuSearch::None(reason) => return Err(reason),
    };
    eprintln!("on {} ({})", gpu.name(), gpu.driver());
    // A device exists, so any failure from here on is a fault, not a reason to skip.
    let tracer = GpuTracer::new(&gpu).unwrap();
    tracer.wait_until_ready().unwrap();
    Ok(Arc::new(tracer))
});

/// Calls a test with the device, or says why it is skipped.
fn on_device(test: impl FnOnce(&Arc<GpuTracer>)) {
    match &*TRACER {
        Ok(tracer) => test(tracer),
        Err(reason) => eprintln!("SKIPPED, for there is no graphics processor here: {reason}"),
    }
}

fn admitted(spec: &ReflectionSpec) -> Scene {
    Reflection::admit(spec, &Blobs::default()).unwrap();
    Scene::new(spec)
}

/// Asserts that two cubes agree within [`TOLERANCE`], in size and in the mean.
fn assert_agree(name: &str, ours: &CubeMap, theirs: &CubeMap) {
    assert_eq!(ours.texels().len(), theirs.texels().len());
    let (mut strays, mut signed, mut total, mut worst) = (0, 0.0, 0.0, 0.0_f32);
    for (a, b) in ours.texels().iter().zip(theirs.texels()) {
        let most = a.iter().fold(TOLERANCE.floor, |most, part| most.max(*part));
        let off = (0..3).map(|part| (a[part] - b[part]).abs() / most).fold(0.0, f32::max);
        if off > TOLERANCE.texel {
            strays += 1;
        } else {
            worst = worst.max(off);
        }
        for part in 0..3 {
            total += f64::from(a[part]);
            signed += f64::from(b[part] - a[part]);
        }
    }
    let strays = f64::from(strays) / ours.texels().len() as f64;
    let mean = signed / total;
    eprintln!("{name}: {:.3} % strays, mean {mean:+.2e}, the others within {worst:.2e}", strays * 100.0);
    assert!(strays <= TOLERANCE.strays, "{name}: {strays} of the texels differ");
    assert!(mean.abs() <= TOLERANCE.mean, "{name}: brighter by {mean}");
    assert!(total > 0.0, "{name}: nothing to see");
}

fn agrees_on(name: &str, spec: &ReflectionSpec) {
    on_device(|tracer| {
        let mut scene = admitted(spec);
        let viewpoints: Vec<_> = spec.viewpoints().collect();
        let theirs = tracer.trace_from(&scene, &viewpoints).unwrap();
        assert_eq!(theirs.len(), viewpoints.len());
        for (viewpoint, theirs) in viewpoints.iter().zip(&theirs) {
            scene.look_from(viewpoint);
            assert_agree(name, &scene.trace_parallel(), theirs);
        }
    });
}

#[test]
fn agrees_on_an_empty_sky() {
    agrees_on("sky", &scenes::sky());
}

#[test]
fn agrees_on_a_mirror_ball() {
    agrees_on("mirror ball", &scenes::mirror_ball());
}

#[test]
fn agrees_on_rough_metal() {
    agrees_on("rough metal", &scenes::rough_metal());
}

#[test]
fn agrees_on_bolts() {
    agrees_on("bolts", &scenes::bolts());
}

#[test]
fn agrees_on_a_field_of_rocks() {
    agrees_on("150 rocks", &scenes::rocks(150));
}

#[test]
fn agrees_from_every_one_of_several_viewpoints() {
    let viewpoint = |probe, face_log2, levels, samples| Viewpoint { probe, face_log2, levels, samples };
    let others = vec![
        viewpoint([640, 32, -200], 4, 1, 3),
        viewpoint([-900, 0, 410], 5, 6, 1),
        viewpoint([77, 0, 1_300], 4, 5, 16),
    ];
    agrees_on("several", &ReflectionSpec { others, ..scenes::rocks(150) });
}

#[test]
fn agrees_on_the_largest_face() {
    agrees_on("largest face", &scenes::large());
}

#[test]
fn the_most_that_admission_lets_through_ends() {
    on_device(|tracer| {
        for mut spec in [scenes::crowded(), scenes::extreme()] {
            // As many samples as the work units allow.
            while Reflection::admit(&spec, &Blobs::default()).is_err() && spec.samples > 1 {
                spec.samples -= 1;
            }
            let scene = admitted(&spec);
            let cube = tracer.trace(&scene).unwrap();
            let within = |part: &f32| part.is_finite() && (0.0..=scene.radiance_max).contains(part);
            assert!(cube.texels().iter().flatten().all(within));
            assert_eq!(tracer.gpu().retired(), None);
        }
    });
}

#[test]
fn a_device_repeats_itself_alone_and_in_company() {
    on_device(|tracer| {
        let specs = [scenes::rocks(40), scenes::bolts(), scenes::mirror_ball(), scenes::sky()];
        let scenes: Vec<Scene> = specs.iter().map(admitted).collect();
        let alone: Vec<CubeMap> = scenes.iter().map(|scene| tracer.trace(scene).unwrap()).collect();
        // More threads than the device has lanes, each beginning elsewhere.
        thread::scope(|scope| {
            for start in 0..6 {
                let (scenes, alone) = (&scenes, &alone);
                scope.spawn(move || {
                    for place in (0..scenes.len()).map(|step| (start + step) % scenes.len()) {
                        assert!(
                            tracer.trace(&scenes[place]).unwrap() == alone[place],
                            "scene {place} differs"
                        );
                    }
                });
            }
        });
    });
}

#[test]
fn its_outcomes_pass_the_checks_of_the_kind() {
    on_device(|tracer| {
        let kinds = KindRegistry::builtin().with_kernel::<Reflection>(tracer.clone());
        let kind = kinds.get(Reflection::ID).unwrap();
        for spec in
            [scenes::rocks(60), scenes::rough_metal(), ReflectionSpec { levels: 6, ..scenes::bolts() }]
        {
            let job = kind.decode(&Reflection::encode_spec(&spec)).unwrap();
            let outcome = job.run(&Blobs::default(), &Stop::never()).unwrap();
            for seed in 0..20 {
                job.deep_check(&Blobs::default(), &outcome, seed).unwrap();
            }
        }
        let counted = kind.kernel_use().unwrap();
        assert_eq!((counted.runs, counted.fallbacks, counted.first_failure), (3, 0, None));
        assert!(Kernel::<Reflection>::is_ready(&**tracer));
    });
}

/// Arenas of 500 rounds, 200 deep checks of each. `cargo test --release -p p2c2r_tasks --features gpu --test reflection_gpu
/// -- --ignored`: some minutes where there is a real device, far longer on Mesa's software.
#[test]
#[ignore = "takes minutes"]
fn a_devices_honest_answers_pass_100_000_deep_checks() {
    on_device(|tracer| {
        let kinds = KindRegistry::builtin().with_kernel::<Reflection>(tracer.clone());
        let kind = kinds.get(Reflection::ID).unwrap();
        for round in 0..500 {
            let spec = match round % 4 {
                0 => ReflectionSpec { face_log2: 4, ..arenas::arena(150, 20, round) },
                1 => ReflectionSpec { samples: 2, ..arenas::arena(20, 10, round) },
                _ => arenas::arena(150, 20, round),
            };
            let job = kind.decode(&Reflection::encode_spec(&spec)).unwrap();
            let outcome = job.run(&Blobs::default(), &Stop::never()).unwrap();
            for seed in 0..200 {
                let judged = job.deep_check(&Blobs::default(), &outcome, seed);
                assert_eq!(judged, Ok(()), "seed {seed} of round {round}");
            }
        }
        let counted = kind.kernel_use().unwrap();
        assert_eq!((counted.runs, counted.fallbacks, counted.first_failure), (500, 0, None));
    });
}

#[test]
fn a_device_that_is_lost_under_way_neither_hangs_nor_panics_and_the_cores_take_over() {
    on_device(|tracer| {
        let Ok(GpuSearch::Gpu(gpu)) = Gpu::find(&GpuChoice::Named(tracer.gpu().name().into())) else {
            panic!("it was there before")
        };
        let doomed = Arc::new(GpuTracer::new(&gpu).unwrap());
        doomed.wait_until_ready().unwrap();
        let scene = admitted(&scenes::rocks(40));
        let whole = tracer.trace(&scene).unwrap();
        thread::scope(|scope| {
            let (sender, begun) = std::sync::mpsc::channel();
            for _ in 0..6 {
                let (doomed, scene, whole, sender) = (&doomed, &scene, &whole, sender.clone());
                scope.spawn(move || {
                    // Until the device is lost every cube is whole.
                    while let Ok(cube) = doomed.trace(scene) {
                        assert!(cube == *whole);
                        // The receiver is gone once the device is closed.
                        let _ = sender.send(());
                    }
                });
            }
            // Only the threads' own senders are left, so that the loop ends even if all of them fail at once.
            drop(sender);
            begun.recv().unwrap();
            gpu.close();
        });
        assert!(matches!(doomed.trace(&scene), Err(GpuError::Retired(_))));

        let kinds = KindRegistry::builtin().with_kernel::<Reflection>(doomed);
        let kind = kinds.get(Reflection::ID).unwrap();
        let spec = scenes::mirror_ball();
        let job = kind.decode(&Reflection::encode_spec(&spec)).unwrap();
        let cores =
            Reflection::encode_outcome(&Reflection::run(&spec, &Blobs::default(), &Stop::never()).unwrap());
        assert_eq!(job.run(&Blobs::default(), &Stop::never()), Ok(cores));
        let counted = kind.kernel_use().unwrap();
        assert_eq!((counted.runs, counted.fallbacks), (0, 1));
        assert!(counted.first_failure.unwrap().contains("out of use"));
    });
}

#[test]
fn a_name_that_no_device_bears_is_refused_with_the_names_there_are() {
    let Err(error) = Gpu::find(&GpuChoice::Named("no such device".into())) else { panic!("it was found") };
    assert!(matches!(error, GpuError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("no such device"));
    on_device(|tracer| assert!(error.to_string().contains(tracer.gpu().name()), "{error}"));
}

#[test]
fn off_is_off() {
    assert!(matches!(Gpu::find(&GpuChoice::Off), Ok(GpuSearch::None(_))));
}
