//! The rules as behaviours, and the tests' shared tools: simple arenas, and one whose requests are answered.

mod allies;
mod autopilot;
mod balance;
mod determinism;
mod fragments;
mod horizon;
mod knocks;
mod large;
mod outcomes;
mod paths;
mod pickups;
mod rocks;
mod roles;
mod rules;
mod sectors;
mod wells;
mod windows;

use std::collections::VecDeque;
use std::sync::Arc;

use p2c2r_tasks::path::{Path, PathOutcome, PathSpec};
use p2c2r_tasks::physics::{Physics, PhysicsOutcome, PhysicsSpec};
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{Blob, Blobs, Fueled, Stop, TaskKind};

use crate::layout::Site;
use crate::*;

/// No rocks, and no enemies for the length of a test.
fn empty_config() -> ArenaConfig {
    ArenaConfig {
        rocks: RockRules { reefs: 0, count: 0, fragments: 0, ..RockRules::default() },
        waves: WaveRules { pause_ticks: 6_000, ..WaveRules::default() },
        // One hit loses the ship, and no enemy leaves a pickup.
        ship: ShipRules { invulnerable_ticks: 0, shield: 0, hull: 1, ..ShipRules::default() },
        pickups: PickupRules { chance: 0.0, ..PickupRules::default() },
        ..ArenaConfig::default()
    }
}

/// The waves that follow the designed ones: six enemies of two kinds in the first.
fn crowded() -> ArenaConfig {
    ArenaConfig {
        waves: WaveRules { designed: 0, ..WaveRules::default() },
        ship: ShipRules { shield: 0, hull: 1, ..ShipRules::default() },
        ..ArenaConfig::default()
    }
}

fn empty() -> Arena {
    Arena::new(empty_config())
}

impl Arena {
    /// A rock at rest.
    fn put_rock(&mut self, position: Vec2, radius: f32) {
        self.add_rock(Site { position, radius, velocity: Vec2::ZERO });
    }
}

impl WantedTask {
    fn path(&self) -> Option<(&PathSpec, &Arc<Blob>)> {
        match &self.spec {
            WantedSpec::Path { spec, grid } => Some((spec, grid)),
            WantedSpec::Physics { .. } | WantedSpec::Tactics { .. } => None,
        }
    }

    fn physics(&self) -> Option<&PhysicsSpec> {
        match &self.spec {
            WantedSpec::Physics { spec, .. } => Some(spec),
            WantedSpec::Path { .. } | WantedSpec::Tactics { .. } => None,
        }
    }
}

/// The path kernel's answer, after its own admission and within its fuel: no query is about an enemy that
/// cannot be reached.
fn solve(wanted: &WantedTask) -> PathOutcome {
    let (spec, grid) = wanted.path().expect("a wanted path");
    let blobs = Blobs::new(vec![Arc::clone(grid)]);
    Path::admit(spec, &blobs).expect("a wanted task must be admitted");
    Path::run(spec, &blobs, &Stop::never()).expect("an admitted task must run within its fuel")
}

/// The physics kernel's answer, after its own admission.
fn fly(spec: &PhysicsSpec) -> PhysicsOutcome {
    Physics::admit(spec, &Blobs::default()).expect("a wanted task must be admitted");
    Physics::run(spec, &Blobs::default(), &Stop::never()).expect("an admitted task must run")
}

fn answered(wanted: &WantedTask) -> DueOutcome {
    if let WantedSpec::Tactics { spec } = &wanted.spec {
        Tactics::admit(spec, &Blobs::default()).expect("a wanted task must be admitted");
        let outcome = Tactics::run(spec, &Blobs::default(), &Stop::never()).expect("it must run");
        return DueOutcome { request: wanted.request, outcome: OutcomeBody::Tactics(Arc::new(outcome)) };
    }
    match wanted.physics() {
        Some(spec) => flown(wanted.request, spec, &fly(spec)),
        None => due(wanted.request, solve(wanted)),
    }
}

fn due(request: RequestId, outcome: PathOutcome) -> DueOutcome {
    DueOutcome { request, outcome: OutcomeBody::Path(Arc::new(outcome)) }
}

/// An outcome made ready, or the failure if it does not pass its check.
fn flown(request: RequestId, spec: &PhysicsSpec, outcome: &PhysicsOutcome) -> DueOutcome {
    let outcome = Motions::prepare(spec, outcome).map_or(OutcomeBody::None, OutcomeBody::Physics);
    DueOutcome { request, outcome }
}

/// An arena whose requests are answered some ticks after they were made.
struct Played {
    arena: Arena,
    delay_ticks: u64,
    answer: fn(&WantedTask) -> DueOutcome,
    under_way: VecDeque<(u64, DueOutcome)>,
}

impl Played {
    fn new(arena: Arena, delay_ticks: u64, answer: fn(&WantedTask) -> DueOutcome) -> Self {
        Self { arena, delay_ticks, answer, under_way: VecDeque::new() }
    }

    fn step(&mut self, controls: Controls) -> Step {
        let mut now = Vec::new();
        while self.under_way.front().is_some_and(|(at, _)| *at <= self.arena.tick() + 1) {
            now.extend(self.under_way.pop_front().map(|(_, outcome)| outcome));
        }
        let step = self.arena.step(controls, &now);
        let at = self.arena.tick() + self.delay_ticks;
        self.under_way.extend(step.wanted.iter().map(|wanted| (at, (self.answer)(wanted))));
        step
    }
}

/// An answer that never helps.
fn failed(wanted: &WantedTask) -> DueOutcome {
    DueOutcome { request: wanted.request, outcome: OutcomeBody::None }
}

/// What must hold after any step, whatever the inputs.
fn assert_sound(arena: &Arena) {
    let half = arena.config().size * 0.5;
    let inside = |at: Vec2| at.x.abs() <= half && at.y.abs() <= half;
    let unit = |heading: Vec2| (heading.length() - 1.0).abs() < 1e-3;
    assert!(inside(arena.ship().position) && unit(arena.ship().heading));
    for enemy in arena.enemies() {
        assert!(inside(enemy.position) && unit(enemy.heading), "{enemy:?}");
        assert!(enemy.hits_left > 0 && enemy.waypoints().iter().all(|point| inside(*point)));
    }
    for wingman in arena.wingmen() {
        assert!(inside(wingman.position) && unit(wingman.heading), "{wingman:?}");
        assert_eq!(wingman.is_there(), wingman.hull > 0, "{wingman:?}");
    }
    assert!(arena.bullets().iter().all(|bullet| inside(bullet.position) && bullet.ticks_left > 0));
    assert!(arena.enemies().windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(arena.rocks().windows(2).all(|pair| pair[0].id < pair[1].id));
    for rock in arena.rocks() {
        let long: f32 = rock.rotation.iter().map(|part| part * part).sum();
        assert!(inside(rock.position) && (long - 1.0).abs() < 1e-4, "{rock:?}");
        assert!(rock.velocity.length() <= arena.config().rocks.speed_cap + 0.01, "{rock:?}");
    }
    let (ship, rules) = (arena.ship(), &arena.config().ship);
    assert!(ship.shield <= rules.shield && ship.hull <= rules.hull && (ship.hull > 0 || !ship.alive));
    assert!(ship.missiles <= rules.missiles_max.max(rules.missiles) && ship.boost_ticks <= rules.boost_ticks);
    assert!(arena.pickups().iter().all(|pickup| inside(pickup.position) && pickup.ticks_left > 0));
    assert!(arena.lives() <= arena.config().ship.lives_max.max(arena.config().ship.lives));
    assert_eq!(arena.is_over(), arena.lives() == 0);
}
