//! How a game asks: the `Offloading` component and the short form on `Commands`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bevy_ecs::component::{Component, Immutable, StorageType};
use bevy_ecs::lifecycle::{ComponentHook, HookContext};
use bevy_ecs::system::{Commands, EntityCommands};
use bevy_ecs::world::DeferredWorld;
use bevy_time::{Real, Time};
use p2c2r_protocol::{Digest, Micros, Nanos, TaskId};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::inbox::{Inbox, Submission};
use crate::kind::{OnLate, Spent};
use crate::patient_store::{FormerTask, NEVER_SENT};
use crate::work::Work;

/// A task of kind `K` that this entity waits for. Inserting it asks, in the same frame; removing it,
/// replacing it or despawning the entity cancels the task. It is removed when the task ends, just before
/// [`OffloadDone`](crate::OffloadDone) or [`OffloadFailed`](crate::OffloadFailed) is triggered on the entity.
///
/// ```
/// # use std::time::Duration;
/// # use bevy_ecs::prelude::*;
/// # use p2c2r_offload::prelude::*;
/// # use p2c2r_tasks::path::{Path, PathSpec};
/// fn ask(mut commands: Commands, enemy: Entity, spec: PathSpec, blobs: Blobs) {
///     let task = Offloading::<Path>::new(spec, blobs).deadline(Duration::from_millis(80));
///     commands.entity(enemy).insert(task);
/// }
/// ```
pub struct Offloading<K: TaskKind> {
    work: Arc<Work<K>>,
    options: TaskOptions,
    /// The running task's id; zero before insertion.
    task: AtomicU64,
}

/// Settings of a single task; absent ones come from the kind's settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TaskOptions {
    pub deadline: OwnDeadline,
    pub price_cap: Option<Nanos>,
    pub late: Option<OnLate>,
    pub spawned: bool,
    pub left: Option<Digest>,
    pub former: Option<FormerIds>,
}

/// How a patient task of an earlier run of the game is identified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormerIds {
    /// The number of its file.
    pub file: u64,
    /// Its id at the coordinator, if it was sent.
    pub task: Option<TaskId>,
}

/// A task's own deadline.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum OwnDeadline {
    /// That of its kind.
    #[default]
    OfKind,
    /// This one.
    After(Duration),
    /// None: a patient task.
    Never,
}

impl<K: TaskKind> Offloading<K> {
    /// A task with its kind's settings.
    pub fn new(spec: K::Spec, blobs: Blobs) -> Self {
        Self {
            work: Arc::new(Work { spec, blobs }),
            options: TaskOptions::default(),
            task: AtomicU64::new(0),
        }
    }

    /// A patient task of an earlier run of the game.
    pub(crate) fn resumed(spec: K::Spec, blobs: Blobs, former: &FormerTask) -> Self {
        let mut task = Self::new(spec, blobs).patient().price_cap(former.submit.price_cap);
        let id = former.submit.task;
        task.options.former = Some(FormerIds { file: former.file, task: (id != NEVER_SENT).then_some(id) });
        task.options.spawned = true;
        task
    }

    /// The spec and its blobs, shared with [`Resumed`](crate::Resumed).
    pub(crate) fn work(&self) -> Arc<Work<K>> {
        Arc::clone(&self.work)
    }

