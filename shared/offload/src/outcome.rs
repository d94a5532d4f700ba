//! What a game gets back: the outcome of a task, or why there is none.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::entity::Entity;
use bevy_ecs::event::EntityEvent;
use bevy_ecs::message::Message;
use p2c2r_protocol::{ComputedBy, Receipt};
use p2c2r_tasks::TaskKind;
use thiserror::Error;

/// Who computed an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A worker, by its public name.
    Worker {
        /// The name.
        name: String,
    },
    /// The coordinator's own kernel.
    Coordinator,
    /// The coordinator's cache of earlier outcomes.
    Cache,
    /// This computer.
    Local,
}

impl From<&ComputedBy> for Place {
    fn from(computed_by: &ComputedBy) -> Self {
        match computed_by {
            ComputedBy::Worker(name) => Self::Worker { name: name.to_string() },
            ComputedBy::Coordinator => Self::Coordinator,
            ComputedBy::Cache(_) => Self::Cache,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker { name } => write!(f, "worker {name}"),
            Self::Coordinator => f.write_str("coordinator"),
            Self::Cache => f.write_str("cache"),
            Self::Local => f.write_str("local"),
        }
    }
}

/// A finished task, as a message for systems that read many at once: exactly one per task that was not
/// cancelled and did not fail. Observers of single entities get the same as [`OffloadDone`].
#[derive(Message)]
pub struct Offloaded<K: TaskKind> {
    /// The entity that held the [`Offloading`](crate::Offloading) component. An entity that
    /// [`commands.offload`](crate::OffloadCommandsExt::offload) spawned lives until the end of the frame in
    /// which this message is written.
    pub entity: Entity,
    /// The answer.
    pub outcome: Arc<K::Outcome>,
    /// Who computed it.
    pub place: Place,
    /// From the frame that asked to the frame that delivers.
    pub latency: Duration,
    /// What it cost and where its time went, for outcomes that came from the coordinator. The nine stages
    /// add up to `latency` exactly.
    pub receipt: Option<Receipt>,
    /// Whether it was delivered after its deadline.
    pub late: bool,
}

impl<K: TaskKind> Clone for Offloaded<K> {
    fn clone(&self) -> Self {
        Self {
            entity: self.entity,
            outcome: Arc::clone(&self.outcome),
            place: self.place.clone(),
            latency: self.latency,
            receipt: self.receipt.clone(),
            late: self.late,
        }
    }
}

impl<K: TaskKind> fmt::Debug for Offloaded<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offloaded")
            .field("kind", &K::NAME)
            .field("entity", &self.entity)
            .field("outcome", &self.outcome)
            .field("place", &self.place)
            .field("latency", &self.latency)
            .field("receipt", &self.receipt)
            .field("late", &self.late)
            .finish()
    }
}

/// A finished task, as an event on its entity; dereferences to the [`Offloaded`] it carries.
#[derive(EntityEvent)]
pub struct OffloadDone<K: TaskKind> {
    /// The entity that held the [`Offloading`](crate::Offloading) component.
    pub entity: Entity,
    /// The outcome and what goes with it.
    pub done: Offloaded<K>,
}

impl<K: TaskKind> Deref for OffloadDone<K> {
    type Target = Offloaded<K>;

    fn deref(&self) -> &Self::Target {
        &self.done
    }
}

/// A task that has no outcome and will have none, as an event on its entity and as a message.
///
/// With [`OnLate::ComputeLocally`](crate::OnLate::ComputeLocally) local compute replaces every refusal, loss
/// and delay, so only tasks that no kernel can compute fail. With [`OnLate::Reuse`](crate::OnLate::Reuse) it
/// usually means that the last outcome is used instead, see [`OffloadFailed::reused`].
#[derive(EntityEvent, Message)]
pub struct OffloadFailed<K: TaskKind> {
    /// The entity that held the [`Offloading`](crate::Offloading) component.
    pub entity: Entity,
    /// Why.
    pub reason: FailReason,
    /// From the frame that asked to the frame that gives up.
    pub after: Duration,
    /// The age of the outcome that the game uses instead, in [`LastOutcome`](crate::LastOutcome), if the task
    /// is set to [`OnLate::Reuse`](crate::OnLate::Reuse) and there is one. This is no error.
    pub reused: Option<Duration>,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: TaskKind> OffloadFailed<K> {
    pub(crate) fn new(entity: Entity, reason: FailReason, after: Duration, reused: Option<Duration>) -> Self {
        Self { entity, reason, after, reused, kind: std::marker::PhantomData }
    }
}

impl<K: TaskKind> Clone for OffloadFailed<K> {
    fn clone(&self) -> Self {
        Self::new(self.entity, self.reason.clone(), self.after, self.reused)
    }
}

impl<K: TaskKind> fmt::Debug for OffloadFailed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffloadFailed")
            .field("kind", &K::NAME)
            .field("entity", &self.entity)
            .field("reason", &self.reason)
            .field("after", &self.after)
            .field("reused", &self.reused)
            .finish()
    }
}

/// Why a task has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FailReason {
    /// The spec breaks a limit of its kind or a blob is missing: an error in the caller.
    #[error("the spec is not valid: {0}")]
    BadSpec(String),
    /// The deadline passed, and the kind is set to [`OnLate::Drop`](crate::OnLate::Drop) or
    /// [`OnLate::Reuse`](crate::OnLate::Reuse).
    #[error("the deadline passed")]
    Late,
    /// The coordinator refused the task or could not do it, and the kind is set to
    /// [`OnLate::Drop`](crate::OnLate::Drop).
    #[error("the coordinator has no outcome: {0}")]
    Refused(String),
    /// The connection broke while the task was out, and the kind is set to
    /// [`OnLate::Drop`](crate::OnLate::Drop).
    #[error("the connection to the coordinator was lost")]
    Disconnected,
    /// The kernel failed or panicked on this spec.
    #[error("the kernel fails on this spec: {0}")]
    Kernel(String),
    /// The task needs more than its work units pay for, on every machine: ask for less in one task. The
    /// coordinator charges for it, since the work was done. The coordinator's word for it fails only a task that
    /// is set to [`OnLate::Drop`](crate::OnLate::Drop); any other is computed here too, with the same fuel.
    #[error("the task needs more than its work units pay for")]
    OutOfFuel,
    /// More tasks wait for local compute than [`OffloadConfig::local_queue_max`](crate::OffloadConfig).
    #[error("too many tasks wait for local compute")]
    Overloaded,
    /// This computer is still computing an earlier task of the kind, and the kind is set to
    /// [`OnLate::Reuse`](crate::OnLate::Reuse).
    #[error("this computer is still computing an earlier task of this kind")]
    Busy,
}

impl FailReason {
    /// Whether only the outcome is missing; false if the spec or the kernel is faulty.
    pub(crate) fn is_gap(&self) -> bool {
        match self {
            Self::Late
            | Self::Refused(_)
            | Self::Disconnected
            | Self::OutOfFuel
            | Self::Overloaded
            | Self::Busy => true,
            Self::BadSpec(_) | Self::Kernel(_) => false,
        }
    }
}
