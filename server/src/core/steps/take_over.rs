//! Takes over what the ledger has: outcomes to reuse, and patient tasks to queue again after a restart.

use std::sync::Arc;

use p2c2r_protocol::Micros;
use p2c2r_tasks::{Blob, BlobStore, Blobs, KindRegistry};
use tracing::warn;

use super::admit::unprepared;
use super::follow;
use super::lease::ATTEMPTS_IN_ALL_MAX;
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::NewTask;
use crate::ledger::{Account, CachedOutcome, Entry, PatientTask, VoidReason};

/// Caches an outcome, if this build's kernel would give the same one, or one as good for a patient task.
pub fn keep(core: &mut Core, outcome: CachedOutcome) {
    let is_usable = core.policy.kinds.get(outcome.kind).is_some_and(|kind| {
        (kind.deterministic() || outcome.patient) && kind.kernel_version() == outcome.kernel_version
    });
    if is_usable {
        core.cache.insert(outcome.key, &outcome.bytes, outcome.worker, core.now, outcome.expires_in);
        if outcome.patient {
            core.settled_before.add(outcome.key, outcome.settled);
            let (cache, now) = (&core.cache, core.now);
            core.settled_before.bound(core.policy.cache_entries_max, |key| cache.has(key, now));
        }
    }
}

/// Caches an outcome that the ledger read after recording `recorded` entries, unless a later entry may have revoked it.
pub fn recall(core: &mut Core, outcome: CachedOutcome, recorded: u64) {
    if recorded >= core.last_revocation || fault::is_made(Fault::RecallsWhatIsRevoked) {
        keep(core, outcome);
    }
}

/// Queues a patient task again, or gives it up if this build cannot compute it or if it has used up all attempts that the
/// ledger can number.
pub fn queue_again(core: &mut Core, task: &PatientTask, account: &Account) {
    let no = task.task;
    if fault::is_made(Fault::ForgetsPatientTasks) {
        return;
    }
    if attempts_before(task) >= ATTEMPTS_IN_ALL_MAX {
        warn!(
            task = no.0,
            "a patient task from before has had all its attempts: given up, nothing is charged"
        );
        core.book(Entry::TaskVoided { task: no, reason: VoidReason::NoWorker });
        return;
    }
    let Some(mut new) = revive(&core.policy.kinds, task) else {
        warn!(task = no.0, "this build cannot do a patient task from before: given up, nothing is charged");
        core.book(Entry::TaskVoided { task: no, reason: VoidReason::KernelFailed });
        return;
    };
    let mirror = core.gamers.open_account(account, core.now);
    mirror.hold(task.price);
    mirror.tasks.insert(no);
    new.shares = follow::shares(core, new.kind, true);
    new.follows = follow::leader(core, new.key, new.account, (new.kind, new.units), None, None);
    core.tasks.gamers().admit(no, new);
}

fn attempts_before(task: &PatientTask) -> u32 {
    task.next_attempt.0.saturating_sub(1)
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
        attempts: attempts_before(task),
        shares: false,
        follows: None,
    })
}
