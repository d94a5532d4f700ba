//! Measures how long a kernel goes on in its process after its run was cancelled: from the cancellation until its slot
//! is free. Prints figures for `docs/PERFORMANCE.md`, and asserts only that a task that is not cancelled has an
//! outcome.
//!
//! `cargo run --release -p p2c2r-worker --example stop_latency [TIMES]`; it needs Linux.

use std::process::ExitCode;

use p2c2r_tasks::KindRegistry;
use p2c2r_worker::kernels;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|role| role == kernels::ROLE) {
        return kernels::serve(&KindRegistry::builtin());
    }
    measure()
}

#[cfg(not(target_os = "linux"))]
fn measure() -> ExitCode {
    p2c2r_program::complain("kernel processes need Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn measure() -> ExitCode {
    let times = std::env::args().nth(1).and_then(|times| times.parse().ok()).unwrap_or(300);
    let Ok(folder) = tempfile::tempdir() else { return ExitCode::FAILURE };
    for asked in linux::all() {
        linux::stop(&asked, times, folder.path());
    }
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use p2c2r_link::Waker;
    use p2c2r_program::say;
    use p2c2r_protocol::{Attempt, KindId, Micros, TaskNo};
    use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, Probes};
    use p2c2r_tasks::path::{Cell, Grid, PathSpec, Query};
    use p2c2r_tasks::physics::{Body, BodyMaterial, Physics, PhysicsSpec, ShapeId, State};
    use p2c2r_tasks::reflection::{Form, Object, Reflection, ReflectionSpec, Sun, Surface};
    use p2c2r_tasks::tactics::{Agent, Behaviour, Class, LEAD_LEGS, Leg, Planner, Tactics, TacticsSpec};
    use p2c2r_tasks::{Blob, Blobs, KindRegistry, TaskKind};
    use p2c2r_worker::executor::{ClockAnchor, Executor, Run, RunResult, SharedStage};
    use p2c2r_worker::kernels::Sandbox;
    use p2c2r_worker::{Execution, WorkerConfig};

    /// A task that takes long enough to be stopped on its way.
    pub struct Asked {
        kind: KindId,
        name: &'static str,
        spec: Vec<u8>,
        blobs: Vec<Arc<Blob>>,
    }

    /// One of each kind.
    pub fn all() -> Vec<Asked> {
        let (reflection, lightfield) = lights();
        vec![paths(), bodies(), reflection, lightfield, plans()]
    }

    fn asked<K: TaskKind>(spec: &K::Spec, blobs: Vec<Arc<Blob>>) -> Asked {
        Asked { kind: K::ID, name: K::NAME, spec: K::encode_spec(spec), blobs }
    }

    /// A hash that makes numbers without order of a count.
    fn mixed(number: u32) -> u32 {
        let number = (number ^ (number >> 16)).wrapping_mul(0x45d9_f3b5);
        (number ^ (number >> 15)).wrapping_mul(0x2c1b_3c6d) >> 8
    }

    fn paths() -> Asked {
        let side = 500;
        let mut grid = Grid::new(side, side);
        for y in 0..side {
            for x in 0..side {
                grid.set_blocked(
                    Cell::new(x, y),
                    mixed(u32::from(y) * 1_000 + u32::from(x)).is_multiple_of(3),
                );
            }
        }
        let free = |near: u16| {
            let cells = (near..side).flat_map(|y| (0..side).map(move |x| Cell::new(x, y)));
            cells.into_iter().find(|cell| !grid.is_blocked(*cell)).unwrap_or_default()
        };
        let queries =
            (0..16).map(|number| Query { from: free(number), to: free(side - 20 + number) }).collect();
        let blob = Blob::new(grid.to_blob());
        asked::<p2c2r_tasks::path::Path>(&PathSpec { grid: blob.digest(), queries }, vec![blob])
    }

    fn bodies() -> Asked {
        let body = |id: u32| {
            let part = |salt: u32, most: i32| (mixed(id * 8 + salt) % (2 * most as u32)) as i32 - most;
            let state = State {
                position: [part(0, 60_000), 0, part(1, 60_000)],
                velocity: [part(2, 4_000) as i16, 0, part(3, 4_000) as i16],
                ..State::default()
            };
            Body { id, shape: ShapeId::rock((id % 8) as u16, 1.0), material: 0, state }
        };
        let spec = PhysicsSpec {
            base: None,
            segments: 16,
            steps: 30,
            planar: true,
            walls: None,
            attractors: Vec::new(),
            materials: vec![BodyMaterial::ROCK],
            bodies: (0..300).map(body).collect(),
        };
        asked::<Physics>(&spec, Vec::new())
    }

    fn lights() -> (Asked, Asked) {
        let object = |number: u32| Object {
            position: [0, 1, 2].map(|axis| (mixed(number * 4 + axis) % 4_000) as i16 - 2_000),
            form: Form::Sphere { radius: 64 },
            surface: (number % 2) as u8,
        };
        let surfaces = vec![
            Surface { colour: [200; 3], roughness: 128, ..Surface::default() },
            Surface { glow: [255, 180, 90], power: 18, ..Surface::default() },
        ];
        let reflection = ReflectionSpec {
            probe: [0; 3],
            face_log2: 6,
            levels: 1,
            samples: 16,
            others: Vec::new(),
            bounces: 3,
            seed: 1,
            sky: 1,
            sun: Some(Sun { direction: [1, 2, 3], colour: [255; 3], power: 18 }),
            surfaces,
            objects: (0..150).map(object).collect(),
        };
        let ReflectionSpec { bounces, seed, sky, sun, surfaces, objects, .. } = reflection.clone();
        let lightfield = LightfieldSpec {
            base: None,
            probes: Probes::Grid { origin: [-1_920, 64, -1_920], spacing: 256, counts: [16, 1, 16] },
            paths: 256,
            bounces,
            seed,
            sky,
            sun,
            surfaces,
            objects,
        };
        (asked::<Reflection>(&reflection, Vec::new()), asked::<Lightfield>(&lightfield, Vec::new()))
    }

    /// A wingman's plans against eleven gunners.
    fn plans() -> Asked {
        let class = |second_side: bool| Class {
            second_side,
            behaviour: if second_side { Behaviour::Keep } else { Behaviour::Circle },
            radius: 20,
            speed: 60,
            agility: 36,
            turn: 160,
            standoff: 36,
            salvo: 1,
            fan: 0,
            sight: 80,
            cooldown: 5,
            bolt_speed: 100,
            bolt_steps: 16,
            spread: 12,
            leads: true,
            damage: 1,
            ram: 0,
            mercy: 5,
            fragile: false,
            plates: i8::MAX,
            hull_worth: 6,
            life_worth: 12,
        };
        let agent = |number: u32| Agent {
            class: number.min(1) as u8,
            position: [0, 1].map(|axis| (mixed(number * 2 + axis) % 4_000) as i16 - 2_000),
            velocity: [0; 2],
            heading: [0, 127],
            hull: 20,
            cooldown: number as u8,
            mercy: 0,
            left: number.is_multiple_of(2),
        };
        let spec = TacticsSpec {
            seed: 1,
            half: 40 * 64,
            lead_steps: 5,
            candidates: 64,
            futures: 16,
            classes: vec![class(false), class(true)],
            agents: (0..12).map(agent).collect(),
            bolts: Vec::new(),
            rocks: Vec::new(),
            planners: vec![Planner { agent: 0, before: [Leg::Rule; LEAD_LEGS] }],
        };
        asked::<Tactics>(&spec, Vec::new())
    }

    /// Runs a task so many times, cancels each run somewhere on its way, and prints how long it went on.
    pub fn stop(asked: &Asked, times: u32, private: &Path) {
        let kinds = KindRegistry::builtin();
        let sandbox = Sandbox::of_this_program(private.to_owned()).expect("this program has a path");
        let config =
            WorkerConfig { slots: 1, execution: Execution::Processes(sandbox), ..WorkerConfig::default() };
        let mut executor = Executor::new(&config).expect("kernel processes start");
        let mut run = |serial: u64, stop_after: Option<Duration>| {
            let job = kinds.get(asked.kind).expect("a built-in kind").decode(&asked.spec).expect("a spec");
            let cancel = p2c2r_worker::cancel::Cancel::default();
            let run = Run {
                key: (TaskNo(serial), Attempt(1)),
                serial,
                kind: asked.kind,
                spec: asked.spec.clone().into(),
                job,
                blobs: Blobs::new(asked.blobs.clone()),
                admitted: false,
                stage: SharedStage::default(),
                cancel: cancel.clone(),
                over_at: Instant::now() + Duration::from_mins(1),
                clock: ClockAnchor { at: Micros(0), instant: Some(Instant::now()) },
                waker: Waker::default(),
            };
            let mut began = Instant::now();
            assert!(executor.queue(run), "there is room");
            if let Some(after) = stop_after {
                thread::sleep(after);
                began = Instant::now();
                cancel.cancel();
            }
            loop {
                if let Some(RunResult { result, .. }) = executor.next_result() {
                    return (result.is_ok(), began.elapsed());
                }
                thread::yield_now();
            }
        };
        let (is_whole, whole) = (0..3)
            .map(|serial| run(serial, None))
            .fold((true, Duration::MAX), |least, next| (least.0 && next.0, least.1.min(next.1)));
        assert!(is_whole, "{} has an outcome unless it is stopped", asked.name);
        let mut waits = Vec::new();
        for serial in 0..times {
            let after = whole * (mixed(serial) % 70 + 10) / 100;
            let (is_whole, wait) = run(u64::from(serial) + 3, Some(after));
            if !is_whole {
                waits.push(wait);
            }
        }
        waits.sort_unstable();
        let at = |share: usize| {
            waits.get(waits.len().saturating_sub(1) * share / 100).copied().unwrap_or_default()
        };
        say(format_args!(
            "{}: takes {whole:?}; stopped {} times, its slot was free after {:?} (median), {:?} (99 %), {:?} (most)",
            asked.name,
            waits.len(),
            at(50),
            at(99),
            at(100)
        ));
    }
}
