//! Patient tasks that an earlier run of the game asked for.

use std::sync::Arc;

use bevy_ecs::component::Component;
use bevy_ecs::world::World;
use p2c2r_protocol::wire::WireError;
use p2c2r_tasks::{Blob, Blobs, TaskKind};

use crate::Offloading;
use crate::patient_store::FormerTask;
use crate::work::Work;

/// Marks the entity of a patient task that an earlier run of the game asked for, and whose outcome it did not get.
///
/// The plugin spawns these entities when the app starts, if [`OffloadConfig::patient_folder`] is set, with an
/// [`Offloading<K>`] each. They end as all tasks do, with [`OffloadDone`] or [`OffloadFailed`], after which the entity is
/// despawned. [`Resumed::spec`] says what was asked.
///
/// [`OffloadConfig::patient_folder`]: crate::OffloadConfig::patient_folder
/// [`OffloadDone`]: crate::OffloadDone
/// [`OffloadFailed`]: crate::OffloadFailed
#[derive(Component)]
pub struct Resumed<K: TaskKind>(Arc<Work<K>>);

impl<K: TaskKind> Resumed<K> {
    /// The task's spec.
    pub fn spec(&self) -> &K::Spec {
        &self.0.spec
    }
}

/// Spawns the entity of a former task.
pub(crate) fn resume<K: TaskKind>(world: &mut World, former: &FormerTask) -> Result<(), WireError> {
    let spec = K::decode_spec(&former.submit.spec)?;
    let blobs = former.submit.blobs.iter().map(|bytes| Blob::new(bytes.clone())).collect();
    let task = Offloading::<K>::resumed(spec, Blobs::new(blobs), former);
    world.spawn((Resumed(task.work()), task));
    Ok(())
}