    /// Sets this task's own deadline, from the frame that inserts it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = OwnDeadline::After(deadline);
        self
    }

    /// Makes this a patient task: it has no deadline and waits for the coordinator as long as it takes. If
    /// the connection is lost in the meantime, the task is computed here, and the coordinator is told so at the
    /// next connection; it charges for the work done until then. If the game ends in the meantime, the task is
    /// [`Resumed`](crate::Resumed) at the next start.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.options.deadline = OwnDeadline::Never;
        self
    }

    /// Sets the most this task may cost.
    #[must_use]
    pub fn price_cap(mut self, price_cap: Nanos) -> Self {
        self.options.price_cap = Some(price_cap);
        self
    }

    /// Sets what becomes of this task when the coordinator has no outcome in time.
    #[must_use]
    pub fn on_late(mut self, late: OnLate) -> Self {
        self.options.late = Some(late);
        self
    }

    /// Says that the coordinator already has this blob, because an outcome that it delivered
    /// [left](TaskKind::leaves) it: the blob then travels only if the coordinator asks for it.
    #[must_use]
    pub fn left(mut self, blob: Digest) -> Self {
        self.options.left = Some(blob);
        self
    }

    /// The task's spec.
    pub fn spec(&self) -> &K::Spec {
        &self.work.spec
    }

    /// The task's id, once inserted.
    pub fn task(&self) -> Option<TaskId> {
        match self.task.load(Ordering::Relaxed) {
            0 => None,
            id => Some(TaskId(id)),
        }
    }

    /// Whether the entity was spawned for this task alone.
    pub(crate) fn is_spawned(&self) -> bool {
        self.options.spawned
    }

    fn submit(mut world: DeferredWorld<'_>, context: HookContext) {
        let now = world.get_resource::<Time<Real>>().map(|time| Micros::from(time.elapsed()));
        let Some(offloading) = world.get::<Self>(context.entity) else { return };
        let work = Arc::clone(&offloading.work);
        let options = offloading.options;
        let Some(mut inbox) = world.get_resource_mut::<Inbox>() else {
            panic!("offloading needs its plugin: app.add_plugins(OffloadPlugin::default())");
        };
        let Some(kind) = inbox.kinds.iter().position(|id| *id == K::ID) else {
            panic!(
                "kind `{0}` is not registered: app.add_offload_kind::<{1}>(KindSettings::default())",
                K::NAME,
                std::any::type_name::<K>()
            );
        };
        let task = inbox.submit(Submission {
            kind,
            entity: context.entity,
            work,
            options,
            submitted_at: now.unwrap_or_default(),
        });
        if let Some(offloading) = world.get::<Self>(context.entity) {
            offloading.task.store(task.0, Ordering::Relaxed);
        }
        // An entity that was to be despawned with its last task stays for the new one.
        if let Some(mut spent) = world.get_resource_mut::<Spent>() {
            spent.0.retain(|entity| *entity != context.entity);
        }
    }

    fn take_back(mut world: DeferredWorld<'_>, context: HookContext) {
        let Some(task) = world.get::<Self>(context.entity).and_then(Self::task) else { return };
        if let Some(mut inbox) = world.get_resource_mut::<Inbox>() {
            inbox.cancel(task);
        }
    }
}

impl<K: TaskKind> Component for Offloading<K> {
    const STORAGE_TYPE: StorageType = StorageType::SparseSet;
    type Mutability = Immutable;

    fn on_insert() -> Option<ComponentHook> {
        Some(Self::submit)
    }

    fn on_discard() -> Option<ComponentHook> {
        Some(Self::take_back)
    }
}

/// Offloads without a component of one's own.
pub trait OffloadCommandsExt {
    /// Spawns an entity that waits for a task of kind `K`, with the kind's settings. The entity is despawned
    /// at the end of the frame in which the task ends, unless a new [`Offloading`] was inserted on it by then;
    /// despawn it earlier to take the task back. `blobs` are those the spec refers to; they travel only when
    /// the coordinator does not have them yet.
    ///
    /// ```
    /// # use bevy_ecs::prelude::*;
    /// # use p2c2r_offload::prelude::*;
    /// # use p2c2r_tasks::path::{Path, PathSpec};
    /// fn ask(mut commands: Commands, spec: PathSpec, blobs: Blobs) {
    ///     commands.offload::<Path>(spec, blobs).observe(|done: On<OffloadDone<Path>>| {
    ///         println!("{} answers from {}", done.outcome.answers.len(), done.place);
    ///     });
    /// }
    /// ```
    fn offload<K: TaskKind>(&mut self, spec: K::Spec, blobs: Blobs) -> EntityCommands<'_>;

    /// The same for a task with settings of its own.
    fn offload_task<K: TaskKind>(&mut self, task: Offloading<K>) -> EntityCommands<'_>;
}

impl OffloadCommandsExt for Commands<'_, '_> {
    fn offload<K: TaskKind>(&mut self, spec: K::Spec, blobs: Blobs) -> EntityCommands<'_> {
        self.offload_task(Offloading::<K>::new(spec, blobs))
    }

    fn offload_task<K: TaskKind>(&mut self, mut task: Offloading<K>) -> EntityCommands<'_> {
        task.options.spawned = true;
        self.spawn(task)
    }
}
