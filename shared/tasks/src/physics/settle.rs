//! Conservation laws of contacts: within each group of bodies that touch one another, momentum stays and energy
//! does not grow.
//!
//! The engine's solver is iterative and conserves only nearly, and a check that must never fail an honest
//! answer cannot rely on that. So the kernel corrects each group's result by the least uniform change, and
//! the check may then be as sharp as the lattice allows. Speeds are measured by the mass norm: the square
//! root of twice the energy, in which changes add up like lengths.

use super::outcome::{Contact, WALL};
use super::quanta::{Motion, SPIN_ERROR_RAD_S, State, VELOCITY_ERROR_M_S};
use super::scene::PhysicsScene;
use super::vector::{Vec3, add, capped, dot, length, scale, sub};

/// Bodies that touched one another in a segment, directly or through others.
pub(super) struct Group {
    pub bodies: Vec<u16>,
    /// Whether one of them touched a wall, which takes up momentum.
    pub walled: bool,
}

/// The root of the group that `body` is in (union-find); halves the path to it.
fn root(parent: &mut [usize], mut body: usize) -> usize {
    while parent[body] != body {
        parent[body] = parent[parent[body]];
        body = parent[body];
    }
    body
}

/// The groups that `contacts` make; their bodies are in range.
pub(super) fn groups(bodies: usize, contacts: &[Contact]) -> Vec<Group> {
    let mut parent: Vec<usize> = (0..bodies).collect();
    let (mut touched, mut walled) = (vec![false; bodies], vec![false; bodies]);
    for contact in contacts {
        let a = usize::from(contact.a);
        touched[a] = true;
        if contact.b == WALL {
            walled[a] = true;
        } else {
            let b = usize::from(contact.b);
            touched[b] = true;
            let (a, b) = (root(&mut parent, a), root(&mut parent, b));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut slot = vec![usize::MAX; bodies];
    let mut groups: Vec<Group> = Vec::new();
    for body in (0..bodies).filter(|body| touched[*body]) {
        let root = root(&mut parent, body);
        if slot[root] == usize::MAX {
            slot[root] = groups.len();
            groups.push(Group { bodies: Vec::new(), walled: false });
        }
        let group = &mut groups[slot[root]];
        group.bodies.push(body as u16);
        group.walled |= walled[body];
    }
    groups
}

/// A group's mass, momentum and twice its energy.
#[derive(Clone, Copy, Default)]
pub(super) struct Conserved {
    pub mass: f64,
    pub momentum: Vec3,
    pub energy_twice: f64,
}

impl Conserved {
    pub fn of(scene: &PhysicsScene<'_>, group: &Group, motion: impl Fn(u16) -> (Vec3, Vec3)) -> Self {
        group.bodies.iter().fold(Self::default(), |sum, body| {
            let facts = &scene.facts[usize::from(*body)];
            let (velocity, spin) = motion(*body);
            Self {
                mass: sum.mass + facts.mass,
                momentum: add(sum.momentum, scale(velocity, facts.mass)),
                energy_twice: sum.energy_twice
                    + facts.mass * dot(velocity, velocity)
                    + facts.inertia * dot(spin, spin),
            }
        })
    }

    pub fn of_states(scene: &PhysicsScene<'_>, group: &Group, states: &[State]) -> Self {
        Self::of(scene, group, |body| {
            let state = &states[usize::from(body)];
            (state.velocity_m_s(), state.spin_rad_s())
        })
    }

    /// The largest mass norm that a segment beginning like this may end with.
    pub fn norm_max(&self, scene: &PhysicsScene<'_>) -> f64 {
        self.energy_twice.sqrt() + scene.pull_max * scene.segment_s * self.mass.sqrt()
    }
}

/// The largest changes by rounding to the lattice: of a group's momentum along each axis, and of its mass norm.
pub(super) fn rounding(scene: &PhysicsScene<'_>, group: &Group) -> (f64, f64) {
    let (momentum, square) = group.bodies.iter().fold((0.0, 0.0), |(momentum, square), body| {
        let facts = &scene.facts[usize::from(*body)];
        let norm = facts.mass * VELOCITY_ERROR_M_S * VELOCITY_ERROR_M_S
            + facts.inertia * SPIN_ERROR_RAD_S * SPIN_ERROR_RAD_S;
        (momentum + facts.mass * VELOCITY_ERROR_M_S, square + 3.0 * norm)
    });
    (momentum, square.sqrt())
}

/// Corrects the solver's errors in `group`, then cuts speeds and spins to the materials' caps. `pulled` is the
/// momentum that the attractors added to each body.
pub(super) fn settle(
    scene: &PhysicsScene<'_>,
    group: &Group,
    start: &[State],
    ends: &mut [Motion],
    pulled: &[Vec3],
) {
    let before = Conserved::of_states(scene, group, start);
    let norm_max = before.norm_max(scene);
    let books = |ends: &[Motion]| {
        Conserved::of(scene, group, |body| (ends[usize::from(body)].velocity, ends[usize::from(body)].spin))
    };
    let mut mean = [0.0; 3];
    if !group.walled {
        let due = group.bodies.iter().fold(before.momentum, |sum, body| add(sum, pulled[usize::from(*body)]));
        let back = scale(sub(due, books(ends).momentum), 1.0 / before.mass);
        for body in &group.bodies {
            let end = &mut ends[usize::from(*body)];
            end.velocity = add(end.velocity, back);
        }
        mean = scale(due, 1.0 / before.mass);
    }
    let energy_twice = books(ends).energy_twice;
    // The energy of the centre of mass cannot be removed without removing momentum.
    let carried = before.mass * dot(mean, mean);
    let (most, free) = (norm_max * norm_max - carried, energy_twice - carried);
    if free > most {
        let share = (most.max(0.0) / free).sqrt();
        for body in &group.bodies {
            let end = &mut ends[usize::from(*body)];
            end.velocity = add(mean, scale(sub(end.velocity, mean), share));
            end.spin = scale(end.spin, share);
        }
    }
    for body in &group.bodies {
        let (end, facts) = (&mut ends[usize::from(*body)], &scene.facts[usize::from(*body)]);
        end.velocity = capped(end.velocity, facts.speed_cap);
        end.spin = capped(end.spin, facts.spin_cap);
        if scene.spec.planar {
            (end.position[1], end.velocity[1]) = (0.0, 0.0);
        }
    }
}

/// Whether a body may have been cut to its cap, which takes momentum.
pub(super) fn at_cap(scene: &PhysicsScene<'_>, body: u16, end: &State) -> bool {
    length(end.velocity_m_s()) >= scene.facts[usize::from(body)].speed_cap - 2.0 * VELOCITY_ERROR_M_S
}
