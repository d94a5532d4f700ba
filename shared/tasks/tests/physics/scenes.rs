//! Scenes to compute: seeded, and like those of the game or worse.

use p2c2r_tasks::physics::{
    Attractor, Body, BodyMaterial, Motion, POSITION_STEPS_PER_M, PhysicsSpec, STEPS_DEFAULT, ShapeId, State,
    Walls,
};

use crate::seeded::Seeded;

impl Seeded {
    fn vector(&mut self, reach: [f64; 3]) -> [f64; 3] {
        reach.map(|reach| self.between(-reach, reach))
    }
}

/// The bodies of a scene.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub bodies: usize,
    /// Half extents of the box they start in.
    pub half: [f64; 3],
    pub radius: (f64, f64),
    /// Balls in a hundred; the others are rocks.
    pub balls: u64,
    pub speed: f64,
    pub spin: f64,
    pub planar: bool,
    pub walled: bool,
}

/// Half the default arena's side, metres; more than 200 rocks get more room.
const ARENA_HALF_M: f64 = 32.0;

pub fn spec(recipe: Recipe, seed: u64) -> PhysicsSpec {
    let (mut seeded, mut bodies) = (Seeded(seed), Vec::<Body>::new());
    let [x, y, z] = recipe.half;
    let flat = |reach: f64| if recipe.planar { [reach, 0.0, reach] } else { [reach; 3] };
    let mut radius_max = recipe.radius.1;
    for number in 0..recipe.bodies {
        let form = seeded.scaled(8) as u16;
        let is_ball = seeded.scaled(100) < recipe.balls;
        // Shrinks until it finds a free place, so that any number fits.
        let (shape, position) = loop {
            let radius = seeded.between(recipe.radius.0.min(radius_max), radius_max);
            let shape = if is_ball { ShapeId::ball(radius) } else { ShapeId::rock(form, radius) };
            let outer = shape.outer_radius_m();
            let height = if recipe.planar { 0.0 } else { y };
            let position = seeded.vector([x - outer, height, z - outer]);
            let free = |body: &Body| {
                let way = (0..3)
                    .map(|axis| f64::from(body.state.position[axis]) / POSITION_STEPS_PER_M - position[axis]);
                way.map(|part| part * part).sum::<f64>().sqrt() > outer + body.shape.outer_radius_m() + 0.01
            };
            if bodies.iter().all(free) {
                break (shape, position);
            }
            radius_max = (radius_max * 0.9995).max(0.1);
        };
        let motion = Motion {
            position,
            rotation: [0; 4].map(|_| seeded.between(-1.0, 1.0)),
            velocity: seeded.vector(flat(recipe.speed)),
            spin: seeded.vector([recipe.spin; 3]),
        };
        let id = 10 + 3 * number as u32;
        bodies.push(Body { id, shape, material: (number % 2) as u8, state: State::of(&motion) });
    }
    let half = |metres: f64| (metres * POSITION_STEPS_PER_M) as i32;
    PhysicsSpec {
        base: None,
        segments: 60 / STEPS_DEFAULT,
        steps: STEPS_DEFAULT,
        planar: recipe.planar,
        walls: recipe.walled.then(|| Walls { half_x: half(x), half_z: half(z) }),
        attractors: Vec::new(),
        materials: vec![
            BodyMaterial::ROCK,
            BodyMaterial { density: 1_200, restitution: 255, friction: 0, ..BodyMaterial::ROCK },
        ],
        bodies,
    }
}

/// Rocks in the game's arena.
pub fn arena(bodies: usize, seed: u64) -> PhysicsSpec {
    let (speed, spin) = (4.0, 1.5);
    let half = ARENA_HALF_M * (bodies as f64 / 200.0).max(1.0).sqrt();
    let recipe = Recipe {
        bodies,
        half: [half, 0.0, half],
        radius: (0.9, 2.2),
        balls: 0,
        speed,
        spin,
        planar: true,
        walled: true,
    };
    spec(recipe, seed)
}

/// Rocks and balls in space.
pub fn cloud(bodies: usize, seed: u64) -> PhysicsSpec {
    let recipe = Recipe {
        bodies,
        half: [16.0; 3],
        radius: (0.5, 1.5),
        balls: 40,
        speed: 5.0,
        spin: 4.0,
        planar: false,
        walled: false,
    };
    spec(recipe, seed)
}

/// Small balls at the highest admissible speed.
pub fn fast(bodies: usize, seed: u64) -> PhysicsSpec {
    let recipe = Recipe {
        bodies,
        half: [12.0, 0.0, 12.0],
        radius: (0.4, 0.6),
        balls: 100,
        speed: 22.0,
        spin: 8.0,
        planar: true,
        walled: true,
    };
    spec(recipe, seed)
}

/// Rocks that one point draws together and another pushes away.
pub fn pulled(bodies: usize, seed: u64, planar: bool) -> PhysicsSpec {
    let recipe = Recipe {
        bodies,
        half: [14.0, 14.0, 14.0],
        radius: (0.5, 1.2),
        balls: 50,
        speed: 2.0,
        spin: 2.0,
        planar,
        walled: false,
    };
    let at = |x: f64| [(x * POSITION_STEPS_PER_M) as i32, 0, 0];
    let attractors = vec![
        Attractor { position: at(0.0), strength: 900, softness: 24 },
        Attractor { position: at(20.0), strength: -60, softness: 8 },
    ];
    PhysicsSpec { attractors, ..spec(recipe, seed) }
}
