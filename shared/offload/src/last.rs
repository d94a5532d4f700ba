//! The newest outcome of a kind, which a game uses while nothing newer comes.

use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;
use p2c2r_protocol::{Micros, PassedCheck, TaskId};
use p2c2r_tasks::TaskKind;

use crate::outcome::Place;
use crate::work::AnyOutcome;

/// The newest outcome of kind `K`: the one whose task was asked for last, not the one that arrived last. An
/// outcome that arrives after that of a later task does not replace it, so a game that shows this resource
/// never goes back in time. The resource exists from registration on, is empty until the first outcome, and is
/// marked as changed only by a newer outcome.
///
/// Every delivered outcome may become the newest, and with [`OnLate::Reuse`](crate::OnLate::Reuse) also one that
/// comes after its task has ended without it: it has been paid for.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use bevy_time::{Real, Time};
/// # use p2c2r_offload::prelude::*;
/// # use p2c2r_tasks::path::Path;
/// fn show(last: Res<LastOutcome<Path>>, time: Res<Time<Real>>) {
///     if let (true, Some(outcome)) = (last.is_changed(), last.outcome()) {
///         println!("{} new paths from {:?}", outcome.answers.len(), last.place());
///     }
///     if let Some(age) = last.age(time.elapsed()) {
///         println!("what is shown was asked for {age:?} ago");
///     }
/// }
/// ```
#[derive(Resource)]
pub struct LastOutcome<K: TaskKind> {
    newest: Option<Newest<K>>,
}

struct Newest<K: TaskKind> {
    task: TaskId,
    outcome: Arc<K::Outcome>,
    place: Place,
    check: Option<PassedCheck>,
    asked_at: Micros,
    latency: Duration,
}

impl<K: TaskKind> Default for LastOutcome<K> {
    fn default() -> Self {
        Self { newest: None }
    }
}

impl<K: TaskKind> LastOutcome<K> {
    /// The outcome; `None` before the first.
    pub fn outcome(&self) -> Option<&Arc<K::Outcome>> {
        self.newest.as_ref().map(|newest| &newest.outcome)
    }

    /// The task whose outcome it is.
    pub fn task(&self) -> Option<TaskId> {
        self.newest.as_ref().map(|newest| newest.task)
    }

    /// Who computed it.
    pub fn place(&self) -> Option<&Place> {
        self.newest.as_ref().map(|newest| &newest.place)
    }

    /// The check that it passed before it was delivered; `None` for one that this computer computed.
    pub fn check(&self) -> Option<PassedCheck> {
        self.newest.as_ref()?.check
    }

    /// How long it took, from the frame that asked for it to the frame that had it.
    pub fn latency(&self) -> Option<Duration> {
        self.newest.as_ref().map(|newest| newest.latency)
    }

    /// When its task was asked for, on the clock of `Time<Real>`.
    pub fn asked_at(&self) -> Option<Duration> {
        self.newest.as_ref().map(|newest| newest.asked_at.into())
    }

    /// Its age: the time since its task was asked for, which is the moment that its spec describes. `now` is
    /// `Time<Real>::elapsed`.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.asked_at().map(|asked_at| now.saturating_sub(asked_at))
    }
}

/// A newest outcome on its way into its [`LastOutcome`].
pub(crate) struct NewestOutcome {
    pub kind: usize,
    pub task: TaskId,
    pub outcome: AnyOutcome,
    pub place: Place,
    pub check: Option<PassedCheck>,
    pub asked_at: Micros,
    pub came_at: Micros,
}

/// Which outcome of a kind is the newest, for code that does not know its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshest {
    pub task: TaskId,
    pub asked_at: Micros,
}

/// Stores an outcome in its resource, unless a newer one is there.
pub(crate) fn keep<K: TaskKind>(world: &mut World, kept: NewestOutcome) {
    let NewestOutcome { task, outcome, place, check, asked_at, came_at, .. } = kept;
    let latency = Duration::from_micros(u64::from(came_at.since(asked_at)));
    // The table holds the kind's own decoder and kernel, so the type is always this one.
    let Ok(outcome) = Arc::downcast::<K::Outcome>(outcome) else { return };
    if world.resource::<LastOutcome<K>>().newest.as_ref().is_some_and(|newest| newest.task > task) {
        return;
    }
    world.resource_mut::<LastOutcome<K>>().newest =
        Some(Newest { task, outcome, place, check, asked_at, latency });
}
