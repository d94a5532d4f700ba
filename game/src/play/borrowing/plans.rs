//! The kind `tactics`: what wingmen and bosses do next, and how deep they plan.

use std::sync::Arc;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use p2c2r_arena::{OutcomeBody, PlanDepth};
use p2c2r_offload::OffloadState;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::tactics::{Tactics, TacticsOutcome};

use super::{RequestDue, RequestState, Wanted};
use crate::presets::{Chosen, Preset};

impl Wanted for Tactics {
    const PRICE_CAP: Nanos = Nanos(100_000);
    // Offloaded plans are deeper than this computer can afford, and the next plan comes soon.
    const LATE: OnLate = OnLate::Drop;

    fn answer(outcome: &Arc<TacticsOutcome>, _: &RequestDue) -> RequestState {
        RequestState::Ready(OutcomeBody::Tactics(Arc::clone(outcome)))
    }
}

/// The depth of offloaded plans, by preset. More futures help more than more candidates: the best of many
/// plans in few futures is often one that was lucky in them.
pub(crate) fn bought(preset: Preset) -> PlanDepth {
    let (candidates, futures) = match preset {
        Preset::Saver => (8, 3),
        Preset::Default | Preset::Stress => (8, 8),
        Preset::Rich => (16, 8),
        Preset::Max => (32, 16),
    };
    PlanDepth { candidates, futures }
}

/// The inputs that determine the depth of plans.
#[derive(SystemParam)]
pub(in crate::play) struct DepthOfPlans<'w> {
    chosen: Res<'w, Chosen>,
    switch: Res<'w, OffloadSwitch>,
    state: Res<'w, OffloadState>,
}

impl DepthOfPlans<'_> {
    /// The preset's depth where plans are offloaded, and one that any machine can afford where not.
    pub(in crate::play) fn get(&self) -> PlanDepth {
        let borrowed = self.state.is_remote() && self.switch.allows(Tactics::ID);
        if borrowed { bought(self.chosen.preset) } else { PlanDepth::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bought_is_deeper_than_what_is_computed_here_and_the_dearer_the_deeper() {
        let mut before = PlanDepth::default().rollouts();
        for preset in Preset::CHOICES {
            let rollouts = bought(preset).rollouts();
            assert!(rollouts > before, "{preset:?}: {rollouts}");
            before = rollouts;
        }
    }
}
