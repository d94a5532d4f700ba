//! The kind `reflection` on a graphics processor beside this machine's cores:
//! `cargo bench -p p2c2r_tasks --features gpu --bench gpu`.
//!
//! On the device that `P2C2R_GPU` names, else the fastest there is, else Mesa's software. Milliseconds are the
//! median of the repeats, from the spec's scene to its cube, uploading and reading back included; "1 core" is the
//! kernel on one thread, "cores" on all of them; "build ms" and "pack ms" are the work of one core for either kernel:
//! making the scene from its spec, and the outcome with all its levels from the cube; "on all" is making that outcome on
//! all cores, as a worker with a graphics processor does. Rays are first rays of paths that may meet one surface in a
//! scene without lights, so every path is one ray. The overhead is a cube of one path per texel that meets nothing.

#[cfg(feature = "gpu")]
#[path = "../tests/reflection/scenes.rs"]
#[allow(dead_code, reason = "the bench takes one scene of those")]
mod scenes;
#[path = "../tests/seeded/mod.rs"]
mod seeded;

#[cfg(not(feature = "gpu"))]
fn main() {
    println!("This bench needs --features gpu.");
}

#[cfg(feature = "gpu")]
fn main() {
    use p2c2r_tasks::gpu::{Gpu, GpuChoice, GpuSearch};
    use p2c2r_tasks::reflection::GpuTracer;

    let wanted = std::env::var("P2C2R_GPU").unwrap_or_default().parse::<GpuChoice>().unwrap_or_default();
    let mut found = Gpu::find(&wanted);
    if wanted == GpuChoice::Auto && matches!(found, Ok(GpuSearch::None(_))) {
        found = Gpu::find(&GpuChoice::Named("llvmpipe".into()));
    }
    match found {
        Ok(GpuSearch::Gpu(gpu)) => {
            let software = if gpu.is_software() { ", software on this machine's cores" } else { "" };
            println!("Device: {} ({}{software})", gpu.name(), gpu.driver());
            contest::run(&GpuTracer::new(&gpu).expect("a thread"));
        }
        Ok(GpuSearch::None(reason)) => println!("No graphics processor: {reason}"),
        Err(error) => println!("No graphics processor: {error}"),
    }
}

#[cfg(feature = "gpu")]
mod contest {
    use std::time::{Duration, Instant};

    use p2c2r_tasks::reflection::{CubeMap, GpuTracer, LEVELS_MAX, ReflectionOutcome, ReflectionSpec, Scene};

    use super::scenes::arena;

    fn median<T>(repeats: usize, mut call: impl FnMut() -> T) -> (Duration, T) {
        let mut last = None;
        let mut times: Vec<Duration> = (0..repeats)
            .map(|_| {
                let start = Instant::now();
                last = Some(call());
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        (times[times.len() / 2], last.expect("at least one repeat"))
    }

    fn ms(time: Duration) -> f64 {
        time.as_secs_f64() * 1e3
    }

    /// Asserts that the device computed what the cores did, but for stray texels.
    fn assert_same(ours: &CubeMap, theirs: &CubeMap) {
        let sum = |cube: &CubeMap| cube.texels().iter().flatten().map(|part| f64::from(*part)).sum::<f64>();
        let (ours, theirs) = (sum(ours), sum(theirs));
        assert!(
            (ours - theirs).abs() < 0.01 * ours,
            "a sum of {ours} on the cores and {theirs} on the device"
        );
    }

    pub fn run(tracer: &GpuTracer) {
        // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
        let whole = std::env::args().any(|word| word == "--bench");
        let (repeats, faces): (usize, &[u8]) = if whole { (9, &[5, 6, 7]) } else { (1, &[4]) };
        let start = Instant::now();
        tracer.wait_until_ready().expect("a program that compiles");
        println!("Compiled in {:.0} ms", ms(start.elapsed()));

        let least = Scene::new(&ReflectionSpec { face_log2: 4, samples: 1, bounces: 1, ..arena(0, 0, 1) });
        let (overhead, _) = median(repeats * 10, || tracer.trace(&least).expect("a cube"));
        println!("Overhead of a task: {:.2} ms", ms(overhead));

        println!("arena, 150 rocks and 20 others, 4 samples, 3 bounces:");
        println!(
            "{:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "face", "gpu ms", "1 core", "cores", "build ms", "pack ms", "on all"
        );
        for &face_log2 in faces {
            let spec = ReflectionSpec { face_log2, levels: LEVELS_MAX, ..arena(150, 20, 3) };
            let (build, scene) = median(repeats, || Scene::new(&spec));
            let (gpu, theirs) = median(repeats, || tracer.trace(&scene).expect("a cube"));
            let (one, ours) = median(repeats, || scene.trace());
            let (all, _) = median(repeats, || scene.trace_parallel());
            assert_same(&ours, &theirs);
            let (pack, _) = median(repeats, || ReflectionOutcome::of(spec.levels, &ours));
            let (on_all, _) = median(repeats, || ReflectionOutcome::of_parallel(spec.levels, &ours));
            let [gpu, one, all, build, pack, on_all] = [gpu, one, all, build, pack, on_all].map(ms);
            println!(
                "{:>5} {gpu:>9.2} {one:>9.2} {all:>9.2} {build:>9.2} {pack:>9.2} {on_all:>9.2}",
                scene.face
            );
        }

        let samples = if whole { 16 } else { 1 };
        let face_log2 = faces[faces.len() - 1];
        let mut spec = ReflectionSpec { face_log2, samples, bounces: 1, sun: None, ..arena(150, 0, 3) };
        spec.surfaces.iter_mut().for_each(|surface| surface.power = 0);
        let scene = Scene::new(&spec);
        let rays = 6.0 * f64::from(scene.face * scene.face * scene.samples);
        let (gpu, theirs) = median(repeats, || tracer.trace(&scene).expect("a cube"));
        let (one, ours) = median(repeats, || scene.trace());
        assert_same(&ours, &theirs);
        let rate = |time: Duration| rays / time.as_secs_f64() / 1e6;
        println!(
            "First rays on 150 rocks: {:.2} M/s on the device, {:.2} M/s on one core",
            rate(gpu),
            rate(one)
        );
    }
}
