//! The only file that names the engine's world: one segment in a freshly built one.
//!
//! A body that by the formula comes near no other stays out of the engine until a touched body comes near it:
//! it then enters, at that step, where the formula has it. So the engine's work grows with the collisions and
//! not with the bodies, and no contact is lost. The same holds for bodies that rest beside one another: where
//! one of them enters, the two rings of bodies that rest around it enter too, and others as the push reaches
//! them.

use std::collections::BTreeMap;

use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, CoefficientCombineRule, ColliderBuilder, ColliderSet, ImpulseJointSet,
    IntegrationParameters, IslandManager, MassProperties, MultibodyJointSet, NarrowPhase, PhysicsPipeline,
    Pose, RigidBodyBuilder, RigidBodyHandle, RigidBodySet, Rotation, SoftBodySet, Vector,
};

use super::flight::{Paths, fly, pulled};
use super::lone::Lone;
use super::meet::{SegmentStart, drift_m};
use super::outcome::WALL;
use super::quanta::{Motion, State};
use super::reach::{Reach, is_ball};
use super::scene::PhysicsScene;
use super::units::{ENTER_STEPS, LOOK_STEPS, MOVE_STEPS, Meeting, PULL_STEPS, Pair, SWEEP_STEPS, TICK_STEPS};
use super::vector::{Vec3, add, dot, scale, sub};
use super::watch::TickWatch;
use super::{PAIRS_PER_BODY_MAX, PREDICTION_M, STEP_S};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// Half the thickness of a wall and half its height, metres; no body in range crosses it in one step.
const WALL_HALF_M: f32 = 4.0;
const WALL_HALF_HEIGHT_M: f32 = 16.0;

/// Up to this many bodies in the engine, all of them may be near all others (some two thousand pairs) as far
/// as the fuel lasts. Above it, a tick may have as many pairs as a segment.
const CROWD_MIN: usize = 64;

/// A resting body counts as pushed once it has moved this far, metres, or moves this fast, metres a second: a
/// contact without effect must not wake a heap.
const MOVED_M: f64 = 0.002;
const MOVES_M_S: f32 = 0.02;

/// The engine's result for a segment.
pub(super) struct SegmentRun {
    /// The ends of the bodies that were touched; others have none.
    pub ends: Vec<Motion>,
    /// The momentum that the attractors added to each body.
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
    /// By body; `None` for those that are not in the engine.
    handles: Vec<Option<RigidBodyHandle>>,
}

fn narrowed(from: Vec3) -> Vector {
    Vector::from_array(from.map(|part| part as f32))
}

fn widened(from: Vector) -> Vec3 {
    from.to_array().map(f64::from)
}

impl World {
    /// A world with the bodies in the order of their ids, without lone ones; then the walls.
    fn new(scene: &PhysicsScene<'_>, start: &[State], lone: &Lone, watch: &TickWatch) -> Self {
        let parameters = IntegrationParameters {
            dt: STEP_S as f32,
            normalized_prediction_distance: PREDICTION_M as f32,
            normalized_max_linear_velocity: scene.speed_max as f32,
            // Contacts are found at the starts of steps only, so that the formula can tell where they are.
            max_ccd_substeps: 0,
            ..IntegrationParameters::default()
        };
        let mut world = Self {
            pipeline: PhysicsPipeline::new(),
            parameters,
            islands: IslandManager::new(),
            broad: BroadPhaseBvh::new(),
            narrow: NarrowPhase::with_query_dispatcher(watch.dispatcher()),
            bodies: RigidBodySet::with_capacity(start.len()),
            colliders: ColliderSet::with_capacity(start.len() + 4),
            joints: ImpulseJointSet::new(),
            multibodies: MultibodyJointSet::new(),
            soft: SoftBodySet::new(),
            ccd: CCDSolver::new(),
            handles: vec![None; start.len()],
        };
        let mut enters = vec![true; start.len()];
        lone.by_x.iter().for_each(|(_, body)| enters[*body] = false);
        for (index, state) in start.iter().enumerate().filter(|(index, _)| enters[*index]) {
            world.add_body(scene, index, &state.motion());
        }
        if let Some([x, z]) = scene.walls {
            world.add_walls(x as f32, z as f32);
        }
        world
    }

