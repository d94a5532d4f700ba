//! Honest answers pass every check, whatever the scene; hostile scenes are refused or computed, without a panic.

use p2c2r_tasks::physics::{
    Attractor, BODIES_MAX, Body, BodyMaterial, Motion, POSITION_STEPS_PER_M, Physics, PhysicsOutcome,
    PhysicsSpec, Rotation, SEGMENTS_MAX, STEPS_MAX, ShapeId, State, WALL, Walls,
};
use p2c2r_tasks::{Blobs, KernelError, SpecError, Stop, TaskKind};

use crate::same::{Told, cases, run};
use crate::scenes;
use crate::seeded::Seeded;

fn passes(name: &str, spec: &PhysicsSpec, outcome: &PhysicsOutcome) {
    let blobs = Blobs::default();
    Physics::check(spec, &blobs, outcome).unwrap_or_else(|error| panic!("{name}: {error}"));
    for seed in 0..u64::from(spec.segments) {
        Physics::deep_check(spec, &blobs, outcome, seed).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn honest_answers_pass() {
    for (name, spec) in cases() {
        passes(name, &spec, &run(&spec));
    }
    for seed in 100..112 {
        let spec = PhysicsSpec { segments: 2, steps: 30, ..scenes::arena(70, seed) };
        passes("arena", &spec, &run(&spec));
        let spec = PhysicsSpec { segments: 3, steps: 12, ..scenes::pulled(40, seed, seed % 2 == 0) };
        passes("pulled", &spec, &run(&spec));
        let spec = PhysicsSpec { segments: 4, steps: 9, ..scenes::cloud(60, seed) };
        passes("cloud", &spec, &run(&spec));
    }
}

/// Anything inside the limits, mostly at their edges: overlapping bodies, masses from grams to mountains,
/// everything at its cap.
fn wild(seed: u64) -> PhysicsSpec {
    let mut seeded = Seeded(seed);
    let planar = seeded.scaled(2) == 0;
    let half = [2.0, 10.0, 60.0][seeded.scaled(3) as usize];
    let edge = |seeded: &mut Seeded, low: u16, high: u16| match seeded.scaled(3) {
        0 => low,
        1 => high,
        _ => low + seeded.scaled(u64::from(high - low) + 1) as u16,
    };
    let materials: Vec<BodyMaterial> = (0..3)
        .map(|_| BodyMaterial {
            density: edge(&mut seeded, 1, 20_000),
            restitution: edge(&mut seeded, 0, 255) as u8,
            friction: edge(&mut seeded, 0, 255) as u8,
            speed_cap: edge(&mut seeded, 1, 256),
            spin_cap: edge(&mut seeded, 1, 128),
            drag: edge(&mut seeded, 0, 255) as u8,
        })
        .collect();
    let attractors = (0..seeded.scaled(3))
        .map(|_| Attractor {
            position: [0; 3].map(|_| (seeded.between(-half, half) * POSITION_STEPS_PER_M) as i32),
            strength: seeded.between(-170.0, 170.0) as i32,
            softness: 8 + seeded.scaled(9) as u16,
        })
        .collect();
    let bodies = (0..=seeded.scaled(30))
        .map(|number| {
            let index = seeded.scaled(3) as u8;
            let material = materials[usize::from(index)];
            let share = |seeded: &mut Seeded, cap: f64| {
                let cap = cap * seeded.between(0.0, 1.0).sqrt();
                let mut way = [0; 3].map(|_| seeded.between(-1.0, 1.0f64));
                if planar {
                    way[1] = 0.0;
                }
                let long = way.iter().map(|part| part * part).sum::<f64>().sqrt().max(1e-9);
                way.map(|part| part / long * cap)
            };
            let height = if planar { 0.0 } else { half };
            let motion = Motion {
                position: [half, height, half].map(|half| seeded.between(-half, half + 1e-9)),
                rotation: [0; 4].map(|_| seeded.between(-1.0, 1.0)),
                velocity: share(&mut seeded, material.speed_cap_m_s()),
                spin: share(&mut seeded, material.spin_cap_rad_s()),
            };
            let shape = ShapeId(if seeded.scaled(2) == 0 {
                seeded.scaled(40)
            } else {
                128 + 64 * seeded.scaled(8) + seeded.scaled(24)
            } as u16);
            Body { id: number as u32, shape, material: index, state: State::of(&motion) }
        })
        .collect();
    let walls = (planar && seeded.scaled(2) == 0).then(|| {
        let half = (half.max(4.0) * POSITION_STEPS_PER_M) as i32;
        Walls { half_x: half, half_z: half }
    });
    let (segments, steps) = (1 + seeded.scaled(4) as u8, 1 + seeded.scaled(30) as u8);
    PhysicsSpec { base: None, segments, steps, planar, walls, attractors, materials, bodies }
}

#[test]
fn wild_scenes_are_computed_and_honest_answers_to_them_pass() {
    let blobs = Blobs::default();
    let mut computed = 0;
    for seed in 0..300 {
        let spec = wild(seed);
        assert_eq!(Physics::decode_spec(&Physics::encode_spec(&spec)).unwrap(), spec);
        match Physics::admit(&spec, &blobs) {
            Err(SpecError::OutOfRange(_)) => assert!(Physics::run(&spec, &blobs, &Stop::never()).is_err()),
            Err(error) => panic!("seed {seed}: {error}"),
            Ok(_) => {
                computed += 1;
                passes(&format!("seed {seed}"), &spec, &run(&spec));
            }
        }
    }
    assert!(computed > 200, "only {computed} scenes were admitted: too few for this test");
}

#[test]
fn two_bodies_in_one_place_are_in_contact() {
    for shape in [ShapeId::ball(1.0), ShapeId::rock(3, 1.0)] {
        let body = |id| Body { id, shape, material: 0, state: State::default() };
        let spec = PhysicsSpec {
            base: None,
            segments: 2,
            steps: 10,
            planar: false,
            walls: None,
            attractors: vec![],
            materials: vec![BodyMaterial::ROCK],
            bodies: vec![body(1), body(2)],
        };
        let outcome = run(&spec);
        assert_eq!(Told::by(&spec, &outcome).segments[0].contacts.len(), 1);
        passes("one place", &spec, &outcome);
    }
}

#[test]
fn a_crowd_is_refused_before_it_costs_anything() {
    let mut spec = scenes::cloud(1, 1);
    let body = spec.bodies[0];
    spec.bodies = (0..BODIES_MAX as u32).map(|id| Body { id, ..body }).collect();
    let refused = Physics::admit(&spec, &Blobs::default()).unwrap_err();
    assert!(matches!(&refused, SpecError::OutOfRange(why) if why.contains("meet at once")), "{refused}");
    assert_eq!(Physics::run(&spec, &Blobs::default(), &Stop::never()), Err(KernelError::Spec(refused)));
}

/// Bodies that are apart at first, and in one place in the second segment.
#[test]
fn a_crowd_that_forms_later_fails_alike_everywhere() {
    let mut seeded = Seeded(5);
    let mut bodies = Vec::new();
    for id in 0..200 {
        let way = [0; 3].map(|_| seeded.between(-1.0, 1.0f64));
        let long = way.iter().map(|part| part * part).sum::<f64>().sqrt();
        let motion = Motion {
            position: way.map(|part| part / long * 25.0),
            velocity: way.map(|part| -part / long * 60.0),
            ..Motion::default()
        };
        bodies.push(Body { id, shape: ShapeId::ball(0.4), material: 0, state: State::of(&motion) });
    }
    let spec = PhysicsSpec {
        base: None,
        segments: 2,
        steps: 20,
        planar: false,
        walls: None,
        attractors: vec![],
        materials: vec![BodyMaterial { speed_cap: 256, ..BodyMaterial::ROCK }],
        bodies,
    };
    Physics::admit(&spec, &Blobs::default()).unwrap();
    let failed = Physics::run(&spec, &Blobs::default(), &Stop::never()).unwrap_err();
    assert_eq!(failed, KernelError::OutOfFuel);
}

#[test]
fn specs_out_of_range_are_typed_refusals() {
    let right = PhysicsSpec { segments: 1, steps: 2, ..scenes::arena(3, 1) };
    let attractor = Attractor { position: [0; 3], strength: 10, softness: 8 };
    let cases: Vec<(&str, Box<dyn Fn(&mut PhysicsSpec)>)> = vec![
        ("no segments", Box::new(|spec| spec.segments = 0)),
        ("too many segments", Box::new(|spec| spec.segments = SEGMENTS_MAX as u8 + 1)),
        ("no steps", Box::new(|spec| spec.steps = 0)),
        ("too many steps", Box::new(|spec| spec.steps = STEPS_MAX as u8 + 1)),
        ("no bodies", Box::new(|spec| spec.bodies.clear())),
        ("no materials", Box::new(|spec| spec.materials.clear())),
        ("too many materials", Box::new(|spec| spec.materials = vec![BodyMaterial::ROCK; 17])),
        ("an unknown material", Box::new(|spec| spec.bodies[0].material = 2)),
        ("no mass", Box::new(|spec| spec.materials[0].density = 0)),
        ("too much mass", Box::new(|spec| spec.materials[0].density = u16::MAX)),
        ("no speed", Box::new(|spec| spec.materials[0].speed_cap = 0)),
        ("too fast a cap", Box::new(|spec| spec.materials[1].speed_cap = 257)),
        ("too fast a spin", Box::new(|spec| spec.materials[1].spin_cap = 129)),
        ("an unknown shape", Box::new(|spec| spec.bodies[0].shape = ShapeId(ShapeId::COUNT))),
        ("ids that fall", Box::new(|spec| spec.bodies.swap(0, 1))),
        ("an id twice", Box::new(|spec| spec.bodies[1].id = spec.bodies[0].id)),
        (
            "a body far away",
            Box::new(|spec| (spec.walls, spec.bodies[0].state.position[0]) = (None, 600_000)),
        ),
        ("a body at the end of numbers", Box::new(|spec| spec.bodies[0].state.position[2] = i32::MIN)),
        ("a body out of the plane", Box::new(|spec| spec.bodies[0].state.position[1] = 1)),
        ("a body that leaves the plane", Box::new(|spec| spec.bodies[0].state.velocity[1] = -1)),
        ("a body beyond its cap", Box::new(|spec| spec.bodies[0].state.velocity[0] = i16::MAX)),
        ("a body that spins too fast", Box::new(|spec| spec.bodies[0].state.spin[0] = i16::MIN)),
        ("no rotation", Box::new(|spec| spec.bodies[0].state.rotation.dropped = 4)),
        (
            "a rotation too long",
            Box::new(|spec| {
                spec.bodies[0].state.rotation = Rotation { dropped: 0, rest: [16_383, 16_383, 0] };
            }),
        ),
        ("walls in space", Box::new(|spec| spec.planar = false)),
        ("walls too near", Box::new(|spec| spec.walls = Some(Walls { half_x: 0, half_z: 30_000 }))),
        ("walls too far", Box::new(|spec| spec.walls = Some(Walls { half_x: i32::MAX, half_z: 30_000 }))),
        ("a body outside the walls", Box::new(|spec| spec.bodies[0].state.position[0] = 40_000)),
        ("too many attractors", Box::new(move |spec| spec.attractors = vec![attractor; 5])),
        ("too sharp", Box::new(move |spec| spec.attractors = vec![Attractor { softness: 7, ..attractor }])),
        (
            "too strong",
            Box::new(move |spec| spec.attractors = vec![Attractor { strength: 900, ..attractor }]),
        ),
        (
            "far too strong",
            Box::new(move |spec| spec.attractors = vec![Attractor { strength: i32::MIN, ..attractor }]),
        ),
        (
            "too far",
            Box::new(move |spec| spec.attractors = vec![Attractor { position: [i32::MIN; 3], ..attractor }]),
        ),
    ];
    let blobs = Blobs::default();
    let outcome = Physics::run(&right, &blobs, &Stop::never()).unwrap();
    for (name, make_wrong) in cases {
        let mut spec = right.clone();
        make_wrong(&mut spec);
        let refused = Physics::admit(&spec, &blobs);
        assert!(matches!(refused, Err(SpecError::OutOfRange(_))), "{name}: {refused:?}");
        assert!(Physics::run(&spec, &blobs, &Stop::never()).is_err(), "{name}");
        assert_eq!(Physics::check(&spec, &blobs, &outcome).unwrap_err().check, "physics.spec", "{name}");
        // The other side must decode either nothing or the same.
        if let Ok(decoded) = Physics::decode_spec(&Physics::encode_spec(&spec)) {
            assert_eq!(decoded, spec, "{name}");
        }
    }
}

#[test]
fn units_grow_with_bodies_segments_steps_and_meetings() {
    let units = |spec: &PhysicsSpec| Physics::admit(spec, &Blobs::default()).unwrap().0;
    let base = scenes::arena(100, 1);
    assert!(units(&scenes::arena(120, 1)) > units(&base));
    assert!(units(&PhysicsSpec { segments: base.segments + 1, ..base.clone() }) > units(&base));
    assert!(units(&PhysicsSpec { steps: base.steps + 1, ..base.clone() }) > units(&base));
    let mut still = base.clone();
    still.bodies.iter_mut().for_each(|body| body.state.velocity = [0; 3]);
    assert!(units(&still) < units(&base));
    assert!(units(&scenes::arena(BODIES_MAX, 1)) < 10_000_000);
}

/// A pull bends paths; that alone brings nobody near a wall.
#[test]
fn pulled_bodies_pay_for_walls_where_they_come_near_them_alone() {
    let units = |spec: &PhysicsSpec| Physics::admit(spec, &Blobs::default()).unwrap().0;
    let half = |metres: f64| (metres * POSITION_STEPS_PER_M) as i32;
    let within = |metres: f64| PhysicsSpec {
        walls: Some(Walls { half_x: half(metres), half_z: half(metres) }),
        ..scenes::pulled(60, 3, true)
    };
    let open = scenes::pulled(60, 3, true);
    assert_eq!(units(&within(60.0)), units(&open));
    assert!(units(&within(14.0)) > units(&open));
}

#[test]
fn a_body_that_is_pulled_back_from_a_wall_has_touched_it() {
    let motion = Motion { position: [9.4, 0.0, 0.0], velocity: [6.0, 0.0, 0.0], ..Motion::default() };
    let body = Body { id: 1, shape: ShapeId::ball(0.5), material: 0, state: State::of(&motion) };
    let half = (10.3 * POSITION_STEPS_PER_M) as i32;
    let spec = PhysicsSpec {
        base: None,
        segments: 1,
        steps: 24,
        planar: true,
        walls: Some(Walls { half_x: half, half_z: half }),
        attractors: vec![Attractor {
            position: [(8.0 * POSITION_STEPS_PER_M) as i32, 0, 0],
            strength: 312,
            softness: 8,
        }],
        materials: vec![BodyMaterial::ROCK],
        bodies: vec![body],
    };
    let outcome = run(&spec);
    let contacts = &Told::by(&spec, &outcome).segments[0].contacts;
    assert!(contacts.iter().any(|contact| contact.b == WALL), "{contacts:?}");
    passes("pulled back", &spec, &outcome);
}
