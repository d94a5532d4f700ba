//! The kind beside plain stepping of the same scene by the same engine.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use p2c2r_tasks::physics::{Physics, PhysicsSpec};
use p2c2r_tasks::{Blobs, Stop, TaskKind};
use rapier3d::prelude::*;

/// A scene's figures.
pub struct Row {
    name: &'static str,
    bodies: usize,
    segments: u8,
    steps: u8,
    kernel: Duration,
    plain: Duration,
    check: Duration,
    deep: Duration,
    spec_bytes: usize,
    outcome_bytes: usize,
    touched: usize,
    units: u64,
}

/// A body's shape as the catalogue defines it, made without the catalogue's code for the engine.
fn shape(spec: &PhysicsSpec, body: usize) -> SharedShape {
    let id = spec.bodies[body].shape;
    let radius = id.outer_radius_m() as f32;
    match id.unit_mesh() {
        None => SharedShape::ball(radius),
        Some((corners, triangles)) => {
            let corners = corners.iter().map(|corner| Vector::from_array(*corner) * radius).collect();
            SharedShape::convex_mesh(corners, triangles).unwrap()
        }
    }
}

/// The scene in one world, set up in the ordinary way, with shapes already made.
fn plain_world(spec: &PhysicsSpec, shapes: &[SharedShape]) -> PhysicsWorld {
    let mut world = PhysicsWorld::new();
    world.gravity = Vector::ZERO;
    world.integration_parameters.max_ccd_substeps = 0;
    for (index, body) in spec.bodies.iter().enumerate() {
        let motion = body.state.motion();
        let narrow = |from: [f64; 3]| Vector::from_array(from.map(|part| part as f32));
        let rotation = Rotation::from_array(motion.rotation.map(|part| part as f32));
        let rigid = RigidBodyBuilder::dynamic()
            .pose(Pose::from_parts(narrow(motion.position), rotation))
            .linvel(narrow(motion.velocity))
            .angvel(narrow(motion.spin))
            .gyroscopic_forces_enabled(false)
            .enabled_translations(true, !spec.planar, true)
            .can_sleep(false);
        let material = &spec.materials[usize::from(body.material)];
        let mass = f32::from(material.density) * body.shape.volume_m3() as f32;
        let inertia = Vector::splat(mass * body.shape.inertia_per_mass_m2() as f32);
        let collider = ColliderBuilder::new(shapes[index].clone())
            .mass_properties(MassProperties::new(Vector::ZERO, mass, inertia))
            .restitution(f32::from(material.restitution) / 255.0)
            .friction(f32::from(material.friction) / 64.0);
        world.insert(rigid, collider);
    }
    if let Some(walls) = spec.walls {
        let [x, z] = [walls.half_x, walls.half_z].map(|half| half as f32 / 1_024.0);
        for side in [-1.0, 1.0] {
            let along_x = ColliderBuilder::cuboid(4.0, 16.0, z + 8.0);
            world.insert_collider(along_x.translation(Vector::new(side * (x + 4.0), 0.0, 0.0)), None);
            let along_z = ColliderBuilder::cuboid(x + 8.0, 16.0, 4.0);
            world.insert_collider(along_z.translation(Vector::new(0.0, 0.0, side * (z + 4.0))), None);
        }
    }
    world
}

fn least(repeats: usize, mut what: impl FnMut() -> Duration) -> Duration {
    (0..repeats).map(|_| what()).min().unwrap_or_default()
}

/// How long this takes.
pub fn timed<T>(what: impl FnOnce() -> T) -> Duration {
    let (start, spent) = (Instant::now(), on_core());
    std::hint::black_box(what());
    on_core().zip(spent).map_or_else(|| start.elapsed(), |(now, spent)| now.saturating_sub(spent))
}

/// Processor time of this thread, where the system tells it (Linux), so that other programs do not count.
fn on_core() -> Option<Duration> {
    // The system updates the figure when the thread yields.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Takes the least of `repeats` times of each part; every outcome is checked.
pub fn contest(name: &'static str, spec: &PhysicsSpec, repeats: usize) -> Row {
    let blobs = Blobs::default();
    let outcome = Physics::run(spec, &blobs, &Stop::never()).unwrap();
    Physics::check(spec, &blobs, &outcome).unwrap();
    let shapes: Vec<SharedShape> = (0..spec.bodies.len()).map(|body| shape(spec, body)).collect();
    // The rivals take turns, so that a busy neighbour slows both.
    let (mut kernel, mut plain) = (Duration::MAX, Duration::MAX);
    for _ in 0..repeats {
        kernel = kernel
            .min(timed(|| Physics::encode_outcome(&Physics::run(spec, &blobs, &Stop::never()).unwrap())));
        let mut world = plain_world(spec, &shapes);
        plain = plain.min(timed(|| (0..spec.ticks()).for_each(|_| world.step())));
    }
    Row {
        name,
        bodies: spec.bodies.len(),
        segments: spec.segments,
        steps: spec.steps,
        kernel,
        plain,
        check: least(repeats, || timed(|| Physics::check(spec, &blobs, &outcome).unwrap())),
        deep: least(repeats, || timed(|| Physics::deep_check(spec, &blobs, &outcome, 1).unwrap())),
        spec_bytes: Physics::encode_spec(spec).len(),
        outcome_bytes: Physics::encode_outcome(&outcome).len(),
        touched: outcome.unfold(spec, &blobs).unwrap().iter().map(|segment| segment.touched.len()).sum(),
        units: Physics::admit(spec, &blobs).unwrap().0,
    }
}

/// All rows, aligned.
pub fn table(rows: &[Row]) -> String {
    let mut table = format!(
        "{:<14}{:>7}{:>7}{:>10}{:>10}{:>7}{:>9}{:>7}{:>9}{:>8}{:>9}{:>10}{:>9}\n",
        "scene",
        "bodies",
        "K x M",
        "task us",
        "plain us",
        "+%",
        "check us",
        "+%",
        "deep us",
        "units",
        "touched",
        "spec B",
        "out B"
    );
    for row in rows {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let over = |time: f64| (time / us(row.plain) - 1.0) * 100.0;
        let _ = writeln!(
            table,
            "{:<14}{:>7}{:>7}{:>10.0}{:>10.0}{:>7.1}{:>9.0}{:>7.1}{:>9.0}{:>8}{:>9}{:>10}{:>9}",
            row.name,
            row.bodies,
            format!("{}x{}", row.segments, row.steps),
            us(row.kernel),
            us(row.plain),
            over(us(row.kernel)),
            us(row.check),
            over(us(row.kernel) + us(row.check)),
            us(row.deep),
            row.units,
            row.touched,
            row.spec_bytes,
            row.outcome_bytes,
        );
    }
    table
}