    fn add_body(&mut self, scene: &PhysicsScene<'_>, index: usize, motion: &Motion) {
        let (facts, body) = (&scene.facts[index], &scene.spec.bodies[index]);
        let material = &scene.spec.materials[usize::from(body.material)];
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
        self.handles[index] = Some(handle);
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
                    // A wall restores what the body's material does, and has no friction.
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
    fn pull(&mut self, scene: &PhysicsScene<'_>, sums: &mut [Vec3]) {
        for (index, handle) in self.handles.iter().enumerate() {
            let facts = &scene.facts[index];
            let Some(body) = handle.and_then(|handle| self.bodies.get_mut(handle)) else { continue };
            let (at, before) = (widened(body.translation()), widened(body.linvel()));
            body.set_linvel(narrowed(pulled(scene, facts.speed_cap, at, before)), false);
            // The pull alone: the part that the cap removes is not the attractors' doing.
            sums[index] = add(sums[index], scale(scene.pull(at), facts.mass * STEP_S));
        }
    }

    /// Adds the lone bodies that `touched` has come near to the engine; they have flown by the formula until
    /// `tick`.
    fn let_in(
        &mut self,
        scene: &PhysicsScene<'_>,
        start: &[State],
        paths: &Paths,
        lone: &mut Lone,
        tick: u32,
        touched: usize,
        fuel: &mut Fuel<'_>,
    ) -> Result<(), KernelError> {
        let Some(body) = self.handles[touched].and_then(|handle| self.bodies.get(handle)) else {
            return Ok(());
        };
        let at = widened(body.translation());
        let way = sub(at, paths.at(touched, tick));
        if paths.is_still(touched) && dot(way, way) < MOVED_M * MOVED_M && body.linvel().length() < MOVES_M_S
        {
            // The body rests where the formula has it, so every body that comes near it is already known.
            return Ok(());
        }
        let reach = scene.facts[touched].outer + PREDICTION_M + drift_m(scene);
        let (near, looks) = lone.take_near(scene, paths, tick, at, reach);
        fuel.spend((1 + looks as u64) * LOOK_STEPS)?;
        for index in near {
            fuel.spend(ENTER_STEPS)?;
            self.add_body(scene, index, &fly(scene, index, &start[index], tick.into()));
        }
        Ok(())
    }

    fn motion(&self, handle: Option<RigidBodyHandle>) -> Motion {
        let Some(body) = handle.and_then(|handle| self.bodies.get(handle)) else { return Motion::default() };
        Motion {
            position: widened(body.translation()),
            rotation: body.rotation().to_array().map(f64::from),
            velocity: widened(body.linvel()),
            spin: widened(body.angvel()),
        }
    }

    /// Notes which bodies are in contact; returns the steps that the tick took for all pairs near one
    /// another: those of the search for contacts, and those of the solver.
    fn note_contacts(
        &self,
        scene: &PhysicsScene<'_>,
        tick: u8,
        met: &mut BTreeMap<(u16, u16), (u8, f32)>,
    ) -> (u64, u64) {
        let name = |handle| self.colliders.get(handle).map_or(WALL, |collider| collider.user_data as u16);
        let (mut search, mut solver) = (0, 0);
        for pair in self.narrow.contact_pairs() {
            let (a, b) = (name(pair.collider1), name(pair.collider2));
            let kind = match (a == WALL || b == WALL, is_ball(scene, a) && is_ball(scene, b)) {
                (true, _) => Pair::Wall,
                (false, true) => Pair::Balls,
                (false, false) => Pair::Other,
            };
            let mut meeting = Meeting { pair: kind, depth: None, first: false };
            if pair.has_any_active_contact() {
                let known = met.len();
                let (_, impulse) = met.entry((a.min(b), a.max(b))).or_insert((tick, 0.0));
                *impulse += pair.total_impulse_magnitude();
                meeting.first = met.len() > known;
                let points = pair.manifolds().iter().flat_map(|manifold| &manifold.points);
                meeting.depth = Some(points.map(|point| -point.dist).fold(0.0, f32::max));
            }
            solver += meeting.solver_steps();
            search += meeting.steps() - meeting.solver_steps();
        }
        (search, solver)
    }

    /// Spends the steps of a tick without its pairs, and ends the kernel if the pairs may take more than what
    /// is left, or are more than one tick may have.
    fn enter_tick(
        &self,
        scene: &PhysicsScene<'_>,
        order: &mut Vec<Reach>,
        fuel: &mut Fuel<'_>,
    ) -> Result<(), KernelError> {
        let count = self.bodies.len();
        let pulls = scene.spec.attractors.len() as u64 * PULL_STEPS;
        fuel.spend(TICK_STEPS + count as u64 * (MOVE_STEPS + pulls))?;
        // Each body with all others and two walls.
        let all = (count * (count + 3) / 2) as u64;
        if count <= CROWD_MIN && fuel.require(all * Meeting::steps_max(Pair::Other)).is_ok() {
            return Ok(());
        }
        order.clear();
        for (index, (handle, facts)) in self.handles.iter().zip(&scene.facts).enumerate() {
            if let Some(body) = handle.and_then(|handle| self.bodies.get(handle)) {
                let radius = (facts.outer + PREDICTION_M) as f32;
                order.push(Reach { at: body.translation(), radius, is_ball: is_ball(scene, index as u16) });
            }
        }
        order.sort_unstable_by(|a, b| a.low().total_cmp(&b.low()));
        let max = if count > CROWD_MIN { PAIRS_PER_BODY_MAX * (count + 4) } else { usize::MAX };
        let (mut pairs, mut swept, mut steps) = (0, 0, 0);
        for (rank, one) in order.iter().enumerate() {
            steps += one.walls(scene.walls) * Meeting::steps_max(Pair::Wall);
            for other in &order[rank + 1..] {
                swept += 1;
                if other.low() > one.at.x + one.radius {
                    break;
                }
                if one.is_near(other) {
                    pairs += 1;
                    let balls = one.is_ball && other.is_ball;
                    steps += Meeting::steps_max(if balls { Pair::Balls } else { Pair::Other });
                }
            }
            if pairs > max {
                return Err(KernelError::OutOfFuel);
            }
        }
        fuel.spend(swept * SWEEP_STEPS)?;
        fuel.require(steps)
    }
}

/// Runs one segment from `start`; `ground` lists the pairs that may meet by the formula.
pub(super) fn run(
    scene: &PhysicsScene<'_>,
    start: &[State],
    ground: &SegmentStart,
    fuel: &mut Fuel<'_>,
) -> Result<SegmentRun, KernelError> {
    let mut lone = Lone::new(scene, ground);
    fuel.spend((start.len() - lone.by_x.len()) as u64 * ENTER_STEPS)?;
    let watch = TickWatch::new(fuel.stop());
    let mut world = World::new(scene, start, &lone, &watch);
    let mut order = Vec::new();
    let (mut pulled, mut met) = (vec![[0.0; 3]; start.len()], BTreeMap::new());
    let mut touched = Vec::new();
    for tick in 0..scene.spec.steps {
        for body in &touched {
            world.let_in(scene, start, &ground.paths, &mut lone, tick.into(), *body, fuel)?;
        }
        world.enter_tick(scene, &mut order, fuel)?;
        if scene.is_pulled() {
            world.pull(scene, &mut pulled);
        }
        watch.begin_tick();
        world.step();
        // Before anything of the tick is used: one that ended early has wrong states.
        fuel.stop().goes_on()?;
        if watch.is_crowded() {
            return Err(KernelError::OutOfFuel);
        }
        if !world.pipeline.quarantine().bodies().is_empty() {
            return Err(KernelError::Failed("a body's motion is not finite".into()));
        }
        let pairs = met.len();
        let (search, solver) = world.note_contacts(scene, tick, &mut met);
        fuel.spend_watched(search)?;
        fuel.spend(solver)?;
        if met.len() > pairs && !lone.by_x.is_empty() {
            touched = met
                .keys()
                .flat_map(|(a, b)| [*a, *b])
                .filter(|body| *body != WALL)
                .map(usize::from)
                .collect();
            touched.sort_unstable();
            touched.dedup();
        }
    }
    let ends = world.handles.iter().map(|handle| world.motion(*handle));
    Ok(SegmentRun { ends: ends.collect(), pulled, met })
}
