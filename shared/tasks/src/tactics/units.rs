//! Decides from the spec alone which specs are computed at all, and what they are worth.
//!
//! One work unit is a microsecond of the reference core. The cost of a step of a future is estimated from the
//! agents, the bolts, the shots expected, and the rocks near the agents at the beginning. A future that moves
//! into a crowd of rocks later takes longer; the fuel limits that.

use p2c2r_protocol::WorkUnits;

use super::ground::{self, FEELER_M};
use super::model::SHOTS_MAX;
use super::plan::PLAN_STEPS;
use super::spec::{Class, TacticsSpec};
use super::{
    AGENTS_MAX, BOLTS_MAX, CANDIDATES_MAX, CLASSES_MAX, FUTURES_MAX, HALF_RANGE, LEAD_STEPS_MAX,
    PLANNERS_MAX, POSITION_STEPS_PER_M, ROCKS_MAX, SALVO_MAX, VELOCITY_MAX,
};
use crate::admission::{counted, limited, refuse};
use crate::kind::SpecError;

/// See [`TaskKind::FUEL_PERCENT`](crate::TaskKind::FUEL_PERCENT). Four times the time that the units pay for is the most
/// allowed; `docs/PERFORMANCE.md`, "Fuel", has what the worst and what honest tasks take.
pub(super) const FUEL_PERCENT: u64 = 320;

/// Nanoseconds of any task, of a rollout, and of a step of a body, of a rock near it, and of a bolt.
const TASK_NS: f64 = 4_000.0;
const ROLLOUT_NS: f64 = 150.0;
const BODY_NS: f64 = 34.0;
const ROCK_NS: f64 = 9.0;
const SHOT_NS: f64 = 14.0;
/// Factor on the bolts of a gun in flight: a target is not always in sight.
const FIRING: f64 = 0.5;
/// Largest worth of a point of hull: with more, sums of scores would overflow.
const HULL_WORTH_MAX: u8 = 15;

/// Checks every documented range.
pub(super) fn in_range(spec: &TacticsSpec) -> Result<(), SpecError> {
    counted("candidates", spec.candidates.into(), 1..=CANDIDATES_MAX)?;
    counted("futures", spec.futures.into(), 1..=FUTURES_MAX.into())?;
    counted("steps before the plans", spec.lead_steps.into(), 0..=LEAD_STEPS_MAX.into())?;
    counted("classes", spec.classes.len(), 1..=CLASSES_MAX)?;
    counted("agents", spec.agents.len(), 1..=AGENTS_MAX)?;
    counted("bolts", spec.bolts.len(), 0..=BOLTS_MAX)?;
    counted("rocks", spec.rocks.len(), 0..=ROCKS_MAX)?;
    counted("planners", spec.planners.len(), 1..=PLANNERS_MAX)?;
    if !HALF_RANGE.contains(&spec.half) {
        return refuse(format!("a square of half {} where {HALF_RANGE:?} is allowed", spec.half));
    }
    for class in &spec.classes {
        class_in_range(class)?;
    }
    let inside = |place: [i16; 2]| place.iter().all(|part| part.unsigned_abs() <= spec.half);
    let slow = |velocity: [i16; 2]| velocity.iter().all(|part| part.unsigned_abs() <= VELOCITY_MAX as u16);
    for agent in &spec.agents {
        if !inside(agent.position) || !slow(agent.velocity) {
            return refuse("an agent outside the square, or too fast");
        }
        let looks = agent.heading != [0; 2] && !agent.heading.contains(&i8::MIN);
        if usize::from(agent.class) >= spec.classes.len() || agent.hull == 0 || !looks {
            return refuse("an agent of no class, without hull, or that looks nowhere");
        }
    }
    for bolt in &spec.bolts {
        if !inside(bolt.position) || !slow(bolt.velocity) || bolt.steps_left == 0 {
            return refuse("a bolt outside the square, too fast, or at its end");
        }
    }
    for rock in &spec.rocks {
        if !inside(rock.position) || !slow(rock.velocity) || rock.radius == 0 {
            return refuse("a rock outside the square, too fast, or of no size");
        }
    }
    let rising = spec.planners.windows(2).all(|pair| pair[0].agent < pair[1].agent);
    if !rising || spec.planners.iter().any(|planner| usize::from(planner.agent) >= spec.agents.len()) {
        return refuse("planners that are no agents, or not in their order");
    }
    Ok(())
}

fn class_in_range(class: &Class) -> Result<(), SpecError> {
    let gun = class.salvo == 0 || (class.cooldown > 0 && class.bolt_steps > 0 && class.bolt_speed > 0);
    if class.radius == 0 || class.salvo > SALVO_MAX || !gun || class.plates == i8::MIN {
        return refuse("a class of no size, with too many bolts, or whose gun does nothing");
    }
    if class.hull_worth > HULL_WORTH_MAX {
        return refuse(format!("a point of hull worth {} where {HULL_WORTH_MAX} is most", class.hull_worth));
    }
    Ok(())
}

/// Mean number of rocks near an agent at the beginning.
fn rocks_near(spec: &TacticsSpec) -> f64 {
    let reach_max = spec.classes.iter().map(|class| class.radius).max().unwrap_or_default();
    // As the grid does: a box, and half a cell more.
    let cell = f64::from(spec.half) / 32.0;
    let mut near = 0_u32;
    for agent in &spec.agents {
        for rock in &spec.rocks {
            let radius = f64::from(rock.radius) + f64::from(reach_max);
            let reach = (radius / 32.0 + f64::from(FEELER_M)) * f64::from(POSITION_STEPS_PER_M) + cell;
            let off = |axis: usize| f64::from(agent.position[axis]) - f64::from(rock.position[axis]);
            near += u32::from(off(0).abs() < reach && off(1).abs() < reach);
        }
    }
    f64::from(near) / spec.agents.len().max(1) as f64
}

/// Mean number of bolts in flight.
fn shots(spec: &TacticsSpec, steps: f64) -> f64 {
    let class_of = |agent: &super::Agent| &spec.classes[usize::from(agent.class)];
    let guns = spec.agents.iter().map(class_of).filter(|class| class.salvo > 0);
    let of_gun = |class: &Class| {
        FIRING * f64::from(class.salvo) * f64::from(class.bolt_steps).min(steps) / f64::from(class.cooldown)
    };
    let flying = spec.bolts.iter().map(|bolt| f64::from(bolt.steps_left).min(steps) / steps);
    (guns.map(of_gun).sum::<f64>() + flying.sum::<f64>()).min(SHOTS_MAX as f64)
}

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &TacticsSpec) -> Result<WorkUnits, SpecError> {
    let lead = f64::from(spec.lead_steps);
    let all_steps = lead + PLAN_STEPS as f64;
    let rollouts = f64::from(spec.rollouts()) * spec.planners.len() as f64;
    let steps = lead * f64::from(spec.futures) + rollouts * PLAN_STEPS as f64;
    let near = rocks_near(spec);
    let step_ns = spec.agents.len() as f64 * (BODY_NS + ROCK_NS * near)
        + shots(spec, all_steps) * (SHOT_NS + ROCK_NS * near * 0.5);
    let grids = ground::grid_steps(ground::slices(all_steps as usize)) as f64 * 2.0;
    let units = ((TASK_NS + grids + rollouts * ROLLOUT_NS + steps * step_ns) / 1_000.0).ceil() as u64;
    limited(units)
}
