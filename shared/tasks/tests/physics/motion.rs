//! The formula beside the engine, the lattice's error bounds, and the motion that a viewer gets.

use p2c2r_tasks::TaskKind;
use p2c2r_tasks::physics::{
    Body, BodyMaterial, Motion, POSITION_ERROR_M, Physics, PhysicsSpec, ROTATION_ERROR_RAD, SPIN_ERROR_RAD_S,
    STEP_S, ShapeId, State, Trajectory, VELOCITY_ERROR_M_S,
};
use rapier3d::prelude::{PhysicsWorld, Pose, RigidBodyBuilder, Rotation, Vector};

use crate::contest;
use crate::same::{Told, cases, run};
use crate::scenes;
use crate::seeded::Seeded;

fn apart(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
}

/// Radians between two rotations.
fn turned(a: [f64; 4], b: [f64; 4]) -> f64 {
    let chord = |sign: f64| (0..4).map(|part| (a[part] - sign * b[part]).powi(2)).sum::<f64>().sqrt();
    4.0 * (chord(1.0).min(chord(-1.0)) / 2.0).min(1.0).asin()
}

#[test]
fn rounding_errs_by_no_more_than_stated() {
    let mut seeded = Seeded(1);
    let mut worst = 0.0f64;
    for round in 0..50_000 {
        let mut vector = |reach: f64| [0; 3].map(|_| seeded.between(-reach, reach));
        let (position, velocity, spin) = (vector(1_000.0), vector(60.0), vector(30.0));
        let mut rotation = [0; 4].map(|_| seeded.between(-1.0, 1.0));
        if round % 4 == 0 {
            // Near the ties, where the error is largest.
            rotation = rotation.map(|part: f64| part.signum() * (1.0 + part / 1_000.0));
        }
        let long = rotation.iter().map(|part| part * part).sum::<f64>().sqrt();
        let motion = Motion { position, rotation: rotation.map(|part| part / long), velocity, spin };
        let state = State::of(&motion);
        let back = state.motion();
        for axis in 0..3 {
            assert!((back.position[axis] - position[axis]).abs() <= POSITION_ERROR_M);
            assert!((back.velocity[axis] - velocity[axis]).abs() <= VELOCITY_ERROR_M_S);
            assert!((back.spin[axis] - spin[axis]).abs() <= SPIN_ERROR_RAD_S);
        }
        worst = worst.max(turned(back.rotation, motion.rotation));
        // If two components tie, either may be the dropped one.
        let again = State::of(&back);
        assert!(turned(again.motion().rotation, back.rotation) <= ROTATION_ERROR_RAD);
        assert_eq!(State { rotation: state.rotation, ..again }, state, "the lattice is its own nearest");
    }
    assert!(worst <= ROTATION_ERROR_RAD, "{worst}");
    assert!(worst > 0.4 * ROTATION_ERROR_RAD, "{worst}: the bound says nothing");
}

#[test]
fn motions_beyond_the_lattice_are_clamped() {
    let motion = Motion {
        position: [f64::INFINITY, f64::NAN, -1e300],
        rotation: [f64::NAN; 4],
        velocity: [f64::NEG_INFINITY, f64::NAN, 1e9],
        spin: [f64::NAN; 3],
    };
    let state = State::of(&motion);
    assert_eq!(state.position, [1_048_576, 0, -1_048_576]);
    assert_eq!((state.velocity, state.spin), ([-32_767, 0, 32_767], [0; 3]));
    assert!(state.motion().rotation.iter().all(|part| part.is_finite()));
}

