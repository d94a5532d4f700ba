//! Asking for plans of wingmen and bosses, and flying them.
//!
//! A request describes the present, and includes the delay of its answer: the kind `tactics` plays the
//! planners on along their present courses until [`WantedTask::due_at`], where the new plans begin. So an
//! answer that took a second is as good as one that took a frame, except for what could not be predicted.

use std::collections::VecDeque;

use p2c2r_tasks::tactics::{LEAD_STEPS_MAX, LEG_STEPS, LEGS, Leg, Plan, STEP_TICKS, TacticsOutcome};

use crate::arena::Arena;
use crate::enemies::{EnemyId, EnemyRole};
use crate::events::ArenaEvent;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;
use crate::wanted::{RequestId, WantedSpec, WantedTask};
use crate::wingmen::{ATTENTION, WingmanId, nearest};

/// Ticks of a leg of a plan.
pub(crate) const LEG_TICKS: u64 = LEG_STEPS as u64 * STEP_TICKS as u64;
/// The farthest ahead of their begin that plans can be asked for, ticks.
pub(crate) const LEAD_TICKS_MAX: u16 = LEAD_STEPS_MAX as u16 * STEP_TICKS;

/// How many plans are tried for each planner, and in how many futures each: an input of the arena, as the
/// horizon is, because it depends on who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanDepth {
    /// Plans, 1 to [`CANDIDATES_MAX`](p2c2r_tasks::tactics::CANDIDATES_MAX).
    pub candidates: u16,
    /// Futures, 1 to [`FUTURES_MAX`](p2c2r_tasks::tactics::FUTURES_MAX).
    pub futures: u8,
}

impl PlanDepth {
    /// Rollouts per planner.
    pub fn rollouts(self) -> u32 {
        u32::from(self.candidates) * u32::from(self.futures)
    }
}

impl Default for PlanDepth {
    /// What any machine can afford beside a game: 16 rollouts.
    fn default() -> Self {
        Self { candidates: 8, futures: 2 }
    }
}

/// A planner: a wingman or an enemy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Wingman(WingmanId),
    Enemy(EnemyId),
}

/// A plan and when it begins, and the one after it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Course {
    plan: Option<(u64, Plan)>,
    next: Option<(u64, Plan)>,
}

impl Course {
    /// The leg to fly at a tick; by rule before the plan begins and after its end.
    pub(crate) fn leg(&self, tick: u64) -> Leg {
        let begun = [self.next, self.plan].into_iter().flatten().find(|(begins_at, _)| *begins_at <= tick);
        let Some((begins_at, plan)) = begun else { return Leg::Rule };
        plan.get(((tick - begins_at) / LEG_TICKS) as usize).copied().unwrap_or(Leg::Rule)
    }

    /// Takes a plan at `tick`, which may come before it begins; until then the present one goes on.
    fn take(&mut self, tick: u64, begins_at: u64, plan: Plan) {
        if let Some(next) = self.next.filter(|(begins_at, _)| *begins_at <= tick) {
            self.plan = Some(next);
        }
        self.next = Some((begins_at, plan));
    }

    /// The direction of a leg, if the nearest opponent lies in the direction `ahead`, a unit vector; `None`
    /// if the rule decides.
    pub(crate) fn direction(&self, tick: u64, ahead: impl FnOnce() -> Option<Vec2>) -> Option<Vec2> {
        let ahead = || ahead().map(|Vec2 { x, y }| [x, y]);
        self.leg(tick).direction(ahead).map(|[x, y]| Vec2::new(x, y))
    }
}

/// A pending request.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    request: u32,
    asked_at: u64,
    due_at: u64,
    seed: u32,
    rollouts: u32,
    /// The planners, in the order of the spec, and the plan that each flies already.
    who: Vec<(Who, Plan)>,
}

/// The arena's requests for plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Planning {
    depth: PlanDepth,
    last_taken: u32,
    /// Ticks until the next request.
    wait_ticks: u16,
    pending: VecDeque<Pending>,
    /// The tick and the rollouts of the newest plans taken, for display; not part of the digest.
    newest: Option<(u64, u32)>,
}

impl Planning {
    /// Forgets the planners of pending requests.
    pub(crate) fn begin_round(&mut self) {
        self.pending.clear();
        self.wait_ticks = 0;
    }

    /// Forgets the plans that are on display, when nobody flies them any more.
    pub(crate) fn forget_newest(&mut self) {
        self.newest = None;
    }

    /// Drops a request to which no answer will come.
    pub(crate) fn fail(&mut self, request: RequestId) {
        self.pending.retain(|pending| pending.request != request.0);
    }
}

impl Arena {
    /// Sets the depth of plans for later requests: an input as [`Arena::look_ahead`] is.
    pub fn plan_deep(&mut self, depth: PlanDepth) {
        self.planning.depth = depth;
    }

    /// The depth of plans.
    pub fn plan_depth(&self) -> PlanDepth {
        self.planning.depth
    }

    /// Rollouts behind the plans that are flown now; `None` while all fly by rule.
    pub fn planned_rollouts(&self) -> Option<u32> {
        let (begun, rollouts) = self.planning.newest?;
        (self.tick < begun + LEG_TICKS * LEGS as u64).then_some(rollouts)
    }

