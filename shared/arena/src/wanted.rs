//! The seam between the rules and whoever computes for them: what the arena wants, and how answers come in.

use std::sync::Arc;

use p2c2r_tasks::Blob;
use p2c2r_tasks::path::{PathOutcome, PathSpec};
use p2c2r_tasks::physics::{PhysicsOutcome, PhysicsSpec};

/// Number of a request, counted up over the life of one arena, also over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// Work the arena would like to have done. It never waits for it: without paths the enemies steer worse, and what
/// is missing of the rocks' motions it computes itself, at a cost to the step that would have needed them.
#[derive(Clone, Debug)]
pub struct WantedTask {
    /// Under which number the outcome is expected back.
    pub request: RequestId,
    /// What is to be computed.
    pub spec: WantedSpec,
    /// In how many ticks of 1/60 s the outcome should be due. The arena still takes paths somewhat later, and
    /// motions two ticks later.
    pub deadline_ticks: u16,
}

/// What is to be computed, by kind.
#[derive(Clone, Debug)]
pub enum WantedSpec {
    /// Paths for all enemies, in the kind `path`.
    Path {
        /// The spec; its queries are the enemies in the order of [`crate::Arena::enemies`].
        spec: PathSpec,
        /// The occupancy grid that the spec names. The same `Arc` as last time while it is the same grid.
        grid: Arc<Blob>,
    },
    /// The rocks' motions in the window that begins just after the deadline, in the kind `physics`.
    Physics {
        /// The spec; its bodies' ids are those of the rocks.
        spec: PhysicsSpec,
    },
}

/// An outcome that reaches the arena at this step. Which step it is given to is part of the arena's input:
/// replaying a run needs it with the same tick. (Not for motions: see [`OutcomeBody::Physics`].)
#[derive(Clone, Debug)]
pub struct DueOutcome {
    /// Which request it answers.
    pub request: RequestId,
    /// The answer.
    pub outcome: OutcomeBody,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum OutcomeBody {
    /// Answer to a [`WantedSpec::Path`]. Believed only as far as it makes sense: wrong counts and cells
    /// outside the grid are ignored.
    Path(Arc<PathOutcome>),
    /// Answer to a [`WantedSpec::Physics`]. Believed only if it passes the kind's always-on check; that it is the
    /// kernel's to the last bit is for whoever deeply checks strangers to see to. When it comes, or whether, makes
    /// no difference to the game then: the arena has the same from its own kernel.
    Physics(Arc<PhysicsOutcome>),
    /// The task failed: go on without.
    None,
}
