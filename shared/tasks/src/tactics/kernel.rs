//! The kernel: every candidate of every planner, in every future.

use super::model::{Moment, Orders, Situation};
use super::outcome::TacticsOutcome;
use super::plan::{Candidates, LEG_STEPS, Leg, PLAN_STEPS, Plan};
use super::spec::TacticsSpec;
use super::{AGENTS_MAX, SCORE_STEPS};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// A spec and the state of its futures when plans begin.
pub(super) struct Table {
    situation: Situation,
    /// Each future at the moment when plans begin: until then it is the same for every candidate.
    begun: Vec<Moment>,
    lead_steps: usize,
    /// The planners' agents.
    agents: Vec<usize>,
}

impl Table {
    pub(super) fn new(spec: &TacticsSpec, fuel: &mut Fuel<'_>) -> Result<Self, KernelError> {
        let lead_steps = usize::from(spec.lead_steps);
        let situation = Situation::new(spec, lead_steps + PLAN_STEPS, fuel)?;
        let mut begun = Vec::with_capacity(spec.futures.into());
        for future in 0..u32::from(spec.futures) {
            let mut state = situation.start();
            let mut orders: Orders = [Leg::Rule; AGENTS_MAX];
            for step in 0..lead_steps {
                if step.is_multiple_of(LEG_STEPS) {
                    for planner in &spec.planners {
                        let leg = planner.before.get(step / LEG_STEPS).copied().unwrap_or(Leg::Rule);
                        orders[usize::from(planner.agent)] = leg;
                    }
                }
                situation.step(&mut state, step, future, &orders, SCORE_STEPS, fuel)?;
            }
            begun.push(state);
        }
        let agents = spec.planners.iter().map(|planner| planner.agent.into()).collect();
        Ok(Self { situation, begun, lead_steps, agents })
    }

    /// The score of a plan of planner `planner`: the sum over all futures.
    pub(super) fn score(&self, planner: usize, plan: Plan, fuel: &mut Fuel<'_>) -> Result<i32, KernelError> {
        let agent = self.agents[planner];
        let mut sum = 0;
        for (future, begun) in self.begun.iter().enumerate() {
            let mut state = begun.clone();
            let mut orders: Orders = [Leg::Rule; AGENTS_MAX];
            for step in 0..PLAN_STEPS {
                orders[agent] = plan[step / LEG_STEPS];
                // The weight falls to half towards the plan's end: early gains are more certain.
                let weight = SCORE_STEPS - SCORE_STEPS / 2 * step as i32 / PLAN_STEPS as i32;
                let at = self.lead_steps + step;
                self.situation.step(&mut state, at, future as u32, &orders, weight, fuel)?;
            }
            sum += self.situation.score(&state, agent);
        }
        Ok(sum)
    }
}

/// All scores.
pub(super) fn run(spec: &TacticsSpec, fuel: &mut Fuel<'_>) -> Result<TacticsOutcome, KernelError> {
    let table = Table::new(spec, fuel)?;
    let mut outcome = TacticsOutcome::default();
    for planner in 0..spec.planners.len() {
        let (mut candidates, mut scores) =
            (Candidates::new(spec.seed, planner, spec.present(planner)), Vec::new());
        for _ in 0..spec.candidates {
            let plan = candidates.next(&scores);
            scores.push(table.score(planner, plan, fuel)?);
        }
        outcome.scores.push(scores);
    }
    Ok(outcome)
}
