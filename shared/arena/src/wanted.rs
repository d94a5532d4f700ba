//! The seam between the rules and whoever computes for them: what the arena wants, and how answers come in.

use std::fmt;
use std::sync::Arc;

use p2c2r_tasks::Blob;
use p2c2r_tasks::CheckError;
use p2c2r_tasks::path::{PathOutcome, PathSpec};
use p2c2r_tasks::physics::{BodySnapshot, PhysicsOutcome, PhysicsSpec, Trajectory};
use p2c2r_tasks::tactics::{TacticsOutcome, TacticsSpec};

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
    /// In how many ticks of 1/60 s the outcome should be there, to be in time for [`WantedTask::due_at`].
    pub deadline_ticks: u16,
    /// [`Arena::tick`](crate::Arena::tick) after the step that the outcome is meant for: everything in the spec was
    /// predicted for it. The arena takes an outcome earlier and paths somewhat later too; a game that gives every
    /// outcome to exactly this step plays the same whatever time outcomes took.
    pub due_at: u64,
}

/// What is to be computed, by kind.
#[derive(Clone, Debug)]
pub enum WantedSpec {
    /// Paths for all enemies, in the kind `path`.
    Path {
        /// The spec; its queries are those of enemies in the order of [`crate::Arena::enemies`], and behind them some from a
        /// cell to itself, which pay for detours.
        spec: PathSpec,
        /// The occupancy grid that the spec names. The same `Arc` as last time while it is the same grid.
        grid: Arc<Blob>,
    },
    /// The rocks' motions in the window that begins just after the deadline, in the kind `physics`.
    Physics {
        /// The spec, [whole](PhysicsSpec::whole); its bodies' ids are those of the rocks.
        spec: PhysicsSpec,
        /// The window that runs now, by its request, if one does. Most of the bodies start from where its motions end, so
        /// that the spec can be sent as [changes](Motions::changes) of that.
        before: Option<(RequestId, Motions)>,
    },
    /// Plans for wingmen and bosses, in the kind `tactics`.
    Tactics {
        /// The spec; its planners are those who asked.
        spec: TacticsSpec,
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
    /// Answer to a [`WantedSpec::Physics`], ready to be flown. Believed only if it was made from the very spec; that it
    /// is the kernel's to the last bit is for whoever deeply checks strangers to see to. When it comes makes no
    /// difference to the game then, nor whether: where neither it nor [`OutcomeBody::Missed`] is given, the arena
    /// computes the same with its own kernel, inside the step.
    Physics(Motions),
    /// Answer to a [`WantedSpec::Physics`] for whoever would rather go on without than wait: the rocks fly by the local
    /// rule through the window. An input like any other, and one that does make a difference.
    Missed,
    /// Answer to a [`WantedSpec::Tactics`]. Believed only as far as it makes sense.
    Tactics(Arc<TacticsOutcome>),
    /// The task failed: go on without.
    None,
}

/// Rocks' motions made ready: decoded, checked and unfolded, which takes milliseconds for a thousand rocks and so
/// is done on another thread than the arena's.
#[derive(Clone)]
pub struct Motions(pub(crate) Arc<Trajectory>, Option<Arc<Blob>>);

impl Motions {
    /// Makes the outcome of `spec` ready. Fails if it does not pass the kind's always-on check.
    pub fn prepare(spec: &PhysicsSpec, outcome: &PhysicsOutcome) -> Result<Self, CheckError> {
        let trajectory = Trajectory::new(spec, outcome)?;
        let left = trajectory.snapshot().to_blob().map(Blob::new);
        if let Some(left) = &left {
            // Here is the time for it.
            let _ = left.prepared(BodySnapshot::from_blob);
        }
        Ok(Self(Arc::new(trajectory), left))
    }

    /// The task of `spec` as changes of what these motions leave, and the blob that it then names. None where it is not
    /// shorter so.
    pub fn changes(&self, spec: &PhysicsSpec) -> Option<(PhysicsSpec, Arc<Blob>)> {
        let left = self.1.as_ref()?;
        let snapshot = left.prepared(BodySnapshot::from_blob).ok()?;
        let changes = spec.changes_of(&snapshot, left.digest());
        let gone = changes.base.as_ref().map_or(0, |base| base.gone.len());
        (changes.bodies.len() + gone / 8 < spec.bodies.len()).then(|| (changes, Arc::clone(left)))
    }
}

impl fmt::Debug for Motions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Motions").field(&self.0.spec().bodies.len()).finish()
    }
}
