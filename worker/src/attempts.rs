//! The attempts this worker holds. Only this module takes, drops or answers one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use p2c2r_link::{FromServer, ToServer, Waker};
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Device, Digest, Micros, SeededHash, ServerToWorker, TaskNo,
    WorkerOffer, WorkerToServer,
};
use p2c2r_tasks::{Blob, BlobStore, Blobs, KindRegistry, TaskJob};
use tracing::{debug, info};

use crate::cancel::{Cancel, CancelOnDrop};
use crate::config::{INLINE_UNITS_MAX, WorkerConfig};
use crate::executor::{ClockAnchor, Executor, Run, RunResult, SharedStage};
use crate::update::WorkerParts;

/// Work units that one update may run on the app's thread. Further tiny tasks go to the slots, so that the link does
/// not wait longer and other cores share a burst of them.
const INLINE_UNITS_PER_UPDATE: u64 = 500;

/// How often the offered kernels are compared with the devices that compute them now.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// Identifies an attempt.
pub type AttemptKey = (TaskNo, Attempt);

struct Held {
    serial: u64,
    kind: &'static str,
    received_at: Micros,
    stage: SharedStage,
    /// Dropped with the attempt, which ends its kernel.
    #[expect(dead_code, reason = "it is there to be dropped")]
    cancel: CancelOnDrop,
}

/// The attempts this worker holds, queued and running.
#[derive(Resource)]
pub struct Attempts {
    /// A revoked attempt is removed at once, even while its kernel still runs.
    held: HashMap<AttemptKey, Held, SeededHash>,
    held_max: usize,
    next_serial: u64,
    blobs: BlobStore,
}

/// The result of taking an assignment.
enum Taken {
    Run(Run),
    Refused(WorkerToServer),
    /// Held already: the same assignment came twice.
    Again,
}

