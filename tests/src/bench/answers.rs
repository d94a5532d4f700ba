//! Answers for an arena that a bench steps: computed at once, and given to the arena a fixed time after the request.

use std::sync::Arc;

use p2c2r_arena::{DueOutcome, Motions, OutcomeBody, WantedSpec, WantedTask};
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{Blobs, KernelError, Stop, TaskKind as _};

/// Ticks between a request and its outcome: a fifth of a second.
const DELAY_TICKS: u64 = 12;

/// Outcomes that the arena has not been given yet, each with the tick at which it is due.
#[derive(Default)]
pub struct ArenaAnswers(Vec<(u64, DueOutcome)>);

impl ArenaAnswers {
    /// Takes the outcomes that are due at `tick`.
    pub fn due(&mut self, tick: u64) -> Vec<DueOutcome> {
        self.0.extract_if(.., |(at, _)| *at <= tick).map(|(_, outcome)| outcome).collect()
    }

    /// Computes what the arena has asked for by `tick`.
    pub fn compute(&mut self, tick: u64, wanted: &WantedTask) -> Result<(), KernelError> {
        let none = Blobs::default();
        let outcome = match &wanted.spec {
            WantedSpec::Path { spec, grid } => {
                let blobs = Blobs::new(vec![grid.clone()]);
                OutcomeBody::Path(Arc::new(Path::run(spec, &blobs, &Stop::never())?))
            }
            WantedSpec::Physics { spec, .. } => {
                let outcome = Physics::run(spec, &none, &Stop::never())?;
                // The arena would compute motions itself if they did not pass their check.
                Motions::prepare(spec, &outcome).map_or(OutcomeBody::None, OutcomeBody::Physics)
            }
            WantedSpec::Tactics { spec } => {
                OutcomeBody::Tactics(Arc::new(Tactics::run(spec, &none, &Stop::never())?))
            }
        };
        self.0.push((tick + DELAY_TICKS, DueOutcome { request: wanted.request, outcome }));
        Ok(())
    }
}