/// An untouched body's end is the formula's; the engine's flight differs only by rounding.
#[test]
fn the_engine_flies_as_the_formula_says() {
    for (seed, planar) in [(1, true), (2, false), (3, true), (4, false)] {
        for pulled in [false, true] {
            let full = scenes::pulled(1, seed, planar);
            let attractors = if pulled { full.attractors.clone() } else { vec![] };
            let spec = PhysicsSpec { attractors, segments: 1, steps: 30, ..full };
            let trajectory = Trajectory::new(&spec, &run(&spec)).unwrap();
            let formula = trajectory.at(0, 30.0).unwrap();
            let start = spec.bodies[0].state.motion();
            let narrow = |from: [f64; 3]| Vector::from_array(from.map(|part| part as f32));
            let mut world = PhysicsWorld::new();
            world.gravity = Vector::ZERO;
            let rotation = Rotation::from_array(start.rotation.map(|part| part as f32));
            let body = world.insert_body(
                RigidBodyBuilder::dynamic()
                    .pose(Pose::from_parts(narrow(start.position), rotation))
                    .linvel(narrow(start.velocity))
                    .angvel(narrow(start.spin))
                    .gyroscopic_forces_enabled(false)
                    .additional_mass(1.0)
                    .can_sleep(false),
            );
            for _ in 0..30 {
                if pulled {
                    let pull = spec.attractors.iter().fold([0.0; 3], |sum, attractor| {
                        let at = world.bodies[body].translation().to_array().map(f64::from);
                        let way: [f64; 3] = std::array::from_fn(|axis| {
                            f64::from(attractor.position[axis]) / 1_024.0 - at[axis]
                        });
                        let soft = f64::from(attractor.softness) / 4.0;
                        let square = way.iter().map(|part| part * part).sum::<f64>() + soft * soft;
                        let by = f64::from(attractor.strength) / square.powf(1.5);
                        std::array::from_fn(|axis| {
                            sum[axis] + if planar && axis == 1 { 0.0 } else { way[axis] * by }
                        })
                    });
                    let faster = world.bodies[body].linvel() + narrow(pull.map(|part| part * STEP_S));
                    world.bodies[body].set_linvel(faster, true);
                }
                world.step();
            }
            let body = &world.bodies[body];
            let (at, rotation) = (body.translation().to_array(), body.rotation().to_array());
            let missed = apart(at.map(f64::from), formula.position);
            assert!(missed < 2.0 * POSITION_ERROR_M, "{missed} m");
            // The engine's rotation per step is the formula's to first order.
            let missed = turned(rotation.map(f64::from), formula.rotation);
            assert!(missed < 0.01, "{missed} rad");
            let missed = apart(body.linvel().to_array().map(f64::from), formula.velocity);
            assert!(missed < 2.0 * VELOCITY_ERROR_M_S, "{missed} m/s");
        }
    }
}

#[test]
fn a_lone_body_flies_straight_turns_evenly_and_costs_no_bytes() {
    let mut spec = scenes::arena(1, 1);
    spec.walls = None;
    let start = Motion {
        position: [1.0, 0.0, -2.0],
        velocity: [3.0, 0.0, -4.0],
        spin: [0.0, 2.0, 0.0],
        ..Motion::default()
    };
    spec.bodies[0].state = State::of(&start);
    let outcome = run(&spec);
    assert!(Physics::encode_outcome(&outcome).len() <= 12);
    let trajectory = Trajectory::new(&spec, &outcome).unwrap();
    let end = trajectory.at(0, 60.0).unwrap();
    assert!(apart(end.position, [4.0, 0.0, -6.0]) < 3.0 * POSITION_ERROR_M);
    assert!(turned(end.rotation, [0.0, 1f64.sin(), 0.0, 1f64.cos()]) < 3.0 * ROTATION_ERROR_RAD);
}

/// A ball hits a resting one of the same mass: the textbook's result.
#[test]
fn a_bounce_is_the_textbooks() {
    let mut spec = scenes::arena(2, 1);
    spec.materials[0].restitution = 255;
    spec.materials[0].friction = 0;
    let body = |id: u32, x: f64, speed: f64| {
        let motion = Motion { position: [x, 0.0, 0.0], velocity: [speed, 0.0, 0.0], ..Motion::default() };
        Body { id, shape: ShapeId::ball(1.0), material: 0, state: State::of(&motion) }
    };
    spec.bodies = vec![body(1, -4.0, 5.0), body(2, 0.0, 0.0)];
    let trajectory = Trajectory::new(&spec, &run(&spec)).unwrap();
    let [hitting, hit] = [0, 1].map(|index| trajectory.at(index, 60.0).unwrap());
    assert!(hitting.velocity[0].abs() < 0.05 && (hit.velocity[0] - 5.0).abs() < 0.05, "{hitting:?} {hit:?}");
    let (tick, contact) = trajectory.contacts()[0];
    assert!((22..27).contains(&tick) && trajectory.contacts().len() == 1, "at {tick}");
    let mass = 2_500.0 * ShapeId::ball(1.0).volume_m3();
    let impulse = f64::from(contact.impulse.newton_seconds()) / (mass * 5.0);
    assert!((0.85..1.2).contains(&impulse), "{impulse} of the momentum");
}

