//! The only file that names the engine's world: one segment in a freshly built one.

use std::collections::BTreeMap;

use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, CoefficientCombineRule, ColliderBuilder, ColliderSet, ImpulseJointSet,
    IntegrationParameters, IslandManager, MassProperties, MultibodyJointSet, NarrowPhase, PhysicsPipeline,
    Pose, RigidBodyBuilder, RigidBodySet, Rotation, SoftBodySet, Vector,
};

use super::flight::pulled;
use super::outcome::WALL;
use super::quanta::{Motion, State};
use super::scene::Scene;
use super::vector::{Vec3, add, scale};
use super::{PREDICTION_M, STEP_S};
use crate::kind::KernelError;

/// Half the thickness of a wall and half its height, metres; nothing in range crosses it in a step.
const WALL_HALF_M: f32 = 4.0;
const WALL_HALF_HEIGHT_M: f32 = 16.0;

/// What the engine makes of a segment.
pub(super) struct Run {
    /// Every body's end, touched or not.
    pub ends: Vec<Motion>,
    /// What the attractors added to each body's momentum.
    pub pulled: Vec<Vec3>,
    /// Tick of the first contact and the sum of impulses, by pair.
    pub met: BTreeMap<(u16, u16), (u8, f32)>,
}

struct World {
    pipeline: PhysicsPipeline,
    parameters: IntegrationParameters,
    islands: IslandManager,
    broad: BroadPhaseBvh,
    narrow: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    joints: ImpulseJointSet,
    multibodies: MultibodyJointSet,
    soft: SoftBodySet,
    ccd: CCDSolver,
    handles: Vec<rapier3d::prelude::RigidBodyHandle>,
}

fn narrowed(from: Vec3) -> Vector {
    Vector::from_array(from.map(|part| part as f32))
}

fn widened(from: Vector) -> Vec3 {
    from.to_array().map(f64::from)
}

impl World {
    /// Bodies in the order of their ids, then the walls.
    fn new(scene: &Scene<'_>, start: &[State]) -> Self {
        let parameters = IntegrationParameters {
            dt: STEP_S as f32,
            normalized_prediction_distance: PREDICTION_M as f32,
            normalized_max_linear_velocity: scene.speed_max as f32,
            // Contacts are found at the starts of steps alone, so that the formula can tell where they are.
            max_ccd_substeps: 0,
            ..IntegrationParameters::default()
        };
        let mut world = Self {
            pipeline: PhysicsPipeline::new(),
            parameters,
            islands: IslandManager::new(),
            broad: BroadPhaseBvh::new(),
            narrow: NarrowPhase::new(),
            bodies: RigidBodySet::with_capacity(start.len()),
            colliders: ColliderSet::with_capacity(start.len() + 4),
            joints: ImpulseJointSet::new(),
            multibodies: MultibodyJointSet::new(),
            soft: SoftBodySet::new(),
            ccd: CCDSolver::new(),
            handles: Vec::with_capacity(start.len()),
        };
        for (index, state) in start.iter().enumerate() {
            world.add_body(scene, index, state);
        }
        if let Some([x, z]) = scene.walls {
            world.add_walls(x as f32, z as f32);
        }
        world
    }

    fn add_body(&mut self, scene: &Scene<'_>, index: usize, state: &State) {
        let (facts, body) = (&scene.facts[index], &scene.spec.bodies[index]);
        let material = &scene.spec.materials[usize::from(body.material)];
        let motion = state.motion();
        let rotation = Rotation::from_array(motion.rotation.map(|part| part as f32));
        let rigid = RigidBodyBuilder::dynamic()
            .pose(Pose::from_parts(narrowed(motion.position), rotation))
            .linvel(narrowed(motion.velocity))
            .angvel(narrowed(motion.spin))
            .enabled_translations(true, !scene.spec.planar, true)
            .gyroscopic_forces_enabled(false)
            .can_sleep(false);
        let handle = self.bodies.insert(rigid);
        let inertia = facts.inertia as f32;
        let collider = ColliderBuilder::new(body.shape.shape())
            .mass_properties(MassProperties::new(Vector::ZERO, facts.mass as f32, Vector::splat(inertia)))
            .restitution(f32::from(material.restitution) / 255.0)
            .friction(f32::from(material.friction) / 64.0)
            .user_data(index as u128);
        self.colliders.insert_with_parent(collider, handle, &mut self.bodies);
        self.handles.push(handle);
    }

