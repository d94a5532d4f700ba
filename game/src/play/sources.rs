//! Remembers who computed what the player sees, and which check it passed: the motions of rocks, the paths of enemies,
//! plans.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use p2c2r_arena::{Arena, DueOutcome, OutcomeBody, RequestId};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::PassedCheck;

/// Outcomes remembered: the arena has several under way, and one of each kind in use.
const REMEMBERED: usize = 64;

/// The origin of an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Who computed it.
    pub(crate) place: Place,
    /// The check that it passed; `None` if this computer computed it.
    pub(crate) check: Option<PassedCheck>,
    /// From the frame that asked for it to the frame that had it.
    pub(crate) latency: Duration,
    /// When it was asked for, on the clock of `Time<Real>`.
    pub(crate) asked_at: Duration,
}

impl Source {
    /// The source of an outcome that comes in this frame.
    pub(super) fn of<K: TaskKind>(done: &Offloaded<K>, now: Duration) -> Self {
        Self {
            place: done.place.clone(),
            check: done.receipt.as_ref().map(|receipt| receipt.check),
            latency: done.latency,
            asked_at: now.saturating_sub(done.latency),
        }
    }

    /// The source of the newest outcome of a kind, if there is one.
    pub(crate) fn of_last<K: TaskKind>(last: &LastOutcome<K>) -> Option<Self> {
        Some(Self {
            place: last.place()?.clone(),
            check: last.check(),
            latency: last.latency()?,
            asked_at: last.asked_at()?,
        })
    }
}

/// The sources of the outcomes that the arena has received lately.
#[derive(Resource, Default)]
pub(crate) struct Sources {
    came: VecDeque<(RequestId, Source)>,
    paths: Option<Source>,
    plans: Option<Source>,
}

impl Sources {
    /// Records the source of the answer to a request.
    pub(crate) fn note(&mut self, request: RequestId, source: Source) {
        if self.came.len() == REMEMBERED {
            self.came.pop_front();
        }
        self.came.push_back((request, source));
    }

    /// Records which outcomes the arena receives.
    pub(crate) fn given(&mut self, outcomes: &[DueOutcome]) {
        for outcome in outcomes {
            match outcome.outcome {
                OutcomeBody::Path(_) => self.paths = self.find(outcome.request).cloned(),
                OutcomeBody::Tactics(_) => self.plans = self.find(outcome.request).cloned(),
                _ => {}
            }
        }
    }

    fn find(&self, request: RequestId) -> Option<&Source> {
        self.came.iter().rev().find(|(known, _)| *known == request).map(|(_, source)| source)
    }

    /// The source of the paths that enemies follow: all come with one outcome. `None` before the first.
    pub(crate) fn paths(&self) -> Option<&Source> {
        self.paths.as_ref()
    }

    /// The source of the newest plans of wingmen and bosses. `None` before the first.
    pub(crate) fn plans(&self) -> Option<&Source> {
        self.plans.as_ref()
    }

    /// The source of the motions of carried rocks; `None` without a trajectory, or if the arena computed it
    /// itself.
    pub(crate) fn motions(&self, arena: &Arena) -> Option<&Source> {
        let in_use = arena.physics();
        self.find(in_use.request.filter(|_| !in_use.inline)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn source(name: &str) -> Source {
        Source {
            place: Place::Worker { name: name.into() },
            check: Some(PassedCheck::Deep),
            latency: Duration::from_millis(40),
            asked_at: Duration::ZERO,
        }
    }

    fn paths(request: u32) -> DueOutcome {
        let outcome = OutcomeBody::Path(Arc::new(p2c2r_tasks::path::PathOutcome { answers: Vec::new() }));
        DueOutcome { request: RequestId(request), outcome }
    }

    #[test]
    fn paths_are_whose_outcome_the_arena_was_given_and_not_whose_came_last() {
        let mut sources = Sources::default();
        sources.note(RequestId(1), source("ada"));
        sources.note(RequestId(2), source("grace"));
        assert_eq!(sources.paths(), None, "nothing was given yet");
        sources.given(&[paths(1)]);
        assert_eq!(sources.paths(), Some(&source("ada")));
        sources.given(&[DueOutcome { request: RequestId(2), outcome: OutcomeBody::None }]);
        assert_eq!(sources.paths(), Some(&source("ada")), "no paths are no others' paths");
        sources.given(&[paths(2)]);
        assert_eq!(sources.paths(), Some(&source("grace")));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut sources = Sources::default();
        for request in 0..1_000 {
            sources.note(RequestId(request), source("ada"));
        }
        assert_eq!(sources.came.len(), REMEMBERED);
        assert!(sources.find(RequestId(999)).is_some() && sources.find(RequestId(1)).is_none());
    }
}