/// By the formula the third ball meets no other; the second flies towards it only after being hit.
#[test]
fn a_deflected_body_meets_one_that_was_to_meet_no_other() {
    let mut spec = scenes::arena(3, 1);
    (spec.segments, spec.steps) = (1, 30);
    spec.materials[0].restitution = 255;
    spec.materials[0].friction = 0;
    let body = |id: u32, x: f64, z: f64, speed: f64| {
        let motion = Motion { position: [x, 0.0, z], velocity: [speed, 0.0, 0.0], ..Motion::default() };
        Body { id, shape: ShapeId::ball(0.5), material: 0, state: State::of(&motion) }
    };
    spec.bodies = vec![body(1, -1.2, 0.5, 6.0), body(2, 0.0, 0.0, 0.0), body(3, 2.5, -1.45, 0.0)];
    let outcome = run(&spec);
    let segment = &Told::by(&spec, &outcome).segments[0];
    let pairs: Vec<_> = segment.contacts.iter().map(|contact| (contact.a, contact.b)).collect();
    assert_eq!(pairs, [(0, 1), (1, 2)], "{segment:?}");
    let trajectory = Trajectory::new(&spec, &outcome).unwrap();
    assert!(trajectory.at(2, 30.0).unwrap().velocity[0] > 2.0);
}

#[test]
fn a_trajectory_is_continuous_and_meets_the_boundaries() {
    for (name, spec) in cases() {
        let outcome = run(&spec);
        let trajectory = Trajectory::new(&spec, &outcome).unwrap();
        let steps = u32::from(spec.steps);
        let fastest = spec.materials.iter().map(BodyMaterial::speed_cap_m_s).fold(0.0, f64::max);
        for (index, body) in spec.bodies.iter().enumerate().step_by(7) {
            assert_eq!(trajectory.index_of(body.id), Some(index));
            for number in 0..=u32::from(spec.segments) {
                let state = &trajectory.boundary(number as usize).unwrap()[index];
                let at = trajectory.at(index, (number * steps).into()).unwrap();
                assert!(apart(at.position, state.motion().position) < 1e-9, "{name}");
                assert!(turned(at.rotation, state.motion().rotation) < 1e-6, "{name}");
            }
            let mut before = trajectory.at(index, 0.0).unwrap();
            for eighth in 1..=8 * spec.ticks() {
                let now = trajectory.at(index, f64::from(eighth) / 8.0).unwrap();
                let moved = apart(now.position, before.position);
                // A step of an eighth of a tick, rounding, and pulls that step with the ticks.
                assert!(
                    moved < fastest * STEP_S / 8.0 + 0.003,
                    "{name}: body {index} jumps {moved} m at {eighth}/8"
                );
                let turned = turned(now.rotation, before.rotation);
                assert!(turned < 0.2, "{name}: body {index} turns {turned} rad at {eighth}/8");
                before = now;
            }
        }
        assert_eq!(trajectory.index_of(u32::MAX), None);
        assert_eq!(trajectory.at(spec.bodies.len(), 1.0), None);
    }
}

#[test]
fn a_false_outcome_has_no_trajectory() {
    let spec = scenes::arena(150, 1);
    let mut lie = Told::truth(&spec);
    lie.segments[0].contacts.clear();
    let refused = Trajectory::new(&spec, &lie.outcome(&spec)).err();
    assert_eq!(refused.map(|error| error.check), Some("physics.contact_missing"));
}

/// The bench's code on small input, so that it cannot rot.
#[test]
fn the_contest_runs() {
    let rows = [("arena", scenes::arena(12, 1)), ("pulled", scenes::pulled(6, 2, false))];
    let rows: Vec<_> = rows.iter().map(|(name, spec)| contest::contest(name, spec, 1)).collect();
    assert_eq!(contest::table(&rows).lines().count(), 3);
}