    fn add_walls(&mut self, x: f32, z: f32) {
        let (reach, height) = (WALL_HALF_M, WALL_HALF_HEIGHT_M);
        let sides = [
            (Vector::new(reach, height, z + 2.0 * reach), Vector::new(x + reach, 0.0, 0.0)),
            (Vector::new(x + 2.0 * reach, height, reach), Vector::new(0.0, 0.0, z + reach)),
        ];
        for (half, centre) in sides {
            for centre in [-centre, centre] {
                let wall = ColliderBuilder::cuboid(half.x, half.y, half.z)
                    .translation(centre)
                    // A wall gives back what the body's material does, and does not rub.
                    .restitution_combine_rule(CoefficientCombineRule::Max)
                    .friction_combine_rule(CoefficientCombineRule::Min)
                    .restitution(0.0)
                    .friction(0.0)
                    .user_data(WALL.into());
                self.colliders.insert(wall);
            }
        }
    }

    fn step(&mut self) {
        self.pipeline.step(
            Vector::ZERO,
            &self.parameters,
            &mut self.islands,
            &mut self.broad,
            &mut self.narrow,
            &mut self.bodies,
            &mut self.colliders,
            &mut self.joints,
            &mut self.multibodies,
            &mut self.soft,
            &mut self.ccd,
            &(),
            &(),
        );
    }

    /// Adds a step's pull to all velocities, and what it adds to the momenta to `sums`.
    fn pull(&mut self, scene: &Scene<'_>, sums: &mut [Vec3]) {
        for (index, handle) in self.handles.iter().enumerate() {
            let facts = &scene.facts[index];
            let Some(body) = self.bodies.get_mut(*handle) else { continue };
            let (at, before) = (widened(body.translation()), widened(body.linvel()));
            body.set_linvel(narrowed(pulled(scene, facts.speed_cap, at, before)), false);
            // Without what the cap takes: that is no attractor's doing.
            sums[index] = add(sums[index], scale(scene.pull(at), facts.mass * STEP_S));
        }
    }

    fn note_contacts(&self, tick: u8, met: &mut BTreeMap<(u16, u16), (u8, f32)>) {
        let name = |handle| self.colliders.get(handle).map_or(WALL, |collider| collider.user_data as u16);
        for pair in self.narrow.contact_pairs().filter(|pair| pair.has_any_active_contact()) {
            let (a, b) = (name(pair.collider1), name(pair.collider2));
            let (_, impulse) = met.entry((a.min(b), a.max(b))).or_insert((tick, 0.0));
            *impulse += pair.total_impulse_magnitude();
        }
    }
}

/// Runs one segment from `start`.
pub(super) fn run(scene: &Scene<'_>, start: &[State]) -> Result<Run, KernelError> {
    let mut world = World::new(scene, start);
    let (mut pulled, mut met) = (vec![[0.0; 3]; start.len()], BTreeMap::new());
    for tick in 0..scene.spec.steps {
        if scene.is_pulled() {
            world.pull(scene, &mut pulled);
        }
        world.step();
        if !world.pipeline.quarantine().bodies().is_empty() {
            return Err(KernelError::Failed("a body's motion is not finite".into()));
        }
        world.note_contacts(tick, &mut met);
    }
    let ends = world.handles.iter().filter_map(|handle| world.bodies.get(*handle)).map(|body| Motion {
        position: widened(body.translation()),
        rotation: body.rotation().to_array().map(f64::from),
        velocity: widened(body.linvel()),
        spin: widened(body.angvel()),
    });
    Ok(Run { ends: ends.collect(), pulled, met })
}
