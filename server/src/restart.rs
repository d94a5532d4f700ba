//! What a coordinator takes over from the one before it: outcomes to reuse, and patient tasks to queue again.

use std::sync::Arc;

use bevy_ecs::world::World;
use p2c2r_protocol::Micros;
use p2c2r_tasks::{Blob, BlobStore, Blobs, KindRegistry};
use tracing::{info, warn};

use crate::admission::unprepared;
use crate::books::Books;
use crate::cache::OutcomeCache;
use crate::error::ServerError;
use crate::ledger::{Entry, Ledger, PatientTask, VoidReason};
use crate::sessions::Gamers;
use crate::table::{NewTask, TaskTable};

/// Fills the cache and the table from the ledger.
pub fn take_over(world: &mut World, ledger: &Ledger, kinds: &KindRegistry) -> Result<(), ServerError> {
    let mut cache = world.resource_mut::<OutcomeCache>();
    let outcomes = ledger.take_cached_outcomes();
    // Newest first from the ledger, while the cache drops what was written first.
    for outcome in outcomes.into_iter().rev() {
        let usable = kinds
            .get(outcome.kind)
            .is_some_and(|kind| kind.deterministic() && kind.kernel_version() == outcome.kernel_version);
        if !usable {
            continue;
        }
        cache.insert(outcome.key, &outcome.bytes, outcome.worker, Micros(0), outcome.expires_in);
    }
    let patient = ledger.take_patient_tasks();
    if !patient.is_empty() {
        info!(tasks = patient.len(), "patient tasks from before wait for a worker");
    }
    for task in patient {
        queue_again(world, ledger, kinds, task)?;
    }
    Ok(())
}

fn queue_again(
    world: &mut World,
    ledger: &Ledger,
    kinds: &KindRegistry,
    task: PatientTask,
) -> Result<(), ServerError> {
    let no = task.task;
    let Some(new) = revive(kinds, &task) else {
        warn!(task = no.0, "this build cannot do a patient task from before: given up, nothing is charged");
        world
            .resource_mut::<Books>()
            .append(Entry::TaskVoided { task: no, reason: VoidReason::KernelFailed });
        return Ok(());
    };
    let account = ledger.account(task.gamer)?;
    let mut gamers = world.resource_mut::<Gamers>();
    let mirror = gamers.open_account(&account);
    mirror.hold(task.price);
    mirror.tasks.insert(no);
    world.resource_mut::<TaskTable>().gamers().admit(no, new);
    Ok(())
}

fn revive(kinds: &KindRegistry, task: &PatientTask) -> Option<NewTask> {
    let kind = kinds.get(task.kind).filter(|kind| kind.kernel_version() == task.kernel_version)?;
    let job = kind.decode(&task.payload.spec).ok()?;
    let mut store = BlobStore::new(usize::MAX);
    for blob in &task.payload.blobs {
        store.insert_blob(Blob::new(blob.to_vec()));
    }
    let blobs: Blobs = store.resolve(job.blob_refs()).ok()?;
    job.admit(&blobs).ok()?;
    Some(NewTask {
        id: task.game_task,
        account: task.gamer,
        gamer: None,
        kind: task.kind,
        job,
        spec: Arc::clone(&task.payload.spec),
        blobs: unprepared(&blobs),
        key: task.key,
        units: task.units,
        price: task.price,
        received_at: Micros(0),
        deliver_by: None,
        attempts: task.next_attempt.0.saturating_sub(1),
    })
}
