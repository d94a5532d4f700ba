//! Blobs: which ones the coordinator keeps follows from what it was told, whenever they are prepared, and what takes
//! time to prepare is prepared on the pool.

use std::time::Duration;

use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_protocol::{Digest, PeerId, Submit, wire};
use p2c2r_server::{ComputeMode, Fallback};
use p2c2r_tasks::TaskKind;

use crate::stage::{Heard, STEP, Stage};
use crate::toy::{self, Laden, Load};

/// A task about this blob, which is sent along.
fn laden(stage: &mut Stage, number: u64, blob: &[u8], is_prepared_at_once: bool) -> Submit {
    let submit = stage.submit_of(&toy::spec(number));
    Submit {
        kind: Laden::ID,
        kernel_version: Laden::KERNEL_VERSION,
        spec: Laden::encode_spec(&(number, Digest::of(blob), is_prepared_at_once)).into(),
        blobs: vec![blob.to_vec()],
        ..submit
    }
}

/// Has the worker do a task about this blob.
fn have_done(stage: &mut Stage, gamer: PeerId, worker: PeerId, submit: Submit, number: u64) {
    let task = stage.submit(gamer, submit);
    let (to, assign) = stage.assignment();
    assert_eq!(to, worker);
    stage.answer(worker, &assign, Ok(wire::encode(&(number * number))));
    stage.until("the answer is judged", STEP, |stage| !stage.heard(task).is_empty());
    stage.done(task);
}

/// The pool prepares blobs until their forms take more memory than there is. Whether a blob is then still there must not
/// depend on it: the stage replays the recording, which does not tell when a form was made, and compares.
#[test]
fn a_run_whose_blobs_fill_the_memory_once_they_are_prepared_is_replayed_alike() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let blobs: Vec<[u8; 8]> =
        (0..).map(u64::to_le_bytes).take(BLOB_STORE_BYTES_MAX / Load::BYTES + 2).collect();
    for (number, blob) in (0..).zip(&blobs) {
        let submit = laden(&mut stage, number, blob, false);
        have_done(&mut stage, gamer, worker, submit, number);
        // A new blob of an account may come every 128 ms.
        stage.jump(Duration::from_millis(200));
    }
    let submit = laden(&mut stage, 1_000, &blobs[0], false);
    let again = stage.submit(gamer, Submit { blobs: Vec::new(), ..submit });
    assert!(
        !matches!(stage.heard(again), [Heard::Refused(_)]),
        "the blob is small, and is still there: {:?}",
        stage.heard(again)
    );
    stage.stop();
}

#[test]
fn what_a_patient_task_refers_to_is_prepared_on_the_pool() {
    let mut stage = Stage::with(|config| {
        (config.fallback, config.compute) = (Fallback::Queue, ComputeMode::Threads(1));
    });
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let timely = laden(&mut stage, 1, b"of a timely task", true);
    have_done(&mut stage, gamer, worker, timely, 1);
    assert_eq!(toy::prepared_by(Digest::of(b"of a timely task")).len(), 1, "once, when it was admitted");
    let patient = Submit { budget_us: None, ..laden(&mut stage, 2, b"of a patient task", true) };
    have_done(&mut stage, gamer, worker, patient, 2);
    let prepared_by = toy::prepared_by(Digest::of(b"of a patient task"));
    let (_, later) = prepared_by.split_first().expect("it was admitted");
    let is_of_pool = |name: &Option<String>| name.as_deref().is_some_and(|name| name.contains("compute"));
    assert!(!later.is_empty() && later.iter().all(is_of_pool), "{prepared_by:?}");
}
