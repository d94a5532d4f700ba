//! Registering a kind: its settings, and the table through which untyped code reaches typed components.

use std::sync::Arc;
use std::time::Duration;

use bevy_app::App;
use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;
use p2c2r_protocol::wire::WireError;
use p2c2r_protocol::{KindId, Nanos, Receipt, TaskId};
use p2c2r_tasks::TaskKind;

use crate::inbox::Inbox;
use crate::last::{LastOutcome, NewestOutcome, keep};
use crate::outcome::{FailReason, OffloadDone, OffloadFailed, Offloaded, Place};
use crate::patient_store::FormerTask;
use crate::resumed::resume;
use crate::totals::OffloadTotals;
use crate::work::{AnyOutcome, decode_outcome};
use crate::{Offloading, diagnostics};

/// How tasks of one kind are treated unless a task says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSettings {
    /// Time from the frame that asks to the frame by which the outcome is wanted; at most a minute.
    pub deadline: Duration,
    /// The most one task may cost. A more expensive one is computed locally.
    pub price_cap: Nanos,
    /// What becomes of a task for which the coordinator has no outcome in time.
    pub late: OnLate,
}

impl Default for KindSettings {
    /// 200 ms, a hundredth of a cent, computed locally.
    fn default() -> Self {
        Self { deadline: Duration::from_millis(200), price_cap: Nanos(100_000), late: OnLate::ComputeLocally }
    }
}

/// What becomes of a task that the coordinator refuses, loses, or does not finish in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnLate {
    /// This computer computes it, started just early enough to meet the deadline. An outcome that is still late
    /// is delivered and marked as late.
    #[default]
    ComputeLocally,
    /// It fails. For work whose next task replaces it anyway, and for kernels too heavy for local compute.
    /// While offloading is off or not connected such tasks are computed locally too; one that has not begun
    /// by its deadline is dropped, so that a slow computer skips outdated tasks.
    Drop,
    /// The game goes on with the last outcome of the kind, which [`LastOutcome`] holds. For work that
    /// shows the world as it was a moment ago (reflections, textures, plans), where computing a replacement
    /// here would cost the very frames that offloading is to save.
    ///
    /// A silent coordinator has until the deadline; then the task ends with
    /// [`OffloadFailed::reused`](crate::OffloadFailed::reused). If the coordinator has refused or lost the task,
    /// or offloading is off or not connected, this computer computes it, but never more than one of the kind at
    /// a time: tasks that find one under way end at once, so a computer too slow for the rate at which the game
    /// asks does what it can and falls no further behind. What is computed here is delivered, if need be late.
    /// Patient tasks wait their turn instead.
    Reuse,
}

/// Adds kinds to an app.
pub trait OffloadAppExt {
    /// Lets the game offload tasks of kind `K`. In any order with adding the plugin.
    ///
    /// # Panics
    /// If `K` is registered already, or with a coordinator set, if `K` is missing in
    /// [`OffloadConfig::kinds`](crate::OffloadConfig::kinds).
    fn add_offload_kind<K: TaskKind>(&mut self, settings: KindSettings) -> &mut Self;
}

impl OffloadAppExt for App {
    fn add_offload_kind<K: TaskKind>(&mut self, settings: KindSettings) -> &mut Self {
        self.add_message::<Offloaded<K>>().add_message::<OffloadFailed<K>>();
        self.init_resource::<LastOutcome<K>>();
        diagnostics::register_kind(self, K::NAME);
        self.init_resource::<Inbox>().init_resource::<KindTable>().init_resource::<OffloadTotals>();
        self.world_mut().resource_mut::<OffloadTotals>().kinds.entry(K::NAME).or_default();
        self.world_mut().resource_mut::<Inbox>().kinds.push(K::ID);
        let mut table = self.world_mut().resource_mut::<KindTable>();
        assert!(
            table.kinds.iter().all(|kind| kind.id != K::ID && kind.name != K::NAME),
            "a kind with number {} or name `{}` is registered already",
            K::ID.0,
            K::NAME
        );
        table.kinds.push(Kind {
            id: K::ID,
            name: K::NAME,
            kernel_version: K::KERNEL_VERSION,
            settings,
            decode: decode_outcome::<K>,
            deliver: deliver::<K>,
            keep: keep::<K>,
            resume: resume::<K>,
        });
        self
    }
}

/// One registered kind.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub id: KindId,
    pub name: &'static str,
    pub kernel_version: u16,
    pub settings: KindSettings,
    pub decode: fn(&[u8]) -> Result<AnyOutcome, WireError>,
    pub deliver: fn(&mut World, Delivery),
    pub keep: fn(&mut World, NewestOutcome),
    pub resume: fn(&mut World, &FormerTask) -> Result<(), WireError>,
}

/// The registered kinds; a task names its kind by its index in this list.
#[derive(Resource, Default)]
pub(crate) struct KindTable {
    pub kinds: Vec<Kind>,
}

/// A task's end on its way to the entity that waits for it.
pub(crate) struct Delivery {
    pub task: TaskId,
    pub kind: usize,
    pub entity: Entity,
    pub after: Duration,
    pub end: TaskEnding,
}

/// How a task ended.
pub(crate) enum TaskEnding {
    Done {
        outcome: AnyOutcome,
        place: Place,
        receipt: Option<Receipt>,
        late: bool,
    },
    /// Without an outcome; `reused` is the age of the last one, if that is used instead.
    Failed {
        reason: FailReason,
        reused: Option<Duration>,
    },
}

/// Entities that `commands.offload` spawned and whose tasks have ended; despawned at the end of the frame.
#[derive(Resource, Default)]
pub(crate) struct Spent(pub Vec<Entity>);

fn deliver<K: TaskKind>(world: &mut World, delivery: Delivery) {
    let entity = delivery.entity;
    let Some(offloading) = world.get::<Offloading<K>>(entity) else { return };
    // The component may have been replaced since the task ended.
    if offloading.task() != Some(delivery.task) {
        return;
    }
    if offloading.is_spawned() {
        world.resource_mut::<Spent>().0.push(entity);
    }
    world.entity_mut(entity).remove::<Offloading<K>>();
    match delivery.end {
        TaskEnding::Done { outcome, place, receipt, late } => {
            // The table holds the kind's own decoder and kernel, so the type is always this one.
            let Ok(outcome) = Arc::downcast::<K::Outcome>(outcome) else { return };
            let done = Offloaded { entity, outcome, place, latency: delivery.after, receipt, late };
            world.write_message::<Offloaded<K>>(done.clone());
            world.trigger(OffloadDone { entity, done });
        }
        TaskEnding::Failed { reason, reused } => {
            let failed = OffloadFailed::<K>::new(entity, reason, delivery.after, reused);
            world.write_message(failed.clone());
            world.trigger(failed);
        }
    }
}