    /// How far ahead plans are asked for, ticks.
    pub(crate) fn plans_ahead_ticks(&self) -> u16 {
        self.config.tactics.deadline_ticks.max(self.horizon.plans).min(LEAD_TICKS_MAX)
    }

    /// The present planners.
    fn planners(&self) -> Vec<Who> {
        let quarries = || self.enemies.iter().map(|enemy| enemy.position);
        let in_reach = |at: Vec2, other: Option<Vec2>| {
            other.is_some_and(|other| other.distance_squared(at) < ATTENTION * ATTENTION)
        };
        let wingmen = self.wingmen.iter().filter(|wingman| {
            wingman.is_there() && in_reach(wingman.position, nearest(wingman.position, quarries()))
        });
        let mut who: Vec<Who> = wingmen.map(|wingman| Who::Wingman(wingman.id)).collect();
        if self.config.tactics.bosses > 0 {
            let bosses = self.enemies.iter().filter(|enemy| {
                enemy.role == EnemyRole::Boss && in_reach(enemy.position, self.quarry_of(enemy.position))
            });
            who.extend(bosses.map(|boss| Who::Enemy(boss.id)));
        }
        who
    }

    /// Asks for plans if it is time.
    pub(crate) fn want_plans(&mut self) -> Option<WantedTask> {
        let (planning, tick) = (&mut self.planning, self.tick);
        planning.pending.retain(|pending| pending.due_at + LEG_TICKS * LEGS as u64 >= tick);
        planning.wait_ticks = planning.wait_ticks.saturating_sub(1);
        if self.over || planning.wait_ticks > 0 {
            return None;
        }
        let ahead_ticks = self.plans_ahead_ticks();
        let mut who = self.planners();
        who.truncate(p2c2r_tasks::tactics::PLANNERS_MAX);
        if who.is_empty() {
            return None;
        }
        // The next request waits until the requested plans have begun: before that it is unknown which plans are
        // flown, and new ones would begin from a wrong place.
        self.planning.wait_ticks = self.config.tactics.period_ticks.max(ahead_ticks);
        let due_at = self.tick + u64::from(ahead_ticks);
        let spec = self.situation(&who, due_at);
        let RequestId(request) = self.next_request();
        self.planning.pending.push_back(Pending {
            request,
            asked_at: self.tick,
            due_at,
            seed: spec.seed,
            rollouts: spec.rollouts(),
            who: (0..).zip(who).map(|(number, who)| (who, spec.present(number))).collect(),
        });
        Some(WantedTask {
            request: RequestId(request),
            spec: WantedSpec::Tactics { spec },
            deadline_ticks: ahead_ticks,
            due_at,
        })
    }

    /// Takes plans: planners that still live fly them from now on, as if they had begun at the tick they were
    /// meant for.
    pub(crate) fn take_plans(&mut self, request: RequestId, outcome: &TacticsOutcome) -> Option<ArenaEvent> {
        let at = self.planning.pending.iter().position(|pending| pending.request == request.0)?;
        let pending = self.planning.pending.remove(at)?;
        // The answer to a request older than one already answered would bring back older plans.
        if pending.request <= self.planning.last_taken || outcome.scores.len() != pending.who.len() {
            return None;
        }
        self.planning.last_taken = pending.request;
        let tick = self.tick;
        let mut planners = 0;
        for (number, (who, present)) in pending.who.iter().enumerate() {
            let Some((_, plan)) = outcome.plan(pending.seed, number, *present) else { continue };
            if let Some(course) = self.course_of(*who) {
                course.take(tick, pending.due_at, plan);
                planners += 1;
            }
        }
        self.planning.newest = Some((pending.due_at, pending.rollouts));
        let age_ticks = (self.tick - pending.asked_at) as u32;
        Some(ArenaEvent::PlansTaken { request, planners, rollouts: pending.rollouts, age_ticks })
    }
}

impl Recorded for PlanDepth {
    fn record(&self, record: &mut Record) {
        let Self { candidates, futures } = self;
        record.add(candidates);
        record.add(futures);
    }
}

impl Recorded for Course {
    fn record(&self, record: &mut Record) {
        let Self { plan, next } = self;
        for plan in [plan, next] {
            record.add(&plan.is_some());
            let Some((begins_at, legs)) = plan else { continue };
            record.add(begins_at);
            record_plan(record, *legs);
        }
    }
}

fn record_plan(record: &mut Record, plan: Plan) {
    for leg in plan {
        record.add(&match leg {
            Leg::Rest => 0_u8,
            Leg::Fly(direction) => 1 + direction,
            Leg::Bear(bearing) => 128 + bearing,
            Leg::Rule => u8::MAX,
        });
    }
}

impl Recorded for Planning {
    fn record(&self, record: &mut Record) {
        let Self { depth, last_taken, wait_ticks, pending, newest: _ } = self;
        record.add(depth);
        record.add(last_taken);
        record.add(wait_ticks);
        record.add(&(pending.len() as u64));
        for Pending { request, asked_at, due_at, seed, rollouts, who } in pending {
            record.each([request, seed, rollouts]);
            record.each([asked_at, due_at]);
            record.add(&(who.len() as u64));
            for (who, present) in who {
                let (sort, number) = match who {
                    Who::Wingman(id) => (0_u8, id.0),
                    Who::Enemy(id) => (1, id.0),
                };
                record.add(&sort);
                record.add(&number);
                record_plan(record, *present);
            }
        }
    }
}