impl Attempts {
    /// No attempts yet, with the limits of this configuration.
    pub fn new(config: &WorkerConfig) -> Self {
        Self {
            held: HashMap::default(),
            held_max: config.held_max(),
            next_serial: 0,
            blobs: BlobStore::new(config.blob_bytes_max),
        }
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn take(
        &mut self,
        assign: Assign,
        kinds: &KindRegistry,
        received_at: Micros,
        clock: ClockAnchor,
        waker: &Waker,
    ) -> Taken {
        let key = (assign.task, assign.attempt);
        let refuse = |failure| Taken::Refused(refusal(key, received_at, failure));
        if self.held.contains_key(&key) {
            return Taken::Again;
        }
        let Some(kind) = kinds.get(assign.kind) else { return refuse(AttemptFailure::UnknownKind) };
        if self.held.len() >= self.held_max {
            return refuse(AttemptFailure::Overloaded);
        }
        let Ok(Ok(job)) = catch_panic(|| kind.decode(&assign.spec)) else {
            return refuse(AttemptFailure::BadSpec);
        };
        let blobs = match self.resolve(&*job, assign.blobs) {
            Ok(blobs) => blobs,
            Err(missing) => {
                let (task, attempt) = key;
                return Taken::Refused(WorkerToServer::BlobsMissing { task, attempt, missing });
            }
        };
        let serial = self.next_serial;
        self.next_serial += 1;
        let (stage, cancel) = (SharedStage::default(), Cancel::default());
        let held = Held {
            serial,
            kind: kind.name(),
            received_at,
            stage: stage.clone(),
            cancel: CancelOnDrop(cancel.clone()),
        };
        self.held.insert(key, held);
        Taken::Run(Run {
            key,
            serial,
            kind: assign.kind,
            spec: assign.spec,
            job,
            blobs,
            admitted: false,
            stage,
            cancel,
            // The lease counts from the moment at which the task was received.
            over_at: clock.instant.unwrap_or_else(Instant::now)
                + Duration::from_micros(assign.lease_us.into()),
            clock,
            waker: waker.clone(),
        })
    }

    /// The blobs of a job, or the digests of those missing. Blobs sent with the job are kept for later ones if the job
    /// refers to them.
    fn resolve(&mut self, job: &dyn TaskJob, sent: Vec<Vec<u8>>) -> Result<Blobs, Vec<Digest>> {
        for bytes in sent {
            let blob = Blob::new(bytes);
            if job.blob_refs().contains(&blob.digest()) {
                self.blobs.insert_blob(blob);
            }
        }
        self.blobs.resolve(job.blob_refs())
    }

    /// Drops an attempt: a queued one is never begun; a running one is stopped and its result discarded.
    fn let_go(&mut self, key: AttemptKey) {
        if let Some(held) = self.held.remove(&key) {
            held.stage.take_back();
        }
    }

    /// Drops all attempts, because the connection has ended and with it every lease.
    fn let_all_go(&mut self) -> usize {
        let keys: Vec<AttemptKey> = self.held.keys().copied().collect();
        for key in &keys {
            self.let_go(*key);
        }
        keys.len()
    }

    /// Answers every queued attempt as overloaded, so that the coordinator can assign it to another worker at once.
    /// Returns how many there were.
    pub fn hand_back_queued(&mut self, said: &mut Messages<ToServer<WorkerToServer>>) -> usize {
        let mut queued: Vec<(u64, AttemptKey, Micros)> = self
            .held
            .iter()
            .filter(|(_, held)| held.stage.take_back())
            .map(|(key, held)| (held.serial, *key, held.received_at))
            .collect();
        queued.sort_unstable();
        for (_, key, received_at) in &queued {
            self.held.remove(key);
            said.write(ToServer(refusal(*key, *received_at, AttemptFailure::Overloaded)));
        }
        queued.len()
    }

    /// The answer for a result; `None` if the attempt was dropped meanwhile.
    fn settle(&mut self, result: RunResult) -> Option<(Answer, &'static str)> {
        if let Some(left) = result.left {
            self.blobs.insert_blob(left);
        }
        let key = result.key;
        // After a new connection the same key may be held again under another serial number.
        let Entry::Occupied(held) = self.held.entry(key) else { return None };
        if held.get().serial != result.serial {
            return None;
        }
        let held = held.remove();
        let started_at = result.started_at.max(held.received_at);
        let answer = Answer {
            task: key.0,
            attempt: key.1,
            result: result.result,
            received_at: held.received_at,
            started_at,
            finished_at: result.finished_at.max(started_at),
        };
        Some((answer, held.kind))
    }
}

fn refusal((task, attempt): AttemptKey, at: Micros, failure: AttemptFailure) -> WorkerToServer {
    WorkerToServer::Answer(Answer {
        task,
        attempt,
        result: Err(failure),
        received_at: at,
        started_at: at,
        finished_at: at,
    })
}

/// What this worker offers.
#[derive(Resource)]
pub struct Offer {
    /// The kinds it computes.
    pub kinds: KindRegistry,
    /// All its slots; `offered` has those that may compute now.
    pub slots: u16,
    /// The offer that the coordinator is told.
    pub offered: WorkerOffer,
    /// When `offered` was last compared with the devices that compute.
    compared_at: Duration,
}

impl Offer {
    /// An offer of these kinds that has as many slots as `offered`.
    pub fn new(kinds: KindRegistry, offered: WorkerOffer) -> Self {
        Self { kinds, slots: offered.slots, offered, compared_at: Duration::ZERO }
    }
}

/// Tells the coordinator when a graphics processor was lost or is open again, because its work has a price of its own.
pub(crate) fn follow_device(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { offer, executor, drain, availability, link, said, time, .. } = parts;
    if time.elapsed() < offer.compared_at + COMPARE_EVERY {
        return;
    }
    offer.compared_at = time.elapsed();
    let kernels = executor.offers(&offer.kinds);
    if kernels == offer.offered.kernels {
        return;
    }
    offer.offered.kernels = kernels;
    let has_device = offer.offered.kernels.iter().any(|offer| offer.device != Device::Cores);
    let computes = if has_device { "a graphics processor computes again" } else { "cores alone compute" };
    info!(event = "device", has_device, "🖥  The coordinator is told that {computes}.");
    if link.is_connected() && !drain.is_asked() && availability.rest().is_none() {
        said.write(ToServer(WorkerToServer::Ready(offer.offered.clone())));
    }
}

/// Announces the worker whenever the link comes up, and drops all attempts when it goes down.
pub(crate) fn follow_link(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { up, down, attempts, said, offer, drain, availability, .. } = parts;
    for gone in down.read() {
        let dropped = attempts.let_all_go();
        info!(event = "disconnected", dropped, "🔌 Connection lost: {}. Trying again.", gone.reason);
    }
    // A worker that is draining or resting does not announce itself.
    if up.read().count() > 0 && !drain.is_asked() && availability.rest().is_none() {
        // The offer names a graphics processor without proof: kernel versions and checks are those of a core, and its
        // work is paid less, so that a false claim gains nothing.
        said.write(ToServer(WorkerToServer::Ready(offer.offered.clone())));
    }
}

/// Handles the coordinator's messages: assignments, revocations, statements.
pub(crate) fn take_messages(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { heard, attempts, executor, session, said, offer, drain, availability, .. } = parts;
    let WorkerParts { clock, time, waker, .. } = parts;
    let clock = ClockAnchor {
        at: clock.now(),
        instant: if executor.has_threads() { time.last_update() } else { None },
    };
    let mut inline_units_left = if executor.has_threads() { INLINE_UNITS_PER_UPDATE } else { 0 };
    for FromServer { received_at, message } in heard.drain() {
        match message {
            ServerToWorker::Welcome(welcome) => session.welcome(welcome, offer),
            ServerToWorker::Statement(statement) => session.record(&statement),
            ServerToWorker::Revoke { task, attempt } => {
                debug!(%task, %attempt, "Revoked");
                attempts.let_go((task, attempt));
            }
            ServerToWorker::Closing { reason } => {
                info!(event = "closing", "👋 The coordinator says goodbye: {reason}");
            }
            // The link keeps spare tokens itself.
            ServerToWorker::Spare(_) => {}
            ServerToWorker::Assign(assign) if drain.is_asked() || availability.rest().is_some() => {
                let key = (assign.task, assign.attempt);
                said.write(ToServer(refusal(key, received_at, AttemptFailure::Overloaded)));
            }
            ServerToWorker::Assign(assign) => {
                let (key, new_blobs) = ((assign.task, assign.attempt), !assign.blobs.is_empty());
                match attempts.take(assign, &offer.kinds, received_at, clock, waker) {
                    Taken::Again => {}
                    Taken::Refused(message) => {
                        said.write(ToServer(message));
                    }
                    Taken::Run(run) => {
                        // Admission reads all bytes of a new blob, which must happen on a slot.
                        let may_be_tiny = !new_blobs && executor.takes_tiny(&run);
                        if !start(run, may_be_tiny, &mut inline_units_left, executor) {
                            attempts.let_go(key);
                            said.write(ToServer(refusal(key, received_at, AttemptFailure::Overloaded)));
                        }
                    }
                }
            }
        }
    }
    executor.run_waiting();
}

/// Runs a tiny task at once or queues the run; false if the queue is full. See [`INLINE_UNITS_MAX`].
fn start(mut run: Run, may_be_tiny: bool, inline_units_left: &mut u64, executor: &mut Executor) -> bool {
    if may_be_tiny
        && *inline_units_left > 0
        && let Ok(Ok(units)) = catch_panic(|| run.job.admit(&run.blobs))
    {
        run.admitted = true;
        if units.0 <= INLINE_UNITS_MAX.min(*inline_units_left) {
            *inline_units_left -= units.0.max(1);
            executor.run_tiny(run);
            return true;
        }
    }
    executor.queue(run)
}

/// Sends an answer for every run that has ended.
pub(crate) fn answer_results(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { attempts, session, said, link, executor, .. } = parts;
    while let Some(result) = executor.next_result() {
        // Counted for attempts that were dropped meanwhile too: their kernels took the time all the same.
        session.took(Duration::from_micros(u64::from(result.finished_at.since(result.started_at))));
        let Some((answer, kind)) = attempts.settle(result) else { continue };
        let took = Duration::from_micros(u64::from(answer.finished_at.since(answer.received_at)));
        match &answer.result {
            Ok(outcome) => {
                session.computed(took);
                debug!(task = %answer.task, attempt = %answer.attempt, kind, bytes = outcome.len(),
                    "⚡ {kind} {}: completed in {:.2} ms", answer.task, took.as_secs_f64() * 1e3);
            }
            Err(failure) => {
                session.failed();
                debug!(task = %answer.task, attempt = %answer.attempt, kind, "{kind} {}: {failure}", answer.task);
            }
        }
        said.write(ToServer(WorkerToServer::Answer(answer)));
    }
    let busy = attempts.held() > 0;
    link.mark_busy(busy);
}
