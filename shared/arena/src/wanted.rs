//! The interface between the rules and the program that has their tasks computed: what the arena wants, and how
//! answers come in.

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

/// Work the arena wants to have done. The arena never waits for it: without paths the enemies steer worse, and
/// the motions of rocks it computes itself if they are missing, in the step that needs them.
#[derive(Clone, Debug)]
pub struct WantedTask {
    /// The number under which the outcome is expected back.
    pub request: RequestId,
    /// What is to be computed.
    pub spec: WantedSpec,
    /// Ticks of 1/60 s within which the outcome should arrive, to be in time for [`WantedTask::due_at`].
    pub deadline_ticks: u16,
    /// [`Arena::tick`](crate::Arena::tick) after the step that the outcome is meant for: everything in the
    /// spec was predicted for it. The arena also takes an outcome earlier, and paths somewhat later; a game
    /// that gives every outcome to exactly this step plays the same however long outcomes took.
    pub due_at: u64,
}

/// What is to be computed, by kind.
#[derive(Clone, Debug)]
pub enum WantedSpec {
    /// Paths for all enemies, in the kind `path`.
    Path {
        /// The spec; its queries are those of enemies in the order of [`crate::Arena::enemies`], followed by
        /// some from a cell to itself, which pay for detours.
        spec: PathSpec,
        /// The occupancy grid that the spec names. The same `Arc` as last time if the grid has not changed.
        grid: Arc<Blob>,
    },
    /// The rocks' motions in the window that begins just after the deadline, in the kind `physics`.
    Physics {
        /// The spec, [whole](PhysicsSpec::whole); its bodies' ids are those of the rocks.
        spec: PhysicsSpec,
        /// The running window, by its request, if there is one. Most of the bodies start from where its
        /// motions end, so that the spec can be sent as [changes](Motions::changes) of that.
        before: Option<(RequestId, Motions)>,
    },
    /// Plans for wingmen and bosses, in the kind `tactics`.
    Tactics {
        /// The spec; its planners are the wingmen and bosses that ask.
        spec: TacticsSpec,
    },
}

/// An outcome for the arena at this step. The step is part of the arena's input: a replay needs it at the
/// same tick. (Not for motions: see [`OutcomeBody::Physics`].)
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
    /// Answer to a [`WantedSpec::Path`]. Taken only as far as it is valid: wrong counts and cells outside the
    /// grid are ignored.
    Path(Arc<PathOutcome>),
    /// Answer to a [`WantedSpec::Physics`], ready to be flown. Taken only if it was made from exactly that
    /// spec; deep checks elsewhere must ensure that it is the kernel's outcome to the last bit. Then neither
    /// its arrival nor its time changes the game: without it and without [`OutcomeBody::Missed`], the arena
    /// computes the same with its own kernel, inside the step.
    Physics(Motions),
    /// Gives up on a [`WantedSpec::Physics`] instead of waiting: the rocks fly by the local rule through the
    /// window. Unlike [`OutcomeBody::Physics`], it changes the game, so a replay needs it.
    Missed,
    /// Answer to a [`WantedSpec::Tactics`]. Taken only as far as it is valid.
    Tactics(Arc<TacticsOutcome>),
    /// The task failed: go on without.
    None,
}

/// Rocks' motions made ready: decoded, checked and unfolded. That takes long for many rocks, so do it on another
/// thread than the arena's.
#[derive(Clone)]
pub struct Motions(pub(crate) Arc<Trajectory>, Option<Arc<Blob>>);

impl Motions {
    /// Makes the outcome of `spec` ready. Fails if it does not pass the kind's always-on check.
    pub fn prepare(spec: &PhysicsSpec, outcome: &PhysicsOutcome) -> Result<Self, CheckError> {
        let trajectory = Trajectory::new(spec, outcome)?;
        let left = trajectory.snapshot().to_blob().map(Blob::new);
        if let Some(left) = &left {
            // Prepared here, off the arena's thread, and not when it is first used.
            let _ = left.prepared(BodySnapshot::from_blob);
        }
        Ok(Self(Arc::new(trajectory), left))
    }

    /// The task of `spec` as changes of what these motions leave, and the blob that it then names. `None` if
    /// that is not shorter.
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
